//! Facts: absolute upserts and deletes of keyed things, which are the records of the internal topics.
//!
//! Invariants: a fact says all of its thing, never a difference; what it does to the state follows from the fact and from
//! the topics that live, so that a suffix of the log may be folded twice ([`State::apply`](super::State::apply)).
//!
//! Shape: a facts frame is a record batch; a record is a fact; no value is a delete. In internal topic 0 a key is the
//! kind (`u8`) and the kind's own key, a value is a version (`u8`) and fields. Internal topic 1 is Kafka's
//! `__consumer_offsets`. Each kind has a file of its own.

use super::codec::Reader;
use super::{
    Cluster, Compaction, Counter, Document, Floor, Group, LogStart, Pin, Position, State, TimelineInfo, Topic, Volume,
};
use crate::{Error, Result, TopicNumber};
use std::fmt::Debug;
use std::sync::Arc;

/// The kinds of facts, in the order in which a state is written out: topics before what belongs to them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Kind {
    /// [`Topic`].
    Topic = 1,
    /// [`LogStart`].
    LogStart = 2,
    /// [`Compaction`].
    Compaction = 3,
    /// [`Volume`].
    Volume = 16,
    /// [`TimelineInfo`].
    Timeline = 17,
    /// [`Floor`].
    Floor = 18,
    /// [`Pin`].
    Pin = 19,
    /// [`Counter`].
    Counter = 20,
    /// [`Group`].
    Group = 21,
    /// [`Cluster`].
    Cluster = 22,
    /// [`Document`].
    Document = 23,
    /// [`Position`]: has an internal topic of its own, and no number in its keys.
    Position = 255,
}

impl Kind {
    /// The highest kind that this program knows.
    const NEWEST: u8 = Kind::Document as u8;

    /// The internal topic that facts of this kind are records of.
    pub fn topic(self) -> TopicNumber {
        match self {
            Self::Position => TopicNumber::POSITIONS,
            _ => TopicNumber::FACTS,
        }
    }

    fn what(self) -> &'static str {
        match self {
            Self::Topic => "the fact of a topic",
            Self::LogStart => "the fact of a log start",
            Self::Compaction => "the fact of a compaction",
            Self::Volume => "the fact of a volume",
            Self::Timeline => "the fact of a timeline",
            Self::Floor => "the fact of a floor",
            Self::Pin => "the fact of a pin",
            Self::Counter => "the fact of a counter",
            Self::Group => "the fact of a group",
            Self::Cluster => "the fact of the cluster",
            Self::Document => "the fact of a document",
            Self::Position => "the fact of a position",
        }
    }
}

/// What a fact does to its thing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change<T: Thing> {
    /// The thing is this from here on.
    Put(T),
    /// The thing is not there from here on.
    Delete(T::Key),
}

impl<T: Thing> Change<T> {
    /// The key of the thing.
    pub fn key(&self) -> T::Key {
        match self {
            Self::Put(thing) => thing.key(),
            Self::Delete(key) => key.clone(),
        }
    }

    /// The thing, if it is there.
    pub fn value(&self) -> Option<&T> {
        match self {
            Self::Put(thing) => Some(thing),
            Self::Delete(_) => None,
        }
    }
}

/// A kind of thing that facts are about: what it is keyed by, how it is written, where the state has it.
pub trait Thing: InFact + Clone + PartialEq + Eq + Debug {
    /// What one of them is known by.
    type Key: Clone + PartialEq + Eq + Debug;
    /// The kind.
    const KIND: Kind;

    /// The key of this one.
    fn key(&self) -> Self::Key;
    /// Appends the bytes of a key, without the kind.
    fn put_key(key: &Self::Key, out: &mut Vec<u8>);
    /// Reads what [`put_key`](Self::put_key) wrote.
    fn take_key(input: &mut Reader<'_>) -> Result<Self::Key>;
    /// Appends the bytes of the value.
    fn put_value(&self, out: &mut Vec<u8>);
    /// Reads what [`put_value`](Self::put_value) wrote.
    fn take_value(key: Self::Key, input: &mut Reader<'_>) -> Result<Self>;
    /// Whether all of it can be written.
    fn check(&self) -> Result<()> {
        Self::check_key(&self.key())
    }
    /// Whether a key can be written.
    fn check_key(key: &Self::Key) -> Result<()> {
        let _ = key;
        Ok(())
    }
    /// The one that a state has.
    fn find(state: &State, key: &Self::Key) -> Option<Self>;
    /// Shows all that a state has, in an order that depends on nothing but the state.
    fn each(state: &State, see: &mut dyn FnMut(Self));
}

/// How a kind of thing stands in a [`Fact`].
pub trait InFact: Sized {
    /// The change in the fact, if it is of this kind.
    fn of(fact: &Fact) -> Option<&Change<Self>>
    where
        Self: Thing;
}

/// One record of an internal topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fact {
    /// Of a topic.
    Topic(Change<Topic>),
    /// Of the first offset of a partition.
    LogStart(Change<LogStart>),
    /// Of how far a partition is compacted.
    Compaction(Change<Compaction>),
    /// Of a committed position.
    Position(Change<Position>),
    /// Of a volume.
    Volume(Change<Volume>),
    /// Of a timeline.
    Timeline(Change<TimelineInfo>),
    /// Of the history floor of a timeline.
    Floor(Change<Floor>),
    /// Of what keeps a view.
    Pin(Change<Pin>),
    /// Of numbers that are given out.
    Counter(Change<Counter>),
    /// Of the members of a group.
    Group(Change<Group>),
    /// Of the cluster.
    Cluster(Change<Cluster>),
    /// Of what the broker keeps.
    Document(Change<Document>),
}

/// Ties each kind of thing to its variant.
macro_rules! in_fact {
    ($($variant:ident($thing:ty),)*) => {$(
        impl InFact for $thing {
            fn of(fact: &Fact) -> Option<&Change<Self>> {
                match fact {
                    Fact::$variant(change) => Some(change),
                    _ => None,
                }
            }
        }

        impl From<Change<$thing>> for Fact {
            fn from(change: Change<$thing>) -> Self {
                Self::$variant(change)
            }
        }

        impl From<$thing> for Fact {
            fn from(thing: $thing) -> Self {
                Self::$variant(Change::Put(thing))
            }
        }
    )*};
}

in_fact! {
    Topic(Topic),
    LogStart(LogStart),
    Compaction(Compaction),
    Position(Position),
    Volume(Volume),
    Timeline(TimelineInfo),
    Floor(Floor),
    Pin(Pin),
    Counter(Counter),
    Group(Group),
    Cluster(Cluster),
    Document(Document),
}

/// Runs an expression on the change in a fact, whatever its kind.
macro_rules! with_change {
    ($fact:expr, $change:ident => $run:expr) => {
        match $fact {
            Fact::Topic($change) => $run,
            Fact::LogStart($change) => $run,
            Fact::Compaction($change) => $run,
            Fact::Position($change) => $run,
            Fact::Volume($change) => $run,
            Fact::Timeline($change) => $run,
            Fact::Floor($change) => $run,
            Fact::Pin($change) => $run,
            Fact::Counter($change) => $run,
            Fact::Group($change) => $run,
            Fact::Cluster($change) => $run,
            Fact::Document($change) => $run,
        }
    };
}

/// The key of a fact: of its facts the last one counts.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FactKey {
    /// The internal topic that the fact is a record of.
    pub topic: TopicNumber,
    /// The record's key.
    pub bytes: Arc<[u8]>,
}

impl FactKey {
    /// The key of a thing.
    pub fn of<T: Thing>(key: &T::Key) -> Self {
        let mut bytes = Vec::new();
        put_key::<T>(key, &mut bytes);
        Self { topic: T::KIND.topic(), bytes: bytes.into() }
    }
}

impl Fact {
    /// The fact that a thing is not there.
    pub fn delete<T: Thing>(key: T::Key) -> Self
    where
        Self: From<Change<T>>,
    {
        Change::<T>::Delete(key).into()
    }

    /// The internal topic that it is a record of.
    pub fn topic(&self) -> TopicNumber {
        match self {
            Self::Position(_) => TopicNumber::POSITIONS,
            _ => TopicNumber::FACTS,
        }
    }

    /// Its key.
    pub fn key(&self) -> FactKey {
        let mut bytes = Vec::new();
        self.put_key(&mut bytes);
        FactKey { topic: self.topic(), bytes: bytes.into() }
    }

    /// Appends its record's key.
    pub fn put_key(&self, out: &mut Vec<u8>) {
        with_change!(self, change => put_key_of(change, out));
    }

    /// Appends its record's value. False, and nothing, if it is a delete.
    pub fn put_value(&self, out: &mut Vec<u8>) -> bool {
        with_change!(self, change => change.value().map(|thing| thing.put_value(out)).is_some())
    }

    /// Whether all of it can be written: lengths, and what separates in keys.
    pub fn check(&self) -> Result<()> {
        with_change!(self, change => check(change))
    }

    /// Reads the record of an internal topic.
    pub fn parse(topic: TopicNumber, key: &[u8], value: Option<&[u8]>) -> Result<Self> {
        if topic == TopicNumber::POSITIONS {
            return parse::<Position>(key, value);
        }
        if topic != TopicNumber::FACTS {
            return Err(Error::Newer {
                path: "an internal topic".into(),
                found: topic.0,
                known: TopicNumber::POSITIONS.0,
            });
        }
        let (&kind, key) = key.split_first().ok_or_else(|| Error::Corrupt("a fact without a kind".into()))?;
        match kind {
            1 => parse::<Topic>(key, value),
            2 => parse::<LogStart>(key, value),
            3 => parse::<Compaction>(key, value),
            16 => parse::<Volume>(key, value),
            17 => parse::<TimelineInfo>(key, value),
            18 => parse::<Floor>(key, value),
            19 => parse::<Pin>(key, value),
            20 => parse::<Counter>(key, value),
            21 => parse::<Group>(key, value),
            22 => parse::<Cluster>(key, value),
            23 => parse::<Document>(key, value),
            found => {
                Err(Error::Newer { path: "the kind of a fact".into(), found: found.into(), known: Kind::NEWEST.into() })
            }
        }
    }
}

fn put_key<T: Thing>(key: &T::Key, out: &mut Vec<u8>) {
    if T::KIND.topic() == TopicNumber::FACTS {
        out.push(T::KIND as u8);
    }
    T::put_key(key, out);
}

fn put_key_of<T: Thing>(change: &Change<T>, out: &mut Vec<u8>) {
    match change {
        Change::Put(thing) => put_key::<T>(&thing.key(), out),
        Change::Delete(key) => put_key::<T>(key, out),
    }
}

fn check<T: Thing>(change: &Change<T>) -> Result<()> {
    match change {
        Change::Put(thing) => thing.check(),
        Change::Delete(key) => T::check_key(key),
    }
}

fn parse<T: Thing>(key: &[u8], value: Option<&[u8]>) -> Result<Fact>
where
    Fact: From<Change<T>>,
{
    let mut input = Reader::new(key, T::KIND.what());
    let key = T::take_key(&mut input)?;
    input.end()?;
    let Some(value) = value else { return Ok(Fact::delete::<T>(key)) };
    let mut input = Reader::new(value, T::KIND.what());
    let thing = T::take_value(key, &mut input)?;
    input.end()?;
    Ok(Change::Put(thing).into())
}

/// Reads the version of a value and refuses one that is newer than `known`.
pub(super) fn version(input: &mut Reader<'_>, known: u8) -> Result<()> {
    match input.u8()? {
        0 => Err(input.damaged("it has version 0")),
        found if found > known => Err(input.newer(found.into(), known.into())),
        _ => Ok(()),
    }
}
