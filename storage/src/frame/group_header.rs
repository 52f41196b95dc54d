//! The 64 bytes that open a group in a log file.

use super::{Flaw, HEADER_BYTES, put, seed, u32_at, u64_at};
use crate::units::Lsn;

const MAGIC: &[u8; 4] = b"MPG1";

/// The header of a group: frames that are kept or lost together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GroupHeader {
    /// Where it stands in its file.
    pub position: u64,
    /// The group's number.
    pub lsn: Lsn,
    /// When it was written: milliseconds since the Unix epoch, never less than in the group before.
    pub time_ms: i64,
    /// What was known to be durable when it was written: always below its own LSN. It *vouches* for all up to there.
    pub durable: Lsn,
    /// Bytes of frames behind this header, padding included: a multiple of 64.
    pub bytes: u32,
    /// Frames behind this header.
    pub frames: u32,
    /// The opening number of the start that wrote it.
    pub opening: u32,
    /// The CRC field of the group header before it in this file, 0 for the first.
    pub chain: u32,
}

impl GroupHeader {
    /// The bytes of the header. Its CRC field ([`super::crc_field`]) is the link for its first frame and the next group.
    pub fn encode(&self, salt: u64) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        put(&mut bytes, 0, MAGIC);
        put(&mut bytes, 8, &self.position.to_le_bytes());
        put(&mut bytes, 16, &self.lsn.0.to_le_bytes());
        put(&mut bytes, 24, &self.time_ms.to_le_bytes());
        put(&mut bytes, 32, &self.durable.0.to_le_bytes());
        put(&mut bytes, 40, &self.bytes.to_le_bytes());
        put(&mut bytes, 44, &self.frames.to_le_bytes());
        put(&mut bytes, 48, &self.opening.to_le_bytes());
        put(&mut bytes, 52, &self.chain.to_le_bytes());
        put(&mut bytes, 56, &salt.to_le_bytes());
        let crc = Self::crc(&bytes, salt);
        put(&mut bytes, 4, &crc.to_le_bytes());
        bytes
    }

    /// Reads a header that must be of this timeline. Position, order and chain are the caller's to compare.
    pub fn decode(bytes: &[u8], salt: u64) -> Result<Self, Flaw> {
        let bytes: &[u8; HEADER_BYTES] =
            bytes.get(..HEADER_BYTES).and_then(|b| b.try_into().ok()).ok_or(Flaw::Short)?;
        if !bytes.starts_with(MAGIC) {
            return Err(Flaw::Magic);
        }
        if u64_at(bytes, 56) != salt {
            return Err(Flaw::Salt);
        }
        if Self::crc(bytes, salt) != u32_at(bytes, 4) {
            return Err(Flaw::Crc);
        }
        let header = Self {
            position: u64_at(bytes, 8),
            lsn: Lsn(u64_at(bytes, 16)),
            time_ms: u64_at(bytes, 24).cast_signed(),
            durable: Lsn(u64_at(bytes, 32)),
            bytes: u32_at(bytes, 40),
            frames: u32_at(bytes, 44),
            opening: u32_at(bytes, 48),
            chain: u32_at(bytes, 52),
        };
        if header.durable >= header.lsn {
            return Err(Flaw::Lsn(header.lsn));
        }
        Ok(header)
    }

    fn crc(bytes: &[u8; HEADER_BYTES], salt: u64) -> u32 {
        crc32c::crc32c_append(seed(salt), &bytes[8..])
    }
}
