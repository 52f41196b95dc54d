//! `/v1/clones`: the volumes that are clones, and their creation. `/v1/diff`: what differs between two views.
//!
//! | request | answer |
//! |---|---|
//! | `GET /v1/clones` | [`VolumeList`] |
//! | `POST /v1/clones` with a [`NewClone`] | 201 and the [`Volume`], 404 |
//! | `GET /v1/diff?from=trading@open&to=trading@close` | [`Diff`], 404 |
//!
//! A view is a volume as it is now (`trading`), a snapshot of it (`trading@close`) or a moment of its past: `trading@16:00`,
//! `trading@2026-11-24T16:00:00Z`, `trading@lsn:4711` or `trading@taq.trades/0/1234` (before that record).

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::HttpState;
use super::body::Body;
use super::limits::Limits;
use super::problem::Problem;
use super::query::Query;
use super::volumes::{Durability, NewVolume, Volume, VolumeList};
use crate::volumes::{ViewName, diff};

/// A clone to make.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewClone {
    /// The view that it begins as.
    pub from: String,
    /// Its name.
    pub name: String,
    /// What it is mounted at; `/` and its name where there is nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mount: Option<String>,
    /// When writes are acknowledged; as the broker is set where there is nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub durability: Option<Durability>,
    /// Whether its topics are listed on the listener that shows everything: they are not unless it says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub listed: Option<bool>,
    /// How far back its past may be frozen, in milliseconds; as the broker is set where there is nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub history_ms: Option<i64>,
    /// What it may hold.
    #[serde(default)]
    pub limits: Limits,
}

impl NewClone {
    /// The volume that begins as a view.
    pub fn new(from: String, volume: NewVolume) -> Self {
        let NewVolume { name, mount, durability, listed, history_ms, limits } = volume;
        Self { from, name, mount, durability, listed, history_ms, limits }
    }

    /// The view, and the volume.
    fn parts(self) -> (String, NewVolume) {
        let Self { from, name, mount, durability, listed, history_ms, limits } = self;
        (from, NewVolume { name, mount, durability, listed, history_ms, limits })
    }
}

/// Two views.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Views {
    from: String,
    to: String,
}

/// What differs between two views.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Diff {
    /// The first view.
    pub from: String,
    /// The second view.
    pub to: String,
    /// Topics that differ, by name in their volume.
    pub topics: Vec<TopicDiff>,
    /// Streams that differ, by name.
    pub streams: Vec<StreamDiff>,
    /// How many topics are the same in both.
    pub same: usize,
}

/// What differs in the policy of a stream.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StreamDiff {
    /// Its name.
    pub stream: String,
    /// Whether the first view has it.
    pub in_from: bool,
    /// Whether the second view has it.
    pub in_to: bool,
    /// What differs of it: `partitions_default`, `auto_create`, and what its topics have where they have nothing of their own.
    pub settings: Vec<SettingDiff>,
}

/// What differs in a topic.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TopicDiff {
    /// Its name in its volume.
    pub topic: String,
    /// Whether the first view has it.
    pub in_from: bool,
    /// Whether the second view has it.
    pub in_to: bool,
    /// What the second view shows of it and the first does not.
    pub added: Amount,
    /// What the first view shows of it and the second does not.
    pub removed: Amount,
    /// Partitions that differ.
    pub partitions: Vec<PartitionDiff>,
    /// Settings of its own that differ.
    pub settings: Vec<SettingDiff>,
    /// Positions of groups that differ.
    pub positions: Vec<PositionDiff>,
}

/// How much.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Amount {
    /// Offsets, which is about how many records.
    pub records: u64,
    /// Bytes of batches.
    pub bytes: u64,
}

/// A partition that differs; null where a view does not have it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PartitionDiff {
    /// Its number.
    pub partition: u32,
    /// In the first view: the first offset, and the one behind the last.
    pub from: Option<(i64, i64)>,
    /// The same in the second view.
    pub to: Option<(i64, i64)>,
    /// What the second view shows and the first does not.
    pub added: Amount,
    /// What the first view shows and the second does not.
    pub removed: Amount,
}

/// A setting in both views; null where the topic or stream does not have it of its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SettingDiff {
    /// Its name: Kafka's, where it has one.
    pub name: String,
    /// In the first view.
    pub from: Option<String>,
    /// In the second view.
    pub to: Option<String>,
}

/// A position in both views; null where a group has none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
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
    let (from, volume) = new.parts();
    let from: ViewName = from.parse()?;
    let created = state.broker()?.volumes.clone_view(&from, volume.listed_unless_said(false)).await?;
    Ok((StatusCode::CREATED, Json(created.into())))
}

pub(super) async fn difference(
    State(state): State<HttpState>,
    Query(views): Query<Views>,
) -> Result<Json<Diff>, Problem> {
    let (from, to): (ViewName, ViewName) = (views.from.parse()?, views.to.parse()?);
    let found = state.broker()?.volumes.diff(&from, &to).await?;
    let topics = found.topics.into_iter().map(TopicDiff::from).collect();
    let streams = found.streams.into_iter().map(StreamDiff::from).collect();
    Ok(Json(Diff { from: views.from, to: views.to, topics, streams, same: found.same }))
}

impl From<diff::StreamDiff> for StreamDiff {
    fn from(diff::StreamDiff { stream, in_first, in_second, settings }: diff::StreamDiff) -> Self {
        let settings = settings.into_iter().map(SettingDiff::from).collect();
        Self { stream, in_from: in_first, in_to: in_second, settings }
    }
}

impl From<diff::TopicDiff> for TopicDiff {
    fn from(topic: diff::TopicDiff) -> Self {
        let (mut added, mut removed) = (diff::Amount::default(), diff::Amount::default());
        for partition in &topic.partitions {
            added += partition.added;
            removed += partition.removed;
        }
        Self {
            added: added.into(),
            removed: removed.into(),
            topic: topic.topic,
            in_from: topic.in_first,
            in_to: topic.in_second,
            partitions: topic.partitions.into_iter().map(PartitionDiff::from).collect(),
            settings: topic.settings.into_iter().map(SettingDiff::from).collect(),
            positions: topic.positions.into_iter().map(PositionDiff::from).collect(),
        }
    }
}

impl From<diff::SettingDiff> for SettingDiff {
    fn from((name, from, to): diff::SettingDiff) -> Self {
        Self { name, from, to }
    }
}

impl From<diff::PartitionDiff> for PartitionDiff {
    fn from(found: diff::PartitionDiff) -> Self {
        let (added, removed) = (found.added.into(), found.removed.into());
        Self { partition: found.partition, from: found.first, to: found.second, added, removed }
    }
}

impl From<diff::Amount> for Amount {
    fn from(amount: diff::Amount) -> Self {
        Self { records: amount.records, bytes: amount.bytes }
    }
}

impl From<diff::PositionDiff> for PositionDiff {
    fn from(found: diff::PositionDiff) -> Self {
        Self { group: found.group, partition: found.partition, from: found.first, to: found.second }
    }
}
