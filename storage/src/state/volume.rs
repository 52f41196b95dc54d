//! Volumes: kind 16, in `system`.
//!
//! Key: name. Value: version, id, timeline, durability, time of creation, flags (1: listed), mount path.

use super::codec::{self, Reader};
use super::fact::{Kind, Thing, version};
use super::fold::State;
use crate::{Result, TimelineId};
use std::sync::Arc;

const VERSION: u8 = 1;
const LISTED: u32 = 1;

/// What a volume is known by to other facts, whatever its name is. Never given twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VolumeId(pub u64);

/// When a group becomes visible.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Durability {
    /// When the disk has it.
    Fsync,
    /// When the operating system has it.
    PageCache,
}

/// A volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Volume {
    /// Its name.
    pub name: Arc<str>,
    /// Which it is.
    pub id: VolumeId,
    /// The timeline that the name points at.
    pub timeline: TimelineId,
    /// What it asks for. None: what the broker is set to.
    pub durability: Option<Durability>,
    /// When it was created, in milliseconds.
    pub created: i64,
    /// Whether the listener that shows everything lists its topics.
    pub listed: bool,
    /// The path that it is mounted at.
    pub mount: Arc<str>,
}

impl Thing for Volume {
    type Key = Arc<str>;
    const KIND: Kind = Kind::Volume;

    fn key(&self) -> Arc<str> {
        Arc::clone(&self.name)
    }

    fn put_key(key: &Arc<str>, out: &mut Vec<u8>) {
        out.extend_from_slice(key.as_bytes());
    }

    fn take_key(input: &mut Reader<'_>) -> Result<Arc<str>> {
        input.rest_text().map(Arc::from)
    }

    fn put_value(&self, out: &mut Vec<u8>) {
        out.push(VERSION);
        out.extend_from_slice(&self.id.0.to_le_bytes());
        out.extend_from_slice(&self.timeline.0.to_le_bytes());
        out.push(match self.durability {
            None => 0,
            Some(Durability::Fsync) => 1,
            Some(Durability::PageCache) => 2,
        });
        out.extend_from_slice(&self.created.to_le_bytes());
        out.extend_from_slice(&if self.listed { LISTED } else { 0 }.to_le_bytes());
        codec::put_text(out, &self.mount);
    }

    fn take_value(name: Arc<str>, input: &mut Reader<'_>) -> Result<Self> {
        version(input, VERSION)?;
        let id = VolumeId(input.u64()?);
        let timeline = TimelineId(input.u64()?);
        let durability = match input.u8()? {
            0 => None,
            1 => Some(Durability::Fsync),
            2 => Some(Durability::PageCache),
            other => return Err(input.newer(other.into(), 2)),
        };
        let created = input.i64()?;
        let listed = match input.u32()? {
            0 => false,
            LISTED => true,
            flags => return Err(input.newer(flags, LISTED)),
        };
        let mount = input.text()?.into();
        Ok(Self { name, id, timeline, durability, created, listed, mount })
    }

    fn check(&self) -> Result<()> {
        codec::fits("a mount path", &self.mount, codec::TEXT_MAX)
    }

    fn find(state: &State, key: &Arc<str>) -> Option<Self> {
        state.volume(key).cloned()
    }

    fn each(state: &State, see: &mut dyn FnMut(Self)) {
        state.volumes().cloned().for_each(see);
    }
}
