//! What an engine is opened with. Everything the engine would otherwise take from the world (disk, clock, the end of the process) comes in here, so that
//! tests are seeded and replayable.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::disk::Disk;
use crate::state::{Durability, State, Topic, VolumeId};

/// What a topic's settings mean to the engine.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Policy {
    /// Bytes of a virtual segment (`segment.bytes`).
    pub segment_bytes: u64,
    /// Milliseconds that a virtual segment spans at most (`segment.ms`).
    pub segment_ms: i64,
    /// How old records may get, in milliseconds (`retention.ms`); `None`: for ever.
    pub retention_ms: Option<i64>,
    /// How many bytes a partition may hold (`retention.bytes`); `None`: any number.
    pub retention_bytes: Option<u64>,
    /// Whether the latest record of each key is kept and older ones go (`cleanup.policy`), and how.
    pub compaction: Option<CompactionPolicy>,
}

/// How a topic is compacted.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct CompactionPolicy {
    /// The share of bytes not yet looked at above which a partition is compacted (`min.cleanable.dirty.ratio`).
    pub dirty_ratio_min: f64,
    /// How long a record stays as it was written, in milliseconds (`min.compaction.lag.ms`).
    pub lag_min_ms: i64,
    /// The age of a record, in milliseconds, from which on a partition is compacted whatever its share (`max.compaction.lag.ms`).
    pub lag_max_ms: i64,
    /// How long a tombstone is kept after it was first seen, in milliseconds (`delete.retention.ms`).
    pub tombstones_ms: i64,
}

impl Default for CompactionPolicy {
    fn default() -> Self {
        Self { dirty_ratio_min: 0.5, lag_min_ms: 0, lag_max_ms: i64::MAX, tombstones_ms: 24 * 3_600_000 }
    }
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            segment_bytes: 1 << 30,
            segment_ms: 7 * 24 * 3_600_000,
            retention_ms: Some(7 * 24 * 3_600_000),
            retention_bytes: None,
            compaction: None,
        }
    }
}

/// What the settings of a topic mean, in the state that it is part of.
pub type PolicyOf = Arc<dyn Fn(&State, &Topic) -> Policy + Send + Sync>;
/// The history of a volume, in milliseconds, as the state of `system` has it.
pub type HistoryOf = Arc<dyn Fn(&State, VolumeId) -> Option<i64> + Send + Sync>;

/// How to open an engine.
#[derive(Clone)]
pub struct Options {
    /// The data directory.
    pub disk: Arc<dyn Disk>,
    /// Milliseconds since the Unix epoch.
    pub clock: Arc<dyn Fn() -> i64 + Send + Sync>,
    /// What a topic's settings mean, in the state of its volume. Called under that state's lock: it takes no lock.
    pub policy: PolicyOf,
    /// Called once when the engine cannot go on (a failed sync); the process is expected to end.
    pub on_fatal: Arc<dyn Fn(&str) + Send + Sync>,
    /// Of volumes that do not say.
    pub durability: Durability,
    /// A log file is ended at this size, 64 KiB to 1 GiB.
    pub log_file_bytes: u64,
    /// The log file that is appended to is ended at this age, in milliseconds, if something in it waits to be let go.
    pub log_roll_ms: i64,
    /// The tail cache; 0: none.
    pub cache_bytes: u64,
    /// A checkpoint is made after so many bytes of log.
    pub checkpoint_bytes: u64,
    /// Where the state index (sled) is kept, in the real file system; `None`: none.
    pub index_dir: Option<PathBuf>,
    /// Memory of the state index.
    pub index_cache_bytes: u64,
    /// How long an idle producer is remembered, in milliseconds.
    pub producer_expiration_ms: i64,
    /// How much the records of one batch may become when they are opened.
    pub plain_bytes_max: usize,
    /// How far back the past may be frozen, in milliseconds.
    pub history_ms: i64,
    /// What `system` says of that for a volume, if anything. Called under that state's lock: it takes no lock.
    pub history_of: HistoryOf,
    /// How many bytes that only the history needs are kept at most.
    pub history_bytes: u64,
    /// How often retention is looked at, in milliseconds.
    pub retention_check_ms: i64,
    /// How often it is looked for what is to be compacted, in milliseconds.
    pub compaction_check_ms: i64,
    /// The memory that a compaction takes for the keys that it has seen.
    pub compaction_keys_bytes: u64,
    /// How many bytes compaction reads and writes in a second, at most.
    pub compaction_bytes_per_second: u64,
    /// Space set aside for a full disk.
    pub ballast_bytes: u64,
    /// Records are refused when less than this is free.
    pub free_floor_bytes: u64,
    /// Threads that write groups.
    pub writer_threads: usize,
    /// Whether a thread looks after the files by itself. Tests call [`crate::Engine::maintain`] instead.
    pub background: bool,
}

impl Options {
    /// The defaults, over a data directory.
    pub fn new(disk: Arc<dyn Disk>) -> Self {
        Self {
            disk,
            clock: Arc::new(wall_clock),
            policy: Arc::new(|_, _| Policy::default()),
            on_fatal: Arc::new(|why| tracing::error!("{why}")),
            durability: Durability::Fsync,
            log_file_bytes: 256 << 20,
            log_roll_ms: 3_600_000,
            cache_bytes: 64 << 20,
            checkpoint_bytes: 64 << 20,
            index_dir: None,
            index_cache_bytes: 8 << 20,
            producer_expiration_ms: 24 * 3_600_000,
            plain_bytes_max: 128 << 20,
            history_ms: 3_600_000,
            history_of: Arc::new(|_, _| None),
            history_bytes: 10 << 30,
            retention_check_ms: 300_000,
            compaction_check_ms: 15_000,
            compaction_keys_bytes: 128 << 20,
            compaction_bytes_per_second: u64::MAX,
            ballast_bytes: 64 << 20,
            free_floor_bytes: 256 << 20,
            writer_threads: 2,
            background: true,
        }
    }
}

/// The machine's clock.
fn wall_clock() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
