//! Consumer groups: who is in them, which generation they are in, what each member was assigned, and how far the group has
//! come.
//!
//! - [`Groups`]: all of it, over an engine; what `api/` calls.
//! - [`Coordinator`]: the members; runs the machines, gives them time, carries out what they decide.
//! - [`classic`]: the classic protocol of one group, a state machine without clock or I/O.
//! - [`record`]: what of a group is written down, in bytes; [`GroupStore`]: where.
//! - [`assignment`]: what members were assigned, for people.
//! - [`spelling`], [`subscription`]: the topics that consumers subscribe to, as far as the broker has to know them.
//! - [`positions`]: what groups commit; a group may consist of nothing else.
//! - [`RestoreFence`]: what the restore of a volume means to the groups that consume it.

pub mod assignment;
mod batch;
pub mod classic;
mod clock;
mod coordinator;
mod deadlines;
mod error;
mod expiry;
mod history;
mod key;
mod overlay;
mod places;
pub mod positions;
pub mod record;
mod removal;
pub mod request;
mod restore;
mod settings;
pub mod spelling;
mod store;
pub mod subscription;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use millpond_storage::Engine;

pub use classic::State;
pub use coordinator::{Coordinator, GroupStore, Saved, TopicNames};
pub use error::GroupError;
pub use key::GroupKey;
pub use restore::{RestoreFence, note_restore};
pub use settings::{GroupSettings, PositionSettings};

use crate::scope::Scope;
use request::GroupDescription;
use store::SystemStore;

/// Milliseconds since 1970.
pub type UnixClock = Box<dyn Fn() -> i64 + Send + Sync>;

/// The consumer groups of a broker.
pub struct Groups {
    engine: Arc<Engine>,
    coordinator: Arc<Coordinator>,
    topics: Arc<dyn TopicNames>,
    settings: PositionSettings,
    clock: UnixClock,
}

impl Groups {
    /// Takes up the groups that the engine has. Somebody has to [run](Self::run) them.
    pub fn open(
        engine: Arc<Engine>,
        members: GroupSettings,
        settings: PositionSettings,
        topics: Arc<dyn TopicNames>,
    ) -> Arc<Self> {
        Self::open_at(engine, members, settings, topics, Box::new(unix_ms))
    }

    /// As [`Groups::open`], with a clock for the age of positions.
    pub fn open_at(
        engine: Arc<Engine>,
        members: GroupSettings,
        settings: PositionSettings,
        topics: Arc<dyn TopicNames>,
        clock: UnixClock,
    ) -> Arc<Self> {
        let store = SystemStore { system: engine.system().clone() };
        let records = store.load();
        let coordinator = Coordinator::new(members, Box::new(store), Arc::clone(&topics));
        coordinator.load(records);
        let groups = Arc::new(Self { engine, coordinator, topics, settings, clock });
        groups.resume_fences();
        groups
    }

    /// Gives groups their time-outs and lets positions expire, for as long as it is polled.
    pub async fn run(self: Arc<Self>) {
        tokio::join!(Arc::clone(&self.coordinator).run(), self.run_expiry());
    }

    /// The members of groups.
    pub fn coordinator(&self) -> &Arc<Coordinator> {
        &self.coordinator
    }

    /// A group; none if it has neither members nor positions, and had none of late.
    pub fn describe(&self, key: &GroupKey) -> Option<GroupDescription> {
        let simple = || self.has_positions(key.scope, &key.group_id).then(GroupDescription::simple);
        self.coordinator.describe(key).or_else(simple)
    }

    /// All groups of a scope, by id, without their members.
    pub fn list(&self, scope: Scope) -> BTreeMap<String, GroupDescription> {
        let mut groups = BTreeMap::new();
        for place in self.places(scope) {
            let found = place.groups(self.engine.system()).into_iter();
            groups.extend(found.map(|group| (group.to_string(), GroupDescription::simple())));
        }
        groups.extend(self.coordinator.list(scope));
        groups
    }
}

impl fmt::Debug for Groups {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.coordinator.fmt(out)
    }
}

fn unix_ms() -> i64 {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since_1970.as_millis()).unwrap_or(i64::MAX)
}
