//! The process dies at each named step of a compaction: it is done, or nothing has happened, and outputs of the unfinished go.

use millpond_storage::DEFAULT_VOLUME;
use millpond_storage::disk::sim::Seed;

use crate::world::{HISTORY_MS, World};

/// A world in which a compaction is due, with a snapshot and a clone from before.
fn due(seed: u64) -> (World, Seed) {
    let (mut world, mut choices) = (World::new(), Seed::new(seed));
    (0..60).for_each(|_| world.append(DEFAULT_VOLUME, &mut choices));
    let before = world.snapshot(DEFAULT_VOLUME);
    world.clone_of(&world.snapshots[&before].clone());
    (0..60).for_each(|_| world.append(DEFAULT_VOLUME, &mut choices));
    world.tend(10);
    (world, choices)
}

#[test]
fn a_crash_at_each_step_leaves_all_of_a_compaction_or_nothing() {
    let points = [
        "compact.after_intent",
        "rewrite.before_sync",
        "compact.output_synced",
        "compact.output_named",
        "compact.before_facts",
        "compact.after_facts",
    ];
    for point in points {
        for power in [false, true] {
            let (mut world, mut choices) = due(5);
            world.disk.arm(point);
            let outcome = world.compact();
            assert!(outcome.is_err() && world.disk.reached().contains(point), "{point} was not reached");
            world.kill(power.then_some(3));
            world.notice();
            assert_eq!(world.compactions > 0, point == "compact.after_facts", "{point}");
            world.check_all(&mut choices);
            world.tend(1);
            (0..20).for_each(|_| world.append(DEFAULT_VOLUME, &mut choices));
            world.compact().expect("it is done now");
            assert!(world.compactions > 0, "{point}");
            world.check_all(&mut choices);
            world.tend(HISTORY_MS.unsigned_abs() * 2);
            world.check_all(&mut choices);
        }
    }
}

/// Without syncs the log may lose what an output was made of, and the output stays. So what is compacted is synced first.
#[test]
fn what_is_compacted_is_durable_before_anything_is_made_of_it() {
    for seed in 0..8 {
        let (mut world, mut choices) = (World::new(), Seed::new(seed));
        world.acknowledge_early();
        (0..60).for_each(|_| world.append(DEFAULT_VOLUME, &mut choices));
        world.remember(DEFAULT_VOLUME);
        world.disk.arm("compact.output_named");
        assert!(world.compact().is_err(), "it dies there");
        world.kill(Some(seed));
        assert!(world.timeline(world.volumes[DEFAULT_VOLUME].timeline).damage().is_none());
        world.check_all(&mut choices);
        world.compact().expect("it is done now");
        world.check_all(&mut choices);
    }
}

#[test]
fn a_full_disk_gives_a_compaction_up_and_nothing_else() {
    let (mut world, mut choices) = due(6);
    world.disk.budget(Some(2_000));
    assert!(world.compact().is_err(), "there is no room");
    world.disk.budget(None);
    world.check_all(&mut choices);
    world.compact().expect("there is room");
    assert!(world.compactions > 0);
    world.check_all(&mut choices);
}
