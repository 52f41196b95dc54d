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
use super::{Coordinator, GroupKey, Groups, Scope, State};
use crate::completion;

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
        for (volume, timeline) in self.volumes_by_id() {
            match self.expire_in(volume, &timeline).await {
                Ok(0) => {}
                Ok(count) => info!(count, timeline = %timeline.id(), "expired positions are deleted"),
                Err(error) => warn!(%error, timeline = %timeline.id(), "expired positions cannot be deleted"),
            }
        }
        for (group_id, group) in self.coordinator.list(Scope::EVERYTHING) {
            if group.state == State::Empty && !self.has_positions(Scope::EVERYTHING, &group_id) {
                self.coordinator.delete_idle(&GroupKey::new(Scope::EVERYTHING, &group_id));
            }
            yield_now().await;
        }
    }

    async fn expire_in(&self, volume: VolumeId, timeline: &Timeline) -> Result<usize, Error> {
        let groups: Vec<Arc<str>> = timeline.state(|state| state.position_groups().cloned().collect());
        let mut count = 0;
        for group_id in groups {
            let look = Look { key: GroupKey::new(Scope::EVERYTHING, &group_id), volume, at: (self.clock)() };
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
    key: GroupKey,
    volume: VolumeId,
    /// When, in milliseconds since 1970.
    at: i64,
}

impl Look {
    fn has_expired(&self, coordinator: &Coordinator, position: &Position, retention_ms: i64) -> bool {
        let committed = position.committed.time;
        let since = match coordinator.aging(&self.key) {
            Aging::Never => return false,
            Aging::SinceCommit => committed,
            Aging::SinceEmpty { unix_ms } => committed.max(unix_ms),
            Aging::SinceCommitIfUnsubscribed => {
                let topic = TopicIdentity { volume: self.volume, number: position.committed.topic() };
                if coordinator.is_subscribed_to(&self.key, &position.key.topic, topic) {
                    return false;
                }
                committed
            }
        };
        self.at.saturating_sub(since) >= retention_ms
    }
}
