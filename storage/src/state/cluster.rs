//! The cluster's id: kind 22, in `system`. Key: empty. Value: version, 16 bytes.

use super::codec::Reader;
use super::fact::{Kind, Thing, version};
use super::fold::State;
use crate::Result;

const VERSION: u8 = 1;

/// The cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cluster {
    /// Its id.
    pub id: [u8; 16],
}

impl Thing for Cluster {
    type Key = ();
    const KIND: Kind = Kind::Cluster;

    fn key(&self) {}

    fn put_key((): &(), _: &mut Vec<u8>) {}

    fn take_key(_: &mut Reader<'_>) -> Result<()> {
        Ok(())
    }

    fn put_value(&self, out: &mut Vec<u8>) {
        out.push(VERSION);
        out.extend_from_slice(&self.id);
    }

    fn take_value((): (), input: &mut Reader<'_>) -> Result<Self> {
        version(input, VERSION)?;
        Ok(Self { id: input.array()? })
    }

    fn find(state: &State, (): &()) -> Option<Self> {
        state.cluster().map(|id| Self { id })
    }

    fn each(state: &State, see: &mut dyn FnMut(Self)) {
        state.cluster().into_iter().for_each(|id| see(Self { id }));
    }
}
