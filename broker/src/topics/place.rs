//! A volume or a snapshot as its topics see it: where their facts are, and what they are called there.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use millpond_storage::state::{DEFAULT_STREAM, State, Topic, TopicName, VolumeId};
use millpond_storage::{DEFAULT_VOLUME, Timeline, TopicNumber, TopicPartition};

use super::TopicError;
use super::frozen::{Frozen, Recent, Snapshot};
use super::ids::{Form, Spelling};
use super::names::{NAME_BYTES_MAX, SNAPSHOT_MARK, SNAPSHOTS};
use super::streams::{self, Stream};
use crate::documents::VolumeLimits;
use crate::quotas::Room;
use crate::scope::Scope;

/// The name of the topic of committed positions, which every volume has.
const POSITIONS_TOPIC: &str = "__consumer_offsets";

/// What a volume is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct HomeName {
    pub(super) id: VolumeId,
    pub(super) volume: Arc<str>,
    pub(super) mount: Arc<str>,
}

/// A volume or a snapshot, as far as its topics are concerned.
pub(super) struct Place {
    /// Which.
    pub(super) home: Scope,
    /// The volume, or that of the snapshot.
    pub(super) volume: VolumeId,
    /// What the volume is called, then what those are that it was cloned from, the nearest first.
    pub(super) names: Vec<HomeName>,
    /// Whether its topics are shown to who asks for none by name.
    pub(super) is_listed: bool,
    /// Whether its volume was restored: another history of it was left behind.
    pub(super) is_restored: bool,
    pub(super) log: Log,
    pub(super) quota: Quota,
    /// Not a fact: it is there without having been created.
    positions: Arc<Topic>,
}

/// What a volume may hold; of a snapshot, which takes nothing, there is none.
#[derive(Clone, Debug, Default)]
pub(super) struct Quota {
    pub(super) limits: VolumeLimits,
    /// It stays the volume's, whatever becomes of the limits.
    pub(super) room: Arc<Room>,
}

/// Where the facts are.
pub(super) enum Log {
    /// At the end of this log.
    Live(Timeline),
    /// At a pin.
    Frozen(Snapshot),
}

impl Place {
    pub(super) fn new(
        home: Scope,
        volume: VolumeId,
        names: Vec<HomeName>,
        is_listed: bool,
        log: Log,
        quota: Quota,
    ) -> Self {
        let positions = Topic {
            name: TopicName::new(DEFAULT_STREAM, POSITIONS_TOPIC),
            number: TopicNumber::POSITIONS,
            partitions: 1,
            created: 0,
            internal: true,
            settings: BTreeMap::new(),
        };
        Self { home, volume, names, is_listed, is_restored: false, log, quota, positions: Arc::new(positions) }
    }

    /// Whether it is volume `default`, whose names are plain.
    pub(super) fn is_default(&self) -> bool {
        matches!(self.log, Log::Live(_)) && self.own().volume.as_ref() == DEFAULT_VOLUME
    }

    /// Whether its topics are shown to who names none.
    pub(super) fn is_listed_in(&self, scope: Scope) -> bool {
        match scope {
            Scope::Everything => self.is_listed || self.is_default(),
            home => home == self.home,
        }
    }

    /// Whether its volume began as a clone.
    pub(super) fn is_clone(&self) -> bool {
        self.names.len() > 1
    }

    pub(super) fn own(&self) -> &HomeName {
        &self.names[0]
    }

    pub(super) fn timeline(&self) -> &Timeline {
        match &self.log {
            Log::Live(timeline) => timeline,
            Log::Frozen(snapshot) => &snapshot.timeline,
        }
    }

    /// The name of the snapshot that it is.
    pub(super) fn snapshot(&self) -> Option<&Arc<str>> {
        match &self.log {
            Log::Live(_) => None,
            Log::Frozen(snapshot) => Some(&snapshot.pin.name),
        }
    }

    /// Its facts; [`TopicError::Loading`] while those of a snapshot are read.
    pub(super) fn open(self: &Arc<Self>, recent: &Arc<Recent>) -> Result<Open, TopicError> {
        let frozen = match &self.log {
            Log::Live(_) => None,
            Log::Frozen(snapshot) => Some(snapshot.get(recent)?),
        };
        Ok(Open { place: Arc::clone(self), frozen })
    }

    /// What a topic is called in a spelling.
    pub(super) fn name_of(&self, topic: &Topic, Spelling { form, whose }: Spelling) -> Arc<str> {
        let TopicName { stream, topic: name } = &topic.name;
        let HomeName { volume, mount, .. } = self.names.get(usize::from(whose)).unwrap_or(self.own());
        let snapshot = self.snapshot().map_or("", |name| &**name);
        match form {
            Form::Short => topic.name.short(),
            Form::Dotted if &**volume == DEFAULT_VOLUME => topic.name.short(),
            Form::Dotted => format!("{volume}.{stream}.{name}").into(),
            Form::Path => format!("{mount}/{stream}:{name}").into(),
            Form::Alias => format!("{volume}.{SNAPSHOT_MARK}{snapshot}.{stream}.{name}").into(),
            Form::SnapshotPath => format!("{mount}{SNAPSHOTS}/{snapshot}/{stream}:{name}").into(),
        }
    }

    /// How a topic is spelled where every volume is shown: the dotted name, unless that would be none.
    pub(super) fn dotted_or_path(&self, topic: &Topic) -> Spelling {
        let TopicName { stream, topic: name } = &topic.name;
        let volume = &self.own().volume;
        let is_dotted = if &**volume == DEFAULT_VOLUME {
            **stream == *DEFAULT_STREAM
        } else {
            volume.len() + stream.len() + name.len() + 2 <= NAME_BYTES_MAX
        };
        Spelling::own(if is_dotted { Form::Dotted } else { Form::Path })
    }
}

impl Place {
    /// How a topic is spelled where every volume is shown, also one of a snapshot.
    pub(super) fn spelled_everywhere(&self, topic: &Topic) -> Spelling {
        if self.snapshot().is_none() {
            return self.dotted_or_path(topic);
        }
        let alias = self.name_of(topic, Spelling::own(Form::Alias));
        Spelling::own(if alias.len() <= NAME_BYTES_MAX { Form::Alias } else { Form::SnapshotPath })
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} in {:?}", self.home, self.timeline())
    }
}

/// A place whose facts can be looked at.
#[derive(Clone)]
pub(super) struct Open {
    pub(super) place: Arc<Place>,
    pub(super) frozen: Option<Arc<Frozen>>,
}

impl Open {
    pub(super) fn state<T>(&self, look: impl FnOnce(&State) -> T) -> T {
        match &self.frozen {
            Some(frozen) => look(&frozen.state),
            None => self.place.timeline().state(look),
        }
    }

    pub(super) fn topic(&self, stream: &str, topic: &str) -> Option<Arc<Topic>> {
        let found = self.state(|state| state.topic(stream, topic).cloned());
        found.or_else(|| {
            let is_positions = topic == POSITIONS_TOPIC && stream == DEFAULT_STREAM;
            is_positions.then(|| Arc::clone(&self.place.positions))
        })
    }

    pub(super) fn topic_by_number(&self, number: TopicNumber) -> Option<Arc<Topic>> {
        if number == TopicNumber::POSITIONS {
            return Some(Arc::clone(&self.place.positions));
        }
        self.state(|state| state.topic_by_number(number).cloned())
    }

    /// A stream, if it is there. `default` always is.
    pub(super) fn stream(&self, name: &str) -> Option<Stream> {
        self.state(|state| Stream::find(state, name))
    }

    /// Whether a stream other than `default` is there.
    pub(super) fn has_stream(&self, name: &str) -> bool {
        self.state(|state| streams::origin(state, name)).is_some()
    }

    /// All topics, by stream and name; that of the positions once something was committed, as in Kafka.
    pub(super) fn topics(&self) -> Vec<Arc<Topic>> {
        let mut topics: Vec<_> = self.state(|state| state.topics().cloned().collect());
        let positions = TopicPartition::new(TopicNumber::POSITIONS, 0);
        let is_used = |timeline: &Timeline| timeline.partition(positions).is_some_and(|log| log.high_watermark() > 0);
        if matches!(&self.place.log, Log::Live(timeline) if is_used(timeline)) {
            topics.push(Arc::clone(&self.place.positions));
        }
        topics
    }
}
