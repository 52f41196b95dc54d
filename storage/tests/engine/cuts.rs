//! When groups were written is known after sorting, and where an index rots it is known or refused, never guessed.

use std::path::{Path, PathBuf};

use millpond_storage::{Error, Lsn, Options};

use crate::world::{HOUR, World};

/// As the index has them at its end.
const FOOTER_BYTES: usize = 128;
const SECTION_BYTES: usize = 20;

fn long_history(options: &mut Options) {
    options.history_ms = HOUR;
}

/// Log files that were sorted, and their groups with their times.
fn sorted() -> (World, Vec<(Lsn, i64)>) {
    let world = World::tuned(long_history);
    let ids = world.partitions("long", 20).expect("made");
    let mut groups = Vec::new();
    for n in 0..300 {
        world.ground.pass(10);
        world.fill(&ids[n % 20..=n % 20], 1).expect("alive");
        groups.push((world.log.visible_lsn(), world.ground.now()));
    }
    world.ground.pass(10);
    world.tend().expect("alive");
    world.tend().expect("alive");
    assert!(!world.files(1, ".seg").is_empty(), "nothing was sorted: {:?}", world.disk.paths());
    (world, groups)
}

fn at_time(world: &World, time: i64) -> Result<Lsn, Error> {
    world.submit(|done| world.log.lsn_at_time(time, done)).get().expect("alive")
}

/// Where the nth section of a segment's index begins.
fn section(world: &World, segment: &Path, nth: usize) -> u64 {
    let bytes = world.disk.contents(segment).expect("it is there");
    let at = bytes.len() - FOOTER_BYTES + 8 + nth * SECTION_BYTES;
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}

/// Flips a bit in a section of the index of every segment, and starts again.
fn rot(world: World, nth: usize) -> World {
    let segments: Vec<PathBuf> = world.files(1, ".seg");
    for segment in &segments {
        assert!(world.disk.flip(segment, section(&world, segment, nth) + 9, 1));
    }
    world.again(None)
}

fn expect_all(world: &World, groups: &[(Lsn, i64)]) {
    for (lsn, time) in groups {
        for at in [*time, time + 9] {
            assert_eq!(at_time(world, at).expect("it can be had"), *lsn, "at {at}");
        }
    }
}

#[test]
fn sorting_keeps_the_times_of_groups() {
    let (world, groups) = sorted();
    expect_all(&world, &groups);
    let (oldest, first) = (world.log.oldest().expect("there is a history"), groups[0].1);
    let early = at_time(&world, oldest.time - 1);
    assert!(matches!(early, Err(Error::Forgotten { oldest: Some(kept) }) if kept == oldest), "{early:?}");
    assert!(at_time(&world, first - 1).expect("before the first record") < groups[0].0);
    expect_all(&world.again(Some(1)), &groups);
}

#[test]
fn times_outlive_the_rest_of_an_index() {
    let (world, groups) = sorted();
    expect_all(&rot(world, 0), &groups);
}

#[test]
fn times_that_rotted_are_refused_and_never_guessed() {
    let (world, groups) = sorted();
    let world = rot(world, 2);
    let mut refused = 0;
    for (lsn, time) in &groups {
        match at_time(&world, *time) {
            Ok(found) => assert_eq!(found, *lsn),
            Err(Error::Corrupt(why)) => {
                assert!(why.contains("no longer known"), "{why}");
                refused += 1;
            }
            Err(other) => panic!("{other}"),
        }
    }
    assert!(refused > 100, "{refused} of {} are refused", groups.len());
    // What is newer, and all that is asked for by LSN, can be had.
    let (last, time) = groups[groups.len() - 1];
    assert!(at_time(&world, time + 1000).expect("it can be had") >= last);
    assert_eq!(world.log.at(groups[7].0).expect("it is kept").lsn(), groups[7].0);
}
