//! The file set of a timeline: which log files, segments and folds there are, as edits that are synced one by one.
//!
//! Invariants:
//! - an edit is in [`Manifest::files`] only when it is durable: what reads the set may act on it;
//! - outputs are synced, and their directory, before the edit that names them; inputs are unlinked after it;
//! - a log file gets its first frame after the edit that opens it ([`Manifest::create_log`] keeps the order);
//! - after a failed write or sync the manifest takes no more edits: what the disk has is not known until the next start.
//!
//! On disk: the file header, then edits (`edit`). Edits are written one by one, so only the last can be torn; a bad edit with a sound
//! one behind it is damage. When the file has ten times as many edits as its set needs, it is written anew under a temporary name.

mod dir;
pub(crate) mod edit;
mod file_set;
mod identity;
mod replay;
#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::Arc;

use crate::disk::{Disk, File};
use crate::error::{Error, Result};
use crate::frame::{FileHeader, FileKind, HEADER_BYTES};
use crate::units::{FileId, Lsn};

pub use dir::{Named, TEMPORARY, TimelineDir};
pub use edit::{Edit, FileRef, SegmentFile};
pub use file_set::{FileSet, LogEnd, LogFile};
pub use identity::Identity;
pub use replay::Replay;

/// A manifest with fewer edits than this is not written anew.
const REWRITE_EDITS_MIN: usize = 200;

/// The next log file of a timeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NextLog {
    /// Its first LSN.
    pub first: Lsn,
    /// The last LSN before it.
    pub after: Lsn,
    /// Where the groups of the log file before it end, if no edit has said so yet; else 0.
    pub after_bytes: u64,
    /// The time now.
    pub created_ms: i64,
}

/// The manifest of a timeline that is open for writing.
#[derive(Debug)]
pub struct Manifest {
    disk: Arc<dyn Disk>,
    dir: TimelineDir,
    header: FileHeader,
    file: Arc<dyn File>,
    /// Where the next edit goes.
    position: u64,
    /// Edits in the file.
    edits: usize,
    set: FileSet,
    closed_before: Option<Lsn>,
    broken: bool,
}

impl Manifest {
    /// Makes the directories of a new timeline, its TIMELINE and its MANIFEST, all durable. What an attempt that never ended left there is
    /// replaced: it has no log file, since those come after the manifest. A directory with log files is [`Error::Corrupt`]: whatever became of what
    /// names them, they are somebody's data.
    pub fn create(disk: &Arc<dyn Disk>, identity: &Identity) -> Result<Self> {
        let dir = TimelineDir::new(identity.timeline);
        remove_unfinished(disk.as_ref(), &dir)?;
        disk.create_dirs(&dir.all())?;
        identity.write(disk.as_ref())?;
        disk.sync_dir(dir.root())?; // a manifest says that the timeline was made: TIMELINE must be there if it is
        let header = header(identity, identity.created_ms);
        let set = FileSet { opening: 1, ..FileSet::default() };
        let (file, position, edits) = write_new(disk.as_ref(), &dir, &header, &set)?;
        Ok(Self { disk: Arc::clone(disk), dir, header, file, position, edits, set, closed_before: None, broken: false })
    }

    /// Reads the manifest and readies it for writing: cuts a torn last edit off, writes the last sound one again and syncs it,
    /// notes the new opening.
    pub fn open(disk: &Arc<dyn Disk>, identity: &Identity) -> Result<Self> {
        let dir = TimelineDir::new(identity.timeline);
        let path = dir.manifest();
        let file = disk.open(&path)?;
        // Its name, too, may be in the page cache alone: of a new timeline, or of a manifest that was written anew.
        disk.sync_dir(dir.root())?;
        let replay = Replay::of(file.as_ref(), identity)?;
        // A copy of the data may lack directories that were empty.
        for each in dir.all() {
            if !disk.exists(&each)? {
                disk.create_dir_all(&each)?;
            }
        }
        if file.len()? > replay.end {
            file.truncate(replay.end)?;
            file.sync_all()?;
        }
        // Why written again: the process may have been killed between writing this edit and syncing it, or the sync may have
        // failed. Then the page cache shows it, in pages that may count as clean, and the disk may not have it: neither reading it
        // nor syncing it shows that, and what follows (an unlinked input, a frame in the file that it opens) must not outlive it.
        if !replay.last.is_empty() {
            file.write_at(&replay.last, replay.end - replay.last.len() as u64)?;
            file.sync_all()?;
        }
        let header = header(identity, replay.created_ms);
        let mut manifest = Self {
            disk: Arc::clone(disk),
            dir,
            header,
            file,
            position: replay.end,
            edits: replay.edits,
            closed_before: replay.files.closed,
            set: replay.files,
            broken: false,
        };
        disk.fail_point("manifest.before_opened")?;
        let opening =
            manifest.set.opening.checked_add(1).ok_or_else(|| Error::Invalid("no opening number left".into()))?;
        let FileSet { next_file, next_lsn, .. } = manifest.set;
        manifest.append(&Edit::Opened { opening, next_file, next_lsn })?;
        Ok(manifest)
    }

    /// Writes an edit and syncs it. [`Error::Invalid`] if the edit does not fit the file set, [`Error::Full`] if there is no room: then
    /// nothing has changed. After any other error the manifest takes no more edits and the caller ends the process.
    pub fn append(&mut self, edit: &Edit) -> Result<()> {
        if self.broken {
            return Err(Error::Closed);
        }
        if let Edit::Intent { outputs, .. } = edit
            && let Some(id) = outputs.iter().find(|id| **id < self.set.next_file)
        {
            return Err(Error::Invalid(format!("segment {id}: a number that was given before")));
        }
        let mut next = self.set.clone();
        next.apply(edit).map_err(|why| Error::Invalid(format!("{}: {why}", self.path().display())))?;
        self.write(&edit.encode(self.header.salt, self.position))?;
        self.set = next;
        self.edits += 1;
        if self.edits > REWRITE_EDITS_MIN.max(10 * self.set.len()) {
            self.rewrite()?;
        }
        Ok(())
    }

    /// Makes the next log file in the order that keeps frames from lying in a file that nothing names: the file with its header, synced;
    /// its directory, synced; the edit, synced. The caller has synced the log file before it to its end, and writes after this.
    pub fn create_log(&mut self, next: NextLog) -> Result<Arc<dyn File>> {
        let path = self.dir.log(next.first);
        let made = self.create_log_at(&path, next);
        if made.is_err() && !self.broken && self.set.log(next.first).is_none() {
            // Nothing names it and nothing is in it: a second attempt may make it again. (If this fails, the next start does it.)
            let _ = self.disk.remove(&path);
        }
        made
    }

    fn create_log_at(&mut self, path: &Path, next: NextLog) -> Result<Arc<dyn File>> {
        let NextLog { first, after, after_bytes, created_ms } = next;
        let header = FileHeader {
            kind: FileKind::Log,
            first_lsn: first,
            file_id: first.0,
            created_ms,
            opening: self.set.opening,
            ..self.header
        };
        self.disk.fail_point("roll.before_create")?;
        let file = self.disk.create(path)?;
        file.write_at(&header.encode(), 0)?;
        self.disk.fail_point("roll.after_create")?;
        file.sync_all()?;
        self.disk.fail_point("roll.after_file_sync")?;
        self.disk.sync_dir(&self.dir.logs())?;
        self.disk.fail_point("roll.after_dir_sync")?;
        self.append(&Edit::Open { first, after, after_bytes })?;
        self.disk.fail_point("roll.after_edit")?;
        Ok(file)
    }

    /// Whether a write or sync has failed, so that what the disk has is not known: the process must end.
    pub fn is_broken(&self) -> bool {
        self.broken
    }

    /// The files of the timeline. All of it is durable.
    pub fn files(&self) -> &FileSet {
        &self.set
    }

    /// Where the timeline's files are.
    pub fn dir(&self) -> &TimelineDir {
        &self.dir
    }

    /// The number of this opening: for the headers of all that is written.
    pub fn opening(&self) -> u32 {
        self.set.opening
    }

    /// The last LSN when the timeline was closed by the process before this one, synced to its end; `None` if that one did not close it.
    pub fn closed_before(&self) -> Option<Lsn> {
        self.closed_before
    }

    /// The first number that no segment was ever given. Numbers are taken by noting them in an [`Edit::Intent`].
    pub fn next_file(&self) -> FileId {
        self.set.next_file
    }

    /// Tells that a dropped file is unlinked and its directory synced.
    pub fn unlinked(&mut self, file: FileRef) {
        self.set.dropped.remove(&file);
    }

    fn path(&self) -> &Path {
        self.file.path()
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.disk.fail_point("manifest.before_write")?;
        match self.file.write_at(bytes, self.position) {
            Ok(()) => {}
            Err(full @ Error::Full(_)) => {
                // A part of it may be there: it goes, or nothing may follow it.
                self.broken = self.file.truncate(self.position).is_err();
                return Err(full);
            }
            Err(error) => {
                self.broken = true;
                return Err(error);
            }
        }
        self.broken = true; // until the sync has come back well
        self.disk.fail_point("manifest.after_write")?;
        self.file.sync_data().map_err(|error| match error {
            // Not a full disk that refused a write: one that took it and then lost it. Nobody may go on after this.
            Error::Full(why) => Error::Io { path: self.file.path().to_path_buf(), why },
            error => error,
        })?;
        self.broken = false;
        self.position += bytes.len() as u64;
        self.disk.fail_point("manifest.after_sync")
    }

    /// Writes the file anew with no more edits than the set needs. A full disk leaves the old file in use.
    fn rewrite(&mut self) -> Result<()> {
        match write_new(self.disk.as_ref(), &self.dir, &self.header, &self.set) {
            Ok((file, position, edits)) => {
                (self.file, self.position, self.edits) = (file, position, edits);
                Ok(())
            }
            Err(Error::Full(_)) => {
                self.edits = 0; // asks again after as many edits, not at each
                Ok(())
            }
            Err(error) => {
                self.broken = true;
                Err(error)
            }
        }
    }
}

fn remove_unfinished(disk: &dyn Disk, dir: &TimelineDir) -> Result<()> {
    if !disk.exists(dir.root())? {
        return Ok(());
    }
    if disk.exists(&dir.logs())? && !disk.list(&dir.logs())?.is_empty() {
        let path = dir.root().display();
        return Err(Error::Corrupt(format!("{path} has log files, and nothing says that there is such a timeline")));
    }
    disk.remove_dir_all(dir.root())
}

fn header(identity: &Identity, created_ms: i64) -> FileHeader {
    FileHeader {
        kind: FileKind::Manifest,
        timeline: identity.timeline,
        salt: identity.salt,
        first_lsn: Lsn::ZERO,
        file_id: 0,
        created_ms,
        opening: 0,
    }
}

/// Writes a manifest under a temporary name and puts it in place. [`Error::Full`] comes only before that.
fn write_new(
    disk: &dyn Disk,
    dir: &TimelineDir,
    header: &FileHeader,
    set: &FileSet,
) -> Result<(Arc<dyn File>, u64, usize)> {
    let temporary = dir.temporary_manifest();
    if disk.exists(&temporary)? {
        disk.remove(&temporary)?;
    }
    let edits = set.edits();
    let mut bytes = header.encode().to_vec();
    debug_assert_eq!(bytes.len(), HEADER_BYTES);
    for edit in &edits {
        bytes.extend_from_slice(&edit.encode(header.salt, bytes.len() as u64));
    }
    let file = disk.create(&temporary)?;
    file.write_at(&bytes, 0)?;
    file.sync_all()?;
    disk.fail_point("manifest.new.before_rename")?;
    disk.rename(&temporary, &dir.manifest())?;
    disk.fail_point("manifest.new.after_rename")?;
    disk.sync_dir(dir.root())?;
    let file = disk.open(&dir.manifest())?;
    Ok((file, bytes.len() as u64, edits.len()))
}
