//! A topic that was found: what a request needs to know of it.

use std::sync::Arc;

use millpond_storage::state::{Topic, VolumeId};
use millpond_storage::{Partition, Timeline, TopicPartition};
use uuid::Uuid;

use super::TopicError;
use super::config_keys::Overrides;
use super::ids::Spelling;
use super::place::Place;
use super::settings::TopicSettings;
use super::streams;

/// A topic that was found, as it was then.
#[derive(Clone, Debug)]
pub struct Resolved {
    /// The topic.
    pub topic: Arc<Topic>,
    /// The log that it is in.
    pub timeline: Timeline,
    /// What holds for it.
    pub settings: Arc<TopicSettings>,
    /// Its id in the spelling that it was asked for by.
    pub id: Uuid,
    /// That spelling.
    pub spelling: Spelling,
    pub(super) place: Arc<Place>,
}

impl Resolved {
    /// Its name in that spelling: what an answer calls it that was asked by id, or by nothing.
    pub fn name(&self) -> Arc<str> {
        self.place.name_of(&self.topic, self.spelling)
    }

    /// What its stream sets for it.
    pub fn stream_config(&self) -> Overrides {
        self.timeline.state(|state| streams::config_of(streams::origin(state, &self.topic.name.stream).as_ref()))
    }

    /// The volume that it is in.
    pub fn volume(&self) -> VolumeId {
        self.place.volume.id
    }

    /// One of its partitions, by the index that clients use.
    pub fn partition_id(&self, index: i32) -> Result<TopicPartition, TopicError> {
        let index = u32::try_from(index).ok().filter(|index| *index < self.topic.partitions);
        index.map(|index| TopicPartition::new(self.topic.number, index)).ok_or(TopicError::Unknown)
    }

    /// One of its partitions while it runs.
    pub fn partition(&self, index: i32) -> Result<Arc<Partition>, TopicError> {
        self.timeline.partition(self.partition_id(index)?).ok_or(TopicError::Unknown)
    }

    /// All of its partitions, in order.
    pub fn partitions(&self) -> impl Iterator<Item = Arc<Partition>> + use<'_> {
        let ids = (0..self.topic.partitions).map(|index| TopicPartition::new(self.topic.number, index));
        ids.filter_map(|id| self.timeline.partition(id))
    }
}
