//! Records: what is read is what was written, and garbage has a name and an index.

use proptest::prelude::*;

use super::super::header::BatchHeader;
use super::super::records::{RecordError, RecordFault, RecordHeads, Records};
use super::super::varint::{self, Cursor};
use super::super::{Batch, BatchBuilder, Codec, HEADER_BYTES, NewRecord};
use super::{Owned, ROOM, any_codec, any_record, batch_at, patched};

/// A batch of `count` records whose bytes are these.
fn batch_of(count: i32, records: &[u8]) -> Vec<u8> {
    let mut bytes = batch_at(Codec::None, &[0]);
    bytes.truncate(HEADER_BYTES);
    bytes.extend_from_slice(records);
    let length = i32::try_from(bytes.len() - 12).unwrap();
    let bytes = patched(&bytes, 8, &length.to_be_bytes());
    let bytes = patched(&bytes, 23, &(count - 1).max(0).to_be_bytes());
    patched(&bytes, 57, &count.to_be_bytes())
}

/// A record with this body.
fn framed(body: &[u8]) -> Vec<u8> {
    let mut record = Vec::new();
    varint::put(&mut record, i64::try_from(body.len()).unwrap());
    record.extend_from_slice(body);
    record
}

fn first_error(batch: &[u8]) -> RecordError {
    let batch = Batch::parse_verified(batch).unwrap();
    let mut records = Records::new(batch.header(), batch.stored_records());
    let error = records.find_map(Result::err).expect("an error");
    assert!(records.next().is_none(), "nothing behind the error is read");
    error
}

/// attributes 0, timestamp delta 0, offset delta 0, key null, value null, no headers.
const LEAST: [u8; 6] = [0, 0, 0, 1, 1, 0];

#[test]
fn the_least_record_is_read() {
    let bytes = batch_of(1, &framed(&LEAST));
    let batch = Batch::parse_verified(&bytes).unwrap();
    let records: Vec<_> = Records::new(batch.header(), batch.stored_records()).collect::<Result<_, _>>().unwrap();
    assert_eq!(records.len(), 1);
    assert_eq!((records[0].offset, records[0].key, records[0].value, records[0].headers.len()), (0, None, None, 0));
}

#[test]
fn each_fault_is_named() {
    let fault = |body: &[u8]| {
        let error = first_error(&batch_of(1, &framed(body)));
        assert_eq!(error.index, 0);
        error.fault
    };
    assert_eq!(fault(&[]), RecordFault::Cut);
    assert_eq!(fault(&LEAST[..5]), RecordFault::Cut);
    assert_eq!(fault(&[0, 0, 0, 1, 1, 0, 9, 9]), RecordFault::Surplus(2));
    assert_eq!(fault(&[0, 0, 0, 3, 1, 0]), RecordFault::Length(-2));
    assert_eq!(fault(&[0, 0, 0, 1, 3, 0]), RecordFault::Length(-2));
    assert_eq!(fault(&[0, 0, 0, 1, 1, 1]), RecordFault::HeaderCount(-1));
    assert_eq!(fault(&[0, 0, 0, 1, 1, 2, 1]), RecordFault::Length(-1), "a header's key is never null");
    assert_eq!(fault(&[0, 0, 2, 1, 1, 0]), RecordFault::OffsetDelta(1));
    assert_eq!(fault(&[0, 0, 1, 1, 1, 0]), RecordFault::OffsetDelta(-1));
    assert_eq!(fault(&[0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 1, 1, 0]), RecordFault::Varint);
    assert_eq!(fault(&[0, 0, 0x80, 0x80, 0x80, 0x80, 0x80, 0, 1, 1, 0]), RecordFault::Varint);
    assert_eq!(fault(&[0, 0, 0xff, 0xff, 0xff, 0xff, 0x10, 1, 1, 0]), RecordFault::Varint, "33 bits");
}

#[test]
fn a_count_that_is_not_that_of_the_records_is_an_error() {
    let second = [0, 0, 2, 1, 1, 0];
    let two = [framed(&LEAST), framed(&second)].concat();
    let error = first_error(&batch_of(3, &two));
    assert_eq!(error, RecordError { index: 2, fault: RecordFault::Cut });
    let error = first_error(&batch_of(1, &two));
    assert_eq!(error, RecordError { index: 1, fault: RecordFault::Trailing(7) });
    let error = first_error(&batch_of(0, &two));
    assert_eq!(error, RecordError { index: 0, fault: RecordFault::Trailing(14) });
}

#[test]
fn hostile_counts_and_lengths_cost_nothing() {
    let mut headers = LEAST[..5].to_vec();
    varint::put(&mut headers, i64::from(i32::MAX));
    assert_eq!(first_error(&batch_of(1, &framed(&headers))).fault, RecordFault::Cut);
    let mut key = LEAST[..3].to_vec();
    varint::put(&mut key, i64::from(i32::MAX));
    assert_eq!(first_error(&batch_of(1, &framed(&key))).fault, RecordFault::Cut);
    let mut record = Vec::new();
    varint::put(&mut record, i64::from(i32::MAX));
    assert_eq!(first_error(&batch_of(i32::MAX, &record)).fault, RecordFault::Cut);
}

#[test]
fn a_timestamp_beyond_i64_is_an_error() {
    let mut body = vec![0];
    varint::put(&mut body, 1);
    body.extend_from_slice(&LEAST[2..]);
    let bytes = patched(&batch_of(1, &framed(&body)), 27, &i64::MAX.to_be_bytes());
    assert_eq!(first_error(&bytes).fault, RecordFault::TimestampOverflow);
}

#[test]
fn offsets_do_not_repeat() {
    let bytes = batch_of(2, &[framed(&LEAST), framed(&LEAST)].concat());
    assert_eq!(first_error(&bytes), RecordError { index: 1, fault: RecordFault::OffsetDelta(0) });
}

#[test]
fn append_time_stands_for_that_of_all_records() {
    let mut builder = BatchBuilder::new().append_time(99);
    for timestamp in [1, 2] {
        builder.append(&NewRecord { timestamp, ..NewRecord::default() }).unwrap();
    }
    let bytes = builder.build().unwrap();
    let batch = Batch::parse_verified(&bytes).unwrap();
    let times: Vec<_> =
        Records::new(batch.header(), batch.stored_records()).map(|record| record.unwrap().timestamp).collect();
    assert_eq!(times, [99, 99]);
}

#[test]
fn varints_are_kafkas() {
    let encoded = |value| {
        let mut out = Vec::new();
        varint::put(&mut out, value);
        out
    };
    assert_eq!(encoded(0), [0]);
    assert_eq!(encoded(-1), [1]);
    assert_eq!(encoded(1), [2]);
    assert_eq!(encoded(63), [0x7e]);
    assert_eq!(encoded(64), [0x80, 0x01]);
    assert_eq!(encoded(-65), [0x81, 0x01]);
    assert_eq!(encoded(i64::from(i32::MIN)), [0xff, 0xff, 0xff, 0xff, 0x0f]);
    assert_eq!(encoded(i64::MIN), [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]);
}

proptest! {
    #[test]
    fn varints_come_back(value: i64) {
        let mut out = Vec::new();
        varint::put(&mut out, value);
        prop_assert_eq!(out.len(), varint::size(value));
        let mut cursor = Cursor::new(&out);
        prop_assert_eq!(cursor.varlong(), Ok(value));
        prop_assert!(cursor.rest().is_empty());
        prop_assert_eq!(Cursor::new(&out).varint().ok(), i32::try_from(value).ok());
        for cut in 0..out.len() {
            prop_assert_eq!(Cursor::new(&out[..cut]).varlong(), Err(RecordFault::Cut));
        }
    }

    #[test]
    fn records_come_back(
        codec in any_codec(),
        base_offset in 0..i64::MAX / 2,
        records in prop::collection::vec((any_record(), 1..1000_i64), 1..40),
    ) {
        let mut builder = BatchBuilder::new().codec(codec).base_offset(base_offset);
        let mut offset = base_offset - 1;
        let mut offsets = Vec::new();
        let mut written = Vec::new();
        for (record, gap) in records {
            // Deltas of timestamps that no i64 holds are the builder's to refuse.
            let first = written.first().map_or(record.timestamp, |first: &Owned| first.timestamp);
            if record.timestamp.checked_sub(first).is_none() {
                continue;
            }
            offset += gap;
            record.append_to(&mut builder, offset);
            offsets.push(offset);
            written.push(record);
        }
        let bytes = builder.build().unwrap();
        let batch = Batch::parse_verified(&bytes).unwrap();
        prop_assert_eq!(batch.header().last_offset(), offset);
        let plain = batch.plain_records(ROOM).unwrap();
        let read: Vec<_> = Records::new(batch.header(), &plain).collect::<Result<_, _>>().unwrap();
        prop_assert_eq!(read.iter().map(Owned::of).collect::<Vec<_>>(), written);
        prop_assert_eq!(read.iter().map(|record| record.offset).collect::<Vec<_>>(), offsets);
        let heads: Vec<_> = RecordHeads::new(batch.header(), &plain).collect::<Result<_, _>>().unwrap();
        prop_assert_eq!(heads.len(), read.len());
        for (head, record) in heads.iter().zip(&read) {
            prop_assert_eq!((head.offset, head.timestamp, head.has_key), (
                record.offset,
                record.timestamp,
                record.key.is_some()
            ));
        }
    }

    #[test]
    fn a_cut_or_garbled_inside_never_panics(
        records in prop::collection::vec(any_record(), 1..5),
        cut in 0_usize..2000,
        at in 0_usize..2000,
        with: u8,
    ) {
        let mut builder = BatchBuilder::new();
        for (offset, record) in (0..).zip(&records) {
            if record.timestamp.checked_sub(records[0].timestamp).is_some() {
                record.append_to(&mut builder, offset);
            }
        }
        let bytes = builder.build().unwrap();
        let header = BatchHeader::parse(&bytes).unwrap();
        let mut plain = bytes[HEADER_BYTES..].to_vec();
        let at = at % plain.len();
        plain[at] = with;
        plain.truncate(cut);
        for record in Records::new(&header, &plain).flatten() {
            prop_assert_eq!(record.headers.into_iter().count(), record.headers.len(), "headers that were read once can be read");
        }
        RecordHeads::new(&header, &plain).for_each(drop);
    }
}
