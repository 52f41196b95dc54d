//! All that a start needs to know of a log up to an LSN: the facts, what was derived from the frames, and where the log
//! goes on. A state-at file and the index are two ways to keep it.
//!
//! Invariants: everything is of the one LSN, which is durable; nothing of a later group is in it. A partition is among the
//! records or in one of the pages, and what a page reaches over has no record. Producers likewise.

use super::fold::State;
use super::packed_page::{PackedPage, all_of};
use crate::{Lsn, TopicPartition};

/// A timeline as it was when the group `lsn` was its last.
#[derive(Debug, Clone, Default)]
pub struct Checkpoint {
    /// The last group that is in it.
    pub lsn: Lsn,
    /// The time of that group, in milliseconds.
    pub time: i64,
    /// What the facts add up to.
    pub facts: State,
    /// Partitions that have or had records, sorted.
    pub partitions: Vec<PartitionRecord>,
    /// The others, in order, as they were packed when they were last written.
    pub(crate) packed: Vec<PackedPage<PartitionRecord>>,
    /// What is remembered of producers: once per partition and producer id, sorted.
    pub producers: Vec<ProducerRecord>,
    /// Of others, as it was packed when it was last written.
    pub(crate) packed_producers: Vec<PackedPage<ProducerRecord>>,
    /// How first offsets were raised, above the history floor: sorted by partition, then LSN.
    pub log_starts: Vec<LogStartRecord>,
    /// The compactions that some view may ask for: sorted by partition, then LSN.
    pub compactions: Vec<CompactionRecord>,
    /// Where the log goes on.
    pub tail: TailRecord,
}

/// What they say, however it is packed.
impl PartialEq for Checkpoint {
    fn eq(&self, other: &Self) -> bool {
        let partitions = |of: &Self| all_of(&of.partitions, &of.packed);
        let producers = |of: &Self| all_of(&of.producers, &of.packed_producers);
        (self.lsn, self.time) == (other.lsn, other.time)
            && self.facts == other.facts
            && partitions(self) == partitions(other)
            && producers(self) == producers(other)
            && self.log_starts == other.log_starts
            && self.compactions == other.compactions
            && self.tail == other.tail
    }
}

impl Eq for Checkpoint {}

/// The ends and epochs of a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionRecord {
    /// Which.
    pub partition: TopicPartition,
    /// The first offset that can be read.
    pub log_start: i64,
    /// The first offset that is not there.
    pub end_offset: i64,
    /// Below it, what there is lies in the parent of the timeline, as of the branch point. 0: nothing.
    pub inherited_end: i64,
    /// The group whose fact deleted its topic; views before it still have the partition.
    pub gone_at: Option<Lsn>,
    /// Its leader epochs, oldest first.
    pub epochs: Vec<EpochRecord>,
    /// Its virtual segments, oldest first: what retention counts by.
    pub segments: Vec<VirtualSegmentRecord>,
}

/// Where an epoch began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EpochRecord {
    /// The leader epoch.
    pub epoch: i32,
    /// Its first offset.
    pub start_offset: i64,
}

/// A stretch of a partition that retention treats as Kafka treats a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VirtualSegmentRecord {
    /// Its first offset.
    pub base_offset: i64,
    /// The bytes of its batches.
    pub bytes: u64,
    /// The timestamp of its first record, −1: none.
    pub first_timestamp: i64,
    /// The greatest timestamp of its records, −1: none.
    pub max_timestamp: i64,
}

/// What a partition remembers of a producer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProducerRecord {
    /// The partition.
    pub partition: TopicPartition,
    /// The producer.
    pub producer_id: i64,
    /// Its epoch.
    pub epoch: i16,
    /// When it last appended, in milliseconds.
    pub last_append: i64,
    /// Its last batches, oldest first, five at the most.
    pub batches: Vec<SequenceRecord>,
}

/// A batch of a producer, by which a duplicate is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SequenceRecord {
    /// The sequence of its first record.
    pub first_sequence: i32,
    /// The sequence of its last record.
    pub last_sequence: i32,
    /// The offset of its first record.
    pub base_offset: i64,
}

/// A first offset that was raised: views below `lsn` still see what was below it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogStartRecord {
    /// Of which.
    pub partition: TopicPartition,
    /// The group whose fact raised it.
    pub lsn: Lsn,
    /// The first offset from that group on.
    pub offset: i64,
}

/// A compaction: views from `lsn` on see what it left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CompactionRecord {
    /// Of which.
    pub partition: TopicPartition,
    /// The group whose fact said so.
    pub lsn: Lsn,
    /// Which it was.
    pub generation: u32,
    /// The first offset that it did not look at.
    pub end: i64,
}

/// The active log file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TailRecord {
    /// Its first LSN, which it is named by.
    pub first_lsn: Lsn,
    /// The byte behind the last group that is in the checkpoint: a scan goes on there.
    pub position: u64,
    /// The CRC field of that group's header, to which the next one is chained; 0 if the file has no group yet.
    pub chain: u32,
    /// Its tail index: per partition the batches in it, sorted by partition.
    pub stretches: Vec<TailStretch>,
    /// Its groups, in order.
    pub groups: Vec<TailGroup>,
}

/// The batches of one partition in the active log file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TailStretch {
    /// Which partition.
    pub partition: TopicPartition,
    /// Its batches, by offset.
    pub batches: Vec<TailBatch>,
}

/// A batch in the active log file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TailBatch {
    /// Its first offset.
    pub base_offset: i64,
    /// The offset behind its last.
    pub end_offset: i64,
    /// The byte at which its frame's header begins.
    pub position: u64,
    /// The bytes of the batch, without the frame's header.
    pub bytes: u32,
    /// Its group.
    pub lsn: Lsn,
    /// The true greatest timestamp of its records, −1: none.
    pub max_timestamp: i64,
}

/// A group in the active log file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TailGroup {
    /// Its number.
    pub lsn: Lsn,
    /// Its time, in milliseconds.
    pub time: i64,
    /// The byte at which its header begins.
    pub position: u64,
}
