//! What is worked out once for each topic and kept: its settings, and its ids.
//!
//! Invariant: an entry is used only for the very values of the topic and of its stream's document that it was made for, so that
//! a change of either is a change of the entry at its next use.

use std::sync::Arc;

use bytes::Bytes;
use dashmap::DashMap;
use millpond_storage::state::{State, Topic, VolumeId};
use millpond_storage::{Policy, TimelineId, TopicNumber};
use uuid::Uuid;

use super::ids::{Spelling, TopicIdParts};
use super::settings::TopicSettings;
use super::streams;
use crate::config::TopicsConfig;

/// What was worked out for topics.
#[derive(Debug, Default)]
pub(super) struct KnownTopics(DashMap<(TimelineId, TopicNumber), Known>);

/// What was worked out for one topic.
#[derive(Debug)]
struct Known {
    topic: Arc<Topic>,
    stream: Option<Bytes>,
    settings: Arc<TopicSettings>,
    /// By spelling.
    ids: [Uuid; Spelling::ALL.len()],
}

impl KnownTopics {
    /// The settings of a topic and its id in a spelling. `home`: the timeline and the volume where it was found; with the topic
    /// comes the document of its stream.
    pub(super) fn get(
        &self,
        config: &TopicsConfig,
        (timeline, volume): (TimelineId, VolumeId),
        (topic, stream): (&Arc<Topic>, Option<Bytes>),
        spelling: Spelling,
    ) -> (Arc<TopicSettings>, Uuid) {
        let key = (timeline, topic.number);
        let is_current = |known: &Known| {
            Arc::ptr_eq(&known.topic, topic) && streams::is_same(known.stream.as_ref(), stream.as_ref())
        };
        if let Some(known) = self.0.get(&key).filter(|known| is_current(known)) {
            return (Arc::clone(&known.settings), known.ids[spelling as usize]);
        }
        let ids = Spelling::ALL.map(|spelling| TopicIdParts { spelling, volume, number: topic.number }.id());
        let settings = Arc::new(settings_of(config, stream.as_ref(), topic));
        self.0.insert(key, Known { topic: Arc::clone(topic), stream, settings: Arc::clone(&settings), ids });
        (settings, ids[spelling as usize])
    }

    /// Forgets a topic that was deleted.
    pub(super) fn forget(&self, timeline: TimelineId, number: TopicNumber) {
        self.0.remove(&(timeline, number));
    }
}

/// A topic's settings. What a newer version has stored and this one does not know is told of, and nothing of such a topic is
/// dropped: it may be there to be compacted.
fn settings_of(config: &TopicsConfig, stream: Option<&Bytes>, topic: &Topic) -> TopicSettings {
    TopicSettings::resolve(config, &streams::config_of(stream), &topic.settings).unwrap_or_else(|why| {
        tracing::warn!(topic = %topic.name.short(), "the topic keeps all its records, since its settings are not understood: {why}");
        TopicSettings { retention_ms: None, retention_bytes: None, ..TopicSettings::defaults(config) }
    })
}

/// What a topic's settings mean to the engine; `state` is that of the topic's volume.
pub fn policy(config: &TopicsConfig, state: &State, topic: &Topic) -> Policy {
    let settings = settings_of(config, streams::origin(state, &topic.name.stream).as_ref(), topic);
    Policy {
        segment_bytes: settings.segment_bytes,
        segment_ms: settings.segment_ms,
        retention_ms: settings.retention_ms,
        retention_bytes: settings.retention_bytes,
    }
}
