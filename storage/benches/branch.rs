//! What a clone and a restore take, by the partitions of the volume and by what was written to them.
//!
//! `cargo bench -p millpond-storage --bench branch`. The median of several: of a clone, a restore, a start; one checkpoint of a
//! clone; the CPU time of a clone, in all threads, and the memory that an idle one takes.

#![allow(clippy::print_stdout, reason = "a bench prints")]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use millpond_storage::batch::{BatchBuilder, NewRecord, check};
use millpond_storage::disk::RealDisk;
use millpond_storage::state::{Topic, TopicName};
use millpond_storage::{
    Ack, Append, AppendPart, DEFAULT_VOLUME, Engine, Options, PinnedView, Timeline, TopicNumber, TopicPartition,
};

#[path = "../tests/support/calls.rs"]
mod calls;
#[path = "../tests/support/facts.rs"]
mod facts;
#[allow(dead_code, reason = "the tests do more")]
#[path = "../tests/support/volumes.rs"]
mod volumes;

const TOPIC_PARTITIONS: u32 = 1000;
const ROUNDS: usize = 11;

/// What was written to every partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Written {
    Nothing,
    Batch,
    /// By a producer with sequences.
    Sequence,
}

fn main() {
    println!("partitions  written     clone    (CPU)   restore     start  checkpoint  MiB a clone");
    for partitions in [10, 1_000, 100_000] {
        for written in [Written::Nothing, Written::Batch, Written::Sequence] {
            row(partitions, written);
        }
    }
}

fn row(partitions: u32, written: Written) {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory");
    let engine = open(dir.path());
    let (_, timeline) = engine.volume(DEFAULT_VOLUME).expect("every engine has it");
    fill(&timeline, partitions, written);
    if written != Written::Nothing {
        engine.save().expect("a checkpoint");
    }
    let (_, stand) = volumes::pin_view(&engine, PinnedView::Now(timeline.id())).expect("pinned");
    let from = (stand.timeline, stand.lsn);
    let (before, cpu) = (resident_mib(), cpu_time());
    let clones = times(|nth| volumes::branch(&engine, &format!("clone-{nth}"), from).expect("made"));
    #[allow(clippy::cast_precision_loss, reason = "few")]
    let each = (resident_mib() - before) / ROUNDS as f64;
    let cpu = cpu_time().saturating_sub(cpu) / u32::try_from(ROUNDS).expect("few");
    let (_, last) = engine.volume("clone-0").expect("just made");
    append(&last, &[TopicPartition::new(TopicNumber(16), 0)], Written::Batch);
    let begun = Instant::now();
    engine.save().expect("checkpoints");
    let checkpoint = begun.elapsed();
    let restores = times(|_| volumes::restore(&engine, DEFAULT_VOLUME, from).expect("restored"));
    engine.close().expect("closed");
    drop((timeline, last, engine));
    let starts = times(|_| open(dir.path()).close().expect("closed"));
    println!(
        "{partitions:>10}  {written:<8?}  {clones:>7.1?}  {cpu:>7.1?}  {restores:>8.1?}  {starts:>8.1?}  {checkpoint:>10.1?}  {each:>11.2}"
    );
}

fn open(dir: &Path) -> Arc<Engine> {
    let options = Options { ballast_bytes: 0, background: false, ..Options::new(Arc::new(RealDisk::new(dir))) };
    Engine::open(options).expect("it opens")
}

/// The median.
fn times<R>(mut run: impl FnMut(usize) -> R) -> Duration {
    let timed = |nth| {
        let begun = Instant::now();
        let made = run(nth);
        let taken = begun.elapsed();
        drop(made);
        taken
    };
    let mut times: Vec<Duration> = (0..ROUNDS).map(timed).collect();
    times.sort_unstable();
    times[ROUNDS / 2]
}

fn fill(timeline: &Timeline, partitions: u32, written: Written) {
    for (nth, first) in (0..partitions).step_by(TOPIC_PARTITIONS as usize).enumerate() {
        let number = TopicNumber(16 + u32::try_from(nth).expect("few"));
        let topic = Topic {
            name: TopicName::new("default", &format!("topic-{nth}")),
            number,
            partitions: TOPIC_PARTITIONS.min(partitions - first),
            created: 0,
            internal: false,
            settings: BTreeMap::new(),
        };
        let ids: Vec<_> = (0..topic.partitions).map(|index| TopicPartition::new(number, index)).collect();
        calls::wait(|done| timeline.transact(move |txn| txn.put(topic), done)).expect("durable");
        if written != Written::Nothing {
            append(timeline, &ids, written);
        }
    }
}

fn append(timeline: &Timeline, ids: &[TopicPartition], written: Written) {
    let mut builder = BatchBuilder::new();
    if written == Written::Sequence {
        builder = builder.producer(7, 0, 0);
    }
    builder.append(&NewRecord { value: Some(&[7; 100]), timestamp: now(), ..NewRecord::default() }).expect("fits");
    let batch = Bytes::from(builder.build().expect("a batch"));
    let part = |id: &TopicPartition| AppendPart {
        partition: timeline.partition(*id).expect("it is there"),
        batch: batch.clone(),
        checked: check(&batch, &calls::RULES).expect("sound"),
        stamp: false,
        name: 0,
        is_new_name: false,
    };
    let parts = ids.iter().map(part).collect();
    let results = calls::wait(|done| timeline.append(Append { parts, ack: Ack::Visible }, done));
    assert!(results.iter().all(Result::is_ok));
}

fn now() -> i64 {
    let since = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// What this process has in memory.
fn resident_mib() -> f64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages: f64 = statm.split(' ').nth(1).and_then(|pages| pages.parse().ok()).unwrap_or(0.0);
    pages * 4096.0 / f64::from(1 << 20)
}

/// The CPU time of all threads of this process.
fn cpu_time() -> Duration {
    let tasks = std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let nanos = tasks.filter_map(|task| {
        let text = std::fs::read_to_string(task.path().join("schedstat")).ok()?;
        text.split(' ').next()?.parse::<u64>().ok()
    });
    Duration::from_nanos(nanos.sum())
}
