//! A disk in memory for tests: it keeps apart what the page cache shows and what the disk has, and loses, tears, reorders and
//! damages by a seed.
//!
//! - [`SimDisk::kill`]: the process ends; all its handles are dead, the page cache stays. [`SimDisk::power_loss`]: of what was not synced,
//!   any part survives, sector by sector (512 bytes); of names in directories that were not synced, any part.
//! - A failed sync marks the pages as clean, as Linux does: a later sync does not write them, a later power loss drops them.
//! - [`SimDisk::fail`] makes the nth operation of a kind fail, be lost, be torn or kill the process, [`SimDisk::break_below`] all that is done with a
//!   file or directory; [`SimDisk::die_at_step`] and [`SimDisk::die_at_sync`] kill it at a place in the order of all that changes the disk, [`SimDisk::arm`] at a named fail point. [`SimDisk::at`] has
//!   something else happen there.
//! - [`SimDisk::budget`] makes it full; [`SimDisk::flip`] flips bits.
//!
//! Directories are durable when they are made. The same seed gives the same losses.

mod faults;
mod names;
mod node;
mod seed;
mod state;

use std::collections::BTreeSet;
use std::io::IoSlice;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use super::{Disk, Entry, File, Lock, Metadata, Space};
use crate::error::{Error, Result};

pub use faults::{Fault, Op};
pub use seed::Seed;
use state::{Inode, State};

/// A disk in memory, as one process sees it. Clones are the same process on the same disk.
#[derive(Clone, Debug)]
pub struct SimDisk {
    state: Arc<Mutex<State>>,
    process: u64,
}

impl Default for SimDisk {
    fn default() -> Self {
        Self::new()
    }
}

impl SimDisk {
    /// An empty disk.
    pub fn new() -> Self {
        Self { state: Arc::default(), process: 0 }
    }

    /// The process ends, whatever it was doing; its page cache stays. The disk as the next process sees it.
    #[must_use]
    pub fn kill(&self) -> Self {
        let mut state = self.lock();
        state.end_process();
        Self { state: Arc::clone(&self.state), process: state.process }
    }

    /// The power goes; what was not synced is lost or not, by the seed. The disk as the next process sees it.
    #[must_use]
    pub fn power_loss(&self, seed: u64) -> Self {
        let next = self.kill();
        self.lock().lose_power(&mut Seed::new(seed));
        next
    }

    /// Makes an operation of a kind fail: the `nth` from now, 0 for the next.
    pub fn fail(&self, op: Op, nth: u64, fault: Fault) {
        self.lock().faults.add(op, nth, fault);
    }

    /// Makes every operation on a file or directory fail, and on what lies below it.
    pub fn break_below(&self, path: impl AsRef<Path>) {
        self.lock().faults.break_below(path.as_ref());
    }

    /// The process dies when it is about to change the disk for the `step`th time, counted from the disk's beginning.
    pub fn die_at_step(&self, step: u64) {
        self.lock().faults.die_at_step = Some(step);
    }

    /// The process dies when it is about to sync (a file or a directory) for the `sync`th time, counted from the disk's beginning.
    pub fn die_at_sync(&self, sync: u64) {
        self.lock().faults.die_at_sync = Some(sync);
    }

    /// The process dies when it reaches this fail point.
    pub fn arm(&self, point: &'static str) {
        self.lock().faults.armed.insert(point);
    }

    /// Something else happens when the process reaches this fail point the next time, and is over before it goes on.
    pub fn at(&self, point: &'static str, call: impl FnOnce() + Send + 'static) {
        self.lock().faults.calls.0.insert(point, Box::new(call));
    }

    /// Nothing fails any more.
    pub fn calm(&self) {
        self.lock().faults.calm();
    }

    /// The fail points that were reached so far.
    pub fn reached(&self) -> BTreeSet<&'static str> {
        self.lock().faults.reached.clone()
    }

    /// How often the disk was changed so far.
    pub fn steps(&self) -> u64 {
        self.lock().faults.steps
    }

    /// How often a file or directory was synced so far.
    pub fn syncs(&self) -> u64 {
        self.lock().faults.syncs
    }

    /// Whether the process of this handle has ended.
    pub fn is_dead(&self) -> bool {
        self.lock().process != self.process
    }

    /// The files together may have so many bytes; `None`: as many as they like.
    pub fn budget(&self, bytes: Option<u64>) {
        self.lock().budget = bytes;
    }

    /// Flips bits of a byte of a file, in the cache and on the disk. `false` if there is no such byte.
    pub fn flip(&self, path: impl AsRef<Path>, position: u64, bits: u8) -> bool {
        let mut state = self.lock();
        state.node(path.as_ref()).is_some_and(|node| node.flip(position, bits))
    }

    /// The bytes of a file, as the page cache shows them.
    pub fn contents(&self, path: impl AsRef<Path>) -> Option<Vec<u8>> {
        self.lock().node(path.as_ref()).map(|node| node.cache.clone())
    }

    /// The files, as the page cache shows them.
    pub fn paths(&self) -> Vec<PathBuf> {
        self.lock().names.files().map(Path::to_path_buf).collect()
    }

    /// Puts a file with these bytes in place, durably, whatever was there.
    pub fn plant(&self, path: impl AsRef<Path>, bytes: &[u8]) {
        self.lock().plant(path.as_ref(), bytes);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn alive(&self, path: &Path) -> Result<MutexGuard<'_, State>> {
        let state = self.lock();
        if state.process == self.process { Ok(state) } else { Err(dead(path)) }
    }

    fn handle(&self, path: &Path, inode: Inode, is_writable: bool) -> Arc<dyn File> {
        Arc::new(SimFile {
            disk: self.clone(),
            path: path.to_path_buf(),
            inode,
            is_writable,
            sync_failed: AtomicBool::new(false),
        })
    }

    fn opened(&self, path: &Path, is_writable: bool) -> Result<Arc<dyn File>> {
        let mut state = self.alive(path)?;
        state.begin(Op::Open, path)?;
        let inode = state.names.get(path).ok_or_else(|| missing(path))?;
        drop(state);
        Ok(self.handle(path, inode, is_writable))
    }
}

fn io(path: &Path, why: &str) -> Error {
    Error::Io { path: path.to_path_buf(), why: why.to_owned() }
}

fn dead(path: &Path) -> Error {
    io(path, "the process has ended")
}

fn missing(path: &Path) -> Error {
    io(path, "no such file or directory")
}

impl Disk for SimDisk {
    fn create(&self, path: &Path) -> Result<Arc<dyn File>> {
        let mut state = self.alive(path)?;
        if state.begin(Op::Create, path)? {
            state.create(path)?;
        }
        let inode = state.names.get(path).ok_or_else(|| missing(path))?;
        state.end(path)?;
        drop(state);
        Ok(self.handle(path, inode, true))
    }

    fn open(&self, path: &Path) -> Result<Arc<dyn File>> {
        self.opened(path, true)
    }

    fn open_read_only(&self, path: &Path) -> Result<Arc<dyn File>> {
        self.opened(path, false)
    }

    fn remove(&self, path: &Path) -> Result<()> {
        let mut state = self.alive(path)?;
        if state.begin(Op::Remove, path)? && !state.names.unlink(path) {
            return Err(missing(path));
        }
        state.end(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        let mut state = self.alive(from)?;
        if state.begin(Op::Rename, from)? && !state.names.rename(from, to) {
            return Err(missing(from));
        }
        state.end(from)
    }

    fn list(&self, dir: &Path) -> Result<Vec<Entry>> {
        let state = self.alive(dir)?;
        state.names.list(dir).ok_or_else(|| missing(dir))
    }

    fn create_dir_all(&self, dir: &Path) -> Result<()> {
        let mut state = self.alive(dir)?;
        if state.names.is_dir(dir) {
            return Ok(());
        }
        if state.begin(Op::SyncDir, dir)? {
            state.names.create_dir_all(dir);
        }
        state.end(dir)
    }

    fn sync_dir(&self, dir: &Path) -> Result<()> {
        let mut state = self.alive(dir)?;
        if !state.names.is_dir(dir) {
            return Err(missing(dir));
        }
        if state.begin(Op::SyncDir, dir)? {
            state.names.sync(dir);
        }
        state.end(dir)
    }

    fn metadata(&self, path: &Path) -> Result<Option<Metadata>> {
        let mut state = self.alive(path)?;
        if state.names.is_dir(path) {
            return Ok(Some(Metadata { len: 0, is_dir: true }));
        }
        Ok(state.node(path).map(|node| Metadata { len: node.cache.len() as u64, is_dir: false }))
    }

    fn remove_dir_all(&self, dir: &Path) -> Result<()> {
        let mut state = self.alive(dir)?;
        if !state.names.is_dir(dir) {
            return Err(missing(dir));
        }
        if state.begin(Op::Remove, dir)? {
            state.names.remove_dir_all(dir);
        }
        state.end(dir)
    }

    fn space(&self) -> Result<Space> {
        let state = self.alive(Path::new(""))?;
        let total = state.budget.unwrap_or(1 << 50);
        Ok(Space { free: total.saturating_sub(state.used()), total })
    }

    fn lock(&self, path: &Path) -> Result<Box<dyn Lock>> {
        let mut state = self.alive(path)?;
        if !state.locks.insert(path.to_path_buf()) {
            return Err(Error::Locked { path: path.to_path_buf() });
        }
        if state.names.get(path).is_none() {
            state.plant(path, b"");
        }
        drop(state);
        Ok(Box::new(SimLock { disk: self.clone(), path: path.to_path_buf() }))
    }

    fn fail_point(&self, name: &'static str) -> Result<()> {
        let path = Path::new(name);
        let mut state = self.alive(path)?;
        if state.faults.reach(name) {
            state.end_process();
            return Err(dead(path));
        }
        let call = state.faults.calls.0.remove(name);
        drop(state);
        if let Some(call) = call {
            call();
        }
        Ok(())
    }
}

#[derive(Debug)]
struct SimLock {
    disk: SimDisk,
    path: PathBuf,
}

impl Lock for SimLock {}

impl Drop for SimLock {
    fn drop(&mut self) {
        if let Ok(mut state) = self.disk.alive(&self.path) {
            state.locks.remove(&self.path);
        }
    }
}

#[derive(Debug)]
struct SimFile {
    disk: SimDisk,
    path: PathBuf,
    inode: Inode,
    is_writable: bool,
    sync_failed: AtomicBool,
}

impl SimFile {
    fn writable(&self) -> Result<MutexGuard<'_, State>> {
        let state = self.disk.alive(&self.path)?;
        if self.is_writable { Ok(state) } else { Err(io(&self.path, "open for reading only")) }
    }

    fn sync(&self) -> Result<()> {
        // The disk's lock is held from the failure to its being noted.
        let mut state = self.disk.alive(&self.path)?;
        if self.sync_failed.load(Ordering::Relaxed) {
            return Err(io(&self.path, "an earlier sync failed"));
        }
        match state.begin(Op::Sync, &self.path) {
            Ok(true) => state.by_inode(self.inode).sync(),
            Ok(false) => {}
            Err(error) => {
                // What Linux does: the pages could not be written and count as clean from now on.
                state.by_inode(self.inode).forget_dirty();
                self.sync_failed.store(true, Ordering::Relaxed);
                return Err(error);
            }
        }
        state.end(&self.path)
    }
}

impl File for SimFile {
    fn path(&self) -> &Path {
        &self.path
    }

    fn write_vectored_at(&self, slices: &[IoSlice<'_>], position: u64) -> Result<()> {
        let mut state = self.writable()?;
        let bytes: Vec<u8> = slices.iter().flat_map(|slice| slice.iter().copied()).collect();
        let kept = state.begin_write(bytes.len(), &self.path)?;
        state.write(self.inode, &self.path, &bytes[..kept], position)?;
        if kept > 0 && kept < bytes.len() {
            return Err(io(&self.path, "the write broke off"));
        }
        state.end(&self.path)
    }

    fn read_at(&self, position: u64, len: usize) -> Result<Bytes> {
        let mut state = self.disk.alive(&self.path)?;
        state.begin(Op::Read, &self.path)?;
        let cache = &state.by_inode(self.inode).cache;
        let from = usize::try_from(position).map_or(cache.len(), |from| from.min(cache.len()));
        let to = from.saturating_add(len).min(cache.len());
        Ok(Bytes::copy_from_slice(&cache[from..to]))
    }

    fn sync_data(&self) -> Result<()> {
        self.sync()
    }

    fn sync_all(&self) -> Result<()> {
        self.sync()
    }

    fn len(&self) -> Result<u64> {
        let mut state = self.disk.alive(&self.path)?;
        Ok(state.by_inode(self.inode).cache.len() as u64)
    }

    fn truncate(&self, len: u64) -> Result<()> {
        let mut state = self.writable()?;
        if state.begin(Op::Truncate, &self.path)? {
            let len = usize::try_from(len).map_err(|_| io(&self.path, "file too large"))?;
            state.by_inode(self.inode).truncate(len);
        }
        state.end(&self.path)
    }

    fn allocate(&self, len: u64) -> Result<()> {
        let mut state = self.writable()?;
        let more = len.saturating_sub(state.by_inode(self.inode).cache.len() as u64);
        let free = state.budget.map_or(u64::MAX, |budget| budget.saturating_sub(state.used()));
        if more > free { Err(state::full(&self.path)) } else { Ok(()) }
    }

    fn link_count(&self) -> Result<u64> {
        let state = self.disk.alive(&self.path)?;
        Ok(state.names.links(self.inode))
    }
}
