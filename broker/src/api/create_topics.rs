//! `CreateTopics` (key 19), versions 2–7: creates topics, each answered by itself, when it is usable.
//!
//! −1 stands for the default number of partitions and replicas. There is one node, so that more than one replica, or one
//! elsewhere, cannot be had. Names that differ in `.` and `_` alone are two topics; Kafka refuses the second, whose metrics
//! would be those of the first. The timeout is not needed: a topic is there with the next sync, or the disk refuses it.
//!
//! - v2: validate only. v4: −1 (KIP-464). v5: flexible; the answer says what holds for the topic (KIP-525). v6: quotas, of
//!   which there are none. v7: topic ids.

use std::collections::HashMap;

use kafka_protocol::messages::create_topics_request::CreatableTopic;
use kafka_protocol::messages::create_topics_response::{CreatableTopicConfigs, CreatableTopicResult};
use kafka_protocol::messages::{CreateTopicsRequest, CreateTopicsResponse, TopicName};
use uuid::Uuid;

use super::text::text;
use super::{Answer, Api, Context, configs, error};
use crate::topics::config_keys::{Overrides, checked};
use crate::topics::describe::describe_topic;
use crate::topics::replicas::{check_assignment, check_replication_factor};
use crate::topics::{Changing, NewTopic, TopicError};

/// The API.
pub(super) struct CreateTopics;

/// Partitions that one request may make, as in Kafka.
const PARTITIONS_MAX: u64 = 10_000;

impl Api for CreateTopics {
    type Request = CreateTopicsRequest;

    fn handle(ctx: &Context, request: CreateTopicsRequest) -> Answer<CreateTopicsResponse> {
        let is_too_much = partitions_in(&request, ctx.broker().config.topics.num_partitions) > PARTITIONS_MAX;
        let mut times = HashMap::<TopicName, usize>::new();
        for topic in &request.topics {
            *times.entry(topic.name.clone()).or_default() += 1;
        }
        let mut creations = Vec::with_capacity(request.topics.len());
        for topic in request.topics {
            // Of names that come more than once, the first stands for all.
            let Some(times) = times.remove(&topic.name) else { continue };
            let name = topic.name.clone();
            let outcome = if is_too_much {
                Err(TopicError::TooMuch("Excessively large number of partitions per request.".to_owned()))
            } else if times > 1 {
                Err(TopicError::InvalidRequest("Duplicate topic name.".to_owned()))
            } else {
                begin(ctx, &topic, request.validate_only)
            };
            creations.push((name, outcome));
        }
        let ctx = ctx.clone();
        Answer::later(async move {
            let mut topics = Vec::with_capacity(creations.len());
            for (name, begun) in creations {
                let outcome = match begun {
                    Ok((settings, created)) => created.await.map(|created| (settings, created)),
                    Err(why) => Err(why),
                };
                topics.push(answer(&ctx, name, outcome));
            }
            CreateTopicsResponse::default().with_topics(topics)
        })
    }
}

/// How many partitions a request asks for.
fn partitions_in(request: &CreateTopicsRequest, default: i32) -> u64 {
    let of_topic = |topic: &CreatableTopic| match topic.num_partitions {
        -1 if topic.assignments.is_empty() => u64::try_from(default).unwrap_or(0),
        -1 => topic.assignments.len() as u64,
        count => u64::try_from(count).unwrap_or(0),
    };
    request.topics.iter().map(of_topic).sum()
}

/// What became of a topic: its id and number of partitions.
type Created = (Uuid, u32);

/// Has a topic created, or only looks whether it could be.
fn begin(
    ctx: &Context,
    topic: &CreatableTopic,
    validate_only: bool,
) -> Result<(Overrides, Changing<Created>), TopicError> {
    let topics = &ctx.broker().topics;
    let new = new_topic(topic, ctx.broker().node_id)?;
    let settings = new.settings.clone();
    let partitions = topics.check_new(ctx.scope(), new.clone())?;
    if validate_only {
        return Ok((settings, Box::pin(std::future::ready(Ok((Uuid::nil(), partitions))))));
    }
    let created = topics.create(ctx.scope(), new);
    Ok((settings, Box::pin(async { created.await.map(|found| (found.id, found.topic.partitions)) })))
}

fn new_topic(topic: &CreatableTopic, node_id: i32) -> Result<NewTopic, TopicError> {
    let given = topic.configs.iter().map(|config| (config.name.as_str(), config.value.as_deref()));
    let settings = checked(given)?;
    let partitions = if topic.assignments.is_empty() {
        check_replication_factor(topic.replication_factor)?;
        (topic.num_partitions != -1).then_some(topic.num_partitions)
    } else {
        Some(assigned(topic, node_id)?)
    };
    Ok(NewTopic { name: topic.name.to_string(), partitions, settings })
}

/// How many partitions are assigned by hand.
fn assigned(topic: &CreatableTopic, node_id: i32) -> Result<i32, TopicError> {
    let one_of_two = |what| {
        Err(TopicError::InvalidRequest(format!(
            "A manual partition assignment was specified, but {what} was not set to -1."
        )))
    };
    if topic.replication_factor != -1 {
        return one_of_two("replication factor");
    }
    if topic.num_partitions != -1 {
        return one_of_two("numPartitions");
    }
    let partitions = topic.assignments.iter();
    let nodes: Vec<(i32, Vec<i32>)> =
        partitions.map(|part| (part.partition_index, part.broker_ids.iter().map(|node| node.0).collect())).collect();
    check_assignment(&nodes, node_id)
}

fn answer(ctx: &Context, name: TopicName, outcome: Result<(Overrides, Created), TopicError>) -> CreatableTopicResult {
    let stream = ctx.broker().topics.stream_of(ctx.scope(), &name).unwrap_or_default();
    let result = CreatableTopicResult::default().with_name(name);
    match outcome {
        Ok((settings, (id, partitions))) => {
            let described = describe_topic(&ctx.broker().config, &stream.config, &settings).into_iter().map(|key| {
                CreatableTopicConfigs::default()
                    .with_name(text(key.name))
                    .with_value(Some(text(key.value)))
                    .with_read_only(key.is_read_only)
                    .with_config_source(configs::source(key.source))
            });
            result
                .with_topic_id(id)
                .with_error_message(None)
                .with_num_partitions(i32::try_from(partitions).unwrap_or(i32::MAX))
                .with_replication_factor(1)
                .with_configs(Some(described.collect()))
        }
        Err(why) => result.with_error_code(error::of_topic(&why).code()).with_error_message(Some(text(why))),
    }
}
