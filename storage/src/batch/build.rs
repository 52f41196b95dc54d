//! Batches of our own: facts, markers, what compaction leaves, and what a client of ours produces.
//!
//! Records are given in the order of their offsets, which need not be consecutive. The base timestamp is the first
//! record's, the maximum that of all. A batch's attributes are set before its records.

use std::io;

use super::codec::{self, Codec};
use super::header::{Attributes, BatchHeader, Fields, HeaderError, TimestampType};
use super::records::Header;
use super::{HEADER_BYTES, NO_TIMESTAMP, varint};

/// Why a batch cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// An offset that is not above that of the record before, or more than an `i32` above the first.
    #[error("offset {offset} cannot follow in a batch that begins at {base_offset} and is at {next_offset}")]
    Offset {
        /// The offset given.
        offset: i64,
        /// Where the batch begins.
        base_offset: i64,
        /// The least that is possible now.
        next_offset: i64,
    },
    /// A timestamp too far from the first.
    #[error("timestamp {timestamp} is too far from the first, {base_timestamp}")]
    Timestamp {
        /// The timestamp given.
        timestamp: i64,
        /// That of the first record.
        base_timestamp: i64,
    },
    /// More bytes than a batch can have.
    #[error("{0} bytes are more than a batch can have")]
    TooLarge(usize),
    /// What was set cannot be.
    #[error(transparent)]
    Header(#[from] HeaderError),
    /// The codec refused.
    #[error("compression failed: {0}")]
    Codec(#[from] io::Error),
}

/// A record to be written.
#[derive(Clone, Copy, Debug, Default)]
pub struct NewRecord<'a> {
    /// Its timestamp in milliseconds, −1: none.
    pub timestamp: i64,
    /// Its key.
    pub key: Option<&'a [u8]>,
    /// Its value.
    pub value: Option<&'a [u8]>,
    /// Its headers, in order.
    pub headers: &'a [Header<'a>],
}

/// Makes a batch.
#[derive(Clone, Debug)]
pub struct BatchBuilder {
    codec: Codec,
    attributes: Attributes,
    base_offset: i64,
    leader_epoch: i32,
    producer: (i64, i16, i32),
    delete_horizon_ms: Option<i64>,
    append_time: Option<i64>,
    last_offset: Option<i64>,
    next_offset: i64,
    times: Option<Times>,
    count: i32,
    records: Vec<u8>,
}

#[derive(Clone, Copy, Debug)]
struct Times {
    base: i64,
    max: i64,
}

impl Default for BatchBuilder {
    fn default() -> Self {
        Self::new()
    }
}

impl BatchBuilder {
    /// A batch at offset 0, of no producer, not compressed, its timestamps the records' own.
    pub fn new() -> Self {
        Self {
            codec: Codec::None,
            attributes: Attributes::default(),
            base_offset: 0,
            leader_epoch: -1,
            producer: (-1, -1, -1),
            delete_horizon_ms: None,
            append_time: None,
            last_offset: None,
            next_offset: 0,
            times: None,
            count: 0,
            records: Vec::new(),
        }
    }

    /// Compresses the records.
    #[must_use]
    pub fn codec(mut self, codec: Codec) -> Self {
        self.codec = codec;
        self
    }

    /// The offset of the first record.
    #[must_use]
    pub fn base_offset(mut self, base_offset: i64) -> Self {
        self.base_offset = base_offset;
        self.next_offset = base_offset;
        self
    }

    /// The last offset that the batch stands for, where that of its last record is less.
    #[must_use]
    pub fn last_offset(mut self, last_offset: i64) -> Self {
        self.last_offset = Some(last_offset);
        self
    }

    /// The leader epoch.
    #[must_use]
    pub fn leader_epoch(mut self, leader_epoch: i32) -> Self {
        self.leader_epoch = leader_epoch;
        self
    }

    /// Who writes, and as which of its writes.
    #[must_use]
    pub fn producer(mut self, id: i64, epoch: i16, base_sequence: i32) -> Self {
        self.producer = (id, epoch, base_sequence);
        self
    }

    /// The batch is part of a transaction.
    #[must_use]
    pub fn transactional(mut self) -> Self {
        self.attributes = self.attributes.with_transactional();
        self
    }

    /// The records are markers of the broker.
    #[must_use]
    pub fn control(mut self) -> Self {
        self.attributes = self.attributes.with_control();
        self
    }

    /// The broker's time stands for that of all records.
    #[must_use]
    pub fn append_time(mut self, time_ms: i64) -> Self {
        self.append_time = Some(time_ms);
        self
    }

    /// When the tombstones in the batch may go.
    #[must_use]
    pub fn delete_horizon(mut self, time_ms: i64) -> Self {
        self.delete_horizon_ms = Some(time_ms);
        self
    }

    /// How many records there are so far.
    pub fn record_count(&self) -> u32 {
        self.count.unsigned_abs()
    }

    /// The bytes that the batch would have if it were not compressed.
    pub fn plain_bytes(&self) -> usize {
        HEADER_BYTES + self.records.len()
    }

    /// Adds a record at the next offset.
    pub fn append(&mut self, record: &NewRecord<'_>) -> Result<&mut Self, BuildError> {
        self.append_at(self.next_offset, record)
    }

    /// Adds a record at an offset above those before.
    pub fn append_at(&mut self, offset: i64, record: &NewRecord<'_>) -> Result<&mut Self, BuildError> {
        let NewRecord { timestamp, .. } = *record;
        let offset_delta = self.offset_delta(offset)?;
        let base = self.times.map_or_else(|| self.delete_horizon_ms.unwrap_or(timestamp), |times| times.base);
        let timestamp_delta =
            timestamp.checked_sub(base).ok_or(BuildError::Timestamp { timestamp, base_timestamp: base })?;
        let bytes = self.plain_bytes().saturating_add(record.bytes_max());
        if i32::try_from(bytes).is_err() {
            return Err(BuildError::TooLarge(bytes));
        }
        record.write(&mut self.records, timestamp_delta, offset_delta);
        let max = self.times.map_or(timestamp, |times| times.max.max(timestamp));
        self.times = Some(Times { base, max });
        self.count += 1;
        self.next_offset = offset + 1;
        Ok(self)
    }

    fn offset_delta(&self, offset: i64) -> Result<i32, BuildError> {
        let error = BuildError::Offset { offset, base_offset: self.base_offset, next_offset: self.next_offset };
        if offset < self.next_offset || offset == i64::MAX {
            return Err(error);
        }
        offset.checked_sub(self.base_offset).and_then(|delta| i32::try_from(delta).ok()).ok_or(error)
    }

    /// The batch. A batch without records stands for one offset, or up to [`BatchBuilder::last_offset`].
    pub fn build(&self) -> Result<Vec<u8>, BuildError> {
        let mut batch = vec![0; HEADER_BYTES];
        codec::compress(self.codec, &self.records, &mut batch)?;
        let header = self.header(&batch)?;
        batch[..HEADER_BYTES].copy_from_slice(&header.encode());
        Ok(batch)
    }

    /// The head of a batch with these records behind it.
    fn header(&self, batch: &[u8]) -> Result<BatchHeader, BuildError> {
        let length = i32::try_from(batch.len() - 12).map_err(|_| BuildError::TooLarge(batch.len()))?;
        let last_written = self.next_offset.saturating_sub(1).max(self.base_offset);
        let last_offset = self.last_offset.unwrap_or(last_written);
        let last_offset_delta = last_offset
            .checked_sub(self.base_offset)
            .filter(|_| last_offset >= last_written)
            .and_then(|delta| i32::try_from(delta).ok())
            .ok_or(BuildError::Offset {
                offset: last_offset,
                base_offset: self.base_offset,
                next_offset: last_written,
            })?;
        let times =
            self.times.unwrap_or(Times { base: self.delete_horizon_ms.unwrap_or(NO_TIMESTAMP), max: NO_TIMESTAMP });
        let (producer_id, producer_epoch, base_sequence) = self.producer;
        let mut fields = Fields {
            base_offset: self.base_offset,
            length,
            leader_epoch: self.leader_epoch,
            crc: 0,
            attributes: self.attributes(),
            last_offset_delta,
            base_timestamp: times.base,
            max_timestamp: self.append_time.unwrap_or(times.max),
            producer_id,
            producer_epoch,
            base_sequence,
            count: self.count,
        };
        fields.crc = crc32c::crc32c_append(fields.crc_of_front(), &batch[HEADER_BYTES..]);
        Ok(BatchHeader::new(fields)?)
    }

    fn attributes(&self) -> Attributes {
        let timestamp_type = if self.append_time.is_some() { TimestampType::LogAppend } else { TimestampType::Create };
        let attributes = self.attributes.with_codec(self.codec).with_timestamp_type(timestamp_type);
        if self.delete_horizon_ms.is_some() { attributes.with_delete_horizon() } else { attributes }
    }
}

impl NewRecord<'_> {
    /// No less than the bytes that the record will have.
    fn bytes_max(&self) -> usize {
        // Length, attributes, two deltas, two lengths, a count.
        let front = 5 + 1 + 10 + 5 + 5 + 5 + 5;
        let (key, value) = (self.key.map_or(0, <[u8]>::len), self.value.map_or(0, <[u8]>::len));
        let headers = self.headers.iter().map(|header| 10 + header.key.len() + header.value.map_or(0, <[u8]>::len));
        headers.fold(front + key + value, usize::saturating_add)
    }

    fn write(&self, out: &mut Vec<u8>, timestamp_delta: i64, offset_delta: i32) {
        let headers_bytes: usize = self.headers.iter().map(|header| sized(header.key) + nullable(header.value)).sum();
        let body = 1
            + varint::size(timestamp_delta)
            + varint::size(i64::from(offset_delta))
            + nullable(self.key)
            + nullable(self.value)
            + varint::size(length_of(self.headers))
            + headers_bytes;
        out.reserve(body + 5);
        varint::put(out, i64::try_from(body).unwrap_or(i64::MAX));
        out.push(0);
        varint::put(out, timestamp_delta);
        varint::put(out, i64::from(offset_delta));
        put_nullable(out, self.key);
        put_nullable(out, self.value);
        varint::put(out, length_of(self.headers));
        for header in self.headers {
            put_nullable(out, Some(header.key));
            put_nullable(out, header.value);
        }
    }
}

fn length_of<T>(items: &[T]) -> i64 {
    i64::try_from(items.len()).unwrap_or(i64::MAX)
}

fn sized(bytes: &[u8]) -> usize {
    varint::size(length_of(bytes)) + bytes.len()
}

fn nullable(bytes: Option<&[u8]>) -> usize {
    bytes.map_or(1, sized)
}

fn put_nullable(out: &mut Vec<u8>, bytes: Option<&[u8]>) {
    match bytes {
        None => varint::put(out, -1),
        Some(bytes) => {
            varint::put(out, length_of(bytes));
            out.extend_from_slice(bytes);
        }
    }
}
