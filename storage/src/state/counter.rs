//! Counters: kind 20, in `system`: numbers that must not be given out twice, whatever is restored.
//!
//! Key: which, `u8`. Value: version, the first number not given out yet. Numbers go out in blocks: the fact is durable
//! before a number of the block is used.

use super::codec::Reader;
use super::fact::{Kind, Thing, version};
use super::fold::State;
use crate::{Result, TopicNumber};

const VERSION: u8 = 1;

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Numbers {
    /// Topic numbers: from 16, below 2³².
    Topic = 1,
    /// Producer ids: from 0, below 2⁶³.
    Producer = 2,
    /// Leader epochs: from 0, below 2³¹.
    LeaderEpoch = 3,
    /// Timeline ids: from 1, since 0 is that of `system`.
    Timeline = 4,
    /// Volume ids: from 1.
    Volume = 5,
    /// Pin ids: from 1.
    Pin = 6,
}

impl Numbers {
    /// All of them.
    pub const ALL: [Numbers; 6] =
        [Self::Topic, Self::Producer, Self::LeaderEpoch, Self::Timeline, Self::Volume, Self::Pin];

    /// The first number that is ever given out.
    pub fn first(self) -> u64 {
        match self {
            Self::Topic => u64::from(TopicNumber::FIRST_USER.0),
            Self::Producer | Self::LeaderEpoch => 0,
            Self::Timeline | Self::Volume | Self::Pin => 1,
        }
    }

    /// The number behind the last that can be given out.
    pub fn end(self) -> u64 {
        match self {
            Self::Topic => 0xffff_ffff,
            Self::LeaderEpoch => 0x7fff_ffff,
            Self::Producer | Self::Timeline | Self::Volume | Self::Pin => 0x7fff_ffff_ffff_ffff,
        }
    }
}

/// How far numbers have been given out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counter {
    /// Which numbers.
    pub numbers: Numbers,
    /// The first not given out yet.
    pub next: u64,
}

impl Thing for Counter {
    type Key = Numbers;
    const KIND: Kind = Kind::Counter;

    fn key(&self) -> Numbers {
        self.numbers
    }

    fn put_key(key: &Numbers, out: &mut Vec<u8>) {
        out.push(*key as u8);
    }

    fn take_key(input: &mut Reader<'_>) -> Result<Numbers> {
        let which = input.u8()?;
        Numbers::ALL
            .into_iter()
            .find(|&numbers| numbers as u8 == which)
            .ok_or_else(|| input.newer(which.into(), Numbers::Pin as u32))
    }

    fn put_value(&self, out: &mut Vec<u8>) {
        out.push(VERSION);
        out.extend_from_slice(&self.next.to_le_bytes());
    }

    fn take_value(numbers: Numbers, input: &mut Reader<'_>) -> Result<Self> {
        version(input, VERSION)?;
        Ok(Self { numbers, next: input.u64()? })
    }

    fn find(state: &State, key: &Numbers) -> Option<Self> {
        state.counter(*key).map(|next| Self { numbers: *key, next })
    }

    fn each(state: &State, see: &mut dyn FnMut(Self)) {
        state.counters().for_each(|(numbers, next)| see(Self { numbers, next }));
    }
}
