//! The one map from errors to Kafka's codes. Every error of a domain is named here, in a `match` without `_`, so that a new
//! kind of error does not compile until somebody has said what clients see.

use std::collections::HashMap;
use std::ops::RangeInclusive;
use std::sync::LazyLock;

use millpond_storage::batch::{BatchError, Refusal};
use millpond_storage::{AppendError, Error as StorageError};

use crate::groups::GroupError;
use crate::groups::positions::PositionError;

pub use kafka_protocol::ResponseError as ErrorCode;

use crate::topics::TopicError;

/// The code of success.
pub const NONE: i16 = 0;

/// The wire code of a result.
pub fn code_of<T>(result: &Result<T, ErrorCode>) -> i16 {
    result.as_ref().map_or_else(ErrorCode::code, |_| NONE)
}

/// The name of an error in Kafka, such as `UNKNOWN_TOPIC_OR_PARTITION`.
pub fn name_of(error: ErrorCode) -> &'static str {
    static NAMES: LazyLock<HashMap<i16, String>> = LazyLock::new(|| {
        CODES.filter_map(ErrorCode::try_from_code).map(|error| (error.code(), kafka_name(error))).collect()
    });
    NAMES.get(&error.code()).map_or("UNKNOWN", String::as_str)
}

/// Every code that Kafka has had so far.
const CODES: RangeInclusive<i16> = -1..=133;

/// `UnknownTopicId` as Kafka writes it.
fn kafka_name(error: ErrorCode) -> String {
    let mut name = String::new();
    for letter in format!("{error:?}").chars() {
        if letter.is_ascii_uppercase() && !name.is_empty() {
            name.push('_');
        }
        name.push(letter.to_ascii_uppercase());
    }
    name
}

/// What a client sees of an error of the engine.
pub fn of_storage(error: &StorageError) -> ErrorCode {
    match error {
        StorageError::OutOfRange { .. } => ErrorCode::OffsetOutOfRange,
        StorageError::UnknownPartition => ErrorCode::UnknownTopicOrPartition,
        // Retried by every client, without limit or by count; THROTTLING_QUOTA_EXCEEDED is final in three of them.
        StorageError::Full(_) => ErrorCode::NotEnoughReplicas,
        StorageError::Corrupt(_) | StorageError::ReadOnly { .. } | StorageError::Io { .. } => {
            ErrorCode::KafkaStorageError
        }
        // The consumer's application is told, and may seek behind it; KAFKA_STORAGE_ERROR would be retried for ever.
        StorageError::DamagedBatch { .. } => ErrorCode::CorruptMessage,
        StorageError::Invalid(_) | StorageError::Forgotten { .. } => ErrorCode::InvalidRequest,
        // These stop the start, or the process is going: then the connection closes in place of this answer (Java takes it for
        // final), and the client comes back to the next process.
        StorageError::Newer { .. } | StorageError::Locked { .. } | StorageError::Closed => {
            ErrorCode::BrokerNotAvailable
        }
    }
}

/// What a client sees of an error with a topic.
pub fn of_topic(error: &TopicError) -> ErrorCode {
    match error {
        TopicError::InvalidName(_) | TopicError::Internal(_) => ErrorCode::InvalidTopicException,
        TopicError::Unknown => ErrorCode::UnknownTopicOrPartition,
        TopicError::UnknownId => ErrorCode::UnknownTopicId,
        TopicError::AlreadyExists(_) => ErrorCode::TopicAlreadyExists,
        TopicError::InvalidPartitions(_) => ErrorCode::InvalidPartitions,
        TopicError::InvalidReplicationFactor(_) => ErrorCode::InvalidReplicationFactor,
        TopicError::InvalidAssignment(_) => ErrorCode::InvalidReplicaAssignment,
        TopicError::InvalidConfig(_) => ErrorCode::InvalidConfig,
        TopicError::InvalidRequest(_) => ErrorCode::InvalidRequest,
        // Not retriable and not fatal, and Java shows the message.
        TopicError::TooMuch(_) | TopicError::ReadOnly(_) | TopicError::LimitReached(_) => ErrorCode::PolicyViolation,
        // As with a full disk.
        TopicError::Full(_) => ErrorCode::NotEnoughReplicas,
        // Clients ask again.
        TopicError::Loading => ErrorCode::LeaderNotAvailable,
        TopicError::Fenced => ErrorCode::FencedLeaderEpoch,
        TopicError::DeletionDisabled => ErrorCode::TopicDeletionDisabled,
        TopicError::OutOfRange { .. } => ErrorCode::OffsetOutOfRange,
        TopicError::Storage(error) => of_storage(error),
    }
}

/// What a client sees of a batch that is refused.
pub fn of_batch(error: &BatchError) -> ErrorCode {
    match error.refusal() {
        Refusal::Corrupt => ErrorCode::CorruptMessage,
        Refusal::InvalidRecord => ErrorCode::InvalidRecord,
        Refusal::InvalidTimestamp => ErrorCode::InvalidTimestamp,
        Refusal::UnsupportedCompression => ErrorCode::UnsupportedCompressionType,
        Refusal::TooLarge => ErrorCode::MessageTooLarge,
    }
}

/// What a client sees of an append that failed.
pub fn of_append(error: &AppendError) -> ErrorCode {
    match error {
        AppendError::UnknownPartition => ErrorCode::UnknownTopicOrPartition,
        AppendError::OutOfOrderSequence { .. } => ErrorCode::OutOfOrderSequenceNumber,
        AppendError::InvalidProducerEpoch { .. } => ErrorCode::InvalidProducerEpoch,
        AppendError::OtherName => ErrorCode::InvalidRequest,
        AppendError::Storage(error) => of_storage(error),
    }
}

/// What a client is told of a topic whose positions it wants: consumers wait for a coordinator that loads, and give up on
/// nearly all else.
pub fn of_position_topic(error: &TopicError) -> ErrorCode {
    match error {
        TopicError::Loading => ErrorCode::CoordinatorLoadInProgress,
        // An illegal name is an unknown topic here, as in Kafka.
        _ => ErrorCode::UnknownTopicOrPartition,
    }
}

/// Whether what a client takes for the leader epoch is the one that holds; −1: it does not say.
pub fn check_leader_epoch(asked: i32, current: i32) -> Result<(), ErrorCode> {
    match asked {
        ..0 => Ok(()),
        asked if asked < current => Err(ErrorCode::FencedLeaderEpoch),
        asked if asked > current => Err(ErrorCode::UnknownLeaderEpoch),
        _ => Ok(()),
    }
}

/// What a member of a group, or whoever asks for it, is told.
pub fn of_group(error: GroupError) -> ErrorCode {
    match error {
        GroupError::CoordinatorNotAvailable => ErrorCode::CoordinatorNotAvailable,
        GroupError::UnknownMemberId => ErrorCode::UnknownMemberId,
        GroupError::IllegalGeneration => ErrorCode::IllegalGeneration,
        GroupError::RebalanceInProgress => ErrorCode::RebalanceInProgress,
        GroupError::InconsistentGroupProtocol => ErrorCode::InconsistentGroupProtocol,
        GroupError::FencedInstanceId => ErrorCode::FencedInstanceId,
        GroupError::MemberIdRequired => ErrorCode::MemberIdRequired,
        GroupError::GroupMaxSizeReached => ErrorCode::GroupMaxSizeReached,
        GroupError::InvalidSessionTimeout => ErrorCode::InvalidSessionTimeout,
        GroupError::InvalidGroupId => ErrorCode::InvalidGroupId,
        GroupError::NonEmptyGroup => ErrorCode::NonEmptyGroup,
        GroupError::GroupIdNotFound => ErrorCode::GroupIdNotFound,
    }
}

/// What a client sees of a position that was not committed or deleted. A log that takes no positions is a coordinator that
/// does not work: consumers retry that, and give up on nearly all else.
pub fn of_position(error: &PositionError) -> ErrorCode {
    match error {
        PositionError::Group(error) => of_group(*error),
        PositionError::UnknownPartition => ErrorCode::UnknownTopicOrPartition,
        PositionError::MetadataTooLarge => ErrorCode::OffsetMetadataTooLarge,
        PositionError::Subscribed => ErrorCode::GroupSubscribedToTopic,
        // Final to every client for this commit, and no reason for a member to join anew: it has done so since the restore.
        PositionError::BeyondEnd => ErrorCode::OffsetOutOfRange,
        PositionError::OtherHistory => ErrorCode::FencedLeaderEpoch,
        PositionError::Storage(_) => ErrorCode::CoordinatorNotAvailable,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_result_becomes_its_code() {
        assert_eq!(code_of(&Ok(())), 0);
        assert_eq!(code_of::<()>(&Err(ErrorCode::UnsupportedVersion)), 35);
    }

    #[test]
    fn errors_have_the_names_of_kafka() {
        assert_eq!(name_of(ErrorCode::UnknownTopicOrPartition), "UNKNOWN_TOPIC_OR_PARTITION");
        assert_eq!(name_of(ErrorCode::UnknownServerError), "UNKNOWN_SERVER_ERROR");
        assert_eq!(name_of(ErrorCode::InvalidTopicException), "INVALID_TOPIC_EXCEPTION");
        assert_eq!(name_of(ErrorCode::Unknown(999)), "UNKNOWN");
        for code in CODES.filter(|code| *code != NONE) {
            let error = ErrorCode::try_from_code(code).unwrap();
            assert!(!matches!(error, ErrorCode::Unknown(_)), "{code} is none of Kafka's");
        }
    }

    #[test]
    fn a_full_disk_is_retriable() {
        assert!(of_storage(&StorageError::Full(String::new())).is_retriable());
    }
}
