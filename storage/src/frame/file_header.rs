//! The 64 bytes that open every file but FORMAT, LOCK and ballast: what the file is, of which timeline, made when.

use std::path::Path;

use super::{Flaw, HEADER_BYTES, put, u32_at, u64_at};
use crate::error::{Error, Result};
use crate::units::{Lsn, TimelineId};

/// The kinds of files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    /// TIMELINE: who the timeline is.
    Timeline,
    /// MANIFEST: its file set.
    Manifest,
    /// A log file.
    Log,
    /// The index of a sealed log file.
    Index,
    /// A segment.
    Segment,
    /// A fold of the facts.
    StateAt,
}

impl FileKind {
    /// Every kind.
    pub const ALL: [FileKind; 6] =
        [Self::Timeline, Self::Manifest, Self::Log, Self::Index, Self::Segment, Self::StateAt];

    fn magic(self) -> &'static [u8; 8] {
        match self {
            Self::Timeline => b"MPDTIMEL",
            Self::Manifest => b"MPDMANIF",
            Self::Log => b"MPDLOG__",
            Self::Index => b"MPDINDEX",
            Self::Segment => b"MPDSEGMT",
            Self::StateAt => b"MPDSTATE",
        }
    }

    /// The format version that this program writes, and the newest it reads.
    pub fn version(self) -> u32 {
        1
    }
}

/// The header of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileHeader {
    /// What the file is.
    pub kind: FileKind,
    /// Its timeline.
    pub timeline: TimelineId,
    /// The timeline's salt: random, never on the wire.
    pub salt: u64,
    /// The first LSN (state-at: its LSN; segment: the lowest in it; TIMELINE and MANIFEST: 0).
    pub first_lsn: Lsn,
    /// The file's number (log, index: the first LSN; segment: its id; others: 0).
    pub file_id: u64,
    /// When it was made: milliseconds since the Unix epoch.
    pub created_ms: i64,
    /// The opening number under which it was made.
    pub opening: u32,
}

impl FileHeader {
    /// The bytes of the header.
    pub fn encode(&self) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        put(&mut bytes, 0, self.kind.magic());
        put(&mut bytes, 8, &self.kind.version().to_le_bytes());
        put(&mut bytes, 16, &self.timeline.0.to_le_bytes());
        put(&mut bytes, 24, &self.salt.to_le_bytes());
        put(&mut bytes, 32, &self.first_lsn.0.to_le_bytes());
        put(&mut bytes, 40, &self.file_id.to_le_bytes());
        put(&mut bytes, 48, &self.created_ms.to_le_bytes());
        put(&mut bytes, 56, &self.opening.to_le_bytes());
        let crc = Self::crc(&bytes);
        put(&mut bytes, 12, &crc.to_le_bytes());
        bytes
    }

    /// Reads a header of any kind. (The header itself is the same in every version of a file, so that a newer one is told from rot.)
    pub fn decode(bytes: &[u8]) -> Result<Self, Flaw> {
        let bytes: &[u8; HEADER_BYTES] =
            bytes.get(..HEADER_BYTES).and_then(|b| b.try_into().ok()).ok_or(Flaw::Short)?;
        let kind = FileKind::ALL.into_iter().find(|kind| bytes.starts_with(kind.magic())).ok_or(Flaw::Magic)?;
        let version = u32_at(bytes, 8);
        if Self::crc(bytes) != u32_at(bytes, 12) {
            return Err(Flaw::Crc);
        }
        if version != kind.version() {
            return Err(Flaw::Version(version));
        }
        if u32_at(bytes, 60) != 0 {
            return Err(Flaw::Padding);
        }
        Ok(Self {
            kind,
            timeline: TimelineId(u64_at(bytes, 16)),
            salt: u64_at(bytes, 24),
            first_lsn: Lsn(u64_at(bytes, 32)),
            file_id: u64_at(bytes, 40),
            created_ms: u64_at(bytes, 48).cast_signed(),
            opening: u32_at(bytes, 56),
        })
    }

    /// Reads the header of a file that must be of this kind, and of this timeline where `of` names one.
    pub fn read(bytes: &[u8], path: &Path, kind: FileKind, of: Option<(TimelineId, u64)>) -> Result<Self> {
        let header = match Self::decode(bytes) {
            Ok(header) => header,
            Err(Flaw::Version(found)) if found > kind.version() => {
                return Err(Error::Newer { path: path.to_path_buf(), found, known: kind.version() });
            }
            Err(flaw) => return Err(flaw.at(path, 0)),
        };
        if header.kind != kind {
            return Err(Flaw::Magic.at(path, 0));
        }
        if of.is_some_and(|of| of != (header.timeline, header.salt)) {
            return Err(Flaw::Salt.at(path, 0));
        }
        Ok(header)
    }

    fn crc(bytes: &[u8; HEADER_BYTES]) -> u32 {
        crc32c::crc32c_append(crc32c::crc32c(&bytes[..12]), &bytes[16..])
    }
}
