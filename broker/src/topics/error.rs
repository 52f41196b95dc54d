//! Why something with a topic was not done. Displays as the message that the client gets with Kafka's code.

use millpond_storage::Error as StorageError;

use super::config_keys::InvalidConfig;
use super::names::InvalidName;

/// Why something with a topic was not done.
#[derive(Clone, Debug, thiserror::Error)]
pub enum TopicError {
    /// No topic can be called so.
    #[error(transparent)]
    InvalidName(#[from] InvalidName),
    /// There is no such topic, or no such partition of it.
    #[error("This server does not host this topic-partition.")]
    Unknown,
    /// No topic has this id (any more).
    #[error("This server does not host this topic ID.")]
    UnknownId,
    /// There is one already.
    #[error("Topic '{0}' already exists.")]
    AlreadyExists(String),
    /// A number of partitions that a topic cannot have.
    #[error("{0}")]
    InvalidPartitions(String),
    /// A number of replicas that one node cannot hold.
    #[error("{0}")]
    InvalidReplicationFactor(String),
    /// Replicas that are not on this node.
    #[error("{0}")]
    InvalidAssignment(String),
    /// A setting that topics do not have, or a value that it does not take.
    #[error(transparent)]
    InvalidConfig(#[from] InvalidConfig),
    /// The request contradicts itself.
    #[error("{0}")]
    InvalidRequest(String),
    /// More than one request may do.
    #[error("{0}")]
    TooMuch(String),
    /// The volume has as many topics or partitions as it may have.
    #[error("{0}")]
    LimitReached(String),
    /// The volume holds as many bytes as it may hold.
    #[error("{0}")]
    Full(String),
    /// The topic is the broker's own.
    #[error("Topic '{0}' is internal and is not changed by clients.")]
    Internal(String),
    /// The topic is in a snapshot.
    #[error("Topic '{0}' is in a snapshot, which never changes; a clone of it can be written.")]
    ReadOnly(String),
    /// What the snapshot shows is being read for the first time.
    #[error("The snapshot is being loaded.")]
    Loading,
    /// The volume was restored since the topic was looked up.
    #[error("The volume was restored meanwhile.")]
    Fenced,
    /// `topics.allow_delete` is off.
    #[error("Topic deletion is disabled.")]
    DeletionDisabled,
    /// An offset outside of the partition.
    #[error("Offset {offset} is outside of the partition, which has {log_start} to {high_watermark}.")]
    OutOfRange {
        /// The offset asked for.
        offset: i64,
        /// The first offset there is.
        log_start: i64,
        /// The offset behind the last.
        high_watermark: i64,
    },
    /// The engine could not.
    #[error(transparent)]
    Storage(#[from] StorageError),
}
