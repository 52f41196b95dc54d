//! What members ask and what they are answered, in plain types: `api/` translates Kafka's messages to these and back.

use std::time::Duration;

use bytes::Bytes;

use super::GroupError;
use super::spelling::TopicSpelling;

/// An assignment protocol that a member can follow, with what the member has to say to the leader in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Protocol {
    /// The protocol's name, such as `range`.
    pub name: String,
    /// Opaque to the broker: clients are free in what they send.
    pub metadata: Bytes,
}

/// `JoinGroup`: a member wants to be in the next generation.
#[derive(Clone, Debug, Default)]
pub struct JoinRequest {
    /// Empty for a member that has no id yet.
    pub member_id: String,
    /// `group.instance.id`: what makes the member static.
    pub instance_id: Option<String>,
    /// The client id of the connection; a new member's id begins with it, or with the instance id.
    pub client_id: String,
    /// The address that the client speaks from.
    pub client_host: String,
    /// After how long without a sign of life the member is dead.
    pub session_timeout: Duration,
    /// How long a rebalance waits for the member to join again.
    pub rebalance_timeout: Duration,
    /// `consumer` for consumers, `connect` for Connect's workers.
    pub protocol_type: String,
    /// The protocols, in the member's order of preference.
    pub protocols: Vec<Protocol>,
    /// The topics of the subscription, by name and identity, as far as they could be read and resolved. The coordinator
    /// fills this in.
    pub topics: Vec<TopicSpelling>,
    /// Whether a dynamic member must come back with the id that it was given (version 4 and newer, KIP-394).
    pub requires_known_member_id: bool,
    /// Whether a returning static leader understands "do not assign" (version 9 and newer, KIP-814).
    pub skips_assignment: bool,
    /// Random text, unique to this request: the end of the member id if the member is new. The coordinator fills this in.
    pub fresh_id: String,
    /// Why the client joins, for the log; empty if it did not say.
    pub reason: String,
}

/// What `JoinGroup` is answered in the end.
pub type JoinReply = Result<Joined, JoinRefusal>;

/// The member belongs to this generation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Joined {
    /// The member's id.
    pub member_id: String,
    /// The generation.
    pub generation: i32,
    /// The group's protocol type.
    pub protocol_type: Option<String>,
    /// The protocol that the vote chose.
    pub protocol_name: Option<String>,
    /// The leader's member id.
    pub leader: String,
    /// Tells a returning static leader that the assignment stands.
    pub skip_assignment: bool,
    /// Every member with its metadata for the chosen protocol: for the leader alone.
    pub members: Vec<JoinedMember>,
}

/// One member as the leader sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JoinedMember {
    /// The member's id.
    pub member_id: String,
    /// Its group instance id, if it is static.
    pub instance_id: Option<String>,
    /// Its metadata for the chosen protocol.
    pub metadata: Bytes,
}

/// The member does not belong to the generation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JoinRefusal {
    /// Why.
    pub error: GroupError,
    /// The id that the member has, or is to use from now on; may be empty.
    pub member_id: String,
}

/// `SyncGroup`: a member fetches its assignment; the leader brings everybody's.
#[derive(Clone, Debug)]
pub struct SyncRequest {
    /// The member's id.
    pub member_id: String,
    /// Its group instance id, if it is static and the version can say so.
    pub instance_id: Option<String>,
    /// The generation that the member believes in.
    pub generation: i32,
    /// The protocol type that the member believes in (version 5 and newer).
    pub protocol_type: Option<String>,
    /// The protocol that the member believes in (version 5 and newer).
    pub protocol_name: Option<String>,
    /// From the leader: an assignment per member id.
    pub assignments: Vec<(String, Bytes)>,
}

/// What `SyncGroup` is answered in the end.
pub type SyncReply = Result<Synced, GroupError>;

/// A member's assignment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Synced {
    /// The group's protocol type.
    pub protocol_type: Option<String>,
    /// The chosen protocol.
    pub protocol_name: Option<String>,
    /// What the leader assigned; empty if the leader left the member out.
    pub assignment: Bytes,
}

/// A member that speaks of itself, in `Heartbeat` and `OffsetCommit`.
#[derive(Clone, Debug)]
pub struct MemberClaim {
    /// The member's id; empty for a client outside of the group protocol.
    pub member_id: String,
    /// Its group instance id, if it is static and the version can say so.
    pub instance_id: Option<String>,
    /// The generation that the member believes in; negative for a client outside of the group protocol.
    pub generation: i32,
}

/// One entry of `LeaveGroup`.
#[derive(Clone, Debug)]
pub struct Leaver {
    /// The member's id; empty where an administrator removes a static member by its instance id.
    pub member_id: String,
    /// The group instance id, if any.
    pub instance_id: Option<String>,
    /// Why, for the log; empty if the client did not say.
    pub reason: String,
}

/// A group as `DescribeGroups` and `ListGroups` show it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupDescription {
    /// The state.
    pub state: super::State,
    /// The protocol type, once a member brought one.
    pub protocol_type: Option<String>,
    /// The chosen protocol, while the group is stable.
    pub protocol_name: Option<String>,
    /// The members, by member id.
    pub members: Vec<MemberDescription>,
}

impl GroupDescription {
    /// A group that consists of positions only.
    pub(super) fn simple() -> Self {
        Self { state: super::State::Empty, protocol_type: None, protocol_name: None, members: Vec::new() }
    }
}

/// A member as `DescribeGroups` shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberDescription {
    /// The member's id.
    pub member_id: String,
    /// Its group instance id, if it is static.
    pub instance_id: Option<String>,
    /// The client id that it joined with.
    pub client_id: String,
    /// The address that it joined from.
    pub client_host: String,
    /// Its metadata for the chosen protocol; empty unless the group is stable.
    pub metadata: Bytes,
    /// Its assignment.
    pub assignment: Bytes,
}
