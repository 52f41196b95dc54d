//! Facts as record batches.

use super::{TIME, delete_of, one_of_each, position, topic};
use crate::batch::{Batch, BatchBuilder, Codec, NewRecord};
use crate::state::payload::{decode, encode};
use crate::state::{Fact, LogStart, TopicName};
use crate::{Error, TopicNumber, TopicPartition};

fn all_of(facts: &[Fact], topic: TopicNumber) -> Vec<Fact> {
    facts.iter().filter(|fact| fact.topic() == topic).cloned().collect()
}

#[test]
fn facts_come_back_in_order_one_batch_per_internal_topic() {
    let mut facts = one_of_each();
    facts.extend(facts.clone().iter().map(delete_of));
    facts.insert(0, position("z", "taq.trades", 0, 16, 1).into());
    let batches = encode(&facts, TIME).unwrap();
    assert_eq!(batches.iter().map(|batch| batch.topic.0).collect::<Vec<_>>(), [0, 1]);
    for batch in &batches {
        let expected = all_of(&facts, batch.topic);
        assert_eq!(batch.records as usize, expected.len());
        assert_eq!(decode(batch.topic, &batch.payload).unwrap(), expected);
        let header = *Batch::parse_verified(&batch.payload).unwrap().header();
        assert_eq!((header.base_offset(), header.last_offset_delta() + 1), (0, batch.records));
        assert_eq!((header.base_timestamp(), header.max_timestamp()), (TIME, TIME));
    }
}

#[test]
fn no_facts_are_no_batches() {
    assert_eq!(encode(&[], TIME).unwrap(), []);
}

#[test]
fn a_flipped_byte_of_a_batch_is_seen() {
    for batch in encode(&one_of_each(), TIME).unwrap() {
        let facts = decode(batch.topic, &batch.payload).unwrap();
        for at in 0..batch.payload.len() {
            let mut payload = batch.payload.to_vec();
            payload[at] ^= 0x10;
            match decode(batch.topic, &payload) {
                // Base offset and leader epoch are outside of Kafka's CRC; the frame's covers them.
                Ok(decoded) => assert!(decoded == facts && (at < 8 || (12..16).contains(&at)), "byte {at}"),
                Err(error) => assert!(matches!(error, Error::Corrupt(_)), "byte {at}: {error}"),
            }
        }
    }
}

#[test]
fn batches_that_are_not_ours_are_damage() {
    let record = NewRecord { timestamp: TIME, key: Some(&[0x16]), value: None, headers: &[] };
    let batch = |builder: BatchBuilder| builder.clone().append(&record).unwrap().build().unwrap();
    let plain = batch(BatchBuilder::new());
    assert!(decode(TopicNumber::FACTS, &plain).is_ok());
    let no_key = BatchBuilder::new().append(&NewRecord { key: None, ..record }).unwrap().build().unwrap();
    let others = [
        no_key,
        [&plain[..], &plain[..]].concat(),
        plain[..plain.len() - 1].to_vec(),
        batch(BatchBuilder::new().codec(Codec::Zstd)),
        batch(BatchBuilder::new().control()),
        batch(BatchBuilder::new().transactional().producer(1, 0, 0)),
    ];
    for other in others {
        assert!(matches!(decode(TopicNumber::FACTS, &other), Err(Error::Corrupt(_))));
    }
}

#[test]
fn what_cannot_be_written_is_refused() {
    let long = "x".repeat(70_000);
    let mut settings = topic("default", "a", 16);
    settings.settings.insert("name".into(), long.clone());
    let facts: [Fact; 5] = [
        settings.into(),
        Fact::delete::<crate::state::Topic>(TopicName::new("a\0b", "c")),
        position(&long, "a", 0, 16, 1).into(),
        position("group", "a", 1 << 31, 16, 1).into(),
        LogStart { partition: TopicPartition::new(TopicNumber(16), 0), offset: -1 }.into(),
    ];
    for fact in facts {
        assert!(matches!(encode(&[fact], TIME), Err(Error::Invalid(_))));
    }
}
