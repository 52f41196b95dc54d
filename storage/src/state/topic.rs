//! Topics: kind 1.
//!
//! Key: stream, a zero, topic. Value: version, number, partitions, time of creation, flags (1: internal), settings (count,
//! then pairs of strings, in the order of their names).
//!
//! A topic's *number* is its identity: volume-local, never given twice. A topic that is made again under an old name has
//! another number, and inherits nothing.

use super::codec::{self, Reader};
use super::fact::{Kind, Thing, version};
use super::fold::State;
use crate::{Result, TopicNumber};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The stream that a plain name stands for.
pub const DEFAULT_STREAM: &str = "default";

const VERSION: u8 = 1;
const INTERNAL: u32 = 1;

/// Where a topic is inside of its volume. Neither part has a zero byte, and streams have no dot.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicName {
    /// Its stream.
    pub stream: Arc<str>,
    /// Its name in the stream.
    pub topic: Arc<str>,
}

impl TopicName {
    /// Names a topic.
    pub fn new(stream: &str, topic: &str) -> Self {
        Self { stream: stream.into(), topic: topic.into() }
    }

    /// The short name inside of the volume: plain in the default stream, else `<stream>.<topic>`.
    pub fn short(&self) -> Arc<str> {
        match &*self.stream {
            DEFAULT_STREAM => Arc::clone(&self.topic),
            stream => format!("{stream}.{}", self.topic).into(),
        }
    }

    /// Whether `short` is this topic's short name.
    pub fn is_short(&self, short: &str) -> bool {
        match &*self.stream {
            DEFAULT_STREAM => *self.topic == *short,
            stream => short.strip_prefix(stream).and_then(|rest| rest.strip_prefix('.')) == Some(&self.topic),
        }
    }
}

/// A topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topic {
    /// Where it is.
    pub name: TopicName,
    /// Which it is.
    pub number: TopicNumber,
    /// How many partitions it has.
    pub partitions: u32,
    /// When it was created, in milliseconds.
    pub created: i64,
    /// Whether it is the broker's own.
    pub internal: bool,
    /// What was set on it, by Kafka's names. What is not here has the default.
    pub settings: BTreeMap<String, String>,
}

impl Thing for Topic {
    type Key = TopicName;
    const KIND: Kind = Kind::Topic;

    fn key(&self) -> TopicName {
        self.name.clone()
    }

    fn put_key(key: &TopicName, out: &mut Vec<u8>) {
        out.extend_from_slice(key.stream.as_bytes());
        out.push(0);
        out.extend_from_slice(key.topic.as_bytes());
    }

    fn take_key(input: &mut Reader<'_>) -> Result<TopicName> {
        let text = input.rest_text()?;
        match text.split_once('\0') {
            Some((stream, topic)) if !topic.contains('\0') => Ok(TopicName::new(stream, topic)),
            _ => Err(input.damaged("the key is not stream and topic")),
        }
    }

    fn put_value(&self, out: &mut Vec<u8>) {
        out.push(VERSION);
        out.extend_from_slice(&self.number.0.to_le_bytes());
        out.extend_from_slice(&self.partitions.to_le_bytes());
        out.extend_from_slice(&self.created.to_le_bytes());
        out.extend_from_slice(&if self.internal { INTERNAL } else { 0 }.to_le_bytes());
        out.extend_from_slice(&u16::try_from(self.settings.len()).unwrap_or(u16::MAX).to_le_bytes());
        for (name, value) in self.settings.iter().take(codec::TEXT_MAX) {
            codec::put_text(out, name);
            codec::put_text(out, value);
        }
    }

    fn take_value(name: TopicName, input: &mut Reader<'_>) -> Result<Self> {
        version(input, VERSION)?;
        let number = TopicNumber(input.u32()?);
        let partitions = input.u32()?;
        let created = input.i64()?;
        let internal = match input.u32()? {
            0 => false,
            INTERNAL => true,
            flags => return Err(input.newer(flags, INTERNAL)),
        };
        let mut settings = BTreeMap::new();
        for _ in 0..input.u16()? {
            let name = input.text()?.to_owned();
            let value = input.text()?.to_owned();
            if settings.last_key_value().is_some_and(|(last, _)| *last >= name) {
                return Err(input.damaged("its settings are not in order"));
            }
            settings.insert(name, value);
        }
        Ok(Self { name, number, partitions, created, internal, settings })
    }

    fn check(&self) -> Result<()> {
        Self::check_key(&self.name)?;
        codec::fits_count("the settings of a topic", self.settings.len())?;
        for (name, value) in &self.settings {
            codec::fits("the name of a setting", name, codec::TEXT_MAX)?;
            codec::fits("the value of a setting", value, codec::TEXT_MAX)?;
        }
        Ok(())
    }

    fn check_key(key: &TopicName) -> Result<()> {
        codec::no_zero("a stream's name", &key.stream)?;
        codec::no_zero("a topic's name", &key.topic)
    }

    fn find(state: &State, key: &TopicName) -> Option<Self> {
        state.topic(&key.stream, &key.topic).map(|topic| Topic::clone(topic))
    }

    fn each(state: &State, see: &mut dyn FnMut(Self)) {
        state.topics().for_each(|topic| see(Topic::clone(topic)));
    }
}
