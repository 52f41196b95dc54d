//! The layouts that hold batches: file header, group header, frame header; and the scan of a log file.
//!
//! Encoding and decoding only: nothing here knows what a frame means. Layouts are in `docs/architecture.md`, to the byte;
//! all integers are little endian but those inside a batch, which are Kafka's.
//!
//! Invariants:
//! - every byte of a header is under its CRC, every byte of a batch under the frame's CRC (the first 21) or Kafka's (the rest),
//!   every byte of padding is zero: no byte of a log file can change unnoticed;
//! - CRCs of groups and frames are seeded with the timeline's salt, which never leaves the machine, and group headers carry it and
//!   their own position: bytes that a client sends can look like a group and are still none;
//! - the CRC fields form a chain (group to group, frames from their group's header), so that whole, sound, stale pieces do not
//!   pass for the continuation of others;
//! - decoding checks lengths before it uses them and never panics, whatever the bytes.

mod chunk;
mod file_header;
mod frame_header;
mod group_header;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod sample;
mod scan;
#[cfg(test)]
mod tests;
mod voucher;

use std::path::Path;

use crate::error::Error;
use crate::units::Lsn;

pub use file_header::{FileHeader, FileKind};
pub use frame_header::{FrameHeader, FrameKind};
pub use group_header::GroupHeader;
pub use scan::{FrameRead, GroupRead, Payloads, Scan, Scanned, Scanner};
pub use voucher::{Voucher, find_voucher};

/// The bytes of a file, group or frame header.
pub const HEADER_BYTES: usize = 64;
/// Groups start and end at multiples of this.
pub const GROUP_ALIGN: u64 = 64;
/// Frames start at multiples of this.
pub const FRAME_ALIGN: u64 = 8;
/// What of a batch the frame's CRC covers: base offset, length, leader epoch, magic, and Kafka's CRC, which covers the rest.
pub const PREFIX_BYTES: usize = 21;
/// The header of a batch: what every payload has at least.
pub const BATCH_HEADER_BYTES: usize = 61;

/// The first bytes of a batch, as far as it has them; zeros behind.
pub(crate) fn batch_header_of(batch: &[u8]) -> [u8; BATCH_HEADER_BYTES] {
    let mut header = [0; BATCH_HEADER_BYTES];
    let len = batch.len().min(BATCH_HEADER_BYTES);
    header[..len].copy_from_slice(&batch[..len]);
    header
}

/// A length rounded up to what a frame's payload takes in the file.
pub fn padded_frame(bytes: u64) -> u64 {
    bytes.saturating_add(FRAME_ALIGN - 1) & !(FRAME_ALIGN - 1)
}

/// A length rounded up to what a group's frames take in the file.
pub fn padded_group(bytes: u64) -> u64 {
    bytes.saturating_add(GROUP_ALIGN - 1) & !(GROUP_ALIGN - 1)
}

/// What the frames of a group take behind its header, by the lengths of their payloads; `None` if no group holds that much.
pub fn group_bytes(payloads: impl IntoIterator<Item = usize>) -> Option<u32> {
    let frames = payloads.into_iter().try_fold(0u64, |sum, payload| {
        let frame = padded_frame((payload as u64).checked_add(HEADER_BYTES as u64)?);
        sum.checked_add(frame)
    })?;
    u32::try_from(padded_group(frames)).ok()
}

/// The CRC field of an encoded header of this module: the next link of the chain.
pub fn crc_field(header: &[u8; HEADER_BYTES]) -> u32 {
    u32_at(header, 4)
}

/// Why bytes are not what they should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Flaw {
    /// The file ends within it.
    #[error("the file ends within it")]
    Short,
    /// Not what is expected there at all.
    #[error("wrong magic")]
    Magic,
    /// Made by another version of the program.
    #[error("version {0} is not known")]
    Version(u32),
    /// A CRC does not agree.
    #[error("wrong CRC")]
    Crc,
    /// Of another timeline.
    #[error("of another timeline")]
    Salt,
    /// Written for another place.
    #[error("written for position {0}")]
    Position(u64),
    /// Not above the LSN before it, below the file's first, or below what it says is durable.
    #[error("LSN {0} is out of order")]
    Lsn(Lsn),
    /// It does not follow what stands before it.
    #[error("it does not follow what stands before it")]
    Chain,
    /// Made by an earlier or another start than its neighbours say.
    #[error("opening {0} is out of order")]
    Opening(u32),
    /// A number of frames or a length that does not agree with what is there.
    #[error("lengths and counts do not agree")]
    Length,
    /// A frame of a kind that is not known.
    #[error("frames of kind {0} are not known")]
    Kind(u8),
    /// Padding or a reserved field that is not zero.
    #[error("padding that is not zero")]
    Padding,
    /// The payload is no batch, or is not the batch that was written.
    #[error("the batch does not check")]
    Payload,
}

impl Flaw {
    /// The flaw as damage at a position of a file.
    pub fn at(self, path: &Path, position: u64) -> Error {
        Error::Corrupt(format!("{} at {position}: {self}", path.display()))
    }
}

pub(crate) fn u32_at(bytes: &[u8; HEADER_BYTES], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

pub(crate) fn u64_at(bytes: &[u8; HEADER_BYTES], at: usize) -> u64 {
    u64::from(u32_at(bytes, at)) | u64::from(u32_at(bytes, at + 4)) << 32
}

pub(crate) fn put(bytes: &mut [u8; HEADER_BYTES], at: usize, field: &[u8]) {
    bytes[at..at + field.len()].copy_from_slice(field);
}

/// The CRC seed of a timeline: the low half of its salt.
pub(crate) fn seed(salt: u64) -> u32 {
    #[expect(clippy::cast_possible_truncation, reason = "the seed is defined as the low 32 bits")]
    let low = salt as u32;
    low
}
