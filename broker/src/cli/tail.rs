//! `millpond tail`: prints the end of a topic, or all from somewhere, and follows it if asked.
//!
//! It is tail(1) for topics: without `-f` it ends, with `-f` it goes on, and waits for a topic that is not there yet. The
//! last records of several partitions are put in order by timestamp; what is read from somewhere on, or followed, comes
//! as it arrives, in order within each partition. It belongs to no consumer group and commits nothing.

mod format;

use std::collections::BTreeMap;
use std::io::{self, IsTerminal, Write};
use std::str::FromStr;
use std::time::Duration;

use clap::Args;

use super::brokers::BrokersArgs;
use super::calendar::parse_time;
use super::failure::Failure;
use crate::client::{Client, ClientError, Consumer, ConsumerOptions, FetchedRecord, OffsetAt, Polled, StartAt};
use format::{Format, Formatter};

/// How many of the last records are shown when nobody says.
const LAST: usize = 10;
/// How often a topic that is not there is looked for.
const LOOK_AGAIN: Duration = Duration::from_millis(500);
/// How long a broker may be away before a command that does not follow gives up.
const PATIENCE: Duration = Duration::from_secs(30);

/// The flags of `tail`.
#[derive(Args, Clone, Debug)]
pub struct TailArgs {
    /// The topic
    topic: String,

    #[command(flatten)]
    brokers: BrokersArgs,

    /// Show so many records: the last ones, or with --from the first ones from there [default: 10, or all with --from]
    #[arg(short = 'n', long = "lines", value_name = "N")]
    count: Option<usize>,

    /// Begin there: `earliest`, `latest` (which follows), an offset, or a time such as 2026-11-23T15:30:00Z
    #[arg(long, value_name = "WHERE", allow_hyphen_values = true)]
    from: Option<Begin>,

    /// Only this partition; may be repeated [default: all]
    #[arg(short, long = "partition", value_name = "P")]
    partitions: Vec<i32>,

    /// Go on with records as they are written, until Ctrl-C; waits for a topic that is not there yet
    #[arg(short, long)]
    follow: bool,

    /// How records are shown
    #[arg(long, value_enum, default_value_t = Format::Auto)]
    format: Format,
}

/// The choices of `--from`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Begin {
    Earliest,
    Latest,
    Offset(i64),
    /// Milliseconds since the epoch.
    Time(i64),
}

impl FromStr for Begin {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "earliest" => Ok(Self::Earliest),
            "latest" => Ok(Self::Latest),
            _ => match (text.parse(), parse_time(text)) {
                (Ok(offset @ 0..), _) => Ok(Self::Offset(offset)),
                (_, Ok(time)) => Ok(Self::Time(time)),
                _ => Err("not earliest, latest, an offset, or a time such as 2026-11-23T15:30:00Z".to_owned()),
            },
        }
    }
}

impl TailArgs {
    fn follows(&self) -> bool {
        self.follow || self.from == Some(Begin::Latest)
    }

    fn consumer_options(&self) -> ConsumerOptions {
        ConsumerOptions { patience: (!self.follows()).then_some(PATIENCE), ..ConsumerOptions::default() }
    }
}

/// Runs the command.
pub async fn run(args: &TailArgs) -> Result<(), Failure> {
    let client = args.brokers.connect().await?;
    let stdout = io::stdout();
    let headings = stdout.is_terminal();
    match Tail::begin(args, client, stdout.lock(), headings).await?.run().await {
        // Whoever read has enough.
        Err(Ended::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        Err(Ended::Output(error)) => Err(error.into()),
        Err(Ended::Client(error)) => Err(error.into()),
        Ok(()) => Ok(()),
    }
}

/// Why printing ended early.
#[derive(Debug, thiserror::Error)]
enum Ended {
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error(transparent)]
    Output(#[from] io::Error),
}

/// A command under way.
struct Tail<'a, W> {
    args: &'a TailArgs,
    client: Client,
    partitions: Vec<i32>,
    /// Where each partition ended at the start; without `-f`, what comes later is not shown.
    ends: BTreeMap<i32, i64>,
    formatter: Formatter,
    out: W,
}

impl<'a, W: Write> Tail<'a, W> {
    async fn begin(args: &'a TailArgs, client: Client, out: W, headings: bool) -> Result<Self, ClientError> {
        let partitions = partitions(args, &client).await?;
        let ends = client.offsets(&args.topic, &partitions, OffsetAt::Latest).await?;
        let formatter = Formatter::new(args.format, &args.topic, headings);
        Ok(Self { args, client, partitions, ends, formatter, out })
    }

    async fn run(mut self) -> Result<(), Ended> {
        let start = match self.args.from {
            None => return self.last(self.args.count.unwrap_or(LAST)).await,
            Some(Begin::Earliest) => StartAt::Earliest,
            Some(Begin::Latest) => StartAt::Latest,
            Some(Begin::Offset(offset)) => StartAt::Offset(offset),
            Some(Begin::Time(time)) => StartAt::Time(time),
        };
        let consumer = self.consumer(start).await?;
        self.print_all(consumer, self.args.count).await
    }

    async fn consumer(&self, start: StartAt) -> Result<Consumer, ClientError> {
        let (client, options) = (self.client.clone(), self.args.consumer_options());
        Consumer::assign(client, &self.args.topic, &self.partitions, start, options).await
    }

    /// Prints the last `count` records of all partitions together, then what follows if asked.
    async fn last(&mut self, count: usize) -> Result<(), Ended> {
        let starts = self.client.offsets(&self.args.topic, &self.partitions, OffsetAt::Earliest).await?;
        let mut reach = count as u64;
        loop {
            let mut consumer = self.consumer(StartAt::BeforeEnd(reach)).await?;
            let records = self.collect(&mut consumer, count).await?;
            // Offsets have gaps where records were compacted away or are markers of transactions: reach further back.
            let from_the_first =
                self.ends.iter().all(|(index, end)| end.saturating_sub_unsigned(reach) <= start_of(&starts, *index));
            if records.len() >= count || from_the_first {
                self.print(&records)?;
                return if self.args.follows() { self.print_all(consumer, None).await } else { Ok(()) };
            }
            reach = reach.saturating_mul(4);
        }
    }

    /// The latest `count` of what a consumer reads up to the ends, by timestamp.
    async fn collect(&mut self, consumer: &mut Consumer, count: usize) -> Result<Vec<FetchedRecord>, Ended> {
        let mut records = Vec::new();
        while !consumer.reached(&self.ends) {
            if let Some(mut polled) = self.poll(consumer).await? {
                records.append(&mut polled);
            }
            // With many partitions most of what is read is not among the last: drop it now and then.
            if records.len() / 4 > count.max(1_000) {
                keep_latest(&mut records, count);
            }
        }
        keep_latest(&mut records, count);
        Ok(records)
    }

    /// Prints what a consumer reads: `limit` records, or up to the ends, or for ever.
    async fn print_all(&mut self, mut consumer: Consumer, limit: Option<usize>) -> Result<(), Ended> {
        let mut left = limit.unwrap_or(usize::MAX);
        while left > 0 && (self.args.follows() || !consumer.reached(&self.ends)) {
            if let Some(mut records) = self.poll(&mut consumer).await? {
                records.truncate(left);
                left -= records.len();
                self.print(&records)?;
            }
        }
        Ok(())
    }

    /// What comes next, if that is records to be shown.
    async fn poll(&self, consumer: &mut Consumer) -> Result<Option<Vec<FetchedRecord>>, Ended> {
        match consumer.next().await? {
            Polled::Records(mut records) => {
                if !self.args.follows() {
                    records.retain(|record| record.offset < start_of(&self.ends, record.partition));
                }
                Ok(Some(records))
            }
            Polled::Moved { partition, from, to } => {
                let topic = &self.args.topic;
                writeln!(
                    io::stderr(),
                    "millpond: {topic}-{partition} has no offset {from} any more; going on at {to}"
                )?;
                Ok(None)
            }
            Polled::Nothing => Ok(None),
        }
    }

    fn print(&mut self, records: &[FetchedRecord]) -> io::Result<()> {
        let mut lines = String::new();
        for record in records {
            self.formatter.line(record, &mut lines);
        }
        self.out.write_all(lines.as_bytes())?;
        self.out.flush()
    }
}

fn start_of(offsets: &BTreeMap<i32, i64>, partition: i32) -> i64 {
    offsets.get(&partition).copied().unwrap_or(0)
}

/// Sorts by time and drops all but the last `count`.
fn keep_latest(records: &mut Vec<FetchedRecord>, count: usize) {
    records.sort_by_key(|record| (record.timestamp, record.partition, record.offset));
    records.drain(..records.len().saturating_sub(count));
}

/// The partitions to show. With `-f`, waits for the topic.
async fn partitions(args: &TailArgs, client: &Client) -> Result<Vec<i32>, ClientError> {
    let mut waiting = false;
    let info = loop {
        match client.topic_with_leaders(&args.topic).await {
            Err(ClientError::UnknownTopic { .. }) if args.follows() => {
                if !std::mem::replace(&mut waiting, true) {
                    // Should nobody be there to read it, then nobody wonders.
                    let _ = writeln!(io::stderr(), "millpond: waiting for topic {}", args.topic);
                }
                tokio::time::sleep(LOOK_AGAIN).await;
            }
            outcome => break outcome?,
        }
    };
    if args.partitions.is_empty() {
        return Ok(info.partitions().collect());
    }
    let unknown = args.partitions.iter().find(|wanted| !info.partitions().any(|partition| partition == **wanted));
    match unknown {
        Some(&partition) => Err(ClientError::UnknownPartition { topic: args.topic.clone(), partition }),
        None => Ok(args.partitions.clone()),
    }
}

#[cfg(test)]
mod tests;
