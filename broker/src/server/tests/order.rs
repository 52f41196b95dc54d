//! Replies leave in the order of requests, and end with the connection.

use super::harness::*;
use crate::limits::Limits;

#[tokio::test]
async fn replies_keep_request_order() {
    let running = start(Limits::default());
    let mut client = running.connect().await;
    let names: Vec<String> = (0..6).map(|at| format!("order-{at}")).collect();
    for (at, name) in (0..).zip(&names) {
        client.heartbeat(at, name).await;
    }
    client.quick_heartbeat(6, "order-6").await;
    // The last opens first; all have entered before the first answer can leave.
    for name in names.iter().rev() {
        within(Gate::named(name).entered.notified()).await;
    }
    for name in names.iter().rev() {
        Gate::named(name).opened.notify_one();
    }
    for at in 0..7 {
        client.is_answered(at).await;
    }
}

#[tokio::test]
async fn a_known_reply_waits_for_the_one_before_it() {
    let running = start(Limits::default());
    let mut client = running.connect().await;
    client.heartbeat(1, "before").await;
    client.quick_heartbeat(2, "behind").await;
    within(Gate::named("before").entered.notified()).await;
    Gate::named("before").opened.notify_one();
    client.is_answered(1).await;
    client.is_answered(2).await;
}

#[tokio::test]
async fn a_connection_that_ends_takes_its_waiters_with_it() {
    let running = start(Limits::default());
    let mut client = running.connect().await;
    client.heartbeat(1, "abandoned").await;
    let gate = Gate::named("abandoned");
    within(gate.entered.notified()).await;
    drop(client);
    within(gate.dropped.notified()).await;
}

#[tokio::test]
async fn an_answer_in_segments_arrives_whole() {
    let running = start(Limits::default());
    let mut client = running.connect().await;
    for (at, size) in (0..).zip([0, 2, 100, 100_000, 3_000_000]) {
        client.send(&answer_of(at, "segments", size)).await;
    }
    for (at, size) in (0..).zip([0, 2, 100, 100_000, 3_000_000]) {
        let (correlation_id, body) = client.answer().await;
        assert_eq!(correlation_id, at);
        // One byte of response header: no tagged fields.
        assert_eq!(body[0], 0);
        assert!(body[1..].iter().all(|byte| *byte == 7));
        assert_eq!(body.len() - 1, size);
    }
}

#[tokio::test]
async fn produce_without_acks_is_never_answered() {
    let running = start(Limits::default());
    let mut client = running.connect().await;
    client.send(&produce(1, "unacknowledged", 0, 10)).await;
    client.quick_heartbeat(2, "after-produce").await;
    client.is_answered(2).await;
    assert_eq!(events("unacknowledged "), ["entered"]);
}

#[tokio::test]
async fn a_failed_produce_without_acks_ends_the_connection() {
    let running = start(Limits::default());
    let mut client = running.connect().await;
    client.quick_heartbeat(1, "before-failure").await;
    client.send(&produce(2, "fails", 0, 10)).await;
    client.is_answered(1).await;
    client.is_closed().await;
}

#[tokio::test]
async fn a_shutdown_finishes_what_is_under_way() {
    let running = start(Limits::default());
    let mut client = running.connect().await;
    let mut idle = running.connect().await;
    client.heartbeat(1, "last-words").await;
    let gate = Gate::named("last-words");
    within(gate.entered.notified()).await;
    let server = std::sync::Arc::clone(&running.server);
    let shutdown = tokio::spawn(async move { server.shutdown().await });
    idle.is_closed().await;
    gate.opened.notify_one();
    client.is_answered(1).await;
    client.is_closed().await;
    within(shutdown).await.unwrap();
    assert!(tokio::net::TcpStream::connect(running.address).await.is_err());
    assert_eq!(running.broker.metrics.connections.open.get(), 0);
}

#[tokio::test]
async fn a_shutdown_does_not_wait_for_ever() {
    let shutdown_timeout = std::time::Duration::from_millis(50);
    let running = start(Limits { shutdown_timeout, ..Limits::default() });
    let mut client = running.connect().await;
    client.heartbeat(1, "never-opened").await;
    within(Gate::named("never-opened").entered.notified()).await;
    within(running.server.shutdown()).await;
    client.is_closed().await;
    assert_eq!(running.broker.metrics.connections.open.get(), 0);
}

#[tokio::test]
async fn a_broker_whose_engine_has_ended_answers_nothing_and_closes() {
    let running = start(Limits::default());
    let mut client = running.connect().await;
    client.heartbeat(1, "ended").await;
    let gate = Gate::named("ended");
    within(gate.entered.notified()).await;
    running.broker.engine.close().unwrap();
    gate.opened.notify_one();
    client.is_closed().await;
    assert_eq!(running.closed("shutdown"), 1);
}
