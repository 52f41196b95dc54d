//! Batches that Kafka's own clients wrote: `kafka-clients` 4.3.1 and `kcat` (`librdkafka`), caught on the wire.

use super::super::build::BatchBuilder;
use super::super::codec::Codec;
use super::super::records::{Header, Records};
use super::super::{Batch, NewRecord, Rules, check};
use super::{NOW, Owned, ROOM, rules};

const JAVA_NONE: &str = "\
    00000000000000000000006dffffffff027323b2950010000000020000018bcfe568000000018bcfe5680a00000000000012\
    67000300000064000000035a000000046b3132612076616c75652c20612076616c75652c20612076616c7565060268040102\
    02680104c3a9000c0014020101000c000a04000000";
const JAVA_GZIP: &str = "\
    000000000000000000000070ffffffff02b6337ef80011000000020000018bcfe568000000018bcfe5680a00000000000012\
    67000300000064000000031f8b08000000000000ff8b62606060c936344a54284bcc294dd5514067b03165b03032316530b2\
    1c5ec9c0c320c2c4c808a4b85880fa004536681c3c000000";
const JAVA_SNAPPY: &str = "\
    000000000000000000000077ffffffff02e4e2c2f50012000000020000018bcfe568000000018bcfe5680a00000000000012\
    670003000000640000000382534e41505059000000000100000001000000323c405a000000046b3132612076616c75652c20\
    3e09006806026804010202680104c3a9000c0014020101000c000a04000000";
const JAVA_LZ4: &str = "\
    000000000000000000000072ffffffff02197c464f0013000000020000018bcfe568000000018bcfe5680a00000000000012\
    670003000000640000000304224d1860408232000000fc025a000000046b3132612076616c75652c200900f00c0602680401\
    0202680104c3a9000c0014020101000c000a0400000000000000";
const JAVA_ZSTD: &str = "\
    000000000000000000000070ffffffff02491c527d0014000000020000018bcfe568000000018bcfe5680a00000000000012\
    670003000000640000000328b52ffd00589c0100c4025a000000046b3132612076616c75652c2006026804010202680104c3\
    a9000c0014020101000c000a040000000100899425010000";
const JAVA_COMMIT: &str = "\
    000000000000004d000000420000000502a8da87310030000000000000018bcfe568000000018bcfe5680000000000000012\
    670003ffffffff000000012000000008000000010c00000000000900";
const JAVA_APPEND_TIME: &str = "\
    00000000000000050000003affffffff0294835b4b00080000000000000000000000010000018bcfe5687bffffffffffffff\
    ffffffffffffff0000000110000000026b027600";
const KCAT_NONE: &str = "\
    0000000000000000000000cf0000000002412d1216000000000001000001a20ca9b72e000001a20ca9b72effffffffffffff\
    ffffffffffffff000000029a01000000046b317a612076616c75652c20612076616c75652c20612076616c75652c20612076\
    616c75652c20612076616c75652c20612076616c75652c20612076616c75650402680231026802329a01000002046b327a61\
    2076616c75652c20612076616c75652c20612076616c75652c20612076616c75652c20612076616c75652c20612076616c75\
    652c20612076616c7565040268023102680232";
const KCAT_GZIP: &str = "\
    00000000000000000000006a00000000022439fe8e000100000001000001a20ca9b95f000001a20ca9b95fffffffffffffff\
    ffffffffffffff000000021f8b08000000000000039bc5c8c0c0c0926d5895a8509698539aaaa3400e83852983c910888d66\
    018d6362c936a2927100173b21f69e000000";
const KCAT_SNAPPY: &str = "\
    00000000000000000000005f00000000025fec530d000200000001000001a20ca9bbb1000001a20ca9bbb1ffffffffffffff\
    ffffffffffffff000000029e01449a01000000046b317a612076616c75652c20ce090020040268023102680232014f0c0204\
    6b32fe4f000d4f";
const KCAT_LZ4: &str = "\
    00000000000000000000007100000000025f049aff000300000001000001a20ca9be3d000001a20ca9be3dffffffffffffff\
    ffffffffffffff0000000204224d1860408231000000ff039a01000000046b317a612076616c75652c200900219004026802\
    31026802324f004f02046b324f002f50310268023200000000";
const KCAT_ZSTD: &str = "\
    00000000000000000000006800000000026d74af5c000400000001000001a20ca9c092000001a20ca9c092ffffffffffffff\
    ffffffffffffff0000000228b52ffd005875010034029a01000000046b317a612076616c75652c200402680231026802329a\
    01000002046b320200490ae8129e250c";
const KCAT_IDEMPOTENT: &str = "\
    0000000000000000000000cf000000000220fd9636000000000001000001a20ca9c339000001a20ca9c33900000000000010\
    92000100000000000000029a01000000046b317a612076616c75652c20612076616c75652c20612076616c75652c20612076\
    616c75652c20612076616c75652c20612076616c75652c20612076616c75650402680231026802329a01000002046b327a61\
    2076616c75652c20612076616c75652c20612076616c75652c20612076616c75652c20612076616c75652c20612076616c75\
    652c20612076616c7565040268023102680232";

/// What the constants of each client hold, by codec.
const JAVA: [(Codec, &str); 5] = [
    (Codec::None, JAVA_NONE),
    (Codec::Gzip, JAVA_GZIP),
    (Codec::Snappy, JAVA_SNAPPY),
    (Codec::Lz4, JAVA_LZ4),
    (Codec::Zstd, JAVA_ZSTD),
];
const KCAT: [(Codec, &str); 5] = [
    (Codec::None, KCAT_NONE),
    (Codec::Gzip, KCAT_GZIP),
    (Codec::Snappy, KCAT_SNAPPY),
    (Codec::Lz4, KCAT_LZ4),
    (Codec::Zstd, KCAT_ZSTD),
];

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<_> = hex.bytes().filter(u8::is_ascii_hexdigit).collect();
    digits.chunks(2).map(|pair| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

fn read(batch: &[u8]) -> Vec<Owned> {
    let batch = Batch::parse_verified(batch).unwrap();
    let plain = batch.plain_records(ROOM).unwrap();
    Records::new(batch.header(), &plain).map(|record| Owned::of(&record.unwrap())).collect()
}

fn owned(timestamp: i64, key: Option<&str>, value: Option<&str>, headers: &[(&str, Option<&[u8]>)]) -> Owned {
    let bytes = |text: &str| text.as_bytes().to_vec();
    let headers = headers.iter().map(|(key, value)| (bytes(key), value.map(<[u8]>::to_vec))).collect();
    Owned { timestamp, key: key.map(bytes), value: value.map(bytes), headers }
}

/// Headers that repeat, without a value and with an empty one; a record with nothing; timestamps that do not rise.
fn javas_records() -> [Owned; 3] {
    let headers = [("h", Some(&[1, 2][..])), ("h", None), ("é", Some(&[]))];
    [
        owned(NOW, Some("k1"), Some("a value, a value, a value"), &headers),
        owned(NOW + 10, None, None, &[]),
        owned(NOW + 5, Some(""), Some(""), &[]),
    ]
}

#[test]
fn the_java_clients_batches_are_read_and_pass() {
    for (codec, hex) in JAVA {
        let batch = bytes(hex);
        assert_eq!(read(&batch), javas_records(), "{codec:?}");
        let checked = check(&batch, &Rules { every_record: true, ..rules() }).unwrap();
        assert_eq!((checked.codec, checked.corrected()), (codec, None));
        assert_eq!((checked.max_timestamp.timestamp, checked.max_timestamp.offset_delta), (NOW + 10, Some(1)));
        let producer = checked.header.producer().unwrap();
        assert_eq!((producer.id, producer.epoch, producer.base_sequence, producer.last_sequence), (4711, 3, 100, 102));
        assert!(checked.header.attributes().is_transactional());
    }
}

#[test]
fn kcats_batches_are_read_and_pass() {
    for (codec, hex) in KCAT {
        let batch = bytes(hex);
        let time = Batch::parse(&batch).unwrap().header().base_timestamp();
        let value = ["a value"; 7].join(", ");
        let headers = [("h", Some(&b"1"[..])), ("h", Some(b"2"))];
        let expected = ["k1", "k2"].map(|key| owned(time, Some(key), Some(&value), &headers));
        assert_eq!(read(&batch), expected, "{codec:?}");
        assert!(check(&batch, &Rules { every_record: true, ..rules() }).unwrap().corrected().is_none());
        assert!(check(&batch, &rules()).is_ok());
    }
}

#[test]
fn kcats_idempotent_batch_has_its_producer() {
    let producer = check(&bytes(KCAT_IDEMPOTENT), &rules()).unwrap().header.producer().unwrap();
    assert_eq!((producer.id, producer.epoch, producer.base_sequence, producer.last_sequence), (4242, 1, 0, 1));
}

#[test]
fn the_builder_writes_what_the_java_client_writes() {
    let mut builder = BatchBuilder::new().producer(4711, 3, 100).transactional();
    for (offset, record) in (0..).zip(&javas_records()) {
        record.append_to(&mut builder, offset);
    }
    assert_eq!(builder.build().unwrap(), bytes(JAVA_NONE));

    let mut builder = BatchBuilder::new().base_offset(5).append_time(NOW + 123);
    let record = NewRecord { timestamp: 1, key: Some(b"k"), value: Some(b"v"), headers: &[] };
    assert_eq!(builder.append(&record).unwrap().build().unwrap(), bytes(JAVA_APPEND_TIME));
}

#[test]
fn the_builder_writes_the_marker_that_java_writes() {
    let mut builder =
        BatchBuilder::new().base_offset(77).leader_epoch(5).producer(4711, 3, -1).transactional().control();
    // Commit; version 0, coordinator epoch 9.
    let record = NewRecord { timestamp: NOW, key: Some(&[0, 0, 0, 1]), value: Some(&[0, 0, 0, 0, 0, 9]), headers: &[] };
    assert_eq!(builder.append(&record).unwrap().build().unwrap(), bytes(JAVA_COMMIT));
}

#[test]
fn the_builder_writes_what_kcat_writes() {
    let golden = bytes(KCAT_NONE);
    let timestamp = Batch::parse(&golden).unwrap().header().base_timestamp();
    let value = ["a value"; 7].join(", ");
    let headers = [Header { key: b"h", value: Some(b"1") }, Header { key: b"h", value: Some(b"2") }];
    let mut builder = BatchBuilder::new().leader_epoch(0);
    for key in [&b"k1"[..], b"k2"] {
        let record = NewRecord { timestamp, key: Some(key), value: Some(value.as_bytes()), headers: &headers };
        builder.append(&record).unwrap();
    }
    assert_eq!(builder.build().unwrap(), golden);
}
