//! What the broker keeps as documents: JSON by collection and name (`docs/volumes.md`, *Facts*).
//!
//! What is read and not known is kept when it is written back: every kind has its `rest`.

use std::sync::Arc;

use bytes::Bytes;
use millpond_storage::state::{Document, DocumentKey};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Which documents. Those below 16 are in `system`, the others in a volume's log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Collection {
    /// Settings of volumes, by the volume's id.
    VolumeSettings = 1,
    /// Schedules, by `<volume>/<schedule>`.
    Schedules = 2,
    /// Listeners, by address.
    Listeners = 3,
    /// Names of volumes that are no more, by name.
    FormerVolumes = 4,
    /// Positions committed on snapshots, by `<pin>/<topic number>/<partition>/<group>`.
    SnapshotPositions = 5,
    /// Streams and their policies, by name, in the volume's log.
    Streams = 16,
}

impl Collection {
    /// The key of a document in it.
    pub fn key(self, name: &str) -> DocumentKey {
        DocumentKey { collection: self as u8, name: Arc::from(name) }
    }

    /// A document in it that says `body`.
    pub fn document(self, name: &str, body: &impl Serialize) -> Document {
        // What is ours has text for keys, which is all that JSON asks for.
        let body = serde_json::to_vec(body).unwrap_or_default();
        Document { key: self.key(name), body: Bytes::from(body) }
    }
}

/// What a document says; none if it cannot be read, which is told of.
pub fn read<T: DeserializeOwned>(key: &DocumentKey, body: &Bytes) -> Option<T> {
    let read = serde_json::from_slice(body);
    if let Err(error) = &read {
        tracing::error!(collection = key.collection, name = %key.name, %error, "a document cannot be read");
    }
    read.ok()
}

/// A volume that is no more: its name, and that of its mount, stay taken for its topics.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FormerVolume {
    /// The id it had.
    #[serde(default)]
    pub id: u64,
    /// Where it was mounted.
    #[serde(default)]
    pub mount: String,
    /// What a newer version says.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}
