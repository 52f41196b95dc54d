//! What a partition has in one sealed file.

use std::fmt::Debug;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;

use super::files::About;
use super::index::{self, EntryRecord, GroupRecord, StretchRecord};
use super::recent::Recent;
use super::verified::Verified;
use crate::disk::File;
use crate::error::Result;
use crate::manifest::FileRef;
use crate::timeline::Entry;
use crate::units::{Lsn, Moment, TopicPartition};

/// A file that gets no more bytes, with its index.
pub(crate) trait SealedFile: Send + Sync + Debug {
    /// What it says of itself.
    fn about(&self) -> &About;

    /// As the manifest names it.
    fn name(&self) -> FileRef {
        self.about().name
    }

    /// Where it lies, and what lies beside it.
    fn paths(&self) -> &[PathBuf] {
        &self.about().paths
    }

    /// Its length, with what lies beside it.
    fn bytes(&self) -> u64 {
        self.about().bytes
    }

    /// The lowest group in it.
    fn first_lsn(&self) -> Lsn {
        self.about().first_lsn
    }

    /// The highest group in it.
    fn last_lsn(&self) -> Lsn {
        self.about().last_lsn
    }

    /// The time of that group, or a later one where it is not known.
    fn last_time(&self) -> i64 {
        self.about().last_time
    }

    /// Both.
    fn last(&self) -> Moment {
        Moment { lsn: self.last_lsn(), time: self.last_time() }
    }

    /// Whether compaction made it: what it says of groups is not when its records were written.
    fn is_compacted(&self) -> bool {
        self.stretches().iter().any(|stretch| stretch.generation > 0)
    }

    /// What it holds.
    fn stretches(&self) -> &[StretchRecord] {
        &self.about().stretches
    }

    /// Where batches of a partition lie, with their groups.
    fn records(&self, partition: TopicPartition) -> Result<Vec<EntryRecord>>;

    /// The groups that its batches are of, in order; of some the time may be lost ([`NO_TIME`]).
    ///
    /// [`NO_TIME`]: super::index::NO_TIME
    fn groups(&self) -> Result<Vec<GroupRecord>>;

    /// Its handle.
    fn file(&self) -> Arc<dyn File>;

    /// Which of its batches were found sound.
    fn verified(&self) -> &Arc<Verified>;

    /// The frame header and the batch of the nth entry of a stretch, unchecked.
    fn frame(&self, stretch: &StretchRecord, nth: usize, record: &EntryRecord) -> Result<(Bytes, Bytes)>;

    /// The entries that were asked for last.
    fn recent(&self) -> &Recent;

    /// Where the batches of a partition lie, in order; from the index, if it is not among what was asked for last.
    fn entries(&self, partition: TopicPartition) -> Result<Arc<[Entry]>> {
        if let Some(entries) = self.recent().get(partition) {
            return Ok(entries);
        }
        let entries = index::readable(&self.records(partition)?);
        self.recent().put(partition, &entries);
        Ok(entries)
    }

    /// The offset behind the last batch of the partition that belongs to groups up to `lsn`; its first offset if there is none.
    fn end_at(&self, partition: TopicPartition, lsn: Lsn) -> Result<i64>;
}

/// The consecutive batches of one partition in one sealed file.
#[derive(Clone, Debug)]
pub(crate) struct Stretch {
    /// Which partition.
    pub partition: TopicPartition,
    /// The first offset.
    pub first_offset: i64,
    /// The offset behind the last.
    pub end_offset: i64,
    /// The group of the first batch.
    pub first_lsn: Lsn,
    /// The group of the last batch.
    pub last_lsn: Lsn,
    /// The greatest timestamp, −1: none.
    pub max_timestamp: i64,
    /// Which compaction made it; 0: none, it is as it was written.
    pub generation: u32,
    /// The file.
    pub sealed: Arc<dyn SealedFile>,
}

impl Stretch {
    /// A stretch of a file, as the file's index has it.
    pub(crate) fn new(record: &StretchRecord, sealed: Arc<dyn SealedFile>) -> Self {
        Self {
            partition: record.partition,
            first_offset: record.first_offset,
            end_offset: record.end_offset,
            first_lsn: record.first_lsn,
            last_lsn: record.last_lsn,
            max_timestamp: record.max_timestamp,
            generation: record.generation,
            sealed,
        }
    }

    /// The file's handle.
    pub(crate) fn file(&self) -> Arc<dyn File> {
        self.sealed.file()
    }

    /// Which batches of the file were found sound.
    pub(crate) fn verified(&self) -> Arc<Verified> {
        Arc::clone(self.sealed.verified())
    }

    /// Where its batches lie.
    pub(crate) fn entries(&self) -> Result<Arc<[Entry]>> {
        self.sealed.entries(self.partition)
    }

    /// The same, if they are known without reading the index.
    pub(crate) fn known_entries(&self) -> Option<Arc<[Entry]>> {
        self.sealed.recent().get(self.partition)
    }

    /// Its end in a view that stands at `lsn`, which is not before its first group.
    pub(crate) fn end_at(&self, lsn: Lsn) -> Result<i64> {
        if lsn >= self.last_lsn { Ok(self.end_offset) } else { self.sealed.end_at(self.partition, lsn) }
    }
}
