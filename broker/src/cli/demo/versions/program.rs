//! The analytics as an application: a member of a consumer group that reads trades, writes bars into a topic beside them, and
//! commits its positions behind the bars.
//!
//! It knows an address, two topics and a group, and nothing of volumes: both versions have the same names, and find other
//! data behind another address.

use std::collections::BTreeMap;
use std::time::Duration;

use millpond_storage::batch::NewRecord;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::super::super::calendar::Date;
use super::super::super::failure::Failure;
use super::bars::{Bar, Bars, Rules, Tally};
use super::day::timestamp;
use crate::client::{
    Client, ConnectionOptions, ConsumerOptions, FetchedRecord, GroupConsumer, GroupOptions, GroupPolled, OffsetAt,
    Polled, Producer, ProducerOptions, ProducerTopic,
};
use crate::config::Address;

/// The topic that it reads, and the one that it writes.
pub(super) const TRADES: &str = "trades";
pub(super) const BARS: &str = "vwap";
/// Its group.
pub(super) const GROUP: &str = "analytics";

/// How long records may take to be read by one who has nothing else to do.
const READ_WAIT: Duration = Duration::from_mins(2);

/// A running version.
#[derive(Debug)]
pub(super) struct Program {
    client: Client,
    progress: watch::Receiver<Progress>,
    until: watch::Sender<Option<BTreeMap<i32, i64>>>,
    task: JoinHandle<Result<Outcome, Failure>>,
}

/// How far it is.
#[derive(Debug, Clone, Default)]
struct Progress {
    /// How often it has joined its group.
    joins: u32,
    /// How many trades it has read.
    read: u64,
}

/// What it did.
#[derive(Debug, Clone)]
pub(super) struct Outcome {
    /// The positions that its group had when it joined first.
    pub(super) began: BTreeMap<i32, i64>,
    /// Where the partitions ended that it read.
    pub(super) ended: BTreeMap<i32, i64>,
    /// How often it joined: more than once where something disturbed the group.
    pub(super) joins: u32,
    /// How many trades it read.
    pub(super) read: u64,
    /// How many bars it wrote.
    pub(super) bars: u64,
    /// What it made of the regular session.
    pub(super) tally: Tally,
}

/// Watches how many trades a program has read.
#[derive(Debug, Clone)]
pub(super) struct Reading {
    progress: watch::Receiver<Progress>,
}

impl Reading {
    pub(super) fn read(&self) -> u64 {
        self.progress.borrow().read
    }
}

impl Program {
    /// Starts it, and returns when it is in its group.
    pub(super) async fn start(address: Address, rules: Rules, date: Date) -> Result<Self, Failure> {
        let client = Client::connect(vec![address], ConnectionOptions::default()).await?;
        let (tell, progress) = watch::channel(Progress::default());
        let (until, ends) = watch::channel(None);
        let task = tokio::spawn({
            let client = client.clone();
            async move { Run::prepare(client, rules, date, tell).await?.run(ends).await }
        });
        let mut program = Self { client, progress, until, task };
        program.has(|progress| progress.joins > 0).await?;
        Ok(program)
    }

    /// Returns when it has read so many trades.
    pub(super) async fn read(&mut self, trades: u64) -> Result<(), Failure> {
        self.has(|progress| progress.read >= trades).await
    }

    pub(super) fn reading(&self) -> Reading {
        Reading { progress: self.progress.clone() }
    }

    /// Lets it read what is there now, and ends it: all bars written, all positions committed.
    pub(super) async fn finish(self) -> Result<Outcome, Failure> {
        let partitions: Vec<i32> = self.client.topic(TRADES).await?.partitions().collect();
        let ends = self.client.offsets(TRADES, &partitions, OffsetAt::Latest).await?;
        // Should it have ended by itself, then its task says why.
        let _ = self.until.send(Some(ends));
        self.task.await?
    }

    async fn has(&mut self, come_to: impl FnMut(&Progress) -> bool) -> Result<(), Failure> {
        // What it waits for is a guard, which is not to be held.
        let waited = self.progress.wait_for(come_to);
        let waited = tokio::time::timeout(READ_WAIT, waited).await.map(|seen| seen.is_ok());
        match waited {
            Ok(true) => Ok(()),
            Ok(false) => {
                let ended = (&mut self.task).await?;
                Err(ended.err().unwrap_or_else(|| Failure::new("the consumer ended before its time")))
            }
            Err(_) => Err(Failure::new(format!(
                "the consumer of group {GROUP} got no further than {} trades within {} s",
                self.progress.borrow().read,
                READ_WAIT.as_secs()
            ))),
        }
    }
}

/// What runs in its task.
struct Run {
    consumer: GroupConsumer,
    producer: Producer,
    topic: ProducerTopic,
    date: Date,
    bars: Bars,
    tell: watch::Sender<Progress>,
    began: Option<BTreeMap<i32, i64>>,
    written: u64,
}

impl Run {
    async fn prepare(client: Client, rules: Rules, date: Date, tell: watch::Sender<Progress>) -> Result<Self, Failure> {
        let (producer, _) = Producer::start(client.clone(), ProducerOptions::default()).await?;
        let topic = producer.topic(BARS).await?;
        let fetching = ConsumerOptions { max_wait: Duration::from_millis(100), ..ConsumerOptions::default() };
        let options = GroupOptions { consumer: fetching, ..GroupOptions::default() };
        let consumer = GroupConsumer::new(client, GROUP, TRADES, options);
        Ok(Self { consumer, producer, topic, date, bars: Bars::new(rules), tell, began: None, written: 0 })
    }

    async fn run(mut self, ends: watch::Receiver<Option<BTreeMap<i32, i64>>>) -> Result<Outcome, Failure> {
        loop {
            match self.consumer.next().await? {
                GroupPolled::Joined(begins) => {
                    self.bars.begin(&begins);
                    self.began.get_or_insert(begins);
                    self.tell.send_modify(|progress| progress.joins += 1);
                }
                GroupPolled::Polled(Polled::Records(records)) => self.take(&records).await?,
                GroupPolled::Polled(Polled::Moved { partition, from, to }) => {
                    return Err(Failure::new(format!(
                        "{TRADES}-{partition} has no offset {from} any more, it begins or ends at {to}: somebody deletes \
                         what the demo writes"
                    )));
                }
                GroupPolled::Polled(Polled::Nothing) => {}
            }
            let ended = ends.borrow().clone().filter(|ends| self.bars.reached(ends));
            if let Some(ended) = ended
                && self.close().await?
            {
                return self.outcome(ended).await;
            }
        }
    }

    async fn take(&mut self, records: &[FetchedRecord]) -> Result<(), Failure> {
        for record in records {
            for bar in self.bars.add(record) {
                self.write(&bar).await?;
            }
        }
        self.commit().await?;
        let read = records.len() as u64;
        self.tell.send_modify(|progress| progress.read += read);
        Ok(())
    }

    /// Writes what is open and commits the end. `false`: the group has gone on without this member, which is to join again.
    async fn close(&mut self) -> Result<bool, Failure> {
        for bar in self.bars.close() {
            self.write(&bar).await?;
        }
        self.commit().await
    }

    async fn write(&mut self, bar: &Bar) -> Result<(), Failure> {
        let (key, value) = (bar.key(), serde_json::to_vec(bar)?);
        let record = NewRecord {
            timestamp: bar.start().map_or(-1, |start| timestamp(self.date, start)),
            key: Some(key.as_bytes()),
            value: Some(&value),
            ..NewRecord::default()
        };
        self.producer.send(&self.topic, None, &record, Instant::now()).await?;
        self.written += 1;
        Ok(())
    }

    /// Commits positions that have moved, once the bars before them are acknowledged.
    async fn commit(&mut self) -> Result<bool, Failure> {
        let Some(moved) = self.bars.take_moved() else { return Ok(true) };
        self.producer.flush().await?;
        Ok(self.consumer.commit(&moved).await?)
    }

    async fn outcome(self, ended: BTreeMap<i32, i64>) -> Result<Outcome, Failure> {
        let progress = self.tell.borrow().clone();
        self.consumer.leave().await?;
        Ok(Outcome {
            began: self.began.unwrap_or_default(),
            ended,
            joins: progress.joins,
            read: progress.read,
            bars: self.written,
            tally: self.bars.tally(),
        })
    }
}
