//! What the edits add up to: the files of a timeline.
//!
//! Invariants, checked at every edit, when it is written and when it is read again:
//! - log files are ordered, and each begins above the last LSN before it;
//! - a file is named once; what a swap takes in was named; what an intent names is not;
//! - a file that goes stays in `dropped` until it is unlinked, so that a start can finish that.

use std::collections::{BTreeMap, BTreeSet};

use super::edit::{Edit, FileRef, SegmentFile};
use crate::units::{FileId, Lsn};

/// A log file, as the manifest knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogFile {
    /// Its first LSN, and name.
    pub first: Lsn,
    /// The last LSN before it: durable.
    pub after: Lsn,
    /// Where it ended; `None` while it is the newest.
    pub end: Option<LogEnd>,
}

/// Where a log file ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogEnd {
    /// The last LSN in it (or before it, if it holds none).
    pub last: Lsn,
    /// Where its groups end.
    pub bytes: u64,
    /// Whether its index is written.
    pub sealed: bool,
}

/// The files of a timeline.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FileSet {
    /// Log files by LSN; the newest is the last.
    pub logs: Vec<LogFile>,
    /// Segments, by number.
    pub segments: BTreeMap<FileId, SegmentFile>,
    /// LSNs at which there is a fold of the facts, in order.
    pub state_ats: Vec<Lsn>,
    /// Unfinished jobs and what they may have made.
    pub intents: BTreeMap<u64, Vec<FileId>>,
    /// Files that an edit took out of the set and that may still exist.
    pub dropped: BTreeSet<FileRef>,
    /// The number of the newest opening.
    pub opening: u32,
    /// No segment was ever given this number or a higher one.
    pub next_file: FileId,
    /// No log file was ever opened for a higher LSN, even one that is gone: what was given stays given.
    pub next_lsn: Lsn,
    /// The last LSN when the timeline was closed; `None` if it was opened after that, or never closed.
    pub closed: Option<Lsn>,
}

impl FileSet {
    /// The log file of that first LSN.
    pub fn log(&self, first: Lsn) -> Option<&LogFile> {
        self.logs.binary_search_by_key(&first, |log| log.first).ok().map(|at| &self.logs[at])
    }

    /// The newest log file.
    pub fn newest_log(&self) -> Option<&LogFile> {
        self.logs.last()
    }

    /// The highest LSN that the file set says is durable.
    pub fn durable(&self) -> Lsn {
        let opened = self.logs.iter().map(|log| log.after);
        let ended = self.logs.iter().filter_map(|log| log.end).map(|end| end.last);
        let segments = self.segments.values().map(|segment| segment.last);
        let folded = self.state_ats.iter().copied();
        opened.chain(ended).chain(segments).chain(folded).chain(self.closed).max().unwrap_or(Lsn::ZERO)
    }

    /// The fewest edits that add up to this.
    pub(crate) fn edits(&self) -> Vec<Edit> {
        let mut edits = Vec::new();
        for LogFile { first, after, end } in self.logs.iter().copied() {
            edits.push(Edit::Open { first, after, after_bytes: 0 });
            edits.extend(end.map(|LogEnd { last, bytes, sealed }| {
                if sealed { Edit::Sealed { first, last, bytes } } else { Edit::Truncated { first, last, bytes } }
            }));
        }
        edits.extend(self.state_ats.iter().map(|lsn| Edit::StateAt { lsn: *lsn, added: true }));
        let outputs: Vec<_> = self.segments.values().copied().collect();
        // One edit for many segments, but far from the longest body.
        edits.extend(outputs.chunks(1000).map(|some| Edit::Swap { job: 0, outputs: some.to_vec(), inputs: vec![] }));
        edits.extend(self.intents.iter().map(|(job, outputs)| Edit::Intent { job: *job, outputs: outputs.clone() }));
        edits.extend(
            (!self.dropped.is_empty()).then(|| Edit::Dropped { files: self.dropped.iter().copied().collect() }),
        );
        edits.push(Edit::Opened { opening: self.opening, next_file: self.next_file, next_lsn: self.next_lsn });
        edits.extend(self.closed.map(|last| Edit::Closed { last }));
        edits
    }

    /// Files of the set: what ten times as many edits are too many for.
    pub(super) fn len(&self) -> usize {
        self.logs.len() + self.segments.len() + self.state_ats.len() + self.intents.len() + self.dropped.len()
    }

    /// Applies an edit, or says what is wrong with it and changes nothing.
    pub(crate) fn apply(&mut self, edit: &Edit) -> Result<(), String> {
        match edit {
            Edit::Open { first, after, after_bytes } => self.open(*first, *after, *after_bytes)?,
            Edit::Intent { job, outputs } => self.intend(*job, outputs)?,
            Edit::Swap { job, outputs, inputs } => self.swap(*job, outputs, inputs)?,
            Edit::Sealed { first, last, bytes } => self.end(*first, *last, *bytes, true)?,
            Edit::Truncated { first, last, bytes } => self.end(*first, *last, *bytes, false)?,
            Edit::Dropped { files } => {
                let gone: Vec<_> = files.iter().copied().filter(|file| !self.names(*file)).collect();
                self.dropped.extend(gone);
            }
            Edit::StateAt { lsn, added: true } => self.add_state_at(*lsn)?,
            Edit::StateAt { lsn, added: false } => self.drop_state_at(*lsn)?,
            Edit::Opened { opening, next_file, next_lsn } => {
                if *opening <= self.opening || *next_file < self.next_file || *next_lsn < self.next_lsn {
                    return Err(format!("opening {opening} after {}", self.opening));
                }
                (self.opening, self.next_file, self.next_lsn) = (*opening, *next_file, *next_lsn);
                self.closed = None;
            }
            Edit::Closed { last } => self.closed = Some(*last),
        }
        Ok(())
    }

    fn open(&mut self, first: Lsn, after: Lsn, after_bytes: u64) -> Result<(), String> {
        if first <= after {
            return Err(format!("log file {first} opened after LSN {after}"));
        }
        if let Some(before) = self.logs.last() {
            let below = before.end.map_or(before.after, |end| end.last);
            if first <= before.first || after < below {
                return Err(format!("log file {first} opened after LSN {after}, where log file {} is", before.first));
            }
            if after_bytes > 0 {
                self.end(before.first, after, after_bytes, false)?;
            }
        }
        self.dropped.remove(&FileRef::Log(first)); // its name is given anew
        self.logs.push(LogFile { first, after, end: None });
        self.next_lsn = self.next_lsn.max(first);
        Ok(())
    }

    fn intend(&mut self, job: u64, outputs: &[FileId]) -> Result<(), String> {
        if let Some(id) = outputs.iter().find(|id| self.segments.contains_key(id)) {
            return Err(format!("job {job} would make segment {id}, which is there"));
        }
        if self.intents.contains_key(&job) {
            return Err(format!("job {job} notes its intent twice"));
        }
        self.intents.insert(job, outputs.to_vec());
        let next = outputs.iter().map(|id| FileId(id.0.saturating_add(1))).max();
        self.next_file = self.next_file.max(next.unwrap_or(self.next_file));
        Ok(())
    }

    fn swap(&mut self, job: u64, outputs: &[SegmentFile], inputs: &[FileRef]) -> Result<(), String> {
        if let Some(missing) = inputs.iter().find(|input| !self.names(**input)) {
            return Err(format!("job {job} takes in {missing:?}, which is not in the file set"));
        }
        for (at, output) in outputs.iter().enumerate() {
            let is_twice = outputs[..at].iter().any(|other| other.id == output.id);
            if is_twice || output.first > output.last || self.segments.contains_key(&output.id) {
                return Err(format!(
                    "job {job} makes segment {} of LSN {} to {}",
                    output.id, output.first, output.last
                ));
            }
        }
        self.intents.remove(&job);
        for input in inputs {
            self.forget(*input);
            self.dropped.insert(*input);
        }
        for output in outputs {
            self.next_file = self.next_file.max(FileId(output.id.0.saturating_add(1)));
            self.segments.insert(output.id, *output);
        }
        Ok(())
    }

    fn end(&mut self, first: Lsn, last: Lsn, bytes: u64, sealed: bool) -> Result<(), String> {
        let Ok(at) = self.logs.binary_search_by_key(&first, |log| log.first) else {
            return Err(format!("log file {first} ends and is not in the file set"));
        };
        let log = &mut self.logs[at];
        if last < log.after {
            return Err(format!("log file {first} ends with LSN {last}, below {}", log.after));
        }
        if log.end.is_some_and(|end| (end.last, end.bytes) != (last, bytes)) {
            return Err(format!("log file {first} ends twice"));
        }
        let sealed = sealed || log.end.is_some_and(|end| end.sealed);
        log.end = Some(LogEnd { last, bytes, sealed });
        Ok(())
    }

    fn add_state_at(&mut self, lsn: Lsn) -> Result<(), String> {
        match self.state_ats.binary_search(&lsn) {
            Ok(_) => Err(format!("state-at {lsn} is added twice")),
            Err(at) => {
                self.dropped.remove(&FileRef::StateAt(lsn));
                self.state_ats.insert(at, lsn);
                Ok(())
            }
        }
    }

    fn drop_state_at(&mut self, lsn: Lsn) -> Result<(), String> {
        let at = self.state_ats.binary_search(&lsn).map_err(|_| format!("state-at {lsn} is dropped and not there"))?;
        self.state_ats.remove(at);
        self.dropped.insert(FileRef::StateAt(lsn));
        Ok(())
    }

    /// Whether a file is in the set.
    pub fn names(&self, file: FileRef) -> bool {
        match file {
            FileRef::Log(first) => self.log(first).is_some(),
            FileRef::Segment(id) => self.segments.contains_key(&id),
            FileRef::StateAt(lsn) => self.state_ats.binary_search(&lsn).is_ok(),
        }
    }

    fn forget(&mut self, file: FileRef) {
        match file {
            FileRef::Log(first) => self.logs.retain(|log| log.first != first),
            FileRef::Segment(id) => drop(self.segments.remove(&id)),
            FileRef::StateAt(lsn) => self.state_ats.retain(|at| *at != lsn),
        }
    }
}
