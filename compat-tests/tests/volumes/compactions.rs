//! `kill -9` at every named step of a compaction, of a volume and of a clone, which compacts what it inherited.
//!
//! After each: every volume shows what it showed, or that compacted, never half of it; snapshots show what they showed; what an unfinished job has written is
//! gone, at the next start or by the next collection; and in the end there is as much on the disk as when nothing came between.

use std::collections::HashMap;
use std::sync::OnceLock;

use millpond_compat_tests::directory;
use millpond_compat_tests::server::{Builder, Server};

use crate::pond::{BATCH, Deed, Kept, Pond, Shown, Views, await_so, collecting, setup};
use crate::steps::{SLACK_BYTES, check, delete_everything, is_accounted};
use crate::trap::{Trap, restart_into};

/// In the order in which they are compacted.
const VOLUMES: [&str; 3] = ["trading", "copy", "other"];

/// Several files' worth of records with keys.
fn template() -> &'static Server {
    static TEMPLATE: OnceLock<Server> = OnceLock::new();
    TEMPLATE.get_or_init(|| {
        let mut server = Pond::make_compacted(setup(), 2, 12).server;
        assert!(server.stop().success());
        server
    })
}

fn compacting(setup: Builder) -> Builder {
    setup.set("log.compaction_check_interval_ms", "50ms")
}

/// A view once it is compacted: below the last batch, which stays as it is, the last record of each key.
fn compacted(shown: &Shown) -> Shown {
    let partitions = shown.partitions.iter().map(|(start, records)| (*start, last_of_each_key(records)));
    Shown { partitions: partitions.collect(), position: shown.position }
}

fn last_of_each_key(records: &[Kept]) -> Vec<Kept> {
    let (below, last_batch) = records.split_at(records.len() - BATCH);
    let last: HashMap<_, _> = below.iter().map(|record| (&record.key, record.offset)).collect();
    let kept = below.iter().filter(|record| last[&record.key] == record.offset);
    kept.chain(last_batch).cloned().collect()
}

/// All views once these volumes are compacted.
fn with_compacted(before: &Views, volumes: &[&str]) -> Views {
    let mut views = before.clone();
    for volume in volumes {
        let shown = compacted(&before[*volume]);
        assert!(shown != before[*volume], "{volume} has nothing to compact");
        views.insert((*volume).to_owned(), shown);
    }
    views
}

/// The volumes that do not show what they showed.
fn done_so_far(pond: &Pond, before: &Views) -> Vec<&'static str> {
    let found = pond.views();
    VOLUMES.into_iter().filter(|volume| found[*volume] != before[*volume]).collect()
}

fn outputs(pond: &Pond) -> usize {
    let files = directory::files(&pond.server.data().join("timelines"));
    files.iter().filter(|(path, _)| path.extension().is_some_and(|extension| extension == "seg")).count()
}

/// Has everything compacted and collected, with nothing kept but what volumes show now: the bytes that are left.
fn finish(pond: &mut Pond, before: &Views, what: &str) -> u64 {
    let written = pond.bytes_on_disk();
    assert!(pond.server.stop().success(), "{what}");
    pond.server.with_setup(collecting(compacting(setup())));
    pond.server.restart();
    let expected = with_compacted(before, &VOLUMES);
    await_so(what, || pond.views() == expected);
    let mut left = expected;
    for deed in [
        Deed::DeleteSnapshot { name: "a".to_owned() },
        Deed::DeleteSnapshot { name: "b".to_owned() },
        Deed::DeleteVolume { name: "copy".to_owned() },
    ] {
        pond.run(&deed);
        left = deed.done(&left);
    }
    assert!(pond.views() == left, "{what}: a view has changed");
    // What is shown is a fraction of what was written.
    await_so(what, || is_accounted(pond) && pond.bytes_on_disk() < written / 4);
    assert!(pond.views() == left, "{what}: a view has changed");
    pond.bytes_on_disk()
}

/// The bytes that are left when nothing comes between.
fn left_by_compactions() -> u64 {
    static LEFT: OnceLock<u64> = OnceLock::new();
    *LEFT.get_or_init(|| {
        let mut pond = Pond::on_copy(setup(), template().data());
        let before = pond.views();
        finish(&mut pond, &before, "without a kill")
    })
}

/// Compactions that end at a step, when it is passed for the nth time; `see` looks at what the next start finds.
fn compact_until((point, nth): (&str, u32), see: impl FnOnce(&Pond, &Views, &str)) {
    let what = format!("compactions at {point}, time {nth}");
    let trap = Trap::new();
    let mut pond = Pond::on_copy(setup(), template().data());
    let before = pond.views();
    assert_eq!(outputs(&pond), 0, "{what}: nothing was collected or compacted yet");
    assert!(pond.server.stop().success(), "{what}");
    pond.server.with_setup(trap.in_setup(compacting(setup())));
    trap.set(point, nth);
    restart_into(&mut pond.server, &what);
    trap.spring();
    pond.server.with_setup(setup());
    pond.server.restart();
    see(&pond, &before, &what);
    let left = finish(&mut pond, &before, &what);
    assert!(left <= left_by_compactions() + SLACK_BYTES, "{what}: {left} bytes are left");
    delete_everything(&pond, &what);
}

#[test]
fn a_compaction_is_done_or_has_not_happened() {
    // Whether its output is kept, and whether it is done.
    let steps = [
        ("compact.after_intent", false, false),
        ("rewrite.before_sync", false, false),
        ("compact.output_synced", false, false),
        ("compact.output_named", true, false),
        ("compact.before_facts", true, false),
        ("compact.after_facts", true, true),
    ];
    for (point, is_kept, is_done) in steps {
        // The first is that of the volume, the second that of the clone.
        for nth in [1, 2] {
            compact_until((point, nth), |pond, before, what| {
                let before_it = usize::try_from(nth - 1).expect("few");
                let done = &VOLUMES[..before_it + usize::from(is_done)];
                check(pond, &with_compacted(before, done), what);
                assert_eq!(outputs(pond), before_it + usize::from(is_kept), "{what}");
            });
        }
    }
}

#[test]
fn an_edit_that_is_cut_short_leaves_no_half_of_a_compaction() {
    for point in ["manifest.before_write", "manifest.after_write", "manifest.after_sync"] {
        for nth in [2, 4] {
            compact_until((point, nth), |pond, before, what| {
                check(pond, &with_compacted(before, &done_so_far(pond, before)), what);
            });
        }
    }
}
