//! Reads the groups of a log file, one after another, and checks all that can be checked.
//!
//! A scan ends at the first thing that does not check. Whether that is a torn write or damage is not decided here
//! (`timeline::recovery` knows what must be there); the scan only tells the two ends apart that look alike at a glance:
//! nothing but zeros up to the end of the file is [`Scanned::End`], anything else [`Scanned::Bad`].

use std::sync::Arc;

use bytes::Bytes;

use super::chunk::Chunks;
use super::{BATCH_HEADER_BYTES, FrameHeader, FrameKind, GROUP_ALIGN, GroupHeader, HEADER_BYTES, PREFIX_BYTES};
use super::{Flaw, padded_frame, padded_group};
use crate::disk::File;
use crate::error::{Error, Result};
use crate::units::Lsn;

/// Which payloads a scan hands out whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Payloads {
    /// None: headers only.
    None,
    /// Those of facts.
    Facts,
    /// All.
    All,
}

/// Where a scan starts and what it expects there.
#[derive(Clone, Copy, Debug)]
pub struct Scan {
    /// The timeline's salt.
    pub salt: u64,
    /// The first LSN of the file: its name.
    pub log: Lsn,
    /// Where the first group stands; [`HEADER_BYTES`] for the whole file.
    pub position: u64,
    /// Where the groups end, if that is known: nothing behind it is looked at. Else the end of the file.
    pub end: Option<u64>,
    /// Every group is above this LSN.
    pub after: Lsn,
    /// The CRC field of the group header before `position`: 0 at the start of the file, `None` if it is not known.
    pub chain: Option<u32>,
    /// Payloads that are handed out.
    pub payloads: Payloads,
    /// Payloads below this position are not hashed (they were, when this much was last known to be sound).
    pub trusted: u64,
}

impl Scan {
    /// A scan of a whole file that hands out facts.
    pub fn whole(log: Lsn, salt: u64) -> Self {
        let after = Lsn(log.0.saturating_sub(1));
        let position = HEADER_BYTES as u64;
        Self { salt, log, position, end: None, after, chain: Some(0), payloads: Payloads::Facts, trusted: 0 }
    }
}

/// A frame as a scan hands it out.
#[derive(Clone, Debug)]
pub struct FrameRead {
    /// Its header.
    pub header: FrameHeader,
    /// Where its header stands in the file.
    pub position: u64,
    /// The header of its batch; zeros if it has none.
    pub batch_header: [u8; BATCH_HEADER_BYTES],
    /// Whether the batch does not check, so that what it held is lost. Its headers are sound; `batch_header` is not to be trusted. In a salvaged group only.
    pub is_lost: bool,
    /// The whole batch, if it was asked for. A slice of what was read with it: copy what is kept.
    pub payload: Option<Bytes>,
}

impl FrameRead {
    /// Where its batch stands in the file.
    pub fn payload_position(&self) -> u64 {
        self.position + HEADER_BYTES as u64
    }
}

/// A group as a scan hands it out: sound in all its bytes. (One that was salvaged: in all its headers.)
#[derive(Clone, Debug)]
pub struct GroupRead {
    /// The log file it is in, by its first LSN.
    pub log: Lsn,
    /// Its header.
    pub header: GroupHeader,
    /// The CRC field of its header: what the next group's chain must be.
    pub crc: u32,
    /// Its frames, at least one.
    pub frames: Vec<FrameRead>,
}

impl GroupRead {
    /// Where the next group stands.
    pub fn end(&self) -> u64 {
        self.header.position + HEADER_BYTES as u64 + u64::from(self.header.bytes)
    }
}

/// What a scan finds next.
#[derive(Clone, Debug)]
pub enum Scanned {
    /// A sound group.
    Group(GroupRead),
    /// The end: only zeros follow, or nothing.
    End {
        /// Where the next group would stand.
        position: u64,
    },
    /// Something else stands there, or in the group that starts there.
    Bad {
        /// Where that group starts: the end of what is sound.
        position: u64,
        /// Where in it the flaw is.
        at: u64,
        /// What is wrong with it.
        why: Flaw,
    },
}

/// Why a group is not handed out.
enum Stop {
    Failed(Error),
    End,
    Bad(u64, Flaw),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

/// A scan under way.
#[derive(Debug)]
pub struct Scanner {
    scan: Scan,
    chunks: Chunks,
    position: u64,
    lsn: Lsn,
    chain: Option<u32>,
    opening: u32,
    salvaging: bool,
}

impl Scanner {
    /// Starts a scan. Does not look at the file's header.
    pub fn new(file: Arc<dyn File>, scan: Scan) -> Result<Self> {
        let len = file.len()?;
        let end = scan.end.map_or(len, |end| end.min(len));
        let chunks = Chunks::new(file, end);
        Ok(Self {
            chunks,
            position: scan.position,
            lsn: scan.after,
            chain: scan.chain,
            opening: 0,
            salvaging: false,
            scan,
        })
    }

    /// The opening number of the last group, 0 before the first.
    pub fn opening(&self) -> u32 {
        self.opening
    }

    /// The CRC field of the last group's header, if it is known.
    pub fn chain(&self) -> Option<u32> {
        self.chain
    }

    /// The next group. After an end or a flaw it says the same again.
    #[expect(clippy::should_implement_trait, reason = "an iterator of results would hide that the end has a reason")]
    pub fn next(&mut self) -> Result<Scanned> {
        match self.group() {
            Ok(group) => {
                self.pass(&group);
                Ok(Scanned::Group(group))
            }
            Err(Stop::Failed(error)) => Err(error),
            Err(Stop::End) => Ok(Scanned::End { position: self.position }),
            Err(Stop::Bad(at, why)) => Ok(Scanned::Bad { position: self.position, at, why }),
        }
    }

    /// The group at which the scan stopped, if all its headers are sound and chained: what does not check are batches, which are marked, or padding, which
    /// nobody misses. Whether it may be taken for such a group, and not for a write that was never finished, the caller knows; then it passes it.
    pub fn salvage(&mut self) -> Result<Option<GroupRead>> {
        self.salvaging = true;
        let group = self.group();
        self.salvaging = false;
        match group {
            Ok(group) => Ok(Some(group)),
            Err(Stop::Failed(error)) => Err(error),
            Err(Stop::End | Stop::Bad(..)) => Ok(None),
        }
    }

    /// Goes on behind a group.
    pub fn pass(&mut self, group: &GroupRead) {
        self.position = group.end();
        (self.lsn, self.opening, self.chain) = (group.header.lsn, group.header.opening, Some(group.crc));
    }

    fn group(&mut self) -> Result<GroupRead, Stop> {
        let position = self.position;
        let Some(bytes) = self.chunks.get(position, HEADER_BYTES)? else {
            return Err(if self.chunks.zeros_from(position)? { Stop::End } else { Stop::Bad(position, Flaw::Short) });
        };
        if bytes.iter().all(|byte| *byte == 0) && self.chunks.zeros_from(position)? {
            return Err(Stop::End);
        }
        let header = self.group_header(&bytes).map_err(|why| Stop::Bad(position, why))?;
        let crc = u32::from_le_bytes([bytes[4], bytes[5], bytes[6], bytes[7]]);
        let frames = self.frames(&header, crc)?;
        Ok(GroupRead { log: self.scan.log, header, crc, frames })
    }

    fn group_header(&self, bytes: &[u8]) -> Result<GroupHeader, Flaw> {
        let header = GroupHeader::decode(bytes, self.scan.salt)?;
        if header.position != self.position {
            return Err(Flaw::Position(header.position));
        }
        if header.lsn <= self.lsn {
            return Err(Flaw::Lsn(header.lsn));
        }
        if self.chain.is_some_and(|chain| chain != header.chain) {
            return Err(Flaw::Chain);
        }
        if header.opening < self.opening {
            return Err(Flaw::Opening(header.opening));
        }
        let least = u64::from(header.frames) * HEADER_BYTES as u64;
        let bytes = u64::from(header.bytes);
        if header.frames == 0 || bytes < least || !bytes.is_multiple_of(GROUP_ALIGN) {
            return Err(Flaw::Length);
        }
        let end = self.position.checked_add(HEADER_BYTES as u64 + bytes);
        if end.is_none_or(|end| end > self.chunks.end()) {
            return Err(Flaw::Short);
        }
        Ok(header)
    }

    fn frames(&mut self, group: &GroupHeader, crc: u32) -> Result<Vec<FrameRead>, Stop> {
        let start = group.position + HEADER_BYTES as u64;
        let end = start + u64::from(group.bytes);
        let (mut at, mut chain) = (start, crc);
        let mut frames = Vec::new();
        for index in 0..group.frames {
            let frame = self.frame(group, index, at, end, &mut chain)?;
            let payload_end = frame.payload_position() + u64::from(frame.header.payload_bytes);
            let is_last = index + 1 == group.frames;
            let padded = if is_last { padded_group(payload_end) } else { padded_frame(payload_end) };
            if padded > end || is_last && padded != end {
                return Err(Stop::Bad(at, Flaw::Length));
            }
            let is_zero =
                self.chunks.each(payload_end, padded - payload_end, &mut |b| b.iter().all(|byte| *byte == 0))?;
            if !is_zero && !self.salvaging {
                return Err(Stop::Bad(payload_end, Flaw::Padding));
            }
            frames.push(frame);
            at = padded;
        }
        Ok(frames)
    }

    fn frame(
        &mut self,
        group: &GroupHeader,
        index: u32,
        at: u64,
        end: u64,
        chain: &mut u32,
    ) -> Result<FrameRead, Stop> {
        let bad = |why| Stop::Bad(at, why);
        let room = usize::try_from(end.saturating_sub(at)).unwrap_or(usize::MAX);
        let head = self.chunks.get(at, room.min(HEADER_BYTES + PREFIX_BYTES))?.ok_or(bad(Flaw::Short))?;
        let behind = head.get(HEADER_BYTES..).ok_or(bad(Flaw::Short))?;
        let header = FrameHeader::decode(&head, self.scan.salt, behind).map_err(bad)?;
        check_frame(&header, group, index, *chain).map_err(bad)?;
        if (header.payload_bytes as usize).saturating_add(HEADER_BYTES) > room {
            return Err(bad(Flaw::Length));
        }
        *chain = u32::from_le_bytes([head[4], head[5], head[6], head[7]]);
        let mut frame =
            FrameRead { header, position: at, batch_header: [0; BATCH_HEADER_BYTES], is_lost: false, payload: None };
        if header.kind.has_batch() {
            self.payload(&mut frame)?;
        }
        Ok(frame)
    }

    /// Reads the batch's header, and the batch where it is wanted; hashes what is not trusted.
    fn payload(&mut self, frame: &mut FrameRead) -> Result<(), Stop> {
        let (at, len) = (frame.payload_position(), frame.header.payload_bytes as usize);
        let bad = |why| Stop::Bad(at, why);
        let head = self.chunks.get(at, BATCH_HEADER_BYTES)?.ok_or(bad(Flaw::Short))?;
        frame.batch_header.copy_from_slice(&head);
        let length = i32::from_be_bytes([head[8], head[9], head[10], head[11]]);
        // Kafka's length counts what stands behind the length field itself, at byte 12.
        if i64::from(length) + 12 != i64::from(frame.header.payload_bytes) || head[16] != 2 {
            return Err(bad(Flaw::Payload));
        }
        let wanted = match self.scan.payloads {
            Payloads::None => false,
            Payloads::Facts => frame.header.kind == FrameKind::Facts,
            Payloads::All => true,
        };
        if wanted {
            frame.payload = Some(self.chunks.get(at, len)?.ok_or(bad(Flaw::Short))?);
        }
        if at >= self.scan.trusted {
            let expected = u32::from_be_bytes([head[17], head[18], head[19], head[20]]);
            if self.batch_crc(frame, at, len)? != Some(expected) {
                if !self.salvaging {
                    return Err(bad(Flaw::Payload));
                }
                (frame.is_lost, frame.payload) = (true, None);
            }
        }
        Ok(())
    }

    /// Kafka's CRC of a batch: of all behind the CRC field.
    fn batch_crc(&mut self, frame: &FrameRead, at: u64, len: usize) -> Result<Option<u32>> {
        if let Some(payload) = &frame.payload {
            return Ok(Some(crc32c::crc32c(&payload[PREFIX_BYTES..])));
        }
        let mut crc = 0;
        let whole = self.chunks.each(at + PREFIX_BYTES as u64, (len - PREFIX_BYTES) as u64, &mut |bytes| {
            crc = crc32c::crc32c_append(crc, bytes);
            true
        })?;
        Ok(whole.then_some(crc))
    }
}

fn check_frame(header: &FrameHeader, group: &GroupHeader, index: u32, chain: u32) -> Result<(), Flaw> {
    if header.lsn != group.lsn {
        return Err(Flaw::Lsn(header.lsn));
    }
    if header.index != index || header.chain != chain {
        return Err(Flaw::Chain);
    }
    if header.opening != group.opening {
        return Err(Flaw::Opening(header.opening));
    }
    if header.kind == FrameKind::Compacted {
        return Err(Flaw::Kind(header.kind as u8)); // only segments have any
    }
    Ok(())
}
