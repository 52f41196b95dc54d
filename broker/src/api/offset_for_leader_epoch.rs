//! `OffsetForLeaderEpoch` (key 23), versions 2–4: where a leader epoch ends, by which a consumer finds out whether what it
//! has read is still there.
//!
//! Kafka's rules: an epoch that is still to come has no end; one that wrote nothing here ends where the one before it did;
//! one before all that is known ends where the partition begins. And one of ours: an epoch of another history of the volume,
//! which a restore left, ends where the two histories part.
//!
//! - v2: the epoch that the client takes for the current one (KIP-320). v3: replica id. v4: flexible.

use kafka_protocol::messages::offset_for_leader_epoch_request::{OffsetForLeaderPartition, OffsetForLeaderTopic};
use kafka_protocol::messages::offset_for_leader_epoch_response::{EpochEndOffset, OffsetForLeaderTopicResult};
use kafka_protocol::messages::{OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse};

use super::error::{self, ErrorCode};
use super::{Answer, Api, Context};
use crate::topics::Resolved;

/// The API.
pub(super) struct OffsetForLeaderEpoch;

/// No epoch, and no offset.
const UNDEFINED: (i32, i64) = (-1, -1);

impl Api for OffsetForLeaderEpoch {
    type Request = OffsetForLeaderEpochRequest;

    fn handle(ctx: &Context, request: OffsetForLeaderEpochRequest) -> Answer<OffsetForLeaderEpochResponse> {
        let ctx = ctx.clone();
        Answer::later(async move {
            let mut topics = Vec::with_capacity(request.topics.len());
            for topic in request.topics {
                topics.push(answer_topic(&ctx, topic).await);
            }
            OffsetForLeaderEpochResponse::default().with_topics(topics)
        })
    }
}

async fn answer_topic(ctx: &Context, topic: OffsetForLeaderTopic) -> OffsetForLeaderTopicResult {
    let found = ctx.topic(topic.topic.as_str()).map_err(|why| error::of_topic(&why));
    let mut partitions = Vec::with_capacity(topic.partitions.len());
    for asked in &topic.partitions {
        let outcome = match &found {
            Ok(found) => end(found, asked).await,
            Err(code) => Err(*code),
        };
        partitions.push(answer(asked.partition, outcome));
    }
    OffsetForLeaderTopicResult::default().with_topic(topic.topic).with_partitions(partitions)
}

/// The epoch at or before the one that was asked for, and the offset where it ends.
async fn end(found: &Resolved, asked: &OffsetForLeaderPartition) -> Result<(i32, i64), ErrorCode> {
    let partition = found.partition(asked.partition).map_err(|why| error::of_topic(&why))?;
    let current = found.timeline.leader_epoch();
    error::check_leader_epoch(asked.current_leader_epoch, current)?;
    if !(0..=current).contains(&asked.leader_epoch) {
        return Ok(UNDEFINED);
    }
    let bounds = found.bounds(&partition).await.map_err(|why| error::of_storage(&why))?;
    let end = found.view().end_for_epoch(&partition, &bounds, asked.leader_epoch);
    Ok(end.unwrap_or((asked.leader_epoch, bounds.log_start)))
}

fn answer(index: i32, outcome: Result<(i32, i64), ErrorCode>) -> EpochEndOffset {
    let answer = EpochEndOffset::default().with_partition(index);
    match outcome {
        Ok((epoch, offset)) => answer.with_leader_epoch(epoch).with_end_offset(offset),
        Err(code) => answer.with_error_code(code.code()),
    }
}
