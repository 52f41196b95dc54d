//! `/v1/volumes/{volume}/streams`: the streams of a volume, one stream, its creation, change and deletion.
//!
//! | request | answer |
//! |---|---|
//! | `GET /v1/volumes/{volume}/streams` | [`StreamList`], 404 |
//! | `POST /v1/volumes/{volume}/streams` with a [`NewStream`] | 201 and the [`Stream`], 404 |
//! | `GET /v1/volumes/{volume}/streams/{stream}` | [`Stream`], 404 |
//! | `PATCH /v1/volumes/{volume}/streams/{stream}` with a [`StreamPolicy`] | [`Stream`], 404 |
//! | `DELETE /v1/volumes/{volume}/streams/{stream}?force=true` | 204, 404, 409 where it has topics and is not forced |

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::HttpState;
use super::body::{Body, given};
use super::path::Path;
use super::problem::Problem;
use super::query::Query;
use super::volumes::Force;
use crate::volumes::streams::{StreamChange, StreamInfo};

/// The streams of a volume, by name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StreamList {
    /// Each of them.
    pub streams: Vec<Stream>,
}

/// A stream, as it is now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Stream {
    /// Its volume.
    pub volume: String,
    /// Its name.
    pub name: String,
    /// When it was created, in milliseconds since 1970; 0: with its volume.
    pub created: i64,
    /// How many partitions a topic gets that is created without a number; null: as the broker is set.
    pub partitions_default: Option<i32>,
    /// Whether topics that are asked for come into being by themselves; null: as the broker is set.
    pub auto_create: Option<bool>,
    /// What its topics have where they have nothing of their own, by Kafka's names.
    pub config: BTreeMap<String, String>,
    /// How many topics it has.
    pub topics: usize,
    /// How many partitions these have.
    pub partitions: usize,
    /// Bytes of their batches.
    pub bytes: u64,
}

/// A stream to create.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewStream {
    /// Its name.
    pub name: String,
    /// How many partitions a topic gets that is created without a number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partitions_default: Option<i32>,
    /// Whether topics that are asked for come into being by themselves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auto_create: Option<bool>,
    /// What its topics have where they have nothing of their own, by Kafka's names.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub config: BTreeMap<String, String>,
}

/// What is to be set on a stream. What is missing stays; null stands for what the broker is set to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct StreamPolicy {
    /// How many partitions a topic gets that is created without a number.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<i32>)]
    pub partitions_default: Option<Option<i32>>,
    /// Whether topics that are asked for come into being by themselves.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<bool>)]
    pub auto_create: Option<Option<bool>>,
    /// What its topics have where they have nothing of their own, by Kafka's names.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub config: BTreeMap<String, Option<String>>,
}

pub(super) async fn list(
    State(state): State<HttpState>,
    Path(volume): Path<String>,
) -> Result<Json<StreamList>, Problem> {
    let streams = state.broker()?.volumes.streams(&volume)?.into_iter().map(Stream::from).collect();
    Ok(Json(StreamList { streams }))
}

pub(super) async fn describe(
    State(state): State<HttpState>,
    Path((volume, stream)): Path<(String, String)>,
) -> Result<Json<Stream>, Problem> {
    Ok(Json(state.broker()?.volumes.stream(&volume, &stream)?.into()))
}

pub(super) async fn create(
    State(state): State<HttpState>,
    Path(volume): Path<String>,
    Body(new): Body<NewStream>,
) -> Result<(StatusCode, Json<Stream>), Problem> {
    let policy = StreamChange {
        partitions: new.partitions_default.map(Some),
        auto_create: new.auto_create.map(Some),
        config: new.config.into_iter().map(|(key, value)| (key, Some(value))).collect(),
    };
    let created = state.broker()?.volumes.create_stream(&volume, &new.name, policy).await?;
    Ok((StatusCode::CREATED, Json(created.into())))
}

pub(super) async fn alter(
    State(state): State<HttpState>,
    Path((volume, stream)): Path<(String, String)>,
    Body(policy): Body<StreamPolicy>,
) -> Result<Json<Stream>, Problem> {
    Ok(Json(state.broker()?.volumes.alter_stream(&volume, &stream, policy.into()).await?.into()))
}

pub(super) async fn delete(
    State(state): State<HttpState>,
    Path((volume, stream)): Path<(String, String)>,
    Query(force): Query<Force>,
) -> Result<StatusCode, Problem> {
    state.broker()?.volumes.delete_stream(&volume, &stream, force.force).await?;
    Ok(StatusCode::NO_CONTENT)
}

impl From<StreamPolicy> for StreamChange {
    fn from(policy: StreamPolicy) -> Self {
        Self { partitions: policy.partitions_default, auto_create: policy.auto_create, config: policy.config }
    }
}

impl From<StreamInfo> for Stream {
    fn from(info: StreamInfo) -> Self {
        Self {
            volume: info.volume,
            name: info.name,
            created: info.stream.created,
            partitions_default: info.stream.partitions,
            auto_create: info.stream.auto_create,
            config: info.stream.config,
            topics: info.topics,
            partitions: info.partitions,
            bytes: info.bytes,
        }
    }
}
