//! Checkpoints: the running structures as a [`Checkpoint`], and back.
//!
//! Invariants: what is taken is the end of the log at one moment between two groups, and it is written out only when that LSN is durable; log files that
//! ended are sealed before, so that the active one is all that the tail covers.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::log_file::{GroupMark, LogFile};
use super::partition::{Inherited, Partition, lock};
use super::pieces::{Chunk, Compacted, Entry, EpochStart, LogStartMove, Pieces};
use super::virtual_segments::VirtualSegment;
use super::{Inner, Origin, Tables};
use crate::frame;
use crate::state::Checkpoint;
use crate::state::checkpoint::{
    CompactionRecord, EpochRecord, LogStartRecord, PartitionRecord, TailBatch, TailGroup, TailRecord, TailStretch,
    VirtualSegmentRecord,
};
use crate::units::{Lsn, TopicPartition};

impl Inner {
    /// The end of the log as a checkpoint; `None` while a log file that ended is not sealed yet. Stops the writer for as long as it takes to sync and
    /// to copy.
    pub(crate) fn checkpoint(&self) -> Option<Checkpoint> {
        let guard = lock(&self.core);
        let core = guard.as_ref()?;
        if !lock(&self.unsealed).is_empty() {
            return None;
        }
        // What is written and not visible yet has moved log ends, and neither the facts nor what they do to partitions: it is made visible first. No
        // more comes while the writer is held.
        if !lock(&self.unseen).is_empty() {
            self.sync_now().ok()?;
        }
        let turn = lock(&self.publishing);
        if !lock(&self.unseen).is_empty() {
            return None;
        }
        let facts = self.tables.read_state().clone();
        drop(turn);
        let expired_before = core.last_time.saturating_sub(self.shared.options.producer_expiration_ms);
        let mut checkpoint = Checkpoint {
            lsn: Lsn(core.next_lsn.0 - 1),
            time: core.last_time,
            facts,
            tail: tail_head(&core.active, core.chain),
            ..Checkpoint::default()
        };
        core.producers.give(&mut checkpoint, expired_before);
        let opened = self.tables.give_packed(&mut checkpoint);
        add_partitions(&mut checkpoint, &opened, Some(&core.active));
        self.unsaved_bytes.store(0, Ordering::Relaxed);
        Some(checkpoint)
    }
}

fn tail_head(active: &LogFile, chain: u32) -> TailRecord {
    let groups = active.groups();
    let groups =
        groups.iter().map(|group| TailGroup { lsn: group.lsn, time: group.time, position: u64::from(group.position) });
    TailRecord {
        first_lsn: active.first_lsn,
        position: active.bytes(),
        chain,
        stretches: Vec::new(),
        groups: groups.collect(),
    }
}

/// Adds partitions that are not packed, in order, each with what the tail index has of it in a log file.
pub(super) fn add_partitions(checkpoint: &mut Checkpoint, partitions: &[Arc<Partition>], tail: Option<&Arc<LogFile>>) {
    for partition in partitions {
        add_partition(checkpoint, partition, tail);
    }
    // Those of packed ones are there already.
    checkpoint.log_starts.sort_by_key(|moved| (moved.partition, moved.lsn));
    checkpoint.compactions.sort_by_key(|made| (made.partition, made.lsn));
}

fn add_partition(checkpoint: &mut Checkpoint, partition: &Partition, tail: Option<&Arc<LogFile>>) {
    let pieces = partition.pieces();
    checkpoint.partitions.push(PartitionRecord {
        partition: partition.id(),
        log_start: partition.log_start(),
        end_offset: partition.log_end(),
        inherited_end: partition.inherited().map_or(0, |inherited| inherited.end),
        gone_at: Some(partition.gone_at()).filter(|lsn| *lsn != Lsn::MAX),
        epochs: pieces.epochs.iter().map(|e| EpochRecord { epoch: e.epoch, start_offset: e.start }).collect(),
        segments: pieces.segments.iter().map(VirtualSegmentRecord::from).collect(),
    });
    let moves = pieces.log_starts.iter();
    checkpoint.log_starts.extend(moves.map(|moved| LogStartRecord {
        partition: partition.id(),
        lsn: moved.lsn,
        offset: moved.offset,
    }));
    let made = pieces.compactions.iter();
    checkpoint.compactions.extend(made.map(|made| CompactionRecord {
        partition: partition.id(),
        lsn: made.lsn,
        generation: made.generation,
        end: made.end,
    }));
    let chunk = tail.and_then(|log| pieces.tail.iter().find(|chunk| Arc::ptr_eq(&chunk.log, log)));
    checkpoint.tail.stretches.extend(chunk.map(|chunk| tail_stretch(partition.id(), chunk)));
}

impl From<&VirtualSegment> for VirtualSegmentRecord {
    fn from(segment: &VirtualSegment) -> Self {
        Self {
            base_offset: segment.base_offset,
            bytes: segment.bytes,
            first_timestamp: segment.first_timestamp,
            max_timestamp: segment.max_timestamp,
        }
    }
}

fn tail_stretch(partition: TopicPartition, chunk: &Chunk) -> TailStretch {
    let ends = chunk.entries[1..].iter().map(|next| next.base_offset).chain([chunk.end_offset]);
    let batches = chunk.entries.iter().zip(ends).map(|(entry, end_offset)| TailBatch {
        base_offset: entry.base_offset,
        end_offset,
        position: u64::from(entry.position) - frame::HEADER_BYTES as u64,
        bytes: entry.bytes,
        lsn: chunk.log.group_of(u64::from(entry.position)).map_or(Lsn::ZERO, |group| group.lsn),
        max_timestamp: entry.max_timestamp,
    });
    TailStretch { partition, batches: batches.collect() }
}

/// A partition as a checkpoint has it: its record, the moves of its log start and its compactions. What it inherited is found in the parent.
pub(super) fn restored(
    record: &PartitionRecord,
    (log_starts, compactions): (&[LogStartRecord], &[CompactionRecord]),
    origin: Option<&Origin>,
) -> Arc<Partition> {
    let partition = Partition::new(record.partition, record.log_start, record.end_offset);
    let branch = origin.map_or(Lsn::ZERO, |origin| origin.branch);
    let made = |made: &CompactionRecord| Compacted { lsn: made.lsn, generation: made.generation, end: made.end };
    let mut log_starts: Vec<_> =
        log_starts.iter().map(|moved| LogStartMove { lsn: moved.lsn, offset: moved.offset }).collect();
    if log_starts.is_empty() && record.log_start > 0 && record.inherited_end > 0 {
        // It has begun there ever since the timeline was born.
        log_starts.push(LogStartMove { lsn: branch, offset: record.log_start });
    }
    *partition.pieces() = Pieces {
        epochs: record.epochs.iter().map(|e| EpochStart { epoch: e.epoch, start: e.start_offset }).collect(),
        segments: record.segments.iter().map(VirtualSegment::from).collect(),
        log_starts,
        compactions: compactions.iter().map(made).collect(),
        ..Pieces::default()
    };
    if record.inherited_end > 0 {
        let from = origin.and_then(|origin| origin.parent.tables.get_any(record.partition));
        // The parent forgets a partition whose topic was deleted here, too, later than the checkpoint: nobody reads from it.
        let from = from.unwrap_or_else(|| Partition::new(record.partition, 0, 0));
        partition.inherit(Inherited { from, end: record.inherited_end, branch });
    }
    if let Some(lsn) = record.gone_at {
        partition.retire(lsn);
    }
    partition
}

impl From<&VirtualSegmentRecord> for VirtualSegment {
    fn from(record: &VirtualSegmentRecord) -> Self {
        Self {
            base_offset: record.base_offset,
            bytes: record.bytes,
            first_timestamp: record.first_timestamp,
            max_timestamp: record.max_timestamp,
        }
    }
}

/// The tail index that a checkpoint has of the log file that was active.
pub(super) fn restore_tail(tables: &Tables, tail: &TailRecord, log: &Arc<LogFile>) {
    for group in &tail.groups {
        let position = u32::try_from(group.position).unwrap_or(u32::MAX);
        log.push_group(GroupMark { lsn: group.lsn, time: group.time, position }, tail.position);
    }
    for stretch in &tail.stretches {
        let Some(partition) = tables.get_any(stretch.partition) else { continue };
        let entries = with_running_max(stretch.batches.iter().map(entry));
        let end_offset = stretch.batches.last().map_or(0, |last| last.end_offset);
        partition.pieces().tail.push(Chunk { log: Arc::clone(log), entries, end_offset });
        log.touch(&partition);
    }
}

fn entry(batch: &TailBatch) -> Entry {
    Entry {
        base_offset: batch.base_offset,
        position: u32::try_from(batch.position + frame::HEADER_BYTES as u64).unwrap_or(u32::MAX),
        bytes: batch.bytes,
        max_timestamp: batch.max_timestamp,
        running_max: batch.max_timestamp,
    }
}

/// Sets the running maxima of entries in order.
pub(crate) fn with_running_max(entries: impl Iterator<Item = Entry>) -> Vec<Entry> {
    let mut running = -1;
    let raise = |mut entry: Entry| {
        running = entry.max_timestamp.max(running);
        entry.running_max = running;
        entry
    };
    entries.map(raise).collect()
}
