//! The volume of a group was restored: what its members have read and hold assigned is of a history that was left.

use super::super::GroupError;
use super::super::subscription::{CONSUMER_PROTOCOL_TYPE, subscribed_topics};
use super::{ClassicGroup, SaveVersion, Step};
use crate::scope::Scope;

impl<J, S> ClassicGroup<J, S> {
    /// Sends every member away: each is a stranger from here on (`UNKNOWN_MEMBER_ID`), joins anew and asks for its positions.
    /// Generations go on. The save that makes it last; none if there is nobody.
    pub fn fence(&mut self, step: &mut Step<'_, J, S>) -> Option<SaveVersion> {
        if self.members.is_empty() {
            return None;
        }
        for member_id in self.members.keys().cloned().collect::<Vec<_>>() {
            self.remove_member(step, &member_id, GroupError::UnknownMemberId);
        }
        self.after_departure(step, "a volume that the group consumes was restored");
        // The group may still gather members, and would be written down only when it has.
        let version = self.save(step);
        self.check_in_debug();
        Some(version)
    }

    /// Whether a member consumes topics of a volume, or may: a subscription that cannot be read may be to anything.
    pub fn may_consume(&self, home: Scope) -> bool {
        let is_unread = || {
            let mut protocols = self.members.values().flat_map(|member| &member.protocols);
            protocols.any(|protocol| subscribed_topics(&protocol.metadata).is_none())
        };
        self.consumes(home) || (self.protocol_type() == Some(CONSUMER_PROTOCOL_TYPE) && is_unread())
    }
}
