//! `/v1/topics`: the topics, one topic, its creation, change and deletion.
//!
//! | request | answer |
//! |---|---|
//! | `GET /v1/topics` | [`TopicList`]: those that are listed |
//! | `GET /v1/topics?of=trading@close` | [`TopicList`]: those of a volume or a snapshot, listed or not; 404 |
//! | `POST /v1/topics` with a [`NewTopic`] | 201 and the [`Topic`] |
//! | `GET /v1/topics/{name}` | [`Topic`], 404 |
//! | `PATCH /v1/topics/{name}` with a [`TopicChange`] | [`Topic`], 404 |
//! | `DELETE /v1/topics/{name}` | 204, 404 |
//!
//! A name is one segment of the path: what a URL cannot hold in one is percent-encoded, the slashes of paths too.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::HttpState;
use super::body::Body;
use super::listeners::scope_of;
use super::path::Path;
use super::problem::Problem;
use super::query::Query;
use crate::broker::Broker;
use crate::scope::Scope;
use crate::topics::config_keys::{Change, Overrides, change as change_key, checked};
use crate::topics::describe::{ConfigSource, describe_topic};
use crate::topics::{NewTopic as Creation, Resolved, TopicError, ids};

/// All topics that the listener shows, by name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TopicList {
    /// Each in short.
    pub topics: Vec<TopicSummary>,
}

/// A topic in short.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TopicSummary {
    /// Its name.
    pub name: String,
    /// Its id, as Kafka's clients write it.
    pub id: String,
    /// Whether the broker keeps it for itself.
    pub internal: bool,
    /// How many partitions it has.
    pub partitions: usize,
    /// Offsets between the start and the end of its partitions, which is about how many records it has.
    pub records: u64,
    /// Bytes of its batches; of a snapshot's none, which holds no bytes that are its alone.
    pub bytes: u64,
}

/// A topic.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Topic {
    /// Its name.
    pub name: String,
    /// Its id, as Kafka's clients write it.
    pub id: String,
    /// Whether the broker keeps it for itself.
    pub internal: bool,
    /// Its partitions, by number.
    pub partitions: Vec<TopicPartition>,
    /// Its configuration: what it has of its own, and what it has from its stream or the broker.
    pub config: Vec<TopicSetting>,
}

/// A partition of a topic.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TopicPartition {
    /// Its number.
    pub partition: i32,
    /// The leader epoch that it has now.
    pub leader_epoch: i32,
    /// The first offset that can be read.
    pub log_start_offset: i64,
    /// Where readers of committed records end.
    pub last_stable_offset: i64,
    /// Where all readers end.
    pub high_watermark: i64,
    /// Bytes of its batches; of a snapshot's none, which holds no bytes that are its alone.
    pub bytes: u64,
}

/// A key of a topic's configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TopicSetting {
    /// Kafka's name.
    pub name: String,
    /// Its value in Kafka's notation.
    pub value: String,
    /// Whether the topic has it of its own.
    pub own: bool,
}

/// A topic to create.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewTopic {
    /// Its name.
    pub name: String,
    /// How many partitions; the broker's default where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partitions: Option<i32>,
    /// Its configuration by Kafka's names.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub config: BTreeMap<String, String>,
}

/// What is to be changed on a topic: all of the configuration or nothing, then the partitions. What is missing stays.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TopicChange {
    /// How many partitions it is to have: more than it has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partitions: Option<i32>,
    /// Its configuration by Kafka's names; null: as its stream or the broker is set.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub config: BTreeMap<String, Option<String>>,
}

/// Of which volume or snapshot.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Of {
    pub(super) of: Option<String>,
}

pub(super) async fn list(
    State(state): State<HttpState>,
    Query(Of { of }): Query<Of>,
) -> Result<Json<TopicList>, Problem> {
    let broker = state.broker()?;
    let topics = match of {
        None => broker.topics.list(Scope::Everything),
        Some(of) => {
            let listed = broker.topics.list_in(scope_of(broker, &of)?).await;
            listed.map_err(|error| problem(&of, &error))?
        }
    };
    let mut listed = Vec::with_capacity(topics.len());
    for found in &topics {
        listed.push(summary(found).await?);
    }
    Ok(Json(TopicList { topics: listed }))
}

pub(super) async fn describe(State(state): State<HttpState>, Path(name): Path<String>) -> Result<Json<Topic>, Problem> {
    let broker = state.broker()?;
    let found = broker.topics.resolve_loaded(Scope::Everything, &name).await;
    let found = found.map_err(|error| problem(&name, &error))?;
    Ok(Json(topic(broker, &found).await?))
}

pub(super) async fn create(
    State(state): State<HttpState>,
    Body(new): Body<NewTopic>,
) -> Result<(StatusCode, Json<Topic>), Problem> {
    let broker = state.broker()?;
    let given = new.config.iter().map(|(key, value)| (key.as_str(), Some(value.as_str())));
    let settings = checked(given).map_err(|error| problem(&new.name, &error.into()))?;
    let creation = Creation { name: new.name.clone(), partitions: new.partitions, settings };
    let created =
        broker.topics.create(Scope::Everything, creation).await.map_err(|error| problem(&new.name, &error))?;
    Ok((StatusCode::CREATED, Json(topic(broker, &created).await?)))
}

pub(super) async fn alter(
    State(state): State<HttpState>,
    Path(name): Path<String>,
    Body(asked): Body<TopicChange>,
) -> Result<Json<Topic>, Problem> {
    let broker = state.broker()?;
    let refused = |error: TopicError| problem(&name, &error);
    let found = broker.topics.resolve(Scope::Everything, &name).map_err(refused)?;
    if let Some(partitions) = asked.partitions {
        broker.topics.check_partitions(&found, partitions).map_err(refused)?;
    }
    if !asked.config.is_empty() {
        let change = move |own: &mut Overrides| {
            asked.config.iter().try_for_each(|(key, value)| {
                let change = value.as_deref().map_or(Change::Delete, |value| Change::Set(Some(value)));
                change_key(own, key, change)
            })
        };
        broker.topics.alter(&found, change).await.map_err(refused)?;
    }
    if let Some(partitions) = asked.partitions {
        broker.topics.add_partitions(&found, partitions).await.map_err(refused)?;
    }
    let changed = broker.topics.resolve(Scope::Everything, &name).map_err(refused)?;
    Ok(Json(topic(broker, &changed).await?))
}

pub(super) async fn delete(State(state): State<HttpState>, Path(name): Path<String>) -> Result<StatusCode, Problem> {
    let broker = state.broker()?;
    let found = broker.topics.resolve(Scope::Everything, &name).map_err(|error| problem(&name, &error))?;
    broker.topics.delete(&found).await.map_err(|error| problem(&name, &error))?;
    Ok(StatusCode::NO_CONTENT)
}

async fn summary(found: &Resolved) -> Result<TopicSummary, Problem> {
    let length = |start: i64, end: i64| u64::try_from(end.saturating_sub(start)).unwrap_or(0);
    let mut summary = TopicSummary {
        name: found.name().to_string(),
        id: ids::text(found.id.as_bytes()),
        internal: found.topic.internal,
        partitions: 0,
        records: 0,
        bytes: 0,
    };
    for partition in found.partitions() {
        let bounds = found.bounds(&partition).await.map_err(|error| problem(&found.name(), &error.into()))?;
        summary.partitions += 1;
        summary.records += length(bounds.log_start, bounds.high_watermark);
        summary.bytes += if found.is_frozen() { 0 } else { partition.live_bytes() };
    }
    Ok(summary)
}

async fn topic(broker: &Broker, found: &Resolved) -> Result<Topic, Problem> {
    let mut partitions = Vec::new();
    for (number, partition) in (0..).zip(found.partitions()) {
        let bounds = found.bounds(&partition).await.map_err(|error| problem(&found.name(), &error.into()))?;
        partitions.push(TopicPartition {
            partition: number,
            leader_epoch: found.timeline.leader_epoch(),
            log_start_offset: bounds.log_start,
            last_stable_offset: bounds.last_stable,
            high_watermark: bounds.high_watermark,
            bytes: if found.is_frozen() { 0 } else { partition.live_bytes() },
        });
    }
    let setting = |key: crate::topics::describe::Described| TopicSetting {
        name: key.name,
        value: key.value,
        own: key.source == ConfigSource::Topic,
    };
    Ok(Topic {
        name: found.name().to_string(),
        id: ids::text(found.id.as_bytes()),
        internal: found.topic.internal,
        partitions,
        config: describe_topic(&broker.config, &found.stream_config(), &found.topic.settings)
            .into_iter()
            .map(setting)
            .collect(),
    })
}

/// What went wrong with the topic `name`, for people.
pub(super) fn problem(name: &str, error: &TopicError) -> Problem {
    let of = |status, kind: &str, title: &str| Problem::new(status, kind, title, error.to_string());
    let invalid = |kind, title| of(StatusCode::BAD_REQUEST, kind, title);
    match error {
        TopicError::Unknown | TopicError::UnknownId => {
            let detail = format!("There is no topic {name:?}. `millpond topic list` shows those that there are.");
            Problem::new(StatusCode::NOT_FOUND, "unknown-topic", "There is no such topic", detail)
        }
        TopicError::AlreadyExists(_) => of(StatusCode::CONFLICT, "topic-exists", "There is a topic of this name"),
        TopicError::InvalidName(_) => invalid("invalid-name", "No topic can be called so"),
        TopicError::InvalidPartitions(_) => invalid("invalid-partitions", "A topic cannot have so many partitions"),
        TopicError::InvalidConfig(_) => invalid("invalid-config", "The configuration is not one that topics have"),
        TopicError::InvalidReplicationFactor(_)
        | TopicError::InvalidAssignment(_)
        | TopicError::InvalidRequest(_)
        | TopicError::TooMuch(_)
        | TopicError::OutOfRange { .. } => invalid("bad-request", "The request cannot be served"),
        TopicError::Internal(_) | TopicError::DeletionDisabled => {
            of(StatusCode::FORBIDDEN, "not-allowed", "The broker does not allow this")
        }
        TopicError::LimitReached(_) | TopicError::Full(_) => {
            of(StatusCode::CONFLICT, "limit-reached", "The volume has all that it may have")
        }
        TopicError::ReadOnly(_) => of(StatusCode::CONFLICT, "read-only", "A snapshot never changes"),
        TopicError::Loading | TopicError::Fenced | TopicError::Storage(_) => Problem::unavailable(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use reqwest::{Client, StatusCode};

    use super::super::tests::Server;
    use super::*;

    async fn create(server: &Server, body: &str) -> (StatusCode, String) {
        let post = Client::new().post(server.url("/v1/topics")).header("content-type", "application/json");
        let response = post.body(body.to_owned()).send().await.unwrap();
        (response.status(), response.text().await.unwrap())
    }

    async fn get<T: serde::de::DeserializeOwned>(server: &Server, path: &str) -> T {
        reqwest::get(server.url(path)).await.unwrap().json().await.unwrap()
    }

    #[tokio::test]
    async fn a_topic_is_created_listed_described_and_deleted() {
        let server = Server::with_broker().await;
        let body = r#"{"name": "trades", "partitions": 3, "config": {"retention.ms": "60000"}}"#;
        let (status, text) = create(&server, body).await;
        assert_eq!(status, StatusCode::CREATED, "{text}");

        let list: TopicList = get(&server, "/v1/topics").await;
        let listed = list.topics.iter().find(|topic| topic.name == "trades").unwrap();
        assert_eq!((listed.partitions, listed.records, listed.id.len()), (3, 0, 22));

        let topic: Topic = get(&server, "/v1/topics/trades").await;
        assert_eq!(topic.id, listed.id);
        assert_eq!(topic.partitions.iter().map(|partition| partition.partition).collect::<Vec<_>>(), [0, 1, 2]);
        let own: Vec<_> = topic.config.iter().filter(|setting| setting.own).collect();
        assert_eq!((own.len(), own[0].name.as_str(), own[0].value.as_str()), (1, "retention.ms", "60000"));

        let delete = || Client::new().delete(server.url("/v1/topics/trades")).send();
        assert_eq!(delete().await.unwrap().status(), StatusCode::NO_CONTENT);
        assert_eq!(delete().await.unwrap().status(), StatusCode::NOT_FOUND);
    }

    #[tokio::test]
    async fn what_cannot_be_created_is_told_by_kind() {
        let server = Server::with_broker().await;
        assert_eq!(create(&server, r#"{"name": "a"}"#).await.0, StatusCode::CREATED);
        for (body, status, kind) in [
            (r#"{"name": "a"}"#, 409, "topic-exists"),
            (r#"{"name": "a b"}"#, 400, "invalid-name"),
            (r#"{"name": "b", "partitions": 0}"#, 400, "invalid-partitions"),
            (r#"{"name": "b", "config": {"retention.ms": "x"}}"#, 400, "invalid-config"),
            (r#"{"name": "b", "config": {"cleanup.policy": "burn"}}"#, 400, "invalid-config"),
            (r#"{"name": "b", "partition": 1}"#, 400, "bad-request"),
            ("{", 400, "bad-request"),
        ] {
            let (answered, text) = create(&server, body).await;
            let problem: Problem = serde_json::from_str(&text).unwrap();
            assert_eq!((answered.as_u16(), problem.kind), (status, format!("urn:millpond:{kind}")), "{body}");
        }
    }

    #[tokio::test]
    async fn a_name_that_is_no_text_is_a_problem() {
        let server = Server::with_broker().await;
        for path in ["/v1/topics/%ff", "/v1/groups/%ff"] {
            let response = reqwest::get(server.url(path)).await.unwrap();
            assert_eq!(response.status(), StatusCode::BAD_REQUEST);
            assert_eq!(response.json::<Problem>().await.unwrap().kind, "urn:millpond:bad-request");
        }
    }

    #[tokio::test]
    async fn nothing_is_served_before_the_data_is_there() {
        let server = Server::start().await;
        let response = reqwest::get(server.url("/v1/topics")).await.unwrap();
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    }
}
