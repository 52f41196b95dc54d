//! Sealing in place: a log file that ended gets its index, and its partitions learn that they are read through it.
//!
//! Order: the index is durable, then the manifest's edit, then the swap in memory. A crash between leaves an index that no edit names; it is made anew.

use std::sync::Arc;

use super::files::{File, Files};
use super::index::{EntryRecord, GroupRecord, NewStretch};
use super::sealed_log::{Named, SealedLog, write};
use super::segment_file::Segment;
use super::stretch::{SealedFile, Stretch};
use crate::engine::Shared;
use crate::error::{Error, Result};
use crate::manifest::{Edit, FileRef, Manifest, TimelineDir};
use crate::timeline::{Chunk, Inner, LogFile, Partition, Tables, lock};
use crate::units::{Lsn, TimelineId};

/// Seals a log file that gets no more groups.
pub(crate) fn seal(timeline: &Inner, log: &Arc<LogFile>) -> Result<()> {
    let Some(last) = log.last_group() else { return Ok(()) };
    let disk = &*timeline.shared.disk;
    let named = named(timeline.id, timeline.salt, log.first_lsn);
    let touched = log.touched();
    let mut stretches: Vec<_> = touched.iter().filter_map(|partition| new_stretch(partition, log)).collect();
    stretches.sort_by_key(|stretch| stretch.partition);
    let groups: Vec<_> = log.groups().iter().map(group_record).collect();
    let opening = lock(&timeline.manifest).opening();
    write(disk, &named, opening, &stretches, &groups)?;
    let sealed = SealedLog::open(disk, named, opening)?;
    let edit = Edit::Sealed { first: log.first_lsn, last: last.lsn, bytes: log.bytes() };
    timeline.edit(&edit)?;
    disk.fail_point("seal.after_edit")?;
    timeline.files.add(Arc::clone(&sealed) as Arc<dyn SealedFile>);
    for partition in touched {
        swap(&partition, log, &sealed);
    }
    Ok(())
}

/// Opens the sealed log files and segments that the manifest names, and shows their stretches to the partitions.
pub(crate) fn load(
    shared: &Shared,
    manifest: &Manifest,
    identity: (TimelineId, u64),
    tables: &Tables,
) -> Result<Files> {
    let files = Files::default();
    let disk = &*shared.disk;
    let sealed = manifest.files().logs.iter().filter(|log| log.end.is_some_and(|end| end.sealed));
    for log in sealed {
        let named = named(identity.0, identity.1, log.first);
        let opened = SealedLog::open(disk, named, manifest.opening()).map(|file| file as File);
        take(&files, tables, FileRef::Log(log.first), opened)?;
    }
    for id in manifest.files().segments.keys() {
        let opened = Segment::open(disk, identity, *id).map(|file| file as File);
        take(&files, tables, FileRef::Segment(*id), opened)?;
    }
    Ok(files)
}

fn take(files: &Files, tables: &Tables, name: FileRef, opened: Result<File>) -> Result<()> {
    match opened {
        Ok(file) => {
            show(tables, &file);
            files.add(file);
        }
        // The rest of the timeline is still worth serving, and the file stays where it is.
        Err(error @ (Error::Corrupt(_) | Error::Io { .. })) => {
            tracing::error!(?name, %error, "a sealed file cannot be read: what is in it is not served");
        }
        Err(error) => return Err(error),
    }
    Ok(())
}

/// Partitions find what is in a file.
pub(super) fn show(tables: &Tables, file: &File) {
    for record in file.stretches() {
        if let Some(partition) = tables.get_any(record.partition) {
            partition.pieces().add_stretch(Stretch::new(record, Arc::clone(file)));
        }
    }
}

fn named(timeline: TimelineId, salt: u64, first: Lsn) -> Named {
    let dir = TimelineDir::new(timeline);
    Named { timeline, salt, first, log: dir.log(first), index: dir.index(first) }
}

fn group_record(group: &crate::timeline::GroupMark) -> GroupRecord {
    GroupRecord { lsn: group.lsn, time: group.time, position: u64::from(group.position) }
}

fn new_stretch(partition: &Partition, log: &Arc<LogFile>) -> Option<NewStretch> {
    let chunk = chunk_of(partition, log)?;
    let mut lsn = Lsn::ZERO;
    let entries = chunk.entries.iter().map(|entry| {
        lsn = log.group_of(u64::from(entry.position)).map_or(lsn, |group| group.lsn);
        EntryRecord {
            base_offset: entry.base_offset,
            position: entry.position,
            bytes: entry.bytes,
            lsn,
            max_timestamp: entry.max_timestamp,
        }
    });
    let entries: Vec<_> = entries.collect();
    Some(NewStretch { partition: partition.id(), end_offset: chunk.end_offset, last_lsn: lsn, generation: 0, entries })
}

fn chunk_of(partition: &Partition, log: &Arc<LogFile>) -> Option<Chunk> {
    partition.pieces().tail.iter().find(|chunk| Arc::ptr_eq(&chunk.log, log)).cloned()
}

/// The chunk goes as the stretch comes, so that a reader finds every batch in one of the two.
fn swap(partition: &Partition, log: &Arc<LogFile>, sealed: &Arc<SealedLog>) {
    let record = sealed.stretches().iter().find(|record| record.partition == partition.id());
    let mut pieces = partition.pieces();
    pieces.tail.retain(|chunk| !Arc::ptr_eq(&chunk.log, log));
    if let Some(record) = record {
        pieces.add_stretch(Stretch::new(record, Arc::clone(sealed) as File));
    }
}
