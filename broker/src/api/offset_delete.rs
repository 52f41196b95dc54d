//! `OffsetDelete` (key 47), version 0: deletes single positions of a group.
//!
//! Of a consumer group with members only those in topics that nobody in it subscribes to; of another group with members none.

use kafka_protocol::messages::offset_delete_request::OffsetDeleteRequestTopic;
use kafka_protocol::messages::offset_delete_response::{OffsetDeleteResponsePartition, OffsetDeleteResponseTopic};
use kafka_protocol::messages::{OffsetDeleteRequest, OffsetDeleteResponse};

use super::error::{self, ErrorCode};
use super::{Answer, Api, Context};
use crate::groups::positions::PositionTopic;

/// The API.
pub(super) struct OffsetDelete;

impl Api for OffsetDelete {
    type Request = OffsetDeleteRequest;

    fn handle(ctx: &Context, request: OffsetDeleteRequest) -> Answer<OffsetDeleteResponse> {
        let mut work = Work::default();
        let topics = request.topics.into_iter().map(|topic| work.topic(ctx, topic)).collect();
        let mut response = OffsetDeleteResponse::default().with_topics(topics);
        match ctx.broker().groups.delete_positions(&ctx.group_key(&request.group_id), work.positions) {
            Err(error) => {
                let code = error::of_group(error).code();
                Answer::now(OffsetDeleteResponse::default().with_error_code(code))
            }
            Ok(done) => Answer::later(async move {
                for ((topic, partition), result) in work.places.into_iter().zip(done.await) {
                    let code = error::code_of(&result.map_err(|error| error::of_position(&error)));
                    response.topics[topic].partitions[partition].error_code = code;
                }
                response
            }),
        }
    }
}

/// Positions to delete, and where in the response each is answered.
#[derive(Default)]
struct Work {
    positions: Vec<(String, PositionTopic, u32)>,
    places: Vec<(usize, usize)>,
    topics: usize,
}

impl Work {
    fn topic(&mut self, ctx: &Context, topic: OffsetDeleteRequestTopic) -> OffsetDeleteResponseTopic {
        let found = ctx.position_topic(&topic.name);
        let mut answers = Vec::with_capacity(topic.partitions.len());
        for asked in topic.partitions {
            let index = asked.partition_index;
            let code = match (&found, u32::try_from(index)) {
                (Ok(found), Ok(partition)) if partition < found.partitions => {
                    self.places.push((self.topics, answers.len()));
                    self.positions.push((topic.name.to_string(), found.clone(), partition));
                    error::NONE
                }
                (Err(why), _) => error::of_position_topic(why).code(),
                _ => ErrorCode::UnknownTopicOrPartition.code(),
            };
            answers.push(OffsetDeleteResponsePartition::default().with_partition_index(index).with_error_code(code));
        }
        self.topics += 1;
        OffsetDeleteResponseTopic::default().with_name(topic.name).with_partitions(answers)
    }
}
