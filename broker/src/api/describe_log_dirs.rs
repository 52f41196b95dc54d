//! `DescribeLogDirs` (key 35), versions 1–4: how many bytes of batches each partition holds, in the one data directory.
//!
//! The bytes are those that count for retention: what was written and not yet dropped. Files hold them of many partitions,
//! and with what only the past needs. A snapshot's topics count for nothing: they hold no bytes that are theirs alone.
//!
//! - v2: flexible. v3: an error for the whole answer. v4: the room on the file system (KIP-827).

use std::collections::BTreeMap;
use std::path;

use kafka_protocol::messages::describe_log_dirs_response::{
    DescribeLogDirsPartition, DescribeLogDirsResult, DescribeLogDirsTopic,
};
use kafka_protocol::messages::{DescribeLogDirsRequest, DescribeLogDirsResponse, TopicName};
use millpond_storage::Partition;
use tokio::task::spawn_blocking;

use super::error;
use super::text::{text, topic_name};
use super::{Answer, Api, Context};
use crate::topics::Resolved;

/// The API.
pub(super) struct DescribeLogDirs;

impl Api for DescribeLogDirs {
    type Request = DescribeLogDirsRequest;

    fn handle(ctx: &Context, request: DescribeLogDirsRequest) -> Answer<DescribeLogDirsResponse> {
        let topics = match request.topics {
            None => ctx.listed_topics().iter().map(|found| described(topic_name(found.name()), found)).collect(),
            Some(asked) => {
                let mut by_name = BTreeMap::<TopicName, Vec<i32>>::new();
                for topic in asked {
                    by_name.entry(topic.topic).or_default().extend(topic.partitions);
                }
                by_name.into_iter().filter_map(|(name, partitions)| asked_for(ctx, name, &partitions)).collect()
            }
        };
        let broker = ctx.connection.broker.clone();
        Answer::later(async move {
            let data = path::absolute(&broker.config.server.data).unwrap_or_else(|_| broker.config.server.data.clone());
            let mut result = DescribeLogDirsResult::default().with_log_dir(text(data.display())).with_topics(topics);
            // It asks the file system, which may be slow to answer.
            if let Ok(space) = spawn_blocking(move || broker.disk.space()).await {
                match space {
                    Ok(space) => {
                        result.total_bytes = i64::try_from(space.total).unwrap_or(i64::MAX);
                        result.usable_bytes = i64::try_from(space.free).unwrap_or(i64::MAX);
                    }
                    Err(why) => result.error_code = error::of_storage(&why).code(),
                }
            }
            DescribeLogDirsResponse::default().with_results(vec![result])
        })
    }
}

/// A topic that was asked for, as far as it is there.
fn asked_for(ctx: &Context, name: TopicName, partitions: &[i32]) -> Option<DescribeLogDirsTopic> {
    let found = ctx.topic(name.as_str()).ok()?;
    let mut topic = described(name, &found);
    topic.partitions.retain(|partition| partitions.contains(&partition.partition_index));
    (!topic.partitions.is_empty()).then_some(topic)
}

fn size(partition: &Partition) -> i64 {
    i64::try_from(partition.live_bytes()).unwrap_or(i64::MAX)
}

fn described(name: TopicName, found: &Resolved) -> DescribeLogDirsTopic {
    let partitions = found.partitions().map(|partition| {
        DescribeLogDirsPartition::default()
            .with_partition_index(i32::try_from(partition.id().partition).unwrap_or(i32::MAX))
            .with_partition_size(if found.is_frozen() { 0 } else { size(&partition) })
    });
    DescribeLogDirsTopic::default().with_name(name).with_partitions(partitions.collect())
}
