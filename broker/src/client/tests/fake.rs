//! A cluster in the test's own process: brokers that speak just enough of the protocol, checks the client's batches,
//! keeps them in memory, and fails as told.
//!
//! It enforces what a real broker does with idempotent producers (no gap, no repetition), so that a test which reads the
//! logs afterwards knows that order held.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::api_versions_response::ApiVersion;
use kafka_protocol::messages::create_topics_response::CreatableTopicResult;
use kafka_protocol::messages::fetch_response::{FetchableTopicResponse, PartitionData};
use kafka_protocol::messages::list_offsets_response::{ListOffsetsPartitionResponse, ListOffsetsTopicResponse};
use kafka_protocol::messages::metadata_response::{
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use kafka_protocol::messages::produce_response::{PartitionProduceResponse, TopicProduceResponse};
use kafka_protocol::messages::*;
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion, Request, StrBytes};
use millpond_storage::batch::{Batch, BatchIter, Records};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

use crate::client::{Client, ConnectionOptions};
use crate::config::Address;

/// What a broker does to a request instead of serving it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Answers every partition with this error, and does nothing.
    Code(ResponseError),
    /// Closes the connection, and does nothing.
    Close,
    /// Does what was asked, then closes the connection without an answer.
    ServeAndClose,
}

#[derive(Debug, Default)]
pub(crate) struct Log {
    pub(crate) leader: i32,
    pub(crate) start: i64,
    batches: Vec<Bytes>,
    /// By producer: the next sequence, and the last five batches as (first sequence, base offset).
    producers: HashMap<i64, (i32, VecDeque<(i32, i64)>)>,
}

impl Log {
    pub(crate) fn end(&self) -> i64 {
        self.batches.last().map_or(self.start, |batch| Batch::parse(batch).unwrap().header().next_offset())
    }

    /// All values, in order.
    pub(crate) fn values(&self) -> Vec<String> {
        let mut values = Vec::new();
        for batch in &self.batches {
            let batch = Batch::parse_verified(batch).unwrap();
            for record in Records::new(batch.header(), &batch.plain_records(1 << 20).unwrap()) {
                values.push(String::from_utf8(record.unwrap().value.unwrap().to_vec()).unwrap());
            }
        }
        values
    }

    /// Appends as a broker does, and returns the base offset.
    pub(crate) fn append(&mut self, bytes: &[u8]) -> Result<i64, ResponseError> {
        let batch = Batch::parse_verified(bytes).map_err(|_| ResponseError::CorruptMessage)?;
        let (header, base_offset) = (batch.header(), self.end());
        if let Some(producer) = header.producer() {
            let (next, recent) = self.producers.entry(producer.id).or_default();
            let first = header.base_sequence();
            if let Some((_, offset)) = recent.iter().find(|(sequence, _)| *sequence == first) {
                return Ok(*offset);
            }
            // Kafka takes any sequence from a producer that it does not know.
            if first != *next && !recent.is_empty() {
                return Err(ResponseError::OutOfOrderSequenceNumber);
            }
            *next = first + i32::try_from(header.record_count()).unwrap();
            recent.push_back((first, base_offset));
            if recent.len() > 5 {
                recent.pop_front();
            }
        }
        let mut placed = bytes.to_vec();
        placed[..16].copy_from_slice(&header.patch_offset_and_epoch(base_offset, 0));
        self.batches.push(placed.into());
        Ok(base_offset)
    }

    /// Deletes what is before `start`.
    pub(crate) fn delete_before(&mut self, start: i64) {
        self.batches.retain(|batch| Batch::parse(batch).unwrap().header().next_offset() > start);
        self.start = start;
    }

    fn offset_at(&self, timestamp: i64) -> i64 {
        match timestamp {
            -1 => self.end(),
            -2 => self.start,
            time => {
                let found = self
                    .batches
                    .iter()
                    .find_map(|batch| Batch::parse(batch).unwrap().first_at_or_after(time, 0, 1 << 20).unwrap());
                found.map_or(-1, |found| found.offset)
            }
        }
    }

    fn read(&self, from: i64, max_bytes: i32) -> Result<Bytes, ResponseError> {
        if from < self.start || from > self.end() {
            return Err(ResponseError::OffsetOutOfRange);
        }
        let mut bytes = BytesMut::new();
        for batch in &self.batches {
            let header = *Batch::parse(batch).unwrap().header();
            if header.next_offset() > from && (bytes.is_empty() || bytes.len() < usize::try_from(max_bytes).unwrap()) {
                bytes.extend_from_slice(batch);
            }
        }
        Ok(bytes.freeze())
    }
}

/// What the brokers share.
#[derive(Default)]
pub(crate) struct World {
    pub(crate) topics: BTreeMap<String, Vec<Log>>,
    addresses: Vec<Address>,
    /// Overrides of the versions offered, by API.
    pub(crate) offered: BTreeMap<i16, Option<(i16, i16)>>,
    /// What to do to the next requests of an API; a request without an entry is served.
    pub(crate) faults: HashMap<i16, VecDeque<Option<Fault>>>,
    /// Every request as (API, version, broker), in order of arrival.
    pub(crate) seen: Vec<(i16, i16, i32)>,
    /// How many requests came to each broker before one was answered: see `hold`.
    held: bool,
    producer_ids: i64,
}

/// A running cluster.
#[derive(Clone)]
pub(crate) struct FakeCluster {
    world: Arc<Mutex<World>>,
    appended: Arc<Notify>,
    released: Arc<Notify>,
    arrived: Arc<Notify>,
}

impl FakeCluster {
    /// Starts so many brokers, whose ids are 0, 1, …
    pub(crate) async fn start(brokers: usize) -> Self {
        let cluster =
            Self { world: Arc::default(), appended: Arc::default(), released: Arc::default(), arrived: Arc::default() };
        for id in 0..brokers {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            cluster.world().addresses.push(listener.local_addr().unwrap().into());
            let cluster = cluster.clone();
            tokio::spawn(async move {
                loop {
                    let (stream, _) = listener.accept().await.unwrap();
                    tokio::spawn(cluster.clone().serve(i32::try_from(id).unwrap(), stream));
                }
            });
        }
        cluster
    }

    pub(crate) fn world(&self) -> std::sync::MutexGuard<'_, World> {
        self.world.lock().unwrap()
    }

    pub(crate) fn address(&self, broker: usize) -> Address {
        self.world().addresses[broker].clone()
    }

    /// Adds a topic whose partitions are led by the brokers in turn.
    pub(crate) fn add_topic(&self, name: &str, partitions: i32) {
        let mut world = self.world();
        let brokers = i32::try_from(world.addresses.len()).unwrap();
        let logs = (0..partitions).map(|partition| Log { leader: partition % brokers, ..Log::default() });
        world.topics.insert(name.to_owned(), logs.collect());
    }

    pub(crate) fn fail(&self, api: ApiKey, faults: impl IntoIterator<Item = Option<Fault>>) {
        self.world().faults.entry(api as i16).or_default().extend(faults);
    }

    pub(crate) async fn client(&self) -> Client {
        Client::connect(vec![self.address(0)], ConnectionOptions::default()).await.unwrap()
    }

    /// Lets Produce requests arrive but not be served until `release`.
    pub(crate) fn hold(&self) {
        self.world().held = true;
    }

    pub(crate) fn release(&self) {
        self.world().held = false;
        self.released.notify_waiters();
    }

    /// Waits until so many requests of an API have arrived.
    pub(crate) async fn arrived(&self, api: ApiKey, count: usize) {
        loop {
            let arrived = self.arrived.notified();
            tokio::pin!(arrived);
            arrived.as_mut().enable();
            if self.count(api) >= count {
                return;
            }
            arrived.await;
        }
    }

    pub(crate) fn count(&self, api: ApiKey) -> usize {
        self.world().seen.iter().filter(|(key, _, _)| *key == api as i16).count()
    }

    /// Appends a batch to a topic's partition, as if somebody had produced it.
    pub(crate) fn append(&self, topic: &str, partition: usize, batch: &[u8]) {
        self.world().topics.get_mut(topic).unwrap()[partition].append(batch).unwrap();
        self.appended.notify_waiters();
    }

    /// The values in a topic's partition.
    pub(crate) fn values(&self, topic: &str, partition: usize) -> Vec<String> {
        self.world().topics[topic][partition].values()
    }

    async fn serve(self, broker: i32, mut stream: TcpStream) {
        while let Ok(length) = stream.read_u32().await {
            let mut frame = vec![0; length as usize];
            if stream.read_exact(&mut frame).await.is_err() {
                return;
            }
            let Some(answer) = self.handle(broker, frame.into()).await else { return };
            if !answer.is_empty() && stream.write_all(&answer).await.is_err() {
                return;
            }
        }
    }

    /// The answer's frame, empty if none is due; `None` closes the connection.
    async fn handle(&self, broker: i32, mut frame: Bytes) -> Option<Bytes> {
        let (key, version) = (i16::from_be_bytes([frame[0], frame[1]]), i16::from_be_bytes([frame[2], frame[3]]));
        let api = ApiKey::try_from(key).unwrap();
        let header = RequestHeader::decode(&mut frame, api.request_header_version(version)).unwrap();
        let fault = {
            let mut world = self.world();
            world.seen.push((key, version, broker));
            world.faults.get_mut(&key).and_then(VecDeque::pop_front).flatten()
        };
        self.arrived.notify_waiters();
        if fault == Some(Fault::Close) {
            return None;
        }
        let code = match fault {
            Some(Fault::Code(error)) => error.code(),
            _ => 0,
        };
        let context = Context { version, code, broker, correlation_id: header.correlation_id };
        let answer = match api {
            ApiKey::ApiVersions => self.api_versions(&context, frame),
            ApiKey::Metadata => context.answer(frame, |request| self.metadata(&request)),
            ApiKey::CreateTopics => context.answer(frame, |request| self.create_topics(&request, code)),
            ApiKey::InitProducerId => context.answer(frame, |request| self.init_producer_id(&request, code)),
            ApiKey::ListOffsets => context.answer(frame, |request| self.list_offsets(&request, &context)),
            ApiKey::Produce => self.produce(&context, frame).await,
            ApiKey::Fetch => self.fetch(&context, frame).await,
            other => panic!("the client sent {other:?}"),
        };
        (fault != Some(Fault::ServeAndClose)).then_some(answer)
    }

    fn api_versions(&self, context: &Context, frame: Bytes) -> Bytes {
        let offered = self.offered();
        let supported = offered.iter().find(|api| api.api_key == ApiVersionsRequest::KEY).unwrap();
        if context.version > supported.max_version {
            // As Kafka does: in version 0, with only its own row.
            let answer = ApiVersionsResponse::default()
                .with_error_code(ResponseError::UnsupportedVersion.code())
                .with_api_keys(vec![supported.clone()]);
            return Context { version: 0, ..*context }.encode::<ApiVersionsRequest>(&answer);
        }
        context.answer(frame, |_: ApiVersionsRequest| ApiVersionsResponse::default().with_api_keys(offered))
    }

    fn offered(&self) -> Vec<ApiVersion> {
        let keys = [
            ApiKey::Produce,
            ApiKey::Fetch,
            ApiKey::ListOffsets,
            ApiKey::Metadata,
            ApiKey::ApiVersions,
            ApiKey::CreateTopics,
            ApiKey::InitProducerId,
        ];
        let world = self.world();
        let offer = |key: ApiKey| {
            let all = key.valid_versions();
            let (min, max) = world.offered.get(&(key as i16)).copied().unwrap_or(Some((all.min, all.max)))?;
            let api = ApiVersion::default().with_api_key(key as i16);
            Some(api.with_min_version(min).with_max_version(max))
        };
        keys.into_iter().filter_map(offer).collect()
    }

    fn metadata(&self, request: &MetadataRequest) -> MetadataResponse {
        assert!(!request.allow_auto_topic_creation, "asking must not create");
        let world = self.world();
        let brokers = world.addresses.iter().zip(0..).map(|(address, id)| {
            MetadataResponseBroker::default()
                .with_node_id(BrokerId(id))
                .with_host(StrBytes::from_string(address.host.clone()))
                .with_port(i32::from(address.port))
        });
        let topics = request.topics.iter().flatten().map(|asked| {
            let name = asked.name.clone().unwrap();
            let topic = MetadataResponseTopic::default().with_name(Some(name.clone()));
            match world.topics.get(name.as_str()) {
                None => topic.with_error_code(ResponseError::UnknownTopicOrPartition.code()),
                Some(logs) => topic.with_partitions(logs.iter().zip(0..).map(partition_metadata).collect()),
            }
        });
        MetadataResponse::default()
            .with_brokers(brokers.collect())
            .with_controller_id(BrokerId(0))
            .with_topics(topics.collect())
    }

    fn create_topics(&self, request: &CreateTopicsRequest, code: i16) -> CreateTopicsResponse {
        let results = request.topics.iter().map(|topic| {
            if code == 0 {
                self.add_topic(topic.name.as_str(), if topic.num_partitions == -1 { 3 } else { topic.num_partitions });
            }
            CreatableTopicResult::default().with_name(topic.name.clone()).with_error_code(code)
        });
        CreateTopicsResponse::default().with_topics(results.collect())
    }

    fn init_producer_id(&self, request: &InitProducerIdRequest, code: i16) -> InitProducerIdResponse {
        assert_eq!(request.transactional_id, None);
        self.world().producer_ids += 1;
        InitProducerIdResponse::default().with_error_code(code).with_producer_id(ProducerId(self.world().producer_ids))
    }

    fn list_offsets(&self, request: &ListOffsetsRequest, context: &Context) -> ListOffsetsResponse {
        let world = self.world();
        let topics = request.topics.iter().map(|topic| {
            let partitions = topic.partitions.iter().map(|asked| {
                let answer = ListOffsetsPartitionResponse::default().with_partition_index(asked.partition_index);
                match world.log(topic.name.as_str(), asked.partition_index, context) {
                    Ok(log) => answer.with_offset(log.offset_at(asked.timestamp)),
                    Err(error) => answer.with_error_code(error.code()),
                }
            });
            ListOffsetsTopicResponse::default().with_name(topic.name.clone()).with_partitions(partitions.collect())
        });
        ListOffsetsResponse::default().with_topics(topics.collect())
    }

    async fn produce(&self, context: &Context, mut frame: Bytes) -> Bytes {
        loop {
            let released = self.released.notified();
            tokio::pin!(released);
            released.as_mut().enable();
            if !self.world().held {
                break;
            }
            released.await;
        }
        let request = ProduceRequest::decode(&mut frame, context.version).unwrap();
        let topics = request.topic_data.iter().map(|topic| {
            let partitions = topic.partition_data.iter().map(|data| {
                let bytes = data.records.as_ref().unwrap();
                assert_eq!(BatchIter::new(bytes).count(), 1, "one batch for a partition");
                let mut world = self.world();
                let outcome = world.log_mut(topic.name.as_str(), data.index, context).and_then(|log| log.append(bytes));
                let answer = PartitionProduceResponse::default().with_index(data.index);
                match outcome {
                    Ok(base_offset) => answer.with_base_offset(base_offset),
                    Err(error) => answer.with_error_code(error.code()).with_base_offset(-1),
                }
            });
            TopicProduceResponse::default().with_name(topic.name.clone()).with_partition_responses(partitions.collect())
        });
        let answer = ProduceResponse::default().with_responses(topics.collect());
        self.appended.notify_waiters();
        if request.acks == 0 { Bytes::new() } else { context.encode::<ProduceRequest>(&answer) }
    }

    async fn fetch(&self, context: &Context, mut frame: Bytes) -> Bytes {
        let request = FetchRequest::decode(&mut frame, context.version).unwrap();
        let wait = Duration::from_millis(u64::try_from(request.max_wait_ms).unwrap());
        let deadline = tokio::time::Instant::now() + wait;
        loop {
            let appended = self.appended.notified();
            tokio::pin!(appended);
            appended.as_mut().enable();
            let (answer, is_empty) = self.fetch_now(&request, context);
            if !is_empty || tokio::time::timeout_at(deadline, appended).await.is_err() {
                return context.encode::<FetchRequest>(&answer);
            }
        }
    }

    /// An answer, and whether it says nothing.
    fn fetch_now(&self, request: &FetchRequest, context: &Context) -> (FetchResponse, bool) {
        let (world, mut is_empty) = (self.world(), true);
        let mut topics = Vec::new();
        for topic in &request.topics {
            let mut partitions = Vec::new();
            for asked in &topic.partitions {
                let log = world.log(topic.topic.as_str(), asked.partition, context);
                let read = log.and_then(|log| log.read(asked.fetch_offset, asked.partition_max_bytes));
                let answer = PartitionData::default().with_partition_index(asked.partition);
                is_empty &= read.as_ref().is_ok_and(Bytes::is_empty);
                partitions.push(match read {
                    Ok(bytes) => answer.with_records(Some(bytes)),
                    Err(error) => answer.with_error_code(error.code()),
                });
            }
            topics.push(FetchableTopicResponse::default().with_topic(topic.topic.clone()).with_partitions(partitions));
        }
        (FetchResponse::default().with_responses(topics), is_empty)
    }
}

impl World {
    fn log(&self, topic: &str, partition: i32, context: &Context) -> Result<&Log, ResponseError> {
        context.checked()?;
        let index = usize::try_from(partition).unwrap();
        let log = self.topics.get(topic).and_then(|logs| logs.get(index));
        let log = log.ok_or(ResponseError::UnknownTopicOrPartition)?;
        if log.leader == context.broker { Ok(log) } else { Err(ResponseError::NotLeaderOrFollower) }
    }

    fn log_mut(&mut self, topic: &str, partition: i32, context: &Context) -> Result<&mut Log, ResponseError> {
        self.log(topic, partition, context)?;
        Ok(&mut self.topics.get_mut(topic).unwrap()[usize::try_from(partition).unwrap()])
    }
}

struct Context {
    version: i16,
    code: i16,
    broker: i32,
    correlation_id: i32,
}

impl Context {
    fn checked(&self) -> Result<(), ResponseError> {
        ResponseError::try_from_code(self.code).map_or(Ok(()), Err)
    }

    fn answer<R: Request>(&self, mut frame: Bytes, serve: impl FnOnce(R) -> R::Response) -> Bytes {
        let request = R::decode(&mut frame, self.version).unwrap();
        assert!(frame.is_empty(), "bytes are left of the request");
        self.encode::<R>(&serve(request))
    }

    fn encode<R: Request>(&self, answer: &R::Response) -> Bytes {
        let mut body = BytesMut::new();
        let header = ResponseHeader::default().with_correlation_id(self.correlation_id);
        header.encode(&mut body, <R::Response as HeaderVersion>::header_version(self.version)).unwrap();
        answer.encode(&mut body, self.version).unwrap();
        let mut frame = BytesMut::from(&u32::try_from(body.len()).unwrap().to_be_bytes()[..]);
        frame.extend_from_slice(&body);
        frame.freeze()
    }
}

fn partition_metadata((log, index): (&Log, i32)) -> MetadataResponsePartition {
    let partition = MetadataResponsePartition::default().with_partition_index(index);
    let code = if log.leader < 0 { ResponseError::LeaderNotAvailable.code() } else { 0 };
    partition.with_leader_id(BrokerId(log.leader)).with_error_code(code)
}
