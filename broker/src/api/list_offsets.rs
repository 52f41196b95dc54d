//! `ListOffsets` (key 2), versions 1–10: offsets by time, exact to the record, and the ends of partitions.
//!
//! Times below zero have names: −1 the end, −2 the beginning, −3 the record with the greatest timestamp (v7), −4 the beginning of what is on this machine
//! (v8), −5 the end of what was moved to other storage (v9: nothing ever is).
//!
//! The end is asked for right after an append that was acknowledged before all clients could read it (`acks=1`): the answer waits until they can.
//!
//! - v1: one offset in place of a list. v2: isolation level. v4: leader epochs (KIP-320). v6: flexible. v10: a timeout, for remote storage.

use std::sync::Arc;

use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::list_offsets_response::{ListOffsetsPartitionResponse, ListOffsetsTopicResponse};
use kafka_protocol::messages::{ListOffsetsRequest, ListOffsetsResponse};
use millpond_storage::{Found, Partition};

use super::error::{self, ErrorCode};
use super::{Answer, Api, Context};
use crate::completion;
use crate::topics::Resolved;

const LATEST: i64 = -1;
const EARLIEST: i64 = -2;
const MAX_TIMESTAMP: i64 = -3;
const EARLIEST_LOCAL: i64 = -4;
const LATEST_TIERED: i64 = -5;

/// The API.
pub(super) struct ListOffsets;

impl Api for ListOffsets {
    type Request = ListOffsetsRequest;

    fn handle(ctx: &Context, request: ListOffsetsRequest) -> Answer<ListOffsetsResponse> {
        let ctx = ctx.clone();
        Answer::later(async move {
            let mut topics = Vec::with_capacity(request.topics.len());
            for topic in request.topics {
                topics.push(answer_topic(&ctx, topic).await);
            }
            ListOffsetsResponse::default().with_topics(topics)
        })
    }
}

async fn answer_topic(ctx: &Context, topic: ListOffsetsTopic) -> ListOffsetsTopicResponse {
    let found = ctx.topic(topic.name.as_str());
    let mut answers = Vec::with_capacity(topic.partitions.len());
    for asked in topic.partitions {
        let index = asked.partition_index;
        let outcome = match &found {
            Ok(found) => answer(ctx, found, &asked).await,
            Err(why) => Err(error::of_topic(why)),
        };
        answers.push(match outcome {
            Ok(found) => respond(ctx.api_version, index, found),
            Err(code) => respond(ctx.api_version, index, NOTHING).with_error_code(code.code()),
        });
    }
    ListOffsetsTopicResponse::default().with_name(topic.name).with_partitions(answers)
}

/// No record is that late.
const NOTHING: Found = Found { offset: -1, timestamp: -1, leader_epoch: -1 };

fn respond(version: i16, index: i32, found: Found) -> ListOffsetsPartitionResponse {
    ListOffsetsPartitionResponse::default()
        .with_partition_index(index)
        .with_timestamp(found.timestamp)
        .with_offset(found.offset)
        .with_leader_epoch(if version >= 4 { found.leader_epoch } else { -1 })
}

async fn answer(ctx: &Context, topic: &Resolved, asked: &ListOffsetsPartition) -> Result<Found, ErrorCode> {
    let partition = topic.partition(asked.partition_index).map_err(|why| error::of_topic(&why))?;
    error::check_leader_epoch(asked.current_leader_epoch, topic.timeline.leader_epoch())?;
    if !topic.is_frozen() && partition.high_watermark() < partition.log_end() {
        let (done, visible) = completion::pair();
        topic.timeline.barrier(move || done(()));
        visible.await;
    }
    if topic.is_fenced(&partition) {
        return Err(ErrorCode::FencedLeaderEpoch);
    }
    let bounds = topic.bounds(&partition).await.map_err(|why| error::of_storage(&why))?;
    let view = topic.view();
    let searched = match asked.timestamp {
        LATEST => return Ok(at(topic, &partition, bounds.high_watermark)),
        EARLIEST => return Ok(at(topic, &partition, bounds.log_start)),
        EARLIEST_LOCAL if ctx.api_version >= 8 => return Ok(at(topic, &partition, bounds.log_start)),
        MAX_TIMESTAMP if ctx.api_version >= 7 => {
            let (done, found) = completion::pair();
            view.max_time(&partition, done);
            found.await
        }
        LATEST_TIERED if ctx.api_version >= 9 => return Ok(NOTHING),
        time if time >= 0 => {
            let (done, found) = completion::pair();
            view.find_time(&partition, time, done);
            found.await
        }
        _ => return Err(ErrorCode::UnsupportedVersion),
    };
    let found = searched.ok_or(ErrorCode::BrokerNotAvailable)?;
    found.map(|found| found.unwrap_or(NOTHING)).map_err(|why| error::of_storage(&why))
}

/// An end of the partition, which has no timestamp.
fn at(topic: &Resolved, partition: &Arc<Partition>, offset: i64) -> Found {
    Found { offset, timestamp: -1, leader_epoch: topic.view().epoch_of(partition, offset) }
}
