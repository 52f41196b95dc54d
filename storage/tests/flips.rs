//! Rot: a byte flipped in any file of a data directory that was closed in order. The start refuses it and names the file, or what is damaged says so,
//! or is made anew, or it does not matter; but nothing is read that was not written.
//!
//! Every byte of small files is flipped, and a seeded sample of those of larger ones; each time the engine is opened over the whole directory.

#[path = "support/calls.rs"]
mod calls;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use millpond_storage::batch::{BatchBuilder, BatchIter, NewRecord, check};
use millpond_storage::disk::SimDisk;
use millpond_storage::disk::sim::Seed;
use millpond_storage::state::{Change, Fact, Numbers, Topic, TopicName};
use millpond_storage::{
    Ack, Append, AppendPart, DEFAULT_VOLUME, Engine, Error, Options, Policy, Read, Timeline, TopicNumber,
    TopicPartition,
};

use calls::{RULES, wait};

/// All bytes of a file are flipped if it has no more than these, else so many of them.
const EVERY_BYTE_UP_TO: usize = 1_200;
const SAMPLE: usize = 250;
const PARTITIONS: u32 = 12;
const NOW: i64 = 1_700_000_000_000;

type Disk = BTreeMap<PathBuf, Vec<u8>>;
/// By partition and offset.
type Records = BTreeMap<(u32, i64), Vec<u8>>;

fn options(disk: &SimDisk) -> Options {
    Options {
        background: false,
        log_file_bytes: 2_048,
        cache_bytes: 0,
        ballast_bytes: 0,
        free_floor_bytes: 0,
        clock: Arc::new(|| NOW),
        policy: Arc::new(|_, _| Policy { retention_ms: None, ..Policy::default() }),
        ..Options::new(Arc::new(disk.clone()))
    }
}

fn log(engine: &Engine) -> Timeline {
    engine.volume(DEFAULT_VOLUME).expect("every engine has it").1
}

fn append(log: &Timeline, id: TopicPartition, value: &[u8]) -> Option<i64> {
    let mut builder = BatchBuilder::new();
    builder.append(&NewRecord { value: Some(value), timestamp: NOW, ..NewRecord::default() }).expect("fits");
    let batch = Bytes::from(builder.build().expect("a batch"));
    let checked = check(&batch, &RULES).expect("sound");
    let part = AppendPart { partition: log.partition(id)?, batch, checked, stamp: false, name: 0, is_new_name: false };
    let mut results = wait(|done| log.append(Append { parts: vec![part], ack: Ack::Visible }, done));
    Some(results.pop()?.ok()?.base_offset)
}

fn create_topic(engine: &Engine) -> TopicNumber {
    let number = wait(|done| engine.system().transact(|txn| txn.take(Numbers::Topic, 1), done)).expect("durable");
    let number = TopicNumber(u32::try_from(number.expect("numbers are left")).expect("small"));
    let name = TopicName::new("default", "trades");
    let topic = Topic { name, number, partitions: PARTITIONS, created: 0, internal: false, settings: BTreeMap::new() };
    wait(|done| log(engine).transact(move |txn| txn.put(Fact::Topic(Change::Put(topic))), done)).expect("durable");
    number
}

/// A directory with a file of each kind, closed in order; what was appended to it.
fn written() -> (Disk, Records, TopicNumber) {
    let disk = SimDisk::new();
    let engine = Engine::open(options(&disk)).expect("an empty disk");
    let number = create_topic(&engine);
    let (log, mut records) = (log(&engine), Records::new());
    let mut put = |count: u32| {
        for n in 0..count {
            let partition = n % PARTITIONS;
            let value = format!("record {n} of partition {partition}, {}", "x".repeat(n as usize % 50)).into_bytes();
            let offset = append(&log, TopicPartition::new(number, partition), &value).expect("appended");
            records.insert((partition, offset), value);
        }
    };
    put(60);
    // Collection trusts what two checkpoints have.
    for _ in 0..4 {
        put(1);
        engine.maintain().and_then(|()| engine.save()).and_then(|()| engine.retain()).expect("sorted");
    }
    put(20);
    engine.maintain().expect("sealed");
    engine.save().expect("a checkpoint");
    put(3);
    engine.close().expect("closed");
    let files = disk.paths().into_iter().map(|path| (path.clone(), disk.contents(path).expect("it is there")));
    (files.collect(), records, number)
}

/// What came of a start.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Clone, Copy)]
enum Outcome {
    /// The start was refused, with the file's name.
    Refused,
    /// The timeline (or that of `system`) says that it is damaged.
    Damaged,
    /// Some reads fail with an error.
    Quarantined,
    /// Everything is there.
    Whole,
}

fn start(files: &Disk, flipped: &Path, records: &Records, number: TopicNumber) -> Outcome {
    let disk = SimDisk::new();
    for (path, bytes) in files {
        disk.plant(path, bytes);
    }
    let engine = match Engine::open(options(&disk)) {
        Ok(engine) => engine,
        Err(error @ (Error::Corrupt(_) | Error::Newer { .. })) => {
            let name = flipped.file_name().expect("a file").to_str().expect("ASCII");
            assert!(error.to_string().contains(name), "{} is flipped, and the start says: {error}", flipped.display());
            return Outcome::Refused;
        }
        Err(other) => panic!("{} is flipped: {other:?}", flipped.display()),
    };
    let outcome = read_all(&engine, records, number);
    if outcome == Outcome::Whole {
        let log = log(&engine);
        let (partition, next) = (3, records.keys().filter(|(partition, _)| *partition == 3).count());
        let offset = append(&log, TopicPartition::new(number, partition), b"after");
        assert_eq!(offset, i64::try_from(next).ok(), "{}", flipped.display());
    }
    engine.close().expect("it closes");
    outcome
}

/// Everything that is read is what was written.
fn read_all(engine: &Engine, records: &Records, number: TopicNumber) -> Outcome {
    if engine.system().damage().is_some() {
        return Outcome::Damaged;
    }
    let log = log(engine);
    let mut outcome = if log.damage().is_some() { Outcome::Damaged } else { Outcome::Whole };
    let mut found = 0;
    for partition in 0..PARTITIONS {
        match read_partition(&log, TopicPartition::new(number, partition), records) {
            Ok(count) => found += count,
            Err(_) => outcome = outcome.min(Outcome::Quarantined),
        }
    }
    assert!(outcome != Outcome::Whole || found == records.len(), "{found} of {} records, and no word", records.len());
    outcome
}

fn read_partition(log: &Timeline, id: TopicPartition, records: &Records) -> Result<usize, Error> {
    let view = log.live();
    let Some(partition) = view.partition(id) else { return Err(Error::UnknownPartition) };
    let (mut next, mut found) = (0, 0);
    while next < view.bounds(&partition)?.high_watermark {
        let read = Read { from: next, max_bytes: 1 << 20, at_least_one: true };
        let fetched =
            view.read_now(&partition, &read).unwrap_or_else(|| wait(|done| view.read(&partition, read, done)))?;
        let before = next;
        for batch in BatchIter::new(&fetched.concat().expect("it is read")) {
            let batch = batch.expect("what is served checks");
            assert_eq!(batch.header().leader_epoch(), 0, "{id} at {next}: served with an epoch that never was");
            let each = |record: millpond_storage::batch::Record<'_>| {
                let written = records.get(&(id.partition, record.offset)).map(Vec::as_slice);
                assert_eq!(record.value, written, "{id} at {}: served, and not written so", record.offset);
                assert_eq!(record.offset, next, "{id}: a gap");
                next += 1;
                found += 1;
            };
            batch.for_each_record(1 << 20, each).expect("what is served is sound");
        }
        assert!(
            next > before,
            "{id}: nothing at {next}, below {:?}, and no word; damage {:?}",
            view.bounds(&partition),
            log.damage()
        );
    }
    Ok(found)
}

/// Flips bytes of the files that `is_of` chooses; how often each outcome was.
fn flip(is_of: impl Fn(&Path) -> bool) -> BTreeMap<Outcome, usize> {
    let (files, records, number) = written();
    assert_eq!(start(&files, Path::new("none"), &records, number), Outcome::Whole);
    let mut random = Seed::new(0xf11b);
    let mut outcomes = BTreeMap::new();
    let chosen: Vec<_> = files.keys().filter(|path| is_of(path)).cloned().collect();
    assert!(!chosen.is_empty(), "no such file: {:?}", files.keys());
    for path in chosen {
        let len = files[&path].len();
        let places: Vec<usize> =
            if len <= EVERY_BYTE_UP_TO { (0..len).collect() } else { (0..SAMPLE).map(|_| random.index(len)).collect() };
        for at in places {
            let mut damaged = files.clone();
            let bits = 1 << random.below(8);
            damaged.get_mut(&path).expect("it is there")[at] ^= bits;
            let outcome = start(&damaged, &path, &records, number);
            *outcomes.entry(outcome).or_default() += 1;
        }
    }
    outcomes
}

fn is(path: &Path, end: &str) -> bool {
    path.to_str().is_some_and(|path| path.ends_with(end))
}

fn lies_in(path: &Path, folder: &str) -> bool {
    path.parent().is_some_and(|parent| parent.ends_with(folder))
}

#[test]
fn format_is_refused() {
    let outcomes = flip(|path| is(path, "FORMAT"));
    assert_eq!(outcomes.into_keys().collect::<Vec<_>>(), [Outcome::Refused]);
}

#[test]
fn a_timeline_that_does_not_say_who_it_is_is_refused() {
    let outcomes = flip(|path| is(path, "TIMELINE"));
    assert_eq!(outcomes.into_keys().collect::<Vec<_>>(), [Outcome::Refused]);
}

#[test]
fn a_manifest_is_refused_or_only_its_last_edit_is_gone() {
    let outcomes = flip(|path| is(path, "MANIFEST"));
    assert!(outcomes.keys().all(|outcome| matches!(outcome, Outcome::Refused | Outcome::Whole)), "{outcomes:?}");
    assert!(outcomes.contains_key(&Outcome::Refused), "{outcomes:?}");
}

#[test]
fn an_index_is_made_anew() {
    let outcomes = flip(|path| is(path, ".idx"));
    assert_eq!(outcomes.into_keys().collect::<Vec<_>>(), [Outcome::Whole]);
}

#[test]
fn a_state_at_file_is_damage_or_does_without() {
    let outcomes = flip(|path| lies_in(path, "state-at"));
    assert!(outcomes.keys().all(|outcome| matches!(outcome, Outcome::Damaged | Outcome::Whole)), "{outcomes:?}");
}

#[test]
fn log_files_are_damaged_or_lack_what_does_not_check() {
    let outcomes = flip(|path| is(path, ".log"));
    assert!(!outcomes.contains_key(&Outcome::Refused), "{outcomes:?}");
    assert!(outcomes.contains_key(&Outcome::Damaged) && outcomes.contains_key(&Outcome::Quarantined), "{outcomes:?}");
}

#[test]
fn segments_lack_what_does_not_check_and_nothing_else() {
    let outcomes = flip(|path| is(path, ".seg"));
    let expected = |outcome: &Outcome| matches!(outcome, Outcome::Quarantined | Outcome::Whole);
    assert!(outcomes.keys().all(expected), "{outcomes:?}");
    assert!(outcomes.contains_key(&Outcome::Quarantined), "{outcomes:?}");
}
