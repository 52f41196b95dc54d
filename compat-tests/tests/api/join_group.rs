//! `JoinGroup`: every version, every error; members over a restart.

use kafka_protocol::messages::join_group_request::JoinGroupRequestProtocol;
use kafka_protocol::messages::{JoinGroupRequest, JoinGroupResponse};
use millpond_compat_tests::requests::text;
use millpond_compat_tests::wire::Wire;

use crate::group::{
    FENCED_INSTANCE_ID, GROUP_MAX_SIZE_REACHED, INCONSISTENT_GROUP_PROTOCOL, INVALID_GROUP_ID, INVALID_SESSION_TIMEOUT,
    MEMBER_ID_REQUIRED, Member, NONE, REBALANCE_IN_PROGRESS, UNKNOWN_MEMBER_ID, builder, join, join_request, start,
    subscription, sync_request,
};

#[test]
fn a_member_alone_leads_in_every_version() {
    let server = start();
    let mut wire = server.wire();
    for version in 0..=9 {
        let joined = join(&mut wire, version, &format!("g{version}"));
        assert_eq!((joined.error_code, joined.generation_id), (NONE, 1), "v{version}");
        assert!(joined.member_id.starts_with("compat-tests-"), "v{version}: {:?}", joined.member_id);
        assert_eq!(joined.leader, joined.member_id, "v{version}");
        assert_eq!(joined.protocol_name.as_deref(), Some("range"), "v{version}");
        assert_eq!(joined.protocol_type.as_deref(), (version >= 7).then_some("consumer"), "v{version}");
        assert!(!joined.skip_assignment);
        assert_eq!(joined.members.len(), 1, "v{version}");
        assert_eq!(joined.members[0].metadata, subscription("topic-of-the-group"));
    }
}

#[test]
fn errors_are_answered_in_every_version() {
    let server = start();
    let mut wire = server.wire();
    let mut refused = |request: &JoinGroupRequest, version: i16, error: i16| {
        let answer: JoinGroupResponse = wire.call(version, request);
        assert_eq!((answer.error_code, answer.generation_id), (error, -1), "v{version}");
        assert_eq!(answer.protocol_name.as_deref(), (version < 7).then_some(""), "v{version}");
        assert!(answer.members.is_empty() && answer.leader.is_empty());
        answer
    };
    for version in 0..=9 {
        let good = |member_id: &str| join_request(version, "g", member_id);
        refused(&join_request(version, "", ""), version, INVALID_GROUP_ID);
        refused(&good("").with_session_timeout_ms(5_999), version, INVALID_SESSION_TIMEOUT);
        refused(&good("").with_session_timeout_ms(1_800_001), version, INVALID_SESSION_TIMEOUT);
        refused(&good("").with_session_timeout_ms(-1), version, INVALID_SESSION_TIMEOUT);
        let unknown = refused(&good("stranger"), version, UNKNOWN_MEMBER_ID);
        assert_eq!(unknown.member_id.as_str(), "stranger");
        refused(&good("").with_protocols(vec![]), version, INCONSISTENT_GROUP_PROTOCOL);
        refused(&good("").with_protocol_type(text("")), version, INCONSISTENT_GROUP_PROTOCOL);
        if version >= 4 {
            let required = refused(&good(""), version, MEMBER_ID_REQUIRED);
            assert!(required.member_id.starts_with("compat-tests-"));
        }
    }
}

#[test]
fn a_member_that_shares_no_protocol_is_refused() {
    let server = start();
    let _member = Member::alone(&server, "g");
    let mut wire = server.wire();
    let other = JoinGroupRequestProtocol::default().with_name(text("roundrobin"));
    let answer = wire.call(9, &join_request(9, "g", "").with_protocols(vec![other]));
    assert_eq!(answer.error_code, INCONSISTENT_GROUP_PROTOCOL);
    let answer = wire.call(9, &join_request(9, "g", "").with_protocol_type(text("connect")));
    assert_eq!(answer.error_code, INCONSISTENT_GROUP_PROTOCOL);
}

#[test]
fn a_full_group_is_full() {
    let server = builder().set("groups.members_max", "1").start();
    let _member = Member::alone(&server, "g");
    let answer = server.wire().call(9, &join_request(9, "g", ""));
    assert_eq!((answer.error_code, answer.member_id.as_str()), (GROUP_MAX_SIZE_REACHED, ""));
}

#[test]
fn a_second_member_waits_for_the_first_and_only_the_leader_sees_both() {
    let server = start();
    let mut first = Member::alone(&server, "g");
    let mut second = server.wire();
    let id = second.call(9, &join_request(9, "g", "")).member_id;
    let waiting = second.send(9, &join_request(9, "g", &id));
    while first.heartbeat() == NONE {}
    assert_eq!(first.heartbeat(), REBALANCE_IN_PROGRESS);
    let answer = first.wire.call(9, &join_request(9, "g", &first.id));
    assert_eq!((answer.error_code, answer.generation_id, answer.members.len()), (NONE, 2, 2));
    let follower = second.receive(waiting);
    assert_eq!((follower.error_code, follower.generation_id, follower.members.len()), (NONE, 2, 0));
    assert_eq!(follower.leader, first.id);
}

#[test]
fn an_empty_group_waits_for_more_members_by_default() {
    let server = builder().set("groups.initial_rebalance_delay_ms", "500ms").start();
    let (mut first, mut second) = (server.wire(), server.wire());
    let first_waits = first.send(0, &join_request(0, "g", ""));
    let second_waits = second.send(0, &join_request(0, "g", ""));
    let members = [first.receive(first_waits).members.len(), second.receive(second_waits).members.len()];
    assert_eq!(members.iter().sum::<usize>(), 2, "both are in the first generation");
}

/// A static member joins by its instance id.
fn join_static(wire: &mut Wire, version: i16, member_id: &str) -> JoinGroupResponse {
    wire.call(version, &join_request(version, "g", member_id).with_group_instance_id(Some(text("rack7"))))
}

#[test]
fn a_static_member_is_back_without_a_rebalance_and_fences_its_former_self() {
    let server = start();
    let mut wire = server.wire();
    for version in 5..=9 {
        let joined = join_static(&mut wire, version, "");
        assert_eq!(joined.error_code, NONE, "v{version}");
        assert!(joined.member_id.starts_with("rack7-"));
        if joined.leader == joined.member_id && !joined.skip_assignment {
            assert_eq!(joined.members[0].group_instance_id.as_deref(), Some("rack7"));
            let request = sync_request(0, "g", &joined);
            assert_eq!(wire.call(0, &request).error_code, NONE);
        }
        let again = join_static(&mut wire, version, "");
        assert_eq!((again.error_code, again.generation_id), (NONE, joined.generation_id), "v{version}");
        assert_ne!(again.member_id, joined.member_id);
        assert_eq!(again.skip_assignment, version >= 9, "v{version}: it leads");
        assert_eq!(again.leader == again.member_id, version >= 9, "v{version}: or it would assign anew");
        let fenced = join_static(&mut wire, version, &joined.member_id);
        assert_eq!(fenced.error_code, FENCED_INSTANCE_ID, "v{version}");
    }
}

#[test]
fn members_go_on_after_the_broker_was_killed() {
    let mut server = start();
    let mut member = Member::alone(&server, "g");
    server.kill();
    server.restart();
    member.wire = server.wire();
    assert_eq!(member.heartbeat(), NONE, "the same member in the same generation");
    let mut second = server.wire();
    let joined = second.call(9, &join_request(9, "g", ""));
    assert_eq!(joined.error_code, MEMBER_ID_REQUIRED);
}
