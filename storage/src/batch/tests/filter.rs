//! What is left of a batch is what Kafka's cleaner would leave: offsets, times, producer and sequences as they were.

use super::super::{Batch, BatchBuilder, BatchHeader, Codec, Filtered, Header, NewRecord, Record};

const CODECS: [Codec; 5] = [Codec::None, Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd];

type Own = (i64, i64, Option<Vec<u8>>, Option<Vec<u8>>, usize);

fn own(record: &Record<'_>) -> Own {
    let copy = |bytes: Option<&[u8]>| bytes.map(<[u8]>::to_vec);
    (record.offset, record.timestamp, copy(record.key), copy(record.value), record.headers.len())
}

fn records(bytes: &[u8]) -> Vec<Own> {
    let mut all = Vec::new();
    Batch::parse_verified(bytes).unwrap().for_each_record(1 << 20, |record| all.push(own(&record))).unwrap();
    all
}

/// Ten records whose greatest timestamp is that of the eighth.
fn batch(builder: BatchBuilder) -> Vec<u8> {
    let mut builder = builder.base_offset(100).leader_epoch(4).producer(77, 3, 2_147_483_640);
    for n in 0..10i64 {
        let key = format!("key-{n}");
        let headers = [Header { key: b"h", value: Some(b"v") }];
        let value = (n % 3 != 0).then_some(&b"value"[..]);
        let timestamp = 1_000 + if n == 7 { 500 } else { n };
        builder.append(&NewRecord { timestamp, key: Some(key.as_bytes()), value, headers: &headers }).unwrap();
    }
    builder.build().unwrap()
}

fn filtered(bytes: &[u8], stays: impl Fn(i64) -> bool) -> Filtered {
    Batch::parse_verified(bytes).unwrap().filter(1 << 20, |record| stays(record.offset)).unwrap()
}

#[test]
fn what_stays_is_what_it_was_whatever_the_codec() {
    for codec in CODECS {
        let whole = batch(BatchBuilder::new().codec(codec));
        let Filtered::Some(left) = filtered(&whole, |offset| offset % 4 == 1) else { panic!("{codec:?}: some stay") };
        let expected: Vec<Own> = records(&whole).into_iter().filter(|record| record.0 % 4 == 1).collect();
        assert_eq!(records(&left), expected, "{codec:?}");
        let (before, after) = (BatchHeader::parse(&whole).unwrap(), BatchHeader::parse(&left).unwrap());
        assert_eq!(after.attributes(), before.attributes(), "{codec:?}");
        assert_eq!((after.base_offset(), after.last_offset()), (100, 109), "it stands for all its offsets");
        assert_eq!(after.producer(), before.producer(), "and for all its sequences");
        assert_eq!((after.leader_epoch(), after.base_timestamp()), (4, 1_000));
        assert_eq!((after.record_count(), after.max_timestamp()), (3, 1_009), "the eighth is not among them");
    }
}

#[test]
fn the_brokers_time_is_that_of_all_records_and_stays() {
    let whole = batch(BatchBuilder::new().append_time(9_000));
    let Filtered::Some(left) = filtered(&whole, |offset| offset == 100) else { panic!("one stays") };
    assert_eq!(BatchHeader::parse(&left).unwrap().max_timestamp(), 9_000);
    assert_eq!(records(&left)[0].1, 9_000);
}

#[test]
fn all_or_nothing_makes_no_batch() {
    let whole = batch(BatchBuilder::new().codec(Codec::Zstd));
    assert_eq!(filtered(&whole, |_| true), Filtered::All);
    assert_eq!(filtered(&whole, |_| false), Filtered::Nothing);
}

#[test]
fn a_batch_that_lost_some_can_lose_more() {
    let whole = batch(BatchBuilder::new().codec(Codec::Lz4));
    let Filtered::Some(some) = filtered(&whole, |offset| offset > 102) else { panic!("some stay") };
    let Filtered::Some(less) = filtered(&some, |offset| offset > 107) else { panic!("some stay") };
    assert_eq!(records(&less).iter().map(|record| record.0).collect::<Vec<_>>(), [108, 109]);
    assert_eq!(filtered(&less, |_| true), Filtered::All, "what it lost before is not missed");
}

#[test]
fn an_empty_batch_alone_is_a_hole() {
    let hole = BatchBuilder::new().base_offset(7).last_offset(1_000_000).leader_epoch(2).build().unwrap();
    let header = BatchHeader::parse(&hole).unwrap();
    assert!(header.is_hole() && header.next_offset() == 1_000_001);
    assert!(!BatchHeader::parse(&batch(BatchBuilder::new())).unwrap().is_hole());
    assert!(matches!(filtered(&hole, |_| false), Filtered::All), "it has nothing to lose");
}
