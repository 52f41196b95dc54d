//! TIMELINE: who a timeline is. Written once, when it is made; read first, when it is opened.
//!
//! The file's header, then parent u64 (`u64::MAX`: none), branch LSN u64, volume u64, leader epoch at birth i32, CRC u32 of these.

use super::TimelineDir;
use crate::disk::Disk;
use crate::engine::random_u64;
use crate::error::{Error, Result};
use crate::frame::{FileHeader, FileKind, Flaw, HEADER_BYTES};
use crate::state::TimelineInfo;
use crate::units::{Lsn, TimelineId};

const FIELDS_BYTES: usize = 32;
const NO_PARENT: u64 = u64::MAX;

/// Who a timeline is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Its number.
    pub timeline: TimelineId,
    /// Its salt: random, never on the wire.
    pub salt: u64,
    /// When it was made.
    pub created_ms: i64,
    /// The timeline that it branched from, and where.
    pub parent: Option<(TimelineId, Lsn)>,
    /// The volume that it was made for.
    pub volume: u64,
    /// The leader epoch that it was born with.
    pub leader_epoch: i32,
}

impl Identity {
    /// Of a timeline that is to be made, with a salt of its own.
    pub(crate) fn of(info: &TimelineInfo) -> Self {
        Self {
            timeline: info.id,
            salt: random_u64(),
            created_ms: info.created,
            parent: info.origin,
            volume: info.volume.0,
            leader_epoch: info.leader_epoch,
        }
    }

    /// Writes the file and syncs it; its directory is the caller's to sync.
    pub fn write(&self, disk: &dyn Disk) -> Result<()> {
        let file = disk.create(&TimelineDir::new(self.timeline).timeline())?;
        file.write_at(&self.encode(), 0)?;
        file.sync_all()
    }

    /// Reads the file of a timeline.
    pub fn read(disk: &dyn Disk, timeline: TimelineId) -> Result<Self> {
        let path = TimelineDir::new(timeline).timeline();
        let bytes = disk.open_read_only(&path)?.read_at(0, HEADER_BYTES + FIELDS_BYTES + 1)?;
        let header = FileHeader::read(&bytes, &path, FileKind::Timeline, None)?;
        if header.timeline != timeline {
            return Err(Error::Corrupt(format!("{} says that it is of timeline {}", path.display(), header.timeline)));
        }
        Self::decode(&header, &bytes[HEADER_BYTES..]).map_err(|flaw| flaw.at(&path, HEADER_BYTES as u64))
    }

    fn encode(&self) -> Vec<u8> {
        let header = FileHeader {
            kind: FileKind::Timeline,
            timeline: self.timeline,
            salt: self.salt,
            first_lsn: Lsn::ZERO,
            file_id: 0,
            created_ms: self.created_ms,
            opening: 0,
        };
        let (parent, branch) = self.parent.map_or((NO_PARENT, 0), |(parent, branch)| (parent.0, branch.0));
        let mut bytes = header.encode().to_vec();
        for field in [parent, branch, self.volume] {
            bytes.extend_from_slice(&field.to_le_bytes());
        }
        bytes.extend_from_slice(&self.leader_epoch.to_le_bytes());
        let crc = crc32c::crc32c(&bytes[HEADER_BYTES..]);
        bytes.extend_from_slice(&crc.to_le_bytes());
        bytes
    }

    fn decode(header: &FileHeader, fields: &[u8]) -> Result<Self, Flaw> {
        let fields: &[u8; FIELDS_BYTES] = fields.try_into().map_err(|_| Flaw::Length)?;
        let field = |at: usize| {
            let mut bytes = [0; 8];
            bytes.copy_from_slice(&fields[at..at + 8]);
            u64::from_le_bytes(bytes)
        };
        let [.., c0, c1, c2, c3] = *fields;
        if crc32c::crc32c(&fields[..FIELDS_BYTES - 4]) != u32::from_le_bytes([c0, c1, c2, c3]) {
            return Err(Flaw::Crc);
        }
        let parent = (field(0) != NO_PARENT).then(|| (TimelineId(field(0)), Lsn(field(8))));
        let leader_epoch = i32::from_le_bytes([fields[24], fields[25], fields[26], fields[27]]);
        Ok(Self {
            timeline: header.timeline,
            salt: header.salt,
            created_ms: header.created_ms,
            parent,
            volume: field(16),
            leader_epoch,
        })
    }
}
