//! `Produce` (key 0), versions 3–13 (0–2 are advertised and answered as unsupported): appends one batch per partition.
//!
//! A batch is checked here, on the connection's task: head, CRC, timestamps, codec. What is sound goes to the writer of its volume in one submission, which
//! numbers and writes it; `acks=1` is answered when it is written, `acks=all` when every client can read it. `timeout_ms` is how long Kafka waits for other
//! replicas; there are none, so it bounds nothing. A batch is refused alone, with Kafka's code and a message (v8). Transactional ids are refused until there
//! are transactions.
//!
//! A batch that its volume's hard quota has no room for is refused with `NOT_ENOUGH_REPLICAS`, which every client retries; the answer throttles, and the
//! connection is not read from for as long. What its producer sent behind it is refused likewise, so that no gap comes to be (`quotas::Held`).
//!
//! - v3: transactional id, batches of format 2. v5: log start offset. v7: zstd. v8: errors of single records and messages (KIP-467).
//! - v9: flexible. v10: where the leader is now (KIP-951); with one node there is nothing to say. v13: topic ids in place of names (KIP-516).

use std::collections::HashSet;
use std::future::Future;

use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::produce_response::{
    BatchIndexAndErrorMessage, PartitionProduceResponse, TopicProduceResponse,
};
use kafka_protocol::messages::{ProduceRequest, ProduceResponse};
use kafka_protocol::protocol::StrBytes;
use millpond_storage::batch::{self, BatchError, Rules, TimestampType};
use millpond_storage::{Ack, Append, AppendError, AppendPart, Appended, Timeline, TopicPartition};
use uuid::Uuid;

use super::error::{self, ErrorCode};
use super::{Answer, Api, Context, Outcome};
use crate::completion;
use crate::config;
use crate::quotas::{Charge, Sender, THROTTLE};
use crate::topics::{Resolved, Spelling, TopicError};

/// The API.
pub(super) struct Produce;

impl Api for Produce {
    type Request = ProduceRequest;

    fn handle(ctx: &Context, request: ProduceRequest) -> Answer<ProduceResponse> {
        let ack = match request.acks {
            0 | 1 => Ack::Written,
            -1 => Ack::Visible,
            _ => return Answer::now(refuse_all(&request, ErrorCode::InvalidRequiredAcks)),
        };
        if let Some(id) = &request.transactional_id {
            tracing::debug!(id = %id.as_str(), peer = %ctx.peer(), "transactions are not served");
            return Answer::now(refuse_all(&request, ErrorCode::TransactionalIdAuthorizationFailed));
        }
        let acks = request.acks;
        let mut work = Work::default();
        for topic in request.topic_data {
            work.topic(ctx, topic);
        }
        work.throttle(ctx);
        let waiting = work.submit(ack);
        if acks == 0 {
            return Answer::outcome_later(async move { quiet(&waiting.all().await) });
        }
        Answer::later(waiting.all())
    }
}

/// `acks=0` is never answered; an error ends the connection, which is all that the client can notice.
fn quiet(response: &ProduceResponse) -> Outcome<ProduceResponse> {
    let mut partitions = response.responses.iter().flat_map(|topic| &topic.partition_responses);
    if partitions.any(|partition| partition.error_code != error::NONE) {
        return Outcome::Close("a batch with acks=0 was refused");
    }
    Outcome::Silent
}

/// A request while it is taken apart: the response with what is known, and what goes to the writers.
#[derive(Default)]
struct Work {
    response: ProduceResponse,
    volumes: Vec<Submission>,
    seen: HashSet<(Uuid, TopicPartition)>,
    /// Whether some volume had no room for a batch.
    is_full: bool,
}

/// What goes to one volume's writer under one kind of name, and where in the response each part is answered. (A client that
/// calls a topic by two names may write a partition twice in one request.)
struct Submission {
    timeline: Timeline,
    spelling: Spelling,
    parts: Vec<AppendPart>,
    places: Vec<(usize, usize)>,
    /// What they take of the volume's quota, until they are counted by what is written.
    charges: Vec<Charge>,
}

impl Work {
    fn topic(&mut self, ctx: &Context, topic: TopicProduceData) {
        let found =
            if ctx.api_version >= 13 { ctx.topic_by_id(&topic.topic_id) } else { ctx.topic(topic.name.as_str()) };
        let found = found.and_then(Resolved::for_clients_records);
        let at = self.response.responses.len();
        let mut answers = Vec::with_capacity(topic.partition_data.len());
        for data in topic.partition_data {
            let answer = match &found {
                Ok(found) => self.partition(ctx, found, data, (at, answers.len())),
                Err(why) => refused(data.index, error::of_topic(why), Some(why.to_string())),
            };
            answers.push(answer);
        }
        self.response.responses.push(
            TopicProduceResponse::default()
                .with_name(topic.name)
                .with_topic_id(topic.topic_id)
                .with_partition_responses(answers),
        );
    }

    /// Checks a batch and puts it into the submission of its volume.
    fn partition(
        &mut self,
        ctx: &Context,
        topic: &Resolved,
        data: PartitionProduceData,
        place: (usize, usize),
    ) -> PartitionProduceResponse {
        let index = data.index;
        if let Err(why) = topic.check_writable() {
            return refused(index, error::of_topic(&why), Some(why.to_string()));
        }
        let partition = match topic.partition(index) {
            Ok(partition) => partition,
            Err(why) => return refused(index, error::of_topic(&why), Some(why.to_string())),
        };
        let payload = data.records.unwrap_or_default();
        match batch::check(&payload, &rules(ctx, topic)) {
            Err(why) => refused_batch(index, &why),
            Ok(checked) if checked.header.attributes().is_transactional() => {
                refused(index, ErrorCode::InvalidTxnState, Some("transactions are not served".to_owned()))
            }
            // One partition twice in one request has no order that the client could rely on.
            Ok(_) if !self.seen.insert((topic.id, partition.id())) => {
                refused(index, ErrorCode::InvalidRequest, Some("the partition is in the request twice".to_owned()))
            }
            Ok(checked) => {
                let stamp = topic.settings.timestamp_type == config::TimestampType::LogAppendTime;
                let (name, is_new_name) = (topic.spelling.number(), topic.is_new_name());
                let part = AppendPart { partition, batch: payload, checked, stamp, name, is_new_name };
                match self.charge(ctx, topic, &part) {
                    Ok(charge) => self.add(topic, part, place, charge),
                    Err(why) => return refused(index, error::of_topic(&why), Some(why.to_string())),
                }
                PartitionProduceResponse::default().with_index(index)
            }
        }
    }

    /// What a batch takes of its volume's quota, if there is room for it and its turn has come.
    fn charge(&mut self, ctx: &Context, topic: &Resolved, part: &AppendPart) -> Result<Option<Charge>, TopicError> {
        let held = &ctx.connection.held;
        let sender = sender(topic, part);
        if sender.is_some_and(|(sender, first)| held.is_ahead(&sender, first)) {
            let why = "A batch that its producer sent before was refused for want of room: that comes first.";
            return Err(TopicError::Full(why.to_owned()));
        }
        let charge = topic.take_room(part.batch.len() as u64);
        self.is_full |= charge.is_err();
        match (sender, &charge) {
            (Some((sender, first)), Ok(_)) => held.accept(&sender, first),
            (Some((sender, first)), Err(_)) => held.refuse(sender, first),
            (None, _) => {}
        }
        charge
    }

    /// Has the client wait where a volume is full.
    fn throttle(&mut self, ctx: &Context) {
        if self.is_full {
            ctx.connection.held.mute(ctx.arrived + THROTTLE);
            self.response.throttle_time_ms = i32::try_from(THROTTLE.as_millis()).unwrap_or(i32::MAX);
        }
    }

    fn add(&mut self, topic: &Resolved, part: AppendPart, place: (usize, usize), charge: Option<Charge>) {
        let id = topic.timeline.id();
        let spelling = topic.spelling;
        let is_it = |volume: &Submission| volume.timeline.id() == id && volume.spelling == spelling;
        let at = self.volumes.iter().position(is_it).unwrap_or_else(|| {
            let timeline = topic.timeline.clone();
            self.volumes.push(Submission {
                timeline,
                spelling,
                parts: Vec::new(),
                places: Vec::new(),
                charges: Vec::new(),
            });
            self.volumes.len() - 1
        });
        self.volumes[at].parts.push(part);
        self.volumes[at].places.push(place);
        self.volumes[at].charges.extend(charge);
    }

    /// Hands everything to the writers; what is returned only waits.
    fn submit(self, ack: Ack) -> Pending {
        let submitted = self.volumes.into_iter().map(|Submission { timeline, parts, places, charges, .. }| {
            let (done, results) = completion::pair();
            timeline.append(Append { parts, ack }, move |appended| {
                drop(charges);
                done(appended);
            });
            Submitted { places, results: Box::pin(results) }
        });
        Pending { response: self.response, submitted: submitted.collect() }
    }
}

/// Who sent a batch, if that is an idempotent producer, and the sequence of its first record.
fn sender(topic: &Resolved, part: &AppendPart) -> Option<(Sender, i32)> {
    let producer = part.checked.header.producer()?;
    let (timeline, partition) = (topic.timeline.id(), part.partition.id());
    let sender = Sender { timeline, partition, producer_id: producer.id, epoch: producer.epoch };
    Some((sender, producer.base_sequence))
}

type Results = Option<Vec<Result<Appended, AppendError>>>;

struct Submitted {
    places: Vec<(usize, usize)>,
    results: std::pin::Pin<Box<dyn Future<Output = Results> + Send>>,
}

/// A response that waits for its writers.
struct Pending {
    response: ProduceResponse,
    submitted: Vec<Submitted>,
}

impl Pending {
    /// The response, when all writers have answered.
    async fn all(mut self) -> ProduceResponse {
        for Submitted { places, results } in std::mem::take(&mut self.submitted) {
            let results = results.await;
            self.fill(&places, results);
        }
        self.response
    }

    fn fill(&mut self, places: &[(usize, usize)], results: Results) {
        // A writer that is gone with its completions: the process is going.
        let Some(results) = results else { return self.fail(places, ErrorCode::BrokerNotAvailable) };
        for (place, result) in places.iter().zip(results) {
            fill(self.at(*place), result);
        }
    }

    fn fail(&mut self, places: &[(usize, usize)], code: ErrorCode) {
        for place in places {
            let at = self.at(*place);
            *at = refused(at.index, code, None);
        }
    }

    fn at(&mut self, (topic, partition): (usize, usize)) -> &mut PartitionProduceResponse {
        &mut self.response.responses[topic].partition_responses[partition]
    }
}

fn fill(at: &mut PartitionProduceResponse, result: Result<Appended, AppendError>) {
    match result {
        Ok(Appended { base_offset, append_time, log_start }) => {
            at.base_offset = base_offset;
            at.log_append_time_ms = append_time;
            at.log_start_offset = log_start;
        }
        Err(why) => *at = refused(at.index, error::of_append(&why), Some(why.to_string())),
    }
}

fn rules(ctx: &Context, topic: &Resolved) -> Rules {
    let settings = &topic.settings;
    Rules {
        now_ms: ctx.broker().engine.now(),
        timestamp_type: match settings.timestamp_type {
            config::TimestampType::CreateTime => TimestampType::Create,
            config::TimestampType::LogAppendTime => TimestampType::LogAppend,
        },
        timestamp_before_max_ms: settings.timestamp_before_max_ms,
        timestamp_after_max_ms: settings.timestamp_after_max_ms,
        keys_required: settings.cleanup.compacts,
        zstd_allowed: ctx.api_version >= 7,
        every_record: ctx.broker().config.topics.validate_all_records,
        batch_bytes_max: settings.message_bytes_max,
        plain_bytes_max: ctx.broker().limits.decompressed_bytes_max,
    }
}

fn refused(index: i32, code: ErrorCode, message: Option<String>) -> PartitionProduceResponse {
    PartitionProduceResponse::default()
        .with_index(index)
        .with_error_code(code.code())
        .with_base_offset(-1)
        .with_log_start_offset(-1)
        .with_error_message(message.map(StrBytes::from_string))
}

fn refused_batch(index: i32, why: &BatchError) -> PartitionProduceResponse {
    let records = why.refused_records().iter().map(|record| {
        BatchIndexAndErrorMessage::default()
            .with_batch_index(i32::try_from(record.index).unwrap_or(i32::MAX))
            .with_batch_index_error_message(Some(StrBytes::from_string(record.reason.to_string())))
    });
    refused(index, error::of_batch(why), Some(why.to_string())).with_record_errors(records.collect())
}

fn refuse_all(request: &ProduceRequest, code: ErrorCode) -> ProduceResponse {
    let topics = request.topic_data.iter().map(|topic| {
        let partitions = topic.partition_data.iter().map(|data| refused(data.index, code, None));
        TopicProduceResponse::default()
            .with_name(topic.name.clone())
            .with_topic_id(topic.topic_id)
            .with_partition_responses(partitions.collect())
    });
    ProduceResponse::default().with_responses(topics.collect())
}
