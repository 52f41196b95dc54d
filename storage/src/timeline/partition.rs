//! A partition as the running engine sees it: watermarks, waiters, and where its batches lie.
//!
//! Invariants: `log_start <= high_watermark <= log_end`, each only grows; pieces (`sealed`, then `tail`) are ordered by offset and do not overlap;
//! the cache holds the newest batches without a gap. The writer alone moves `log_end` and appends to the tail; publishing moves
//! `high_watermark`; facts move `log_start`; the rewriter swaps sealed pieces for others that hold the same needed batches.

use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};

use bytes::Bytes;

use super::log_file::LogFile;
use crate::options::Policy;
use crate::segment::Stretch;
use crate::units::{Lsn, TopicPartition};

/// Where batches lie in a file: one batch in a log file, a block of neighbours in a segment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Entry {
    /// The first offset.
    pub base_offset: i64,
    /// Where the first byte of the batch is (a log's frame header lies before it).
    pub position: u32,
    /// Bytes of the batch or block.
    pub bytes: u32,
    /// The greatest timestamp in it, −1: none.
    pub max_timestamp: i64,
    /// The greatest of this and the entries before it in the same list.
    pub running_max: i64,
}

/// The batches of one partition in one unsealed log file.
#[derive(Clone, Debug)]
pub struct Chunk {
    /// The file.
    pub log: Arc<LogFile>,
    /// In order of offset.
    pub entries: Vec<Entry>,
    /// The offset behind the last.
    pub end_offset: i64,
}

/// A batch as it was just received: in two pieces when its head was patched and the rest left where it was.
#[derive(Clone, Debug)]
pub struct Cached {
    /// Its first offset.
    pub base_offset: i64,
    /// The offset behind it.
    pub end_offset: i64,
    /// The first bytes.
    pub head: Bytes,
    /// What follows; may be empty.
    pub rest: Bytes,
}

impl Cached {
    /// Bytes of the batch.
    pub fn bytes(&self) -> usize {
        self.head.len() + self.rest.len()
    }
}

/// What segments are to retention: a span of offsets that goes as one (`segment.bytes`, `segment.ms`). No file corresponds to it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct VirtualSegment {
    /// Its first offset.
    pub base_offset: i64,
    /// Bytes of its batches.
    pub bytes: u64,
    /// Timestamp of its first batch.
    pub first_timestamp: i64,
    /// The greatest timestamp in it, −1: none.
    pub max_timestamp: i64,
}

/// From which offset on a leader epoch holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct EpochStart {
    /// The epoch.
    pub epoch: i32,
    /// Its first offset.
    pub start: i64,
}

/// A move of the log start, as views of the past need it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LogStartMove {
    /// The group whose fact moved it.
    pub lsn: Lsn,
    /// To where.
    pub offset: i64,
}

/// What is behind the partition's one lock.
#[derive(Default, Debug)]
pub struct Pieces {
    /// In sealed files, by offset.
    pub(crate) sealed: Vec<Stretch>,
    /// In unsealed log files, by offset.
    pub tail: Vec<Chunk>,
    /// The newest batches.
    pub cache: VecDeque<Cached>,
    /// For retention, the last one is being filled.
    pub segments: Vec<VirtualSegment>,
    /// Leader epochs and where they start.
    pub epochs: Vec<EpochStart>,
    /// Moves of the log start above the history floor, oldest first.
    pub log_starts: Vec<LogStartMove>,
}

/// What a partition has of the timeline that its own branched from: all that was there at the branch point, and nothing since.
#[derive(Clone, Debug)]
pub(crate) struct Inherited {
    /// The partition there.
    pub(crate) from: Arc<Partition>,
    /// The offset behind the last that was there.
    pub(crate) end: i64,
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

    /// The partition, here or in an ancestor, in whose files `offset` is found, and the offset up to which that holds.
    pub(crate) fn holder(self: &Arc<Self>, offset: i64) -> (&Arc<Self>, i64) {
        let (mut holder, mut limit) = (self, i64::MAX);
        while let Some(inherited) = holder.inherited().filter(|inherited| offset < inherited.end) {
            (holder, limit) = (&inherited.from, limit.min(inherited.end));
        }
        (holder, limit)
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
        self.pieces().segments.iter().map(|segment| segment.bytes).sum()
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
        pieces.count(segment, bytes, ms);
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
        let keep = pieces.segments.partition_point(|segment| segment.base_offset < offset).saturating_sub(1);
        pieces.segments.drain(..keep);
        if let Some(first) = pieces.segments.first_mut() {
            // A start inside a segment leaves its bytes counted until the whole of it goes, as Kafka's do.
            first.base_offset = first.base_offset.max(offset);
        }
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

impl Pieces {
    /// Counts a batch into the virtual segments; a new one starts when it would not fit or the first is too old.
    fn count(&mut self, batch: &VirtualSegment, segment_bytes: u64, segment_ms: i64) {
        match self.segments.last_mut() {
            Some(open) if fits(open, batch, segment_bytes, segment_ms) => {
                open.bytes += batch.bytes;
                open.max_timestamp = open.max_timestamp.max(batch.max_timestamp);
            }
            _ => self.segments.push(*batch),
        }
    }

    /// Adds a batch to the tail index.
    fn push_tail(&mut self, log: &Arc<LogFile>, mut entry: Entry, end_offset: i64) -> NewChunk {
        if let Some(chunk) = self.tail.last_mut().filter(|chunk| Arc::ptr_eq(&chunk.log, log)) {
            let before = chunk.entries.last().map_or(-1, |last| last.running_max);
            entry.running_max = entry.max_timestamp.max(before);
            chunk.entries.push(entry);
            chunk.end_offset = end_offset;
            return NewChunk(false);
        }
        entry.running_max = entry.max_timestamp;
        self.tail.push(Chunk { log: Arc::clone(log), entries: vec![entry], end_offset });
        NewChunk(true)
    }

    /// The log start as of a group: the last move at or below it.
    pub(crate) fn log_start_at(&self, lsn: Lsn) -> i64 {
        let after = self.log_starts.partition_point(|moved| moved.lsn <= lsn);
        after.checked_sub(1).map_or(0, |at| self.log_starts[at].offset)
    }

    /// The end of what unsealed files hold of groups up to `lsn`; `None` if that is nothing.
    pub(crate) fn tail_end_at(&self, lsn: Lsn) -> Option<i64> {
        self.tail.iter().rev().find_map(|chunk| {
            let behind = chunk.log.position_after(lsn);
            let next = chunk.entries.partition_point(|entry| u64::from(entry.position) < behind);
            match next {
                0 => None,
                all if all == chunk.entries.len() => Some(chunk.end_offset),
                some => Some(chunk.entries[some].base_offset),
            }
        })
    }

    /// Leader epochs: notes that `epoch` holds from `start` on.
    pub(crate) fn note_epoch(&mut self, epoch: i32, start: i64) {
        match self.epochs.last_mut() {
            Some(last) if last.epoch >= epoch => {}
            Some(last) if last.start == start => last.epoch = epoch,
            _ => self.epochs.push(EpochStart { epoch, start }),
        }
    }
}

/// Whether a chunk was begun: then the log file must learn of the partition.
struct NewChunk(bool);

fn fits(open: &VirtualSegment, batch: &VirtualSegment, segment_bytes: u64, segment_ms: i64) -> bool {
    let age = batch.max_timestamp.saturating_sub(open.first_timestamp);
    open.bytes.saturating_add(batch.bytes) <= segment_bytes && (batch.max_timestamp < 0 || age <= segment_ms)
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

    #[test]
    fn virtual_segments_roll_by_bytes_and_by_time() {
        let mut pieces = Pieces::default();
        let batch =
            |base_offset, bytes, at| VirtualSegment { base_offset, bytes, first_timestamp: at, max_timestamp: at };
        pieces.count(&batch(0, 60, 0), 100, 1_000);
        pieces.count(&batch(1, 40, 10), 100, 1_000);
        pieces.count(&batch(2, 1, 10), 100, 1_000);
        pieces.count(&batch(3, 1, 1_011), 100, 1_000);
        let bases: Vec<i64> = pieces.segments.iter().map(|segment| segment.base_offset).collect();
        assert_eq!(bases, [0, 2, 3]);
    }

    #[test]
    fn an_epoch_that_wrote_nothing_gives_way_to_the_next() {
        let mut pieces = Pieces::default();
        pieces.note_epoch(1, 0);
        pieces.note_epoch(2, 0);
        pieces.note_epoch(3, 10);
        let epochs: Vec<(i32, i64)> = pieces.epochs.iter().map(|e| (e.epoch, e.start)).collect();
        assert_eq!(epochs, [(2, 0), (3, 10)]);
    }
}
