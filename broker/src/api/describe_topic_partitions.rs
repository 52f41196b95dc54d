//! `DescribeTopicPartitions` (key 75), version 0: topics with their partitions, in pages (KIP-966).
//!
//! Topics come in the order of their names. A page ends after so many partitions; its cursor says where the next begins.
//! Every replica is in sync, so that there are no further ones that could lead.

use std::collections::BTreeSet;

use kafka_protocol::messages::describe_topic_partitions_response::{
    Cursor, DescribeTopicPartitionsResponsePartition, DescribeTopicPartitionsResponseTopic,
};
use kafka_protocol::messages::{DescribeTopicPartitionsRequest, DescribeTopicPartitionsResponse, TopicName};

use super::error::{self, ErrorCode};
use super::text::topic_name;
use super::{Answer, Api, Context, operations};
use crate::topics::{Resolved, TopicError};

/// The API.
pub(super) struct DescribeTopicPartitions;

/// Partitions on one page (Kafka: `max.request.partition.size.limit`).
const PAGE_MAX: i32 = 2000;

impl Api for DescribeTopicPartitions {
    type Request = DescribeTopicPartitionsRequest;

    fn handle(ctx: &Context, request: DescribeTopicPartitionsRequest) -> Answer<DescribeTopicPartitionsResponse> {
        let (from, first) = match &request.cursor {
            Some(cursor) => (cursor.topic_name.clone(), cursor.partition_index),
            None => (TopicName::default(), 0),
        };
        let is_asked = |name: &TopicName| request.topics.iter().any(|topic| topic.name == *name);
        let is_lost = request.cursor.is_some() && !request.topics.is_empty() && !is_asked(&from);
        if first < 0 || is_lost {
            return Answer::now(refuse_all(&request));
        }
        let mut page = Page::new(ctx.broker().node_id, request.response_partition_limit);
        if request.topics.is_empty() {
            let all = ctx.listed_topics();
            let all = all.into_iter().map(|found| (topic_name(found.name()), Ok(found)));
            page.fill(all.skip_while(|(name, _)| *name < from), &from, first);
        } else {
            let names: BTreeSet<TopicName> = request.topics.into_iter().map(|topic| topic.name).collect();
            let asked = names.into_iter().skip_while(|name| *name < from).map(|name| {
                let found = ctx.topic(name.as_str());
                (name, found)
            });
            page.fill(asked, &from, first);
        }
        Answer::now(page.response)
    }
}

/// The cursor is none that an answer gave.
fn refuse_all(request: &DescribeTopicPartitionsRequest) -> DescribeTopicPartitionsResponse {
    let refused = request.topics.iter().map(|topic| {
        DescribeTopicPartitionsResponseTopic::default()
            .with_name(Some(topic.name.clone()))
            .with_error_code(ErrorCode::InvalidRequest.code())
    });
    DescribeTopicPartitionsResponse::default().with_topics(refused.collect())
}

/// An answer while it fills.
struct Page {
    node_id: i32,
    room: i32,
    response: DescribeTopicPartitionsResponse,
}

impl Page {
    fn new(node_id: i32, limit: i32) -> Self {
        Self { node_id, room: limit.clamp(1, PAGE_MAX), response: DescribeTopicPartitionsResponse::default() }
    }

    /// Takes topics until the page is full. That named `from` begins at its partition `first`.
    fn fill(
        &mut self,
        topics: impl Iterator<Item = (TopicName, Result<Resolved, TopicError>)>,
        from: &TopicName,
        first: i32,
    ) {
        for (name, outcome) in topics {
            if self.room == 0 {
                return self.ends_before(name, 0);
            }
            let first = if name == *from { first } else { 0 };
            let topic = DescribeTopicPartitionsResponseTopic::default()
                .with_name(Some(name.clone()))
                .with_topic_authorized_operations(operations::ON_TOPIC);
            match outcome {
                Ok(found) => {
                    let count = i32::try_from(found.topic.partitions).unwrap_or(i32::MAX);
                    let end = first.saturating_add(self.room).min(count).max(first);
                    self.response.topics.push(self.found(topic, &found, first..end));
                    self.room -= end - first;
                    if end < count {
                        return self.ends_before(name, end);
                    }
                }
                Err(why) => self.response.topics.push(topic.with_error_code(error::of_topic(&why).code())),
            }
        }
    }

    fn ends_before(&mut self, name: TopicName, partition: i32) {
        self.response.next_cursor = Some(Cursor::default().with_topic_name(name).with_partition_index(partition));
    }

    fn found(
        &self,
        topic: DescribeTopicPartitionsResponseTopic,
        found: &Resolved,
        partitions: std::ops::Range<i32>,
    ) -> DescribeTopicPartitionsResponseTopic {
        let partition = |index| {
            DescribeTopicPartitionsResponsePartition::default()
                .with_partition_index(index)
                .with_leader_id(self.node_id.into())
                .with_leader_epoch(found.timeline.leader_epoch())
                .with_replica_nodes(vec![self.node_id.into()])
                .with_isr_nodes(vec![self.node_id.into()])
                .with_eligible_leader_replicas(Some(Vec::new()))
                .with_last_known_elr(Some(Vec::new()))
        };
        topic
            .with_topic_id(found.id)
            .with_is_internal(found.topic.internal)
            .with_partitions(partitions.map(partition).collect())
    }
}
