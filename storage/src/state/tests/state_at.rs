//! State-at files: what is written comes back, and nothing else passes for it.

use super::{TIME, checkpoint, empty, fold, one_of_each};
use crate::disk::sim::{Fault, Op};
use crate::disk::{Disk, RealDisk, SimDisk};
use crate::manifest::TimelineDir;
use crate::state::checkpoint::{
    EpochRecord, LogStartRecord, PartitionRecord, ProducerRecord, SequenceRecord, TailBatch, TailGroup, TailStretch,
    VirtualSegmentRecord,
};
use crate::state::state_at::{Origin, read, write};
use crate::state::{Checkpoint, Fact, Group, GroupKey};
use crate::{Error, Lsn, Result, TimelineId, TopicNumber, TopicPartition};
use bytes::Bytes;
use proptest::prelude::*;
use std::path::PathBuf;

const TIMELINE: TimelineId = TimelineId(4);
const SALT: u64 = 0x1234_5678_9abc_def0;
const ORIGIN: Origin = Origin { timeline: TIMELINE, salt: SALT, opening: 3, created_ms: TIME };

/// A data directory with the timeline's directories.
struct Data {
    disk: SimDisk,
}

impl Data {
    fn new() -> Self {
        let disk = SimDisk::new();
        disk.create_dir_all(&TimelineDir::new(TIMELINE).states_at()).unwrap();
        Self { disk }
    }

    fn path(lsn: Lsn) -> PathBuf {
        TimelineDir::new(TIMELINE).state_at(lsn)
    }

    fn bytes(&self, lsn: Lsn) -> Vec<u8> {
        self.disk.contents(Self::path(lsn)).unwrap()
    }

    fn put(&self, lsn: Lsn, bytes: &[u8]) {
        self.disk.plant(Self::path(lsn), bytes);
    }

    fn files(&self) -> usize {
        self.disk.list(&TimelineDir::new(TIMELINE).states_at()).unwrap().len()
    }

    fn read(&self, lsn: Lsn) -> Result<Checkpoint> {
        read(&self.disk, TIMELINE, SALT, lsn)
    }
}

fn assert_comes_back(data: &Data, checkpoint: &Checkpoint) {
    let bytes = write(&data.disk, &ORIGIN, checkpoint).unwrap();
    assert_eq!(bytes, data.bytes(checkpoint.lsn).len() as u64);
    assert_eq!(&data.read(checkpoint.lsn).unwrap(), checkpoint);
}

#[test]
fn a_checkpoint_comes_back() {
    let data = Data::new();
    assert_comes_back(&data, &checkpoint(300, 4, 1));
    assert_comes_back(&data, &empty());
    assert_comes_back(&data, &Checkpoint { facts: fold(&one_of_each()), ..Checkpoint::default() });
    assert_eq!(data.files(), 2);
}

#[test]
fn a_hundred_thousand_partitions_come_back() {
    let data = Data::new();
    let checkpoint = checkpoint(10_000, 10, 1);
    assert_eq!(checkpoint.partitions.len(), 100_000);
    assert_comes_back(&data, &checkpoint);
}

#[test]
fn a_fact_larger_than_a_window_comes_back() {
    let data = Data::new();
    let key = GroupKey { scope: 0, group: "large".into() };
    let large: Fact = Group { key, members: Bytes::from(vec![7; 3 << 20]) }.into();
    assert_comes_back(&data, &Checkpoint { facts: fold(&[large]), ..empty() });
}

#[test]
fn a_checkpoint_replaces_one_of_its_lsn_and_what_was_left_half_written() {
    let data = Data::new();
    let checkpoint = checkpoint(3, 1, 1);
    let path = Data::path(checkpoint.lsn);
    data.disk.create(&path.with_extension("tmp")).unwrap().write_at(b"half", 0).unwrap();
    assert_comes_back(&data, &Checkpoint { time: 1, ..checkpoint.clone() });
    assert_comes_back(&data, &checkpoint);
    assert_eq!(data.files(), 1);
}

#[test]
fn any_byte_flipped_is_seen() {
    let data = Data::new();
    let checkpoint = checkpoint(3, 2, 7);
    write(&data.disk, &ORIGIN, &checkpoint).unwrap();
    let good = data.bytes(checkpoint.lsn);
    for at in 0..good.len() {
        for flip in [0x01, 0x80, 0xff] {
            let mut bytes = good.clone();
            bytes[at] ^= flip;
            data.put(checkpoint.lsn, &bytes);
            let error = data.read(checkpoint.lsn).expect_err("a flipped byte");
            assert!(matches!(error, Error::Corrupt(_) | Error::Newer { .. }), "byte {at}: {error}");
        }
    }
    data.put(checkpoint.lsn, &good);
    assert_eq!(data.read(checkpoint.lsn).unwrap(), checkpoint);
}

#[test]
fn what_is_cut_or_longer_is_seen() {
    let data = Data::new();
    let checkpoint = checkpoint(2, 1, 7);
    write(&data.disk, &ORIGIN, &checkpoint).unwrap();
    let good = data.bytes(checkpoint.lsn);
    for length in 0..good.len() {
        data.put(checkpoint.lsn, &good[..length]);
        assert!(matches!(data.read(checkpoint.lsn), Err(Error::Corrupt(_))), "cut to {length}");
    }
    data.put(checkpoint.lsn, &[&good[..], &[0]].concat());
    assert!(matches!(data.read(checkpoint.lsn), Err(Error::Corrupt(_))));
}

/// Where each section begins, and the end.
fn sections(bytes: &[u8]) -> Vec<usize> {
    let mut starts = vec![64];
    while let Some(&at) = starts.last().filter(|at| **at < bytes.len()) {
        let length = u64::from_le_bytes(bytes[at + 8..at + 16].try_into().unwrap());
        starts.push(at + 24 + usize::try_from(length).unwrap());
    }
    starts
}

#[test]
fn sections_lost_or_swapped_are_seen() {
    let data = Data::new();
    let checkpoint = checkpoint(300, 1, 7);
    write(&data.disk, &ORIGIN, &checkpoint).unwrap();
    let good = data.bytes(checkpoint.lsn);
    let starts = sections(&good);
    assert!(starts.len() > 10 && starts.last() == Some(&good.len()), "{starts:?}");
    for window in starts.windows(3) {
        let [first, second, third] = *window else { panic!("three of them") };
        let lost = [&good[..first], &good[second..]].concat();
        let swapped = [&good[..first], &good[second..third], &good[first..second], &good[third..]].concat();
        for bytes in [lost, swapped] {
            data.put(checkpoint.lsn, &bytes);
            assert!(matches!(data.read(checkpoint.lsn), Err(Error::Corrupt(_))), "at {first}");
        }
    }
}

#[test]
fn a_file_of_another_timeline_or_lsn_is_refused() {
    let data = Data::new();
    let checkpoint = checkpoint(2, 1, 7);
    write(&data.disk, &ORIGIN, &checkpoint).unwrap();
    assert!(matches!(read(&data.disk, TIMELINE, SALT + 1, checkpoint.lsn), Err(Error::Corrupt(_))));
    let elsewhere = checkpoint.lsn.next();
    data.disk.rename(&Data::path(checkpoint.lsn), &Data::path(elsewhere)).unwrap();
    assert!(matches!(data.read(elsewhere), Err(Error::Corrupt(_))));
    assert!(matches!(data.read(Lsn(1)), Err(Error::Io { .. })));
}

#[test]
fn the_real_disk_gives_it_back_too() {
    let root = tempfile::tempdir().unwrap();
    let disk = RealDisk::new(root.path());
    disk.create_dir_all(&TimelineDir::new(TIMELINE).states_at()).unwrap();
    let checkpoint = checkpoint(300, 4, 1);
    write(&disk, &ORIGIN, &checkpoint).unwrap();
    assert_eq!(read(&disk, TIMELINE, SALT, checkpoint.lsn).unwrap(), checkpoint);
}

#[test]
fn power_lost_anywhere_leaves_the_one_before_or_the_new_one() {
    let new = checkpoint(300, 2, 2);
    let old = Checkpoint { time: 1, partitions: Vec::new(), ..new.clone() };
    for seed in 0..10 {
        for step in 1.. {
            let data = Data::new();
            write(&data.disk, &ORIGIN, &old).unwrap();
            data.disk.die_at_step(data.disk.steps() + step);
            let done = write(&data.disk, &ORIGIN, &new).is_ok();
            data.disk.calm();
            let data = Data { disk: data.disk.power_loss(seed) };
            let found = data.read(new.lsn).unwrap();
            assert!(found == new || (found == old && !done), "seed {seed}, step {step}: {done}");
            // What was left behind is in nobody's way.
            assert_comes_back(&data, &new);
            if done {
                break;
            }
        }
    }
}

#[test]
fn what_the_disk_refuses_leaves_nothing_behind() {
    let checkpoint = checkpoint(300, 2, 2);
    for (op, nth) in [(Op::Create, 0), (Op::Write, 0), (Op::Sync, 0), (Op::Rename, 0)] {
        for fault in [Fault::Error, Fault::Torn] {
            let data = Data::new();
            data.disk.fail(op, nth, fault);
            assert!(write(&data.disk, &ORIGIN, &checkpoint).is_err(), "{op:?}");
            assert_eq!(data.files(), 0, "{op:?}");
            assert_comes_back(&data, &checkpoint);
        }
    }
    let data = Data::new();
    data.disk.budget(Some(4096));
    assert!(matches!(write(&data.disk, &ORIGIN, &checkpoint), Err(Error::Full(_))));
    assert_eq!(data.files(), 0);
}

prop_compose! {
    fn partition()(topic in 0..4u32, partition in 0..4u32) -> TopicPartition {
        // Neighbours, and the far ends.
        TopicPartition::new(TopicNumber(topic.wrapping_sub(1)), partition.wrapping_sub(1))
    }
}

fn some<T: std::fmt::Debug>(of: impl Strategy<Value = T>) -> impl Strategy<Value = Vec<T>> {
    prop::collection::vec(of, 0..5)
}

prop_compose! {
    fn any_partition()(
        partition in partition(), log_start: i64, end_offset: i64,
        gone_at in prop::option::of(0..u64::MAX),
        epochs in some(any::<(i32, i64)>()),
        segments in some(any::<(i64, u64, i64, i64)>()),
    ) -> PartitionRecord {
        let epochs = epochs.into_iter().map(|(epoch, start_offset)| EpochRecord { epoch, start_offset }).collect();
        let segment = |(base_offset, bytes, first_timestamp, max_timestamp)| {
            VirtualSegmentRecord { base_offset, bytes, first_timestamp, max_timestamp }
        };
        let segments = segments.into_iter().map(segment).collect();
        let gone_at = gone_at.map(Lsn);
        PartitionRecord { partition, log_start, end_offset, inherited_end: end_offset / 2, gone_at, epochs, segments }
    }
}

prop_compose! {
    fn any_producer()(
        partition in partition(), producer_id: i64, epoch: i16, last_append: i64,
        batches in some(any::<(i32, i32, i64)>()),
    ) -> ProducerRecord {
        let batch = |(first_sequence, last_sequence, base_offset)| {
            SequenceRecord { first_sequence, last_sequence, base_offset }
        };
        let batches = batches.into_iter().map(batch).collect();
        ProducerRecord { partition, producer_id, epoch, last_append, batches }
    }
}

prop_compose! {
    fn any_stretch()(partition in partition(), batches in some(any::<(i64, i64, u64, u32, u64, i64)>())) -> TailStretch {
        let batch = |(base_offset, end_offset, position, bytes, lsn, max_timestamp)| {
            TailBatch { base_offset, end_offset, position, bytes, lsn: Lsn(lsn), max_timestamp }
        };
        TailStretch { partition, batches: batches.into_iter().map(batch).collect() }
    }
}

fn sort_by<T, K: Ord>(things: &mut Vec<T>, key: impl Fn(&T) -> K) {
    things.sort_by_key(&key);
    things.dedup_by_key(|thing| key(thing));
}

prop_compose! {
    fn any_checkpoint()(
        lsn: u64, time: i64, first_lsn: u64, position: u64, chain: u32,
        mut partitions in some(any_partition()),
        mut producers in some(any_producer()),
        mut log_starts in some((partition(), any::<(u64, i64)>())),
        mut stretches in some(any_stretch()),
        mut groups in some(any::<(u64, i64, u64)>()),
    ) -> Checkpoint {
        sort_by(&mut partitions, |entry| entry.partition);
        sort_by(&mut producers, |entry| (entry.partition, entry.producer_id));
        sort_by(&mut log_starts, |entry| (entry.0, entry.1.0));
        sort_by(&mut groups, |entry| entry.0);
        stretches.retain(|stretch: &TailStretch| !stretch.batches.is_empty());
        sort_by(&mut stretches, |entry| entry.partition);
        for stretch in &mut stretches {
            sort_by(&mut stretch.batches, |batch| batch.base_offset);
        }
        let mut checkpoint = Checkpoint { lsn: Lsn(lsn), time, partitions, producers, ..Checkpoint::default() };
        let log_start = |(partition, (lsn, offset))| LogStartRecord { partition, lsn: Lsn(lsn), offset };
        checkpoint.log_starts = log_starts.into_iter().map(log_start).collect();
        checkpoint.tail.first_lsn = Lsn(first_lsn);
        checkpoint.tail.position = position;
        checkpoint.tail.chain = chain;
        checkpoint.tail.stretches = stretches;
        let group = |(lsn, time, position)| TailGroup { lsn: Lsn(lsn), time, position };
        checkpoint.tail.groups = groups.into_iter().map(group).collect();
        checkpoint
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_numbers_come_back(checkpoint in any_checkpoint()) {
        assert_comes_back(&Data::new(), &checkpoint);
    }
}
