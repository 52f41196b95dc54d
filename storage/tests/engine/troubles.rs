//! Upkeep of which something fails: what fails for one timeline, or one file, keeps no other from being tended.

use std::path::{Path, PathBuf};

use millpond_storage::state::Volume;
use millpond_storage::{PinnedView, Timeline, TimelineId};

use crate::branches::{clone_of, snapshot};
use crate::calls::wait;
use crate::world::{MINUTE, World};

fn directory(timeline: TimelineId) -> PathBuf {
    format!("timelines/{timeline}").into()
}

#[test]
fn a_timeline_whose_files_fail_keeps_no_other_from_being_tended() {
    let world = World::tuned(|options| options.checkpoint_bytes = 0);
    let (short, long) = (world.partitions("short", 1).expect("made"), world.partitions("long", 20).expect("made"));
    world.fill(&short, 10).expect("alive");
    for batches in [400, 10] {
        world.fill(&long, batches).expect("alive");
        world.engine.save().expect("alive");
    }
    let stand = snapshot(&world.engine, PinnedView::Now(world.log.id())).expect("now can be had");
    let clone = clone_of(&world.engine, stand, "copy");
    let saved = |world: &World| world.state_ats(clone.id().0).len();
    let start = |of: &Timeline| of.partition(short[0]).expect("it is there").log_start();
    world.ground.pass(2 * MINUTE);

    let before = saved(&world);
    // Log files of the first wait to be sorted, and it is to have a checkpoint.
    for dir in ["segments", "state-at"] {
        world.disk.break_below(directory(world.log.id()).join(dir));
    }
    assert!(world.engine.retain().is_err(), "nothing is sorted");
    assert!(world.engine.maintain().is_err() && world.engine.save().is_err(), "it has no checkpoint");
    assert!(start(&world.log) == 10 && start(&clone) == 10, "records are past their time in both");
    assert!(saved(&world) > before, "the other has a checkpoint");
    assert!(world.engine.stats().upkeep_failures.get() >= 2);
    assert!(!world.is_gone(), "that is not the end of the process");

    world.disk.calm();
    world.tend().expect("alive");
    assert!(!world.files(1, ".seg").is_empty(), "it is sorted now");
}

#[test]
fn a_timeline_that_cannot_be_removed_keeps_no_other_from_it_and_goes_when_it_can() {
    let world = World::new();
    let stand = snapshot(&world.engine, PinnedView::Now(world.log.id())).expect("now can be had");
    let clones = ["first", "second"].map(|name| clone_of(&world.engine, stand, name).id());
    for (name, timeline) in ["first", "second"].into_iter().zip(clones) {
        let unname = wait(|done| {
            let delete = move |txn: &mut millpond_storage::state::Txn<'_>| {
                txn.delete::<Volume>(name.into());
                Ok::<_, ()>(())
            };
            world.engine.unname(timeline, delete, done);
        });
        unname.expect("durable").expect("it is not refused");
    }
    let is_there = |timeline| world.disk.paths().iter().any(|path| path.starts_with(directory(timeline)));
    // The youngest goes first.
    world.disk.break_below(directory(clones[1]));
    assert!(world.engine.retain().is_err());
    assert_eq!(clones.map(is_there), [false, true]);
    world.disk.calm();
    world.engine.retain().expect("it goes");
    assert_eq!(clones.map(is_there), [false, false]);
    assert_eq!(world.engine.system().state(|state| state.timelines().count()), 1);
}

#[test]
fn a_sealed_file_that_cannot_be_read_is_left_as_it_is_and_the_others_are_sorted() {
    let world = World::new();
    let ids = world.partitions("long", 20).expect("made");
    world.fill(&ids, 500).expect("alive");
    world.engine.maintain().expect("sealed");
    let mut indexes = world.files(1, ".idx");
    indexes.sort();
    assert!(indexes.len() > 6, "{indexes:?}");
    world.disk.break_below(&indexes[1]);
    for _ in 0..2 {
        world.engine.save().expect("alive");
        world.engine.retain().expect("it is not rewritten, which is no failure");
    }
    let is_there = |path: &Path| world.disk.paths().iter().any(|other| other == path);
    assert!(is_there(&indexes[1]));
    assert!(!is_there(&indexes[2]), "it was sorted");
    assert!(!world.files(1, ".seg").is_empty());
    world.disk.calm();
    let before = world.all_shown(&ids);
    let world = world.again(None);
    assert!(world.all_shown(&ids) == before);
}
