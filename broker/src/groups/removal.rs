//! Deleting a group: its members' record and all of its positions.
//!
//! The two lie in different logs. The group is dead while both are under way, so that nobody joins it or commits in between;
//! should the broker end halfway, what is left is a group without members or without positions, which can be deleted again.

use std::sync::Arc;

use millpond_storage::state::{Position, Txn};
use millpond_storage::{Error, Timeline};

use super::overlay::OverlayKey;
use super::places::Place;
use super::positions::PositionError;
use super::{GroupError, GroupKey, Groups};
use crate::completion;

impl Groups {
    /// Deletes a group that has no members; the future is done when that is durable.
    pub fn delete(
        &self,
        key: &GroupKey,
    ) -> Result<impl Future<Output = Result<(), PositionError>> + Send + use<>, GroupError> {
        let places = self.places(key.scope);
        if places.iter().any(|place| self.coordinator.is_claimed(key, place.home())) {
            return Err(GroupError::NonEmptyGroup);
        }
        let has_members_record = match self.coordinator.delete(key) {
            Ok(done) => Some(done),
            Err(GroupError::GroupIdNotFound) if self.has_positions(key.scope, &key.group_id) => None,
            Err(error) => return Err(error),
        };
        let positions: Vec<_> = places.iter().map(|place| self.remove_positions(place, &key.group_id)).collect();
        Ok(async move {
            for removed in positions {
                removed.await.unwrap_or(Err(Error::Closed))?;
            }
            match has_members_record {
                Some(done) => Ok(done.await?),
                None => Ok(()),
            }
        })
    }

    fn remove_positions(
        &self,
        place: &Place,
        group_id: &str,
    ) -> impl Future<Output = Option<Result<(), Error>>> + Send + use<> {
        let (done, removed) = completion::pair();
        let group: Arc<str> = group_id.into();
        match place {
            Place::Volume(_, timeline) => remove_from(timeline, group, done),
            Place::Snapshot(pin, _) => {
                let (system, pin) = (self.engine.system(), *pin);
                let there = place.positions_of(system, group_id);
                let delete = move |txn: &mut Txn<'_>| {
                    for (topic, partition, _) in there {
                        // A snapshot that is no more has no positions either.
                        let _ = OverlayKey { pin, topic: topic.number, partition, group: &group }.put(txn, None);
                    }
                };
                system.transact(delete, done);
            }
        }
        removed
    }
}

/// Deletes all positions of a group in a volume.
fn remove_from(timeline: &Timeline, group: Arc<str>, done: impl FnOnce(Result<(), Error>) + Send + 'static) {
    timeline.transact(
        move |txn| {
            for position in txn.positions_of(&group) {
                txn.delete::<Position>(position.key);
            }
        },
        done,
    );
}
