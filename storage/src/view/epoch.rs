//! Where a leader epoch ends, by which a consumer finds out whether what it has read is still there.
//!
//! A partition knows the epochs of its own history that wrote something. An epoch of another history (of the timeline that a
//! restore left, say, before the restore was undone) ends where the two histories part, even if this one went on from there:
//! by the rule that a missing epoch ends where the one before it did, records would be skipped in silence.

use std::sync::Arc;

use super::{Bounds, View};
use crate::timeline::{EpochStart, Inner, Partition};

impl View {
    /// The greatest leader epoch at or below `epoch` that a partition with these bounds has in common with the history of `epoch`, and the offset where
    /// that ends, as Kafka's `OffsetForLeaderEpoch` has it; `None` if every epoch known is greater.
    pub fn end_for_epoch(&self, partition: &Partition, bounds: &Bounds, epoch: i32) -> Option<(i32, i64)> {
        let mut own = partition.pieces().epochs.clone();
        own.retain(|known| known.start <= bounds.high_watermark);
        let above = own.partition_point(|known| known.epoch <= epoch);
        let known = own.get(above.checked_sub(1)?)?;
        let end = own.get(above).map_or(bounds.high_watermark, |next| next.start);
        if known.epoch == epoch {
            return Some((epoch, end));
        }
        let parted = family(&self.timeline.0).into_iter().find_map(|relative| {
            let other = relative.tables.get_any(partition.id())?.pieces().epochs.clone();
            other.iter().any(|begun| begun.epoch == epoch).then(|| part(&own, &other))
        });
        Some(parted.map_or((known.epoch, end), |(common, at)| (common.unwrap_or(known.epoch), at.min(end))))
    }
}

/// The last epoch that two histories share, and the offset where they part.
fn part(own: &[EpochStart], other: &[EpochStart]) -> (Option<i32>, i64) {
    let common = own.iter().zip(other).take_while(|(a, b)| (a.epoch, a.start) == (b.epoch, b.start)).count();
    let next = |epochs: &[EpochStart]| epochs.get(common).map_or(i64::MAX, |next| next.start);
    let last = common.checked_sub(1).and_then(|last| own.get(last));
    (last.map(|last| last.epoch), next(own).min(next(other)))
}

/// A timeline and all that share some of its history, as far as they are there.
fn family(timeline: &Arc<Inner>) -> Vec<Arc<Inner>> {
    let mut root = Arc::clone(timeline);
    while let Some(parent) = root.origin.as_ref().map(|origin| Arc::clone(&origin.parent)) {
        root = parent;
    }
    let mut family = vec![root];
    let mut next = 0;
    while let Some(known) = family.get(next) {
        let children = known.children();
        family.extend(children);
        next += 1;
    }
    family
}

#[cfg(test)]
mod tests {
    use super::*;

    fn epochs(starts: &[(i32, i64)]) -> Vec<EpochStart> {
        starts.iter().map(|&(epoch, start)| EpochStart { epoch, start }).collect()
    }

    #[test]
    fn histories_part_where_the_first_of_them_goes_its_own_way() {
        let (first, restored, undone) = (epochs(&[(1, 0)]), epochs(&[(1, 0), (2, 60)]), epochs(&[(1, 0), (3, 100)]));
        assert_eq!(part(&undone, &restored), (Some(1), 60));
        assert_eq!(part(&restored, &undone), (Some(1), 60));
        assert_eq!(part(&first, &restored), (Some(1), 60));
        assert_eq!(part(&undone, &epochs(&[(2, 0)])), (None, 0), "it had nothing of the other");
    }
}
