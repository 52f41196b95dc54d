//! Small requests: many connections, one request at a time on each, from one thread that goes round them.

use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use kafka_protocol::messages::join_group_request::JoinGroupRequestProtocol;
use kafka_protocol::messages::sync_group_request::SyncGroupRequestAssignment;
use kafka_protocol::messages::{
    FindCoordinatorRequest, GroupId, HeartbeatRequest, JoinGroupRequest, JoinGroupResponse, SyncGroupRequest,
};
use kafka_protocol::protocol::Request;
use millpond_compat_tests::requests::{self, text};
use millpond_compat_tests::wire::{self, Wire};

use crate::arguments::{Arguments, Broker, Durability, Variant};
use crate::connection::{Connection, check};
use crate::frames;
use crate::lane::{Lane, Lanes, delete_topics};
use crate::measure::{leg, turns};
use crate::report::Report;

const RECORD_BYTES: usize = 100;
/// The last versions whose layout is fixed.
const METADATA: i16 = 8;
const FIND_COORDINATOR: i16 = 2;
const JOIN_GROUP: i16 = 5;
const SYNC_GROUP: i16 = 3;
const HEARTBEAT: i16 = 3;
/// Where the answer to a heartbeat has its error: behind length, correlation id and throttle time.
const HEARTBEAT_ERROR_AT: usize = 12;
/// Longer than a run, since turns go round.
const SESSION_MS: i32 = 25 * 60 * 1000;
/// Legs that are run before those that count.
const WARMING: u64 = 3;
/// How long a broker may take to give a group its coordinator and its first generation.
const GROUP_LIMIT: Duration = Duration::from_mins(1);

/// One kind of small request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    ProduceOne,
    ProduceAll,
    Fetch,
    Metadata,
    Heartbeat,
}

/// A request, and where its answer has an error code (if at a fixed place).
struct Prepared {
    frame: Vec<u8>,
    error_at: Option<usize>,
}

impl Kind {
    const ALL: [Self; 5] = [Self::ProduceOne, Self::ProduceAll, Self::Fetch, Self::Metadata, Self::Heartbeat];

    fn name(self) -> &'static str {
        match self {
            Self::ProduceOne => "produce-acks-1",
            Self::ProduceAll => "produce-acks-all",
            Self::Fetch => "fetch",
            Self::Metadata => "metadata",
            Self::Heartbeat => "heartbeat",
        }
    }

    /// Durability matters to writes only.
    fn variants(self) -> Vec<Variant> {
        let mut variants = vec![
            Variant::new(Broker::Millpond, Durability::Fsync),
            Variant::REFERENCE,
            Variant::new(Broker::Floor, Durability::PageCache),
        ];
        if matches!(self, Self::ProduceOne | Self::ProduceAll) {
            variants.push(Variant::new(Broker::Millpond, Durability::PageCache));
            variants.push(Variant::new(Broker::Floor, Durability::Fsync));
        }
        variants
    }

    /// The request of one connection, which has a partition of its own.
    fn prepare(self, topic: &str, partition: u32, batch: &Bytes, heartbeat: &HeartbeatRequest) -> Prepared {
        let of_codec = |frame: Vec<u8>, error_at| Prepared { frame, error_at };
        match self {
            Self::ProduceOne | Self::ProduceAll => {
                let acks = if self == Self::ProduceOne { 1 } else { -1 };
                let mut frame = frames::produce_head(topic, partition, acks, batch);
                frame.extend_from_slice(batch);
                of_codec(frame, Some(frames::produce_error_at(topic)))
            }
            Self::Fetch => of_codec(frames::fetch(topic, &[(partition, 0)]), None),
            Self::Metadata => of_codec(with_length(METADATA, &requests::metadata(&[topic])), None),
            Self::Heartbeat => of_codec(with_length(HEARTBEAT, heartbeat), Some(HEARTBEAT_ERROR_AT)),
        }
    }
}

/// Every kind that is asked for.
pub(crate) fn run(arguments: &Arguments, lanes: &mut Lanes, report: &mut Report) {
    let is_asked = |kind: &Kind| arguments.requests.is_empty() || arguments.requests.iter().any(|it| it == kind.name());
    for kind in Kind::ALL.into_iter().filter(is_asked) {
        let case = format!("small-{}", kind.name());
        let lanes = lanes.open(&kind.variants());
        let prepared: Vec<Vec<Prepared>> = lanes.iter().map(|lane| prepare(arguments, lane, kind, &case)).collect();
        for (lane, prepared) in lanes.iter().zip(&prepared) {
            // Not counted: it compiles Kafka's code for this request.
            ask(lane.process().address(), prepared, WARMING * arguments.leg_requests());
        }
        let samples = turns(arguments.repeats(), &lanes, &case, |lane| {
            let at = lanes.iter().position(|it| it.variant == lane.variant).expect("it is one of them");
            leg(lane, || ask(lane.process().address(), &prepared[at], arguments.leg_requests()))
        });
        delete_topics(&lanes, &case);
        report.add("small", kind.name(), &lanes, samples);
    }
}

/// The requests of all connections, with what they need on the broker.
fn prepare(arguments: &Arguments, lane: &Lane, kind: Kind, case: &str) -> Vec<Prepared> {
    let topic = lane.topic(case);
    let connections = u32::try_from(arguments.small_connections).expect("few connections");
    lane.create_topic(&topic, connections);
    let batch = frames::batch(1, RECORD_BYTES);
    let needs_group = kind == Kind::Heartbeat && lane.variant.broker != Broker::Floor;
    let heartbeat = if needs_group { join(lane.process().address(), case) } else { HeartbeatRequest::default() };
    let prepare = |kind: Kind, partition| kind.prepare(&topic, partition, &batch, &heartbeat);
    if kind == Kind::Fetch {
        // Something to find in each partition.
        let first: Vec<Prepared> = (0..connections).map(|partition| prepare(Kind::ProduceAll, partition)).collect();
        ask(lane.process().address(), &first, u64::from(connections));
    }
    (0..connections).map(|partition| prepare(kind, partition)).collect()
}

/// Sends `count` requests over a connection for each of `prepared`; how many it was.
fn ask(address: &str, prepared: &[Prepared], count: u64) -> u64 {
    let mut connections: Vec<(Connection, Vec<u8>, Option<usize>)> = prepared
        .iter()
        .map(|prepared| (Connection::open(address), prepared.frame.clone(), prepared.error_at))
        .collect();
    let rounds = (count / connections.len() as u64).max(1);
    for (connection, frame, _) in &mut connections {
        connection.send(frame, &[]);
    }
    for round in 1..=rounds {
        for (connection, frame, error_at) in &mut connections {
            let answer = connection.receive();
            if let Some(error_at) = *error_at {
                check(answer, error_at);
            }
            if round < rounds {
                connection.send(frame, &[]);
            }
        }
    }
    rounds * connections.len() as u64
}

/// Becomes the one member of a group; its heartbeat.
fn join(address: &str, group: &str) -> HeartbeatRequest {
    let group = GroupId(text(group));
    let mut wire = Wire::connect(address);
    let protocol = JoinGroupRequestProtocol::default().with_name(text("none")).with_metadata(Bytes::new());
    let mut request = JoinGroupRequest::default()
        .with_group_id(group.clone())
        .with_session_timeout_ms(SESSION_MS)
        .with_rebalance_timeout_ms(60_000)
        .with_protocol_type(text("bench"))
        .with_protocols(vec![protocol]);
    let begin = Instant::now();
    let joined: JoinGroupResponse = loop {
        // Kafka makes the topic of its groups when somebody looks for a coordinator.
        let find = FindCoordinatorRequest::default().with_key(group.0.clone());
        let found = wire.call(FIND_COORDINATOR, &find).error_code;
        let answer = wire.call(JOIN_GROUP, &request);
        if answer.error_code == 0 {
            break answer;
        }
        assert!(begin.elapsed() < GROUP_LIMIT, "joining a group: errors {found}, {}", answer.error_code);
        request.member_id = answer.member_id;
        thread::sleep(Duration::from_millis(50));
    };
    let own = SyncGroupRequestAssignment::default().with_member_id(joined.member_id.clone());
    let sync = SyncGroupRequest::default()
        .with_group_id(group.clone())
        .with_generation_id(joined.generation_id)
        .with_member_id(joined.member_id.clone())
        .with_assignments(vec![own]);
    assert_eq!(wire.call(SYNC_GROUP, &sync).error_code, 0, "synchronising a group");
    HeartbeatRequest::default()
        .with_group_id(group)
        .with_generation_id(joined.generation_id)
        .with_member_id(joined.member_id)
}

/// A request as the codec writes it, with its length.
fn with_length<R: Request>(version: i16, request: &R) -> Vec<u8> {
    let frame = wire::encode_request(0, version, request);
    let length = i32::try_from(frame.len()).expect("a small request");
    [&length.to_be_bytes()[..], &frame].concat()
}
