//! A topic's settings, resolved: its own keys over its stream's policy over the broker's defaults, typed.
//!
//! Every key that the table allows to vary has its field here (a test holds the two together).

use std::time::Duration;

use super::config_keys::{ConfigKey, InvalidConfig, Overrides};
use crate::config::{CleanupPolicy, TimestampType, TopicsConfig};

/// What holds for one topic.
#[derive(Clone, Debug, PartialEq)]
pub struct TopicSettings {
    /// `cleanup.policy`: what happens to old records.
    pub cleanup: CleanupPolicy,
    /// `min.cleanable.dirty.ratio`: the share of bytes not looked at yet above which a partition is compacted.
    pub dirty_ratio_min: f64,
    /// `min.compaction.lag.ms`.
    pub compaction_lag_min_ms: i64,
    /// `max.compaction.lag.ms`; `i64::MAX` is no limit.
    pub compaction_lag_max_ms: i64,
    /// `delete.retention.ms`: how long tombstones are kept.
    pub tombstones_ms: i64,
    /// `retention.ms`; `None` keeps records whatever their age.
    pub retention_ms: Option<i64>,
    /// `retention.bytes`, of each partition; `None` keeps them whatever their size.
    pub retention_bytes: Option<u64>,
    /// `segment.bytes`: what retention by size and time drops together.
    pub segment_bytes: u64,
    /// `segment.ms`.
    pub segment_ms: i64,
    /// `max.message.bytes`, of a whole batch.
    pub message_bytes_max: usize,
    /// `message.timestamp.type`.
    pub timestamp_type: TimestampType,
    /// `message.timestamp.before.max.ms`; `i64::MAX` is no limit.
    pub timestamp_before_max_ms: i64,
    /// `message.timestamp.after.max.ms`; `i64::MAX` is no limit.
    pub timestamp_after_max_ms: i64,
}

impl TopicSettings {
    /// The broker's defaults: the settings of a topic without keys of its own.
    pub fn defaults(config: &TopicsConfig) -> Self {
        Self {
            cleanup: config.cleanup,
            dirty_ratio_min: config.dirty_ratio_min,
            compaction_lag_min_ms: millis(config.compaction_lag_min),
            compaction_lag_max_ms: millis(config.compaction_lag_max),
            tombstones_ms: millis(config.tombstone_retention),
            retention_ms: config.retention.map(millis),
            retention_bytes: config.retention_bytes,
            segment_bytes: config.segment_bytes,
            segment_ms: millis(config.segment_time),
            message_bytes_max: usize::try_from(config.message_bytes_max).unwrap_or(usize::MAX),
            timestamp_type: config.timestamp_type,
            timestamp_before_max_ms: millis(config.timestamp_before_max),
            timestamp_after_max_ms: millis(config.timestamp_after_max),
        }
    }

    /// The settings of a topic with these keys of its own, in a stream with those. Fails for keys that are unknown or not allowed, which then
    /// were stored by a version that knew more.
    pub fn resolve(config: &TopicsConfig, stream: &Overrides, own: &Overrides) -> Result<Self, InvalidConfig> {
        let mut settings = Self::defaults(config);
        for (name, value) in stream.iter().chain(own) {
            ConfigKey::find(name)?.check(value)?;
            settings.set(name, value);
        }
        Ok(settings)
    }

    /// Sets what a checked key says; keys that cannot vary have nothing to set.
    fn set(&mut self, name: &str, value: &str) {
        let number = value.parse::<i64>().unwrap_or_default();
        match name {
            "cleanup.policy" => self.cleanup = CleanupPolicy::of(value),
            "min.cleanable.dirty.ratio" => self.dirty_ratio_min = value.parse().unwrap_or(self.dirty_ratio_min),
            "min.compaction.lag.ms" => self.compaction_lag_min_ms = number,
            "max.compaction.lag.ms" => self.compaction_lag_max_ms = number,
            "delete.retention.ms" => self.tombstones_ms = number,
            "retention.ms" => self.retention_ms = (number >= 0).then_some(number),
            "retention.bytes" => self.retention_bytes = u64::try_from(number).ok(),
            "segment.bytes" => self.segment_bytes = number.unsigned_abs(),
            "segment.ms" => self.segment_ms = number,
            "max.message.bytes" => self.message_bytes_max = usize::try_from(number).unwrap_or_default(),
            "message.timestamp.before.max.ms" => self.timestamp_before_max_ms = number,
            "message.timestamp.after.max.ms" => self.timestamp_after_max_ms = number,
            "message.timestamp.type" => {
                let named = TimestampType::NAMES.iter().find(|(name, _)| *name == value);
                self.timestamp_type = named.map_or(self.timestamp_type, |(_, kind)| *kind);
            }
            _ => {}
        }
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::super::config_keys::{Allows, CONFIG_KEYS, checked};
    use super::*;
    use crate::config::Config;

    fn resolve(given: &[(&str, &str)]) -> TopicSettings {
        let overrides = checked(given.iter().map(|&(name, value)| (name, Some(value)))).unwrap();
        TopicSettings::resolve(&Config::default().topics, &Overrides::new(), &overrides).unwrap()
    }

    #[test]
    fn a_topic_without_keys_has_the_brokers_defaults() {
        let settings = resolve(&[]);
        assert_eq!(settings, TopicSettings::defaults(&Config::default().topics));
        assert_eq!(settings.retention_ms, Some(604_800_000));
        assert_eq!(settings.retention_bytes, None);
        assert_eq!(settings.timestamp_before_max_ms, i64::MAX);
        assert_eq!(settings.timestamp_after_max_ms, 3_600_000);
        assert_eq!(settings.message_bytes_max, 1_048_588);
    }

    #[test]
    fn every_key_that_may_vary_makes_a_difference() {
        for key in &CONFIG_KEYS {
            // The one that Kafka, too, ignores where there is one replica.
            if key.fixed().is_some() || key.name == "min.insync.replicas" {
                continue;
            }
            let value = match key.allows {
                Allows::Number(..) => "2000000",
                Allows::OneOf(names) | Allows::Some(names) => names[1],
                Allows::Fraction(..) => "0.25",
                Allows::Only(..) => unreachable!("skipped above"),
            };
            assert_ne!(resolve(&[(key.name, value)]), resolve(&[]), "{} is stored and not obeyed", key.name);
        }
    }

    #[test]
    fn a_topics_own_keys_lie_over_its_streams() {
        let given = |keys: &[(&str, &str)]| checked(keys.iter().map(|&(name, value)| (name, Some(value)))).unwrap();
        let stream = given(&[("retention.ms", "1"), ("retention.bytes", "2")]);
        let own = given(&[("retention.ms", "3")]);
        let settings = TopicSettings::resolve(&Config::default().topics, &stream, &own).unwrap();
        assert_eq!((settings.retention_ms, settings.retention_bytes), (Some(3), Some(2)));
    }

    #[test]
    fn a_topic_is_compacted_or_deleted_or_both() {
        for (list, deletes, compacts) in
            [("delete", true, false), ("compact", false, true), ("delete, compact", true, true)]
        {
            assert_eq!(resolve(&[("cleanup.policy", list)]).cleanup, CleanupPolicy { deletes, compacts }, "{list}");
        }
    }

    #[test]
    fn minus_one_is_no_limit() {
        let settings = resolve(&[("retention.ms", "-1"), ("retention.bytes", "-1")]);
        assert_eq!((settings.retention_ms, settings.retention_bytes), (None, None));
        let settings = resolve(&[("retention.ms", "0"), ("retention.bytes", "0")]);
        assert_eq!((settings.retention_ms, settings.retention_bytes), (Some(0), Some(0)));
    }

    #[test]
    fn what_a_newer_version_stored_is_no_default() {
        let overrides = Overrides::from([("cleanup.policy".to_owned(), "shred".to_owned())]);
        assert!(TopicSettings::resolve(&Config::default().topics, &Overrides::new(), &overrides).is_err());
    }
}
