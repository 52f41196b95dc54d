//! What a handler is told besides the request: who asks, where, and in which version.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use arc_swap::ArcSwapOption;
use kafka_protocol::protocol::StrBytes;
use uuid::Uuid;

use super::Table;
use super::error::{self, ErrorCode};
use crate::broker::{Advertised, Broker, Listener};
use crate::groups::GroupKey;
use crate::groups::positions::PositionTopic;
use crate::metrics::ApiMetrics;
use crate::quotas::Held;
use crate::scope::Scope;
use crate::topics::{Resolved, TopicError};

/// What is true of a connection for as long as it lasts.
#[derive(Debug)]
pub struct Connection {
    /// The broker.
    pub broker: Arc<Broker>,
    /// The listener that the client chose.
    pub listener: Arc<Listener>,
    /// Where this client reaches the broker: what every answer that names an address says.
    pub advertised: Advertised,
    /// The APIs that are served here.
    pub table: &'static Table,
    /// Their counters, by place in the table.
    pub metrics: Arc<[Arc<ApiMetrics>]>,
    /// The client's address.
    pub peer: SocketAddr,
    /// What the client said of itself in `ApiVersions` (KIP-511); none before.
    pub software: ArcSwapOption<Software>,
    /// What it has to wait for after a quota refused it.
    pub held: Held,
}

/// The name and version of a client library.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Software {
    /// Such as `apache-kafka-java`.
    pub name: String,
    /// Such as `4.1.0`.
    pub version: String,
}

/// What a handler is told besides the request. Cheap to clone, for futures that outlive the call.
#[derive(Clone, Debug)]
pub struct Context {
    /// The connection on which the request came.
    pub connection: Arc<Connection>,
    /// The client's own name for itself; empty if it gave none. It shares the memory of the request's frame: copy it to
    /// keep it for longer than the request.
    pub client_id: StrBytes,
    /// The version of the request and of its answer.
    pub api_version: i16,
    /// The client's number for the request.
    pub correlation_id: i32,
    /// When the request had been read. Deadlines are counted from here.
    pub arrived: Instant,
    /// The place of the API in the table.
    pub(super) place: usize,
}

impl Context {
    /// The broker.
    pub fn broker(&self) -> &Broker {
        &self.connection.broker
    }

    /// What the client sees.
    pub fn scope(&self) -> Scope {
        self.connection.listener.scope
    }

    /// The topic that the client means by a name.
    pub fn topic(&self, name: &str) -> Result<Resolved, TopicError> {
        self.broker().topics.resolve(self.scope(), name)
    }

    /// The topic that the client means by an id.
    pub fn topic_by_id(&self, id: &Uuid) -> Result<Resolved, TopicError> {
        self.broker().topics.resolve_id(self.scope(), id)
    }

    /// The topics that the client is shown when it names none.
    pub fn listed_topics(&self) -> Vec<Resolved> {
        self.broker().topics.list(self.scope())
    }

    /// The group that the client means by an id.
    pub fn group_key(&self, group_id: &str) -> GroupKey {
        GroupKey::new(self.scope(), group_id)
    }

    /// The topic that the client means by a name, as positions have to know it.
    pub fn position_topic(&self, name: &str) -> Result<PositionTopic, TopicError> {
        let found = self.topic(name)?;
        Ok(PositionTopic {
            home: found.home(),
            number: found.topic.number,
            partitions: found.topic.partitions,
            id: found.id.into_bytes(),
            name: found.topic.name.short(),
            frozen: found.frozen_state().cloned(),
            is_restored: found.is_restored(),
            timeline: found.timeline,
        })
    }

    /// Where the client reaches the broker.
    pub fn advertised(&self) -> &Advertised {
        &self.connection.advertised
    }

    /// The client's address.
    pub fn peer(&self) -> SocketAddr {
        self.connection.peer
    }

    /// Counts an error that the answer holds, by its name in Kafka, and gives its code.
    pub fn error(&self, error: ErrorCode) -> i16 {
        self.connection.metrics[self.place].error(error::name_of(error));
        error.code()
    }
}
