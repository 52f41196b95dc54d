//! What a read gives: bytes, or where they lie in a file.

use std::io;
use std::os::fd::BorrowedFd;
use std::sync::Arc;

use bytes::{Buf, Bytes};

use crate::disk::File;
use crate::error::Result;

/// Whole batches in the order of their offsets.
#[derive(Clone, Default, Debug)]
pub struct Fetched {
    /// Their bytes, back to back; a batch may be in several pieces.
    pub pieces: Vec<Piece>,
    /// Bytes in all.
    pub bytes: usize,
}

impl Fetched {
    /// All of it in memory, in one. May read files.
    pub fn concat(&self) -> Result<Bytes> {
        let mut whole = Vec::with_capacity(self.bytes);
        for piece in &self.pieces {
            match piece {
                Piece::Bytes(bytes) => whole.extend_from_slice(bytes),
                Piece::Stored(stored) => whole.extend_from_slice(&stored.read()?),
            }
        }
        Ok(whole.into())
    }
}

/// Part of what is sent.
#[derive(Clone, Debug)]
pub enum Piece {
    /// Bytes in memory.
    Bytes(Bytes),
    /// Bytes of a file that were found sound, and that do not change.
    Stored(Stored),
}

impl Piece {
    /// How many bytes are left of it.
    pub fn len(&self) -> usize {
        match self {
            Self::Bytes(bytes) => bytes.len(),
            Self::Stored(stored) => stored.len,
        }
    }

    /// Whether nothing is left of it.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Drops the first `count` bytes, which are there.
    pub fn advance(&mut self, count: usize) {
        match self {
            Self::Bytes(bytes) => bytes.advance(count),
            Self::Stored(stored) => {
                stored.position += count as u64;
                stored.len -= count;
            }
        }
    }
}

impl From<Bytes> for Piece {
    fn from(bytes: Bytes) -> Self {
        Self::Bytes(bytes)
    }
}

/// Bytes where they lie. The file stays readable by this, even if its name goes.
#[derive(Clone, Debug)]
pub struct Stored {
    pub(super) file: Arc<dyn File>,
    pub(super) position: u64,
    pub(super) len: usize,
}

impl Stored {
    /// Hands bytes, from the first one on, to a socket, straight from the kernel's cache: how many it took. The end of the file before that is an error.
    pub fn send(&self, socket: BorrowedFd<'_>) -> io::Result<usize> {
        match self.file.send(self.position, self.len, socket)? {
            0 if self.len > 0 => Err(io::ErrorKind::UnexpectedEof.into()),
            sent => Ok(sent),
        }
    }

    /// Reads them.
    pub fn read(&self) -> Result<Bytes> {
        self.file.read_exact_at(self.position, self.len)
    }

    /// Whether what lies at a position of a file continues this.
    pub(super) fn is_continued_by(&self, file: &Arc<dyn File>, position: u64) -> bool {
        self.position + self.len as u64 == position && Arc::ptr_eq(&self.file, file)
    }
}
