//! Where the batches of a partition lie, and what is counted of them: all that is behind the partition's one lock.
//!
//! Invariants: pieces (`sealed`, then `tail`) are ordered by offset and do not overlap; the cache holds the newest batches without a gap; `compacted` is
//! ordered by generation, then offset, and those of one generation cover all offsets from the log start that its compaction found to its end.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;

use super::log_file::LogFile;
use super::virtual_segments::VirtualSegments;
use crate::manifest::FileRef;
use crate::segment::Stretch;
use crate::units::Lsn;

/// Where batches lie in a file: one batch in a log file, a block of neighbours in a segment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Entry {
    /// The first offset.
    pub base_offset: i64,
    /// Where the first byte of the batch is (a log's frame header lies before it).
    pub position: u32,
    /// Bytes of the batch or block.
    pub bytes: u32,
    /// The greatest timestamp in it, −1: none.
    pub max_timestamp: i64,
    /// The greatest of this and the entries before it in the same list.
    pub running_max: i64,
}

impl Entry {
    /// Whether compaction left nothing of it: an empty batch, which no client could have written, stands for its offsets.
    pub(crate) fn is_hole(&self) -> bool {
        self.bytes as usize == crate::batch::HEADER_BYTES
    }
}

/// The batches of one partition in one unsealed log file.
#[derive(Clone, Debug)]
pub struct Chunk {
    /// The file.
    pub log: Arc<LogFile>,
    /// In order of offset.
    pub entries: Vec<Entry>,
    /// The offset behind the last.
    pub end_offset: i64,
}

/// A batch as it was just received: in two pieces when its head was patched and the rest left where it was.
#[derive(Clone, Debug)]
pub struct Cached {
    /// Its first offset.
    pub base_offset: i64,
    /// The offset behind it.
    pub end_offset: i64,
    /// The first bytes.
    pub head: Bytes,
    /// What follows; may be empty.
    pub rest: Bytes,
}

impl Cached {
    /// Bytes of the batch.
    pub fn bytes(&self) -> usize {
        self.head.len() + self.rest.len()
    }
}

/// From which offset on a leader epoch holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct EpochStart {
    /// The epoch.
    pub epoch: i32,
    /// Its first offset.
    pub start: i64,
}

/// A move of the log start, as views of the past need it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LogStartMove {
    /// The group whose fact moved it.
    pub lsn: Lsn,
    /// To where.
    pub offset: i64,
}

/// A compaction, as views need it: below its end, views from its group on see what it left.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Compacted {
    /// The group whose fact said so.
    pub(crate) lsn: Lsn,
    /// Which it was.
    pub(crate) generation: u32,
    /// The first offset that it did not look at.
    pub(crate) end: i64,
}

/// What is behind the partition's one lock.
#[derive(Default, Debug)]
pub struct Pieces {
    /// In sealed files, by offset.
    pub(crate) sealed: Vec<Stretch>,
    /// In unsealed log files, by offset.
    pub tail: Vec<Chunk>,
    /// The newest batches.
    pub cache: VecDeque<Cached>,
    /// For retention, the last one is being filled.
    pub segments: VirtualSegments,
    /// Leader epochs and where they start.
    pub epochs: Vec<EpochStart>,
    /// Moves of the log start above the history floor, oldest first.
    pub log_starts: Vec<LogStartMove>,
    /// The compactions that some view asks for, oldest first.
    pub(crate) compactions: Vec<Compacted>,
    /// What they left, and what others made that are no more or not yet, in sealed files.
    pub(crate) compacted: Vec<Stretch>,
}

impl Pieces {
    /// The compaction that a view sees, live where none is given.
    pub(crate) fn compaction_at(&self, lsn: Option<Lsn>) -> Option<Compacted> {
        let seen = lsn.map_or(self.compactions.len(), |lsn| self.compactions.partition_point(|made| made.lsn <= lsn));
        self.compactions.get(seen.checked_sub(1)?).copied()
    }

    /// What lies in sealed files: as it was written (0), or as a compaction left it.
    pub(crate) fn stretches(&self, generation: u32) -> &[Stretch] {
        if generation == 0 {
            return &self.sealed;
        }
        let first = self.compacted.partition_point(|stretch| stretch.generation < generation);
        let end = self.compacted.partition_point(|stretch| stretch.generation <= generation);
        &self.compacted[first..end]
    }

    /// A stretch lies in a sealed file.
    pub(crate) fn add_stretch(&mut self, stretch: Stretch) {
        let list = if stretch.generation == 0 { &mut self.sealed } else { &mut self.compacted };
        let place = (stretch.generation, stretch.first_offset);
        list.insert(list.partition_point(|other| (other.generation, other.first_offset) < place), stretch);
    }

    /// Nothing lies any more in files like these.
    pub(crate) fn drop_stretches(&mut self, is_gone: impl Fn(FileRef) -> bool) {
        for list in [&mut self.sealed, &mut self.compacted] {
            list.retain(|stretch| !is_gone(stretch.sealed.name()));
        }
    }

    /// Adds a batch to the tail index.
    pub(super) fn push_tail(&mut self, log: &Arc<LogFile>, mut entry: Entry, end_offset: i64) -> NewChunk {
        if let Some(chunk) = self.tail.last_mut().filter(|chunk| Arc::ptr_eq(&chunk.log, log)) {
            let before = chunk.entries.last().map_or(-1, |last| last.running_max);
            entry.running_max = entry.max_timestamp.max(before);
            chunk.entries.push(entry);
            chunk.end_offset = end_offset;
            return NewChunk(false);
        }
        entry.running_max = entry.max_timestamp;
        self.tail.push(Chunk { log: Arc::clone(log), entries: vec![entry], end_offset });
        NewChunk(true)
    }

    /// The log start as of a group: the last move at or below it.
    pub(crate) fn log_start_at(&self, lsn: Lsn) -> i64 {
        let after = self.log_starts.partition_point(|moved| moved.lsn <= lsn);
        after.checked_sub(1).map_or(0, |at| self.log_starts[at].offset)
    }

    /// The end of what unsealed files hold of groups up to `lsn`; `None` if that is nothing.
    pub(crate) fn tail_end_at(&self, lsn: Lsn) -> Option<i64> {
        self.tail.iter().rev().find_map(|chunk| {
            let behind = chunk.log.position_after(lsn);
            let next = chunk.entries.partition_point(|entry| u64::from(entry.position) < behind);
            match next {
                0 => None,
                all if all == chunk.entries.len() => Some(chunk.end_offset),
                some => Some(chunk.entries[some].base_offset),
            }
        })
    }

    /// The group that holds an offset in an unsealed file.
    pub(crate) fn tail_group_of(&self, offset: i64) -> Option<Lsn> {
        let chunk = self.tail.get(self.tail.partition_point(|chunk| chunk.end_offset <= offset))?;
        let behind = chunk.entries.partition_point(|entry| entry.base_offset <= offset);
        let entry = chunk.entries.get(behind.checked_sub(1)?)?;
        chunk.log.group_of(u64::from(entry.position)).map(|group| group.lsn)
    }

    /// Leader epochs: notes that `epoch` holds from `start` on.
    pub(crate) fn note_epoch(&mut self, epoch: i32, start: i64) {
        match self.epochs.last_mut() {
            Some(last) if last.epoch >= epoch => {}
            Some(last) if last.start == start => last.epoch = epoch,
            _ => self.epochs.push(EpochStart { epoch, start }),
        }
    }
}

/// Whether a chunk was begun: then the log file must learn of the partition.
pub(super) struct NewChunk(pub(super) bool);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_epoch_that_wrote_nothing_gives_way_to_the_next() {
        let mut pieces = Pieces::default();
        pieces.note_epoch(1, 0);
        pieces.note_epoch(2, 0);
        pieces.note_epoch(3, 10);
        let epochs: Vec<(i32, i64)> = pieces.epochs.iter().map(|e| (e.epoch, e.start)).collect();
        assert_eq!(epochs, [(2, 0), (3, 10)]);
    }
}
