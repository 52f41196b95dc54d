//! What happened, as those know who did it: several *chains* of events, each sent when the one before was acknowledged.
//!
//! The first chains are counters, written round-robin over all partitions; the last is a group's commits, whose offsets are the ends of partitions then
//! known. Each event remembers what was acknowledged before it was sent. So of any state that somebody says there was it can be told whether it could be:
//! it holds a beginning of each chain, and of no event that it holds does it lack something that was acknowledged before.

use std::array;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

pub(crate) use millpond_compat_tests::batch::now;
use millpond_compat_tests::batch::{Batch, Record};
use millpond_compat_tests::requests;
use millpond_compat_tests::wire::Wire;

pub(crate) const PARTITIONS: usize = 1_000;
/// Chains of records.
pub(crate) const COUNTERS: usize = 4;
/// The chain of commits.
pub(crate) const COMMITS: usize = COUNTERS;
pub(crate) const CHAINS: usize = COUNTERS + 1;
pub(crate) const TOPIC: &str = "trading.default.counter";
pub(crate) const GROUP: &str = "readers";

/// How many events of each chain.
pub(crate) type Counts = [usize; CHAINS];

/// One event.
#[derive(Clone, Debug)]
pub(crate) struct Event {
    pub(crate) partition: usize,
    /// A record's offset, once it is known; the offset that is committed.
    pub(crate) offset: Option<i64>,
    pub(crate) sent_ms: i64,
    pub(crate) acknowledged_ms: Option<i64>,
    /// What was acknowledged before it was sent.
    pub(crate) before: Counts,
}

/// All events.
#[derive(Debug)]
pub(crate) struct History {
    chains: [Mutex<Vec<Event>>; CHAINS],
    acknowledged: [AtomicUsize; CHAINS],
    /// By partition, the offset behind the last record that was acknowledged.
    ends: Mutex<Vec<i64>>,
    stopped: AtomicBool,
}

impl History {
    pub(crate) fn new() -> Self {
        Self {
            chains: array::from_fn(|_| Mutex::default()),
            acknowledged: array::from_fn(|_| AtomicUsize::new(0)),
            ends: Mutex::new(vec![0; PARTITIONS]),
            stopped: AtomicBool::new(false),
        }
    }

    /// What was acknowledged so far: each of these counts was true at some moment of this call.
    pub(crate) fn acknowledged(&self) -> Counts {
        array::from_fn(|chain| self.acknowledged[chain].load(Ordering::SeqCst))
    }

    /// What was sent so far.
    pub(crate) fn sent(&self) -> Counts {
        array::from_fn(|chain| self.chain(chain).len())
    }

    pub(crate) fn chain(&self, chain: usize) -> MutexGuard<'_, Vec<Event>> {
        lock(&self.chains[chain])
    }

    /// Has the chains end behind the event under way.
    pub(crate) fn stop(&self) {
        self.stopped.store(true, Ordering::SeqCst);
    }

    /// Lets chains grow again.
    pub(crate) fn resume(&self) {
        self.stopped.store(false, Ordering::SeqCst);
    }

    /// Adds events to a chain until it is stopped or the connection breaks.
    pub(crate) fn go_on(&self, chain: usize, address: &str) {
        let outcome = Wire::try_connect(address).and_then(|mut wire| {
            while !self.stopped.load(Ordering::SeqCst) {
                self.add(chain, &mut wire)?;
            }
            Ok(())
        });
        let is_silent = |error: &io::Error| matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut);
        assert!(!outcome.is_err_and(|error| is_silent(&error)), "the broker went silent");
    }

    fn add(&self, chain: usize, wire: &mut Wire) -> io::Result<()> {
        let before = self.acknowledged();
        let number = before[chain];
        let partition = (number + chain * PARTITIONS / COUNTERS) % PARTITIONS;
        let offset = (chain == COMMITS).then(|| lock(&self.ends)[partition]);
        self.chain(chain).push(Event { partition, offset, sent_ms: now(), acknowledged_ms: None, before });
        let offset = match offset {
            Some(offset) => commit(wire, partition, offset, number)?,
            None => produce(wire, partition, chain, number)?,
        };
        let event = &mut self.chain(chain)[number];
        (event.offset, event.acknowledged_ms) = (Some(offset), Some(now()));
        if chain != COMMITS {
            lock(&self.ends)[partition] = offset + 1;
        }
        self.acknowledged[chain].store(number + 1, Ordering::SeqCst);
        Ok(())
    }
}

fn commit(wire: &mut Wire, partition: usize, offset: i64, number: usize) -> io::Result<i64> {
    let request = requests::commit(GROUP, TOPIC, index(partition), offset, &number.to_string());
    let answer = wire.try_call(8, &request)?;
    assert_eq!(answer.topics[0].partitions[0].error_code, 0, "{answer:?}");
    Ok(offset)
}

fn produce(wire: &mut Wire, partition: usize, chain: usize, number: usize) -> io::Result<i64> {
    let batch = Batch::of([Record::of(format!("{chain}/{number}")).at(now())]).encode();
    let request = requests::produce(-1, [(TOPIC.to_owned(), index(partition), batch)]);
    let answer = wire.try_call(requests::PRODUCE, &request)?;
    let part = &answer.responses[0].partition_responses[0];
    assert_eq!(part.error_code, 0, "{answer:?}");
    Ok(part.base_offset)
}

pub(crate) fn index(partition: usize) -> i32 {
    i32::try_from(partition).expect("there are few")
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
