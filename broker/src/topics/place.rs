//! A volume as its topics see it: where their facts are, and what they are called there.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use millpond_storage::state::{DEFAULT_STREAM, Topic, TopicName, Volume};
use millpond_storage::{DEFAULT_VOLUME, Timeline, TopicNumber};

use super::ids::Spelling;
use super::names::Name;

/// The name of the topic of committed positions, which every volume has.
const POSITIONS_TOPIC: &str = "__consumer_offsets";

/// A volume, as far as its topics are concerned.
pub(super) struct Place {
    pub(super) volume: Volume,
    pub(super) timeline: Timeline,
    /// Not a fact: it is there without having been created.
    positions: Arc<Topic>,
}

impl Place {
    pub(super) fn new(volume: Volume, timeline: Timeline) -> Self {
        let positions = Topic {
            name: TopicName::new(DEFAULT_STREAM, POSITIONS_TOPIC),
            number: TopicNumber::POSITIONS,
            partitions: 1,
            created: volume.created,
            internal: true,
            settings: BTreeMap::new(),
        };
        Self { volume, timeline, positions: Arc::new(positions) }
    }

    pub(super) fn topic(&self, name: &Name<'_>) -> Option<Arc<Topic>> {
        let found = self.timeline.state(|state| state.topic(name.stream, name.topic).cloned());
        found.or_else(|| {
            let is_positions = name.topic == POSITIONS_TOPIC && name.stream == DEFAULT_STREAM;
            is_positions.then(|| Arc::clone(&self.positions))
        })
    }

    pub(super) fn topic_by_number(&self, number: TopicNumber) -> Option<Arc<Topic>> {
        if number == TopicNumber::POSITIONS {
            return Some(Arc::clone(&self.positions));
        }
        self.timeline.state(|state| state.topic_by_number(number).cloned())
    }

    /// All topics, by stream and name; that of the positions once something was committed, as in Kafka.
    pub(super) fn topics(&self) -> Vec<Arc<Topic>> {
        let mut topics: Vec<_> = self.timeline.state(|state| state.topics().cloned().collect());
        let positions = millpond_storage::TopicPartition::new(TopicNumber::POSITIONS, 0);
        if self.timeline.partition(positions).is_some_and(|partition| partition.high_watermark() > 0) {
            topics.push(Arc::clone(&self.positions));
        }
        topics
    }

    /// What a topic is called in a spelling.
    pub(super) fn name_of(&self, topic: &Topic, spelling: Spelling) -> Arc<str> {
        let TopicName { stream, topic: name } = &topic.name;
        match spelling {
            Spelling::Plain if *self.volume.name == *DEFAULT_VOLUME => topic.name.short(),
            Spelling::Plain => format!("{}.{stream}.{name}", self.volume.name).into(),
            Spelling::Path => format!("{}/{stream}:{name}", self.volume.mount).into(),
        }
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "volume {} in {:?}", self.volume.name, self.timeline)
    }
}
