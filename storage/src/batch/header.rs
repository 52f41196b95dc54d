//! The 61 bytes at the front of a record batch.
//!
//! | at | width | field |
//! |---|---|---|
//! | 0 | 8 | base offset: set by the broker |
//! | 8 | 4 | length: of all that follows this field |
//! | 12 | 4 | leader epoch: set by the broker |
//! | 16 | 1 | magic: 2 |
//! | 17 | 4 | CRC-32C of all that follows this field |
//! | 21 | 2 | attributes |
//! | 23 | 4 | last offset delta |
//! | 27 | 8 | base timestamp: that of the first record, or the delete horizon |
//! | 35 | 8 | maximum timestamp |
//! | 43 | 8 | producer id, −1: none |
//! | 51 | 2 | producer epoch |
//! | 53 | 4 | base sequence |
//! | 57 | 4 | record count |
//!
//! A [`BatchHeader`] holds: the length covers at least the head; base offset, last offset delta and count are not
//! negative; the offset after the last is an `i64`. So offsets and sizes are computed without further checks.
//! The last offset delta may exceed the count (compaction), and the count may be 0.

use super::codec::Codec;
use super::{BuildError, HEADER_BYTES, crc};

/// Base offset and length, which the length does not count.
const UNCOUNTED_BYTES: i32 = 12;
/// The least that a length may say.
const LENGTH_MIN: i32 = 49;
const MAGIC: i8 = 2;
const MAGIC_AT: usize = 16;
/// Where the bytes begin that the CRC covers.
const CRC_FROM: usize = 21;

/// Why bytes are not a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    /// The bytes end before the batch does.
    #[error("the batch is cut off: {have} bytes of {need}")]
    Truncated {
        /// The bytes there are.
        have: usize,
        /// The bytes there should be, as far as is known.
        need: usize,
    },
    /// Another format, or no batch at all.
    #[error("magic {0} in place of 2")]
    Magic(i8),
    /// A length that does not even cover the head.
    #[error("a length of {0}, below the least of {LENGTH_MIN}")]
    Length(i32),
    /// A negative base offset.
    #[error("a base offset of {0}")]
    BaseOffset(i64),
    /// A negative last offset delta.
    #[error("a last offset delta of {0}")]
    LastOffsetDelta(i32),
    /// Offsets beyond the greatest there is.
    #[error("offsets overflow: base offset {base_offset}, last offset delta {last_offset_delta}")]
    OffsetOverflow {
        /// The first offset.
        base_offset: i64,
        /// What the last one adds.
        last_offset_delta: i32,
    },
    /// A negative number of records.
    #[error("a count of {0} records")]
    Count(i32),
    /// The bytes are not those that the CRC was taken of.
    #[error("the CRC is {stored:#010x}, that of the bytes {computed:#010x}")]
    Crc {
        /// What the head says.
        stored: u32,
        /// What the bytes say.
        computed: u32,
    },
}

/// What the timestamps of a batch are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimestampType {
    /// Each record has its own, given by the client.
    Create,
    /// All records have the batch's maximum timestamp, given by the broker.
    LogAppend,
}

/// The flags of a batch. Bits without a meaning are kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Attributes(i16);

impl Attributes {
    const CODEC: i16 = 0x07;
    const LOG_APPEND_TIME: i16 = 0x08;
    const TRANSACTIONAL: i16 = 0x10;
    const CONTROL: i16 = 0x20;
    const DELETE_HORIZON: i16 = 0x40;

    /// The field as it is on the wire.
    pub fn bits(self) -> i16 {
        self.0
    }

    /// The codec of the records, or the number of one that does not exist.
    pub fn codec(self) -> Result<Codec, u8> {
        Codec::from_id((self.0 & Self::CODEC).to_be_bytes()[1])
    }

    /// What the timestamps are.
    pub fn timestamp_type(self) -> TimestampType {
        if self.has(Self::LOG_APPEND_TIME) { TimestampType::LogAppend } else { TimestampType::Create }
    }

    /// Whether the batch belongs to a transaction.
    pub fn is_transactional(self) -> bool {
        self.has(Self::TRANSACTIONAL)
    }

    /// Whether the records are markers of the broker, which clients do not show.
    pub fn is_control(self) -> bool {
        self.has(Self::CONTROL)
    }

    /// Whether the base timestamp says when tombstones may go.
    pub fn has_delete_horizon(self) -> bool {
        self.has(Self::DELETE_HORIZON)
    }

    pub(super) fn with_codec(self, codec: Codec) -> Self {
        Self((self.0 & !Self::CODEC) | i16::from(codec.id()))
    }

    pub(super) fn with_timestamp_type(self, timestamp_type: TimestampType) -> Self {
        self.with(Self::LOG_APPEND_TIME, timestamp_type == TimestampType::LogAppend)
    }

    pub(super) fn with_transactional(self) -> Self {
        self.with(Self::TRANSACTIONAL, true)
    }

    pub(super) fn with_control(self) -> Self {
        self.with(Self::CONTROL, true)
    }

    pub(super) fn with_delete_horizon(self) -> Self {
        self.with(Self::DELETE_HORIZON, true)
    }

    fn has(self, flag: i16) -> bool {
        self.0 & flag != 0
    }

    fn with(self, flag: i16, on: bool) -> Self {
        Self(if on { self.0 | flag } else { self.0 & !flag })
    }
}

/// Who wrote a batch, and as which of its writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Producer {
    /// The id that the broker gave out.
    pub id: i64,
    /// The epoch of the id: a lower one is fenced.
    pub epoch: i16,
    /// The sequence of the first record.
    pub base_sequence: i32,
    /// The sequence of the last record: after the greatest `i32` comes 0.
    pub last_sequence: i32,
}

/// The fields that a head has, before anything is asked of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fields {
    pub(super) base_offset: i64,
    pub(super) length: i32,
    pub(super) leader_epoch: i32,
    pub(super) crc: u32,
    pub(super) attributes: Attributes,
    pub(super) last_offset_delta: i32,
    pub(super) base_timestamp: i64,
    pub(super) max_timestamp: i64,
    pub(super) producer_id: i64,
    pub(super) producer_epoch: i16,
    pub(super) base_sequence: i32,
    pub(super) count: i32,
}

/// The head of a batch, sound as this file's opening says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchHeader(Fields);

impl BatchHeader {
    /// Reads the head at the front of `bytes`. The records need not be there, and no CRC is taken.
    pub fn parse(bytes: &[u8]) -> Result<Self, HeaderError> {
        let truncated = HeaderError::Truncated { have: bytes.len(), need: HEADER_BYTES };
        let magic = i8::from_be_bytes([*bytes.get(MAGIC_AT).ok_or(truncated)?]);
        if magic != MAGIC {
            return Err(HeaderError::Magic(magic));
        }
        let head = bytes.first_chunk().ok_or(truncated)?;
        Self::new(Fields::read(head))
    }

    pub(super) fn new(fields: Fields) -> Result<Self, HeaderError> {
        let Fields { base_offset, length, last_offset_delta, count, .. } = fields;
        if length < LENGTH_MIN {
            return Err(HeaderError::Length(length));
        }
        if base_offset < 0 {
            return Err(HeaderError::BaseOffset(base_offset));
        }
        if last_offset_delta < 0 {
            return Err(HeaderError::LastOffsetDelta(last_offset_delta));
        }
        if base_offset.checked_add(i64::from(last_offset_delta)).is_none_or(|last| last == i64::MAX) {
            return Err(HeaderError::OffsetOverflow { base_offset, last_offset_delta });
        }
        if count < 0 {
            return Err(HeaderError::Count(count));
        }
        Ok(Self(fields))
    }

    /// The offset of the first record as it was sent (compaction may have taken it away).
    pub fn base_offset(&self) -> i64 {
        self.0.base_offset
    }

    /// The offset of the last record as it was sent.
    pub fn last_offset(&self) -> i64 {
        self.0.base_offset + i64::from(self.0.last_offset_delta)
    }

    /// The offset of the batch that follows.
    pub fn next_offset(&self) -> i64 {
        self.last_offset() + 1
    }

    /// The last offset less the base offset.
    pub fn last_offset_delta(&self) -> u32 {
        self.0.last_offset_delta.unsigned_abs()
    }

    /// The bytes of the whole batch, head included.
    pub fn size_in_bytes(&self) -> usize {
        self.0.length.unsigned_abs() as usize + UNCOUNTED_BYTES.unsigned_abs() as usize
    }

    /// The bytes of the records as they are stored, compressed or not.
    pub fn records_bytes(&self) -> usize {
        self.size_in_bytes() - HEADER_BYTES
    }

    /// The leader epoch under which the batch was appended.
    pub fn leader_epoch(&self) -> i32 {
        self.0.leader_epoch
    }

    /// The CRC that the head says.
    pub fn crc(&self) -> u32 {
        self.0.crc
    }

    /// The flags.
    pub fn attributes(&self) -> Attributes {
        self.0.attributes
    }

    /// The timestamp that those of the records are counted from.
    pub fn base_timestamp(&self) -> i64 {
        self.0.base_timestamp
    }

    /// The greatest timestamp, as the head says; −1: none. What clients send here is not always true: see
    /// [`check`](super::check::check).
    pub fn max_timestamp(&self) -> i64 {
        self.0.max_timestamp
    }

    /// When the tombstones in this batch may go, once compaction has decided that.
    pub fn delete_horizon_ms(&self) -> Option<i64> {
        self.0.attributes.has_delete_horizon().then_some(self.0.base_timestamp)
    }

    /// The producer id as it is on the wire; negative: none.
    pub fn producer_id(&self) -> i64 {
        self.0.producer_id
    }

    /// The producer epoch as it is on the wire. Without a producer id it means nothing (`KafkaJS` sends 0).
    pub fn producer_epoch(&self) -> i16 {
        self.0.producer_epoch
    }

    /// The sequence of the first record as it is on the wire. Without a producer id it means nothing.
    pub fn base_sequence(&self) -> i32 {
        self.0.base_sequence
    }

    /// Who wrote the batch, if the producer numbers its writes.
    pub fn producer(&self) -> Option<Producer> {
        let Fields { producer_id, producer_epoch, base_sequence, last_offset_delta, .. } = self.0;
        (producer_id >= 0).then(|| Producer {
            id: producer_id,
            epoch: producer_epoch,
            base_sequence,
            last_sequence: sequence_after(base_sequence, last_offset_delta),
        })
    }

    /// How many records there are.
    pub fn record_count(&self) -> u32 {
        self.0.count.unsigned_abs()
    }

    /// Whether `batch`, which begins with this head, is what the CRC was taken of.
    pub fn verify_crc(&self, batch: &[u8]) -> Result<(), HeaderError> {
        let need = self.size_in_bytes();
        let covered = batch.get(CRC_FROM..need).ok_or(HeaderError::Truncated { have: batch.len(), need })?;
        let computed = crc32c::crc32c(covered);
        if computed == self.0.crc { Ok(()) } else { Err(HeaderError::Crc { stored: self.0.crc, computed }) }
    }

    /// The first 16 bytes with another base offset and leader epoch. The CRC does not cover them, so that the rest of
    /// the batch is written as it came.
    pub fn patch_offset_and_epoch(&self, base_offset: i64, leader_epoch: i32) -> [u8; 16] {
        let mut head = [0; 16];
        head[..8].copy_from_slice(&base_offset.to_be_bytes());
        head[8..12].copy_from_slice(&self.0.length.to_be_bytes());
        head[12..].copy_from_slice(&leader_epoch.to_be_bytes());
        head
    }

    /// The head at another base offset and leader epoch.
    pub fn placed(&self, base_offset: i64, leader_epoch: i32) -> Result<Self, HeaderError> {
        Self::new(Fields { base_offset, leader_epoch, ..self.0 })
    }

    /// The head with other timestamps: for a topic with `LogAppendTime`, or a maximum that was not true. Its CRC is that
    /// of the batch with the new head, made from the old one: what did not check before does not check after.
    #[must_use]
    pub fn restamped(&self, timestamp_type: TimestampType, max_timestamp: i64) -> Self {
        let attributes = self.0.attributes.with_timestamp_type(timestamp_type);
        let mut fields = Fields { attributes, max_timestamp, ..self.0 };
        let rest_bytes = self.0.length.unsigned_abs() - LENGTH_MIN.unsigned_abs();
        fields.crc = crc::replace_front(self.0.crc, self.0.crc_of_front(), fields.crc_of_front(), rest_bytes);
        Self(fields)
    }

    /// The head with other records, of which the stored bytes are given.
    pub(super) fn with_records(&self, count: u32, max_timestamp: i64, stored: &[u8]) -> Result<Self, BuildError> {
        let too_large = || BuildError::TooLarge(stored.len());
        let count = i32::try_from(count).map_err(|_| too_large())?;
        let length = i32::try_from(stored.len()).ok().and_then(|bytes| bytes.checked_add(LENGTH_MIN));
        let mut fields = Fields { length: length.ok_or_else(too_large)?, count, max_timestamp, ..self.0 };
        fields.crc = crc32c::crc32c_append(fields.crc_of_front(), stored);
        Ok(Self::new(fields)?)
    }

    /// Whether it stands for offsets whose records are gone, and for nothing else.
    pub fn is_hole(&self) -> bool {
        self.0.count == 0 && self.0.length == LENGTH_MIN
    }

    /// The 61 bytes.
    pub fn encode(&self) -> [u8; HEADER_BYTES] {
        self.0.encode()
    }
}

impl Fields {
    fn read(head: &[u8; HEADER_BYTES]) -> Self {
        Self {
            base_offset: i64::from_be_bytes(field(head, 0)),
            length: i32::from_be_bytes(field(head, 8)),
            leader_epoch: i32::from_be_bytes(field(head, 12)),
            crc: u32::from_be_bytes(field(head, 17)),
            attributes: Attributes(i16::from_be_bytes(field(head, 21))),
            last_offset_delta: i32::from_be_bytes(field(head, 23)),
            base_timestamp: i64::from_be_bytes(field(head, 27)),
            max_timestamp: i64::from_be_bytes(field(head, 35)),
            producer_id: i64::from_be_bytes(field(head, 43)),
            producer_epoch: i16::from_be_bytes(field(head, 51)),
            base_sequence: i32::from_be_bytes(field(head, 53)),
            count: i32::from_be_bytes(field(head, 57)),
        }
    }

    fn encode(&self) -> [u8; HEADER_BYTES] {
        let mut head = [0; HEADER_BYTES];
        head[..8].copy_from_slice(&self.base_offset.to_be_bytes());
        head[8..12].copy_from_slice(&self.length.to_be_bytes());
        head[12..16].copy_from_slice(&self.leader_epoch.to_be_bytes());
        head[16..17].copy_from_slice(&MAGIC.to_be_bytes());
        head[17..21].copy_from_slice(&self.crc.to_be_bytes());
        head[21..23].copy_from_slice(&self.attributes.0.to_be_bytes());
        head[23..27].copy_from_slice(&self.last_offset_delta.to_be_bytes());
        head[27..35].copy_from_slice(&self.base_timestamp.to_be_bytes());
        head[35..43].copy_from_slice(&self.max_timestamp.to_be_bytes());
        head[43..51].copy_from_slice(&self.producer_id.to_be_bytes());
        head[51..53].copy_from_slice(&self.producer_epoch.to_be_bytes());
        head[53..57].copy_from_slice(&self.base_sequence.to_be_bytes());
        head[57..].copy_from_slice(&self.count.to_be_bytes());
        head
    }

    /// The CRC of the covered bytes of the head alone: with those of the records appended, the batch's.
    pub(super) fn crc_of_front(&self) -> u32 {
        crc32c::crc32c(&self.encode()[CRC_FROM..])
    }
}

fn field<const N: usize>(head: &[u8; HEADER_BYTES], at: usize) -> [u8; N] {
    let mut bytes = [0; N];
    bytes.copy_from_slice(&head[at..at + N]);
    bytes
}

/// The sequence `delta` records after another: sequences go round from the greatest `i32` to 0.
fn sequence_after(sequence: i32, delta: i32) -> i32 {
    match sequence.checked_add(delta) {
        Some(after) => after,
        None => delta - (i32::MAX - sequence) - 1,
    }
}
