//! Records by time: the first at or after a time, and the first that has the greatest timestamp; exact to the record.
//!
//! Indexes hold the greatest timestamp of each batch and the running maximum, so that the first batch that reaches a time is found by bisection, and
//! the record by opening the batch. A batch whose inside cannot be read is passed over: its records cannot be found by anyone.

use std::sync::Arc;

use super::read::first_holding;
use super::wanted::check_placed;
use super::{Bounds, View};
use crate::batch::Batch;
use crate::disk::File;
use crate::error::Result;
use crate::timeline::{Chunk, Entry, Partition, Pieces, Place};
use crate::units::Lsn;

/// A record found by time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Found {
    /// Its offset.
    pub offset: i64,
    /// Its timestamp.
    pub timestamp: i64,
    /// The leader epoch it was written under.
    pub leader_epoch: i32,
}

/// An entry that reaches a time, and the offset to go on from if it does not hold the record.
struct Candidate {
    file: Arc<dyn File>,
    entry: Entry,
    next: i64,
}

impl View {
    pub(super) fn find_time_in(&self, partition: &Arc<Partition>, time: i64) -> Result<Option<Found>> {
        self.find_time_within(partition, self.bounds(partition)?, self.past(), time)
    }

    /// The first record at or after a time, within bounds that are given, of what a view shows that stands at a group, or live.
    pub(crate) fn find_time_within(
        &self,
        partition: &Arc<Partition>,
        bounds: Bounds,
        at: Option<Lsn>,
        time: i64,
    ) -> Result<Option<Found>> {
        let most = self.timeline.0.shared.options.plain_bytes_max;
        let mut from = bounds.log_start;
        while from < bounds.high_watermark {
            let place = partition.place(from, at);
            let candidate = candidate(&place, from, time);
            if !partition.is_still_at(&place, from, at) {
                continue;
            }
            let Some(candidate) = candidate? else {
                if place.limit == i64::MAX {
                    return Ok(None);
                }
                // Nothing that was inherited, or was left by a compaction, reaches the time.
                from = place.limit;
                continue;
            };
            let found =
                candidate.each_batch(|batch| batch.first_at_or_after(time, bounds.log_start, most).ok().flatten())?;
            if let Some(record) = found {
                let visible = record.offset < bounds.high_watermark;
                let leader_epoch = self.epoch_of(partition, record.offset);
                return Ok(visible.then_some(Found {
                    offset: record.offset,
                    timestamp: record.timestamp,
                    leader_epoch,
                }));
            }
            from = candidate.next.max(from + 1);
        }
        Ok(None)
    }

    pub(super) fn max_time_in(&self, partition: &Arc<Partition>) -> Result<Option<Found>> {
        let bounds = self.bounds(partition)?;
        let greatest = self.greatest(partition, bounds)?;
        if greatest < 0 { Ok(None) } else { self.find_time_in(partition, greatest) }
    }

    /// The greatest timestamp in bounds. The batch that the log start cuts is opened, since what it holds may be hidden.
    fn greatest(&self, partition: &Arc<Partition>, bounds: Bounds) -> Result<i64> {
        let mut greatest = self.greatest_in_cut(partition, bounds)?;
        let mut from = bounds.log_start;
        while from < bounds.high_watermark {
            let place = partition.place(from, self.past());
            let limit = place.limit.min(bounds.high_watermark);
            let found = greatest_in(&place, from, limit, greatest);
            if partition.is_still_at(&place, from, self.past()) {
                greatest = greatest.max(found?);
                from = limit;
            }
        }
        Ok(greatest)
    }

    /// The greatest visible timestamp of the entry in which the log start lies, −1 where it is the entry's first offset.
    fn greatest_in_cut(&self, partition: &Arc<Partition>, bounds: Bounds) -> Result<i64> {
        let place = partition.place(bounds.log_start, self.past());
        let Some(cut) = candidate(&place, bounds.log_start, i64::MIN)? else { return Ok(-1) };
        if cut.entry.base_offset >= bounds.log_start {
            return Ok(-1);
        }
        let mut greatest = -1;
        let most = self.timeline.0.shared.options.plain_bytes_max;
        cut.each_batch(|batch| {
            // A batch that cannot be read has nothing to be found.
            let _unreadable = batch.for_each_record(most, |record| {
                if (bounds.log_start..bounds.high_watermark).contains(&record.offset) {
                    greatest = greatest.max(record.timestamp);
                }
            });
            None::<()>
        })?;
        Ok(greatest)
    }
}

/// The greatest timestamp of the batches of a place that begin in `[log_start, limit)`, if it is above one that is known.
fn greatest_in(place: &Place<'_>, log_start: i64, limit: i64, known: i64) -> Result<i64> {
    let mut greatest = known;
    let sealed = {
        let pieces = place.holder.pieces();
        for chunk in tail(&pieces, place).iter().filter(|chunk| chunk.end_offset > log_start) {
            greatest = greatest.max(greatest_between(&chunk.entries, log_start, limit));
        }
        let stretches = pieces.stretches(place.generation).iter();
        let inside = stretches.filter(|stretch| stretch.end_offset > log_start && stretch.first_offset < limit);
        inside.filter(|stretch| stretch.max_timestamp > greatest).cloned().collect::<Vec<_>>()
    };
    for stretch in sealed {
        let whole = stretch.first_offset >= log_start && stretch.end_offset <= limit;
        let max = if whole { stretch.max_timestamp } else { greatest_between(&stretch.entries()?, log_start, limit) };
        greatest = greatest.max(max);
    }
    Ok(greatest)
}

impl Candidate {
    /// Shows the batches of the entry, until one gives something.
    fn each_batch<T>(&self, mut see: impl FnMut(&Batch<'_>) -> Option<T>) -> Result<Option<T>> {
        let Entry { position, bytes, mut base_offset, .. } = self.entry;
        let block = self.file.read_exact_at(u64::from(position), bytes as usize)?;
        let mut rest = &block[..];
        while !rest.is_empty() {
            let batch = check_placed(rest, base_offset)?;
            base_offset = batch.header().next_offset();
            if let Some(found) = see(&batch) {
                return Ok(Some(found));
            }
            rest = &rest[batch.bytes().len()..];
        }
        Ok(None)
    }
}

/// The greatest timestamp of the entries that begin in `[from, to)`.
fn greatest_between(entries: &[Entry], from: i64, to: i64) -> i64 {
    let first = entries.partition_point(|entry| entry.base_offset < from);
    let end = entries.partition_point(|entry| entry.base_offset < to);
    match (first, end.checked_sub(1)) {
        (_, None) => -1,
        (0, Some(last)) => entries[last].running_max,
        (first, _) => entries[first..end.max(first)].iter().map(|entry| entry.max_timestamp).max().unwrap_or(-1),
    }
}

/// What of a place is in files that are not sealed.
fn tail<'a>(pieces: &'a Pieces, place: &Place<'_>) -> &'a [Chunk] {
    if place.generation == 0 { &pieces.tail } else { &[] }
}

/// The first entry of a place that ends behind `from` and reaches `time`.
fn candidate(place: &Place<'_>, from: i64, time: i64) -> Result<Option<Candidate>> {
    let is_within = |found: &Candidate| found.entry.base_offset < place.limit;
    let mut from = from;
    loop {
        let stretch = {
            let pieces = place.holder.pieces();
            let stretches = pieces.stretches(place.generation);
            let first = stretches.partition_point(|stretch| stretch.end_offset <= from);
            let sealed = stretches[first..].iter().find(|stretch| stretch.max_timestamp >= time);
            let Some(stretch) = sealed else {
                return Ok(in_tail(tail(&pieces, place), from, time).filter(is_within));
            };
            stretch.clone()
        };
        let entries = stretch.entries()?;
        if let Some(at) = first_reaching(&entries, from, time) {
            return Ok(Some(in_list(stretch.file(), &entries, at, stretch.end_offset)).filter(is_within));
        }
        from = stretch.end_offset;
    }
}

fn in_tail(tail: &[Chunk], from: i64, time: i64) -> Option<Candidate> {
    tail.iter().filter(|chunk| chunk.end_offset > from).find_map(|chunk| {
        let at = first_reaching(&chunk.entries, from, time)?;
        Some(in_list(Arc::clone(&chunk.log.file), &chunk.entries, at, chunk.end_offset))
    })
}

fn in_list(file: Arc<dyn File>, entries: &[Entry], at: usize, end: i64) -> Candidate {
    let next = entries.get(at + 1).map_or(end, |next| next.base_offset);
    Candidate { file, entry: entries[at], next }
}

/// The first entry at or behind `from` whose own maximum reaches `time`. What lies before `from` may already have reached it; then
/// running maxima say nothing and each is looked at.
fn first_reaching(entries: &[Entry], from: i64, time: i64) -> Option<usize> {
    let first = first_holding(entries, from);
    let hidden = first.checked_sub(1).is_some_and(|before| entries[before].running_max >= time);
    let at = if hidden {
        first + entries[first..].iter().position(|entry| entry.max_timestamp >= time)?
    } else {
        entries.partition_point(|entry| entry.running_max < time)
    };
    (at < entries.len()).then_some(at)
}
