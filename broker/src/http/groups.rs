//! `/v1/groups`: the consumer groups, one group with its members and positions.
//!
//! | request | answer |
//! |---|---|
//! | `GET /v1/groups` | [`GroupList`] |
//! | `GET /v1/groups/{id}` | [`Group`], 404 |
//! | `DELETE /v1/groups/{id}` | 204, 404, 409 where it has members |
//!
//! Members and topics are those of clients where everything is shown. Those of clients at the listeners of a volume or a snapshot
//! are asked for with `?of=trading@close`, and found under their short names.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::HttpState;
use super::listeners::scope_of;
use super::path::Path;
use super::problem::Problem;
use super::query::Query;
use super::topics::{Of, problem};
use crate::broker::Broker;
use crate::groups::assignment::assigned_partitions;
use crate::groups::positions::PositionError;
use crate::groups::request::{GroupDescription, MemberDescription};
use crate::groups::{GroupError, GroupKey};
use crate::scope::Scope;
use crate::topics::Frozen;

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

/// Where groups are.
struct Seen {
    scope: Scope,
    /// What a snapshot shows: it stays known while this is held.
    _frozen: Option<Arc<Frozen>>,
}

impl Seen {
    async fn of(broker: &Broker, Of { of }: Of) -> Result<Self, Problem> {
        let Some(of) = of else { return Ok(Self { scope: Scope::Everything, _frozen: None }) };
        let scope = scope_of(broker, &of)?;
        let frozen = match scope {
            Scope::Snapshot(pin) => Some(broker.topics.load(pin).await.map_err(|error| problem(&of, &error))?),
            Scope::Everything | Scope::Volume(_) => None,
        };
        Ok(Self { scope, _frozen: frozen })
    }
}

pub(super) async fn list(State(state): State<HttpState>, Query(of): Query<Of>) -> Result<Json<GroupList>, Problem> {
    let broker = state.broker()?;
    let seen = Seen::of(broker, of).await?;
    let groups = broker.groups.list(seen.scope).into_iter();
    let summary = |(group, described): (String, GroupDescription)| GroupSummary {
        state: described.state.name().to_owned(),
        protocol_type: described.protocol_type.unwrap_or_default(),
        members: members(broker, seen.scope, &group),
        group,
    };
    Ok(Json(GroupList { groups: groups.map(summary).collect() }))
}

pub(super) async fn describe(
    State(state): State<HttpState>,
    Path(group): Path<String>,
    Query(of): Query<Of>,
) -> Result<Json<Group>, Problem> {
    let broker = state.broker()?;
    let seen = Seen::of(broker, of).await?;
    let described = broker.groups.describe(&GroupKey::new(seen.scope, &group)).ok_or_else(|| unknown(&group))?;
    Ok(Json(Group {
        positions: positions(broker, seen.scope, &group),
        group,
        state: described.state.name().to_owned(),
        protocol_type: described.protocol_type.unwrap_or_default(),
        protocol: described.protocol_name.unwrap_or_default(),
        members: described.members.into_iter().map(member).collect(),
    }))
}

pub(super) async fn delete(
    State(state): State<HttpState>,
    Path(group): Path<String>,
    Query(of): Query<Of>,
) -> Result<StatusCode, Problem> {
    let broker = state.broker()?;
    let seen = Seen::of(broker, of).await?;
    let begun = broker.groups.delete(&GroupKey::new(seen.scope, &group));
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
fn members(broker: &Broker, scope: Scope, group: &str) -> usize {
    let described = broker.groups.describe(&GroupKey::new(scope, group));
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
fn positions(broker: &Broker, scope: Scope, group: &str) -> Vec<GroupPosition> {
    let mut positions = BTreeMap::new();
    for found in broker.groups.all_positions(scope, group) {
        let Some(topic) = broker.topics.listed(scope, found.home, &found.topic) else { continue };
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
    async fn commit(broker: &Broker, scope: Scope, group: &str, offset: i64) {
        let new = NewTopic { name: "trades".to_owned(), ..NewTopic::default() };
        let found = broker.topics.create(scope, new).await.unwrap();
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
        let key = GroupKey::new(scope, group);
        broker.groups.commit(&key, &claim, vec![commit]).await.pop().unwrap().unwrap();
    }

    #[tokio::test]
    async fn a_group_is_listed_and_described_with_its_positions() {
        let server = Server::with_broker().await;
        commit(server.broker(), Scope::Everything, "readers/1", 0).await;

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
    async fn groups_at_the_listeners_of_a_volume_are_asked_for_by_its_name() {
        let server = Server::with_broker().await;
        let (_, volume) = server.ask("POST", "/v1/volumes", r#"{"name": "trading", "listed": false}"#).await;
        commit(server.broker(), Scope::of_number(volume["id"].as_u64().unwrap()), "readers", 0).await;
        let groups = async |of: &str| {
            let (_, list) = server.ask("GET", &format!("/v1/groups{of}"), "").await;
            list["groups"].as_array().unwrap().len()
        };
        assert_eq!((groups("").await, groups("?of=trading").await, groups("?of=default").await), (0, 1, 0));
        server.ask("POST", "/v1/volumes/trading/snapshots", r#"{"name": "close"}"#).await;
        for (of, there) in [("trading", 200), ("trading@close", 200), ("default", 404), ("no", 404)] {
            let (status, found) = server.ask("GET", &format!("/v1/groups/readers?of={of}"), "").await;
            assert_eq!(status, there, "{of}: {found}");
            if there == 200 {
                assert_eq!(
                    (&found["positions"][0]["topic"], found["positions"].as_array().unwrap().len()),
                    (&"trades".into(), 1)
                );
            }
        }
        assert_eq!(server.refused("DELETE", "/v1/groups/readers", "").await.0, 404);
        assert_eq!(server.ask("DELETE", "/v1/groups/readers?of=trading", "").await.0, 204);
        assert_eq!(groups("?of=trading").await, 0);
    }

    #[tokio::test]
    async fn a_group_that_is_not_there_is_a_problem() {
        let server = Server::with_broker().await;
        let response = reqwest::get(server.url("/v1/groups/nobody")).await.unwrap();
        assert_eq!(response.status().as_u16(), 404);
        assert_eq!(response.json::<Problem>().await.unwrap().kind, "urn:millpond:unknown-group");
    }
}
