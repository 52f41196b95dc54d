//! One edit of a timeline's file set: its meaning and its bytes.
//!
//! An edit stands in the file as length u32, CRC u32 (of its position u64, the length and the body, seeded with the salt), body. The body: version u8, kind u8,
//! then the fields of the kind, little endian; nothing may be left over.

use crate::frame::seed;
use crate::units::{FileId, Lsn};

/// What stands before an edit's body.
pub(super) const PREFIX_BYTES: usize = 8;
/// No body is longer: what a damaged length may ask for.
pub(super) const BODY_BYTES_MAX: usize = 16 * 1024 * 1024;
const VERSION: u8 = 1;

/// A segment, as the manifest knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentFile {
    /// Its number.
    pub id: FileId,
    /// Its expiry class.
    pub class: u8,
    /// The lowest LSN in it.
    pub first: Lsn,
    /// The highest LSN in it.
    pub last: Lsn,
    /// Its length in bytes.
    pub bytes: u64,
}

/// A file that a job takes in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FileRef {
    /// A log file (and its index), by its first LSN.
    Log(Lsn),
    /// A segment.
    Segment(FileId),
    /// A fold of the facts.
    StateAt(Lsn),
}

/// A change of the file set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Edit {
    /// A log file will get frames: durable before the first is written. The log file before it is synced to its end.
    Open {
        /// The new file.
        first: Lsn,
        /// The last LSN before it.
        after: Lsn,
        /// Where the groups of the log file before it end; 0 if no file is before it or an edit has said so.
        after_bytes: u64,
    },
    /// These segments may exist unfinished.
    Intent {
        /// The job that makes them.
        job: u64,
        /// Their numbers.
        outputs: Vec<FileId>,
    },
    /// Outputs take the inputs' place and the job is done. Without any: the job was given up.
    Swap {
        /// The job, 0 if it noted no intent.
        job: u64,
        /// What it made: synced, in synced directories.
        outputs: Vec<SegmentFile>,
        /// What goes when its last reader has left.
        inputs: Vec<FileRef>,
    },
    /// A log file has ended and its index is written.
    Sealed {
        /// The file.
        first: Lsn,
        /// The last LSN in it.
        last: Lsn,
        /// Where its groups end.
        bytes: u64,
    },
    /// Recovery ends a log file here: appending goes on in a new one. What is kept is synced.
    Truncated {
        /// The file.
        first: Lsn,
        /// The last LSN that is kept (in this file or before it).
        last: Lsn,
        /// Where its groups end.
        bytes: u64,
    },
    /// A fold of the facts was made, or is not needed any more.
    StateAt {
        /// Its LSN.
        lsn: Lsn,
        /// Made, or dropped.
        added: bool,
    },
    /// The timeline was opened for writing.
    Opened {
        /// The opening number: raised at every start.
        opening: u32,
        /// No segment was ever given this number or a higher one.
        next_file: FileId,
        /// No log file was ever opened for a higher LSN.
        next_lsn: Lsn,
    },
    /// The timeline was closed, synced to its end.
    Closed {
        /// Its last LSN.
        last: Lsn,
    },
    /// Files that earlier edits took out of the set and that were still there when the manifest was rewritten.
    Dropped {
        /// The files.
        files: Vec<FileRef>,
    },
}

/// The kind's number in the file.
mod kind {
    pub(super) const OPEN: u8 = 1;
    pub(super) const INTENT: u8 = 2;
    pub(super) const SWAP: u8 = 3;
    pub(super) const SEALED: u8 = 4;
    pub(super) const TRUNCATED: u8 = 5;
    pub(super) const STATE_AT: u8 = 6;
    pub(super) const OPENED: u8 = 7;
    pub(super) const CLOSED: u8 = 8;
    pub(super) const DROPPED: u8 = 9;
}

/// What [`Edit::decode`] found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Decoded {
    /// An edit and the bytes it takes.
    Edit(Edit, usize),
    /// Bytes that no finished write has left.
    Bad,
    /// A sound edit of a kind or version that this program does not know.
    Unknown(u8, u8),
}

impl Edit {
    /// The edit's bytes at a position of the file.
    pub(crate) fn encode(&self, salt: u64, position: u64) -> Vec<u8> {
        let mut out = vec![0; PREFIX_BYTES];
        out.push(VERSION);
        self.encode_fields(&mut out);
        let body = u32::try_from(out.len() - PREFIX_BYTES).unwrap_or(u32::MAX);
        out[..4].copy_from_slice(&body.to_le_bytes());
        let crc = crc(salt, position, body, &out[PREFIX_BYTES..]);
        out[4..8].copy_from_slice(&crc.to_le_bytes());
        out
    }

    fn encode_fields(&self, out: &mut Vec<u8>) {
        match self {
            Self::Open { first, after, after_bytes } => {
                out.push(kind::OPEN);
                put(out, &[first.0, after.0, *after_bytes]);
            }
            Self::Intent { job, outputs } => {
                out.push(kind::INTENT);
                put(out, &[*job]);
                count(out, outputs.len());
                put(out, &outputs.iter().map(|id| id.0).collect::<Vec<_>>());
            }
            Self::Swap { job, outputs, inputs } => {
                out.push(kind::SWAP);
                put(out, &[*job]);
                encode_swap(out, outputs, inputs);
            }
            Self::Sealed { first, last, bytes } => {
                out.push(kind::SEALED);
                put(out, &[first.0, last.0, *bytes]);
            }
            Self::Truncated { first, last, bytes } => {
                out.push(kind::TRUNCATED);
                put(out, &[first.0, last.0, *bytes]);
            }
            Self::StateAt { lsn, added } => {
                out.push(kind::STATE_AT);
                put(out, &[lsn.0]);
                out.push(u8::from(*added));
            }
            Self::Opened { opening, next_file, next_lsn } => {
                out.push(kind::OPENED);
                out.extend_from_slice(&opening.to_le_bytes());
                put(out, &[next_file.0, next_lsn.0]);
            }
            Self::Closed { last } => {
                out.push(kind::CLOSED);
                put(out, &[last.0]);
            }
            Self::Dropped { files } => {
                out.push(kind::DROPPED);
                encode_files(out, files);
            }
        }
    }

    /// The edit at the start of some bytes, which stand at a position of the file.
    pub(crate) fn decode(bytes: &[u8], salt: u64, position: u64) -> Decoded {
        let Some((prefix, rest)) = bytes.split_first_chunk::<PREFIX_BYTES>() else { return Decoded::Bad };
        let length = u32::from_le_bytes([prefix[0], prefix[1], prefix[2], prefix[3]]);
        let expected = u32::from_le_bytes([prefix[4], prefix[5], prefix[6], prefix[7]]);
        let Ok(len) = usize::try_from(length) else { return Decoded::Bad };
        if !(2..=BODY_BYTES_MAX).contains(&len) || len > rest.len() {
            return Decoded::Bad;
        }
        let body = &rest[..len];
        if crc(salt, position, length, body) != expected {
            return Decoded::Bad;
        }
        let mut fields = Fields(&body[2..]);
        match (body[0], decode_fields(body[1], &mut fields)) {
            (VERSION, Some(edit)) if fields.0.is_empty() => Decoded::Edit(edit, PREFIX_BYTES + len),
            _ => Decoded::Unknown(body[0], body[1]),
        }
    }
}

fn crc(salt: u64, position: u64, length: u32, body: &[u8]) -> u32 {
    let placed = crc32c::crc32c_append(seed(salt), &position.to_le_bytes());
    crc32c::crc32c_append(crc32c::crc32c_append(placed, &length.to_le_bytes()), body)
}

fn put(out: &mut Vec<u8>, fields: &[u64]) {
    for field in fields {
        out.extend_from_slice(&field.to_le_bytes());
    }
}

/// Counts fit: a body is bounded long before.
fn count(out: &mut Vec<u8>, count: usize) {
    out.extend_from_slice(&u32::try_from(count).unwrap_or(u32::MAX).to_le_bytes());
}

fn encode_swap(out: &mut Vec<u8>, outputs: &[SegmentFile], inputs: &[FileRef]) {
    count(out, outputs.len());
    for output in outputs {
        put(out, &[output.id.0]);
        out.push(output.class);
        put(out, &[output.first.0, output.last.0, output.bytes]);
    }
    encode_files(out, inputs);
}

fn encode_files(out: &mut Vec<u8>, files: &[FileRef]) {
    count(out, files.len());
    for file in files {
        let (kind, id) = match file {
            FileRef::Log(first) => (1, first.0),
            FileRef::Segment(id) => (2, id.0),
            FileRef::StateAt(lsn) => (3, lsn.0),
        };
        out.push(kind);
        put(out, &[id]);
    }
}

fn decode_fields(kind: u8, fields: &mut Fields<'_>) -> Option<Edit> {
    Some(match kind {
        kind::OPEN => Edit::Open { first: fields.lsn()?, after: fields.lsn()?, after_bytes: fields.u64()? },
        kind::INTENT => {
            let job = fields.u64()?;
            Edit::Intent { job, outputs: fields.list(|f| f.u64().map(FileId))? }
        }
        kind::SWAP => {
            let job = fields.u64()?;
            let outputs = fields.list(segment)?;
            Edit::Swap { job, outputs, inputs: fields.list(file_ref)? }
        }
        kind::SEALED => Edit::Sealed { first: fields.lsn()?, last: fields.lsn()?, bytes: fields.u64()? },
        kind::TRUNCATED => Edit::Truncated { first: fields.lsn()?, last: fields.lsn()?, bytes: fields.u64()? },
        kind::STATE_AT => {
            let lsn = fields.lsn()?;
            let added = match fields.u8()? {
                0 => false,
                1 => true,
                _ => return None,
            };
            Edit::StateAt { lsn, added }
        }
        kind::OPENED => {
            Edit::Opened { opening: fields.u32()?, next_file: FileId(fields.u64()?), next_lsn: fields.lsn()? }
        }
        kind::CLOSED => Edit::Closed { last: fields.lsn()? },
        kind::DROPPED => Edit::Dropped { files: fields.list(file_ref)? },
        _ => return None,
    })
}

fn segment(fields: &mut Fields<'_>) -> Option<SegmentFile> {
    Some(SegmentFile {
        id: FileId(fields.u64()?),
        class: fields.u8()?,
        first: fields.lsn()?,
        last: fields.lsn()?,
        bytes: fields.u64()?,
    })
}

fn file_ref(fields: &mut Fields<'_>) -> Option<FileRef> {
    match (fields.u8()?, fields.u64()?) {
        (1, first) => Some(FileRef::Log(Lsn(first))),
        (2, id) => Some(FileRef::Segment(FileId(id))),
        (3, lsn) => Some(FileRef::StateAt(Lsn(lsn))),
        _ => None,
    }
}

/// The fields of a body that are not read yet.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (field, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*field)
    }

    fn u8(&mut self) -> Option<u8> {
        self.take::<1>().map(|[byte]| byte)
    }

    fn u32(&mut self) -> Option<u32> {
        self.take().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.take().map(u64::from_le_bytes)
    }

    fn lsn(&mut self) -> Option<Lsn> {
        self.u64().map(Lsn)
    }

    /// A count and as many entries. Nothing is reserved by the count: each entry must be there.
    fn list<T>(&mut self, entry: impl Fn(&mut Self) -> Option<T>) -> Option<Vec<T>> {
        (0..self.u32()?).map(|_| entry(self)).collect()
    }
}
