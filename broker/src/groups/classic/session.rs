//! Signs of life and their absence: heartbeats, commits, leaving, and everything that times out.

use std::time::Duration;

use tracing::{debug, info};

use super::super::GroupError;
use super::super::request::{Leaver, MemberClaim};
use super::membership::{refuse_join, refuse_sync};
use super::rebalance::JoinTimer;
use super::{ClassicGroup, State, Step};

impl<J, S> ClassicGroup<J, S> {
    /// A `Heartbeat`: keeps the member's session and tells it of a rebalance.
    pub fn heartbeat(&mut self, step: &mut Step<'_, J, S>, claim: &MemberClaim) -> Result<(), GroupError> {
        if self.state == State::Dead {
            return Err(GroupError::CoordinatorNotAvailable);
        }
        self.check_claim(claim)?;
        self.renew_session(step, &claim.member_id);
        self.check_in_debug();
        if self.state == State::PreparingRebalance { Err(GroupError::RebalanceInProgress) } else { Ok(()) }
    }

    /// Whether an `OffsetCommit` may be carried out; if a member makes it, it is a sign of life.
    ///
    /// A client outside of the group protocol (no member id, negative generation) may commit while the group is empty.
    pub fn check_commit(&mut self, step: &mut Step<'_, J, S>, claim: &MemberClaim) -> Result<(), GroupError> {
        if self.state == State::Dead {
            return Err(GroupError::CoordinatorNotAvailable);
        }
        if self.state == State::Empty && claim.generation < 0 {
            return Ok(());
        }
        self.check_claim(claim)?;
        if self.state == State::CompletingRebalance {
            // The member has been told of the new generation and not of its assignment: what it commits is of the old.
            return Err(GroupError::RebalanceInProgress);
        }
        self.renew_session(step, &claim.member_id);
        self.check_in_debug();
        Ok(())
    }

    /// Whether others work on what a member of this generation was assigned, so that its commit, allowed before, must not
    /// be carried out any more.
    pub fn has_overtaken(&self, generation: i32) -> bool {
        self.state == State::Stable && generation != self.generation
    }

    fn check_claim(&self, claim: &MemberClaim) -> Result<(), GroupError> {
        self.check_member(&claim.member_id, claim.instance_id.as_deref())?;
        if claim.generation == self.generation { Ok(()) } else { Err(GroupError::IllegalGeneration) }
    }

    /// A `LeaveGroup`: removes members, one answer for each. An administrator may remove a static member by its instance
    /// id alone.
    pub fn leave(&mut self, step: &mut Step<'_, J, S>, leavers: &[Leaver]) -> Vec<Result<(), GroupError>> {
        if self.state == State::Dead {
            return vec![Err(GroupError::CoordinatorNotAvailable); leavers.len()];
        }
        let results: Vec<_> = leavers.iter().map(|leaver| self.leave_one(step, leaver)).collect();
        if results.iter().any(Result::is_ok) {
            self.after_departure(step, "members left");
        }
        self.check_in_debug();
        results
    }

    fn leave_one(&mut self, step: &mut Step<'_, J, S>, leaver: &Leaver) -> Result<(), GroupError> {
        let instance_id = leaver.instance_id.as_deref();
        let member_id = if leaver.member_id.is_empty() {
            let owner = instance_id.and_then(|instance_id| self.static_members.get(instance_id));
            owner.cloned().ok_or(GroupError::UnknownMemberId)?
        } else {
            if !self.pending_joins.contains_key(&leaver.member_id) {
                self.check_member(&leaver.member_id, instance_id)?;
            }
            leaver.member_id.clone()
        };
        debug!(group = self.group_id, member = member_id, reason = leaver.reason, "member leaves");
        self.remove_member(step, &member_id, GroupError::UnknownMemberId);
        Ok(())
    }

    pub(super) fn after_departure(&mut self, step: &mut Step<'_, J, S>, reason: &str) {
        match self.state {
            State::CompletingRebalance | State::Stable => self.prepare_rebalance(step, reason),
            State::PreparingRebalance => self.maybe_complete_join(step),
            State::Empty | State::Dead => {}
        }
    }

    /// The member was heard of, or owes nothing until now.
    pub(super) fn renew_session(&mut self, step: &Step<'_, J, S>, member_id: &str) {
        let Some(member) = self.members.get_mut(member_id) else { return };
        let deadline = step.after(member.session_timeout);
        member.session_deadline = Some(deadline);
        self.arm(deadline);
    }

    /// Answers everybody who waits: the coordinator is going.
    pub fn dismiss(&mut self, step: &mut Step<'_, J, S>) {
        for member_id in self.members.keys().cloned().collect::<Vec<_>>() {
            self.renew_session(step, &member_id);
            let Some(member) = self.members.get_mut(&member_id) else { continue };
            let (join, sync) = (member.awaiting_join.take(), member.awaiting_sync.take());
            refuse_join(step, join, GroupError::CoordinatorNotAvailable, &member_id);
            refuse_sync(step, sync, GroupError::CoordinatorNotAvailable);
        }
        self.check_in_debug();
    }

    /// Lets happen what is due by now.
    pub fn tick(&mut self, step: &mut Step<'_, J, S>) {
        let now = step.now.monotonic;
        self.expire_pending_joins(step, now);
        self.expire_sessions(step, now);
        if self.join_timer.is_some_and(|timer| timer.at() <= now) {
            self.expire_join(step);
        }
        if self.sync_deadline.is_some_and(|deadline| deadline <= now) {
            self.expire_sync(step);
        }
        self.wake_at = self.deadlines().min();
        self.check_in_debug();
    }

    fn expire_pending_joins(&mut self, step: &mut Step<'_, J, S>, now: Duration) {
        let before = self.pending_joins.len();
        self.pending_joins.retain(|_, lapses_at| *lapses_at > now);
        if self.pending_joins.len() < before {
            debug!(group = self.group_id, count = before - self.pending_joins.len(), "member ids given out lapsed");
            self.maybe_complete_join(step);
        }
    }

    fn expire_sessions(&mut self, step: &mut Step<'_, J, S>, now: Duration) {
        let mut has_removed = false;
        let due = self.members.iter().filter(|(_, member)| member.session_deadline.is_some_and(|at| at <= now));
        for member_id in due.map(|(member_id, _)| member_id.clone()).collect::<Vec<_>>() {
            let Some(member) = self.members.get_mut(&member_id) else { continue };
            if member.is_excused() {
                member.session_deadline = None;
            } else {
                info!(group = self.group_id, member = member_id, "member was not heard of in time and is removed");
                self.remove_member(step, &member_id, GroupError::UnknownMemberId);
                has_removed = true;
            }
        }
        if has_removed {
            self.after_departure(step, "members were not heard of in time");
        }
    }

    /// Every deadline that is set.
    pub(super) fn deadlines(&self) -> impl Iterator<Item = Duration> {
        let sessions = self.members.values().filter_map(|member| member.session_deadline);
        let joins = self.pending_joins.values().copied();
        let timers = self.join_timer.map(JoinTimer::at).into_iter().chain(self.sync_deadline);
        sessions.chain(joins).chain(timers)
    }
}
