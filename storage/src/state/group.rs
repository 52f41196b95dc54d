//! Members and generations of consumer groups: kind 21, in `system`. What is inside is the broker's.
//!
//! Key: scope, group id. Value: version, and the broker's bytes.

use super::codec::Reader;
use super::fact::{Kind, Thing, version};
use super::fold::State;
use crate::Result;
use bytes::Bytes;
use std::sync::Arc;

const VERSION: u8 = 1;

/// Which group.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GroupKey {
    /// What the listener shows that its members came by.
    pub scope: u64,
    /// Its id.
    pub group: Arc<str>,
}

/// The members of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// Which.
    pub key: GroupKey,
    /// Members and generation, encoded by the broker.
    pub members: Bytes,
}

impl Thing for Group {
    type Key = GroupKey;
    const KIND: Kind = Kind::Group;

    fn key(&self) -> GroupKey {
        self.key.clone()
    }

    fn put_key(key: &GroupKey, out: &mut Vec<u8>) {
        out.extend_from_slice(&key.scope.to_be_bytes());
        out.extend_from_slice(key.group.as_bytes());
    }

    fn take_key(input: &mut Reader<'_>) -> Result<GroupKey> {
        Ok(GroupKey { scope: input.be_u64()?, group: input.rest_text()?.into() })
    }

    fn put_value(&self, out: &mut Vec<u8>) {
        out.push(VERSION);
        out.extend_from_slice(&self.members);
    }

    fn take_value(key: GroupKey, input: &mut Reader<'_>) -> Result<Self> {
        version(input, VERSION)?;
        Ok(Self { key, members: Bytes::copy_from_slice(input.rest()) })
    }

    fn find(state: &State, key: &GroupKey) -> Option<Self> {
        state.group(key).map(|members| Self { key: key.clone(), members: members.clone() })
    }

    fn each(state: &State, see: &mut dyn FnMut(Self)) {
        state.groups().for_each(|(key, members)| see(Self { key: key.clone(), members: members.clone() }));
    }
}
