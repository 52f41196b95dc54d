//! Whether a position is of the history that its volume is in: asked when a commit comes, and once more where commits are put
//! in order, since a restore may come between the two.
//!
//! A member whose volume was restored is a stranger, whether or not it has been sent away yet. Whoever stands outside of the
//! group protocol cannot be sent away; what tells its positions apart is where the log ends, and the leader epoch that newer
//! clients commit. Both are checked in volumes that were restored and nowhere else: Kafka takes any offset.

use std::sync::Arc;

use millpond_storage::{Timeline, TopicPartition};

use super::coordinator::Coordinator;
use super::positions::{Commit, PositionError, PositionTopic};
use super::request::MemberClaim;
use super::{GroupError, GroupKey, Groups};
use crate::scope::Scope;

/// A commit that the group allowed.
#[derive(Clone)]
pub(super) struct Allowed {
    coordinator: Arc<Coordinator>,
    system: Timeline,
    pub(super) key: GroupKey,
    generation: i32,
    /// How often the group's members had been sent away by then.
    fences: u64,
}

impl Groups {
    /// Asks the group.
    pub(super) fn allow(&self, key: &GroupKey, claim: &MemberClaim) -> Result<Allowed, GroupError> {
        // Before the group is asked, so that no fence falls in between.
        let fences = self.coordinator.fences(key);
        self.coordinator.check_commit(key, claim)?;
        Ok(Allowed {
            coordinator: Arc::clone(&self.coordinator),
            system: self.engine.system().clone(),
            key: key.clone(),
            generation: claim.generation,
            fences,
        })
    }
}

impl Allowed {
    fn is_of_member(&self) -> bool {
        self.generation >= 0
    }

    /// As a commit comes: whether its position can be one of the volume's history.
    pub(super) fn check(&self, commit: &Commit) -> Result<(), PositionError> {
        // Members would be committed over.
        if !self.is_of_member() && self.coordinator.is_claimed(&self.key, commit.topic.home) {
            return Err(GroupError::UnknownMemberId.into());
        }
        check_offset(commit)
    }

    /// Where commits are put in order: whether the group has gone on without the member.
    pub(super) fn check_group(&self) -> Result<(), GroupError> {
        if self.is_of_member() && self.coordinator.fences(&self.key) != self.fences {
            return Err(GroupError::UnknownMemberId);
        }
        if self.coordinator.has_overtaken(&self.key, self.generation) {
            return Err(GroupError::IllegalGeneration);
        }
        Ok(())
    }

    /// Where commits are put in order: whether the volume is still in the history in which the topic was found.
    pub(super) fn check_history(&self, topic: &PositionTopic) -> Result<(), PositionError> {
        let Scope::Volume(volume) = topic.home else { return Ok(()) };
        let now = self.system.state(|state| state.volume_by_id(volume).map(|volume| volume.timeline));
        let has_left = now.is_some_and(|timeline| timeline != topic.timeline.id());
        if self.is_of_member() && (has_left || self.coordinator.is_restoring(topic.home)) {
            return Err(GroupError::UnknownMemberId.into());
        }
        if has_left { Err(PositionError::OtherHistory) } else { Ok(()) }
    }
}

/// Whether an offset and its leader epoch are of the history that a restored volume is in.
fn check_offset(Commit { topic, partition, offset, leader_epoch, .. }: &Commit) -> Result<(), PositionError> {
    let found = topic.timeline.partition(TopicPartition::new(topic.number, *partition));
    // One that is not there is refused where commits are put in order.
    let Some(partition) = found.filter(|_| topic.is_restored) else { return Ok(()) };
    let live = topic.timeline.live();
    let bounds = live.bounds(&partition)?;
    if *offset > bounds.high_watermark {
        return Err(PositionError::BeyondEnd);
    }
    let common = if *leader_epoch < 0 { None } else { live.end_for_epoch(&partition, &bounds, *leader_epoch) };
    // An epoch of this history that has ended is no reason: Sarama goes on committing the one that it began with.
    match common {
        Some((epoch, end)) if epoch != *leader_epoch && *offset > end => Err(PositionError::OtherHistory),
        _ => Ok(()),
    }
}
