//! How a timeline hands over to the next one of its volume, or ends.
//!
//! Restoring a volume is one item in the queue of its writer: what was submitted before is written and synced here, what is submitted after goes to the
//! successor, and nothing is refused because of it. Between the two, while the fact that names the successor becomes durable, submissions wait.
//!
//! The successor can be found by its name from that fact on, a moment before it is handed what waits. Until then it holds what comes to it: else the newer
//! one of a producer's batches would come first, and the older ones be refused.
//!
//! Invariants: the end that a fence tells is durable, and no group of clients follows it; a held item is forwarded or processed, in order, never dropped.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc;

use super::append::Item;
use super::partition::lock;
use super::{Inner, Queue};
use crate::error::{Error, Result};
use crate::units::Lsn;

/// Where submissions go.
#[derive(Default)]
pub(super) enum Gate {
    /// To the writer.
    #[default]
    Open,
    /// Nowhere yet: they wait.
    Held(Vec<Item>),
    /// To the successor.
    Moved(Arc<Inner>),
}

impl Inner {
    /// Whether a volume points at it.
    pub(crate) fn is_named(&self) -> bool {
        self.named.load(Ordering::Acquire)
    }

    /// Holds what is submitted from here on; what was submitted before is written and synced when this returns, with the last group and its time.
    pub(crate) fn fence(self: &Arc<Self>) -> Result<(Lsn, i64)> {
        {
            let mut queue = lock(&self.queue);
            if !matches!(queue.gate, Gate::Open) {
                return Err(Error::Invalid(format!("timeline {} is being replaced already", self.id)));
            }
            queue.gate = Gate::Held(Vec::new());
        }
        let settled = self.drain();
        if settled.is_err() {
            self.reopen();
        }
        settled
    }

    fn drain(self: &Arc<Self>) -> Result<(Lsn, i64)> {
        let (done, settled) = mpsc::channel();
        self.submit_here(Item::Barrier(Box::new(move || {
            // The receiver is gone only if the thread that waits is.
            let _gone = done.send(());
        })));
        settled.recv().map_err(|_| Error::Closed)?;
        self.sync_now()?;
        Ok((self.durable_lsn(), self.visible_time.load(Ordering::Acquire)))
    }

    /// Opens the gate: what was held is taken in.
    pub(crate) fn reopen(self: &Arc<Self>) {
        let mut queue = lock(&self.queue);
        if let Gate::Held(held) = std::mem::take(&mut queue.gate) {
            queue.items.extend(held);
        }
        drop(queue);
        self.schedule();
    }

    /// Holds what is submitted until a predecessor has handed over: whoever finds this one by its name is behind all that the predecessor held.
    pub(crate) fn await_predecessor(&self) {
        lock(&self.queue).gate = Gate::Held(Vec::new());
    }

    /// Hands over: readers here are told that their leader epoch is over; then what was held, and all that comes, goes to the successor.
    pub(crate) fn hand_over(&self, successor: &Arc<Inner>) {
        // First: what is decided there of a partition that was found here finds it fenced.
        self.lose_name();
        self.tables.fence();
        let mut queue = lock(&self.queue);
        let gate = std::mem::replace(&mut queue.gate, Gate::Moved(Arc::clone(successor)));
        if let Gate::Held(held) = gate {
            lock(&successor.queue).items.extend(held.into_iter().map(|item| item.moved_to(successor)));
        }
        successor.reopen();
    }

    /// No volume points at it any more: nothing is appended, readers are sent away, and only pins and children keep what is in it.
    pub(crate) fn end(&self) {
        self.lose_name();
        self.tables.end();
    }

    fn lose_name(&self) {
        self.named.store(false, Ordering::Release);
        self.history.close();
    }

    /// Submits for a client: to the writer, or where the gate leads.
    pub(super) fn submit(self: &Arc<Self>, item: Item) {
        let mut queue = lock(&self.queue);
        match &mut queue.gate {
            Gate::Open => queue.items.push_back(item),
            Gate::Held(held) => return held.push(item),
            Gate::Moved(successor) => {
                let successor = Arc::clone(successor);
                drop(queue);
                return successor.submit(item.moved_to(&successor));
            }
        }
        drop(queue);
        self.schedule();
    }

    /// Submits for the engine: to this writer, whatever the gate says.
    pub(super) fn submit_here(self: &Arc<Self>, item: Item) {
        lock(&self.queue).items.push_back(item);
        self.schedule();
    }

    fn schedule(self: &Arc<Self>) {
        if !self.scheduled.swap(true, Ordering::AcqRel) {
            let timeline = Arc::clone(self);
            self.shared.writer_pool.run(move || timeline.work());
        }
    }
}

impl Queue {
    pub(super) fn is_empty(&self) -> bool {
        self.items.is_empty()
    }
}

impl Item {
    /// The same, for another timeline: its partitions in place of these. One that is not there stays what it is, which is closed.
    fn moved_to(mut self, successor: &Inner) -> Self {
        if let Item::Append(append, _) = &mut self {
            for part in &mut append.parts {
                if let Some(partition) = successor.tables.get(part.partition.id()) {
                    part.partition = partition;
                } else {
                    part.partition.close();
                }
            }
        }
        self
    }
}
