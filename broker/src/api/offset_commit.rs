//! `OffsetCommit` (key 8), versions 2–9: a group says how far it has come. Answered when that is durable.
//!
//! Members commit in their generation; anybody may commit to a group without members. Each position fails alone. How long a
//! position is kept is the broker's to say (`offsets.retention.minutes`): the retention time of versions 2–4 is left out.
//!
//! - v3: throttle time. v5: no retention time any more (KIP-211). v6: leader epoch (KIP-320). v7: group instance id (KIP-345).
//! - v8: flexible. v9: Kafka has an error of its own for a group that is not there (KIP-848). A member of one is always told here
//!   that it is unknown: it joins again, where that error would end its poll loop.

use kafka_protocol::messages::offset_commit_request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic};
use kafka_protocol::messages::offset_commit_response::{OffsetCommitResponsePartition, OffsetCommitResponseTopic};
use kafka_protocol::messages::{OffsetCommitRequest, OffsetCommitResponse};

use super::error::{self, ErrorCode};
use super::{Answer, Api, Context};
use crate::groups::positions::{Commit, PositionTopic};
use crate::groups::request::MemberClaim;

/// The API.
pub(super) struct OffsetCommit;

impl Api for OffsetCommit {
    type Request = OffsetCommitRequest;

    fn handle(ctx: &Context, request: OffsetCommitRequest) -> Answer<OffsetCommitResponse> {
        let claim = MemberClaim {
            member_id: request.member_id.to_string(),
            instance_id: request.group_instance_id.map(|id| id.to_string()),
            generation: request.generation_id_or_member_epoch,
        };
        let mut work = Work::default();
        let topics = request.topics.into_iter().map(|topic| work.topic(ctx, topic)).collect();
        let mut response = OffsetCommitResponse::default().with_topics(topics);
        if work.commits.is_empty() {
            return Answer::now(response);
        }
        let done = ctx.broker().groups.commit(&ctx.group_key(&request.group_id), &claim, work.commits);
        Answer::later(async move {
            for ((topic, partition), result) in work.places.into_iter().zip(done.await) {
                let code = error::code_of(&result.map_err(|error| error::of_position(&error)));
                response.topics[topic].partitions[partition].error_code = code;
            }
            response
        })
    }
}

/// Positions to commit, and where in the response each is answered.
#[derive(Default)]
struct Work {
    commits: Vec<Commit>,
    places: Vec<(usize, usize)>,
    topics: usize,
}

impl Work {
    /// Puts the positions of a topic in line; what cannot be committed is answered already.
    fn topic(&mut self, ctx: &Context, topic: OffsetCommitRequestTopic) -> OffsetCommitResponseTopic {
        let found = ctx.position_topic(&topic.name);
        let mut answers = Vec::with_capacity(topic.partitions.len());
        for asked in topic.partitions {
            let index = asked.partition_index;
            let code = match (&found, u32::try_from(index)) {
                (Ok(topic), Ok(partition)) => {
                    self.places.push((self.topics, answers.len()));
                    self.commits.push(commit(topic.clone(), partition, asked));
                    error::NONE
                }
                (Err(why), _) => error::of_position_topic(why).code(),
                _ => ErrorCode::UnknownTopicOrPartition.code(),
            };
            answers.push(OffsetCommitResponsePartition::default().with_partition_index(index).with_error_code(code));
        }
        self.topics += 1;
        OffsetCommitResponseTopic::default().with_name(topic.name).with_partitions(answers)
    }
}

fn commit(topic: PositionTopic, partition: u32, asked: OffsetCommitRequestPartition) -> Commit {
    Commit {
        topic,
        partition,
        offset: asked.committed_offset,
        leader_epoch: asked.committed_leader_epoch,
        metadata: asked.committed_metadata.unwrap_or_default().to_string(),
    }
}
