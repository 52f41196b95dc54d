//! `/v1/volumes`: the volumes, one volume, its creation, change and deletion.
//!
//! | request | answer |
//! |---|---|
//! | `GET /v1/volumes` | [`VolumeList`] |
//! | `POST /v1/volumes` with a [`NewVolume`] | 201 and the [`Volume`] |
//! | `GET /v1/volumes/{volume}` | [`Volume`], 404 |
//! | `PATCH /v1/volumes/{volume}` with a [`VolumeChange`] | [`Volume`], 404 |
//! | `DELETE /v1/volumes/{volume}?force=true` | 204, 404, 409 where it holds records and is not forced |
//! | `POST /v1/volumes/{volume}/purge-history` | the [`Moment`] from which on its past is left, 404 |

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use millpond_storage::DEFAULT_VOLUME;
use millpond_storage::state::Durability as Asked;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::HttpState;
use super::body::{Body, given};
use super::limits::{Limits, LimitsChange};
use super::path::Path;
use super::problem::Problem;
use super::query::Query;
use crate::volumes::{self, VolumeInfo};

/// All volumes: `default`, then the others by name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct VolumeList {
    /// Each of them.
    pub volumes: Vec<Volume>,
}

/// A volume, as it is now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Volume {
    /// Its name.
    pub name: String,
    /// Which it is, whatever its name.
    pub id: u64,
    /// The path that it is mounted at.
    pub mount: String,
    /// When it was created, in milliseconds since 1970.
    pub created: i64,
    /// When writes are acknowledged.
    pub durability: Durability,
    /// Whether it asks for that itself, or has it from the broker.
    pub own_durability: bool,
    /// Whether its topics are listed on the listener that shows everything.
    pub listed: bool,
    /// How far back its past may be frozen, in milliseconds.
    pub history_ms: i64,
    /// Whether it asks for that itself, or has it from the broker.
    pub own_history: bool,
    /// The oldest of its past that a snapshot can still be taken of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oldest: Option<Moment>,
    /// What it may hold.
    pub limits: Limits,
    /// Its current timeline.
    pub timeline: u64,
    /// The newest LSN that can be seen.
    pub lsn: u64,
    /// The leader epoch of all its partitions.
    pub leader_epoch: i32,
    /// How many topics it has.
    pub topics: usize,
    /// How many partitions these have.
    pub partitions: usize,
    /// Bytes of their batches, those that it shares with others among them: what its quotas count.
    pub bytes: u64,
    /// How many snapshots there are of it, those that restores made among them.
    pub snapshots: usize,
    /// What it was cloned from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clone_of: Option<CloneOf>,
    /// Why it takes no writes, if its log was found damaged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub damage: Option<String>,
}

/// A moment of a volume's past.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Moment {
    /// The LSN.
    pub lsn: u64,
    /// Its time, in milliseconds since 1970.
    pub time: i64,
}

/// What a volume was cloned from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CloneOf {
    /// The volume, as it was called then.
    pub volume: String,
    /// The snapshot, if it was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshot: Option<String>,
    /// The LSN of the view.
    pub lsn: u64,
    /// The time of the view, in milliseconds since 1970.
    pub time: i64,
}

/// When writes are acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Durability {
    /// When they are on the disk.
    Fsync,
    /// When the operating system has them, as in Kafka.
    PageCache,
}

impl From<Asked> for Durability {
    fn from(durability: Asked) -> Self {
        match durability {
            Asked::Fsync => Self::Fsync,
            Asked::PageCache => Self::PageCache,
        }
    }
}

impl From<Durability> for Asked {
    fn from(durability: Durability) -> Self {
        match durability {
            Durability::Fsync => Self::Fsync,
            Durability::PageCache => Self::PageCache,
        }
    }
}

/// A volume to create.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewVolume {
    /// Its name.
    pub name: String,
    /// What it is mounted at; `/` and its name where there is nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mount: Option<String>,
    /// When writes are acknowledged; as the broker is set where there is nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub durability: Option<Durability>,
    /// Whether its topics are listed on the listener that shows everything: volumes are, clones are not, unless they say so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub listed: Option<bool>,
    /// How far back its past may be frozen, in milliseconds; as the broker is set where there is nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub history_ms: Option<i64>,
    /// What it may hold.
    #[serde(default)]
    pub limits: Limits,
}

/// What is to be changed on a volume. What is missing stays; null stands for what the broker is set to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct VolumeChange {
    /// When writes are acknowledged.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Durability>)]
    pub durability: Option<Option<Durability>>,
    /// What it is mounted at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mount: Option<String>,
    /// Whether its topics are listed on the listener that shows everything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub listed: Option<bool>,
    /// How far back its past may be frozen, in milliseconds.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<i64>)]
    pub history_ms: Option<Option<i64>>,
    /// What it may hold.
    #[serde(default, skip_serializing_if = "LimitsChange::is_empty")]
    pub limits: LimitsChange,
}

/// Whether something goes although it holds something.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Force {
    #[serde(default)]
    pub(super) force: bool,
}

pub(super) async fn list(State(state): State<HttpState>) -> Result<Json<VolumeList>, Problem> {
    let volumes = state.broker()?.volumes.list().into_iter().map(Volume::from).collect();
    Ok(Json(VolumeList { volumes }))
}

pub(super) async fn describe(
    State(state): State<HttpState>,
    Path(name): Path<String>,
) -> Result<Json<Volume>, Problem> {
    Ok(Json(state.broker()?.volumes.describe(&name)?.into()))
}

pub(super) async fn create(
    State(state): State<HttpState>,
    Body(new): Body<NewVolume>,
) -> Result<(StatusCode, Json<Volume>), Problem> {
    let created = state.broker()?.volumes.create(new.listed_unless_said(true)).await?;
    Ok((StatusCode::CREATED, Json(created.into())))
}

pub(super) async fn alter(
    State(state): State<HttpState>,
    Path(name): Path<String>,
    Body(change): Body<VolumeChange>,
) -> Result<Json<Volume>, Problem> {
    let change = volumes::VolumeChange {
        durability: change.durability.map(|asked| asked.map(Asked::from)),
        mount: change.mount,
        listed: change.listed,
        history_ms: change.history_ms,
        limits: change.limits.into(),
    };
    Ok(Json(state.broker()?.volumes.alter(&name, change).await?.into()))
}

pub(super) async fn delete(
    State(state): State<HttpState>,
    Path(name): Path<String>,
    Query(force): Query<Force>,
) -> Result<StatusCode, Problem> {
    let volumes = &state.broker()?.volumes;
    if force.force && name != DEFAULT_VOLUME {
        // What is left without them if the volume stays after all can be shown again.
        state.listeners()?.remove_showing(volumes.id(&name)?).await?;
    }
    volumes.delete(&name, force.force).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn purge_history(
    State(state): State<HttpState>,
    Path(name): Path<String>,
) -> Result<Json<Moment>, Problem> {
    Ok(Json(state.broker()?.volumes.purge_history(&name).await?.into()))
}

impl NewVolume {
    pub(super) fn listed_unless_said(self, listed: bool) -> volumes::NewVolume {
        volumes::NewVolume {
            name: self.name,
            mount: self.mount,
            durability: self.durability.map(Asked::from),
            listed: self.listed.unwrap_or(listed),
            history_ms: self.history_ms,
            limits: self.limits.into(),
        }
    }
}

impl From<millpond_storage::Moment> for Moment {
    fn from(moment: millpond_storage::Moment) -> Self {
        Self { lsn: moment.lsn.0, time: moment.time }
    }
}

impl From<VolumeInfo> for Volume {
    fn from(info: VolumeInfo) -> Self {
        Self {
            name: info.name,
            id: info.id.0,
            mount: info.mount,
            created: info.created,
            durability: info.durability.into(),
            own_durability: info.own_durability.is_some(),
            listed: info.listed,
            history_ms: info.history_ms,
            own_history: info.own_history_ms.is_some(),
            oldest: info.oldest.map(Moment::from),
            limits: info.limits.into(),
            timeline: info.timeline.0,
            lsn: info.lsn.0,
            leader_epoch: info.leader_epoch,
            topics: info.topics,
            partitions: info.partitions,
            bytes: info.bytes,
            snapshots: info.snapshots,
            clone_of: info.clone_of.map(|origin| CloneOf {
                volume: origin.volume,
                snapshot: origin.snapshot,
                lsn: origin.lsn.0,
                time: origin.time,
            }),
            damage: info.damage,
        }
    }
}
