//! Topics and groups.

use super::*;
use crate::scope::Scope;
use crate::topics::NewTopic;
use crate::topics::fixture::append;

fn problem(status: u16, kind: &str) -> (u16, String) {
    (status, kind.to_owned())
}

fn names(list: &Value) -> Vec<&str> {
    list["topics"].as_array().unwrap().iter().map(|topic| topic["name"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_topic_is_created_described_changed_and_deleted() {
    const ONE: &str = "/v1/topics/trades";
    let server = Server::with_broker().await;
    let body = r#"{"name": "trades", "partitions": 2, "config": {"retention.ms": "60000"}}"#;
    assert_eq!(server.ask("POST", "/v1/topics", body).await.0, 201);
    let change = r#"{"partitions": 3, "config": {"retention.ms": null, "segment.ms": "1000"}}"#;
    let (_, altered) = server.ask("PATCH", ONE, change).await;
    assert_eq!(altered["partitions"].as_array().unwrap().len(), 3);
    let own = altered["config"].as_array().unwrap().iter().filter(|key| key["own"] == true);
    assert_eq!(own.map(|key| key["name"].as_str().unwrap()).collect::<Vec<_>>(), ["segment.ms"]);
    assert_eq!(server.ask("GET", ONE, "").await.1, altered);
    for (change, kind) in [
        (r#"{"partitions": 3}"#, "invalid-partitions"),
        (r#"{"config": {"retention.ms": "x"}}"#, "invalid-config"),
        (r#"{"config": {"nonsense": null}}"#, "invalid-config"),
        (r#"{"partition": 4}"#, "bad-request"),
    ] {
        assert_eq!(server.refused("PATCH", ONE, change).await, problem(400, kind), "{change}");
    }
    assert_eq!(server.ask("GET", ONE, "").await.1, altered, "what is refused changes nothing");
    assert_eq!(server.ask("DELETE", ONE, "").await.0, 204);
    for (method, body) in [("GET", ""), ("PATCH", "{}"), ("DELETE", "")] {
        assert_eq!(server.refused(method, ONE, body).await, problem(404, "unknown-topic"), "{method}");
    }
}

#[tokio::test]
async fn topics_of_one_volume_or_snapshot_are_listed_by_the_names_that_find_them() {
    let server = Server::with_broker().await;
    server.ask("POST", "/v1/volumes", r#"{"name": "trading", "listed": false}"#).await;
    server.ask("POST", "/v1/topics", r#"{"name": "trading.default.trades"}"#).await;
    let found = server.broker().topics.resolve(Scope::Everything, "trading.default.trades").unwrap();
    append(&found, &["a", "b"]).await;
    server.ask("POST", "/v1/volumes/trading/snapshots", r#"{"name": "close"}"#).await;
    append(&found, &["c"]).await;
    let new = NewTopic { name: "trading.default.later".to_owned(), ..NewTopic::default() };
    server.broker().topics.create(Scope::Everything, new).await.unwrap();

    assert!(names(&server.ask("GET", "/v1/topics", "").await.1).is_empty());
    let (_, live) = server.ask("GET", "/v1/topics?of=trading", "").await;
    assert_eq!(names(&live), ["trading.default.later", "trading.default.trades"]);
    let (_, frozen) = server.ask("GET", "/v1/topics?of=trading@close", "").await;
    assert_eq!(names(&frozen), ["trading.-close.default.trades"]);
    assert_eq!((&frozen["topics"][0]["records"], &live["topics"][1]["records"]), (&2.into(), &3.into()));
    let (_, described) = server.ask("GET", "/v1/topics/trading.-close.default.trades", "").await;
    assert_eq!(described["partitions"][0]["high_watermark"], 2);
    let frozen = "/v1/topics/trading.-close.default.trades";
    assert_eq!(server.refused("DELETE", frozen, "").await, problem(409, "read-only"));
    assert_eq!(server.refused("PATCH", frozen, r#"{"partitions": 9}"#).await, problem(409, "read-only"));
    assert_eq!(server.refused("GET", "/v1/topics?of=no", "").await, problem(404, "unknown-volume"));
    assert_eq!(server.refused("GET", "/v1/topics?of=trading@no", "").await, problem(404, "unknown-snapshot"));
}

#[tokio::test]
async fn a_group_that_is_not_there_is_neither_described_nor_deleted() {
    let server = Server::with_broker().await;
    assert_eq!(server.ask("GET", "/v1/groups", "").await.1["groups"], Value::Array(Vec::new()));
    for method in ["GET", "DELETE"] {
        assert_eq!(server.refused(method, "/v1/groups/nobody", "").await, problem(404, "unknown-group"), "{method}");
    }
}
