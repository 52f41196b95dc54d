//! `OffsetForLeaderEpoch`, versions 2–4.

use kafka_protocol::messages::OffsetForLeaderEpochRequest;
use kafka_protocol::messages::offset_for_leader_epoch_request::{OffsetForLeaderPartition, OffsetForLeaderTopic};
use millpond_compat_tests::batch::{Batch, Record};
use millpond_compat_tests::requests::{PRODUCE, create_topic, metadata, name, produce};
use millpond_compat_tests::server::Server;
use millpond_compat_tests::wire::Wire;

const UNKNOWN_TOPIC_OR_PARTITION: i16 = 3;
const INVALID_TOPIC_EXCEPTION: i16 = 17;
const FENCED_LEADER_EPOCH: i16 = 74;
const UNKNOWN_LEADER_EPOCH: i16 = 75;

/// Asks for the end of `epoch` on a partition: the code, the epoch and the offset.
fn ask(wire: &mut Wire, version: i16, topic: &str, partition: i32, current: i32, epoch: i32) -> (i16, i32, i64) {
    let asked = OffsetForLeaderPartition::default()
        .with_partition(partition)
        .with_current_leader_epoch(current)
        .with_leader_epoch(epoch);
    let topic = OffsetForLeaderTopic::default().with_topic(name(topic)).with_partitions(vec![asked]);
    let mut request = OffsetForLeaderEpochRequest::default().with_topics(vec![topic]);
    if version >= 3 {
        request.replica_id = (-1).into();
    }
    let answer = wire.call(version, &request);
    let end = &answer.topics[0].partitions[0];
    assert_eq!(end.partition, partition);
    (end.error_code, end.leader_epoch, end.end_offset)
}

fn write(wire: &mut Wire, topic: &str) {
    let answer =
        wire.call(PRODUCE, &produce(-1, [(topic.to_owned(), 0, Batch::of(["a", "b", "c"].map(Record::of)).encode())]));
    assert_eq!(answer.responses[0].partition_responses[0].error_code, 0);
}

#[test]
fn the_current_epoch_ends_where_the_log_does_in_every_version() {
    let server = Server::start();
    let mut wire = server.wire();
    wire.call(7, &create_topic("trades", 2));
    write(&mut wire, "trades");
    for version in 2..=4 {
        for current in [-1, 0] {
            assert_eq!(ask(&mut wire, version, "trades", 0, current, 0), (0, 0, 3), "v{version}");
            assert_eq!(ask(&mut wire, version, "trades", 1, current, 0), (0, 0, 0), "v{version}");
        }
        assert_eq!(ask(&mut wire, version, "trades", 0, -1, 1), (0, -1, -1), "an epoch to come has no end");
        assert_eq!(ask(&mut wire, version, "trades", 0, -1, -1), (0, -1, -1));
    }
}

#[test]
fn what_is_not_there_and_wrong_epochs_are_refused() {
    let server = Server::start();
    let mut wire = server.wire();
    wire.call(7, &create_topic("trades", 1));
    for version in 2..=4 {
        assert_eq!(ask(&mut wire, version, "trades", 0, 1, 0), (UNKNOWN_LEADER_EPOCH, -1, -1));
        assert_eq!(ask(&mut wire, version, "trades", 7, -1, 0).0, UNKNOWN_TOPIC_OR_PARTITION);
        assert_eq!(ask(&mut wire, version, "trades", -1, -1, 0).0, UNKNOWN_TOPIC_OR_PARTITION);
        assert_eq!(ask(&mut wire, version, "missing", 0, -1, 0).0, UNKNOWN_TOPIC_OR_PARTITION);
        assert_eq!(ask(&mut wire, version, "no name", 0, -1, 0).0, INVALID_TOPIC_EXCEPTION);
    }
}

/// In page-cache mode clients read what is not synced, so that a start after a crash begins an epoch of its own.
#[test]
fn an_epoch_ends_where_the_next_begins() {
    let mut server = Server::builder().argument("--durability").argument("page-cache").start();
    let mut wire = server.wire();
    wire.call(7, &create_topic("trades", 1));
    write(&mut wire, "trades");
    server.kill();
    server.restart();
    let mut wire = server.wire();
    let epoch = wire.call(12, &metadata(&["trades"])).topics[0].partitions[0].leader_epoch;
    write(&mut wire, "trades");
    if epoch == 0 {
        // Nothing was lost, and the broker could tell.
        return assert_eq!(ask(&mut wire, 4, "trades", 0, 0, 0), (0, 0, 6));
    }
    for version in 2..=4 {
        assert_eq!(ask(&mut wire, version, "trades", 0, epoch, 0), (0, 0, 3), "v{version}");
        assert_eq!(ask(&mut wire, version, "trades", 0, epoch, epoch), (0, epoch, 6), "v{version}");
        assert_eq!(ask(&mut wire, version, "trades", 0, 0, 0), (FENCED_LEADER_EPOCH, -1, -1), "v{version}");
    }
}
