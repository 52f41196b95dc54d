//! `/v1/groups`: the consumer groups, one group with its members and positions.
//!
//! | request | answer |
//! |---|---|
//! | `GET /v1/groups` | [`GroupList`] |
//! | `GET /v1/groups/{id}` | [`Group`], 404 |
//! | `DELETE /v1/groups/{id}` | 204, 404, 409 where it has members |

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::HttpState;
use super::path::Path;
use super::problem::Problem;
use crate::broker::Broker;
use crate::groups::assignment::assigned_partitions;
use crate::groups::positions::PositionError;
use crate::groups::request::{GroupDescription, MemberDescription};
use crate::groups::{GroupError, GroupKey};
use crate::scope::Scope;

/// All groups, by id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct GroupList {
    /// Each in short.
    pub groups: Vec<GroupSummary>,
}

/// A group in short.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct GroupSummary {
    /// Its id.
    pub group: String,
    /// Kafka's name for its state.
    pub state: String,
    /// What its members have in common: `consumer`, or nothing where it has only positions.
    pub protocol_type: String,
    /// How many members it has.
    pub members: usize,
}

/// A group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Group {
    /// Its id.
    pub group: String,
    /// Kafka's name for its state.
    pub state: String,
    /// What its members have in common.
    pub protocol_type: String,
    /// How they share partitions out, such as `range`.
    pub protocol: String,
    /// Its members.
    pub members: Vec<GroupMember>,
    /// Its positions, by topic and partition.
    pub positions: Vec<GroupPosition>,
}

/// A member of a group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct GroupMember {
    /// Its id, given by the broker.
    pub member_id: String,
    /// Its static name, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance_id: Option<String>,
    /// Its client's own name.
    pub client_id: String,
    /// Where it is connected from.
    pub host: String,
    /// What it reads; nothing where that cannot be told from outside.
    pub assignment: Vec<GroupAssignment>,
}

/// Partitions of one topic that a member reads.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct GroupAssignment {
    /// The topic.
    pub topic: String,
    /// Its partitions.
    pub partitions: Vec<i32>,
}

/// How far a group has come in one partition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct GroupPosition {
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// The next offset that it will read.
    pub committed: i64,
    /// Where the partition ends; nothing where the topic is gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub high_watermark: Option<i64>,
    /// What the group wrote beside the position.
    pub metadata: String,
}

impl GroupPosition {
    /// Offsets between the position and the end.
    pub fn lag(&self) -> Option<i64> {
        Some(self.high_watermark?.saturating_sub(self.committed).max(0))
    }
}

pub(super) async fn list(State(state): State<HttpState>) -> Result<Json<GroupList>, Problem> {
    let broker = state.broker()?;
    let groups = broker.groups.list(Scope::Everything).into_iter();
    let summary = |(group, described): (String, GroupDescription)| GroupSummary {
        state: described.state.name().to_owned(),
        protocol_type: described.protocol_type.unwrap_or_default(),
        members: members(broker, &group),
        group,
    };
    Ok(Json(GroupList { groups: groups.map(summary).collect() }))
}

pub(super) async fn describe(
    State(state): State<HttpState>,
    Path(group): Path<String>,
) -> Result<Json<Group>, Problem> {
    let broker = state.broker()?;
    let described = broker.groups.describe(&GroupKey::new(Scope::Everything, &group)).ok_or_else(|| unknown(&group))?;
    Ok(Json(Group {
        positions: positions(broker, &group),
        group,
        state: described.state.name().to_owned(),
        protocol_type: described.protocol_type.unwrap_or_default(),
        protocol: described.protocol_name.unwrap_or_default(),
        members: described.members.into_iter().map(member).collect(),
    }))
}

pub(super) async fn delete(State(state): State<HttpState>, Path(group): Path<String>) -> Result<StatusCode, Problem> {
    let begun = state.broker()?.groups.delete(&GroupKey::new(Scope::Everything, &group));
    let done = begun.map_err(|error| refused(&group, error))?.await;
    match done {
        Ok(()) => Ok(StatusCode::NO_CONTENT),
        Err(PositionError::Group(error)) => Err(refused(&group, error)),
        Err(error) => Err(Problem::unavailable(error.to_string())),
    }
}

/// Why a group was not deleted.
fn refused(group: &str, error: GroupError) -> Problem {
    match error {
        GroupError::GroupIdNotFound => unknown(group),
        GroupError::NonEmptyGroup => {
            let detail = format!("Group {group:?} has members: stop its consumers first.");
            Problem::new(StatusCode::CONFLICT, "group-in-use", "The group has members", detail)
        }
        GroupError::InvalidGroupId => Problem::bad_request(format!("{group:?} cannot be the id of a group")),
        other => Problem::unavailable(other.to_string()),
    }
}

fn unknown(group: &str) -> Problem {
    let detail = format!("There is no group {group:?}. `millpond group list` shows those that there are.");
    Problem::new(StatusCode::NOT_FOUND, "unknown-group", "There is no such group", detail)
}

/// How many there are now: a list has no members.
fn members(broker: &Broker, group: &str) -> usize {
    let described = broker.groups.describe(&GroupKey::new(Scope::Everything, group));
    described.map_or(0, |described| described.members.len())
}

fn member(seen: MemberDescription) -> GroupMember {
    let assigned = assigned_partitions(&seen.assignment).unwrap_or_default();
    let assignment = assigned.into_iter().map(|(topic, partitions)| GroupAssignment { topic, partitions });
    GroupMember {
        member_id: seen.member_id,
        instance_id: seen.instance_id,
        client_id: seen.client_id,
        host: seen.client_host,
        assignment: assignment.collect(),
    }
}

/// The group's positions in topics that are listed.
fn positions(broker: &Broker, group: &str) -> Vec<GroupPosition> {
    let mut positions = BTreeMap::new();
    for found in broker.groups.all_positions(Scope::Everything, group) {
        let Some(topic) = broker.topics.listed(Scope::Everything, found.home, &found.topic) else { continue };
        let partition = i32::try_from(found.partition).unwrap_or(i32::MAX);
        let position = GroupPosition {
            topic: topic.name().to_string(),
            partition,
            committed: found.committed.offset,
            high_watermark: topic.partition(partition).ok().map(|partition| partition.high_watermark()),
            metadata: found.committed.metadata.to_string(),
        };
        positions.insert((topic.name(), partition), position);
    }
    positions.into_values().collect()
}

#[cfg(test)]
mod tests {
    use super::super::tests::Server;
    use super::*;
    use crate::groups::positions::{Commit, PositionTopic};
    use crate::groups::request::MemberClaim;
    use crate::topics::NewTopic;

    /// Commits a position of a client that is outside of the group protocol.
    async fn commit(broker: &Broker, group: &str, offset: i64) {
        let new = NewTopic { name: "trades".to_owned(), ..NewTopic::default() };
        let found = broker.topics.create(Scope::Everything, new).await.unwrap();
        let topic = PositionTopic {
            home: found.home(),
            is_restored: found.is_restored(),
            frozen: None,
            number: found.topic.number,
            partitions: found.topic.partitions,
            id: found.id.into_bytes(),
            name: found.topic.name.short(),
            timeline: found.timeline,
        };
        let commit = Commit { topic, partition: 0, offset, leader_epoch: -1, metadata: "note".to_owned() };
        let claim = MemberClaim { member_id: String::new(), instance_id: None, generation: -1 };
        let key = GroupKey::new(Scope::Everything, group);
        broker.groups.commit(&key, &claim, vec![commit]).await.pop().unwrap().unwrap();
    }

    #[tokio::test]
    async fn a_group_is_listed_and_described_with_its_positions() {
        let server = Server::with_broker().await;
        commit(server.broker(), "readers/1", 0).await;

        let list: GroupList = reqwest::get(server.url("/v1/groups")).await.unwrap().json().await.unwrap();
        assert_eq!(list.groups.len(), 1);
        assert_eq!((list.groups[0].group.as_str(), list.groups[0].state.as_str()), ("readers/1", "Empty"));

        let group: Group = reqwest::get(server.url("/v1/groups/readers%2F1")).await.unwrap().json().await.unwrap();
        assert_eq!(group.members, []);
        let position = &group.positions[0];
        assert_eq!((position.topic.as_str(), position.committed, position.lag()), ("trades", 0, Some(0)));
        assert_eq!(position.metadata, "note");

        let (_, described) = server.ask("GET", "/v1/groups/readers%2F1", "").await;
        assert_eq!(described["positions"][0]["committed"], 0);
        assert_eq!(server.ask("DELETE", "/v1/groups/readers%2F1", "").await.0, 204);
        assert_eq!(server.refused("GET", "/v1/groups/readers%2F1", "").await.0, 404);
    }

    #[tokio::test]
    async fn a_group_that_is_not_there_is_a_problem() {
        let server = Server::with_broker().await;
        let response = reqwest::get(server.url("/v1/groups/nobody")).await.unwrap();
        assert_eq!(response.status().as_u16(), 404);
        assert_eq!(response.json::<Problem>().await.unwrap().kind, "urn:millpond:unknown-group");
    }
}
