//! Records by time: inclusive, exact, and independent of what the head says.

use proptest::prelude::*;

use super::super::{Batch, BatchBuilder, Codec, NewRecord, ReadError, TimestampedOffset};
use super::{ROOM, any_codec, batch_at, patched};

#[test]
fn a_time_is_found_inclusively_and_exactly() {
    let bytes = batch_at(Codec::Gzip, &[10, 30, 20, 30, 5]);
    let batch = Batch::parse_verified(&bytes).unwrap();
    let find =
        |time, from| batch.first_at_or_after(time, from, ROOM).unwrap().map(|found| (found.offset, found.timestamp));
    assert_eq!(find(10, 0), Some((0, 10)));
    assert_eq!(find(11, 0), Some((1, 30)), "the first, not the nearest in time");
    assert_eq!(find(11, 2), Some((2, 20)));
    assert_eq!(find(30, 2), Some((3, 30)));
    assert_eq!(find(31, 0), None);
    assert_eq!(find(0, 5), None);
    assert_eq!(batch.max_timestamp(ROOM).unwrap(), Some(TimestampedOffset { timestamp: 30, offset: 1 }));
}

#[test]
fn the_head_is_not_believed() {
    let bytes = patched(&batch_at(Codec::None, &[10, 30, 20]), 35, &(-1_i64).to_be_bytes());
    let batch = Batch::parse_verified(&bytes).unwrap();
    assert_eq!(batch.first_at_or_after(25, 0, ROOM).unwrap().unwrap().offset, 1);
    assert_eq!(batch.max_timestamp(ROOM).unwrap().unwrap().timestamp, 30);
}

#[test]
fn with_append_time_all_records_have_it() {
    let mut builder = BatchBuilder::new().base_offset(7).append_time(100);
    for timestamp in [1, 500] {
        builder.append(&NewRecord { timestamp, ..NewRecord::default() }).unwrap();
    }
    let bytes = builder.build().unwrap();
    let batch = Batch::parse_verified(&bytes).unwrap();
    assert_eq!(batch.max_timestamp(ROOM).unwrap(), Some(TimestampedOffset { timestamp: 100, offset: 7 }));
    assert_eq!(batch.first_at_or_after(101, 0, ROOM).unwrap(), None);
    assert_eq!(batch.first_at_or_after(100, 8, ROOM).unwrap().unwrap().offset, 8);
}

#[test]
fn a_batch_without_records_has_no_times() {
    let bytes = BatchBuilder::new().build().unwrap();
    let batch = Batch::parse_verified(&bytes).unwrap();
    assert_eq!(batch.max_timestamp(ROOM).unwrap(), None);
    assert_eq!(batch.first_at_or_after(i64::MIN, 0, ROOM).unwrap(), None);
}

#[test]
fn what_stands_before_the_damage_is_found() {
    let mut bytes = batch_at(Codec::None, &[10, 20, 30]);
    bytes.truncate(bytes.len() - 3);
    let length = i32::try_from(bytes.len() - 12).unwrap();
    let bytes = patched(&bytes, 8, &length.to_be_bytes());
    let batch = Batch::parse_verified(&bytes).unwrap();
    assert_eq!(batch.first_at_or_after(20, 0, ROOM).unwrap().unwrap().offset, 1);
    let Err(ReadError::Record(error)) = batch.max_timestamp(ROOM) else { panic!("the damage is not seen") };
    assert_eq!(error.index, 2);
}

proptest! {
    #[test]
    fn searches_agree_with_looking_at_every_record(
        codec in any_codec(),
        times in prop::collection::vec(0..50_i64, 1..40),
        time in -1..52_i64,
        from in 0..45_i64,
    ) {
        let bytes = batch_at(codec, &times);
        let batch = Batch::parse_verified(&bytes).unwrap();
        let all: Vec<_> = (0_i64..).zip(times).map(|(offset, timestamp)| TimestampedOffset { timestamp, offset }).collect();
        let first = all.iter().find(|record| record.timestamp >= time && record.offset >= from).copied();
        prop_assert_eq!(batch.first_at_or_after(time, from, ROOM).unwrap(), first);
        let max = all.iter().map(|record| record.timestamp).max().unwrap();
        let first_max = all.iter().find(|record| record.timestamp == max).copied();
        prop_assert_eq!(batch.max_timestamp(ROOM).unwrap(), first_max);
    }
}
