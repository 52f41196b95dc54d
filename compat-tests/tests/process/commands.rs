//! `topic` and `group` against a running broker.

use std::time::{Duration, Instant};

use millpond_compat_tests::server::Server;
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use serde_json::Value;

use crate::{fail, millpond_with, run};

#[test]
fn topics_are_created_listed_described_and_deleted() {
    let server = Server::start();
    let create = ["topic", "create", "trades", "--partitions", "3", "--config", "retention.ms=60000"];
    assert_eq!(run(&server, &create), "Created topic trades with 3 partitions.\n");
    assert!(run(&server, &["topic", "list"]).contains("trades           3        0   0 B\n"));
    let described = run(&server, &["topic", "describe", "trades"]);
    assert!(described.contains("  retention.ms = 60000\n"), "{described}");

    let json: Value = serde_json::from_str(&run(&server, &["topic", "describe", "trades", "--json"])).unwrap();
    assert_eq!(json["partitions"].as_array().unwrap().len(), 3);
    let list: Value = serde_json::from_str(&run(&server, &["topic", "list", "--json"])).unwrap();
    assert_eq!(list["topics"][0]["id"], json["id"]);

    assert_eq!(run(&server, &["topic", "delete", "trades"]), "Deleted topic trades.\n");
    assert!(run(&server, &["topic", "list"]).contains("no topics yet"));
}

#[test]
fn a_topic_that_is_not_there_is_told_with_the_way_on() {
    let server = Server::start();
    for command in ["describe", "delete"] {
        let words = fail(&server, &["topic", command, "trades"]);
        assert_eq!(
            words,
            "millpond: There is no topic \"trades\". `millpond topic list` shows those that there are.\n"
        );
    }
    let words = fail(&server, &["topic", "create", "a", "--config", "compression.type=zstd"]);
    assert!(words.contains("only \"producer\" is supported, since batches are kept"), "{words}");
}

#[test]
fn the_broker_is_found_by_the_environment_and_its_absence_is_told() {
    let mut server = Server::start();
    let variables = [("MILLPOND_SERVER", server.http())];
    assert!(millpond_with(&["topic", "list"], &variables).status.success());
    server.kill();
    let words = fail(&server, &["topic", "list"]);
    assert!(words.contains("no broker answers at") && words.contains("MILLPOND_SERVER"), "{words}");
}

/// A consumer of `trades` in group `readers` that has its partitions.
fn consumer(server: &Server) -> BaseConsumer {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", server.kafka())
        .set("group.id", "readers")
        .set("client.id", "reader")
        .set("enable.auto.commit", "false")
        .create()
        .expect("a consumer");
    consumer.subscribe(&["trades"]).expect("it can subscribe");
    let deadline = Instant::now() + Duration::from_secs(30);
    while consumer.assignment().expect("it knows").count() == 0 {
        assert!(Instant::now() < deadline, "no partitions were assigned");
        consumer.poll(Duration::from_millis(20));
    }
    consumer
}

#[test]
fn groups_are_listed_and_described() {
    let server = Server::builder().set("groups.initial_rebalance_delay_ms", "0").start();
    assert!(run(&server, &["group", "list"]).contains("no groups yet"));
    assert!(fail(&server, &["group", "describe", "readers"]).contains("There is no group \"readers\""));
    run(&server, &["topic", "create", "trades", "--partitions", "2"]);
    let consumer = consumer(&server);
    let mut positions = TopicPartitionList::new();
    positions.add_partition_offset("trades", 1, Offset::Offset(0)).expect("an offset");
    consumer.commit(&positions, CommitMode::Sync).expect("it is in the group");

    assert!(run(&server, &["group", "list"]).contains("readers  Stable  consumer        1\n"));
    let text = run(&server, &["group", "describe", "readers"]);
    assert!(text.starts_with("Group readers is Stable and shares partitions out by range\n"), "{text}");
    assert!(text.contains("127.0.0.1") && text.contains("trades[0,1]\n"), "{text}");
    assert!(text.contains("trades          1         0    0    0\n"), "{text}");
    let json: Value = serde_json::from_str(&run(&server, &["group", "describe", "readers", "--json"])).unwrap();
    assert_eq!(json["members"][0]["client_id"], "reader");
}
