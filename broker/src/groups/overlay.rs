//! Positions on snapshots: those that were frozen, under what is committed since.
//!
//! The frozen ones are in the state at the pin. What is committed is kept in `system` as documents, by `<pin>/<topic
//! number>/<partition>/<group>`, and goes with the snapshot. A position that is deleted leaves a document that says so, so
//! that the frozen one does not come back.

use std::collections::BTreeMap;
use std::sync::Arc;

use millpond_storage::TopicNumber;
use millpond_storage::state::{Committed, DocumentKey, Pin, PinId, State, Txn};
use serde::{Deserialize, Serialize};

use super::positions::PositionError;
use crate::documents::{self, Collection};

/// What a document says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct OverlayPosition {
    /// None: there is none.
    offset: Option<i64>,
    #[serde(default)]
    time: i64,
    #[serde(default = "unknown")]
    leader_epoch: i32,
    #[serde(default)]
    metadata: String,
}

fn unknown() -> i32 {
    -1
}

/// Where a position on a snapshot is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct OverlayKey<'a> {
    pub(super) pin: PinId,
    pub(super) topic: TopicNumber,
    pub(super) partition: u32,
    pub(super) group: &'a str,
}

impl<'a> OverlayKey<'a> {
    fn document(&self) -> DocumentKey {
        let Self { pin, topic, partition, group } = self;
        Collection::SnapshotPositions.key(&format!("{}/{}/{partition}/{group}", pin.0, topic.0))
    }

    fn of(key: &'a DocumentKey) -> Option<Self> {
        let mut parts = key.name.splitn(4, '/');
        Some(Self {
            pin: PinId(parts.next()?.parse().ok()?),
            topic: TopicNumber(parts.next()?.parse().ok()?),
            partition: parts.next()?.parse().ok()?,
            group: parts.next()?,
        })
    }

    /// The position committed since the snapshot was made: none if nothing was said, and none in it if it was deleted.
    #[expect(clippy::option_option, reason = "nothing said and said to be nothing are two things")]
    pub(super) fn find(&self, system: &State) -> Option<Option<Committed>> {
        let key = self.document();
        let said: OverlayPosition = documents::read(&key, system.document(&key)?)?;
        Some(said.committed(self.topic))
    }

    /// In the writer of `system`: commits a position, or deletes it, as long as the snapshot is there.
    pub(super) fn put(&self, txn: &mut Txn<'_>, committed: Option<&Committed>) -> Result<(), PositionError> {
        if txn.get::<Pin>(&self.pin).is_none() {
            return Err(PositionError::UnknownPartition);
        }
        let said = OverlayPosition {
            offset: committed.map(|committed| committed.offset),
            time: committed.map_or(0, |committed| committed.time),
            leader_epoch: committed.map_or(unknown(), |committed| committed.leader_epoch),
            metadata: committed.map(|committed| committed.metadata.to_string()).unwrap_or_default(),
        };
        let key = self.document();
        txn.put(Collection::SnapshotPositions.document(&key.name, &said));
        Ok(())
    }
}

impl OverlayPosition {
    fn committed(self, topic: TopicNumber) -> Option<Committed> {
        let mut topic_id = [0; 16];
        topic_id[10..14].copy_from_slice(&topic.0.to_be_bytes());
        let Self { offset, time, leader_epoch, metadata } = self;
        Some(Committed { offset: offset?, time, leader_epoch, metadata: metadata.into(), topic_id })
    }
}

/// All that a group has on a snapshot, by topic and partition.
pub(super) fn positions_of(
    system: &State,
    pin: PinId,
    frozen: &State,
    group: &str,
) -> BTreeMap<(TopicNumber, u32), Committed> {
    let before = frozen.positions_of(group);
    let mut positions: BTreeMap<_, _> =
        before.map(|(topic, partition, committed)| ((topic.number, partition), committed.clone())).collect();
    for (key, body) in system.documents_in(Collection::SnapshotPositions as u8) {
        let Some(at) = OverlayKey::of(key).filter(|at| at.pin == pin && at.group == group) else { continue };
        let Some(said) = documents::read::<OverlayPosition>(key, body) else { continue };
        match said.committed(at.topic).filter(|_| frozen.topic_by_number(at.topic).is_some()) {
            Some(committed) => drop(positions.insert((at.topic, at.partition), committed)),
            None => drop(positions.remove(&(at.topic, at.partition))),
        }
    }
    positions
}

/// The groups that have positions on a snapshot.
pub(super) fn groups(system: &State, pin: PinId, frozen: &State) -> Vec<Arc<str>> {
    let mut groups: Vec<Arc<str>> = frozen.position_groups().cloned().collect();
    let keys = system.documents_in(Collection::SnapshotPositions as u8).map(|(key, _)| key);
    groups.extend(keys.filter_map(OverlayKey::of).filter(|at| at.pin == pin).map(|at| at.group.into()));
    groups.sort_unstable();
    groups.dedup();
    groups.retain(|group| !positions_of(system, pin, frozen, group).is_empty());
    groups
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_read_back_whatever_the_group_is_called() {
        let key = OverlayKey { pin: PinId(7), topic: TopicNumber(16), partition: 3, group: "a/b" };
        assert_eq!(&*key.document().name, "7/16/3/a/b");
        assert_eq!(OverlayKey::of(&key.document()), Some(key));
        assert_eq!(OverlayKey::of(&Collection::SnapshotPositions.key("7/x/3/a")), None);
    }
}
