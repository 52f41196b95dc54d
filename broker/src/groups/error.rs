//! Why a request of a group's member is refused.
//!
//! One kind per answer that a client acts on; `api/` maps each to Kafka's code of the same name. Being told to come back
//! with a member id ([`GroupError::MemberIdRequired`]) is among them, because Kafka's protocol treats it as an error.

use thiserror::Error;

/// A refusal, by what the member is to do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum GroupError {
    /// The group is going away, or its state could not be stored: look up the coordinator and try again.
    #[error("the group's coordinator is not available")]
    CoordinatorNotAvailable,
    /// The group has no such member: join anew with an empty member id.
    #[error("the group has no such member")]
    UnknownMemberId,
    /// The request belongs to another generation: join again.
    #[error("the request is not of the group's generation")]
    IllegalGeneration,
    /// A rebalance has begun: join again.
    #[error("the group is rebalancing")]
    RebalanceInProgress,
    /// The protocol type or every assignment protocol differs from what the group's members share, or two members name
    /// one topic by two names.
    #[error("the member's protocols do not fit those of the group")]
    InconsistentGroupProtocol,
    /// Another process has taken over the group instance id: stop.
    #[error("another member has taken over the group instance id")]
    FencedInstanceId,
    /// The member id to join with comes with this answer: join again, with it.
    #[error("join again with the member id that was given")]
    MemberIdRequired,
    /// The group has as many members as it may have.
    #[error("the group has reached its largest size")]
    GroupMaxSizeReached,
    /// The session timeout lies outside of what the broker allows.
    #[error("the session timeout is outside of the allowed range")]
    InvalidSessionTimeout,
    /// The group id is empty where one is needed.
    #[error("the group id is not valid")]
    InvalidGroupId,
    /// The group has members and so may not be deleted.
    #[error("the group has members")]
    NonEmptyGroup,
    /// There is no such group.
    #[error("there is no such group")]
    GroupIdNotFound,
}
