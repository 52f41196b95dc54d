//! Topics: what they are called, what holds for them, what is in them.
//!
//! [`Topics`] is the door: it finds topics by name and id, for every request of Produce and Fetch, and it creates, changes
//! and deletes them. A topic is a fact in its volume's log. The state that the facts add up to is the only truth, and every
//! change of it is decided by the log's writer. What changes something is submitted before the call returns; the future that
//! it returns only waits until the change is visible.
//!
//! - [`names`], [`ids`]: how topics are named on the wire.
//! - [`config_keys`], [`settings`], [`describe`]: what can be set on them, and what it means.

mod change;
pub mod config_keys;
mod create;
pub mod describe;
mod error;
pub mod ids;
mod known;
pub mod names;
mod pending;
mod place;
mod records;
pub mod replicas;
mod resolved;
pub mod settings;
pub mod streams;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

use millpond_storage::state::{Numbers, Topic, Volume};
use millpond_storage::{DEFAULT_VOLUME, Engine, Error, TimelineId};
use uuid::Uuid;

pub use create::NewTopic;
pub use error::TopicError;
pub use known::policy;
pub use pending::Changing;
pub use resolved::Resolved;

use crate::config::Config;
use crate::numbers::NumberBlocks;
use ids::{Spelling, TopicIdParts};
use known::KnownTopics;
use names::{Home, Name};
use place::Place;
use streams::Stream;

/// Topic numbers that are reserved at a time.
const NUMBERS_BLOCK: u64 = 64;

/// All topics. Clones share them.
#[derive(Clone)]
pub struct Topics(Arc<Inner>);

struct Inner {
    engine: Arc<Engine>,
    config: Arc<Config>,
    numbers: NumberBlocks,
    /// Volume `default`, where plain names are.
    default: Arc<Place>,
    known: KnownTopics,
}

impl Topics {
    /// The topics of an engine.
    pub fn new(engine: Arc<Engine>, config: Arc<Config>) -> Result<Self, Error> {
        let (volume, timeline) = engine
            .volume(DEFAULT_VOLUME)
            .ok_or_else(|| Error::Invalid(format!("the data directory has no volume {DEFAULT_VOLUME}")))?;
        let numbers = NumberBlocks::new(engine.system().clone(), Numbers::Topic, NUMBERS_BLOCK);
        let default = Arc::new(Place::new(volume, timeline));
        Ok(Self(Arc::new(Inner { engine, config, numbers, default, known: KnownTopics::default() })))
    }

    /// The topic that a name means.
    pub fn resolve(&self, name: &str) -> Result<Resolved, TopicError> {
        let name = self.parse(name)?;
        let place = self.place(name.home).ok_or(TopicError::Unknown)?;
        let topic = place.topic(&name).ok_or(TopicError::Unknown)?;
        Ok(self.resolved(place, topic, name.spelling()))
    }

    /// The topic that an id means.
    pub fn resolve_id(&self, id: &Uuid) -> Result<Resolved, TopicError> {
        let TopicIdParts { spelling, volume, number } = TopicIdParts::of(id).ok_or(TopicError::UnknownId)?;
        let place = self.place_where(|known| known.id == volume).ok_or(TopicError::UnknownId)?;
        let topic = place.topic_by_number(number).ok_or(TopicError::UnknownId)?;
        Ok(self.resolved(place, topic, spelling))
    }

    /// All topics that a client is shown who names none, by name. Every listing is made from this one.
    pub fn list(&self) -> Vec<Resolved> {
        let place = &self.0.default;
        let topics = place.topics().into_iter();
        let mut listed: Vec<_> = topics.map(|topic| self.resolved(Arc::clone(place), topic, Spelling::Plain)).collect();
        listed.sort_by_cached_key(Resolved::name);
        listed
    }

    /// A topic of a timeline as [`Topics::list`] has it; none if it is not listed.
    pub fn listed(&self, timeline: TimelineId, topic: &Arc<Topic>) -> Option<Resolved> {
        let place = &self.0.default;
        let is_listed = place.timeline.id() == timeline;
        is_listed.then(|| self.resolved(Arc::clone(place), Arc::clone(topic), Spelling::Plain))
    }

    /// Whether a topic that is asked for by this name comes into being by itself: as its stream says, else as the broker is set.
    pub fn is_created_when_asked_for(&self, name: &str) -> bool {
        self.stream_of(name).is_some_and(|stream| stream.auto_create.unwrap_or(self.0.config.topics.auto_create))
    }

    /// The stream that a topic of this name is in, or would be.
    pub fn stream_of(&self, name: &str) -> Option<Stream> {
        let name = self.parse(name).ok()?;
        let place = self.place(name.home)?;
        place.timeline.state(|state| Stream::find(state, name.stream))
    }

    fn parse<'a>(&self, name: &'a str) -> Result<Name<'a>, TopicError> {
        let is_volume = |label: &str| {
            label != DEFAULT_VOLUME && self.0.engine.system().state(|state| state.volume(label).is_some())
        };
        Ok(Name::parse(name, is_volume)?)
    }

    fn place(&self, home: Home<'_>) -> Option<Arc<Place>> {
        match home {
            Home::Default => Some(Arc::clone(&self.0.default)),
            Home::Volume(name) => self.place_where(|volume| *volume.name == *name),
            Home::Mount(path) => self.place_where(|volume| *volume.mount == *path),
        }
    }

    /// The volume that `is_it` is true of.
    fn place_where(&self, is_it: impl Fn(&Volume) -> bool) -> Option<Arc<Place>> {
        if is_it(&self.0.default.volume) {
            return Some(Arc::clone(&self.0.default));
        }
        let volume = self.0.engine.system().state(|state| state.volumes().find(|volume| is_it(volume)).cloned())?;
        let timeline = self.0.engine.timeline(volume.timeline)?;
        Some(Arc::new(Place::new(volume, timeline)))
    }

    fn resolved(&self, place: Arc<Place>, topic: Arc<Topic>, spelling: Spelling) -> Resolved {
        let timeline = place.timeline.clone();
        let home = (timeline.id(), place.volume.id);
        let stream = timeline.state(|state| streams::origin(state, &topic.name.stream));
        let (settings, id) = self.0.known.get(&self.0.config.topics, home, (&topic, stream), spelling);
        Resolved { topic, timeline, settings, id, spelling, place }
    }
}

impl fmt::Debug for Topics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "topics of {:?}", self.0.engine)
    }
}
