//! What clients are told of configuration: the keys of a topic, and those of the broker.
//!
//! A value's source is the topmost layer that has it; its synonyms are all that have one, topmost first. A default that
//! comes from the broker is never shown as a topic's own.

use super::config_keys::{CONFIG_KEYS, ConfigKey, Overrides};
use crate::config::{Config, ConfigType, Setting};

/// Which layer a value comes from, in Kafka's terms.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ConfigSource {
    /// The topic's own.
    Topic,
    /// Its stream's policy: to Kafka's clients a default that can be changed.
    Stream,
    /// The broker's file, environment or command line.
    StaticBroker,
    /// Nobody set it.
    Default,
}

/// One key as it is described.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Described {
    /// Its name.
    pub name: String,
    /// Its value in Kafka's notation.
    pub value: String,
    /// The layer that the value comes from.
    pub source: ConfigSource,
    /// Whether no request can change it.
    pub is_read_only: bool,
    /// Its type.
    pub config_type: ConfigType,
    /// All layers that have a value, topmost first.
    pub synonyms: Vec<Synonym>,
    /// One line.
    pub documentation: &'static str,
}

/// A layer's name and value for a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Synonym {
    /// The key's name in that layer.
    pub name: String,
    /// The value there.
    pub value: String,
    /// The layer.
    pub source: ConfigSource,
}

/// Every key of a topic that has `own` keys, in a stream with the keys `stream`, by name.
pub fn describe_topic(config: &Config, stream: &Overrides, own: &Overrides) -> Vec<Described> {
    CONFIG_KEYS.iter().map(|key| topic_key(config, key, stream.get(key.name), own.get(key.name))).collect()
}

fn topic_key(config: &Config, key: &ConfigKey, stream: Option<&String>, own: Option<&String>) -> Described {
    let own = own.map(|value| synonym(key.name, value, ConfigSource::Topic));
    let stream = stream.map(|value| synonym(key.broker_name, value, ConfigSource::Stream));
    let broker = match config.settings.iter().find(|setting| setting.name == key.broker_name) {
        Some(setting) => broker_synonyms(setting),
        None => vec![synonym(key.broker_name, key.fixed().unwrap_or("1"), ConfigSource::Default)],
    };
    described(
        key.name,
        key.config_type,
        own.into_iter().chain(stream).chain(broker).collect(),
        false,
        key.documentation,
    )
}

/// Every key of the broker, by name: those of its configuration, and those of Kafka that are the same for ever here.
pub fn describe_broker(config: &Config) -> Vec<Described> {
    let settings = config.settings.iter().map(|setting| {
        described(&setting.name, setting.config_type, broker_synonyms(setting), true, setting.documentation)
    });
    let topic_defaults = CONFIG_KEYS.iter().filter_map(|key| {
        let is_setting = config.settings.iter().any(|setting| setting.name == key.broker_name);
        let value = key.fixed().unwrap_or("1");
        (!is_setting).then(|| constant(key.broker_name, key.config_type, value, key.documentation))
    });
    let node_id = config.server.node_id.to_string();
    let facts = [
        constant("broker.id", ConfigType::Int, &node_id, "The number by which clients know this broker."),
        constant("default.replication.factor", ConfigType::Int, "1", "Replicas of a topic: there is one node."),
        constant("offsets.topic.replication.factor", ConfigType::Short, "1", "Replicas of committed positions."),
        constant("offsets.topic.num.partitions", ConfigType::Int, "1", "Partitions of the committed positions."),
    ];
    let mut all: Vec<Described> = settings.chain(topic_defaults).chain(facts).collect();
    all.sort_by(|a, b| a.name.cmp(&b.name));
    all
}

fn constant(name: &str, config_type: ConfigType, value: &str, documentation: &'static str) -> Described {
    described(name, config_type, vec![synonym(name, value, ConfigSource::Default)], true, documentation)
}

fn broker_synonyms(setting: &Setting) -> Vec<Synonym> {
    let set = setting.is_set.then(|| synonym(&setting.name, &setting.value, ConfigSource::StaticBroker));
    let default = synonym(&setting.name, &setting.default, ConfigSource::Default);
    set.into_iter().chain([default]).collect()
}

fn synonym(name: &str, value: &str, source: ConfigSource) -> Synonym {
    Synonym { name: name.to_owned(), value: value.to_owned(), source }
}

/// The key whose value is that of its first synonym.
fn described(
    name: &str,
    config_type: ConfigType,
    synonyms: Vec<Synonym>,
    is_read_only: bool,
    documentation: &'static str,
) -> Described {
    let (value, source) =
        synonyms.first().map_or((String::new(), ConfigSource::Default), |first| (first.value.clone(), first.source));
    Described { name: name.to_owned(), value, source, is_read_only, config_type, synonyms, documentation }
}

#[cfg(test)]
mod tests {
    use super::super::config_keys::checked;
    use super::*;
    use crate::config::Sources;

    fn find<'a>(described: &'a [Described], name: &str) -> &'a Described {
        described.iter().find(|described| described.name == name).unwrap()
    }

    fn layers(described: &Described) -> Vec<(&str, &str, ConfigSource)> {
        described.synonyms.iter().map(|layer| (layer.name.as_str(), layer.value.as_str(), layer.source)).collect()
    }

    fn config(overrides: &[(&str, &str)]) -> Config {
        let overrides = overrides.iter().map(|&(key, value)| (key.to_owned(), value.to_owned())).collect();
        Config::load(&Sources { overrides, ..Sources::default() }).unwrap()
    }

    #[test]
    fn a_topics_own_value_lies_over_the_brokers() {
        let config = config(&[("topics.retention_ms", "1h")]);
        let own = checked([("retention.ms", Some("5"))]).unwrap();
        let described = describe_topic(&config, &Overrides::new(), &own);
        let retention = find(&described, "retention.ms");
        assert_eq!((retention.value.as_str(), retention.source), ("5", ConfigSource::Topic));
        assert_eq!(
            layers(retention),
            [
                ("retention.ms", "5", ConfigSource::Topic),
                ("log.retention.ms", "3600000", ConfigSource::StaticBroker),
                ("log.retention.ms", "604800000", ConfigSource::Default),
            ]
        );
    }

    #[test]
    fn a_streams_policy_lies_between() {
        let stream = checked([("retention.ms", Some("7"))]).unwrap();
        let described = describe_topic(&config(&[]), &stream, &Overrides::new());
        let retention = find(&described, "retention.ms");
        assert_eq!((retention.value.as_str(), retention.source), ("7", ConfigSource::Stream));
        assert_eq!(
            layers(retention),
            [("log.retention.ms", "7", ConfigSource::Stream), ("log.retention.ms", "604800000", ConfigSource::Default),]
        );
    }

    #[test]
    fn a_default_is_not_shown_as_the_topics_own() {
        let described = describe_topic(&config(&[]), &Overrides::new(), &Overrides::new());
        assert_eq!(described.len(), CONFIG_KEYS.len());
        assert!(described.iter().all(|key| key.source == ConfigSource::Default));
        assert_eq!(find(&described, "cleanup.policy").value, "delete");
        assert_eq!(find(&described, "min.insync.replicas").value, "1");
        assert_eq!(find(&described, "message.timestamp.before.max.ms").value, "9223372036854775807");
    }

    #[test]
    fn every_topic_key_has_its_default_among_the_brokers_keys() {
        let config = config(&[]);
        let broker = describe_broker(&config);
        for key in &describe_topic(&config, &Overrides::new(), &Overrides::new()) {
            let default = find(&broker, &key.synonyms[0].name);
            assert_eq!(default.value, key.value, "{}", key.name);
        }
        assert!(broker.is_sorted_by(|a, b| a.name < b.name), "a name is told twice");
        assert_eq!(find(&broker, "num.partitions").value, "1");
        assert_eq!(find(&broker, "listeners").value, "PLAINTEXT://127.0.0.1:9092");
        assert!(broker.iter().all(|key| key.is_read_only));
    }
}
