//! The requests that tests send most, in one line each, with names (not ids) for topics.

use std::collections::BTreeMap;

use bytes::Bytes;
use kafka_protocol::messages::create_topics_request::CreatableTopic;
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::join_group_request::JoinGroupRequestProtocol;
use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::offset_commit_request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic};
use kafka_protocol::messages::offset_fetch_request::{OffsetFetchRequestGroup, OffsetFetchRequestTopics};
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::sync_group_request::SyncGroupRequestAssignment;
use kafka_protocol::messages::{
    CreateTopicsRequest, FetchRequest, GroupId, InitProducerIdRequest, JoinGroupRequest, JoinGroupResponse,
    ListOffsetsRequest, MetadataRequest, OffsetCommitRequest, OffsetFetchRequest, ProduceRequest, SyncGroupRequest,
    TopicName,
};
use kafka_protocol::protocol::StrBytes;

use crate::batch::{self, Batch};
use crate::wire::Wire;

/// The version of Fetch that [`fetch`] is meant for: the last one with names.
pub const FETCH: i16 = 12;
/// The version of Produce that [`produce`] is meant for: the last one with names.
pub const PRODUCE: i16 = 12;

/// A topic's name as the codec wants it.
pub fn name(topic: &str) -> TopicName {
    TopicName(text(topic))
}

/// A string as the codec wants it.
pub fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

/// `CreateTopics` of one topic.
pub fn create_topic(topic: &str, partitions: i32) -> CreateTopicsRequest {
    let wanted =
        CreatableTopic::default().with_name(name(topic)).with_num_partitions(partitions).with_replication_factor(-1);
    CreateTopicsRequest::default().with_topics(vec![wanted]).with_timeout_ms(30_000)
}

/// `Metadata` of these topics, creating none.
pub fn metadata(topics: &[&str]) -> MetadataRequest {
    let wanted = topics.iter().map(|topic| MetadataRequestTopic::default().with_name(Some(name(topic))));
    MetadataRequest::default().with_topics(Some(wanted.collect())).with_allow_auto_topic_creation(false)
}

/// `InitProducerId` of an idempotent producer.
pub fn init_producer() -> InitProducerIdRequest {
    InitProducerIdRequest::default().with_transactional_id(None).with_producer_id((-1).into()).with_producer_epoch(-1)
}

/// `Produce` of one batch for each (topic, partition).
pub fn produce(acks: i16, batches: impl IntoIterator<Item = (String, i32, Bytes)>) -> ProduceRequest {
    let mut topics = BTreeMap::<String, Vec<PartitionProduceData>>::new();
    for (topic, partition, records) in batches {
        let part = PartitionProduceData::default().with_index(partition).with_records(Some(records));
        topics.entry(topic).or_default().push(part);
    }
    let data = topics
        .into_iter()
        .map(|(topic, parts)| TopicProduceData::default().with_name(name(&topic)).with_partition_data(parts));
    ProduceRequest::default().with_acks(acks).with_timeout_ms(30_000).with_topic_data(data.collect())
}

/// `Fetch` without a session of what is there now, from an offset of each (topic, partition).
pub fn fetch(from: &[(&str, i32, i64)]) -> FetchRequest {
    let mut topics = BTreeMap::<&str, Vec<FetchPartition>>::new();
    for (topic, partition, offset) in from {
        let part = FetchPartition::default()
            .with_partition(*partition)
            .with_current_leader_epoch(-1)
            .with_fetch_offset(*offset)
            .with_partition_max_bytes(8 * 1024 * 1024);
        topics.entry(topic).or_default().push(part);
    }
    let topics =
        topics.into_iter().map(|(topic, parts)| FetchTopic::default().with_topic(name(topic)).with_partitions(parts));
    FetchRequest::default()
        .with_replica_id((-1).into())
        .with_min_bytes(1)
        .with_max_bytes(64 * 1024 * 1024)
        .with_session_epoch(-1)
        .with_topics(topics.collect())
}

/// `OffsetCommit` from outside of the group, of an offset and a note.
pub fn commit(group: &str, topic: &str, partition: i32, offset: i64, note: &str) -> OffsetCommitRequest {
    let part = OffsetCommitRequestPartition::default()
        .with_partition_index(partition)
        .with_committed_offset(offset)
        .with_committed_metadata(Some(text(note)));
    let topic = OffsetCommitRequestTopic::default().with_name(name(topic)).with_partitions(vec![part]);
    OffsetCommitRequest::default()
        .with_group_id(GroupId(text(group)))
        .with_generation_id_or_member_epoch(-1)
        .with_topics(vec![topic])
}

/// `OffsetFetch` (version 8 and later) of one position of one group.
pub fn position(group: &str, topic: &str, partition: i32) -> OffsetFetchRequest {
    let topic = OffsetFetchRequestTopics::default().with_name(name(topic)).with_partition_indexes(vec![partition]);
    let group = OffsetFetchRequestGroup::default()
        .with_group_id(GroupId(text(group)))
        .with_member_epoch(-1)
        .with_topics(Some(vec![topic]));
    OffsetFetchRequest::default().with_groups(vec![group])
}

/// `ListOffsets` of one partition, by a time or by a special one (-1: the end, -2: the begin).
pub fn list_offsets(topic: &str, partition: i32, timestamp: i64) -> ListOffsetsRequest {
    let part = ListOffsetsPartition::default()
        .with_partition_index(partition)
        .with_current_leader_epoch(-1)
        .with_timestamp(timestamp);
    let topic = ListOffsetsTopic::default().with_name(name(topic)).with_partitions(vec![part]);
    ListOffsetsRequest::default().with_replica_id((-1).into()).with_topics(vec![topic])
}

/// All batches of a partition from `offset` to its high watermark, which comes with them. Offsets must have no gap.
pub fn read_log(wire: &mut Wire, topic: &str, partition: i32, offset: i64) -> (Vec<Batch>, i64) {
    let (batches, high_watermark) = read_compacted(wire, topic, partition, offset);
    let mut next = offset;
    for batch in &batches {
        assert!(batch.base_offset <= next, "a gap in {topic}-{partition} at {next}");
        next = batch.next_offset();
    }
    (batches, high_watermark)
}

/// The same of a partition that may be compacted, so that offsets have gaps.
pub fn read_compacted(wire: &mut Wire, topic: &str, partition: i32, offset: i64) -> (Vec<Batch>, i64) {
    let (mut batches, mut next) = (Vec::new(), offset);
    loop {
        let mut answer = wire.call(FETCH, &fetch(&[(topic, partition, next)]));
        assert_eq!(answer.error_code, 0, "fetch of {topic}-{partition}");
        let part = answer.responses.remove(0).partitions.remove(0);
        assert_eq!(part.error_code, 0, "fetch of {topic}-{partition} from {next}");
        for batch in batch::decode_all(&part.records.unwrap_or_default()) {
            assert!(next < batch.next_offset(), "{topic}-{partition} at {next}: a batch from before");
            next = batch.next_offset();
            batches.push(batch);
        }
        if next >= part.high_watermark {
            return (batches, part.high_watermark);
        }
    }
}

/// A group's id as the codec wants it.
pub fn group(group: &str) -> GroupId {
    GroupId(text(group))
}

/// A consumer's subscription to one topic.
pub fn subscription(topic: &str) -> Bytes {
    let length = u8::try_from(topic.len()).expect("topics of tests have short names");
    [&[0, 0, 0, 0, 0, 1, 0, length], topic.as_bytes(), &[0xff, 0xff, 0xff, 0xff]].concat().into()
}

/// A request of a consumer of the topic `topic-of-the-group`, for any version.
pub fn join_request(version: i16, group: &str, member_id: &str) -> JoinGroupRequest {
    let protocol =
        JoinGroupRequestProtocol::default().with_name(text("range")).with_metadata(subscription("topic-of-the-group"));
    let request = JoinGroupRequest::default()
        .with_group_id(self::group(group))
        .with_session_timeout_ms(10_000)
        .with_member_id(text(member_id))
        .with_protocol_type(text("consumer"))
        .with_protocols(vec![protocol]);
    if version >= 1 { request.with_rebalance_timeout_ms(30_000) } else { request }
}

/// `SyncGroup` of a leader that is alone: it assigns `assigned` to itself.
pub fn sync_request(version: i16, group: &str, joined: &JoinGroupResponse) -> SyncGroupRequest {
    let assignment = SyncGroupRequestAssignment::default()
        .with_member_id(joined.member_id.clone())
        .with_assignment(Bytes::from_static(b"assigned"));
    let request = SyncGroupRequest::default()
        .with_group_id(self::group(group))
        .with_generation_id(joined.generation_id)
        .with_member_id(joined.member_id.clone())
        .with_assignments(vec![assignment]);
    if version < 5 {
        return request;
    }
    request.with_protocol_type(Some(text("consumer"))).with_protocol_name(Some(text("range")))
}
