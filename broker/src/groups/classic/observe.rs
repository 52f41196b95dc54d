//! Writing a group down, loading it, deleting it, showing it.

use std::collections::HashMap;

use bytes::Bytes;
use tracing::warn;

use super::super::GroupError;
use super::super::record::GroupRecord;
use super::super::request::{GroupDescription, Protocol};
use super::super::spelling::{TopicIdentity, TopicSpelling};
use super::super::subscription::CONSUMER_PROTOCOL_TYPE;
use super::{ClassicGroup, Effect, Member, Now, SaveVersion, State, Step};
use crate::scope::Scope;

/// By what the positions of a group age, until `offsets.retention.minutes` have passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Aging {
    /// They are in use, or may be.
    Never,
    /// Nobody is in the group: since each was committed.
    SinceCommit,
    /// Since each was committed, but only in topics that the members do not subscribe to.
    SinceCommitIfUnsubscribed,
    /// Since the last member left, or since a later commit.
    SinceEmpty {
        /// When it left (milliseconds since 1970).
        unix_ms: i64,
    },
}

impl<J, S> ClassicGroup<J, S> {
    /// Takes up a group after a restart. Its members have their whole session timeout to be heard of; `topics` reads and
    /// resolves a member's subscription.
    pub fn restore(
        group_id: &str,
        record: GroupRecord,
        step: &mut Step<'_, J, S>,
        mut topics: impl FnMut(&str, &[Protocol]) -> Vec<TopicSpelling>,
    ) -> Self {
        let now = Now { unix_ms: record.state_since_unix_ms, ..step.now };
        let mut group = Self::new(group_id, now);
        group.generation = record.generation;
        group.protocol_type = record.protocol_type;
        group.protocol_name = record.protocol_name;
        let protocol_type = group.protocol_type.clone().unwrap_or_default();
        for member in record.members {
            let topics = topics(&protocol_type, &member.protocols);
            let deadline = group.arm(step.after(member.session_timeout));
            let (member_id, member) = Member::restored(member, topics, deadline);
            group.add_member(member_id, &protocol_type, member);
        }
        if !group.members.is_empty() {
            group.state = State::Stable;
            group.leader = record.leader;
        }
        group.subscribed_topics = group.read_subscriptions();
        if group.members.len() > step.settings.members_max {
            group.prepare_rebalance(step, "the group has more members than it may have");
        }
        group.check_in_debug();
        group
    }

    /// Asks for the group to be written down as it is.
    pub(super) fn save(&mut self, step: &mut Step<'_, J, S>) -> SaveVersion {
        self.save_with(step, None)
    }

    /// Asks for the group to be written down, with assignments that its members are about to get.
    pub(super) fn save_with(
        &mut self,
        step: &mut Step<'_, J, S>,
        assignments: Option<&HashMap<String, Bytes>>,
    ) -> SaveVersion {
        let members = self.members.iter().map(|(member_id, member)| {
            let assignment = match assignments {
                Some(assignments) => assignments.get(member_id).cloned().unwrap_or_default(),
                None => member.assignment.clone(),
            };
            member.record(member_id, assignment)
        });
        let record = GroupRecord {
            generation: self.generation,
            state_since_unix_ms: self.state_since_unix_ms,
            protocol_type: self.protocol_type.clone(),
            protocol_name: self.protocol_name.clone(),
            leader: self.leader.clone(),
            members: members.collect(),
        };
        self.request_save(step, Some(record))
    }

    fn request_save(&mut self, step: &mut Step<'_, J, S>, record: Option<GroupRecord>) -> SaveVersion {
        let (version, save) = self.persistence.request(record);
        step.effects.extend(save.map(Effect::Save));
        version
    }

    /// The save of an [`Effect::Save`] has ended. What waited for it goes on, or is refused.
    pub fn saved(&mut self, step: &mut Step<'_, J, S>, version: SaveVersion, is_durable: bool) {
        let next = self.persistence.settle(version);
        step.effects.extend(next.map(Effect::Save));
        if !is_durable {
            warn!(group = self.group_id, version, "the group's state could not be stored");
        }
        self.settle_proposal(step, version, is_durable);
        self.settle_returns(step, version, is_durable);
        if self.state == State::Dead && !is_durable {
            self.transition(step, State::Empty);
        }
        self.check_in_debug();
    }

    /// Deletes the group if it has no members. It is [`State::Dead`] from now on, and gone when the save is durable.
    pub fn delete(&mut self, step: &mut Step<'_, J, S>) -> Result<SaveVersion, GroupError> {
        match self.state {
            State::Dead => Err(GroupError::GroupIdNotFound),
            State::PreparingRebalance | State::CompletingRebalance | State::Stable => Err(GroupError::NonEmptyGroup),
            State::Empty => {
                self.pending_joins.clear();
                self.transition(step, State::Dead);
                Ok(self.request_save(step, None))
            }
        }
    }

    /// Whether the group is deleted and nothing of it is left to write.
    pub fn is_gone(&self) -> bool {
        self.state == State::Dead && self.persistence.is_idle()
    }

    /// The protocol type, once a member brought one.
    pub fn protocol_type(&self) -> Option<&str> {
        self.protocol_type.as_deref()
    }

    /// Whether consumers of the group want this topic, by this name or another. A consumer group whose subscriptions cannot
    /// be read wants any.
    pub fn is_subscribed_to(&self, name: &str, topic: TopicIdentity) -> bool {
        match &self.subscribed_topics {
            Some(topics) => topics.contains(name) || self.spellings.contains(topic),
            None => self.protocol_type() == Some(CONSUMER_PROTOCOL_TYPE) && !self.members.is_empty(),
        }
    }

    /// Whether a member consumes topics of a volume or snapshot.
    pub fn consumes(&self, home: Scope) -> bool {
        self.spellings.is_in(home)
    }

    /// By what the group's positions age.
    pub fn aging(&self) -> Aging {
        match self.state {
            State::Empty if self.protocol_type.is_some() => Aging::SinceEmpty { unix_ms: self.state_since_unix_ms },
            State::Empty => Aging::SinceCommit,
            State::Stable if self.subscribed_topics.is_some() => Aging::SinceCommitIfUnsubscribed,
            _ => Aging::Never,
        }
    }

    /// Whether the group is empty and nobody is about to join.
    pub fn is_idle(&self) -> bool {
        self.state == State::Empty && self.pending_joins.is_empty()
    }

    /// Whether single positions may be deleted: in consumer groups at any time (if not subscribed), in others only when
    /// nobody is there.
    pub fn check_offset_delete(&self) -> Result<(), GroupError> {
        match self.state {
            State::Dead => Err(GroupError::GroupIdNotFound),
            State::Empty => Ok(()),
            _ if self.protocol_type() == Some(CONSUMER_PROTOCOL_TYPE) => Ok(()),
            _ => Err(GroupError::NonEmptyGroup),
        }
    }

    /// The group as `DescribeGroups` shows it.
    pub fn describe(&self) -> GroupDescription {
        let description = self.describe_without_members();
        let protocol = description.protocol_name.as_deref();
        let members = self.members.iter().map(|(member_id, member)| member.describe(member_id, protocol)).collect();
        GroupDescription { members, ..description }
    }

    /// The group as `ListGroups` shows it.
    pub fn describe_without_members(&self) -> GroupDescription {
        GroupDescription {
            state: self.state,
            protocol_type: self.protocol_type.clone(),
            protocol_name: self.protocol_name.clone().filter(|_| self.state == State::Stable),
            members: Vec::new(),
        }
    }
}
