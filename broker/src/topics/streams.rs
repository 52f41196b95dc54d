//! Streams: what topics of a volume have in common. A stream is a document in its volume's log; `default` needs none.

use std::sync::Arc;

use bytes::Bytes;
use millpond_storage::state::{DEFAULT_STREAM, State, Txn};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::config_keys::Overrides;
use crate::documents::{self, Collection};

/// A stream, as its document has it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stream {
    /// When it was created, in milliseconds; 0: with its volume.
    #[serde(default)]
    pub created: i64,
    /// How many partitions a topic gets that is created without a number; none: what the broker is set to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partitions: Option<i32>,
    /// Whether topics that are asked for come into being by themselves; none: what the broker is set to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auto_create: Option<bool>,
    /// What its topics have where they have nothing of their own, by Kafka's names.
    #[serde(default, skip_serializing_if = "Overrides::is_empty")]
    pub config: Overrides,
    /// What a newer program has added.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

impl Stream {
    /// A stream of a volume, if it is there.
    pub fn find(state: &State, name: &str) -> Option<Self> {
        match documents::body(state, Collection::Streams, name) {
            // What is not understood is told of, and there nevertheless.
            Some(_) => Some(documents::find(state, Collection::Streams, name).unwrap_or_default()),
            None => (name == DEFAULT_STREAM).then(Self::default),
        }
    }

    /// All streams of a volume, by name.
    pub fn all(state: &State) -> Vec<(Arc<str>, Self)> {
        let mut streams = documents::all(state, Collection::Streams);
        if let Err(at) = streams.binary_search_by(|(name, _)| (**name).cmp(DEFAULT_STREAM)) {
            streams.insert(at, (DEFAULT_STREAM.into(), Self::default()));
        }
        streams
    }

    /// All that it says, by Kafka's names where there are such.
    pub fn policy(&self) -> Overrides {
        let own = [
            ("partitions_default", self.partitions.map(|count| count.to_string())),
            ("auto_create", self.auto_create.map(|is_on| is_on.to_string())),
        ];
        let own = own.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
        own.chain(self.config.clone()).collect()
    }
}

/// In the writer: whether a stream other than `default` is there.
pub(super) fn is_there(txn: &Txn<'_>, name: &str) -> bool {
    !matches!(documents::get::<Stream>(txn, Collection::Streams, name), Ok(None))
}

/// In the writer: the keys that a stream sets for its topics.
pub(super) fn config_in(txn: &Txn<'_>, name: &str) -> Overrides {
    let known = documents::get::<Stream>(txn, Collection::Streams, name);
    known.ok().flatten().map(|stream| stream.config).unwrap_or_default()
}

/// What a stream's policy was made from: it has changed exactly if this is elsewhere in memory.
pub(super) fn origin(state: &State, name: &str) -> Option<Bytes> {
    documents::body(state, Collection::Streams, name).cloned()
}

/// Whether two origins are one.
pub(super) fn is_same(one: Option<&Bytes>, other: Option<&Bytes>) -> bool {
    match (one, other) {
        (None, None) => true,
        (Some(one), Some(other)) => one.as_ptr() == other.as_ptr() && one.len() == other.len(),
        _ => false,
    }
}

/// The keys that a document of a stream sets for its topics.
pub(super) fn config_of(origin: Option<&Bytes>) -> Overrides {
    let stream = origin.map(|body| serde_json::from_slice::<Stream>(body));
    match stream {
        None => Overrides::new(),
        Some(Ok(stream)) => stream.config,
        Some(Err(why)) => {
            tracing::error!("the policy of a stream is not understood: {why}");
            Overrides::new()
        }
    }
}
