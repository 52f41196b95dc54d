//! What the broker keeps as documents: JSON by collection and name (`docs/volumes.md`, *Facts*).
//!
//! What is read and not known is kept when it is written back: every kind has its `rest`.

use std::sync::Arc;

use bytes::Bytes;
use millpond_storage::Error;
use millpond_storage::state::{Document, DocumentKey, State, Txn};
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
    /// Restores of which groups have yet to be told, by the volume's id.
    Restores = 6,
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

/// A document's bytes; two that are the same in memory are the same document.
pub fn body<'a>(state: &'a State, collection: Collection, name: &str) -> Option<&'a Bytes> {
    state.document_named(collection as u8, name)
}

/// What a document says, as it is visible; none also if it cannot be read.
pub fn find<T: DeserializeOwned>(state: &State, collection: Collection, name: &str) -> Option<T> {
    let key = collection.key(name);
    read(&key, state.document(&key)?)
}

/// All documents of a collection that can be read, by name.
pub fn all<T: DeserializeOwned>(state: &State, collection: Collection) -> Vec<(Arc<str>, T)> {
    let documents = state.documents_in(collection as u8);
    documents.filter_map(|(key, body)| Some((Arc::clone(&key.name), read(key, body)?))).collect()
}

/// In the writer: a document as it is at the end of the log. One that cannot be read is not to be changed.
pub fn get<T: DeserializeOwned>(txn: &Txn<'_>, collection: Collection, name: &str) -> Result<Option<T>, Error> {
    let document = txn.get::<Document>(&collection.key(name));
    document.map(|document| decode(&document)).transpose()
}

/// In the writer: all documents of a collection, by name.
pub fn get_all<T: DeserializeOwned>(txn: &Txn<'_>, collection: Collection) -> Result<Vec<(Arc<str>, T)>, Error> {
    let documents = txn.all::<Document>().into_iter().filter(|document| document.key.collection == collection as u8);
    documents.map(|document| Ok((Arc::clone(&document.key.name), decode(&document)?))).collect()
}

/// In the writer: removes a document, if it is there.
pub fn remove(txn: &mut Txn<'_>, collection: Collection, name: &str) {
    let key = collection.key(name);
    if txn.get::<Document>(&key).is_some() {
        txn.delete::<Document>(key);
    }
}

/// In the writer: removes the documents of a collection whose names begin so.
pub fn remove_below(txn: &mut Txn<'_>, collection: Collection, prefix: &str) {
    let is_below = |key: &DocumentKey| key.collection == collection as u8 && key.name.starts_with(prefix);
    for document in txn.all::<Document>().into_iter().filter(|document| is_below(&document.key)) {
        txn.delete::<Document>(document.key);
    }
}

fn decode<T: DeserializeOwned>(Document { key, body }: &Document) -> Result<T, Error> {
    serde_json::from_slice(body).map_err(|error| {
        Error::Corrupt(format!("document {:?} of collection {} cannot be read: {error}", key.name, key.collection))
    })
}

/// What is said of a volume beside its fact.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct VolumeSettings {
    /// What it was cloned from, and what that was cloned from, and so on: the nearest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ancestors: Vec<Ancestor>,
    /// How far back its past may be frozen, in milliseconds; none: what the broker is set to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub history_ms: Option<i64>,
    /// What it may hold.
    #[serde(default, skip_serializing_if = "VolumeLimits::is_empty")]
    pub limits: VolumeLimits,
    /// What a newer version says.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

/// What a volume may hold, and how many may come for it; what is none is not limited.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct VolumeLimits {
    /// Bytes of its batches: producers are refused that would exceed them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quota_bytes: Option<u64>,
    /// Bytes of its batches: it is told when there are more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub advisory_quota_bytes: Option<u64>,
    /// Topics.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub topics_max: Option<u32>,
    /// Partitions of all its topics.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partitions_max: Option<u32>,
    /// Connections to the listeners that show it or a snapshot of it, and nothing else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connections_max: Option<u32>,
    /// What a newer version says.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

impl VolumeLimits {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// A volume that another was cloned from, as it was then.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ancestor {
    /// Its id.
    pub id: u64,
    /// Its name.
    pub name: String,
    /// Where it was mounted.
    pub mount: String,
    /// The snapshot; none: it was cloned as it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshot: Option<String>,
    /// The LSN of the view.
    pub lsn: u64,
    /// The time of the view, in milliseconds.
    pub time: i64,
}

/// A listener that was added.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AddedListener {
    /// The number of its scope.
    pub scope: u64,
    /// What its answers tell clients to connect to, as `host:port`; none: the address at which each of them reached the broker.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub advertised: Option<String>,
    /// What a newer version says.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use millpond_storage::state::Pending;

    use super::*;

    type Plain = BTreeMap<String, u8>;

    #[test]
    fn a_document_is_put_read_and_removed() {
        let (mut state, pending) = (State::default(), Pending::new());
        let mut txn = Txn::new(&state, &pending);
        let document = Plain::from([("a".to_owned(), 1)]);
        txn.put(Collection::Streams.document("taq", &document));
        assert_eq!(get::<Plain>(&txn, Collection::Streams, "taq").unwrap(), Some(document.clone()));
        for fact in txn.into_facts().unwrap() {
            state.apply(&fact);
        }
        assert_eq!(find::<Plain>(&state, Collection::Streams, "taq"), Some(document.clone()));
        assert_eq!(all::<Plain>(&state, Collection::Streams), [("taq".into(), document)]);
        assert!(all::<Plain>(&state, Collection::VolumeSettings).is_empty());
        let mut txn = Txn::new(&state, &pending);
        remove(&mut txn, Collection::Streams, "taq");
        remove(&mut txn, Collection::Streams, "other");
        assert_eq!(txn.into_facts().unwrap().len(), 1, "what is not there is not removed");
    }

    #[test]
    fn what_is_not_understood_is_not_changed() {
        let (state, pending) = (State::default(), Pending::new());
        let mut txn = Txn::new(&state, &pending);
        txn.put(Collection::Streams.document("taq", &"text"));
        assert!(matches!(get::<Plain>(&txn, Collection::Streams, "taq"), Err(Error::Corrupt(_))));
        assert!(get_all::<Plain>(&txn, Collection::Streams).is_err());
    }
}
