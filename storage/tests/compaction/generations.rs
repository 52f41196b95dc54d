//! Views on both sides of a compaction, and what is born of them: each goes on showing what it showed, over later compactions, deletions and restarts.

use millpond_storage::disk::sim::Seed;
use millpond_storage::state::PinId;
use millpond_storage::{DEFAULT_VOLUME, Lsn};

use crate::world::{HISTORY_MS, PARTITIONS, World, id};

const WINDOW_MS: u64 = HISTORY_MS.unsigned_abs() * 3;

fn write(world: &mut World, name: &str, choices: &mut Seed) {
    (0..60).for_each(|_| world.append(name, choices));
}

/// Writes so much that a compaction is due, the last one out of the window, and compacts: how many partitions that were.
fn compact_anew(world: &mut World, name: &str, choices: &mut Seed) -> usize {
    write(world, name, choices);
    settle(world);
    let before = world.compactions;
    world.compact().expect("compacted");
    world.compactions - before
}

/// The history goes by, and all that follows from it happens.
fn settle(world: &mut World) {
    for _ in 0..3 {
        world.tend(WINDOW_MS);
        world.engine().save().expect("a checkpoint");
    }
}

/// Snapshots of the group before a compaction, and of that in which its fact is.
fn snapshots_around_a_compaction(world: &mut World, name: &str, choices: &mut Seed) -> [PinId; 2] {
    write(world, name, choices);
    let before = world.volumes[name].now.clone();
    world.compact().expect("compacted");
    let timeline = world.timeline(world.volumes[name].timeline);
    let fact = timeline.visible_lsn();
    assert!(world.volumes[name].now != before, "the view is another one from that group on");
    let older = world.snapshot_at(timeline.id(), Lsn(fact.0 - 1), before).expect("it is in the window");
    let at = world.snapshot(name);
    assert_eq!(world.snapshots[&at].lsn, fact);
    [older, at]
}

#[test]
fn snapshots_of_the_last_group_before_a_compaction_and_of_its_own_differ_and_stay() {
    for first in [0, 1] {
        let (mut world, mut choices) = (World::new(), Seed::new(21));
        let pins = snapshots_around_a_compaction(&mut world, DEFAULT_VOLUME, &mut choices);
        world.kill(Some(1));
        world.check_all(&mut choices);
        for seed in 2..4 {
            assert!(compact_anew(&mut world, DEFAULT_VOLUME, &mut choices) > 0);
            settle(&mut world);
            world.kill(Some(seed));
            world.check_all(&mut choices);
        }
        // One goes, and the other one stays, whichever it is.
        for pin in [pins[first], pins[1 - first]] {
            world.unpin(pin);
            settle(&mut world);
            world.reopen();
            world.check_all(&mut choices);
        }
    }
}

#[test]
fn clones_born_around_and_between_compactions_read_what_they_were_born_with() {
    let (mut world, mut choices) = (World::new(), Seed::new(22));
    let empty = world.snapshot(DEFAULT_VOLUME);
    let parent = world.clone_of(&world.snapshots[&empty].clone());
    let mut pins = snapshots_around_a_compaction(&mut world, &parent, &mut choices).to_vec();
    write(&mut world, &parent, &mut choices);
    pins.push(world.snapshot(&parent));
    settle(&mut world);
    pins.extend(snapshots_around_a_compaction(&mut world, &parent, &mut choices));
    let clones: Vec<_> = pins.iter().map(|pin| world.clone_of(&world.snapshots[pin].clone())).collect();
    assert!(compact_anew(&mut world, &parent, &mut choices) > 0);
    pins.into_iter().chain([empty]).for_each(|pin| world.unpin(pin));
    settle(&mut world);
    world.kill(Some(1));
    world.check_all(&mut choices);
    // What is left of the parent is what its children read.
    world.delete_volume(&parent);
    settle(&mut world);
    world.kill(Some(2));
    world.check_all(&mut choices);
    for (nth, clone) in clones.iter().enumerate() {
        assert!(compact_anew(&mut world, clone, &mut choices) > 0, "{clone} compacts what it inherited");
        let pin = world.snapshot(clone);
        let of_clone = world.clone_of(&world.snapshots[&pin].clone());
        world.delete_volume(clone);
        world.unpin(pin);
        settle(&mut world);
        if nth % 2 == 0 {
            world.kill(Some(3));
        }
        world.check_all(&mut choices);
        world.append(&of_clone, &mut choices);
    }
    world.check_all(&mut choices);
}

#[test]
fn a_restore_to_before_a_compaction_goes_its_own_way_and_is_undone() {
    for kills in [false, true] {
        let (mut world, mut choices) = (World::new(), Seed::new(23));
        write(&mut world, DEFAULT_VOLUME, &mut choices);
        let before = world.snapshot(DEFAULT_VOLUME);
        write(&mut world, DEFAULT_VOLUME, &mut choices);
        world.compact().expect("compacted");
        write(&mut world, DEFAULT_VOLUME, &mut choices);
        let safety = world.restore_to(DEFAULT_VOLUME, &world.snapshots[&before].clone());
        let is_compacted = |world: &World| {
            let timeline = world.timeline(world.volumes[DEFAULT_VOLUME].timeline);
            (0..PARTITIONS).any(|index| timeline.state(|state| state.compaction(id(index)).is_some()))
        };
        assert!(!is_compacted(&world), "at that time nothing was");
        if kills {
            world.kill(Some(1));
        }
        assert!(compact_anew(&mut world, DEFAULT_VOLUME, &mut choices) > 0);
        settle(&mut world);
        world.check_all(&mut choices);
        world.restore_to(DEFAULT_VOLUME, &world.snapshots[&safety].clone());
        assert!(is_compacted(&world), "as it was when the volume went back");
        if kills {
            world.kill(None);
        }
        world.check_all(&mut choices);
        world.unpin(before);
        assert!(compact_anew(&mut world, DEFAULT_VOLUME, &mut choices) > 0);
        settle(&mut world);
        world.check_all(&mut choices);
    }
}

/// Without syncs the fact is visible before it is durable. What it supersedes stays at least as long: if it is lost, nothing has happened.
#[test]
fn a_compaction_that_the_power_takes_back_has_not_happened() {
    let (mut kept, mut lost) = (0, 0);
    for seed in 0..12 {
        let (mut world, mut choices) = (World::new(), Seed::new(seed));
        world.acknowledge_early();
        write(&mut world, DEFAULT_VOLUME, &mut choices);
        world.snapshot(DEFAULT_VOLUME); // all up to here is durable
        let before = world.volumes[DEFAULT_VOLUME].now.clone();
        world.compact().expect("compacted");
        assert!(world.compactions > 0);
        world.engine().retain().expect("collected");
        world.kill(Some(seed));
        let timeline = world.timeline(world.volumes[DEFAULT_VOLUME].timeline);
        let is_there = timeline.state(|state| state.compaction(id(0)).is_some());
        let volume = world.volumes.get_mut(DEFAULT_VOLUME).expect("it is known");
        volume.past.clear();
        if is_there {
            kept += 1;
        } else {
            lost += 1;
            volume.now = before;
        }
        world.check_all(&mut choices);
        assert!(compact_anew(&mut world, DEFAULT_VOLUME, &mut choices) > 0);
        settle(&mut world);
        world.check_all(&mut choices);
    }
    assert!(lost > 0, "{kept} of them stayed");
}
