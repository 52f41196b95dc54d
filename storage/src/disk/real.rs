//! The machine's own disk: a directory, through std and rustix.
//!
//! Interrupted calls are made again and short writes continued here, so that nobody above knows of them.

use std::collections::BTreeSet;
use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind, IoSlice, IoSliceMut};
use std::os::fd::BorrowedFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use rustix::buffer::spare_capacity;
use rustix::fs::FallocateFlags;
use rustix::io::{ReadWriteFlags, retry_on_intr};

#[cfg(debug_assertions)]
use super::trap::Trap;
use super::{Disk, Entry, File, Lock, Metadata, Space};
use crate::error::{Error, Result};

/// The most slices that one `pwritev` takes (Linux: `UIO_MAXIOV`).
const SLICES_MAX: usize = 1024;

/// Above this, a read asks for the file's length first, so that no damaged length makes a large buffer.
const READ_UNCHECKED_BYTES_MAX: usize = 1024 * 1024;

/// How far apart the bytes are by which a range is taken to be in memory.
const PROBE_BYTES: usize = 128 * 1024;

/// A directory of this machine.
#[derive(Debug)]
pub struct RealDisk {
    root: PathBuf,
    /// Where a test has the process end.
    #[cfg(debug_assertions)]
    trap: Option<Trap>,
}

impl RealDisk {
    /// The disk whose paths are relative to `root`; `create_dir_all("")` makes that directory.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self {
            root: root.into(),
            #[cfg(debug_assertions)]
            trap: Trap::of_environment(),
        }
    }

    /// The data directory.
    pub fn root(&self) -> &Path {
        &self.root
    }

    fn at(&self, path: &Path) -> Result<PathBuf> {
        if path.components().all(|part| matches!(part, Component::Normal(_))) {
            return Ok(self.root.join(path));
        }
        Err(Error::Invalid(format!("{}: not a path within the data directory", path.display())))
    }

    fn file(&self, path: &Path, options: &OpenOptions) -> Result<Arc<dyn File>> {
        let full = self.at(path)?;
        let file = options.open(&full).map_err(|e| Error::io(&full, &e))?;
        Ok(Arc::new(RealFile { path: full, file, sync_failed: Mutex::new(false) }))
    }
}

fn sync_dir_at(full: &Path) -> Result<()> {
    let dir = fs::File::open(full).map_err(|e| Error::io(full, &e))?;
    dir.sync_all().map_err(|e| Error::io(full, &e))
}

impl Disk for RealDisk {
    fn create(&self, path: &Path) -> Result<Arc<dyn File>> {
        self.file(path, OpenOptions::new().read(true).write(true).create_new(true))
    }

    fn open(&self, path: &Path) -> Result<Arc<dyn File>> {
        self.file(path, OpenOptions::new().read(true).write(true))
    }

    fn open_read_only(&self, path: &Path) -> Result<Arc<dyn File>> {
        self.file(path, OpenOptions::new().read(true))
    }

    fn remove(&self, path: &Path) -> Result<()> {
        let full = self.at(path)?;
        fs::remove_file(&full).map_err(|e| Error::io(&full, &e))
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        let full = self.at(from)?;
        fs::rename(&full, self.at(to)?).map_err(|e| Error::io(&full, &e))
    }

    fn list(&self, dir: &Path) -> Result<Vec<Entry>> {
        let full = self.at(dir)?;
        let fail = |e: io::Error| Error::io(&full, &e);
        let mut entries = Vec::new();
        for entry in fs::read_dir(&full).map_err(fail)? {
            let entry = entry.map_err(fail)?;
            let name = entry.file_name().to_string_lossy().into_owned();
            entries.push(Entry { name, is_dir: entry.file_type().map_err(fail)?.is_dir() });
        }
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(entries)
    }

    fn create_dir_all(&self, dir: &Path) -> Result<()> {
        self.create_dirs(&[dir.to_owned()])
    }

    fn create_dirs(&self, dirs: &[PathBuf]) -> Result<()> {
        let mut named = BTreeSet::new();
        for dir in dirs {
            let full = self.at(dir)?;
            let is_missing = |path: &Path| !path.as_os_str().is_empty() && !path.is_dir();
            let missing: Vec<&Path> = full.ancestors().take_while(|path| is_missing(path)).collect();
            for path in missing.iter().rev() {
                match fs::create_dir(path) {
                    Err(e) if e.kind() != ErrorKind::AlreadyExists => return Err(Error::io(*path, &e)),
                    _ => {}
                }
            }
            // Those that are there as well: a process may have been killed between making one and syncing the name.
            let inside = full.ancestors().take_while(|path| *path != self.root);
            named.extend(missing.iter().copied().chain(inside).filter_map(Path::parent).map(Path::to_owned));
        }
        let here = Path::new(".");
        named.iter().try_for_each(|path| sync_dir_at(if path.as_os_str().is_empty() { here } else { path }))
    }

    fn sync_dir(&self, dir: &Path) -> Result<()> {
        sync_dir_at(&self.at(dir)?)
    }

    fn metadata(&self, path: &Path) -> Result<Option<Metadata>> {
        let full = self.at(path)?;
        match fs::metadata(&full) {
            Ok(found) => {
                let is_dir = found.is_dir();
                Ok(Some(Metadata { len: if is_dir { 0 } else { found.len() }, is_dir }))
            }
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
            Err(e) => Err(Error::io(&full, &e)),
        }
    }

    fn remove_dir_all(&self, dir: &Path) -> Result<()> {
        let full = self.at(dir)?;
        fs::remove_dir_all(&full).map_err(|e| Error::io(&full, &e))
    }

    fn space(&self) -> Result<Space> {
        let found = rustix::fs::statvfs(&self.root).map_err(|e| Error::io(&self.root, &e.into()))?;
        Ok(Space {
            free: found.f_bavail.saturating_mul(found.f_frsize),
            total: found.f_blocks.saturating_mul(found.f_frsize),
        })
    }

    fn lock(&self, path: &Path) -> Result<Box<dyn Lock>> {
        let full = self.at(path)?;
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        let file = options.open(&full).map_err(|e| Error::io(&full, &e))?;
        match file.try_lock() {
            Ok(()) => Ok(Box::new(RealLock { path: full, file })),
            Err(fs::TryLockError::WouldBlock) => Err(Error::Locked { path: self.root.clone() }),
            Err(fs::TryLockError::Error(e)) => Err(Error::io(&full, &e)),
        }
    }

    #[cfg(debug_assertions)]
    fn fail_point(&self, name: &'static str) -> Result<()> {
        if let Some(trap) = &self.trap {
            trap.pass(name);
        }
        Ok(())
    }
}

/// The lock goes with the open file, whatever becomes of the process.
#[derive(Debug)]
struct RealLock {
    path: PathBuf,
    file: fs::File,
}

impl Lock for RealLock {
    fn is_in_place(&self) -> bool {
        let identity = |found: fs::Metadata| (found.dev(), found.ino());
        let behind_path = fs::metadata(&self.path).map(identity).ok();
        behind_path.is_some() && behind_path == self.file.metadata().map(identity).ok()
    }
}

#[derive(Debug)]
struct RealFile {
    path: PathBuf,
    file: fs::File,
    /// Held while a sync is under way, so that no second one ends between a failure and its being noted.
    sync_failed: Mutex<bool>,
}

impl RealFile {
    fn sync(&self, sync: impl FnOnce(&fs::File) -> io::Result<()>) -> Result<()> {
        let mut failed = self.sync_failed.lock().unwrap_or_else(PoisonError::into_inner);
        if *failed {
            return Err(self.fail(&io::Error::other("an earlier sync failed")));
        }
        let outcome = sync(&self.file);
        *failed = outcome.is_err();
        outcome.map_err(|e| self.fail(&e))
    }

    fn fail(&self, error: &io::Error) -> Error {
        Error::io(&self.path, error)
    }

    /// Writes what it can of at most [`SLICES_MAX`] slices.
    fn write_some(&self, slices: &[IoSlice<'_>], position: u64) -> Result<usize> {
        let slices = &slices[..slices.len().min(SLICES_MAX)];
        let written = retry_on_intr(|| rustix::io::pwritev(&self.file, slices, position));
        match written.map_err(|e| self.fail(&e.into()))? {
            0 => Err(self.fail(&io::Error::from(ErrorKind::WriteZero))),
            written => Ok(written),
        }
    }
}

impl File for RealFile {
    fn path(&self) -> &Path {
        &self.path
    }

    fn write_vectored_at(&self, slices: &[IoSlice<'_>], mut position: u64) -> Result<()> {
        let total: usize = slices.iter().map(|slice| slice.len()).sum();
        if total == 0 {
            return Ok(());
        }
        let mut written = if slices.len() <= SLICES_MAX { self.write_some(slices, position)? } else { 0 };
        if written == total {
            return Ok(());
        }
        let mut left = slices.to_vec();
        let mut left = left.as_mut_slice();
        loop {
            IoSlice::advance_slices(&mut left, written);
            position += written as u64;
            if left.is_empty() {
                return Ok(());
            }
            written = self.write_some(left, position)?;
        }
    }

    fn read_at(&self, position: u64, len: usize) -> Result<Bytes> {
        let mut len = len;
        if len > READ_UNCHECKED_BYTES_MAX {
            let there = self.len()?.saturating_sub(position);
            len = len.min(usize::try_from(there).unwrap_or(usize::MAX));
        }
        let mut bytes = Vec::with_capacity(len);
        while bytes.len() < len {
            let at = position + bytes.len() as u64;
            let read = retry_on_intr(|| rustix::io::pread(&self.file, spare_capacity(&mut bytes), at));
            if read.map_err(|e| self.fail(&e.into()))? == 0 {
                break;
            }
        }
        bytes.truncate(len); // the allocator may have given, and the kernel filled, more than was asked for
        Ok(bytes.into())
    }

    fn read_into(&self, position: u64, buffer: &mut [u8]) -> Result<usize> {
        let mut filled = 0;
        while filled < buffer.len() {
            let at = position + filled as u64;
            match retry_on_intr(|| rustix::io::pread(&self.file, &mut buffer[filled..], at)) {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(e) => return Err(self.fail(&e.into())),
            }
        }
        Ok(filled)
    }

    /// Asks for a byte every so often: what is evicted goes by larger stretches.
    fn is_cached(&self, position: u64, len: usize) -> bool {
        (0..len).step_by(PROBE_BYTES).all(|at| {
            let mut byte = [0];
            let slices = &mut [IoSliceMut::new(&mut byte)];
            let read = rustix::io::preadv2(&self.file, slices, position + at as u64, ReadWriteFlags::NOWAIT);
            read.is_ok_and(|read| read == 1)
        })
    }

    fn send(&self, position: u64, len: usize, to: BorrowedFd<'_>) -> io::Result<usize> {
        let mut at = position;
        Ok(rustix::fs::sendfile(to, &self.file, Some(&mut at), len)?)
    }

    fn sync_data(&self) -> Result<()> {
        self.sync(fs::File::sync_data)
    }

    fn sync_all(&self) -> Result<()> {
        self.sync(fs::File::sync_all)
    }

    fn len(&self) -> Result<u64> {
        Ok(self.file.metadata().map_err(|e| self.fail(&e))?.len())
    }

    fn truncate(&self, len: u64) -> Result<()> {
        self.file.set_len(len).map_err(|e| self.fail(&e))
    }

    fn allocate(&self, len: u64) -> Result<()> {
        let there = self.len()?;
        if len <= there {
            return Ok(());
        }
        let keep = FallocateFlags::KEEP_SIZE;
        match retry_on_intr(|| rustix::fs::fallocate(&self.file, keep, there, len - there)) {
            Err(e @ (rustix::io::Errno::NOSPC | rustix::io::Errno::DQUOT)) => Err(self.fail(&e.into())),
            _ => Ok(()),
        }
    }

    fn link_count(&self) -> Result<u64> {
        Ok(self.file.metadata().map_err(|e| self.fail(&e))?.nlink())
    }
}
