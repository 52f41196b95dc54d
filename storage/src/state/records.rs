//! The entries of a checkpoint as bytes: each kind of entry, its key, and how it is packed behind the one before it.
//!
//! Numbers are varints (seven bits a byte, the lowest first), signed ones with the sign in the lowest bit; a difference
//! wraps, so that any two numbers have one. Keys are big endian, so that their bytes have the entries' order.

use super::checkpoint::{
    CompactionRecord, EpochRecord, LogStartRecord, PartitionRecord, ProducerRecord, SequenceRecord, TailBatch,
    TailGroup, VirtualSegmentRecord,
};
use super::codec::{Reader, put_varint, put_zigzag};
use crate::{Lsn, Result, TopicNumber, TopicPartition};

/// A kind of entry.
pub(crate) trait Entry: Sized {
    /// What the entries of a page are, in words.
    const WHAT: &'static str;
    /// What a sorted list of them is sorted by, and what none shares with another.
    fn put_key(&self, out: &mut Vec<u8>);
    /// Appends the entry; `before` is the one before it in the same page.
    fn put(&self, before: Option<&Self>, out: &mut Vec<u8>);
    /// Reads what [`put`](Self::put) wrote.
    fn take(before: Option<&Self>, input: &mut Reader<'_>) -> Result<Self>;
}

/// A kind of entry that does not depend on the one before it, and can be read into the memory of another.
pub(crate) trait Refill: Entry {
    /// What [`refill`](Self::refill) begins with.
    fn nothing() -> Self;
    /// Reads what [`put`](Entry::put) wrote, in place of this.
    fn refill(&mut self, input: &mut Reader<'_>) -> Result<()>;
}

/// A batch of the tail, and whose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TailEntry {
    pub(super) partition: TopicPartition,
    pub(super) batch: TailBatch,
}

impl Entry for PartitionRecord {
    const WHAT: &'static str = "partitions of a checkpoint";

    fn put_key(&self, out: &mut Vec<u8>) {
        key_of_partition(self.partition, out);
    }

    fn put(&self, _: Option<&Self>, out: &mut Vec<u8>) {
        put_partition(self.partition, out);
        put_zigzag(out, self.log_start);
        put_zigzag(out, self.end_offset.wrapping_sub(self.log_start));
        put_zigzag(out, self.inherited_end);
        put_varint(out, self.gone_at.map_or(0, |lsn| lsn.0.saturating_add(1)));
        put_varint(out, self.epochs.len() as u64);
        for epoch in &self.epochs {
            put_zigzag(out, epoch.epoch.into());
            put_zigzag(out, epoch.start_offset);
        }
        put_varint(out, self.segments.len() as u64);
        let mut base_offset = 0i64;
        for segment in &self.segments {
            put_zigzag(out, segment.base_offset.wrapping_sub(base_offset));
            put_varint(out, segment.bytes);
            put_zigzag(out, segment.first_timestamp);
            put_zigzag(out, segment.max_timestamp.wrapping_sub(segment.first_timestamp));
            base_offset = segment.base_offset;
        }
    }

    fn take(_: Option<&Self>, input: &mut Reader<'_>) -> Result<Self> {
        let mut record = Self::nothing();
        record.refill(input)?;
        Ok(record)
    }
}

impl Refill for PartitionRecord {
    fn nothing() -> Self {
        let (epochs, segments) = Default::default();
        Self { partition: START, log_start: 0, end_offset: 0, inherited_end: 0, gone_at: None, epochs, segments }
    }

    fn refill(&mut self, input: &mut Reader<'_>) -> Result<()> {
        self.partition = take_partition(input)?;
        self.log_start = input.zigzag()?;
        self.end_offset = self.log_start.wrapping_add(input.zigzag()?);
        self.inherited_end = input.zigzag()?;
        self.gone_at = input.varint()?.checked_sub(1).map(Lsn);
        let count = input.count(2)?;
        self.epochs.clear();
        self.epochs.reserve_exact(count);
        for _ in 0..count {
            self.epochs.push(EpochRecord { epoch: input.zigzag_i32()?, start_offset: input.zigzag()? });
        }
        let count = input.count(4)?;
        self.segments.clear();
        self.segments.reserve_exact(count);
        let mut base_offset = 0i64;
        for _ in 0..count {
            base_offset = base_offset.wrapping_add(input.zigzag()?);
            let bytes = input.varint()?;
            let first_timestamp = input.zigzag()?;
            let max_timestamp = first_timestamp.wrapping_add(input.zigzag()?);
            self.segments.push(VirtualSegmentRecord { base_offset, bytes, first_timestamp, max_timestamp });
        }
        Ok(())
    }
}

impl Entry for ProducerRecord {
    const WHAT: &'static str = "producers of a checkpoint";

    fn put_key(&self, out: &mut Vec<u8>) {
        key_of_producer((self.partition, self.producer_id), out);
    }

    fn put(&self, _: Option<&Self>, out: &mut Vec<u8>) {
        put_partition(self.partition, out);
        put_zigzag(out, self.producer_id);
        put_zigzag(out, self.epoch.into());
        put_zigzag(out, self.last_append);
        put_varint(out, self.batches.len() as u64);
        for batch in &self.batches {
            put_zigzag(out, batch.first_sequence.into());
            put_zigzag(out, batch.last_sequence.into());
            put_zigzag(out, batch.base_offset);
        }
    }

    fn take(_: Option<&Self>, input: &mut Reader<'_>) -> Result<Self> {
        let mut record = Self::nothing();
        record.refill(input)?;
        Ok(record)
    }
}

impl Refill for ProducerRecord {
    fn nothing() -> Self {
        Self { partition: START, producer_id: 0, epoch: 0, last_append: 0, batches: Vec::new() }
    }

    fn refill(&mut self, input: &mut Reader<'_>) -> Result<()> {
        self.partition = take_partition(input)?;
        self.producer_id = input.zigzag()?;
        self.epoch = i16::try_from(input.zigzag()?).map_err(|_| input.damaged("an epoch that is none"))?;
        self.last_append = input.zigzag()?;
        let count = input.count(3)?;
        self.batches.clear();
        self.batches.reserve_exact(count);
        for _ in 0..count {
            let (first_sequence, last_sequence) = (input.zigzag_i32()?, input.zigzag_i32()?);
            self.batches.push(SequenceRecord { first_sequence, last_sequence, base_offset: input.zigzag()? });
        }
        Ok(())
    }
}

impl Entry for LogStartRecord {
    const WHAT: &'static str = "log starts of a checkpoint";

    fn put_key(&self, out: &mut Vec<u8>) {
        key_of_partition(self.partition, out);
        out.extend_from_slice(&self.lsn.0.to_be_bytes());
    }

    fn put(&self, _: Option<&Self>, out: &mut Vec<u8>) {
        put_partition(self.partition, out);
        put_varint(out, self.lsn.0);
        put_zigzag(out, self.offset);
    }

    fn take(_: Option<&Self>, input: &mut Reader<'_>) -> Result<Self> {
        let partition = take_partition(input)?;
        Ok(Self { partition, lsn: Lsn(input.varint()?), offset: input.zigzag()? })
    }
}

impl Entry for CompactionRecord {
    const WHAT: &'static str = "compactions of a checkpoint";

    fn put_key(&self, out: &mut Vec<u8>) {
        key_of_partition(self.partition, out);
        out.extend_from_slice(&self.lsn.0.to_be_bytes());
    }

    fn put(&self, _: Option<&Self>, out: &mut Vec<u8>) {
        put_partition(self.partition, out);
        put_varint(out, self.lsn.0);
        put_varint(out, self.generation.into());
        put_zigzag(out, self.end);
    }

    fn take(_: Option<&Self>, input: &mut Reader<'_>) -> Result<Self> {
        let (partition, lsn) = (take_partition(input)?, Lsn(input.varint()?));
        Ok(Self { partition, lsn, generation: input.varint_u32()?, end: input.zigzag()? })
    }
}

impl Entry for TailEntry {
    const WHAT: &'static str = "the tail index of a checkpoint";

    fn put_key(&self, out: &mut Vec<u8>) {
        key_of_partition(self.partition, out);
        key_of_i64(self.batch.base_offset, out);
    }

    fn put(&self, before: Option<&Self>, out: &mut Vec<u8>) {
        let (at, last) = before.map_or((START, TailBatch::START), |before| (before.partition, before.batch));
        let batch = &self.batch;
        put_varint(out, self.partition.topic.0.wrapping_sub(at.topic.0).into());
        put_zigzag(out, i64::from(self.partition.partition).wrapping_sub(at.partition.into()));
        put_zigzag(out, batch.base_offset.wrapping_sub(last.end_offset));
        put_zigzag(out, batch.end_offset.wrapping_sub(batch.base_offset));
        put_zigzag(out, batch.position.wrapping_sub(last.position).cast_signed());
        put_varint(out, batch.bytes.into());
        put_zigzag(out, batch.lsn.0.wrapping_sub(last.lsn.0).cast_signed());
        put_zigzag(out, batch.max_timestamp.wrapping_sub(last.max_timestamp));
    }

    fn take(before: Option<&Self>, input: &mut Reader<'_>) -> Result<Self> {
        let (at, last) = before.map_or((START, TailBatch::START), |before| (before.partition, before.batch));
        let topic = TopicNumber(at.topic.0.wrapping_add(input.varint_u32()?));
        let partition = i64::from(at.partition).wrapping_add(input.zigzag()?);
        let partition = u32::try_from(partition).map_err(|_| input.damaged("a partition that is none"))?;
        let base_offset = last.end_offset.wrapping_add(input.zigzag()?);
        let end_offset = base_offset.wrapping_add(input.zigzag()?);
        let position = last.position.wrapping_add_signed(input.zigzag()?);
        let bytes = input.varint_u32()?;
        let lsn = Lsn(last.lsn.0.wrapping_add_signed(input.zigzag()?));
        let max_timestamp = last.max_timestamp.wrapping_add(input.zigzag()?);
        let batch = TailBatch { base_offset, end_offset, position, bytes, lsn, max_timestamp };
        Ok(Self { partition: TopicPartition::new(topic, partition), batch })
    }
}

impl Entry for TailGroup {
    const WHAT: &'static str = "the groups of a checkpoint";

    fn put_key(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.lsn.0.to_be_bytes());
    }

    fn put(&self, before: Option<&Self>, out: &mut Vec<u8>) {
        let last = before.copied().unwrap_or(Self::START);
        put_varint(out, self.lsn.0.wrapping_sub(last.lsn.0));
        put_zigzag(out, self.time.wrapping_sub(last.time));
        put_varint(out, self.position.wrapping_sub(last.position));
    }

    fn take(before: Option<&Self>, input: &mut Reader<'_>) -> Result<Self> {
        let last = before.copied().unwrap_or(Self::START);
        let lsn = Lsn(last.lsn.0.wrapping_add(input.varint()?));
        let time = last.time.wrapping_add(input.zigzag()?);
        Ok(Self { lsn, time, position: last.position.wrapping_add(input.varint()?) })
    }
}

const START: TopicPartition = TopicPartition { topic: TopicNumber(0), partition: 0 };

impl TailBatch {
    const START: Self = Self { base_offset: 0, end_offset: 0, position: 0, bytes: 0, lsn: Lsn::ZERO, max_timestamp: 0 };
}

impl TailGroup {
    const START: Self = Self { lsn: Lsn::ZERO, time: 0, position: 0 };
}

fn put_partition(partition: TopicPartition, out: &mut Vec<u8>) {
    put_varint(out, partition.topic.0.into());
    put_varint(out, partition.partition.into());
}

fn take_partition(input: &mut Reader<'_>) -> Result<TopicPartition> {
    Ok(TopicPartition::new(TopicNumber(input.varint_u32()?), input.varint_u32()?))
}

pub(super) fn key_of_partition(partition: TopicPartition, out: &mut Vec<u8>) {
    out.extend_from_slice(&partition.topic.0.to_be_bytes());
    out.extend_from_slice(&partition.partition.to_be_bytes());
}

pub(super) fn key_of_producer((partition, producer_id): (TopicPartition, i64), out: &mut Vec<u8>) {
    key_of_partition(partition, out);
    key_of_i64(producer_id, out);
}

/// The sign flipped, so that the order of the bytes is that of the numbers.
fn key_of_i64(value: i64, out: &mut Vec<u8>) {
    out.extend_from_slice(&(value ^ i64::MIN).to_be_bytes());
}
