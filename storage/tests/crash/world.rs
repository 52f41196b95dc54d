//! An engine on a simulated disk, and everything a test asks of it. Calls come back empty when the engine has failed: the process would be gone.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use bytes::Bytes;
use millpond_storage::batch::{BatchBuilder, BatchIter, NewRecord, Rules, TimestampType, check};
use millpond_storage::disk::SimDisk;
use millpond_storage::state::{Change, Durability, Fact, LogStart, Numbers, Topic, TopicName};
use millpond_storage::{
    Ack, Append, AppendError, AppendPart, Appended, DEFAULT_VOLUME, Engine, Error, Fetched, Options, Policy, Read,
    Result, Timeline, TopicNumber, TopicPartition, View,
};

use crate::plain::{Id, Plain};

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

/// An open engine.
pub(crate) struct World {
    pub(crate) disk: SimDisk,
    pub(crate) engine: Arc<Engine>,
    pub(crate) log: Timeline,
    signal: Arc<Signal>,
}

/// What stays over restarts.
#[derive(Clone)]
pub(crate) struct Ground {
    pub(crate) durability: Durability,
    pub(crate) clock: Arc<AtomicI64>,
    pub(crate) index_dir: Option<std::path::PathBuf>,
}

impl World {
    pub(crate) fn open(disk: &SimDisk, ground: &Ground) -> Result<Self> {
        let signal = Arc::new(Signal::default());
        let (fatal, clock) = (Arc::clone(&signal), Arc::clone(&ground.clock));
        let policy = Policy { retention_ms: None, ..Policy::default() };
        let options = Options {
            clock: Arc::new(move || clock.load(Ordering::SeqCst)),
            policy: Arc::new(move |_| policy),
            on_fatal: Arc::new(move |_| fatal.notify(true)),
            durability: ground.durability,
            log_file_bytes: 64 << 10,
            checkpoint_bytes: 100 << 10,
            index_dir: ground.index_dir.clone(),
            history_ms: 1000,
            free_floor_bytes: 0,
            ballast_bytes: 0,
            background: false,
            ..Options::new(Arc::new(disk.clone()))
        };
        let engine = Engine::open(options)?;
        let (_, log) = engine.volume(DEFAULT_VOLUME).ok_or(Error::Closed)?;
        Ok(Self { disk: disk.clone(), engine, log, signal })
    }

    /// Whether the process would be gone.
    pub(crate) fn is_gone(&self) -> bool {
        self.disk.is_dead() || *self.signal.failed.lock().expect("nobody panics with it")
    }

    fn submit<T: Send + 'static>(&self, submit: impl FnOnce(Box<dyn FnOnce(T) + Send>)) -> Waiting<T> {
        let (slot, signal) = (Arc::new(Mutex::new(None)), Arc::clone(&self.signal));
        let waiting = Waiting { slot: Arc::clone(&slot), signal: Arc::clone(&signal) };
        submit(Box::new(move |answer| {
            *slot.lock().expect("nobody panics with it") = Some(answer);
            signal.notify(false);
        }));
        waiting
    }

    /// Appends to a partition, as the one producer that writes there: a batch that was lost may be sent again, one that was not is told apart.
    pub(crate) fn append(&self, to: Id, base: i64, values: &[String]) -> Option<Waiting<Vec<Answered>>> {
        let producer = i64::from(to.0) * 1000 + i64::from(to.1);
        let mut builder = BatchBuilder::new().producer(producer, 0, i32::try_from(base).expect("small"));
        for value in values {
            let record = NewRecord { value: Some(value.as_bytes()), timestamp: 7, ..NewRecord::default() };
            builder.append(&record).expect("it fits");
        }
        let batch = Bytes::from(builder.build().expect("a batch"));
        let checked = check(&batch, &RULES).expect("sound");
        let partition = self.log.partition(id(to))?;
        let parts = vec![AppendPart { partition, batch, checked, stamp: false }];
        Some(self.submit(|done| self.log.append(Append { parts, ack: Ack::Visible }, done)))
    }

    /// A number for a new topic.
    pub(crate) fn topic_number(&self) -> Option<u32> {
        let taken = self.submit(|done| self.engine.system().transact(|txn| txn.take(Numbers::Topic, 1), done));
        u32::try_from(taken.get()?.ok()??).ok()
    }

    pub(crate) fn create(&self, name: &str, number: u32, partitions: u32) -> Waiting<Result<()>> {
        let (name, number) = (TopicName::new("default", name), TopicNumber(number));
        let topic = Topic { name, number, partitions, created: 0, internal: false, settings: BTreeMap::new() };
        self.put(Fact::Topic(Change::Put(topic)))
    }

    pub(crate) fn delete(&self, name: &str) -> Waiting<Result<()>> {
        self.put(Fact::Topic(Change::Delete(TopicName::new("default", name))))
    }

    pub(crate) fn log_start(&self, of: Id, offset: i64) -> Waiting<Result<()>> {
        self.put(Fact::LogStart(Change::Put(LogStart { partition: id(of), offset })))
    }

    fn put(&self, fact: Fact) -> Waiting<Result<()>> {
        self.submit(|done| self.log.transact(move |txn| txn.put(fact), done))
    }

    /// All that clients can see, read record by record.
    pub(crate) fn see(&self) -> Option<Plain> {
        let topics = self.log.state(|state| {
            let each = state.topics().map(|topic| (topic.name.topic.to_string(), (topic.number.0, topic.partitions)));
            each.collect()
        });
        self.see_at(&self.log.live(), topics)
    }

    /// What the partitions of some topics hold in a view.
    pub(crate) fn see_at(&self, view: &View, topics: BTreeMap<String, (u32, u32)>) -> Option<Plain> {
        let mut seen = Plain { topics, ..Plain::default() };
        for (number, partitions) in seen.topics.values() {
            for index in 0..*partitions {
                seen.logs.insert((*number, index), self.read((*number, index), view)?);
            }
        }
        Some(seen)
    }

    fn read(&self, of: Id, view: &View) -> Option<(i64, Vec<String>)> {
        let partition = view.partition(id(of)).unwrap_or_else(|| panic!("{of:?} is not there"));
        let bounds = self.expect(view.bounds(&partition))?;
        let mut values = Vec::new();
        let mut from = bounds.log_start;
        while from < bounds.high_watermark {
            let read = Read { from, max_bytes: 100_000, at_least_one: true };
            let fetched = match view.read_now(&partition, &read) {
                Some(fetched) => fetched,
                None => self.submit(|done| view.read(&partition, read, done)).get()?,
            };
            let before = from;
            for (offset, value) in records(&self.expect(fetched)?) {
                if offset >= from {
                    assert_eq!(offset, from, "{of:?}: offsets without a gap");
                    values.push(value);
                    from += 1;
                }
            }
            assert!(from > before, "{of:?}: nothing at {from}, and the end is {}", bounds.high_watermark);
        }
        Some((bounds.log_start, values))
    }

    /// A result. An error of the disk ends the process here, although the engine may live on; nothing else may be one while it lives.
    pub(crate) fn expect<T>(&self, outcome: Result<T>) -> Option<T> {
        match outcome {
            Ok(value) => Some(value),
            Err(error) if self.is_gone() || is_trouble(&error) => None,
            Err(error) => panic!("{error}"),
        }
    }

    /// Ends the process without a word, and its threads.
    pub(crate) fn crash(self, power_loss: Option<u64>) -> SimDisk {
        let next = match power_loss {
            Some(seed) => self.disk.power_loss(seed),
            None => self.disk.kill(),
        };
        // All its handles are dead: this only ends the threads.
        let _ = self.engine.close();
        next
    }
}

/// Whether an error is what a failing disk brings. (At the end of a test it has been calmed, and this is no excuse.)
pub(crate) fn is_trouble(error: &Error) -> bool {
    matches!(error, Error::Io { .. } | Error::Full(_) | Error::Closed)
}

fn id(id: Id) -> TopicPartition {
    TopicPartition::new(TopicNumber(id.0), id.1)
}

fn records(fetched: &Fetched) -> Vec<(i64, String)> {
    let bytes = fetched.pieces.concat();
    let mut records = Vec::new();
    for batch in BatchIter::new(&bytes) {
        let each = |record: millpond_storage::batch::Record<'_>| {
            records.push((record.offset, String::from_utf8_lossy(record.value.unwrap_or_default()).into_owned()));
        };
        batch.expect("sound").for_each_record(1 << 20, each).expect("readable");
    }
    records
}
