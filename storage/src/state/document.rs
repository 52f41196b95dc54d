//! Documents: kind 23, in any log: what the broker keeps of things that the engine need not understand (streams, schedules, listeners, …).
//!
//! Key: collection `u8`, name. Value: version, and the broker's bytes.

use super::codec::Reader;
use super::fact::{Kind, Thing, version};
use super::fold::State;
use crate::Result;
use bytes::Bytes;
use std::borrow::Borrow;
use std::cmp::Ordering;
use std::sync::Arc;

const VERSION: u8 = 1;

/// Which document.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DocumentKey {
    /// What it is about; the broker gives the numbers.
    pub collection: u8,
    /// Its name there.
    pub name: Arc<str>,
}

/// What a document is found by: so that looking one up makes nothing.
pub(super) trait Named {
    fn parts(&self) -> (u8, &str);
}

impl Named for DocumentKey {
    fn parts(&self) -> (u8, &str) {
        (self.collection, &self.name)
    }
}

impl Named for (u8, &str) {
    fn parts(&self) -> (u8, &str) {
        *self
    }
}

impl<'a> Borrow<dyn Named + 'a> for DocumentKey {
    fn borrow(&self) -> &(dyn Named + 'a) {
        self
    }
}

impl PartialEq for dyn Named + '_ {
    fn eq(&self, other: &Self) -> bool {
        self.parts() == other.parts()
    }
}

impl Eq for dyn Named + '_ {}

impl PartialOrd for dyn Named + '_ {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// The order of [`DocumentKey`].
impl Ord for dyn Named + '_ {
    fn cmp(&self, other: &Self) -> Ordering {
        self.parts().cmp(&other.parts())
    }
}

/// Something that the broker keeps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// Which.
    pub key: DocumentKey,
    /// What it says, encoded by the broker.
    pub body: Bytes,
}

impl Thing for Document {
    type Key = DocumentKey;
    const KIND: Kind = Kind::Document;

    fn key(&self) -> DocumentKey {
        self.key.clone()
    }

    fn put_key(key: &DocumentKey, out: &mut Vec<u8>) {
        out.push(key.collection);
        out.extend_from_slice(key.name.as_bytes());
    }

    fn take_key(input: &mut Reader<'_>) -> Result<DocumentKey> {
        Ok(DocumentKey { collection: input.u8()?, name: input.rest_text()?.into() })
    }

    fn put_value(&self, out: &mut Vec<u8>) {
        out.push(VERSION);
        out.extend_from_slice(&self.body);
    }

    fn take_value(key: DocumentKey, input: &mut Reader<'_>) -> Result<Self> {
        version(input, VERSION)?;
        Ok(Self { key, body: Bytes::copy_from_slice(input.rest()) })
    }

    fn find(state: &State, key: &DocumentKey) -> Option<Self> {
        state.document(key).map(|body| Self { key: key.clone(), body: body.clone() })
    }

    fn each(state: &State, see: &mut dyn FnMut(Self)) {
        state.documents().for_each(|(key, body)| see(Self { key: key.clone(), body: body.clone() }));
    }
}
