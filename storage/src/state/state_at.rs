//! A checkpoint as a file: `state-at/<lsn>`, immutable once it has its name.
//!
//! Shape: the file's header, then sections. A section has a header of 24 bytes and a body, which is a page (`page`):
//!
//! | at | width | field |
//! |---|---|---|
//! | 0 | 4 | kind |
//! | 4 | 4 | entries in it |
//! | 8 | 8 | bytes of the body |
//! | 16 | 4 | CRC of bytes 0–15 and 20–23 and of the body, seeded with the salt's low 32 bits |
//! | 20 | 4 | its number in the file, from 0 |
//!
//! The last one, kind 255, has no body, and its count is the number of sections before it: what is lost, swapped or added
//! is seen. Neither writing nor reading holds more of the file than a window of it.

use super::checkpoint::Checkpoint;
use super::page::{Assembly, Page, Section, each_page};
use crate::disk::{Disk, File};
use crate::frame::{FileHeader, FileKind, HEADER_BYTES, seed};
use crate::manifest::{TEMPORARY, TimelineDir};
use crate::{Error, Lsn, Result, TimelineId};
use bytes::{Buf, Bytes};
use std::path::{Path, PathBuf};
use std::sync::Arc;

const SECTION_BYTES: usize = 24;
const END: u32 = 255;
/// So much is written or read at a time, or a section if that is more.
const WINDOW_BYTES: usize = 1 << 20;

/// What a state-at file's header says beside the checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Origin {
    /// The timeline.
    pub timeline: TimelineId,
    /// Its salt.
    pub salt: u64,
    /// The opening number.
    pub opening: u32,
    /// The time now, in milliseconds.
    pub created_ms: i64,
}

/// Writes a checkpoint, in place of one of that LSN, and returns the bytes it takes. It is durable when this returns, and
/// may be named in the manifest then. After an error nothing of it stays, unless the disk refuses that, too.
pub fn write(disk: &dyn Disk, origin: &Origin, checkpoint: &Checkpoint) -> Result<u64> {
    let dir = TimelineDir::new(origin.timeline);
    let path = dir.state_at(checkpoint.lsn);
    let temporary = temporary(&path);
    let written = write_temporary(disk, &temporary, origin, checkpoint)
        .and_then(|bytes| disk.fail_point("state_at.before_rename").map(|()| bytes))
        .and_then(|bytes| disk.rename(&temporary, &path).map(|()| bytes));
    match written {
        Ok(bytes) => disk.sync_dir(&dir.states_at()).map(|()| bytes),
        Err(error) => {
            // What is left has a temporary name: recovery clears it away, should this fail.
            let _ = disk.remove(&temporary);
            Err(error)
        }
    }
}

fn temporary(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(TEMPORARY);
    name.into()
}

fn write_temporary(disk: &dyn Disk, path: &Path, origin: &Origin, checkpoint: &Checkpoint) -> Result<u64> {
    if disk.exists(path)? {
        disk.remove(path)?;
    }
    let mut writer = Writer::new(disk.create(path)?, origin, checkpoint.lsn);
    each_page(checkpoint, &mut |page| writer.section(page))?;
    writer.finish()
}

struct Writer {
    file: Arc<dyn File>,
    seed: u32,
    /// What goes to `position` next.
    buffer: Vec<u8>,
    position: u64,
    sections: u32,
}

impl Writer {
    fn new(file: Arc<dyn File>, origin: &Origin, lsn: Lsn) -> Self {
        let header = FileHeader {
            kind: FileKind::StateAt,
            timeline: origin.timeline,
            salt: origin.salt,
            first_lsn: lsn,
            file_id: 0,
            created_ms: origin.created_ms,
            opening: origin.opening,
        };
        Self { file, seed: seed(origin.salt), buffer: header.encode().to_vec(), position: 0, sections: 0 }
    }

    fn section(&mut self, page: Page<'_>) -> Result<()> {
        self.put(page.section as u32, page.count, page.body)
    }

    fn put(&mut self, kind: u32, count: u32, body: &[u8]) -> Result<()> {
        let head = SectionHead { kind, count, length: body.len() as u64, number: self.sections };
        self.buffer.extend_from_slice(&head.encode(self.seed, body));
        self.buffer.extend_from_slice(body);
        self.sections = self.sections.checked_add(1).ok_or_else(|| Error::Invalid("too many sections".into()))?;
        if self.buffer.len() >= WINDOW_BYTES { self.write_out() } else { Ok(()) }
    }

    fn write_out(&mut self) -> Result<()> {
        self.file.write_at(&self.buffer, self.position)?;
        self.position += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }

    fn finish(mut self) -> Result<u64> {
        self.put(END, self.sections, &[])?;
        self.write_out()?;
        self.file.sync_all()?;
        Ok(self.position)
    }
}

/// Reads the checkpoint at an LSN. [`Error::Corrupt`] for whatever does not check, [`Error::Newer`] for what a newer
/// program wrote.
pub fn read(disk: &dyn Disk, timeline: TimelineId, salt: u64, lsn: Lsn) -> Result<Checkpoint> {
    let path = TimelineDir::new(timeline).state_at(lsn);
    let mut reader = Window::new(disk.open_read_only(&path)?)?;
    let header = FileHeader::read(&reader.take(HEADER_BYTES)?, &path, FileKind::StateAt, Some((timeline, salt)))?;
    if header.first_lsn != lsn {
        return Err(Error::Corrupt(format!("{} says that it is of LSN {}", path.display(), header.first_lsn)));
    }
    let checkpoint = read_sections(&mut reader, seed(salt)).map_err(|error| in_file(&path, error))?;
    if checkpoint.lsn != lsn {
        return Err(Error::Corrupt(format!("{} holds LSN {}", path.display(), checkpoint.lsn)));
    }
    Ok(checkpoint)
}

fn in_file(path: &Path, error: Error) -> Error {
    match error {
        Error::Corrupt(why) => Error::Corrupt(format!("{}: {why}", path.display())),
        Error::Newer { path: what, found, known } => {
            Error::Newer { path: format!("{}: {}", path.display(), what.display()).into(), found, known }
        }
        other => other,
    }
}

fn read_sections(reader: &mut Window, seed: u32) -> Result<Checkpoint> {
    let mut assembly = Assembly::default();
    let mut number = 0u32;
    loop {
        let head_bytes = reader.take(SECTION_BYTES)?;
        let (head, crc) = SectionHead::decode(&head_bytes)?;
        let length = usize::try_from(head.length).unwrap_or(usize::MAX);
        let body = reader.take(length)?;
        if head.number != number || head.crc(seed, &body) != crc {
            return Err(Error::Corrupt(format!("section {number} does not check")));
        }
        if head.kind == END {
            if head.count != number || length != 0 || reader.left() != 0 {
                return Err(Error::Corrupt("it does not end where it should".into()));
            }
            return assembly.finish();
        }
        assembly.add(Section::from_number(head.kind)?, head.count, &body)?;
        number = number.checked_add(1).ok_or_else(|| Error::Corrupt("too many sections".into()))?;
    }
}

/// A section's header, without its CRC.
struct SectionHead {
    kind: u32,
    count: u32,
    length: u64,
    number: u32,
}

impl SectionHead {
    fn front(&self) -> [u8; 16] {
        let mut front = [0; 16];
        front[..4].copy_from_slice(&self.kind.to_le_bytes());
        front[4..8].copy_from_slice(&self.count.to_le_bytes());
        front[8..].copy_from_slice(&self.length.to_le_bytes());
        front
    }

    fn crc(&self, seed: u32, body: &[u8]) -> u32 {
        let front = crc32c::crc32c_append(seed, &self.front());
        crc32c::crc32c_append(crc32c::crc32c_append(front, &self.number.to_le_bytes()), body)
    }

    fn encode(&self, seed: u32, body: &[u8]) -> [u8; SECTION_BYTES] {
        let mut bytes = [0; SECTION_BYTES];
        bytes[..16].copy_from_slice(&self.front());
        bytes[16..20].copy_from_slice(&self.crc(seed, body).to_le_bytes());
        bytes[20..].copy_from_slice(&self.number.to_le_bytes());
        bytes
    }

    fn decode(mut bytes: &[u8]) -> Result<(Self, u32)> {
        let cut = |_| Error::Corrupt("it ends within a section".into());
        let kind = bytes.try_get_u32_le().map_err(cut)?;
        let count = bytes.try_get_u32_le().map_err(cut)?;
        let length = bytes.try_get_u64_le().map_err(cut)?;
        let crc = bytes.try_get_u32_le().map_err(cut)?;
        let number = bytes.try_get_u32_le().map_err(cut)?;
        Ok((Self { kind, count, length, number }, crc))
    }
}

/// A file read from front to end.
struct Window {
    file: Arc<dyn File>,
    length: u64,
    /// Where the bytes behind `ahead` are.
    position: u64,
    ahead: Bytes,
}

impl Window {
    fn new(file: Arc<dyn File>) -> Result<Self> {
        let length = file.len()?;
        Ok(Self { file, length, position: 0, ahead: Bytes::new() })
    }

    fn left(&self) -> u64 {
        self.length.saturating_sub(self.position) + self.ahead.len() as u64
    }

    /// The next `count` bytes.
    fn take(&mut self, count: usize) -> Result<Bytes> {
        if count as u64 > self.left() {
            return Err(Error::Corrupt("it ends within a section".into()));
        }
        if self.ahead.len() < count {
            let missing = count - self.ahead.len();
            let more = self.file.read_at(self.position, missing.max(WINDOW_BYTES))?;
            if more.len() < missing {
                return Err(Error::Corrupt("it is shorter than it was".into()));
            }
            self.position += more.len() as u64;
            self.ahead = if self.ahead.is_empty() { more } else { [&self.ahead[..], &more[..]].concat().into() };
        }
        Ok(self.ahead.split_to(count))
    }
}
