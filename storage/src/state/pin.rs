//! Pins: kind 19, in `system`: what keeps a view readable.
//!
//! Key: pin id. Value: version, timeline, LSN, kind (1 snapshot, 2 safety), time of creation, volume, time of the view, when it expires (`i64::MAX`: never),
//! flags (1: protected), name, who made it. (Branches need no pins: the timeline that branched off is what keeps the view.)

use super::codec::{self, Reader};
use super::fact::{Kind, Thing, version};
use super::fold::State;
use super::volume::VolumeId;
use crate::{Lsn, Result, TimelineId};
use std::sync::Arc;

const VERSION: u8 = 1;
const PROTECTED: u8 = 1;

/// Which pin. Never given twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PinId(pub u64);

/// What a pin is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PinKind {
    /// A snapshot, by its name.
    Snapshot,
    /// What a restore replaced, kept for a while.
    Safety,
}

/// What keeps a view readable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pin {
    /// Which.
    pub id: PinId,
    /// The timeline of the view.
    pub timeline: TimelineId,
    /// The LSN of the view.
    pub lsn: Lsn,
    /// What it is for.
    pub kind: PinKind,
    /// When it was made, in milliseconds.
    pub created: i64,
    /// The volume that it is a view of.
    pub volume: VolumeId,
    /// The time that the view stands at, in milliseconds.
    pub time: i64,
    /// When it goes by itself, in milliseconds.
    pub expires: Option<i64>,
    /// Whether it is kept from being deleted.
    pub protected: bool,
    /// Its name.
    pub name: Arc<str>,
    /// The schedule that made it; empty: a person.
    pub schedule: Arc<str>,
}

impl Thing for Pin {
    type Key = PinId;
    const KIND: Kind = Kind::Pin;

    fn key(&self) -> PinId {
        self.id
    }

    fn put_key(key: &PinId, out: &mut Vec<u8>) {
        out.extend_from_slice(&key.0.to_be_bytes());
    }

    fn take_key(input: &mut Reader<'_>) -> Result<PinId> {
        input.be_u64().map(PinId)
    }

    fn put_value(&self, out: &mut Vec<u8>) {
        out.push(VERSION);
        out.extend_from_slice(&self.timeline.0.to_le_bytes());
        out.extend_from_slice(&self.lsn.0.to_le_bytes());
        out.push(match self.kind {
            PinKind::Snapshot => 1,
            PinKind::Safety => 2,
        });
        for number in [self.created, self.volume.0.cast_signed(), self.time, self.expires.unwrap_or(i64::MAX)] {
            out.extend_from_slice(&number.to_le_bytes());
        }
        out.push(if self.protected { PROTECTED } else { 0 });
        codec::put_text(out, &self.name);
        codec::put_text(out, &self.schedule);
    }

    fn take_value(id: PinId, input: &mut Reader<'_>) -> Result<Self> {
        version(input, VERSION)?;
        let timeline = TimelineId(input.u64()?);
        let lsn = Lsn(input.u64()?);
        let kind = match input.u8()? {
            0 => return Err(input.damaged("it is for nothing")),
            1 => PinKind::Snapshot,
            2 => PinKind::Safety,
            other => return Err(input.newer(other.into(), 2)),
        };
        let created = input.i64()?;
        let volume = VolumeId(input.u64()?);
        let time = input.i64()?;
        let expires = Some(input.i64()?).filter(|at| *at != i64::MAX);
        let protected = match input.u8()? {
            0 => false,
            PROTECTED => true,
            flags => return Err(input.newer(flags.into(), PROTECTED.into())),
        };
        let name = input.text()?.into();
        let schedule = input.text()?.into();
        Ok(Self { id, timeline, lsn, kind, created, volume, time, expires, protected, name, schedule })
    }

    fn check(&self) -> Result<()> {
        codec::fits("the name of a pin", &self.name, codec::TEXT_MAX)?;
        codec::fits("the name of a schedule", &self.schedule, codec::TEXT_MAX)
    }

    fn find(state: &State, key: &PinId) -> Option<Self> {
        state.pin(*key).cloned()
    }

    fn each(state: &State, see: &mut dyn FnMut(Self)) {
        state.pins().cloned().for_each(see);
    }
}
