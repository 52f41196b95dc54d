//! The builder: what it makes is sound, and what cannot be made is refused before it is.

use super::super::{Batch, BatchBuilder, BuildError, Codec, NewRecord};
use super::{NOW, ROOM};

fn at(timestamp: i64) -> NewRecord<'static> {
    NewRecord { timestamp, ..NewRecord::default() }
}

#[test]
fn a_control_batch_has_its_bits() {
    let mut builder = BatchBuilder::new().control().transactional().producer(9, 1, -1).append_time(NOW);
    builder
        .append(&NewRecord { timestamp: NOW, key: Some(&[0, 0, 0, 1]), value: Some(&[0; 6]), headers: &[] })
        .unwrap();
    let bytes = builder.build().unwrap();
    let batch = Batch::parse_verified(&bytes).unwrap();
    let attributes = batch.header().attributes();
    assert_eq!(attributes.bits(), 0x38);
    assert_eq!(batch.header().max_timestamp(), NOW);
}

#[test]
fn what_compaction_leaves_keeps_its_offsets_and_its_horizon() {
    let mut builder = BatchBuilder::new().base_offset(100).last_offset(120).delete_horizon(NOW + 5);
    builder.append_at(103, &at(NOW)).unwrap().append_at(117, &at(NOW + 1)).unwrap();
    let bytes = builder.build().unwrap();
    let batch = Batch::parse_verified(&bytes).unwrap();
    let header = batch.header();
    assert_eq!((header.base_offset(), header.last_offset(), header.record_count()), (100, 120, 2));
    assert_eq!(header.delete_horizon_ms(), Some(NOW + 5));
    assert_eq!(header.max_timestamp(), NOW + 1);
    let mut read = Vec::new();
    batch.for_each_record(ROOM, |record| read.push((record.offset, record.timestamp))).unwrap();
    assert_eq!(read, [(103, NOW), (117, NOW + 1)]);
}

#[test]
fn an_emptied_batch_keeps_its_range_and_its_producer() {
    let bytes = BatchBuilder::new().base_offset(5).last_offset(9).producer(3, 2, 40).build().unwrap();
    let header = *Batch::parse_verified(&bytes).unwrap().header();
    assert_eq!((header.base_offset(), header.next_offset(), header.record_count()), (5, 10, 0));
    assert_eq!(header.producer().unwrap().last_sequence, 44);
}

#[test]
fn impossible_records_are_refused_and_leave_no_trace() {
    let mut builder = BatchBuilder::new().base_offset(10);
    builder.append(&at(-1)).unwrap();
    let bytes = builder.build().unwrap();
    for offset in [9, 10, 11 + i64::from(i32::MAX), i64::MAX] {
        assert!(matches!(builder.append_at(offset, &at(0)), Err(BuildError::Offset { .. })), "{offset}");
    }
    assert!(matches!(builder.append(&at(i64::MAX)), Err(BuildError::Timestamp { .. })));
    assert_eq!(builder.build().unwrap(), bytes);
    assert!(matches!(builder.clone().last_offset(9).build(), Err(BuildError::Offset { .. })));
    assert!(matches!(BatchBuilder::new().base_offset(-1).build(), Err(BuildError::Header(_))));
}

#[test]
fn the_size_is_known_before_it_is_made() {
    let mut builder = BatchBuilder::new();
    for value in [&b""[..], &[1; 63], &[2; 64], &[3; 10_000]] {
        builder.append(&NewRecord { timestamp: NOW, key: Some(value), value: Some(value), headers: &[] }).unwrap();
        assert_eq!(builder.plain_bytes(), builder.build().unwrap().len());
    }
    assert!(builder.clone().codec(Codec::Zstd).build().unwrap().len() < builder.plain_bytes());
    assert_eq!(builder.record_count(), 4);
}
