//! The narrow door to the file system: everything that the engine does with files goes through [`Disk`] and [`File`].
//!
//! [`RealDisk`] is a directory of the machine; [`SimDisk`] is a disk in memory whose page cache, power and sectors a test
//! controls. Paths are relative to the data directory and never leave it.
//!
//! Invariants that both keep:
//! - a write is whole or an error; an error may leave a part of it behind;
//! - what is written survives the end of the process, and the loss of power only after [`File::sync_data`];
//! - a new, renamed or removed *name* survives the loss of power only after [`Disk::sync_dir`] of its directory;
//! - a handle goes on reading its file when the name is gone;
//! - after a failed sync every later sync of that handle fails. (Linux tells of a failure once and then counts the pages as clean: of two
//!   threads that sync one file, one would hear that all is well.)

mod real;
pub mod sim;
#[cfg(test)]
mod tests;
#[cfg(debug_assertions)]
mod trap;

use std::fmt::Debug;
use std::io::{self, IoSlice};
use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;

use crate::error::{Error, Result};

pub use real::RealDisk;
pub use sim::SimDisk;

/// What is in a directory, or behind a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The name in its directory.
    pub name: String,
    /// A directory, or else a file.
    pub is_dir: bool,
}

/// A file's or directory's facts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Metadata {
    /// Length in bytes (a directory: 0).
    pub len: u64,
    /// A directory, or else a file.
    pub is_dir: bool,
}

/// The room on the file system of the data directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Space {
    /// Bytes that this process may still use.
    pub free: u64,
    /// Bytes in all.
    pub total: u64,
}

/// An advisory lock, held until it is dropped.
pub trait Lock: Send + Sync + Debug {
    /// Whether the locked file is still behind its path: if not, the directory was moved, removed or replaced.
    fn is_in_place(&self) -> bool {
        true
    }
}

/// A directory of files, the only way to them.
pub trait Disk: Send + Sync + Debug {
    /// Makes a new, empty file for reading and writing. A file of that name is an error.
    fn create(&self, path: &Path) -> Result<Arc<dyn File>>;

    /// Opens an existing file for reading and writing.
    fn open(&self, path: &Path) -> Result<Arc<dyn File>>;

    /// Opens an existing file for reading.
    fn open_read_only(&self, path: &Path) -> Result<Arc<dyn File>>;

    /// Removes a file's name; the bytes go with the last handle.
    fn remove(&self, path: &Path) -> Result<()>;

    /// Gives a file another name, in place of what had that name, in one step.
    fn rename(&self, from: &Path, to: &Path) -> Result<()>;

    /// What is in a directory, ordered by name.
    fn list(&self, dir: &Path) -> Result<Vec<Entry>>;

    /// Makes a directory and those above it that are missing, and syncs the directories that got an entry: unlike files,
    /// what this makes is durable when it returns. A directory that is there is no error.
    fn create_dir_all(&self, dir: &Path) -> Result<()>;

    /// The same for several directories; what they have in common is synced once.
    fn create_dirs(&self, dirs: &[PathBuf]) -> Result<()> {
        dirs.iter().try_for_each(|dir| self.create_dir_all(dir))
    }

    /// Makes the names in a directory durable.
    fn sync_dir(&self, dir: &Path) -> Result<()>;

    /// Length and kind of what is at a path, `None` if nothing is.
    fn metadata(&self, path: &Path) -> Result<Option<Metadata>>;

    /// Removes a directory and all in it.
    fn remove_dir_all(&self, dir: &Path) -> Result<()>;

    /// The room on the file system.
    fn space(&self) -> Result<Space>;

    /// Takes the advisory lock of a file, making the file if need be. [`Error::Locked`] if another holds it.
    fn lock(&self, path: &Path) -> Result<Box<dyn Lock>>;

    /// A named place in the order of writes and syncs where a crash is of interest (`roll.after_create`). Costs nothing
    /// and succeeds, but on a [`SimDisk`] on which a test armed the name: there the process "dies" at this place. (The real disk has
    /// a trap for tests, in builds with debug assertions: there the process does die.)
    fn fail_point(&self, _name: &'static str) -> Result<()> {
        Ok(())
    }

    /// Whether something is at a path.
    fn exists(&self, path: &Path) -> Result<bool> {
        Ok(self.metadata(path)?.is_some())
    }
}

/// An open file. All calls take positions; none moves a cursor, so a handle is shared freely.
pub trait File: Send + Sync + Debug {
    /// The path it was opened by, for messages.
    fn path(&self) -> &Path;

    /// Writes all slices back to back at a position, however many system calls that takes. After an error a part may be there.
    fn write_vectored_at(&self, slices: &[IoSlice<'_>], position: u64) -> Result<()>;

    /// Writes all bytes at a position.
    fn write_at(&self, bytes: &[u8], position: u64) -> Result<()> {
        self.write_vectored_at(&[IoSlice::new(bytes)], position)
    }

    /// Reads `len` bytes at a position, or as many as there are before the end of the file: shorter only there.
    /// The caller bounds `len`; no buffer is ever larger than the file.
    fn read_at(&self, position: u64, len: usize) -> Result<Bytes>;

    /// Reads exactly `len` bytes at a position. The end of the file before that is [`Error::Corrupt`].
    fn read_exact_at(&self, position: u64, len: usize) -> Result<Bytes> {
        let bytes = self.read_at(position, len)?;
        if bytes.len() == len {
            return Ok(bytes);
        }
        let path = self.path().display();
        Err(Error::Corrupt(format!("{path} ends within the {len} bytes at {position}")))
    }

    /// Fills a buffer from a position on, or as much of it as there is before the end of the file: how much.
    fn read_into(&self, position: u64, buffer: &mut [u8]) -> Result<usize> {
        let bytes = self.read_at(position, buffer.len())?;
        buffer[..bytes.len()].copy_from_slice(&bytes);
        Ok(bytes.len())
    }

    /// Whether a range is in memory, as far as can be told cheaply, so that sending it waits for no disk.
    fn is_cached(&self, _position: u64, _len: usize) -> bool {
        true
    }

    /// Hands bytes at a position to another descriptor, such as a socket: how many of `len` it took, 0 at the end of the file.
    fn send(&self, position: u64, len: usize, to: BorrowedFd<'_>) -> io::Result<usize> {
        let bytes = self.read_at(position, len).map_err(io::Error::other)?;
        Ok(rustix::io::write(to, &bytes)?)
    }

    /// Makes the bytes durable, and the length as far as they need it.
    fn sync_data(&self) -> Result<()>;

    /// Makes bytes and length durable: what a [`truncate`](File::truncate) needs.
    fn sync_all(&self) -> Result<()>;

    /// Length in bytes.
    fn len(&self) -> Result<u64>;

    /// Whether it holds no byte.
    fn is_empty(&self) -> Result<bool> {
        Ok(self.len()? == 0)
    }

    /// Cuts the file to a length, or extends it by zeros.
    fn truncate(&self, len: u64) -> Result<()>;

    /// Reserves space up to a length without changing the length. Best effort: a file system that cannot is no error,
    /// a full one is [`Error::Full`].
    fn allocate(&self, len: u64) -> Result<()>;

    /// How many names the file has: 0 when it was removed under us, and writes to it would still succeed.
    fn link_count(&self) -> Result<u64>;
}
