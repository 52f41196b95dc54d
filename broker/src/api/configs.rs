//! Configuration in Kafka's numbers: resources, layers and types, as several APIs name them.

use std::collections::HashSet;

use kafka_protocol::protocol::StrBytes;

use super::Context;
use super::error::{self, ErrorCode};
use super::text::text;
use crate::config::ConfigType;
use crate::topics::config_keys::{InvalidConfig, Overrides};
use crate::topics::describe::ConfigSource;
use crate::topics::{Changing, TopicError};

/// The resource type of a topic.
pub(super) const TOPIC: i8 = 2;
/// The resource type of a broker.
pub(super) const BROKER: i8 = 4;

/// The number of a layer.
pub(super) fn source(source: ConfigSource) -> i8 {
    match source {
        ConfigSource::Topic => 1,
        ConfigSource::Stream => 3,
        ConfigSource::StaticBroker => 4,
        ConfigSource::Default => 5,
    }
}

/// The number of a type.
pub(super) fn config_type(config_type: ConfigType) -> i8 {
    match config_type {
        ConfigType::Boolean => 1,
        ConfigType::String => 2,
        ConfigType::Int => 3,
        ConfigType::Short => 4,
        ConfigType::Long => 5,
        ConfigType::Double => 6,
        ConfigType::List => 7,
    }
}

/// A refusal of what was asked of one resource: its code and message.
pub(super) type Refusal = (ErrorCode, String);

/// What a client sees of an error with a topic.
pub(super) fn refusal(why: &TopicError) -> Refusal {
    (error::of_topic(why), why.to_string())
}

/// A request that makes no sense.
pub(super) fn invalid(why: impl Into<String>) -> Refusal {
    (ErrorCode::InvalidRequest, why.into())
}

/// Whether a broker's resource name is that of this one.
pub(super) fn check_broker(name: &str, node_id: i32) -> Result<(), Refusal> {
    match name.parse::<i32>() {
        Ok(id) if id == node_id => Ok(()),
        Ok(_) => Err(invalid(format!("Unexpected broker id, expected {node_id}, but received {name}"))),
        Err(_) => Err(invalid(format!("Node id must be an integer, but it is: {name}"))),
    }
}

/// What is to become of one resource's keys.
pub(super) struct Alteration<C> {
    /// The kind of resource.
    pub(super) resource_type: i8,
    /// Its name.
    pub(super) name: StrBytes,
    /// The keys, and whether each lacks a value that it needs.
    pub(super) keys: Vec<(StrBytes, bool)>,
    /// What to do with what is set on a topic.
    pub(super) change: C,
}

impl<C: FnOnce(&mut Overrides) -> Result<(), InvalidConfig> + Send + 'static> Alteration<C> {
    /// Has the change made, or only looks whether it could be. `twice`: the resources that are named more than once.
    pub(super) fn begin(
        self,
        ctx: &Context,
        twice: &HashSet<(i8, StrBytes)>,
        validate_only: bool,
    ) -> Result<Changing<()>, Refusal> {
        if twice.contains(&(self.resource_type, self.name.clone())) {
            return Err(invalid("Each resource must appear at most once."));
        }
        self.check_keys()?;
        match self.resource_type {
            TOPIC => self.begin_on_topic(ctx, validate_only).map_err(|why| refusal(&why)),
            BROKER => self.check_on_broker(ctx.broker().node_id).map(|()| done()),
            other => Err(invalid(format!("Unknown resource type {other}"))),
        }
    }

    fn check_keys(&self) -> Result<(), Refusal> {
        let names: HashSet<&StrBytes> = self.keys.iter().map(|(name, _)| name).collect();
        if names.len() < self.keys.len() {
            return Err(invalid("Error due to duplicate config keys"));
        }
        let nulls: Vec<&str> =
            self.keys.iter().filter(|(_, is_null)| *is_null).map(|(name, _)| name.as_str()).collect();
        if !nulls.is_empty() {
            return Err(invalid(format!("Null value not supported for : {}", nulls.join(", "))));
        }
        Ok(())
    }

    fn begin_on_topic(self, ctx: &Context, validate_only: bool) -> Result<Changing<()>, TopicError> {
        let topics = &ctx.broker().topics;
        let found = ctx.topic(self.name.as_str())?;
        if validate_only {
            topics.check_alter(&found, self.change)?;
            return Ok(done());
        }
        Ok(topics.alter(&found, self.change))
    }

    /// The broker's keys are set when it starts.
    fn check_on_broker(&self, node_id: i32) -> Result<(), Refusal> {
        if !self.name.is_empty() {
            check_broker(&self.name, node_id)?;
        }
        if self.keys.is_empty() {
            return Ok(());
        }
        let names: Vec<&str> = self.keys.iter().map(|(name, _)| name.as_str()).collect();
        Err(invalid(format!("Cannot update these configs dynamically: {}", names.join(", "))))
    }
}

/// Waits for what was begun: the code and the message of its answer.
pub(super) async fn settled(begun: Result<Changing<()>, Refusal>) -> (i16, Option<StrBytes>) {
    let outcome = match begun {
        Ok(altered) => altered.await.map_err(|why| refusal(&why)),
        Err(refusal) => Err(refusal),
    };
    match outcome {
        Ok(()) => (error::NONE, None),
        Err((code, why)) => (code.code(), Some(text(why))),
    }
}

fn done() -> Changing<()> {
    Box::pin(std::future::ready(Ok(())))
}

/// The resources that a request names more than once.
pub(super) fn named_twice(resources: impl Iterator<Item = (i8, StrBytes)>) -> HashSet<(i8, StrBytes)> {
    let mut seen = HashSet::new();
    resources.filter(|resource| !seen.insert(resource.clone())).collect()
}
