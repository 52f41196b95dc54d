//! The engine on a simulated disk against a model of what clients may expect: seeded operations, crashes, views of the past.
//!
//! What was acknowledged is there after every crash, what was not may be there as a prefix, and a pinned view never changes. `MODEL_SEED` replays a run.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use bytes::Bytes;
use millpond_storage::batch::{BatchBuilder, BatchIter, NewRecord, Record, Rules, TimestampType, check};
use millpond_storage::disk::SimDisk;
use millpond_storage::disk::sim::Seed;
use millpond_storage::state::{Change, Fact, LogStart, Numbers, Topic, TopicName};
use millpond_storage::{
    Ack, Append, AppendPart, DEFAULT_VOLUME, Engine, Options, Policy, Read, Timeline, TopicNumber, TopicPartition, View,
};

const RULES: Rules = Rules {
    now_ms: 0,
    timestamp_type: TimestampType::Create,
    timestamp_before_max_ms: i64::MAX,
    timestamp_after_max_ms: i64::MAX,
    keys_required: false,
    zstd_allowed: true,
    every_record: true,
    batch_bytes_max: 1 << 20,
    plain_bytes_max: 1 << 20,
};
const MINUTE: i64 = 60_000;
const DAY: i64 = 24 * 60 * MINUTE;

/// A disk, a clock, and an engine over them.
struct World {
    disk: SimDisk,
    clock: Arc<AtomicI64>,
    engine: Arc<Engine>,
}

fn options(disk: &SimDisk, clock: &Arc<AtomicI64>) -> Options {
    let clock = Arc::clone(clock);
    Options {
        clock: Arc::new(move || clock.load(Ordering::SeqCst)),
        policy: Arc::new(|topic| Policy {
            segment_bytes: 4 << 10,
            retention_ms: Some(if &*topic.name.topic == "short" { MINUTE } else { 30 * DAY }),
            ..Policy::default()
        }),
        log_file_bytes: 64 << 10,
        cache_bytes: 16 << 10,
        history_ms: 10 * MINUTE,
        background: false,
        free_floor_bytes: 0,
        ballast_bytes: 0,
        ..Options::new(Arc::new(disk.clone()))
    }
}

/// The outcome of a submission; `None` if the process died over it.
fn wait<T: Send + 'static>(disk: &SimDisk, submit: impl FnOnce(Box<dyn FnOnce(T) + Send>)) -> Option<T> {
    let (sender, receiver) = mpsc::channel();
    submit(Box::new(move |outcome| drop(sender.send(outcome))));
    loop {
        match receiver.recv_timeout(Duration::from_millis(100)) {
            Ok(outcome) => return Some(outcome),
            Err(mpsc::RecvTimeoutError::Timeout) if !disk.is_dead() => {}
            Err(_) => return None,
        }
    }
}

impl World {
    fn new() -> Self {
        let (disk, clock) = (SimDisk::new(), Arc::new(AtomicI64::new(DAY)));
        let engine = Engine::open(options(&disk, &clock)).expect("it opens");
        Self { disk, clock, engine }
    }

    fn log(&self) -> Timeline {
        self.engine.volume(DEFAULT_VOLUME).expect("every engine has it").1
    }

    fn now(&self) -> i64 {
        self.clock.load(Ordering::SeqCst)
    }

    fn pass(&self, ms: i64) {
        self.clock.fetch_add(ms, Ordering::SeqCst);
    }

    fn reopen(&mut self, disk: SimDisk) {
        self.engine = Engine::open(options(&disk, &self.clock)).expect("it opens again");
        self.disk = disk;
        assert_eq!(self.log().damage(), None);
    }

    fn create_topic(&self, name: &str, partitions: u32) -> Option<TopicNumber> {
        let number = wait(&self.disk, |done| self.engine.system().transact(|txn| txn.take(Numbers::Topic, 1), done))?;
        let number = TopicNumber(u32::try_from(number.ok()??).expect("small"));
        let name = TopicName::new("default", name);
        let topic = Topic { name, number, partitions, created: 0, internal: false, settings: BTreeMap::new() };
        self.put(Fact::Topic(Change::Put(topic)))?;
        Some(number)
    }

    fn put(&self, fact: Fact) -> Option<()> {
        wait(&self.disk, |done| self.log().transact(move |txn| txn.put(fact), done))?.ok()
    }

    fn part(&self, id: TopicPartition, value: &str, sequence: Option<i32>) -> Option<AppendPart> {
        let mut builder = BatchBuilder::new();
        if let Some(sequence) = sequence {
            builder = builder.producer(7, 0, sequence);
        }
        let record = NewRecord { value: Some(value.as_bytes()), timestamp: self.now(), ..NewRecord::default() };
        builder.append(&record).expect("fits");
        let batch = Bytes::from(builder.build().expect("a batch"));
        let checked = check(&batch, &RULES).expect("sound");
        Some(AppendPart { partition: self.log().partition(id)?, batch, checked, stamp: false })
    }

    fn append(&self, id: TopicPartition, value: &str, sequence: Option<i32>) -> Option<i64> {
        let append = Append { parts: vec![self.part(id, value, sequence)?], ack: Ack::Visible };
        let mut results = wait(&self.disk, |done| self.log().append(append, done))?;
        Some(results.pop()?.ok()?.base_offset)
    }
}

/// All that a view shows of a partition: where it begins and ends, and its records.
fn shown(disk: &SimDisk, view: &View, id: TopicPartition) -> (i64, i64, Vec<(i64, String)>) {
    let Some(partition) = view.partition(id) else { return (0, 0, Vec::new()) };
    let bounds = view.bounds(&partition).expect("readable");
    let (mut from, mut records) = (bounds.log_start, Vec::new());
    while from < bounds.high_watermark {
        let read = Read { from, max_bytes: 3_000, at_least_one: true };
        let fetched = wait(disk, |done| view.read(&partition, read, done)).expect("alive").expect("in range");
        let before = from;
        for batch in BatchIter::new(&fetched.pieces.concat()) {
            let batch = batch.expect("sound");
            from = batch.header().next_offset();
            let each = |record: Record<'_>| {
                let value = String::from_utf8_lossy(record.value.unwrap_or_default()).into_owned();
                records.push((record.offset, value));
            };
            batch.for_each_record(1 << 20, each).expect("readable");
        }
        assert!(from > before, "{id}: nothing at {from} of {bounds:?}");
    }
    (bounds.log_start, bounds.high_watermark, records)
}

#[derive(Default)]
struct Expected {
    start: i64,
    values: Vec<String>,
    sequence: i32,
    last: Option<String>,
}

/// A pinned view, and what it showed when it was taken.
type Pinned = (View, Vec<(TopicPartition, (i64, i64, Vec<(i64, String)>))>);

struct Model {
    world: World,
    seed: Seed,
    known: BTreeMap<TopicPartition, Expected>,
    pinned: Vec<Pinned>,
    count: u32,
}

impl Model {
    fn new(seed: u64) -> Self {
        let world = World::new();
        let mut known = BTreeMap::new();
        for (name, partitions) in [("short", 3), ("long", 3)] {
            let number = world.create_topic(name, partitions).expect("made");
            known.extend((0..partitions).map(|p| (TopicPartition::new(number, p), Expected::default())));
        }
        Self { world, seed: Seed::new(seed), known, pinned: Vec::new(), count: 0 }
    }

    fn below(&mut self, most: u64) -> u64 {
        self.seed.below(most)
    }

    fn any(&mut self) -> TopicPartition {
        let at = self.below(self.known.len() as u64);
        *self.known.keys().nth(usize::try_from(at).expect("small")).expect("there are some")
    }

    fn value(&mut self) -> String {
        self.count += 1;
        let filler = "x".repeat(usize::try_from(self.below(2_000)).expect("small"));
        format!("{}{filler}", self.count)
    }

    fn step(&mut self) {
        match self.below(40) {
            0..=22 => self.append(),
            23 => self.again(),
            24 => self.delete_records(),
            25 => self.world.pass(20_000),
            26 => self.pin(),
            27 => drop((!self.pinned.is_empty()).then(|| self.pinned.remove(0))),
            28..=30 => self.world.engine.maintain().expect("sealed"),
            31 => self.world.engine.save().expect("saved"),
            32..=34 => self.retain(),
            35 => self.crash(),
            36 => self.replace_topic(),
            _ => self.check(),
        }
    }

    fn append(&mut self) {
        let (id, value) = (self.any(), self.value());
        let known = self.known.get_mut(&id).expect("known");
        let offset = self.world.append(id, &value, Some(known.sequence)).expect("appended");
        assert_eq!(offset, i64::try_from(known.values.len()).expect("small"), "{id}");
        known.sequence += 1;
        known.last = Some(value.clone());
        known.values.push(value);
    }

    /// The newest batch once more: its producer did not hear the answer.
    fn again(&mut self) {
        let id = self.any();
        let known = &self.known[&id];
        let Some(value) = &known.last else { return };
        let offset = self.world.append(id, value, Some(known.sequence - 1)).expect("answered");
        assert_eq!(offset, i64::try_from(known.values.len()).expect("small") - 1, "{id}");
    }

    fn delete_records(&mut self) {
        let id = self.any();
        let room = self.known[&id].values.len() as u64 - u64::try_from(self.known[&id].start).expect("small");
        let offset = self.known[&id].start + i64::try_from(self.below(room + 1)).expect("small");
        if offset > self.known[&id].start {
            self.world.put(Fact::LogStart(Change::Put(LogStart { partition: id, offset }))).expect("durable");
            self.known.get_mut(&id).expect("known").start = offset;
        }
    }

    fn replace_topic(&mut self) {
        let number = self.any().topic;
        let topic = self.world.log().state(|state| state.topic_by_number(number).cloned()).expect("it lives");
        self.world.put(Fact::Topic(Change::Delete(topic.name.clone()))).expect("durable");
        self.known.retain(|id, _| id.topic != number);
        let number = self.world.create_topic(&topic.name.topic, topic.partitions).expect("made");
        self.known.extend((0..topic.partitions).map(|p| (TopicPartition::new(number, p), Expected::default())));
    }

    fn retain(&mut self) {
        self.world.engine.retain().expect("collected");
        for (id, known) in &mut self.known {
            let start = self.world.log().partition(*id).expect("it lives").log_start();
            assert!(start >= known.start, "{id}: the log start fell");
            known.start = start;
        }
    }

    fn pin(&mut self) {
        let log = self.world.log();
        let view = log.at(log.visible_lsn()).expect("the newest");
        let shows = self.known.keys().map(|id| (*id, shown(&self.world.disk, &view, *id))).collect();
        self.pinned.push((view, shows));
    }

    /// The end of the process, clean, by a kill or by a loss of power, with appends under way in the latter cases.
    fn crash(&mut self) {
        self.pinned.clear();
        let how = self.below(3);
        if how == 0 {
            self.world.engine.close().expect("it closes");
            let disk = self.world.disk.kill();
            self.world.reopen(disk);
            return self.check();
        }
        let mut under_way: BTreeMap<TopicPartition, Vec<String>> = BTreeMap::new();
        for _ in 0..self.below(4) {
            let (id, value) = (self.any(), self.value());
            let sent = under_way.entry(id).or_default();
            let sequence = self.known[&id].sequence + i32::try_from(sent.len()).expect("small");
            let part = self.world.part(id, &value, Some(sequence)).expect("it lives");
            self.world.log().append(Append { parts: vec![part], ack: Ack::Visible }, drop);
            sent.push(value);
        }
        let seed = self.below(u64::MAX);
        let disk = if how == 1 { self.world.disk.kill() } else { self.world.disk.power_loss(seed) };
        self.world.reopen(disk);
        for (id, values) in under_way {
            let end = self.world.log().partition(id).expect("it lives").log_end();
            let known = self.known.get_mut(&id).expect("known");
            let kept = usize::try_from(end).expect("small").checked_sub(known.values.len());
            let kept = kept.unwrap_or_else(|| panic!("{id}: acknowledged records are gone"));
            for value in &values[..kept] {
                known.values.push(value.clone());
                known.sequence += 1;
                known.last = Some(value.clone());
            }
        }
        self.check();
    }

    fn check(&mut self) {
        let live = self.world.log().live();
        for (id, known) in &self.known {
            let (start, end, records) = shown(&self.world.disk, &live, *id);
            assert_eq!((start, end), (known.start, i64::try_from(known.values.len()).expect("small")), "{id}");
            let readable = records.iter().filter(|(offset, _)| *offset >= start);
            let expected = known.values.iter().enumerate().skip(usize::try_from(start).expect("small"));
            assert!(readable.map(|(_, value)| value).eq(expected.map(|(_, value)| value)), "{id}: other records");
        }
        for (view, shows) in &self.pinned {
            for (id, then) in shows {
                assert_eq!(&shown(&self.world.disk, view, *id), then, "{id} at {}: the view changed", view.lsn());
            }
        }
    }
}

#[expect(clippy::print_stderr, reason = "a failing run says which it was")]
fn run(seed: u64, steps: u32) {
    eprintln!("MODEL_SEED={seed}");
    let mut model = Model::new(seed);
    for _ in 0..steps {
        model.step();
    }
    model.check();
}

#[test]
fn nothing_acknowledged_is_lost_and_no_view_changes() {
    if let Ok(seed) = std::env::var("MODEL_SEED") {
        return run(seed.parse().expect("a number"), 1_500);
    }
    for seed in 1..=6 {
        run(seed, 1_500);
    }
}
