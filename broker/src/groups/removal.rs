//! Deleting a group: its members' record and all of its positions.
//!
//! The two lie in different logs. The group is dead while both are under way, so that nobody joins it or commits in between;
//! should the broker end halfway, what is left is a group without members or without positions, which can be deleted again.

use std::sync::Arc;

use millpond_storage::state::Position;
use millpond_storage::{Error, Timeline};

use super::positions::PositionError;
use super::{GroupError, GroupKey, Groups};
use crate::completion;

impl Groups {
    /// Deletes a group that has no members; the future is done when that is durable.
    pub fn delete(
        &self,
        key: &GroupKey,
    ) -> Result<impl Future<Output = Result<(), PositionError>> + Send + use<>, GroupError> {
        let has_members_record = match self.coordinator.delete(key) {
            Ok(done) => Some(done),
            Err(GroupError::GroupIdNotFound) if self.has_positions(key.scope, &key.group_id) => None,
            Err(error) => return Err(error),
        };
        let positions: Vec<_> =
            self.volumes(key.scope).iter().map(|timeline| remove_positions(timeline, &key.group_id)).collect();
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
}

/// Deletes all positions of a group in a volume.
fn remove_positions(
    timeline: &Timeline,
    group_id: &str,
) -> impl Future<Output = Option<Result<(), Error>>> + Send + use<> {
    let (done, removed) = completion::pair();
    let group: Arc<str> = group_id.into();
    timeline.transact(
        move |txn| {
            for position in txn.positions_of(&group) {
                txn.delete::<Position>(position.key);
            }
        },
        done,
    );
    removed
}
