//! What the tests of groups share: members that join, sync and leave over a wire of their own.

use kafka_protocol::messages::leave_group_request::MemberIdentity;
use kafka_protocol::messages::{HeartbeatRequest, JoinGroupResponse, LeaveGroupRequest, SyncGroupResponse};
use kafka_protocol::protocol::StrBytes;
use millpond_compat_tests::requests::text;
pub(crate) use millpond_compat_tests::requests::{group as id, join_request, subscription, sync_request};
use millpond_compat_tests::server::{Builder, Server};
use millpond_compat_tests::wire::Wire;

pub(crate) const NONE: i16 = 0;
pub(crate) const UNKNOWN_TOPIC_OR_PARTITION: i16 = 3;
pub(crate) const OFFSET_METADATA_TOO_LARGE: i16 = 12;
pub(crate) const ILLEGAL_GENERATION: i16 = 22;
pub(crate) const INCONSISTENT_GROUP_PROTOCOL: i16 = 23;
pub(crate) const INVALID_GROUP_ID: i16 = 24;
pub(crate) const UNKNOWN_MEMBER_ID: i16 = 25;
pub(crate) const INVALID_SESSION_TIMEOUT: i16 = 26;
pub(crate) const REBALANCE_IN_PROGRESS: i16 = 27;
pub(crate) const INVALID_REQUEST: i16 = 42;
pub(crate) const TRANSACTIONAL_ID_AUTHORIZATION_FAILED: i16 = 53;
pub(crate) const NON_EMPTY_GROUP: i16 = 68;
pub(crate) const GROUP_ID_NOT_FOUND: i16 = 69;
pub(crate) const MEMBER_ID_REQUIRED: i16 = 79;
pub(crate) const GROUP_MAX_SIZE_REACHED: i16 = 81;
pub(crate) const FENCED_INSTANCE_ID: i16 = 82;
pub(crate) const GROUP_SUBSCRIBED_TO_TOPIC: i16 = 86;

/// A broker whose groups do not wait for more members than there are.
pub(crate) fn start() -> Server {
    builder().start()
}

pub(crate) fn builder() -> Builder {
    Server::builder().set("groups.initial_rebalance_delay_ms", "0")
}

/// Joins, by the way of the version: with an id given first, or at once.
pub(crate) fn join(wire: &mut Wire, version: i16, group: &str) -> JoinGroupResponse {
    let answer = wire.call(version, &join_request(version, group, ""));
    if version < 4 {
        return answer;
    }
    assert_eq!(answer.error_code, MEMBER_ID_REQUIRED);
    assert!(!answer.member_id.is_empty());
    wire.call(version, &join_request(version, group, &answer.member_id))
}

/// The answers to a static member `i` of the group `g`, and to the one that then takes its place.
pub(crate) fn replaced_static_member(wire: &mut Wire) -> [JoinGroupResponse; 2] {
    let request = join_request(9, "g", "").with_group_instance_id(Some(text("i")));
    let joined = wire.call(9, &request);
    let sync = sync_request(5, "g", &joined).with_group_instance_id(Some(text("i")));
    assert_eq!(wire.call(5, &sync).error_code, NONE);
    [joined, wire.call(9, &request)]
}

/// A member at work, alone in its group or not.
#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) wire: Wire,
    pub(crate) group: String,
    pub(crate) id: StrBytes,
    pub(crate) generation: i32,
}

impl Member {
    /// The only member of a group.
    pub(crate) fn alone(server: &Server, group: &str) -> Self {
        let mut wire = server.wire();
        let joined = join(&mut wire, 9, group);
        assert_eq!(joined.error_code, NONE);
        let synced: SyncGroupResponse = wire.call(5, &sync_request(5, group, &joined));
        assert_eq!((synced.error_code, &synced.assignment[..]), (NONE, &b"assigned"[..]));
        Self { wire, group: group.to_owned(), id: joined.member_id, generation: joined.generation_id }
    }

    pub(crate) fn heartbeat_request(&self) -> HeartbeatRequest {
        HeartbeatRequest::default()
            .with_group_id(id(&self.group))
            .with_member_id(self.id.clone())
            .with_generation_id(self.generation)
    }

    pub(crate) fn heartbeat(&mut self) -> i16 {
        let request = self.heartbeat_request();
        self.wire.call(4, &request).error_code
    }

    pub(crate) fn leave(&mut self) {
        let member = MemberIdentity::default().with_member_id(self.id.clone());
        let request = LeaveGroupRequest::default().with_group_id(id(&self.group)).with_members(vec![member]);
        let answer = self.wire.call(5, &request);
        assert_eq!((answer.error_code, answer.members[0].error_code), (NONE, NONE));
    }
}
