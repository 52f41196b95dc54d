//! The replay: sends the trades of a day, stretch by stretch, each acknowledged to its end before the next begins.
//!
//! The close is such an end. So there is a place in the volume's log between the last trade of the session and the first
//! after it, and a snapshot "before the first record later than 16:00" holds the session whole.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use millpond_storage::batch::NewRecord;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::super::super::failure::Failure;
use super::super::pace::{Pace, sleep_until};
use super::super::taq::{TimeOfDay, Trade};
use super::day::Day;
use crate::client::{Client, Producer, ProducerOptions, ProducerTopic};

/// After the close trades come at this part of the pace.
const AFTER_HOURS: u64 = 4;

/// A replay under way.
#[derive(Debug)]
pub(super) struct Tape {
    producer: Producer,
    topic: ProducerTopic,
    day: std::iter::Peekable<Day>,
    dates: Day,
    rate: u64,
    hand: Hand,
    acknowledged: JoinHandle<Vec<Acknowledged>>,
}

/// A batch that was acknowledged.
#[derive(Debug, Clone, Copy)]
pub(super) struct Acknowledged {
    /// When.
    pub(super) at: Instant,
    /// How long after its oldest record was due.
    pub(super) after: Duration,
}

/// Where a tape is, for others to look at.
#[derive(Debug, Clone, Default)]
pub(super) struct Hand {
    sent: Arc<AtomicU64>,
    milliseconds: Arc<AtomicU32>,
}

impl Hand {
    /// How many trades were sent.
    pub(super) fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// When the last one happened.
    pub(super) fn time(&self) -> Option<TimeOfDay> {
        TimeOfDay::from_milliseconds(self.milliseconds.load(Ordering::Relaxed))
    }
}

impl Tape {
    /// A tape at its beginning, which goes into a topic at so many trades a second.
    pub(super) async fn new(client: Client, topic: &str, day: Day, rate: u64) -> Result<Self, Failure> {
        let (producer, mut deliveries) = Producer::start(client, ProducerOptions::default()).await?;
        let topic = producer.topic(topic).await?;
        let acknowledged = tokio::spawn(async move {
            let mut all = Vec::new();
            while let Some(delivery) = deliveries.recv().await {
                let after = delivery.acknowledged.saturating_duration_since(delivery.due);
                all.push(Acknowledged { at: delivery.acknowledged, after });
            }
            all
        });
        let (dates, day) = (day.clone(), day.peekable());
        Ok(Self { producer, topic, day, dates, rate, hand: Hand::default(), acknowledged })
    }

    pub(super) fn hand(&self) -> Hand {
        self.hand.clone()
    }

    /// Sends all trades before `until`, and returns when they are acknowledged: how many were sent by then.
    pub(super) async fn play_until(&mut self, until: TimeOfDay) -> Result<u64, Failure> {
        self.play_while(|trade| trade.time < until).await
    }

    /// From here on trades come more slowly, as they do after the close.
    pub(super) fn slow_down(&mut self) {
        self.rate = (self.rate / AFTER_HOURS).max(1);
    }

    /// Sends what is left; how long each batch of the day took to be acknowledged.
    pub(super) async fn play_out(mut self) -> Result<Vec<Acknowledged>, Failure> {
        self.play_while(|_| true).await?;
        // Its end closes the stream of deliveries.
        drop(self.producer);
        Ok(self.acknowledged.await?)
    }

    async fn play_while(&mut self, wanted: impl Fn(&Trade) -> bool) -> Result<u64, Failure> {
        let mut pace = Pace::new(Instant::now(), Some(self.rate));
        let (mut value, mut key) = (Vec::with_capacity(128), String::with_capacity(16));
        while let Some(trade) = self.day.next_if(&wanted) {
            let due = pace.next();
            sleep_until(due).await;
            value.clear();
            trade.encode(&mut value);
            key.clear();
            trade.symbol.write_key(&mut key);
            let timestamp = self.dates.timestamp(trade.time);
            let record =
                NewRecord { timestamp, key: Some(key.as_bytes()), value: Some(&value), ..NewRecord::default() };
            self.producer.send(&self.topic, None, &record, due).await?;
            self.hand.sent.fetch_add(1, Ordering::Relaxed);
            self.hand.milliseconds.store(trade.time.milliseconds(), Ordering::Relaxed);
        }
        self.producer.flush().await?;
        Ok(self.hand.sent())
    }
}
