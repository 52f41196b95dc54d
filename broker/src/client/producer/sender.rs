//! The task that moves batches from the queues to the leaders, and answers back.
//!
//! One task per producer. It never waits for one broker while another could be served: connecting, refreshing metadata
//! and awaiting answers run as small tasks beside it, whose outcomes come back as events. Only it submits, so that the
//! order of requests on a connection is its own.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::{ProduceRequest, ProduceResponse};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::super::backoff::Backoff;
use super::super::cluster::{Client, TopicInfo, topic_name};
use super::super::connection::{Answer, Connection, Written};
use super::super::error::{ClientError, ErrorCode, Result};
use super::batch::Batch;
use super::queues::{Next, Verdict};
use super::{Acks, Delivery, ProducerOptions, Shared};

/// How long the broker may wait for replicas before it gives up on a request.
const REPLICAS_WAIT_MS: i32 = 30_000;

/// Something that happened beside the sender.
#[derive(Debug)]
enum Event {
    /// A connection came about, or did not.
    Connected { broker: i32, outcome: Result<Connection> },
    /// A request ended; without acknowledgements there is no answer.
    Answered { broker: i32, batches: Vec<Batch>, outcome: Result<Option<ProduceResponse>> },
    /// Leaders were asked for.
    Refreshed { topic: Arc<str>, outcome: Result<Arc<TopicInfo>> },
}

/// The batches of one request to each broker, and when to look again.
type Gathered = (BTreeMap<i32, Vec<Batch>>, Option<Instant>);

/// A broker as the sender sees it.
#[derive(Debug, Default)]
struct Broker {
    connection: Option<Connection>,
    connecting: bool,
    /// Requests without an answer.
    in_flight: usize,
    /// Not to be asked before: it throttles us, or did not answer.
    muted_until: Option<Instant>,
    backoff: Backoff,
}

impl Broker {
    fn is_muted(&self, now: Instant) -> bool {
        self.muted_until.is_some_and(|until| until > now)
    }

    fn can_take(&self, now: Instant, in_flight_max: usize) -> bool {
        self.connection.is_some() && self.in_flight < in_flight_max && !self.is_muted(now)
    }
}

/// See the module.
#[derive(Debug)]
pub(super) struct Sender {
    client: Client,
    shared: Arc<Shared>,
    options: ProducerOptions,
    delivered: mpsc::UnboundedSender<Delivery>,
    brokers: HashMap<i32, Broker>,
    events: JoinSet<Event>,
    /// Topics whose leaders must be asked for, and those that are being asked for.
    stale: BTreeSet<Arc<str>>,
    refreshing: BTreeSet<Arc<str>>,
    refresh_at: Option<Instant>,
    refresh_backoff: Backoff,
}

impl Sender {
    pub(super) fn new(
        client: Client,
        shared: Arc<Shared>,
        options: ProducerOptions,
        delivered: mpsc::UnboundedSender<Delivery>,
    ) -> Self {
        Self {
            client,
            shared,
            options,
            delivered,
            brokers: HashMap::new(),
            events: JoinSet::new(),
            stale: BTreeSet::new(),
            refreshing: BTreeSet::new(),
            refresh_at: None,
            refresh_backoff: Backoff::default(),
        }
    }

    /// Runs until a record cannot be delivered or the producer is dropped.
    pub(super) async fn run(mut self) {
        loop {
            if let Err(reason) = self.step().await {
                self.shared.lock().fail(reason);
                self.shared.progress.notify_waiters();
                return;
            }
        }
    }

    /// Sends what may go, then waits for an event, for work, or until it is time to look again.
    async fn step(&mut self) -> Result<()> {
        let wake = self.dispatch()?;
        let wake = [wake, self.refresh_stale()].into_iter().flatten().min();
        let timer = async {
            match wake {
                Some(wake) => tokio::time::sleep_until(wake).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            Some(Ok(event)) = self.events.join_next() => self.handle(event),
            () = self.shared.work.notified() => Ok(()),
            () = timer => Ok(()),
        }
    }

    /// Sends everything that may go now. Returns when to look again.
    fn dispatch(&mut self) -> Result<Option<Instant>> {
        loop {
            let now = Instant::now();
            let (requests, until) = self.gather(now)?;
            if requests.is_empty() {
                let unmuted = self.brokers.values().filter_map(|broker| broker.muted_until).filter(|at| *at > now);
                return Ok(unmuted.chain(until).min());
            }
            for (broker, batches) in requests {
                self.submit(broker, batches);
            }
        }
    }

    /// Takes batches for a request to each broker that can be served; at most one batch of a partition for each.
    fn gather(&mut self, now: Instant) -> Result<Gathered> {
        let mut requests = BTreeMap::<i32, Vec<Batch>>::new();
        let (mut taken, mut sizes, mut unready) = (BTreeSet::new(), BTreeMap::new(), BTreeSet::new());
        let in_flight_max = self.options.in_flight_max;
        loop {
            let next = self.shared.lock().take(now, |queue, leader, bytes| {
                if !self.brokers.get(&leader).is_some_and(|broker| broker.can_take(now, in_flight_max)) {
                    unready.insert(leader);
                    return false;
                }
                let fits = |size: &usize| size + bytes <= self.options.request_bytes_max;
                !taken.contains(&queue) && sizes.get(&leader).is_none_or(fits)
            })?;
            match next {
                Next::Send { leader, ready } => {
                    let batch = ready.encode()?;
                    taken.insert(batch.queue);
                    *sizes.entry(leader).or_insert(0) += batch.bytes.len();
                    requests.entry(leader).or_default().push(batch);
                }
                Next::Wait { until, leaderless } => {
                    for broker in unready {
                        self.connect(broker, now);
                    }
                    self.stale.extend(leaderless);
                    return Ok((requests, until));
                }
            }
        }
    }

    /// Connects to a broker, unless that is so, is under way, or has just failed.
    fn connect(&mut self, id: i32, now: Instant) {
        let broker = self.brokers.entry(id).or_default();
        if broker.connection.is_some() || broker.connecting || broker.is_muted(now) {
            return;
        }
        broker.connecting = true;
        let client = self.client.clone();
        self.events.spawn(async move { Event::Connected { broker: id, outcome: client.broker(id).await } });
    }

    /// Queues one request on the broker's connection, in order, and has its answer awaited.
    fn submit(&mut self, id: i32, batches: Vec<Batch>) {
        let request = produce_request(&batches, self.options.acks);
        let Some(broker) = self.brokers.get_mut(&id) else { return };
        broker.in_flight += 1;
        let connection = broker.connection.clone();
        // Submitted here and not in the task, so that requests keep their order.
        let submitted = connection.ok_or(ClientError::Closed).and_then(|connection| {
            Ok(match self.options.acks {
                Acks::None => Submitted::Unanswered(connection.submit_unanswered(&request)?),
                Acks::Leader | Acks::All => Submitted::Answered(connection.submit(&request)?),
            })
        });
        self.events.spawn(async move {
            let outcome = match submitted {
                Ok(submitted) => submitted.outcome().await,
                Err(error) => Err(error),
            };
            Event::Answered { broker: id, batches, outcome }
        });
    }

    fn handle(&mut self, event: Event) -> Result<()> {
        match event {
            Event::Connected { broker, outcome } => self.connected(broker, outcome),
            Event::Answered { broker, batches, outcome } => return self.answered(broker, batches, &outcome),
            Event::Refreshed { topic, outcome } => return self.refreshed(&topic, outcome),
        }
        Ok(())
    }

    fn connected(&mut self, id: i32, outcome: Result<Connection>) {
        let broker = self.brokers.entry(id).or_default();
        broker.connecting = false;
        match outcome {
            Ok(connection) => broker.connection = Some(connection),
            Err(error) => self.lost(id, error),
        }
    }

    /// Keeps off a broker for a moment, and asks anew who leads what: perhaps another does now.
    fn lost(&mut self, id: i32, error: ClientError) {
        let broker = self.brokers.entry(id).or_default();
        broker.connection = None;
        broker.muted_until = Some(Instant::now() + broker.backoff.advance());
        let mut queues = self.shared.lock();
        queues.note_trouble(error);
        self.stale.extend(queues.topics_led_by(id));
    }

    fn answered(&mut self, id: i32, batches: Vec<Batch>, outcome: &Result<Option<ProduceResponse>>) -> Result<()> {
        let now = Instant::now();
        let broker = self.brokers.entry(id).or_default();
        broker.in_flight -= 1;
        match outcome {
            Ok(answer) => {
                broker.backoff = Backoff::default();
                let throttle_ms = answer.as_ref().map_or(0, |answer| answer.throttle_time_ms);
                let throttle = Duration::from_millis(u64::try_from(throttle_ms).unwrap_or(0));
                broker.muted_until = (throttle > Duration::ZERO).then(|| now + throttle);
            }
            Err(error) => self.lost(id, error.clone()),
        }
        for batch in batches {
            let verdict = match outcome {
                Ok(answer) => verdict(&batch, answer.as_ref()),
                Err(error) => Verdict::Failed(error.clone()),
            };
            self.settle(batch, verdict, now)?;
        }
        self.shared.progress.notify_waiters();
        Ok(())
    }

    fn settle(&mut self, batch: Batch, verdict: Verdict, now: Instant) -> Result<()> {
        if matches!(verdict, Verdict::Failed(_)) {
            self.stale.insert(Arc::clone(&batch.topic));
        }
        let delivery = self.shared.lock().settle(batch, verdict, now)?;
        if let Some(delivery) = delivery {
            self.refresh_backoff = Backoff::default();
            // Nobody need listen.
            let _ = self.delivered.send(delivery);
        }
        Ok(())
    }

    /// Asks for leaders that are in doubt, each topic once at a time. Returns when to come back.
    fn refresh_stale(&mut self) -> Option<Instant> {
        if self.stale.is_empty() {
            return None;
        }
        let now = Instant::now();
        if let Some(at) = self.refresh_at.filter(|at| *at > now) {
            return Some(at);
        }
        for topic in std::mem::take(&mut self.stale) {
            if self.refreshing.insert(Arc::clone(&topic)) {
                let client = self.client.clone();
                self.events.spawn(async move {
                    let outcome = client.refresh(&topic).await;
                    Event::Refreshed { topic, outcome }
                });
            }
        }
        None
    }

    fn refreshed(&mut self, topic: &Arc<str>, outcome: Result<Arc<TopicInfo>>) -> Result<()> {
        self.refreshing.remove(topic);
        self.refresh_at = Some(Instant::now() + self.refresh_backoff.advance());
        match outcome {
            Ok(info) => self.shared.lock().update_leaders(topic, &info),
            // Right after a restart or in an election a broker may know less than all.
            Err(error) if error.is_retriable() || matches!(error, ClientError::UnknownTopic { .. }) => {
                self.shared.lock().note_trouble(error);
                self.stale.insert(Arc::clone(topic));
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }
}

/// A request that has been queued on a connection.
enum Submitted {
    Answered(Answer<ProduceRequest>),
    Unanswered(Written),
}

impl Submitted {
    async fn outcome(self) -> Result<Option<ProduceResponse>> {
        match self {
            Self::Answered(answer) => answer.receive(Duration::ZERO).await.map(Some),
            Self::Unanswered(written) => written.done().await.map(|()| None),
        }
    }
}

fn produce_request(batches: &[Batch], acks: Acks) -> ProduceRequest {
    let mut by_topic: BTreeMap<&str, Vec<PartitionProduceData>> = BTreeMap::new();
    for batch in batches {
        let data = PartitionProduceData::default().with_index(batch.partition).with_records(Some(batch.bytes.clone()));
        by_topic.entry(&batch.topic).or_default().push(data);
    }
    let topics = by_topic.into_iter().map(|(topic, partitions)| {
        TopicProduceData::default().with_name(topic_name(topic)).with_partition_data(partitions)
    });
    ProduceRequest::default().with_acks(acks.code()).with_timeout_ms(REPLICAS_WAIT_MS).with_topic_data(topics.collect())
}

/// What an answer says about a batch; without an answer, it is as good as written.
fn verdict(batch: &Batch, answer: Option<&ProduceResponse>) -> Verdict {
    let Some(answer) = answer else { return Verdict::Written { base_offset: -1 } };
    let partition = answer
        .responses
        .iter()
        .filter(|topic| topic.name.as_str() == &*batch.topic)
        .flat_map(|topic| &topic.partition_responses)
        .find(|partition| partition.index == batch.partition);
    let what = || format!("writing to {}-{}", batch.topic, batch.partition);
    let Some(partition) = partition else {
        let message = "the broker's answer leaves the partition out";
        return Verdict::Failed(ClientError::refused(what(), ErrorCode::UnknownServerError, Some(message)));
    };
    match ErrorCode::try_from_code(partition.error_code) {
        None => Verdict::Written { base_offset: partition.base_offset },
        // An earlier try got through after all.
        Some(ErrorCode::DuplicateSequenceNumber) => Verdict::Written { base_offset: -1 },
        Some(code) => Verdict::Failed(ClientError::refused(what(), code, partition.error_message.as_deref())),
    }
}
