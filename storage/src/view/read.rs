//! Batches by offset: from the tail cache, else from files.
//!
//! What comes from a file is checked (length, offset, epoch, CRC): rot is not served. It is checked in a buffer that this thread keeps, and given by where
//! it lies in the file, so that it is sent without being copied. What was found sound since the file was opened and is still in the kernel's cache is not
//! read again; what has to come from the disk is always checked. Short pieces are copied, which costs less than a system call each.
//!
//! Between a view's log start and high watermark every offset is in some file, so that what is in none (a file could not be opened) is damage, too, and never
//! passed over. Of what a compaction took away an empty batch says so: those are passed over, and never given, since there are clients that take an answer with
//! nothing in it for the end (`KafkaJS`). The last batch of a partition is never compacted, so that behind them something follows. A read that begins at a damaged batch is told of it and of where to go on; one that begins before it ends before it.

use std::cell::RefCell;
use std::sync::Arc;

use super::wanted::{STORED_BYTES_MIN, Wanted};
use super::{Bounds, Fetched, Read, View};
use crate::disk::File;
use crate::error::{Error, Result};
use crate::segment::{Stretch, Verified};
use crate::timeline::{Entry, Partition, Pieces, Place};

/// Frames no further apart than this are read in one go.
const GAP_BYTES_MAX: u64 = 16 << 10;
/// The most that one `pread` takes, but for a single batch that is longer: what is hashed next is still in the core's own cache.
const WINDOW_BYTES_MAX: u64 = 256 << 10;
/// A longer buffer is not kept.
const SCRATCH_BYTES_MAX: usize = 1 << 20;

thread_local! {
    /// What is checked, one window after the other.
    static SCRATCH: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
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
        if pieces.compaction_at(None).is_some_and(|made| read.from < made.end) {
            return Ok(None); // what is cached is as it was written
        }
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
    pub(crate) fn read_files(&self, partition: &Arc<Partition>, read: &Read) -> Result<Fetched> {
        let bounds = self.bounds(partition)?;
        in_bounds(read.from, bounds)?;
        let mut wanted = Wanted::new(read, bounds);
        // Taken after the bounds: every offset in them has its epoch here.
        wanted.epochs.clone_from(&partition.pieces().epochs);
        // Facts go when every view that needs them has them folded.
        wanted.may_have_holes = partition.id().topic.is_internal();
        while wanted.from < bounds.high_watermark {
            let before = wanted.from;
            let place = partition.place(before, self.past());
            wanted.limit = bounds.high_watermark.min(place.limit);
            let read = match Source::at(&place, before, wanted.left()) {
                Ok(Some(source)) => source.read(&mut wanted),
                Ok(None) => wanted.nothing_more(place.limit),
                Err(error) => Err(error),
            };
            match read {
                // The live view went over to what a compaction left, meanwhile, and what was before is no more.
                Err(_) if !partition.is_still_at(&place, before, self.past()) => continue,
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
        let stats = &self.timeline.0.shared.stats;
        stats.known_bytes.add(wanted.known as u64);
        stats.checked_bytes.add((wanted.fetched.bytes - wanted.known) as u64);
        Ok(wanted.fetched)
    }
}

/// Part of a partition in one file.
pub(crate) struct Source {
    file: Arc<dyn File>,
    verified: Arc<Verified>,
    entries: Entries,
    /// The offset behind the last entry.
    end: i64,
}

/// Where an offset is looked for.
enum Either {
    Sealed(Stretch),
    Tail(Option<Source>),
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
    /// (Of a file that is not sealed, entries for about `bytes`.)
    fn at(place: &Place<'_>, offset: i64, bytes: usize) -> Result<Option<Self>> {
        let stretch = match Self::sealed_or_tail(place, offset, bytes) {
            Either::Sealed(stretch) => stretch,
            Either::Tail(source) => return Ok(source),
        };
        let entries = stretch.entries()?;
        Ok(Some(Self::sealed(&stretch, entries)))
    }

    /// The same, where no index has to be read for it.
    pub(super) fn known(place: &Place<'_>, offset: i64, bytes: usize) -> Option<Self> {
        match Self::sealed_or_tail(place, offset, bytes) {
            Either::Sealed(stretch) => Some(Self::sealed(&stretch, stretch.known_entries()?)),
            Either::Tail(source) => source,
        }
    }

    fn sealed_or_tail(place: &Place<'_>, offset: i64, bytes: usize) -> Either {
        let pieces = place.holder.pieces();
        let stretches = pieces.stretches(place.generation);
        let sealed = stretches.partition_point(|stretch| stretch.end_offset <= offset);
        match stretches.get(sealed) {
            Some(stretch) => Either::Sealed(stretch.clone()),
            None if place.generation > 0 => Either::Tail(None),
            None => Either::Tail(Self::in_tail(&pieces, offset, bytes)),
        }
    }

    fn sealed(stretch: &Stretch, entries: Arc<[Entry]>) -> Self {
        let (file, verified) = (stretch.file(), stretch.verified());
        Self { file, verified, entries: Entries::Shared(entries), end: stretch.end_offset }
    }

    fn in_tail(pieces: &Pieces, offset: i64, bytes: usize) -> Option<Self> {
        let tail = pieces.tail.partition_point(|chunk| chunk.end_offset <= offset);
        let chunk = pieces.tail.get(tail)?;
        let first = first_holding(&chunk.entries, offset);
        let mut before = 0;
        let near = chunk.entries[first..].iter().take(ENTRIES_MAX).take_while(|entry| {
            let is_wanted = before <= bytes;
            before += entry.bytes as usize;
            is_wanted
        });
        let entries: Vec<Entry> = near.copied().collect();
        let end = chunk.entries.get(first + entries.len()).map_or(chunk.end_offset, |next| next.base_offset);
        let (file, verified) = (Arc::clone(&chunk.log.file), Arc::clone(&chunk.log.verified));
        Some(Self { file, verified, entries: Entries::Copied(entries), end })
    }

    /// Takes what is wanted of this file up to the first batch that would have to be read; whether no more is wanted.
    pub(super) fn take_all_known(&self, wanted: &mut Wanted) -> bool {
        let entries = self.entries.as_slice();
        let mut at = first_holding(entries, wanted.from);
        while let Some(entry) = entries.get(at) {
            if self.passes(at, wanted) {
                at += 1;
                continue;
            }
            let known = self.take_known(at, wanted);
            if known == 0 {
                return !wanted.wants(entry.base_offset, entry.bytes as usize);
            }
            at += known;
        }
        false
    }

    /// Takes what is wanted of this file.
    fn read(&self, wanted: &mut Wanted) -> Result<()> {
        let entries = self.entries.as_slice();
        let mut at = first_holding(entries, wanted.from);
        while let Some(first) = entries.get(at) {
            if first.base_offset >= wanted.limit && wanted.from < wanted.limit && wanted.fetched.bytes == 0 {
                return wanted.nothing_more(wanted.limit);
            }
            if !wanted.wants(first.base_offset, 0) {
                return Ok(());
            }
            if self.passes(at, wanted) {
                at += 1;
                continue;
            }
            let known = self.take_known(at, wanted);
            at += if known > 0 { known } else { self.take_window(at, wanted)? };
        }
        Ok(())
    }

    /// Passes over an entry of which compaction left nothing, if it is the next.
    fn passes(&self, at: usize, wanted: &mut Wanted) -> bool {
        let is_next = |entry: &Entry| entry.base_offset <= wanted.from && wanted.wants(entry.base_offset, 0);
        let passes = self.entries.as_slice().get(at).is_some_and(|entry| entry.is_hole() && is_next(entry));
        if passes {
            wanted.pass(self.end_of(at));
        }
        passes
    }

    /// Takes neighbours, from an entry on, that were found sound before and are in the kernel's cache: how many.
    fn take_known(&self, at: usize, wanted: &mut Wanted) -> usize {
        let rest = &self.entries.as_slice()[at..];
        let Some(first) = rest.first().filter(|first| first.base_offset <= wanted.from) else { return 0 };
        let start = u64::from(first.position);
        let mut bytes = 0;
        let known = rest.iter().take_while(|entry| {
            let is_neighbour = start + bytes as u64 == u64::from(entry.position);
            let with_it = bytes + entry.bytes as usize;
            // The first batch may be more than is wanted, those behind it not.
            let is_wanted = wanted.wants(entry.base_offset, with_it) && (bytes == 0 || with_it <= wanted.left());
            let is_taken = is_neighbour && is_wanted && !entry.is_hole() && self.verified.has(entry);
            bytes += if is_taken { entry.bytes as usize } else { 0 };
            is_taken
        });
        let count = known.count();
        if bytes < STORED_BYTES_MIN || !self.file.is_cached(start, bytes) {
            return 0;
        }
        wanted.push_stored(&self.file, start, bytes);
        wanted.fetched.bytes += bytes;
        wanted.known += bytes;
        wanted.from = self.end_of(at + count - 1);
        count
    }

    /// Reads an entry and its neighbours in one `pread`, and takes what is sound and wanted: how many entries that was.
    fn take_window(&self, at: usize, wanted: &mut Wanted) -> Result<usize> {
        let rest = &self.entries.as_slice()[at..];
        let mut window = &rest[..window(rest, wanted)];
        SCRATCH.with_borrow_mut(|scratch| {
            let mut read = self.read_window(window, scratch);
            if read.is_err() && window.len() > 1 {
                // The bad place (an end that is missing, a sector) may lie behind the first of them.
                window = &window[..1];
                read = self.read_window(window, scratch);
            }
            let base_offset = window.first().map_or(wanted.from, |first| first.base_offset);
            let (start, length) = read.map_err(|error| damaged(base_offset, self.end_of(at), error))?;
            let bytes = &scratch[..length];
            let checked = self.check_window(at, window, bytes, wanted);
            wanted.close_window(&self.file, start, bytes);
            if scratch.len() > SCRATCH_BYTES_MAX {
                *scratch = Vec::new();
            }
            checked
        })
    }

    /// Fills the beginning of the buffer with entries of the file: from which position on, and how much.
    fn read_window(&self, window: &[Entry], scratch: &mut Vec<u8>) -> Result<(u64, usize)> {
        let start = window.first().map_or(0, |first| u64::from(first.position));
        let length = window.last().map_or(0, |last| end(last) - start);
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        let ends_within = || {
            let path = self.file.path().display();
            Error::Corrupt(format!("{path} ends within the {length} bytes at {start}"))
        };
        if scratch.len() < length {
            // No damaged length makes a large buffer.
            if length > SCRATCH_BYTES_MAX && self.file.len()?.saturating_sub(start) < length as u64 {
                return Err(ends_within());
            }
            scratch.resize(length, 0);
        }
        if self.file.read_into(start, &mut scratch[..length])? < length {
            return Err(ends_within());
        }
        Ok((start, length))
    }

    fn check_window(&self, at: usize, window: &[Entry], bytes: &[u8], wanted: &mut Wanted) -> Result<usize> {
        let start = window.first().map_or(0, |first| first.position);
        for (nth, entry) in window.iter().enumerate() {
            let from = (entry.position - start) as usize;
            let taken = wanted.take_block(entry, from, &bytes[from..from + entry.bytes as usize]);
            let next = self.end_of(at + nth);
            if !taken.map_err(|error| damaged(entry.base_offset, next, error))? {
                return Ok(self.entries.as_slice().len() - at);
            }
            // With nothing missing behind it, so that reads may go from one to the next by the entries alone.
            if wanted.from == next {
                self.verified.note(entry);
            }
        }
        Ok(window.len())
    }

    /// The offset behind an entry, if nothing is missing there.
    fn end_of(&self, at: usize) -> i64 {
        self.entries.as_slice().get(at + 1).map_or(self.end, |next| next.base_offset)
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
