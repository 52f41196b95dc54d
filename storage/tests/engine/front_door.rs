//! The engine through its front door: append, read, decide, reopen.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use bytes::Bytes;
use millpond_storage::batch::{BatchBuilder, NewRecord, check};
use millpond_storage::disk::RealDisk;
use millpond_storage::state::{Change, Fact, Numbers, Topic, TopicName};
use millpond_storage::{
    Ack, Append, AppendPart, Appended, DEFAULT_VOLUME, Engine, Error, Fetched, Options, Read, Timeline, TopicNumber,
    TopicPartition,
};

use crate::calls::{RULES, wait};

pub(crate) fn options(dir: &std::path::Path) -> Options {
    let disk = Arc::new(RealDisk::new(dir));
    Options { background: false, free_floor_bytes: 0, ballast_bytes: 0, ..Options::new(disk) }
}

pub(crate) fn create_topic(engine: &Engine, name: &str, partitions: u32) -> TopicNumber {
    let number = wait(|done| engine.system().transact(|txn| txn.take(Numbers::Topic, 1), done)).expect("durable");
    let number = TopicNumber(u32::try_from(number.expect("numbers are left")).expect("small"));
    let timeline = timeline(engine);
    let name = TopicName::new("default", name);
    let topic = Topic { name, number, partitions, created: 0, internal: false, settings: BTreeMap::new() };
    wait(|done| timeline.transact(move |txn| txn.put(Fact::Topic(Change::Put(topic))), done)).expect("durable");
    number
}

pub(crate) fn timeline(engine: &Engine) -> Timeline {
    engine.volume(DEFAULT_VOLUME).expect("every engine has it").1
}

fn part(timeline: &Timeline, id: TopicPartition, values: &[&str]) -> AppendPart {
    let mut builder = BatchBuilder::new();
    for value in values {
        builder
            .append(&NewRecord { value: Some(value.as_bytes()), timestamp: 7, ..NewRecord::default() })
            .expect("fits");
    }
    let batch = Bytes::from(builder.build().expect("a batch"));
    let checked = check(&batch, &RULES).expect("sound");
    AppendPart {
        partition: timeline.partition(id).expect("it exists"),
        batch,
        checked,
        stamp: false,
        name: 0,
        is_new_name: false,
    }
}

pub(crate) fn append(timeline: &Timeline, id: TopicPartition, values: &[&str]) -> Appended {
    let append = Append { parts: vec![part(timeline, id, values)], ack: Ack::Visible };
    let mut results = wait(|done| timeline.append(append, done));
    results.pop().expect("one part").expect("appended")
}

pub(crate) fn read(timeline: &Timeline, id: TopicPartition, from: i64) -> Result<Fetched, Error> {
    let view = timeline.live();
    let partition = view.partition(id).expect("it exists");
    let read = Read { from, max_bytes: 1 << 20, at_least_one: true };
    view.read_now(&partition, &read).unwrap_or_else(|| wait(|done| view.read(&partition, read, done)))
}

fn values(fetched: &Fetched) -> Vec<String> {
    let bytes = fetched.concat().expect("it is read");
    let mut values = Vec::new();
    for batch in millpond_storage::batch::BatchIter::new(&bytes) {
        let each = |record: millpond_storage::batch::Record<'_>| {
            values.push(format!("{}:{}", record.offset, String::from_utf8_lossy(record.value.unwrap_or_default())));
        };
        batch.expect("sound").for_each_record(1 << 20, each).expect("readable");
    }
    values
}

#[test]
fn what_is_appended_is_read_from_the_cache_and_after_a_restart_from_files() {
    let dir = tempfile::tempdir().expect("a directory");
    let engine = Engine::open(options(dir.path())).expect("it opens");
    let id = TopicPartition::new(create_topic(&engine, "trades", 2), 1);
    let log = timeline(&engine);
    assert_eq!(append(&log, id, &["a", "b"]).base_offset, 0);
    assert_eq!(append(&log, id, &["c"]).base_offset, 2);
    let all = ["0:a", "1:b", "2:c"];
    assert_eq!(values(&read(&log, id, 0).expect("in range")), all);
    engine.close().expect("it closes");
    drop((engine, log));

    let engine = Engine::open(options(dir.path())).expect("it opens again");
    let log = timeline(&engine);
    assert_eq!(values(&read(&log, id, 0).expect("in range")), all);
    assert_eq!(append(&log, id, &["d"]).base_offset, 3);
    assert!(matches!(read(&log, id, 9), Err(Error::OutOfRange { offset: 9, log_start: 0, high_watermark: 4 })));
}

#[test]
fn what_is_past_its_time_is_hidden_at_once_and_freed_when_the_history_lets_it_go() {
    const DAY: i64 = 24 * 3_600_000;
    let dir = tempfile::tempdir().expect("a directory");
    let clock = Arc::new(AtomicI64::new(7));
    let engine =
        Engine::open(Options { log_file_bytes: 64 << 10, history_ms: DAY, ..at(dir.path(), &clock) }).expect("opens");
    let id = TopicPartition::new(create_topic(&engine, "trades", 1), 0);
    let log = timeline(&engine);
    let value = "x".repeat(20_000);
    for _ in 0..20 {
        append(&log, id, &[&value]);
    }
    engine.maintain().expect("sealed");
    let disk_full = log_files(dir.path());
    assert!(disk_full >= 5, "there should be several log files, not {disk_full}");
    clock.store(8 * DAY, Ordering::SeqCst);
    engine.retain().expect("hidden");
    assert_eq!(log.partition(id).expect("it exists").log_start(), 20);
    append(&log, id, &["new"]);
    assert_eq!(values(&read(&log, id, 20).expect("in range")), ["20:new"]);
    engine.save().expect("a checkpoint");
    engine.retain().expect("kept: the history still reaches back");
    assert_eq!(log_files(dir.path()), disk_full, "a view of the past hour needs them");
    clock.store(10 * DAY, Ordering::SeqCst);
    append(&log, id, &["newer"]);
    engine.save().expect("a checkpoint");
    engine.retain().expect("collected");
    assert!(log_files(dir.path()) <= 2, "{} files are left", log_files(dir.path()));
    engine.close().expect("it closes");
    drop((engine, log));

    let engine = Engine::open(at(dir.path(), &clock)).expect("it opens again");
    let log = timeline(&engine);
    assert_eq!(append(&log, id, &["newest"]).base_offset, 22);
    assert_eq!(
        values(&read(&log, id, 22).expect("in range")),
        ["22:newest"],
        "the records of day 0 are past their time"
    );
}

fn at(dir: &std::path::Path, clock: &Arc<AtomicI64>) -> Options {
    let clock = Arc::clone(clock);
    Options { clock: Arc::new(move || clock.load(Ordering::SeqCst)), ..options(dir) }
}

fn log_files(dir: &std::path::Path) -> usize {
    let names = std::fs::read_dir(dir.join("timelines/1/log")).expect("it is there");
    names.filter(|name| name.as_ref().is_ok_and(|name| name.path().extension().is_some_and(|end| end == "log"))).count()
}

#[test]
fn a_second_engine_is_refused_the_directory() {
    let dir = tempfile::tempdir().expect("a directory");
    let _held = Engine::open(options(dir.path())).expect("it opens");
    assert!(matches!(Engine::open(options(dir.path())), Err(Error::Locked { .. })));
}
