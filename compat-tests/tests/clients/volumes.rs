//! rdkafka over a volume: every name of a topic, on every listener.

use ::rdkafka::Offset;
use millpond_compat_tests::http;
use serde_json::{Value, json};

use crate::support::{Member, own, poll_until, produce, read, texts, values};

#[test]
fn every_name_is_the_same_topic() {
    let server = own();
    let post = |path: &str, body: &Value| http::call(server.http(), "POST", path, body);
    post("/volumes", &json!({ "name": "trading" }));
    post("/volumes/trading/streams", &json!({ "name": "taq" }));
    post("/topics", &json!({ "name": "trading.taq.trades", "partitions": 1 }));
    let added = post("/listeners", &json!({ "address": "127.0.0.1:0", "shows": "trading" }));
    let (main, listener) = (server.kafka(), added["address"].as_str().expect("it has an address"));
    let mut sent = Vec::new();
    for (address, name) in [
        (main, "trading.taq.trades"),
        (main, "/trading/taq:trades"),
        (listener, "taq.trades"),
        (listener, "/trading/taq:trades"),
    ] {
        let more = values(name, 10);
        produce(address, name, 0, &more, &[("enable.idempotence", "true")]).expect("all are delivered");
        sent.extend_from_slice(&more);
        assert_eq!(texts(&read(address, name, 0, Offset::Beginning, sent.len())), sent);
        // Positions are the topic's, whatever it is called.
        let mut members = [Member::join(address, "readers", name, &[])];
        poll_until("what is new", &mut members, |members| members[0].read.len() >= more.len());
        assert_eq!(members[0].read, more);
        members[0].commit();
    }
}
