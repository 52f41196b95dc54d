//! `CreatePartitions` (key 37), versions 0–3: adds partitions to topics, each answered by itself, when they are usable.
//!
//! Topics never shrink. The timeout is not needed: partitions are there with the next sync.
//!
//! - v1: throttled after the answer. v2: flexible. v3: quotas, of which there are none.

use std::collections::HashMap;

use kafka_protocol::messages::create_partitions_request::CreatePartitionsTopic;
use kafka_protocol::messages::create_partitions_response::CreatePartitionsTopicResult;
use kafka_protocol::messages::{CreatePartitionsRequest, CreatePartitionsResponse, TopicName};

use super::text::text;
use super::{Answer, Api, Context, error};
use crate::topics::replicas::check_replicas;
use crate::topics::{Changing, Resolved, TopicError};

/// The API.
pub(super) struct CreatePartitions;

/// Partitions that a topic may get at once, as in Kafka.
const PARTITIONS_MAX: i64 = 10_000;

impl Api for CreatePartitions {
    type Request = CreatePartitionsRequest;

    fn handle(ctx: &Context, request: CreatePartitionsRequest) -> Answer<CreatePartitionsResponse> {
        let mut times = HashMap::<TopicName, usize>::new();
        for topic in &request.topics {
            *times.entry(topic.name.clone()).or_default() += 1;
        }
        let mut additions = Vec::with_capacity(request.topics.len());
        for topic in request.topics {
            // Of names that come more than once, the first stands for all.
            let Some(times) = times.remove(&topic.name) else { continue };
            let outcome = if times > 1 {
                Err(TopicError::InvalidRequest("Duplicate topic name.".to_owned()))
            } else {
                begin(ctx, &topic, request.validate_only)
            };
            additions.push((topic.name, outcome));
        }
        Answer::later(async move {
            let mut results = Vec::with_capacity(additions.len());
            for (name, begun) in additions {
                let outcome = match begun {
                    Ok(added) => added.await,
                    Err(why) => Err(why),
                };
                results.push(answer(name, outcome));
            }
            CreatePartitionsResponse::default().with_results(results)
        })
    }
}

/// Has partitions added, or only looks whether they could be.
fn begin(ctx: &Context, topic: &CreatePartitionsTopic, validate_only: bool) -> Result<Changing<()>, TopicError> {
    let topics = &ctx.broker().topics;
    let found = ctx.topic(topic.name.as_str())?;
    topics.check_partitions(&found, topic.count)?;
    check(topic, &found, ctx.broker().node_id)?;
    if validate_only {
        return Ok(Box::pin(std::future::ready(Ok(()))));
    }
    Ok(topics.add_partitions(&found, topic.count))
}

/// Checks how many are added, and where to.
fn check(topic: &CreatePartitionsTopic, found: &Resolved, node_id: i32) -> Result<(), TopicError> {
    let added = i64::from(topic.count) - i64::from(found.topic.partitions);
    if added > PARTITIONS_MAX {
        return Err(TopicError::TooMuch("Excessively large number of partitions per request.".to_owned()));
    }
    let Some(assignments) = &topic.assignments else { return Ok(()) };
    if i64::try_from(assignments.len()).ok() != Some(added) {
        return Err(TopicError::InvalidAssignment(format!(
            "Attempted to add {added} additional partition(s), but only {} assignment(s) were specified.",
            assignments.len()
        )));
    }
    assignments.iter().try_for_each(|assignment| {
        let nodes: Vec<i32> = assignment.broker_ids.iter().map(|node| node.0).collect();
        check_replicas(&nodes, node_id)
    })
}

fn answer(name: TopicName, outcome: Result<(), TopicError>) -> CreatePartitionsTopicResult {
    let result = CreatePartitionsTopicResult::default().with_name(name);
    match outcome {
        Ok(()) => result,
        Err(why) => result.with_error_code(error::of_topic(&why).code()).with_error_message(Some(text(why))),
    }
}
