//! `/v1/topics`: the topics, one topic, its creation and deletion.
//!
//! | request | answer |
//! |---|---|
//! | `GET /v1/topics` | [`TopicList`] |
//! | `POST /v1/topics` with a [`NewTopic`] | 201 and the [`Topic`] |
//! | `GET /v1/topics/{name}` | [`Topic`], 404 |
//! | `DELETE /v1/topics/{name}` | 204, 404 |
//!
//! A name is one segment of the path: what a URL cannot hold in one is percent-encoded, the slashes of paths too.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// All topics that the listener shows, by name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TopicList {
    /// Each in short.
    pub topics: Vec<TopicSummary>,
}

/// A topic in short.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TopicSummary {
    /// Its name.
    pub name: String,
    /// Its id, as Kafka's clients write it.
    pub id: String,
    /// Whether the broker keeps it for itself.
    pub internal: bool,
    /// How many partitions it has.
    pub partitions: usize,
    /// Offsets between the start and the end of its partitions, which is about how many records it has.
    pub records: u64,
    /// Bytes of its batches.
    pub bytes: u64,
}

/// A topic.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Topic {
    /// Its name.
    pub name: String,
    /// Its id, as Kafka's clients write it.
    pub id: String,
    /// Whether the broker keeps it for itself.
    pub internal: bool,
    /// Its partitions, by number.
    pub partitions: Vec<TopicPartition>,
    /// Its configuration: what it has of its own, and what it has from the broker.
    pub config: Vec<TopicSetting>,
}

/// A partition of a topic.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TopicPartition {
    /// Its number.
    pub partition: i32,
    /// The leader epoch that it has now.
    pub leader_epoch: i32,
    /// The first offset that can be read.
    pub log_start_offset: i64,
    /// Where readers of committed records end.
    pub last_stable_offset: i64,
    /// Where all readers end.
    pub high_watermark: i64,
    /// Bytes of its batches.
    pub bytes: u64,
}

/// A key of a topic's configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TopicSetting {
    /// Kafka's name.
    pub name: String,
    /// Its value in Kafka's notation.
    pub value: String,
    /// Whether the topic has it of its own.
    pub own: bool,
}

/// A topic to create.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewTopic {
    /// Its name.
    pub name: String,
    /// How many partitions; the broker's default where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partitions: Option<i32>,
    /// Its configuration by Kafka's names.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub config: BTreeMap<String, String>,
}
