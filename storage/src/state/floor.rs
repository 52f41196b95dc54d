//! History floors: kind 18, in `system`.
//!
//! Key: timeline id. Value: version, LSN (the oldest at which the timeline's past may still be frozen), its time. Only rises.
//!
//! The time is here because nothing else keeps it: once no batch of that group is needed, no file knows when it was written.

use super::codec::Reader;
use super::fact::{Kind, Thing, version};
use super::fold::State;
use crate::{Lsn, Moment, Result, TimelineId};

const VERSION: u8 = 1;

/// The history floor of a timeline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Floor {
    /// Of which.
    pub timeline: TimelineId,
    /// The oldest LSN at which the past may still be frozen, and when its group was written.
    pub at: Moment,
}

impl Thing for Floor {
    type Key = TimelineId;
    const KIND: Kind = Kind::Floor;

    fn key(&self) -> TimelineId {
        self.timeline
    }

    fn put_key(key: &TimelineId, out: &mut Vec<u8>) {
        out.extend_from_slice(&key.0.to_be_bytes());
    }

    fn take_key(input: &mut Reader<'_>) -> Result<TimelineId> {
        input.be_u64().map(TimelineId)
    }

    fn put_value(&self, out: &mut Vec<u8>) {
        out.push(VERSION);
        out.extend_from_slice(&self.at.lsn.0.to_le_bytes());
        out.extend_from_slice(&self.at.time.to_le_bytes());
    }

    fn take_value(timeline: TimelineId, input: &mut Reader<'_>) -> Result<Self> {
        version(input, VERSION)?;
        Ok(Self { timeline, at: Moment { lsn: Lsn(input.u64()?), time: input.i64()? } })
    }

    fn find(state: &State, key: &TimelineId) -> Option<Self> {
        state.floor(*key).map(|at| Self { timeline: *key, at })
    }

    fn each(state: &State, see: &mut dyn FnMut(Self)) {
        state.floors().for_each(|(timeline, at)| see(Self { timeline, at }));
    }
}
