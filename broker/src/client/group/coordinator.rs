//! The requests of a member of a group, which all go to one broker: the group's coordinator.
//!
//! Who that is is asked once, and again after [`Coordinator::forget`]: callers forget what led them to an error that may
//! pass.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use kafka_protocol::messages::join_group_request::JoinGroupRequestProtocol;
use kafka_protocol::messages::leave_group_request::MemberIdentity;
use kafka_protocol::messages::offset_commit_request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic};
use kafka_protocol::messages::offset_fetch_request::OffsetFetchRequestTopic;
use kafka_protocol::messages::sync_group_request::SyncGroupRequestAssignment;
use kafka_protocol::messages::{
    FindCoordinatorRequest, GroupId, HeartbeatRequest, JoinGroupRequest, JoinGroupResponse, LeaveGroupRequest,
    OffsetCommitRequest, OffsetFetchRequest, SyncGroupRequest,
};
use kafka_protocol::protocol::StrBytes;

use super::super::backoff::Backoff;
use super::super::cluster::{Client, topic_name};
use super::super::connection::Connection;
use super::super::error::{ClientError, ErrorCode, Result};
use super::assignment::{ByMember, Partitions, assigned, assignment, subscribed, subscription};
use super::{GroupOptions, has_gone_on};

/// What Kafka calls the protocol of consumers, and this way of sharing out.
const PROTOCOL_TYPE: &str = "consumer";
const PROTOCOL: &str = "range";
/// The first version of `LeaveGroup` that names several members.
const LEAVE_OF_SEVERAL: i16 = 3;

/// A member in a generation of its group.
#[derive(Debug, Clone)]
pub(super) struct Member {
    pub(super) id: String,
    pub(super) generation: i32,
}

/// A member that has joined and does not know yet what it reads.
#[derive(Debug)]
pub(super) struct Joined {
    pub(super) member: Member,
    /// What all members want, if this one leads; else nothing.
    pub(super) subscriptions: ByMember<Vec<String>>,
}

/// Why a member has not joined.
#[derive(Debug)]
pub(super) enum JoinError {
    /// It is to join again, with this id.
    NeedsId(String),
    Client(ClientError),
}

impl From<ClientError> for JoinError {
    fn from(error: ClientError) -> Self {
        Self::Client(error)
    }
}

impl From<JoinError> for ClientError {
    fn from(error: JoinError) -> Self {
        match error {
            JoinError::NeedsId(_) => Self::refused("joining the group", ErrorCode::MemberIdRequired, None),
            JoinError::Client(error) => error,
        }
    }
}

/// See the module.
#[derive(Debug)]
pub(super) struct Coordinator {
    client: Client,
    group: String,
    broker: Mutex<Option<i32>>,
}

impl Coordinator {
    pub(super) fn new(client: Client, group: &str) -> Self {
        Self { client, group: group.to_owned(), broker: Mutex::default() }
    }

    /// Asks anew who it is before the next request.
    pub(super) fn forget(&self) {
        *self.broker() = None;
    }

    /// A number is whole whatever happened to whoever held the lock.
    fn broker(&self) -> MutexGuard<'_, Option<i32>> {
        self.broker.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn connection(&self) -> Result<Connection> {
        let known = *self.broker();
        let id = match known {
            Some(id) => id,
            None => self.find().await?,
        };
        self.client.broker(id).await
    }

    async fn find(&self) -> Result<i32> {
        let request = FindCoordinatorRequest::default().with_key(string(&self.group));
        let answer = self.client.any().await?.request(&request).await?;
        self.checked("looking up the coordinator", answer.error_code)?;
        let id = answer.node_id.0;
        *self.broker() = Some(id);
        Ok(id)
    }

    fn checked(&self, what: &str, code: i16) -> Result<()> {
        match ErrorCode::try_from_code(code) {
            None => Ok(()),
            Some(code) => Err(ClientError::refused(format!("{what} of group {}", self.group), code, None)),
        }
    }

    fn group_id(&self) -> GroupId {
        GroupId(string(&self.group))
    }

    pub(super) async fn join(&self, member_id: &str, topic: &str, options: &GroupOptions) -> Result<Joined, JoinError> {
        let protocol = JoinGroupRequestProtocol::default().with_name(string(PROTOCOL));
        let request = JoinGroupRequest::default()
            .with_group_id(self.group_id())
            .with_session_timeout_ms(milliseconds(options.session_timeout))
            .with_rebalance_timeout_ms(milliseconds(options.rebalance_timeout))
            .with_member_id(string(member_id))
            .with_protocol_type(string(PROTOCOL_TYPE))
            .with_protocols(vec![protocol.with_metadata(subscription(topic)?)]);
        let connection = self.connection().await?;
        // The coordinator answers when all members are there, or their time is over.
        let answer = connection.submit(&request)?.receive(options.rebalance_timeout).await?;
        if ErrorCode::try_from_code(answer.error_code) == Some(ErrorCode::MemberIdRequired) {
            return Err(JoinError::NeedsId(answer.member_id.to_string()));
        }
        self.checked("becoming a member", answer.error_code)?;
        Ok(joined(answer)?)
    }

    /// Hands out what the leader has shared out, and learns what this member reads.
    pub(super) async fn sync(
        &self,
        joined: &Joined,
        shares: &ByMember<Partitions>,
        options: &GroupOptions,
    ) -> Result<Partitions> {
        let mut assignments = Vec::with_capacity(shares.len());
        for (id, share) in shares {
            let assigned = SyncGroupRequestAssignment::default().with_member_id(string(id));
            assignments.push(assigned.with_assignment(assignment(share)?));
        }
        let request = SyncGroupRequest::default()
            .with_group_id(self.group_id())
            .with_generation_id(joined.member.generation)
            .with_member_id(string(&joined.member.id))
            .with_protocol_type(Some(string(PROTOCOL_TYPE)))
            .with_protocol_name(Some(string(PROTOCOL)))
            .with_assignments(assignments);
        let answer = self.connection().await?.submit(&request)?.receive(options.rebalance_timeout).await?;
        self.checked("asking for partitions", answer.error_code)?;
        assigned(answer.assignment)
    }

    /// The offsets that the group has committed in these partitions.
    pub(super) async fn committed(&self, topic: &str, partitions: &[i32]) -> Result<BTreeMap<i32, i64>> {
        let asked =
            OffsetFetchRequestTopic::default().with_name(topic_name(topic)).with_partition_indexes(partitions.to_vec());
        let request = OffsetFetchRequest::default().with_group_id(self.group_id()).with_topics(Some(vec![asked]));
        let answer = self.connection().await?.request(&request).await?;
        self.checked("asking for positions", answer.error_code)?;
        let mut committed = BTreeMap::new();
        for partition in answer.topics.iter().flat_map(|topic| &topic.partitions) {
            self.checked("asking for positions", partition.error_code)?;
            if partition.committed_offset >= 0 {
                committed.insert(partition.partition_index, partition.committed_offset);
            }
        }
        Ok(committed)
    }

    pub(super) async fn commit(&self, member: &Member, topic: &str, offsets: &BTreeMap<i32, i64>) -> Result<()> {
        let partitions = offsets.iter().map(|(&partition, &offset)| {
            OffsetCommitRequestPartition::default()
                .with_partition_index(partition)
                .with_committed_offset(offset)
                .with_committed_metadata(Some(StrBytes::default()))
        });
        let topic =
            OffsetCommitRequestTopic::default().with_name(topic_name(topic)).with_partitions(partitions.collect());
        let request = OffsetCommitRequest::default()
            .with_group_id(self.group_id())
            .with_generation_id_or_member_epoch(member.generation)
            .with_member_id(string(&member.id))
            .with_topics(vec![topic]);
        let answer = self.connection().await?.request(&request).await?;
        let mut codes = answer.topics.iter().flat_map(|topic| &topic.partitions).map(|partition| partition.error_code);
        codes.try_for_each(|code| self.checked("committing positions", code))
    }

    pub(super) async fn leave(&self, member: &Member) -> Result<()> {
        let connection = self.connection().await?;
        let request = LeaveGroupRequest::default().with_group_id(self.group_id());
        let request = if connection.version::<LeaveGroupRequest>()? >= LEAVE_OF_SEVERAL {
            request.with_members(vec![MemberIdentity::default().with_member_id(string(&member.id))])
        } else {
            request.with_member_id(string(&member.id))
        };
        let answer = connection.request(&request).await?;
        let mut codes = std::iter::once(answer.error_code).chain(answer.members.iter().map(|member| member.error_code));
        codes.try_for_each(|code| self.checked("ending the membership", code))
    }

    /// Says again and again that the member is there; returns once the group does not count on it any more.
    pub(super) async fn beat_until_lost(&self, member: &Member, interval: Duration) {
        let mut backoff = Backoff::default();
        let mut pause = interval;
        loop {
            tokio::time::sleep(pause).await;
            pause = match self.beat(member).await {
                Ok(()) => {
                    backoff = Backoff::default();
                    interval
                }
                Err(error) if error.is_retriable() && !has_gone_on(&error) => {
                    self.forget();
                    backoff.advance().min(interval)
                }
                // Whatever it is, a join will tell.
                Err(_) => return,
            }
        }
    }

    async fn beat(&self, member: &Member) -> Result<()> {
        let request = HeartbeatRequest::default()
            .with_group_id(self.group_id())
            .with_generation_id(member.generation)
            .with_member_id(string(&member.id));
        let answer = self.connection().await?.request(&request).await?;
        self.checked("a heartbeat", answer.error_code)
    }
}

fn joined(answer: JoinGroupResponse) -> Result<Joined> {
    let leads = answer.leader == answer.member_id && !answer.skip_assignment;
    let mut subscriptions = ByMember::new();
    for member in answer.members.into_iter().filter(|_| leads) {
        subscriptions.insert(member.member_id.to_string(), subscribed(member.metadata)?);
    }
    Ok(Joined { member: Member { id: answer.member_id.to_string(), generation: answer.generation_id }, subscriptions })
}

fn string(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

fn milliseconds(duration: Duration) -> i32 {
    i32::try_from(duration.as_millis()).unwrap_or(i32::MAX)
}
