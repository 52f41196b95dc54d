//! What volumes may hold, against a running broker: quotas, limits, and a past that is given up.

use std::time::{Duration, Instant};

use bytes::Bytes;
use kafka_protocol::messages::delete_records_request::{DeleteRecordsPartition, DeleteRecordsTopic};
use kafka_protocol::messages::produce_response::PartitionProduceResponse;
use kafka_protocol::messages::{DeleteRecordsRequest, ProduceResponse};
use millpond_compat_tests::batch::{Batch, Record};
use millpond_compat_tests::http;
use millpond_compat_tests::requests::{
    PRODUCE, commit, create_topic, init_producer, metadata, name, produce, read_log,
};
use millpond_compat_tests::server::Server;
use millpond_compat_tests::wire::Wire;
use serde_json::Value;

use crate::{fail, run};

const NOT_ENOUGH_REPLICAS: i16 = 19;
const POLICY_VIOLATION: i16 = 44;
const THROTTLE: Duration = Duration::from_secs(1);
const TRADES: &str = "trading.default.trades";

fn described(server: &Server, volume: &str) -> Value {
    serde_json::from_str(&run(server, &["volume", "describe", volume, "--json"])).expect("it prints JSON")
}

/// With a volume `trading` of these settings, which has a topic `trades`.
fn trading(settings: &[&str]) -> Server {
    let server = Server::start();
    run(&server, &[&["volume", "create", "trading"], settings].concat());
    run(&server, &["topic", "create", TRADES]);
    server
}

/// A batch that takes about so many bytes.
fn batch(bytes: usize) -> Batch {
    Batch::of_value(vec![b'x'; bytes])
}

fn send(wire: &mut Wire, batch: &Batch) -> (PartitionProduceResponse, i32) {
    let response = wire.call(PRODUCE, &produce(-1, [(TRADES.to_owned(), 0, batch.encode())]));
    (answer(&response), response.throttle_time_ms)
}

fn answer(response: &ProduceResponse) -> PartitionProduceResponse {
    response.responses[0].partition_responses[0].clone()
}

fn metrics(server: &Server) -> String {
    http::get(server.http(), "/metrics").expect("it answers")
}

fn delete_records(wire: &mut Wire, offset: i64) -> i16 {
    let partition = DeleteRecordsPartition::default().with_partition_index(0).with_offset(offset);
    let topic = DeleteRecordsTopic::default().with_name(name(TRADES)).with_partitions(vec![partition]);
    let request = DeleteRecordsRequest::default().with_topics(vec![topic]).with_timeout_ms(30_000);
    wire.call(2, &request).topics[0].partitions[0].error_code
}

#[test]
fn a_full_volume_has_its_producers_wait_and_nothing_else() {
    let mut server = trading(&["--quota", "64K"]);
    let mut wire = server.wire();
    for expected in 0..3 {
        let (sent, throttle) = send(&mut wire, &batch(20_000));
        assert_eq!((sent.error_code, sent.base_offset, throttle), (0, expected, 0));
    }
    let before = Instant::now();
    let (refused, throttle) = send(&mut wire, &batch(20_000));
    let words = refused.error_message.expect("it says why");
    assert_eq!((refused.error_code, refused.base_offset, throttle), (NOT_ENOUGH_REPLICAS, -1, 1000), "{words}");
    assert!(words.contains("Volume trading holds 58.") && words.contains("--quota SIZE"), "{words}");

    let mut other = server.wire();
    assert_eq!(other.call(5, &commit("app", TRADES, 0, 1, "")).topics[0].partitions[0].error_code, 0);
    assert_eq!(read_log(&mut other, TRADES, 0, 0).1, 3);
    assert_eq!(delete_records(&mut other, 2), 0);
    wire.call(5, &metadata(&[TRADES]));
    assert!(before.elapsed() >= THROTTLE, "the connection was read from after {:?}", before.elapsed());

    assert_eq!(send(&mut wire, &batch(20_000)).0.base_offset, 3, "there is room again");
    assert_eq!(send(&mut wire, &batch(60_000)).0.error_code, NOT_ENOUGH_REPLICAS);
    server.kill();
    server.restart();
    let mut wire = server.wire();
    assert_eq!(send(&mut wire, &batch(60_000)).0.error_code, NOT_ENOUGH_REPLICAS, "it holds what it held");
    let metrics = metrics(&server);
    assert!(metrics.contains("millpond_volume_quota_bytes{volume=\"trading\"} 65536.0\n"), "{metrics}");
    assert!(metrics.contains("millpond_volume_quota_refused_batches_total{volume=\"trading\"} 1.0\n"), "{metrics}");
    run(&server, &["volume", "alter", "trading", "--quota", "none"]);
    assert_eq!(send(&mut server.wire(), &batch(60_000)).0.error_code, 0);
}

#[test]
fn a_producer_that_was_refused_loses_nothing_and_keeps_its_order() {
    let server = trading(&["--quota", "10K"]);
    let mut wire = server.wire();
    let producer = wire.call(4, &init_producer());
    let of = |bytes: usize, sequence| -> Bytes {
        batch(bytes).producer(producer.producer_id.0, producer.producer_epoch, sequence).encode()
    };
    let batches = [of(20_000, 0), of(100, 1), of(100, 2)];
    let send_all = |wire: &mut Wire| -> Vec<i16> {
        let sent: Vec<_> = batches
            .iter()
            .map(|batch| wire.send(PRODUCE, &produce(-1, [(TRADES.to_owned(), 0, batch.clone())])))
            .collect();
        sent.into_iter().map(|sent| answer(&wire.receive(sent)).error_code).collect()
    };
    // The second and the third would fit, and a partition that knows nothing of the producer would take them for its first.
    assert_eq!(send_all(&mut wire), [NOT_ENOUGH_REPLICAS; 3]);
    run(&server, &["volume", "alter", "trading", "--quota", "1M"]);
    assert_eq!(send_all(&mut wire), [0; 3]);
    assert_eq!(send_all(&mut wire), [0; 3], "duplicates are told as such");
    let (log, end) = read_log(&mut wire, TRADES, 0, 0);
    let sizes: Vec<usize> = log.iter().map(|batch| batch.records[0].value.as_ref().map_or(0, Bytes::len)).collect();
    assert_eq!((end, sizes), (3, vec![20_000, 100, 100]));
}

#[test]
fn an_advisory_quota_is_told_of_and_refuses_nothing() {
    let server = trading(&["--advisoryquota", "1K"]);
    assert_eq!(send(&mut server.wire(), &batch(3_000)).0.error_code, 0);
    let log = server.printed("a volume exceeds its advisory quota");
    assert!(log.contains("WARN") && log.contains("volume=trading"), "{log}");
    let metrics = metrics(&server);
    assert!(metrics.contains("millpond_volume_over_advisory_quota{volume=\"trading\"} 1.0\n"), "{metrics}");
    assert!(metrics.contains("millpond_volume_bytes{volume=\"default\"} 0.0\n"), "{metrics}");
    assert_eq!(delete_records(&mut server.wire(), 1), 0);
    server.printed("a volume is within its advisory quota again");
    assert!(fail(&server, &["volume", "alter", "trading", "--quota", "500B"]).contains("would never be told of"));
}

#[test]
fn a_volume_has_as_many_topics_partitions_and_connections_as_it_may() {
    let mut server = trading(&["--max-topics", "2", "--max-partitions", "4", "--max-connections", "2"]);
    run(&server, &["topic", "create", "trading.default.quotes", "--partitions", "2"]);
    let words = fail(&server, &["topic", "create", "trading.default.more"]);
    assert!(words.contains("has 2 of the 2 topics that it may have") && words.contains("--max-topics"), "{words}");
    let created = server.wire().call(7, &create_topic("trading.default.more", 1));
    assert_eq!(created.topics[0].error_code, POLICY_VIOLATION);
    run(&server, &["volume", "alter", "trading", "--max-topics", "none"]);
    let words = fail(&server, &["topic", "create", "trading.default.more", "--partitions", "2"]);
    assert!(words.contains("has 3 of the 4 partitions"), "{words}");
    run(&server, &["topic", "create", "trading.default.more"]);

    run(&server, &["snapshot", "create", "trading", "close"]);
    let listener = |shows: &[&str]| -> String {
        let arguments = [&["listener", "add", "127.0.0.1:0", "--json"], shows].concat();
        let added: Value = serde_json::from_str(&run(&server, &arguments)).expect("it prints JSON");
        added["address"].as_str().expect("it has one").to_owned()
    };
    let addresses = [listener(&["--volume", "trading"]), listener(&["--snapshot", "trading@close"])];
    let mut clients = addresses.each_ref().map(|address| Wire::connect(address));
    for client in &mut clients {
        client.call(5, &metadata(&["trades"]));
    }
    let is_turned_away = |address: &str| Wire::connect(address).try_call(5, &metadata(&["trades"])).is_err();
    assert!(is_turned_away(&addresses[0]) && is_turned_away(&addresses[1]));
    assert!(!is_turned_away(server.kafka()), "elsewhere there is room");
    server.kill();
    server.restart();
    let limits = &described(&server, "trading")["limits"];
    assert_eq!((&limits["partitions_max"], limits.get("topics_max")), (&4.into(), None));
    let shown = run(&server, &["volume", "describe", "trading"]);
    assert!(shown.contains("max connections  2\n"), "{shown}");
}

#[test]
fn a_past_that_is_given_up_does_not_come_back() {
    let mut server = trading(&[]);
    let lsn = described(&server, "trading")["lsn"].to_string();
    send(&mut server.wire(), &Batch::of([Record::of("a")]));
    run(&server, &["snapshot", "create", "trading", "early", "--at", &format!("lsn:{lsn}")]);
    let purged = run(&server, &["volume", "purge-history", "trading"]);
    assert!(purged.starts_with("Volume trading has no past before "), "{purged}");
    let oldest = described(&server, "trading")["oldest"].clone();
    server.kill();
    server.restart();
    assert_eq!(described(&server, "trading")["oldest"], oldest);
    let words = fail(&server, &["snapshot", "create", "trading", "again", "--at", "lsn:0"]);
    assert!(words.contains("That past is no longer kept"), "{words}");
    run(&server, &["snapshot", "create", "trading", "early-2", "--at", &format!("lsn:{lsn}")]);
    let diff = run(&server, &["diff", "trading@early", "trading"]);
    let row = diff.lines().find(|line| line.starts_with("trades")).unwrap_or_else(|| panic!("{diff}"));
    let words: Vec<&str> = row.split_whitespace().take(4).collect();
    assert_eq!(words, ["trades", "both", "1", "0"], "{diff}");
    assert!(fail(&server, &["volume", "purge-history", "no"]).contains("There is no volume \"no\""));
}
