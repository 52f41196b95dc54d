//! What the engine counts, for whoever shows it. Plain atomics: reading never disturbs.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// A count that only grows.
#[derive(Default, Debug)]
pub struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    /// The count.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A level.
#[derive(Default, Debug)]
pub struct Gauge(AtomicU64);

impl Gauge {
    pub(crate) fn set(&self, level: u64) {
        self.0.store(level, Ordering::Relaxed);
    }

    /// The level.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Bounds of the buckets of [`Durations`], in microseconds.
pub const DURATION_BOUNDS_US: [u64; 14] =
    [50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 1_000_000, 5_000_000];

/// Durations by bucket.
#[derive(Default, Debug)]
pub struct Durations {
    buckets: [AtomicU64; DURATION_BOUNDS_US.len() + 1],
    sum_us: AtomicU64,
}

impl Durations {
    pub(crate) fn observe(&self, duration: Duration) {
        let us = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        let bucket = DURATION_BOUNDS_US.partition_point(|bound| *bound < us);
        self.buckets[bucket].fetch_add(1, Ordering::Relaxed);
        self.sum_us.fetch_add(us, Ordering::Relaxed);
    }

    /// How many fell into each bucket; the last is above all bounds.
    pub fn buckets(&self) -> Vec<u64> {
        self.buckets.iter().map(|bucket| bucket.load(Ordering::Relaxed)).collect()
    }

    /// How many there were.
    pub fn count(&self) -> u64 {
        self.buckets().iter().sum()
    }

    /// Their sum in microseconds.
    pub fn sum_us(&self) -> u64 {
        self.sum_us.load(Ordering::Relaxed)
    }
}

/// The engine's counters.
#[derive(Default, Debug)]
pub struct Stats {
    /// Bytes appended to logs, headers and padding included.
    pub log_bytes: Counter,
    /// Groups appended.
    pub log_groups: Counter,
    /// Syncs of logs.
    pub syncs: Durations,
    /// Reads answered from the tail cache.
    pub cache_hits: Counter,
    /// Reads that went to files.
    pub cache_misses: Counter,
    /// Bytes of batches that were read from files and checked.
    pub checked_bytes: Counter,
    /// Bytes of batches that were given by where they lie in a file, since they were found sound before.
    pub known_bytes: Counter,
    /// Log files sealed.
    pub sealed: Counter,
    /// Batches that a start found damaged: in the log, above the last checkpoint.
    pub lost_batches: Counter,
    /// Reads that came upon a damaged batch.
    pub damaged_reads: Counter,
    /// Bytes written by the rewriter.
    pub rewritten_bytes: Counter,
    /// Partitions compacted.
    pub compactions: Counter,
    /// Bytes of batches that compaction read.
    pub compaction_read_bytes: Counter,
    /// Bytes of files that compaction wrote.
    pub compaction_written_bytes: Counter,
    /// Records that compaction left out.
    pub compacted_records: Counter,
    /// Partitions that are not compacted any more since something in them could not be read.
    pub uncompactable_partitions: Counter,
    /// Bytes of files removed.
    pub removed_bytes: Counter,
    /// Checkpoints written.
    pub checkpoints: Counter,
    /// Times that upkeep (sealing, checkpoints, retention, collection, compaction) of a timeline failed, to be tried again.
    pub upkeep_failures: Counter,
    /// Bytes in files that the live view needs.
    pub live_bytes: Gauge,
    /// Bytes in files that only pins and the history window need.
    pub history_bytes: Gauge,
    /// Bytes in files that nothing needs.
    pub dead_bytes: Gauge,
    /// Free bytes on the file system.
    pub free_bytes: Gauge,
}
