//! The sealed files of a timeline, while it runs.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use super::index::StretchRecord;
use super::need::{Need, Shares};
use super::stretch::SealedFile;
use crate::manifest::FileRef;
use crate::timeline::lock;
use crate::units::Lsn;

/// A sealed file of either kind.
pub(crate) type File = Arc<dyn SealedFile>;

/// All of them.
#[derive(Default, Debug)]
pub(crate) struct Files(Mutex<BTreeMap<FileRef, File>>);

impl Files {
    pub(crate) fn add(&self, file: File) {
        lock(&self.0).insert(file.name(), file);
    }

    pub(crate) fn remove(&self, name: FileRef) {
        lock(&self.0).remove(&name);
    }

    /// Every file: log files by LSN, then segments.
    pub(crate) fn all(&self) -> Vec<File> {
        lock(&self.0).values().cloned().collect()
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
