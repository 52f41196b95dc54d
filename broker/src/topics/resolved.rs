//! A topic that was found: what a request needs to know of it.

use std::sync::Arc;

use millpond_storage::state::{State, Topic, VolumeId};
use millpond_storage::{Bounds, Error, Partition, Timeline, TopicPartition, View};
use uuid::Uuid;

use super::TopicError;
use super::config_keys::Overrides;
use super::frozen::Frozen;
use super::ids::{Form, Spelling};
use super::place::Place;
use super::settings::TopicSettings;
use super::streams;
use crate::scope::Scope;

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
    pub(super) frozen: Option<Arc<Frozen>>,
}

impl Resolved {
    /// Its name in that spelling: what an answer calls it that was asked by id, or by nothing.
    pub fn name(&self) -> Arc<str> {
        self.place.name_of(&self.topic, self.spelling)
    }

    /// What its stream sets for it.
    pub fn stream_config(&self) -> Overrides {
        let config = |state: &State| streams::config_of(streams::origin(state, &self.topic.name.stream).as_ref());
        self.frozen.as_ref().map_or_else(|| self.timeline.state(config), |frozen| config(&frozen.state))
    }

    /// The volume or the snapshot that it is in.
    pub fn home(&self) -> Scope {
        self.place.home
    }

    /// Itself, if clients may write records to it: the broker's own topics are written by what they stand for alone.
    pub fn for_clients_records(self) -> Result<Self, TopicError> {
        if self.topic.internal { Err(TopicError::Internal(self.name().to_string())) } else { Ok(self) }
    }

    /// The volume that it is in; of a topic in a snapshot that of the snapshot.
    pub fn volume(&self) -> VolumeId {
        self.place.volume
    }

    /// Whether it is in a snapshot, so that it never changes.
    pub fn is_frozen(&self) -> bool {
        self.frozen.is_some()
    }

    /// Whether its volume was restored: it has left another history behind.
    pub fn is_restored(&self) -> bool {
        self.place.is_restored
    }

    /// Whether nobody can have called it so before its log branched off: that is a clone's, and the name has the clone's own.
    pub fn is_new_name(&self) -> bool {
        let has_volume = matches!(self.spelling.form, Form::Dotted | Form::Path) && self.spelling.whose == 0;
        has_volume && self.place.is_clone() && !self.is_restored()
    }

    /// The state of the snapshot that it is in.
    pub fn frozen_state(&self) -> Option<&Arc<State>> {
        self.frozen.as_ref().map(|frozen| &frozen.state)
    }

    /// What its records are read through.
    pub fn view(&self) -> View {
        self.frozen.as_ref().map_or_else(|| self.timeline.live(), |frozen| frozen.view().clone())
    }

    /// Where one of its partitions begins and ends. Of a snapshot's it may have to be read from a file, once.
    pub async fn bounds(&self, partition: &Arc<Partition>) -> Result<Bounds, Error> {
        match &self.frozen {
            Some(frozen) => frozen.bounds(partition).await,
            None => self.timeline.live().bounds(partition),
        }
    }

    /// Whether a partition of it that was found before is no more.
    pub fn is_gone(&self, partition: &Partition) -> bool {
        self.frozen.is_none() && partition.is_gone()
    }

    /// Whether a partition of it that was found before is in a history that its volume has left.
    pub fn is_fenced(&self, partition: &Partition) -> bool {
        self.frozen.is_none() && partition.is_fenced()
    }

    /// Refuses what would change it.
    pub fn check_writable(&self) -> Result<(), TopicError> {
        if self.is_frozen() { Err(TopicError::ReadOnly(self.name().to_string())) } else { Ok(()) }
    }

    /// One of its partitions, by the index that clients use.
    pub fn partition_id(&self, index: i32) -> Result<TopicPartition, TopicError> {
        let index = u32::try_from(index).ok().filter(|index| *index < self.topic.partitions);
        index.map(|index| TopicPartition::new(self.topic.number, index)).ok_or(TopicError::Unknown)
    }

    /// One of its partitions while it runs.
    pub fn partition(&self, index: i32) -> Result<Arc<Partition>, TopicError> {
        self.find(self.partition_id(index)?).ok_or(TopicError::Unknown)
    }

    /// All of its partitions, in order.
    pub fn partitions(&self) -> impl Iterator<Item = Arc<Partition>> + use<'_> {
        let ids = (0..self.topic.partitions).map(|index| TopicPartition::new(self.topic.number, index));
        ids.filter_map(|id| self.find(id))
    }

    fn find(&self, id: TopicPartition) -> Option<Arc<Partition>> {
        match &self.frozen {
            Some(frozen) => frozen.view().partition(id),
            None => self.timeline.partition(id),
        }
    }
}
