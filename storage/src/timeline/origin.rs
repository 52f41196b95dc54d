//! Where a timeline branched off another, and how it begins.
//!
//! A branch begins with a state-at of its own at the branch point, so that it never replays its parent, and reads the records below through the parent's
//! partitions. The parent keeps for its children what they have not hidden themselves. What the last state-at of the parent has packed of partitions that
//! nothing was written to since, page by page, becomes the child's without being unpacked: a branch costs what it copies of that, and no table of partitions.
//!
//! A branch shifts its clock by its age at birth: what it inherits counts as new, so that a clone of an old view does not expire at birth.

use std::fmt;
use std::sync::Arc;

use super::open::Beginning;
use super::{Inner, Timeline};
use crate::engine::Shared;
use crate::error::Result;
use crate::manifest::{Edit, Identity, Manifest};
use crate::state::checkpoint::{EpochRecord, PartitionRecord, ProducerRecord};
use crate::state::{Checkpoint, Packable, PackedPage, TimelineInfo, state_at};
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
        let mut born = |record: &mut PartitionRecord| {
            be_born(record, age, epoch);
            record.gone_at.is_none()
        };
        birth.partitions.retain_mut(&mut born);
        birth.packed = changed(&birth.packed, &mut born)?;
        let mut age_producer = |producer: &mut ProducerRecord| {
            producer.last_append = producer.last_append.saturating_add(age);
            true
        };
        birth.producers.retain_mut(&mut age_producer);
        birth.packed_producers = changed(&birth.packed_producers, &mut age_producer)?;
        birth.compactions = Vec::new(); // they are the parent's, whose records are read as of the branch point
        birth.facts.age_compactions(age);
        birth.log_starts = Vec::new(); // what is inherited begins where it began at the branch point
        Ok(birth)
    }
}

/// Pages with every entry changed, but for those that `change` gives up.
fn changed<E: Packable>(pages: &[PackedPage<E>], change: &mut dyn FnMut(&mut E) -> bool) -> Result<Vec<PackedPage<E>>> {
    pages.iter().filter_map(|page| page.changed(change).transpose()).collect()
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
    /// Makes the files of a branch, all durable, and what it begins with. What an unfinished try left is replaced: nothing was ever appended to it.
    pub(super) fn create_branch(shared: &Shared, info: &TimelineInfo, origin: &Origin) -> Result<Beginning> {
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
        shared.disk.fail_point("branch.after_files")?;
        Ok(Beginning::new(identity, manifest, birth))
    }
}
