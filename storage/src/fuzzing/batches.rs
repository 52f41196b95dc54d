//! Record batches: the iterator, the check that Produce makes, decompression, records, search by time.

use super::bounded;
use super::input::Input;
use crate::batch::codec::compress;
use crate::batch::{
    Batch, BatchError, BatchIter, Checked, Codec, RecordHeads, Records, Rules, TimestampType, check as check_batch,
};

/// The most that comes out of a decompression.
const PLAIN_BYTES_MAX: usize = 64 << 10;
const HEADER: usize = crate::batch::HEADER_BYTES;

/// Bytes as batches: as they are, with a length, magic and CRC that are right, or with records that are then compressed.
pub fn batches(data: &[u8]) {
    let mut input = Input::new(data);
    match input.u8() % 3 {
        0 => read_all_ways(input.rest()),
        1 => read_all_ways(&sealed(input.rest().to_vec())),
        _ => compressed(&mut input),
    }
}

/// A head as it may be, and records as the input has them, compressed by the codec that the head names.
fn compressed(input: &mut Input<'_>) {
    let Ok(codec) = Codec::from_id(input.u8() % 5) else { return };
    let mut batch = input.bytes(HEADER).to_vec();
    batch.resize(HEADER, 0);
    batch[22] = batch[22] & !7 | codec.id();
    let plain = input.rest();
    compress(codec, plain, &mut batch).expect("memory takes what is written");
    let batch = sealed(batch);
    read_all_ways(&batch);
    let Ok(parsed) = Batch::parse_verified(&batch) else { return };
    if plain.len() <= PLAIN_BYTES_MAX {
        let back = parsed.plain_records(PLAIN_BYTES_MAX).expect("what was compressed is decompressed");
        assert_eq!(back, plain, "{codec:?} gives back what it was given");
    } else if codec != Codec::None {
        assert!(parsed.plain_records(PLAIN_BYTES_MAX).is_err(), "{codec:?} gives more than it may");
    }
}

/// Past the first doors: no offset, the length, the magic and the CRC as they have to be.
fn sealed(mut batch: Vec<u8>) -> Vec<u8> {
    if batch.len() < HEADER {
        return batch;
    }
    let length = i32::try_from(batch.len() - 12).unwrap_or(i32::MAX);
    batch[..8].fill(0);
    batch[8..12].copy_from_slice(&length.to_be_bytes());
    batch[16] = 2;
    let crc = crc32c::crc32c(&batch[21..]);
    batch[17..21].copy_from_slice(&crc.to_be_bytes());
    batch
}

fn read_all_ways(bytes: &[u8]) {
    bounded(bytes.len() + 2 * PLAIN_BYTES_MAX, || {
        let mut iter = BatchIter::new(bytes);
        let read: usize = iter.by_ref().flatten().map(|batch| batch.bytes().len()).sum();
        assert_eq!(read, iter.position(), "batches stand back to back");
        for batch in BatchIter::new(bytes).flatten() {
            read_batch(&batch);
        }
        for every_record in [false, true] {
            let rules = rules(every_record);
            match check_batch(bytes, &rules) {
                Ok(checked) => accepted(bytes, &checked, every_record),
                Err(error) => refused(&error),
            }
        }
    });
}

fn read_batch(batch: &Batch<'_>) {
    let header = batch.header();
    assert_eq!(header.encode(), batch.bytes()[..HEADER], "a head is written as it was read");
    Records::new(header, batch.stored_records()).for_each(drop);
    RecordHeads::new(header, batch.stored_records()).for_each(drop);
    let Ok(plain) = batch.plain_records(PLAIN_BYTES_MAX) else { return };
    let is_compressed = header.attributes().codec() != Ok(Codec::None);
    assert!(!is_compressed || plain.len() <= PLAIN_BYTES_MAX, "{} bytes came out", plain.len());
    let mut count = 0;
    let sound = batch.for_each_record(PLAIN_BYTES_MAX, |record| {
        count += 1;
        assert!(record.headers.into_iter().count() <= plain.len());
    });
    if sound.is_err() {
        return;
    }
    assert_eq!(count, header.record_count(), "as many records as the head says");
    let latest = batch.max_timestamp(PLAIN_BYTES_MAX);
    if let Ok(Some(latest)) = latest {
        let found = batch.first_at_or_after(latest.timestamp, header.base_offset(), PLAIN_BYTES_MAX);
        assert_eq!(found.ok().flatten(), Some(latest), "the first of the latest is found by its time");
    }
}

/// What is accepted can be read, to the last record where every record was looked at.
fn accepted(bytes: &[u8], checked: &Checked, every_record: bool) {
    let batch = Batch::parse_verified(bytes).expect("what is accepted checks");
    assert_eq!(batch.bytes().len(), bytes.len(), "one batch and nothing else");
    assert!(batch.header().record_count() > 0 && checked.codec == codec_of(&batch));
    if every_record {
        batch.for_each_record(PLAIN_BYTES_MAX, |_| {}).expect("every record was found to be sound");
    }
}

fn codec_of(batch: &Batch<'_>) -> Codec {
    batch.header().attributes().codec().expect("it was accepted")
}

/// What is refused is said.
fn refused(error: &BatchError) {
    assert!(!error.to_string().is_empty());
    let _kafkas = error.refusal();
}

fn rules(every_record: bool) -> Rules {
    Rules {
        now_ms: 1_700_000_000_000,
        timestamp_type: TimestampType::Create,
        timestamp_before_max_ms: if every_record { 1 << 40 } else { i64::MAX },
        timestamp_after_max_ms: i64::MAX,
        keys_required: false,
        zstd_allowed: true,
        every_record,
        batch_bytes_max: 1 << 20,
        plain_bytes_max: PLAIN_BYTES_MAX,
    }
}
