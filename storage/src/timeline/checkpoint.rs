//! Checkpoints: the running structures as a [`Checkpoint`], and back.
//!
//! Invariants: what is taken is the end of the log at one moment between two groups, and it is written out only when that LSN is durable; log files that
//! ended are sealed before, so that the active one is all that the tail covers.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::log_file::{GroupMark, LogFile};
use super::partition::{Inherited, Partition, lock};
use super::pieces::{Chunk, Compacted, Entry, EpochStart, LogStartMove, Pieces};
use super::producers::{Producer, Producers, RememberedBatch};
use super::virtual_segments::VirtualSegment;
use super::{Inner, Origin, Tables};
use crate::frame;
use crate::state::checkpoint::{
    CompactionRecord, EpochRecord, LogStartRecord, PartitionRecord, ProducerRecord, SequenceRecord, TailBatch,
    TailGroup, TailRecord, TailStretch, VirtualSegmentRecord,
};
use crate::state::{Checkpoint, State};
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
        let mut partitions = self.tables.all();
        partitions.sort_by_key(|partition| partition.id());
        let mut checkpoint = Checkpoint {
            lsn: Lsn(core.next_lsn.0 - 1),
            time: core.last_time,
            facts,
            producers: producer_records(&core.producers, expired_before),
            tail: tail_head(&core.active, core.chain),
            ..Checkpoint::default()
        };
        for partition in &partitions {
            add_partition(&mut checkpoint, partition, Some(&core.active));
        }
        self.unsaved_bytes.store(0, Ordering::Relaxed);
        Some(checkpoint)
    }
}

pub(super) fn producer_records(producers: &Producers, expired_before: i64) -> Vec<ProducerRecord> {
    let live = producers.iter().filter(|(.., producer)| producer.last_time >= expired_before);
    let mut records: Vec<_> = live
        .map(|(partition, producer_id, producer)| ProducerRecord {
            partition,
            producer_id,
            epoch: producer.epoch,
            last_append: producer.last_time,
            batches: producer.batches().iter().map(sequence_record).collect(),
        })
        .collect();
    records.sort_by_key(|record| (record.partition, record.producer_id));
    records
}

fn sequence_record(batch: &RememberedBatch) -> SequenceRecord {
    SequenceRecord { first_sequence: batch.first, last_sequence: batch.last, base_offset: batch.base_offset }
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

/// Adds a partition, with what the tail index has of it in a log file.
pub(super) fn add_partition(checkpoint: &mut Checkpoint, partition: &Partition, tail: Option<&Arc<LogFile>>) {
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

/// Puts the partitions of a checkpoint into tables whose state is that of the checkpoint. What a partition inherited is found in the parent.
pub(super) fn restore_partitions(tables: &Tables, checkpoint: &Checkpoint, origin: Option<&Origin>) {
    let mut moves: HashMap<TopicPartition, Vec<LogStartMove>> = HashMap::new();
    for LogStartRecord { partition, lsn, offset } in &checkpoint.log_starts {
        moves.entry(*partition).or_default().push(LogStartMove { lsn: *lsn, offset: *offset });
    }
    let mut compactions: HashMap<TopicPartition, Vec<Compacted>> = HashMap::new();
    for CompactionRecord { partition, lsn, generation, end } in &checkpoint.compactions {
        let made = Compacted { lsn: *lsn, generation: *generation, end: *end };
        compactions.entry(*partition).or_default().push(made);
    }
    for record in &checkpoint.partitions {
        let partition = Partition::new(record.partition, record.log_start, record.end_offset);
        *partition.pieces() = Pieces {
            epochs: record.epochs.iter().map(|e| EpochStart { epoch: e.epoch, start: e.start_offset }).collect(),
            segments: record.segments.iter().map(VirtualSegment::from).collect(),
            log_starts: moves.remove(&record.partition).unwrap_or_default(),
            compactions: compactions.remove(&record.partition).unwrap_or_default(),
            ..Pieces::default()
        };
        if record.inherited_end > 0 {
            let from = origin.and_then(|origin| origin.parent.tables.get_any(record.partition));
            // The parent forgets a partition whose topic was deleted here, too, later than the checkpoint: nobody reads from it.
            let from = from.unwrap_or_else(|| Partition::new(record.partition, 0, 0));
            let branch = origin.map_or(Lsn::ZERO, |origin| origin.branch);
            partition.inherit(Inherited { from, end: record.inherited_end, branch });
        }
        match record.gone_at {
            Some(lsn) => {
                partition.retire(lsn);
                tables.retired.insert(record.partition, partition);
            }
            None => tables.restore(partition),
        }
    }
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

/// Producers as a checkpoint has them.
pub(super) fn restore_producers(records: &[ProducerRecord]) -> Producers {
    let mut producers = Producers::default();
    for record in records {
        let mut producer = Producer::new(record.epoch, record.last_append);
        for batch in &record.batches {
            let (first, last) = (batch.first_sequence, batch.last_sequence);
            producer.push(RememberedBatch { first, last, base_offset: batch.base_offset, append_time: -1 });
        }
        producers.restore(record.partition, record.producer_id, Some(producer));
    }
    producers
}

/// The tail index that a checkpoint has of the log file that was active.
pub(super) fn restore_tail(tables: &Tables, tail: &TailRecord, log: &Arc<LogFile>) {
    for group in &tail.groups {
        let position = u32::try_from(group.position).unwrap_or(u32::MAX);
        log.push_group(GroupMark { lsn: group.lsn, time: group.time, position }, tail.position);
    }
    for stretch in &tail.stretches {
        let found =
            tables.get(stretch.partition).or_else(|| tables.retired.get(&stretch.partition).map(|p| Arc::clone(&p)));
        let Some(partition) = found else { continue };
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

/// Opens what a checkpoint's topics have and its partition records lack.
pub(super) fn open_topics(tables: &Tables, state: &State) {
    for topic in state.topics() {
        tables.open(state, topic);
    }
}
