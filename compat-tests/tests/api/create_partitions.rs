//! `CreatePartitions`, versions 0–3.

use kafka_protocol::messages::create_partitions_request::{CreatePartitionsAssignment, CreatePartitionsTopic};
use kafka_protocol::messages::{BrokerId, CreatePartitionsRequest};
use millpond_compat_tests::requests::{create_topic, metadata, name};
use millpond_compat_tests::server::Server;
use millpond_compat_tests::wire::Wire;

const UNKNOWN_TOPIC_OR_PARTITION: i16 = 3;
const INVALID_PARTITIONS: i16 = 37;
const INVALID_REPLICA_ASSIGNMENT: i16 = 39;
const INVALID_REQUEST: i16 = 42;
const POLICY_VIOLATION: i16 = 44;

fn topic(topic: &str, count: i32) -> CreatePartitionsTopic {
    CreatePartitionsTopic::default().with_name(name(topic)).with_count(count).with_assignments(None)
}

fn assigned(wanted: CreatePartitionsTopic, partitions: &[&[i32]]) -> CreatePartitionsTopic {
    let each = partitions.iter().map(|nodes| {
        CreatePartitionsAssignment::default().with_broker_ids(nodes.iter().copied().map(BrokerId).collect())
    });
    wanted.with_assignments(Some(each.collect()))
}

fn of(topics: Vec<CreatePartitionsTopic>) -> CreatePartitionsRequest {
    CreatePartitionsRequest::default().with_topics(topics).with_timeout_ms(30_000)
}

fn create(wire: &mut Wire, topic: &str, partitions: i32) {
    assert_eq!(wire.call(7, &create_topic(topic, partitions)).topics[0].error_code, 0, "{topic}");
}

fn partitions(wire: &mut Wire, topic: &str) -> usize {
    wire.call(12, &metadata(&[topic])).topics[0].partitions.len()
}

#[test]
fn partitions_are_added_in_every_version() {
    let server = Server::start();
    let mut wire = server.wire();
    for version in 0..=3 {
        let name = format!("t-{version}");
        create(&mut wire, &name, 1);
        let by_hand = assigned(topic(&name, 6), &[&[1], &[1]]);
        for (wanted, count) in [(topic(&name, 4), 4), (by_hand, 6)] {
            let answer = wire.call(version, &of(vec![wanted]));
            assert_eq!((answer.results[0].error_code, &answer.results[0].error_message), (0, &None), "v{version}");
            assert_eq!(partitions(&mut wire, &name), count, "v{version}");
        }
    }
}

#[test]
fn topics_never_shrink_and_each_refusal_says_why() {
    let server = Server::start();
    let mut wire = server.wire();
    create(&mut wire, "t", 3);
    create(&mut wire, "u", 1);
    for version in 0..=3 {
        let answer = wire.call(version, &of(vec![topic("missing", 5), topic("u", 2), topic("u", 3), topic("t", 3)]));
        let codes: Vec<i16> = answer.results.iter().map(|result| result.error_code).collect();
        assert_eq!(codes, [UNKNOWN_TOPIC_OR_PARTITION, INVALID_REQUEST, INVALID_PARTITIONS], "v{version}");
        let cases = [
            (topic("t", 2), INVALID_PARTITIONS, "would not be an increase"),
            (topic("t", -1), INVALID_PARTITIONS, "would not be an increase"),
            (topic("t", 3), INVALID_PARTITIONS, "already has 3 partition(s)"),
            (topic("t", 10_004), POLICY_VIOLATION, "Excessively large"),
            (topic("t", 200_000), INVALID_PARTITIONS, "at most 100000"),
            (assigned(topic("t", 5), &[&[1]]), INVALID_REPLICA_ASSIGNMENT, "only 1 assignment(s)"),
            (assigned(topic("t", 4), &[&[2]]), INVALID_REPLICA_ASSIGNMENT, "broker 2"),
            (assigned(topic("t", 4), &[&[]]), INVALID_REPLICA_ASSIGNMENT, "empty replica list"),
            (assigned(topic("t", 4), &[&[1, 1]]), INVALID_REPLICA_ASSIGNMENT, "more than once"),
        ];
        for (wanted, code, words) in cases {
            let result = wire.call(version, &of(vec![wanted])).results.remove(0);
            let message = result.error_message.unwrap_or_default();
            assert_eq!(result.error_code, code, "{message}");
            assert!(message.as_str().contains(words), "{message}");
        }
    }
    assert_eq!((partitions(&mut wire, "t"), partitions(&mut wire, "u")), (3, 1));
}

#[test]
fn what_is_only_validated_is_not_added() {
    let server = Server::start();
    let mut wire = server.wire();
    create(&mut wire, "t", 1);
    for version in 0..=3 {
        let answer = wire.call(version, &of(vec![topic("t", 2)]).with_validate_only(true));
        assert_eq!(answer.results[0].error_code, 0);
        let answer = wire.call(version, &of(vec![topic("t", 1)]).with_validate_only(true));
        assert_eq!(answer.results[0].error_code, INVALID_PARTITIONS);
    }
    assert_eq!(partitions(&mut wire, "t"), 1);
}

#[test]
fn added_partitions_outlive_a_crash() {
    let mut server = Server::start();
    create(&mut server.wire(), "t", 1);
    assert_eq!(server.wire().call(3, &of(vec![topic("t", 9)])).results[0].error_code, 0);
    server.kill();
    server.restart();
    assert_eq!(partitions(&mut server.wire(), "t"), 9);
}
