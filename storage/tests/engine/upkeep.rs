//! What a start can do without: rotten folds and rotten batches cost what was in them and nothing else.

use millpond_storage::disk::{Disk, SimDisk};
use millpond_storage::{AppendError, Error, TopicPartition};

use crate::world::{Ground, World, records};

/// Sorted away, so that no log file from the beginning on is left.
fn sorted() -> (World, Vec<TopicPartition>) {
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

/// Flips a byte of the only batch that holds a value, in the only log file that has it.
fn rot(disk: &SimDisk, world_logs: &[std::path::PathBuf], value: &str) {
    let mut found = 0;
    for path in world_logs {
        let bytes = disk.contents(path).expect("it is there");
        for at in bytes.windows(value.len()).enumerate().filter(|(_, part)| *part == value.as_bytes()).map(|(at, _)| at)
        {
            assert!(disk.flip(path, at as u64, 1));
            found += 1;
        }
    }
    assert_eq!(found, 1, "{value}");
}

/// Two partitions with ten records each, every one a batch of a producer; number 4 of the first rots.
fn with_a_rotten_batch() -> (World, Vec<TopicPartition>) {
    let world = World::tuned(|options| options.cache_bytes = 0);
    let ids = world.partitions("long", 2).expect("made");
    for n in 0..10 {
        for id in &ids {
            let value = format!("value {n} of {id}");
            let producer = Some((i64::from(id.partition), n));
            world
                .submit_batch(*id, producer, &[value])
                .expect("alive")
                .get()
                .expect("alive")
                .pop()
                .expect("one")
                .expect("kept");
        }
    }
    world.engine.maintain().expect("vouched for");
    world.log_is_quiet();
    rot(&world.disk, &world.files(1, ".log"), &format!("value 4 of {}", ids[0]));
    (world, ids)
}

/// What can be read of the first partition, and what is answered where it cannot; the second is whole.
fn check(world: &World, ids: &[TopicPartition], end: i64) {
    let live = world.log.live();
    let before = records(&world.read(&live, ids[0], 0).expect("alive").expect("what lies before is served"));
    assert_eq!(before.iter().map(|(offset, _)| *offset).collect::<Vec<_>>(), [0, 1, 2, 3]);
    let refused = world.read(&live, ids[0], 4).expect("alive");
    assert!(matches!(refused, Err(Error::DamagedBatch { base_offset: 4, end_offset: 5, .. })), "{refused:?}");
    let behind = records(&world.read(&live, ids[0], 5).expect("alive").expect("what lies behind is served"));
    assert!(behind.iter().map(|(offset, _)| *offset).eq(5..end));
    let other = world.shown(&live, ids[1]).expect("alive");
    assert_eq!(other.2.len(), 10);
}

#[test]
fn a_rotten_batch_is_lost_alone() {
    let (world, ids) = with_a_rotten_batch();
    let world = world.again(None);
    check(&world, &ids, 10);
    assert_eq!(world.engine.stats().lost_batches.get(), 1);
    assert!(world.engine.stats().damaged_reads.get() > 0);
    // Producers go on behind it: a duplicate is known, the next batch comes next.
    let again = |sequence, value: &str| {
        let answer = world.submit_batch(ids[0], Some((0, sequence)), &[value.to_owned()]).expect("alive").get();
        answer.expect("alive").pop().expect("one").map(|appended| appended.base_offset)
    };
    assert_eq!(again(9, "value 9").expect("known"), 9);
    assert!(matches!(again(11, "value 11"), Err(AppendError::OutOfOrderSequence { .. })));
    assert_eq!(again(10, "value 10").expect("kept"), 10);
    check(&world, &ids, 11);
    // Sealed, checkpointed and tended it is what it was; also where the index of the file has to be made anew.
    world.fill(&ids[1..], 1).expect("alive");
    let other = world.partitions("other", 10).expect("made");
    for _ in 0..5 {
        world.fill(&other, 100).expect("alive");
        world.tend().expect("alive");
    }
    let index = world.files(1, ".idx").into_iter().min().expect("it is sealed");
    assert!(world.disk.flip(&index, 70, 1));
    let world = world.again(Some(1));
    let refused = world.read(&world.log.live(), ids[0], 4).expect("alive");
    assert!(matches!(refused, Err(Error::DamagedBatch { base_offset: 4, end_offset: 5, .. })), "{refused:?}");
    assert_eq!(records(&world.read(&world.log.live(), ids[0], 5).expect("alive").expect("served")).len(), 6);
    assert_eq!(world.shown(&world.log.live(), ids[1]).expect("alive").2.len(), 11);
}

/// A record may be missed; a fact may not, since what follows from it is not known.
#[test]
fn a_rotten_fact_is_damage() {
    let world = World::new();
    let ids = world.partitions("remarkable-name", 1).expect("made");
    world.fill(&ids, 3).expect("alive");
    world.engine.maintain().expect("vouched for");
    world.log_is_quiet();
    rot(&world.disk, &world.files(1, ".log"), "remarkable-name");
    let ground = world.ground.clone();
    let world = World::open(&world.crash(None), &ground).expect("it opens");
    assert!(world.log.damage().is_some());
}

/// The last batch that was acknowledged, before anything vouches for it: it may as well be torn, and then it is cut off, not served with a hole.
#[test]
fn a_rotten_batch_that_nothing_vouches_for_is_cut_off() {
    let world = World::new();
    let ids = world.partitions("long", 1).expect("made");
    for n in 0..3 {
        world.append(ids[0], &format!("value {n}"));
    }
    rot(&world.disk, &world.files(1, ".log"), "value 2");
    let world = world.again(None);
    assert_eq!(world.all_shown(&ids)[0].1, 2);
}

/// Only durable groups are in the index: if it is ahead, the log has lost some.
#[test]
fn an_index_that_is_ahead_of_the_log_tells_of_what_is_lost() {
    let root = tempfile::tempdir().expect("a directory");
    let ground = Ground { index_dir: Some(root.path().join("state")), ..Ground::default() };
    let world = World::open(&SimDisk::new(), &ground).expect("it opens");
    let ids = world.partitions("long", 1).expect("made");
    world.fill(&ids, 5).expect("alive");
    let older = SimDisk::new();
    for dir in ["timelines/0", "timelines/1"]
        .into_iter()
        .flat_map(|of| ["log", "segments", "state-at"].map(|dir| format!("{of}/{dir}")))
    {
        older.create_dir_all(dir.as_ref()).expect("made");
    }
    for path in world.disk.paths() {
        older.plant(&path, &world.disk.contents(&path).expect("it is there"));
    }
    world.fill(&ids, 5).expect("alive");
    world.engine.save().expect("saved");
    drop(world.crash(None));
    let world = World::open(&older, &ground).expect("it opens");
    assert!(world.log.damage().is_some(), "five batches are gone");
    assert_eq!(world.engine.system().damage(), None, "its log is whole");
}
