//! `SyncGroup`: the leader's assignment, made durable, then handed to everybody.
//!
//! A follower that comes before the leader waits; so does everybody, the leader too, until the log has the assignment. An
//! empty assignment is given only to a member that the leader left out.

use std::collections::HashMap;

use bytes::Bytes;
use tracing::{debug, info, warn};

use super::super::GroupError;
use super::super::request::{SyncReply, SyncRequest, Synced};
use super::membership::refuse_sync;
use super::{ClassicGroup, Effect, SaveVersion, State, Step};

/// The leader's assignment before it is durable.
#[derive(Debug)]
pub(super) struct Proposal {
    /// The save that makes it so.
    pub(super) version: SaveVersion,
    pub(super) assignments: HashMap<String, Bytes>,
}

impl<J, S> ClassicGroup<J, S> {
    /// Takes in a `SyncGroup`; `waiter` is answered now or when the assignment is durable.
    pub fn sync(&mut self, step: &mut Step<'_, J, S>, request: SyncRequest, waiter: S) {
        match self.check_sync(&request) {
            Err(error) => step.effects.push(Effect::Synced(waiter, Err(error))),
            Ok(()) if self.state == State::Stable => {
                self.note_sync(&request.member_id);
                self.renew_session(step, &request.member_id);
                let reply = self.synced(&request.member_id);
                step.effects.push(Effect::Synced(waiter, reply));
            }
            Ok(()) => self.await_assignment(step, request, waiter),
        }
        self.check_in_debug();
    }

    fn check_sync(&self, request: &SyncRequest) -> Result<(), GroupError> {
        if self.state == State::Dead {
            return Err(GroupError::CoordinatorNotAvailable);
        }
        self.check_member(&request.member_id, request.instance_id.as_deref())?;
        if request.generation != self.generation {
            return Err(GroupError::IllegalGeneration);
        }
        let differs =
            |claimed: &Option<String>, ours: &Option<String>| claimed.is_some() && ours.is_some() && claimed != ours;
        if differs(&request.protocol_type, &self.protocol_type) || differs(&request.protocol_name, &self.protocol_name)
        {
            return Err(GroupError::InconsistentGroupProtocol);
        }
        if self.state == State::PreparingRebalance { Err(GroupError::RebalanceInProgress) } else { Ok(()) }
    }

    fn await_assignment(&mut self, step: &mut Step<'_, J, S>, request: SyncRequest, waiter: S) {
        self.note_sync(&request.member_id);
        if let Some(member) = self.members.get_mut(&request.member_id) {
            let superseded = member.awaiting_sync.replace(waiter);
            refuse_sync(step, superseded, GroupError::RebalanceInProgress);
        }
        if self.is_leader(&request.member_id) {
            self.propose(step, request.assignments.into_iter().collect());
        }
    }

    fn propose(&mut self, step: &mut Step<'_, J, S>, assignments: HashMap<String, Bytes>) {
        debug!(group = self.group_id, generation = self.generation, "the leader brought an assignment");
        for member_id in self.members.keys().filter(|member_id| !assignments.contains_key(*member_id)) {
            warn!(group = self.group_id, member = member_id, "the leader left a member out; it is assigned nothing");
        }
        let version = self.save_with(step, Some(&assignments));
        self.proposal = Some(Proposal { version, assignments });
    }

    /// The member has come for its assignment.
    fn note_sync(&mut self, member_id: &str) {
        self.pending_syncs.remove(member_id);
        if self.pending_syncs.is_empty() {
            self.sync_deadline = None;
        }
    }

    fn synced(&self, member_id: &str) -> SyncReply {
        let member = self.members.get(member_id).ok_or(GroupError::UnknownMemberId)?;
        Ok(Synced {
            protocol_type: self.protocol_type.clone(),
            protocol_name: self.protocol_name.clone(),
            assignment: member.assignment.clone(),
        })
    }

    /// A save up to `version` has ended: the assignment that waited for it is given out, or taken back.
    pub(super) fn settle_proposal(&mut self, step: &mut Step<'_, J, S>, version: SaveVersion, is_durable: bool) {
        let Some(mut proposal) = self.proposal.take_if(|proposal| proposal.version <= version) else { return };
        if !is_durable {
            self.withdraw_assignments(step, GroupError::CoordinatorNotAvailable);
            self.prepare_rebalance(step, "the assignment could not be stored");
            return;
        }
        for (member_id, member) in &mut self.members {
            member.assignment = proposal.assignments.remove(member_id).unwrap_or_default();
        }
        info!(group = self.group_id, generation = self.generation, members = self.members.len(), "the group is stable");
        self.transition(step, State::Stable);
        self.hand_out_assignments(step);
    }

    fn hand_out_assignments(&mut self, step: &mut Step<'_, J, S>) {
        let waiting = self.members.iter().filter(|(_, member)| member.awaiting_sync.is_some());
        let waiting: Vec<String> = waiting.map(|(member_id, _)| member_id.clone()).collect();
        for member_id in waiting {
            let reply = self.synced(&member_id);
            self.renew_session(step, &member_id);
            if let Some(waiter) = self.members.get_mut(&member_id).and_then(|member| member.awaiting_sync.take()) {
                step.effects.push(Effect::Synced(waiter, reply));
            }
        }
    }

    /// Members that did not come for their assignment in time have lost their place.
    pub(super) fn expire_sync(&mut self, step: &mut Step<'_, J, S>) {
        self.sync_deadline = None;
        for member_id in std::mem::take(&mut self.pending_syncs) {
            info!(group = self.group_id, member = member_id, "member did not fetch its assignment and is removed");
            self.remove_member(step, &member_id, GroupError::UnknownMemberId);
        }
        self.prepare_rebalance(step, "members did not fetch their assignment in time");
    }
}
