//! What is worked out once for each topic and kept: its settings.
//!
//! Invariant: an entry is used only for the very values of the topic and of its stream's document that it was made for, so that
//! a change of either is a change of the entry at its next use.

use std::sync::Arc;

use bytes::Bytes;
use dashmap::DashMap;
use millpond_storage::state::{State, Topic};
use millpond_storage::{CompactionPolicy, Policy, TopicNumber};

use super::settings::TopicSettings;
use super::streams;
use crate::config::TopicsConfig;
use crate::scope::Scope;

/// What was worked out for topics, by their homes.
#[derive(Debug, Default)]
pub(super) struct KnownTopics(DashMap<(Scope, TopicNumber), Known>);

/// What was worked out for one topic.
#[derive(Debug)]
struct Known {
    topic: Arc<Topic>,
    stream: Option<Bytes>,
    settings: Arc<TopicSettings>,
}

impl KnownTopics {
    /// The settings of a topic, with which comes the document of its stream.
    pub(super) fn settings(
        &self,
        config: &TopicsConfig,
        home: Scope,
        (topic, stream): (&Arc<Topic>, Option<Bytes>),
    ) -> Arc<TopicSettings> {
        let key = (home, topic.number);
        let is_current = |known: &Known| {
            Arc::ptr_eq(&known.topic, topic) && streams::is_same(known.stream.as_ref(), stream.as_ref())
        };
        if let Some(known) = self.0.get(&key).filter(|known| is_current(known)) {
            return Arc::clone(&known.settings);
        }
        let settings = Arc::new(settings_of(config, stream.as_ref(), topic));
        let (min, max) = (settings.compaction_lag_min_ms, settings.compaction_lag_max_ms);
        if min > max {
            let topic = topic.name.short();
            tracing::warn!(%topic, min, max, "the broker's defaults leave a topic a min.compaction.lag.ms above its max.compaction.lag.ms: the minimum holds");
        }
        self.0.insert(key, Known { topic: Arc::clone(topic), stream, settings: Arc::clone(&settings) });
        settings
    }

    /// Forgets a topic that was deleted.
    pub(super) fn forget(&self, home: Scope, number: TopicNumber) {
        self.0.remove(&(home, number));
    }

    /// Forgets all topics of homes that are no more.
    pub(super) fn keep(&self, is_there: impl Fn(Scope) -> bool) {
        self.0.retain(|(home, _), _| is_there(*home));
    }
}

/// A topic's settings. What a newer version has stored and this one does not know is told of, and nothing of such a topic is
/// dropped: it may be there for ever.
fn settings_of(config: &TopicsConfig, stream: Option<&Bytes>, topic: &Topic) -> TopicSettings {
    TopicSettings::resolve(config, &streams::config_of(stream), &topic.settings).unwrap_or_else(|why| {
        tracing::warn!(topic = %topic.name.short(), "the topic keeps all its records, since its settings are not understood: {why}");
        TopicSettings { retention_ms: None, retention_bytes: None, ..TopicSettings::defaults(config) }
    })
}

/// What a topic's settings mean to the engine; `state` is that of the topic's volume.
pub fn policy(config: &TopicsConfig, state: &State, topic: &Topic) -> Policy {
    let settings = settings_of(config, streams::origin(state, &topic.name.stream).as_ref(), topic);
    let compaction = settings.cleanup.compacts.then_some(CompactionPolicy {
        dirty_ratio_min: settings.dirty_ratio_min,
        lag_min_ms: settings.compaction_lag_min_ms,
        lag_max_ms: settings.compaction_lag_max_ms,
        tombstones_ms: settings.tombstones_ms,
    });
    // As in Kafka a segment ends in time for its records to be compacted at the age that was set.
    let segment_ms_max = compaction.map_or(i64::MAX, |compaction| compaction.lag_max_ms);
    Policy {
        segment_bytes: settings.segment_bytes,
        segment_ms: settings.segment_ms.min(segment_ms_max),
        retention_ms: settings.retention_ms.filter(|_| settings.cleanup.deletes),
        retention_bytes: settings.retention_bytes.filter(|_| settings.cleanup.deletes),
        compaction,
    }
}
