//! Batches by offset: from the tail cache, else from files.
//!
//! What comes from a file is checked (length, offset, epoch, CRC) before it is returned: rot is not served. Between a view's log start and high watermark
//! every offset is in some file, so that a hole (a file that could not be opened) is damage, too, and never passed over. A read that begins at a damaged
//! batch is told of it and of where to go on; one that begins before it ends before it.

use std::sync::Arc;

use bytes::Bytes;

use super::{Bounds, Fetched, Read, View};
use crate::batch::Batch;
use crate::disk::File;
use crate::error::{Error, Result};
use crate::timeline::{Entry, EpochStart, Partition, Pieces};

/// Frames no further apart than this are read in one go.
const GAP_BYTES_MAX: u64 = 16 << 10;
/// The most that one `pread` takes.
const WINDOW_BYTES_MAX: u64 = 1 << 20;

/// What is still wanted, and what there is already.
pub(crate) struct Wanted {
    /// The next offset.
    pub(crate) from: i64,
    /// The first offset that is not wanted.
    pub(crate) limit: i64,
    max_bytes: usize,
    at_least_one: bool,
    /// Of the partition, for batches that come from files.
    epochs: Vec<EpochStart>,
    pub(crate) fetched: Fetched,
}

impl Wanted {
    pub(crate) fn new(read: &Read, bounds: Bounds) -> Self {
        let Read { from, max_bytes, at_least_one, .. } = *read;
        let (limit, epochs) = (bounds.high_watermark, Vec::new());
        Self { from, limit, max_bytes, at_least_one, epochs, fetched: Fetched::default() }
    }

    /// Whether a batch of so many bytes is still to be taken.
    pub(crate) fn takes(&self, bytes: usize) -> bool {
        self.fetched.bytes.saturating_add(bytes) <= self.max_bytes || (self.at_least_one && self.fetched.bytes == 0)
    }

    /// Whether a batch at `base_offset` of so many bytes is the next to take.
    pub(crate) fn wants(&self, base_offset: i64, bytes: usize) -> bool {
        base_offset < self.limit && self.takes(bytes)
    }

    /// Takes a batch, in one or two pieces.
    pub(crate) fn take(&mut self, pieces: impl IntoIterator<Item = Bytes>, end_offset: i64) {
        for piece in pieces.into_iter().filter(|piece| !piece.is_empty()) {
            self.fetched.bytes += piece.len();
            self.fetched.pieces.push(piece);
        }
        self.from = end_offset;
    }

    /// The next offsets, up to `end_offset`, are nowhere.
    fn hole(&self, end_offset: i64) -> Error {
        Error::DamagedBatch {
            base_offset: self.from,
            end_offset,
            why: "no file that can be read holds them".to_owned(),
        }
    }

    /// Takes the batches of an entry's block that came from a file, as far as they are wanted and what they should be; `false` when enough is taken.
    pub(crate) fn take_block(&mut self, entry: &Entry, block: &Bytes) -> Result<bool> {
        let (mut at, mut base_offset) = (0, entry.base_offset);
        while at < block.len() {
            let batch = check_placed(&block[at..], base_offset)?;
            let (header, next) = (batch.header(), at + batch.bytes().len());
            if epoch_at(&self.epochs, base_offset) != header.leader_epoch() {
                let found = header.leader_epoch();
                return Err(Error::Corrupt(format!(
                    "the batch on disk at offset {base_offset} has leader epoch {found}"
                )));
            }
            base_offset = header.next_offset();
            if header.next_offset() > self.from {
                if header.base_offset() > self.from {
                    return Err(self.hole(header.base_offset()));
                }
                if !self.wants(header.base_offset(), header.size_in_bytes()) {
                    return Ok(false);
                }
                self.take([block.slice(at..next)], header.next_offset());
            }
            at = next;
        }
        Ok(true)
    }
}

/// Checks the first batch of what was read from a file, CRC and all.
fn check_bytes(bytes: &[u8]) -> Result<Batch<'_>> {
    Batch::parse_verified(bytes).map_err(|error| Error::Corrupt(format!("a batch on disk: {error}")))
}

/// The same, where the offset of the batch is known. (Its CRC, which is the client's, covers neither offset nor epoch.)
pub(crate) fn check_placed(bytes: &[u8], base_offset: i64) -> Result<Batch<'_>> {
    let batch = check_bytes(bytes)?;
    if batch.header().base_offset() == base_offset {
        return Ok(batch);
    }
    let found = batch.header().base_offset();
    Err(Error::Corrupt(format!("the batch on disk at offset {base_offset} says that it is at {found}")))
}

/// The leader epoch of an offset, −1 for none.
pub(super) fn epoch_at(epochs: &[EpochStart], offset: i64) -> i32 {
    let after = epochs.partition_point(|known| known.start <= offset);
    after.checked_sub(1).map_or(-1, |at| epochs[at].epoch)
}

pub(super) fn in_bounds(from: i64, bounds: Bounds) -> Result<()> {
    let Bounds { log_start, high_watermark, .. } = bounds;
    if from < log_start || from > high_watermark {
        return Err(Error::OutOfRange { offset: from, log_start, high_watermark });
    }
    Ok(())
}

impl View {
    /// What the cache has, `None` if the read begins below it.
    pub(super) fn read_cached(&self, partition: &Partition, read: &Read, bounds: Bounds) -> Result<Option<Fetched>> {
        in_bounds(read.from, bounds)?;
        let mut wanted = Wanted::new(read, bounds);
        if read.from == bounds.high_watermark {
            return Ok(Some(wanted.fetched));
        }
        let pieces = partition.pieces();
        let first = pieces.cache.partition_point(|batch| batch.end_offset <= read.from);
        match pieces.cache.get(first) {
            Some(batch) if batch.base_offset <= read.from => {}
            _ => return Ok(None),
        }
        for batch in pieces.cache.range(first..) {
            if !wanted.wants(batch.base_offset, batch.bytes()) {
                break;
            }
            wanted.take([batch.head.clone(), batch.rest.clone()], batch.end_offset);
        }
        drop(pieces);
        self.timeline.0.shared.stats.cache_hits.add(1);
        Ok(Some(wanted.fetched))
    }

    /// Reads from files, sealed ones first.
    pub(super) fn read_files(&self, partition: &Arc<Partition>, read: &Read) -> Result<Fetched> {
        let bounds = self.bounds(partition)?;
        in_bounds(read.from, bounds)?;
        let mut wanted = Wanted::new(read, bounds);
        // Taken after the bounds: every offset in them has its epoch here.
        wanted.epochs.clone_from(&partition.pieces().epochs);
        while wanted.from < bounds.high_watermark {
            let before = wanted.from;
            let (holder, limit) = partition.holder(before);
            wanted.limit = bounds.high_watermark.min(limit);
            let read = match Source::at(holder, before) {
                Ok(Some(source)) => source.read(&mut wanted),
                Ok(None) => Err(wanted.hole(wanted.limit)),
                Err(error) => Err(error),
            };
            match read {
                // What is sound before the bad place goes out; the next read begins at it.
                Err(_) if wanted.fetched.bytes > 0 => break,
                Err(error @ Error::DamagedBatch { .. }) => {
                    self.timeline.0.shared.stats.damaged_reads.add(1);
                    tracing::error!(timeline = %self.timeline.id(), partition = %partition.id(), %error, "a read is refused");
                    return Err(error);
                }
                read => read?,
            }
            if wanted.from == before {
                break;
            }
        }
        Ok(wanted.fetched)
    }
}

/// Part of a partition in one file.
pub(crate) struct Source {
    pub(crate) file: Arc<dyn File>,
    pub(crate) entries: Entries,
    /// The offset behind the last entry.
    pub(crate) end: i64,
}

/// Entries of a tail chunk (copied, from the wanted one on) or of a sealed file (shared).
pub(crate) enum Entries {
    Copied(Vec<Entry>),
    Shared(Arc<[Entry]>),
}

impl Entries {
    pub(crate) fn as_slice(&self) -> &[Entry] {
        match self {
            Entries::Copied(entries) => entries,
            Entries::Shared(entries) => entries,
        }
    }
}

/// A read takes at most so many entries of a chunk at once, so that the partition's lock is held shortly.
const ENTRIES_MAX: usize = 4096;

impl Source {
    /// The file that holds `offset`, or else the next one that holds a later offset.
    pub(crate) fn at(partition: &Partition, offset: i64) -> Result<Option<Self>> {
        let stretch = {
            let pieces = partition.pieces();
            let sealed = pieces.sealed.partition_point(|stretch| stretch.end_offset <= offset);
            let Some(stretch) = pieces.sealed.get(sealed) else { return Ok(Self::in_tail(&pieces, offset)) };
            stretch.clone()
        };
        let (file, entries) = (stretch.file(), Entries::Shared(stretch.entries()?));
        Ok(Some(Self { file, entries, end: stretch.end_offset }))
    }

    fn in_tail(pieces: &Pieces, offset: i64) -> Option<Self> {
        let tail = pieces.tail.partition_point(|chunk| chunk.end_offset <= offset);
        let chunk = pieces.tail.get(tail)?;
        let first = first_holding(&chunk.entries, offset);
        let entries = chunk.entries[first..].iter().take(ENTRIES_MAX).copied().collect();
        let end = chunk.entries.get(first + ENTRIES_MAX).map_or(chunk.end_offset, |next| next.base_offset);
        Some(Self { file: Arc::clone(&chunk.log.file), entries: Entries::Copied(entries), end })
    }

    fn read_window(&self, window: &[Entry]) -> Result<Bytes> {
        let start = window.first().map_or(0, |first| u64::from(first.position));
        let length = window.last().map_or(0, |last| end(last) - start);
        self.file.read_exact_at(start, usize::try_from(length).unwrap_or(usize::MAX))
    }

    /// Takes what is wanted of this file: neighbours in one `pread`.
    pub(crate) fn read(&self, wanted: &mut Wanted) -> Result<()> {
        let entries = self.entries.as_slice();
        let mut rest = &entries[first_holding(entries, wanted.from)..];
        while let Some(first) = rest.first() {
            if first.base_offset >= wanted.limit && wanted.fetched.bytes == 0 {
                return Err(wanted.hole(wanted.limit));
            }
            if !wanted.wants(first.base_offset, 0) {
                return Ok(());
            }
            let (mut window, mut later) = rest.split_at(window(rest, wanted));
            let mut read = self.read_window(window);
            if read.is_err() && window.len() > 1 {
                // The bad place (an end that is missing, a sector) may lie behind the first of them.
                (window, later) = rest.split_at(1);
                read = self.read_window(window);
            }
            let behind = rest.get(1).map_or(self.end, |next| next.base_offset);
            let bytes = read.map_err(|error| damaged(first.base_offset, behind, error))?;
            for (nth, entry) in window.iter().enumerate() {
                let from = (entry.position - first.position) as usize;
                let next = rest.get(nth + 1).map_or(self.end, |next| next.base_offset);
                let taken = wanted.take_block(entry, &bytes.slice(from..from + entry.bytes as usize));
                if !taken.map_err(|error| damaged(entry.base_offset, next, error))? {
                    return Ok(());
                }
            }
            rest = later;
        }
        Ok(())
    }
}

/// What a reader is told of a batch that does not check.
fn damaged(base_offset: i64, end_offset: i64, error: Error) -> Error {
    match error {
        Error::Corrupt(why) => Error::DamagedBatch { base_offset, end_offset, why },
        other => other,
    }
}

/// The entry that holds `offset`, or else the first one behind it.
pub(crate) fn first_holding(entries: &[Entry], offset: i64) -> usize {
    entries.partition_point(|entry| entry.base_offset <= offset).saturating_sub(1)
}

/// How many of the entries go into one `pread`: near neighbours, as long as they are wanted.
fn window(entries: &[Entry], wanted: &Wanted) -> usize {
    let start = entries.first().map_or(0, |first| u64::from(first.position));
    let mut bytes = 0;
    let mut previous_end = start;
    let together = entries.iter().enumerate().take_while(|(at, entry)| {
        let near = u64::from(entry.position).saturating_sub(previous_end) <= GAP_BYTES_MAX;
        let fits = end(entry) - start <= WINDOW_BYTES_MAX;
        bytes += entry.bytes as usize;
        previous_end = end(entry);
        *at == 0 || (near && fits && wanted.wants(entry.base_offset, bytes))
    });
    together.count()
}

fn end(entry: &Entry) -> u64 {
    u64::from(entry.position) + u64::from(entry.bytes)
}
