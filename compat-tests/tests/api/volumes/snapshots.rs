//! A snapshot is read like any topic, by three names, and never written; what is committed on it goes with it.

use kafka_protocol::messages::create_partitions_request::CreatePartitionsTopic;
use kafka_protocol::messages::delete_records_request::{DeleteRecordsPartition, DeleteRecordsTopic};
use kafka_protocol::messages::delete_topics_request::DeleteTopicState;
use kafka_protocol::messages::incremental_alter_configs_request::{AlterConfigsResource, AlterableConfig};
use kafka_protocol::messages::{
    CreatePartitionsRequest, DeleteRecordsRequest, DeleteTopicsRequest, IncrementalAlterConfigsRequest,
};
use millpond_compat_tests::requests::{FETCH, commit, fetch, list_offsets, name, position, read_log, text};

use super::*;

const ALIAS: &str = "trading.-close.taq.trades";
const PATH: &str = "/trading/.snapshot/close/taq:trades";

/// Three records, the first two of them in the snapshot `close`; group `app` had read one by then, and has read three since.
fn world() -> Server {
    let server = pond_with_trades();
    let mut wire = server.wire();
    for value in ["a", "b"] {
        append(&mut wire, TRADES, value);
    }
    assert_eq!(committed(&mut wire, TRADES, Some(1)), 1);
    snapshot(&server, "trading", "close");
    append(&mut wire, TRADES, "c");
    assert_eq!(committed(&mut wire, TRADES, Some(3)), 3);
    server
}

/// Commits, if there is something to commit; what is committed then.
fn committed(wire: &mut Wire, topic: &str, offset: Option<i64>) -> i64 {
    if let Some(offset) = offset {
        let answer = wire.call(9, &commit("app", topic, 0, offset, ""));
        assert_eq!(answer.topics[0].partitions[0].error_code, 0, "{topic}");
    }
    let answer = wire.call(9, &position("app", topic, 0)).groups.remove(0);
    assert_eq!(answer.error_code, 0, "{topic}");
    answer.topics[0].partitions[0].committed_offset
}

/// Each name of the snapshot's topic, on the listener that takes it. What it shows is loaded when this returns.
fn spellings(server: &Server) -> Vec<(Wire, &'static str)> {
    let scoped = listen(server, "trading@close");
    let mut spellings = vec![
        (server.wire(), ALIAS),
        (server.wire(), PATH),
        (Wire::connect(&scoped), "taq.trades"),
        (Wire::connect(&scoped), TRADES),
        (Wire::connect(&scoped), "/trading/taq:trades"),
        (Wire::connect(&scoped), ALIAS),
        (Wire::connect(&scoped), PATH),
    ];
    for (wire, topic) in &mut spellings {
        assert_eq!(described(wire, topic).error_code, 0, "{topic}");
    }
    spellings
}

#[test]
fn a_snapshot_is_read_as_it_was_by_each_of_its_names() {
    let server = world();
    let epoch = epoch(&server);
    let mut ids = Vec::new();
    for (mut wire, topic) in spellings(&server) {
        let (batches, end) = read_log(&mut wire, topic, 0, 0);
        let values: Vec<_> = batches.iter().map(|batch| batch.records[0].value.clone().expect("it has one")).collect();
        assert_eq!((values, end), (vec!["a".into(), "b".into()], 2), "{topic}");
        assert!(batches.iter().all(|batch| batch.leader_epoch == epoch && batch.records[0].timestamp == 1_000));
        let beyond = wire.call(FETCH, &fetch(&[(topic, 0, 3)])).responses.remove(0);
        assert_eq!(beyond.partitions[0].error_code, OFFSET_OUT_OF_RANGE, "{topic}");
        assert_eq!(wire.call(7, &list_offsets(topic, 0, -1)).topics[0].partitions[0].offset, 2, "{topic}");
        ids.push((described(&mut wire, topic).topic_id, topic));
    }
    ids.push((described(&mut server.wire(), TRADES).topic_id, "the volume's own"));
    ids.sort_unstable();
    ids.dedup();
    let names = ids.len();
    ids.dedup_by_key(|(id, _)| *id);
    assert_eq!((names, ids.len()), (6, 6), "five names of the snapshot's, one of the volume's: {ids:?}");
}

#[test]
fn nothing_is_written_to_a_snapshot_and_clients_are_told_why() {
    let server = world();
    for (mut wire, topic) in spellings(&server) {
        let batch = Batch::of_value("x").encode();
        let answer = wire.call(PRODUCE, &produce(-1, [(topic.to_owned(), 0, batch)])).responses.remove(0);
        let part = &answer.partition_responses[0];
        assert_eq!(part.error_code, POLICY_VIOLATION, "{topic}: final to every client, and fatal to none");
        assert!(part.error_message.as_ref().is_some_and(|why| why.contains("snapshot")), "{part:?}");

        let asked = DeleteTopicState::default().with_name(Some(name(topic)));
        let request = DeleteTopicsRequest::default().with_topics(vec![asked]).with_timeout_ms(30_000);
        assert_eq!(wire.call(6, &request).responses[0].error_code, POLICY_VIOLATION, "{topic}");
        let asked = CreatePartitionsTopic::default().with_name(name(topic)).with_count(9).with_assignments(None);
        let request = CreatePartitionsRequest::default().with_topics(vec![asked]).with_timeout_ms(30_000);
        assert_eq!(wire.call(3, &request).results[0].error_code, POLICY_VIOLATION, "{topic}");
        let asked = DeleteRecordsPartition::default().with_offset(1);
        let asked = DeleteRecordsTopic::default().with_name(name(topic)).with_partitions(vec![asked]);
        let request = DeleteRecordsRequest::default().with_topics(vec![asked]).with_timeout_ms(30_000);
        assert_eq!(wire.call(2, &request).topics[0].partitions[0].error_code, POLICY_VIOLATION, "{topic}");
        let config = AlterableConfig::default().with_name(text("retention.ms")).with_value(Some(text("1")));
        let asked = AlterConfigsResource::default()
            .with_resource_type(2)
            .with_resource_name(text(topic))
            .with_configs(vec![config]);
        let request = IncrementalAlterConfigsRequest::default().with_resources(vec![asked]);
        assert_eq!(wire.call(1, &request).responses[0].error_code, POLICY_VIOLATION, "{topic}");
        let other = topic.replace("trades", "other");
        assert_eq!(wire.call(7, &create_topic(&other, 1)).topics[0].error_code, POLICY_VIOLATION, "{other}");
    }
    assert_eq!(read_log(&mut server.wire(), TRADES, 0, 0).1, 3);
}

#[test]
fn positions_on_a_snapshot_begin_as_they_were_and_are_its_own() {
    let mut server = world();
    for (nth, (mut wire, topic)) in (0..).zip(spellings(&server)) {
        let before = if nth == 0 { 1 } else { nth - 1 };
        assert_eq!(committed(&mut wire, topic, None), before, "{topic}: one position, whatever the name");
        assert_eq!(committed(&mut wire, topic, Some(nth)), nth, "{topic}");
    }
    assert_eq!(committed(&mut server.wire(), TRADES, None), 3, "the volume has its own");
    server.kill();
    server.restart();
    let mut wire = server.wire();
    assert_eq!(described(&mut wire, ALIAS).error_code, 0);
    assert_eq!(committed(&mut wire, ALIAS, None), 6);
}

#[test]
fn positions_on_a_snapshot_go_with_it() {
    let mut server = world();
    let mut wire = server.wire();
    assert_eq!(described(&mut wire, ALIAS).error_code, 0);
    assert_eq!(committed(&mut wire, ALIAS, Some(2)), 2);
    delete(&server, "volumes/trading/snapshots/close");
    assert_eq!(described(&mut wire, ALIAS).error_code, UNKNOWN_TOPIC_OR_PARTITION);
    assert_eq!(committed(&mut wire, ALIAS, None), -1);
    let late = wire.call(9, &commit("app", ALIAS, 0, 2, ""));
    assert_eq!(late.topics[0].partitions[0].error_code, UNKNOWN_TOPIC_OR_PARTITION);
    // Another of the same name has nothing of it, over a restart either.
    snapshot(&server, "trading", "close");
    assert_eq!(described(&mut wire, ALIAS).error_code, 0);
    assert_eq!(committed(&mut wire, ALIAS, None), 3);
    server.kill();
    server.restart();
    let mut wire = server.wire();
    assert_eq!(described(&mut wire, ALIAS).error_code, 0);
    assert_eq!(committed(&mut wire, ALIAS, None), 3);
}
