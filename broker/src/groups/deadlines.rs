//! When which group is to be looked at: one queue for all, read by one task.
//!
//! An entry may be early or out of date; the group itself knows what is due. Each group has at most one entry that counts
//! (the driver remembers its time), so the queue stays about as long as there are groups.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use super::key::GroupKey;

#[derive(Debug, Default)]
pub(super) struct Deadlines {
    queue: Mutex<BinaryHeap<Reverse<(Duration, GroupKey)>>>,
    earlier: Notify,
}

impl Deadlines {
    /// Adds an entry; whoever sleeps until a later one is woken.
    pub(super) fn push(&self, at: Duration, key: GroupKey) {
        let mut queue = self.lock();
        let is_first = queue.peek().is_none_or(|Reverse((first, _))| at < *first);
        queue.push(Reverse((at, key)));
        drop(queue);
        if is_first {
            self.earlier.notify_one();
        }
    }

    /// Takes out the first entry that is due.
    pub(super) fn pop_due(&self, now: Duration) -> Option<(Duration, GroupKey)> {
        let mut queue = self.lock();
        let is_due = queue.peek().is_some_and(|Reverse((at, _))| *at <= now);
        if is_due { queue.pop().map(|Reverse(entry)| entry) } else { None }
    }

    /// When the first entry is due.
    pub(super) fn first(&self) -> Option<Duration> {
        self.lock().peek().map(|Reverse((at, _))| *at)
    }

    /// Waits until an entry was pushed that is earlier than all others.
    pub(super) async fn wait_for_earlier(&self) {
        self.earlier.notified().await;
    }

    fn lock(&self) -> MutexGuard<'_, BinaryHeap<Reverse<(Duration, GroupKey)>>> {
        // A heap of plain values is whole whenever the lock is free, also after a panic elsewhere.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
