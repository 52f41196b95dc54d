//! `millpond demo taq`: makes a day of stock records and writes them to a broker.
//!
//! The key of a record is its symbol, so that all that happens to a symbol is in one partition, in order; a key that says
//! when (as the blueprint had it) would order nothing. The price is skew: a popular symbol makes a busy partition.
//!
//! The timestamp of a record is its moment on the trading day, so that whoever seeks by time, or makes windows of time,
//! finds the market's hours and not the minute of the replay. The day is the last one whose session is over: a day
//! to come is refused by brokers, and one long past would be deleted at once by retention. `--date` takes another;
//! `--timestamps now` gives the moment of sending instead. The records' own bytes never depend on the date.

use std::fmt::Display;
use std::io;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::{Args, ValueEnum};
use millpond_storage::batch::{Codec, NewRecord};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::super::brokers::BrokersArgs;
use super::super::calendar::Date;
use super::super::failure::Failure;
use super::super::output::print;
use super::meter::Meter;
use super::pace::{Pace, sleep_until};
use super::progress::{Progress, grouped, in_place};
use super::taq::{Event, Generator, GeneratorOptions};
use crate::client::{Acks, Client, ClientError, Delivery, Producer, ProducerOptions, ProducerTopic, TopicState};

/// Small enough that, as fast as it goes, latencies are about the broker and not about a queue in front of it.
const BUFFER_BYTES: usize = 8 << 20;

/// The flags of `demo taq`.
#[derive(Args, Clone, Debug)]
pub struct TaqArgs {
    #[command(flatten)]
    brokers: BrokersArgs,

    /// Topic for the trades, created if missing
    #[arg(long, default_value = "trades")]
    topic: String,

    /// How many records to write; however many, they fill one trading day
    #[arg(long, value_name = "N", default_value = "1000000", value_parser = count)]
    records: u64,

    /// Records a second, evenly [default: as fast as it goes]
    #[arg(long, value_name = "N", value_parser = positive)]
    rate: Option<u64>,

    /// The same seed makes the same records
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,

    /// Make three of four records quotes (bids and asks), and write them to this topic
    #[arg(long, value_name = "TOPIC", num_args = 0..=1, default_missing_value = "quotes")]
    quotes: Option<String>,

    /// Leave out sender and receivers
    #[arg(long)]
    no_parties: bool,

    /// Partitions of a topic that is created [default: the broker's]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i32).range(1..))]
    partitions: Option<i32>,

    /// What the records' timestamps say
    #[arg(long, value_enum, default_value_t = Timestamps::Market)]
    timestamps: Timestamps,

    /// The trading day of the market's timestamps [default: the last weekday whose session is over]
    #[arg(long, value_name = "YYYY-MM-DD")]
    date: Option<Date>,

    /// Whose acknowledgement a record needs: all replicas', the leader's, none
    #[arg(long, value_enum, default_value_t = AcksArg::All)]
    acks: AcksArg,

    /// How batches are compressed
    #[arg(long, value_enum, default_value_t = Compression::None)]
    compression: Compression,
}

/// The choices of `--timestamps`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Timestamps {
    /// When the trade happened on the trading day, New York time
    Market,
    /// When the record was due to be sent
    Now,
}

/// The choices of `--acks`.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum AcksArg {
    All,
    #[value(name = "1")]
    Leader,
    #[value(name = "0")]
    None,
}

/// The choices of `--compression`.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Compression {
    None,
    Gzip,
    Snappy,
    Lz4,
    Zstd,
}

/// A number that may be written with underscores.
pub(super) fn count(text: &str) -> Result<u64, String> {
    text.replace('_', "").parse().map_err(|_| "not a whole number such as 1000000 or 1_000_000".to_owned())
}

pub(super) fn positive(text: &str) -> Result<u64, String> {
    count(text).and_then(|number| if number > 0 { Ok(number) } else { Err("must be at least 1".to_owned()) })
}

impl TaqArgs {
    fn generator(&self) -> Generator {
        Generator::new(GeneratorOptions {
            seed: self.seed,
            records: self.records,
            quotes: self.quotes.is_some(),
            parties: !self.no_parties,
        })
    }

    fn producer(&self) -> ProducerOptions {
        let acks = match self.acks {
            AcksArg::All => Acks::All,
            AcksArg::Leader => Acks::Leader,
            AcksArg::None => Acks::None,
        };
        let compression = match self.compression {
            Compression::None => Codec::None,
            Compression::Gzip => Codec::Gzip,
            Compression::Snappy => Codec::Snappy,
            Compression::Lz4 => Codec::Lz4,
            Compression::Zstd => Codec::Zstd,
        };
        ProducerOptions { acks, compression, buffer_bytes_max: BUFFER_BYTES, ..ProducerOptions::default() }
    }

    fn date(&self) -> Date {
        self.date.unwrap_or_else(|| Date::last_session(now_ms()))
    }

    /// What a record's timestamp is made of.
    fn clock(&self) -> Clock {
        match self.timestamps {
            Timestamps::Market => Clock::Market { midnight_ms: self.date().midnight_in_new_york() },
            Timestamps::Now => Clock::Now { started: Instant::now(), started_ms: now_ms() },
        }
    }

    /// What is about to happen, in a line.
    fn announcement(&self, partitions: usize) -> String {
        let day = match self.timestamps {
            Timestamps::Market => format!(" of {}", self.date()),
            Timestamps::Now => String::new(),
        };
        let pace = self.rate.map_or("as fast as it goes".to_owned(), |rate| format!("{} a second", grouped(rate)));
        let quotes = self.quotes.as_ref().map(|topic| format!(" and {topic}")).unwrap_or_default();
        format!(
            "Writing {} records{day} to {}{quotes} ({partitions} partition{}) at {}, {pace}. Ctrl-C stops.\n",
            grouped(self.records),
            self.topic,
            if partitions == 1 { "" } else { "s" },
            self.brokers.show(),
        )
    }
}

pub(super) fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// Gives records their timestamps.
#[derive(Debug, Clone, Copy)]
enum Clock {
    Market { midnight_ms: i64 },
    Now { started: Instant, started_ms: i64 },
}

impl Clock {
    fn timestamp(self, event: &Event, due: Instant) -> i64 {
        match self {
            Self::Market { midnight_ms } => midnight_ms + i64::from(event.time().milliseconds()),
            Self::Now { started, started_ms } => {
                let since = due.saturating_duration_since(started).as_millis();
                started_ms.saturating_add(i64::try_from(since).unwrap_or(i64::MAX))
            }
        }
    }
}

/// Runs the command.
pub(super) async fn run(args: &TaqArgs) -> Result<(), Failure> {
    let client = args.brokers.connect().await?;
    let mut replay = Replay::prepare(args, client).await?;
    print(&args.announcement(replay.trades.partitions()))?;
    let stop = stop_on_signal()?;
    let started = Instant::now();
    let watcher = replay.watch(args.records, started);
    let outcome = replay.write(args, started, &stop).await;
    // Its end closes the stream of deliveries, on which the watcher ends.
    drop(replay);
    let (mut progress, whole) = watcher.await??;
    match outcome {
        Ok(()) => Ok(progress.summary(&whole, started.elapsed(), stop.is_cancelled())?),
        Err(error) => {
            progress.leave()?;
            progress.summary(&whole, started.elapsed(), true)?;
            Err(error.into())
        }
    }
}

/// A token that the first SIGINT or SIGTERM cancels; the second ends the process.
fn stop_on_signal() -> Result<CancellationToken, Failure> {
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let stop = CancellationToken::new();
    let stopping = stop.clone();
    tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            if stopping.is_cancelled() {
                // 128 + SIGINT, as shells have it.
                std::process::exit(130);
            }
            stopping.cancel();
        }
    });
    Ok(stop)
}

/// A producer and its topics.
struct Replay {
    producer: Producer,
    deliveries: Option<UnboundedReceiver<Delivery>>,
    trades: ProducerTopic,
    quotes: ProducerTopic,
}

impl Replay {
    async fn prepare(args: &TaqArgs, client: Client) -> Result<Self, Failure> {
        let topics = std::iter::once(&args.topic).chain(&args.quotes);
        for topic in topics {
            let state = client.ensure_topic(topic, args.partitions).await?;
            let has = client.topic(topic).await?.partitions().len();
            let wanted = args.partitions.and_then(|wanted| usize::try_from(wanted).ok());
            if state == TopicState::Existing && wanted.is_some_and(|wanted| wanted != has) {
                print(&format!(
                    "Topic {topic} is there already and has {has} partitions; --partitions is not used.\n"
                ))?;
            }
        }
        let (producer, deliveries) = Producer::start(client, args.producer()).await?;
        let trades = producer.topic(&args.topic).await?;
        let quotes = match &args.quotes {
            Some(topic) => producer.topic(topic).await?,
            None => trades.clone(),
        };
        Ok(Self { producer, deliveries: Some(deliveries), trades, quotes })
    }

    /// Writes all records, or those until `stop`, and returns when they are delivered.
    async fn write(&mut self, args: &TaqArgs, started: Instant, stop: &CancellationToken) -> Result<(), ClientError> {
        tokio::select! {
            outcome = self.send(args, started) => outcome?,
            () = stop.cancelled() => {}
        }
        self.producer.flush().await
    }

    async fn send(&self, args: &TaqArgs, started: Instant) -> Result<(), ClientError> {
        let mut pace = Pace::new(started, args.rate);
        let clock = args.clock();
        let (mut value, mut key) = (Vec::with_capacity(128), String::with_capacity(16));
        for (index, event) in args.generator().enumerate() {
            let due = pace.next();
            if args.rate.is_some() {
                sleep_until(due).await;
            } else if index % 256 == 0 {
                // A loop that never waits would starve the tasks of its thread, and never see a stop.
                tokio::task::yield_now().await;
            }
            value.clear();
            event.encode(&mut value);
            key.clear();
            event.symbol().write_key(&mut key);
            let topic = match event {
                Event::Trade(_) => &self.trades,
                Event::Quote(_) => &self.quotes,
            };
            let timestamp = clock.timestamp(&event, due);
            let record =
                NewRecord { timestamp, key: Some(key.as_bytes()), value: Some(&value), ..NewRecord::default() };
            self.producer.send(topic, None, &record, due).await?;
        }
        Ok(())
    }

    /// Counts deliveries and shows progress once a second, until the producer is gone.
    fn watch(&mut self, total: u64, started: Instant) -> JoinHandle<io::Result<(Progress<io::Stdout>, Meter)>> {
        let (mut deliveries, status) = (self.deliveries.take(), self.producer.status());
        let mut progress = Progress::new(io::stdout(), in_place(), total);
        tokio::spawn(async move {
            let (mut whole, mut interval, mut since) = (Meter::default(), Meter::default(), started);
            let mut ticks = tokio::time::interval_at(started + Duration::from_secs(1), Duration::from_secs(1));
            while let Some(receiver) = &mut deliveries {
                tokio::select! {
                    delivery = receiver.recv() => match delivery {
                        Some(delivery) => {
                            whole.add(&delivery);
                            interval.add(&delivery);
                        }
                        None => deliveries = None,
                    },
                    now = ticks.tick() => {
                        let trouble = status.trouble();
                        let trouble = trouble.as_ref().map(|trouble| trouble as &dyn Display);
                        progress.line(&std::mem::take(&mut interval), now - since, trouble)?;
                        since = now;
                    }
                }
            }
            Ok((progress, whole))
        })
    }
}

#[cfg(test)]
mod tests;
