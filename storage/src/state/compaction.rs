//! How far a partition is compacted: kind 3.
//!
//! Key: topic number, partition. Value: version, generation u32, end offset, tombstones (count u32; end offset, time first seen), virtual segments (count u32;
//! base offset, bytes u64, first timestamp, maximum timestamp). For views at this LSN and later, what lies below the end offset is what the compaction of that
//! generation left; views before it see what they saw. It goes with its topic: one of a topic number that does not live is dropped by the fold.

use super::checkpoint::VirtualSegmentRecord;
use super::codec::Reader;
use super::fact::{Kind, Thing, version};
use super::fold::State;
use super::log_start::LogStart;
use crate::{Error, Result, TopicPartition};

const VERSION: u8 = 1;
/// Bytes of one of the tombstones' entries, and of a virtual segment.
const SEEN_BYTES: usize = 16;
const SEGMENT_BYTES: usize = 32;

/// What the last compaction of a partition said of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compaction {
    /// Of which.
    pub partition: TopicPartition,
    /// Which compaction of the timeline it was: the number of its job, and one.
    pub generation: u32,
    /// The first offset that it did not look at.
    pub end: i64,
    /// Where there are tombstones, by offset: below each end, from the one before it on, since when.
    pub tombstones: Vec<Seen>,
    /// What retention counts by below the end.
    pub segments: Vec<VirtualSegmentRecord>,
}

/// Offsets whose tombstones a compaction kept that was the first to see them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// The offset behind the last.
    pub end: i64,
    /// When that was, in milliseconds.
    pub time: i64,
}

impl Compaction {
    /// The same for a timeline that branches off at that age: what is inherited counts as new.
    pub(crate) fn aged(&self, age: i64) -> Self {
        let tombstones = self.tombstones.iter().map(|seen| Seen { time: seen.time.saturating_add(age), ..*seen });
        Self { tombstones: tombstones.collect(), ..self.clone() }
    }

    fn flaw(&self) -> Option<&'static str> {
        let sound = self.end >= 0
            && self.generation > 0
            && self.tombstones.is_sorted_by(|before, after| before.end < after.end)
            && self.tombstones.last().is_none_or(|last| last.end <= self.end)
            && self.segments.is_sorted_by(|before, after| before.base_offset < after.base_offset)
            && self.segments.last().is_none_or(|last| last.base_offset < self.end);
        (!sound).then_some("its offsets are not in order")
    }
}

impl Thing for Compaction {
    type Key = TopicPartition;
    const KIND: Kind = Kind::Compaction;

    fn key(&self) -> TopicPartition {
        self.partition
    }

    fn put_key(key: &TopicPartition, out: &mut Vec<u8>) {
        LogStart::put_key(key, out);
    }

    fn take_key(input: &mut Reader<'_>) -> Result<TopicPartition> {
        LogStart::take_key(input)
    }

    fn put_value(&self, out: &mut Vec<u8>) {
        out.push(VERSION);
        out.extend_from_slice(&self.generation.to_le_bytes());
        out.extend_from_slice(&self.end.to_le_bytes());
        out.extend_from_slice(&count_of(&self.tombstones).to_le_bytes());
        for seen in &self.tombstones {
            out.extend_from_slice(&seen.end.to_le_bytes());
            out.extend_from_slice(&seen.time.to_le_bytes());
        }
        out.extend_from_slice(&count_of(&self.segments).to_le_bytes());
        for segment in &self.segments {
            out.extend_from_slice(&segment.base_offset.to_le_bytes());
            out.extend_from_slice(&segment.bytes.to_le_bytes());
            out.extend_from_slice(&segment.first_timestamp.to_le_bytes());
            out.extend_from_slice(&segment.max_timestamp.to_le_bytes());
        }
    }

    fn take_value(partition: TopicPartition, input: &mut Reader<'_>) -> Result<Self> {
        version(input, VERSION)?;
        let (generation, end) = (input.u32()?, input.i64()?);
        let mut tombstones = Vec::new();
        for _ in 0..input.counted(SEEN_BYTES)? {
            tombstones.push(Seen { end: input.i64()?, time: input.i64()? });
        }
        let mut segments = Vec::new();
        for _ in 0..input.counted(SEGMENT_BYTES)? {
            segments.push(VirtualSegmentRecord {
                base_offset: input.i64()?,
                bytes: input.u64()?,
                first_timestamp: input.i64()?,
                max_timestamp: input.i64()?,
            });
        }
        let compaction = Self { partition, generation, end, tombstones, segments };
        match compaction.flaw() {
            Some(why) => Err(input.damaged(why)),
            None => Ok(compaction),
        }
    }

    fn check(&self) -> Result<()> {
        match self.flaw() {
            Some(why) => Err(Error::Invalid(format!("a compaction of {}: {why}", self.partition))),
            None => Ok(()),
        }
    }

    fn find(state: &State, key: &TopicPartition) -> Option<Self> {
        state.compaction(*key).cloned()
    }

    fn each(state: &State, see: &mut dyn FnMut(Self)) {
        state.compactions().cloned().for_each(see);
    }
}

fn count_of<T>(items: &[T]) -> u32 {
    u32::try_from(items.len()).unwrap_or(u32::MAX)
}
