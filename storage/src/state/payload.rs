//! Facts as payloads of frames: per internal topic one record batch, its records' keys and values the facts'.
//!
//! The batches are uncompressed, at offset 0 and of no epoch: the writer places them. What is read back is checked whole:
//! the batch's CRC, every record, every key and value.

use super::fact::Fact;
use crate::batch::{Batch, BatchBuilder, Codec, NewRecord, Records};
use crate::{Error, Result, TopicNumber};
use bytes::Bytes;

/// What a facts frame holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FactsBatch {
    /// The internal topic. Its partition is 0.
    pub topic: TopicNumber,
    /// A record batch at offset 0.
    pub payload: Bytes,
    /// How many records, and offsets, it has.
    pub records: u32,
}

/// The batches of the facts of a group, by internal topic; none for no facts. In each the facts keep their order. The
/// records get the group's time, in milliseconds.
///
/// Facts are folded batch by batch, live as in recovery: those of topic 0 before those of topic 1.
pub fn encode(facts: &[Fact], time: i64) -> Result<Vec<FactsBatch>> {
    let mut batches = Vec::new();
    for topic in [TopicNumber::FACTS, TopicNumber::POSITIONS] {
        let mut of_topic = facts.iter().filter(|fact| fact.topic() == topic).peekable();
        if of_topic.peek().is_some() {
            batches.push(encode_topic(topic, of_topic, time)?);
        }
    }
    Ok(batches)
}

fn encode_topic<'a>(topic: TopicNumber, facts: impl Iterator<Item = &'a Fact>, time: i64) -> Result<FactsBatch> {
    let mut batch = BatchBuilder::new();
    let (mut key, mut value) = (Vec::new(), Vec::new());
    for fact in facts {
        fact.check()?;
        key.clear();
        value.clear();
        fact.put_key(&mut key);
        let value = fact.put_value(&mut value).then_some(&value[..]);
        let record = NewRecord { timestamp: time, key: Some(&key), value, headers: &[] };
        batch.append(&record).map_err(|error| Error::Invalid(format!("facts of topic {topic}: {error}")))?;
    }
    let payload = batch.build().map_err(|error| Error::Invalid(format!("facts of topic {topic}: {error}")))?;
    Ok(FactsBatch { topic, payload: payload.into(), records: batch.record_count() })
}

/// The facts of a facts frame, in order. [`Error::Newer`] for a kind or version that this program does not know,
/// [`Error::Corrupt`] for anything else that is not what [`encode`] writes.
pub fn decode(topic: TopicNumber, payload: &[u8]) -> Result<Vec<Fact>> {
    let damaged = |why: &dyn std::fmt::Display| Error::Corrupt(format!("facts of topic {topic}: {why}"));
    let batch = Batch::parse_verified(payload).map_err(|error| damaged(&error))?;
    if batch.bytes().len() != payload.len() {
        return Err(damaged(&"more than one batch"));
    }
    let attributes = batch.header().attributes();
    if attributes.codec() != Ok(Codec::None) || attributes.is_control() || attributes.is_transactional() {
        return Err(damaged(&"a batch that is not ours"));
    }
    // A count from the disk: the records themselves bound what is taken.
    let mut facts = Vec::new();
    for record in Records::new(batch.header(), batch.stored_records()) {
        let record = record.map_err(|error| damaged(&error))?;
        let key = record.key.ok_or_else(|| damaged(&"a record without a key"))?;
        facts.push(Fact::parse(topic, key, record.value)?);
    }
    Ok(facts)
}
