//! Which partitions are to be compacted, and how far: as Kafka has it, by virtual segments.
//!
//! What was written before the end of the last compaction is *clean*, what was written since is *dirty*, up to the first segment that may not be compacted yet: the one
//! that is being filled (until it is older than `segment.ms`), one with a record younger than `min.compaction.lag.ms`. It is time when the dirty bytes are more than
//! `min.cleanable.dirty.ratio` of all, or the first of them are older than `max.compaction.lag.ms`, or tombstones are past their time.
//!
//! At most once in a history window: not before the floor has reached the last compaction, so that what it put aside is gone when the next one begins. And never the
//! last batch of a partition: whoever reads to the end finds something there.

use std::sync::Arc;

use super::leave;
use crate::error::Result;
use crate::options::{CompactionPolicy, Policy};
use crate::state::Compaction;
use crate::timeline::{Inner, Partition};
use crate::units::Lsn;

/// A partition to compact.
#[derive(Debug)]
pub(super) struct Due {
    pub(super) partition: Arc<Partition>,
    pub(super) policy: Policy,
    pub(super) compaction: CompactionPolicy,
    /// What the last compaction said, here or before this timeline branched off.
    pub(super) last: Option<Compaction>,
    /// The first dirty offset.
    pub(super) dirty: i64,
    /// The first offset that is left as it is.
    pub(super) limit: i64,
    /// All bytes below that.
    pub(super) bytes: u64,
    /// The share of dirty ones among them.
    share: f64,
}

/// The partitions of a timeline that are due, those with the greatest share of dirty bytes first.
pub(super) fn due(inner: &Inner, floor: Lsn) -> Vec<Due> {
    let topics: Vec<_> = {
        let state = inner.tables.read_state();
        let of = |topic: &Arc<_>| (Arc::clone(topic), inner.tables.policy(&state, topic));
        state.topics().map(of).filter(|(_, policy)| policy.compaction.is_some()).collect()
    };
    let mut due = Vec::new();
    for (topic, policy) in topics {
        for partition in inner.tables.partitions_of(&topic) {
            let id = partition.id();
            if inner.files.is_uncompactable(id) {
                continue;
            }
            match look(inner, partition, policy, floor) {
                Ok(found) => due.extend(found),
                Err(error) => leave(inner, id, &error),
            }
        }
    }
    due.sort_by(|a, b| b.share.total_cmp(&a.share));
    due
}

fn look(inner: &Inner, partition: Arc<Partition>, policy: Policy, floor: Lsn) -> Result<Option<Due>> {
    let Some(compaction) = policy.compaction else { return Ok(None) };
    let in_window = partition.pieces().compaction_at(None).is_some_and(|made| made.lsn > floor);
    if in_window || partition.is_closed() {
        return Ok(None);
    }
    let last = inner.tables.read_state().compaction(partition.id()).cloned();
    let dirty = last.as_ref().map_or(0, |last| last.end).max(partition.log_start());
    let segments = partition.pieces().segments.to_vec();
    let (clean, behind) = segments.split_at(segments.partition_point(|segment| segment.base_offset < dirty));
    let now = inner.shared.now();
    let age = |time: i64| now.saturating_sub(time);
    let (mut limit, mut dirty_bytes) = (dirty, 0u64);
    for (nth, segment) in behind.iter().enumerate() {
        let next = behind.get(nth + 1);
        let end = match next {
            Some(next) => next.base_offset,
            None if age(segment.first_timestamp) > policy.segment_ms => last_batch(&partition)?,
            None => break,
        };
        if next.is_some() && end == segment.base_offset {
            continue; // what a log start has left of one
        }
        let is_young = compaction.lag_min_ms > 0 && age(segment.max_timestamp) < compaction.lag_min_ms;
        if end > partition.high_watermark() || end <= segment.base_offset || is_young {
            break;
        }
        (limit, dirty_bytes) = (end, dirty_bytes + segment.bytes);
    }
    let bytes = dirty_bytes + clean.iter().map(|segment| segment.bytes).sum::<u64>();
    let share = share_of(dirty_bytes, bytes);
    let is_late =
        dirty_bytes > 0 && behind.first().is_some_and(|first| age(first.first_timestamp) > compaction.lag_max_ms);
    // Those that the log start has passed are gone, and nothing is to be compacted for them.
    let log_start = partition.log_start();
    let tombstones = last.as_ref().and_then(|last| last.tombstones.iter().find(|seen| seen.end > log_start));
    let is_past = tombstones.is_some_and(|seen| age(seen.time) >= compaction.tombstones_ms);
    let is_due = share > compaction.dirty_ratio_min || is_late || is_past;
    Ok(is_due.then_some(Due { partition, policy, compaction, last, dirty, limit, bytes, share }))
}

#[expect(clippy::cast_precision_loss, reason = "a share of bytes is no less true for its last digits")]
fn share_of(part: u64, all: u64) -> f64 {
    if all == 0 { 0.0 } else { part as f64 / all as f64 }
}

/// The first offset of the last batch that a partition has in its own timeline, 0 if it has none.
fn last_batch(partition: &Partition) -> Result<i64> {
    let stretch = {
        let pieces = partition.pieces();
        if let Some(last) = pieces.tail.last().and_then(|chunk| chunk.entries.last()) {
            return Ok(last.base_offset);
        }
        pieces.sealed.last().cloned()
    };
    let Some(stretch) = stretch else { return Ok(0) };
    Ok(stretch.entries()?.last().map_or(0, |last| last.base_offset))
}
