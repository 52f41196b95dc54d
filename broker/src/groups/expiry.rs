//! Positions that nobody will want again: deleted when they are older than `offsets.retention.minutes`.
//!
//! What they age by is Kafka's rule (see [`Aging`]), but for one thing: a position committed into a group that has long been
//! empty is kept for its whole time, too, not dropped at the next look.
//!
//! A look goes through the groups of each volume one by one, and holds no lock for longer than one group takes.

use std::sync::Arc;

use millpond_storage::state::{Position, PositionKey, VolumeId};
use millpond_storage::{Error, Timeline};
use tokio::task::yield_now;
use tokio::time::{MissedTickBehavior, interval};
use tracing::{info, warn};

use super::classic::Aging;
use super::spelling::TopicIdentity;
use super::{Coordinator, GroupKey, Groups, State};
use crate::completion;
use crate::scope::Scope;

impl Groups {
    /// Looks for expired positions every so often, for as long as it is polled.
    pub(super) async fn run_expiry(&self) {
        let mut ticks = interval(self.settings.retention_check_interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // The first tick comes at once.
        ticks.tick().await;
        loop {
            ticks.tick().await;
            self.expire().await;
        }
    }

    /// One look: deletes expired positions, and then groups that have neither members nor positions.
    pub async fn expire(&self) {
        for (volume, timeline) in self.volumes(|_| true) {
            match self.expire_in(volume, &timeline).await {
                Ok(0) => {}
                Ok(count) => info!(count, timeline = %timeline.id(), "expired positions are deleted"),
                Err(error) => warn!(%error, timeline = %timeline.id(), "expired positions cannot be deleted"),
            }
        }
        for (key, state) in self.coordinator.states() {
            if state == State::Empty && !self.has_positions(key.scope, &key.group_id) {
                self.coordinator.delete_idle(&key);
            }
            yield_now().await;
        }
    }

    async fn expire_in(&self, volume: VolumeId, timeline: &Timeline) -> Result<usize, Error> {
        let groups: Vec<Arc<str>> = timeline.state(|state| state.position_groups().cloned().collect());
        let mut count = 0;
        for group_id in groups {
            let look = Look::new(&group_id, volume, (self.clock)());
            let positions: Vec<Position> = timeline.state(|state| {
                let positions = state.positions_of(&group_id).map(|(topic, partition, committed)| {
                    let key = PositionKey { group: Arc::clone(&group_id), topic: topic.name.short(), partition };
                    Position { key, committed: committed.clone() }
                });
                positions.collect()
            });
            let expired = self.expired(&look, positions);
            if !expired.is_empty() {
                count += self.delete_expired(timeline, look, expired).await?;
            }
            yield_now().await;
        }
        Ok(count)
    }

    fn expired(&self, look: &Look, mut positions: Vec<Position>) -> Vec<Position> {
        let retention_ms = self.settings.retention_ms();
        positions.retain(|position| look.has_expired(&self.coordinator, position, retention_ms));
        positions
    }

    /// Deletes positions that have not been committed anew meanwhile, and whose group has not come back to life.
    async fn delete_expired(&self, timeline: &Timeline, look: Look, expired: Vec<Position>) -> Result<usize, Error> {
        let (done, deleted) = completion::pair();
        let coordinator = Arc::clone(&self.coordinator);
        let retention_ms = self.settings.retention_ms();
        timeline.transact(
            move |txn| {
                let is_still = |position: &&Position| txn.get::<Position>(&position.key).as_ref() == Some(*position);
                let expired = expired.iter().filter(is_still);
                let expired = expired.filter(|position| look.has_expired(&coordinator, position, retention_ms));
                let keys: Vec<_> = expired.map(|position| position.key.clone()).collect();
                let count = keys.len();
                for key in keys {
                    txn.delete::<Position>(key);
                }
                count
            },
            done,
        );
        deleted.await.unwrap_or(Err(Error::Closed))
    }
}

/// One look at the positions of a group in a volume.
#[derive(Clone, Debug)]
struct Look {
    /// Who may use them: the group where everything is shown, and where the volume alone is.
    keys: [GroupKey; 2],
    volume: VolumeId,
    /// When, in milliseconds since 1970.
    at: i64,
}

impl Look {
    fn new(group_id: &str, volume: VolumeId, at: i64) -> Self {
        let keys = [Scope::Everything, Scope::Volume(volume)].map(|scope| GroupKey::new(scope, group_id));
        Self { keys, volume, at }
    }

    /// Whether a position is too old for everybody who may use it.
    fn has_expired(&self, coordinator: &Coordinator, position: &Position, retention_ms: i64) -> bool {
        let is_over = |since: i64| self.at.saturating_sub(since) >= retention_ms;
        self.keys.iter().all(|key| self.since(key, coordinator, position).is_some_and(is_over))
    }

    /// Since when a position ages for a group; none if it does not.
    fn since(&self, key: &GroupKey, coordinator: &Coordinator, position: &Position) -> Option<i64> {
        let committed = position.committed.time;
        match coordinator.aging(key) {
            Aging::Never => None,
            Aging::SinceCommit => Some(committed),
            Aging::SinceEmpty { unix_ms } => Some(committed.max(unix_ms)),
            Aging::SinceCommitIfUnsubscribed => {
                let topic = TopicIdentity { home: Scope::Volume(self.volume), number: position.committed.topic() };
                (!coordinator.is_subscribed_to(key, &position.key.topic, topic)).then_some(committed)
            }
        }
    }
}
