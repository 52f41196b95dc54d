//! Handlers over several volumes and a snapshot: what clients of each scope are answered.

use std::sync::Arc;
use std::time::Instant;

use arc_swap::ArcSwapOption;
use bytes::Bytes;
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::offset_commit_request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic};
use kafka_protocol::messages::offset_fetch_request::{OffsetFetchRequestGroup, OffsetFetchRequestTopics};
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::{
    FetchRequest, FetchResponse, GroupId, ListOffsetsRequest, MetadataRequest, OffsetCommitRequest, OffsetFetchRequest,
    ProduceRequest, TopicName,
};
use kafka_protocol::protocol::{Decodable, StrBytes};

use super::super::error::ErrorCode;
use super::super::*;
use crate::broker::{Advertised, Broker, Listener, Scope};
use crate::config::Config;
use crate::quotas::Held;
use crate::topics::NewTopic;
use crate::topics::fixture::{Fixture, append, batch};

/// Volume `trading` with a topic of two records when the snapshot `close` was made, and a third since.
struct World {
    broker: Arc<Broker>,
    fixture: Fixture,
    snapshot: Scope,
}

async fn world() -> World {
    let broker = Arc::new(Broker::in_memory(Config::default()).unwrap());
    let fixture = Fixture(Arc::clone(&broker.engine));
    fixture.volume("trading", true, &["taq"]).await;
    let new = NewTopic { name: "trading.taq.trades".to_owned(), ..NewTopic::default() };
    let trades = broker.topics.create(Scope::Everything, new).await.unwrap();
    append(&trades, &["a", "b"]).await;
    commit(&broker, Scope::Everything, "trading.taq.trades", 1).await;
    let pin = fixture.snapshot("trading", "close").await;
    append(&trades, &["c"]).await;
    commit(&broker, Scope::Everything, "trading.taq.trades", 3).await;
    World { broker, fixture, snapshot: Scope::Snapshot(pin) }
}

fn ctx(broker: &Arc<Broker>, scope: Scope, api_version: i16) -> Context {
    let address = "127.0.0.1:1".parse().unwrap();
    let connection = Connection {
        broker: Arc::clone(broker),
        listener: Arc::new(Listener { address, advertised: None, scope }),
        advertised: Advertised { host: "here".to_owned(), port: 1 },
        table: &SERVED,
        metrics: SERVED.metrics(&broker.metrics),
        peer: address,
        software: ArcSwapOption::empty(),
        held: Held::default(),
    };
    let (connection, client_id) = (Arc::new(connection), StrBytes::default());
    Context { connection, client_id, api_version, correlation_id: 1, arrived: Instant::now(), place: 0 }
}

async fn call<A: Api>(ctx: &Context, request: A::Request) -> <A::Request as Request>::Response {
    match outcome::<A>(ctx, request).await {
        Outcome::Message(response) => response,
        _ => panic!("no message"),
    }
}

async fn outcome<A: Api>(ctx: &Context, request: A::Request) -> Outcome<<A::Request as Request>::Response> {
    match A::handle(ctx, request) {
        Answer::Now(outcome) => outcome,
        Answer::Later(outcome) => outcome.await,
    }
}

fn name(name: &str) -> TopicName {
    TopicName(StrBytes::from_string(name.to_owned()))
}

async fn commit(broker: &Arc<Broker>, scope: Scope, topic: &str, offset: i64) {
    let partition = OffsetCommitRequestPartition::default().with_committed_offset(offset);
    let topic = OffsetCommitRequestTopic::default().with_name(name(topic)).with_partitions(vec![partition]);
    let request = OffsetCommitRequest::default()
        .with_group_id(GroupId(StrBytes::from_static_str("app")))
        .with_generation_id_or_member_epoch(-1)
        .with_topics(vec![topic]);
    let answer = call::<offset_commit::OffsetCommit>(&ctx(broker, scope, 8), request).await;
    assert_eq!(answer.topics[0].partitions[0].error_code, 0);
}

async fn committed(broker: &Arc<Broker>, scope: Scope, topic: &str) -> i64 {
    let topic = OffsetFetchRequestTopics::default().with_name(name(topic)).with_partition_indexes(vec![0]);
    let group = OffsetFetchRequestGroup::default()
        .with_group_id(GroupId(StrBytes::from_static_str("app")))
        .with_topics(Some(vec![topic]));
    let request = OffsetFetchRequest::default().with_groups(vec![group]);
    let answer = call::<offset_fetch::OffsetFetch>(&ctx(broker, scope, 8), request).await;
    assert_eq!(answer.groups[0].error_code, 0);
    answer.groups[0].topics[0].partitions[0].committed_offset
}

fn fetch_request(topic: &str, offset: i64, epoch: i32, wait_ms: i32) -> FetchRequest {
    let partition = FetchPartition::default()
        .with_fetch_offset(offset)
        .with_current_leader_epoch(epoch)
        .with_partition_max_bytes(1 << 20);
    let topics = vec![FetchTopic::default().with_topic(name(topic)).with_partitions(vec![partition])];
    FetchRequest::default().with_min_bytes(1).with_max_bytes(1 << 20).with_max_wait_ms(wait_ms).with_topics(topics)
}

async fn fetch(ctx: &Context, request: FetchRequest) -> FetchResponse {
    let Outcome::Encoded(body) = outcome::<fetch::Fetch>(ctx, request).await else { panic!("not encoded") };
    let bytes: Vec<u8> = body
        .iter()
        .flat_map(|piece| match piece {
            Piece::Bytes(bytes) => bytes.to_vec(),
            Piece::Stored(_) => panic!("the disk in memory has no files to send"),
        })
        .collect();
    FetchResponse::decode(&mut Bytes::from(bytes), ctx.api_version).unwrap()
}

fn code(error: ErrorCode) -> i16 {
    error.code()
}

#[tokio::test]
async fn a_snapshot_is_consumed_like_a_topic() {
    let World { broker, fixture: _fixture, snapshot } = world().await;
    let asked = MetadataRequestTopic::default().with_name(Some(name("trading.-close.taq.trades")));
    let request = MetadataRequest::default().with_topics(Some(vec![asked]));
    let answer = call::<metadata::Metadata>(&ctx(&broker, Scope::Everything, 9), request).await;
    assert_eq!(answer.topics[0].error_code, 0, "it was waited for");
    let Scope::Snapshot(pin) = snapshot else { panic!("it is one") };
    let _loaded = broker.topics.load(pin).await.unwrap();
    for (scope, topic) in [
        (snapshot, "taq.trades"),
        (Scope::Everything, "trading.-close.taq.trades"),
        (Scope::Everything, "/trading/.snapshot/close/taq:trades"),
    ] {
        let ctx = ctx(&broker, scope, 12);
        let answer = fetch(&ctx, fetch_request(topic, 0, -1, 0)).await;
        let partition = &answer.responses[0].partitions[0];
        assert_eq!((partition.error_code, partition.high_watermark), (0, 2), "{topic}");
        assert!(partition.records.as_ref().is_some_and(|records| !records.is_empty()), "{topic}");
        let end = fetch(&ctx, fetch_request(topic, 2, -1, 20)).await;
        assert_eq!(end.responses[0].partitions[0].error_code, 0, "it waits and gives nothing");
        let beyond = fetch(&ctx, fetch_request(topic, 3, -1, 0)).await;
        assert_eq!(beyond.responses[0].partitions[0].error_code, code(ErrorCode::OffsetOutOfRange));
    }
    for (time, offset) in [(-1, 2), (-2, 0), (1001, 1), (5000, -1)] {
        let partition = ListOffsetsPartition::default().with_timestamp(time).with_current_leader_epoch(-1);
        let topic = ListOffsetsTopic::default().with_name(name("taq.trades")).with_partitions(vec![partition]);
        let request = ListOffsetsRequest::default().with_topics(vec![topic]);
        let answer = call::<list_offsets::ListOffsets>(&ctx(&broker, snapshot, 5), request).await;
        assert_eq!(answer.topics[0].partitions[0].offset, offset, "at {time}");
    }
}

#[tokio::test]
async fn a_snapshot_takes_positions_and_no_records() {
    let World { broker, snapshot, .. } = world().await;
    let Scope::Snapshot(pin) = snapshot else { panic!("it is one") };
    let _loaded = broker.topics.load(pin).await.unwrap();
    let data = PartitionProduceData::default().with_records(Some(batch(&["x"])));
    let topic = TopicProduceData::default().with_name(name("taq.trades")).with_partition_data(vec![data]);
    let request = ProduceRequest::default().with_acks(-1).with_timeout_ms(1000).with_topic_data(vec![topic]);
    let answer = call::<produce::Produce>(&ctx(&broker, snapshot, 9), request).await;
    let partition = &answer.responses[0].partition_responses[0];
    assert_eq!(partition.error_code, code(ErrorCode::PolicyViolation));
    assert!(partition.error_message.as_ref().is_some_and(|why| why.contains("taq.trades")));

    assert_eq!(committed(&broker, snapshot, "taq.trades").await, 1, "as it was frozen");
    commit(&broker, snapshot, "taq.trades", 2).await;
    assert_eq!(committed(&broker, snapshot, "taq.trades").await, 2);
    assert_eq!(committed(&broker, Scope::Everything, "trading.-close.taq.trades").await, 2);
    assert_eq!(committed(&broker, Scope::Everything, "trading.taq.trades").await, 3, "the volume has its own");
    assert_eq!(broker.groups.list(snapshot).keys().collect::<Vec<_>>(), ["app"]);
}

#[tokio::test]
async fn a_clone_goes_on_with_positions_of_its_own() {
    let World { broker, fixture, snapshot } = world().await;
    let Scope::Snapshot(pin) = snapshot else { panic!("it is one") };
    let clone = Scope::Volume(fixture.clone_of(pin, "v2").await);
    assert_eq!(committed(&broker, clone, "taq.trades").await, 1);
    commit(&broker, clone, "taq.trades", 2).await;
    assert_eq!(committed(&broker, Scope::Everything, "v2.taq.trades").await, 2);
    assert_eq!(committed(&broker, Scope::Everything, "trading.taq.trades").await, 3);
}

#[tokio::test]
async fn a_restore_wakes_fetches_and_ends_sessions() {
    let World { broker, fixture, snapshot } = world().await;
    let Scope::Snapshot(pin) = snapshot else { panic!("it is one") };
    let ctx = ctx(&broker, Scope::Everything, 12);
    let first = fetch(&ctx, fetch_request("trading.taq.trades", 3, -1, 0).with_session_epoch(0)).await;
    assert_ne!(first.session_id, 0);
    let session = first.session_id;
    let again = FetchRequest::default().with_min_bytes(1).with_max_bytes(1 << 20).with_max_wait_ms(60_000);
    let parked = fetch(&ctx, again.clone().with_session_id(session).with_session_epoch(1));
    let (parked, _) = tokio::join!(parked, fixture.restore("trading", pin));
    assert_eq!(parked.responses[0].partitions[0].error_code, code(ErrorCode::FencedLeaderEpoch));
    let next = fetch(&ctx, again.with_session_id(session).with_session_epoch(2)).await;
    assert_eq!(next.error_code, code(ErrorCode::FetchSessionIdNotFound));
    assert_eq!(committed(&broker, Scope::Everything, "trading.taq.trades").await, 1, "positions went back, too");
    let old = fetch(&ctx, fetch_request("trading.taq.trades", 0, 0, 0)).await;
    assert_eq!(old.responses[0].partitions[0].error_code, code(ErrorCode::FencedLeaderEpoch));
}
