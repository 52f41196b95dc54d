//! `/v1/groups`: the consumer groups, one group with its members and positions.
//!
//! | request | answer |
//! |---|---|
//! | `GET /v1/groups` | [`GroupList`] |
//! | `GET /v1/groups/{id}` | [`Group`], 404 |

use serde::{Deserialize, Serialize};

/// All groups, by id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupList {
    /// Each in short.
    pub groups: Vec<GroupSummary>,
}

/// A group in short.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupAssignment {
    /// The topic.
    pub topic: String,
    /// Its partitions.
    pub partitions: Vec<i32>,
}

/// How far a group has come in one partition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
