//! The bounds on connections, requests and bytes: each makes someone wait, or turns a connection away.

use super::harness::*;
use crate::limits::Limits;

#[tokio::test]
async fn connections_over_the_limit_are_turned_away() {
    for (limits, reason) in [
        (Limits { connections_max: 2, ..Limits::default() }, "connections_max"),
        (Limits { connections_per_address_max: 2, ..Limits::default() }, "connections_per_address_max"),
    ] {
        let running = start(limits);
        let (mut first, mut second) = (running.connect().await, running.connect().await);
        for client in [&mut first, &mut second] {
            client.quick_heartbeat(1, "admitted").await;
            client.is_answered(1).await;
        }
        running.connect().await.is_closed().await;
        assert_eq!(running.closed(reason), 1);
        first.quick_heartbeat(2, "admitted").await;
        first.is_answered(2).await;
    }
}

#[tokio::test]
async fn requests_in_flight_are_bounded() {
    let running = start(Limits { in_flight_requests_max: 2, ..Limits::default() });
    let mut client = running.connect().await;
    for at in 0..3 {
        client.heartbeat(at, &format!("few {at}")).await;
    }
    within(Gate::named("few 1").entered.notified()).await;
    event("few opened");
    Gate::named("few 0").opened.notify_one();
    client.is_answered(0).await;
    within(Gate::named("few 2").entered.notified()).await;
    assert_eq!(events("few "), ["0 entered", "1 entered", "opened", "2 entered"]);
}

#[tokio::test]
async fn bytes_in_flight_are_bounded() {
    let running = start(Limits { in_flight_bytes_max: 1_000, ..Limits::default() });
    let mut client = running.connect().await;
    // A single request may exceed the bound; the next one waits for it.
    client.send(&produce(0, "bytes large", -1, 5_000)).await;
    client.heartbeat(1, "bytes small").await;
    event("bytes opened");
    Gate::named("bytes large").opened.notify_one();
    client.is_answered(0).await;
    within(Gate::named("bytes small").entered.notified()).await;
    let events = events("bytes ");
    let at = |what: &str| events.iter().position(|event| event == what).unwrap();
    assert!(at("opened") < at("small entered"));
}

#[tokio::test]
async fn producers_wait_for_the_common_budget_and_others_do_not() {
    let running = start(Limits { queued_bytes_max: 1_000, queued_bytes_reserve: 500, ..Limits::default() });
    let (mut one, mut two, mut other) = (running.connect().await, running.connect().await, running.connect().await);
    one.send(&produce(0, "budget one", -1, 5_000)).await;
    two.send(&produce(0, "budget two", -1, 10)).await;
    // It is answered while producers wait: from the reserve, or before they took all.
    other.quick_heartbeat(1, "budget other").await;
    other.is_answered(1).await;
    event("budget opened");
    for (client, name) in [(&mut one, "budget one"), (&mut two, "budget two")] {
        Gate::named(name).opened.notify_one();
        client.is_answered(0).await;
    }
    assert_eq!(running.broker.metrics.connections.queued_bytes.get(), 0);
}

#[tokio::test]
async fn a_request_within_the_limit_may_be_larger_than_every_buffer() {
    let running = start(Limits::default());
    let mut client = running.connect().await;
    for (at, size) in (0..).zip([10_000, 70_000, 1 << 20, 5 << 20, 20, 70_000, 70_000]) {
        client.send(&produce(at, "large", 0, size)).await;
        client.quick_heartbeat(at, "between").await;
        client.is_answered(at).await;
    }
    assert_eq!(events("large ").len(), 7);
}
