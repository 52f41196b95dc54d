//! `/v1/volumes/{volume}/schedules`: what takes snapshots of a volume by itself.
//!
//! | request | answer |
//! |---|---|
//! | `GET /v1/schedules` | [`ScheduleList`]: those of all volumes |
//! | `GET /v1/volumes/{volume}/schedules` | [`ScheduleList`], 404 |
//! | `POST /v1/volumes/{volume}/schedules` with a [`NewSchedule`] | 201 and the [`Schedule`], 404 |
//! | `DELETE /v1/volumes/{volume}/schedules/{schedule}` | 204, 404 |

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::HttpState;
use super::body::Body;
use super::path::Path;
use super::problem::Problem;
use crate::volumes::schedules::ScheduleInfo;

/// Schedules, by volume and name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ScheduleList {
    /// Each of them.
    pub schedules: Vec<Schedule>,
}

/// A schedule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Schedule {
    /// The volume that it takes snapshots of.
    pub volume: String,
    /// Its name, with which the names of its snapshots begin.
    pub name: String,
    /// When it takes snapshots, and how long they are kept: `hourly keep 24`, `daily at 22:00 keep 7d`.
    pub timetable: String,
    /// When it was created, in milliseconds since 1970.
    pub created: i64,
    /// When it last took a snapshot, in milliseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<i64>,
    /// When it takes the next, in milliseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<i64>,
    /// How many of its snapshots there are.
    pub snapshots: usize,
}

/// A schedule to create.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewSchedule {
    /// Its name.
    pub name: String,
    /// When it takes snapshots, and how long they are kept.
    pub timetable: String,
}

pub(super) async fn all(State(state): State<HttpState>) -> Result<Json<ScheduleList>, Problem> {
    let schedules = state.broker()?.volumes.schedules(None)?.into_iter().map(Schedule::from).collect();
    Ok(Json(ScheduleList { schedules }))
}

pub(super) async fn list(
    State(state): State<HttpState>,
    Path(volume): Path<String>,
) -> Result<Json<ScheduleList>, Problem> {
    let schedules = state.broker()?.volumes.schedules(Some(&volume))?.into_iter().map(Schedule::from).collect();
    Ok(Json(ScheduleList { schedules }))
}

pub(super) async fn create(
    State(state): State<HttpState>,
    Path(volume): Path<String>,
    Body(new): Body<NewSchedule>,
) -> Result<(StatusCode, Json<Schedule>), Problem> {
    let created = state.broker()?.volumes.create_schedule(&volume, &new.name, &new.timetable).await?;
    Ok((StatusCode::CREATED, Json(created.into())))
}

pub(super) async fn delete(
    State(state): State<HttpState>,
    Path((volume, schedule)): Path<(String, String)>,
) -> Result<StatusCode, Problem> {
    state.broker()?.volumes.delete_schedule(&volume, &schedule).await?;
    Ok(StatusCode::NO_CONTENT)
}

impl From<ScheduleInfo> for Schedule {
    fn from(info: ScheduleInfo) -> Self {
        Self {
            volume: info.volume,
            name: info.name,
            timetable: info.schedule.timetable,
            created: info.schedule.created,
            last: info.schedule.last,
            next: info.next,
            snapshots: info.snapshots,
        }
    }
}
