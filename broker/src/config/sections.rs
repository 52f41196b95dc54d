//! The sections of the configuration, typed.
//!
//! Each field is the key of the same name; `config/millpond.toml` says what it does and holds its default. A section's
//! `read` gives each key its range, and is the only place that does.

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use super::address::Address;
use super::keys::Keys;
use crate::limits::{HttpLimits, Limits};

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;
const TIB: u64 = 1 << 40;

const SECOND: u64 = 1_000;
const MINUTE: u64 = 60 * SECOND;
const DAY: u64 = 24 * 60 * MINUTE;

/// Kafka's 32-bit numbers, where a key is one.
const INT_MAX: u64 = i32::MAX as u64;
/// Longer text does not fit into Kafka's format of a position.
const POSITION_TEXT_MAX: u64 = i16::MAX as u64;
/// Kafka's 64-bit numbers are signed.
const LONG_MAX: u64 = i64::MAX as u64;

/// `[server]`: sockets, data, identity.
#[derive(Clone, Debug)]
pub struct ServerConfig {
    /// The directory of all data.
    pub data: PathBuf,
    /// Where Kafka clients are listened for.
    pub kafka: Address,
    /// What clients are told to connect to; `None` means the address at which each reached the broker.
    pub advertised: Option<Address>,
    /// Where HTTP is listened for.
    pub http: Address,
    /// The broker's number.
    pub node_id: i32,
}

impl ServerConfig {
    pub(super) fn read(keys: &mut Keys) -> Self {
        let node_id = keys.number("server.node_id", 0..=INT_MAX);
        let config = Self {
            data: keys.text("server.data", |text| !text.is_empty(), "the path of a directory").into(),
            kafka: keys.address("server.kafka"),
            advertised: keys.optional_address("server.advertised"),
            http: keys.address("server.http"),
            node_id: i32::try_from(node_id).unwrap_or(i32::MAX),
        };
        if config.advertised.as_ref().is_some_and(|address| address.port == 0) {
            keys.refuse("server.advertised", "a port from 1 to 65535, since clients connect to it".to_owned());
        }
        config
    }
}

/// `[limits]`: what one client, and all of them together, may take.
pub(super) fn read_limits(keys: &mut Keys) -> Limits {
    let limits = Limits {
        frame_bytes_max: keys.size("limits.frame_bytes_max", KIB..=INT_MAX),
        decoded_bytes_max: keys.size("limits.decoded_bytes_max", MIB..=TIB),
        connections_max: keys.count("limits.connections_max", 1..=INT_MAX),
        connections_per_address_max: keys.count("limits.connections_per_address_max", 1..=INT_MAX),
        in_flight_requests_max: keys.count("limits.in_flight_requests_max", 1..=10_000),
        in_flight_bytes_max: keys.size("limits.in_flight_bytes_max", KIB..=TIB),
        queued_bytes_max: keys.size("limits.queued_bytes_max", KIB..=TIB),
        queued_bytes_reserve: keys.size("limits.queued_bytes_reserve", KIB..=TIB),
        unsent_bytes_max: keys.size("limits.unsent_bytes_max", KIB..=TIB),
        unsent_bytes_total_max: keys.size("limits.unsent_bytes_total_max", KIB..=TIB),
        decompressed_bytes_max: keys.size("limits.decompressed_bytes_max", MIB..=TIB),
        fetch_bytes_max: keys.size("limits.fetch_bytes_max", KIB..=INT_MAX),
        fetch_sessions_max: keys.count("limits.fetch_sessions_max", 0..=1_000_000),
        idle_timeout: keys.duration("limits.idle_timeout_ms", SECOND..=LONG_MAX),
        frame_timeout: keys.duration("limits.frame_timeout_ms", SECOND..=DAY),
        write_timeout: keys.duration("limits.write_timeout_ms", SECOND..=DAY),
        shutdown_timeout: keys.duration("limits.shutdown_timeout_ms", 0..=DAY),
    };
    // A request that is allowed must fit where it waits, or its connection would stall for ever.
    if limits.queued_bytes_max < limits.frame_bytes_max {
        let allowed = format!("at least limits.frame_bytes_max ({} bytes)", limits.frame_bytes_max);
        keys.refuse("limits.queued_bytes_max", allowed);
    }
    limits
}

/// What a request has beside one batch: its header and names.
const AROUND_BATCH: usize = 1 << 10;

/// A batch that topics take must fit into a request that is taken, and be opened.
pub(super) fn check_batches(keys: &mut Keys, limits: &Limits, topics: &TopicsConfig) {
    let batch = usize::try_from(topics.message_bytes_max).unwrap_or(usize::MAX);
    let room = limits.frame_bytes_max.saturating_sub(AROUND_BATCH);
    if batch > room {
        let frame = limits.frame_bytes_max;
        let allowed = format!(
            "at most {room}, since a request of at most limits.frame_bytes_max ({frame} bytes) brings a batch and {AROUND_BATCH} bytes around it"
        );
        keys.refuse("topics.message_bytes_max", allowed);
    }
    if batch > limits.decompressed_bytes_max {
        let allowed = format!("at least topics.message_bytes_max ({batch} bytes)");
        keys.refuse("limits.decompressed_bytes_max", allowed);
    }
}

/// `[http]`: what HTTP may take.
pub(super) fn read_http_limits(keys: &mut Keys) -> HttpLimits {
    HttpLimits {
        connections_max: keys.count("http.connections_max", 1..=INT_MAX),
        connections_per_address_max: keys.count("http.connections_per_address_max", 1..=INT_MAX),
        body_bytes_max: keys.size("http.body_bytes_max", KIB..=GIB),
        body_timeout: keys.duration("http.body_timeout_ms", SECOND..=DAY),
        head_timeout: keys.duration("http.head_timeout_ms", SECOND..=DAY),
        idle_timeout: keys.duration("http.idle_timeout_ms", SECOND..=DAY),
        shutdown_timeout: keys.duration("http.shutdown_timeout_ms", 0..=DAY),
    }
}

/// When a write counts as done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Durability {
    /// When it is on the disk.
    Fsync,
    /// When the operating system has it.
    PageCache,
}

impl Durability {
    /// Its name in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::Fsync => "fsync",
            Self::PageCache => "page-cache",
        }
    }
}

/// `[log]`: the log of each volume.
#[derive(Clone, Debug)]
pub struct LogConfig {
    /// For volumes that do not say.
    pub durability: Durability,
    /// The size at which a log file is closed.
    pub file_bytes: u64,
    /// The age at which a log file is closed if something in it waits to be let go.
    pub roll: Duration,
    /// Memory for what was written last.
    pub tail_cache_bytes: u64,
    /// Log between two checkpoints of the state.
    pub checkpoint_bytes: u64,
    /// Memory of the index of the state.
    pub index_cache_bytes: u64,
    /// Memory for the keys that a compaction has seen.
    pub compaction_keys_bytes: u64,
    /// What compaction reads and writes in a second.
    pub compaction_bytes_per_second_max: Option<u64>,
    /// How often it is looked for what is to be compacted.
    pub compaction_check_interval: Duration,
    /// Threads that write to logs.
    pub writer_threads: usize,
}

impl LogConfig {
    pub(super) fn read(keys: &mut Keys) -> Self {
        let durabilities = [Durability::Fsync, Durability::PageCache].map(|choice| (choice.name(), choice));
        Self {
            durability: keys.choice("log.durability", &durabilities),
            file_bytes: keys.bytes("log.file_bytes", MIB..=GIB),
            roll: keys.duration("log.roll_ms", SECOND..=LONG_MAX),
            tail_cache_bytes: keys.bytes("log.tail_cache_bytes", 0..=TIB),
            checkpoint_bytes: keys.bytes("log.checkpoint_bytes", MIB..=TIB),
            index_cache_bytes: keys.bytes("log.index_cache_bytes", MIB..=TIB),
            compaction_keys_bytes: keys.bytes("log.compaction_keys_bytes", MIB..=TIB),
            compaction_bytes_per_second_max: keys
                .bytes_or_unlimited("log.compaction_bytes_per_second_max", 1024..=LONG_MAX),
            compaction_check_interval: keys.duration("log.compaction_check_interval_ms", 1..=LONG_MAX),
            writer_threads: keys.count("log.writer_threads", 1..=64),
        }
    }
}

/// Whose clock stamps a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TimestampType {
    /// The producer's.
    CreateTime,
    /// The broker's.
    LogAppendTime,
}

impl TimestampType {
    /// Both, by Kafka's names.
    pub const NAMES: [(&'static str, Self); 2] =
        [("CreateTime", Self::CreateTime), ("LogAppendTime", Self::LogAppendTime)];
}

/// What happens to old records: one of the two at least.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CleanupPolicy {
    /// They go by retention.
    pub deletes: bool,
    /// Those go that a later one of their key supersedes.
    pub compacts: bool,
}

impl CleanupPolicy {
    const NAMES: [(&'static str, Self); 4] = [
        ("delete", Self { deletes: true, compacts: false }),
        ("compact", Self { deletes: false, compacts: true }),
        ("compact,delete", Self { deletes: true, compacts: true }),
        ("delete,compact", Self { deletes: true, compacts: true }),
    ];

    /// What a checked list says.
    pub fn of(list: &str) -> Self {
        let has = |name: &str| list.split(',').any(|item| item.trim() == name);
        Self { deletes: has("delete"), compacts: has("compact") }
    }
}

/// `[topics]`: what holds for topics that do not say otherwise.
#[derive(Clone, Debug)]
pub struct TopicsConfig {
    /// Whether topics come into being when they are asked for.
    pub auto_create: bool,
    /// Whether topics can be deleted.
    pub allow_delete: bool,
    /// Partitions of a topic that is created without a number.
    pub num_partitions: i32,
    /// What happens to old records.
    pub cleanup: CleanupPolicy,
    /// The share of bytes not looked at yet above which a partition is compacted.
    pub dirty_ratio_min: f64,
    /// The age below which records are not compacted.
    pub compaction_lag_min: Duration,
    /// The age of a record from which on its partition is compacted; `i64::MAX` milliseconds is no limit.
    pub compaction_lag_max: Duration,
    /// How long compacted topics keep tombstones.
    pub tombstone_retention: Duration,
    /// How long records are kept.
    pub retention: Option<Duration>,
    /// Bytes kept of each partition.
    pub retention_bytes: Option<u64>,
    /// How often retention is applied.
    pub retention_check_interval: Duration,
    /// Bytes of a segment.
    pub segment_bytes: u64,
    /// Age at which a segment ends.
    pub segment_time: Duration,
    /// The largest record batch.
    pub message_bytes_max: u64,
    /// Whose clock stamps a record.
    pub timestamp_type: TimestampType,
    /// How far a timestamp may lie behind the broker's clock; `i64::MAX` milliseconds is no limit.
    pub timestamp_before_max: Duration,
    /// How far a timestamp may lie ahead of the broker's clock; `i64::MAX` milliseconds is no limit.
    pub timestamp_after_max: Duration,
    /// Whether every byte of a batch's records is looked at when it is produced.
    pub validate_all_records: bool,
}

impl TopicsConfig {
    /// Partitions that one topic may have: what one request can still create or describe in good time.
    pub const PARTITIONS: RangeInclusive<u64> = 1..=100_000;

    pub(super) fn read(keys: &mut Keys) -> Self {
        let num_partitions = keys.number("topics.num_partitions", Self::PARTITIONS);
        let compaction_lag_min = keys.duration("topics.compaction_lag_min_ms", 0..=LONG_MAX);
        let compaction_lag_max = keys.duration_or_longest("topics.compaction_lag_max_ms", 1..=LONG_MAX);
        if compaction_lag_min > compaction_lag_max {
            keys.refuse("topics.compaction_lag_min_ms", "at most topics.compaction_lag_max_ms".to_owned());
        }
        Self {
            auto_create: keys.flag("topics.auto_create"),
            allow_delete: keys.flag("topics.allow_delete"),
            num_partitions: i32::try_from(num_partitions).unwrap_or(i32::MAX),
            cleanup: keys.choice("topics.cleanup_policy", &CleanupPolicy::NAMES),
            dirty_ratio_min: keys.ratio("topics.dirty_ratio_min"),
            compaction_lag_min,
            compaction_lag_max,
            tombstone_retention: keys.duration("topics.tombstone_retention_ms", 0..=LONG_MAX),
            retention: keys.duration_or_unlimited("topics.retention_ms", 0..=LONG_MAX),
            retention_bytes: keys.bytes_or_unlimited("topics.retention_bytes", 0..=LONG_MAX),
            retention_check_interval: keys.duration("topics.retention_check_interval_ms", 1..=LONG_MAX),
            segment_bytes: keys.bytes("topics.segment_bytes", MIB..=INT_MAX),
            segment_time: keys.duration("topics.segment_ms", 1..=LONG_MAX),
            message_bytes_max: keys.bytes("topics.message_bytes_max", 0..=INT_MAX),
            timestamp_type: keys.choice("topics.timestamp_type", &TimestampType::NAMES),
            timestamp_before_max: keys.duration_or_longest("topics.timestamp_before_max_ms", 0..=LONG_MAX),
            timestamp_after_max: keys.duration_or_longest("topics.timestamp_after_max_ms", 0..=LONG_MAX),
            validate_all_records: keys.choice("topics.validate_records", &[("fronts", false), ("all", true)]),
        }
    }
}

/// `[groups]`: consumer groups and their positions.
#[derive(Clone, Debug)]
pub struct GroupsConfig {
    /// The shortest session timeout that a member may ask for.
    pub session_timeout_min: Duration,
    /// The longest session timeout that a member may ask for.
    pub session_timeout_max: Duration,
    /// How long an empty group waits for further members before its first rebalance.
    pub initial_rebalance_delay: Duration,
    /// Members that one group may have.
    pub members_max: u64,
    /// How long the positions of a group without members are kept.
    pub offsets_retention: Duration,
    /// How often positions are looked through for expired ones.
    pub offsets_retention_check_interval: Duration,
    /// The longest text that may go with a committed position.
    pub offset_metadata_bytes_max: u64,
}

impl GroupsConfig {
    pub(super) fn read(keys: &mut Keys) -> Self {
        let config = Self {
            session_timeout_min: keys.duration("groups.session_timeout_min_ms", 1..=INT_MAX),
            session_timeout_max: keys.duration("groups.session_timeout_max_ms", 1..=INT_MAX),
            initial_rebalance_delay: keys.duration("groups.initial_rebalance_delay_ms", 0..=INT_MAX),
            members_max: keys.number("groups.members_max", 1..=INT_MAX),
            offsets_retention: keys.duration("groups.offsets_retention_ms", MINUTE..=INT_MAX * MINUTE),
            offsets_retention_check_interval: keys.duration("groups.offsets_retention_check_interval_ms", 1..=LONG_MAX),
            offset_metadata_bytes_max: keys.bytes("groups.offset_metadata_bytes_max", 0..=POSITION_TEXT_MAX),
        };
        if config.session_timeout_max < config.session_timeout_min {
            keys.refuse("groups.session_timeout_max_ms", "at least groups.session_timeout_min_ms".to_owned());
        }
        config
    }
}

/// `[producers]`: idempotent producers.
#[derive(Clone, Debug)]
pub struct ProducersConfig {
    /// How long the sequence of an idle producer is remembered.
    pub id_expiration: Duration,
}

impl ProducersConfig {
    pub(super) fn read(keys: &mut Keys) -> Self {
        Self { id_expiration: keys.duration("producers.id_expiration_ms", 1..=INT_MAX) }
    }
}

/// `[history]`: how much of the past can still be frozen.
#[derive(Clone, Debug)]
pub struct HistoryConfig {
    /// How far back.
    pub retention: Duration,
    /// Bytes that the past may hold back from collection.
    pub bytes_max: Option<u64>,
}

impl HistoryConfig {
    pub(super) fn read(keys: &mut Keys) -> Self {
        Self {
            retention: keys.duration("history.retention_ms", 0..=LONG_MAX),
            bytes_max: keys.bytes_or_unlimited("history.bytes_max", 0..=LONG_MAX),
        }
    }
}

/// `[disk]`: what happens before the disk is full.
#[derive(Clone, Debug)]
pub struct DiskConfig {
    /// Free space below which records are refused.
    pub free_bytes_min: u64,
    /// The size of the file kept in reserve.
    pub ballast_bytes: u64,
}

impl DiskConfig {
    pub(super) fn read(keys: &mut Keys) -> Self {
        Self {
            free_bytes_min: keys.bytes("disk.free_bytes_min", 0..=TIB),
            ballast_bytes: keys.bytes("disk.ballast_bytes", 0..=TIB),
        }
    }
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LogFormat {
    /// Human, coloured on a terminal.
    Auto,
    /// Human, without colours.
    Human,
    /// One JSON object a line.
    Json,
}

/// `[logging]`: the broker's own log lines.
#[derive(Clone, Debug)]
pub struct LoggingConfig {
    /// How lines look.
    pub format: LogFormat,
    /// Which lines there are, as `tracing`'s directives.
    pub filter: String,
}

impl LoggingConfig {
    pub(super) fn read(keys: &mut Keys) -> Self {
        let formats = [("auto", LogFormat::Auto), ("human", LogFormat::Human), ("json", LogFormat::Json)];
        Self {
            format: keys.choice("logging.format", &formats),
            filter: keys.text("logging.filter", is_filter, "levels, such as info or info,millpond::api=debug"),
        }
    }
}

/// Whether `text` is `level` or `module=level`, any number of them with commas between. (`tracing` by itself takes a
/// misspelt level for a module's name, and then logs nothing.)
fn is_filter(text: &str) -> bool {
    let is_level = |text: &str| text.parse::<tracing::metadata::LevelFilter>().is_ok();
    text.split(',').all(|part| match part.split_once('=') {
        Some((module, level)) => !module.is_empty() && is_level(level),
        None => is_level(part),
    })
}
