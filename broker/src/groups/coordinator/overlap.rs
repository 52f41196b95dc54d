//! One group id in two scopes that overlap: a volume's listener, and one that shows everything.
//!
//! Positions belong to the volume, whatever the scope, so that members of both would commit over each other. While a group has
//! members that consume a volume in one of the two scopes, members that want to do so in the other are refused. Who joins a
//! group id does so one after the other, whatever the scope, so that of two that come in the same moment one sees the other.

use std::collections::BTreeSet;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tracing::warn;

use super::super::GroupKey;
use super::super::spelling::TopicSpelling;
use super::Coordinator;
use crate::scope::Scope;

/// How many members may join at once, at the most.
const TURNS: usize = 64;

/// Turns by group id; some ids share one. Nothing but the slots of groups is locked while one is held.
#[derive(Debug)]
pub(super) struct Turns {
    turns: [Mutex<()>; TURNS],
    hasher: RandomState,
}

impl Default for Turns {
    fn default() -> Self {
        Self { turns: [const { Mutex::new(()) }; TURNS], hasher: RandomState::new() }
    }
}

impl Turns {
    /// Waits for the turn of a group id.
    pub(super) fn take(&self, group_id: &str) -> MutexGuard<'_, ()> {
        let at = self.hasher.hash_one(group_id) % TURNS as u64;
        let turn = &self.turns[usize::try_from(at).unwrap_or(0)];
        turn.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

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
