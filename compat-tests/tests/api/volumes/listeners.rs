//! Listeners of volumes and snapshots: a cluster of its own each, at an address of its own in every answer that names one; what
//! they show stays for as long as they do.

use kafka_protocol::messages::describe_quorum_request::{PartitionData, TopicData};
use kafka_protocol::messages::{
    DescribeClusterRequest, DescribeQuorumRequest, FindCoordinatorRequest, MetadataRequest,
};
use millpond_compat_tests::requests::{FETCH, fetch, name, text};

use super::*;

/// The cluster id that a listener tells, by both ways of asking.
fn cluster_id(wire: &mut Wire) -> String {
    let by_metadata = wire.call(12, &MetadataRequest::default().with_topics(Some(Vec::new()))).cluster_id;
    let by_cluster = wire.call(1, &DescribeClusterRequest::default().with_endpoint_type(1)).cluster_id;
    assert_eq!(by_metadata.as_ref(), Some(&by_cluster));
    by_cluster.to_string()
}

/// Every address that an answer names.
fn addresses(wire: &mut Wire) -> Vec<String> {
    let mut told = Vec::new();
    let mut tell = |host: &str, port: i32| told.push(format!("{host}:{port}"));
    for broker in wire.call(12, &MetadataRequest::default().with_topics(Some(Vec::new()))).brokers {
        tell(&broker.host, broker.port);
    }
    let keys = vec![text("app")];
    for found in wire.call(6, &FindCoordinatorRequest::default().with_coordinator_keys(keys)).coordinators {
        tell(&found.host, found.port);
    }
    let found = wire.call(2, &FindCoordinatorRequest::default().with_key(text("app")));
    tell(&found.host, found.port);
    for broker in wire.call(1, &DescribeClusterRequest::default().with_endpoint_type(1)).brokers {
        tell(&broker.host, broker.port);
    }
    let topic = TopicData::default()
        .with_topic_name(name("__cluster_metadata"))
        .with_partitions(vec![PartitionData::default()]);
    for node in wire.call(2, &DescribeQuorumRequest::default().with_topics(vec![topic])).nodes {
        told.extend(node.listeners.iter().map(|listener| format!("{}:{}", listener.host.as_str(), listener.port)));
    }
    told
}

#[test]
fn every_scope_is_a_cluster_of_its_own_over_restarts_restores_and_re_binding() {
    let mut server = pond_with_trades();
    snapshot(&server, "trading", "close");
    clone(&server, "trading", "v2");
    let shown = ["trading", "v2", "trading@close"];
    let listeners = shown.map(|shows| listen(&server, shows));
    let ids = |server: &Server| {
        let mut ids = vec![cluster_id(&mut server.wire())];
        ids.extend(listeners.iter().map(|address| cluster_id(&mut Wire::connect(address))));
        ids
    };
    let before = ids(&server);
    let mut distinct = before.clone();
    distinct.sort_unstable();
    distinct.dedup();
    assert_eq!(distinct.len(), 4, "{before:?}");
    restore(&server, "close");
    assert_eq!(ids(&server), before);
    server.kill();
    server.restart();
    assert_eq!(ids(&server), before);
    listen_with(&server, &json!({ "address": listeners[0], "shows": "v2" }));
    assert_eq!(cluster_id(&mut Wire::connect(&listeners[0])), before[2], "the scope's, not the address's");
}

#[test]
fn every_answer_names_the_address_of_the_listener_that_was_asked() {
    let mut server = pond_with_trades();
    let plain = listen(&server, "trading");
    let told = "broker.example.com:7000";
    let advertised = listen_with(&server, &json!({ "address": "127.0.0.1:0", "shows": "trading", "advertised": told }));
    for round in ["added", "opened again"] {
        for (address, told) in [(server.kafka(), server.kafka()), (&plain, &plain), (&advertised, told)] {
            let found = addresses(&mut Wire::connect(address));
            assert_eq!(found.len(), 5, "{found:?}");
            assert!(found.iter().all(|found| found == told), "{round}, at {address}: {found:?}");
        }
        server.kill();
        server.restart();
    }
    let listed = get(&server, "listeners");
    let listed = listed["listeners"].as_array().expect("a list");
    let of = |address: &str| listed.iter().find(|listener| listener["address"] == address).expect("it is listed");
    assert_eq!((&of(&advertised)["advertised"], &of(&advertised)["open"]), (&json!(told), &json!(true)));
    assert_eq!(of(&plain).get("advertised"), None);
    for bad in ["nowhere", "host:0", "host:70000", ""] {
        let listener = json!({ "address": "127.0.0.1:0", "shows": "trading", "advertised": bad });
        let (status, _) = try_call(server.http(), "POST", "/listeners", &listener).expect("it answers");
        assert_eq!(status, 400, "{bad:?}");
    }
}

#[test]
fn a_fetch_session_belongs_to_its_scope_and_a_node_is_one_everywhere() {
    let server = pond_with_trades();
    clone(&server, "trading", "v2");
    let of = |shows: &str| Wire::connect(&listen(&server, shows));
    let mut wires = [server.wire(), of("trading"), of("v2")];
    let begun = wires[0].call(FETCH, &fetch(&[(TRADES, 0, 0)]).with_session_id(0).with_session_epoch(0));
    assert_ne!(begun.session_id, 0);
    let next = fetch(&[]).with_session_id(begun.session_id).with_session_epoch(1);
    for wire in &mut wires[1..] {
        assert_eq!(wire.call(FETCH, &next).error_code, FETCH_SESSION_ID_NOT_FOUND);
        // Nor does anybody end it from there.
        wire.call(FETCH, &fetch(&[]).with_session_id(begun.session_id).with_session_epoch(-1));
    }
    assert_eq!(wires[0].call(FETCH, &next).error_code, 0);
    let nodes = wires.map(|mut wire| {
        let answer = wire.call(12, &MetadataRequest::default().with_topics(Some(Vec::new())));
        let ids: Vec<i32> = answer.brokers.iter().map(|broker| broker.node_id.0).collect();
        (ids, answer.controller_id.0)
    });
    assert_eq!(nodes, [(); 3].map(|()| (vec![1], 1)));
}

#[test]
fn re_binding_closes_connections_and_ends_nobody_elses() {
    let server = pond_with_trades();
    clone(&server, "trading", "v2");
    let (address, other) = (listen(&server, "trading"), listen(&server, "trading"));
    let (mut wire, mut elsewhere) = (Wire::connect(&address), Wire::connect(&other));
    append(&mut wire, "taq.trades", "a");
    append(&mut elsewhere, "taq.trades", "b");
    listen_with(&server, &json!({ "address": address, "shows": "v2" }));
    wire.expect_closed();
    let mut wire = Wire::connect(&address);
    assert_eq!(append(&mut wire, "taq.trades", "c"), 0, "it is the clone");
    assert_eq!(append(&mut elsewhere, "taq.trades", "d"), 2);
    delete(&server, &format!("listeners/{address}"));
    wire.expect_closed();
    assert!(Wire::try_connect(&address).is_err());
    assert_eq!(append(&mut elsewhere, "taq.trades", "e"), 3);
}

#[test]
fn what_a_listener_shows_is_not_deleted_unless_by_force() {
    let server = pond_with_trades();
    snapshot(&server, "trading", "close");
    let of_snapshot = listen(&server, "trading@close");
    let why = delete_refused(&server, "volumes/trading/snapshots/close");
    assert!(why.contains(&of_snapshot) && why.contains("millpond listener remove"), "{why}");
    let why = delete_refused(&server, "volumes/trading");
    assert!(why.contains(&of_snapshot) && why.contains("--force"), "{why}");
    delete(&server, &format!("listeners/{of_snapshot}"));
    delete(&server, "volumes/trading/snapshots/close");

    let of_volume = listen(&server, "trading");
    let mut wire = Wire::connect(&of_volume);
    append(&mut wire, "taq.trades", "a");
    assert!(delete_refused(&server, "volumes/trading").contains("records"));
    delete(&server, "volumes/trading?force=true");
    wire.expect_closed();
    assert_eq!(get(&server, "listeners")["listeners"], json!([]));
    let gone = json!({ "address": of_volume, "shows": "trading" });
    let (status, _) = try_call(server.http(), "POST", "/listeners", &gone).expect("it answers");
    assert_eq!(status, 404);
}
