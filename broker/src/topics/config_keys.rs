//! The configuration keys of topics: one row each. Checks, Describe, Alter and the documentation derive from the table.
//!
//! A row is either *obeyed*: what it allows is a range, and [`TopicSettings`](super::settings::TopicSettings) has a field
//! for it; or *fixed*: Kafka has the key, only one value of it is true of this broker, and any other is refused with the
//! reason. So a stored key is always an enforced key. What is not in the table does not exist.
//!
//! `min.insync.replicas` is obeyed without a field. As in Kafka 4 the number that counts is the lower of it and the
//! replicas that the topic has; that is one, and the one is always in sync.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::lags::Lag;
use crate::config::ConfigType;
use crate::config::ConfigType::{Boolean, Double, Int, List, Long, Short, String as Text};

/// One configuration key of topics.
#[derive(Debug)]
pub struct ConfigKey {
    /// Kafka's name for it.
    pub name: &'static str,
    /// Its type.
    pub config_type: ConfigType,
    /// Kafka's name for the broker's key that holds for topics without one of their own.
    pub broker_name: &'static str,
    /// What values are taken.
    pub allows: Allows,
    /// One line.
    pub documentation: &'static str,
}

/// What values a key takes.
#[derive(Debug)]
pub enum Allows {
    /// Whole numbers from here to there.
    Number(i64, i64),
    /// One of these.
    OneOf(&'static [&'static str]),
    /// Numbers with a fraction, from here to there.
    Fraction(f64, f64),
    /// A list of some of these, one at least, none twice; the first of them where nobody says anything.
    Some(&'static [&'static str]),
    /// This one, for this reason.
    Only(&'static str, &'static str),
}

use Allows::{Fraction, Number, OneOf, Only};

const INT_MAX: i64 = i32::MAX as i64;
const LONG_MAX: i64 = i64::MAX;

const NO_RECOMPRESSION: &str = "batches are kept as their producer compressed them";
const NO_TIERS: &str = "there is no tiered storage";
const NO_REPLICAS: &str = "a partition has one replica";
const NO_OWN_FILES: &str = "partitions have no files of their own, they share their volume's log";
const VOLUME_SYNCS: &str = "when writes are synced is the volume's durability (log.durability), for all its topics";

/// Every key, by name.
pub static CONFIG_KEYS: [ConfigKey; 31] = [
    key(
        "cleanup.policy",
        List,
        "log.cleanup.policy",
        Allows::Some(&["delete", "compact"]),
        "What happens to old records: deleted by retention, or compacted to the last one of each key, or both.",
    ),
    key("compression.gzip.level", Int, "compression.gzip.level", Only("-1", NO_RECOMPRESSION), "The level of gzip."),
    key("compression.lz4.level", Int, "compression.lz4.level", Only("9", NO_RECOMPRESSION), "The level of lz4."),
    key(
        "compression.type",
        Text,
        "compression.type",
        Only("producer", NO_RECOMPRESSION),
        "How batches are compressed when they are stored.",
    ),
    key("compression.zstd.level", Int, "compression.zstd.level", Only("3", NO_RECOMPRESSION), "The level of zstd."),
    key(
        "delete.retention.ms",
        Long,
        "log.cleaner.delete.retention.ms",
        Number(0, LONG_MAX),
        "How long a compacted topic keeps tombstones, from the first compaction on that sees them.",
    ),
    key(
        "file.delete.delay.ms",
        Long,
        "log.segment.delete.delay.ms",
        Only("60000", NO_OWN_FILES),
        "How long a segment's files stay after its deletion.",
    ),
    key(
        "flush.messages",
        Long,
        "log.flush.interval.messages",
        Only("9223372036854775807", VOLUME_SYNCS),
        "Records after which a partition is synced.",
    ),
    key(
        "flush.ms",
        Long,
        "log.flush.interval.ms",
        Only("9223372036854775807", VOLUME_SYNCS),
        "Time after which a partition is synced.",
    ),
    key(
        "follower.replication.throttled.replicas",
        List,
        "follower.replication.throttled.replicas",
        Only("", NO_REPLICAS),
        "Replicas whose catching up is throttled.",
    ),
    key(
        "index.interval.bytes",
        Int,
        "log.index.interval.bytes",
        Only("4096", NO_OWN_FILES),
        "Bytes between two entries of a segment's index.",
    ),
    key(
        "leader.replication.throttled.replicas",
        List,
        "leader.replication.throttled.replicas",
        Only("", NO_REPLICAS),
        "Replicas whose reads by followers are throttled.",
    ),
    key(
        "local.retention.bytes",
        Long,
        "log.local.retention.bytes",
        Only("-2", NO_TIERS),
        "Bytes of each partition kept here beside a remote tier.",
    ),
    key(
        "local.retention.ms",
        Long,
        "log.local.retention.ms",
        Only("-2", NO_TIERS),
        "How long records are kept here beside a remote tier.",
    ),
    key(
        "max.compaction.lag.ms",
        Long,
        "log.cleaner.max.compaction.lag.ms",
        Number(1, LONG_MAX),
        "The age of a record from which on its partition is compacted, however little there is to gain.",
    ),
    key(
        "max.message.bytes",
        Int,
        "message.max.bytes",
        Number(0, INT_MAX),
        "The largest record batch that the topic takes, compressed as it is.",
    ),
    key(
        "message.timestamp.after.max.ms",
        Long,
        "log.message.timestamp.after.max.ms",
        Number(0, LONG_MAX),
        "How far a producer's timestamp may lie ahead of the broker's clock, with CreateTime.",
    ),
    key(
        "message.timestamp.before.max.ms",
        Long,
        "log.message.timestamp.before.max.ms",
        Number(0, LONG_MAX),
        "How far a producer's timestamp may lie behind the broker's clock, with CreateTime.",
    ),
    key(
        "message.timestamp.type",
        Text,
        "log.message.timestamp.type",
        OneOf(&["CreateTime", "LogAppendTime"]),
        "Whose clock stamps a record: the producer's or the broker's.",
    ),
    key(
        "min.cleanable.dirty.ratio",
        Double,
        "log.cleaner.min.cleanable.ratio",
        Fraction(0.0, 1.0),
        "The share of a partition's bytes that were not looked at yet above which it is compacted.",
    ),
    key(
        "min.compaction.lag.ms",
        Long,
        "log.cleaner.min.compaction.lag.ms",
        Number(0, LONG_MAX),
        "The age below which records are not compacted.",
    ),
    key(
        "min.insync.replicas",
        Int,
        "min.insync.replicas",
        Number(1, INT_MAX),
        "Replicas that must have a write before it is acknowledged; never more than the topic has, which is one.",
    ),
    key(
        "preallocate",
        Boolean,
        "log.preallocate",
        Only("false", NO_OWN_FILES),
        "Whether segment files are preallocated.",
    ),
    key(
        "remote.log.copy.disable",
        Boolean,
        "remote.log.copy.disable",
        Only("false", NO_TIERS),
        "Whether nothing more goes to the remote tier.",
    ),
    key(
        "remote.log.delete.on.disable",
        Boolean,
        "remote.log.delete.on.disable",
        Only("false", NO_TIERS),
        "Whether what lies in the remote tier is deleted when it is disabled.",
    ),
    key(
        "remote.storage.enable",
        Boolean,
        "remote.storage.enable",
        Only("false", NO_TIERS),
        "Whether the topic has a remote tier.",
    ),
    key(
        "retention.bytes",
        Long,
        "log.retention.bytes",
        Number(-1, LONG_MAX),
        "Bytes of each partition that are kept; -1 keeps all.",
    ),
    key("retention.ms", Long, "log.retention.ms", Number(-1, LONG_MAX), "How long records are kept; -1 keeps all."),
    key(
        "segment.bytes",
        Int,
        "log.segment.bytes",
        Number(1 << 20, INT_MAX),
        "Bytes of a partition that retention drops together.",
    ),
    key(
        "segment.ms",
        Long,
        "log.roll.ms",
        Number(1, LONG_MAX),
        "The time after which a segment ends although it is not full.",
    ),
    key(
        "unclean.leader.election.enable",
        Boolean,
        "unclean.leader.election.enable",
        Only("false", NO_REPLICAS),
        "Whether a replica that is behind may become the leader.",
    ),
];

const fn key(
    name: &'static str,
    config_type: ConfigType,
    broker_name: &'static str,
    allows: Allows,
    documentation: &'static str,
) -> ConfigKey {
    ConfigKey { name, config_type, broker_name, allows, documentation }
}

/// A topic's configuration is refused. Displays as the message that the client gets with `INVALID_CONFIG`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidConfig {
    /// No topic key has this name.
    #[error("Unknown topic config name: {0}")]
    Unknown(String),
    /// The value is not allowed.
    #[error("Invalid value {value:?} for topic config {name}: {allowed}")]
    Value {
        /// The key.
        name: &'static str,
        /// The value that was given.
        value: String,
        /// What is allowed.
        allowed: String,
    },
    /// No value was given where one is needed.
    #[error("Null value not supported for topic config {0}")]
    Null(&'static str),
    /// Two keys contradict each other.
    #[error("Conflict of topic configs: min.compaction.lag.ms ({min}) is above max.compaction.lag.ms ({max})")]
    Lags {
        /// The one.
        min: Lag,
        /// The other.
        max: Lag,
    },
    /// Append and subtract are for lists.
    #[error("Can't add to or take from topic config {0}: its type is not LIST")]
    NotAList(&'static str),
}

impl ConfigKey {
    /// The row of `name`.
    pub fn find(name: &str) -> Result<&'static Self, InvalidConfig> {
        CONFIG_KEYS.iter().find(|key| key.name == name).ok_or_else(|| InvalidConfig::Unknown(name.to_owned()))
    }

    /// Whether a topic may have `value` for this key.
    pub fn check(&self, value: &str) -> Result<(), InvalidConfig> {
        let value = value.trim();
        let is_allowed = match self.allows {
            Number(min, max) => value.parse().is_ok_and(|number: i64| (min..=max).contains(&number)),
            OneOf(names) => names.contains(&value),
            Fraction(min, max) => value.parse().is_ok_and(|number: f64| (min..=max).contains(&number)),
            Allows::Some(names) => {
                let given: Vec<&str> = value.split(',').map(str::trim).collect();
                let is_once = |at: usize, item: &&str| names.contains(item) && !given[..at].contains(item);
                given.iter().enumerate().all(|(at, item)| is_once(at, item))
            }
            Only(fixed, _) => is_same(self.config_type, value, fixed),
        };
        if is_allowed {
            return Ok(());
        }
        Err(InvalidConfig::Value { name: self.name, value: value.to_owned(), allowed: self.allowed() })
    }

    /// The one value that is true of this broker, where the key is fixed.
    pub fn fixed(&self) -> Option<&'static str> {
        match self.allows {
            Only(fixed, _) => Some(fixed),
            Number(..) | OneOf(_) | Fraction(..) | Allows::Some(_) => None,
        }
    }

    /// What a list is that nobody has set, where items are added to it or taken from it.
    fn list_default(&self) -> Option<&'static str> {
        match self.allows {
            Allows::Some(names) => names.first().copied(),
            _ => self.fixed(),
        }
    }

    /// What is allowed, in words.
    pub fn allowed(&self) -> String {
        match self.allows {
            Number(min, max) => format!("must be a whole number from {min} to {max}"),
            OneOf(names) => format!("must be {}", names.join(" or ")),
            Fraction(min, max) => format!("must be a number from {min} to {max}"),
            Allows::Some(names) => format!("must be {}, or both with a comma", names.join(" or ")),
            Only(fixed, reason) => format!("only {fixed:?} is supported, since {reason}"),
        }
    }
}

/// The table of the docs, in Markdown.
pub fn markdown() -> String {
    let mut text = String::from("| key | what it does | allowed |\n|---|---|---|\n");
    for key in &CONFIG_KEYS {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "| `{}` | {} | {} |", key.name, key.documentation, key.allowed());
    }
    text
}

/// Whether two spellings mean one value.
fn is_same(config_type: ConfigType, value: &str, fixed: &str) -> bool {
    match config_type {
        Boolean => value.eq_ignore_ascii_case(fixed),
        Short | Int | Long => value.parse::<i64>().ok() == fixed.parse().ok(),
        Double => value.parse::<f64>().ok() == fixed.parse().ok(),
        Text | List => value == fixed,
    }
}

/// The keys that a topic has of its own, with their values as text.
pub type Overrides = BTreeMap<String, String>;

/// One change of one key, as `IncrementalAlterConfigs` has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change<'a> {
    /// The key gets this value.
    Set(Option<&'a str>),
    /// The key gets the broker's default again.
    Delete,
    /// These join the list.
    Append(Option<&'a str>),
    /// These leave the list.
    Subtract(Option<&'a str>),
}

/// Checks each of a new topic's keys (or of those of `AlterConfigs`, which replaces them all).
pub fn checked<'a>(given: impl IntoIterator<Item = (&'a str, Option<&'a str>)>) -> Result<Overrides, InvalidConfig> {
    let mut overrides = Overrides::new();
    for (name, value) in given {
        change(&mut overrides, name, Change::Set(value))?;
    }
    Ok(overrides)
}

/// Makes one change to a topic's keys, or refuses it and changes nothing. When all are made they have to [`agree`](super::lags::agree).
pub fn change(overrides: &mut Overrides, name: &str, change: Change<'_>) -> Result<(), InvalidConfig> {
    let key = ConfigKey::find(name)?;
    let value = match change {
        Change::Delete => {
            overrides.remove(key.name);
            return Ok(());
        }
        Change::Set(value) => value.ok_or(InvalidConfig::Null(key.name))?.trim().to_owned(),
        Change::Append(value) => key.list_with(overrides, value, |list, item| {
            if !list.contains(&item) {
                list.push(item);
            }
        })?,
        Change::Subtract(value) => key.list_with(overrides, value, |list, item| list.retain(|have| *have != item))?,
    };
    key.check(&value)?;
    overrides.insert(key.name.to_owned(), value);
    Ok(())
}

impl ConfigKey {
    /// The list that the topic has now, after `edit` with each item of `value`.
    fn list_with<'a>(
        &self,
        overrides: &'a Overrides,
        value: Option<&'a str>,
        edit: impl Fn(&mut Vec<&'a str>, &'a str),
    ) -> Result<String, InvalidConfig> {
        if self.config_type != List {
            return Err(InvalidConfig::NotAList(self.name));
        }
        let current = overrides.get(self.name).map(String::as_str).or(self.list_default()).unwrap_or_default();
        let mut list: Vec<&str> = items(current).collect();
        items(value.ok_or(InvalidConfig::Null(self.name))?).for_each(|item| edit(&mut list, item));
        Ok(list.join(","))
    }
}

fn items(list: &str) -> impl Iterator<Item = &str> {
    list.split(',').map(str::trim).filter(|item| !item.is_empty())
}

#[cfg(test)]
mod tests;
