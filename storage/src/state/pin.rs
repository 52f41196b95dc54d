//! Pins: kind 19, in `system`: what keeps a view readable.
//!
//! Key: pin id. Value: version, timeline, LSN, kind (1 snapshot, 2 branch, 3 safety), time of creation, name.

use super::codec::{self, Reader};
use super::fact::{Kind, Thing, version};
use super::fold::State;
use crate::{Lsn, Result, TimelineId};
use std::sync::Arc;

const VERSION: u8 = 1;

/// Which pin. Never given twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PinId(pub u64);

/// What a pin is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PinKind {
    /// A snapshot, by its name.
    Snapshot,
    /// A timeline branched off here and reads what is below.
    Branch,
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
    /// Its name, if it has one.
    pub name: Arc<str>,
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
            PinKind::Branch => 2,
            PinKind::Safety => 3,
        });
        out.extend_from_slice(&self.created.to_le_bytes());
        codec::put_text(out, &self.name);
    }

    fn take_value(id: PinId, input: &mut Reader<'_>) -> Result<Self> {
        version(input, VERSION)?;
        let timeline = TimelineId(input.u64()?);
        let lsn = Lsn(input.u64()?);
        let kind = match input.u8()? {
            0 => return Err(input.damaged("it is for nothing")),
            1 => PinKind::Snapshot,
            2 => PinKind::Branch,
            3 => PinKind::Safety,
            other => return Err(input.newer(other.into(), 3)),
        };
        let created = input.i64()?;
        let name = input.text()?.into();
        Ok(Self { id, timeline, lsn, kind, created, name })
    }

    fn check(&self) -> Result<()> {
        codec::fits("the name of a pin", &self.name, codec::TEXT_MAX)
    }

    fn find(state: &State, key: &PinId) -> Option<Self> {
        state.pin(*key).cloned()
    }

    fn each(state: &State, see: &mut dyn FnMut(Self)) {
        state.pins().cloned().for_each(see);
    }
}
