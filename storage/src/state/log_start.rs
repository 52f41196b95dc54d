//! The first offset of a partition: kind 2.
//!
//! Key: topic number, partition. Value: version, offset. Hides all that is below, for views at this LSN and later. It goes
//! with its topic: one of a topic number that does not live is dropped by the fold.

use super::codec::Reader;
use super::fact::{Kind, Thing, version};
use super::fold::State;
use crate::{Error, Result, TopicNumber, TopicPartition};

const VERSION: u8 = 1;

/// The first offset of a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogStart {
    /// Of which.
    pub partition: TopicPartition,
    /// The first offset that can be read.
    pub offset: i64,
}

impl Thing for LogStart {
    type Key = TopicPartition;
    const KIND: Kind = Kind::LogStart;

    fn key(&self) -> TopicPartition {
        self.partition
    }

    fn put_key(key: &TopicPartition, out: &mut Vec<u8>) {
        out.extend_from_slice(&key.topic.0.to_be_bytes());
        out.extend_from_slice(&key.partition.to_be_bytes());
    }

    fn take_key(input: &mut Reader<'_>) -> Result<TopicPartition> {
        Ok(TopicPartition::new(TopicNumber(input.be_u32()?), input.be_u32()?))
    }

    fn put_value(&self, out: &mut Vec<u8>) {
        out.push(VERSION);
        out.extend_from_slice(&self.offset.to_le_bytes());
    }

    fn take_value(partition: TopicPartition, input: &mut Reader<'_>) -> Result<Self> {
        version(input, VERSION)?;
        let offset = input.i64()?;
        if offset < 0 {
            return Err(input.damaged("its offset is negative"));
        }
        Ok(Self { partition, offset })
    }

    fn check(&self) -> Result<()> {
        if self.offset < 0 {
            return Err(Error::Invalid(format!("a log start of {}", self.offset)));
        }
        Ok(())
    }

    fn find(state: &State, key: &TopicPartition) -> Option<Self> {
        state.log_start(*key).map(|offset| Self { partition: *key, offset })
    }

    fn each(state: &State, see: &mut dyn FnMut(Self)) {
        state.log_starts().for_each(|(partition, offset)| see(Self { partition, offset }));
    }
}
