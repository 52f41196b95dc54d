//! `OffsetForLeaderEpoch` (key 23), versions 2–4: where a leader epoch ends, by which a consumer finds out whether what it
//! has read is still there.
//!
//! Kafka's rules: an epoch that is still to come has no end; one that wrote nothing here ends where the one before it did;
//! one before all that is known ends where the partition begins.
//!
//! - v2: the epoch that the client takes for the current one (KIP-320). v3: replica id. v4: flexible.

use kafka_protocol::messages::offset_for_leader_epoch_request::OffsetForLeaderPartition;
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
        let topics = request.topics.into_iter().map(|topic| {
            let found = ctx.broker().topics.resolve(topic.topic.as_str()).map_err(|why| error::of_topic(&why));
            let partitions = topic.partitions.iter().map(|asked| {
                let outcome = found.as_ref().map_err(|code| *code).and_then(|found| end(found, asked));
                answer(asked.partition, outcome)
            });
            let partitions = partitions.collect();
            OffsetForLeaderTopicResult::default().with_topic(topic.topic).with_partitions(partitions)
        });
        Answer::now(OffsetForLeaderEpochResponse::default().with_topics(topics.collect()))
    }
}

/// The epoch at or before the one that was asked for, and the offset where it ends.
fn end(found: &Resolved, asked: &OffsetForLeaderPartition) -> Result<(i32, i64), ErrorCode> {
    let partition = found.partition(asked.partition).map_err(|why| error::of_topic(&why))?;
    let current = found.timeline.leader_epoch();
    error::check_leader_epoch(asked.current_leader_epoch, current)?;
    if !(0..=current).contains(&asked.leader_epoch) {
        return Ok(UNDEFINED);
    }
    let end = found.timeline.live().end_for_epoch(&partition, asked.leader_epoch);
    let end = end.map_err(|why| error::of_storage(&why))?;
    Ok(end.unwrap_or_else(|| (asked.leader_epoch, partition.log_start())))
}

fn answer(index: i32, outcome: Result<(i32, i64), ErrorCode>) -> EpochEndOffset {
    let answer = EpochEndOffset::default().with_partition(index);
    match outcome {
        Ok((epoch, offset)) => answer.with_leader_epoch(epoch).with_end_offset(offset),
        Err(code) => answer.with_error_code(code.code()),
    }
}
