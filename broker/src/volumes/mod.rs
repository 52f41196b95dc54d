//! Volumes: what there is, how it is made, changed and deleted; the streams in them.
//!
//! [`Volumes`] is the door. What is said *about* a volume (its name, mount, durability, settings, snapshots, schedules) is decided
//! by the writer of `system`, what is *in* one (its streams) by the writer of its own log. Nothing is kept in memory: every
//! question is answered from the state that the facts add up to.
//!
//! - [`create`], [`alter`], [`delete`], [`describe`]: volumes.
//! - [`streams`]: their streams, and the policy that topics inherit.
//! - [`snapshots`], [`moment`]: named views of now and of the past; [`keeper`]: what becomes of them with time.
//! - [`schedules`], [`timetable`]: snapshots that are taken by themselves.
//! - [`usage`]: the bytes that snapshots cost. [`limits`]: what volumes may hold. [`purge`]: a past that is given up.
//! - [`clones`]: volumes that begin as a view, and restores.
//! - [`diff`]: what two views have in common and what not.
//!
//! What a listener shows is not deleted, nor does it go by itself: [`listeners`].

mod alter;
mod clones;
mod create;
mod delete;
mod describe;
pub mod diff;
mod error;
mod keeper;
mod limits;
mod listeners;
pub mod moment;
mod mount;
mod purge;
pub mod schedules;
mod snapshots;
pub mod streams;
#[cfg(test)]
mod tests;
pub mod timetable;
mod usage;
mod view;

use std::fmt;
use std::sync::Arc;

use jiff::tz::TimeZone;
use millpond_storage::state::{Txn, Volume};
use millpond_storage::{Engine, Error, Timeline};

pub use alter::VolumeChange;
pub use clones::SAFETY_LIFETIME_MS;
pub use create::NewVolume;
pub use describe::{CloneOf, VolumeInfo, history_of};
pub use error::VolumeError;
pub use limits::LimitsChange;
pub use snapshots::{NewSnapshot, SnapshotInfo};
pub use view::ViewName;

use moment::Moment;

use crate::completion;
use crate::config::Config;
use crate::groups::Groups;
use crate::topics::Topics;
use crate::topics::names::is_label;

/// A result of something with volumes.
pub type Result<T> = std::result::Result<T, VolumeError>;

/// All volumes. Clones share them.
#[derive(Clone)]
pub struct Volumes {
    engine: Arc<Engine>,
    config: Arc<Config>,
    /// Their names are kept free of those of volumes.
    topics: Topics,
    /// They are told of restores.
    groups: Arc<Groups>,
    /// The broker's own.
    zone: TimeZone,
}

impl Volumes {
    /// The volumes of an engine, with its topics and groups.
    pub fn new(engine: Arc<Engine>, config: Arc<Config>, topics: Topics, groups: Arc<Groups>) -> Self {
        Self { engine, config, topics, groups, zone: TimeZone::system() }
    }

    /// The moment that a text names.
    pub fn moment(&self, text: &str) -> Result<Moment> {
        Moment::parse(text, self.engine.now(), &self.zone)
    }

    /// The last group before a record of a topic with a later timestamp than a text names.
    pub fn moment_of_record(&self, topic: &str, time: &str) -> Result<Moment> {
        let time = moment::parse_time(time, self.engine.now(), &self.zone)?;
        Ok(Moment::Record { topic: topic.to_owned(), time })
    }

    /// A volume and its log, by its name.
    fn find(&self, name: &str) -> Result<(Volume, Timeline)> {
        self.engine.volume(name).ok_or_else(|| VolumeError::UnknownVolume(name.to_owned()))
    }

    /// The log of a volume, when all that was submitted to it before is visible.
    async fn settled(&self, name: &str) -> Result<Timeline> {
        let (_, timeline) = self.find(name)?;
        let (done, settled) = completion::pair();
        timeline.barrier(move || done(()));
        settled.await.ok_or(Error::Closed)?;
        Ok(timeline)
    }

    /// Has the writer of `system` decide.
    async fn decide<T: Send + 'static>(
        &self,
        decide: impl FnOnce(&mut Txn<'_>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        decided(self.engine.system(), decide).await
    }
}

/// Has the writer of a log decide.
async fn decided<T: Send + 'static>(
    timeline: &Timeline,
    decide: impl FnOnce(&mut Txn<'_>) -> Result<T> + Send + 'static,
) -> Result<T> {
    submitted(|done| timeline.transact(decide, done)).await
}

/// What becomes of something that the engine was asked for, and that may refuse it.
async fn submitted<T: Send + 'static>(
    submit: impl FnOnce(Box<dyn FnOnce(std::result::Result<Result<T>, Error>) + Send>),
) -> Result<T> {
    let (done, outcome) = completion::pair();
    submit(Box::new(done));
    outcome.await.unwrap_or(Err(Error::Closed))?
}

/// In the writer of `system`: a volume as it is at the end of the log.
fn current(txn: &Txn<'_>, name: &str) -> Result<Volume> {
    txn.get::<Volume>(&name.into()).ok_or_else(|| VolumeError::UnknownVolume(name.to_owned()))
}

/// Checks the name of something new.
fn check_name(name: &str, what: &'static str) -> Result<()> {
    if is_label(name) { Ok(()) } else { Err(VolumeError::InvalidName(name.to_owned(), what)) }
}

impl fmt::Debug for Volumes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "volumes of {:?}", self.engine)
    }
}
