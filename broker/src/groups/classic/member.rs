//! A member of a classic group.

use std::time::Duration;

use bytes::Bytes;

use super::super::record::MemberRecord;
use super::super::request::{JoinRequest, MemberDescription, Protocol};
use super::super::spelling::TopicSpelling;

/// A member, with whoever waits for it: `J` is told the answer to its `JoinGroup`, `S` that to its `SyncGroup`.
#[derive(Debug)]
pub(super) struct Member<J, S> {
    pub(super) instance_id: Option<String>,
    pub(super) client_id: String,
    pub(super) client_host: String,
    pub(super) rebalance_timeout: Duration,
    pub(super) session_timeout: Duration,
    pub(super) protocols: Vec<Protocol>,
    pub(super) topics: Vec<TopicSpelling>,
    pub(super) assignment: Bytes,
    pub(super) awaiting_join: Option<J>,
    pub(super) awaiting_sync: Option<S>,
    /// When the member is dead unless it is heard of; none while it waits for the group, not the group for it.
    pub(super) session_deadline: Option<Duration>,
    /// The member waits for its first `JoinGroup` answer and cannot know its id before: see `new_member_join_timeout`.
    pub(super) is_nameless: bool,
}

impl<J, S> Member<J, S> {
    pub(super) fn new(request: JoinRequest, waiter: J) -> Self {
        Self {
            instance_id: request.instance_id,
            client_id: request.client_id,
            client_host: request.client_host,
            rebalance_timeout: request.rebalance_timeout,
            session_timeout: request.session_timeout,
            protocols: request.protocols,
            topics: request.topics,
            assignment: Bytes::new(),
            awaiting_join: Some(waiter),
            awaiting_sync: None,
            session_deadline: None,
            is_nameless: false,
        }
    }

    pub(super) fn restored(record: MemberRecord, topics: Vec<TopicSpelling>, deadline: Duration) -> (String, Self) {
        let member = Self {
            instance_id: record.instance_id,
            client_id: record.client_id,
            client_host: record.client_host,
            rebalance_timeout: record.rebalance_timeout,
            session_timeout: record.session_timeout,
            protocols: record.protocols,
            topics,
            assignment: record.assignment,
            awaiting_join: None,
            awaiting_sync: None,
            session_deadline: Some(deadline),
            is_nameless: false,
        };
        (record.member_id, member)
    }

    /// The member as it is written down, with the assignment that it is about to get.
    pub(super) fn record(&self, member_id: &str, assignment: Bytes) -> MemberRecord {
        MemberRecord {
            member_id: member_id.to_owned(),
            instance_id: self.instance_id.clone(),
            client_id: self.client_id.clone(),
            client_host: self.client_host.clone(),
            rebalance_timeout: self.rebalance_timeout,
            session_timeout: self.session_timeout,
            protocols: self.protocols.clone(),
            assignment,
        }
    }

    /// The member as `DescribeGroups` shows it; its metadata only if a protocol is named.
    pub(super) fn describe(&self, member_id: &str, protocol: Option<&str>) -> MemberDescription {
        MemberDescription {
            member_id: member_id.to_owned(),
            instance_id: self.instance_id.clone(),
            client_id: self.client_id.clone(),
            client_host: self.client_host.clone(),
            metadata: self.metadata(protocol),
            assignment: self.assignment.clone(),
        }
    }

    pub(super) fn is_static(&self) -> bool {
        self.instance_id.is_some()
    }

    pub(super) fn supports(&self, protocol: &str) -> bool {
        self.protocols.iter().any(|own| own.name == protocol)
    }

    /// What the member has to say in a protocol; nothing where it does not know it.
    pub(super) fn metadata(&self, protocol: Option<&str>) -> Bytes {
        let own = self.protocols.iter().find(|own| Some(own.name.as_str()) == protocol);
        own.map(|own| own.metadata.clone()).unwrap_or_default()
    }

    /// The member's own wait excuses it from heartbeats, unless it may be gone without our knowing.
    pub(super) fn is_excused(&self) -> bool {
        !self.is_nameless && (self.awaiting_join.is_some() || self.awaiting_sync.is_some())
    }
}
