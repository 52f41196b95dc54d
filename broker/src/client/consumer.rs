//! A consumer of given partitions: no group, no commits (those are `group`'s).
//!
//! Each leader is asked by one long-polling fetch at a time for all its partitions. Records of a partition come in order.
//! Leaders that move, restarts and elections are ridden out, for as long as `patience` allows. Should an offset be
//! gone (retention) or not be there any more (a log cut back), the consumer goes on at the nearest one and says so.
//!
//! It reads uncommitted: records of aborted transactions are not left out. Control batches are.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::fetch_response::PartitionData;
use kafka_protocol::messages::{BrokerId, FetchRequest, FetchResponse};
use millpond_storage::batch::{Batch, BatchIter, HeaderError, Record, Records};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::admin::OffsetAt;
use super::backoff::Backoff;
use super::cluster::{Client, TopicInfo, topic_name};
use super::error::{ClientError, ErrorCode, Result};

/// How to consume.
#[derive(Debug, Clone)]
pub struct ConsumerOptions {
    /// How long a broker may wait for new records before it answers without any.
    pub max_wait: Duration,
    /// About how many bytes an answer may have.
    pub fetch_bytes_max: i32,
    /// About how many of them may be of one partition.
    pub partition_bytes_max: i32,
    /// How many bytes the records of one batch may have when decompressed.
    pub batch_bytes_max: usize,
    /// How long to go on while nothing can be fetched; `None`: for ever.
    pub patience: Option<Duration>,
}

impl Default for ConsumerOptions {
    fn default() -> Self {
        Self {
            max_wait: Duration::from_millis(500),
            fetch_bytes_max: 8 << 20,
            partition_bytes_max: 1 << 20,
            batch_bytes_max: 256 << 20,
            patience: Some(Duration::from_mins(1)),
        }
    }
}

/// Where to begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StartAt {
    /// With the first record that there is.
    Earliest,
    /// With the next record to be written.
    Latest,
    /// With this offset, or the nearest there is.
    Offset(i64),
    /// So many records before the end, or with the first there is.
    BeforeEnd(u64),
    /// With the first record at or after this time, in milliseconds since the epoch.
    Time(i64),
}

/// A record, owned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FetchedRecord {
    /// Its partition.
    pub partition: i32,
    /// Its offset.
    pub offset: i64,
    /// Its timestamp in milliseconds since the epoch; −1: none.
    pub timestamp: i64,
    /// Its key.
    pub key: Option<Bytes>,
    /// Its value.
    pub value: Option<Bytes>,
    /// Its headers, in order; keys may repeat and need not be UTF-8.
    pub headers: Vec<(Bytes, Option<Bytes>)>,
}

/// What a consumer has to tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Polled {
    /// Records of one partition, at least one.
    Records(Vec<FetchedRecord>),
    /// The next offset was not there: the consumer goes on at another.
    Moved {
        /// The partition.
        partition: i32,
        /// The offset that was wanted.
        from: i64,
        /// The one with which it goes on.
        to: i64,
    },
    /// A fetch brought no records: an occasion to look at positions, or at the clock.
    Nothing,
}

/// See the module.
#[derive(Debug)]
pub struct Consumer {
    client: Client,
    topic: Arc<str>,
    options: ConsumerOptions,
    info: Arc<TopicInfo>,
    positions: BTreeMap<i32, Position>,
    events: JoinSet<Event>,
    /// Leaders with a fetch under way.
    fetching: BTreeSet<i32>,
    refreshing: bool,
    ready: VecDeque<Polled>,
    backoff: Backoff,
    /// Since when nothing could be fetched.
    failing_since: Option<Instant>,
}

#[derive(Debug)]
struct Position {
    next: i64,
    /// Not to be fetched before: it failed.
    not_before: Option<Instant>,
    /// Its bounds are being asked for.
    resetting: bool,
}

#[derive(Debug)]
enum Event {
    Fetched { broker: i32, asked: BTreeMap<i32, i64>, outcome: Result<FetchResponse> },
    Refreshed { outcome: Result<Arc<TopicInfo>> },
    Bounds { partition: i32, outcome: Result<(i64, i64)> },
}

impl Consumer {
    /// Consumes these partitions of a topic.
    pub async fn assign(
        client: Client,
        topic: &str,
        partitions: &[i32],
        start: StartAt,
        options: ConsumerOptions,
    ) -> Result<Self> {
        let starts = starts(&client, topic, partitions, start).await?;
        Self::assign_at(client, topic, &starts, options).await
    }

    /// Consumes partitions of a topic, each from an offset of its own, or the nearest there is.
    pub async fn assign_at(
        client: Client,
        topic: &str,
        starts: &BTreeMap<i32, i64>,
        options: ConsumerOptions,
    ) -> Result<Self> {
        let info = client.topic_with_leaders(topic).await?;
        let positions = starts.iter().map(|(&partition, &next)| (partition, Position::at(next)));
        Ok(Self {
            positions: positions.collect(),
            client,
            topic: Arc::from(topic),
            options,
            info,
            events: JoinSet::new(),
            fetching: BTreeSet::new(),
            refreshing: false,
            ready: VecDeque::new(),
            backoff: Backoff::default(),
            failing_since: None,
        })
    }

    /// Whether everything before these offsets has been returned by `next`.
    pub fn reached(&self, ends: &BTreeMap<i32, i64>) -> bool {
        let passed = |partition, end| self.positions.get(partition).is_none_or(|position| position.next >= end);
        self.ready.is_empty() && ends.iter().all(|(partition, end)| passed(partition, *end))
    }

    /// What comes next. May be dropped while it waits; nothing is lost.
    pub async fn next(&mut self) -> Result<Polled> {
        loop {
            // Fetch on while the caller is busy, but not far ahead of it.
            if self.ready.len() <= 1 {
                self.fetch();
            }
            if let Some(polled) = self.ready.pop_front() {
                return Ok(polled);
            }
            let wake = self.positions.values().filter_map(|position| position.not_before).min();
            let timer = async {
                match wake {
                    Some(wake) => tokio::time::sleep_until(wake).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                Some(Ok(event)) = self.events.join_next() => self.handle(event)?,
                () = timer => {}
            }
        }
    }

    /// Starts a fetch from each leader that has none under way.
    fn fetch(&mut self) {
        let now = Instant::now();
        let mut by_leader: BTreeMap<i32, BTreeMap<i32, i64>> = BTreeMap::new();
        let mut leaderless = false;
        for (&partition, position) in &mut self.positions {
            if position.resetting || position.not_before.is_some_and(|at| at > now) {
                continue;
            }
            position.not_before = None;
            match self.info.leader(partition) {
                Some(leader) if self.fetching.contains(&leader) => {}
                Some(leader) => drop(by_leader.entry(leader).or_default().insert(partition, position.next)),
                None => {
                    leaderless = true;
                    position.not_before = Some(now + self.backoff.advance());
                }
            }
        }
        for (broker, asked) in by_leader {
            self.fetching.insert(broker);
            let request = fetch_request(&self.topic, &asked, &self.options);
            let (client, max_wait) = (self.client.clone(), self.options.max_wait);
            self.events.spawn(async move {
                let outcome = fetch_from(&client, broker, &request, max_wait).await;
                Event::Fetched { broker, asked, outcome }
            });
        }
        if leaderless {
            self.refresh();
        }
    }

    fn refresh(&mut self) {
        if !std::mem::replace(&mut self.refreshing, true) {
            let (client, topic) = (self.client.clone(), Arc::clone(&self.topic));
            self.events.spawn(async move { Event::Refreshed { outcome: client.refresh(&topic).await } });
        }
    }

    fn handle(&mut self, event: Event) -> Result<()> {
        match event {
            Event::Fetched { broker, asked, outcome } => {
                self.fetching.remove(&broker);
                self.fetched(&asked, outcome)
            }
            Event::Refreshed { outcome } => {
                self.refreshing = false;
                match outcome {
                    Ok(info) => self.info = info,
                    Err(error) => self.bear(error)?,
                }
                Ok(())
            }
            Event::Bounds { partition, outcome } => self.reset(partition, outcome),
        }
    }

    fn fetched(&mut self, asked: &BTreeMap<i32, i64>, outcome: Result<FetchResponse>) -> Result<()> {
        let answer = match outcome.and_then(|answer| whole(&self.topic, answer)) {
            Ok(answer) => answer,
            Err(error) => {
                for partition in asked.keys() {
                    self.trouble(*partition, error.clone())?;
                }
                return Ok(());
            }
        };
        let before = self.ready.len();
        for partition in answer.responses.iter().flat_map(|topic| &topic.partitions) {
            if let Some(&from) = asked.get(&partition.partition_index) {
                self.partition_fetched(partition, from)?;
            }
        }
        if self.ready.len() == before {
            self.ready.push_back(Polled::Nothing);
        }
        Ok(())
    }

    fn partition_fetched(&mut self, answer: &PartitionData, from: i64) -> Result<()> {
        let partition = answer.partition_index;
        match ErrorCode::try_from_code(answer.error_code) {
            None => {
                self.failing_since = None;
                self.backoff = Backoff::default();
                let bytes = answer.records.clone().unwrap_or_default();
                let (records, next) = self.read(partition, from, &bytes)?;
                if let Some(position) = self.positions.get_mut(&partition) {
                    position.next = next;
                }
                if !records.is_empty() {
                    self.ready.push_back(Polled::Records(records));
                }
                Ok(())
            }
            Some(ErrorCode::OffsetOutOfRange) => {
                self.find_bounds(partition);
                Ok(())
            }
            Some(code) => {
                let what = format!("reading {}-{partition}", self.topic);
                self.trouble(partition, ClientError::refused(what, code, None))
            }
        }
    }

    /// The records from offset `from` on, and the offset to go on with.
    fn read(&self, partition: i32, from: i64, bytes: &Bytes) -> Result<(Vec<FetchedRecord>, i64)> {
        let bad = |reason: String| ClientError::BadBatch { topic: self.topic.to_string(), partition, reason };
        let (mut records, mut next) = (Vec::new(), from);
        for batch in BatchIter::new(bytes) {
            let batch = match batch {
                Ok(batch) => batch,
                // A broker may cut off what is beyond the limit, but sends one batch whole.
                Err(damage) if damage.position > 0 && matches!(damage.error, HeaderError::Truncated { .. }) => break,
                Err(damage) => return Err(bad(damage.to_string())),
            };
            if !batch.header().attributes().is_control() {
                self.read_batch(partition, from, bytes, &batch, &mut records).map_err(bad)?;
            }
            next = next.max(batch.header().next_offset());
        }
        Ok((records, next))
    }

    fn read_batch(
        &self,
        partition: i32,
        from: i64,
        bytes: &Bytes,
        batch: &Batch<'_>,
        records: &mut Vec<FetchedRecord>,
    ) -> Result<(), String> {
        let plain = batch.plain_records(self.options.batch_bytes_max).map_err(|error| error.to_string())?;
        let plain = match plain {
            std::borrow::Cow::Borrowed(plain) => bytes.slice_ref(plain),
            std::borrow::Cow::Owned(plain) => Bytes::from(plain),
        };
        for record in Records::new(batch.header(), &plain) {
            let record = record.map_err(|error| error.to_string())?;
            if record.offset >= from {
                records.push(owned(partition, &plain, &record));
            }
        }
        Ok(())
    }

    /// Tries a partition again later, with new leaders, or gives up.
    fn trouble(&mut self, partition: i32, error: ClientError) -> Result<()> {
        self.bear(error)?;
        let at = Instant::now() + self.backoff.advance();
        if let Some(position) = self.positions.get_mut(&partition) {
            position.not_before = Some(at);
        }
        self.refresh();
        Ok(())
    }

    /// Bears a failure that may pass, as long as patience lasts.
    fn bear(&mut self, error: ClientError) -> Result<()> {
        let passing = error.is_retriable() || matches!(error, ClientError::UnknownTopic { .. });
        let now = Instant::now();
        let since = *self.failing_since.get_or_insert(now);
        let patient = self.options.patience.is_none_or(|patience| now - since < patience);
        if passing && patient { Ok(()) } else { Err(error) }
    }

    /// Asks where a partition begins and ends now.
    fn find_bounds(&mut self, partition: i32) {
        if let Some(position) = self.positions.get_mut(&partition) {
            position.resetting = true;
            let (client, topic) = (self.client.clone(), Arc::clone(&self.topic));
            self.events
                .spawn(async move { Event::Bounds { partition, outcome: bounds(&client, &topic, partition).await } });
        }
    }

    fn reset(&mut self, partition: i32, outcome: Result<(i64, i64)>) -> Result<()> {
        let Some(position) = self.positions.get_mut(&partition) else { return Ok(()) };
        position.resetting = false;
        match outcome {
            Ok((earliest, latest)) => {
                let from = position.next;
                position.next = nearest(from, earliest, latest);
                self.ready.push_back(Polled::Moved { partition, from, to: position.next });
                Ok(())
            }
            Err(error) => self.trouble(partition, error),
        }
    }
}

impl Position {
    fn at(next: i64) -> Self {
        Self { next, not_before: None, resetting: false }
    }
}

/// An error for the whole answer is one for each partition.
fn whole(topic: &str, answer: FetchResponse) -> Result<FetchResponse> {
    match ErrorCode::try_from_code(answer.error_code) {
        None => Ok(answer),
        Some(code) => Err(ClientError::refused(format!("reading {topic}"), code, None)),
    }
}

async fn fetch_from(client: &Client, broker: i32, request: &FetchRequest, wait: Duration) -> Result<FetchResponse> {
    client.broker(broker).await?.submit(request)?.receive(wait).await
}

/// A fetch without a session.
fn fetch_request(topic: &str, asked: &BTreeMap<i32, i64>, options: &ConsumerOptions) -> FetchRequest {
    let partitions = asked.iter().map(|(&partition, &from)| {
        FetchPartition::default()
            .with_partition(partition)
            .with_current_leader_epoch(-1)
            .with_fetch_offset(from)
            .with_partition_max_bytes(options.partition_bytes_max)
    });
    let topic = FetchTopic::default().with_topic(topic_name(topic)).with_partitions(partitions.collect());
    FetchRequest::default()
        .with_replica_id(BrokerId(-1))
        .with_max_wait_ms(i32::try_from(options.max_wait.as_millis()).unwrap_or(i32::MAX))
        .with_min_bytes(1)
        .with_max_bytes(options.fetch_bytes_max)
        .with_session_epoch(-1)
        .with_topics(vec![topic])
}

fn owned(partition: i32, plain: &Bytes, record: &Record<'_>) -> FetchedRecord {
    let keep = |part: Option<&[u8]>| part.map(|part| plain.slice_ref(part));
    let headers = record.headers.into_iter().map(|header| (plain.slice_ref(header.key), keep(header.value)));
    FetchedRecord {
        partition,
        offset: record.offset,
        timestamp: record.timestamp,
        key: keep(record.key),
        value: keep(record.value),
        headers: headers.collect(),
    }
}

async fn bounds(client: &Client, topic: &str, partition: i32) -> Result<(i64, i64)> {
    let earliest = client.offsets(topic, &[partition], OffsetAt::Earliest).await?;
    let latest = client.offsets(topic, &[partition], OffsetAt::Latest).await?;
    let of = |offsets: &BTreeMap<i32, i64>| offsets.get(&partition).copied().unwrap_or(0);
    Ok((of(&earliest), of(&latest)))
}

/// Where `wanted` lies within a log; the bounds themselves may have moved apart between two questions.
fn nearest(wanted: i64, earliest: i64, latest: i64) -> i64 {
    wanted.min(latest).max(earliest)
}

/// The offset with which each partition begins.
async fn starts(client: &Client, topic: &str, partitions: &[i32], start: StartAt) -> Result<BTreeMap<i32, i64>> {
    let wanted = |latest: i64| match start {
        StartAt::BeforeEnd(records) => latest.saturating_sub_unsigned(records),
        StartAt::Offset(offset) => offset,
        StartAt::Earliest | StartAt::Latest | StartAt::Time(_) => latest,
    };
    match start {
        StartAt::Earliest => client.offsets(topic, partitions, OffsetAt::Earliest).await,
        StartAt::Latest => client.offsets(topic, partitions, OffsetAt::Latest).await,
        StartAt::Time(time) => client.offsets(topic, partitions, OffsetAt::Time(time)).await,
        StartAt::Offset(_) | StartAt::BeforeEnd(_) => {
            let earliest = client.offsets(topic, partitions, OffsetAt::Earliest).await?;
            let latest = client.offsets(topic, partitions, OffsetAt::Latest).await?;
            let start = |(partition, end): (&i32, &i64)| {
                let begin = earliest.get(partition).copied().unwrap_or(0);
                (*partition, nearest(wanted(*end), begin, *end))
            };
            Ok(latest.iter().map(start).collect())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_start_lies_within_the_log() {
        assert_eq!(nearest(5, 10, 20), 10);
        assert_eq!(nearest(15, 10, 20), 15);
        assert_eq!(nearest(25, 10, 20), 20);
    }
}
