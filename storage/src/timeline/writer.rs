//! The writer: takes what waits in a timeline's queue as one group, decides it, and writes it.
//!
//! Invariants: one thread at a time runs it, holding [`Core`]; it alone moves log ends, producers and pending facts; LSNs go up by one; the time of
//! groups never falls; a group is in the file whole or not at all; its effects are queued before anything is answered.

use std::sync::Arc;

use super::Inner;
use super::append::{Ack, Append, AppendDone, AppendError, AppendPart, Appended, Deliver, Done, Item};
use super::cache_entry;
use super::group::{self, Draft, Encoded, Group, Head, Place};
use super::log_file::{GroupMark, LogFile};
use super::partition::Partition;
use super::pieces::Entry;
use super::producers::{Producers, Sequence, Verdict};
use super::publish::Effects;
use super::virtual_segments::VirtualSegment;
use crate::batch::{BatchHeader, TimestampType};
use crate::error::{Error, Result};
use crate::frame::{self, FrameKind};
use crate::state::{Fact, Pending, Txn, payload};
use crate::units::{Lsn, TopicPartition};

/// What only the writer touches.
pub(super) struct Core {
    /// The file that takes the next group.
    pub active: Arc<LogFile>,
    /// The number of the next group.
    pub next_lsn: Lsn,
    /// Time of the last group.
    pub last_time: i64,
    /// CRC field of the last group header in the active file.
    pub chain: u32,
    /// Raised at every start.
    pub opening: u32,
    /// At the end of the log.
    pub producers: Producers,
    /// Facts that are written and not yet visible.
    pub pending: Pending,
}

/// Somebody who waits for an answer.
pub(super) enum Answer {
    Append(Vec<Result<Appended, AppendError>>, AppendDone),
    Deliver(Deliver),
    Done(Done),
}

impl Answer {
    pub(super) fn succeed(self) {
        match self {
            Answer::Append(results, done) => done(results),
            Answer::Deliver(deliver) => deliver(Ok(())),
            Answer::Done(done) => done(),
        }
    }

    pub(super) fn fail(self, error: &Error) {
        match self {
            Answer::Append(results, done) => {
                let failed = |result: Result<Appended, AppendError>| match result {
                    Ok(_) => Err(AppendError::Storage(error.clone())),
                    refused => refused,
                };
                done(results.into_iter().map(failed).collect());
            }
            Answer::Deliver(deliver) => deliver(Err(error.clone())),
            Answer::Done(done) => done(),
        }
    }
}

impl Core {
    /// Runs items as one group.
    pub(super) fn process(&mut self, timeline: &Arc<Inner>, items: Vec<Item>) {
        self.pending.retire(timeline.visible_lsn());
        let time = timeline.shared.now().max(self.last_time);
        let mut group = Group::new(self.next_lsn, time);
        for item in items {
            self.decide(timeline, &mut group, item);
        }
        if group.drafts.is_empty() && group.facts.is_empty() && group.marker.is_none() {
            return timeline.settle(group);
        }
        if timeline.shared.has_failed() {
            // After a roll that failed half-way the manifest may say that the active file has ended: nothing may come behind that.
            return self.refused(timeline, group, &Error::Closed);
        }
        if let Some(why) = timeline.unwritable() {
            return self.refused(timeline, group, &why);
        }
        match self.write(timeline, &mut group) {
            Ok(encoded) => self.written(timeline, group, &encoded),
            Err(error) => self.refused(timeline, group, &error),
        }
    }

    fn decide(&mut self, timeline: &Arc<Inner>, group: &mut Group, item: Item) {
        match item {
            Item::Append(append, done) => self.decide_append(timeline, group, append, done),
            Item::Transact(decide) => {
                let state = timeline.tables.read_state();
                let mut txn = Txn::new(&state, &self.pending);
                let deliver = decide(&mut txn);
                match txn.into_facts() {
                    Ok(facts) => {
                        self.pending.add(group.lsn, &facts);
                        group.facts.extend(facts);
                        group.on_visible.push(Answer::Deliver(deliver));
                    }
                    Err(error) => deliver(Err(error)),
                }
            }
            Item::Barrier(done) => group.on_visible.push(Answer::Done(done)),
            Item::Idle => group.marker = Some(FrameKind::Idle),
            Item::Epoch(epoch, done) => {
                timeline.tables.begin_epoch(epoch);
                group.marker = Some(FrameKind::Epoch);
                group.on_visible.push(Answer::Deliver(done));
            }
            Item::Roll(done) if timeline.shared.has_failed() => done(Err(Error::Closed)),
            Item::Roll(done) => done(self.roll(timeline)),
        }
    }

    fn decide_append(&mut self, timeline: &Arc<Inner>, group: &mut Group, append: Append, done: AppendDone) {
        let full = timeline.shared.space.refused();
        let results = append.parts.into_iter().map(|part| match &full {
            Some(why) => Err(AppendError::Storage(Error::Full(why.clone()))),
            None => self.decide_part(timeline, group, part),
        });
        let answer = Answer::Append(results.collect(), done);
        match append.ack {
            Ack::Written => group.on_written.push(answer),
            Ack::Visible => group.on_visible.push(answer),
        }
    }

    fn decide_part(
        &mut self,
        timeline: &Arc<Inner>,
        group: &mut Group,
        part: AppendPart,
    ) -> Result<Appended, AppendError> {
        let partition = &part.partition;
        if partition.is_closed() {
            return Err(AppendError::UnknownPartition);
        }
        let append_time = if part.stamp { group.time } else { -1 };
        let base_offset = partition.log_end();
        let log_start = partition.log_start();
        if let Some(sequence) = part.sequence() {
            self.producers.unpack(partition.id());
            let expired_before = group.time.saturating_sub(timeline.shared.options.producer_expiration_ms);
            let is_of_other_name = part.is_new_name && self.is_first_of_inherited(partition, &sequence);
            let check = || self.producers.check(partition.id(), &sequence, expired_before);
            match if is_of_other_name { Verdict::Append } else { check() } {
                Verdict::Append => {}
                Verdict::Duplicate(batch) => {
                    let (base_offset, append_time) = (batch.base_offset, batch.append_time);
                    return Ok(Appended { base_offset, append_time, log_start });
                }
                Verdict::OutOfOrder { expected }
                    if Producers::is_ahead(sequence.first, expected)
                        && self.is_first_of_inherited(partition, &sequence) => {}
                Verdict::OutOfOrder { expected } => {
                    return Err(AppendError::OutOfOrderSequence { expected, found: sequence.first });
                }
                Verdict::OtherName => return Err(AppendError::OtherName),
                Verdict::Fenced { current } => {
                    return Err(AppendError::InvalidProducerEpoch { current, found: sequence.epoch });
                }
            }
            let remembered = sequence.at(base_offset, append_time);
            let before = self.producers.record(partition.id(), &sequence, remembered, group.time);
            group.undo.producers.push((partition.id(), sequence.producer_id, before));
        }
        group.undo.ends.push((Arc::clone(partition), base_offset));
        let draft = record_draft(part, base_offset, timeline.leader_epoch(), append_time);
        let end = base_offset
            .checked_add(i64::from(draft.offsets))
            .ok_or_else(|| AppendError::Storage(Error::Invalid("the partition has used up its offsets".to_owned())))?;
        if let Some(partition) = &draft.partition {
            partition.set_log_end(end);
        }
        group.drafts.push(draft);
        Ok(Appended { base_offset, append_time, log_start })
    }

    fn is_first_of_inherited(&self, partition: &Partition, sequence: &Sequence) -> bool {
        let end = partition.inherited().map_or(0, |inherited| inherited.end);
        self.producers.is_inherited(partition.id(), sequence.producer_id, end)
    }

    fn write(&mut self, timeline: &Arc<Inner>, group: &mut Group) -> Result<Encoded> {
        for batch in payload::encode(&group.facts, group.time)? {
            let id = TopicPartition::new(batch.topic, 0);
            let partition = timeline.internal_partition(id)?;
            let base_offset = partition.log_end();
            group.undo.ends.push((Arc::clone(&partition), base_offset));
            partition.set_log_end(base_offset + i64::from(batch.records));
            group.drafts.push(fact_draft(
                partition,
                batch.payload,
                batch.records,
                base_offset,
                timeline.leader_epoch(),
                group.time,
            ));
        }
        if let Some(kind) = group.marker {
            group.drafts.push(marker(kind, group.time));
        }
        // In recovery facts come back topic by topic: they are folded in that order here, too.
        group.facts.sort_by_key(Fact::topic);
        group.drafts.sort_by_key(|draft| (draft.kind, draft.id));
        let bytes = group.bytes();
        let full = self.active.bytes().saturating_add(bytes) > timeline.shared.options.log_file_bytes;
        if full {
            self.roll(timeline)?;
        }
        let place = Place {
            position: self.active.bytes(),
            durable_lsn: timeline.durable_lsn(),
            opening: self.opening,
            leader_epoch: timeline.leader_epoch(),
            salt: timeline.salt,
            chain: self.chain,
        };
        let encoded = group::encode(group, &place);
        if let Err(error) = self.active.file.write_vectored_at(&encoded.slices(group), place.position) {
            // What is half written must not stand behind the next group; where even this fails the file is not to be trusted further.
            if let Err(again) = self.active.file.truncate(place.position) {
                timeline.fail(&format!("cannot take back a failed write ({error}): {again}"));
            }
            return Err(error);
        }
        Ok(encoded)
    }

    /// Ends the active file and begins the next: the old one is synced to its end before the next is named, and named before it gets a frame.
    /// A file without groups goes on: the next one would have its name.
    fn roll(&mut self, timeline: &Arc<Inner>) -> Result<()> {
        let Some(last) = self.active.last_group() else { return Ok(()) };
        if let Err(error) = self.active.file.sync_data() {
            timeline.fail(&format!("a sync failed: {error}"));
            return Err(error);
        }
        timeline.synced(last.lsn);
        timeline.shared.disk.fail_point("roll.old_synced")?;
        let next = timeline.create_log(self.next_lsn, last.lsn, self.active.bytes())?;
        let old = std::mem::replace(&mut self.active, next);
        self.chain = 0;
        timeline.set_sync_file(&self.active);
        timeline.rolled(old);
        Ok(())
    }

    fn written(&mut self, timeline: &Arc<Inner>, group: Group, encoded: &Encoded) {
        let position = self.active.bytes();
        self.chain = encoded.crc;
        self.next_lsn = group.lsn.next();
        self.last_time = group.time;
        let mark =
            GroupMark { lsn: group.lsn, time: group.time, position: u32::try_from(position).unwrap_or(u32::MAX) };
        self.active.push_group(mark, position + encoded.bytes);
        self.index(timeline, &group, encoded);
        for fact in &group.facts {
            timeline.fact_written(fact, &mut self.producers);
        }
        let ends = group.drafts.into_iter().filter_map(|draft| {
            let end = draft.base_offset + i64::from(draft.offsets);
            draft.partition.map(|partition| (partition, end))
        });
        let effects = Effects {
            lsn: group.lsn,
            time: group.time,
            ends: ends.collect(),
            facts: group.facts,
            answers: group.on_visible,
        };
        // Behind a group that only vouches there is nothing to vouch for: else one would follow the other for ever.
        let vouched = if group.marker == Some(FrameKind::Idle) { group.lsn } else { encoded.vouched };
        timeline.written(effects, &self.active, encoded.bytes, vouched);
        for answer in group.on_written {
            answer.succeed();
        }
    }

    fn index(&self, timeline: &Arc<Inner>, group: &Group, encoded: &Encoded) {
        let mut cached = Vec::with_capacity(group.drafts.len());
        for ((draft, position), head) in group.drafts.iter().zip(&encoded.positions).zip(&encoded.heads) {
            let Some(partition) = &draft.partition else { continue };
            index_draft(&self.active, partition, draft, *position, timeline.leader_epoch());
            if draft.kind == FrameKind::Records {
                cached.push((Arc::clone(partition), cache_entry(draft, head)));
            }
        }
        timeline.shared.cache.insert(cached);
    }

    fn refused(&mut self, timeline: &Inner, group: Group, error: &Error) {
        self.pending.refuse(group.lsn);
        group.undo.take_back(&mut self.producers);
        tracing::warn!(%error, "a group was refused");
        if matches!(error, Error::Full(_)) {
            timeline.shared.space.found_full();
        }
        for answer in group.on_written.into_iter().chain(group.on_visible) {
            answer.fail(error);
        }
    }
}

/// Notes a batch in the tail index, the virtual segments and the epochs. The same function serves the writer and recovery.
pub(super) fn index_draft(log: &Arc<LogFile>, partition: &Arc<Partition>, draft: &Draft, position: u64, epoch: i32) {
    let bytes = draft.payload.len();
    let entry = Entry {
        base_offset: draft.base_offset,
        position: u32::try_from(position + frame::HEADER_BYTES as u64).unwrap_or(u32::MAX),
        bytes: u32::try_from(bytes).unwrap_or(u32::MAX),
        max_timestamp: draft.max_timestamp,
        running_max: draft.max_timestamp,
    };
    let segment = VirtualSegment {
        base_offset: draft.base_offset,
        bytes: bytes as u64,
        first_timestamp: draft.first_timestamp,
        max_timestamp: draft.max_timestamp,
    };
    partition.index(Some(log), entry, &segment, draft.base_offset + i64::from(draft.offsets), epoch);
}

fn record_draft(part: AppendPart, base_offset: i64, epoch: i32, append_time: i64) -> Draft {
    let header = &part.checked.header;
    let (head, max_timestamp, first_timestamp) = if part.stamp {
        let stamped = header.restamped(TimestampType::LogAppend, append_time);
        (Head::Long(placed(&stamped, base_offset, epoch)), append_time, append_time)
    } else if let Some(corrected) = part.checked.corrected() {
        (Head::Long(placed(&corrected, base_offset, epoch)), corrected.max_timestamp(), header.base_timestamp())
    } else {
        let head = Head::Short(header.patch_offset_and_epoch(base_offset, epoch));
        (head, part.checked.max_timestamp.timestamp, header.base_timestamp())
    };
    Draft {
        kind: FrameKind::Records,
        id: part.partition.id(),
        base_offset,
        offsets: header.last_offset_delta().saturating_add(1),
        max_timestamp,
        first_timestamp,
        head,
        payload: part.batch,
        partition: Some(part.partition),
    }
}

/// A header at its place. (It is as long as before: the payload behind it stays.)
fn placed(header: &BatchHeader, base_offset: i64, epoch: i32) -> [u8; frame::BATCH_HEADER_BYTES] {
    let mut head = header.encode();
    head[..16].copy_from_slice(&header.patch_offset_and_epoch(base_offset, epoch));
    head
}

fn fact_draft(
    partition: Arc<Partition>,
    payload: bytes::Bytes,
    records: u32,
    base_offset: i64,
    epoch: i32,
    time: i64,
) -> Draft {
    let mut head = [0; 16];
    head[..8].copy_from_slice(&base_offset.to_be_bytes());
    head[8..12].copy_from_slice(&payload[8..12]);
    head[12..].copy_from_slice(&epoch.to_be_bytes());
    Draft {
        kind: FrameKind::Facts,
        id: partition.id(),
        base_offset,
        offsets: records,
        max_timestamp: time,
        first_timestamp: time,
        head: Head::Short(head),
        payload,
        partition: Some(partition),
    }
}

fn marker(kind: FrameKind, time: i64) -> Draft {
    Draft {
        kind,
        id: TopicPartition::new(crate::units::TopicNumber::FACTS, 0),
        partition: None,
        base_offset: 0,
        offsets: 0,
        max_timestamp: time,
        first_timestamp: time,
        head: Head::AsIs,
        payload: bytes::Bytes::new(),
    }
}
