//! Sending members away whose volume is restored: they are to ask for their positions anew, and nothing that they have read in
//! the history that was left may be committed in the one that took its place.
//!
//! 1. A [`Fence`] is put up before the restore. From then on what members commit to the volume is refused.
//! 2. The volume's name moves.
//! 3. The fence is carried out: every group with a stake in the volume loses its members, whatever the scope that they speak
//!    in. They are strangers from here on, join anew and find the positions of the new history.
//! 4. The fence comes down.
//!
//! A commit that was allowed before the fence, and is put in order after it, is found out by the group's count of fences.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tracing::info;

use super::super::GroupKey;
use super::{Coordinator, Saved};
use crate::scope::Scope;

/// Keeps members from committing to a volume while it is restored, for as long as it is held.
#[derive(Debug)]
pub struct Fence {
    coordinator: Arc<Coordinator>,
    home: Scope,
}

impl Coordinator {
    /// Puts up a fence before a volume is restored.
    pub fn begin_fence(self: &Arc<Self>, home: Scope) -> Fence {
        self.restoring().push(home);
        Fence { coordinator: Arc::clone(self), home }
    }

    /// Whether a volume is being restored, so that no member commits to it.
    pub fn is_restoring(&self, home: Scope) -> bool {
        self.restoring().contains(&home)
    }

    /// How often the group's members were sent away: when it is another number than it was, a member of before is one no more.
    pub fn fences(&self, key: &GroupKey) -> u64 {
        self.groups.get(key).map_or(0, |slot| slot.fences)
    }

    fn restoring(&self) -> MutexGuard<'_, Vec<Scope>> {
        self.restoring.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends the members of a group away.
    fn fence_group(self: &Arc<Self>, key: &GroupKey, tally: &Arc<Tally>) {
        self.step(key, |slot, step| {
            let Some(version) = slot.group.fence(step) else { return };
            slot.fences += 1;
            tally.expected.fetch_add(1, Ordering::AcqRel);
            let tally = Arc::clone(tally);
            slot.awaited.push((
                version,
                Box::new(move |is_durable| {
                    tally.durable.fetch_add(usize::from(is_durable), Ordering::AcqRel);
                }),
            ));
        });
    }
}

impl Fence {
    /// Sends away the members of every group that consumes the volume, may do so, or has positions there. `done` is told
    /// whether that is durable.
    pub fn carry_out(self, has_positions: impl Fn(&str) -> bool, done: Saved) {
        let (expected, durable) = Default::default();
        let tally = Arc::new(Tally { expected, durable, done: Mutex::new(Some(done)) });
        let slots = self.coordinator.groups.iter().filter(|slot| slot.key().scope.shows(self.home));
        let groups: Vec<(GroupKey, bool)> =
            slots.map(|slot| (slot.key().clone(), slot.group.may_consume(self.home))).collect();
        for (key, may_consume) in groups {
            if may_consume || has_positions(&key.group_id) {
                self.coordinator.fence_group(&key, &tally);
            }
        }
        let groups = tally.expected.load(Ordering::Acquire);
        info!(home = %self.home, groups, "the volume was restored: members of its groups are to join anew");
    }
}

impl Drop for Fence {
    fn drop(&mut self) {
        let mut restoring = self.coordinator.restoring();
        if let Some(at) = restoring.iter().position(|home| *home == self.home) {
            restoring.swap_remove(at);
        }
    }
}

/// Counts the saves of a fence. When nobody holds it any more, all of them have ended, or never will.
struct Tally {
    expected: AtomicUsize,
    durable: AtomicUsize,
    done: Mutex<Option<Saved>>,
}

impl Drop for Tally {
    fn drop(&mut self) {
        let is_durable = self.durable.load(Ordering::Acquire) == self.expected.load(Ordering::Acquire);
        let done = self.done.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(done) = done {
            done(is_durable);
        }
    }
}
