//! Volumes, snapshots, restores and listeners, as Kafka clients see them: every name in every API, what is listed, what is
//! refused, and what becomes of producers, consumers and groups over a restore.

mod groups;
mod listeners;
mod listings;
mod names;
mod producers;
mod restores;
mod snapshots;

use std::time::{Duration, Instant};

use kafka_protocol::messages::metadata_response::MetadataResponseTopic;
use millpond_compat_tests::batch::{Batch, Record};
use millpond_compat_tests::http::{call, try_call};
use millpond_compat_tests::requests::{PRODUCE, create_topic, metadata, produce};
use millpond_compat_tests::server::{Builder, Server};
use millpond_compat_tests::wire::Wire;
use serde_json::{Value, json};

use crate::group::builder as with_quick_groups;

const OFFSET_OUT_OF_RANGE: i16 = 1;
const UNKNOWN_TOPIC_OR_PARTITION: i16 = 3;
const LEADER_NOT_AVAILABLE: i16 = 5;
const INVALID_TOPIC_EXCEPTION: i16 = 17;
const POLICY_VIOLATION: i16 = 44;
const OUT_OF_ORDER_SEQUENCE_NUMBER: i16 = 45;
const FETCH_SESSION_ID_NOT_FOUND: i16 = 70;
const FENCED_LEADER_EPOCH: i16 = 74;
const UNKNOWN_TOPIC_ID: i16 = 100;

/// How long anything may take.
const LIMIT: Duration = Duration::from_mins(1);

/// The topic of most tests, by the name that it has where everything is shown.
const TRADES: &str = "trading.taq.trades";

/// A broker with a volume `trading` that has a stream `taq`.
fn pond() -> Server {
    pond_with(with_quick_groups())
}

fn pond_with(setup: Builder) -> Server {
    let server = setup.start();
    post(&server, "volumes", &json!({ "name": "trading" }));
    post(&server, "volumes/trading/streams", &json!({ "name": "taq" }));
    server
}

/// The same with the topic of most tests, of one partition.
fn pond_with_trades() -> Server {
    let server = pond();
    create(&mut server.wire(), TRADES);
    server
}

fn post(server: &Server, path: &str, body: &Value) -> Value {
    call(server.http(), "POST", &format!("/{path}"), body)
}

fn get(server: &Server, path: &str) -> Value {
    call(server.http(), "GET", &format!("/{path}"), &Value::Null)
}

fn delete(server: &Server, path: &str) {
    call(server.http(), "DELETE", &format!("/{path}"), &Value::Null);
}

/// Asks for a deletion that is refused; why.
fn delete_refused(server: &Server, path: &str) -> String {
    let (status, answer) = try_call(server.http(), "DELETE", &format!("/{path}"), &Value::Null).expect("it answers");
    assert_eq!(status, 409, "DELETE {path}: {answer}");
    answer["detail"].as_str().expect("a problem has a detail").to_owned()
}

fn create(wire: &mut Wire, topic: &str) {
    assert_eq!(wire.call(7, &create_topic(topic, 1)).topics[0].error_code, 0, "{topic}");
}

/// Appends a record to partition 0; its offset.
fn append(wire: &mut Wire, topic: &str, value: &str) -> i64 {
    let batch = Batch::of([Record::of(value.to_owned()).at(1_000)]).encode();
    let answer = wire.call(PRODUCE, &produce(-1, [(topic.to_owned(), 0, batch)]));
    let answer = &answer.responses[0].partition_responses[0];
    assert_eq!(answer.error_code, 0, "{topic}");
    answer.base_offset
}

fn text_of(record: &Record) -> String {
    String::from_utf8_lossy(record.value.as_deref().unwrap_or_default()).into_owned()
}

fn snapshot(server: &Server, volume: &str, name: &str) {
    post(server, &format!("volumes/{volume}/snapshots"), &json!({ "name": name }));
}

/// Restores volume `trading`; the snapshot that undoes it.
fn restore(server: &Server, snapshot: &str) -> String {
    let safety = post(server, "volumes/trading/restore", &json!({ "snapshot": snapshot }));
    safety["name"].as_str().expect("it has a name").to_owned()
}

fn clone(server: &Server, from: &str, name: &str) {
    post(server, "clones", &json!({ "from": from, "name": name }));
}

/// Adds a listener that shows `VOLUME` or `VOLUME@SNAPSHOT`; where it is.
fn listen(server: &Server, shows: &str) -> String {
    listen_with(server, &json!({ "address": "127.0.0.1:0", "shows": shows }))
}

fn listen_with(server: &Server, listener: &Value) -> String {
    post(server, "listeners", listener)["address"].as_str().expect("it has an address").to_owned()
}

/// The topic as Metadata tells it, once what a snapshot shows is loaded.
fn described(wire: &mut Wire, topic: &str) -> MetadataResponseTopic {
    let deadline = Instant::now() + LIMIT;
    loop {
        let described = wire.call(12, &metadata(&[topic])).topics.remove(0);
        if described.error_code != LEADER_NOT_AVAILABLE {
            return described;
        }
        assert!(Instant::now() < deadline, "{topic} is not loaded");
    }
}

/// The leader epoch that the volume is in.
fn epoch(server: &Server) -> i32 {
    let volume = get(server, "volumes/trading");
    volume["leader_epoch"].as_i64().and_then(|epoch| i32::try_from(epoch).ok()).expect("it has one")
}
