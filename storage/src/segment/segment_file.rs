//! A segment: batches sorted by partition, as the rewriter leaves them. Immutable.
//!
//! ```text
//! file header │ batches, those of a partition back to back │ their frame headers, in the same order │ index
//! ```
//!
//! Invariants: the index has one entry per batch, so that the nth entry's frame header is the nth of the column; within a stretch offsets and LSNs grow,
//! with gaps where nothing needed what was between. An index that does not check is made anew, in memory, from batches and headers.

use std::sync::Arc;

use bytes::Bytes;

use super::files::About;
use super::index::{self, EntryRecord, GroupRecord, Index, NO_TIME, NewStretch, StretchRecord};
use super::recent::Recent;
use super::stretch::SealedFile;
use super::verified::Verified;
use crate::batch::Batch;
use crate::disk::{Disk, File};
use crate::error::{Error, Result};
use crate::frame::{self, FileHeader, FileKind, FrameHeader, HEADER_BYTES};
use crate::manifest::{FileRef, TimelineDir};
use crate::units::{FileId, Lsn, TimelineId, TopicPartition};

/// The file while it is open.
#[derive(Debug)]
pub(crate) struct Segment {
    salt: u64,
    file: Arc<dyn File>,
    about: About,
    found: Found,
    /// Where the frame headers begin.
    column: u64,
    recent: Recent,
    verified: Arc<Verified>,
}

/// Where the index is.
#[derive(Debug)]
enum Found {
    OnDisk(Index),
    /// By partition; and the groups, without times where those rotted, too.
    Rebuilt(Vec<NewStretch>, Vec<GroupRecord>),
}

impl Segment {
    /// Opens a segment. [`Error::Corrupt`] if neither its index nor its batches say what is in it.
    pub(crate) fn open(disk: &dyn Disk, of: (TimelineId, u64), id: FileId) -> Result<Arc<Self>> {
        let path = TimelineDir::new(of.0).segment(id);
        let file = disk.open_read_only(&path)?;
        let header = FileHeader::read(&file.read_at(0, HEADER_BYTES)?, &path, FileKind::Segment, Some(of))?;
        if header.file_id != id.0 {
            return Err(Error::Corrupt(format!("{} is segment {}", path.display(), header.file_id)));
        }
        let read = Index::read(&*file).and_then(|index| Ok((index.groups(&*file)?, index)));
        let (found, stretches, groups, column) = match read {
            Ok((groups, index)) => {
                let (stretches, column) = (index.stretches.clone(), index.column(&file)?);
                (Found::OnDisk(index), stretches, groups, column)
            }
            Err(Error::Corrupt(why)) => {
                tracing::error!(segment = %id, why, "making the index of a segment anew");
                let (rebuilt, column) = rebuild(&file, of.1)?;
                let stretches = index::records_of(&rebuilt);
                let groups = index::groups_alone(&*file).unwrap_or_else(|_| index::untimed(&rebuilt));
                (Found::Rebuilt(rebuilt, groups.clone()), stretches, groups, column)
            }
            Err(error) => return Err(error),
        };
        let lowest = stretches.iter().map(|stretch| stretch.first_lsn).min();
        let highest = stretches.iter().map(|stretch| stretch.last_lsn).max();
        let about = About {
            name: FileRef::Segment(id),
            paths: vec![path],
            bytes: file.len()?,
            first_lsn: lowest.unwrap_or(header.first_lsn),
            last_lsn: highest.unwrap_or(header.first_lsn),
            // Its groups were written before it was.
            last_time: groups
                .last()
                .filter(|group| group.time != NO_TIME)
                .map_or(header.created_ms, |group| group.time),
            stretches,
        };
        Ok(Arc::new(Self {
            salt: of.1,
            file,
            about,
            found,
            column,
            recent: Recent::default(),
            verified: Arc::default(),
        }))
    }

    fn stretch(&self, partition: TopicPartition) -> Option<&StretchRecord> {
        let at = self.about.stretches.binary_search_by_key(&partition, |stretch| stretch.partition).ok()?;
        self.about.stretches.get(at)
    }

    fn rebuilt(&self, partition: TopicPartition) -> Result<Vec<EntryRecord>> {
        let (stretches, _) = rebuild(&self.file, self.salt)?;
        let found = stretches.into_iter().find(|stretch| stretch.partition == partition);
        Ok(found.map_or_else(Vec::new, |stretch| stretch.entries))
    }
}

impl SealedFile for Segment {
    fn about(&self) -> &About {
        &self.about
    }

    fn records(&self, partition: TopicPartition) -> Result<Vec<EntryRecord>> {
        match &self.found {
            Found::OnDisk(index) => {
                let Some(stretch) = index.stretch(partition) else { return Ok(Vec::new()) };
                match index.entries(&*self.file, stretch) {
                    Err(Error::Corrupt(why)) => {
                        tracing::error!(why, "reading the batches in place of their index");
                        self.rebuilt(partition)
                    }
                    read => read,
                }
            }
            Found::Rebuilt(stretches, _) => {
                let found = stretches.binary_search_by_key(&partition, |stretch| stretch.partition);
                Ok(found.map_or_else(|_| Vec::new(), |at| stretches[at].entries.clone()))
            }
        }
    }

    fn groups(&self) -> Result<Vec<GroupRecord>> {
        match &self.found {
            Found::OnDisk(index) => match index.groups(&*self.file) {
                Err(Error::Corrupt(why)) => {
                    tracing::error!(why, "the times of a segment's groups are lost");
                    Ok(index::untimed(&rebuild(&self.file, self.salt)?.0))
                }
                read => read,
            },
            Found::Rebuilt(_, groups) => Ok(groups.clone()),
        }
    }

    fn file(&self) -> Arc<dyn File> {
        Arc::clone(&self.file)
    }

    fn verified(&self) -> &Arc<Verified> {
        &self.verified
    }

    fn frame(&self, stretch: &StretchRecord, nth: usize, record: &EntryRecord) -> Result<(Bytes, Bytes)> {
        let at = self.column + (stretch.first_entry() + nth as u64) * HEADER_BYTES as u64;
        let header = self.file.read_exact_at(at, HEADER_BYTES)?;
        Ok((header, self.file.read_exact_at(u64::from(record.position), record.bytes as usize)?))
    }

    fn recent(&self) -> &Recent {
        &self.recent
    }

    /// From the frame header: the batch behind it may be gone, so that the next entry does not say where this one ends.
    fn end_at(&self, partition: TopicPartition, lsn: Lsn) -> Result<i64> {
        let Some(stretch) = self.stretch(partition) else { return Ok(0) };
        let records = self.records(partition)?;
        let behind = records.partition_point(|record| record.lsn <= lsn);
        let Some(last) = behind.checked_sub(1) else { return Ok(stretch.first_offset) };
        let (header, batch) = self.frame(stretch, last, &records[last])?;
        let header = FrameHeader::decode(&header, self.salt, &batch).map_err(|flaw| {
            let position = u64::from(records[last].position);
            flaw.at(self.file.path(), position)
        })?;
        Ok(header.base_offset.saturating_add(i64::from(header.offsets)))
    }
}

/// What the index of a segment has to say, from its batches and their frame headers; and where those headers begin.
fn rebuild(file: &Arc<dyn File>, salt: u64) -> Result<(Vec<NewStretch>, u64)> {
    let mut batches = Vec::new();
    let (mut at, len) = (HEADER_BYTES as u64, file.len()?);
    while let Some(bytes) = batch_at(&**file, at, len)? {
        batches.push((at, bytes));
        at += u64::from(bytes);
    }
    let column = at;
    let mut stretches: Vec<NewStretch> = Vec::new();
    for (position, bytes) in batches {
        let header = file.read_exact_at(at, HEADER_BYTES)?;
        let prefix = file.read_exact_at(position, frame::PREFIX_BYTES)?;
        let header = FrameHeader::decode(&header, salt, &prefix).map_err(|flaw| flaw.at(file.path(), at))?;
        at += HEADER_BYTES as u64;
        let entry = EntryRecord {
            base_offset: header.base_offset,
            position: u32::try_from(position).unwrap_or(u32::MAX),
            bytes,
            lsn: header.lsn,
            max_timestamp: header.max_timestamp_ms,
        };
        let end_offset = header.base_offset.saturating_add(i64::from(header.offsets));
        let generation = header.generation();
        let goes_on = |last: &&mut NewStretch| (last.partition, last.generation) == (header.partition, generation);
        match stretches.last_mut().filter(goes_on) {
            Some(last) => {
                (last.end_offset, last.last_lsn) = (end_offset, header.lsn);
                last.entries.push(entry);
            }
            None => stretches.push(NewStretch {
                partition: header.partition,
                end_offset,
                last_lsn: header.lsn,
                generation,
                entries: vec![entry],
            }),
        }
    }
    if stretches.is_empty() || !stretches.is_sorted_by(|a, b| a.partition < b.partition) {
        return Err(Error::Corrupt(format!("{}: neither index nor batches check", file.path().display())));
    }
    Ok((stretches, column))
}

/// The length of the sound batch at a position, `None` if there is none.
fn batch_at(file: &dyn File, at: u64, len: u64) -> Result<Option<u32>> {
    let head = file.read_at(at, frame::BATCH_HEADER_BYTES)?;
    let Some(length) = head.get(8..12) else { return Ok(None) };
    let length = u32::from_be_bytes([length[0], length[1], length[2], length[3]]).checked_add(12);
    let Some(length) = length.filter(|length| at + u64::from(*length) <= len) else { return Ok(None) };
    let bytes = file.read_exact_at(at, length as usize)?;
    Ok(Batch::parse_verified(&bytes).is_ok().then_some(length))
}
