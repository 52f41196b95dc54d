//! The bytes of one file: as the page cache shows them, as the disk has them, and what lies between.

use std::collections::BTreeMap;

use super::seed::Seed;

/// What the disk writes whole or not at all.
const SECTOR: usize = 512;

/// A file's bytes.
#[derive(Clone, Debug, Default)]
pub(super) struct Node {
    pub(super) cache: Vec<u8>,
    durable: Vec<u8>,
    /// What each sector that is not clean has held since the last sync, oldest first: any of it may be on the disk.
    dirty: BTreeMap<usize, Vec<Vec<u8>>>,
    /// The lengths that the file has had since the last sync.
    lengths: Vec<usize>,
}

impl Node {
    pub(super) fn durable(bytes: &[u8]) -> Self {
        Self { cache: bytes.to_vec(), durable: bytes.to_vec(), ..Self::default() }
    }

    pub(super) fn write(&mut self, bytes: &[u8], position: usize) {
        if bytes.is_empty() {
            return;
        }
        let (before, end) = (self.cache.len(), position + bytes.len());
        if end > before {
            self.cache.resize(end, 0);
            self.lengths.push(end);
        }
        self.cache[position..end].copy_from_slice(bytes);
        self.touch(position.min(before), end); // a hole is written, too: with zeros
    }

    pub(super) fn truncate(&mut self, len: usize) {
        let before = self.cache.len();
        self.cache.resize(len, 0);
        self.lengths.push(len);
        if len > before {
            self.touch(before, len);
        } else {
            self.dirty.retain(|sector, _| sector * SECTOR < len);
        }
    }

    fn touch(&mut self, from: usize, to: usize) {
        for sector in from / SECTOR..to.div_ceil(SECTOR) {
            let end = ((sector + 1) * SECTOR).min(self.cache.len());
            let now = self.cache[sector * SECTOR..end].to_vec();
            self.dirty.entry(sector).or_default().push(now);
        }
    }

    /// All that is dirty reaches the disk.
    pub(super) fn sync(&mut self) {
        self.durable.resize(self.cache.len(), 0);
        for sector in std::mem::take(&mut self.dirty).into_keys() {
            let from = (sector * SECTOR).min(self.cache.len());
            let to = (from + SECTOR).min(self.cache.len());
            self.durable[from..to].copy_from_slice(&self.cache[from..to]);
        }
        self.lengths.clear();
    }

    /// What is dirty counts as clean, and is not on the disk.
    pub(super) fn forget_dirty(&mut self) {
        self.dirty.clear();
    }

    /// What is left when the power goes.
    pub(super) fn lose_power(&mut self, seed: &mut Seed) {
        let dirty = std::mem::take(&mut self.dirty);
        let lengths = std::mem::take(&mut self.lengths);
        let newest = self.cache.len();
        let mode = seed.below(6);
        let len = match mode {
            0 => self.durable.len(),
            1 | 3 | 4 => newest,
            _ => *std::iter::once(&self.durable.len())
                .chain(&lengths)
                .nth(seed.index(lengths.len() + 1))
                .unwrap_or(&newest),
        };
        self.durable.resize(len, 0);
        let at = dirty.keys().nth(seed.index(dirty.len())).copied().unwrap_or(0);
        for (sector, versions) in dirty {
            let kept = match mode {
                0 => None,
                1 => versions.last(),
                2 => versions.get(seed.index(versions.len() + 1)),
                3 => versions.last().filter(|_| sector <= at),
                4 => versions.last().filter(|_| sector > at),
                _ => versions.last().filter(|_| seed.coin()),
            };
            if let Some(bytes) = kept {
                self.put(sector * SECTOR, bytes);
            }
        }
        self.cache.clone_from(&self.durable);
    }

    fn put(&mut self, from: usize, bytes: &[u8]) {
        let to = (from + bytes.len()).min(self.durable.len());
        if from < to {
            self.durable[from..to].copy_from_slice(&bytes[..to - from]);
        }
    }

    pub(super) fn flip(&mut self, position: u64, bits: u8) -> bool {
        let Some(at) = usize::try_from(position).ok().filter(|at| *at < self.cache.len()) else { return false };
        self.cache[at] ^= bits;
        if let Some(byte) = self.durable.get_mut(at) {
            *byte ^= bits;
        }
        true
    }
}
