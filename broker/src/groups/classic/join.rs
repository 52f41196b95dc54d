//! `JoinGroup`: who may be in the next generation.

use tracing::{debug, warn};

use super::super::GroupError;
use super::super::request::{JoinRefusal, JoinRequest, Joined, JoinedMember};
use super::super::spelling::TopicSpelling;
use super::membership::refuse_join;
use super::rebalance::JoinTimer;
use super::{ClassicGroup, Effect, Member, State, Step};

/// Ids that may be given out and not used yet. They cost their group nothing but memory, and a client could ask for ever.
const PENDING_MAX: usize = 10_000;

impl<J, S> ClassicGroup<J, S> {
    /// Takes in a `JoinGroup`; `waiter` is answered now or when the generation is settled.
    ///
    /// The session timeout was checked against its bounds before, so that a refused request makes no group.
    pub fn join(&mut self, step: &mut Step<'_, J, S>, request: JoinRequest, waiter: J) {
        if let Err(refusal) = self.admit(step, &request) {
            step.effects.push(Effect::Joined(waiter, Err(refusal)));
        } else if request.member_id.is_empty() {
            self.join_unnamed(step, request, waiter);
        } else if self.pending_joins.contains_key(&request.member_id) {
            debug!(group = self.group_id, member = request.member_id, state = %self.state, "member joins");
            self.add_and_rebalance(step, request, waiter);
        } else {
            self.join_named(step, request, waiter);
        }
        self.check_in_debug();
    }

    fn admit(&mut self, step: &mut Step<'_, J, S>, request: &JoinRequest) -> Result<(), JoinRefusal> {
        let refusal = |error, member_id: &str| JoinRefusal { error, member_id: member_id.to_owned() };
        let member_id = request.member_id.as_str();
        if self.state == State::Dead {
            return Err(refusal(GroupError::CoordinatorNotAvailable, member_id));
        }
        if !self.has_room_for(member_id, step.settings.members_max) {
            self.remove_member(step, member_id, GroupError::GroupMaxSizeReached);
            self.maybe_complete_join(step);
            return Err(refusal(GroupError::GroupMaxSizeReached, ""));
        }
        if !self.supports(&request.protocol_type, &request.protocols) || self.spells_otherwise(request) {
            return Err(refusal(GroupError::InconsistentGroupProtocol, member_id));
        }
        if member_id.is_empty() || (request.instance_id.is_none() && self.pending_joins.contains_key(member_id)) {
            return Ok(());
        }
        self.check_member(member_id, request.instance_id.as_deref()).map_err(|error| refusal(error, member_id))
    }

    /// Whether the group may take the member. While it gathers, only those who already wait count, so that a group that
    /// is too large loses whoever comes last.
    fn has_room_for(&self, member_id: &str, members_max: usize) -> bool {
        let member = self.members.get(member_id);
        match self.state {
            State::Empty | State::Dead => true,
            State::PreparingRebalance => {
                let waiting = self.members.values().filter(|member| member.awaiting_join.is_some()).count();
                waiting < members_max || member.is_some_and(|member| member.awaiting_join.is_some())
            }
            State::CompletingRebalance | State::Stable => member.is_some() || self.members.len() < members_max,
        }
    }

    /// Whether the request names a topic by another name than the group does, the member's own former names aside.
    fn spells_otherwise(&mut self, request: &JoinRequest) -> bool {
        let instance_owner = request.instance_id.as_ref().and_then(|instance| self.static_members.get(instance));
        let own = self.members.get(instance_owner.unwrap_or(&request.member_id));
        let own: &[TopicSpelling] = own.map_or(&[], |member| &member.topics);
        self.spellings.remove(own);
        let conflict = self.spellings.conflict(&request.topics);
        if let Some((used, refused)) = conflict {
            warn!(group = self.group_id, used, refused, "a member names a topic by a second name and is refused");
        }
        let is_conflict = conflict.is_some();
        self.spellings.add(own);
        is_conflict
    }

    fn join_unnamed(&mut self, step: &mut Step<'_, J, S>, mut request: JoinRequest, waiter: J) {
        let prefix = request.instance_id.as_ref().unwrap_or(&request.client_id);
        let member_id = format!("{prefix}-{}", request.fresh_id);
        let returning = request.instance_id.as_ref().and_then(|id| self.static_members.get(id)).cloned();
        if let Some(former_id) = returning {
            request.member_id = member_id;
            self.replace_static_member(step, &former_id, request, waiter);
        } else if request.instance_id.is_none() && request.requires_known_member_id {
            if self.pending_joins.len() >= PENDING_MAX {
                return refuse_join(step, Some(waiter), GroupError::GroupMaxSizeReached, "");
            }
            debug!(group = self.group_id, member = member_id, "a new member is to join with the id given");
            let lapses_at = step.after(request.session_timeout);
            self.arm(lapses_at);
            self.pending_joins.insert(member_id.clone(), lapses_at);
            let refusal = JoinRefusal { error: GroupError::MemberIdRequired, member_id };
            step.effects.push(Effect::Joined(waiter, Err(refusal)));
        } else {
            debug!(group = self.group_id, member = member_id, state = %self.state, "new member joins");
            let may_pile_up = request.instance_id.is_none();
            request.member_id.clone_from(&member_id);
            self.add_and_rebalance(step, request, waiter);
            if may_pile_up {
                self.bound_first_wait(step, &member_id);
            }
        }
    }

    /// Lets a member that cannot know its id yet wait for so long and no longer.
    fn bound_first_wait(&mut self, step: &Step<'_, J, S>, member_id: &str) {
        let deadline = step.after(step.settings.new_member_join_timeout);
        let Some(member) = self.members.get_mut(member_id) else { return };
        if member.awaiting_join.is_some() {
            member.is_nameless = true;
            member.session_deadline = Some(deadline);
            self.arm(deadline);
        }
    }

    fn add_and_rebalance(&mut self, step: &mut Step<'_, J, S>, request: JoinRequest, waiter: J) {
        if let Some(JoinTimer::Initial { is_extended, .. }) = &mut self.join_timer {
            *is_extended = true;
        }
        let reason = format!("member {} joins: {}", request.member_id, request.reason);
        let member_id = request.member_id.clone();
        let protocol_type = request.protocol_type.clone();
        self.add_member(member_id, &protocol_type, Member::new(request, waiter));
        self.rebalance_or_complete(step, &reason);
    }

    fn join_named(&mut self, step: &mut Step<'_, J, S>, request: JoinRequest, waiter: J) {
        let member_id = request.member_id.clone();
        let is_unchanged = self.members.get(&member_id).is_some_and(|member| member.protocols == request.protocols);
        let goes_on = match self.state {
            // The answer to its first request was lost; it may have it again.
            State::CompletingRebalance => is_unchanged,
            // The leader asks again when what it assigns has changed, such as the number of partitions.
            State::Stable => is_unchanged && !self.is_leader(&member_id),
            State::Empty | State::PreparingRebalance | State::Dead => false,
        };
        if goes_on {
            self.renew_session(step, &member_id);
            let joined = self.joined(&member_id);
            step.effects.push(Effect::Joined(waiter, Ok(joined)));
        } else {
            let reason = format!("member {member_id} joins again: {}", request.reason);
            self.update_member(step, request, waiter);
            self.rebalance_or_complete(step, &reason);
        }
    }

    /// The current generation, as the answer to a member's `JoinGroup`.
    pub(super) fn joined(&self, member_id: &str) -> Joined {
        Joined {
            member_id: member_id.to_owned(),
            generation: self.generation,
            protocol_type: self.protocol_type.clone(),
            protocol_name: self.protocol_name.clone(),
            leader: self.leader.clone().unwrap_or_default(),
            skip_assignment: false,
            members: if self.is_leader(member_id) { self.joined_members() } else { Vec::new() },
        }
    }

    fn joined_members(&self) -> Vec<JoinedMember> {
        let protocol = self.protocol_name.as_deref();
        let members = self.members.iter().map(|(member_id, member)| JoinedMember {
            member_id: member_id.clone(),
            instance_id: member.instance_id.clone(),
            metadata: member.metadata(protocol),
        });
        members.collect()
    }
}
