//! Topics: what they are called, what holds for them, what is in them.
//!
//! [`Topics`] is the door: it finds topics by name and id, for every request of Produce and Fetch, and it creates, changes
//! and deletes them. A topic is a fact in its volume's log. The state that the facts add up to is the only truth, and every
//! change of it is decided by the log's writer. What changes something is submitted before the call returns; the future that
//! it returns only waits until the change is visible.
//!
//! - [`names`], [`ids`]: how topics are named on the wire. The directory knows what the names mean, scope by scope.
//! - [`Frozen`]: what a snapshot shows. Its topics are found and read like others, and never change.
//! - [`config_keys`], [`settings`], [`describe`]: what can be set on them, and what it means. [`Holding`]: what a volume may hold.

mod change;
pub mod config_keys;
mod create;
pub mod describe;
mod directory;
mod error;
#[cfg(test)]
pub(crate) mod fixture;
mod frozen;
pub mod ids;
mod keeper;
mod known;
pub mod lags;
mod limits;
mod lost;
pub mod names;
mod pending;
mod place;
mod records;
pub mod replicas;
mod reserved;
mod resolved;
pub mod settings;
pub mod streams;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use millpond_storage::state::{Numbers, PinId, Topic};
use millpond_storage::{DEFAULT_VOLUME, Engine, Error, TopicNumber};
use uuid::Uuid;

pub use create::NewTopic;
pub use error::TopicError;
pub use frozen::Frozen;
pub use ids::Spelling;
pub use known::policy;
pub use limits::Holding;
pub use pending::Changing;
pub use reserved::Reservation;
pub use resolved::Resolved;

use crate::config::Config;
use crate::numbers::NumberBlocks;
use crate::scope::Scope;
use directory::Directory;
use frozen::Recent;
use ids::{Form, TopicIdParts};
use known::KnownTopics;
use place::{Log, Open, Place};
use reserved::Reserved;
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
    directory: ArcSwap<Directory>,
    /// Held by who makes the directory anew.
    renewing: Mutex<()>,
    recent: Arc<Recent>,
    known: KnownTopics,
    reserved: Arc<Reserved>,
}

impl Topics {
    /// The topics of an engine.
    pub fn new(engine: Arc<Engine>, config: Arc<Config>) -> Result<Self, Error> {
        let directory = Directory::read(&engine, None)
            .ok_or_else(|| Error::Invalid(format!("the data directory has no volume {DEFAULT_VOLUME}")))?;
        let numbers = NumberBlocks::new(engine.system().clone(), Numbers::Topic, NUMBERS_BLOCK);
        Ok(Self(Arc::new(Inner {
            engine,
            config,
            numbers,
            directory: ArcSwap::from_pointee(directory),
            renewing: Mutex::default(),
            recent: Arc::default(),
            known: KnownTopics::default(),
            reserved: Arc::default(),
        })))
    }

    /// The topic that a name means to a client of a scope.
    pub fn resolve(&self, scope: Scope, name: &str) -> Result<Resolved, TopicError> {
        let found = self.directory().find(scope, name, &self.0.recent)?;
        let open = found.place.open(&self.0.recent)?;
        let topic = open.topic(found.stream, found.topic).ok_or(TopicError::Unknown)?;
        Ok(self.resolved(open, topic, found.spelling))
    }

    /// As [`Topics::resolve`]; what a snapshot shows is waited for.
    pub async fn resolve_loaded(&self, scope: Scope, name: &str) -> Result<Resolved, TopicError> {
        let directory = self.directory();
        let place = match directory.find(scope, name, &self.0.recent) {
            // What a short name means depends on what the snapshot shows.
            Err(TopicError::Loading) => directory.place(scope).cloned(),
            found => Some(found?.place),
        };
        let _loaded = match place.as_ref().map(|place| &place.log) {
            Some(Log::Frozen(snapshot)) => Some(snapshot.wait(&self.0.recent).await?),
            _ => None,
        };
        self.resolve(scope, name)
    }

    /// The topic that an id means to a client of a scope. It keeps that id, also where the topic's own is another.
    pub fn resolve_id(&self, scope: Scope, id: &Uuid) -> Result<Resolved, TopicError> {
        let TopicIdParts { spelling, home, number } = TopicIdParts::of(id).ok_or(TopicError::UnknownId)?;
        let directory = self.directory();
        let (place, spelling) = directory.find_id(scope, home, spelling).ok_or(TopicError::UnknownId)?;
        let open = place.open(&self.0.recent)?;
        let topic = open.topic_by_number(number).ok_or(TopicError::UnknownId)?;
        Ok(Resolved { id: *id, ..self.resolved(open, topic, spelling) })
    }

    /// All topics that a client of a scope is shown who names none, by name. Every listing is made from this one. (Those of
    /// a snapshot that is not [loaded](Topics::load) are left out.)
    pub fn list(&self, scope: Scope) -> Vec<Resolved> {
        let directory = self.directory();
        let mut listed = Vec::new();
        for open in directory.listed(scope).into_iter().filter_map(|place| place.open(&self.0.recent).ok()) {
            let topics = open.topics().into_iter().filter(|topic| !topic.internal || is_own(scope, &open.place));
            listed.extend(topics.map(|topic| {
                let spelling = self.listed_spelling(&directory, scope, &open, &topic);
                self.resolved(open.clone(), topic, spelling)
            }));
        }
        listed.sort_by_cached_key(Resolved::name);
        listed
    }

    /// All topics of a volume or a snapshot, listed or not, by the names that they have where every volume is shown. What a
    /// snapshot shows is waited for.
    pub async fn list_in(&self, home: Scope) -> Result<Vec<Resolved>, TopicError> {
        let place = self.directory().place(home).cloned().ok_or(TopicError::Unknown)?;
        let _loaded = match &place.log {
            Log::Frozen(snapshot) => Some(snapshot.wait(&self.0.recent).await?),
            Log::Live(_) => None,
        };
        let open = place.open(&self.0.recent)?;
        let topics = open.topics().into_iter().filter(|topic| !topic.internal);
        let mut listed: Vec<Resolved> = topics
            .map(|topic| {
                let spelling = open.place.spelled_everywhere(&topic);
                self.resolved(open.clone(), topic, spelling)
            })
            .collect();
        listed.sort_by_cached_key(Resolved::name);
        Ok(listed)
    }

    /// A topic of a volume or snapshot as [`Topics::list`] has it; none if it is not listed.
    pub fn listed(&self, scope: Scope, home: Scope, topic: &Arc<Topic>) -> Option<Resolved> {
        let directory = self.directory();
        let place = directory.place(home).filter(|place| place.is_listed_in(scope))?;
        let open = place.open(&self.0.recent).ok()?;
        let spelling = self.listed_spelling(&directory, scope, &open, topic);
        Some(self.resolved(open, Arc::clone(topic), spelling))
    }

    /// Loads what a snapshot shows, when that is not known yet. It stays loaded for as long as what is returned is held.
    pub async fn load(&self, snapshot: PinId) -> Result<Arc<Frozen>, TopicError> {
        let place = self.directory().place(Scope::Snapshot(snapshot)).cloned().ok_or(TopicError::Unknown)?;
        match &place.log {
            Log::Frozen(snapshot) => snapshot.wait(&self.0.recent).await,
            Log::Live(_) => Err(TopicError::Unknown),
        }
    }

    /// What a scope that is a snapshot shows; none for others.
    pub fn frozen(&self, scope: Scope) -> Result<Option<Arc<Frozen>>, TopicError> {
        match scope {
            Scope::Everything | Scope::Volume(_) => Ok(None),
            Scope::Snapshot(_) => {
                let place = self.directory().place(scope).cloned().ok_or(TopicError::Unknown)?;
                Ok(place.open(&self.0.recent)?.frozen)
            }
        }
    }

    /// Lets go of loaded snapshots that nobody else holds on to.
    pub fn forget_snapshots(&self) {
        self.0.recent.forget();
    }

    /// Whether a topic that is asked for by this name comes into being by itself: as its stream says, else as the broker is set.
    /// One that a restore took away does not, for a while.
    pub fn is_created_when_asked_for(&self, scope: Scope, name: &str) -> bool {
        let stream = self.stream_of(scope, name);
        stream.is_some_and(|stream| stream.auto_create.unwrap_or(self.0.config.topics.auto_create))
            && self
                .directory()
                .find(scope, name, &self.0.recent)
                .is_ok_and(|found| !self.is_lost(&found.place, found.stream, found.topic))
    }

    /// The stream that a topic of this name is in, or would be.
    pub fn stream_of(&self, scope: Scope, name: &str) -> Option<Stream> {
        let found = self.directory().find(scope, name, &self.0.recent).ok()?;
        found.place.open(&self.0.recent).ok()?.stream(found.stream)
    }

    /// What volumes and snapshots there are now.
    fn directory(&self) -> Arc<Directory> {
        let known = self.0.directory.load();
        if known.is_current(&self.0.engine) {
            return Arc::clone(&known);
        }
        drop(known);
        let _turn = self.0.renewing.lock().unwrap_or_else(PoisonError::into_inner);
        let known = self.0.directory.load_full();
        if known.is_current(&self.0.engine) {
            return known;
        }
        // There always is a volume `default`; should there be none, the last directory is as good as any.
        let Some(renewed) = Directory::read(&self.0.engine, Some(&known)).map(Arc::new) else { return known };
        self.0.known.keep(|home| renewed.place(home).is_some());
        self.0.directory.store(Arc::clone(&renewed));
        renewed
    }

    /// How a topic is spelled in a listing: as its place is shown, unless that name would mean another.
    fn listed_spelling(&self, directory: &Directory, scope: Scope, open: &Open, topic: &Arc<Topic>) -> Spelling {
        let short = topic.name.short();
        if scope == Scope::Everything {
            // A restore of volume `default` may bring a topic back whose plain name has become a volume's.
            let is_taken =
                open.place.is_default() && directory.is_reserved(short.split('.').next().unwrap_or_default());
            let is_hidden = is_taken && short.contains('.');
            return if is_hidden { Spelling::own(Form::Path) } else { open.place.dotted_or_path(topic) };
        }
        let means_it = || {
            let found = directory.find(scope, &short, &self.0.recent).ok()?;
            let meant = open.topic(found.stream, found.topic)?;
            (meant.number == topic.number && found.spelling.form == Form::Short).then_some(())
        };
        let is_plain = !short.contains('.') || means_it().is_some();
        Spelling::own(if is_plain { Form::Short } else { Form::Path })
    }

    /// A topic of a place as it is now.
    fn by_number(&self, home: Scope, number: TopicNumber, spelling: Spelling) -> Result<Resolved, TopicError> {
        let open = self.directory().place(home).ok_or(TopicError::Unknown)?.open(&self.0.recent)?;
        let topic = open.topic_by_number(number).ok_or(TopicError::Unknown)?;
        Ok(self.resolved(open, topic, spelling))
    }

    fn resolved(&self, open: Open, topic: Arc<Topic>, spelling: Spelling) -> Resolved {
        let stream = open.state(|state| streams::origin(state, &topic.name.stream));
        let Open { place, frozen } = open;
        let settings = self.0.known.settings(&self.0.config.topics, place.home, (&topic, stream));
        let id = TopicIdParts { spelling, home: place.home, number: topic.number }.id();
        Resolved { topic, timeline: place.timeline().clone(), settings, id, spelling, place, frozen }
    }
}

/// Whether a place's internal topics are listed in a scope: those of volume `default`, or of the one that is shown.
fn is_own(scope: Scope, place: &Place) -> bool {
    scope != Scope::Everything || place.is_default()
}

impl fmt::Debug for Topics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "topics of {:?}", self.0.engine)
    }
}
