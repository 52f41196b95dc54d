//! `volume`, `stream` and what is made of them, against a running broker, over restarts.

use millpond_compat_tests::server::Server;
use serde_json::Value;

use crate::{fail, run};

fn json(server: &Server, arguments: &[&str]) -> Value {
    serde_json::from_str(&run(server, &[arguments, &["--json"]].concat())).expect("it prints JSON")
}

#[test]
fn volumes_and_streams_are_made_changed_and_deleted_over_a_restart() {
    let mut server = Server::start();
    let created = run(&server, &["volume", "create", "trading", "--history", "2h", "--durability", "page-cache"]);
    assert!(created.starts_with("Created volume trading at /trading."), "{created}");
    let words = fail(&server, &["volume", "create", "trading"]);
    assert!(words.starts_with("millpond: There is a volume trading already. `millpond volume describe"), "{words}");
    run(&server, &["stream", "create", "trading", "taq", "--ttl", "2d", "--partitions", "3"]);
    run(&server, &["topic", "create", "trading.taq.trades"]);
    let topic = json(&server, &["topic", "describe", "trading.taq.trades"]);
    assert_eq!(topic["partitions"].as_array().unwrap().len(), 3);
    let retention = topic["config"].as_array().unwrap().iter().find(|key| key["name"] == "retention.ms").unwrap();
    assert_eq!((&retention["value"], &retention["own"]), (&"172800000".into(), &false.into()));

    server.kill();
    server.restart();
    let volume = json(&server, &["volume", "describe", "trading"]);
    assert_eq!((&volume["history_ms"], &volume["partitions"]), (&7_200_000.into(), &3.into()));
    assert!(run(&server, &["volume", "list"]).contains("trading  /trading  page-cache"));
    let described = run(&server, &["stream", "describe", "trading", "taq"]);
    assert!(described.contains("  partitions = 3\n  retention.ms = 172800000\n"), "{described}");
    run(&server, &["volume", "alter", "trading", "--durability", "default", "--mount", "/markets/trading"]);
    assert_eq!(json(&server, &["topic", "describe", "/markets/trading/taq:trades"])["config"], topic["config"]);

    assert!(fail(&server, &["stream", "delete", "trading", "taq"]).contains("--force"));
    run(&server, &["stream", "delete", "trading", "taq", "--force"]);
    assert!(run(&server, &["volume", "delete", "trading"]).starts_with("Deleted volume trading. "));
    let words = fail(&server, &["volume", "describe", "trading"]);
    assert!(words.contains("There is no volume \"trading\". `millpond volume list`"), "{words}");
}

/// Has a topic in the volume `trading`.
fn trading(server: &Server) {
    run(server, &["volume", "create", "trading"]);
    run(server, &["topic", "create", "trading.default.trades"]);
}

#[test]
fn the_past_is_frozen_cloned_compared_and_restored() {
    let mut server = Server::start();
    trading(&server);
    let lsn = json(&server, &["volume", "describe", "trading"])["lsn"].to_string();
    run(&server, &["topic", "create", "trading.default.later"]);
    let taken = run(&server, &["snapshot", "create", "trading", "open", "--at", &format!("lsn:{lsn}")]);
    assert!(
        taken.contains("Took snapshot trading@open") && taken.contains("millpond clone create trading@open"),
        "{taken}"
    );
    run(&server, &["snapshot", "create", "trading", "close", "--keep", "4w", "--protect"]);
    let words = fail(&server, &["snapshot", "create", "trading", "x", "--at", "2001-01-01T00:00:00Z"]);
    assert!(words.contains("no longer kept. The oldest that can be had is of"), "{words}");

    let diff = run(&server, &["diff", "trading@open", "trading"]);
    assert!(diff.contains("later  trading only"), "{diff}");
    run(&server, &["clone", "create", "trading@open", "trading-v2"]);
    server.kill();
    server.restart();
    let topics = |volume: &str| json(&server, &["volume", "describe", volume])["topics"].clone();
    assert_eq!((topics("trading"), topics("trading-v2")), (2.into(), 1.into()));
    assert!(run(&server, &["clone", "list"]).contains("trading-v2  trading@open"));

    let restored = json(&server, &["restore", "trading@open", "--keep", "forever"]);
    assert_eq!(topics("trading"), 1);
    let undo = format!("trading@{}", restored["name"].as_str().unwrap());
    assert!(run(&server, &["restore", &undo]).contains("undoes this"));
    assert_eq!(topics("trading"), 2);

    assert!(fail(&server, &["snapshot", "delete", "trading@close"]).contains("is protected"));
    run(&server, &["snapshot", "unprotect", "trading@close"]);
    run(&server, &["snapshot", "delete", "trading@close"]);
    let list = run(&server, &["snapshot", "list", "trading"]);
    assert!(list.contains("trading@open") && !list.contains("trading@close"), "{list}");
}

#[test]
fn a_schedule_takes_snapshots_by_itself_and_a_lifetime_ends_by_itself() {
    let server = Server::start();
    run(&server, &["volume", "create", "trading"]);
    run(&server, &["snapshot", "create", "trading", "brief", "--keep", "1s"]);
    let created = run(&server, &["schedule", "create", "trading", "often", "every", "1s", "keep", "2"]);
    assert!(
        created.starts_with("Created schedule often of volume trading: its first snapshot is taken at"),
        "{created}"
    );
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
    loop {
        let list = run(&server, &["snapshot", "list", "trading"]);
        if list.matches("schedule often").count() == 2 && !list.contains("trading@brief") {
            break;
        }
        assert!(std::time::Instant::now() < deadline, "{list}");
    }
    assert!(run(&server, &["schedule", "list"]).contains("every 1s keep 2"));
    run(&server, &["schedule", "delete", "trading", "often"]);
    assert!(run(&server, &["schedule", "list", "trading"]).contains("no schedules yet"));
}

#[test]
fn topics_of_a_clone_are_listed_changed_and_its_groups_deleted() {
    let server = Server::start();
    trading(&server);
    run(&server, &["snapshot", "create", "trading", "close"]);
    run(&server, &["clone", "create", "trading@close", "v2", "--max-topics", "5"]);
    assert!(!run(&server, &["topic", "list"]).contains("v2."), "clones are not listed");
    assert!(run(&server, &["topic", "list", "v2"]).contains("v2.default.trades"));
    assert!(run(&server, &["topic", "list", "trading@close"]).contains("trading.-close.default.trades"));
    let altered = ["topic", "alter", "v2.default.trades", "--partitions", "3", "--config", "retention.ms=5"];
    assert!(run(&server, &altered).contains("  retention.ms = 5\n"));
    let altered = json(&server, &["topic", "alter", "v2.default.trades", "--unset", "retention.ms"]);
    let is_own = |key: &Value| key["own"] == true;
    assert_eq!(altered["partitions"].as_array().unwrap().len(), 3);
    assert!(!altered["config"].as_array().unwrap().iter().any(is_own));
    assert!(fail(&server, &["topic", "alter", "v2.default.trades"]).contains("nothing is to be changed"));

    let commit = millpond_compat_tests::requests::commit("app", "trading.default.trades", 0, 0, "");
    assert_eq!(server.wire().call(5, &commit).topics[0].partitions[0].error_code, 0);
    assert_eq!(run(&server, &["group", "delete", "app"]), "Deleted group app.\n");
    let words = fail(&server, &["group", "delete", "app"]);
    assert!(words.contains("There is no group \"app\". `millpond group list`"), "{words}");
    let words = fail(&server, &["listener", "add", "127.0.0.1:0", "--volume", "no"]);
    assert!(
        words.contains("`millpond volume list` shows those that there are, `millpond volume create NAME`"),
        "{words}"
    );
}

#[test]
fn views_of_the_past_are_compared_and_cloned_without_a_snapshot() {
    let server = Server::start();
    trading(&server);
    let lsn = json(&server, &["volume", "describe", "trading"])["lsn"].to_string();
    let batch = millpond_compat_tests::batch::Batch::of_value("a").encode();
    let bytes = batch.len();
    let produce = millpond_compat_tests::requests::produce(-1, [("trading.default.trades".to_owned(), 0, batch)]);
    server.wire().call(millpond_compat_tests::requests::PRODUCE, &produce);
    let before = format!("trading@lsn:{lsn}");
    for view in [&before, "trading@trades/0/0"] {
        let diff = json(&server, &["diff", view, "trading"]);
        let trades = &diff["topics"][0];
        assert_eq!((&trades["added"]["records"], &trades["added"]["bytes"]), (&1.into(), &bytes.into()), "{diff}");
    }
    let now = millpond::cli::calendar::show_time(millpond_compat_tests::batch::now());
    assert!(run(&server, &["diff", &format!("trading@{now}"), "trading"]).starts_with("There is no difference"));
    run(&server, &["clone", "create", &before, "v2"]);
    assert!(run(&server, &["clone", "list"]).contains("v2     trading  "));
    assert_eq!(json(&server, &["diff", "v2", "trading"])["topics"][0]["added"]["records"], 1);
    let words = fail(&server, &["listener", "add", "127.0.0.1:0", "--volume", &before]);
    assert!(words.contains("millpond snapshot create trading NAME --at lsn:"), "{words}");
}
