//! The configuration: where each value comes from, its checks, and its description to clients.
//!
//! Layers, each overriding the one before: the defaults (`config/millpond.toml`, embedded), a file, the environment
//! (`MILLPOND__LOG__FILE_BYTES`), the command line (`--set log.file_bytes=64MiB`, `--data` and the other flags).
//!
//! - Every key exists in the file with its default and its explanation; a key that no section reads, or that the file
//!   does not have, fails a test here.
//! - An unknown key or a bad value stops the start; all of them are told at once ([`Invalid`]).
//! - Sections are plain typed structs ([`sections`]); nothing reads a key by its name after the start.

mod address;
mod keys;
mod lifetime;
mod reference;
mod sections;
mod size;
mod units;

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::path::PathBuf;

use ::config as layers;
use layers::{Environment, File, FileFormat, Value, ValueKind};

pub use address::{Address, NotAnAddress};
pub use keys::{ConfigType, Problem};
pub use lifetime::{NotALifetime, parse_lifetime, show_lifetime};
pub use sections::{
    CleanupPolicy, DiskConfig, Durability, GroupsConfig, HistoryConfig, LogConfig, LogFormat, LoggingConfig,
    ProducersConfig, ServerConfig, TimestampType, TopicsConfig,
};
pub use size::{NotASize, parse_size};
pub use units::{parse_bytes, parse_millis, show_bytes, show_bytes_roughly, show_millis};

use keys::{Found, Keys, Taken};
use reference::Explained;

use crate::limits::{HttpLimits, Limits};

/// Where a value can come from, beside a file's name and "the environment".
const COMMAND_LINE: &str = "the command line";
const DEFAULTS_ORIGIN: &str = "the defaults";

/// What the start of a program brings along.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// `--config`: a file of the user's own.
    pub file: Option<PathBuf>,
    /// Environment variables; those that begin with `MILLPOND__` are read.
    pub environment: Vec<(String, String)>,
    /// `--set` and the flags that stand for keys, in their order.
    pub overrides: Vec<(String, String)>,
}

/// The whole configuration.
#[derive(Clone, Debug)]
pub struct Config {
    /// `[server]`
    pub server: ServerConfig,
    /// `[limits]`
    pub limits: Limits,
    /// `[http]`
    pub http: HttpLimits,
    /// `[log]`
    pub log: LogConfig,
    /// `[topics]`
    pub topics: TopicsConfig,
    /// `[groups]`
    pub groups: GroupsConfig,
    /// `[producers]`
    pub producers: ProducersConfig,
    /// `[history]`
    pub history: HistoryConfig,
    /// `[disk]`
    pub disk: DiskConfig,
    /// `[logging]`
    pub logging: LoggingConfig,
    /// Every key as clients are told of it.
    pub settings: Vec<Setting>,
}

/// One key with its value, for `DescribeConfigs`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// `section.name`.
    pub key: &'static str,
    /// Kafka's name, else the key behind `millpond.`.
    pub name: String,
    /// In Kafka's notation: bytes and milliseconds as plain numbers, no limit as −1.
    pub value: String,
    /// The value that it has when nobody sets it.
    pub default: String,
    /// Whether a file, the environment or the command line gave it, be it to the default's value.
    pub is_set: bool,
    /// Its type.
    pub config_type: ConfigType,
    /// One line.
    pub documentation: &'static str,
}

/// The configuration cannot be used.
#[derive(Debug)]
pub enum Invalid {
    /// A file cannot be read or is not TOML, or an override is no `key=value`.
    Source(String),
    /// Keys that do not exist and values that are not allowed.
    Keys(Vec<Problem>),
}

impl std::error::Error for Invalid {}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Source(text) => f.write_str(text),
            Self::Keys(problems) => {
                f.write_str("the configuration cannot be used:")?;
                problems.iter().try_for_each(|problem| write!(f, "\n  {problem}"))
            }
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self::load(&Sources::default()).expect("the embedded defaults are checked by a test")
    }
}

impl Config {
    /// Reads all layers and checks every key.
    pub fn load(sources: &Sources) -> Result<Self, Invalid> {
        let (_, defaults) = Self::read(Keys::new(collect(&Sources::default())?)).map_err(Invalid::Keys)?;
        let found = collect(sources)?;
        let (mut config, taken) = Self::read(Keys::new(found.clone())).map_err(Invalid::Keys)?;
        let is_set = |key: &str| found.get(key).is_some_and(|found| found.origin != DEFAULTS_ORIGIN);
        config.settings = settings(&taken, &defaults, is_set);
        Ok(config)
    }

    fn read(mut keys: Keys) -> Result<(Self, Vec<Taken>), Vec<Problem>> {
        let config = Self {
            server: ServerConfig::read(&mut keys),
            limits: sections::read_limits(&mut keys),
            http: sections::read_http_limits(&mut keys),
            log: LogConfig::read(&mut keys),
            topics: TopicsConfig::read(&mut keys),
            groups: GroupsConfig::read(&mut keys),
            producers: ProducersConfig::read(&mut keys),
            history: HistoryConfig::read(&mut keys),
            disk: DiskConfig::read(&mut keys),
            logging: LoggingConfig::read(&mut keys),
            settings: Vec::new(),
        };
        sections::check_batches(&mut keys, &config.limits, &config.topics);
        keys.finish().map(|taken| (config, taken))
    }
}

/// The text of every key in the topmost layer that has it.
fn collect(sources: &Sources) -> Result<BTreeMap<String, Found>, Invalid> {
    let invalid = |error: layers::ConfigError| Invalid::Source(error.to_string());
    let mut builder = layers::Config::builder().add_source(File::from_str(reference::DEFAULTS, FileFormat::Toml));
    if let Some(path) = &sources.file {
        builder = builder.add_source(File::from(path.as_path()).format(FileFormat::Toml));
    }
    let environment = Environment::with_prefix("MILLPOND").prefix_separator("__").separator("__");
    builder = builder.add_source(environment.source(Some(sources.environment.iter().cloned().collect())));
    for (key, value) in &sources.overrides {
        let value = Value::new(Some(&COMMAND_LINE.to_owned()), value.as_str());
        builder = builder.set_override(key, value).map_err(|_| Invalid::Source(format!("{key:?} is no key")))?;
    }
    let mut found = BTreeMap::new();
    flatten("", builder.build().map_err(invalid)?.cache, &mut found);
    Ok(found)
}

/// Of these environment variables, those that look as if they were for this program and are read by nothing of it.
pub fn unread_variables<'a>(names: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let is_read =
        |name: &str| name.starts_with("MILLPOND__") || ["MILLPOND_SERVER", "MILLPOND_BROKERS"].contains(&name);
    // Kubernetes sets these where there is a service called millpond.
    let is_of_service = |name: &str| name.starts_with("MILLPOND_SERVICE_") || name.starts_with("MILLPOND_PORT");
    let ours = names.into_iter().filter(|name| name.starts_with("MILLPOND_"));
    ours.filter(|name| !is_read(name) && !is_of_service(name)).collect()
}

/// Puts the plain values below `value` under their dotted keys.
fn flatten(key: &str, value: Value, found: &mut BTreeMap<String, Found>) {
    let origin = value.origin().unwrap_or(DEFAULTS_ORIGIN).to_owned();
    match value.kind {
        // No key would tell of a section that does not exist.
        ValueKind::Table(table) if table.is_empty() && !key.is_empty() => {
            found.insert(key.to_owned(), Found { text: String::new(), origin });
        }
        ValueKind::Table(table) => {
            for (name, value) in table {
                let key = if key.is_empty() { name } else { format!("{key}.{name}") };
                flatten(&key, value, found);
            }
        }
        kind => {
            found.insert(key.to_owned(), Found { text: kind.to_string(), origin });
        }
    }
}

/// Puts together what clients are told of each key.
fn settings(taken: &[Taken], defaults: &[Taken], is_set: impl Fn(&str) -> bool) -> Vec<Setting> {
    let explained: HashMap<String, Explained> =
        reference::explained().into_iter().map(|explained| (explained.key.clone(), explained)).collect();
    taken
        .iter()
        .zip(defaults)
        .map(|(taken, default)| {
            let (documentation, kafka_name) = explained
                .get(taken.key)
                .map_or(("", None), |explained| (explained.documentation, explained.kafka_name));
            Setting {
                key: taken.key,
                name: kafka_name.map_or_else(|| format!("millpond.{}", taken.key), str::to_owned),
                value: in_kafkas_notation(kafka_name, &taken.value),
                default: in_kafkas_notation(kafka_name, &default.value),
                is_set: is_set(taken.key),
                config_type: taken.config_type,
                documentation,
            }
        })
        .collect()
}

/// Where Kafka writes a key's value in another way than the sections do: minutes, and listeners with their protocol.
fn in_kafkas_notation(kafka_name: Option<&str>, value: &str) -> String {
    match kafka_name {
        Some(name) if name.ends_with(".minutes") => {
            value.parse::<u64>().map_or_else(|_| value.to_owned(), |millis| millis.div_ceil(60_000).to_string())
        }
        Some("listeners" | "advertised.listeners") if !value.is_empty() => format!("PLAINTEXT://{value}"),
        _ => value.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn load(overrides: &[(&str, &str)], environment: &[(&str, &str)], file: Option<&str>) -> Result<Config, Invalid> {
        let owned = |pairs: &[(&str, &str)]| {
            pairs.iter().map(|&(key, value)| (key.to_owned(), value.to_owned())).collect::<Vec<_>>()
        };
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("own.toml");
        if let Some(text) = file {
            std::fs::write(&path, text).unwrap();
        }
        Config::load(&Sources {
            file: file.map(|_| path),
            environment: owned(environment),
            overrides: owned(overrides),
        })
    }

    fn problems(overrides: &[(&str, &str)]) -> Vec<Problem> {
        match load(overrides, &[], None) {
            Err(Invalid::Keys(problems)) => problems,
            other => panic!("not refused for its keys: {other:?}"),
        }
    }

    #[test]
    fn the_defaults_are_read_and_are_kafkas_where_kafka_has_them() {
        let config = Config::default();
        assert_eq!(config.server.kafka.to_string(), "127.0.0.1:9092");
        assert_eq!(config.server.advertised, None);
        assert_eq!(config.limits, Limits::default());
        assert_eq!(config.http, HttpLimits::default());
        assert_eq!(config.log.durability, Durability::Fsync);
        assert_eq!(config.log.file_bytes, 256 << 20);
        assert_eq!(config.topics.retention, Some(Duration::from_hours(7 * 24)));
        assert_eq!(config.topics.retention_bytes, None);
        assert_eq!(config.topics.message_bytes_max, 1_048_588);
        assert_eq!(config.groups.initial_rebalance_delay, Duration::from_secs(3));
    }

    #[test]
    fn every_key_of_the_file_is_explained_and_read_and_no_other_is() {
        let explained: Vec<Explained> = reference::explained();
        for key in &explained {
            assert!(!key.documentation.is_empty(), "{} has no line of explanation", key.key);
            assert!(key.documentation.ends_with('.'), "{}: {:?}", key.key, key.documentation);
        }
        let mut explained: Vec<&str> = explained.iter().map(|explained| explained.key.as_str()).collect();
        let config = Config::default();
        let mut read: Vec<&str> = config.settings.iter().map(|setting| setting.key).collect();
        explained.sort_unstable();
        read.sort_unstable();
        assert_eq!(explained, read);
    }

    #[test]
    fn a_layer_overrides_the_one_before() {
        let file = "[log]\nfile_bytes = 2097152\ntail_cache_bytes = \"3MiB\"\ncheckpoint_bytes = \"4MiB\"\n";
        let environment = [
            ("MILLPOND__LOG__TAIL_CACHE_BYTES", "5MiB"),
            ("MILLPOND__LOG__CHECKPOINT_BYTES", "6MiB"),
            ("PATH", "/bin"),
        ];
        let config = load(&[("log.checkpoint_bytes", "7MiB")], &environment, Some(file)).unwrap();
        assert_eq!(config.log.file_bytes, 2 << 20);
        assert_eq!(config.log.tail_cache_bytes, 5 << 20);
        assert_eq!(config.log.checkpoint_bytes, 7 << 20);
        assert_eq!(config.log.durability, Durability::Fsync);
    }

    #[test]
    fn a_bad_value_is_told_with_its_key_its_origin_and_what_is_allowed() {
        let problems = problems(&[("log.file_bytes", "3 parsecs")]);
        assert_eq!(
            problems[0].to_string(),
            "log.file_bytes = \"3 parsecs\" (from the command line): \
             expected a size from 1MiB to 1GiB, in bytes or with a unit as in 64MiB"
        );
        assert_eq!(problems.len(), 1);
    }

    #[test]
    fn an_unknown_key_is_told_with_the_keys_that_exist() {
        let error = load(&[], &[("MILLPOND__LOG__FILE_BITES", "1")], None).unwrap_err().to_string();
        assert!(error.contains("unknown key log.file_bites (from the environment)"), "{error}");
        assert!(error.contains("durability, file_bytes"), "{error}");
        let error = load(&[("lgo.file_bytes", "1")], &[], None).unwrap_err().to_string();
        assert!(error.contains("the sections are server, limits, http, log, topics"), "{error}");
    }

    #[test]
    fn all_problems_are_told_at_once() {
        let found = problems(&[
            ("log.durability", "sometimes"),
            ("server.kafka", "nowhere"),
            ("topics.auto_create", "perhaps"),
            ("topics.num_partitions", "0"),
            ("groups.members_max", "99999999999999999999"),
            ("server.http", ""),
            ("logging.filter", "loud"),
            ("nothing.here", "1"),
        ]);
        assert_eq!(found.len(), 8, "{found:#?}");
    }

    #[test]
    fn limits_that_contradict_each_other_are_refused() {
        assert_eq!(problems(&[("limits.queued_bytes_max", "1MiB")])[0].key, "limits.queued_bytes_max");
        assert_eq!(problems(&[("groups.session_timeout_max_ms", "1s")])[0].key, "groups.session_timeout_max_ms");
        assert_eq!(
            problems(&[("groups.offset_metadata_bytes_max", "32768")])[0].key,
            "groups.offset_metadata_bytes_max"
        );
        assert_eq!(problems(&[("server.advertised", "example.com:0")])[0].key, "server.advertised");
    }

    #[test]
    fn a_batch_that_topics_take_fits_into_a_request_and_can_be_opened() {
        let found = problems(&[("topics.message_bytes_max", "100MiB")]);
        assert_eq!(
            found[0].to_string(),
            "topics.message_bytes_max = \"100MiB\" (from the command line): expected at most 104856576, since a request of at \
             most limits.frame_bytes_max (104857600 bytes) brings a batch and 1024 bytes around it"
        );
        let found = problems(&[("limits.frame_bytes_max", "1MiB")]);
        assert!(found[0].to_string().contains("\"1048588\" (from the defaults)"), "{}", found[0]);
        assert_eq!(problems(&[("limits.decompressed_bytes_max", "1MiB")])[0].key, "limits.decompressed_bytes_max");
        let fits = [("limits.frame_bytes_max", "1MiB"), ("topics.message_bytes_max", "1047552")];
        assert!(load(&fits, &[], None).is_ok());
    }

    #[test]
    fn a_section_that_is_no_table_is_refused_in_one_line() {
        let error = load(&[], &[], Some("log = 5")).unwrap_err().to_string();
        assert!(error.contains("unknown key log (from "), "{error}");
        let found = problems(&[("log", "3")]);
        assert_eq!(found.len(), 1, "{found:#?}");
        assert!(found[0].to_string().contains("the keys of [log] are durability"), "{}", found[0]);
    }

    #[test]
    fn an_unknown_section_is_refused_although_it_is_empty() {
        let error = load(&[], &[], Some("[logg]\n")).unwrap_err().to_string();
        assert!(error.contains("unknown key logg (from "), "{error}");
        assert!(load(&[], &[], Some("[log]\n")).is_ok());
    }

    #[test]
    fn variables_that_nothing_reads_are_found() {
        let names =
            ["PATH", "MILLPOND_SERVER", "MILLPOND__LOG__ROLL_MS", "MILLPOND_PORT_9092_TCP", "MILLPOND_LOG_ROLL_MS"];
        assert_eq!(unread_variables(names), ["MILLPOND_LOG_ROLL_MS"]);
    }

    #[test]
    fn a_file_that_is_missing_or_is_not_toml_is_refused_by_name() {
        let missing = Sources { file: Some("/does/not/exist.toml".into()), ..Sources::default() };
        assert!(Config::load(&missing).unwrap_err().to_string().contains("/does/not/exist.toml"));
        assert!(load(&[], &[], Some("[log")).unwrap_err().to_string().contains("own.toml"));
    }

    #[test]
    fn settings_have_kafkas_names_and_notation() {
        let config = load(&[("topics.retention_ms", "1h"), ("topics.segment_bytes", "1GiB")], &[], None).unwrap();
        let setting = |name: &str| config.settings.iter().find(|setting| setting.name == name).unwrap();
        let retention = setting("log.retention.ms");
        assert_eq!((retention.value.as_str(), retention.default.as_str()), ("3600000", "604800000"));
        assert!(retention.is_set && retention.config_type == ConfigType::Long);
        assert!(setting("log.segment.bytes").is_set);
        assert_eq!(setting("log.segment.bytes").config_type, ConfigType::Int);
        assert_eq!(setting("log.retention.bytes").value, "-1");
        assert_eq!(setting("offsets.retention.minutes").value, "10080");
        assert!(!setting("millpond.log.file_bytes").is_set);
    }

    #[test]
    fn unlimited_has_two_spellings() {
        let config =
            load(&[("topics.retention_ms", "-1"), ("topics.retention_bytes", "unlimited")], &[], None).unwrap();
        assert_eq!((config.topics.retention, config.topics.retention_bytes), (None, None));
    }
}
