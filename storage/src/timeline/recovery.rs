//! Brings a timeline's log to a known end when it is opened: what is sound is kept and made durable, what is torn is cut off, and what must
//! be there and is not is *damage*.
//!
//! Nobody acknowledged a group that a crash can tear: the first bad group ends the log, if nothing says that it was durable. What says so: the
//! caller (sled's applied LSN, pins, branch points, floors), the manifest (files that were opened, ended or folded after it, a clean close), a group
//! header that vouches, in front of the bad place or behind it, and a file with groups that no edit names. Then the timeline is damaged: nothing of it
//! is changed, and it opens read-only with what is sound before the bad place. One kind of bad place is less than that: where all headers of a durable group
//! are sound, a batch of records that does not check is *lost*, alone: its place and its offsets are known, readers are told, and the log goes on behind it.
//!
//! The order, which the model keeps and the crash tests cut everywhere:
//! 1. scan all groups from the start given, with full checks, through the caller's fold;
//! 2. decide: sound, torn or damaged;
//! 3. write the doubtful tail again and sync it;
//! 4. note the cut in the manifest, then cut the file and sync it: a crash between the two finds the note and cuts again;
//! 5. remove what jobs left unfinished or removed, set aside what nothing names.
//!
//! Only the newest log file can be torn or doubtful: it was opened when the one before it was synced to its end.

mod salvage;
mod sweep;
#[cfg(test)]
mod tests;

pub use salvage::Lost;
pub(super) use sweep::set_aside;

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;

use crate::disk::{Disk, File};
use crate::error::{Error, Result};
use crate::frame::{
    FileHeader, FileKind, Flaw, GroupRead, HEADER_BYTES, Payloads, Scan, Scanned, Scanner, find_voucher,
};
use crate::manifest::{Edit, Identity, LogEnd, LogFile, Manifest};
use crate::units::Lsn;

/// What is read at once when the tail is written again.
const REWRITE_BYTES: usize = 1024 * 1024;

/// An LSN that the log must reach, because something durable builds on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Required {
    /// The LSN.
    pub lsn: Lsn,
    /// What builds on it, for a person: `the snapshot "close"`.
    pub by: String,
}

/// Where the scan starts: all before it is in a checkpoint, whose LSN is durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Start {
    /// The log file that was the newest then, by its first LSN.
    pub log: Lsn,
    /// Where its groups ended then.
    pub position: u64,
    /// The last LSN then.
    pub lsn: Lsn,
    /// The time of that group.
    pub time_ms: i64,
    /// The CRC field of the last group header before `position`; 0 if there is none in the file.
    pub chain: u32,
}

/// What a recovery works on.
#[derive(Debug)]
pub struct Recovery<'a> {
    /// The disk.
    pub disk: &'a Arc<dyn Disk>,
    /// Who the timeline is.
    pub identity: &'a Identity,
    /// Its manifest, opened.
    pub manifest: &'a mut Manifest,
    /// What the log must reach.
    pub required: &'a [Required],
    /// Where to start; `None`: at the timeline's beginning.
    pub start: Option<Start>,
}

/// A tail that was cut off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cut {
    /// The log file.
    pub log: Lsn,
    /// Where it was cut: the end of its last sound group.
    pub position: u64,
    /// Where the flaw is.
    pub at: u64,
    /// The flaw.
    pub why: Flaw,
    /// Bytes that are gone.
    pub bytes: u64,
}

/// A file that no edit names and that holds, or may hold, frames: moved to `trash/`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Aside {
    /// Where it was.
    pub from: PathBuf,
    /// Where it is.
    pub to: PathBuf,
}

/// Where appending goes on.
#[derive(Clone, Debug)]
pub enum Resume {
    /// In the newest log file: its end is known and nothing but zeros lies behind it.
    Same {
        /// The file, by its first LSN.
        log: Lsn,
        /// The file, open for writing.
        file: Arc<dyn File>,
        /// Where the next group goes.
        position: u64,
        /// The CRC field of the last group's header, 0 if there is none.
        chain: u32,
    },
    /// In a new file, to be made by [`Manifest::create_log`] before the first group.
    New {
        /// The last LSN before it (a page-cache timeline may leave a gap behind it).
        after: Lsn,
        /// Where the groups of the file before it end, for the edit that opens the new one; 0 if an edit has said so.
        after_bytes: u64,
    },
}

impl Resume {
    /// The same, but in a new file: for who has to skip LSNs, which only the name of a file remembers.
    #[must_use]
    pub fn in_new_file(self, end_lsn: Lsn) -> Self {
        match self {
            Self::Same { position, .. } => Self::New { after: end_lsn, after_bytes: position },
            new @ Self::New { .. } => new,
        }
    }
}

/// What was found, and done about it.
#[derive(Clone, Debug)]
pub struct Recovered {
    /// The last sound group. All up to it is durable now, if there is no damage.
    pub end_lsn: Lsn,
    /// The lowest LSN that may be given: that after the end, or a higher one if a file was opened for it. (A page-cache timeline that may have
    /// lost groups which clients saw goes on far above this, in a new file: the file's name is what remembers that those numbers were given.)
    pub next_lsn: Lsn,
    /// The time of that group, 0 if there is none.
    pub last_time_ms: i64,
    /// Why the timeline is read-only, if it is.
    pub damage: Option<String>,
    /// The torn tail that was cut off, if one was.
    pub cut: Option<Cut>,
    /// The process before this one closed the timeline, or there was none: nothing was lost, and no LSN was given beyond the end.
    pub clean: bool,
    /// Where appending goes on; `None` if the timeline is damaged.
    pub resume: Option<Resume>,
    /// Files that were set aside.
    pub aside: Vec<Aside>,
    /// Batches of durable groups that do not check: what they held is lost, and nothing else.
    pub lost: Vec<Lost>,
    /// Groups that were read.
    pub groups: u64,
    /// Bytes of log that were read.
    pub bytes: u64,
}

/// The state of the scan.
#[derive(Debug, Default)]
struct Found {
    end_lsn: Lsn,
    last_time_ms: i64,
    /// The highest LSN that is known to be durable, and why.
    durable: Lsn,
    durable_by: String,
    /// Groups of the newest file above that: LSN and position.
    doubtful: VecDeque<(Lsn, u64)>,
    newest: Option<Newest>,
    cut: Option<Cut>,
    damage: Option<String>,
    lost: Vec<Lost>,
    groups: u64,
    bytes: u64,
}

/// The newest log file, where it is sound.
#[derive(Debug)]
struct Newest {
    log: LogFile,
    file: Arc<dyn File>,
    /// The end of its last sound group.
    position: u64,
    chain: Option<u32>,
}

impl Found {
    fn vouch(&mut self, lsn: Lsn, by: impl FnOnce() -> String) {
        if lsn > self.durable {
            (self.durable, self.durable_by) = (lsn, by());
        }
        while self.doubtful.front().is_some_and(|(doubtful, _)| *doubtful <= self.durable) {
            self.doubtful.pop_front();
        }
    }

    fn damaged(&mut self, why: String) {
        self.damage.get_or_insert(why);
    }
}

impl Recovery<'_> {
    /// Recovers the timeline. `fold` is given every sound group, in order. An error (of the disk, or of `fold`) leaves the timeline as it was or
    /// on a way that the next attempt ends.
    pub fn run(mut self, fold: &mut dyn FnMut(&GroupRead) -> Result<()>) -> Result<Recovered> {
        let mut found = self.known();
        let strays = sweep::missing_and_strays(self.disk.as_ref(), self.identity, self.manifest)?;
        if let Some(missing) = &strays.missing {
            found.damaged(missing.clone());
        }
        self.scan(&mut found, fold)?;
        if let Some((path, lsn)) = strays.groups.iter().find(|(_, lsn)| *lsn > found.end_lsn) {
            found.damaged(format!("{} holds group {lsn}, and no edit of the manifest names it", path.display()));
        }
        if found.end_lsn < found.durable {
            let (end, durable, by) = (found.end_lsn, found.durable, &found.durable_by);
            found.damaged(format!(
                "the log ends at LSN {end}{}, but {by} says that {durable} was durable",
                torn(&found)
            ));
        }
        self.disk.fail_point("recovery.after_scan")?;
        let was_closed = self.manifest.closed_before() == Some(found.end_lsn);
        let was_never_written = self.manifest.files().next_lsn == Lsn::ZERO;
        let clean = found.cut.is_none() && (was_closed || was_never_written);
        let (resume, aside) = match found.damage {
            Some(_) => (None, Vec::new()),
            None => (Some(self.mend(&mut found)?), sweep::sweep(self.disk.as_ref(), self.identity, self.manifest)?),
        };
        Ok(Recovered {
            end_lsn: found.end_lsn,
            next_lsn: self.manifest.files().next_lsn.max(found.end_lsn.next()),
            last_time_ms: found.last_time_ms,
            clean: clean && found.damage.is_none(),
            cut: found.cut.filter(|_| found.damage.is_none()),
            damage: found.damage,
            resume,
            aside,
            lost: found.lost,
            groups: found.groups,
            bytes: found.bytes,
        })
    }

    /// What is known to be durable before a byte of the log is read.
    fn known(&self) -> Found {
        let mut found = Found::default();
        let branch = self.identity.parent.map_or(Lsn::ZERO, |(_, lsn)| lsn);
        (found.end_lsn, found.durable) = (branch, branch);
        if let Some(start) = &self.start {
            (found.end_lsn, found.last_time_ms) = (start.lsn, start.time_ms);
            found.vouch(start.lsn, || "the checkpoint".into());
        }
        found.vouch(self.manifest.files().durable(), || "the manifest".into());
        if let Some(closed) = self.manifest.closed_before() {
            found.vouch(closed, || "the closing of the timeline".into());
        }
        for Required { lsn, by } in self.required {
            found.vouch(*lsn, || by.clone());
        }
        found
    }

    /// Reads the log files from the start on, until one does not reach its end.
    fn scan(&self, found: &mut Found, fold: &mut dyn FnMut(&GroupRead) -> Result<()>) -> Result<()> {
        let logs = &self.manifest.files().logs;
        let from = self.start.map_or(0, |start| match self.manifest.files().log(start.log) {
            Some(_) => logs.partition_point(|log| log.first < start.log),
            // It was sorted away since, or had no group and was cut: its successor goes on.
            None => logs.partition_point(|log| log.first <= start.lsn),
        });
        for (index, log) in logs.iter().enumerate().skip(from) {
            let start = self.start.filter(|start| start.log == log.first);
            // With a checkpoint inside the file, the groups before that are its; else the file goes on where the log has come to.
            let follows = start.map_or(log.after == found.end_lsn, |start| start.lsn >= log.after);
            if !follows {
                let (first, after, end) = (log.first, log.after, found.end_lsn);
                found.damaged(format!(
                    "log file {first} follows LSN {after}, and what is known before it ends at {end}"
                ));
                return Ok(());
            }
            let is_newest = index + 1 == logs.len();
            if !self.scan_log(found, *log, start, is_newest, fold)? {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Reads one log file; `false` if the log ends there.
    fn scan_log(
        &self,
        found: &mut Found,
        log: LogFile,
        start: Option<Start>,
        is_newest: bool,
        fold: &mut dyn FnMut(&GroupRead) -> Result<()>,
    ) -> Result<bool> {
        let path = self.manifest.dir().log(log.first);
        if !self.disk.exists(&path)? {
            found.damaged(format!("{} is missing", path.display()));
            return Ok(false);
        }
        let file = if is_newest { self.disk.open(&path)? } else { self.disk.open_read_only(&path)? };
        let scan = match self.scan_of(file.as_ref(), &log, start, found.end_lsn) {
            Err(why @ (Error::Corrupt(_) | Error::Newer { .. })) => {
                found.damaged(why.to_string());
                return Ok(false);
            }
            scan => scan?,
        };
        let mut scanner = Scanner::new(Arc::clone(&file), scan)?;
        found.doubtful.clear();
        let end = loop {
            match scanner.next()? {
                Scanned::Group(group) => take(found, &group, fold)?,
                Scanned::Bad { why: Flaw::Payload | Flaw::Padding, .. }
                    if let Some(group) = self.salvage(found, &file, &mut scanner)? =>
                {
                    take(found, &group, fold)?;
                }
                end => break end,
            }
        };
        let position = match end {
            Scanned::End { position } | Scanned::Bad { position, .. } => position,
            Scanned::Group(ref group) => group.end(),
        };
        found.bytes += position - scan.position;
        let is_whole = self.judge(found, &log, &file, &scanner, &end, is_newest)?;
        found.newest = is_newest.then_some(Newest { log, file, position, chain: scanner.chain() });
        Ok(is_whole)
    }

    /// The scan of a log file, once its header and length have been found to be right.
    fn scan_of(&self, file: &dyn File, log: &LogFile, start: Option<Start>, after: Lsn) -> Result<Scan> {
        let of = Some((self.identity.timeline, self.identity.salt));
        let header = FileHeader::read(&file.read_at(0, HEADER_BYTES)?, file.path(), FileKind::Log, of)?;
        if header.first_lsn != log.first {
            return Err(Flaw::Lsn(header.first_lsn).at(file.path(), 0));
        }
        let position = start.map_or(HEADER_BYTES as u64, |start| start.position);
        if let (Some(Start { lsn, .. }), Ok(len)) = (start, file.len())
            && len < position
        {
            let path = file.path().display();
            let why = format!(
                "a checkpoint (in state/ or state-at/) has LSN {lsn} at {position} of it: what was durable is lost"
            );
            return Err(Error::Corrupt(format!(
                "{path} ends at {len}, and {why}, or the checkpoint is of another copy of the data"
            )));
        }
        if position < HEADER_BYTES as u64 || position > file.len()? {
            return Err(Flaw::Short.at(file.path(), position));
        }
        Ok(Scan {
            salt: self.identity.salt,
            log: log.first,
            position,
            end: log.end.map(|end| end.bytes),
            after: after.max(Lsn(log.first.0.saturating_sub(1))),
            chain: Some(start.map_or(0, |start| start.chain)),
            payloads: Payloads::Facts,
            trusted: 0,
        })
    }

    /// What it means that the groups of a file end as they do; `true` if they end as they should.
    fn judge(
        &self,
        found: &mut Found,
        log: &LogFile,
        file: &Arc<dyn File>,
        scanner: &Scanner,
        end: &Scanned,
        is_newest: bool,
    ) -> Result<bool> {
        let path = file.path().display();
        if let Scanned::Bad { position, at, why } = *end {
            if let Some(voucher) = find_voucher(file, self.identity.salt, position, scanner.opening())? {
                let by = || format!("the group at {} of {path}", voucher.position);
                found.vouch(voucher.durable, by);
            }
            if log.end.is_none() && is_newest {
                let bytes = file.len()?.saturating_sub(position);
                found.cut = Some(Cut { log: log.first, position, at, why, bytes });
            } else {
                found.damaged(format!("{path} at {at}: {why}"));
            }
            return Ok(false);
        }
        let reached = |end: LogEnd, position| end.last == found.end_lsn && end.bytes == position;
        match (log.end, end) {
            (Some(end), Scanned::End { position }) if !reached(end, *position) => {
                let why = format!("{path} ends at {position} with LSN {}", found.end_lsn);
                found.damaged(format!("{why}, it should at {} with LSN {}", end.bytes, end.last));
                Ok(false)
            }
            (None, _) if !is_newest => {
                found.damaged(format!("no edit says where {path} ends"));
                Ok(false)
            }
            _ => Ok(true),
        }
    }

    /// Makes durable what is kept, and cuts off what is not.
    fn mend(&mut self, found: &mut Found) -> Result<Resume> {
        let after = found.end_lsn;
        let Some(newest) = found.newest.take() else { return Ok(Resume::New { after, after_bytes: 0 }) };
        if let Some((_, from)) = found.doubtful.front() {
            self.write_again(newest.file.as_ref(), *from, newest.position)?;
        }
        if found.cut.is_some() {
            self.cut(&newest, after)?;
            return Ok(Resume::New { after, after_bytes: 0 });
        }
        if newest.log.end.is_some() {
            // Ended by a cut whose process died before it could truncate, or before it opened the next file.
            if newest.file.len()? > newest.position {
                newest.file.truncate(newest.position)?;
                newest.file.sync_all()?;
            }
            return Ok(Resume::New { after, after_bytes: 0 });
        }
        let Newest { log, file, position, chain } = newest;
        Ok(match chain {
            Some(chain) => Resume::Same { log: log.first, file, position, chain },
            None => Resume::New { after, after_bytes: position },
        })
    }

    /// Writes a range of the log over itself, and syncs it. It looks odd and is needed: after `kill -9` the page cache shows what the disk
    /// may not have, and after a failed sync it does so in pages that count as clean, which a sync alone would not write.
    fn write_again(&self, file: &dyn File, from: u64, to: u64) -> Result<()> {
        let mut position = from;
        while position < to {
            let len = usize::try_from(to - position).map_or(REWRITE_BYTES, |left| left.min(REWRITE_BYTES));
            let bytes = file.read_exact_at(position, len)?;
            file.write_at(&bytes, position)?;
            position += len as u64;
        }
        self.disk.fail_point("recovery.before_tail_sync")?;
        file.sync_data()?;
        self.disk.fail_point("recovery.after_tail_sync")
    }

    /// Ends the newest file behind its last sound group. (If it has none, the sweep takes it out.)
    fn cut(&mut self, newest: &Newest, last: Lsn) -> Result<()> {
        let (first, bytes) = (newest.log.first, newest.position);
        self.manifest.append(&Edit::Truncated { first, last, bytes })?;
        self.disk.fail_point("recovery.after_cut_edit")?;
        newest.file.truncate(bytes)?;
        self.disk.fail_point("recovery.before_cut_sync")?;
        newest.file.sync_all()?;
        self.disk.fail_point("recovery.after_cut")
    }
}

fn take(found: &mut Found, group: &GroupRead, fold: &mut dyn FnMut(&GroupRead) -> Result<()>) -> Result<()> {
    fold(group)?;
    let header = &group.header;
    found.end_lsn = header.lsn;
    found.last_time_ms = found.last_time_ms.max(header.time_ms);
    found.groups += 1;
    found.doubtful.push_back((header.lsn, header.position));
    found.vouch(header.durable, || format!("group {}", header.lsn));
    Ok(())
}

/// The bad place, for the sentence that tells of damage.
fn torn(found: &Found) -> String {
    let Some(cut) = &found.cut else { return String::new() };
    format!(" (log file {} at {}: {})", cut.log, cut.at, cut.why)
}
