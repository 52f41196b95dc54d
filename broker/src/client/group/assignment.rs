//! What the members of a group tell each other through the broker, to which it is only bytes: which topics a member wants, and
//! which partitions its leader gives it.
//!
//! Both are Kafka's consumer protocol: a version (i16), then a message of that version. Later versions only add behind.

use std::collections::BTreeMap;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use kafka_protocol::messages::consumer_protocol_assignment::TopicPartition;
use kafka_protocol::messages::{ConsumerProtocolAssignment, ConsumerProtocolSubscription};
use kafka_protocol::protocol::{Decodable, Encodable, Message, StrBytes};

use super::super::cluster::{Client, topic_name};
use super::super::error::{ClientError, Result};

/// The version that is written: the oldest, which all read.
const VERSION: i16 = 0;

/// Partitions by topic.
pub(super) type Partitions = BTreeMap<String, Vec<i32>>;
/// What each member reads, or wants to: by member id.
pub(super) type ByMember<T> = BTreeMap<String, T>;

/// The subscription of a member that wants one topic.
pub(super) fn subscription(topic: &str) -> Result<Bytes> {
    let topics = vec![StrBytes::from_string(topic.to_owned())];
    encoded(&ConsumerProtocolSubscription::default().with_topics(topics), "a subscription")
}

/// The topics that a member wants.
pub(super) fn subscribed(bytes: Bytes) -> Result<Vec<String>> {
    let wanted: ConsumerProtocolSubscription = decoded(bytes, "a subscription")?;
    Ok(wanted.topics.iter().map(ToString::to_string).collect())
}

/// The bytes for what a member reads.
pub(super) fn assignment(partitions: &Partitions) -> Result<Bytes> {
    let topics = partitions.iter().map(|(topic, partitions)| {
        TopicPartition::default().with_topic(topic_name(topic)).with_partitions(partitions.clone())
    });
    let assigned = ConsumerProtocolAssignment::default().with_assigned_partitions(topics.collect());
    encoded(&assigned, "an assignment")
}

/// What a member reads; nothing where the leader left it out.
pub(super) fn assigned(bytes: Bytes) -> Result<Partitions> {
    if bytes.is_empty() {
        return Ok(Partitions::new());
    }
    let assigned: ConsumerProtocolAssignment = decoded(bytes, "an assignment")?;
    Ok(assigned.assigned_partitions.into_iter().map(|topic| (topic.topic.to_string(), topic.partitions)).collect())
}

fn encoded<M: Encodable>(message: &M, what: &'static str) -> Result<Bytes> {
    let mut bytes = BytesMut::new();
    bytes.put_i16(VERSION);
    message.encode(&mut bytes, VERSION).map_err(|error| ClientError::Encode { what, reason: error.to_string() })?;
    Ok(bytes.freeze())
}

fn decoded<M: Decodable + Message>(mut bytes: Bytes, what: &'static str) -> Result<M> {
    let unreadable = |reason: String| ClientError::Protocol { what, reason };
    if bytes.len() < 2 {
        return Err(unreadable("it has no version".to_owned()));
    }
    let version = bytes.get_i16().min(M::VERSIONS.max);
    M::decode(&mut bytes, version).map_err(|error| unreadable(error.to_string()))
}

/// Shares the partitions of all topics out among the members that want them.
pub(super) async fn shared_out(client: &Client, subscriptions: &ByMember<Vec<String>>) -> Result<ByMember<Partitions>> {
    let mut partitions = BTreeMap::new();
    for topic in subscriptions.values().flatten() {
        match client.refresh(topic).await {
            Ok(info) => drop(partitions.insert(topic.clone(), info.partitions().collect())),
            // It may come to be; until then there is nothing to share out.
            Err(ClientError::UnknownTopic { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(by_range(&partitions, subscriptions))
}

/// For each topic, neighbouring partitions to each member in the order of their ids; the first ones get one more.
fn by_range(partitions: &Partitions, subscriptions: &ByMember<Vec<String>>) -> ByMember<Partitions> {
    let mut shares: ByMember<Partitions> = subscriptions.keys().map(|id| (id.clone(), Partitions::new())).collect();
    for (topic, partitions) in partitions {
        let wanting = subscriptions.iter().filter(|(_, topics)| topics.contains(topic)).map(|(id, _)| id);
        let wanting: Vec<&String> = wanting.collect();
        let mut rest = partitions.as_slice();
        for (index, id) in wanting.iter().enumerate() {
            let (share, left) = rest.split_at(rest.len().div_ceil(wanting.len() - index));
            rest = left;
            if let Some(of_member) = shares.get_mut(*id).filter(|_| !share.is_empty()) {
                of_member.insert(topic.clone(), share.to_vec());
            }
        }
    }
    shares
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wants(members: &[(&str, &[&str])]) -> ByMember<Vec<String>> {
        let topics = |topics: &[&str]| topics.iter().map(|&topic| topic.to_owned()).collect();
        members.iter().map(|(id, wanted)| ((*id).to_owned(), topics(wanted))).collect()
    }

    #[test]
    fn neighbouring_partitions_go_to_members_in_the_order_of_their_ids() {
        let partitions = Partitions::from([("a".to_owned(), (0..5).collect()), ("b".to_owned(), vec![0])]);
        let shares = by_range(&partitions, &wants(&[("m2", &["a", "b"]), ("m1", &["a"]), ("m3", &["c"])]));
        assert_eq!(shares["m1"], Partitions::from([("a".to_owned(), vec![0, 1, 2])]));
        assert_eq!(shares["m2"], Partitions::from([("a".to_owned(), vec![3, 4]), ("b".to_owned(), vec![0])]));
        assert_eq!(shares["m3"], Partitions::new(), "nothing is there for it");
    }

    #[test]
    fn more_members_than_partitions_leave_some_without() {
        let partitions = Partitions::from([("a".to_owned(), vec![0, 1])]);
        let shares = by_range(&partitions, &wants(&[("1", &["a"]), ("2", &["a"]), ("3", &["a"])]));
        let counts: Vec<usize> = shares.values().map(|share| share.values().map(Vec::len).sum()).collect();
        assert_eq!(counts, [1, 1, 0]);
    }

    #[test]
    fn what_is_told_is_understood() {
        assert_eq!(subscribed(subscription("trades").unwrap()).unwrap(), ["trades"]);
        let partitions = Partitions::from([("a".to_owned(), vec![0, 2]), ("b".to_owned(), vec![1])]);
        assert_eq!(assigned(assignment(&partitions).unwrap()).unwrap(), partitions);
        assert_eq!(assigned(Bytes::new()).unwrap(), Partitions::new());
    }

    #[test]
    fn what_cannot_be_read_is_an_error() {
        for bytes in [&[0][..], &[0, 0, 0, 0, 0, 9]] {
            assert!(subscribed(Bytes::copy_from_slice(bytes)).is_err(), "{bytes:?}");
        }
    }
}
