//! What can go wrong between this client and a broker, in words for whoever runs the command.

use std::time::Duration;

use crate::config::Address;

/// Kafka's error codes.
pub use kafka_protocol::error::ResponseError as ErrorCode;

/// A result of the client.
pub type Result<T, E = ClientError> = std::result::Result<T, E>;

/// Why the client could not do what was asked. `Clone`, since one cause may end many waiting calls.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// No connection could be made.
    #[error("no broker at {address}: {reason}")]
    Unreachable {
        /// Where.
        address: Address,
        /// What the system said.
        reason: String,
    },
    /// A connection ended while an answer was due.
    #[error("the connection to {address} ended: {reason}")]
    Disconnected {
        /// To whom.
        address: Address,
        /// Why.
        reason: String,
    },
    /// No answer came in time.
    #[error("{address} did not answer {api} within {} s", .after.as_secs_f32())]
    TimedOut {
        /// Who.
        address: Address,
        /// What was asked.
        api: &'static str,
        /// How long was waited.
        after: Duration,
    },
    /// Bytes came that are not Kafka's protocol.
    #[error("{address} does not speak Kafka's protocol: {what}")]
    NotKafka {
        /// Who.
        address: Address,
        /// What is wrong with them.
        what: String,
    },
    /// Broker and client have no version of an API in common.
    #[error("{address} does not offer {api} in a version that this client speaks")]
    Unsupported {
        /// Who.
        address: Address,
        /// Which API.
        api: &'static str,
    },
    /// The broker answered with an error.
    #[error("{what}: {} ({}){}", describe(*.code), .code.code(), .message.as_deref().map(|m| format!(": {m}")).unwrap_or_default())]
    Refused {
        /// What was asked.
        what: String,
        /// The code.
        code: ErrorCode,
        /// The broker's own words, where it has any.
        message: Option<String>,
    },
    /// There is no such topic.
    #[error("there is no topic {topic}")]
    UnknownTopic {
        /// The name.
        topic: String,
    },
    /// There is no such partition.
    #[error("topic {topic} has no partition {partition}")]
    UnknownPartition {
        /// The topic's name.
        topic: String,
        /// The partition.
        partition: i32,
    },
    /// A partition has had no leader for as long as one may wait.
    #[error("{topic}-{partition} has no leader")]
    NoLeader {
        /// The topic's name.
        topic: String,
        /// The partition.
        partition: i32,
    },
    /// Records could not be delivered within the time that they have.
    #[error("records for {topic}-{partition} could not be delivered within {} s: {reason}", .after.as_secs())]
    Undeliverable {
        /// The topic's name.
        topic: String,
        /// The partition.
        partition: i32,
        /// How long was tried.
        after: Duration,
        /// What went wrong last.
        reason: String,
    },
    /// A record or request cannot be encoded.
    #[error("cannot encode {what}: {reason}")]
    Encode {
        /// What.
        what: &'static str,
        /// Why.
        reason: String,
    },
    /// An answer cannot be decoded.
    #[error("cannot read the answer of {address} to {api}: {reason}")]
    Decode {
        /// Who.
        address: Address,
        /// To what.
        api: &'static str,
        /// Why.
        reason: String,
    },
    /// What another client wrote cannot be read.
    #[error("cannot read {what} of a group: {reason}")]
    Protocol {
        /// What.
        what: &'static str,
        /// Why.
        reason: String,
    },
    /// A fetched batch is damaged or makes no sense.
    #[error("{topic}-{partition} holds a batch that cannot be read: {reason}")]
    BadBatch {
        /// The topic's name.
        topic: String,
        /// The partition.
        partition: i32,
        /// Why.
        reason: String,
    },
    /// The producer was closed.
    #[error("the producer is closed")]
    Closed,
}

impl ClientError {
    pub(crate) fn refused(what: impl Into<String>, code: ErrorCode, message: Option<&str>) -> Self {
        let message = message.filter(|message| !message.is_empty()).map(str::to_owned);
        Self::Refused { what: what.into(), code, message }
    }

    /// Whether asking again, perhaps another broker, may help.
    pub fn is_retriable(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Disconnected { .. } | Self::TimedOut { .. } | Self::NoLeader { .. } => {
                true
            }
            Self::Refused { code, .. } => code.is_retriable(),
            _ => false,
        }
    }
}

/// Kafka's name of a code, as its documentation writes it.
fn describe(code: ErrorCode) -> String {
    let name = format!("{code:?}");
    let mut words = String::with_capacity(name.len() + 8);
    for (index, letter) in name.char_indices() {
        if letter.is_ascii_uppercase() && index > 0 {
            words.push('_');
        }
        words.push(letter.to_ascii_uppercase());
    }
    if matches!(code, ErrorCode::Unknown(_)) { "UNKNOWN".to_owned() } else { words }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_carry_kafkas_names_and_the_brokers_words() {
        let error = ClientError::refused("create topic trades", ErrorCode::PolicyViolation, Some("read-only"));
        assert_eq!(error.to_string(), "create topic trades: POLICY_VIOLATION (44): read-only");
        let error = ClientError::refused("produce", ErrorCode::Unknown(999), None);
        assert_eq!(error.to_string(), "produce: UNKNOWN (999)");
    }
}
