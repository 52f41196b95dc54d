//! What a start can do without: rotten folds and rotten batches cost what was in them and nothing else.

use crate::world::World;

/// Sorted away, so that no log file from the beginning on is left.
fn sorted() -> (World, Vec<millpond_storage::TopicPartition>) {
    let world = World::new();
    let ids = world.partitions("long", 20).expect("made");
    for _ in 0..4 {
        world.fill(&ids, 100).expect("alive");
        world.tend().expect("alive");
    }
    world.fill(&ids, 30).expect("alive");
    assert!(!world.files(1, ".seg").is_empty(), "nothing was sorted");
    (world, ids)
}

#[test]
fn a_rotten_state_at_is_stood_in_for_by_the_one_before_and_the_log() {
    let (world, ids) = sorted();
    let before = world.all_shown(&ids);
    let folds = world.state_ats(1);
    let newest = folds.last().expect("there is one").clone();
    assert!(folds.len() >= 2, "{folds:?}");
    assert!(world.disk.flip(&newest, 100, 1));
    let world = world.again(None);
    assert!(world.all_shown(&ids) == before, "another fold shows other records");
    assert!(!world.state_ats(1).contains(&newest), "what does not check is not relied on");
    assert_eq!(world.files(1, "").iter().filter(|path| path.to_string_lossy().contains("trash")).count(), 1);
    // And again, with one that the engine wrote on top of it.
    world.fill(&ids, 100).expect("alive");
    world.tend().expect("alive");
    let before = world.all_shown(&ids);
    let newest = world.state_ats(1).last().expect("there is one").clone();
    assert!(world.disk.flip(&newest, 200, 1));
    let world = world.again(Some(1));
    assert!(world.all_shown(&ids) == before);
}

#[test]
fn folds_do_not_pile_up() {
    let (world, ids) = sorted();
    for _ in 0..5 {
        world.ground.pass(11 * crate::world::MINUTE);
        world.fill(&ids, 5).expect("alive");
        world.tend().expect("alive");
    }
    assert!(world.state_ats(1).len() <= 3, "{:?}", world.state_ats(1));
}
