//! `/v1/volumes/{volume}/snapshots`: the snapshots of a volume, one snapshot, its creation, change and deletion; restores.
//!
//! | request | answer |
//! |---|---|
//! | `GET /v1/snapshots` | [`SnapshotList`]: those of all volumes |
//! | `GET /v1/volumes/{volume}/snapshots` | [`SnapshotList`], 404 |
//! | `POST /v1/volumes/{volume}/snapshots` with a [`NewSnapshot`] | 201 and the [`Snapshot`], 404, 410 where that past is no longer kept |
//! | `GET /v1/volumes/{volume}/snapshots/{snapshot}` | [`Snapshot`], 404 |
//! | `PATCH /v1/volumes/{volume}/snapshots/{snapshot}` with a [`SnapshotChange`] | [`Snapshot`], 404 |
//! | `DELETE /v1/volumes/{volume}/snapshots/{snapshot}` | 204, 404, 409 where it is protected |
//! | `POST /v1/volumes/{volume}/restore` with a [`Restore`] | the safety [`Snapshot`] of what was there, 404 |

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use millpond_storage::state::PinKind;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::HttpState;
use super::body::{Body, given};
use super::path::Path;
use super::problem::Problem;
use crate::volumes::moment::Moment;
use crate::volumes::{self, SAFETY_LIFETIME_MS, SnapshotInfo, VolumeError, Volumes};

/// Snapshots, by volume, the oldest view first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SnapshotList {
    /// Each of them.
    pub snapshots: Vec<Snapshot>,
}

/// A snapshot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Snapshot {
    /// The volume that it is of, by the name that this has, or had.
    pub volume: String,
    /// Its name.
    pub name: String,
    /// Which it is, whatever its name.
    pub id: u64,
    /// The timeline of its view.
    pub timeline: u64,
    /// The LSN of its view.
    pub lsn: u64,
    /// The time that its view stands at, in milliseconds since 1970.
    pub time: i64,
    /// When it was taken, in milliseconds since 1970.
    pub created: i64,
    /// Whether a restore made it, of what it replaced.
    pub safety: bool,
    /// Bytes that nothing else needs: its deletion frees them. Only in lists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owned_bytes: Option<u64>,
    /// Bytes that others need as well. Only in lists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shared_bytes: Option<u64>,
    /// When it goes by itself, in milliseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<i64>,
    /// Whether it is kept from being deleted.
    pub protected: bool,
    /// The schedule that made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule: Option<String>,
}

/// A snapshot to take.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewSnapshot {
    /// Its name.
    pub name: String,
    /// The moment that it is to show: a time as RFC 3339 has it, a time of day, `lsn:N` or `TOPIC/PARTITION/OFFSET`; now where
    /// there is nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<String>,
    /// In place of `at`: before a record of this topic with a later timestamp.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_record: Option<AtRecord>,
    /// How long it is kept, in milliseconds; until it is deleted where there is nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lifetime_ms: Option<i64>,
    /// Whether it is kept from being deleted.
    #[serde(default)]
    pub protected: bool,
}

/// The last group before a record of a topic whose timestamp is later.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AtRecord {
    /// The topic, as it is called in its volume: `trades` or `taq.trades`.
    pub topic: String,
    /// The time: as RFC 3339 has it, or a time of day.
    pub time: String,
}

/// What is to be changed on a snapshot; what is missing stays.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SnapshotChange {
    /// Whether it is kept from being deleted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protected: Option<bool>,
    /// How long it is kept from now on, in milliseconds; null: until it is deleted.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<i64>)]
    pub lifetime_ms: Option<Option<i64>>,
}

/// Takes a volume back to one of its snapshots.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Restore {
    /// The snapshot.
    pub snapshot: String,
    /// How long what it replaces is kept, in milliseconds: a day where this is missing, until it is deleted where it is null.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<i64>)]
    pub lifetime_ms: Option<Option<i64>>,
}

pub(super) async fn all(State(state): State<HttpState>) -> Result<Json<SnapshotList>, Problem> {
    let volumes = &state.broker()?.volumes;
    Ok(Json(listed(volumes, volumes.all_snapshots()).await?))
}

pub(super) async fn list(
    State(state): State<HttpState>,
    Path(volume): Path<String>,
) -> Result<Json<SnapshotList>, Problem> {
    let volumes = &state.broker()?.volumes;
    Ok(Json(listed(volumes, volumes.snapshots(&volume)?).await?))
}

/// With their bytes, which are counted over all files at once.
async fn listed(volumes: &Volumes, found: Vec<SnapshotInfo>) -> Result<SnapshotList, VolumeError> {
    let bytes = volumes.snapshot_bytes().await?;
    let snapshots = found.into_iter().map(|info| {
        let counted = bytes.get(&info.pin.id).copied();
        Snapshot {
            owned_bytes: counted.map(|counted| counted.owned),
            shared_bytes: counted.map(|counted| counted.shared),
            ..info.into()
        }
    });
    Ok(SnapshotList { snapshots: snapshots.collect() })
}

pub(super) async fn describe(
    State(state): State<HttpState>,
    Path((volume, snapshot)): Path<(String, String)>,
) -> Result<Json<Snapshot>, Problem> {
    Ok(Json(state.broker()?.volumes.snapshot(&volume, &snapshot)?.into()))
}

pub(super) async fn create(
    State(state): State<HttpState>,
    Path(volume): Path<String>,
    Body(new): Body<NewSnapshot>,
) -> Result<(StatusCode, Json<Snapshot>), Problem> {
    let volumes = &state.broker()?.volumes;
    let at = moment(volumes, &new)?;
    let lifetime_ms = positive(new.lifetime_ms)?;
    let new = volumes::NewSnapshot { name: new.name, at, lifetime_ms, protected: new.protected };
    let created = volumes.create_snapshot(&volume, new).await?;
    Ok((StatusCode::CREATED, Json(created.into())))
}

fn moment(volumes: &Volumes, new: &NewSnapshot) -> Result<Moment, Problem> {
    Ok(match (&new.at, &new.at_record) {
        (None, None) => Moment::Now,
        (Some(at), None) => volumes.moment(at)?,
        (None, Some(record)) => volumes.moment_of_record(&record.topic, &record.time)?,
        (Some(_), Some(_)) => return Err(Problem::bad_request("at and at_record name two moments: say one of them")),
    })
}

/// A time to keep something for.
pub(super) fn positive(lifetime_ms: Option<i64>) -> Result<Option<i64>, VolumeError> {
    match lifetime_ms {
        Some(..=0) => Err(VolumeError::Invalid("A lifetime is above zero.".to_owned())),
        lifetime => Ok(lifetime),
    }
}

pub(super) async fn alter(
    State(state): State<HttpState>,
    Path((volume, snapshot)): Path<(String, String)>,
    Body(change): Body<SnapshotChange>,
) -> Result<Json<Snapshot>, Problem> {
    let lifetime_ms = change.lifetime_ms.map(positive).transpose()?;
    let volumes = &state.broker()?.volumes;
    Ok(Json(volumes.alter_snapshot(&volume, &snapshot, change.protected, lifetime_ms).await?.into()))
}

pub(super) async fn delete(
    State(state): State<HttpState>,
    Path((volume, snapshot)): Path<(String, String)>,
) -> Result<StatusCode, Problem> {
    state.broker()?.volumes.delete_snapshot(&volume, &snapshot).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn restore(
    State(state): State<HttpState>,
    Path(volume): Path<String>,
    Body(asked): Body<Restore>,
) -> Result<Json<Snapshot>, Problem> {
    let lifetime_ms = positive(asked.lifetime_ms.unwrap_or(Some(SAFETY_LIFETIME_MS)))?;
    Ok(Json(state.broker()?.volumes.restore(&volume, &asked.snapshot, lifetime_ms).await?.into()))
}

impl From<SnapshotInfo> for Snapshot {
    fn from(SnapshotInfo { volume, pin }: SnapshotInfo) -> Self {
        Self {
            volume,
            name: pin.name.to_string(),
            id: pin.id.0,
            timeline: pin.timeline.0,
            lsn: pin.lsn.0,
            time: pin.time,
            created: pin.created,
            safety: pin.kind == PinKind::Safety,
            owned_bytes: None,
            shared_bytes: None,
            expires: pin.expires,
            protected: pin.protected,
            schedule: Some(pin.schedule.to_string()).filter(|schedule| !schedule.is_empty()),
        }
    }
}
