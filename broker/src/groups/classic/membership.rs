//! Who is in the group: adding, replacing and removing members, the leader among them, and the protocols they share.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::super::GroupError;
use super::super::request::{JoinRefusal, JoinRequest, Protocol};
use super::super::subscription::{CONSUMER_PROTOCOL_TYPE, subscribed_topics};
use super::{ClassicGroup, Effect, Member, State, Step};

impl<J, S> ClassicGroup<J, S> {
    /// Adds a member that waits for its `JoinGroup`. The first one decides the protocol type and leads.
    pub(super) fn add_member(&mut self, member_id: String, protocol_type: &str, member: Member<J, S>) {
        if self.members.is_empty() {
            self.protocol_type = Some(protocol_type.to_owned());
        }
        if let Some(instance_id) = &member.instance_id {
            self.static_members.insert(instance_id.clone(), member_id.clone());
        }
        self.leader.get_or_insert_with(|| member_id.clone());
        self.spellings.add(&member.topics);
        self.pending_joins.remove(&member_id);
        self.members.insert(member_id, member);
    }

    /// Takes over what a known member says of itself in a `JoinGroup`, and lets it wait.
    pub(super) fn update_member(&mut self, step: &mut Step<'_, J, S>, request: JoinRequest, waiter: J) {
        let Some(member) = self.members.get_mut(&request.member_id) else { return };
        self.spellings.remove(&member.topics);
        self.spellings.add(&request.topics);
        member.topics = request.topics;
        member.protocols = request.protocols;
        member.rebalance_timeout = request.rebalance_timeout;
        member.session_timeout = request.session_timeout;
        let superseded = member.awaiting_join.replace(waiter);
        refuse_join(step, superseded, GroupError::RebalanceInProgress, &request.member_id);
    }

    /// Removes a member; whoever waits for it learns `error`. Its leadership passes on.
    pub(super) fn remove_member(&mut self, step: &mut Step<'_, J, S>, member_id: &str, error: GroupError) {
        self.pending_joins.remove(member_id);
        self.pending_syncs.remove(member_id);
        let Some(mut member) = self.members.remove(member_id) else { return };
        self.spellings.remove(&member.topics);
        if let Some(instance_id) = &member.instance_id {
            self.static_members.remove(instance_id);
        }
        refuse_join(step, member.awaiting_join.take(), error, "");
        refuse_sync(step, member.awaiting_sync.take(), error);
        if self.leader.as_deref() == Some(member_id) {
            self.leader = self.members.keys().next().cloned();
        }
    }

    pub(super) fn is_leader(&self, member_id: &str) -> bool {
        self.leader.as_deref() == Some(member_id)
    }

    /// Every member is waiting for the next generation, and nobody is about to become one.
    pub(super) fn has_everybody_joined(&self) -> bool {
        self.pending_joins.is_empty() && self.members.values().all(|member| member.awaiting_join.is_some())
    }

    /// The member's claim to its id, and to its instance id if it has one.
    pub(super) fn check_member(&self, member_id: &str, instance_id: Option<&str>) -> Result<(), GroupError> {
        if let Some(instance_id) = instance_id {
            match self.static_members.get(instance_id) {
                None => return Err(GroupError::UnknownMemberId),
                Some(owner) if owner != member_id => return Err(GroupError::FencedInstanceId),
                Some(_) => {}
            }
        }
        if self.members.contains_key(member_id) { Ok(()) } else { Err(GroupError::UnknownMemberId) }
    }

    /// The longest time that any member wants to be waited for.
    pub(super) fn rebalance_timeout(&self) -> Duration {
        self.members.values().map(|member| member.rebalance_timeout).max().unwrap_or_default()
    }

    /// Whether a member with these protocols fits those who are there.
    pub(super) fn supports(&self, protocol_type: &str, protocols: &[Protocol]) -> bool {
        if self.state == State::Empty {
            return !protocol_type.is_empty() && !protocols.is_empty();
        }
        self.protocol_type.as_deref() == Some(protocol_type)
            && protocols.iter().any(|protocol| self.is_shared(&protocol.name))
    }

    fn is_shared(&self, protocol: &str) -> bool {
        self.members.values().all(|member| member.supports(protocol))
    }

    /// The protocol with the most votes: each member votes for the first of its own that all share. A tie goes to the
    /// first by name, so that the same members always choose the same.
    pub(super) fn select_protocol(&self) -> Option<String> {
        let any_member = self.members.values().next()?;
        let shared: BTreeSet<&str> =
            any_member.protocols.iter().map(|own| own.name.as_str()).filter(|name| self.is_shared(name)).collect();
        let mut votes: BTreeMap<&str, usize> = BTreeMap::new();
        for member in self.members.values() {
            if let Some(vote) = member.protocols.iter().find(|own| shared.contains(own.name.as_str())) {
                *votes.entry(&vote.name).or_default() += 1;
            }
        }
        let most = votes.values().max().copied()?;
        votes.into_iter().find(|(_, count)| *count == most).map(|(name, _)| name.to_owned())
    }

    /// What the members subscribe to by the chosen protocol, if they are consumers and all can be understood.
    pub(super) fn read_subscriptions(&self) -> Option<BTreeSet<String>> {
        if self.protocol_type.as_deref() != Some(CONSUMER_PROTOCOL_TYPE) {
            return None;
        }
        let protocol = self.protocol_name.as_deref();
        let mut topics = BTreeSet::new();
        for member in self.members.values() {
            topics.append(&mut subscribed_topics(&member.metadata(protocol))?);
        }
        Some(topics)
    }
}

/// Refuses a waiting `JoinGroup`, if there is one.
pub(super) fn refuse_join<J, S>(step: &mut Step<'_, J, S>, waiter: Option<J>, error: GroupError, member_id: &str) {
    if let Some(waiter) = waiter {
        step.effects.push(Effect::Joined(waiter, Err(JoinRefusal { error, member_id: member_id.to_owned() })));
    }
}

/// Refuses a waiting `SyncGroup`, if there is one.
pub(super) fn refuse_sync<J, S>(step: &mut Step<'_, J, S>, waiter: Option<S>, error: GroupError) {
    if let Some(waiter) = waiter {
        step.effects.push(Effect::Synced(waiter, Err(error)));
    }
}
