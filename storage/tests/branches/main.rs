//! Timelines that branch, against a plain model that copies everything: random appends, positions, new and deleted topics, snapshots of now and of the past,
//! clones of clones, restores, deletions, retention, collection, kills and losses of power. Every view is read in full at the end of each life, and must be
//! what it was when it was taken.

#![expect(clippy::unwrap_used, reason = "a number of the model that is not small is a mistake of the test")]

#[path = "../support/calls.rs"]
mod calls;
mod check;
mod crashes;
mod cuts;
#[path = "../support/facts.rs"]
mod facts;
mod lineage;
mod plain;
#[path = "../support/volumes.rs"]
mod volumes;
mod world;

use millpond_storage::disk::sim::Seed;

use world::World;

const LIVES: u64 = 24;
const STEPS: u64 = 160;

/// A longer search: `BRANCH_LIVES=1000 cargo test --test branches`.
fn lives() -> u64 {
    std::env::var("BRANCH_LIVES").ok().and_then(|lives| lives.parse().ok()).unwrap_or(LIVES)
}

#[test]
fn every_view_stays_what_it_was() {
    let first: u64 = std::env::var("BRANCH_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(1);
    for seed in first..first + lives() {
        let outcome = std::panic::catch_unwind(|| {
            let mut world = World::new(seed);
            let mut choices = Seed::new(seed);
            for _ in 0..STEPS {
                world.step(&mut choices);
            }
            world.check_all();
            world.delete_all();
        });
        assert!(outcome.is_ok(), "seed {seed}: BRANCH_SEED={seed} BRANCH_LIVES=1 shows it again");
    }
}

#[test]
fn a_crash_anywhere_in_a_branch_leaves_all_of_it_or_nothing() {
    for point in ["branch.after_intent", "branch.after_manifest", "branch.after_files", "branch.after_removal"] {
        for power in [false, true] {
            let mut world = World::new(7);
            let mut choices = Seed::new(7);
            for _ in 0..40 {
                world.step(&mut choices);
            }
            world.branch_until(point, power);
            world.check_all();
            world.delete_all();
        }
    }
}

#[test]
fn a_crash_anywhere_in_a_restore_leaves_the_volume_on_one_side_of_it() {
    for (point, is_done) in [("branch.after_files", false), ("replace.fenced", false), ("replace.named", true)] {
        for power in [false, true] {
            let mut world = World::new(7);
            let mut choices = Seed::new(7);
            for _ in 0..40 {
                world.step(&mut choices);
            }
            world.restore_until(point, is_done, power);
            world.check_all();
            world.delete_all();
        }
    }
}

#[test]
fn a_chain_of_clones_is_freed_link_by_link_in_any_order() {
    for order in 0..24 {
        let mut world = World::new(order);
        world.chain(5, order);
    }
}
