//! Kafka's record batches (magic 2), written and read for tests.
//!
//! Shares no code with the broker, so that a misreading there does not cancel out here. Header keys are bytes, in
//! order, duplicates kept. To make a wrong batch, encode a right one, change its bytes and [`seal`] it (or do not).
//!
//! ```text
//! base offset 8 · length 4 · leader epoch 4 · magic 1 · CRC-32C 4 (of all that follows) · attributes 2 ·
//! last offset delta 4 · base timestamp 8 · max timestamp 8 · producer id 8 · epoch 2 · base sequence 4 · count 4 · records
//! ```

mod codec;
mod varint;

use std::time::{SystemTime, UNIX_EPOCH};

use bytes::{Buf, BufMut, Bytes, BytesMut};

pub use codec::Codec;
use varint::{get_varint, put_varint};

/// Where the CRC lies; what it covers begins behind it.
const CRC_AT: usize = 17;
/// Bytes before the first record.
pub const HEADER_BYTES: usize = 61;
/// Base offset and length, which the length does not count.
const PREFIX_BYTES: usize = 12;

const TIMESTAMP_TYPE: i16 = 0x08;
const TRANSACTIONAL: i16 = 0x10;
const CONTROL: i16 = 0x20;
const CODEC_MASK: i16 = 0x07;

/// The time of now, in milliseconds, as a producer stamps its records, and the broker on the same machine its groups.
pub fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock is right");
    i64::try_from(since.as_millis()).expect("the clock is right")
}

/// A batch with its records opened.
#[must_use]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// Offset of the first record.
    pub base_offset: i64,
    /// Leader epoch that the broker wrote into it.
    pub leader_epoch: i32,
    /// Codec (bits 0–2), timestamp type (3), transactional (4), control (5).
    pub attributes: i16,
    /// Offset of the last record, minus the base offset.
    pub last_offset_delta: i32,
    /// Timestamp that the records' deltas count from.
    pub base_timestamp: i64,
    /// Greatest timestamp, as the header says.
    pub max_timestamp: i64,
    /// −1 where there is none.
    pub producer_id: i64,
    /// −1 where there is none.
    pub producer_epoch: i16,
    /// −1 where there is none.
    pub base_sequence: i32,
    /// The records, with absolute timestamps.
    pub records: Vec<Record>,
}

/// One record.
#[must_use]
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// Offset minus the batch's base offset. Set when the batch is encoded.
    pub offset_delta: i32,
    /// Milliseconds since 1970.
    pub timestamp: i64,
    /// None is null.
    pub key: Option<Bytes>,
    /// None is null.
    pub value: Option<Bytes>,
    /// In order; keys may repeat and need not be text.
    pub headers: Vec<(Bytes, Option<Bytes>)>,
}

impl Record {
    /// A record without key, at time 0.
    pub fn of(value: impl Into<Bytes>) -> Self {
        Self { value: Some(value.into()), ..Self::default() }
    }

    /// With a key.
    pub fn key(mut self, key: impl Into<Bytes>) -> Self {
        self.key = Some(key.into());
        self
    }

    /// At another time.
    pub fn at(mut self, timestamp: i64) -> Self {
        self.timestamp = timestamp;
        self
    }

    /// With one more header.
    pub fn header(mut self, key: impl Into<Bytes>, value: impl Into<Bytes>) -> Self {
        self.headers.push((key.into(), Some(value.into())));
        self
    }
}

impl Batch {
    /// A batch of these records, without a producer id, uncompressed.
    pub fn of(records: impl IntoIterator<Item = Record>) -> Self {
        let mut records: Vec<Record> = records.into_iter().collect();
        for (record, delta) in records.iter_mut().zip(0..) {
            record.offset_delta = delta;
        }
        Self {
            base_offset: 0,
            leader_epoch: -1,
            attributes: 0,
            last_offset_delta: records.last().map_or(-1, |record| record.offset_delta),
            base_timestamp: records.first().map_or(-1, |record| record.timestamp),
            max_timestamp: records.iter().map(|record| record.timestamp).max().unwrap_or(-1),
            producer_id: -1,
            producer_epoch: -1,
            base_sequence: -1,
            records,
        }
    }

    /// One record with a value and nothing else.
    pub fn of_value(value: impl Into<Bytes>) -> Self {
        Self::of([Record::of(value)])
    }

    /// From an idempotent producer.
    pub fn producer(mut self, id: i64, epoch: i16, base_sequence: i32) -> Self {
        (self.producer_id, self.producer_epoch, self.base_sequence) = (id, epoch, base_sequence);
        self
    }

    /// Compressed.
    pub fn codec(mut self, codec: Codec) -> Self {
        self.attributes = (self.attributes & !CODEC_MASK) | codec.bits();
        self
    }

    /// As part of a transaction.
    pub fn transactional(mut self) -> Self {
        self.attributes |= TRANSACTIONAL;
        self
    }

    /// Whether its times are the broker's.
    pub fn has_log_append_time(&self) -> bool {
        self.attributes & TIMESTAMP_TYPE != 0
    }

    /// Whether it is a transaction's marker.
    pub fn is_control(&self) -> bool {
        self.attributes & CONTROL != 0
    }

    /// The offset behind the last record.
    pub fn next_offset(&self) -> i64 {
        self.base_offset + i64::from(self.last_offset_delta) + 1
    }

    /// Each record with its offset.
    pub fn offsets(&self) -> impl Iterator<Item = (i64, &Record)> {
        self.records.iter().map(|record| (self.base_offset + i64::from(record.offset_delta), record))
    }

    /// The batch as a producer sends it.
    pub fn encode(&self) -> Bytes {
        let mut records = BytesMut::new();
        for record in &self.records {
            put_record(&mut records, record, self.base_timestamp);
        }
        let codec = Codec::from_bits(self.attributes & CODEC_MASK).expect("attributes come from `codec`");
        let mut batch = self.encode_header();
        batch.extend_from_slice(&codec.compress(&records));
        seal(&mut batch);
        batch.into()
    }

    fn encode_header(&self) -> Vec<u8> {
        let mut header = Vec::with_capacity(HEADER_BYTES);
        header.put_i64(self.base_offset);
        header.put_i32(0); // the length: `seal` writes it
        header.put_i32(self.leader_epoch);
        header.put_i8(2);
        header.put_u32(0); // the CRC: `seal` writes it
        header.put_i16(self.attributes);
        header.put_i32(self.last_offset_delta);
        header.put_i64(self.base_timestamp);
        header.put_i64(self.max_timestamp);
        header.put_i64(self.producer_id);
        header.put_i16(self.producer_epoch);
        header.put_i32(self.base_sequence);
        header.put_i32(i32::try_from(self.records.len()).expect("a test's batch is small"));
        header
    }
}

/// Makes length and CRC fit the bytes.
pub fn seal(batch: &mut [u8]) {
    let length = i32::try_from(batch.len() - PREFIX_BYTES).expect("a test's batch is small");
    batch[8..PREFIX_BYTES].copy_from_slice(&length.to_be_bytes());
    let crc = crc32c::crc32c(&batch[CRC_AT + 4..]);
    batch[CRC_AT..CRC_AT + 4].copy_from_slice(&crc.to_be_bytes());
}

/// All the batches of a fetch answer, checked; what is cut off at the end is left out, as consumers do.
pub fn decode_all(mut bytes: &[u8]) -> Vec<Batch> {
    let mut batches = Vec::new();
    while bytes.len() >= HEADER_BYTES {
        let length = PREFIX_BYTES + usize::try_from((&bytes[8..]).get_i32()).expect("a batch's length is positive");
        if bytes.len() < length {
            break;
        }
        batches.push(decode(&bytes[..length]));
        bytes = &bytes[length..];
    }
    batches
}

/// One batch; panics on a wrong CRC, magic or record.
pub fn decode(bytes: &[u8]) -> Batch {
    let mut header = bytes;
    let base_offset = header.get_i64();
    let _length = header.get_i32();
    let leader_epoch = header.get_i32();
    assert_eq!(header.get_i8(), 2, "magic");
    let crc = header.get_u32();
    assert_eq!(crc, crc32c::crc32c(header), "CRC of the batch at {base_offset}");
    let attributes = header.get_i16();
    let last_offset_delta = header.get_i32();
    let base_timestamp = header.get_i64();
    let max_timestamp = header.get_i64();
    let producer_id = header.get_i64();
    let producer_epoch = header.get_i16();
    let base_sequence = header.get_i32();
    let count = usize::try_from(header.get_i32()).expect("a count is not negative");
    let codec = Codec::from_bits(attributes & CODEC_MASK).expect("a codec that exists");
    let records = decode_records(codec.decompress(header), count, base_timestamp);
    Batch {
        base_offset,
        leader_epoch,
        attributes,
        last_offset_delta,
        base_timestamp,
        max_timestamp,
        producer_id,
        producer_epoch,
        base_sequence,
        records,
    }
}

fn decode_records(mut bytes: Bytes, count: usize, base_timestamp: i64) -> Vec<Record> {
    let records = (0..count).map(|_| get_record(&mut bytes, base_timestamp)).collect();
    assert!(bytes.is_empty(), "{} bytes behind the last record", bytes.len());
    records
}

fn put_record(out: &mut BytesMut, record: &Record, base_timestamp: i64) {
    let mut body = BytesMut::new();
    body.put_i8(0);
    put_varint(&mut body, record.timestamp - base_timestamp);
    put_varint(&mut body, record.offset_delta.into());
    put_nullable(&mut body, record.key.as_ref());
    put_nullable(&mut body, record.value.as_ref());
    put_length(&mut body, record.headers.len());
    for (key, value) in &record.headers {
        put_nullable(&mut body, Some(key));
        put_nullable(&mut body, value.as_ref());
    }
    put_length(out, body.len());
    out.extend_from_slice(&body);
}

fn get_record(bytes: &mut Bytes, base_timestamp: i64) -> Record {
    let length = get_length(bytes).expect("a record has a length");
    let mut body = bytes.split_to(length);
    body.advance(1); // attributes: none are defined
    let timestamp = base_timestamp + get_varint(&mut body);
    let offset_delta = i32::try_from(get_varint(&mut body)).expect("a delta fits");
    let (key, value) = (get_nullable(&mut body), get_nullable(&mut body));
    let count = get_length(&mut body).expect("a count is not negative");
    let header = |body: &mut Bytes| (get_nullable(body).expect("a header has a key"), get_nullable(body));
    let headers = (0..count).map(|_| header(&mut body)).collect();
    assert!(body.is_empty(), "{} bytes behind the last header", body.len());
    Record { offset_delta, timestamp, key, value, headers }
}

fn put_length(out: &mut BytesMut, length: usize) {
    put_varint(out, i64::try_from(length).expect("a test's record is small"));
}

fn put_nullable(out: &mut BytesMut, bytes: Option<&Bytes>) {
    match bytes {
        None => put_varint(out, -1),
        Some(bytes) => {
            put_length(out, bytes.len());
            out.extend_from_slice(bytes);
        }
    }
}

/// None where it is negative (null).
fn get_length(bytes: &mut Bytes) -> Option<usize> {
    usize::try_from(get_varint(bytes)).ok()
}

fn get_nullable(bytes: &mut Bytes) -> Option<Bytes> {
    get_length(bytes).map(|length| bytes.split_to(length))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rich() -> Batch {
        let mut odd = Record::of("second").at(900).header("a", "1").header(&b"\xff\xfe"[..], "2").header("a", "");
        odd.headers.push((Bytes::new(), None));
        Batch::of([Record::of("first").key("k").at(1000), odd, Record::default(), Record::of("x".repeat(100_000))])
    }

    #[test]
    fn every_codec_gives_back_what_was_encoded() {
        for codec in Codec::ALL {
            let batch = rich().codec(codec).producer(7, 1, 42);
            assert_eq!(decode_all(&batch.encode()), [batch]);
        }
    }

    #[test]
    fn a_batch_cut_off_at_the_end_is_left_out() {
        let (first, second) = (rich().encode(), Batch::of_value("v").encode());
        let bytes = [&first[..], &second[..second.len() - 1]].concat();
        assert_eq!(decode_all(&bytes), [rich()]);
    }

    #[test]
    #[should_panic(expected = "CRC")]
    fn a_flipped_bit_is_noticed() {
        let mut bytes = rich().encode().to_vec();
        *bytes.last_mut().expect("not empty") ^= 1;
        let batch = decode(&bytes);
        panic!("{batch:?} was accepted");
    }
}
