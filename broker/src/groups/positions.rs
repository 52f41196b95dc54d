//! Positions that groups commit: facts of the volume that holds the topic, so that they branch and rewind with it.
//!
//! A commit is allowed by the coordinator first and then put in order by the writer of each volume, which asks once more
//! whether the group has gone on without the member: nobody's position lands behind that of who took over. Positions are
//! read as they are visible, which those are that were acknowledged.
//!
//! The key of a position is (group, topic, partition), the same in every scope. A snapshot's positions are those that were
//! frozen with it, and what was committed since, which is kept beside it ([`overlay`](super::overlay)).

use std::sync::Arc;

use millpond_storage::state::{Committed, Fact, PinId, Position, PositionKey, State, Topic, TopicId, Txn};
use millpond_storage::{Error, Timeline, TopicNumber};

use super::batch::Batch;
use super::history::Allowed;
use super::overlay::OverlayKey;
use super::request::MemberClaim;
use super::spelling::TopicIdentity;
use super::{GroupError, GroupKey, Groups};
use crate::scope::Scope;

/// A topic, as far as positions have to know it.
#[derive(Clone, Debug)]
pub struct PositionTopic {
    /// The log of its volume.
    pub timeline: Timeline,
    /// Its volume, or the snapshot that it is in.
    pub home: Scope,
    /// Its number there.
    pub number: TopicNumber,
    /// How many partitions it had when it was looked up.
    pub partitions: u32,
    /// Its short name there.
    pub name: Arc<str>,
    /// The id that clients know it by.
    pub id: TopicId,
    /// What its snapshot shows, if it is in one.
    pub frozen: Option<Arc<State>>,
    /// Whether its volume has left another history behind.
    pub is_restored: bool,
}

impl PositionTopic {
    /// The snapshot that it is in.
    fn pin(&self) -> Option<PinId> {
        match self.home {
            Scope::Snapshot(pin) => Some(pin),
            Scope::Everything | Scope::Volume(_) => None,
        }
    }

    /// What the topic is, whatever it is called.
    pub fn identity(&self) -> TopicIdentity {
        TopicIdentity { home: self.home, number: self.number }
    }
}

/// A position to be committed.
#[derive(Clone, Debug)]
pub struct Commit {
    /// In which topic.
    pub topic: PositionTopic,
    /// In which of its partitions.
    pub partition: u32,
    /// The next offset to read.
    pub offset: i64,
    /// The leader epoch of the last record read; −1 if it is not known.
    pub leader_epoch: i32,
    /// What the client says with it.
    pub metadata: String,
}

/// A position that a group committed.
#[derive(Clone, Debug)]
pub struct GroupPosition {
    /// The topic's volume or snapshot.
    pub home: Scope,
    /// The topic.
    pub topic: Arc<Topic>,
    /// The partition.
    pub partition: u32,
    /// The position.
    pub committed: Committed,
}

/// Why a position was not committed or deleted.
#[derive(Clone, Debug, thiserror::Error)]
pub enum PositionError {
    /// The group does not allow it.
    #[error(transparent)]
    Group(#[from] GroupError),
    /// The topic or the partition is not there (any more).
    #[error("no such topic or partition")]
    UnknownPartition,
    /// What goes with the position is too long.
    #[error("the metadata of the position is too long")]
    MetadataTooLarge,
    /// The consumers of the group subscribe to the topic.
    #[error("the group is subscribed to the topic")]
    Subscribed,
    /// The volume was restored, and its partition ends before the position.
    #[error("the position lies beyond the end of the partition, whose volume was restored")]
    BeyondEnd,
    /// The volume was restored, and the position is of the history that it left.
    #[error("the position is of a history that the volume has left")]
    OtherHistory,
    /// The log did not take it.
    #[error(transparent)]
    Storage(#[from] Error),
}

/// An answer for each position, in the order of the request.
pub type PositionResults = Vec<Result<(), PositionError>>;

/// The longest text that the format of positions takes, in bytes.
const METADATA_BYTES_MAX: usize = i16::MAX as usize;

impl Groups {
    /// Commits positions. The future is done when they are durable, as far as their volumes promise that.
    pub fn commit(
        &self,
        key: &GroupKey,
        claim: &MemberClaim,
        commits: Vec<Commit>,
    ) -> impl Future<Output = PositionResults> + Send + use<> {
        let time = (self.clock)();
        let allowed = storable(key).and_then(|()| self.allow(key, claim));
        let mut batch = Batch::new(commits.len());
        for (place, commit) in commits.into_iter().enumerate() {
            match allowed.as_ref().map_err(|error| (*error).into()).and_then(|allowed| self.check(allowed, &commit)) {
                Err(error) => batch.refuse(place, error),
                Ok(()) => batch.add(place, self.log_of(&commit.topic), commit),
            }
        }
        batch.submit(move |txn, commits: Vec<Commit>| match &allowed {
            Ok(allowed) => put_all(txn, allowed, &commits, time),
            // Nothing was put in line.
            Err(error) => commits.iter().map(|_| Err((*error).into())).collect(),
        })
    }

    fn check(&self, allowed: &Allowed, commit: &Commit) -> Result<(), PositionError> {
        if self.is_too_long(&commit.metadata) {
            return Err(PositionError::MetadataTooLarge);
        }
        allowed.check(commit)
    }

    /// The log that a topic's positions are committed to: that of its volume, or, of a snapshot's topic, that of `system`.
    fn log_of(&self, topic: &PositionTopic) -> Timeline {
        if topic.pin().is_some() { self.engine.system().clone() } else { topic.timeline.clone() }
    }

    fn is_too_long(&self, metadata: &str) -> bool {
        metadata.len() > self.settings.metadata_bytes_max.min(METADATA_BYTES_MAX)
    }

    /// What a group committed for partitions of a topic.
    pub fn positions(&self, group_id: &str, topic: &PositionTopic, partitions: &[i32]) -> Vec<Option<Committed>> {
        if let (Some(frozen), Some(pin)) = (&topic.frozen, topic.pin()) {
            return self.engine.system().state(|system| {
                let find = |partition: &i32| {
                    let partition = u32::try_from(*partition).ok()?;
                    let key = OverlayKey { pin, topic: topic.number, partition, group: group_id };
                    key.find(system).unwrap_or_else(|| frozen.position(group_id, topic.number, partition).cloned())
                };
                partitions.iter().map(find).collect()
            });
        }
        topic.timeline.state(|state| {
            let find = |partition: &i32| {
                let partition = u32::try_from(*partition).ok()?;
                state.position(group_id, topic.number, partition).cloned()
            };
            partitions.iter().map(find).collect()
        })
    }

    /// All that a group committed in a scope, topic by topic.
    pub fn all_positions(&self, scope: Scope, group_id: &str) -> Vec<GroupPosition> {
        let mut positions = Vec::new();
        for place in self.places(scope) {
            let (home, found) = (place.home(), place.positions_of(self.engine.system(), group_id));
            positions.extend(found.into_iter().map(|(topic, partition, committed)| GroupPosition {
                home,
                topic,
                partition,
                committed,
            }));
        }
        positions
    }

    /// Whether a group committed anything in a scope.
    pub(super) fn has_positions(&self, scope: Scope, group_id: &str) -> bool {
        let system = self.engine.system();
        self.places(scope).iter().any(|place| place.has_positions_of(system, group_id))
    }

    /// Deletes single positions. An error of the whole is one of the group; positions that are not there are deleted, too.
    pub fn delete_positions(
        &self,
        key: &GroupKey,
        positions: Vec<(String, PositionTopic, u32)>,
    ) -> Result<impl Future<Output = PositionResults> + Send + use<>, GroupError> {
        match self.coordinator.check_offset_delete(key) {
            Some(checked) => checked?,
            None if self.has_positions(key.scope, &key.group_id) => {}
            None => return Err(GroupError::GroupIdNotFound),
        }
        let mut batch = Batch::new(positions.len());
        for (place, (name, topic, partition)) in positions.into_iter().enumerate() {
            if self.coordinator.is_subscribed_to(key, &name, topic.identity()) {
                batch.refuse(place, PositionError::Subscribed);
            } else {
                batch.add(place, self.log_of(&topic), (topic, partition));
            }
        }
        let group: Arc<str> = key.group_id.as_str().into();
        Ok(batch.submit(move |txn, positions: Vec<(PositionTopic, u32)>| {
            let delete = |(topic, partition): (PositionTopic, u32)| {
                if let Some(pin) = topic.pin() {
                    return OverlayKey { pin, topic: topic.number, partition, group: &group }.put(txn, None);
                }
                let key = PositionKey { group: Arc::clone(&group), topic: topic.name, partition };
                if txn.get::<Position>(&key).is_some() {
                    txn.delete::<Position>(key);
                }
                Ok(())
            };
            positions.into_iter().map(delete).collect()
        }))
    }
}

fn storable(key: &GroupKey) -> Result<(), GroupError> {
    if key.is_storable() { Ok(()) } else { Err(GroupError::InvalidGroupId) }
}

/// Says positions, if the group has not gone on without the member.
fn put_all(txn: &mut Txn<'_>, allowed: &Allowed, commits: &[Commit], time: i64) -> PositionResults {
    if let Err(error) = allowed.check_group() {
        return commits.iter().map(|_| Err(error.into())).collect();
    }
    let group: Arc<str> = allowed.key.group_id.as_str().into();
    let mut put = |commit: &Commit| {
        allowed.check_history(&commit.topic)?;
        put(txn, &group, commit, time)
    };
    commits.iter().map(&mut put).collect()
}

/// Says a position, if its topic is still the one that was meant.
fn put(txn: &mut Txn<'_>, group: &Arc<str>, commit: &Commit, time: i64) -> Result<(), PositionError> {
    let committed = Committed {
        offset: commit.offset,
        time,
        leader_epoch: commit.leader_epoch,
        metadata: commit.metadata.as_str().into(),
        topic_id: commit.topic.id,
    };
    let Commit { topic: meant, partition, .. } = commit;
    if let Some(pin) = meant.pin() {
        if *partition >= meant.partitions {
            return Err(PositionError::UnknownPartition);
        }
        let key = OverlayKey { pin, topic: meant.number, partition: *partition, group };
        return key.put(txn, Some(&committed));
    }
    let topic = txn.topic_by_number(commit.topic.number).ok_or(PositionError::UnknownPartition)?;
    if commit.partition >= topic.partitions {
        return Err(PositionError::UnknownPartition);
    }
    let key = PositionKey { group: Arc::clone(group), topic: topic.name.short(), partition: commit.partition };
    txn.put(Fact::from(Position { key, committed }));
    Ok(())
}
