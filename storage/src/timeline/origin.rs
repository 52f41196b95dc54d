//! Where a timeline branched off another, and how it begins.
//!
//! A branch begins with a state-at of its own at the branch point, so that it never replays its parent, and reads the records below through the parent's
//! partitions. The parent keeps for its children what they have not hidden themselves.
//!
//! A branch shifts its clock by its age at birth: what it inherits counts as new, so that a clone of an old view does not expire at birth.

use std::fmt;
use std::sync::Arc;

use super::{Inner, Timeline};
use crate::engine::Shared;
use crate::error::Result;
use crate::manifest::{Edit, Identity, Manifest};
use crate::state::checkpoint::{EpochRecord, LogStartRecord, PartitionRecord};
use crate::state::{Checkpoint, TimelineInfo, state_at};
use crate::units::Lsn;

/// The parent of a timeline, and the last group that it has of it.
#[derive(Clone)]
pub(crate) struct Origin {
    pub(crate) parent: Arc<Inner>,
    pub(crate) branch: Lsn,
}

impl fmt::Debug for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.parent.id, self.branch)
    }
}

impl Origin {
    /// What a timeline knows when it is born here: the view at the branch point, in a new leader epoch.
    pub(crate) fn birth(&self, born_at: i64, epoch: i32) -> Result<Checkpoint> {
        let mut birth = self.parent.checkpoint_at(self.branch)?;
        let age = born_at.saturating_sub(birth.time).max(0);
        birth.partitions.retain(|record| record.gone_at.is_none());
        for record in &mut birth.partitions {
            be_born(record, age, epoch);
        }
        for producer in &mut birth.producers {
            producer.last_append = producer.last_append.saturating_add(age);
        }
        let moved = birth.partitions.iter().filter(|record| record.log_start > 0);
        birth.compactions = Vec::new(); // they are the parent's, whose records are read as of the branch point
        birth.facts.age_compactions(age);
        birth.log_starts = moved
            .map(|record| LogStartRecord { partition: record.partition, lsn: self.branch, offset: record.log_start })
            .collect();
        Ok(birth)
    }
}

fn be_born(record: &mut PartitionRecord, age: i64, epoch: i32) {
    record.inherited_end = record.end_offset;
    match record.epochs.last_mut().filter(|last| last.start_offset == record.end_offset) {
        Some(last) => last.epoch = epoch,
        None => record.epochs.push(EpochRecord { epoch, start_offset: record.end_offset }),
    }
    for segment in &mut record.segments {
        for time in [&mut segment.first_timestamp, &mut segment.max_timestamp] {
            if *time >= 0 {
                *time = time.saturating_add(age);
            }
        }
    }
}

impl Timeline {
    /// Makes the files of a branch, all durable. What an unfinished try left is replaced: nothing was ever appended to it.
    pub(crate) fn create_branch(shared: &Shared, info: &TimelineInfo, origin: &Origin) -> Result<()> {
        let birth = origin.birth(info.created, info.leader_epoch)?;
        let identity = Identity::of(info);
        let mut manifest = Manifest::create(&shared.disk, &identity)?;
        shared.disk.fail_point("branch.after_manifest")?;
        let made = state_at::Origin {
            timeline: info.id,
            salt: identity.salt,
            opening: manifest.opening(),
            created_ms: info.created,
        };
        state_at::write(&*shared.disk, &made, &birth)?;
        manifest.append(&Edit::StateAt { lsn: birth.lsn, added: true })?;
        shared.disk.fail_point("branch.after_files")
    }
}
