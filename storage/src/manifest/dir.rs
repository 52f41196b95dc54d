//! Where a timeline's files are: the only place that makes or reads their names.

use std::path::{Path, PathBuf};

use super::FileRef;
use crate::units::{FileId, Lsn, TimelineId};

/// The directory of a timeline, relative to the data directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimelineDir {
    root: PathBuf,
}

/// What a name in one of a timeline's directories says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Named {
    /// A log file, by its first LSN.
    Log(Lsn),
    /// The index of a log file.
    Index(Lsn),
    /// A segment.
    Segment(FileId),
    /// A fold of the facts.
    StateAt(Lsn),
    /// A file that was being written when the process ended: it has no name yet.
    Temporary,
}

/// What temporary names end with.
pub const TEMPORARY: &str = ".tmp";

impl TimelineDir {
    /// The directory of a timeline.
    pub fn new(timeline: TimelineId) -> Self {
        Self { root: Path::new("timelines").join(timeline.to_string()) }
    }

    /// The directory itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Who the timeline is.
    pub fn timeline(&self) -> PathBuf {
        self.root.join("TIMELINE")
    }

    /// Its file set.
    pub fn manifest(&self) -> PathBuf {
        self.root.join("MANIFEST")
    }

    /// The file set while it is written anew.
    pub fn temporary_manifest(&self) -> PathBuf {
        self.root.join(format!("MANIFEST{TEMPORARY}"))
    }

    /// A file of the set.
    pub fn path(&self, file: FileRef) -> PathBuf {
        match file {
            FileRef::Log(first) => self.log(first),
            FileRef::Segment(id) => self.segment(id),
            FileRef::StateAt(lsn) => self.state_at(lsn),
        }
    }

    /// The directory of log files and their indexes.
    pub fn logs(&self) -> PathBuf {
        self.root.join("log")
    }

    /// A log file.
    pub fn log(&self, first: Lsn) -> PathBuf {
        self.logs().join(format!("{first:020}.log"))
    }

    /// The index of a sealed log file.
    pub fn index(&self, first: Lsn) -> PathBuf {
        self.logs().join(format!("{first:020}.idx"))
    }

    /// The directory of segments.
    pub fn segments(&self) -> PathBuf {
        self.root.join("segments")
    }

    /// A segment.
    pub fn segment(&self, id: FileId) -> PathBuf {
        self.segments().join(format!("{id:020}.seg"))
    }

    /// The directory of folds.
    pub fn states_at(&self) -> PathBuf {
        self.root.join("state-at")
    }

    /// The fold at an LSN.
    pub fn state_at(&self, lsn: Lsn) -> PathBuf {
        self.states_at().join(format!("{lsn:020}"))
    }

    /// What recovery set aside.
    pub fn trash(&self) -> PathBuf {
        self.root.join("trash")
    }

    /// The directories of a timeline, but trash.
    pub fn all(&self) -> [PathBuf; 3] {
        [self.logs(), self.segments(), self.states_at()]
    }

    /// What a file's name says; `None` if it says nothing.
    pub fn parse(name: &str) -> Option<Named> {
        if name.ends_with(TEMPORARY) {
            return Some(Named::Temporary);
        }
        let (digits, suffix) = name.split_at_checked(20)?;
        if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let number: u64 = digits.parse().ok()?;
        match suffix {
            ".log" => Some(Named::Log(Lsn(number))),
            ".idx" => Some(Named::Index(Lsn(number))),
            ".seg" => Some(Named::Segment(FileId(number))),
            "" => Some(Named::StateAt(Lsn(number))),
            _ => None,
        }
    }
}
