//! What a read wants, and what it has taken of it.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;

use super::{Bounds, Fetched, Piece, Read, Stored};
use crate::batch::Batch;
use crate::disk::File;
use crate::error::{Error, Result};
use crate::timeline::{Entry, EpochStart};

/// Shorter pieces are copied.
pub(super) const STORED_BYTES_MIN: usize = 16 << 10;

/// What is still wanted, and what there is already.
pub(crate) struct Wanted {
    /// The next offset.
    pub(crate) from: i64,
    /// The first offset that is not wanted.
    pub(crate) limit: i64,
    max_bytes: usize,
    at_least_one: bool,
    /// Whether batches may be gone between others.
    pub(super) may_have_holes: bool,
    /// Of the partition, for batches that come from files.
    pub(super) epochs: Vec<EpochStart>,
    pub(crate) fetched: Fetched,
    /// How much of it was found sound before.
    pub(super) known: usize,
    /// Where what was taken of the present window lies in it, neighbours as one: not yet among the pieces, but counted.
    runs: Vec<Range<usize>>,
}

impl Wanted {
    pub(crate) fn new(read: &Read, bounds: Bounds) -> Self {
        let Read { from, max_bytes, at_least_one, .. } = *read;
        let (limit, epochs, runs) = (bounds.high_watermark, Vec::new(), Vec::new());
        let (fetched, known, may_have_holes) = (Fetched::default(), 0, false);
        Self { from, limit, max_bytes, at_least_one, may_have_holes, epochs, fetched, known, runs }
    }

    /// How many bytes are still wanted; with the first batch it may be more.
    pub(super) fn left(&self) -> usize {
        self.max_bytes.saturating_sub(self.fetched.bytes)
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
            self.fetched.pieces.push(piece.into());
        }
        self.from = end_offset;
    }

    /// Takes a batch that lies in the present window.
    fn take_of_window(&mut self, at: Range<usize>, end_offset: i64) {
        self.fetched.bytes += at.len();
        match self.runs.last_mut() {
            Some(run) if run.end == at.start => run.end = at.end,
            _ => self.runs.push(at),
        }
        self.from = end_offset;
    }

    /// Passes over offsets of which compaction left nothing.
    pub(super) fn pass(&mut self, end_offset: i64) {
        self.from = self.from.max(end_offset);
    }

    /// Makes pieces of what was taken of a window, which begins at a position of its file.
    pub(super) fn close_window(&mut self, file: &Arc<dyn File>, position: u64, window: &[u8]) {
        for run in std::mem::take(&mut self.runs) {
            if run.len() >= STORED_BYTES_MIN {
                self.push_stored(file, position + run.start as u64, run.len());
            } else {
                self.fetched.pieces.push(Bytes::copy_from_slice(&window[run]).into());
            }
        }
    }

    pub(super) fn push_stored(&mut self, file: &Arc<dyn File>, position: u64, len: usize) {
        match self.fetched.pieces.last_mut() {
            Some(Piece::Stored(before)) if before.is_continued_by(file, position) => before.len += len,
            _ => self.fetched.pieces.push(Piece::Stored(Stored { file: Arc::clone(file), position, len })),
        }
    }

    /// Up to a limit there is nothing. Where there may be holes a read goes on behind it; at the end of the log it has nowhere to go.
    pub(super) fn nothing_more(&mut self, limit: i64) -> Result<()> {
        if !self.may_have_holes {
            return Err(self.hole(self.limit));
        }
        if limit == i64::MAX || self.limit < limit {
            return Err(Error::OutOfRange { offset: self.from, log_start: self.limit, high_watermark: self.limit });
        }
        self.from = limit;
        Ok(())
    }

    /// The next offsets, up to `end_offset`, are nowhere.
    fn hole(&self, end_offset: i64) -> Error {
        Error::DamagedBatch {
            base_offset: self.from,
            end_offset,
            why: "no file that can be read holds them".to_owned(),
        }
    }

    /// Takes the batches of an entry's block, which begins at `start` of the present window, as far as they are wanted and what they should be; `false`
    /// when enough is taken.
    pub(super) fn take_block(&mut self, entry: &Entry, start: usize, block: &[u8]) -> Result<bool> {
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
                if header.base_offset() > self.from && !self.may_have_holes {
                    return Err(self.hole(header.base_offset()));
                }
                if header.is_hole() && self.wants(header.base_offset(), 0) {
                    self.pass(header.next_offset());
                } else if self.wants(header.base_offset(), header.size_in_bytes()) {
                    self.take_of_window(start + at..start + next, header.next_offset());
                } else {
                    return Ok(false);
                }
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
