//! `ListOffsets`, versions 1–10.

use kafka_protocol::messages::ListOffsetsRequest;
use kafka_protocol::messages::list_offsets_response::ListOffsetsPartitionResponse;
use millpond_compat_tests::batch::{Batch, Codec, Record};
use millpond_compat_tests::requests::{PRODUCE, create_topic, list_offsets, produce};
use millpond_compat_tests::server::Server;
use millpond_compat_tests::wire::Wire;

const UNKNOWN_TOPIC_OR_PARTITION: i16 = 3;
const UNSUPPORTED_VERSION: i16 = 35;
const UNKNOWN_LEADER_EPOCH: i16 = 75;
const LATEST: i64 = -1;
const EARLIEST: i64 = -2;
const MAX_TIMESTAMP: i64 = -3;
const EARLIEST_LOCAL: i64 = -4;
const LATEST_TIERED: i64 = -5;

fn ask(wire: &mut Wire, version: i16, timestamp: i64) -> ListOffsetsPartitionResponse {
    wire.call(version, &list_offsets("trades", 0, timestamp)).topics[0].partitions[0].clone()
}

fn found(answer: &ListOffsetsPartitionResponse) -> (i16, i64, i64) {
    (answer.error_code, answer.offset, answer.timestamp)
}

/// Three batches at times 10, 30, 20 │ 50, 40 │ 45 (compressed).
fn with_records(server: &Server) -> Wire {
    let mut wire = server.wire();
    wire.call(7, &create_topic("trades", 1));
    let batch = |times: &[i64]| Batch::of(times.iter().map(|time| Record::of("x").at(*time)));
    for batch in [batch(&[10, 30, 20]), batch(&[50, 40]), batch(&[45]).codec(Codec::Zstd)] {
        let sent = wire.call(PRODUCE, &produce(-1, [("trades".to_owned(), 0, batch.encode())]));
        assert_eq!(sent.responses[0].partition_responses[0].error_code, 0);
    }
    wire
}

#[test]
fn offsets_are_found_exactly_in_every_version() {
    let server = Server::start();
    let mut wire = with_records(&server);
    for version in 1..=10 {
        assert_eq!(found(&ask(&mut wire, version, LATEST)), (0, 6, -1), "v{version}");
        assert_eq!(found(&ask(&mut wire, version, EARLIEST)), (0, 0, -1), "v{version}");
        for (time, offset, at) in [(0, 0, 10), (10, 0, 10), (11, 1, 30), (31, 3, 50), (50, 3, 50)] {
            assert_eq!(found(&ask(&mut wire, version, time)), (0, offset, at), "v{version}, time {time}");
        }
        assert_eq!(found(&ask(&mut wire, version, 51)), (0, -1, -1), "v{version}");
        let epoch = ask(&mut wire, version, LATEST).leader_epoch;
        assert_eq!(epoch >= 0, version >= 4, "v{version}");
    }
}

#[test]
fn times_with_a_name_come_with_their_version() {
    let server = Server::start();
    let mut wire = with_records(&server);
    assert_eq!(found(&ask(&mut wire, 7, MAX_TIMESTAMP)), (0, 3, 50));
    assert_eq!(ask(&mut wire, 6, MAX_TIMESTAMP).error_code, UNSUPPORTED_VERSION);
    assert_eq!(found(&ask(&mut wire, 8, EARLIEST_LOCAL)), (0, 0, -1));
    assert_eq!(found(&ask(&mut wire, 9, LATEST_TIERED)), (0, -1, -1));
    assert_eq!(ask(&mut wire, 10, -99).error_code, UNSUPPORTED_VERSION);
}

#[test]
fn what_is_not_there_is_told_per_partition() {
    let server = Server::start();
    let mut wire = with_records(&server);
    let code = |wire: &mut Wire, request: ListOffsetsRequest| wire.call(7, &request).topics[0].partitions[0].error_code;
    assert_eq!(code(&mut wire, list_offsets("missing", 0, LATEST)), UNKNOWN_TOPIC_OR_PARTITION);
    assert_eq!(code(&mut wire, list_offsets("trades", 1, LATEST)), UNKNOWN_TOPIC_OR_PARTITION);
    let mut epoch = list_offsets("trades", 0, LATEST);
    epoch.topics[0].partitions[0].current_leader_epoch = 9;
    assert_eq!(code(&mut wire, epoch), UNKNOWN_LEADER_EPOCH);
}

#[test]
fn an_empty_partition_ends_where_it_begins() {
    let server = Server::start();
    let mut wire = server.wire();
    wire.call(7, &create_topic("trades", 1));
    assert_eq!(found(&ask(&mut wire, 7, LATEST)), (0, 0, -1));
    assert_eq!(found(&ask(&mut wire, 7, MAX_TIMESTAMP)), (0, -1, -1));
    assert_eq!(found(&ask(&mut wire, 7, 0)), (0, -1, -1));
}

#[test]
fn times_are_found_in_files_after_a_restart() {
    let mut server = Server::builder().set("log.file_bytes", "1MiB").set("log.tail_cache_bytes", "0").start();
    let mut wire = server.wire();
    wire.call(7, &create_topic("trades", 1));
    for time in 0..100 {
        let batch = Batch::of([Record::of("x".repeat(50_000)).at(1_000 + time)]);
        wire.call(PRODUCE, &produce(-1, [("trades".to_owned(), 0, batch.encode())]));
    }
    server.kill();
    server.restart();
    let mut wire = server.wire();
    for time in (0..100).step_by(7) {
        assert_eq!(found(&ask(&mut wire, 7, 1_000 + time)), (0, time, 1_000 + time));
    }
    assert_eq!(found(&ask(&mut wire, 7, MAX_TIMESTAMP)), (0, 99, 1_099));
}
