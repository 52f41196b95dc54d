//! `/v1/clones`: the volumes that are clones, and their creation. `/v1/diff`: what differs between two views.
//!
//! | request | answer |
//! |---|---|
//! | `GET /v1/clones` | [`VolumeList`] |
//! | `POST /v1/clones` with a [`NewClone`] | 201 and the [`Volume`], 404 |
//! | `GET /v1/diff?from=trading@open&to=trading@close` | [`Diff`], 404 |
//!
//! A view is a volume as it is now (`trading`) or a snapshot of it (`trading@close`).

use axum::Json;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};

use super::HttpState;
use super::body::Body;
use super::problem::Problem;
use super::volumes::{NewVolume, Volume, VolumeList};
use crate::volumes::{ViewName, diff};

/// A clone to make.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewClone {
    /// The view that it begins as.
    pub from: String,
    /// The volume that it becomes. It is not listed unless it says so.
    #[serde(flatten)]
    pub volume: NewVolume,
}

/// Two views.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Views {
    from: String,
    to: String,
}

/// What differs between two views.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Diff {
    /// The first view.
    pub from: String,
    /// The second view.
    pub to: String,
    /// Topics that differ, by name in their volume.
    pub topics: Vec<TopicDiff>,
    /// How many topics are the same in both.
    pub same: usize,
}

/// What differs in a topic.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TopicDiff {
    /// Its name in its volume.
    pub topic: String,
    /// Whether the first view has it.
    pub in_from: bool,
    /// Whether the second view has it.
    pub in_to: bool,
    /// Offsets by which it is longer in the second view, which is about how many records it has more.
    pub records: i64,
    /// Partitions whose offsets differ.
    pub partitions: Vec<PartitionDiff>,
    /// Settings that differ.
    pub settings: Vec<SettingDiff>,
    /// Positions of groups that differ.
    pub positions: Vec<PositionDiff>,
}

/// Where a partition begins and ends in both views; null where a view does not have it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartitionDiff {
    /// Its number.
    pub partition: u32,
    /// In the first view: the first offset, and the one behind the last.
    pub from: Option<(i64, i64)>,
    /// The same in the second view.
    pub to: Option<(i64, i64)>,
    /// Offsets by which it is longer in the second view.
    pub records: i64,
}

/// A setting in both views; null where a topic does not have it of its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SettingDiff {
    /// Kafka's name.
    pub name: String,
    /// In the first view.
    pub from: Option<String>,
    /// In the second view.
    pub to: Option<String>,
}

/// A position in both views; null where a group has none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PositionDiff {
    /// The group.
    pub group: String,
    /// The partition.
    pub partition: u32,
    /// In the first view.
    pub from: Option<i64>,
    /// In the second view.
    pub to: Option<i64>,
}

pub(super) async fn list(State(state): State<HttpState>) -> Result<Json<VolumeList>, Problem> {
    let volumes = state.broker()?.volumes.list().into_iter().filter(|volume| volume.clone_of.is_some());
    Ok(Json(VolumeList { volumes: volumes.map(Volume::from).collect() }))
}

pub(super) async fn create(
    State(state): State<HttpState>,
    Body(new): Body<NewClone>,
) -> Result<(StatusCode, Json<Volume>), Problem> {
    let from: ViewName = new.from.parse()?;
    let created = state.broker()?.volumes.clone_view(&from, new.volume.listed_unless_said(false)).await?;
    Ok((StatusCode::CREATED, Json(created.into())))
}

pub(super) async fn difference(
    State(state): State<HttpState>,
    Query(views): Query<Views>,
) -> Result<Json<Diff>, Problem> {
    let (from, to): (ViewName, ViewName) = (views.from.parse()?, views.to.parse()?);
    let found = state.broker()?.volumes.diff(&from, &to).await?;
    let topics = found.topics.into_iter().map(TopicDiff::from).collect();
    Ok(Json(Diff { from: views.from, to: views.to, topics, same: found.same }))
}

impl From<diff::TopicDiff> for TopicDiff {
    fn from(topic: diff::TopicDiff) -> Self {
        Self {
            records: topic.partitions.iter().map(diff::PartitionDiff::records).sum(),
            topic: topic.topic,
            in_from: topic.in_first,
            in_to: topic.in_second,
            partitions: topic.partitions.into_iter().map(PartitionDiff::from).collect(),
            settings: topic.settings.into_iter().map(|(name, from, to)| SettingDiff { name, from, to }).collect(),
            positions: topic.positions.into_iter().map(PositionDiff::from).collect(),
        }
    }
}

impl From<diff::PartitionDiff> for PartitionDiff {
    fn from(found: diff::PartitionDiff) -> Self {
        Self { partition: found.partition, from: found.first, to: found.second, records: found.records() }
    }
}

impl From<diff::PositionDiff> for PositionDiff {
    fn from(found: diff::PositionDiff) -> Self {
        Self { group: found.group, partition: found.partition, from: found.first, to: found.second }
    }
}
