//! `kill -9` at every named step of snapshots, clones, restores, deletions and collections.
//!
//! After each: what was under way is done or not done, as the step says; every other view reads as before; and when all is deleted that there is, nothing is
//! left on the disk, and no output of anything unfinished.

use std::fs;
use std::path::PathBuf;
use std::sync::OnceLock;

use millpond_compat_tests::server::{Builder, Server};
use millpond_compat_tests::{directory, http};
use serde_json::Value;

use crate::pond::{Deed, Pond, Views, await_so, collecting, list, setup};
use crate::trap::{Trap, assert_killed, restart_into};

/// Of files that grow, and between batches.
pub(crate) const SLACK_BYTES: u64 = 512 << 10;

/// Where it ends, when that is passed for the nth time; and whether it is done then.
type Step = (&'static str, u32, bool);

/// Data to begin with, made once: about a hundred records, or several files' worth.
fn template(is_large: bool) -> &'static Server {
    static TEMPLATES: [OnceLock<Server>; 2] = [OnceLock::new(), OnceLock::new()];
    TEMPLATES[usize::from(is_large)].get_or_init(|| {
        let mut server = Pond::make(setup(), 1, if is_large { 24 } else { 4 }).server;
        assert!(server.stop().success());
        server
    })
}

fn s(name: &str) -> String {
    name.to_owned()
}

/// Does something that ends at a step, and looks at what is there then.
fn end_at(deed: &Deed, (point, nth, is_done): Step) {
    let what = format!("{deed:?} at {point}");
    let trap = Trap::new();
    let mut pond = Pond::on_copy(trap.in_setup(setup()), template(false).data());
    let before = pond.views();
    trap.set(point, nth);
    let answer = deed.run(pond.server.http());
    assert!(answer.is_err(), "{what} was not reached: {answer:?}");
    assert_killed(&mut pond.server, &what);
    trap.spring();
    pond.server.restart();
    let expected = if is_done { deed.done(&before) } else { before.clone() };
    check(&pond, &expected, &what);
    if !is_done {
        pond.run(deed);
        check(&pond, &deed.done(&before), &what);
    }
    let setup = collecting(setup());
    assert!(pond.server.stop().success(), "{what}");
    pond.server.with_setup(setup);
    pond.server.restart();
    check(&pond, &deed.done(&before), &what);
    delete_everything(&pond, &what);
}

pub(crate) fn check(pond: &Pond, expected: &Views, what: &str) {
    let found = pond.views();
    assert!(found.keys().eq(expected.keys()), "{what}: {:?}, not {:?}", found.keys(), expected.keys());
    for (name, shown) in &found {
        assert!(*shown == expected[name], "{what}: {name} does not show what it should");
    }
    let leftovers: Vec<PathBuf> = directory::files(pond.server.data())
        .into_iter()
        .map(|(path, _)| path)
        .filter(|path| path.to_string_lossy().ends_with(".tmp") || path.iter().any(|part| part == "trash"))
        .collect();
    assert!(leftovers.is_empty(), "{what}: {leftovers:?}");
}

/// When all snapshots and volumes are deleted, their directories go, whatever was under way when the process ended.
pub(crate) fn delete_everything(pond: &Pond, what: &str) {
    let http = pond.server.http();
    for snapshot in list(http, "/snapshots", "snapshots") {
        let path = format!("/volumes/{}/snapshots/{}", snapshot["volume"], snapshot["name"]).replace('"', "");
        http::call(http, "DELETE", &path, &Value::Null);
    }
    for volume in list(http, "/volumes", "volumes").iter().filter(|volume| volume["name"] != "default") {
        http::call(http, "DELETE", &format!("/volumes/{}?force=true", volume["name"]).replace('"', ""), &Value::Null);
    }
    let left = || fs::read_dir(pond.server.data().join("timelines")).expect("it is there").count();
    let default = http::call(http, "GET", "/volumes/default", &Value::Null);
    await_so(what, || left() == 2 && pond.bytes_on_disk() < 64 << 10);
    let default_dir = pond.server.data().join("timelines").join(default["timeline"].to_string());
    assert!(default_dir.is_dir(), "{what}: {}", default_dir.display());
}

#[test]
fn a_snapshot_is_there_or_not() {
    for step in [("pin.before_fact", 1, false), ("pin.after_fact", 1, true)] {
        end_at(&Deed::Snapshot { name: s("new") }, step);
        end_at(&Deed::Past { name: s("new"), like: s("a") }, step);
    }
}

/// Steps of making a branch, before anything says that it is there.
const BRANCH: [Step; 9] = [
    ("branch.after_intent", 1, false),
    ("manifest.new.before_rename", 1, false),
    ("manifest.new.after_rename", 1, false),
    ("branch.after_manifest", 1, false),
    ("state_at.before_rename", 1, false),
    ("manifest.before_write", 1, false),
    ("manifest.after_write", 1, false),
    ("manifest.after_sync", 1, false),
    ("branch.after_files", 1, false),
];

#[test]
fn a_clone_is_there_or_not() {
    for step in BRANCH.into_iter().chain([("branch.after_fact", 1, true)]) {
        end_at(&Deed::Clone { from: s("b"), name: s("new") }, step);
    }
}

#[test]
fn a_volume_is_restored_or_not() {
    for step in BRANCH.into_iter().chain([("replace.fenced", 1, false), ("replace.named", 1, true)]) {
        end_at(&Deed::Restore { to: s("a") }, step);
    }
}

#[test]
fn a_deletion_is_done_or_not() {
    for name in ["a", "b"] {
        end_at(&Deed::DeleteSnapshot { name: s(name) }, ("unpin.after_fact", 1, true));
    }
    for name in ["other", "copy", "trading"] {
        end_at(&Deed::DeleteVolume { name: s(name) }, ("unname.after_fact", 1, true));
    }
}

#[test]
fn snapshots_outlive_their_volume() {
    let pond = Pond::on_copy(collecting(setup()), template(false).data());
    let before = pond.views();
    pond.run(&Deed::DeleteVolume { name: s("trading") });
    pond.run(&Deed::Clone { from: s("b"), name: s("again") });
    let found = pond.views();
    assert!(found["again"] == before["trading@b"] && found["copy"] == before["copy"]);
    delete_everything(&pond, "a volume that outlived its source");
}

/// A broker with much to collect: what is hidden in `trading`, what only snapshot `b` showed, all of a clone.
fn with_garbage(setup: Builder) -> Pond {
    let pond = Pond::on_copy(setup, template(true).data());
    pond.delete_records("trading", 4);
    pond.run(&Deed::DeleteSnapshot { name: s("b") });
    pond.run(&Deed::DeleteVolume { name: s("copy") });
    pond
}

/// The bytes that are left of it when nothing comes between.
fn left_by_a_collection() -> u64 {
    static LEFT: OnceLock<u64> = OnceLock::new();
    *LEFT.get_or_init(|| {
        let mut pond = with_garbage(setup());
        let before = pond.bytes_on_disk();
        assert!(pond.server.stop().success());
        pond.server.with_setup(collecting(setup()));
        pond.server.restart();
        // Half of what is there is needed by nothing.
        await_so("collected", || pond.bytes_on_disk() < before * 2 / 3 && is_accounted(&pond));
        pond.bytes_on_disk()
    })
}

/// What is on the disk is what the broker knows of, but for what lies between batches.
pub(crate) fn is_accounted(pond: &Pond) -> bool {
    pond.bytes_on_disk() <= pond.bytes_known() + SLACK_BYTES
}

/// A collection that ends at a step, and the next one.
fn collect_until(point: &str, nth: u32) {
    let what = format!("a collection at {point}");
    let trap = Trap::new();
    let mut pond = with_garbage(setup());
    let before = pond.views();
    assert!(pond.server.stop().success(), "{what}");
    pond.server.with_setup(trap.in_setup(collecting(setup())));
    trap.set(point, nth);
    restart_into(&mut pond.server, &what);
    trap.spring();
    pond.server.restart();
    check(&pond, &before, &what);
    await_so(&what, || pond.bytes_on_disk() <= left_by_a_collection() + SLACK_BYTES && is_accounted(&pond));
    check(&pond, &before, &what);
    delete_everything(&pond, &what);
}

#[test]
fn a_collection_frees_what_nothing_needs_whatever_came_between() {
    for point in [
        "floor.planned",
        "floor.after_fact",
        "branch.removing",
        "branch.after_removal",
        "collect.before_edit",
        "collect.after_edit",
        "collect.after_unlink",
        "collect.after_state_at_edit",
        "rewrite.after_intent",
        "rewrite.before_sync",
        "rewrite.outputs_synced",
        "rewrite.before_edit",
        "rewrite.after_edit",
    ] {
        collect_until(point, 1);
    }
    for nth in [2, 5] {
        collect_until("manifest.after_write", nth);
    }
}
