//! A broker in memory, and its handlers called as the server calls them.

use std::sync::Arc;
use std::time::Instant;

use arc_swap::ArcSwapOption;
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::offset_commit_request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic};
use kafka_protocol::messages::offset_fetch_request::{OffsetFetchRequestGroup, OffsetFetchRequestTopics};
use kafka_protocol::messages::{
    FetchRequest, FetchResponse, GroupId, OffsetCommitRequest, OffsetFetchRequest, TopicName,
};
use kafka_protocol::protocol::{Decodable, StrBytes};
use millpond_storage::Fetched;
use millpond_storage::disk::SimDisk;

use super::super::error::ErrorCode;
use super::super::*;
use crate::broker::{Advertised, Broker, Listener, Scope};
use crate::config::Config;
use crate::quotas::Held;
use crate::topics::NewTopic;
use crate::topics::fixture::{Fixture, append};

/// Volume `trading` with a topic of two records when the snapshot `close` was made, and a third since.
pub(super) struct World {
    pub(super) broker: Arc<Broker>,
    pub(super) fixture: Fixture,
    pub(super) snapshot: Scope,
}

pub(super) async fn world() -> World {
    world_on(&SimDisk::new(), Config::default()).await
}

pub(super) async fn world_on(disk: &SimDisk, config: Config) -> World {
    let broker = Arc::new(Broker::on(disk, config).unwrap());
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

pub(super) fn ctx(broker: &Arc<Broker>, scope: Scope, api_version: i16) -> Context {
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

pub(super) async fn call<A: Api>(ctx: &Context, request: A::Request) -> <A::Request as Request>::Response {
    match outcome::<A>(ctx, request).await {
        Outcome::Message(response) => response,
        Outcome::Encoded(pieces) => {
            let bytes = pieces.iter().map(Piece::len).sum();
            let mut body = Fetched { pieces, bytes }.concat().expect("all in memory");
            Decodable::decode(&mut body, ctx.api_version).expect("the codec reads what a handler encoded")
        }
        Outcome::Silent | Outcome::Close(_) => panic!("no response"),
    }
}

pub(super) async fn outcome<A: Api>(ctx: &Context, request: A::Request) -> Outcome<<A::Request as Request>::Response> {
    match A::handle(ctx, request) {
        Answer::Now(outcome) => outcome,
        Answer::Later(outcome) => outcome.await,
    }
}

pub(super) fn name(name: &str) -> TopicName {
    TopicName(StrBytes::from_string(name.to_owned()))
}

pub(super) async fn commit(broker: &Arc<Broker>, scope: Scope, topic: &str, offset: i64) {
    let partition = OffsetCommitRequestPartition::default().with_committed_offset(offset);
    let topic = OffsetCommitRequestTopic::default().with_name(name(topic)).with_partitions(vec![partition]);
    let request = OffsetCommitRequest::default()
        .with_group_id(GroupId(StrBytes::from_static_str("app")))
        .with_generation_id_or_member_epoch(-1)
        .with_topics(vec![topic]);
    let answer = call::<offset_commit::OffsetCommit>(&ctx(broker, scope, 8), request).await;
    assert_eq!(answer.topics[0].partitions[0].error_code, 0);
}

pub(super) async fn committed(broker: &Arc<Broker>, scope: Scope, topic: &str) -> i64 {
    let topic = OffsetFetchRequestTopics::default().with_name(name(topic)).with_partition_indexes(vec![0]);
    let group = OffsetFetchRequestGroup::default()
        .with_group_id(GroupId(StrBytes::from_static_str("app")))
        .with_topics(Some(vec![topic]));
    let request = OffsetFetchRequest::default().with_groups(vec![group]);
    let answer = call::<offset_fetch::OffsetFetch>(&ctx(broker, scope, 8), request).await;
    assert_eq!(answer.groups[0].error_code, 0);
    answer.groups[0].topics[0].partitions[0].committed_offset
}

pub(super) fn fetch_request(topic: &str, offset: i64, epoch: i32, wait_ms: i32) -> FetchRequest {
    let partition = FetchPartition::default()
        .with_fetch_offset(offset)
        .with_current_leader_epoch(epoch)
        .with_partition_max_bytes(1 << 20);
    let topics = vec![FetchTopic::default().with_topic(name(topic)).with_partitions(vec![partition])];
    FetchRequest::default().with_min_bytes(1).with_max_bytes(1 << 20).with_max_wait_ms(wait_ms).with_topics(topics)
}

pub(super) async fn fetch(ctx: &Context, request: FetchRequest) -> FetchResponse {
    call::<fetch::Fetch>(ctx, request).await
}

pub(super) fn code(error: ErrorCode) -> i16 {
    error.code()
}
