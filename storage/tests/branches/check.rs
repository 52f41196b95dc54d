//! Whether a view shows what the plain model has: topics, positions, and every record.

use std::collections::BTreeMap;

use millpond_storage::batch::BatchIter;
use millpond_storage::state::{PositionKey, State};
use millpond_storage::{Read, TopicNumber, TopicPartition, View};

use crate::calls::wait;
use crate::plain::{PlainPartition, PlainView};

pub(crate) fn check_state(state: &State, plain: &PlainView) {
    let topics: Vec<(String, u32, usize)> =
        state.topics().map(|topic| (topic.name.topic.to_string(), topic.number.0, topic.partitions as usize)).collect();
    let expected: Vec<_> =
        plain.topics.iter().map(|(name, topic)| (name.clone(), topic.number, topic.partitions.len())).collect();
    assert_eq!(topics, expected);
    let positions: BTreeMap<_, _> = state
        .positions()
        .map(|position| {
            let PositionKey { group, topic, partition } = position.key;
            ((group.to_string(), topic.to_string(), partition), position.committed.offset)
        })
        .collect();
    assert_eq!(positions, plain.positions);
}

/// Reads all of a view. Returns the bytes of its batches.
pub(crate) fn check_view(view: &View, plain: &PlainView) -> u64 {
    let mut bytes = 0;
    for topic in plain.topics.values() {
        for (index, partition) in topic.partitions.iter().enumerate() {
            let id = TopicPartition::new(TopicNumber(topic.number), u32::try_from(index).unwrap());
            bytes += check_partition(view, id, partition);
        }
    }
    bytes
}

fn check_partition(view: &View, id: TopicPartition, plain: &PlainPartition) -> u64 {
    let partition = view.partition(id).unwrap_or_else(|| panic!("{id} is not there at {}", view.lsn()));
    let bounds = view.bounds(&partition).expect("bounds");
    let end = i64::try_from(plain.values.len()).unwrap();
    assert_eq!((bounds.log_start, bounds.high_watermark), (plain.log_start, end), "{id} at {}", view.lsn());
    let (mut from, mut read_bytes) = (bounds.log_start, 0);
    while from < end {
        let read = Read { from, max_bytes: 20_000, at_least_one: true };
        let cached = view.read_now(&partition, &read);
        let fetched = cached.unwrap_or_else(|| wait(|done| view.read(&partition, read, done))).expect("it is read");
        let bytes = fetched.concat().expect("it is read");
        read_bytes += bytes.len() as u64;
        let before = from;
        for batch in BatchIter::new(&bytes) {
            let each = |record: millpond_storage::batch::Record<'_>| {
                if record.offset >= bounds.log_start {
                    let expected = &plain.values[usize::try_from(record.offset).unwrap()];
                    assert_eq!(record.value.unwrap_or_default(), expected.as_bytes(), "{id} at {}", record.offset);
                    from = record.offset + 1;
                }
            };
            batch.expect("sound").for_each_record(1 << 20, each).expect("readable");
        }
        assert!(from > before, "{id} has nothing at {from} of {end} in the view at {}", view.lsn());
    }
    let counted = view.bytes_between(&partition, bounds.log_start, end).expect("it can be counted");
    assert_eq!(counted, read_bytes, "bytes of {id} at {}", view.lsn());
    read_bytes
}
