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
    running.is_drained().await;
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

#[tokio::test]
async fn lengths_that_are_only_claimed_hold_nobody_back() {
    let running = start(Limits { queued_bytes_max: 1 << 20, queued_bytes_reserve: 1, ..Limits::default() });
    // Ten clients claim 50 MiB each and send the head.
    let mut claiming = Vec::new();
    for _ in 0..10 {
        let mut client = running.connect().await;
        client.send(&produce(0, "claims", 0, 50 << 20)[..100]).await;
        claiming.push(client);
    }
    let mut honest = running.connect().await;
    for at in 0..5 {
        honest.send(&produce(at, "honest", 0, 100_000)).await;
        honest.quick_heartbeat(at, "honest-beat").await;
        honest.is_answered(at).await;
    }
    assert_eq!(events("honest ").len(), 5);
}

#[tokio::test]
async fn large_requests_that_are_half_here_do_not_wait_for_each_other() {
    let running = start(Limits { queued_bytes_max: 1 << 20, ..Limits::default() });
    let mut clients = Vec::new();
    for _ in 0..4 {
        let mut client = running.connect().await;
        clients.push(tokio::spawn(async move {
            // All of them together are twelve times the budget.
            client.send(&produce(0, "halves", 0, 3 << 20)).await;
            client.quick_heartbeat(1, "halves-beat").await;
            client.is_answered(1).await;
        }));
    }
    for client in clients {
        within(client).await.unwrap();
    }
    assert_eq!(events("halves ").len(), 4);
    running.is_drained().await;
}
