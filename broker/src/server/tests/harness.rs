//! A server with test handlers, and a client that speaks raw frames.
//!
//! Heartbeat's group id names a *gate*: its answer comes when the test opens it. `FindCoordinator`'s key is the number of
//! bytes in its answer. Produce waits at the gate of its transactional id; with `acks=0` it has no answer.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use kafka_protocol::messages::{
    ApiKey, FindCoordinatorRequest, FindCoordinatorResponse, HeartbeatRequest, HeartbeatResponse, ProduceRequest,
    ProduceResponse, RequestHeader, TransactionalId,
};
use kafka_protocol::protocol::{Decodable, Encodable, Request, StrBytes};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Notify;

use crate::api::{Answer, Api, ApiVersions, Context, Outcome, Row, Table};
use crate::broker::{Broker, Listener, Scope};
use crate::config::Config;
use crate::limits::Limits;
use crate::server::Server;

static TABLE: Table =
    Table::new(&[Row::of::<ApiVersions>(), Row::of::<Heartbeat>(), Row::of::<FindCoordinator>(), Row::of::<Produce>()]);

/// Long enough for a slow machine; a test that reaches it has failed.
const PATIENCE: Duration = Duration::from_secs(30);

pub(super) async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.expect("it takes too long")
}

/// The gates of all tests, by name; tests use names of their own.
static GATES: Mutex<Option<HashMap<String, Arc<Gate>>>> = Mutex::new(None);

/// Holds back the answer of one request.
#[derive(Debug, Default)]
pub(super) struct Gate {
    pub(super) entered: Notify,
    pub(super) opened: Notify,
    pub(super) dropped: Notify,
}

impl Gate {
    pub(super) fn named(name: &str) -> Arc<Self> {
        let mut gates = GATES.lock().unwrap();
        gates.get_or_insert_default().entry(name.to_owned()).or_default().clone()
    }

    async fn pass(self: Arc<Self>) {
        let _guard = Dropped(Arc::clone(&self));
        self.opened.notified().await;
    }
}

struct Dropped(Arc<Gate>);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.dropped.notify_one();
    }
}

/// What happened in all tests, in order; tests look for names of their own.
static EVENTS: Mutex<Vec<String>> = Mutex::new(Vec::new());

pub(super) fn event(what: impl Into<String>) {
    EVENTS.lock().unwrap().push(what.into());
}

pub(super) fn events(prefix: &str) -> Vec<String> {
    EVENTS.lock().unwrap().iter().filter_map(|event| event.strip_prefix(prefix)).map(str::to_owned).collect()
}

struct Heartbeat;

impl Api for Heartbeat {
    type Request = HeartbeatRequest;

    fn handle(_: &Context, request: HeartbeatRequest) -> Answer<HeartbeatResponse> {
        let name = request.group_id.to_string();
        event(format!("{name} entered"));
        if request.generation_id == 0 {
            return Answer::now(HeartbeatResponse::default());
        }
        let gate = Gate::named(&name);
        gate.entered.notify_one();
        Answer::later(async {
            gate.pass().await;
            HeartbeatResponse::default()
        })
    }
}

struct FindCoordinator;

impl Api for FindCoordinator {
    type Request = FindCoordinatorRequest;

    fn handle(_: &Context, request: FindCoordinatorRequest) -> Answer<FindCoordinatorResponse> {
        let (name, size) = request.key.split_once(':').unwrap();
        event(format!("{name} entered"));
        let half = Bytes::from(vec![7; size.parse::<usize>().unwrap() / 2]);
        Answer::Now(Outcome::Encoded(vec![half.clone().into(), Bytes::new().into(), half.into()]))
    }
}

struct Produce;

impl Api for Produce {
    type Request = ProduceRequest;

    fn handle(_: &Context, request: ProduceRequest) -> Answer<ProduceResponse> {
        let name = request.transactional_id.map(|id| id.to_string()).unwrap_or_default();
        event(format!("{name} entered"));
        match request.acks {
            0 if name == "fails" => Answer::close("it fails"),
            0 => Answer::silent(),
            _ => Answer::outcome_later(async move {
                Gate::named(&name).pass().await;
                Outcome::Message(ProduceResponse::default())
            }),
        }
    }
}

pub(super) struct Running {
    pub(super) server: Arc<Server>,
    pub(super) broker: Arc<Broker>,
    pub(super) address: SocketAddr,
}

pub(super) fn start(limits: Limits) -> Running {
    let broker = Arc::new(Broker::in_memory(Config { limits, ..Config::default() }).unwrap());
    let server = Arc::new(Server::new(Arc::clone(&broker), &TABLE));
    let address = "127.0.0.1:0".parse().unwrap();
    let address = server.listen(Listener { address, advertised: None, scope: Scope::Everything }).unwrap();
    Running { server, broker, address }
}

impl Running {
    pub(super) async fn connect(&self) -> Client {
        Client { stream: TcpStream::connect(self.address).await.unwrap() }
    }

    /// Waits until no request is charged for.
    pub(super) async fn is_drained(&self) {
        let charged = &self.broker.metrics.connections.queued_bytes;
        within(async {
            while charged.get() != 0 {
                tokio::task::yield_now().await;
            }
        })
        .await;
    }

    /// How many connections ended for a reason.
    pub(super) fn closed(&self, reason: &str) -> u64 {
        let line = format!("millpond_connections_closed_total{{reason=\"{reason}\"}} ");
        let text = self.broker.metrics.encode();
        text.lines().find_map(|have| have.strip_prefix(&line)).map_or(0, |count| count.parse().unwrap())
    }
}

pub(super) struct Client {
    pub(super) stream: TcpStream,
}

impl Client {
    pub(super) async fn send(&mut self, bytes: &[u8]) {
        within(self.stream.write_all(bytes)).await.unwrap();
    }

    /// Sends a request whose gate (or event) has this name.
    pub(super) async fn heartbeat(&mut self, correlation_id: i32, name: &str) {
        self.send(&heartbeat(correlation_id, name, 1)).await;
    }

    /// Sends a request that is answered at once.
    pub(super) async fn quick_heartbeat(&mut self, correlation_id: i32, name: &str) {
        self.send(&heartbeat(correlation_id, name, 0)).await;
    }

    /// The next answer: its correlation id and the rest.
    pub(super) async fn answer(&mut self) -> (i32, Bytes) {
        within(async {
            let size = self.stream.read_i32().await.expect("an answer");
            let mut frame = vec![0; usize::try_from(size).unwrap()];
            self.stream.read_exact(&mut frame).await.unwrap();
            let mut frame = Bytes::from(frame);
            (frame.get_i32(), frame)
        })
        .await
    }

    pub(super) async fn is_answered(&mut self, correlation_id: i32) {
        assert_eq!(self.answer().await.0, correlation_id);
    }

    /// Waits for the end of the connection, with nothing before it.
    pub(super) async fn is_closed(&mut self) {
        let mut rest = Vec::new();
        // With unread bytes on its side the server's kernel resets the connection.
        let _ = within(self.stream.read_to_end(&mut rest)).await;
        assert_eq!(rest, Vec::<u8>::new());
    }
}

/// A request frame.
pub(super) fn frame<R: Request>(correlation_id: i32, version: i16, request: &R) -> Bytes {
    let mut body = BytesMut::new();
    RequestHeader::default()
        .with_request_api_key(R::KEY)
        .with_request_api_version(version)
        .with_correlation_id(correlation_id)
        .with_client_id(Some(StrBytes::from_static_str("tests")))
        .encode(&mut body, ApiKey::try_from(R::KEY).unwrap().request_header_version(version))
        .unwrap();
    request.encode(&mut body, version).unwrap();
    sized(&body)
}

/// Bytes behind their length.
pub(super) fn sized(body: &[u8]) -> Bytes {
    let mut frame = BytesMut::new();
    frame.put_i32(i32::try_from(body.len()).unwrap());
    frame.put_slice(body);
    frame.freeze()
}

pub(super) fn heartbeat(correlation_id: i32, name: &str, generation_id: i32) -> Bytes {
    let group_id = StrBytes::from_string(name.to_owned()).into();
    let request = HeartbeatRequest::default().with_group_id(group_id).with_generation_id(generation_id);
    frame(correlation_id, 4, &request)
}

/// A request for an answer of so many bytes.
pub(super) fn answer_of(correlation_id: i32, name: &str, bytes: usize) -> Bytes {
    let request = FindCoordinatorRequest::default().with_key(StrBytes::from_string(format!("{name}:{bytes}")));
    frame(correlation_id, 3, &request)
}

pub(super) fn produce(correlation_id: i32, name: &str, acks: i16, bytes: usize) -> Bytes {
    use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
    let data = PartitionProduceData::default().with_records(Some(Bytes::from(vec![1; bytes])));
    let topic = TopicProduceData::default().with_partition_data(vec![data]);
    let request = ProduceRequest::default()
        .with_transactional_id(Some(TransactionalId(StrBytes::from_string(name.to_owned()))))
        .with_acks(acks)
        .with_topic_data(vec![topic]);
    frame(correlation_id, 9, &request)
}

/// Decodes the body of an answer.
pub(super) fn decoded<R: Decodable>(mut body: Bytes, version: i16) -> R {
    let response = R::decode(&mut body, version).unwrap();
    assert!(body.is_empty(), "{} bytes behind the answer", body.len());
    response
}
