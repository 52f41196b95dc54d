//! Clients that do nothing, that send slowly, and that do not read.

use std::time::Duration;

use super::harness::*;
use crate::limits::Limits;

const SOON: Duration = Duration::from_millis(60);

#[tokio::test]
async fn an_idle_connection_is_closed() {
    let running = start(Limits { idle_timeout: SOON, ..Limits::default() });
    let mut silent = running.connect().await;
    let mut client = running.connect().await;
    client.quick_heartbeat(1, "then-idle").await;
    client.is_answered(1).await;
    silent.is_closed().await;
    client.is_closed().await;
    assert_eq!(running.closed("idle"), 2);
}

#[tokio::test]
async fn a_connection_with_a_request_under_way_is_not_idle() {
    let running = start(Limits { idle_timeout: SOON, ..Limits::default() });
    let mut client = running.connect().await;
    client.heartbeat(1, "not-idle").await;
    within(Gate::named("not-idle").entered.notified()).await;
    // Three others come, idle and go in the meantime.
    for _ in 0..3 {
        running.connect().await.is_closed().await;
    }
    Gate::named("not-idle").opened.notify_one();
    client.is_answered(1).await;
}

#[tokio::test]
async fn a_frame_that_does_not_arrive_ends_the_connection() {
    let running = start(Limits { frame_timeout: SOON, ..Limits::default() });
    let whole = heartbeat(1, "slow", 0);
    for sent in [1, 4, 5, 7, whole.len() - 1] {
        let mut client = running.connect().await;
        client.send(&whole[..sent]).await;
        client.is_closed().await;
    }
    assert_eq!(running.closed("slow_frame"), 5);
    assert_eq!(events("slow "), Vec::<String>::new());
}

#[tokio::test]
async fn a_client_that_does_not_read_stops_only_itself() {
    let (answer, count) = (4 << 20, 100);
    let limits = Limits { unsent_bytes_max: 1 << 20, write_timeout: Duration::from_millis(500), ..Limits::default() };
    let running = start(limits);
    let mut client = running.connect().await;
    for at in 0..count {
        client.send(&answer_of(at, "unread", answer)).await;
    }
    let mut other = running.connect().await;
    other.quick_heartbeat(1, "beside-unread").await;
    other.is_answered(1).await;
    // The timeout tells when the server has given up; by then it has made what the sockets hold and little more.
    while running.closed("slow_reader") == 0 {
        other.quick_heartbeat(2, "beside-unread").await;
        other.is_answered(2).await;
    }
    let made = events("unread ").len();
    assert!(made < 20, "{made} answers of 4 MiB were made for a client that reads none");
    assert_eq!(running.broker.metrics.connections.open.get(), 1);
}

#[tokio::test]
async fn a_slow_reader_gets_everything_in_the_end() {
    let running = start(Limits { unsent_bytes_max: 1, unsent_bytes_total_max: 1, ..Limits::default() });
    let mut client = running.connect().await;
    for at in 0..20 {
        client.send(&answer_of(at, "slowly-read", 1 << 20)).await;
    }
    for at in 0..20 {
        let (correlation_id, body) = client.answer().await;
        assert_eq!((correlation_id, body.len()), (at, 1 + (1 << 20)));
    }
}
