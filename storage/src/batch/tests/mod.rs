//! What the parts of this folder promise, together.

mod build;
mod check;
mod codec;
mod filter;
mod find;
mod golden;
mod header;
mod hostile;
mod records;

use proptest::prelude::*;

use super::codec::Codec;
use super::header::TimestampType;
use super::records::Header;
use super::{BatchBuilder, NewRecord, Rules};

pub(super) const CODECS: [Codec; 5] = [Codec::None, Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd];
/// A limit on decompression that no sound batch of a test meets.
pub(super) const ROOM: usize = 1 << 20;
pub(super) const NOW: i64 = 1_700_000_000_000;

/// Rules that let everything pass that any rules let pass.
pub(super) fn rules() -> Rules {
    Rules {
        now_ms: NOW,
        timestamp_type: TimestampType::Create,
        timestamp_before_max_ms: i64::MAX,
        timestamp_after_max_ms: i64::MAX,
        keys_required: false,
        zstd_allowed: true,
        every_record: false,
        batch_bytes_max: ROOM,
        plain_bytes_max: ROOM,
    }
}

/// A batch of records with these timestamps, with keys and values, at offset 0.
pub(super) fn batch_at(codec: Codec, timestamps: &[i64]) -> Vec<u8> {
    let mut builder = BatchBuilder::new().codec(codec);
    for (index, &timestamp) in timestamps.iter().enumerate() {
        let value = format!("value {index}");
        let record = NewRecord { timestamp, key: Some(b"key"), value: Some(value.as_bytes()), headers: &[] };
        builder.append(&record).unwrap();
    }
    builder.build().unwrap()
}

/// Puts a field of the head in place and makes the CRC true again.
pub(super) fn patched(batch: &[u8], at: usize, field: &[u8]) -> Vec<u8> {
    let mut batch = batch.to_vec();
    batch[at..at + field.len()].copy_from_slice(field);
    let crc = crc32c::crc32c(&batch[21..]);
    batch[17..21].copy_from_slice(&crc.to_be_bytes());
    batch
}

/// A record that owns what it has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Owned {
    pub(super) timestamp: i64,
    pub(super) key: Option<Vec<u8>>,
    pub(super) value: Option<Vec<u8>>,
    pub(super) headers: Vec<(Vec<u8>, Option<Vec<u8>>)>,
}

impl Owned {
    pub(super) fn append_to(&self, builder: &mut BatchBuilder, offset: i64) {
        let headers: Vec<_> = self.headers.iter().map(|(key, value)| Header { key, value: value.as_deref() }).collect();
        let (key, value) = (self.key.as_deref(), self.value.as_deref());
        builder.append_at(offset, &NewRecord { timestamp: self.timestamp, key, value, headers: &headers }).unwrap();
    }

    pub(super) fn of(record: &super::Record<'_>) -> Self {
        let headers = record.headers.into_iter().map(|header| (header.key.to_vec(), header.value.map(<[u8]>::to_vec)));
        Self {
            timestamp: record.timestamp,
            key: record.key.map(<[u8]>::to_vec),
            value: record.value.map(<[u8]>::to_vec),
            headers: headers.collect(),
        }
    }
}

pub(super) fn any_codec() -> impl Strategy<Value = Codec> {
    prop::sample::select(&CODECS[..])
}

pub(super) fn any_record() -> impl Strategy<Value = Owned> {
    let bytes = || prop::collection::vec(any::<u8>(), 0..200);
    let timestamp = prop_oneof![Just(-1), 0..=NOW, Just(i64::MAX)];
    // Few distinct keys, so that they repeat.
    let header = (prop::collection::vec(0..3_u8, 0..2), prop::option::of(bytes()));
    (timestamp, prop::option::of(bytes()), prop::option::of(bytes()), prop::collection::vec(header, 0..4))
        .prop_map(|(timestamp, key, value, headers)| Owned { timestamp, key, value, headers })
}
