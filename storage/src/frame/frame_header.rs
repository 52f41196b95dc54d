//! The 64 bytes that open a frame: one entry of a group.

use super::{BATCH_HEADER_BYTES, Flaw, HEADER_BYTES, PREFIX_BYTES, put, seed, u32_at, u64_at};
use crate::units::{Lsn, TopicNumber, TopicPartition};

const MAGIC: &[u8; 2] = b"MF";
const VERSION: u8 = 1;

/// What a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum FrameKind {
    /// A batch of facts.
    Facts = 1,
    /// No payload: the timeline has this leader epoch from here on.
    Epoch = 2,
    /// A batch of records.
    Records = 3,
    /// No payload: its group is there to vouch for those before it.
    Idle = 4,
    /// In a segment: what compaction left of batches of records, or an empty batch that stands for offsets of which nothing is left. Its group is the last that
    /// compaction saw, and in place of the chain it has its generation.
    Compacted = 5,
}

impl FrameKind {
    /// Every kind, in the order that frames have in a group.
    pub const ALL: [FrameKind; 5] = [Self::Facts, Self::Epoch, Self::Records, Self::Idle, Self::Compacted];

    /// Whether the frame carries a batch, or else nothing.
    pub fn has_batch(self) -> bool {
        matches!(self, Self::Facts | Self::Records | Self::Compacted)
    }
}

/// The header of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameHeader {
    /// What the frame is.
    pub kind: FrameKind,
    /// The number of its group.
    pub lsn: Lsn,
    /// Its index in the group.
    pub index: u32,
    /// Bytes of its batch, or 0.
    pub payload_bytes: u32,
    /// Of which partition.
    pub partition: TopicPartition,
    /// The offset of the batch's first record.
    pub base_offset: i64,
    /// Offsets covered: last offset delta + 1.
    pub offsets: u32,
    /// The CRC field of the frame before it in the group; of the group's header for the first. What compaction made has its generation here.
    pub chain: u32,
    /// The opening number of the start that wrote it.
    pub opening: u32,
    /// The leader epoch of the batch, or the new one.
    pub leader_epoch: i32,
    /// The true maximum timestamp of the records, −1 for none.
    pub max_timestamp_ms: i64,
}

impl FrameHeader {
    /// The bytes of the header, for a payload that begins with `payload_head` (as written: base offset and epoch patched;
    /// at least 21 bytes, or none for a frame without payload).
    pub fn encode(&self, salt: u64, payload_head: &[u8]) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        put(&mut bytes, 0, MAGIC);
        bytes[2] = VERSION;
        bytes[3] = self.kind as u8;
        put(&mut bytes, 8, &self.lsn.0.to_le_bytes());
        put(&mut bytes, 16, &self.index.to_le_bytes());
        put(&mut bytes, 20, &self.payload_bytes.to_le_bytes());
        put(&mut bytes, 24, &self.partition.topic.0.to_le_bytes());
        put(&mut bytes, 28, &self.partition.partition.to_le_bytes());
        put(&mut bytes, 32, &self.base_offset.to_le_bytes());
        put(&mut bytes, 40, &self.offsets.to_le_bytes());
        put(&mut bytes, 44, &self.chain.to_le_bytes());
        put(&mut bytes, 48, &self.opening.to_le_bytes());
        put(&mut bytes, 52, &self.leader_epoch.to_le_bytes());
        put(&mut bytes, 56, &self.max_timestamp_ms.to_le_bytes());
        let crc = Self::crc(&bytes, salt, payload_head);
        put(&mut bytes, 4, &crc.to_le_bytes());
        bytes
    }

    /// Reads a header with the bytes behind it (its payload, as much of it as is at hand, 21 bytes at least).
    /// Order and chain are the caller's to compare.
    pub fn decode(bytes: &[u8], salt: u64, behind: &[u8]) -> Result<Self, Flaw> {
        let bytes: &[u8; HEADER_BYTES] =
            bytes.get(..HEADER_BYTES).and_then(|b| b.try_into().ok()).ok_or(Flaw::Short)?;
        if !bytes.starts_with(MAGIC) {
            return Err(Flaw::Magic);
        }
        let payload_bytes = u32_at(bytes, 20);
        let prefix = if payload_bytes == 0 { &[] } else { behind.get(..PREFIX_BYTES).ok_or(Flaw::Short)? };
        if Self::crc(bytes, salt, prefix) != u32_at(bytes, 4) {
            return Err(Flaw::Crc);
        }
        if bytes[2] != VERSION {
            return Err(Flaw::Version(bytes[2].into()));
        }
        let kind = FrameKind::ALL.into_iter().find(|kind| *kind as u8 == bytes[3]).ok_or(Flaw::Kind(bytes[3]))?;
        let least = if kind.has_batch() { BATCH_HEADER_BYTES } else { 0 };
        if (payload_bytes as usize) < least || !kind.has_batch() && payload_bytes != 0 {
            return Err(Flaw::Length);
        }
        Ok(Self {
            kind,
            lsn: Lsn(u64_at(bytes, 8)),
            index: u32_at(bytes, 16),
            payload_bytes,
            partition: TopicPartition::new(TopicNumber(u32_at(bytes, 24)), u32_at(bytes, 28)),
            base_offset: u64_at(bytes, 32).cast_signed(),
            offsets: u32_at(bytes, 40),
            chain: u32_at(bytes, 44),
            opening: u32_at(bytes, 48),
            leader_epoch: u32_at(bytes, 52).cast_signed(),
            max_timestamp_ms: u64_at(bytes, 56).cast_signed(),
        })
    }

    /// Which compaction made the batch; 0: none, it is as it was written.
    pub fn generation(&self) -> u32 {
        if self.kind == FrameKind::Compacted { self.chain } else { 0 }
    }

    /// Bytes that the frame takes in a log file when another follows it.
    pub fn frame_bytes(&self) -> u64 {
        super::padded_frame(HEADER_BYTES as u64 + u64::from(self.payload_bytes))
    }

    /// Over the header with the CRC's own field as zeros (so that kind and version are covered), then the batch's prefix.
    fn crc(bytes: &[u8; HEADER_BYTES], salt: u64, payload_head: &[u8]) -> u32 {
        let prefix = &payload_head[..payload_head.len().min(PREFIX_BYTES)];
        let mut covered = [0; HEADER_BYTES + PREFIX_BYTES];
        covered[..4].copy_from_slice(&bytes[..4]);
        covered[8..HEADER_BYTES].copy_from_slice(&bytes[8..]);
        covered[HEADER_BYTES..HEADER_BYTES + prefix.len()].copy_from_slice(prefix);
        crc32c::crc32c_append(seed(salt), &covered[..HEADER_BYTES + prefix.len()])
    }
}
