//! `OffsetFetch` (key 9), versions 1–9: how far groups have come.
//!
//! What was never committed is −1 and no error, whether or not there is such a group, topic or partition. Without transactions
//! every position is stable, so `require_stable` asks for nothing more. Member ids and epochs (v9) are of groups of the newer
//! protocol, of which there are none.
//!
//! - v2: all topics, errors of the whole. v3: throttle time. v5: leader epoch (KIP-320). v6: flexible.
//! - v7: `require_stable` (KIP-447). v8: several groups at once (KIP-709). v9: member id and epoch (KIP-848).

use std::collections::BTreeMap;
use std::sync::Arc;

use kafka_protocol::messages::offset_fetch_request::{OffsetFetchRequestGroup, OffsetFetchRequestTopics};
use kafka_protocol::messages::offset_fetch_response::{
    OffsetFetchResponseGroup, OffsetFetchResponsePartition, OffsetFetchResponsePartitions, OffsetFetchResponseTopic,
    OffsetFetchResponseTopics,
};
use kafka_protocol::messages::{OffsetFetchRequest, OffsetFetchResponse, TopicName};
use kafka_protocol::protocol::StrBytes;
use millpond_storage::state::Committed;

use super::{Answer, Api, Context, error};
use crate::topics::TopicError;

/// The API.
pub(super) struct OffsetFetch;

impl Api for OffsetFetch {
    type Request = OffsetFetchRequest;

    fn handle(ctx: &Context, request: OffsetFetchRequest) -> Answer<OffsetFetchResponse> {
        if ctx.api_version >= 8 {
            let groups = request.groups.into_iter().map(|group| group_positions(ctx, group)).collect();
            return Answer::now(OffsetFetchResponse::default().with_groups(groups));
        }
        let topics = request.topics.map(|topics| {
            let newer = topics.into_iter().map(|topic| {
                OffsetFetchRequestTopics::default()
                    .with_name(topic.name)
                    .with_partition_indexes(topic.partition_indexes)
            });
            newer.collect()
        });
        let group = OffsetFetchRequestGroup::default().with_group_id(request.group_id).with_topics(topics);
        let answer = group_positions(ctx, group);
        let topics = answer.topics.into_iter().map(older).collect();
        Answer::now(OffsetFetchResponse::default().with_error_code(answer.error_code).with_topics(topics))
    }
}

fn group_positions(ctx: &Context, group: OffsetFetchRequestGroup) -> OffsetFetchResponseGroup {
    let group_id = &group.group_id;
    let topics = match group.topics {
        Some(topics) => topics.into_iter().map(|topic| asked(ctx, group_id, topic)).collect(),
        None => match ctx.broker().topics.frozen(ctx.scope()) {
            Ok(_) => Ok(all(ctx, group_id)),
            Err(_) => Err(TopicError::Loading),
        },
    };
    let answer = OffsetFetchResponseGroup::default();
    let answer = match topics {
        Ok(topics) => answer.with_topics(topics),
        Err(why) => answer.with_error_code(error::of_position_topic(&why).code()),
    };
    answer.with_group_id(group.group_id)
}

/// The positions that were asked for; an error where they are yet to be loaded.
fn asked(
    ctx: &Context,
    group_id: &str,
    topic: OffsetFetchRequestTopics,
) -> Result<OffsetFetchResponseTopics, TopicError> {
    let indexes = topic.partition_indexes;
    let found = match ctx.position_topic(&topic.name) {
        Ok(topic) => ctx.broker().groups.positions(group_id, &topic, &indexes),
        Err(TopicError::Loading) => return Err(TopicError::Loading),
        Err(_) => vec![None; indexes.len()],
    };
    let partitions = indexes.into_iter().zip(found).map(|(index, committed)| partition(index, committed.as_ref()));
    Ok(OffsetFetchResponseTopics::default().with_name(topic.name).with_partitions(partitions.collect()))
}

/// All positions in topics that are listed.
fn all(ctx: &Context, group_id: &str) -> Vec<OffsetFetchResponseTopics> {
    let mut topics = BTreeMap::<_, Vec<_>>::new();
    for found in ctx.broker().groups.all_positions(ctx.scope(), group_id) {
        if let Some(topic) = ctx.broker().topics.listed(ctx.scope(), found.home, &found.topic) {
            let index = i32::try_from(found.partition).unwrap_or(i32::MAX);
            topics.entry(topic.name()).or_default().push(partition(index, Some(&found.committed)));
        }
    }
    let topic = |(name, partitions): (Arc<str>, _)| {
        let name = TopicName(StrBytes::from_string(name.to_string()));
        OffsetFetchResponseTopics::default().with_name(name).with_partitions(partitions)
    };
    topics.into_iter().map(topic).collect()
}

fn partition(index: i32, committed: Option<&Committed>) -> OffsetFetchResponsePartitions {
    let partition = OffsetFetchResponsePartitions::default().with_partition_index(index);
    match committed {
        Some(committed) => partition
            .with_committed_offset(committed.offset)
            .with_committed_leader_epoch(committed.leader_epoch)
            .with_metadata(Some(StrBytes::from_string(committed.metadata.to_string()))),
        None => partition
            .with_committed_offset(-1)
            .with_committed_leader_epoch(-1)
            .with_metadata(Some(StrBytes::from_static_str(""))),
    }
}

/// The same in the shape of versions before 8.
fn older(topic: OffsetFetchResponseTopics) -> OffsetFetchResponseTopic {
    let partitions = topic.partitions.into_iter().map(|partition| {
        OffsetFetchResponsePartition::default()
            .with_partition_index(partition.partition_index)
            .with_committed_offset(partition.committed_offset)
            .with_committed_leader_epoch(partition.committed_leader_epoch)
            .with_metadata(partition.metadata)
    });
    OffsetFetchResponseTopic::default().with_name(topic.name).with_partitions(partitions.collect())
}
