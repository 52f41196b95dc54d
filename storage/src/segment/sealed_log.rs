//! A sealed log file: frames as they were written, and an index beside them.
//!
//! The index is read when the file is opened (its stretches) and when a partition is read (its entries). One that does not check is made anew from the frames.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;

use super::files::About;
use super::index::{self, EntryRecord, GroupRecord, Index, NewStretch, StretchRecord};
use super::recent::Recent;
use super::stretch::SealedFile;
use super::verified::Verified;
use crate::disk::{Disk, File};
use crate::error::{Error, Result};
use crate::frame::{FileHeader, FileKind, GroupRead, HEADER_BYTES, Payloads, Scan, Scanned, Scanner};
use crate::manifest::FileRef;
use crate::units::{Lsn, TimelineId, TopicPartition};

/// What names a sealed log file and its index.
#[derive(Clone, Debug)]
pub(crate) struct Named {
    pub(crate) timeline: TimelineId,
    pub(crate) salt: u64,
    pub(crate) first: Lsn,
    pub(crate) log: PathBuf,
    pub(crate) index: PathBuf,
}

/// The file while it is open.
#[derive(Debug)]
pub(crate) struct SealedLog {
    named: Named,
    file: Arc<dyn File>,
    index_file: Arc<dyn File>,
    index: Index,
    about: About,
    recent: Recent,
    verified: Arc<Verified>,
}

impl SealedLog {
    /// Opens the file and its index, which is made anew if it does not check.
    pub(crate) fn open(disk: &dyn Disk, named: Named, opening: u32) -> Result<Arc<Self>> {
        let file = disk.open_read_only(&named.log)?;
        let opened = open_index(disk, &named);
        let (index_file, index, groups) = match opened {
            Ok(opened) => opened,
            Err(newer @ Error::Newer { .. }) => return Err(newer),
            Err(error) => {
                tracing::warn!(%error, log = %named.first, "making the index of a log file anew");
                let (stretches, groups) = scan(&file, &named)?;
                write(disk, &named, opening, &stretches, &groups)?;
                open_index(disk, &named)?
            }
        };
        let about = About {
            name: FileRef::Log(named.first),
            paths: vec![named.log.clone(), named.index.clone()],
            bytes: file.len()? + index_file.len()?,
            first_lsn: groups.first().map_or(named.first, |group| group.lsn),
            last_lsn: groups.last().map_or(named.first, |group| group.lsn),
            last_time: groups.last().map_or(0, |group| group.time),
            stretches: index.stretches.clone(),
        };
        Ok(Arc::new(Self {
            named,
            file,
            index_file,
            index,
            about,
            recent: Recent::default(),
            verified: Arc::default(),
        }))
    }
}

impl SealedFile for SealedLog {
    fn about(&self) -> &About {
        &self.about
    }

    fn records(&self, partition: TopicPartition) -> Result<Vec<EntryRecord>> {
        let Some(stretch) = self.index.stretch(partition) else { return Ok(Vec::new()) };
        match self.index.entries(&*self.index_file, stretch) {
            Err(error @ Error::Corrupt(_)) => {
                tracing::error!(%error, "reading the frames in place of their index");
                let (stretches, _) = scan(&self.file, &self.named)?;
                let found = stretches.into_iter().find(|stretch| stretch.partition == partition);
                found.map(|stretch| stretch.entries).ok_or(error)
            }
            read => read,
        }
    }

    fn groups(&self) -> Result<Vec<GroupRecord>> {
        match self.index.groups(&*self.index_file) {
            Err(error @ Error::Corrupt(_)) => {
                tracing::error!(%error, "reading the groups in place of their index");
                Ok(scan(&self.file, &self.named)?.1)
            }
            read => read,
        }
    }

    fn file(&self) -> Arc<dyn File> {
        Arc::clone(&self.file)
    }

    fn verified(&self) -> &Arc<Verified> {
        &self.verified
    }

    fn frame(&self, _stretch: &StretchRecord, _nth: usize, record: &EntryRecord) -> Result<(Bytes, Bytes)> {
        let at = u64::from(record.position).checked_sub(HEADER_BYTES as u64);
        let at =
            at.ok_or_else(|| Error::Corrupt(format!("{}: a batch without a header", self.file.path().display())))?;
        let frame = self.file.read_exact_at(at, HEADER_BYTES + record.bytes as usize)?;
        Ok((frame.slice(..HEADER_BYTES), frame.slice(HEADER_BYTES..)))
    }

    fn recent(&self) -> &Recent {
        &self.recent
    }

    fn end_at(&self, partition: TopicPartition, lsn: Lsn) -> Result<i64> {
        let records = self.records(partition)?;
        let next = records.partition_point(|record| record.lsn <= lsn);
        let end = self.index.stretch(partition).map_or(0, |stretch| stretch.end_offset);
        Ok(records.get(next).map_or(end, |record| record.base_offset))
    }
}

/// Writes an index: temporary name, sync, rename, directory.
pub(crate) fn write(
    disk: &dyn Disk,
    named: &Named,
    opening: u32,
    stretches: &[NewStretch],
    groups: &[GroupRecord],
) -> Result<()> {
    let header = FileHeader {
        kind: FileKind::Index,
        timeline: named.timeline,
        salt: named.salt,
        first_lsn: named.first,
        file_id: named.first.0,
        created_ms: groups.last().map_or(0, |group| group.time),
        opening,
    };
    let temporary = named.index.with_extension("idx.tmp");
    if disk.exists(&temporary)? {
        disk.remove(&temporary)?;
    }
    let file = disk.create(&temporary)?;
    let mut bytes = header.encode().to_vec();
    bytes.extend_from_slice(&index::encode(HEADER_BYTES as u64, stretches, groups));
    file.write_at(&bytes, 0)?;
    disk.fail_point("seal.before_index_sync")?;
    file.sync_all()?;
    disk.rename(&temporary, &named.index)?;
    disk.sync_dir(named.index.parent().unwrap_or(&named.index))?;
    disk.fail_point("seal.after_index")
}

fn open_index(disk: &dyn Disk, named: &Named) -> Result<(Arc<dyn File>, Index, Vec<GroupRecord>)> {
    let file = disk.open_read_only(&named.index)?;
    let head = file.read_at(0, HEADER_BYTES)?;
    let header = FileHeader::read(&head, &named.index, FileKind::Index, Some((named.timeline, named.salt)))?;
    if header.first_lsn != named.first {
        return Err(Error::Corrupt(format!("{} is of log file {}", named.index.display(), header.first_lsn)));
    }
    let index = Index::read(&*file)?;
    let groups = index.groups(&*file)?;
    Ok((file, index, groups))
}

/// What the index of a log file has to say, from the frames. A bad header ends it: what lies behind is not reachable.
fn scan(file: &Arc<dyn File>, named: &Named) -> Result<(Vec<NewStretch>, Vec<GroupRecord>)> {
    let scan = Scan { payloads: Payloads::None, ..Scan::whole(named.first, named.salt) };
    let mut scanner = Scanner::new(Arc::clone(file), scan)?;
    let mut stretches: BTreeMap<TopicPartition, NewStretch> = BTreeMap::new();
    let mut groups = Vec::new();
    loop {
        match scanner.next()? {
            Scanned::Group(group) => {
                groups.push(group_record(&group));
                add_group(&mut stretches, &group);
            }
            Scanned::End { .. } => break,
            Scanned::Bad { at, why, .. } => {
                // All of a sealed file was durable: a bad batch is one that readers are told of.
                if let Some(group) = scanner.salvage()? {
                    scanner.pass(&group);
                    groups.push(group_record(&group));
                    add_group(&mut stretches, &group);
                    continue;
                }
                tracing::error!(log = %named.first, at, %why, "a sealed log file is damaged: what lies behind is lost");
                break;
            }
        }
    }
    Ok((stretches.into_values().collect(), groups))
}

fn group_record(group: &GroupRead) -> GroupRecord {
    GroupRecord { lsn: group.header.lsn, time: group.header.time_ms, position: group.header.position }
}

fn add_group(stretches: &mut BTreeMap<TopicPartition, NewStretch>, group: &GroupRead) {
    for frame in group.frames.iter().filter(|frame| frame.header.kind.has_batch()) {
        let header = &frame.header;
        let entry = EntryRecord {
            base_offset: header.base_offset,
            position: u32::try_from(frame.payload_position()).unwrap_or(u32::MAX),
            bytes: header.payload_bytes,
            lsn: header.lsn,
            max_timestamp: header.max_timestamp_ms,
        };
        let end_offset = header.base_offset.saturating_add(i64::from(header.offsets));
        let stretch = stretches.entry(header.partition).or_insert_with(|| NewStretch {
            generation: 0,
            partition: header.partition,
            end_offset,
            last_lsn: header.lsn,
            entries: Vec::new(),
        });
        stretch.entries.push(entry);
        stretch.end_offset = end_offset;
        stretch.last_lsn = header.lsn;
    }
}
