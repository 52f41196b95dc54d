//! A fixed offered load: requests go out when their time has come, whether those before were answered or not, and their latency counts from that time.
//! So a broker that stops for a while is charged for all that should have been sent meanwhile.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::connection::{Connection, check};
use crate::frames;

const CONNECTIONS: u32 = 4;
const ACKS_ALL: i16 = -1;
/// Nothing is to be sent for longer than this: so often it is looked whether to end.
const LOOK: Duration = Duration::from_millis(5);

/// When a request was to go out, and when its answer came.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Answered {
    pub(crate) due: Instant,
    pub(crate) at: Instant,
}

impl Answered {
    pub(crate) fn seconds(self) -> f64 {
        self.at.saturating_duration_since(self.due).as_secs_f64()
    }
}

/// A load on the partitions of a topic.
#[derive(Clone, Debug)]
pub(crate) struct Offered<'a> {
    pub(crate) address: &'a str,
    pub(crate) topic: &'a str,
    pub(crate) partitions: u32,
    pub(crate) per_second: u32,
    pub(crate) batch: Bytes,
}

impl Offered<'_> {
    /// Goes on while something is done; gives what that was, and all that was sent meanwhile.
    pub(crate) fn during<T>(&self, job: impl FnOnce() -> T) -> (T, Vec<Answered>) {
        let ended = AtomicBool::new(false);
        thread::scope(|scope| {
            let begin = Instant::now();
            let lanes = (0..CONNECTIONS).map(|nth| {
                let ended = &ended;
                scope.spawn(move || self.lane(nth, begin, ended))
            });
            let lanes: Vec<_> = lanes.collect();
            let done = job();
            ended.store(true, Ordering::SeqCst);
            let answered = lanes.into_iter().flat_map(|lane| lane.join().expect("it only sends")).collect();
            (done, answered)
        })
    }

    /// One connection: it sends here, and another thread reads the answers.
    fn lane(&self, nth: u32, begin: Instant, ended: &AtomicBool) -> Vec<Answered> {
        let every = Duration::from_secs(1) * CONNECTIONS / self.per_second;
        let mut sender = Connection::open(self.address);
        let mut receiver = sender.second();
        let (dues, open) = std::sync::mpsc::channel::<Instant>();
        thread::scope(|scope| {
            let reading = scope.spawn(move || {
                let error_at = frames::produce_error_at(self.topic);
                let answers = open.into_iter().map(|due| {
                    check(receiver.receive(), error_at);
                    Answered { due, at: Instant::now() }
                });
                answers.collect()
            });
            let mut due = begin + every * nth / CONNECTIONS;
            let mut partition = nth % self.partitions;
            while !ended.load(Ordering::SeqCst) {
                let now = Instant::now();
                if due > now {
                    thread::sleep((due - now).min(LOOK));
                    continue;
                }
                let mut head = frames::produce_head(self.topic, partition, ACKS_ALL, &self.batch);
                dues.send(due).expect("it reads until this ends");
                sender.send(&mut head, &self.batch);
                partition = (partition + CONNECTIONS) % self.partitions;
                due += every;
            }
            drop(dues);
            reading.join().expect("it only reads")
        })
    }
}
