//! Compares a timeline's directories with its manifest when it is opened: what is missing, what is left over, and what to do with that.
//!
//! Removed is only what an edit says is nobody's: outputs of jobs that did not end, files that an edit took out, folds and indexes that no edit
//! names (they are made anew), files being written under a temporary name, and log files that were made and never named, so that no frame is in them.
//! Everything else that no edit names is moved to `trash/`, where it stays until a person has looked at it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Aside;
use crate::disk::Disk;
use crate::error::Result;
use crate::frame::{HEADER_BYTES, Scan, Scanned, Scanner};
use crate::manifest::{Edit, FileRef, FileSet, Identity, LogFile, Manifest, Named, TEMPORARY, TimelineDir};
use crate::units::{FileId, Lsn};

/// What does not agree with the manifest.
#[derive(Debug, Default)]
pub(super) struct Strays {
    /// A file that the manifest names and that is not there, or is too short.
    pub(super) missing: Option<String>,
    /// Log files that no edit names, with the LSN of their first sound group.
    pub(super) groups: Vec<(PathBuf, Lsn)>,
}

/// Compares, and changes nothing.
pub(super) fn missing_and_strays(disk: &dyn Disk, identity: &Identity, manifest: &Manifest) -> Result<Strays> {
    let (files, dir) = (manifest.files(), manifest.dir());
    let mut strays = Strays::default();
    let logs = files.logs.iter().map(|log| (dir.log(log.first), log.end.map_or(HEADER_BYTES as u64, |end| end.bytes)));
    let segments = files.segments.values().map(|segment| (dir.segment(segment.id), segment.bytes));
    for (path, bytes) in logs.chain(segments) {
        match disk.metadata(&path)? {
            None => drop(strays.missing.get_or_insert(format!("{} is missing", path.display()))),
            Some(found) if found.len < bytes => {
                let why = format!("{} has {} bytes of {bytes}", path.display(), found.len);
                strays.missing.get_or_insert(why);
            }
            Some(_) => {}
        }
    }
    for entry in disk.list(&dir.logs())? {
        if let Some(Named::Log(first)) = TimelineDir::parse(&entry.name)
            && !files.names(FileRef::Log(first))
            && !files.dropped.contains(&FileRef::Log(first))
            && let Some(lsn) = first_group(disk, &dir.log(first), first, identity.salt)?
        {
            strays.groups.push((dir.log(first), lsn));
        }
    }
    Ok(strays)
}

fn first_group(disk: &dyn Disk, path: &Path, first: Lsn, salt: u64) -> Result<Option<Lsn>> {
    let file = disk.open_read_only(path)?;
    let mut scanner = Scanner::new(Arc::clone(&file), Scan::whole(first, salt))?;
    Ok(match scanner.next()? {
        Scanned::Group(group) => Some(group.header.lsn),
        _ => None,
    })
}

/// Removes and sets aside, and syncs the directories; then ends the jobs that were unfinished.
pub(super) fn sweep(disk: &dyn Disk, identity: &Identity, manifest: &mut Manifest) -> Result<Vec<Aside>> {
    let mut aside = Vec::new();
    let dir = manifest.dir().clone();
    drop_empty_logs(manifest)?;
    for entry in disk.list(dir.root())? {
        if entry.name.ends_with(TEMPORARY) && !entry.is_dir {
            disk.remove(&dir.root().join(entry.name))?;
        }
    }
    for each in dir.all() {
        let mut changed = false;
        for entry in disk.list(&each)?.into_iter().filter(|entry| !entry.is_dir) {
            let path = each.join(&entry.name);
            match fate(disk, identity, manifest, &path, TimelineDir::parse(&entry.name))? {
                Fate::Stays => continue,
                Fate::Goes => disk.remove(&path)?,
                Fate::Aside => aside.push(set_aside(disk, &dir, &path, manifest.opening())?),
            }
            changed = true;
            disk.fail_point("recovery.sweeping")?;
        }
        if changed {
            disk.sync_dir(&each)?;
        }
    }
    disk.fail_point("recovery.after_sweep")?;
    for file in manifest.files().dropped.clone() {
        manifest.unlinked(file);
    }
    // Not before their outputs are gone for good: without the intent they would be files that nothing names.
    for job in manifest.files().intents.keys().copied().collect::<Vec<_>>() {
        manifest.append(&Edit::Swap { job, outputs: Vec::new(), inputs: Vec::new() })?;
    }
    Ok(aside)
}

/// Log files that ended without a group, by a cut or because a start went on in a new one, are of no use to anyone.
fn drop_empty_logs(manifest: &mut Manifest) -> Result<()> {
    let is_empty = |log: &&LogFile| log.end.is_some_and(|end| end.bytes == HEADER_BYTES as u64 && !end.sealed);
    let inputs: Vec<_> = manifest.files().logs.iter().filter(is_empty).map(|log| FileRef::Log(log.first)).collect();
    if inputs.is_empty() {
        return Ok(());
    }
    manifest.append(&Edit::Swap { job: 0, outputs: Vec::new(), inputs })
}

enum Fate {
    Stays,
    Goes,
    Aside,
}

fn fate(disk: &dyn Disk, identity: &Identity, manifest: &Manifest, path: &Path, named: Option<Named>) -> Result<Fate> {
    let (files, dir) = (manifest.files(), manifest.dir());
    let of = |file| {
        if dir.path(file) != *path {
            Fate::Aside // of no use under this name, here
        } else if files.names(file) {
            Fate::Stays
        } else if files.dropped.contains(&file) {
            Fate::Goes
        } else {
            Fate::Aside
        }
    };
    Ok(match named {
        Some(Named::Temporary) => Fate::Goes,
        Some(Named::Segment(id)) if unfinished(files).contains(&id) => Fate::Goes,
        Some(Named::Segment(id)) => of(FileRef::Segment(id)),
        Some(Named::Log(first)) => match of(FileRef::Log(first)) {
            Fate::Aside if never_written(disk, identity, path, first)? => Fate::Goes,
            fate => fate,
        },
        Some(Named::StateAt(lsn)) => match of(FileRef::StateAt(lsn)) {
            Fate::Aside if *path == dir.state_at(lsn) => Fate::Goes,
            fate => fate,
        },
        Some(Named::Index(first)) => {
            let sealed =
                *path == dir.index(first) && files.log(first).and_then(|log| log.end).is_some_and(|end| end.sealed);
            if sealed { Fate::Stays } else { Fate::Goes }
        }
        None => Fate::Aside,
    })
}

fn unfinished(files: &FileSet) -> BTreeSet<FileId> {
    files.intents.values().flatten().copied().filter(|id| !files.segments.contains_key(id)).collect()
}

/// A log file without groups whose bytes behind the header are none, or zeros: it was made for an edit that never came.
fn never_written(disk: &dyn Disk, identity: &Identity, path: &Path, first: Lsn) -> Result<bool> {
    let file = disk.open_read_only(path)?;
    let mut scanner = Scanner::new(file, Scan::whole(first, identity.salt))?;
    Ok(matches!(scanner.next()?, Scanned::End { .. }))
}

/// Moves a file to `trash/`, where it stays until a person has looked at it.
pub(in crate::timeline) fn set_aside(disk: &dyn Disk, dir: &TimelineDir, from: &Path, opening: u32) -> Result<Aside> {
    let name = from.file_name().unwrap_or_default().to_string_lossy();
    let to = dir.trash().join(format!("{name}.{opening}"));
    disk.create_dir_all(&dir.trash())?;
    disk.rename(from, &to)?;
    disk.sync_dir(&dir.trash())?;
    Ok(Aside { from: from.to_path_buf(), to })
}
