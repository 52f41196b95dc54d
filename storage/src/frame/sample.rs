//! Groups for tests and fuzz targets, written by the encoders of this module and nothing else.

use super::{FrameHeader, FrameKind, GROUP_ALIGN, GroupHeader, HEADER_BYTES, PREFIX_BYTES};
use super::{crc_field, group_bytes, padded_frame, padded_group};
use crate::units::{Lsn, TopicNumber, TopicPartition};

/// A batch by Kafka's layout whose records are any bytes.
pub(crate) fn batch(base_offset: i64, epoch: i32, records: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0; 61];
    bytes.extend_from_slice(records);
    let length = u32::try_from(bytes.len() - 12).expect("a sample is small");
    bytes[..8].copy_from_slice(&base_offset.to_be_bytes());
    bytes[8..12].copy_from_slice(&length.to_be_bytes());
    bytes[12..16].copy_from_slice(&epoch.to_be_bytes());
    bytes[16] = 2;
    let crc = crc32c::crc32c(&bytes[PREFIX_BYTES..]);
    bytes[17..21].copy_from_slice(&crc.to_be_bytes());
    bytes
}

/// A frame to be: its kind and its batch.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Sample {
    pub(crate) kind: FrameKind,
    pub(crate) payload: Vec<u8>,
}

impl std::fmt::Debug for Sample {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}({} bytes, {:08x})", self.kind, self.payload.len(), crc32c::crc32c(&self.payload))
    }
}

impl Sample {
    pub(crate) fn records(base_offset: i64, records: &[u8]) -> Self {
        Self { kind: FrameKind::Records, payload: batch(base_offset, 5, records) }
    }

    pub(crate) fn facts(base_offset: i64, records: &[u8]) -> Self {
        Self { kind: FrameKind::Facts, payload: batch(base_offset, 5, records) }
    }

    pub(crate) fn idle() -> Self {
        Self { kind: FrameKind::Idle, payload: Vec::new() }
    }
}

/// What a group says beside its frames.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub(crate) salt: u64,
    pub(crate) position: u64,
    pub(crate) lsn: Lsn,
    pub(crate) durable: Lsn,
    pub(crate) opening: u32,
    pub(crate) chain: u32,
}

/// A group's bytes and the CRC field of its header.
pub(crate) fn group(place: Place, samples: &[Sample]) -> (Vec<u8>, u32) {
    let Place { salt, position, lsn, durable, opening, chain } = place;
    let header = GroupHeader {
        position,
        lsn,
        time_ms: i64::try_from(lsn.0 % 1_000_000_000).expect("a sample is small") * 10,
        durable,
        bytes: group_bytes(samples.iter().map(|sample| sample.payload.len())).expect("a sample is small"),
        frames: u32::try_from(samples.len()).expect("a sample is small"),
        opening,
        chain,
    };
    let encoded = header.encode(salt);
    let group_crc = crc_field(&encoded);
    let (mut bytes, mut chain) = (encoded.to_vec(), group_crc);
    for (index, sample) in samples.iter().enumerate() {
        let frame = FrameHeader {
            kind: sample.kind,
            lsn,
            index: u32::try_from(index).expect("a sample is small"),
            payload_bytes: u32::try_from(sample.payload.len()).expect("a sample is small"),
            partition: TopicPartition::new(TopicNumber(16), 3),
            base_offset: sample.payload.first_chunk().map_or(-1, |offset| i64::from_be_bytes(*offset)),
            offsets: 1,
            chain,
            opening,
            leader_epoch: 5,
            max_timestamp_ms: 1_000,
        };
        let encoded = frame.encode(salt, &sample.payload);
        chain = crc_field(&encoded);
        bytes.extend_from_slice(&encoded);
        bytes.extend_from_slice(&sample.payload);
        bytes.resize(usize::try_from(padded_frame(bytes.len() as u64)).expect("a sample is small"), 0);
    }
    bytes.resize(usize::try_from(padded_group(bytes.len() as u64)).expect("a sample is small"), 0);
    assert_eq!(bytes.len(), HEADER_BYTES + header.bytes as usize);
    assert_eq!(bytes.len() as u64 % GROUP_ALIGN, 0);
    (bytes, group_crc)
}

/// A log file's bytes behind 64 bytes that stand for its header; groups have LSNs from 1 and vouch for the one two before them.
#[derive(Clone, Debug)]
pub(crate) struct LogBytes {
    pub(crate) salt: u64,
    pub(crate) bytes: Vec<u8>,
    pub(crate) starts: Vec<usize>,
    pub(crate) groups: Vec<Vec<Sample>>,
    chain: u32,
}

impl LogBytes {
    pub(crate) fn new(salt: u64) -> Self {
        Self { salt, bytes: vec![0; HEADER_BYTES], starts: Vec::new(), groups: Vec::new(), chain: 0 }
    }

    pub(crate) fn push(&mut self, samples: Vec<Sample>) {
        let lsn = Lsn(self.groups.len() as u64 + 1);
        let durable = Lsn(lsn.0.saturating_sub(2));
        let position = self.bytes.len() as u64;
        let place = Place { salt: self.salt, position, lsn, durable, opening: 1, chain: self.chain };
        let (bytes, crc) = group(place, &samples);
        self.chain = crc;
        self.starts.push(self.bytes.len());
        self.bytes.extend_from_slice(&bytes);
        self.groups.push(samples);
    }
}
