//! `listener`, against a running broker, over `kill -9`.

use std::net::TcpListener;

use kafka_protocol::messages::MetadataRequest;
use millpond_compat_tests::server::Server;
use millpond_compat_tests::wire::Wire;

use crate::{fail, run};

/// Adds a listener at a free port; where it is.
fn add(server: &Server, arguments: &[&str]) -> String {
    let text = run(server, &[&["listener", "add", "127.0.0.1:0"], arguments, &["--json"]].concat());
    let added: serde_json::Value = serde_json::from_str(&text).expect("it prints JSON");
    added["address"].as_str().expect("it has an address").to_owned()
}

/// The names of the topics that a listener lists, and the address that it tells.
fn shown(address: &str) -> (Vec<String>, String) {
    let answer = Wire::connect(address).call(12, &MetadataRequest::default().with_topics(None));
    let topics = answer.topics.iter().map(|topic| topic.name.as_ref().expect("named").to_string());
    (topics.collect(), format!("{}:{}", answer.brokers[0].host, answer.brokers[0].port))
}

/// A broker with a topic of each kind.
fn trading() -> Server {
    let server = Server::start();
    run(&server, &["volume", "create", "trading"]);
    run(&server, &["topic", "create", "trading.default.trades"]);
    run(&server, &["snapshot", "create", "trading", "close"]);
    run(&server, &["topic", "create", "trading.default.late"]);
    server
}

#[test]
fn listeners_come_back_after_a_kill_and_show_what_they_did() {
    let mut server = trading();
    let of_volume = add(&server, &["--volume", "trading", "--advertised", "broker.example.com:7000"]);
    let of_snapshot = add(&server, &["--snapshot", "trading@close"]);
    let check = |of_volume: &str| {
        let expected = (vec!["late".to_owned(), "trades".to_owned()], "broker.example.com:7000".to_owned());
        assert_eq!(shown(of_volume), expected);
        assert_eq!(shown(&of_snapshot), (vec!["trades".to_owned()], of_snapshot.clone()));
    };
    check(&of_volume);
    server.kill();
    server.restart();
    check(&of_volume);
    let list = run(&server, &["listener", "list"]);
    assert!(list.contains("broker.example.com:7000  yes") && list.contains("trading@close"), "{list}");

    // One that finds its address taken is told of, and is there again at the next start.
    server.kill();
    let taken = TcpListener::bind(&of_volume).expect("nobody has it now");
    server.restart();
    server.printed("a listener is not opened again");
    let list = run(&server, &["listener", "list"]);
    assert!(list.contains("broker.example.com:7000  no"), "{list}");
    assert_eq!(shown(&of_snapshot).0, ["trades"]);
    drop(taken);
    server.kill();
    server.restart();
    check(&of_volume);

    run(&server, &["listener", "remove", &of_volume]);
    server.kill();
    server.restart();
    assert!(Wire::try_connect(&of_volume).is_err());
    assert!(!run(&server, &["listener", "list"]).contains(&of_volume));
}

#[test]
fn what_a_listener_shows_is_kept_and_the_way_on_is_told() {
    let server = trading();
    let address = add(&server, &["--snapshot", "trading@close"]);
    let words = fail(&server, &["snapshot", "delete", "trading@close"]);
    let way_on = format!("`millpond listener remove {address}`");
    assert!(words.contains(&way_on), "{words}");
    let words = fail(&server, &["volume", "delete", "trading"]);
    assert!(words.contains(&way_on) && words.contains("--force"), "{words}");
    run(&server, &["listener", "remove", &address]);
    run(&server, &["snapshot", "delete", "trading@close"]);
    add(&server, &["--volume", "trading"]);
    run(&server, &["volume", "delete", "trading", "--force"]);
    assert!(run(&server, &["listener", "list"]).contains("No listeners"));
    let words = fail(&server, &["listener", "add", "127.0.0.1:0", "--volume", "trading"]);
    assert!(words.contains("no volume"), "{words}");
}
