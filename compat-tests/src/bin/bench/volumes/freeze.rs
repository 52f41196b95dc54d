//! The time of a snapshot and of a clone, and how long producers then wait at the most, by partitions and by bytes. A snapshot's syncs are counted when nothing else
//! is written.

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use super::bed::{Bed, VOLUME};
use super::load::{large_batch, produce, small_batch};
use super::offered::{Answered, Offered};
use crate::arguments::Arguments;
use crate::frames::BATCH_VALUES;
use crate::report::cell;
use crate::table::Table;

const ROUNDS: usize = 10;
/// Requests of the load that goes on meanwhile, in a second.
const PER_SECOND: u32 = 400;
/// Between two snapshots, so that each meets a broker at rest.
const PAUSE: Duration = Duration::from_millis(150);
const FEW_PARTITIONS: u32 = 10;
const MIB: u64 = 1 << 20;

pub(crate) fn run(arguments: &Arguments, base: &Path) -> Table {
    let head = [
        "partitions",
        "data, MiB",
        "snapshot, ms",
        "its syncs",
        "clone, ms",
        "longest answer at a snapshot, ms",
        "at a clone, ms",
        "elsewhere, ms",
    ];
    let mut table = Table::new("volumes: snapshots and clones", &head);
    for partitions in arguments.volume_partitions() {
        table.add(measure(arguments, base, partitions, 1));
    }
    for mib in arguments.volume_mib().into_iter().filter(|mib| *mib > 1) {
        table.add(measure(arguments, base, FEW_PARTITIONS, mib));
    }
    table
}

fn measure(arguments: &Arguments, base: &Path, partitions: u32, mib: u64) -> Vec<String> {
    let bed = Bed::new(arguments, base);
    let topics = bed.create_partitions(partitions);
    if mib > 1 {
        produce(bed.kafka(), &topics, mib * MIB / BATCH_VALUES / u64::from(partitions), &large_batch());
    } else {
        let small = (MIB / u64::from(partitions)).min(1024);
        produce(bed.kafka(), &topics, 1, &small_batch(usize::try_from(small).expect("it is small")));
    }
    // What comes behind the load is not what is measured: sealing, sorting, a checkpoint.
    await_quiet(&bed);
    let syncs = syncs_of_a_snapshot(&bed);
    let offered = Offered {
        address: bed.kafka(),
        topic: &topics[0].0,
        partitions: topics[0].1.min(FEW_PARTITIONS),
        per_second: PER_SECOND,
        batch: small_batch(1024),
    };
    let (jobs, answered) = offered.during(|| {
        thread::sleep(PAUSE);
        let snapshot = |round| spanned(|| bed.snapshot(VOLUME, &format!("s{round}")));
        let snapshots: Vec<Span> = (0..ROUNDS).map(snapshot).collect();
        let clone = |round| spanned(|| bed.clone_of(VOLUME, &format!("s{round}"), &format!("clone-{round}")));
        (snapshots, (0..ROUNDS).map(clone).collect::<Vec<Span>>())
    });
    let (snapshots, clones) = jobs;
    let of = |spans: &[Span]| cell(&spans.iter().map(|span| span.seconds * 1e3).collect::<Vec<_>>());
    let longest_at = |spans: &[Span]| cell(&spans.iter().map(|span| span.longest(&answered)).collect::<Vec<_>>());
    vec![
        partitions.to_string(),
        mib.to_string(),
        of(&snapshots),
        syncs,
        of(&clones),
        longest_at(&snapshots),
        longest_at(&clones),
        elsewhere(&answered, &snapshots, &clones),
    ]
}

/// The longest answer of stretches as long as the median snapshot, where there was none and no clone.
fn elsewhere(answered: &[Answered], snapshots: &[Span], clones: &[Span]) -> String {
    let all: Vec<&Span> = snapshots.iter().chain(clones).collect();
    let mut seconds: Vec<f64> = snapshots.iter().map(|span| span.seconds).collect();
    seconds.sort_by(f64::total_cmp);
    let length = Duration::from_secs_f64(seconds[seconds.len() / 2]);
    let quiet = all.iter().map(|span| Span { begin: span.rest, end: span.rest + length, ..**span });
    cell(&quiet.map(|span| span.longest(answered)).collect::<Vec<_>>())
}

/// Something that took a while.
#[derive(Clone, Copy)]
struct Span {
    /// In the middle of the pause before.
    rest: Instant,
    begin: Instant,
    end: Instant,
    seconds: f64,
}

impl Span {
    /// Whether a request was under way meanwhile.
    fn meets(&self, answered: &Answered) -> bool {
        answered.due < self.end && answered.at > self.begin
    }

    /// The longest of those answers, in milliseconds.
    fn longest(&self, answered: &[Answered]) -> f64 {
        answered.iter().filter(|it| self.meets(it)).map(|it| it.seconds() * 1e3).fold(0.0, f64::max)
    }
}

fn spanned(job: impl FnOnce() -> f64) -> Span {
    let rest = Instant::now() + PAUSE / 2;
    thread::sleep(PAUSE);
    let begin = Instant::now();
    let seconds = job();
    Span { rest, begin, end: Instant::now(), seconds }
}

/// Log files that a snapshot had synced, where nobody else writes: the record before it was written and synced already.
fn syncs_of_a_snapshot(bed: &Bed) -> String {
    let before = bed.syncs();
    bed.snapshot(VOLUME, "alone");
    format!("{}", bed.syncs() - before)
}

/// Waits until the broker does nothing by itself.
fn await_quiet(bed: &Bed) {
    const QUIET_SECONDS: f64 = 0.02;
    let deadline = Instant::now() + Duration::from_mins(2);
    let mut before = bed.process.cpu_seconds();
    loop {
        thread::sleep(Duration::from_secs(1));
        let now = bed.process.cpu_seconds();
        if now - before < QUIET_SECONDS || Instant::now() > deadline {
            return;
        }
        before = now;
    }
}
