//! `kill -9` at random moments, while volumes are written, frozen, cloned, restored, deleted and collected without a rest.
//!
//! After each kill what was under way is done or not done, and every view shows what it should. The seed is printed; `MILLPOND_SEED` plays the same decisions
//! again (the moments depend on the machine, too).

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use millpond_compat_tests::random::Random;
use millpond_compat_tests::{http, server};
use serde_json::Value;

use crate::pond::{Deed, Kept, PARTITIONS, Pond, Views, collecting, setup};

const KILLS: u32 = 8;
const SNAPSHOTS_MAX: usize = 6;
const CLONES_MAX: usize = 4;

/// What is done next.
enum Step {
    Deed(Deed),
    Append { volume: String, partition: usize, value: Bytes },
    Commit { volume: String, offset: i64 },
}

#[test]
fn what_a_kill_interrupts_is_done_or_not_done() {
    let mut random = Random::of_test("kills");
    let mut pond = Pond::make(collecting(setup()), random.number(), 4);
    let mut views = pond.views();
    let mut names = 0;
    for round in 0..KILLS {
        let killed = AtomicBool::new(false);
        let pid = pond.server.pid();
        let after = Duration::from_millis(random.between(50, 600));
        let last = thread::scope(|scope| {
            scope.spawn(|| {
                // The moment is the test's subject: no event may choose it.
                thread::sleep(after);
                killed.store(true, Ordering::SeqCst);
                server::kill(pid);
            });
            go_on(&mut pond, &mut views, &mut random, &mut names, &killed)
        });
        pond.server.kill();
        pond.server.restart();
        let found = pond.views();
        let done = done(&last, &views);
        let differs = |expected: &Views| {
            let names = expected.keys().chain(found.keys());
            names.filter(|name| expected.get(*name) != found.get(*name)).cloned().collect::<Vec<_>>()
        };
        let (without, with) = (differs(&views), differs(&done));
        assert!(without.is_empty() || with.is_empty(), "kill {round}: {without:?} if not done, {with:?} if done");
        views = found;
    }
    assert!(pond.server.stop().success());
}

/// Does one thing after the other until the broker is killed: what had no answer.
fn go_on(pond: &mut Pond, views: &mut Views, random: &mut Random, names: &mut u32, killed: &AtomicBool) -> Step {
    loop {
        let step = next(pond, views, random, names);
        let outcome = match &step {
            Step::Deed(deed) => deed.run(pond.server.http()).map(|(status, answer)| {
                assert!((200..300).contains(&status), "{deed:?}: {status}, {answer}");
            }),
            Step::Append { volume, partition, value } => pond.append(volume, *partition, value.clone()).map(drop),
            Step::Commit { volume, offset } => pond.commit(volume, *offset),
        };
        if let Err(error) = outcome {
            assert!(killed.load(Ordering::SeqCst), "it failed before the kill: {error}");
            return step;
        }
        *views = done(&step, views);
    }
}

fn next(pond: &mut Pond, views: &Views, random: &mut Random, names: &mut u32) -> Step {
    let mut any = |of: &[String]| of[usize::try_from(random.number()).unwrap_or(0) % of.len().max(1)].clone();
    let (snapshots, volumes): (Vec<String>, Vec<String>) = views.keys().cloned().partition(|name| name.contains('@'));
    let snapshots: Vec<String> = snapshots.iter().filter(|name| !name.contains("before-restore")).cloned().collect();
    let snapshots: Vec<String> = snapshots.iter().map(|name| name.replace("trading@", "")).collect();
    let clones: Vec<String> = volumes.iter().filter(|name| *name != "trading").cloned().collect();
    *names += 1;
    let volume = any(&volumes);
    let snapshot = (!snapshots.is_empty()).then(|| any(&snapshots));
    let deed = match (random.between(0, 11), snapshot) {
        (0, Some(name)) if snapshots.len() > 2 => Deed::DeleteSnapshot { name },
        (1, Some(like)) if snapshots.len() < SNAPSHOTS_MAX && is_of_now(pond, &like) => {
            Deed::Past { name: format!("s{names}"), like }
        }
        (2 | 3, Some(from)) if clones.len() < CLONES_MAX => Deed::Clone { from, name: format!("c{names}") },
        (4, Some(to)) => Deed::Restore { to },
        (5, _) if clones.len() > 1 => Deed::DeleteVolume { name: clones[0].clone() },
        (6 | 7, _) if snapshots.len() < SNAPSHOTS_MAX => Deed::Snapshot { name: format!("s{names}") },
        (8, _) => {
            let offset = i64::try_from(views[&volume].partitions[0].1.len()).expect("few");
            return Step::Commit { volume, offset };
        }
        _ => {
            let partition = usize::try_from(random.between(0, PARTITIONS as u64 - 1)).expect("few");
            return Step::Append { volume, partition, value: pond.value() };
        }
    };
    Step::Deed(deed)
}

/// Whether a snapshot is of the timeline that the volume is in: LSNs name others elsewhere.
fn is_of_now(pond: &Pond, snapshot: &str) -> bool {
    let ask = |path: &str| http::try_call(pond.server.http(), "GET", path, &Value::Null).map(|(_, answer)| answer);
    let found = ask(&format!("/volumes/trading/snapshots/{snapshot}"));
    let volume = ask("/volumes/trading");
    matches!((found, volume), (Ok(found), Ok(volume)) if found["timeline"] == volume["timeline"])
}

fn done(step: &Step, before: &Views) -> Views {
    let mut views = before.clone();
    match step {
        Step::Deed(deed) => return deed.done(before),
        Step::Append { volume, partition, value } => {
            let shown = views.get_mut(volume).expect("it is there");
            let records = &mut shown.partitions[*partition].1;
            let offset = i64::try_from(records.len()).expect("few");
            records.push(Kept { offset, key: None, value: Some(value.clone()) });
        }
        Step::Commit { volume, offset } => views.get_mut(volume).expect("it is there").position = Some(*offset),
    }
    views
}
