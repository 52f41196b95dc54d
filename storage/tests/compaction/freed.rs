//! What compaction frees, when tombstones go, what it does with little memory, and what becomes of damage.

use std::collections::BTreeMap;

use millpond_storage::batch::Codec;
use millpond_storage::disk::sim::Seed;
use millpond_storage::{DEFAULT_VOLUME, Error, Read};

use crate::calls::wait;
use crate::check::read_from;
use crate::plain::Written;
use crate::world::{HISTORY_MS, TOMBSTONES_MS, World, id};

fn record(key: &str, value: Option<&str>, timestamp: i64) -> Written {
    (Some(key.as_bytes().to_vec()), value.map(|value| value.as_bytes().to_vec()), timestamp)
}

/// One batch for each version of a few keys.
fn fill(world: &mut World, versions: usize) {
    for version in 0..versions {
        let now = world.now();
        let value = format!("{version:0200}");
        let records: Vec<_> = (0..8).map(|key| record(&format!("key-{key}"), Some(&value), now)).collect();
        world.append_records(DEFAULT_VOLUME, 0, Codec::None, &records);
    }
}

/// Past the history window, as often as it takes for all that follows from it.
fn settle(world: &mut World) {
    for _ in 0..4 {
        world.tend(HISTORY_MS.unsigned_abs() * 3);
        world.engine().save().expect("a checkpoint");
    }
}

fn bytes_on_disk(world: &World) -> usize {
    let of = world
        .disk
        .paths()
        .into_iter()
        .filter(|path| path.extension().is_some_and(|kind| kind == "log" || kind == "seg"));
    of.filter_map(|path| world.disk.contents(path)).map(|bytes| bytes.len()).sum()
}

#[test]
fn what_is_superseded_is_freed_when_the_history_has_passed_it() {
    let mut world = World::new();
    fill(&mut world, 300);
    settle(&mut world);
    let before = bytes_on_disk(&world);
    assert!(before > 500_000, "{before}");
    world.compact().expect("compacted");
    let partition = world.timeline(world.volumes[DEFAULT_VOLUME].timeline).partition(id(0)).expect("it is there");
    assert!(partition.live_bytes() < 20_000, "retention and quotas count what is left: {}", partition.live_bytes());
    fill(&mut world, 2);
    settle(&mut world);
    let after = bytes_on_disk(&world);
    assert!(after < before / 10, "{before} bytes became {after}");
    world.check_all(&mut Seed::new(1));
}

#[test]
fn a_snapshot_keeps_what_it_shows_until_it_is_deleted() {
    let mut world = World::new();
    fill(&mut world, 150);
    world.snapshot(DEFAULT_VOLUME);
    fill(&mut world, 150);
    world.compact().expect("compacted");
    settle(&mut world);
    world.check_all(&mut Seed::new(1));
    let pinned = bytes_on_disk(&world);
    let (pin, _) = world.snapshots.iter().next().map(|(id, view)| (*id, view.clone())).expect("there is one");
    assert!(world.usage().pins[&pin].owned > 200_000, "{:?}", world.usage().pins);
    world.unpin(pin);
    fill(&mut world, 2);
    settle(&mut world);
    assert!(bytes_on_disk(&world) < pinned / 5, "{pinned} bytes became {}", bytes_on_disk(&world));
    world.check_all(&mut Seed::new(1));
}

#[test]
fn a_tombstone_is_kept_for_its_time_from_the_first_compaction_on_and_then_goes() {
    let mut world = World::new();
    let now = world.now();
    world.append_records(DEFAULT_VOLUME, 0, Codec::Lz4, &[record("a", Some("1"), now), record("b", Some("1"), now)]);
    world.append_records(DEFAULT_VOLUME, 0, Codec::Zstd, &[record("a", None, now)]);
    fill(&mut world, 4);
    world.compact().expect("compacted");
    let live = world.timeline(world.volumes[DEFAULT_VOLUME].timeline).live();
    let offsets = |from: i64| read_from(&live, id(0), from).iter().map(|record| record.offset).collect::<Vec<_>>();
    assert_eq!(offsets(0)[..2], [1, 2], "the tombstone stands for the value that is gone");
    // It has been there for its time, but nothing has been compacted since: as Kafka's, it may go, and goes at the next look.
    world.tend(TOMBSTONES_MS.unsigned_abs() - 1);
    world.compact().expect("nothing is due");
    assert_eq!(offsets(0)[..2], [1, 2]);
    // In steps of a 64th of it.
    world.tend(1 + TOMBSTONES_MS.unsigned_abs() / 64);
    let before = world.compactions;
    world.compact().expect("compacted");
    assert_eq!(world.compactions, before + 1, "tombstones past their time are reason enough");
    assert_eq!(offsets(0)[0], 1);
    assert!(!offsets(0).contains(&2), "{:?}", offsets(0));
    assert_eq!(offsets(2)[0], offsets(0)[1], "a read in the hole goes on behind it");
    world.tend(TOMBSTONES_MS.unsigned_abs() * 2);
    let before = world.compactions;
    world.compact().expect("nothing is due");
    assert_eq!(world.compactions, before, "what is clean stays as it is");
    world.check_all(&mut Seed::new(1));
}

#[test]
fn what_is_compacted_and_deleted_loses_old_keys_to_its_age_and_old_values_to_newer_ones() {
    let mut world = World::new();
    world.retain_for(60_000);
    fill(&mut world, 40);
    world.compact().expect("compacted");
    let live = world.timeline(world.volumes[DEFAULT_VOLUME].timeline).live();
    let partition = live.partition(id(0)).expect("it is there");
    let keys = |from: i64| -> Vec<_> {
        let keys = read_from(&live, id(0), from).into_iter().map(|record| record.key.expect("each has one"));
        keys.map(|key| String::from_utf8(key).expect("text")).collect()
    };
    let (old, made) = (8 * 40, world.compactions);
    assert!(keys(0).len() < 8 * 20 && keys(0).contains(&"key-0".to_owned()), "{:?}", keys(0));
    // Half of their time later others come, of which the old ones know nothing.
    world.tend(30_000);
    for version in 0..40 {
        let now = world.now();
        let value = format!("{version:0200}");
        world.append_records(DEFAULT_VOLUME, 0, Codec::None, &[record("young", Some(&value), now)]);
    }
    world.compact().expect("compacted");
    assert!(world.compactions > made && partition.log_start() == 0, "{partition:?}");
    assert_eq!(keys(0)[..8], [0, 1, 2, 3, 4, 5, 6, 7].map(|n| format!("key-{n}")), "nothing is past its time");
    let young = keys(old);
    assert!((1..20).contains(&young.len()), "few are left of them: {young:?}");
    // Past the time of the old ones: though each is the last of its key, it goes.
    world.tend(40_000);
    assert!(partition.log_start() >= old, "{partition:?}");
    assert_eq!(keys(partition.log_start()), young);
    assert_eq!(partition.high_watermark(), old + 40);
    world.tend(40_000);
    assert!(partition.log_start() > old + 20, "and the young ones in their turn: {partition:?}");
}

/// Where the last compaction of the first partition ended.
fn compacted_end(world: &World) -> Option<i64> {
    let timeline = world.timeline(world.volumes[DEFAULT_VOLUME].timeline);
    timeline.state(|state| state.compaction(id(0)).map(|made| made.end))
}

/// Also where the greatest age, by defaults that were changed beneath it, is less than the least.
#[test]
fn nothing_is_compacted_below_the_least_age_however_late_it_is() {
    let mut world = World::new();
    world.compact_between(60_000, 1_000);
    fill(&mut world, 40);
    world.tend(30_000);
    fill(&mut world, 10);
    world.compact().expect("nothing is old enough");
    assert_eq!(compacted_end(&world), None);
    world.tend(30_001);
    world.compact().expect("compacted");
    assert_eq!(compacted_end(&world), Some(8 * 40), "what came later is younger");
    world.check_all(&mut Seed::new(1));
}

#[test]
fn at_the_greatest_age_records_are_compacted_however_little_there_is_to_gain() {
    let mut world = World::new();
    world.compact_between(0, 60_000);
    let now = world.now();
    let value = "v".repeat(200);
    for first in (0..400).step_by(8) {
        let records: Vec<_> = (first..first + 8).map(|n| record(&format!("key-{n}"), Some(&value), now)).collect();
        world.append_records(DEFAULT_VOLUME, 0, Codec::None, &records);
    }
    world.compact().expect("compacted");
    let first = compacted_end(&world);
    assert!(first > Some(300), "{first:?}");
    settle(&mut world);
    fill(&mut world, 3);
    world.tend(30_000);
    world.compact().expect("nothing is due");
    assert_eq!(compacted_end(&world), first, "a small share of all");
    world.tend(30_001);
    world.compact().expect("compacted");
    assert!(compacted_end(&world) > first);
    world.check_all(&mut Seed::new(1));
}

#[test]
fn tombstones_that_a_log_start_has_passed_are_no_reason_to_compact() {
    let mut world = World::new();
    let now = world.now();
    world.append_records(DEFAULT_VOLUME, 0, Codec::None, &[record("a", Some("1"), now)]);
    world.append_records(DEFAULT_VOLUME, 0, Codec::None, &[record("a", None, now)]);
    fill(&mut world, 20);
    world.compact().expect("compacted");
    let timeline = world.timeline(world.volumes[DEFAULT_VOLUME].timeline);
    let made = timeline.state(|state| state.compaction(id(0)).cloned()).expect("it was compacted");
    assert_eq!(made.tombstones.len(), 1);
    world.delete_below(DEFAULT_VOLUME, 0, made.end);
    world.tend(TOMBSTONES_MS.unsigned_abs() * 2);
    let manifest = || -> Vec<_> {
        let paths =
            world.disk.paths().into_iter().filter(|path| path.file_name().is_some_and(|name| name == "MANIFEST"));
        paths.map(|path| world.disk.contents(&path)).collect()
    };
    let before = manifest();
    world.engine().compact().expect("nothing is due");
    assert!(manifest() == before, "no job is begun");
}

#[test]
fn with_little_memory_a_partition_is_compacted_in_several_steps() {
    let mut world = World::new();
    let now = world.now();
    for _ in 0..2 {
        for first in (0..1600).step_by(40) {
            let records: Vec<_> =
                (first..first + 40).map(|n| record(&format!("key-{n}"), Some("value"), now)).collect();
            world.append_records(DEFAULT_VOLUME, 0, Codec::Snappy, &records);
        }
    }
    world.limit_keys();
    let mut ends = Vec::new();
    for _ in 0..8 {
        world.compact().expect("compacted");
        let timeline = world.timeline(world.volumes[DEFAULT_VOLUME].timeline);
        ends.extend(timeline.state(|state| state.compaction(id(0)).map(|made| made.end)));
        settle(&mut world);
    }
    ends.dedup();
    assert!(ends.len() > 2, "in several steps: {ends:?}");
    let live = world.timeline(world.volumes[DEFAULT_VOLUME].timeline).live();
    let mut times: BTreeMap<Vec<u8>, usize> = BTreeMap::new();
    for record in read_from(&live, id(0), 0) {
        *times.entry(record.key.unwrap()).or_default() += 1;
    }
    assert_eq!(times.len(), 1600, "no key is lost");
    // What is left over is too small a share of all to be worth it.
    assert!(times.values().filter(|count| **count == 1).count() > 1400, "and hardly one is there twice");
    world.check_all(&mut Seed::new(1));
}

#[test]
fn a_partition_that_cannot_be_read_keeps_no_other_from_being_compacted() {
    let mut world = World::new();
    // The first fills more than a log file, the second comes behind it.
    for (partition, versions) in [(0, 300), (1, 40)] {
        for version in 0..versions {
            let now = world.now();
            let value = format!("{version:0200}");
            world.append_records(DEFAULT_VOLUME, partition, Codec::None, &[record("key", Some(&value), now)]);
        }
    }
    let timeline = world.timeline(world.volumes[DEFAULT_VOLUME].timeline);
    let log = format!("timelines/{}/log", timeline.id());
    let first = world.disk.paths().into_iter().find(|path| path.starts_with(&log)).expect("it is written to");
    world.disk.break_below(first);
    world.compact().expect("the other one is compacted");
    let is_compacted = |index| timeline.state(|state| state.compaction(id(index)).is_some());
    assert_eq!((is_compacted(0), is_compacted(1)), (false, true));
    assert_eq!(world.engine().stats().uncompactable_partitions.get(), 1);
    world.disk.calm();
    world.check_all(&mut Seed::new(1));
}

#[test]
fn what_rots_in_a_compacted_file_is_told_from_what_was_taken_away() {
    let mut world = World::new();
    fill(&mut world, 100);
    world.compact().expect("compacted");
    assert!(world.compactions > 0);
    let mut files = world.disk.paths().into_iter().filter(|path| path.extension().is_some_and(|kind| kind == "seg"));
    let file = files.next_back().expect("there is one");
    let bytes = world.disk.contents(&file).expect("it has some");
    let value = bytes.windows(100).position(|window| window.iter().all(|byte| *byte == b'0')).expect("a value");
    assert!(world.disk.flip(&file, value as u64, 0x10));
    let live = world.timeline(world.volumes[DEFAULT_VOLUME].timeline).live();
    let partition = live.partition(id(0)).expect("it is there");
    let read = Read { from: 0, max_bytes: 10_000, at_least_one: true };
    let refused = wait(|done| live.read(&partition, read, done));
    assert!(matches!(refused, Err(Error::DamagedBatch { .. })), "{refused:?}");
}
