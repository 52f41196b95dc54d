//! A partition as the running engine sees it: watermarks, waiters, and where its batches lie.
//!
//! Invariants: `log_start <= high_watermark <= log_end`, each only grows; pieces (`sealed`, then `tail`) are ordered by offset and do not overlap;
//! the cache holds the newest batches without a gap. The writer alone moves `log_end` and appends to the tail; publishing moves
//! `high_watermark`; facts move `log_start` and say what is compacted; the rewriter swaps sealed pieces for others that hold the same needed batches.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};

use super::log_file::LogFile;
use super::pieces::{Compacted, Entry, LogStartMove, Pieces};
use super::virtual_segments::{Meter, VirtualSegment};
use crate::options::Policy;
use crate::state::Compaction;
use crate::units::{Lsn, TopicPartition};

/// What a partition has of the timeline that its own branched from: all that was there at the branch point, and nothing since.
#[derive(Clone, Debug)]
pub(crate) struct Inherited {
    /// The partition there.
    pub(crate) from: Arc<Partition>,
    /// The offset behind the last that was there.
    pub(crate) end: i64,
    /// The branch point: the view of the parent that this is.
    pub(crate) branch: Lsn,
}

/// Where a view finds an offset.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place<'a> {
    /// The partition, here or in an ancestor, in whose files.
    pub(crate) holder: &'a Arc<Partition>,
    /// As it was written (0), or as a compaction left it.
    pub(crate) generation: u32,
    /// The offset up to which that holds.
    pub(crate) limit: i64,
}

/// A call to make when a partition moves.
pub type Wake = Arc<dyn Fn() + Send + Sync>;

#[derive(Default)]
struct Waiting {
    next: u64,
    wakes: Vec<(u64, i64, Wake)>,
}

/// One partition.
pub struct Partition {
    id: TopicPartition,
    log_start: AtomicI64,
    high_watermark: AtomicI64,
    log_end: AtomicI64,
    closed: AtomicBool,
    /// Its timeline handed over to another.
    fenced: AtomicBool,
    /// Its volume is no more.
    ended: AtomicBool,
    gone_at: AtomicU64,
    segment_bytes: AtomicU64,
    segment_ms: AtomicI64,
    has_waiters: AtomicBool,
    inherited: OnceLock<Inherited>,
    pieces: Mutex<Pieces>,
    waiting: Mutex<Waiting>,
}

impl fmt::Debug for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (start, end) = (self.log_start(), self.log_end());
        write!(f, "{}[{start}..{}..{end}]", self.id, self.high_watermark())
    }
}

impl Partition {
    /// A partition whose log runs from `log_start` to `end`, all visible.
    pub fn new(id: TopicPartition, log_start: i64, end: i64) -> Arc<Self> {
        Arc::new(Self {
            id,
            log_start: AtomicI64::new(log_start),
            high_watermark: AtomicI64::new(end),
            log_end: AtomicI64::new(end),
            closed: AtomicBool::new(false),
            fenced: AtomicBool::new(false),
            ended: AtomicBool::new(false),
            gone_at: AtomicU64::new(Lsn::MAX.0),
            segment_bytes: AtomicU64::new(u64::MAX),
            segment_ms: AtomicI64::new(i64::MAX),
            has_waiters: AtomicBool::new(false),
            inherited: OnceLock::new(),
            pieces: Mutex::default(),
            waiting: Mutex::default(),
        })
    }

    /// Which partition.
    pub fn id(&self) -> TopicPartition {
        self.id
    }

    /// The first offset that can be read.
    pub fn log_start(&self) -> i64 {
        self.log_start.load(Ordering::Acquire)
    }

    /// The offset behind the last that clients can read.
    pub fn high_watermark(&self) -> i64 {
        self.high_watermark.load(Ordering::Acquire)
    }

    /// The offset that the next record gets. Ahead of the high watermark while a group is on its way to the disk.
    pub fn log_end(&self) -> i64 {
        self.log_end.load(Ordering::Acquire)
    }

    /// What lies in the parent of its timeline.
    pub(crate) fn inherited(&self) -> Option<&Inherited> {
        self.inherited.get()
    }

    /// Says, once, when its timeline is opened, what lies in the parent.
    pub(crate) fn inherit(&self, inherited: Inherited) {
        // A second time says the same.
        let _known = self.inherited.set(inherited);
    }

    /// Where a view finds an offset: at an LSN, or live.
    pub(crate) fn place(self: &Arc<Self>, offset: i64, at: Option<Lsn>) -> Place<'_> {
        let (mut holder, mut limit, mut at) = (self, i64::MAX, at);
        loop {
            let compacted = holder.pieces().compaction_at(at).filter(|made| offset < made.end);
            if let Some(Compacted { generation, end, .. }) = compacted {
                return Place { holder, generation, limit: limit.min(end) };
            }
            let Some(inherited) = holder.inherited().filter(|inherited| offset < inherited.end) else {
                return Place { holder, generation: 0, limit };
            };
            (holder, limit, at) = (&inherited.from, limit.min(inherited.end), Some(inherited.branch));
        }
    }

    /// Whether a view still finds an offset where it did: the live one goes over to what a compaction left, and what was before may be no more.
    pub(crate) fn is_still_at(self: &Arc<Self>, place: &Place<'_>, offset: i64, at: Option<Lsn>) -> bool {
        let now = self.place(offset, at);
        // Timelines number their compactions each for itself.
        Arc::ptr_eq(now.holder, place.holder) && now.generation == place.generation
    }

    /// Whether its topic was deleted, or its volume.
    pub fn is_gone(&self) -> bool {
        self.gone_at() != Lsn::MAX || self.ended.load(Ordering::Acquire)
    }

    /// Whether its volume was restored, so that its leader epoch is over.
    pub fn is_fenced(&self) -> bool {
        self.fenced.load(Ordering::Acquire)
    }

    /// Bytes of the batches between log start and end, by virtual segments.
    pub fn live_bytes(&self) -> u64 {
        self.pieces().segments.bytes()
    }

    /// Calls `wake` once, soon after the high watermark has passed `offset` (at once if it has) or the partition is gone.
    pub fn wait(self: &Arc<Self>, offset: i64, wake: &Wake) -> Waiter {
        let mut waiting = lock(&self.waiting);
        let id = waiting.next;
        waiting.next += 1;
        waiting.wakes.push((id, offset, Arc::clone(wake)));
        self.has_waiters.store(true, Ordering::SeqCst);
        drop(waiting);
        // The watermark may have moved between the caller's look and the registration: whoever registers looks again.
        if self.high_watermark.load(Ordering::SeqCst) > offset || self.is_gone() || self.is_fenced() {
            wake();
        }
        Waiter { partition: Arc::downgrade(self), id }
    }

    /// Whether a deletion of the topic is in the log, so that nothing may follow it.
    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// Nothing may be appended from here on.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Release);
    }

    /// Its timeline handed over: nothing is appended any more, and who waits is told.
    pub(crate) fn fence(&self) {
        self.close();
        self.fenced.store(true, Ordering::Release);
        self.wake(i64::MAX);
    }

    /// Its volume is no more: nothing is appended any more, and who waits is told.
    pub(crate) fn end(&self) {
        self.close();
        self.ended.store(true, Ordering::Release);
        self.wake(i64::MAX);
    }

    /// The topic's deletion is visible: readers and waiters learn of it.
    pub(crate) fn retire(&self, lsn: Lsn) {
        self.close();
        self.gone_at.store(lsn.0, Ordering::Release);
        self.wake(i64::MAX);
        let mut pieces = self.pieces();
        pieces.cache.clear();
        pieces.segments.detach();
    }

    /// The live view shows it: its bytes count from here on, until it is retired.
    pub(crate) fn count_with(&self, meter: &Arc<Meter>) {
        self.pieces().segments.attach(meter);
    }

    /// The same, where its bytes are counted already.
    pub(crate) fn is_counted_with(&self, meter: &Arc<Meter>) {
        self.pieces().segments.is_attached(meter);
    }

    /// Sets how its batches are counted into virtual segments.
    pub(crate) fn set_policy(&self, policy: &Policy) {
        self.segment_bytes.store(policy.segment_bytes, Ordering::Relaxed);
        self.segment_ms.store(policy.segment_ms, Ordering::Relaxed);
    }

    /// Notes a batch that is in the log: tail index, virtual segments, epochs.
    /// Without a log file it lies in a sealed one, whose index has it.
    pub(crate) fn index(
        self: &Arc<Self>,
        log: Option<&Arc<LogFile>>,
        entry: Entry,
        segment: &VirtualSegment,
        end: i64,
        epoch: i32,
    ) {
        let mut pieces = self.pieces();
        let is_new = log.is_some_and(|log| pieces.push_tail(log, entry, end).0);
        let (bytes, ms) = (self.segment_bytes.load(Ordering::Relaxed), self.segment_ms.load(Ordering::Relaxed));
        pieces.segments.count(segment, bytes, ms);
        pieces.note_epoch(epoch, entry.base_offset);
        drop(pieces);
        if let Some(log) = log.filter(|_| is_new) {
            log.touch(self);
        }
    }

    /// The group at which its topic was deleted; views before it still have the partition.
    pub(crate) fn gone_at(&self) -> Lsn {
        Lsn(self.gone_at.load(Ordering::Acquire))
    }

    /// Takes back a move of the log end: the group that made it was not written.
    pub(crate) fn take_back_log_end(&self, end: i64) {
        debug_assert!(end >= self.high_watermark(), "{self:?}: takes back what is visible");
        self.log_end.store(end, Ordering::Release);
    }

    /// Moves the end of the log, by the writer and recovery alone.
    pub(crate) fn set_log_end(&self, end: i64) {
        debug_assert!(end >= self.log_end(), "{self:?}: the log end falls to {end}");
        self.log_end.store(end, Ordering::Release);
    }

    /// Makes offsets below `end` readable. Waiters are told by [`Partition::wake_visible`], when the whole group is visible.
    pub(crate) fn publish(&self, end: i64) {
        debug_assert!(end >= self.high_watermark() && end <= self.log_end(), "{self:?}: publishes {end}");
        self.high_watermark.store(end, Ordering::SeqCst);
    }

    /// Wakes those who waited for an offset that is readable now.
    pub(crate) fn wake_visible(&self) {
        if self.has_waiters.load(Ordering::SeqCst) {
            self.wake(self.high_watermark());
        }
    }

    /// Hides what lies below `offset`.
    pub(crate) fn move_log_start(&self, offset: i64, lsn: Lsn) {
        let mut pieces = self.pieces();
        if offset <= self.log_start() {
            return;
        }
        self.log_start.store(offset, Ordering::Release);
        pieces.log_starts.push(LogStartMove { lsn, offset });
        pieces.segments.cut(offset, self.log_end());
    }

    /// From a group on, what lies below an offset is what a compaction left.
    pub(crate) fn compact(&self, compaction: &Compaction, lsn: Lsn) {
        let Compaction { generation, end, .. } = *compaction;
        let mut pieces = self.pieces();
        if pieces.compactions.last().is_some_and(|last| last.lsn >= lsn) {
            return; // a part of the log is folded twice
        }
        pieces.compactions.push(Compacted { lsn, generation, end });
        let left = compaction.segments.iter().map(VirtualSegment::from);
        pieces.segments.recount(end, left, (self.log_start(), self.log_end()));
    }

    /// The facts before the first that is still there are gone: readers of an internal topic begin behind them.
    pub(crate) fn skip_dropped(&self) {
        if self.inherited().is_some() {
            return;
        }
        let pieces = self.pieces();
        let sealed = pieces.sealed.first().map(|stretch| stretch.first_offset);
        let first = sealed.or_else(|| pieces.tail.first()?.entries.first().map(|entry| entry.base_offset));
        self.log_start.fetch_max(first.unwrap_or_else(|| self.high_watermark()), Ordering::AcqRel);
    }

    /// Where its batches lie, under the partition's lock: hold it shortly, take no other lock inside.
    pub(crate) fn pieces(&self) -> MutexGuard<'_, Pieces> {
        lock(&self.pieces)
    }

    fn wake(&self, visible: i64) {
        let mut due = Vec::new();
        let mut waiting = lock(&self.waiting);
        waiting.wakes.retain(|(_, offset, wake)| {
            let is_due = *offset < visible;
            if is_due {
                due.push(Arc::clone(wake));
            }
            !is_due
        });
        self.has_waiters.store(!waiting.wakes.is_empty(), Ordering::SeqCst);
        drop(waiting);
        for wake in due {
            wake();
        }
    }
}

/// A registered call; dropping it cancels it.
#[derive(Debug)]
pub struct Waiter {
    partition: Weak<Partition>,
    id: u64,
}

impl Drop for Waiter {
    fn drop(&mut self) {
        if let Some(partition) = self.partition.upgrade() {
            let mut waiting = lock(&partition.waiting);
            waiting.wakes.retain(|(id, ..)| *id != self.id);
            partition.has_waiters.store(!waiting.wakes.is_empty(), Ordering::SeqCst);
        }
    }
}

/// Locks; a panic elsewhere while it was held left the value whole (every section here is a single step).
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;
    use crate::units::TopicNumber;

    fn partition() -> Arc<Partition> {
        Partition::new(TopicPartition::new(TopicNumber(16), 0), 0, 0)
    }

    fn counter() -> (Arc<AtomicUsize>, Wake) {
        let calls = Arc::new(AtomicUsize::new(0));
        let seen = Arc::clone(&calls);
        (
            calls,
            Arc::new(move || {
                seen.fetch_add(1, Ordering::SeqCst);
            }),
        )
    }

    #[test]
    fn what_a_clone_compacts_is_elsewhere_whatever_its_number() {
        let compaction = |end| {
            let (tombstones, segments) = (Vec::new(), Vec::new());
            Compaction { partition: partition().id(), generation: 5, end, tombstones, segments }
        };
        let (parent, child) = (partition(), partition());
        parent.compact(&compaction(8), Lsn(3));
        child.inherit(Inherited { from: Arc::clone(&parent), end: 10, branch: Lsn(4) });
        let inherited = child.place(0, None);
        parent.compact(&Compaction { generation: 6, ..compaction(9) }, Lsn(5));
        assert!(child.is_still_at(&inherited, 0, None), "it is read as of the branch point");
        child.compact(&compaction(9), Lsn(7));
        assert!(!child.is_still_at(&inherited, 0, None));
        assert!(child.is_still_at(&inherited, 0, Some(Lsn(6))), "views before go on finding it there");
    }

    #[test]
    fn a_waiter_is_called_once_when_its_offset_is_readable() {
        let partition = partition();
        let (calls, wake) = counter();
        let _waiter = partition.wait(1, &wake);
        partition.set_log_end(3);
        partition.publish(1);
        partition.wake_visible();
        assert_eq!(calls.load(Ordering::SeqCst), 0);
        partition.publish(3);
        partition.wake_visible();
        partition.wake_visible();
        assert_eq!(calls.load(Ordering::SeqCst), 1);
    }

    #[test]
    fn a_late_waiter_is_called_at_once_and_a_dropped_one_never() {
        let partition = partition();
        partition.set_log_end(1);
        partition.publish(1);
        let (calls, wake) = counter();
        let _late = partition.wait(0, &wake);
        assert_eq!(calls.load(Ordering::SeqCst), 1);
        let (dropped, wake) = counter();
        drop(partition.wait(1, &wake));
        partition.set_log_end(2);
        partition.publish(2);
        partition.wake_visible();
        assert_eq!(dropped.load(Ordering::SeqCst), 0);
    }

    #[test]
    fn deletion_wakes_every_waiter() {
        let partition = partition();
        let (calls, wake) = counter();
        let _waiter = partition.wait(1_000, &wake);
        partition.retire(Lsn(9));
        assert_eq!(calls.load(Ordering::SeqCst), 1);
    }
}
