//! An engine on a simulated disk with a clock of its own, and everything a test asks of it. Calls come back empty when the engine has failed: the
//! process would be gone.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use bytes::Bytes;
use millpond_storage::batch::{BatchBuilder, BatchIter, NewRecord, Record, check};
use millpond_storage::disk::SimDisk;
use millpond_storage::state::{Change, Durability, Fact, LogStart, Numbers, Topic, TopicName};
use millpond_storage::{
    Ack, Append, AppendError, AppendPart, Appended, DEFAULT_VOLUME, Engine, Error, Fetched, Options, Policy, Read,
    Result, Timeline, TopicNumber, TopicPartition, View,
};

use crate::calls::RULES;

pub(crate) const MINUTE: i64 = 60_000;
pub(crate) const HOUR: i64 = 60 * MINUTE;
pub(crate) const DAY: i64 = 24 * HOUR;

/// What stays over restarts: how engines are opened, and the clock.
#[derive(Clone)]
pub(crate) struct Ground {
    pub(crate) durability: Durability,
    pub(crate) clock: Arc<AtomicI64>,
    /// Where the state index is, if there is one.
    pub(crate) index_dir: Option<PathBuf>,
    /// What a test has otherwise.
    pub(crate) tune: fn(&mut Options),
}

impl Default for Ground {
    fn default() -> Self {
        let clock = Arc::new(AtomicI64::new(DAY));
        Self { durability: Durability::Fsync, clock, index_dir: None, tune: |_| {} }
    }
}

impl Ground {
    /// Small files, so that little data does what much does elsewhere. Topics whose name begins with `short` keep their records for a minute.
    pub(crate) fn options(&self, disk: &SimDisk) -> Options {
        let clock = Arc::clone(&self.clock);
        let mut options = Options {
            clock: Arc::new(move || clock.load(Ordering::SeqCst)),
            policy: Arc::new(|_, topic| Policy {
                segment_bytes: 4 << 10,
                retention_ms: Some(match topic.settings.get("retention.ms") {
                    Some(days) => days.parse().expect("a number"),
                    None if topic.name.topic.starts_with("short") => MINUTE,
                    None => 30 * DAY,
                }),
                ..Policy::default()
            }),
            durability: self.durability,
            log_file_bytes: 64 << 10,
            cache_bytes: 16 << 10,
            checkpoint_bytes: 100 << 10,
            index_dir: self.index_dir.clone(),
            history_ms: 10 * MINUTE,
            background: false,
            free_floor_bytes: 0,
            ballast_bytes: 0,
            ..Options::new(Arc::new(disk.clone()))
        };
        (self.tune)(&mut options);
        options
    }

    pub(crate) fn now(&self) -> i64 {
        self.clock.load(Ordering::SeqCst)
    }

    pub(crate) fn pass(&self, ms: i64) {
        self.clock.fetch_add(ms, Ordering::SeqCst);
    }
}

/// Tells those who wait that an answer is there, or that none will come.
#[derive(Default)]
struct Signal {
    failed: Mutex<bool>,
    wake: Condvar,
}

impl Signal {
    fn notify(&self, failed: bool) {
        *self.failed.lock().unwrap_or_else(PoisonError::into_inner) |= failed;
        self.wake.notify_all();
    }
}

/// An answer that is waited for.
pub(crate) struct Waiting<T> {
    slot: Arc<Mutex<Option<T>>>,
    signal: Arc<Signal>,
}

impl<T> Waiting<T> {
    /// The answer; `None` if the engine failed before it came.
    pub(crate) fn get(self) -> Option<T> {
        let mut failed = self.signal.failed.lock().expect("nobody panics with it");
        loop {
            if let Some(answer) = self.slot.lock().expect("nobody panics with it").take() {
                return Some(answer);
            }
            if *failed {
                return None;
            }
            failed = self.signal.wake.wait(failed).expect("nobody panics with it");
        }
    }
}

/// What appends are answered with.
pub(crate) type Answered = Result<Appended, AppendError>;

/// What a view shows of a partition: its first offset, its end, and its records by offset.
pub(crate) type Shown = (i64, i64, Vec<(i64, String)>);

/// An open engine.
pub(crate) struct World {
    pub(crate) disk: SimDisk,
    pub(crate) ground: Ground,
    pub(crate) engine: Arc<Engine>,
    pub(crate) log: Timeline,
    signal: Arc<Signal>,
}

impl World {
    /// A new data directory.
    pub(crate) fn new() -> Self {
        Self::tuned(|_| {})
    }

    /// A new data directory whose engine has some other options.
    pub(crate) fn tuned(tune: fn(&mut Options)) -> Self {
        Self::open(&SimDisk::new(), &Ground { tune, ..Ground::default() }).expect("it opens")
    }

    pub(crate) fn open(disk: &SimDisk, ground: &Ground) -> Result<Self> {
        let signal = Arc::new(Signal::default());
        let fatal = Arc::clone(&signal);
        let options = Options { on_fatal: Arc::new(move |_| fatal.notify(true)), ..ground.options(disk) };
        let engine = Engine::open(options)?;
        let (_, log) = engine.volume(DEFAULT_VOLUME).ok_or(Error::Closed)?;
        Ok(Self { disk: disk.clone(), ground: ground.clone(), engine, log, signal })
    }

    /// Ends the process without a word, and its threads: by a kill, or by a loss of power with a seed.
    pub(crate) fn crash(self, power_loss: Option<u64>) -> SimDisk {
        let next = match power_loss {
            Some(seed) => self.disk.power_loss(seed),
            None => self.disk.kill(),
        };
        // All its handles are dead: this only ends the threads.
        let _ = self.engine.close();
        next
    }

    /// The same after a crash and a start, which finds nothing damaged.
    pub(crate) fn again(self, power_loss: Option<u64>) -> Self {
        let ground = self.ground.clone();
        let world = Self::open(&self.crash(power_loss), &ground).expect("it opens again");
        assert_eq!((world.log.damage(), world.engine.system().damage()), (None, None));
        world
    }

    /// Whether the process would be gone.
    pub(crate) fn is_gone(&self) -> bool {
        self.disk.is_dead() || *self.signal.failed.lock().expect("nobody panics with it")
    }

    pub(crate) fn submit<T: Send + 'static>(&self, submit: impl FnOnce(Box<dyn FnOnce(T) + Send>)) -> Waiting<T> {
        let (slot, signal) = (Arc::new(Mutex::new(None)), Arc::clone(&self.signal));
        let waiting = Waiting { slot: Arc::clone(&slot), signal: Arc::clone(&signal) };
        submit(Box::new(move |answer| {
            *slot.lock().expect("nobody panics with it") = Some(answer);
            signal.notify(false);
        }));
        waiting
    }

    /// A result. An error of the disk ends the process here, although the engine may live on; nothing else may be one while it lives.
    pub(crate) fn expect<T>(&self, outcome: Result<T>) -> Option<T> {
        match outcome {
            Ok(value) => Some(value),
            Err(error) if self.is_gone() || is_trouble(&error) => None,
            Err(error) => panic!("{error}"),
        }
    }

    /// One round of all that is done behind the clients' backs.
    pub(crate) fn tend(&self) -> Option<()> {
        let tended = self.engine.maintain().and_then(|()| self.engine.save()).and_then(|()| self.engine.retain());
        self.expect(tended)
    }
}

/// Topics and appends.
impl World {
    pub(crate) fn put(&self, fact: Fact) -> Waiting<Result<()>> {
        self.submit(|done| self.log.transact(move |txn| txn.put(fact), done))
    }

    pub(crate) fn put_in_system(&self, fact: Fact) -> Waiting<Result<()>> {
        self.submit(|done| self.engine.system().transact(move |txn| txn.put(fact), done))
    }

    /// A number for a new topic.
    pub(crate) fn topic_number(&self) -> Option<TopicNumber> {
        let taken = self.submit(|done| self.engine.system().transact(|txn| txn.take(Numbers::Topic, 1), done));
        u32::try_from(taken.get()?.ok()??).ok().map(TopicNumber)
    }

    /// Makes or changes a topic of one partition that keeps its records for so many days.
    pub(crate) fn keep_for(&self, name: &str, number: TopicNumber, days: i64) -> Option<TopicPartition> {
        let settings = BTreeMap::from([("retention.ms".into(), (days * DAY).to_string())]);
        let name = TopicName::new("default", name);
        let topic = Topic { name, number, partitions: 1, created: 0, internal: false, settings };
        self.put(Fact::Topic(Change::Put(topic))).get()?.ok()?;
        Some(TopicPartition::new(number, 0))
    }

    pub(crate) fn create(&self, name: &str, number: TopicNumber, partitions: u32) -> Waiting<Result<()>> {
        let name = TopicName::new("default", name);
        let topic = Topic { name, number, partitions, created: 0, internal: false, settings: BTreeMap::new() };
        self.put(Fact::Topic(Change::Put(topic)))
    }

    pub(crate) fn delete(&self, name: &str) -> Waiting<Result<()>> {
        self.put(Fact::Topic(Change::Delete(TopicName::new("default", name))))
    }

    pub(crate) fn log_start(&self, partition: TopicPartition, offset: i64) -> Waiting<Result<()>> {
        self.put(Fact::LogStart(Change::Put(LogStart { partition, offset })))
    }

    /// The partitions of a new topic.
    pub(crate) fn partitions(&self, name: &str, count: u32) -> Option<Vec<TopicPartition>> {
        let number = self.topic_number()?;
        self.create(name, number, count).get()?.ok()?;
        Some((0..count).map(|p| TopicPartition::new(number, p)).collect())
    }

    /// A batch of now, of a producer with a sequence or of none.
    pub(crate) fn submit_batch(
        &self,
        to: TopicPartition,
        producer: Option<(i64, i32)>,
        values: &[String],
    ) -> Option<Waiting<Vec<Answered>>> {
        let mut builder = BatchBuilder::new();
        if let Some((id, sequence)) = producer {
            builder = builder.producer(id, 0, sequence);
        }
        for value in values {
            let timestamp = self.ground.now();
            let record = NewRecord { value: Some(value.as_bytes()), timestamp, ..NewRecord::default() };
            builder.append(&record).expect("it fits");
        }
        let batch = Bytes::from(builder.build().expect("a batch"));
        let checked = check(&batch, &RULES).expect("sound");
        let partition = self.log.partition(to)?;
        let parts = vec![AppendPart { partition, batch, checked, stamp: false, name: 0, is_new_name: false }];
        Some(self.submit(|done| self.log.append(Append { parts, ack: Ack::Visible }, done)))
    }

    /// Appends one record and waits for its offset.
    pub(crate) fn append(&self, to: TopicPartition, value: &str) -> Option<i64> {
        let answer = self.submit_batch(to, None, &[value.to_owned()])?.get()?.pop()?;
        Some(answer.ok()?.base_offset)
    }

    /// Small batches, in turn over the partitions: log files whose runs are short.
    pub(crate) fn fill(&self, ids: &[TopicPartition], batches: usize) -> Option<()> {
        let value = "v".repeat(1_500);
        for n in 0..batches {
            self.append(ids[n % ids.len()], &value)?;
        }
        Some(())
    }
}

/// Reads.
impl World {
    /// What a view answers to one read.
    pub(crate) fn read(&self, view: &View, of: TopicPartition, from: i64) -> Option<Result<Fetched>> {
        let partition = view.partition(of)?;
        let read = Read { from, max_bytes: 20_000, at_least_one: true };
        match view.read_now(&partition, &read) {
            Some(fetched) => Some(fetched),
            None => self.submit(|done| view.read(&partition, read, done)).get(),
        }
    }

    /// All that a view shows of a partition, read record by record; nothing where the view has no such partition.
    pub(crate) fn shown(&self, view: &View, of: TopicPartition) -> Option<Shown> {
        let Some(partition) = view.partition(of) else { return Some((0, 0, Vec::new())) };
        let bounds = self.expect(view.bounds(&partition))?;
        let (mut from, mut seen) = (bounds.log_start, Vec::new());
        while from < bounds.high_watermark {
            let before = from;
            let fetched = self.read(view, of, from)?;
            for (offset, value) in records(&self.expect(fetched)?) {
                if offset >= from {
                    assert_eq!(offset, from, "{of}: offsets without a gap");
                    seen.push((offset, value));
                    from += 1;
                }
            }
            assert!(from > before, "{of}: nothing at {from} of {bounds:?}");
        }
        Some((bounds.log_start, bounds.high_watermark, seen))
    }

    /// The same for many partitions of the live view.
    pub(crate) fn all_shown(&self, ids: &[TopicPartition]) -> Vec<Shown> {
        let live = self.log.live();
        ids.iter().map(|id| self.shown(&live, *id).expect("it lives")).collect()
    }
}

/// The disk.
impl World {
    /// Waits until all that was submitted is visible, the group of an idle log, too.
    pub(crate) fn log_is_quiet(&self) {
        self.submit(|done| self.log.barrier(move || done(()))).get().expect("alive");
    }

    /// Files of a timeline whose names end so.
    pub(crate) fn files(&self, timeline: u64, end: &str) -> Vec<PathBuf> {
        let of = PathBuf::from(format!("timelines/{timeline}"));
        let paths = self.disk.paths().into_iter();
        paths.filter(|path| path.starts_with(&of) && path.to_string_lossy().ends_with(end)).collect()
    }

    /// The state-at files of a timeline, oldest first.
    pub(crate) fn state_ats(&self, timeline: u64) -> Vec<PathBuf> {
        let mut all = self.files(timeline, "");
        all.retain(|path| path.parent().is_some_and(|dir| dir.ends_with("state-at")));
        all.sort();
        all
    }

    /// Bytes of a timeline's files.
    pub(crate) fn bytes(&self, timeline: u64) -> usize {
        let files = self.files(timeline, "").into_iter();
        files.filter_map(|path| self.disk.contents(path)).map(|bytes| bytes.len()).sum()
    }
}

/// Whether an error is what a failing disk brings. (At the end of a test it has been calmed, and this is no excuse.)
pub(crate) fn is_trouble(error: &Error) -> bool {
    matches!(error, Error::Io { .. } | Error::Full(_) | Error::Closed)
}

/// The records of what was fetched.
pub(crate) fn records(fetched: &Fetched) -> Vec<(i64, String)> {
    let bytes = fetched.concat().expect("it is read");
    let mut records = Vec::new();
    for batch in BatchIter::new(&bytes) {
        let each = |record: Record<'_>| {
            records.push((record.offset, String::from_utf8_lossy(record.value.unwrap_or_default()).into_owned()));
        };
        batch.expect("sound").for_each_record(1 << 20, each).expect("readable");
    }
    records
}
