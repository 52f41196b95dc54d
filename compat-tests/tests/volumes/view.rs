//! All that a view shows: every record of every partition, every position of the group; and what of each chain that is.

use std::thread;
use std::time::{Duration, Instant};

use kafka_protocol::messages::fetch_response::PartitionData;
use kafka_protocol::messages::{FetchResponse, OffsetFetchResponse};
use millpond_compat_tests::batch::{self, Batch};
use millpond_compat_tests::requests::{self, FETCH};
use millpond_compat_tests::wire::Wire;

use crate::history::{COMMITS, COUNTERS, Counts, GROUP, History, PARTITIONS, index};

/// Errors of a view whose state is being read for the first time: clients ask again.
const NOT_YET: [i16; 3] = [5, 6, 14];
const LIMIT: Duration = Duration::from_secs(30);

/// What a view shows, by partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct View {
    /// Chain and number of each record.
    pub(crate) records: Vec<Vec<(usize, usize)>>,
    /// The position of the group: the offset, and the number of the commit.
    pub(crate) positions: Vec<Option<(i64, usize)>>,
}

impl View {
    /// Reads it all.
    pub(crate) fn read(wire: &mut Wire, topic: &str) -> Self {
        Self { records: read_records(wire, topic), positions: read_positions(wire, topic) }
    }

    /// How much of each chain is there; panics if that is not a beginning of it, in the places where it was written.
    pub(crate) fn counts(&self, history: &History, what: &str) -> Counts {
        let mut counts = Counts::default();
        let mut seen = vec![Vec::new(); COUNTERS];
        for (partition, records) in self.records.iter().enumerate() {
            for (offset, (chain, number)) in (0..).zip(records) {
                let event = history.chain(*chain)[*number].clone();
                assert_eq!(event.partition, partition, "{what}: {chain}/{number} is in another partition");
                assert!(event.offset.is_none_or(|known| known == offset), "{what}: {chain}/{number} is at {offset}");
                seen[*chain].push(*number);
            }
        }
        for (chain, numbers) in seen.iter_mut().enumerate() {
            numbers.sort_unstable();
            let hole = numbers.iter().zip(0..).find(|(number, expected)| *number != expected);
            assert_eq!(hole, None, "{what}: a hole in chain {chain}, of which {} are there", numbers.len());
            counts[chain] = numbers.len();
        }
        counts[COMMITS] = self.count_commits(history, what);
        counts
    }

    /// Positions are those of the last commit that is there and of all before it.
    fn count_commits(&self, history: &History, what: &str) -> usize {
        let newest = self.positions.iter().flatten().map(|(_, number)| number + 1).max().unwrap_or(0);
        let commits = history.chain(COMMITS);
        let mut expected = vec![None; PARTITIONS];
        for (number, event) in commits.iter().enumerate().take(newest) {
            expected[event.partition] = event.offset.map(|offset| (offset, number));
        }
        assert!(self.positions == expected, "{what}: positions are not those of the first {newest} commits");
        for (partition, (position, records)) in self.positions.iter().zip(&self.records).enumerate() {
            let end = i64::try_from(records.len()).expect("few");
            let is_beyond = position.is_some_and(|(offset, _)| offset > end);
            assert!(!is_beyond, "{what}: the position of {partition} is {position:?}, and its end {end}");
        }
        newest
    }
}

fn read_records(wire: &mut Wire, topic: &str) -> Vec<Vec<(usize, usize)>> {
    let mut records: Vec<Vec<(usize, usize)>> = vec![Vec::new(); PARTITIONS];
    let mut open: Vec<usize> = (0..PARTITIONS).collect();
    while !open.is_empty() {
        let end = |partition: usize| i64::try_from(records[partition].len()).expect("few");
        let from: Vec<_> = open.iter().map(|partition| (topic, index(*partition), end(*partition))).collect();
        let request = requests::fetch(&from);
        let is_there = |answer: &FetchResponse| answer.responses.iter().flat_map(|of| &of.partitions).all(is_served);
        let answer = once(|| wire.call(FETCH, &request), is_there);
        for part in answer.responses.into_iter().flat_map(|of| of.partitions) {
            let partition = usize::try_from(part.partition_index).expect("it was asked for");
            assert_eq!(part.error_code, 0, "{topic}-{partition}");
            take(&mut records[partition], &part);
            let is_whole = i64::try_from(records[partition].len()).expect("few") == part.high_watermark;
            open.retain(|other| *other != partition || !is_whole);
        }
    }
    records
}

fn is_served(part: &PartitionData) -> bool {
    !NOT_YET.contains(&part.error_code)
}

/// Adds what was fetched of a partition.
fn take(records: &mut Vec<(usize, usize)>, part: &PartitionData) {
    let batches = batch::decode_all(part.records.as_deref().unwrap_or_default());
    for (offset, record) in batches.iter().flat_map(Batch::offsets) {
        let value = record.value.as_ref().expect("a value");
        let text = std::str::from_utf8(value).expect("it was written as text");
        let (chain, number) = text.split_once('/').expect("a chain and a number");
        assert_eq!(usize::try_from(offset).expect("not negative"), records.len(), "offsets have a gap");
        records.push((chain.parse().expect("a number"), number.parse().expect("a number")));
    }
}

fn read_positions(wire: &mut Wire, topic: &str) -> Vec<Option<(i64, usize)>> {
    let mut request = requests::position(GROUP, topic, 0);
    let topics = request.groups[0].topics.as_mut().expect("it names one");
    topics[0].partition_indexes = (0..PARTITIONS).map(index).collect();
    let is_there = |answer: &OffsetFetchResponse| {
        let parts = answer.groups.iter().flat_map(|group| &group.topics).flat_map(|topic| &topic.partitions);
        answer.groups.iter().map(|group| group.error_code).chain(parts.map(|part| part.error_code)).all(|code| {
            assert!(code == 0 || NOT_YET.contains(&code), "positions of {topic}: error {code}");
            code == 0
        })
    };
    let answer = once(|| wire.call(8, &request), is_there);
    let mut positions = vec![None; PARTITIONS];
    for part in &answer.groups[0].topics[0].partitions {
        let number = part.metadata.as_deref().unwrap_or_default();
        if part.committed_offset >= 0 {
            let number = number.parse().expect("every commit has its number");
            positions[usize::try_from(part.partition_index).expect("it was asked for")] =
                Some((part.committed_offset, number));
        }
    }
    positions
}

/// Asks until the answer is one.
pub(crate) fn once<T>(mut ask: impl FnMut() -> T, is_answer: impl Fn(&T) -> bool) -> T {
    let deadline = Instant::now() + LIMIT;
    loop {
        let answer = ask();
        if is_answer(&answer) {
            return answer;
        }
        assert!(Instant::now() < deadline, "no answer after {LIMIT:?}");
        thread::sleep(Duration::from_millis(2));
    }
}
