//! rdkafka over a volume: every name of a topic, on every listener.

use std::process::Command;

use ::rdkafka::Offset;
use millpond_compat_tests::server::{Server, binary};

use crate::support::{Member, own, poll_until, produce, read, texts, values};

/// Runs `millpond` against a server; what it printed.
fn millpond(server: &Server, arguments: &[&str]) -> String {
    let url = format!("http://{}", server.http());
    let output = Command::new(binary()).args(arguments).args(["--server", &url]).output().expect("it runs");
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

/// Where a listener listens that was added.
fn address(json: &str) -> String {
    let start = json.find("127.0.0.1:").expect("an address");
    json[start..].split('"').next().expect("a split has a first part").to_owned()
}

#[test]
fn every_name_is_the_same_topic() {
    let server = own();
    millpond(&server, &["volume", "create", "trading"]);
    millpond(&server, &["stream", "create", "trading", "taq"]);
    millpond(&server, &["topic", "create", "trading.taq.trades", "--partitions", "1"]);
    let added = millpond(&server, &["listener", "add", "127.0.0.1:0", "--volume", "trading", "--json"]);
    let (main, listener) = (server.kafka(), address(&added));
    let mut sent = Vec::new();
    for (address, name) in [
        (main, "trading.taq.trades"),
        (main, "/trading/taq:trades"),
        (&listener, "taq.trades"),
        (&listener, "/trading/taq:trades"),
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
