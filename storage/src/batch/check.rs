//! What a broker asks of the batch that a client produces to one partition.
//!
//! The order is Kafka's: one batch of format 2 and nothing else, not too large, its CRC; then what the head says; then the
//! records, as far as anything about them has to be known.
//!
//! **The greatest timestamp.** Time indexes stand on it, and what the head says is not always true (Sarama sent −1 up to
//! 1.45, `KafkaJS` sends that of the last record). Uncompressed records are always walked, head by head, so that the true
//! one and its record are known. Compressed records are opened only when
//!
//! * the head's maximum cannot be: it is negative, or before the base timestamp (the first record's), or other than the
//!   base timestamp although there is only one record; or
//! * the topic asks something that only the records can answer: keys, a lower bound on timestamps, every record sound; or
//! * the head's maximum is beyond the topic's upper bound: then the records that are get named, or the head was wrong.
//!
//! Else the head is believed, and [`MaxTimestamp::offset_delta`] is `None`: a client that understates its maximum in a
//! compressed batch is found out when the batch is opened later. A maximum that is known to be wrong is to be put
//! right in what is stored: [`Checked::corrected`].
//!
//! The walk costs 5 to 7 ns a record (`storage/benches/batch_check.rs`): beside the CRC of a batch of 64 KiB, which takes
//! 2.5 µs on the same machine, a sixth with records of 1 KiB, two thirds with 256 bytes, 1.6 times as much with 100.
//!
//! Where records are walked their offset deltas have to count up from 0 and they have to fill the batch exactly. The
//! insides of keys, values and headers are looked at only if [`Rules::every_record`] asks for it.
//!
//! Unlike Kafka: bytes behind the batch are refused and not cut off in silence; a batch with a delete horizon (only
//! compaction sets one), with the bit of a transaction and no producer, or with a producer and a negative epoch is refused; so is
//! the bit of `LogAppendTime` whatever the topic's type. Like Kafka, a batch without a producer id may have any epoch and
//! sequence (`KafkaJS` sends 0 and 0).

use std::fmt;

use super::NO_TIMESTAMP;
use super::codec::{self, Codec, CodecError};
use super::header::{BatchHeader, HeaderError, TimestampType};
use super::iter::Batch;
use super::records::{RecordError, RecordFault, RecordHead, RecordHeads, Records};

/// How many records an error names at the most.
const REFUSED_MAX: usize = 1000;

/// What a topic and a request ask of a batch.
#[derive(Clone, Debug)]
pub struct Rules {
    /// The time, in milliseconds.
    pub now_ms: i64,
    /// What the topic's timestamps are. With `LogAppend` those of the client are not looked at.
    pub timestamp_type: TimestampType,
    /// How far before now a record's timestamp may be; `i64::MAX`: as far as it likes.
    pub timestamp_before_max_ms: i64,
    /// How far after now a record's timestamp may be; `i64::MAX`: as far as it likes.
    pub timestamp_after_max_ms: i64,
    /// Whether every record needs a key: the topic is compacted.
    pub keys_required: bool,
    /// Whether the client may use zstd: it came with Produce version 7.
    pub zstd_allowed: bool,
    /// Whether the inside of every record is looked at.
    pub every_record: bool,
    /// The most bytes that a batch may have.
    pub batch_bytes_max: usize,
    /// The most bytes that its records may have once they are decompressed, where that is done.
    pub plain_bytes_max: usize,
}

/// A batch that may be appended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checked {
    /// Its head, as the client sent it.
    pub header: BatchHeader,
    /// The codec of its records.
    pub codec: Codec,
    /// The greatest timestamp of its records as the client gave them.
    pub max_timestamp: MaxTimestamp,
}

/// The greatest timestamp in a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MaxTimestamp {
    /// The timestamp, −1: none.
    pub timestamp: i64,
    /// The offset of the first record that has it, less the base offset. `None`: the head was believed.
    pub offset_delta: Option<u32>,
}

impl Checked {
    /// The head with the true maximum, if the client's is not true. (Where the broker sets the time,
    /// [`BatchHeader::restamped`] is for that.)
    pub fn corrected(&self) -> Option<BatchHeader> {
        let MaxTimestamp { timestamp, .. } = self.max_timestamp;
        (timestamp != self.header.max_timestamp()).then(|| self.header.restamped(TimestampType::Create, timestamp))
    }
}

/// What an error means to the client: one for each of Kafka's codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The bytes are not those that were sent: trying again may help.
    Corrupt,
    /// The batch is not one that may be produced.
    InvalidRecord,
    /// Its timestamps are not.
    InvalidTimestamp,
    /// Its codec is not.
    UnsupportedCompression,
    /// It is too large: smaller ones may do.
    TooLarge,
}

/// Why a batch is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BatchError {
    /// There are no bytes.
    #[error("there is no batch")]
    Missing,
    /// There is no sound batch.
    #[error("{0}")]
    Header(#[from] HeaderError),
    /// There is more than one batch, or something else.
    #[error("{0} bytes follow the batch, where one batch is allowed for each partition")]
    Trailing(usize),
    /// A client's batch begins at offset 0.
    #[error("the base offset is {0} and not 0")]
    BaseOffset(i64),
    /// More bytes than the topic allows.
    #[error("the batch has {bytes} bytes, above the topic's limit of {bytes_max}")]
    TooLarge {
        /// What it has.
        bytes: usize,
        /// What is allowed.
        bytes_max: usize,
    },
    /// No such codec.
    #[error("codec {0} is unknown")]
    UnknownCodec(u8),
    /// The client's version of Produce does not know the codec.
    #[error("codec {} is not allowed in this version of the request", .0.name())]
    CodecNotAllowed(Codec),
    /// The number of records and the offsets they cover disagree, or there are none.
    #[error("{count} records, and a last offset delta of {last_offset_delta}")]
    Count {
        /// The number of records.
        count: u32,
        /// The last offset delta, which is to be one less.
        last_offset_delta: u32,
    },
    /// Only the broker writes control records.
    #[error("clients may not write control records")]
    Control,
    /// Only compaction sets a delete horizon.
    #[error("clients may not set a delete horizon")]
    DeleteHorizon,
    /// A producer id without an epoch or sequence.
    #[error("producer {id} with epoch {epoch} and sequence {base_sequence}")]
    Producer {
        /// The producer id.
        id: i64,
        /// The epoch.
        epoch: i16,
        /// The sequence.
        base_sequence: i32,
    },
    /// Part of a transaction, and nobody's.
    #[error("a transactional batch without a producer id")]
    NoProducer,
    /// The records cannot be decompressed.
    #[error("{0}")]
    Codec(#[from] CodecError),
    /// The records are not records.
    #[error("{0}")]
    Malformed(#[from] RecordError),
    /// Some records (the first thousand of them are named) are not what the topic takes.
    #[error("{}", summary(.0))]
    Records(Vec<RefusedRecord>),
}

/// A record that a topic does not take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RefusedRecord {
    /// Its index in the batch.
    pub index: u32,
    /// Why.
    pub reason: RefusedReason,
}

/// Why a topic does not take a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefusedReason {
    /// The topic is compacted and the record has no key.
    NoKey,
    /// The timestamp is too far from the broker's time.
    Timestamp {
        /// The record's.
        timestamp: i64,
        /// The earliest allowed.
        min: i64,
        /// The latest allowed.
        max: i64,
    },
    /// The batch has the bit of `LogAppendTime`, which only the broker sets.
    LogAppendTime,
}

impl fmt::Display for RefusedReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoKey => f.write_str("a compacted topic does not take a record without a key"),
            Self::Timestamp { timestamp, min, max } => {
                write!(f, "timestamp {timestamp} is out of range: it should be within [{min}, {max}]")
            }
            Self::LogAppendTime => f.write_str("a producer may not set the timestamp type to LogAppendTime"),
        }
    }
}

fn summary(records: &[RefusedRecord]) -> String {
    match records.first() {
        Some(first) => {
            format!("{} records are refused, the first is record {}: {}", records.len(), first.index, first.reason)
        }
        None => "records are refused".to_owned(),
    }
}

impl BatchError {
    /// What it means to the client.
    pub fn refusal(&self) -> Refusal {
        match self {
            Self::Header(HeaderError::Crc { .. } | HeaderError::Length(_)) => Refusal::Corrupt,
            Self::Header(HeaderError::Magic(magic)) if !(0..=1).contains(magic) => Refusal::Corrupt,
            Self::UnknownCodec(_) | Self::CodecNotAllowed(_) | Self::Codec(CodecError::Unknown(_)) => {
                Refusal::UnsupportedCompression
            }
            Self::TooLarge { .. } | Self::Codec(CodecError::TooLarge { .. }) => Refusal::TooLarge,
            Self::Records(records) if records.iter().any(|record| record.reason != RefusedReason::NoKey) => {
                Refusal::InvalidTimestamp
            }
            Self::Missing
            | Self::Header(_)
            | Self::Trailing(_)
            | Self::BaseOffset(_)
            | Self::Count { .. }
            | Self::Control
            | Self::DeleteHorizon
            | Self::Producer { .. }
            | Self::NoProducer
            | Self::Codec(CodecError::Malformed { .. })
            | Self::Malformed(_)
            | Self::Records(_) => Refusal::InvalidRecord,
        }
    }

    /// The records that are refused one by one.
    pub fn refused_records(&self) -> &[RefusedRecord] {
        match self {
            Self::Records(records) => records,
            _ => &[],
        }
    }
}

/// Checks what a client wants to append to a partition: `payload` is the record set of the request.
pub fn check(payload: &[u8], rules: &Rules) -> Result<Checked, BatchError> {
    let (batch, codec) = check_frame(payload, rules)?;
    let header = *batch.header();
    check_fields(&header)?;
    let bounds = Bounds::new(rules);
    let max_timestamp = if codec == Codec::None || must_open(&header, rules, &bounds) {
        let plain = codec::decompress(codec, batch.stored_records(), rules.plain_bytes_max)?;
        walk(&header, &plain, rules, bounds)?
    } else {
        MaxTimestamp { timestamp: header.max_timestamp(), offset_delta: None }
    };
    Ok(Checked { header, codec, max_timestamp })
}

/// One batch, whole, and nothing else.
fn check_frame<'a>(payload: &'a [u8], rules: &Rules) -> Result<(Batch<'a>, Codec), BatchError> {
    if payload.is_empty() {
        return Err(BatchError::Missing);
    }
    let batch = Batch::parse(payload)?;
    let (header, bytes) = (batch.header(), batch.bytes().len());
    let codec = header.attributes().codec().map_err(BatchError::UnknownCodec)?;
    if codec == Codec::Zstd && !rules.zstd_allowed {
        return Err(BatchError::CodecNotAllowed(codec));
    }
    if payload.len() > bytes {
        return Err(BatchError::Trailing(payload.len() - bytes));
    }
    if header.base_offset() != 0 {
        return Err(BatchError::BaseOffset(header.base_offset()));
    }
    if bytes > rules.batch_bytes_max {
        return Err(BatchError::TooLarge { bytes, bytes_max: rules.batch_bytes_max });
    }
    header.verify_crc(payload)?;
    Ok((batch, codec))
}

fn check_fields(header: &BatchHeader) -> Result<(), BatchError> {
    let (count, last_offset_delta) = (header.record_count(), header.last_offset_delta());
    if count.checked_sub(1) != Some(last_offset_delta) {
        return Err(BatchError::Count { count, last_offset_delta });
    }
    let attributes = header.attributes();
    if attributes.is_control() {
        return Err(BatchError::Control);
    }
    if attributes.has_delete_horizon() {
        return Err(BatchError::DeleteHorizon);
    }
    match header.producer() {
        Some(producer) if producer.epoch < 0 || producer.base_sequence < 0 => {
            Err(BatchError::Producer { id: producer.id, epoch: producer.epoch, base_sequence: producer.base_sequence })
        }
        None if attributes.is_transactional() => Err(BatchError::NoProducer),
        _ => Ok(()),
    }
}

/// The timestamps that a topic takes.
#[derive(Clone, Copy)]
struct Bounds {
    min: i64,
    max: i64,
}

impl Bounds {
    fn new(rules: &Rules) -> Self {
        match rules.timestamp_type {
            TimestampType::LogAppend => Self { min: i64::MIN, max: i64::MAX },
            TimestampType::Create => Self {
                min: match rules.timestamp_before_max_ms {
                    i64::MAX => i64::MIN,
                    before => rules.now_ms.saturating_sub(before),
                },
                max: rules.now_ms.saturating_add(rules.timestamp_after_max_ms),
            },
        }
    }
}

/// Whether compressed records have to be opened: see this file's opening.
fn must_open(header: &BatchHeader, rules: &Rules, bounds: &Bounds) -> bool {
    let (base, max) = (header.base_timestamp(), header.max_timestamp());
    let doubtful = max < 0 || max < base || (header.record_count() == 1 && max != base);
    rules.every_record
        || rules.keys_required
        || header.attributes().timestamp_type() == TimestampType::LogAppend
        || bounds.min > i64::MIN
        || max > bounds.max
        || (doubtful && rules.timestamp_type == TimestampType::Create)
}

fn walk(header: &BatchHeader, plain: &[u8], rules: &Rules, bounds: Bounds) -> Result<MaxTimestamp, BatchError> {
    let mut survey = Survey {
        bounds,
        keys_required: rules.keys_required,
        append_time: header.attributes().timestamp_type() == TimestampType::LogAppend,
        index: 0,
        max: i64::MIN,
        max_index: 0,
        refused: Vec::new(),
    };
    if rules.every_record {
        for record in Records::new(header, plain) {
            let record = record?;
            let has_key = record.key.is_some();
            survey.add(RecordHead { offset: record.offset, timestamp: record.timestamp, has_key })?;
        }
    } else {
        for head in RecordHeads::new(header, plain) {
            survey.add(head?)?;
        }
    }
    survey.finish()
}

/// What a walk over the records gathers.
struct Survey {
    bounds: Bounds,
    keys_required: bool,
    append_time: bool,
    index: u32,
    max: i64,
    max_index: u32,
    refused: Vec<RefusedRecord>,
}

impl Survey {
    #[inline]
    fn add(&mut self, head: RecordHead) -> Result<(), RecordError> {
        let index = self.index;
        // The base offset is 0. Deltas rise and the last is known, so that a gap here cannot be made up for.
        if head.offset != i64::from(index) {
            let delta = i32::try_from(head.offset).unwrap_or(i32::MAX);
            return Err(RecordError { index, fault: RecordFault::OffsetDelta(delta) });
        }
        if head.timestamp > self.max {
            self.max = head.timestamp;
            self.max_index = index;
        }
        if let Some(reason) = self.reason_to_refuse(head)
            && self.refused.len() < REFUSED_MAX
        {
            self.refused.push(RefusedRecord { index, reason });
        }
        self.index += 1;
        Ok(())
    }

    #[inline]
    fn reason_to_refuse(&self, RecordHead { timestamp, has_key, .. }: RecordHead) -> Option<RefusedReason> {
        let Bounds { min, max } = self.bounds;
        if self.keys_required && !has_key {
            Some(RefusedReason::NoKey)
        } else if self.append_time {
            Some(RefusedReason::LogAppendTime)
        } else if (timestamp < min || timestamp > max) && timestamp != NO_TIMESTAMP {
            Some(RefusedReason::Timestamp { timestamp, min, max })
        } else {
            None
        }
    }

    fn finish(self) -> Result<MaxTimestamp, BatchError> {
        if self.refused.is_empty() {
            Ok(MaxTimestamp { timestamp: self.max, offset_delta: Some(self.max_index) })
        } else {
            Err(BatchError::Records(self.refused))
        }
    }
}
