//! From one generation to the next: gathering the members, settling who they are, asking the leader.

use std::time::Duration;

use tracing::{debug, info};

use super::super::GroupError;
use super::membership::refuse_sync;
use super::{ClassicGroup, Effect, State, Step};

/// How long to wait before a rebalance that nobody joined is looked at again, at least; the members left are static ones
/// whose sessions have yet to run out.
const RETRY_DELAY_MIN: Duration = Duration::from_secs(1);

/// What ends the gathering of members if they do not all come first.
#[derive(Clone, Copy, Debug)]
pub(super) enum JoinTimer {
    /// The group was empty: wait a little for more members, even if all who are known have come.
    Initial {
        at: Duration,
        /// How long the wait may be prolonged in all after `at`.
        remaining: Duration,
        /// Somebody came since the wait began.
        is_extended: bool,
    },
    /// The group goes on without those who are not back by then.
    Rebalance { at: Duration },
}

impl JoinTimer {
    pub(super) fn at(self) -> Duration {
        match self {
            Self::Initial { at, .. } | Self::Rebalance { at } => at,
        }
    }
}

impl<J, S> ClassicGroup<J, S> {
    /// Begins a rebalance, or, if one is under way, sees whether it can be completed.
    pub(super) fn rebalance_or_complete(&mut self, step: &mut Step<'_, J, S>, reason: &str) {
        match self.state {
            State::Empty | State::CompletingRebalance | State::Stable => self.prepare_rebalance(step, reason),
            State::PreparingRebalance => self.maybe_complete_join(step),
            State::Dead => {}
        }
    }

    pub(super) fn prepare_rebalance(&mut self, step: &mut Step<'_, J, S>, reason: &str) {
        info!(group = self.group_id, generation = self.generation, state = %self.state, reason, "rebalance begins");
        if self.state == State::CompletingRebalance {
            self.withdraw_assignments(step, GroupError::RebalanceInProgress);
        }
        self.pending_syncs.clear();
        self.sync_deadline = None;
        let delay = step.settings.initial_rebalance_delay;
        let is_initial = self.state == State::Empty && !delay.is_zero();
        self.transition(step, State::PreparingRebalance);
        if is_initial {
            let at = self.arm(step.after(delay));
            let remaining = self.rebalance_timeout().saturating_sub(delay);
            self.join_timer = Some(JoinTimer::Initial { at, remaining, is_extended: false });
        } else {
            let at = self.arm(step.after(self.rebalance_timeout()));
            self.join_timer = Some(JoinTimer::Rebalance { at });
            self.maybe_complete_join(step);
        }
    }

    /// Takes back what this generation was to be assigned; members that wait for it learn `error`.
    pub(super) fn withdraw_assignments(&mut self, step: &mut Step<'_, J, S>, error: GroupError) {
        self.proposal = None;
        let mut earliest = None::<Duration>;
        for member in self.members.values_mut() {
            member.assignment.clear();
            if member.awaiting_sync.is_some() {
                let deadline = step.after(member.session_timeout);
                member.session_deadline = Some(deadline);
                earliest = Some(earliest.map_or(deadline, |earliest| earliest.min(deadline)));
            }
            refuse_sync(step, member.awaiting_sync.take(), error);
        }
        if let Some(earliest) = earliest {
            self.arm(earliest);
        }
    }

    /// Completes the gathering if everybody is there. Not in a group that was empty: it waits its time out.
    pub(super) fn maybe_complete_join(&mut self, step: &mut Step<'_, J, S>) {
        let may_end_early = matches!(self.join_timer, Some(JoinTimer::Rebalance { .. }));
        if self.state == State::PreparingRebalance && may_end_early && self.has_everybody_joined() {
            self.complete_join(step);
        }
    }

    /// The time to gather is up.
    pub(super) fn expire_join(&mut self, step: &mut Step<'_, J, S>) {
        match self.join_timer {
            Some(JoinTimer::Initial { remaining, is_extended: true, .. }) if !remaining.is_zero() => {
                let delay = step.settings.initial_rebalance_delay.min(remaining);
                let at = self.arm(step.after(delay));
                let remaining = remaining.saturating_sub(delay);
                self.join_timer = Some(JoinTimer::Initial { at, remaining, is_extended: false });
            }
            _ => self.complete_join(step),
        }
    }

    fn complete_join(&mut self, step: &mut Step<'_, J, S>) {
        self.drop_absent_members(step);
        if !self.members.is_empty() && !self.elect_present_leader() {
            debug!(group = self.group_id, "nobody joined; the rebalance waits for static members or their time-outs");
            let at = self.arm(step.after(self.rebalance_timeout().max(RETRY_DELAY_MIN)));
            self.join_timer = Some(JoinTimer::Rebalance { at });
            return;
        }
        self.join_timer = None;
        self.returns.clear();
        // Kafka's generations are positive; after the last one they begin anew.
        self.generation = self.generation.checked_add(1).unwrap_or(1);
        self.protocol_name = self.select_protocol();
        self.subscribed_topics = self.read_subscriptions();
        if self.members.is_empty() {
            info!(group = self.group_id, generation = self.generation, "the group is empty");
            self.transition(step, State::Empty);
            self.save(step);
        } else {
            debug!(
                group = self.group_id,
                generation = self.generation,
                members = self.members.len(),
                "members settled"
            );
            self.transition(step, State::CompletingRebalance);
            self.answer_joins(step);
        }
    }

    /// Static members keep their place while they are away, until their session ends; others have lost it.
    fn drop_absent_members(&mut self, step: &mut Step<'_, J, S>) {
        let absent = self.members.iter().filter(|(_, member)| member.awaiting_join.is_none() && !member.is_static());
        let absent: Vec<String> = absent.map(|(member_id, _)| member_id.clone()).collect();
        for member_id in absent {
            info!(group = self.group_id, member = member_id, "member did not join in time and is removed");
            self.remove_member(step, &member_id, GroupError::UnknownMemberId);
        }
    }

    /// Makes sure that the leader is one who has joined; false if nobody has.
    fn elect_present_leader(&mut self) -> bool {
        let is_present =
            |member_id: &String| self.members.get(member_id).is_some_and(|member| member.awaiting_join.is_some());
        if !self.leader.as_ref().is_some_and(is_present) {
            let Some(present) = self.members.keys().find(|member_id| is_present(member_id)) else { return false };
            info!(group = self.group_id, member = present, "a new leader, since the former did not join in time");
            self.leader = Some(present.clone());
        }
        true
    }

    fn answer_joins(&mut self, step: &mut Step<'_, J, S>) {
        let sync_deadline = self.arm(step.after(self.rebalance_timeout()));
        self.sync_deadline = Some(sync_deadline);
        self.pending_syncs = self.members.keys().cloned().collect();
        for member_id in self.pending_syncs.clone() {
            let joined = self.joined(&member_id);
            self.renew_session(step, &member_id);
            let Some(member) = self.members.get_mut(&member_id) else { continue };
            member.is_nameless = false;
            if let Some(waiter) = member.awaiting_join.take() {
                step.effects.push(Effect::Joined(waiter, Ok(joined)));
            }
        }
    }
}
