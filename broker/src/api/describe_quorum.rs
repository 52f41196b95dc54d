//! `DescribeQuorum` (key 55), versions 0–2: the quorum of the metadata log `__cluster_metadata` is this node alone, which
//! leads it. Its offsets are the numbers of the groups in the log of volume `system`.
//!
//! - v1: when replicas were last seen (KIP-836). v2: messages, directories, and the addresses of the nodes (KIP-853).

use std::time::{SystemTime, UNIX_EPOCH};

use kafka_protocol::messages::describe_quorum_request::TopicData as AskedTopic;
use kafka_protocol::messages::describe_quorum_response::{Listener, Node, PartitionData, ReplicaState, TopicData};
use kafka_protocol::messages::{DescribeQuorumRequest, DescribeQuorumResponse};

use super::error::ErrorCode;
use super::text::text;
use super::{Answer, Api, Context};

/// The API.
pub(super) struct DescribeQuorum;

const METADATA_TOPIC: &str = "__cluster_metadata";

impl Api for DescribeQuorum {
    type Request = DescribeQuorumRequest;

    fn handle(ctx: &Context, request: DescribeQuorumRequest) -> Answer<DescribeQuorumResponse> {
        let topics: Vec<TopicData> = request.topics.iter().map(|topic| answer(ctx, topic)).collect();
        let response = DescribeQuorumResponse::default().with_topics(topics);
        if ctx.api_version < 2 {
            return Answer::now(response);
        }
        let listener = Listener::default()
            .with_name(text("PLAINTEXT"))
            .with_host(text(&ctx.advertised().host))
            .with_port(ctx.advertised().port);
        let node = Node::default().with_node_id(ctx.broker().node_id.into()).with_listeners(vec![listener]);
        Answer::now(response.with_error_message(None).with_nodes(vec![node]))
    }
}

fn answer(ctx: &Context, asked: &AskedTopic) -> TopicData {
    let partitions = asked.partitions.iter().map(|partition| {
        let data = PartitionData::default().with_partition_index(partition.partition_index);
        let data = if ctx.api_version >= 2 { data.with_error_message(None) } else { data };
        if asked.topic_name.as_str() == METADATA_TOPIC && partition.partition_index == 0 {
            return leader(ctx, data);
        }
        data.with_error_code(ErrorCode::UnknownTopicOrPartition.code())
    });
    TopicData::default().with_topic_name(asked.topic_name.clone()).with_partitions(partitions.collect())
}

fn leader(ctx: &Context, data: PartitionData) -> PartitionData {
    let (node_id, system) = (ctx.broker().node_id, ctx.broker().engine.system());
    let end = |lsn: u64| i64::try_from(lsn).unwrap_or(i64::MAX);
    let replica = ReplicaState::default().with_replica_id(node_id.into()).with_log_end_offset(end(system.end_lsn().0));
    let replica = if ctx.api_version >= 1 {
        replica.with_last_fetch_timestamp(now_ms()).with_last_caught_up_timestamp(now_ms())
    } else {
        replica
    };
    data.with_leader_id(node_id.into())
        .with_leader_epoch(system.leader_epoch())
        .with_high_watermark(end(system.visible_lsn().0))
        .with_current_voters(vec![replica])
}

fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
