//! One group id in two scopes that overlap: a volume's listener, and one that shows everything.
//!
//! Positions belong to the volume, whatever the scope, so that members of both would commit over each other. While a group has
//! members that consume a volume in one of the two scopes, members that want to do so in the other are refused. (Of two that
//! come in the very same moment both may get in.)

use std::collections::BTreeSet;

use tracing::warn;

use super::super::GroupKey;
use super::super::spelling::TopicSpelling;
use super::Coordinator;
use crate::scope::Scope;

impl Coordinator {
    /// Whether members of an overlapping scope consume what a member with these topics wants to.
    pub(super) fn is_claimed_elsewhere(&self, key: &GroupKey, topics: &[TopicSpelling]) -> bool {
        let homes: BTreeSet<Scope> = topics.iter().map(|spelling| spelling.topic.home).collect();
        let rival = homes.into_iter().find(|home| self.is_claimed(key, *home));
        if let Some(home) = rival {
            warn!(group = %key, scope = %key.scope, %home, "a member is refused: the group has members in an overlapping scope");
        }
        rival.is_some()
    }

    /// Whether members of the group in the scope that overlaps with its own consume a volume or snapshot.
    pub fn is_claimed(&self, key: &GroupKey, home: Scope) -> bool {
        let other = if key.scope == Scope::Everything { home } else { Scope::Everything };
        let rivals = self.groups.get(&GroupKey::new(other, &key.group_id));
        rivals.is_some_and(|slot| slot.group.consumes(home))
    }
}
