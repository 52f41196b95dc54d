//! Reads a file forward in chunks, so that a scan holds a bounded piece of it, however long the file or a batch is.

use std::sync::Arc;

use bytes::Bytes;

use crate::disk::File;
use crate::error::Result;

/// What one read fetches.
const CHUNK_BYTES: usize = 1024 * 1024;

#[derive(Debug)]
pub(super) struct Chunks {
    file: Arc<dyn File>,
    /// Nothing is read at or behind this.
    end: u64,
    position: u64,
    chunk: Bytes,
}

impl Chunks {
    pub(super) fn new(file: Arc<dyn File>, end: u64) -> Self {
        Self { file, end, position: 0, chunk: Bytes::new() }
    }

    pub(super) fn end(&self) -> u64 {
        self.end
    }

    /// How much is left from a position on, at most `len`.
    pub(super) fn left(&self, position: u64, len: usize) -> usize {
        usize::try_from(self.end.saturating_sub(position)).map_or(len, |left| left.min(len))
    }

    /// The `len` bytes at a position, `None` if the file has fewer.
    pub(super) fn get(&mut self, position: u64, len: usize) -> Result<Option<Bytes>> {
        if self.left(position, len) < len {
            return Ok(None);
        }
        if let Some(bytes) = self.within(position, len) {
            return Ok(Some(bytes));
        }
        if len > CHUNK_BYTES {
            let bytes = self.file.read_at(position, len)?;
            return Ok((bytes.len() == len).then_some(bytes));
        }
        self.chunk = Bytes::new(); // given back before the next is asked for
        self.chunk = self.file.read_at(position, self.left(position, CHUNK_BYTES))?;
        self.position = position;
        Ok(self.within(position, len))
    }

    fn within(&self, position: u64, len: usize) -> Option<Bytes> {
        let from = usize::try_from(position.checked_sub(self.position)?).ok()?;
        let to = from.checked_add(len)?;
        (to <= self.chunk.len()).then(|| self.chunk.slice(from..to))
    }

    /// Hands the bytes at a position on, piece by piece; `false` if the file has fewer, or as soon as `take` says so.
    pub(super) fn each(&mut self, position: u64, len: u64, take: &mut dyn FnMut(&[u8]) -> bool) -> Result<bool> {
        let (mut at, end) = (position, position.saturating_add(len));
        while at < end {
            let rest = usize::try_from(end - at).unwrap_or(usize::MAX);
            let buffered = (self.position..self.position + self.chunk.len() as u64).contains(&at);
            let here = if buffered { self.position + self.chunk.len() as u64 - at } else { CHUNK_BYTES as u64 };
            let piece = rest.min(usize::try_from(here).unwrap_or(CHUNK_BYTES)).min(CHUNK_BYTES);
            match self.get(at, piece)? {
                Some(bytes) if take(&bytes) => at += piece as u64,
                _ => return Ok(false),
            }
        }
        Ok(true)
    }

    /// Whether all bytes from a position to the end are zeros.
    pub(super) fn zeros_from(&mut self, position: u64) -> Result<bool> {
        let len = self.end.saturating_sub(position);
        self.each(position, len, &mut |bytes| bytes.iter().all(|byte| *byte == 0))
    }
}
