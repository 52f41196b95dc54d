//! The topics in a consumer's subscription (Kafka's `ConsumerProtocolSubscription`), read as far as it can be read.
//!
//! Shape: version i16, then an array of topic names (count i32, each an i16 length and UTF-8), then user data and what
//! later versions added, none of which matters here. The metadata belongs to the client and some libraries write it
//! wrongly, so what cannot be read is no error: the group then counts as subscribed to anything.

use std::collections::BTreeSet;

/// The protocol type of consumers; only their metadata is a subscription.
pub const CONSUMER_PROTOCOL_TYPE: &str = "consumer";

/// More topics than this are not read: no broker has them, and a request of short names would take many times its size.
const TOPICS_MAX: usize = 1 << 17;

/// The topics that a subscription names, or none if it is not one.
pub(super) fn subscribed_topics(metadata: &[u8]) -> Option<BTreeSet<String>> {
    let mut input = Input(metadata);
    let version = input.i16()?;
    if version < 0 {
        return None;
    }
    let count = input.i32()?;
    // An array that is null (-1) names no topic; the loop ends with the input, whatever the count says.
    let mut topics = BTreeSet::new();
    for _ in 0..count.max(0) {
        topics.insert(input.string()?);
        if topics.len() > TOPICS_MAX {
            return None;
        }
    }
    Some(topics)
}

/// The rest of the bytes.
pub(super) struct Input<'a>(pub(super) &'a [u8]);

impl Input<'_> {
    fn take(&mut self, count: usize) -> Option<&[u8]> {
        let (head, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(head)
    }

    pub(super) fn i16(&mut self) -> Option<i16> {
        self.take(2)?.try_into().ok().map(i16::from_be_bytes)
    }

    pub(super) fn i32(&mut self) -> Option<i32> {
        self.take(4)?.try_into().ok().map(i32::from_be_bytes)
    }

    pub(super) fn string(&mut self) -> Option<String> {
        let length = usize::try_from(self.i16()?).ok()?;
        let bytes = self.take(length)?;
        std::str::from_utf8(bytes).ok().map(str::to_owned)
    }
}

#[cfg(test)]
pub(crate) fn encode_subscription(topics: &[&str]) -> bytes::Bytes {
    let mut out = Vec::new();
    out.extend_from_slice(&0_i16.to_be_bytes());
    out.extend_from_slice(&i32::try_from(topics.len()).unwrap().to_be_bytes());
    for topic in topics {
        out.extend_from_slice(&i16::try_from(topic.len()).unwrap().to_be_bytes());
        out.extend_from_slice(topic.as_bytes());
    }
    out.extend_from_slice(&(-1_i32).to_be_bytes());
    out.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_are_read_and_what_follows_is_left_alone() {
        let mut bytes = encode_subscription(&["trades", "quotes"]).to_vec();
        bytes.extend_from_slice(b"whatever");
        let topics = subscribed_topics(&bytes).unwrap();
        assert_eq!(topics.into_iter().collect::<Vec<_>>(), ["quotes", "trades"]);
    }

    #[test]
    fn every_prefix_of_a_subscription_is_read_or_given_up_and_never_believed_in_part() {
        let bytes = encode_subscription(&["trades", "quotes"]);
        for length in 0..bytes.len() - 4 {
            assert_eq!(subscribed_topics(&bytes[..length]), None, "{length} bytes");
        }
    }

    #[test]
    fn more_topics_than_can_be_are_not_read() {
        let names: Vec<String> = (0..=TOPICS_MAX).map(|number| number.to_string()).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        assert_eq!(subscribed_topics(&encode_subscription(&names)), None);
        assert_eq!(subscribed_topics(&encode_subscription(&names[1..])).map(|topics| topics.len()), Some(TOPICS_MAX));
    }

    #[test]
    fn hostile_counts_and_lengths_are_harmless() {
        assert_eq!(subscribed_topics(&[0, 0, 0x7f, 0xff, 0xff, 0xff]), None);
        assert_eq!(subscribed_topics(&[0, 0, 0, 0, 0, 1, 0xff, 0xff, b'a']), None);
        assert_eq!(subscribed_topics(&[0xff, 0xff, 0, 0, 0, 0]), None);
        assert_eq!(subscribed_topics(&[0, 0, 0xff, 0xff, 0xff, 0xff]), Some(BTreeSet::new()));
    }
}
