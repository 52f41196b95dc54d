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

mod encode;

use std::collections::HashSet;

use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::{MetadataRequest, MetadataResponse, TopicName};
use kafka_protocol::protocol::StrBytes;
use uuid::Uuid;

use super::error::{self, ErrorCode};
use super::text::topic_name;
use super::{Answer, Api, Context, Outcome, Piece, operations};
use crate::topics::{Changing, Resolved, TopicError};
use encode::{Head, Topic};

/// The API.
pub(super) struct Metadata;

/// The first version that may ask by id.
const FIRST_WITH_IDS: i16 = 12;

impl Api for Metadata {
    type Request = MetadataRequest;

    fn handle(ctx: &Context, request: MetadataRequest) -> Answer<MetadataResponse> {
        let asker = Asker {
            with_operations: request.include_topic_authorized_operations,
            creates: request.allow_auto_topic_creation,
        };
        let operations = operations::if_asked(request.include_cluster_authorized_operations, operations::ON_CLUSTER);
        let entries = match request.topics {
            Some(topics) if !(ctx.api_version == 0 && topics.is_empty()) => asker.each(ctx, topics),
            _ => ctx.listed_topics().iter().map(|found| Entry::Known(asker.listed(found))).collect(),
        };
        if entries.iter().all(|entry| matches!(entry, Entry::Known(_))) {
            let topics: Vec<_> = entries.into_iter().filter_map(Entry::known).collect();
            return Answer::Now(Outcome::Encoded(encoded(ctx, operations, &topics)));
        }
        let ctx = ctx.clone();
        Answer::outcome_later(async move {
            let mut topics = Vec::with_capacity(entries.len());
            for entry in entries {
                topics.push(match entry {
                    Entry::Known(topic) => topic,
                    Entry::Coming(name, topic) => asker.topic(Some(name), topic.await),
                });
            }
            Outcome::Encoded(encoded(&ctx, operations, &topics))
        })
    }
}

fn encoded(ctx: &Context, operations: i32, topics: &[Topic]) -> Vec<Piece> {
    let (broker, advertised) = (ctx.broker(), ctx.advertised());
    let cluster_id = broker.cluster_id(ctx.scope());
    let head = Head {
        node_id: broker.node_id,
        host: &advertised.host,
        port: advertised.port,
        cluster_id: &cluster_id,
        operations,
    };
    encode::response(ctx.api_version, &head, topics)
}

/// A topic of the answer.
enum Entry {
    Known(Topic),
    /// It is being created, or what its snapshot shows is being read.
    Coming(TopicName, Changing<Resolved>),
}

impl Entry {
    fn known(self) -> Option<Topic> {
        match self {
            Self::Known(topic) => Some(topic),
            Self::Coming(..) => None,
        }
    }
}

/// How topics are to be answered.
#[derive(Clone, Copy)]
struct Asker {
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
                Err(why) => Topic { id: asked.topic_id, ..refused(None, error::of_topic(&why)) },
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
    fn listed(self, found: &Resolved) -> Topic {
        self.found(Some(topic_name(found.name())), found)
    }

    fn topic(self, name: Option<TopicName>, outcome: Result<Resolved, TopicError>) -> Topic {
        match outcome {
            Ok(found) => self.found(name, &found),
            Err(why) => refused(name, error::of_topic(&why)),
        }
    }

    fn found(self, name: Option<TopicName>, found: &Resolved) -> Topic {
        Topic {
            error: error::NONE,
            name,
            id: found.id,
            is_internal: found.topic.internal,
            leader_epoch: found.timeline.leader_epoch(),
            partitions: found.topic.partitions,
            operations: operations::if_asked(self.with_operations, operations::ON_TOPIC),
        }
    }
}

fn refused(name: Option<TopicName>, code: ErrorCode) -> Topic {
    Topic {
        error: code.code(),
        name,
        id: Uuid::nil(),
        is_internal: false,
        leader_epoch: -1,
        partitions: 0,
        operations: operations::if_asked(false, operations::ON_TOPIC),
    }
}

/// Ids, or no names, in a version that takes names alone.
fn contradictory(asked: MetadataRequestTopic) -> Topic {
    let name = asked.name.unwrap_or_else(|| TopicName(StrBytes::default()));
    Topic { id: asked.topic_id, ..refused(Some(name), ErrorCode::InvalidRequest) }
}
