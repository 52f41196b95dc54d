//! From our words to the codec's.

use std::fmt::Display;

use kafka_protocol::messages::TopicName;
use kafka_protocol::protocol::StrBytes;

/// What is displayed, as a string of a response.
pub(super) fn text(words: impl Display) -> StrBytes {
    StrBytes::from_string(words.to_string())
}

/// A topic's name in a response.
pub(super) fn topic_name(name: impl Display) -> TopicName {
    TopicName(text(name))
}
