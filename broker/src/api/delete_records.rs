//! `DeleteRecords` (key 21), versions 0–2: deletes what lies before an offset; −1 stands for all that can be read. Answered
//! with the first offset that is left, when the deletion is as durable as records are.
//!
//! The timeout is not needed: there are no other replicas to wait for.
//!
//! - v1: throttled after the answer. v2: flexible.

use kafka_protocol::messages::delete_records_response::{DeleteRecordsPartitionResult, DeleteRecordsTopicResult};
use kafka_protocol::messages::{DeleteRecordsRequest, DeleteRecordsResponse};

use super::{Answer, Api, Context, error};
use crate::topics::TopicError;

/// The API.
pub(super) struct DeleteRecords;

/// Stands for the high watermark.
const ALL: i64 = -1;
/// Stands for no offset.
const NONE: i64 = -1;

impl Api for DeleteRecords {
    type Request = DeleteRecordsRequest;

    fn handle(ctx: &Context, request: DeleteRecordsRequest) -> Answer<DeleteRecordsResponse> {
        let topics = &ctx.broker().topics;
        let mut deletions = Vec::with_capacity(request.topics.len());
        for topic in request.topics {
            let found = ctx.topic(topic.name.as_str());
            let partitions = topic.partitions.into_iter().map(|asked| {
                let before = (asked.offset != ALL).then_some(asked.offset);
                let deletion = found.as_ref().map(|found| topics.delete_records(found, asked.partition_index, before));
                (asked.partition_index, deletion.map_err(TopicError::clone))
            });
            deletions.push((topic.name, partitions.collect::<Vec<_>>()));
        }
        Answer::later(async move {
            let mut topics = Vec::with_capacity(deletions.len());
            for (name, partitions) in deletions {
                let mut results = Vec::with_capacity(partitions.len());
                for (index, deletion) in partitions {
                    let outcome = match deletion {
                        Ok(deleted) => deleted.await,
                        Err(why) => Err(why),
                    };
                    results.push(answer(index, &outcome));
                }
                topics.push(DeleteRecordsTopicResult::default().with_name(name).with_partitions(results));
            }
            DeleteRecordsResponse::default().with_topics(topics)
        })
    }
}

fn answer(index: i32, outcome: &Result<i64, TopicError>) -> DeleteRecordsPartitionResult {
    let result = DeleteRecordsPartitionResult::default().with_partition_index(index);
    match outcome {
        Ok(low_watermark) => result.with_low_watermark(*low_watermark),
        Err(why) => result.with_low_watermark(NONE).with_error_code(error::of_topic(why).code()),
    }
}
