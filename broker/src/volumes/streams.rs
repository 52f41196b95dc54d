//! The streams of volumes. A stream is a document in its volume's log, so that it branches and rewinds with it.

use std::collections::BTreeMap;
use std::sync::Arc;

use millpond_storage::state::{DEFAULT_STREAM, Position, Topic, Txn};
use millpond_storage::{DEFAULT_VOLUME, Timeline};

use super::describe::Held;
use super::{Result, VolumeError, Volumes, check_name, decided};
use crate::config::TopicsConfig;
use crate::documents::{self, Collection};
use crate::topics::config_keys::{Change, Overrides, change as change_key};
use crate::topics::lags::{LAGS, agree, of_stream, own};
use crate::topics::streams::Stream;

/// A stream of a volume, as it is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamInfo {
    /// Its volume.
    pub volume: String,
    /// Its name.
    pub name: String,
    /// Its policy.
    pub stream: Stream,
    /// How many topics it has.
    pub topics: usize,
    /// How many partitions these have.
    pub partitions: usize,
    /// Bytes of their batches.
    pub bytes: u64,
}

/// What is to be set on a stream; what is none stays.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StreamChange {
    /// How many partitions a topic gets that is created without a number; `Some(None)`: as the broker is set.
    pub partitions: Option<Option<i32>>,
    /// Whether topics that are asked for come into being by themselves; `Some(None)`: as the broker is set.
    pub auto_create: Option<Option<bool>>,
    /// Keys of topics' configuration; none: as the broker is set.
    pub config: BTreeMap<String, Option<String>>,
}

impl Volumes {
    /// The streams of a volume, by name.
    pub fn streams(&self, volume: &str) -> Result<Vec<StreamInfo>> {
        let (_, timeline) = self.find(volume)?;
        let streams = timeline.state(Stream::all).into_iter();
        Ok(streams.map(|(name, stream)| info(volume, &timeline, &name, stream)).collect())
    }

    /// A stream of a volume.
    pub fn stream(&self, volume: &str, name: &str) -> Result<StreamInfo> {
        let (_, timeline) = self.find(volume)?;
        let stream = timeline.state(|state| Stream::find(state, name)).ok_or_else(|| unknown(volume, name))?;
        Ok(info(volume, &timeline, name, stream))
    }

    /// Creates a stream.
    pub async fn create_stream(&self, volume: &str, name: &str, change: StreamChange) -> Result<StreamInfo> {
        check_name(name, "stream")?;
        if volume == DEFAULT_VOLUME {
            let why = "Volume default has one stream, whose topics have plain names: create a volume for more.";
            return Err(VolumeError::Invalid(why.to_owned()));
        }
        let created = self.engine.now();
        let key = name.to_owned();
        self.put_stream(volume, name, move |txn, known| {
            if known.is_some() {
                return Err(StreamRefusal::Exists);
            }
            // Else its short name would mean another topic, in this stream.
            if let Some(topic) = topic_below(txn, &key) {
                return Err(StreamRefusal::Held(topic));
            }
            apply(Stream { created, ..Stream::default() }, &change)
        })
        .await
    }

    /// Changes a stream's policy, and so its topics' where they have nothing of their own: all of it, or nothing.
    pub async fn alter_stream(&self, volume: &str, name: &str, change: StreamChange) -> Result<StreamInfo> {
        self.put_stream(volume, name, move |_, known| apply(known.ok_or(StreamRefusal::Unknown)?, &change)).await
    }

    async fn put_stream(
        &self,
        volume: &str,
        name: &str,
        make: impl FnOnce(&Txn<'_>, Option<Stream>) -> std::result::Result<Stream, StreamRefusal> + Send + 'static,
    ) -> Result<StreamInfo> {
        let (_, timeline) = self.find(volume)?;
        let (home, key, config) = (volume.to_owned(), name.to_owned(), Arc::clone(&self.config));
        decided(&timeline, move |txn| {
            let known = current(txn, &key)?;
            let before = known.as_ref().map(|known| known.config.clone()).unwrap_or_default();
            let stream = make(txn, known).map_err(|refusal| refusal.told(&home, &key))?;
            check_lags(&config.topics, txn, &key, (&before, &stream.config))?;
            txn.put(Collection::Streams.document(&key, &stream));
            Ok(())
        })
        .await?;
        self.stream(volume, name)
    }

    /// Deletes a stream. One that has topics goes only by force, and they with it.
    pub async fn delete_stream(&self, volume: &str, name: &str, force: bool) -> Result<()> {
        let (_, timeline) = self.find(volume)?;
        if name == DEFAULT_STREAM {
            return Err(VolumeError::Invalid("Stream default cannot be deleted.".to_owned()));
        }
        let (home, key) = (volume.to_owned(), name.to_owned());
        decided(&timeline, move |txn| {
            current(txn, &key)?.ok_or_else(|| unknown(&home, &key))?;
            let topics: Vec<_> = txn.all::<Topic>().into_iter().filter(|topic| *topic.name.stream == *key).collect();
            if !topics.is_empty() && !force {
                let count = topics.len();
                return Err(VolumeError::InTheWay(format!(
                    "Stream {key} of volume {home} has topics ({count}): --force deletes them with it."
                )));
            }
            for topic in topics {
                delete_topic(txn, topic);
            }
            documents::remove(txn, Collection::Streams, &key);
            Ok(())
        })
        .await
    }
}

/// In the writer. Whoever reads positions as records is told that they go.
fn delete_topic(txn: &mut Txn<'_>, topic: Topic) {
    for position in txn.positions_in(&topic) {
        txn.delete::<Position>(position);
    }
    txn.delete::<Topic>(topic.name);
}

/// In the writer: a stream as it is at the end of the log.
fn current(txn: &Txn<'_>, name: &str) -> Result<Option<Stream>> {
    let known = documents::get(txn, Collection::Streams, name)?;
    Ok(known.or_else(|| (name == DEFAULT_STREAM).then(Stream::default)))
}

/// In the writer: a topic of stream `default` whose name begins with a label.
fn topic_below(txn: &Txn<'_>, label: &str) -> Option<String> {
    let mut topics = txn.all::<Topic>().into_iter().filter(|topic| *topic.name.stream == *DEFAULT_STREAM);
    let is_below = |topic: &Topic| topic.name.topic.strip_prefix(label).is_some_and(|rest| rest.starts_with('.'));
    topics.find(is_below).map(|topic| topic.name.topic.to_string())
}

/// Why a stream was not put.
enum StreamRefusal {
    Exists,
    /// A topic of stream `default` begins with its name.
    Held(String),
    Unknown,
    Other(VolumeError),
}

impl StreamRefusal {
    fn told(self, volume: &str, name: &str) -> VolumeError {
        match self {
            Self::Exists => VolumeError::Taken(format!(
                "Volume {volume} has a stream {name} already. `millpond stream describe {volume} {name}` shows it."
            )),
            Self::Held(topic) => VolumeError::InTheWay(format!(
                "Topic {topic} of stream default has the name of a topic in a stream {name}: delete it or choose another name."
            )),
            Self::Unknown => unknown(volume, name),
            Self::Other(error) => error,
        }
    }
}

fn apply(mut stream: Stream, change: &StreamChange) -> std::result::Result<Stream, StreamRefusal> {
    if let Some(partitions) = change.partitions {
        check_partitions(partitions).map_err(StreamRefusal::Other)?;
        stream.partitions = partitions;
    }
    stream.auto_create = change.auto_create.unwrap_or(stream.auto_create);
    stream.config = configured(stream.config, &change.config).map_err(StreamRefusal::Other)?;
    Ok(stream)
}

fn configured(mut config: Overrides, changes: &BTreeMap<String, Option<String>>) -> Result<Overrides> {
    for (key, value) in changes {
        let change = value.as_deref().map_or(Change::Delete, |value| Change::Set(Some(value)));
        change_key(&mut config, key, change)?;
    }
    Ok(config)
}

/// In the writer: whether the lags that a stream is to set go together, and with those that its topics set.
fn check_lags(
    config: &TopicsConfig,
    txn: &Txn<'_>,
    name: &str,
    (before, after): (&Overrides, &Overrides),
) -> Result<()> {
    if LAGS.iter().all(|key| before.get(*key) == after.get(*key)) {
        return Ok(());
    }
    agree(config, &[of_stream(after)])?;
    for topic in txn.all::<Topic>().into_iter().filter(|topic| *topic.name.stream == *name) {
        agree(config, &[own(&topic.settings), of_stream(after)])
            .map_err(|why| VolumeError::InTheWay(format!("Topic {} of stream {name}: {why}", topic.name.topic)))?;
    }
    Ok(())
}

fn check_partitions(partitions: Option<i32>) -> Result<()> {
    let most = *TopicsConfig::PARTITIONS.end();
    let is_legal = |count: i32| u64::try_from(count).is_ok_and(|count| (1..=most).contains(&count));
    if partitions.is_none_or(is_legal) {
        return Ok(());
    }
    Err(VolumeError::Invalid(format!("A topic has 1 to {most} partitions.")))
}

fn unknown(volume: &str, stream: &str) -> VolumeError {
    VolumeError::UnknownStream { volume: volume.to_owned(), stream: stream.to_owned() }
}

fn info(volume: &str, timeline: &Timeline, name: &str, stream: Stream) -> StreamInfo {
    let Held { topics, partitions, bytes } = Held::of(timeline, name);
    StreamInfo { volume: volume.to_owned(), name: name.to_owned(), stream, topics, partitions, bytes }
}
