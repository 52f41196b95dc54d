//! Static members that come back: a restarted process takes its former place by its group instance id (KIP-345).
//!
//! In a stable group this costs no rebalance: the member gets a new id, which fences its former self, and the assignment
//! stands. The answer waits until the new id is durable, or else a restart of the broker would fence the wrong one.

use tracing::info;

use super::super::GroupError;
use super::super::request::JoinRequest;
use super::membership::{refuse_join, refuse_sync};
use super::{ClassicGroup, Effect, Member, SaveVersion, State, Step};

/// A member that is back in a stable group and waits until that is durable.
#[derive(Debug)]
pub(super) struct Return {
    version: SaveVersion,
    member_id: String,
    /// What the answer names as the leader: the former one to clients that would assign anew on seeing themselves.
    leader: String,
    skips_assignment: bool,
}

impl<J, S> ClassicGroup<J, S> {
    /// Puts the member of `request`, by its new member id, in the place of the one with `former_id`.
    pub(super) fn replace_static_member(
        &mut self,
        step: &mut Step<'_, J, S>,
        former_id: &str,
        request: JoinRequest,
        waiter: J,
    ) {
        let member_id = request.member_id.clone();
        let leader = self.leader.clone().unwrap_or_default();
        let skips_assignment = request.skips_assignment;
        let reason = format!("static member {member_id} replaces {former_id}: {}", request.reason);
        info!(group = self.group_id, member = member_id, former = former_id, state = %self.state, "static member is back");
        self.take_place(step, former_id, request, waiter);
        match self.state {
            State::Stable if self.select_protocol() == self.protocol_name => {
                self.subscribed_topics = self.read_subscriptions();
                let version = self.save(step);
                self.returns.push(Return { version, member_id, leader, skips_assignment });
            }
            // The leader may have been told of the former id already; its assignment would miss the new one.
            State::Stable | State::CompletingRebalance => self.prepare_rebalance(step, &reason),
            State::PreparingRebalance => self.maybe_complete_join(step),
            State::Empty | State::Dead => {}
        }
    }

    fn take_place(&mut self, step: &mut Step<'_, J, S>, former_id: &str, request: JoinRequest, waiter: J) {
        let Some(mut former) = self.members.remove(former_id) else { return };
        refuse_join(step, former.awaiting_join.take(), GroupError::FencedInstanceId, former_id);
        refuse_sync(step, former.awaiting_sync.take(), GroupError::FencedInstanceId);
        let member_id = request.member_id.clone();
        if self.is_leader(former_id) {
            self.leader = Some(member_id.clone());
        }
        if self.pending_syncs.remove(former_id) {
            self.pending_syncs.insert(member_id.clone());
        }
        self.spellings.remove(&former.topics);
        self.spellings.add(&request.topics);
        let mut member = Member::new(request, waiter);
        member.assignment = former.assignment;
        if let Some(instance_id) = &member.instance_id {
            self.static_members.insert(instance_id.clone(), member_id.clone());
        }
        self.members.insert(member_id.clone(), member);
        self.renew_session(step, &member_id);
    }

    /// A save up to `version` has ended: members whose return waited for it are answered. One whose group went on to
    /// rebalance meanwhile waits for that instead.
    pub(super) fn settle_returns(&mut self, step: &mut Step<'_, J, S>, version: SaveVersion, is_durable: bool) {
        let settled = self.returns.extract_if(.., |back| back.version <= version);
        for back in settled.collect::<Vec<_>>() {
            if self.state != State::Stable {
                continue;
            }
            let mut joined = self.joined(&back.member_id);
            if back.skips_assignment {
                joined.skip_assignment = self.is_leader(&back.member_id);
            } else {
                joined.leader = back.leader;
                joined.members.clear();
            }
            self.renew_session(step, &back.member_id);
            let Some(waiter) = self.members.get_mut(&back.member_id).and_then(|member| member.awaiting_join.take())
            else {
                continue;
            };
            if is_durable {
                step.effects.push(Effect::Joined(waiter, Ok(joined)));
            } else {
                refuse_join(step, Some(waiter), GroupError::CoordinatorNotAvailable, "");
            }
        }
    }
}
