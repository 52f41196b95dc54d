//! What two views have in common of a partition, and how many bytes lie between two of its offsets.

use std::sync::Arc;

use super::View;
use crate::error::Result;
use crate::segment::Stretch;
use crate::timeline::{Partition, Place};

impl View {
    /// The offset up to which a partition holds the same records in another view, where it is `there`, whatever either view hides of them: 0 where they
    /// have nothing in common. Two views of one timeline have all up to the end of the older one in common, views of two timelines all up to where these part.
    pub fn common_end(&self, here: &Arc<Partition>, other: &View, there: &Arc<Partition>) -> Result<i64> {
        let (mine, theirs) = (self.lineage(here)?, other.lineage(there)?);
        let met = mine.iter().find_map(|(one, end)| {
            let same = theirs.iter().find(|(other, _)| Arc::ptr_eq(one, other));
            same.map(|(_, other_end)| *end.min(other_end))
        });
        Ok(met.unwrap_or(0))
    }

    /// A partition and what it inherited from, each with the end of what the view has of it.
    fn lineage(&self, partition: &Arc<Partition>) -> Result<Vec<(Arc<Partition>, i64)>> {
        let end = self.bounds(partition)?.high_watermark;
        let mut line = vec![(Arc::clone(partition), end)];
        while let Some(inherited) = line.last().and_then(|(youngest, end)| {
            let inherited = youngest.inherited()?;
            Some((Arc::clone(&inherited.from), inherited.end.min(*end)))
        }) {
            line.push(inherited);
        }
        Ok(line)
    }

    /// Bytes of the batches of a partition that hold an offset of `[from, to)`, which this view shows. May read indexes.
    pub fn bytes_between(&self, partition: &Arc<Partition>, from: i64, to: i64) -> Result<u64> {
        let (mut at, mut bytes) = (from, 0);
        while at < to {
            let place = partition.place(at, self.past());
            let end = to.min(place.limit);
            bytes += held_between(&place, at, end)?;
            at = end;
        }
        Ok(bytes)
    }
}

/// The same of what lies in a partition's own files. What stands for offsets of which a compaction left nothing does not count.
fn held_between(place: &Place<'_>, from: i64, to: i64) -> Result<u64> {
    // Where batches that no view sees are gone, the one before them seems to end at the next that is left: there is no range to ask for in between.
    let is_within = |base_offset: i64, end_offset: i64| base_offset < to && from < end_offset;
    let (sealed, unsealed) = {
        let pieces = place.holder.pieces();
        let tail = if place.generation == 0 { &pieces.tail[..] } else { &[] };
        let batches = tail.iter().flat_map(|chunk| {
            let ends = chunk.entries.iter().skip(1).map(|next| next.base_offset).chain([chunk.end_offset]);
            chunk.entries.iter().zip(ends)
        });
        let within = batches.filter(|(entry, end)| is_within(entry.base_offset, *end));
        let within = within.map(|(entry, _)| u64::from(entry.bytes));
        (pieces.stretches(place.generation).to_vec(), within.sum::<u64>())
    };
    let mut bytes = unsealed;
    for stretch in sealed.iter().filter(|stretch| stretch.first_offset < to && from < stretch.end_offset) {
        let is_whole = from <= stretch.first_offset && stretch.end_offset <= to;
        bytes += if is_whole && place.generation == 0 {
            whole(stretch)
        } else {
            let entries = stretch.entries()?;
            let ends = entries.iter().skip(1).map(|next| next.base_offset).chain([stretch.end_offset]);
            let within = entries.iter().zip(ends).filter(|(entry, end)| is_within(entry.base_offset, *end));
            within.filter(|(entry, _)| !entry.is_hole()).map(|(entry, _)| u64::from(entry.bytes)).sum()
        };
    }
    Ok(bytes)
}

fn whole(stretch: &Stretch) -> u64 {
    let records = stretch.sealed.stretches().iter();
    records.filter(|record| record.partition == stretch.partition).map(|record| record.bytes).sum()
}
