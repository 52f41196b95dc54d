//! The invariants of a group: used by the tests, and after every step in debug builds.

use super::{ClassicGroup, State};

impl<J, S> ClassicGroup<J, S> {
    pub(super) fn check_in_debug(&self) {
        if cfg!(debug_assertions)
            && let Err(broken) = self.check()
        {
            panic!("group {}, {} in generation {}: {broken}", self.group_id, self.state, self.generation);
        }
    }

    /// Says which invariant does not hold, if one does not.
    pub fn check(&self) -> Result<(), &'static str> {
        let rules = [
            (self.has_one_leader(), "there are members without a leader among them, or a leader without members"),
            (self.are_static_members_known(), "instance ids and members disagree"),
            (self.fits_state(), "the state and its members or timers disagree"),
            (self.is_everybody_waiting_for_something(), "a waiter waits for what will not come"),
            (self.is_everybody_watched(), "a member could stay for ever without a sign of life"),
            (self.pending_syncs.iter().all(|id| self.members.contains_key(id)), "a stranger is expected to sync"),
            (!self.pending_joins.keys().any(|id| self.members.contains_key(id)), "a member is yet to join"),
            (self.wakes_in_time(), "a deadline would pass unseen"),
        ];
        rules.into_iter().find(|(holds, _)| !holds).map_or(Ok(()), |(_, broken)| Err(broken))
    }

    fn has_one_leader(&self) -> bool {
        match &self.leader {
            Some(leader) => self.members.contains_key(leader),
            None => self.members.is_empty(),
        }
    }

    fn are_static_members_known(&self) -> bool {
        let count = self.members.values().filter(|member| member.is_static()).count();
        count == self.static_members.len()
            && self.static_members.iter().all(|(instance_id, member_id)| {
                self.members.get(member_id).is_some_and(|member| member.instance_id.as_ref() == Some(instance_id))
            })
    }

    fn fits_state(&self) -> bool {
        let is_gathering = self.join_timer.is_some();
        let has_protocol = self
            .protocol_name
            .as_deref()
            .is_some_and(|protocol| self.members.values().all(|member| member.supports(protocol)));
        match self.state {
            State::Empty | State::Dead => self.members.is_empty() && !is_gathering && self.sync_deadline.is_none(),
            State::PreparingRebalance => is_gathering && self.sync_deadline.is_none() && self.proposal.is_none(),
            State::CompletingRebalance => {
                has_protocol && !is_gathering && (self.sync_deadline.is_some() || self.proposal.is_some())
            }
            State::Stable => {
                let is_sync_due = !self.pending_syncs.is_empty();
                has_protocol && !is_gathering && is_sync_due == self.sync_deadline.is_some()
            }
        }
    }

    fn is_everybody_waiting_for_something(&self) -> bool {
        let joins_may_wait = self.state == State::PreparingRebalance || !self.returns.is_empty();
        let syncs_may_wait = self.state == State::CompletingRebalance;
        let saves_are_coming = !self.persistence.is_idle() || (self.proposal.is_none() && self.returns.is_empty());
        saves_are_coming
            && self.members.values().all(|member| {
                (joins_may_wait || member.awaiting_join.is_none()) && (syncs_may_wait || member.awaiting_sync.is_none())
            })
    }

    fn is_everybody_watched(&self) -> bool {
        self.members.values().all(|member| member.session_deadline.is_some() || member.is_excused())
    }

    fn wakes_in_time(&self) -> bool {
        self.deadlines().min().is_none_or(|first| self.wake_at.is_some_and(|wake| wake <= first))
    }
}
