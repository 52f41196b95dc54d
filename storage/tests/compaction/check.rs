//! Whether a view shows what the plain model has: every record, from wherever it is read, and found by its time.

use millpond_storage::batch::{BatchIter, Record};
use millpond_storage::disk::sim::Seed;
use millpond_storage::{Read, TopicPartition, View};

use crate::calls::wait;
use crate::plain::{PlainPartition, PlainRecord};
use crate::world::id;

/// Reads all of a view.
pub(crate) fn check_view(view: &View, plain: &[PlainPartition], choices: &mut Seed) {
    for (index, plain) in plain.iter().enumerate() {
        check_partition(view, id(index), plain, choices);
    }
}

fn check_partition(view: &View, id: TopicPartition, plain: &PlainPartition, choices: &mut Seed) {
    let partition = view.partition(id).unwrap_or_else(|| panic!("{id} is not there at {}", view.lsn()));
    let bounds = view.bounds(&partition).expect("bounds");
    assert_eq!((bounds.log_start, bounds.high_watermark), (plain.log_start, plain.end), "{id} at {}", view.lsn());
    let expected = plain.shown();
    assert_eq!(read_from(view, id, bounds.log_start), expected, "{id} at {}", view.lsn());
    let span = (plain.end - plain.log_start).unsigned_abs();
    let from = plain.log_start + i64::try_from(choices.below(span + 1)).unwrap();
    let behind: Vec<_> = expected.iter().filter(|record| record.offset >= from).cloned().collect();
    assert_eq!(read_from(view, id, from), behind, "{id} from {from} at {}", view.lsn());
    for _ in 0..3 {
        let time = match expected.len() {
            0 => 0,
            count => expected[choices.index(count)].timestamp + i64::try_from(choices.below(3)).unwrap() - 1,
        };
        let found = wait(|done| view.find_time(&partition, time, done)).expect("it is looked for");
        let first = expected.iter().find(|record| record.timestamp >= time);
        let found = found.map(|found| (found.offset, found.timestamp));
        assert_eq!(found, first.map(|first| (first.offset, first.timestamp)), "{id} at time {time}");
    }
    let newest = wait(|done| view.max_time(&partition, done)).expect("it is looked for");
    let greatest = expected.iter().map(|record| record.timestamp).max();
    assert_eq!(newest.map(|found| found.timestamp), greatest, "{id}: the greatest timestamp");
}

/// All records that a consumer gets who begins at an offset.
pub(crate) fn read_from(view: &View, id: TopicPartition, from: i64) -> Vec<PlainRecord> {
    let partition = view.partition(id).expect("it is there");
    let end = view.bounds(&partition).expect("bounds").high_watermark;
    let (mut records, mut at) = (Vec::new(), from);
    while at < end {
        let read = Read { from: at, max_bytes: 3_000, at_least_one: true };
        let cached = view.read_now(&partition, &read);
        let fetched = cached.unwrap_or_else(|| wait(|done| view.read(&partition, read, done))).expect("it is read");
        let bytes = fetched.concat().expect("it is read");
        let before = at;
        for batch in BatchIter::new(&bytes) {
            let batch = batch.expect("sound");
            assert!(batch.header().record_count() > 0, "{id}: a batch without records at {at}");
            let each = |record: Record<'_>| {
                if record.offset >= from {
                    let own = |bytes: Option<&[u8]>| bytes.map(<[u8]>::to_vec);
                    let (key, value) = (own(record.key), own(record.value));
                    records.push(PlainRecord { offset: record.offset, timestamp: record.timestamp, key, value });
                }
            };
            batch.for_each_record(1 << 20, each).expect("readable");
            at = batch.header().next_offset();
        }
        assert!(at > before, "{id} has nothing at {at} of {end} in the view at {}", view.lsn());
    }
    records
}
