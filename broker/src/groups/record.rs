//! What of a group outlives the broker: one record per group, rewritten whole.
//!
//! Invariant: a record is of a finished generation. A rebalance under way is not written; after a restart the members go
//! on in the generation before it, and those that the rebalance was for start it again.
//!
//! Shape, little-endian; `text` and `bytes` are a u32 length and that many bytes, `maybe` is a byte 0, or 1 and a value:
//!
//! ```text
//! version u8 = 1 · generation i32 · state since (ms since 1970) i64
//! protocol type: maybe text · protocol: maybe text · leader: maybe text
//! count u32, then per member:
//!     member id text · instance id: maybe text · client id text · client host text
//!     rebalance timeout ms u64 · session timeout ms u64
//!     count u32, then per protocol: name text · metadata bytes
//!     assignment bytes
//! ```
//!
//! Nothing may follow. A record that does not decode to its last byte, or that says what cannot be (two members of one
//! name, a leader who is no member, a chosen protocol that a member does not know), is damage and is refused whole.

use std::collections::HashSet;
use std::time::Duration;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use thiserror::Error;

use super::request::Protocol;

const VERSION: u8 = 1;

/// A group as of its last finished generation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupRecord {
    /// The generation.
    pub generation: i32,
    /// When the group got into its state (milliseconds since 1970): positions of an empty group age from here.
    pub state_since_unix_ms: i64,
    /// The protocol type, if members ever brought one.
    pub protocol_type: Option<String>,
    /// The chosen protocol; none in an empty group.
    pub protocol_name: Option<String>,
    /// The leader's member id; none in an empty group.
    pub leader: Option<String>,
    /// The members with their assignments; none in an empty group.
    pub members: Vec<MemberRecord>,
}

/// A member as of the last finished generation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberRecord {
    /// The member's id.
    pub member_id: String,
    /// Its group instance id, if it is static.
    pub instance_id: Option<String>,
    /// The client id that it joined with.
    pub client_id: String,
    /// The address that it joined from.
    pub client_host: String,
    /// How long a rebalance waits for it.
    pub rebalance_timeout: Duration,
    /// After how long without a sign of life it is dead.
    pub session_timeout: Duration,
    /// Its protocols, in its order of preference.
    pub protocols: Vec<Protocol>,
    /// Its assignment.
    pub assignment: Bytes,
}

/// Why a stored record could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum RecordError {
    /// Written by a newer release.
    #[error("the group record has version {0}, which this release cannot read")]
    Version(u8),
    /// Not a whole record.
    #[error("the group record is damaged")]
    Damaged,
}

impl GroupRecord {
    /// The record's bytes.
    pub fn encode(&self) -> Bytes {
        let mut out = BytesMut::new();
        out.put_u8(VERSION);
        out.put_i32_le(self.generation);
        out.put_i64_le(self.state_since_unix_ms);
        put_maybe(&mut out, self.protocol_type.as_deref());
        put_maybe(&mut out, self.protocol_name.as_deref());
        put_maybe(&mut out, self.leader.as_deref());
        put_length(&mut out, self.members.len());
        for member in &self.members {
            member.encode(&mut out);
        }
        out.freeze()
    }

    /// Reads a record. The members' metadata and assignments share the bytes given.
    pub fn decode(bytes: Bytes) -> Result<Self, RecordError> {
        let mut input = bytes;
        let version = input.try_get_u8().map_err(damaged)?;
        if version != VERSION {
            return Err(RecordError::Version(version));
        }
        let mut record = Self {
            generation: input.try_get_i32_le().map_err(damaged)?,
            state_since_unix_ms: input.try_get_i64_le().map_err(damaged)?,
            protocol_type: get_maybe(&mut input)?,
            protocol_name: get_maybe(&mut input)?,
            leader: get_maybe(&mut input)?,
            members: Vec::new(),
        };
        // Grown as they are read: a count is not believed before its members are there.
        for _ in 0..get_u32(&mut input)? {
            record.members.push(MemberRecord::decode(&mut input)?);
        }
        if input.has_remaining() || !record.is_consistent() { Err(RecordError::Damaged) } else { Ok(record) }
    }

    fn is_consistent(&self) -> bool {
        if self.members.is_empty() {
            return true;
        }
        let mut names = HashSet::new();
        let mut instances = HashSet::new();
        let protocol = self.protocol_name.as_deref();
        self.protocol_type.is_some()
            && self.members.iter().all(|member| {
                names.insert(member.member_id.as_str())
                    && member.instance_id.as_deref().is_none_or(|instance| instances.insert(instance))
                    && member.protocols.iter().any(|own| Some(own.name.as_str()) == protocol)
            })
            && self.leader.as_deref().is_some_and(|leader| names.contains(leader))
    }
}

impl MemberRecord {
    fn encode(&self, out: &mut BytesMut) {
        put_bytes(out, self.member_id.as_bytes());
        put_maybe(out, self.instance_id.as_deref());
        put_bytes(out, self.client_id.as_bytes());
        put_bytes(out, self.client_host.as_bytes());
        put_duration(out, self.rebalance_timeout);
        put_duration(out, self.session_timeout);
        put_length(out, self.protocols.len());
        for protocol in &self.protocols {
            put_bytes(out, protocol.name.as_bytes());
            put_bytes(out, &protocol.metadata);
        }
        put_bytes(out, &self.assignment);
    }

    fn decode(input: &mut Bytes) -> Result<Self, RecordError> {
        let mut member = Self {
            member_id: get_text(input)?,
            instance_id: get_maybe(input)?,
            client_id: get_text(input)?,
            client_host: get_text(input)?,
            rebalance_timeout: get_duration(input)?,
            session_timeout: get_duration(input)?,
            protocols: Vec::new(),
            assignment: Bytes::new(),
        };
        for _ in 0..get_u32(input)? {
            member.protocols.push(Protocol { name: get_text(input)?, metadata: get_bytes(input)? });
        }
        member.assignment = get_bytes(input)?;
        Ok(member)
    }
}

fn put_length(out: &mut BytesMut, length: usize) {
    out.put_u32_le(u32::try_from(length).expect("all of it came in one request frame of less than 2 GiB"));
}

fn put_bytes(out: &mut BytesMut, bytes: &[u8]) {
    put_length(out, bytes.len());
    out.put_slice(bytes);
}

fn put_maybe(out: &mut BytesMut, text: Option<&str>) {
    out.put_u8(u8::from(text.is_some()));
    if let Some(text) = text {
        put_bytes(out, text.as_bytes());
    }
}

fn put_duration(out: &mut BytesMut, duration: Duration) {
    out.put_u64_le(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX));
}

fn damaged(_: bytes::TryGetError) -> RecordError {
    RecordError::Damaged
}

fn get_u32(input: &mut Bytes) -> Result<u32, RecordError> {
    input.try_get_u32_le().map_err(damaged)
}

fn get_bytes(input: &mut Bytes) -> Result<Bytes, RecordError> {
    let length = get_u32(input)? as usize;
    if length > input.len() {
        return Err(RecordError::Damaged);
    }
    Ok(input.split_to(length))
}

fn get_text(input: &mut Bytes) -> Result<String, RecordError> {
    let bytes = get_bytes(input)?;
    std::str::from_utf8(&bytes).map(str::to_owned).map_err(|_| RecordError::Damaged)
}

fn get_maybe(input: &mut Bytes) -> Result<Option<String>, RecordError> {
    match input.try_get_u8().map_err(damaged)? {
        0 => Ok(None),
        1 => get_text(input).map(Some),
        _ => Err(RecordError::Damaged),
    }
}

fn get_duration(input: &mut Bytes) -> Result<Duration, RecordError> {
    input.try_get_u64_le().map(Duration::from_millis).map_err(damaged)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> GroupRecord {
        let member = |id: &str, instance: Option<&str>| MemberRecord {
            member_id: id.to_owned(),
            instance_id: instance.map(str::to_owned),
            client_id: "client".to_owned(),
            client_host: "/127.0.0.1".to_owned(),
            rebalance_timeout: Duration::from_mins(1),
            session_timeout: Duration::from_secs(45),
            protocols: vec![
                Protocol { name: "range".to_owned(), metadata: Bytes::from_static(b"\0\x01\xff") },
                Protocol { name: "sticky".to_owned(), metadata: Bytes::new() },
            ],
            assignment: Bytes::from_static(b"assigned"),
        };
        GroupRecord {
            generation: 7,
            state_since_unix_ms: 1_795_000_000_123,
            protocol_type: Some("consumer".to_owned()),
            protocol_name: Some("range".to_owned()),
            leader: Some("a".to_owned()),
            members: vec![member("a", None), member("b", Some("i"))],
        }
    }

    #[test]
    fn a_record_comes_back_as_it_was() {
        let record = sample();
        assert_eq!(GroupRecord::decode(record.encode()), Ok(record));
        let empty = GroupRecord { protocol_name: None, leader: None, members: vec![], ..sample() };
        assert_eq!(GroupRecord::decode(empty.encode()), Ok(empty));
    }

    #[test]
    fn every_prefix_and_every_appendix_is_refused() {
        let bytes = sample().encode();
        for length in 0..bytes.len() {
            assert_eq!(GroupRecord::decode(bytes.slice(..length)), Err(RecordError::Damaged), "{length} bytes");
        }
        let longer = [&bytes[..], &[0]].concat();
        assert_eq!(GroupRecord::decode(longer.into()), Err(RecordError::Damaged));
    }

    #[test]
    fn a_flipped_byte_is_refused_or_read_and_never_a_panic() {
        let bytes = sample().encode();
        for position in 0..bytes.len() {
            for bit in 0..8 {
                let mut flipped = bytes.to_vec();
                flipped[position] ^= 1 << bit;
                if let Ok(read) = GroupRecord::decode(flipped.clone().into()) {
                    assert_eq!(read.encode(), flipped, "what is read is what was written");
                }
            }
        }
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let spoiled: [fn(&mut GroupRecord); 5] = [
            |record| record.leader = Some("nobody".to_owned()),
            |record| record.members[1].member_id = "a".to_owned(),
            |record| record.members[0].instance_id = Some("i".to_owned()),
            |record| record.members[0].protocols[0].name = "other".to_owned(),
            |record| record.protocol_type = None,
        ];
        for spoil in spoiled {
            let mut record = sample();
            spoil(&mut record);
            assert_eq!(GroupRecord::decode(record.encode()), Err(RecordError::Damaged));
        }
    }

    #[test]
    fn a_newer_version_is_named() {
        let mut bytes = sample().encode().to_vec();
        bytes[0] = 2;
        assert_eq!(GroupRecord::decode(bytes.into()), Err(RecordError::Version(2)));
    }
}
