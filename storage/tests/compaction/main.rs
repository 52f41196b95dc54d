//! Compaction, against a plain model that knows every record of every view: keys, tombstones, records without a key, all codecs, pins of now and of the past, clones
//! of clones that compact what they inherited, restores, deleted records, collection, kills and losses of power. Every view is read in full at the end of each life, and
//! must be what it was when it was taken.

#![expect(clippy::unwrap_used, reason = "a number of the model that is not small is a mistake of the test")]

#[path = "../support/calls.rs"]
mod calls;
mod check;
mod crashes;
#[path = "../support/facts.rs"]
mod facts;
mod freed;
mod generations;
mod meanwhile;
mod plain;
#[path = "../support/volumes.rs"]
mod volumes;
mod world;

use millpond_storage::disk::sim::Seed;

use world::World;

const LIVES: u64 = 24;
const STEPS: u64 = 220;

/// A longer search: `COMPACTION_LIVES=1000 cargo test --test compaction`.
fn lives() -> u64 {
    std::env::var("COMPACTION_LIVES").ok().and_then(|lives| lives.parse().ok()).unwrap_or(LIVES)
}

#[test]
fn every_view_stays_what_it_was_and_the_live_one_has_the_last_value_of_each_key() {
    let first: u64 = std::env::var("COMPACTION_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(1);
    let mut compactions = 0;
    for seed in first..first + lives() {
        let outcome = std::panic::catch_unwind(|| {
            let mut world = World::new();
            let mut choices = Seed::new(seed);
            for _ in 0..STEPS {
                world.step(&mut choices);
            }
            world.check_all(&mut choices);
            world.compactions
        });
        let made =
            outcome.unwrap_or_else(|_| panic!("seed {seed}: COMPACTION_SEED={seed} COMPACTION_LIVES=1 shows it again"));
        compactions += made;
    }
    assert!(compactions as u64 >= lives() * 3, "the model has compacted next to nothing: {compactions}");
}
