//! Metadata (key 3), versions 0–13: which topics there are, and who leads their partitions: this node, always.
//!
//! A topic that is asked for by name and is not there comes into being, where the request and `topics.auto_create` allow it;
//! the answer that creates it says that it is usable, since some clients take `LEADER_NOT_AVAILABLE` for final. Addresses are
//! those of the listener that was asked. What a snapshot shows is waited for where it is read for the first time.
//!
//! - v0: no topics means all. v1: null means all; controller, racks, internal topics. v2: cluster id. v4: whether topics may
//!   come into being. v5: offline replicas (never any). v7: leader epochs. v8: authorized operations (KIP-430). v9: flexible.
//! - v10: topic ids (KIP-516). v11: no operations on the cluster any more (KIP-700). v12: topics asked for by id. v13: an error
//!   for the whole answer, never set.

use std::collections::HashSet;

use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::metadata_response::{
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use kafka_protocol::messages::{MetadataRequest, MetadataResponse, TopicName};
use kafka_protocol::protocol::StrBytes;

use super::error::{self, ErrorCode};
use super::text::{text, topic_name};
use super::{Answer, Api, Context, operations};
use crate::topics::{Changing, Resolved, TopicError};

/// The API.
pub(super) struct Metadata;

/// The first version that may ask by id.
const FIRST_WITH_IDS: i16 = 12;

impl Api for Metadata {
    type Request = MetadataRequest;

    fn handle(ctx: &Context, request: MetadataRequest) -> Answer<MetadataResponse> {
        let asker = Asker {
            node_id: ctx.broker().node_id,
            with_operations: request.include_topic_authorized_operations,
            creates: request.allow_auto_topic_creation,
        };
        let mut response = head(ctx, request.include_cluster_authorized_operations);
        let entries = match request.topics {
            Some(topics) if !(ctx.api_version == 0 && topics.is_empty()) => asker.each(ctx, topics),
            _ => ctx.listed_topics().iter().map(|found| Entry::Known(asker.listed(found))).collect(),
        };
        if entries.iter().all(|entry| matches!(entry, Entry::Known(_))) {
            response.topics = entries.into_iter().filter_map(Entry::known).collect();
            return Answer::now(response);
        }
        Answer::later(async move {
            for entry in entries {
                response.topics.push(match entry {
                    Entry::Known(topic) => topic,
                    Entry::Coming(name, topic) => asker.topic(Some(name), topic.await),
                });
            }
            response
        })
    }
}

/// All but the topics.
fn head(ctx: &Context, with_operations: bool) -> MetadataResponse {
    let broker = ctx.broker();
    let node = MetadataResponseBroker::default()
        .with_node_id(broker.node_id.into())
        .with_host(text(&ctx.advertised().host))
        .with_port(ctx.advertised().port.into());
    MetadataResponse::default()
        .with_brokers(vec![node])
        .with_cluster_id(Some(text(broker.cluster_id(ctx.scope()))))
        .with_controller_id(broker.node_id.into())
        .with_cluster_authorized_operations(operations::if_asked(with_operations, operations::ON_CLUSTER))
}

/// A topic of the answer.
enum Entry {
    Known(MetadataResponseTopic),
    /// It is being created, or what its snapshot shows is being read.
    Coming(TopicName, Changing<Resolved>),
}

impl Entry {
    fn known(self) -> Option<MetadataResponseTopic> {
        match self {
            Self::Known(topic) => Some(topic),
            Self::Coming(..) => None,
        }
    }
}

/// How topics are to be answered.
#[derive(Clone, Copy)]
struct Asker {
    node_id: i32,
    with_operations: bool,
    creates: bool,
}

impl Asker {
    /// The topics that were asked for, each once.
    fn each(self, ctx: &Context, topics: Vec<MetadataRequestTopic>) -> Vec<Entry> {
        let is_named = |topic: &MetadataRequestTopic| topic.name.is_some() && topic.topic_id.is_nil();
        if ctx.api_version < FIRST_WITH_IDS && !topics.iter().all(is_named) {
            return topics.into_iter().map(|topic| Entry::Known(contradictory(topic))).collect();
        }
        let mut seen = HashSet::with_capacity(topics.len());
        let mut entries = Vec::with_capacity(topics.len());
        for topic in topics {
            if seen.insert((topic.topic_id, topic.name.clone())) {
                entries.push(self.entry(ctx, topic));
            }
        }
        entries
    }

    fn entry(self, ctx: &Context, asked: MetadataRequestTopic) -> Entry {
        if !asked.topic_id.is_nil() {
            return Entry::Known(match ctx.topic_by_id(&asked.topic_id) {
                Ok(found) => self.listed(&found),
                Err(why) => refused(None, &why).with_topic_id(asked.topic_id),
            });
        }
        let name = asked.name.unwrap_or_default();
        let topics = &ctx.broker().topics;
        let creates = || self.creates && topics.is_created_when_asked_for(ctx.scope(), name.as_str());
        match ctx.topic(name.as_str()) {
            Err(TopicError::Unknown) if creates() => {
                let coming = topics.create_when_asked_for(ctx.scope(), name.as_str());
                Entry::Coming(name, coming)
            }
            Err(TopicError::Loading) => {
                let (topics, scope, asked) = (topics.clone(), ctx.scope(), name.clone());
                Entry::Coming(name, Box::pin(async move { topics.resolve_loaded(scope, asked.as_str()).await }))
            }
            outcome => Entry::Known(self.topic(Some(name), outcome)),
        }
    }

    /// A topic by its own name.
    fn listed(self, found: &Resolved) -> MetadataResponseTopic {
        self.found(Some(topic_name(found.name())), found)
    }

    fn topic(self, name: Option<TopicName>, outcome: Result<Resolved, TopicError>) -> MetadataResponseTopic {
        match outcome {
            Ok(found) => self.found(name, &found),
            Err(why) => refused(name, &why),
        }
    }

    fn found(self, name: Option<TopicName>, found: &Resolved) -> MetadataResponseTopic {
        let leader_epoch = found.timeline.leader_epoch();
        let partition = |index| {
            MetadataResponsePartition::default()
                .with_partition_index(index)
                .with_leader_id(self.node_id.into())
                .with_leader_epoch(leader_epoch)
                .with_replica_nodes(vec![self.node_id.into()])
                .with_isr_nodes(vec![self.node_id.into()])
        };
        let partitions = (0..i32::try_from(found.topic.partitions).unwrap_or(i32::MAX)).map(partition);
        MetadataResponseTopic::default()
            .with_name(name)
            .with_topic_id(found.id)
            .with_is_internal(found.topic.internal)
            .with_partitions(partitions.collect())
            .with_topic_authorized_operations(operations::if_asked(self.with_operations, operations::ON_TOPIC))
    }
}

fn refused(name: Option<TopicName>, why: &TopicError) -> MetadataResponseTopic {
    MetadataResponseTopic::default().with_name(name).with_error_code(error::of_topic(why).code())
}

/// Ids, or no names, in a version that takes names alone.
fn contradictory(asked: MetadataRequestTopic) -> MetadataResponseTopic {
    let name = asked.name.unwrap_or_else(|| TopicName(StrBytes::default()));
    MetadataResponseTopic::default()
        .with_name(Some(name))
        .with_topic_id(asked.topic_id)
        .with_error_code(ErrorCode::InvalidRequest.code())
}
