//! `DeleteRecords`, versions 0–2.

use kafka_protocol::messages::DeleteRecordsRequest;
use kafka_protocol::messages::delete_records_request::{DeleteRecordsPartition, DeleteRecordsTopic};
use millpond_compat_tests::batch::{Batch, Record};
use millpond_compat_tests::requests::{FETCH, PRODUCE, create_topic, fetch, name, produce};
use millpond_compat_tests::server::Server;
use millpond_compat_tests::wire::Wire;

const OFFSET_OUT_OF_RANGE: i16 = 1;
const UNKNOWN_TOPIC_OR_PARTITION: i16 = 3;
const INVALID_TOPIC_EXCEPTION: i16 = 17;

fn of(topics: &[(&str, &[(i32, i64)])]) -> DeleteRecordsRequest {
    let topics = topics.iter().map(|(topic, partitions)| {
        let partitions = partitions
            .iter()
            .map(|(index, offset)| DeleteRecordsPartition::default().with_partition_index(*index).with_offset(*offset));
        DeleteRecordsTopic::default().with_name(name(topic)).with_partitions(partitions.collect())
    });
    DeleteRecordsRequest::default().with_topics(topics.collect()).with_timeout_ms(30_000)
}

/// Deletes from partition 0: the low watermark and the code.
fn delete(wire: &mut Wire, version: i16, topic: &str, offset: i64) -> (i64, i16) {
    let answer = wire.call(version, &of(&[(topic, &[(0, offset)])]));
    let result = &answer.topics[0].partitions[0];
    (result.low_watermark, result.error_code)
}

fn write(wire: &mut Wire, acks: i16, topic: &str, batches: usize) {
    for _ in 0..batches {
        let answer =
            wire.call(PRODUCE, &produce(acks, [(topic.to_owned(), 0, Batch::of(["a", "b"].map(Record::of)).encode())]));
        assert_eq!(answer.responses[0].partition_responses[0].error_code, 0);
    }
}

/// The log start and the high watermark of partition 0, and the code of a fetch there.
fn fetched(wire: &mut Wire, topic: &str, from: i64) -> (i64, i64, i16) {
    let answer = wire.call(FETCH, &fetch(&[(topic, 0, from)]));
    let part = &answer.responses[0].partitions[0];
    (part.log_start_offset, part.high_watermark, part.error_code)
}

#[test]
fn records_before_an_offset_are_gone_in_every_version() {
    let server = Server::start();
    let mut wire = server.wire();
    for version in 0..=2 {
        let topic = format!("t-{version}");
        wire.call(7, &create_topic(&topic, 1));
        write(&mut wire, -1, &topic, 5);
        assert_eq!(delete(&mut wire, version, &topic, 0), (0, 0));
        assert_eq!(delete(&mut wire, version, &topic, 3), (3, 0));
        assert_eq!(fetched(&mut wire, &topic, 3), (3, 10, 0));
        assert_eq!(fetched(&mut wire, &topic, 2).2, OFFSET_OUT_OF_RANGE);
        assert_eq!(delete(&mut wire, version, &topic, 1), (3, 0), "what is gone stays gone");
        assert_eq!(delete(&mut wire, version, &topic, -1), (10, 0));
        assert_eq!(fetched(&mut wire, &topic, 10), (10, 10, 0));
        write(&mut wire, -1, &topic, 1);
        assert_eq!(fetched(&mut wire, &topic, 10), (10, 12, 0));
    }
}

#[test]
fn what_was_acknowledged_as_written_is_deleted_too() {
    let server = Server::start();
    let mut wire = server.wire();
    wire.call(7, &create_topic("trades", 1));
    for round in 1..=20 {
        write(&mut wire, 1, "trades", 1);
        assert_eq!(delete(&mut wire, 2, "trades", -1), (2 * round, 0));
    }
    write(&mut wire, 1, "trades", 1);
    assert_eq!(delete(&mut wire, 2, "trades", 42), (42, 0));
}

#[test]
fn each_partition_is_refused_by_itself() {
    let server = Server::start();
    let mut wire = server.wire();
    wire.call(7, &create_topic("trades", 2));
    write(&mut wire, -1, "trades", 1);
    for version in 0..=2 {
        let request = of(&[
            ("trades", &[(0, 3), (0, -2), (5, 0), (-1, 0), (0, i64::MAX), (1, 0)]),
            ("missing", &[(0, 0)]),
            ("no name", &[(0, 0)]),
            ("__consumer_offsets", &[(0, -1)]),
        ]);
        let answer = wire.call(version, &request);
        let results: Vec<(i64, i16)> = answer
            .topics
            .iter()
            .flat_map(|topic| &topic.partitions)
            .map(|result| (result.low_watermark, result.error_code))
            .collect();
        let out_of_range = (-1, OFFSET_OUT_OF_RANGE);
        let unknown = (-1, UNKNOWN_TOPIC_OR_PARTITION);
        let invalid = (-1, INVALID_TOPIC_EXCEPTION);
        let expected = [out_of_range, out_of_range, unknown, unknown, out_of_range, (0, 0), unknown, invalid, invalid];
        assert_eq!(results, expected, "v{version}");
    }
}

#[test]
fn a_deletion_that_was_answered_outlives_a_crash() {
    let mut server = Server::start();
    let mut wire = server.wire();
    wire.call(7, &create_topic("trades", 1));
    write(&mut wire, -1, "trades", 4);
    assert_eq!(delete(&mut wire, 2, "trades", 5), (5, 0));
    server.kill();
    server.restart();
    assert_eq!(fetched(&mut server.wire(), "trades", 5), (5, 8, 0));
}
