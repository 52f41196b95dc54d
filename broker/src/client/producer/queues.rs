//! What waits to be sent, per partition, and the rules of order.
//!
//! A partition's records pass through three places: the *open* batch that takes new ones, the *full* batches, and, after
//! a failure, the batches to *resend*. At most `in_flight_max` batches are on their way; their order numbers are kept, which
//! grow in the order of the records.
//!
//! A broker that knows nothing of a producer takes its batches from any sequence on: a second batch would be written though
//! the first was not, and the first be refused for ever. So a partition's first batch goes alone.
//!
//! After a failure nothing new goes until all that was on its way has come back; then what failed goes again, one batch
//! at a time, in order. So no batch overtakes an earlier one, whatever fails.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use millpond_storage::batch::NewRecord;
use tokio::time::Instant;

use super::super::backoff::Backoff;
use super::super::cluster::TopicInfo;
use super::super::error::{ClientError, ErrorCode, Result};
use super::batch::{Batch, Filling, Place, Ready, payload_bytes};
use super::partitioner::partition_of;
use super::{Acks, Delivery, ProducerOptions, ProducerTopic};

/// What became of a record that was offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Admission {
    /// It joined a batch.
    Taken,
    /// It joined a batch, and the sender must hear of it.
    NewWork,
    /// There is no room now.
    Full,
}

/// What a broker said to a batch.
#[derive(Debug, Clone)]
pub(super) enum Verdict {
    /// It is in the log, from this offset on.
    Written {
        /// −1 if not told.
        base_offset: i64,
    },
    /// It is not, or perhaps.
    Failed(ClientError),
}

/// All queues of a producer.
#[derive(Debug)]
pub(super) struct Queues {
    options: ProducerOptions,
    producer: Option<(i64, i16)>,
    in_flight_max: usize,
    partitions: Vec<Queue>,
    /// By `ProducerTopic::first`: the partition that takes records without a key now.
    sticky: BTreeMap<usize, usize>,
    buffered_bytes: usize,
    outstanding: u64,
    flushing: usize,
    /// Where the next look for work begins, so that no partition starves.
    next: usize,
    /// What has kept records from going since the last delivery; named when their time is up.
    trouble: Option<ClientError>,
    failure: Option<ClientError>,
}

#[derive(Debug)]
struct Queue {
    topic: Arc<str>,
    partition: i32,
    leader: Option<i32>,
    open: Option<Filling>,
    full: VecDeque<Filling>,
    resend: BTreeMap<u64, Batch>,
    in_flight: BTreeSet<u64>,
    next_order: u64,
    next_sequence: i32,
    /// The broker has written a batch of this queue, and so knows its producer.
    is_known: bool,
    retry: Option<Retry>,
}

/// After a failure: when to try again.
#[derive(Debug)]
struct Retry {
    at: Instant,
    backoff: Backoff,
}

/// What to do next.
#[derive(Debug)]
pub(super) enum Next {
    /// Send this to the partition's leader.
    Send { leader: i32, ready: Ready },
    /// Nothing, before something happens or the moment comes. These topics have something for partitions without leader.
    Wait { until: Option<Instant>, leaderless: BTreeSet<Arc<str>> },
}

/// When a queue has something to send.
enum Readiness {
    Now,
    At(Instant),
    Never,
}

impl Queues {
    pub(super) fn new(options: &ProducerOptions, producer: Option<(i64, i16)>) -> Self {
        Self {
            options: options.clone(),
            producer,
            // Without idempotence a second batch might be written before a first that is tried again.
            in_flight_max: if producer.is_some() || options.acks == Acks::None { options.in_flight_max } else { 1 },
            partitions: Vec::new(),
            sticky: BTreeMap::new(),
            buffered_bytes: 0,
            outstanding: 0,
            flushing: 0,
            next: 0,
            trouble: None,
            failure: None,
        }
    }

    /// Adds queues for a topic's partitions and returns the place of the first.
    pub(super) fn add_topic(&mut self, topic: &Arc<str>, info: &TopicInfo) -> usize {
        let first = self.partitions.len();
        self.partitions.extend(info.partitions().map(|partition| Queue::new(topic, partition, info.leader(partition))));
        first
    }

    /// Takes over new leaders.
    pub(super) fn update_leaders(&mut self, topic: &str, info: &TopicInfo) {
        for queue in self.partitions.iter_mut().filter(|queue| &*queue.topic == topic) {
            queue.leader = info.leader(queue.partition);
        }
    }

    /// How many batches are on their way.
    pub(super) fn in_flight(&self) -> usize {
        self.partitions.iter().map(|queue| queue.in_flight.len()).sum()
    }

    /// The topics of which `broker` leads a partition.
    pub(super) fn topics_led_by(&self, broker: i32) -> BTreeSet<Arc<str>> {
        let led = self.partitions.iter().filter(|queue| queue.leader == Some(broker));
        led.map(|queue| Arc::clone(&queue.topic)).collect()
    }

    /// Adds a record to its partition's open batch, unless too much is on its way.
    pub(super) fn admit(
        &mut self,
        topic: &ProducerTopic,
        partition: Option<i32>,
        record: &NewRecord<'_>,
        due: Instant,
    ) -> Result<Admission> {
        if let Some(failure) = &self.failure {
            return Err(failure.clone());
        }
        let payload = payload_bytes(record);
        // A record that is larger than the buffer still goes, alone.
        if self.buffered_bytes > 0 && self.buffered_bytes + payload > self.options.buffer_bytes_max {
            return Ok(Admission::Full);
        }
        let queue = self.place(topic, partition, record)?;
        let (admission, charged) = self.partitions[queue].append(record, due, &self.options)?;
        self.buffered_bytes += charged;
        self.outstanding += 1;
        Ok(admission)
    }

    /// The queue for a record.
    fn place(&mut self, topic: &ProducerTopic, partition: Option<i32>, record: &NewRecord<'_>) -> Result<usize> {
        let within = match (partition, record.key) {
            (Some(partition), _) => usize::try_from(partition)
                .ok()
                .filter(|index| *index < topic.partitions)
                .ok_or_else(|| ClientError::UnknownPartition { topic: topic.name.to_string(), partition })?,
            (None, Some(key)) => partition_of(key, topic.partitions),
            (None, None) => self.stick(topic),
        };
        Ok(topic.first + within)
    }

    /// The partition for a record without a key: one stays until its batch is gone, so that batches fill.
    fn stick(&mut self, topic: &ProducerTopic) -> usize {
        let sticky = self.sticky.entry(topic.first).or_insert(0);
        if self.partitions.get(topic.first + *sticky).is_none_or(|queue| queue.open.is_none()) {
            *sticky = (*sticky + 1) % topic.partitions.max(1);
        }
        *sticky
    }

    /// The next batch that may go. `takes` is asked with a queue, its leader, and about how many bytes the batch has.
    pub(super) fn take(&mut self, now: Instant, mut takes: impl FnMut(usize, i32, usize) -> bool) -> Result<Next> {
        let mut until: Option<Instant> = None;
        let mut leaderless = BTreeSet::new();
        let (count, delivery_timeout) = (self.partitions.len(), self.options.delivery_timeout);
        for step in 0..count {
            let index = (self.next + step) % count;
            let queue = &mut self.partitions[index];
            queue.check_deadline(now, delivery_timeout, self.trouble.as_ref())?;
            match (queue.readiness(now, self.in_flight_max, self.flushing > 0, self.options.linger), queue.leader) {
                (Readiness::Now, Some(leader)) if takes(index, leader, queue.next_bytes()) => {
                    if let Some(ready) = queue.take(index, self.producer, delivery_timeout) {
                        self.next = index + 1;
                        return Ok(Next::Send { leader, ready });
                    }
                }
                (Readiness::Now, None) => drop(leaderless.insert(Arc::clone(&queue.topic))),
                (Readiness::At(at), _) => until = Some(until.map_or(at, |until| until.min(at))),
                (Readiness::Now | Readiness::Never, _) => {}
            }
        }
        Ok(Next::Wait { until, leaderless })
    }

    /// What an answer means. A delivery is reported, a failure that can heal leads to a retry; another is an error.
    pub(super) fn settle(&mut self, batch: Batch, verdict: Verdict, now: Instant) -> Result<Option<Delivery>> {
        let queue = &mut self.partitions[batch.queue];
        // With an earlier batch unsettled or failed, a gap in sequences is only its echo.
        let is_first = queue.in_flight.first() == Some(&batch.order)
            && queue.resend.first_key_value().is_none_or(|(order, _)| *order > batch.order);
        queue.in_flight.remove(&batch.order);
        match verdict {
            Verdict::Written { base_offset } => {
                queue.is_known = true;
                self.trouble = None;
                if queue.resend.is_empty() {
                    queue.retry = None;
                }
                self.buffered_bytes -= batch.charged;
                self.outstanding -= u64::from(batch.records);
                Ok(Some(batch.delivered(base_offset, now)))
            }
            Verdict::Failed(error) if may_retry(&error, is_first) => {
                queue.retry_later(batch, now);
                self.trouble = Some(error);
                Ok(None)
            }
            Verdict::Failed(error) => Err(error),
        }
    }

    /// Remembers what keeps records from going.
    pub(super) fn note_trouble(&mut self, trouble: ClientError) {
        self.trouble = Some(trouble);
    }

    /// What has kept records from going since the last delivery.
    pub(super) fn trouble(&self) -> Option<&ClientError> {
        self.trouble.as_ref()
    }

    /// Whether nothing waits or is on its way.
    pub(super) fn is_drained(&self) -> Result<bool> {
        match &self.failure {
            Some(failure) => Err(failure.clone()),
            None => Ok(self.outstanding == 0),
        }
    }

    pub(super) fn begin_flush(&mut self) {
        self.flushing += 1;
    }

    pub(super) fn end_flush(&mut self) {
        self.flushing -= 1;
    }

    /// Ends all: every later call gives the first reason.
    pub(super) fn fail(&mut self, reason: ClientError) {
        self.failure.get_or_insert(reason);
        self.partitions.iter_mut().for_each(Queue::clear);
    }
}

/// A retry helps if the error may pass. A gap in the sequences passes only if an earlier batch is the cause.
fn may_retry(error: &ClientError, is_first: bool) -> bool {
    match error {
        ClientError::Refused { code: ErrorCode::OutOfOrderSequenceNumber, .. } => !is_first,
        _ => error.is_retriable(),
    }
}

impl Queue {
    fn new(topic: &Arc<str>, partition: i32, leader: Option<i32>) -> Self {
        Self {
            topic: Arc::clone(topic),
            partition,
            leader,
            open: None,
            full: VecDeque::new(),
            resend: BTreeMap::new(),
            in_flight: BTreeSet::new(),
            next_order: 0,
            next_sequence: 0,
            is_known: false,
            retry: None,
        }
    }

    fn clear(&mut self) {
        self.open = None;
        self.full.clear();
        self.resend.clear();
    }

    /// Adds a record, and says how many bytes of the buffer it takes.
    fn append(
        &mut self,
        record: &NewRecord<'_>,
        due: Instant,
        options: &ProducerOptions,
    ) -> Result<(Admission, usize)> {
        let fits = |open: &Filling| open.bytes() + payload_bytes(record) < options.batch_bytes;
        if self.open.as_ref().is_some_and(|open| !fits(open)) {
            self.full.extend(self.open.take());
        }
        let (before, bytes) = match &mut self.open {
            Some(open) => {
                let before = open.bytes();
                open.push(record)?;
                (before, open.bytes())
            }
            None => (0, self.open.insert(Filling::begin(record, due, options)?).bytes()),
        };
        let is_full = bytes >= options.batch_bytes;
        if is_full {
            self.full.extend(self.open.take());
        }
        // The sender hears of a first record (to set its clock) and of a full batch (to send it).
        let admission = if before == 0 || is_full { Admission::NewWork } else { Admission::Taken };
        Ok((admission, bytes - before))
    }

    fn readiness(&self, now: Instant, in_flight_max: usize, flushing: bool, linger: Duration) -> Readiness {
        if !self.resend.is_empty() {
            return match &self.retry {
                _ if !self.in_flight.is_empty() => Readiness::Never,
                Some(retry) if retry.at > now => Readiness::At(retry.at),
                _ => Readiness::Now,
            };
        }
        if self.in_flight.len() >= if self.is_known { in_flight_max } else { 1 } {
            return Readiness::Never;
        }
        match &self.open {
            _ if !self.full.is_empty() => Readiness::Now,
            None => Readiness::Never,
            Some(open) if flushing || open.since + linger <= now => Readiness::Now,
            Some(open) => Readiness::At(open.since + linger),
        }
    }

    /// About how many bytes the next batch has.
    fn next_bytes(&self) -> usize {
        let waiting = || self.full.front().or(self.open.as_ref()).map(Filling::bytes);
        self.resend.values().next().map(|batch| batch.bytes.len()).or_else(waiting).unwrap_or(0)
    }

    /// The batch that `readiness` promised, numbered.
    fn take(&mut self, queue: usize, producer: Option<(i64, i16)>, delivery_timeout: Duration) -> Option<Ready> {
        let ready = match self.resend.pop_first() {
            Some((_, batch)) => Ready::Again(batch),
            None => self.number_next(queue, producer, delivery_timeout)?,
        };
        self.in_flight.insert(ready.batch().order);
        Some(ready)
    }

    fn number_next(&mut self, queue: usize, producer: Option<(i64, i16)>, delivery_timeout: Duration) -> Option<Ready> {
        let filling = self.full.pop_front().or_else(|| self.open.take())?;
        self.next_order += 1;
        let (topic, partition, order) = (&self.topic, self.partition, self.next_order);
        let place = Place { queue, topic, partition, order, delivery_timeout };
        let sequence = self.next_sequence;
        let (ready, records) = filling.number(&place, producer.map(|(id, epoch)| (id, epoch, sequence)));
        self.next_sequence = sequence_after(sequence, records);
        Some(ready)
    }

    fn retry_later(&mut self, batch: Batch, now: Instant) {
        let mut backoff = self.retry.take().map(|retry| retry.backoff).unwrap_or_default();
        let at = now + backoff.advance();
        self.retry = Some(Retry { at, backoff });
        self.resend.insert(batch.order, batch);
    }

    /// Fails when the oldest batch that is not on its way has had its time.
    fn check_deadline(&self, now: Instant, after: Duration, trouble: Option<&ClientError>) -> Result<()> {
        let oldest_waiting = self.full.front().or(self.open.as_ref()).map(|filling| filling.since + after);
        let deadline = self.resend.values().next().map(|batch| batch.deadline).or(oldest_waiting);
        if deadline.is_none_or(|deadline| deadline > now) {
            return Ok(());
        }
        let reason = trouble.map_or_else(|| "the broker is too slow".to_owned(), ToString::to_string);
        Err(ClientError::Undeliverable { topic: self.topic.to_string(), partition: self.partition, after, reason })
    }
}

/// Sequences count records, and begin again from 0 after 2^31 − 1.
fn sequence_after(sequence: i32, records: u32) -> i32 {
    let next = (i64::from(sequence) + i64::from(records)) & i64::from(i32::MAX);
    i32::try_from(next).expect("masked to 31 bits")
}
