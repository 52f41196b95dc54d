//! The index: the last checkpoint of every timeline, kept so that only what changed is written. It may be deleted, and
//! is never trusted: whatever it says is checked, and whatever goes wrong with it (an error, a panic, a value that does
//! not check) sets it aside and begins a new one. Nothing outside of this file knows that it is sled.
//!
//! Invariants: a timeline's tree changes by one batch per checkpoint, which carries the LSN and the digest of all that the
//! tree holds then, so that a tree of which a part was lost or came back is seen. Nothing here fails its caller: without an
//! index the broker starts from state-at files.
//!
//! Shape: one tree per timeline, its name the id's eight bytes. Pages (`page`) by section `u8` and key of their first entry;
//! a page's value is a CRC u32 (of key and value), the count u32, the body. Key `applied`: CRC u32, format version u32, LSN
//! u64, digest u64 (the wrapping sum of a hash of every page's key and value).

use super::checkpoint::Checkpoint;
use super::page::{Assembly, Section, each_page, hash};
use crate::{Error, Lsn, Result, TimelineId};
use std::collections::{BTreeMap, HashMap};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

const FORMAT: u32 = 1;
/// Longer than a section's number and less than what any page's key can be taken for.
const APPLIED: &[u8] = b"applied";
const APPLIED_BYTES: usize = 24;
/// CRC and count in front of a page's body.
const PAGE_HEAD_BYTES: usize = 8;

/// The index of a data directory.
#[derive(Debug)]
pub struct Index {
    dir: PathBuf,
    cache_bytes: u64,
    open: Mutex<Option<Open>>,
}

#[derive(Debug)]
struct Open {
    db: sled::Db,
    /// What is known of the timelines that were loaded or put.
    timelines: HashMap<TimelineId, Written>,
}

/// The hashes of a tree's pages, by their keys.
#[derive(Debug, Default)]
struct Written {
    pages: BTreeMap<Box<[u8]>, u64>,
    lsn: Lsn,
}

/// What a checkpoint cost.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Put {
    /// Pages that had changed, or were new.
    pub written: usize,
    /// Pages that are no more.
    pub removed: usize,
    /// Pages in all.
    pub pages: usize,
}

impl Index {
    /// Opens the index in a directory, or begins a new one. `cache_bytes` bounds what sled keeps in memory, loosely.
    pub fn open(dir: &Path, cache_bytes: u64) -> Self {
        let index = Self { dir: dir.to_owned(), cache_bytes, open: Mutex::new(None) };
        let mut open = index.lock();
        *open = index.open_or_anew();
        drop(open);
        index
    }

    /// The last checkpoint of a timeline, if there is one and all of it checks. It may be ahead of what the log was cut to,
    /// or behind: the caller compares [`Checkpoint::lsn`].
    pub fn load(&self, timeline: TimelineId) -> Option<Checkpoint> {
        let mut guard = self.lock();
        let open = guard.as_mut()?;
        match guarded(|| open.load(timeline)) {
            Ok(checkpoint) => checkpoint,
            Err(error) => {
                self.fail(&mut guard, &error);
                None
            }
        }
    }

    /// Makes a checkpoint the last one of its timeline: writes the pages that changed, and syncs. None if that failed: the
    /// index begins anew then, and the next checkpoint fills it.
    pub fn put(&self, timeline: TimelineId, checkpoint: &Checkpoint) -> Option<Put> {
        let mut guard = self.lock();
        if guard.is_none() {
            *guard = self.open_or_anew();
        }
        let open = guard.as_mut()?;
        match guarded(|| open.put(timeline, checkpoint)) {
            Ok(put) => Some(put),
            Err(error) => {
                self.fail(&mut guard, &error);
                None
            }
        }
    }

    /// Forgets a timeline.
    pub fn remove(&self, timeline: TimelineId) {
        let mut guard = self.lock();
        let Some(open) = guard.as_mut() else { return };
        if let Err(error) = guarded(|| open.remove(timeline)) {
            self.fail(&mut guard, &error);
        }
    }

    /// Whether there is one: false after a failure, until the next checkpoint could begin a new one.
    pub fn is_open(&self) -> bool {
        self.lock().is_some()
    }

    /// Nothing here is left half changed by a panic: all that is kept in memory is dropped with what failed.
    fn lock(&self) -> MutexGuard<'_, Option<Open>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn open_or_anew(&self) -> Option<Open> {
        let error = match self.try_open() {
            Ok(open) => return Some(open),
            Err(error) => error,
        };
        if !self.set_aside(&error) {
            return None;
        }
        self.try_open().inspect_err(|error| tracing::warn!(%error, "no index: starting will take longer")).ok()
    }

    fn try_open(&self) -> Result<Open> {
        guarded(|| {
            // Nothing is flushed but by `put`: a thread that does so at any time would compete with the log's syncs.
            let config = sled::Config::new().path(&self.dir).cache_capacity(self.cache_bytes).flush_every_ms(None);
            let db = open_unlocked(&config).map_err(|error| self.refused(&error))?;
            Ok(Open { db, timelines: HashMap::new() })
        })
    }

    fn refused(&self, error: &sled::Error) -> Error {
        match error {
            sled::Error::Io(error) => Error::io(&self.dir, error),
            other => Error::Corrupt(format!("{}: {other}", self.dir.display())),
        }
    }

    fn fail(&self, guard: &mut MutexGuard<'_, Option<Open>>, error: &Error) {
        let failed = guard.take();
        // Closing writes what it still can, and may fail in its turn.
        let _ = guarded(|| {
            drop(failed);
            Ok(())
        });
        if self.set_aside(error) {
            **guard = self.try_open().ok();
        }
    }

    /// Gives the directory another name. False if it has to stay as it is: nothing is wrong with it on a full disk. Of
    /// those set aside only the last is kept, and none when the disk is full.
    fn set_aside(&self, error: &Error) -> bool {
        let mut name = self.dir.file_name().unwrap_or_default().to_owned();
        name.push(".bad-");
        remove_all_with_prefix(&self.dir, &name);
        if matches!(error, Error::Full(_)) {
            tracing::warn!(%error, "no index for now");
            return false;
        }
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_millis());
        name.push(now.to_string());
        let aside = self.dir.with_file_name(name);
        tracing::warn!(%error, aside = %aside.display(), "the index is unusable: set aside, to be made anew");
        match std::fs::rename(&self.dir, &aside) {
            Ok(()) => true,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => true,
            Err(error) => {
                tracing::warn!(%error, "no index: it could not be set aside");
                false
            }
        }
    }
}

fn remove_all_with_prefix(dir: &Path, prefix: &std::ffi::OsStr) {
    let Some(Ok(entries)) = dir.parent().map(std::fs::read_dir) else { return };
    for entry in entries.flatten() {
        if entry.file_name().as_encoded_bytes().starts_with(prefix.as_encoded_bytes()) {
            let path = entry.path();
            let _ = std::fs::remove_dir_all(&path).or_else(|_| std::fs::remove_file(&path));
        }
    }
}

/// Runs what calls sled, which panics on some damage where it could have said so.
fn guarded<T>(run: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
        Err(Error::Corrupt(format!("the index panicked: {}", text.unwrap_or("without a word"))))
    })
}

/// The threads of a database let go of its lock a moment after its handle is dropped: one that was just closed is waited for.
fn open_unlocked(config: &sled::Config) -> Result<sled::Db, sled::Error> {
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(5);
    loop {
        match config.open() {
            Err(sled::Error::Io(error))
                if error.to_string().contains("could not acquire lock") && std::time::Instant::now() < deadline =>
            {
                std::thread::yield_now();
            }
            opened => return opened,
        }
    }
}

fn said(error: sled::Error) -> Error {
    match error {
        sled::Error::Io(error) => Error::io("state", &error),
        other => Error::Corrupt(format!("the index: {other}")),
    }
}

impl Open {
    fn tree(&self, timeline: TimelineId) -> Result<sled::Tree> {
        self.db.open_tree(timeline.0.to_be_bytes()).map_err(said)
    }

    fn load(&mut self, timeline: TimelineId) -> Result<Option<Checkpoint>> {
        let tree = self.tree(timeline)?;
        let mut assembly = Assembly::default();
        let mut written = Written::default();
        let mut applied = None;
        for entry in &tree {
            let (key, value) = entry.map_err(said)?;
            if key == APPLIED {
                applied = Some(Applied::decode(&value)?);
                continue;
            }
            let (section, count, body) = decode_page(&key, &value)?;
            written.pages.insert(key.as_ref().into(), hash(&[&key, &value]));
            assembly.add(section, count, body)?;
        }
        let Some(applied) = applied else {
            let empty = written.pages.is_empty();
            return if empty { Ok(None) } else { Err(Error::Corrupt("the index: pages without an LSN".into())) };
        };
        let checkpoint = assembly.finish()?;
        if applied != (Applied { lsn: checkpoint.lsn, digest: written.digest() }) {
            return Err(Error::Corrupt("the index: its pages are not those of its LSN".into()));
        }
        written.lsn = checkpoint.lsn;
        self.timelines.insert(timeline, written);
        Ok(Some(checkpoint))
    }

    fn put(&mut self, timeline: TimelineId, checkpoint: &Checkpoint) -> Result<Put> {
        if !self.timelines.contains_key(&timeline) {
            // What a tree holds has to be known, so that what is left of it can go.
            self.load(timeline)?;
        }
        let before = self.timelines.remove(&timeline).unwrap_or_default();
        let mut batch = sled::Batch::default();
        let (written, now) = changed_pages(checkpoint, &before, &mut batch)?;
        let removed: Vec<_> = before.pages.keys().filter(|key| !now.pages.contains_key(*key)).collect();
        for key in &removed {
            batch.remove(&***key);
        }
        batch.insert(APPLIED, &Applied { lsn: now.lsn, digest: now.digest() }.encode()[..]);
        let tree = self.tree(timeline)?;
        tree.apply_batch(batch).map_err(said)?;
        tree.flush().map_err(said)?;
        let put = Put { written, removed: removed.len(), pages: now.pages.len() };
        self.timelines.insert(timeline, now);
        Ok(put)
    }

    fn remove(&mut self, timeline: TimelineId) -> Result<()> {
        self.timelines.remove(&timeline);
        self.db.drop_tree(timeline.0.to_be_bytes()).map_err(said)?;
        self.db.flush().map(|_| ()).map_err(said)
    }
}

/// Puts into the batch what differs from `before`: how many pages do, and all pages there are now.
fn changed_pages(checkpoint: &Checkpoint, before: &Written, batch: &mut sled::Batch) -> Result<(usize, Written)> {
    let mut now = Written { pages: BTreeMap::new(), lsn: checkpoint.lsn };
    let mut written = 0;
    each_page(checkpoint, &mut |page| {
        let key = [&[page.section as u8], page.key].concat();
        let value = encode_page(&key, page.count, page.body);
        let hash = hash(&[&key, &value]);
        if before.pages.get(&key[..]) != Some(&hash) {
            written += 1;
            batch.insert(&key[..], value);
        }
        now.pages.insert(key.into(), hash);
        Ok(())
    })?;
    Ok((written, now))
}

impl Written {
    fn digest(&self) -> u64 {
        self.pages.values().fold(0, |sum, hash| sum.wrapping_add(*hash))
    }
}

fn encode_page(key: &[u8], count: u32, body: &[u8]) -> Vec<u8> {
    let mut value = vec![0; 4];
    value.extend_from_slice(&count.to_le_bytes());
    value.extend_from_slice(body);
    let crc = crc32c::crc32c_append(crc32c::crc32c(key), &value[4..]);
    value[..4].copy_from_slice(&crc.to_le_bytes());
    value
}

fn decode_page<'a>(key: &[u8], value: &'a [u8]) -> Result<(Section, u32, &'a [u8])> {
    let damaged = || Error::Corrupt("the index: a page does not check".into());
    let (head, body) = value.split_first_chunk::<PAGE_HEAD_BYTES>().ok_or_else(damaged)?;
    let [c0, c1, c2, c3, n0, n1, n2, n3] = *head;
    if u32::from_le_bytes([c0, c1, c2, c3]) != crc32c::crc32c_append(crc32c::crc32c(key), &value[4..]) {
        return Err(damaged());
    }
    let section = Section::from_number(u32::from(*key.first().ok_or_else(damaged)?))?;
    Ok((section, u32::from_le_bytes([n0, n1, n2, n3]), body))
}

/// What a tree says of itself.
#[derive(Debug, PartialEq, Eq)]
struct Applied {
    lsn: Lsn,
    digest: u64,
}

impl Applied {
    fn encode(&self) -> [u8; APPLIED_BYTES] {
        let mut bytes = [0; APPLIED_BYTES];
        bytes[4..8].copy_from_slice(&FORMAT.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.lsn.0.to_le_bytes());
        bytes[16..].copy_from_slice(&self.digest.to_le_bytes());
        let crc = crc32c::crc32c(&bytes[4..]);
        bytes[..4].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    fn decode(bytes: &[u8]) -> Result<Self> {
        let damaged = |what: &str| Error::Corrupt(format!("the index: {what}"));
        let bytes: &[u8; APPLIED_BYTES] = bytes.try_into().map_err(|_| damaged("its LSN does not check"))?;
        let word = |at: usize| u64::from_le_bytes(std::array::from_fn(|byte| bytes[at + byte]));
        let (crc, format) = (word(0) & 0xffff_ffff, word(0) >> 32);
        if crc != u64::from(crc32c::crc32c(&bytes[4..])) {
            return Err(damaged("its LSN does not check"));
        }
        if format != u64::from(FORMAT) {
            return Err(damaged("it is of another version"));
        }
        Ok(Self { lsn: Lsn(word(8)), digest: word(16) })
    }
}
