//! The sealed files of a timeline, while it runs.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use super::index::StretchRecord;
use super::need::{Need, Shares};
use super::stretch::SealedFile;
use crate::error::{Error, Result};
use crate::manifest::FileRef;
use crate::timeline::lock;
use crate::units::{Lsn, TopicPartition};

/// A sealed file of either kind.
pub(crate) type File = Arc<dyn SealedFile>;

/// All of them, and what was found out about some.
#[derive(Default, Debug)]
pub(crate) struct Files {
    all: Mutex<BTreeMap<FileRef, File>>,
    /// Whether the runs of a file are short.
    runs: Mutex<BTreeMap<FileRef, bool>>,
    /// Files with a bad place among what is needed of them: not rewritten.
    spoiled: Mutex<BTreeSet<FileRef>>,
    /// Partitions of which a compaction could not read something.
    uncompactable: Mutex<BTreeSet<TopicPartition>>,
}

impl Files {
    pub(crate) fn add(&self, file: File) {
        lock(&self.all).insert(file.name(), file);
    }

    pub(crate) fn remove(&self, name: FileRef) {
        lock(&self.all).remove(&name);
        lock(&self.runs).remove(&name);
        lock(&self.spoiled).remove(&name);
    }

    /// Every file: log files by LSN, then segments.
    pub(crate) fn all(&self) -> Vec<File> {
        lock(&self.all).values().cloned().collect()
    }

    /// Every file that says when its batches were written.
    pub(crate) fn timed(&self) -> Vec<File> {
        self.all().into_iter().filter(|file| !file.is_compacted()).collect()
    }

    /// A file in which something cannot be read is not to be rewritten, which is told of once.
    pub(crate) fn spoil(&self, name: FileRef, error: &Error) {
        if lock(&self.spoiled).insert(name) {
            tracing::error!(file = ?name, %error, "a sealed file has a bad place: it is not rewritten until the next start");
        }
    }

    /// Whether a file is not to be rewritten.
    pub(crate) fn is_spoiled(&self, name: FileRef) -> bool {
        lock(&self.spoiled).contains(&name)
    }

    /// A partition is not to be compacted.
    pub(crate) fn mark_uncompactable(&self, partition: TopicPartition) {
        lock(&self.uncompactable).insert(partition);
    }

    /// Whether a partition is not to be compacted.
    pub(crate) fn is_uncompactable(&self, partition: TopicPartition) -> bool {
        lock(&self.uncompactable).contains(&partition)
    }

    /// Whether the runs of a file are short: looked at once.
    pub(crate) fn has_short_runs(&self, file: &File, look: impl FnOnce(&File) -> Result<bool>) -> Result<bool> {
        if let Some(known) = lock(&self.runs).get(&file.name()) {
            return Ok(*known);
        }
        let short = look(file)?;
        lock(&self.runs).insert(file.name(), short);
        Ok(short)
    }
}

impl dyn SealedFile {
    /// Who needs how much of it.
    pub(crate) fn shares(&self, need: &Need<'_>) -> Shares {
        let mut shares = Shares::default();
        for stretch in self.stretches() {
            shares += need.shares(stretch);
        }
        shares
    }
}

/// What a file says of itself, as every kind has it.
#[derive(Clone, Debug)]
pub(crate) struct About {
    pub(crate) name: FileRef,
    pub(crate) paths: Vec<PathBuf>,
    pub(crate) bytes: u64,
    pub(crate) first_lsn: Lsn,
    pub(crate) last_lsn: Lsn,
    pub(crate) last_time: i64,
    pub(crate) stretches: Vec<StretchRecord>,
}
