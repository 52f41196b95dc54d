//! What a batch costs when many snapshots are present, and at the end of a chain of clones. The cases take turns, each with a broker of its own.
//!
//! CPU time of the broker's threads to the nanosecond, as the scheduler counts it. (Instructions would say more, and few machines that can be rented count them.)

use std::path::Path;

use super::bed::{Bed, VOLUME, topic_of};
use super::load::{fetch, produce, small_batch};
use crate::arguments::Arguments;
use crate::report::{cell, ratio};
use crate::table::Table;

const PARTITIONS: u32 = 100;
const RECORD_BYTES: usize = 1024;
/// Batches for each partition in a leg, and before all.
const ROUNDS: u64 = 80;
/// How often a leg reads them: reading costs so little that once is too short to be told from what else goes on.
const PASSES: u64 = 20;
const CHAIN: u32 = 20;

struct Case {
    name: String,
    bed: Bed,
    topic: String,
    /// The offset behind the last record of most partitions.
    end: i64,
    produced: Vec<f64>,
    fetched: Vec<f64>,
    inherited: Vec<f64>,
}

pub(crate) fn run(arguments: &Arguments, base: &Path) -> Table {
    let crowds = arguments.volume_snapshots();
    let mut cases: Vec<Case> = crowds.into_iter().map(|count| Case::crowd(arguments, base, count)).collect();
    // What is inherited lies in files, and is never in the cache of what was written last: it is compared with the first clone's.
    let first_clone = cases.len();
    cases.extend([1, CHAIN].map(|length| Case::chain(arguments, base, length)));
    let batches = u64::from(PARTITIONS) * ROUNDS;
    for turn in 0..=arguments.repeats() {
        for case in &mut cases {
            case.leg(batches, turn > 0);
        }
    }
    let head = ["present", "produce, CPU-µs/batch", "ratio", "fetch", "ratio", "fetch of what is oldest", "ratio"];
    let mut table = Table::new("volumes: CPU per batch of 1 KiB", &head);
    for (at, case) in cases.iter().enumerate() {
        let ratio_to =
            |reference: usize, of: fn(&Case) -> &Vec<f64>| ratio(of(case), Some(of(&cases[reference])), false);
        table.add(vec![
            case.name.clone(),
            cell(&case.produced),
            ratio_to(0, |case| &case.produced),
            cell(&case.fetched),
            ratio_to(0, |case| &case.fetched),
            cell(&case.inherited),
            ratio_to(if at < first_clone { 0 } else { first_clone }, |case| &case.inherited),
        ]);
    }
    table
}

impl Case {
    /// A broker with records, then snapshots that each differ from the one before by a record.
    fn crowd(arguments: &Arguments, base: &Path, snapshots: u32) -> Self {
        let case = Self::new(arguments, base, format!("{snapshots} snapshots"));
        for number in 0..snapshots {
            case.grow();
            case.bed.snapshot(VOLUME, &format!("s{number}"));
        }
        case
    }

    /// Each clone is one of the one before, with something of its own.
    fn chain(arguments: &Arguments, base: &Path, length: u32) -> Self {
        let mut case = Self::new(arguments, base, format!("{length} clones, one of the other"));
        let mut volume = VOLUME.to_owned();
        for number in 0..length {
            let clone = format!("link-{number}");
            case.grow();
            case.bed.snapshot(&volume, "s");
            case.bed.clone_of(&volume, "s", &clone);
            case.topic = topic_of(&clone, 0);
            volume = clone;
        }
        case
    }

    fn new(arguments: &Arguments, base: &Path, name: String) -> Self {
        let bed = Bed::new(arguments, base);
        let topics = bed.create_partitions(PARTITIONS);
        produce(bed.kafka(), &topics, ROUNDS, &small_batch(RECORD_BYTES));
        let end = i64::try_from(ROUNDS).expect("few");
        let topic = topics[0].0.clone();
        eprintln!("{name}: pid {}", bed.process.pid());
        Self { name, bed, topic, end, produced: Vec::new(), fetched: Vec::new(), inherited: Vec::new() }
    }

    /// One record more, in the first partition, which then has more than the others.
    fn grow(&self) {
        produce(self.bed.kafka(), &[(self.topic.clone(), 1)], 1, &small_batch(RECORD_BYTES));
    }

    fn leg(&mut self, batches: u64, counts: bool) {
        let topics = [(self.topic.clone(), PARTITIONS)];
        let (from, to) = (self.end, self.end + i64::try_from(ROUNDS).expect("few"));
        let produced = self.cost(batches, |bed| produce(bed.kafka(), &topics, ROUNDS, &small_batch(RECORD_BYTES)));
        let read = |bed: &Bed, range| (0..PASSES).for_each(|_| fetch(bed.kafka(), &self.topic, PARTITIONS, range));
        let fetched = self.cost(batches * PASSES, |bed| read(bed, (from, to)));
        let oldest = (0, i64::try_from(ROUNDS).expect("few"));
        let inherited = self.cost(batches * PASSES, |bed| read(bed, oldest));
        self.end = to;
        if counts {
            self.produced.push(produced);
            self.fetched.push(fetched);
            self.inherited.push(inherited);
        }
    }

    /// Microseconds of CPU for each batch.
    fn cost(&self, batches: u64, job: impl FnOnce(&Bed)) -> f64 {
        let before = self.bed.process.cpu_nanos();
        job(&self.bed);
        let nanos = self.bed.process.cpu_nanos() - before;
        #[allow(clippy::cast_precision_loss, reason = "amounts are far below 2^52")]
        let micros = nanos as f64 / 1e3 / batches as f64;
        micros
    }
}
