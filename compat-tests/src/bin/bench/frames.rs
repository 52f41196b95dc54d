//! The frames of the load, in the last versions whose layout is fixed: Produce 8 and Fetch 11.
//!
//! In Produce 8 the batch is the end of the frame. So one batch, built once, goes to any partition behind a head of its
//! own, in one vectored write: its base offset, which the broker sets, is not under its CRC.

use bytes::Bytes;
use kafka_protocol::messages::ApiKey;
use millpond_compat_tests::batch::{self, Batch, Record};
use millpond_compat_tests::random::Random;

use crate::cursor::Cursor;

/// Bytes of a record's value in produce and consume.
pub(crate) const RECORD_BYTES: usize = 1024;
/// As many of them as fit into 64 KiB with what is around them.
pub(crate) const BATCH_RECORDS: usize = 63;
/// Bytes of values in a batch: what throughput is counted in.
pub(crate) const BATCH_VALUES: u64 = (RECORD_BYTES * BATCH_RECORDS) as u64;
/// Where every frame has its correlation id: behind its length, API key and version.
pub(crate) const CORRELATION_ID_AT: usize = 8;
/// What a consumer asks for by default, of each partition and in all. Kafka: max.partition.fetch.bytes, fetch.max.bytes
pub(crate) const PARTITION_BYTES_MAX: i32 = 1 << 20;
const FETCH_BYTES_MAX: i32 = 50 << 20;

const CLIENT_ID: &[u8] = b"bench";
const PRODUCE_VERSION: i16 = 8;
const FETCH_VERSION: i16 = 11;
const TIMEOUT_MS: i32 = 60_000;
/// How long a fetch that finds nothing may wait.
const WAIT_MS: i32 = 500;

/// A batch of `records` records with random values of `bytes` bytes, at the time of now.
pub(crate) fn batch(records: usize, bytes: usize) -> Bytes {
    let now = batch::now();
    let mut random = Random::new(1);
    let mut value = || -> Vec<u8> { (0..bytes).map(|_| random.number().to_be_bytes()[0]).collect() };
    Batch::of((0..records).map(|_| Record::of(value()).at(now))).encode()
}

/// All of a Produce frame that stands before the batch, with its length.
pub(crate) fn produce_head(topic: &str, partition: u32, acks: i16, batch: &[u8]) -> Vec<u8> {
    let mut head = header(ApiKey::Produce, PRODUCE_VERSION);
    head.extend((-1_i16).to_be_bytes());
    head.extend(acks.to_be_bytes());
    head.extend(TIMEOUT_MS.to_be_bytes());
    head.extend(1_i32.to_be_bytes());
    put_string(&mut head, topic.as_bytes());
    head.extend(1_i32.to_be_bytes());
    head.extend(partition.to_be_bytes());
    head.extend(length(batch).to_be_bytes());
    close(&mut head, batch.len());
    head
}

/// What the floor reads of a Produce frame (behind its length): the rest of it, and where its batch begins.
pub(crate) struct Produce<'a> {
    pub(crate) acks: i16,
    pub(crate) topic: &'a [u8],
    pub(crate) partition: i32,
    pub(crate) batch_at: usize,
}

pub(crate) fn read_produce(frame: &[u8]) -> Option<Produce<'_>> {
    let mut cursor = Cursor(frame);
    cursor.array::<8>()?;
    cursor.string()?;
    cursor.string()?;
    let acks = cursor.i16()?;
    cursor.array::<8>()?;
    let topic = cursor.string()?;
    cursor.i32()?;
    let partition = cursor.i32()?;
    cursor.i32()?;
    Some(Produce { acks, topic, partition, batch_at: frame.len() - cursor.0.len() })
}

/// The answer to Produce of one batch, with its length.
pub(crate) fn produce_answer(correlation_id: [u8; 4], produce: &Produce<'_>, base_offset: i64) -> Vec<u8> {
    let mut answer = vec![0; 4];
    answer.extend(correlation_id);
    answer.extend(1_i32.to_be_bytes());
    put_string(&mut answer, produce.topic);
    answer.extend(1_i32.to_be_bytes());
    answer.extend(produce.partition.to_be_bytes());
    answer.extend(0_i16.to_be_bytes());
    answer.extend(base_offset.to_be_bytes());
    answer.extend((-1_i64).to_be_bytes());
    answer.extend(0_i64.to_be_bytes());
    answer.extend(0_i32.to_be_bytes());
    answer.extend((-1_i16).to_be_bytes());
    answer.extend(0_i32.to_be_bytes());
    close(&mut answer, 0);
    answer
}

/// Where the answer to Produce (with its length) has the error of its one partition.
pub(crate) fn produce_error_at(topic: &str) -> usize {
    4 + 4 + 4 + 2 + topic.len() + 4 + 4
}

/// A Fetch without a session from these offsets, with its length.
pub(crate) fn fetch(topic: &str, from: &[(u32, i64)]) -> Vec<u8> {
    let mut frame = header(ApiKey::Fetch, FETCH_VERSION);
    for number in [-1, WAIT_MS, 1, FETCH_BYTES_MAX] {
        frame.extend(number.to_be_bytes());
    }
    frame.push(0);
    frame.extend(0_i32.to_be_bytes());
    frame.extend((-1_i32).to_be_bytes());
    frame.extend(1_i32.to_be_bytes());
    put_string(&mut frame, topic.as_bytes());
    frame.extend(i32::try_from(from.len()).expect("few partitions").to_be_bytes());
    for (partition, offset) in from {
        frame.extend(partition.to_be_bytes());
        frame.extend((-1_i32).to_be_bytes());
        frame.extend(offset.to_be_bytes());
        frame.extend((-1_i64).to_be_bytes());
        frame.extend(PARTITION_BYTES_MAX.to_be_bytes());
    }
    frame.extend(0_i32.to_be_bytes());
    put_string(&mut frame, b"");
    close(&mut frame, 0);
    frame
}

/// Partitions, and the offsets from which they are asked for.
type Asked = Vec<(i32, i64)>;

/// The topic of a Fetch frame (behind its length), and what is asked for.
pub(crate) fn read_fetch(frame: &[u8]) -> Option<(&[u8], Asked)> {
    let mut cursor = Cursor(frame);
    cursor.array::<8>()?;
    cursor.string()?;
    cursor.take(4 * 4 + 1 + 4 + 4 + 4)?;
    let topic = cursor.string()?;
    let count = cursor.i32()?;
    let mut from = Vec::new();
    for _ in 0..count {
        let partition = cursor.i32()?;
        cursor.i32()?;
        from.push((partition, cursor.i64()?));
        cursor.array::<12>()?;
    }
    Some((topic, from))
}

/// One partition of an answer to Fetch.
pub(crate) struct Fetched<'a> {
    pub(crate) partition: u32,
    pub(crate) error_code: i16,
    pub(crate) records: &'a [u8],
}

/// The partitions of an answer to Fetch of one topic (behind its length).
pub(crate) fn read_fetched(answer: &[u8]) -> Option<Vec<Fetched<'_>>> {
    let mut cursor = Cursor(answer);
    cursor.array::<8>()?;
    let error_code = cursor.i16()?;
    assert_eq!(error_code, 0, "the error of a fetch");
    cursor.i32()?;
    let topics = cursor.i32()?;
    let mut partitions = Vec::new();
    for _ in 0..topics {
        cursor.string()?;
        for _ in 0..cursor.i32()? {
            let partition = u32::try_from(cursor.i32()?).ok()?;
            let error_code = cursor.i16()?;
            cursor.array::<24>()?;
            let aborted = usize::try_from(cursor.i32()?).unwrap_or(0);
            cursor.take(aborted * 16)?;
            cursor.i32()?;
            partitions.push(Fetched { partition, error_code, records: cursor.bytes()? });
        }
    }
    Some(partitions)
}

/// What the floor answers to Fetch before each partition's records.
pub(crate) fn fetched_head(partition: i32, high_watermark: i64, records: usize) -> Vec<u8> {
    let mut head = partition.to_be_bytes().to_vec();
    head.extend(0_i16.to_be_bytes());
    head.extend(high_watermark.to_be_bytes());
    head.extend(high_watermark.to_be_bytes());
    head.extend(0_i64.to_be_bytes());
    head.extend((-1_i32).to_be_bytes());
    head.extend((-1_i32).to_be_bytes());
    head.extend(i32::try_from(records).expect("an answer is below 2 GiB").to_be_bytes());
    head
}

/// What the floor answers to Fetch before all partitions, `behind` bytes of them.
pub(crate) fn fetched_start(correlation_id: [u8; 4], topic: &[u8], partitions: usize, behind: usize) -> Vec<u8> {
    let mut start = vec![0; 4];
    start.extend(correlation_id);
    start.extend([0; 4 + 2 + 4]);
    start.extend(1_i32.to_be_bytes());
    put_string(&mut start, topic);
    start.extend(i32::try_from(partitions).expect("few partitions").to_be_bytes());
    close(&mut start, behind);
    start
}

/// The offset behind the last whole batch; what is cut off at the end is left out.
pub(crate) fn end_of(mut records: &[u8]) -> Option<i64> {
    let mut end = None;
    while let (Some(base), Some(length), Some(last_delta)) =
        (i64_at(records, 0), i32_at(records, 8), i32_at(records, 23))
    {
        let Some(rest) = records.get(12 + usize::try_from(length).ok()?..) else { break };
        records = rest;
        end = Some(base + i64::from(last_delta) + 1);
    }
    end
}

fn i64_at(bytes: &[u8], at: usize) -> Option<i64> {
    Cursor(bytes.get(at..)?).i64()
}

fn i32_at(bytes: &[u8], at: usize) -> Option<i32> {
    Cursor(bytes.get(at..)?).i32()
}

/// The begin of a request: room for its length, then its header.
fn header(key: ApiKey, version: i16) -> Vec<u8> {
    let mut frame = vec![0; 4];
    frame.extend((key as i16).to_be_bytes());
    frame.extend(version.to_be_bytes());
    frame.extend(0_i32.to_be_bytes());
    put_string(&mut frame, CLIENT_ID);
    frame
}

fn put_string(frame: &mut Vec<u8>, text: &[u8]) {
    frame.extend(i16::try_from(text.len()).expect("a short string").to_be_bytes());
    frame.extend(text);
}

/// Writes the length of a frame of which `behind` bytes are still to come.
fn close(frame: &mut [u8], behind: usize) {
    let length = i32::try_from(frame.len() - 4 + behind).expect("a frame is below 2 GiB");
    frame[..4].copy_from_slice(&length.to_be_bytes());
}

fn length(bytes: &[u8]) -> i32 {
    i32::try_from(bytes.len()).expect("a batch is below 2 GiB")
}

#[cfg(test)]
mod tests {
    use kafka_protocol::messages::ResponseHeader;
    use kafka_protocol::messages::{FetchRequest, FetchResponse, ProduceRequest, ProduceResponse, RequestHeader};
    use kafka_protocol::protocol::{Decodable, HeaderVersion};

    use super::*;

    /// The body of a request as the codec reads it; it must use up the frame.
    fn request<R: Decodable + HeaderVersion>(frame: &[u8], version: i16) -> R {
        assert_eq!(Cursor(frame).i32(), Some(length(&frame[4..])));
        let mut bytes = Bytes::copy_from_slice(&frame[4..]);
        RequestHeader::decode(&mut bytes, R::header_version(version)).unwrap();
        let request = R::decode(&mut bytes, version).unwrap();
        assert!(bytes.is_empty());
        request
    }

    fn response<R: Decodable + HeaderVersion>(frame: &[u8], version: i16) -> R {
        assert_eq!(Cursor(frame).i32(), Some(length(&frame[4..])));
        let mut bytes = Bytes::copy_from_slice(&frame[4..]);
        ResponseHeader::decode(&mut bytes, R::header_version(version)).unwrap();
        let response = R::decode(&mut bytes, version).unwrap();
        assert!(bytes.is_empty());
        response
    }

    #[test]
    fn produce_is_what_the_codec_reads_and_answers() {
        let batch = batch(BATCH_RECORDS, RECORD_BYTES);
        assert!(batch.len() <= 64 * 1024 && batch.len() > 63 * 1024, "{}", batch.len());
        let frame = [produce_head("t", 7, -1, &batch), batch.to_vec()].concat();
        let decoded = request::<ProduceRequest>(&frame, PRODUCE_VERSION);
        let part = &decoded.topic_data[0].partition_data[0];
        assert_eq!((decoded.acks, part.index, part.records.as_ref()), (-1, 7, Some(&batch)));
        let read = read_produce(&frame[4..]).unwrap();
        assert_eq!((read.acks, read.topic, read.partition), (-1, &b"t"[..], 7));
        assert_eq!(&frame[4 + read.batch_at..], &batch[..]);
        let answer = produce_answer([0, 0, 0, 9], &read, 5);
        let decoded = response::<ProduceResponse>(&answer, PRODUCE_VERSION);
        assert_eq!(decoded.responses[0].partition_responses[0].base_offset, 5);
        let mut refused = answer.clone();
        refused[produce_error_at("t") + 1] = 3;
        let decoded = response::<ProduceResponse>(&refused, PRODUCE_VERSION);
        assert_eq!(decoded.responses[0].partition_responses[0].error_code, 3);
    }

    #[test]
    fn fetch_is_what_the_codec_reads_and_answers() {
        let frame = fetch("t", &[(3, 10), (4, 20)]);
        let decoded = request::<FetchRequest>(&frame, FETCH_VERSION);
        assert_eq!((decoded.max_bytes, decoded.topics[0].partitions[1].fetch_offset), (FETCH_BYTES_MAX, 20));
        assert_eq!(read_fetch(&frame[4..]), Some((&b"t"[..], vec![(3, 10), (4, 20)])));
        let batch = batch(2, 10);
        let behind = [fetched_head(3, 12, batch.len()), batch.to_vec()].concat();
        let answer = [fetched_start([0, 0, 0, 1], b"t", 1, behind.len()), behind].concat();
        let decoded = response::<FetchResponse>(&answer, FETCH_VERSION);
        assert_eq!(decoded.responses[0].partitions[0].records.as_ref(), Some(&batch));
        let read = read_fetched(&answer[4..]).unwrap();
        assert_eq!((read[0].partition, read[0].error_code, read[0].records), (3, 0, &batch[..]));
    }

    #[test]
    fn the_end_of_records_leaves_out_what_is_cut_off() {
        let mut records = batch(2, 10).to_vec();
        let one = records.len();
        records[7] = 40;
        records.extend_from_within(..);
        records[one + 7] = 42;
        assert_eq!(end_of(&records), Some(44));
        assert_eq!(end_of(&records[..records.len() - 1]), Some(42));
        assert_eq!(end_of(&records[..20]), None);
    }
}
