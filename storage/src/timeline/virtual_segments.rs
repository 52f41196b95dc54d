//! What segments are to retention: spans of offsets that go as one (`segment.bytes`, `segment.ms`). No file corresponds to them.
//!
//! Invariants: spans are ordered by offset and do not overlap, the last one is being filled; `bytes` is the sum of theirs, and what a meter was told is what
//! its lists hold now. A log start that cuts a span leaves of its bytes the share of the offsets that are left: so what is hidden no longer counts, wherever
//! the cut lies.

use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A span of offsets that goes as one.
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

/// Bytes of the batches that the live view of a timeline shows, over all partitions of its topics.
#[derive(Default, Debug)]
pub(crate) struct Meter(AtomicU64);

impl Meter {
    /// How many there are now.
    pub(crate) fn bytes(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// Counts some that are in no list yet.
    pub(super) fn add(&self, bytes: u64) {
        self.moved(0, bytes);
    }

    fn moved(&self, before: u64, after: u64) {
        // Wraps, as a sum of changes that come in any order may; what is read once all have come is the sum.
        self.0.fetch_add(after.wrapping_sub(before), Ordering::Relaxed);
    }
}

/// The spans of one partition.
#[derive(Default, Debug)]
pub struct VirtualSegments {
    list: Vec<VirtualSegment>,
    bytes: u64,
    meter: Option<Arc<Meter>>,
}

impl VirtualSegments {
    /// Bytes of all.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Counts a batch; a new span begins when it would not fit or the first is too old.
    pub(crate) fn count(&mut self, batch: &VirtualSegment, segment_bytes: u64, segment_ms: i64) {
        match self.list.last_mut() {
            Some(open) if fits(open, batch, segment_bytes, segment_ms) => {
                open.bytes += batch.bytes;
                open.max_timestamp = open.max_timestamp.max(batch.max_timestamp);
            }
            _ => self.list.push(*batch),
        }
        self.set_bytes(self.bytes + batch.bytes);
    }

    /// Lets go of what lies below `offset`; the partition's records end at `log_end`.
    pub(super) fn cut(&mut self, offset: i64, log_end: i64) {
        // The last one stays, so that the next batch finds its age, as in Kafka.
        let gone = self.list.partition_point(|segment| segment.base_offset < offset).saturating_sub(1);
        self.list.drain(..gone);
        let end = self.list.get(1).map_or(log_end, |next| next.base_offset);
        if let Some(first) = self.list.first_mut().filter(|first| first.base_offset < offset) {
            first.bytes = share(first.bytes, (first.base_offset, end), offset);
            first.base_offset = offset;
        }
        self.set_bytes(self.list.iter().map(|segment| segment.bytes).sum());
    }

    /// Below the end of a compaction what it left counts, in a partition with that log start and log end.
    pub(super) fn recount(
        &mut self,
        end: i64,
        left: impl Iterator<Item = VirtualSegment>,
        (log_start, log_end): (i64, i64),
    ) {
        let behind = self.list.partition_point(|segment| segment.base_offset < end);
        let next = self.list.get(behind).map(|next| next.base_offset);
        let last = behind.checked_sub(1).and_then(|last| self.list.get(last)).filter(|_| next != Some(end));
        let cut = last.map(|last| VirtualSegment {
            base_offset: end,
            bytes: share(last.bytes, (last.base_offset, next.unwrap_or(log_end)), end),
            ..*last
        });
        self.list.splice(..behind, left.chain(cut));
        self.cut(log_start, log_end);
    }

    /// Has a meter count them from here on.
    pub(super) fn attach(&mut self, meter: &Arc<Meter>) {
        meter.moved(0, self.bytes);
        self.is_attached(meter);
    }

    /// A meter has counted them, and goes on.
    pub(super) fn is_attached(&mut self, meter: &Arc<Meter>) {
        self.detach();
        self.meter = Some(Arc::clone(meter));
    }

    /// The live view shows them no more.
    pub(super) fn detach(&mut self) {
        if let Some(meter) = self.meter.take() {
            meter.moved(self.bytes, 0);
        }
    }

    fn set_bytes(&mut self, bytes: u64) {
        if let Some(meter) = &self.meter {
            meter.moved(self.bytes, bytes);
        }
        self.bytes = bytes;
    }
}

impl Deref for VirtualSegments {
    type Target = [VirtualSegment];

    fn deref(&self) -> &[VirtualSegment] {
        &self.list
    }
}

impl FromIterator<VirtualSegment> for VirtualSegments {
    fn from_iter<I: IntoIterator<Item = VirtualSegment>>(segments: I) -> Self {
        let list: Vec<VirtualSegment> = segments.into_iter().collect();
        Self { bytes: list.iter().map(|segment| segment.bytes).sum(), list, meter: None }
    }
}

fn fits(open: &VirtualSegment, batch: &VirtualSegment, segment_bytes: u64, segment_ms: i64) -> bool {
    let age = batch.max_timestamp.saturating_sub(open.first_timestamp);
    open.bytes.saturating_add(batch.bytes) <= segment_bytes && (batch.max_timestamp < 0 || age <= segment_ms)
}

/// What is left of the bytes of `[base, end)` from `offset` on.
fn share(bytes: u64, (base, end): (i64, i64), offset: i64) -> u64 {
    let offsets = |from: i64, to: i64| i128::from(to) - i128::from(from);
    let (all, left) = (offsets(base, end).max(1), offsets(offset, end).max(0));
    u64::try_from(i128::from(bytes) * left / all).unwrap_or(bytes).min(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(base_offset: i64, bytes: u64, at: i64) -> VirtualSegment {
        VirtualSegment { base_offset, bytes, first_timestamp: at, max_timestamp: at }
    }

    #[test]
    fn virtual_segments_roll_by_bytes_and_by_time() {
        let mut segments = VirtualSegments::default();
        segments.count(&batch(0, 60, 0), 100, 1_000);
        segments.count(&batch(1, 40, 10), 100, 1_000);
        segments.count(&batch(2, 1, 10), 100, 1_000);
        segments.count(&batch(3, 1, 1_011), 100, 1_000);
        let bases: Vec<i64> = segments.iter().map(|segment| segment.base_offset).collect();
        assert_eq!(bases, [0, 2, 3]);
    }

    #[test]
    fn what_a_log_start_hides_counts_no_more() {
        let mut segments: VirtualSegments = [batch(0, 100, 0), batch(10, 80, 0)].into_iter().collect();
        let meter = Arc::new(Meter::default());
        segments.attach(&meter);
        segments.cut(5, 20);
        assert_eq!((segments.bytes(), meter.bytes(), segments.len()), (130, 130, 2));
        segments.cut(10, 20);
        assert_eq!((segments.bytes(), segments[1].bytes), (80, 80), "the first waits to be passed");
        segments.cut(15, 20);
        assert_eq!((segments.bytes(), segments.len()), (40, 1));
        segments.cut(20, 20);
        assert_eq!((segments.bytes(), meter.bytes(), segments[0].base_offset), (0, 0, 20));
        segments.count(&batch(20, 7, 0), 1_000, 1_000);
        assert_eq!((segments.bytes(), segments.len()), (7, 1), "the last one goes on being filled");
    }

    #[test]
    fn what_a_compaction_left_counts_in_place_of_what_was() {
        let mut segments: VirtualSegments =
            [batch(0, 100, 0), batch(10, 80, 0), batch(20, 40, 0)].into_iter().collect();
        let meter = Arc::new(Meter::default());
        segments.attach(&meter);
        segments.recount(10, [batch(3, 7, 0)].into_iter(), (0, 30));
        assert_eq!((segments.bytes(), meter.bytes(), segments.len()), (127, 127, 3));
        segments.recount(15, [batch(3, 7, 0)].into_iter(), (0, 30));
        let bases: Vec<_> = segments.iter().map(|segment| (segment.base_offset, segment.bytes)).collect();
        assert_eq!(bases, [(3, 7), (15, 40), (20, 40)], "of what it cuts the share is left");
        segments.recount(20, std::iter::empty(), (0, 30));
        assert_eq!((segments.bytes(), meter.bytes(), segments.len()), (40, 40, 1));
    }

    #[test]
    fn a_meter_counts_what_is_attached_to_it() {
        let meter = Arc::new(Meter::default());
        let lists: [VirtualSegments; 2] = [0, 1].map(|base| [batch(base, 10, 0)].into_iter().collect());
        let [mut one, mut other] = lists;
        one.attach(&meter);
        other.attach(&meter);
        other.count(&batch(9, 5, 0), 100, 100);
        assert_eq!(meter.bytes(), 25);
        one.detach();
        one.count(&batch(9, 5, 0), 100, 100);
        assert_eq!(meter.bytes(), 15);
    }
}
