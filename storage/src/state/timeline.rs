//! Timelines: kind 17, in `system`.
//!
//! Key: timeline id. Value: version, parent (`u64::MAX`: none), branch LSN, volume id, leader epoch, time of creation, stage (1 being made, 2 there,
//! 3 being removed).

use super::codec::Reader;
use super::fact::{Kind, Thing, version};
use super::fold::State;
use super::volume::VolumeId;
use crate::{Lsn, Result, TimelineId};

const VERSION: u8 = 1;
const NO_PARENT: u64 = u64::MAX;

/// How far a timeline's files are what the fact says. Files of one that is not there are the next start's to remove.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stage {
    /// They are being made: nothing refers to the timeline yet.
    Making,
    /// They are there.
    There,
    /// They are being removed: nothing refers to the timeline any more.
    Removing,
}

/// What is known of a timeline beside its own files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimelineInfo {
    /// Which.
    pub id: TimelineId,
    /// The timeline that it branched from, and the last LSN that it has of it.
    pub origin: Option<(TimelineId, Lsn)>,
    /// The volume that it was made for.
    pub volume: VolumeId,
    /// Its leader epoch.
    pub leader_epoch: i32,
    /// When it was created, in milliseconds.
    pub created: i64,
    /// Whether its files are there.
    pub stage: Stage,
}

impl Thing for TimelineInfo {
    type Key = TimelineId;
    const KIND: Kind = Kind::Timeline;

    fn key(&self) -> TimelineId {
        self.id
    }

    fn put_key(key: &TimelineId, out: &mut Vec<u8>) {
        out.extend_from_slice(&key.0.to_be_bytes());
    }

    fn take_key(input: &mut Reader<'_>) -> Result<TimelineId> {
        input.be_u64().map(TimelineId)
    }

    fn put_value(&self, out: &mut Vec<u8>) {
        let (parent, branch) = self.origin.map_or((NO_PARENT, 0), |(parent, branch)| (parent.0, branch.0));
        out.push(VERSION);
        out.extend_from_slice(&parent.to_le_bytes());
        out.extend_from_slice(&branch.to_le_bytes());
        out.extend_from_slice(&self.volume.0.to_le_bytes());
        out.extend_from_slice(&self.leader_epoch.to_le_bytes());
        out.extend_from_slice(&self.created.to_le_bytes());
        out.push(match self.stage {
            Stage::Making => 1,
            Stage::There => 2,
            Stage::Removing => 3,
        });
    }

    fn take_value(id: TimelineId, input: &mut Reader<'_>) -> Result<Self> {
        version(input, VERSION)?;
        let origin = match (input.u64()?, input.u64()?) {
            (NO_PARENT, 0) => None,
            (NO_PARENT, _) => return Err(input.damaged("it has a branch LSN and no parent")),
            (parent, branch) => Some((TimelineId(parent), Lsn(branch))),
        };
        let volume = VolumeId(input.u64()?);
        let leader_epoch = input.i32()?;
        let created = input.i64()?;
        let stage = match input.u8()? {
            0 => return Err(input.damaged("it has no stage")),
            1 => Stage::Making,
            2 => Stage::There,
            3 => Stage::Removing,
            other => return Err(input.newer(other.into(), 3)),
        };
        Ok(Self { id, origin, volume, leader_epoch, created, stage })
    }

    fn find(state: &State, key: &TimelineId) -> Option<Self> {
        state.timeline(*key).cloned()
    }

    fn each(state: &State, see: &mut dyn FnMut(Self)) {
        state.timelines().cloned().for_each(see);
    }
}
