//! Snapshots, clones, restores, differences, schedules, and listeners that show them.

use super::*;

const SNAPSHOTS: &str = "/v1/volumes/trading/snapshots";

/// With volume `trading`, which has a topic `trades`.
async fn trading() -> Server {
    let server = Server::with_broker().await;
    assert_eq!(server.ask("POST", "/v1/volumes", r#"{"name": "trading"}"#).await.0, 201);
    assert_eq!(server.ask("POST", "/v1/topics", r#"{"name": "trading.default.trades"}"#).await.0, 201);
    server
}

fn problem(status: u16, kind: &str) -> (u16, String) {
    (status, kind.to_owned())
}

async fn lsn(server: &Server) -> u64 {
    server.ask("GET", "/v1/volumes/trading", "").await.1["lsn"].as_u64().unwrap()
}

#[tokio::test]
async fn a_snapshot_lives_from_its_creation_to_its_deletion() {
    let server = trading().await;
    let body = r#"{"name": "close", "lifetime_ms": 60000, "protected": true}"#;
    let (status, taken) = server.ask("POST", SNAPSHOTS, body).await;
    assert_eq!((status, &taken["protected"], &taken["safety"]), (201, &true.into(), &false.into()), "{taken}");
    let close = format!("{SNAPSHOTS}/close");
    assert_eq!(server.ask("GET", &close, "").await.1, taken);
    for path in [SNAPSHOTS, "/v1/snapshots"] {
        let (_, list) = server.ask("GET", path, "").await;
        assert_eq!((&list["snapshots"][0]["name"], &list["snapshots"][0]["owned_bytes"]), (&"close".into(), &0.into()));
    }
    assert_eq!(server.refused("DELETE", &close, "").await, problem(409, "protected"));
    let (_, altered) = server.ask("PATCH", &close, r#"{"protected": false, "lifetime_ms": null}"#).await;
    assert_eq!((&altered["protected"], altered.get("expires")), (&false.into(), None));
    assert_eq!(server.ask("DELETE", &close, "").await.0, 204);
    for (method, body) in [("GET", ""), ("DELETE", ""), ("PATCH", "{}")] {
        assert_eq!(server.refused(method, &close, body).await, problem(404, "unknown-snapshot"), "{method}");
    }
}

#[tokio::test]
async fn a_moment_has_many_forms() {
    let server = trading().await;
    let lsn = lsn(&server).await;
    let now = jiff::Timestamp::now();
    let of_day = now.to_zoned(jiff::tz::TimeZone::system()).strftime("%H:%M:%S").to_string();
    for (name, at) in [
        ("lsn", format!(r#""at": "lsn:{lsn}""#)),
        ("time", format!(r#""at": "{now}""#)),
        ("day", format!(r#""at": "{of_day}""#)),
        ("now", r#""at": "now""#.to_owned()),
        ("record", format!(r#""at_record": {{"topic": "trades", "time": "{now}"}}"#)),
    ] {
        let (status, taken) = server.ask("POST", SNAPSHOTS, &format!(r#"{{"name": "{name}", {at}}}"#)).await;
        // The time of day may lie before the volume's birth by parts of a second.
        assert!(status == 201 || (name == "day" && status == 410), "{at}: {taken}");
    }
    for (at, status, kind) in [
        (r#""at": "yesterday""#, 400, "bad-request"),
        (r#""at": "lsn:99999""#, 400, "bad-request"),
        (r#""at": "2999-01-01T00:00:00Z""#, 400, "bad-request"),
        (r#""at": "nothing/0/1""#, 400, "bad-request"),
        (r#""at": "trades/7/1""#, 400, "bad-request"),
        (r#""at": "2001-01-01T00:00:00Z""#, 410, "no-longer-kept"),
        (r#""at": "now", "at_record": {"topic": "trades", "time": "16:00"}"#, 400, "bad-request"),
        (r#""at_record": {"topic": "nothing", "time": "16:00"}"#, 400, "bad-request"),
        (r#""at_record": {"topic": "trades"}"#, 400, "bad-request"),
        (r#""lifetime_ms": 0"#, 400, "bad-request"),
    ] {
        let body = format!(r#"{{"name": "x", {at}}}"#);
        assert_eq!(server.refused("POST", SNAPSHOTS, &body).await, problem(status, kind), "{at}");
    }
    assert_eq!(server.refused("POST", SNAPSHOTS, r#"{"name": "lsn"}"#).await, problem(409, "name-taken"));
    assert_eq!(server.refused("POST", SNAPSHOTS, r#"{"name": "a.b"}"#).await, problem(400, "invalid-name"));
    assert_eq!(server.refused("POST", "/v1/volumes/no/snapshots", r#"{"name": "a"}"#).await.1, "unknown-volume");
}

#[tokio::test]
async fn a_past_that_is_given_up_is_gone() {
    let server = trading().await;
    let before = lsn(&server).await;
    server.ask("POST", "/v1/topics", r#"{"name": "trading.default.later"}"#).await;
    let (status, oldest) = server.ask("POST", "/v1/volumes/trading/purge-history", "").await;
    assert!(status == 200 && oldest["lsn"].as_u64().unwrap() > before, "{oldest}");
    assert_eq!(server.ask("GET", "/v1/volumes/trading", "").await.1["oldest"], oldest);
    let at = format!(r#"{{"name": "early", "at": "lsn:{before}"}}"#);
    assert_eq!(server.refused("POST", SNAPSHOTS, &at).await, problem(410, "no-longer-kept"));
    let diff = format!("/v1/diff?from=trading@lsn:{before}&to=trading");
    assert_eq!(server.refused("GET", &diff, "").await, problem(410, "no-longer-kept"));
}

#[tokio::test]
async fn a_clone_is_made_of_any_view_and_what_differs_is_told() {
    let server = trading().await;
    let lsn = lsn(&server).await;
    server.ask("POST", SNAPSHOTS, r#"{"name": "close"}"#).await;
    server.ask("POST", "/v1/topics", r#"{"name": "trading.default.later", "config": {"retention.ms": "5"}}"#).await;
    for (from, name) in [("trading@close", "a"), ("trading", "b"), (&format!("trading@lsn:{lsn}"), "c")] {
        let body = format!(r#"{{"from": "{from}", "name": "{name}", "limits": {{"topics_max": 9}}}}"#);
        let (status, made) = server.ask("POST", "/v1/clones", &body).await;
        assert_eq!((status, &made["listed"], &made["limits"]["topics_max"]), (201, &false.into(), &9.into()), "{made}");
    }
    let (_, list) = server.ask("GET", "/v1/clones", "").await;
    let topics: Vec<_> = list["volumes"].as_array().unwrap().iter().map(|volume| volume["topics"].clone()).collect();
    assert_eq!(topics, [1, 2, 1]);
    server.ask("PATCH", "/v1/volumes/trading/streams/default", r#"{"auto_create": false}"#).await;
    let (_, diff) = server.ask("GET", &format!("/v1/diff?from=trading@lsn:{lsn}&to=trading"), "").await;
    let setting = r#"{"name": "auto_create", "from": null, "to": "false"}"#;
    assert_eq!(diff["streams"][0]["settings"][0], serde_json::from_str::<Value>(setting).unwrap(), "{diff}");
    assert_eq!((&diff["same"], &diff["topics"][0]["topic"]), (&1.into(), &"later".into()), "{diff}");
    assert_eq!(diff["topics"][0]["partitions"][0]["from"], Value::Null);
    assert_eq!(server.ask("GET", "/v1/diff?from=trading@close&to=a", "").await.1["topics"], Value::Array(Vec::new()));

    for (body, status, kind) in [
        (r#"{"from": "trading@close", "name": "a"}"#, 409, "name-taken"),
        (r#"{"from": "trading@no", "name": "x"}"#, 404, "unknown-snapshot"),
        (r#"{"from": "no", "name": "x"}"#, 404, "unknown-volume"),
        (r#"{"from": "trading@lsn:0", "name": "x", "extra": 1}"#, 400, "bad-request"),
        (r#"{"from": "a.b", "name": "x"}"#, 400, "invalid-name"),
        (r#"{"from": "trading"}"#, 400, "bad-request"),
    ] {
        assert_eq!(server.refused("POST", "/v1/clones", body).await, problem(status, kind), "{body}");
    }
    for (query, status) in [("from=trading", 400), ("from=trading&to=no", 404), ("from=trading@x:y&to=trading", 400)] {
        assert_eq!(server.refused("GET", &format!("/v1/diff?{query}"), "").await.0, status, "{query}");
    }
}

#[tokio::test]
async fn a_restore_leaves_what_was_there_as_a_snapshot() {
    const RESTORE: &str = "/v1/volumes/trading/restore";
    let server = trading().await;
    server.ask("POST", SNAPSHOTS, r#"{"name": "close"}"#).await;
    server.ask("POST", "/v1/topics", r#"{"name": "trading.default.later"}"#).await;
    let (status, safety) = server.ask("POST", RESTORE, r#"{"snapshot": "close"}"#).await;
    assert_eq!((status, &safety["safety"], safety["expires"].is_i64()), (200, &true.into(), true), "{safety}");
    assert_eq!(server.ask("GET", "/v1/volumes/trading", "").await.1["topics"], 1);
    let undo = format!(r#"{{"snapshot": "{}", "lifetime_ms": null}}"#, safety["name"].as_str().unwrap());
    assert_eq!(server.ask("POST", RESTORE, &undo).await.1.get("expires"), None);
    assert_eq!(server.ask("GET", "/v1/volumes/trading", "").await.1["topics"], 2);
    assert_eq!(server.refused("POST", RESTORE, r#"{"snapshot": "no"}"#).await, problem(404, "unknown-snapshot"));
    assert_eq!(server.refused("POST", RESTORE, "{}").await, problem(400, "bad-request"));
    let short = r#"{"snapshot": "close", "lifetime_ms": -1}"#;
    assert_eq!(server.refused("POST", RESTORE, short).await, problem(400, "bad-request"));
    let nowhere = "/v1/volumes/no/restore";
    assert_eq!(server.refused("POST", nowhere, r#"{"snapshot": "a"}"#).await, problem(404, "unknown-volume"));
}

#[tokio::test]
async fn a_schedule_is_created_listed_and_deleted() {
    const SCHEDULES: &str = "/v1/volumes/trading/schedules";
    let server = trading().await;
    let body = r#"{"name": "nightly", "timetable": "daily at 22:00 keep 7d"}"#;
    let (status, created) = server.ask("POST", SCHEDULES, body).await;
    assert_eq!((status, created["next"].is_i64()), (201, true), "{created}");
    for path in [SCHEDULES, "/v1/schedules"] {
        assert_eq!(server.ask("GET", path, "").await.1["schedules"][0]["name"], "nightly");
    }
    for (body, status, kind) in [
        (body, 409, "name-taken"),
        (r#"{"name": "b", "timetable": "now and then"}"#, 400, "bad-request"),
        (r#"{"name": "b.c", "timetable": "hourly keep 2"}"#, 400, "invalid-name"),
        (r#"{"name": "b"}"#, 400, "bad-request"),
    ] {
        assert_eq!(server.refused("POST", SCHEDULES, body).await, problem(status, kind), "{body}");
    }
    let one = format!("{SCHEDULES}/nightly");
    assert_eq!(server.ask("DELETE", &one, "").await.0, 204);
    assert_eq!(server.refused("DELETE", &one, "").await, problem(404, "unknown-schedule"));
    assert_eq!(server.refused("GET", "/v1/volumes/no/schedules", "").await, problem(404, "unknown-volume"));
}

#[tokio::test]
async fn a_listener_is_added_listed_and_removed() {
    let server = trading().await;
    server.ask("POST", SNAPSHOTS, r#"{"name": "close"}"#).await;
    let mut addresses = Vec::new();
    for shows in ["trading", "trading@close"] {
        let body = format!(r#"{{"address": "127.0.0.1:0", "shows": "{shows}"}}"#);
        let (status, added) = server.ask("POST", "/v1/listeners", &body).await;
        assert_eq!((status, &added["shows"]), (201, &shows.into()), "{added}");
        addresses.push(added["address"].as_str().unwrap().to_owned());
    }
    assert_eq!(server.ask("GET", "/v1/listeners", "").await.1["listeners"].as_array().unwrap().len(), 2);
    for (body, status, kind) in [
        (r#"{"address": "127.0.0.1:0", "shows": "no"}"#, 404, "unknown-volume"),
        (r#"{"address": "127.0.0.1:0", "shows": "trading@no"}"#, 404, "unknown-snapshot"),
        (r#"{"address": "127.0.0.1:0", "shows": "trading@16:00"}"#, 400, "bad-request"),
        (r#"{"address": "localhost", "shows": "trading"}"#, 400, "bad-request"),
        (r#"{"address": "192.0.2.1:1", "shows": "trading"}"#, 409, "cannot-listen"),
    ] {
        assert_eq!(server.refused("POST", "/v1/listeners", body).await, problem(status, kind), "{body}");
    }
    let one = format!("/v1/listeners/{}", addresses[0]);
    assert_eq!(server.ask("DELETE", &one, "").await.0, 204);
    assert_eq!(server.refused("DELETE", &one, "").await, problem(404, "unknown-listener"));
    assert_eq!(server.refused("DELETE", "/v1/listeners/here", "").await, problem(400, "bad-request"));
}
