//! `OffsetDelete`: its one version, every error.

use kafka_protocol::messages::OffsetDeleteRequest;
use kafka_protocol::messages::offset_delete_request::{OffsetDeleteRequestPartition, OffsetDeleteRequestTopic};
use millpond_compat_tests::requests::{commit, create_topic, name, position, text};
use millpond_compat_tests::wire::Wire;

use crate::group::{
    GROUP_ID_NOT_FOUND, GROUP_SUBSCRIBED_TO_TOPIC, Member, NON_EMPTY_GROUP, NONE, UNKNOWN_TOPIC_OR_PARTITION, id,
    join_request, start,
};

fn delete(group: &str, topics: &[(&str, &[i32])]) -> OffsetDeleteRequest {
    let topics = topics.iter().map(|(topic, partitions)| {
        let partitions =
            partitions.iter().map(|index| OffsetDeleteRequestPartition::default().with_partition_index(*index));
        OffsetDeleteRequestTopic::default().with_name(name(topic)).with_partitions(partitions.collect())
    });
    OffsetDeleteRequest::default().with_group_id(id(group)).with_topics(topics.collect())
}

fn offset(wire: &mut Wire, topic: &str, partition: i32) -> i64 {
    wire.call(8, &position("g", topic, partition)).groups[0].topics[0].partitions[0].committed_offset
}

#[test]
fn single_positions_are_deleted() {
    let server = start();
    let mut wire = server.wire();
    for topic in ["t", "topic-of-the-group"] {
        assert_eq!(wire.call(7, &create_topic(topic, 2)).topics[0].error_code, NONE);
        for partition in 0..2 {
            let request = commit("g", topic, partition, 5, "");
            assert_eq!(wire.call(9, &request).topics[0].partitions[0].error_code, NONE);
        }
    }
    let answer = wire.call(0, &delete("g", &[("t", &[0, 2, -1]), ("none", &[0])]));
    assert_eq!(answer.error_code, NONE);
    let codes: Vec<Vec<i16>> = answer
        .topics
        .iter()
        .map(|topic| topic.partitions.iter().map(|partition| partition.error_code).collect())
        .collect();
    let unknown = UNKNOWN_TOPIC_OR_PARTITION;
    assert_eq!(codes, [vec![NONE, unknown, unknown], vec![unknown]]);
    assert_eq!((offset(&mut wire, "t", 0), offset(&mut wire, "t", 1)), (-1, 5));

    let _member = Member::alone(&server, "g");
    let answer = wire.call(0, &delete("g", &[("topic-of-the-group", &[0]), ("t", &[1])]));
    assert_eq!(answer.error_code, NONE);
    assert_eq!(answer.topics[0].partitions[0].error_code, GROUP_SUBSCRIBED_TO_TOPIC);
    assert_eq!(answer.topics[1].partitions[0].error_code, NONE);
    assert_eq!((offset(&mut wire, "topic-of-the-group", 0), offset(&mut wire, "t", 1)), (5, -1));
}

#[test]
fn errors_of_the_whole_group() {
    let server = start();
    let mut wire = server.wire();
    assert_eq!(wire.call(7, &create_topic("t", 1)).topics[0].error_code, NONE);
    let answer = wire.call(0, &delete("none", &[("t", &[0])]));
    assert_eq!((answer.error_code, answer.topics.len()), (GROUP_ID_NOT_FOUND, 0));
    let connect = join_request(3, "workers", "").with_protocol_type(text("connect"));
    assert_eq!(wire.call(3, &connect).error_code, NONE);
    let answer = wire.call(0, &delete("workers", &[("t", &[0])]));
    assert_eq!((answer.error_code, answer.topics.len()), (NON_EMPTY_GROUP, 0));
}
