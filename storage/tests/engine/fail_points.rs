//! A crash at every named place: what was acknowledged is there, and nothing is left over.

use millpond_storage::TopicPartition;

use crate::world::{MINUTE, World};

/// Everything once, as far as the process lives.
fn everything(world: &World) -> Option<()> {
    let long = world.partitions("long", 12)?;
    let short = world.partitions("short", 3)?;
    for round in 0..6 {
        for n in 0..70 {
            world.append(long[n % long.len()], &"v".repeat(1_200))?;
            world.append(short[n % short.len()], &"v".repeat(3_000))?;
        }
        world.tend()?;
        world.ground.pass(if round > 2 { 12 * MINUTE } else { 10_000 });
    }
    Some(())
}

/// The places at which work under way can be cut short.
pub(crate) const FAIL_POINTS: [&str; 20] = [
    "roll.before_create",
    "roll.after_create",
    "roll.after_file_sync",
    "roll.after_dir_sync",
    "roll.after_edit",
    "roll.old_synced",
    "manifest.before_write",
    "manifest.after_write",
    "manifest.after_sync",
    "state_at.before_rename",
    "seal.before_index_sync",
    "seal.after_index",
    "seal.after_edit",
    "collect.before_edit",
    "collect.after_edit",
    "collect.after_unlink",
    "rewrite.after_intent",
    "rewrite.before_sync",
    "rewrite.before_edit",
    "rewrite.after_edit",
];

#[test]
fn a_crash_at_every_fail_point_is_recovered_from() {
    for (at, point) in FAIL_POINTS.into_iter().enumerate() {
        let world = World::new();
        world.disk.arm(point);
        everything(&world);
        assert!(world.disk.is_dead(), "{point} was not reached");
        let world = world.again((at % 2 == 1).then_some(at as u64));
        let Some(topic) = world.log.state(|state| state.topic("default", "long").cloned()) else { continue };
        let live = world.log.live();
        for index in 0..topic.partitions {
            let id = TopicPartition::new(topic.number, index);
            let (start, end, records) = world.shown(&live, id).expect("alive");
            assert_eq!(records.len(), usize::try_from(end - start).expect("small"), "{point}: {id} has a hole");
        }
        world.tend().expect("alive");
        world.fill(&[TopicPartition::new(topic.number, 0)], 3).expect("it goes on");
        assert!(!world.disk.paths().iter().any(|path| path.to_string_lossy().contains("trash")), "{point}: set aside");
    }
}
