//! Volumes, what they may hold, and their streams.

use super::*;

fn problem(status: u16, kind: &str) -> (u16, String) {
    (status, kind.to_owned())
}

#[tokio::test]
async fn a_volume_lives_from_its_creation_to_its_deletion() {
    let server = Server::with_broker().await;
    let body = r#"{"name": "trading", "durability": "page-cache"}"#;
    let (status, created) = server.ask("POST", "/v1/volumes", body).await;
    assert_eq!((status, created["mount"].as_str()), (201, Some("/trading")), "{created}");
    let (_, list) = server.ask("GET", "/v1/volumes", "").await;
    assert_eq!(list["volumes"].as_array().unwrap().len(), 2);

    let (_, altered) = server.ask("PATCH", "/v1/volumes/trading", r#"{"history_ms": 1000}"#).await;
    assert_eq!((&altered["history_ms"], &altered["durability"]), (&1000.into(), &"page-cache".into()));
    let nulls = r#"{"history_ms": null, "durability": null}"#;
    let (_, altered) = server.ask("PATCH", "/v1/volumes/trading", nulls).await;
    assert_eq!((&altered["history_ms"], &altered["durability"]), (&3_600_000.into(), &"fsync".into()));

    assert_eq!(server.ask("DELETE", "/v1/volumes/trading", "").await.0, 204);
    assert_eq!(server.refused("DELETE", "/v1/volumes/trading", "").await, problem(404, "unknown-volume"));
    assert_eq!(server.refused("GET", "/v1/volumes/trading", "").await, problem(404, "unknown-volume"));
}

#[tokio::test]
async fn what_cannot_be_is_told_by_kind() {
    let server = Server::with_broker().await;
    assert_eq!(server.ask("POST", "/v1/volumes", r#"{"name": "a"}"#).await.0, 201);
    for (body, status, kind) in [
        (r#"{"name": "a"}"#, 409, "name-taken"),
        (r#"{"name": "default"}"#, 409, "name-taken"),
        (r#"{"name": "a.b"}"#, 400, "invalid-name"),
        (r#"{"name": "b", "mount": "/a/b"}"#, 409, "in-the-way"),
        (r#"{"name": "b", "mount": "b"}"#, 400, "bad-request"),
        (r#"{"name": "b", "durability": "never"}"#, 400, "bad-request"),
        (r#"{"name": "b", "quota": 7}"#, 400, "bad-request"),
        (r#"{"name": "b", "limits": {"quota_bytes": 0}}"#, 400, "bad-request"),
        (r#"{"name": "b", "limits": {"quota": 7}}"#, 400, "bad-request"),
        ("{", 400, "bad-request"),
    ] {
        assert_eq!(server.refused("POST", "/v1/volumes", body).await, problem(status, kind), "{body}");
    }
    for (method, path) in [("PATCH", "/v1/volumes/no"), ("POST", "/v1/volumes/no/purge-history")] {
        assert_eq!(server.refused(method, path, "{}").await, problem(404, "unknown-volume"), "{path}");
    }
    assert_eq!(server.refused("DELETE", "/v1/volumes/default", "").await, problem(400, "bad-request"));
    assert_eq!(server.refused("DELETE", "/v1/volumes/a?force=maybe", "").await, problem(400, "bad-request"));
}

#[tokio::test]
async fn limits_are_set_changed_and_taken_away() {
    let server = Server::with_broker().await;
    let body = r#"{"name": "trading", "limits": {"quota_bytes": 1000, "topics_max": 1, "partitions_max": 2}}"#;
    let (_, created) = server.ask("POST", "/v1/volumes", body).await;
    assert_eq!(created["limits"]["quota_bytes"], 1000);
    let change = r#"{"limits": {"advisory_quota_bytes": 900, "partitions_max": null, "connections_max": 5}}"#;
    let (_, altered) = server.ask("PATCH", "/v1/volumes/trading", change).await;
    let expected = r#"{"quota_bytes": 1000, "advisory_quota_bytes": 900, "topics_max": 1, "connections_max": 5}"#;
    assert_eq!(altered["limits"], serde_json::from_str::<Value>(expected).unwrap());
    let above = r#"{"limits": {"advisory_quota_bytes": 1001}}"#;
    assert_eq!(server.refused("PATCH", "/v1/volumes/trading", above).await, problem(400, "bad-request"));

    let topic = |name: &str| format!(r#"{{"name": "trading.default.{name}", "partitions": 3}}"#);
    assert_eq!(server.ask("POST", "/v1/topics", &topic("a")).await.0, 201);
    assert_eq!(server.refused("POST", "/v1/topics", &topic("a")).await, problem(409, "topic-exists"));
    assert_eq!(server.refused("POST", "/v1/topics", &topic("b")).await, problem(409, "limit-reached"));
    server.ask("PATCH", "/v1/volumes/trading", r#"{"limits": {"topics_max": null, "partitions_max": 5}}"#).await;
    assert_eq!(server.refused("POST", "/v1/topics", &topic("b")).await, problem(409, "limit-reached"));
    server.ask("PATCH", "/v1/volumes/trading", r#"{"limits": {"partitions_max": 6}}"#).await;
    assert_eq!(server.ask("POST", "/v1/topics", &topic("b")).await.0, 201);
}

#[tokio::test]
async fn a_stream_lives_from_its_creation_to_its_deletion() {
    const ALL: &str = "/v1/volumes/trading/streams";
    const ONE: &str = "/v1/volumes/trading/streams/taq";
    let server = Server::with_broker().await;
    server.ask("POST", "/v1/volumes", r#"{"name": "trading"}"#).await;
    let body = r#"{"name": "taq", "partitions_default": 3, "auto_create": false, "config": {"retention.ms": "5"}}"#;
    let (status, created) = server.ask("POST", ALL, body).await;
    assert_eq!((status, &created["partitions_default"], &created["auto_create"]), (201, &3.into(), &false.into()));
    let (_, list) = server.ask("GET", ALL, "").await;
    let names: Vec<_> = list["streams"].as_array().unwrap().iter().map(|stream| stream["name"].clone()).collect();
    assert_eq!(names, ["default", "taq"]);
    let change = r#"{"auto_create": null, "config": {"retention.ms": null, "segment.ms": "7"}}"#;
    let (_, altered) = server.ask("PATCH", ONE, change).await;
    assert_eq!((&altered["auto_create"], &altered["config"]["segment.ms"]), (&Value::Null, &"7".into()));
    assert_eq!(server.ask("GET", ONE, "").await.1, altered);

    for (body, status, kind) in [
        (r#"{"name": "taq"}"#, 409, "name-taken"),
        (r#"{"name": "t.q"}"#, 400, "invalid-name"),
        (r#"{"name": "b", "partitions": 3}"#, 400, "bad-request"),
        (r#"{"name": "b", "partitions_default": 0}"#, 400, "bad-request"),
        (r#"{"name": "b", "config": {"retention.ms": "x"}}"#, 400, "invalid-config"),
    ] {
        assert_eq!(server.refused("POST", ALL, body).await, problem(status, kind), "{body}");
    }
    assert_eq!(server.refused("PATCH", ONE, r#"{"partitions": 3}"#).await, problem(400, "bad-request"));
    assert_eq!(server.refused("POST", "/v1/volumes/no/streams", r#"{"name": "a"}"#).await.1, "unknown-volume");
    for method in ["GET", "DELETE"] {
        let no = "/v1/volumes/trading/streams/no";
        assert_eq!(server.refused(method, no, "").await, problem(404, "unknown-stream"), "{method}");
    }
    assert_eq!(server.ask("POST", "/v1/topics", r#"{"name": "trading.taq.trades"}"#).await.0, 201);
    assert_eq!(server.refused("DELETE", ONE, "").await, problem(409, "in-the-way"));
    assert_eq!(server.ask("DELETE", &format!("{ONE}?force=true"), "").await.0, 204);
    assert_eq!(server.refused("GET", "/v1/topics/trading.taq.trades", "").await, problem(404, "unknown-topic"));
}
