//! The shapes of the requests we take, checked before the codec sees a frame.
//!
//! The codec's array decoder reserves memory for whatever count the wire names: eighteen bytes can ask for 154 GB, and a
//! failed allocation aborts the process. So every frame is first walked along the schema of its request: each length and
//! count is compared with the bytes that remain, and what the decoded form will take is added up. Nothing is allocated.
//!
//! Invariants, which `tests/hostile_frames` holds every API and version to:
//! - a schema and the codec agree on every byte: what the codec encodes is accepted and consumed to the end;
//! - in an accepted frame every element of every array is really there, so that the codec reserves no more than the sum
//!   that the walk computed, which is at most `memory_max`, and at most 192 bytes for each byte of the frame.
//!
//! A schema is a list of fields in wire order. `from`, `to` bound the versions in which a field is there; a field with a
//! tag is in the tagged section. Whether lengths are fixed or varint follows from the version and `flexible_from` alone.
//! Nulls are taken everywhere: they are empty on the wire, and whether one is allowed is for the codec to say.

mod requests;
mod walk;

use kafka_protocol::messages::ApiKey;

pub use requests::REQUESTS;
pub(crate) use walk::header;
pub use walk::{Malformed, Problem, Walked};

/// The shape of one request in its versions.
#[derive(Debug)]
pub struct Schema {
    /// The API.
    pub key: ApiKey,
    /// Its name in Kafka.
    pub name: &'static str,
    /// The oldest version that Kafka 4.1 advertises.
    pub min: i16,
    /// The newest version of Kafka 4.1 that the codec's request has.
    pub max: i16,
    /// The first version with compact lengths and tagged fields; `NEVER` if there is none.
    pub flexible_from: i16,
    /// The fields in wire order.
    pub fields: &'static [Field],
}

impl Schema {
    /// Whether lengths are varints and records end in tagged fields (KIP-482).
    pub const fn is_flexible(&self, version: i16) -> bool {
        version >= self.flexible_from
    }

    /// The schema of a request, known at compile time.
    ///
    /// # Panics
    /// While compiling, if there is none for `key`.
    pub const fn of(key: i16) -> &'static Self {
        let mut at = 0;
        while at < REQUESTS.len() {
            if REQUESTS[at].key as i16 == key {
                return &REQUESTS[at];
            }
            at += 1;
        }
        panic!("no schema for this request")
    }
}

/// No version has it.
pub const NEVER: i16 = i16::MAX;

/// One field: what it is, and in which versions it is where.
#[derive(Debug)]
pub struct Field {
    /// Its name in Kafka.
    pub name: &'static str,
    /// What it is.
    pub kind: Kind,
    from: i16,
    to: i16,
    /// Its tag, if it is in the tagged section.
    pub tag: Option<u32>,
}

/// What a field looks like on the wire.
#[derive(Debug)]
pub enum Kind {
    /// So many bytes, whatever they are: integers, booleans, ids.
    Fixed(usize),
    /// UTF-8 after a 16-bit or varint length.
    String,
    /// Bytes after a 32-bit or varint length.
    Bytes,
    /// A count, then so many values of one kind, each taking `memory` bytes when decoded.
    Values {
        /// Of one value.
        memory: usize,
        /// The kind.
        item: &'static Kind,
    },
    /// A count, then so many records of one shape, each taking `memory` bytes when decoded.
    Records {
        /// Of one record, without what it points at.
        memory: usize,
        /// The shape.
        fields: &'static [Field],
    },
    /// Fields one after the other, then tagged fields in flexible versions.
    Record(&'static [Field]),
    /// A record behind a byte that says whether it is there.
    Optional(&'static [Field]),
}

const INT8: Kind = Kind::Fixed(1);
const INT16: Kind = Kind::Fixed(2);
const INT32: Kind = Kind::Fixed(4);
const INT64: Kind = Kind::Fixed(8);
const UUID: Kind = Kind::Fixed(16);
const STRING: Kind = Kind::String;
const BYTES: Kind = Kind::Bytes;

/// A field that is no array of records.
const fn field(name: &'static str, kind: Kind) -> Field {
    Field { name, kind, from: 0, to: NEVER, tag: None }
}

/// An array of plain values, each decoded to a `T`.
const fn values<T>(name: &'static str, item: &'static Kind) -> Field {
    field(name, Kind::Values { memory: size_of::<T>(), item })
}

/// An array of records, each decoded to a `T`.
const fn records<T>(name: &'static str, fields: &'static [Field]) -> Field {
    field(name, Kind::Records { memory: size_of::<T>(), fields })
}

/// One record.
const fn record(name: &'static str, fields: &'static [Field]) -> Field {
    field(name, Kind::Record(fields))
}

/// One record, or null.
const fn optional(name: &'static str, fields: &'static [Field]) -> Field {
    field(name, Kind::Optional(fields))
}

impl Field {
    /// There from this version on.
    const fn from(self, version: i16) -> Self {
        Self { from: version, ..self }
    }

    /// There up to this version.
    const fn to(self, version: i16) -> Self {
        Self { to: version, ..self }
    }

    /// In the tagged section, under this tag.
    const fn tagged(self, tag: u32) -> Self {
        Self { tag: Some(tag), ..self }
    }

    /// Whether a version has it.
    pub const fn is_in(&self, version: i16) -> bool {
        self.from <= version && version <= self.to
    }
}
