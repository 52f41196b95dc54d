//! `OffsetFetch`: every version; what is not there is −1 and no error.

use kafka_protocol::messages::offset_fetch_request::{
    OffsetFetchRequestGroup, OffsetFetchRequestTopic, OffsetFetchRequestTopics,
};
use kafka_protocol::messages::{OffsetFetchRequest, OffsetFetchResponse};
use millpond_compat_tests::requests::{commit, create_topic, name};
use millpond_compat_tests::server::Server;
use millpond_compat_tests::wire::Wire;

use crate::group::{NONE, id, start};

/// Group `g` at 5 in `t-0`, 6 in `t-1`, 7 in `u-0`; group `h` at 8 in `u-0`.
fn committed() -> (Server, Wire) {
    let server = start();
    let mut wire = server.wire();
    for topic in ["t", "u"] {
        assert_eq!(wire.call(7, &create_topic(topic, 2)).topics[0].error_code, NONE);
    }
    for (group, topic, partition, offset) in [("g", "t", 0, 5), ("g", "t", 1, 6), ("g", "u", 0, 7), ("h", "u", 0, 8)] {
        let mut request = commit(group, topic, partition, offset, "note");
        request.topics[0].partitions[0].committed_leader_epoch = 0;
        assert_eq!(wire.call(9, &request).topics[0].partitions[0].error_code, NONE);
    }
    (server, wire)
}

type Position = (String, i32, i64, i32, String);

fn at(topic: &str, partition: i32, offset: i64, epoch: i32, note: &str) -> Position {
    (topic.to_owned(), partition, offset, epoch, note.to_owned())
}

/// The positions in an answer of before version 8.
fn older(answer: OffsetFetchResponse) -> Vec<Position> {
    assert_eq!(answer.error_code, NONE);
    let mut found = Vec::new();
    for topic in answer.topics {
        for partition in topic.partitions {
            assert_eq!(partition.error_code, NONE);
            let note = partition.metadata.expect("there are metadata, if only empty ones");
            let (index, offset) = (partition.partition_index, partition.committed_offset);
            found.push(at(topic.name.as_str(), index, offset, partition.committed_leader_epoch, note.as_str()));
        }
    }
    found
}

#[test]
fn one_group_is_answered_in_the_old_versions() {
    let (_server, mut wire) = committed();
    let topic = |topic, partitions| {
        OffsetFetchRequestTopic::default().with_name(name(topic)).with_partition_indexes(partitions)
    };
    let topics = vec![topic("t", vec![1, 0, 9, -1]), topic("none", vec![0]), topic("not/legal", vec![3])];
    for version in 1..=7 {
        let mut request = OffsetFetchRequest::default().with_group_id(id("g")).with_topics(Some(topics.clone()));
        if version >= 7 {
            request = request.with_require_stable(true);
        }
        let epoch = if version >= 5 { 0 } else { -1 };
        let expected = [
            at("t", 1, 6, epoch, "note"),
            at("t", 0, 5, epoch, "note"),
            at("t", 9, -1, -1, ""),
            at("t", -1, -1, -1, ""),
            at("none", 0, -1, -1, ""),
            at("not/legal", 3, -1, -1, ""),
        ];
        assert_eq!(older(wire.call(version, &request)), expected, "v{version}");
        let missing = older(wire.call(version, &request.with_group_id(id("nobody"))));
        assert!(missing.iter().all(|position| position.2 == -1), "v{version}");
    }
}

#[test]
fn null_topics_are_all_topics() {
    let (_server, mut wire) = committed();
    for version in 2..=7 {
        let request = OffsetFetchRequest::default().with_group_id(id("g")).with_topics(None);
        let epoch = if version >= 5 { 0 } else { -1 };
        let expected = [at("t", 0, 5, epoch, "note"), at("t", 1, 6, epoch, "note"), at("u", 0, 7, epoch, "note")];
        assert_eq!(older(wire.call(version, &request)), expected, "v{version}");
        assert!(older(wire.call(version, &request.with_group_id(id("nobody")))).is_empty(), "v{version}");
    }
}

#[test]
fn several_groups_are_answered_from_version_8_on() {
    let (_server, mut wire) = committed();
    let group = |group, topics| OffsetFetchRequestGroup::default().with_group_id(id(group)).with_topics(topics);
    let topic = |topic, partitions| {
        OffsetFetchRequestTopics::default().with_name(name(topic)).with_partition_indexes(partitions)
    };
    let groups = vec![
        group("g", Some(vec![topic("u", vec![0, 1]), topic("none", vec![2])])),
        group("h", None),
        group("nobody", Some(vec![topic("t", vec![0])])),
        group("nobody", None),
    ];
    for version in 8..=9 {
        for require_stable in [false, true] {
            let request = OffsetFetchRequest::default().with_groups(groups.clone()).with_require_stable(require_stable);
            let answer = wire.call(version, &request);
            let mut found = Vec::new();
            for group in answer.groups {
                assert_eq!(group.error_code, NONE);
                found.push((group.group_id.to_string(), Vec::new()));
                for topic in group.topics {
                    for partition in topic.partitions {
                        assert_eq!(partition.error_code, NONE);
                        let positions = &mut found.last_mut().expect("it was pushed").1;
                        positions.push((topic.name.to_string(), partition.partition_index, partition.committed_offset));
                    }
                }
            }
            let position = |topic: &str, partition, offset| (topic.to_owned(), partition, offset);
            let expected = [
                ("g".to_owned(), vec![position("u", 0, 7), position("u", 1, -1), position("none", 2, -1)]),
                ("h".to_owned(), vec![position("u", 0, 8)]),
                ("nobody".to_owned(), vec![position("t", 0, -1)]),
                ("nobody".to_owned(), vec![]),
            ];
            assert_eq!(found, expected, "v{version}");
        }
    }
}
