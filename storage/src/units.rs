//! The numbers of the engine, each a type of its own, so that an LSN never passes for an offset or a byte.
//!
//! Offsets, times (milliseconds since the Unix epoch) and byte positions stay plain `i64`/`u64` where their name says which they are.

use std::fmt;

/// The number of an atomic group on a timeline. Only grows; 0 stands before the first group.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Lsn(pub u64);

impl Lsn {
    /// Before the first group.
    pub const ZERO: Lsn = Lsn(0);
    /// Above every group.
    pub const MAX: Lsn = Lsn(u64::MAX);

    /// The number after this one.
    #[must_use]
    pub fn next(self) -> Lsn {
        Lsn(self.0.saturating_add(1))
    }
}

impl fmt::Display for Lsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A group of a timeline, and the time that its clock had. (The time of groups never falls within a timeline.)
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub struct Moment {
    /// The group.
    pub lsn: Lsn,
    /// Its time, in milliseconds.
    pub time: i64,
}

/// One history: a log and the files made from it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct TimelineId(pub u64);

impl TimelineId {
    /// The timeline of the `system` volume.
    pub const SYSTEM: TimelineId = TimelineId(0);
}

impl fmt::Display for TimelineId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The volume-local number of a topic, never given twice.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct TopicNumber(pub u32);

impl TopicNumber {
    /// The internal topic of Millpond's own facts.
    pub const FACTS: TopicNumber = TopicNumber(0);
    /// The internal topic of committed positions (`__consumer_offsets`).
    pub const POSITIONS: TopicNumber = TopicNumber(1);
    /// The first number that a topic of users can have.
    pub const FIRST_USER: TopicNumber = TopicNumber(16);

    /// Whether the topic holds facts.
    pub fn is_internal(self) -> bool {
        self < Self::FIRST_USER
    }
}

impl fmt::Display for TopicNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A partition of a topic, by the topic's number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct TopicPartition {
    /// The topic.
    pub topic: TopicNumber,
    /// The index of the partition, from 0.
    pub partition: u32,
}

impl TopicPartition {
    /// Names a partition.
    pub fn new(topic: TopicNumber, partition: u32) -> Self {
        Self { topic, partition }
    }
}

impl fmt::Display for TopicPartition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.topic, self.partition)
    }
}

/// A segment of a timeline (log files are named by their first LSN instead).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct FileId(pub u64);

impl fmt::Display for FileId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
