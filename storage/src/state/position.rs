//! Committed positions: the records of internal topic 1, in the format of Kafka's `__consumer_offsets`.
//!
//! Key, `OffsetCommitKey` v1: version i16, group, topic (strings with an i16 length), partition i32. Value,
//! `OffsetCommitValue` v4: version i16, offset i64, leader epoch i32, metadata (length + 1 as a varint, and bytes), commit
//! time i64, tagged fields: tag 0, 16 bytes, is the topic id. All big endian.
//!
//! The topic's name is its short name inside of the volume. What counts is its *number*, which the topic id has in its
//! bytes 10 to 13: ids name the volume, too, and a clone inherits positions that were committed under its parent's. A
//! position of a number that does not live under that name is none.

use super::codec::{self, Reader};
use super::fact::{Kind, Thing};
use super::fold::State;
use crate::{Result, TopicNumber};
use std::sync::Arc;

const KEY_VERSION: i16 = 1;
const VALUE_VERSION: i16 = 4;
/// Before the topic id: one tagged field, tag 0, 16 bytes.
const TOPIC_ID_FOLLOWS: [u8; 3] = [1, 0, 16];

/// 128 bits that a client knows a topic by.
pub type TopicId = [u8; 16];

/// The number of the topic that an id names (`docs/architecture.md`, *Names and ids*).
pub fn number_in(id: &TopicId) -> TopicNumber {
    TopicNumber(u32::from_be_bytes([id[10], id[11], id[12], id[13]]))
}

/// Whose position, and where.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PositionKey {
    /// The consumer group.
    pub group: Arc<str>,
    /// The topic's short name inside of the volume.
    pub topic: Arc<str>,
    /// The partition, at most `i32::MAX`.
    pub partition: u32,
}

/// What a group committed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Committed {
    /// The next offset to read.
    pub offset: i64,
    /// When it was committed, in milliseconds.
    pub time: i64,
    /// The leader epoch of the last record read, −1: not known.
    pub leader_epoch: i32,
    /// What the client said with it.
    pub metadata: Box<str>,
    /// The topic's id at that time.
    pub topic_id: TopicId,
}

impl Committed {
    /// The topic that it is a position in.
    pub fn topic(&self) -> TopicNumber {
        number_in(&self.topic_id)
    }

    /// Appends the value that says so.
    pub(super) fn put(&self, out: &mut Vec<u8>) {
        let Self { offset, time, leader_epoch, metadata, topic_id } = self;
        out.extend_from_slice(&VALUE_VERSION.to_be_bytes());
        out.extend_from_slice(&offset.to_be_bytes());
        out.extend_from_slice(&leader_epoch.to_be_bytes());
        codec::put_varint(out, metadata.len() as u64 + 1);
        out.extend_from_slice(metadata.as_bytes());
        out.extend_from_slice(&time.to_be_bytes());
        out.extend_from_slice(&TOPIC_ID_FOLLOWS);
        out.extend_from_slice(topic_id);
    }
}

/// A committed position.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Position {
    /// Whose, and where.
    pub key: PositionKey,
    /// What.
    pub committed: Committed,
}

impl Thing for Position {
    type Key = PositionKey;
    const KIND: Kind = Kind::Position;

    fn key(&self) -> PositionKey {
        self.key.clone()
    }

    fn put_key(key: &PositionKey, out: &mut Vec<u8>) {
        put_key(&key.group, &key.topic, key.partition, out);
    }

    fn take_key(input: &mut Reader<'_>) -> Result<PositionKey> {
        let version = input.be_i16()?;
        if version != KEY_VERSION {
            return Err(input.newer(version.cast_unsigned().into(), KEY_VERSION.cast_unsigned().into()));
        }
        let group = input.be_text()?.into();
        let topic = input.be_text()?.into();
        let partition = input.be_i32()?;
        let partition = u32::try_from(partition).map_err(|_| input.damaged("its partition is negative"))?;
        Ok(PositionKey { group, topic, partition })
    }

    fn put_value(&self, out: &mut Vec<u8>) {
        self.committed.put(out);
    }

    fn take_value(key: PositionKey, input: &mut Reader<'_>) -> Result<Self> {
        let version = input.be_i16()?;
        if version != VALUE_VERSION {
            return Err(input.newer(version.cast_unsigned().into(), VALUE_VERSION.cast_unsigned().into()));
        }
        let offset = input.be_i64()?;
        let leader_epoch = input.be_i32()?;
        let metadata = take_metadata(input)?.into();
        let time = input.be_i64()?;
        if input.array()? != TOPIC_ID_FOLLOWS {
            return Err(input.damaged("its tagged fields are not the topic id"));
        }
        let topic_id = input.array()?;
        Ok(Self { key, committed: Committed { offset, time, leader_epoch, metadata, topic_id } })
    }

    fn check(&self) -> Result<()> {
        Self::check_key(&self.key)?;
        codec::fits("the metadata of a position", &self.committed.metadata, codec::KAFKA_TEXT_MAX)
    }

    fn check_key(key: &PositionKey) -> Result<()> {
        codec::fits("the id of a group", &key.group, codec::KAFKA_TEXT_MAX)?;
        codec::fits("the name of a topic", &key.topic, codec::KAFKA_TEXT_MAX)?;
        if i32::try_from(key.partition).is_err() {
            return Err(crate::Error::Invalid(format!("there is no partition {}", key.partition)));
        }
        Ok(())
    }

    fn find(state: &State, key: &PositionKey) -> Option<Self> {
        let topic = state.topic_by_short_name(&key.topic)?;
        let committed = state.position(&key.group, topic.number, key.partition)?.clone();
        Some(Self { key: key.clone(), committed })
    }

    fn each(state: &State, see: &mut dyn FnMut(Self)) {
        state.positions().for_each(see);
    }
}

/// Appends a key by its parts.
pub(super) fn put_key(group: &str, topic: &str, partition: u32, out: &mut Vec<u8>) {
    out.extend_from_slice(&KEY_VERSION.to_be_bytes());
    codec::put_be_text(out, group);
    codec::put_be_text(out, topic);
    out.extend_from_slice(&partition.to_be_bytes());
}

fn take_metadata<'a>(input: &mut Reader<'a>) -> Result<&'a str> {
    let length = input.varint()?.checked_sub(1).ok_or_else(|| input.damaged("its metadata are null"))?;
    let count = usize::try_from(length).map_err(|_| input.damaged("it ends early"))?;
    let bytes = input.bytes(count)?;
    input.text_of(bytes)
}
