//! The body of a metadata response, written without the codec's structures: these are five allocations for each partition.
//!
//! ```text
//! throttle (v3+) │ brokers: one │ cluster id (v2+) │ controller (v1+) │ topics │ operations on the cluster (v8–10) │ error (v13) │ tags (v9+)
//! broker      id │ host │ port │ rack (v1+): null │ tags (v9+)
//! topic       error │ name │ id (v10+) │ internal (v1+) │ partitions │ operations (v8+) │ tags (v9+)
//! partition   error │ index │ leader │ leader epoch (v7+) │ replicas │ replicas in sync │ offline replicas (v5+): none │ tags (v9+)
//! ```
//!
//! A test holds it against the codec's decoder in every version.

use bytes::{BufMut, BytesMut};
use kafka_protocol::messages::TopicName;
use uuid::Uuid;

use super::super::body::Body;
use super::super::{Piece, error};

/// From this version on lengths are varints and there are tagged fields.
const FLEXIBLE: i16 = 9;
/// What a partition takes at most, and a topic beside its name.
const PARTITION_BYTES_MAX: usize = 48;
const TOPIC_BYTES_MAX: usize = 48;
/// What all else takes beside its texts.
const REST_BYTES_MAX: usize = 64;

/// All but the topics.
pub(super) struct Head<'a> {
    pub(super) node_id: i32,
    pub(super) host: &'a str,
    pub(super) port: u16,
    pub(super) cluster_id: &'a str,
    pub(super) operations: i32,
}

/// What is said of a topic.
pub(super) struct Topic {
    pub(super) error: i16,
    pub(super) name: Option<TopicName>,
    pub(super) id: Uuid,
    pub(super) is_internal: bool,
    pub(super) leader_epoch: i32,
    /// How many it has. There is the same to be said of each.
    pub(super) partitions: u32,
    pub(super) operations: i32,
}

/// The body in a version.
pub(super) fn response(version: i16, head: &Head<'_>, topics: &[Topic]) -> Vec<Piece> {
    let room = REST_BYTES_MAX + head.host.len() + head.cluster_id.len() + topics.iter().map(room).sum::<usize>();
    let mut body = Body::new(version >= FLEXIBLE, room);
    if version >= 3 {
        body.bytes.put_i32(0);
    }
    body.count(1);
    broker(&mut body, version, head);
    if version >= 2 {
        body.text(head.cluster_id);
    }
    if version >= 1 {
        body.bytes.put_i32(head.node_id);
    }
    body.count(topics.len());
    for one in topics {
        topic(&mut body, version, head.node_id, one);
    }
    if (8..=10).contains(&version) {
        body.bytes.put_i32(head.operations);
    }
    if version >= 13 {
        body.bytes.put_i16(error::NONE);
    }
    body.no_tags();
    vec![body.bytes.freeze().into()]
}

/// Enough for a topic.
fn room(topic: &Topic) -> usize {
    let name = topic.name.as_ref().map_or(0, |name| name.len());
    let partitions = usize::try_from(topic.partitions).unwrap_or(usize::MAX);
    TOPIC_BYTES_MAX + name + partitions.saturating_mul(PARTITION_BYTES_MAX)
}

fn broker(body: &mut Body, version: i16, head: &Head<'_>) {
    body.bytes.put_i32(head.node_id);
    body.text(head.host);
    body.bytes.put_i32(head.port.into());
    if version >= 1 {
        body.no_text();
    }
    body.no_tags();
}

fn topic(body: &mut Body, version: i16, node_id: i32, topic: &Topic) {
    body.bytes.put_i16(topic.error);
    match &topic.name {
        Some(name) => body.text(name),
        None => body.no_text(),
    }
    if version >= 10 {
        body.bytes.put_slice(topic.id.as_bytes());
    }
    if version >= 1 {
        body.bytes.put_u8(topic.is_internal.into());
    }
    partitions(body, version, node_id, topic);
    if version >= 8 {
        body.bytes.put_i32(topic.operations);
    }
    body.no_tags();
}

fn partitions(body: &mut Body, version: i16, node_id: i32, topic: &Topic) {
    let count = i32::try_from(topic.partitions).unwrap_or(i32::MAX);
    body.count(usize::try_from(count).unwrap_or_default());
    let tail = partition_tail(version, node_id, topic.leader_epoch);
    for index in 0..count {
        body.bytes.put_i16(error::NONE);
        body.bytes.put_i32(index);
        body.bytes.put_slice(&tail);
    }
}

/// What follows the index of a partition, the same for all of a topic: this node leads it, and alone has it.
fn partition_tail(version: i16, node_id: i32, leader_epoch: i32) -> BytesMut {
    let mut tail = Body::new(version >= FLEXIBLE, PARTITION_BYTES_MAX);
    tail.bytes.put_i32(node_id);
    if version >= 7 {
        tail.bytes.put_i32(leader_epoch);
    }
    for _ in ["replicas", "in sync"] {
        tail.count(1);
        tail.bytes.put_i32(node_id);
    }
    if version >= 5 {
        tail.count(0);
    }
    tail.no_tags();
    tail.bytes
}

#[cfg(test)]
mod tests {
    use kafka_protocol::messages::MetadataResponse;
    use kafka_protocol::protocol::{Decodable, StrBytes};
    use millpond_storage::Fetched;

    use super::*;

    fn topic(name: Option<&'static str>, partitions: u32) -> Topic {
        Topic {
            error: 3,
            name: name.map(|name| TopicName(StrBytes::from_static_str(name))),
            id: Uuid::from_u128(99),
            is_internal: true,
            leader_epoch: 8,
            partitions,
            operations: 3580,
        }
    }

    #[test]
    fn the_codec_reads_every_version() {
        let head = Head { node_id: 7, host: "broker.example", port: 9092, cluster_id: "a-cluster", operations: 3480 };
        for version in 0..=13 {
            let topics = [topic(Some("trades"), 200), topic((version < 10).then_some("quotes"), 0)];
            let pieces = response(version, &head, &topics);
            let bytes = pieces.iter().map(Piece::len).sum();
            let mut bytes = Fetched { pieces, bytes }.concat().expect("all in memory");
            let decoded = MetadataResponse::decode(&mut bytes, version).expect("the codec reads it");
            assert!(bytes.is_empty(), "version {version} has bytes left");
            is_the_head(version, &decoded);
            is_the_first_topic(version, &decoded);
            let second = &decoded.topics[1];
            assert_eq!((second.name.is_some(), second.partitions.len()), (version < 10, 0), "v{version}");
        }
    }

    fn is_the_head(version: i16, decoded: &MetadataResponse) {
        let [broker] = &decoded.brokers[..] else { panic!("{} brokers", decoded.brokers.len()) };
        assert_eq!((broker.node_id.0, broker.host.as_str(), broker.port), (7, "broker.example", 9092));
        assert_eq!(broker.rack, None);
        assert_eq!(decoded.cluster_id.as_deref(), (version >= 2).then_some("a-cluster"), "v{version}");
        assert_eq!(decoded.controller_id.0, if version >= 1 { 7 } else { -1 }, "v{version}");
        let operations = if (8..=10).contains(&version) { 3480 } else { i32::MIN };
        assert_eq!((decoded.cluster_authorized_operations, decoded.error_code), (operations, 0), "v{version}");
    }

    fn is_the_first_topic(version: i16, decoded: &MetadataResponse) {
        let topic = &decoded.topics[0];
        assert_eq!((topic.error_code, topic.name.as_ref().unwrap().as_str()), (3, "trades"));
        assert_eq!(topic.topic_id.as_u128(), if version >= 10 { 99 } else { 0 }, "v{version}");
        assert_eq!(topic.is_internal, version >= 1, "v{version}");
        assert_eq!(topic.topic_authorized_operations, if version >= 8 { 3580 } else { i32::MIN }, "v{version}");
        assert_eq!(topic.partitions.len(), 200);
        for (index, partition) in topic.partitions.iter().enumerate() {
            assert_eq!((partition.error_code, partition.partition_index), (0, i32::try_from(index).unwrap()));
            assert_eq!(partition.leader_id.0, 7);
            assert_eq!(partition.leader_epoch, if version >= 7 { 8 } else { -1 }, "v{version}");
            let own = [kafka_protocol::messages::BrokerId(7)];
            assert_eq!((&partition.replica_nodes[..], &partition.isr_nodes[..]), (&own[..], &own[..]));
            assert!(partition.offline_replicas.is_empty());
        }
    }
}
