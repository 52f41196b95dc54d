//! What the parts of this folder promise, together.

mod fold;
mod golden;
mod index;
mod payload;
mod pending;
mod state_at;

use super::checkpoint::{
    CompactionRecord, EpochRecord, LogStartRecord, PartitionRecord, ProducerRecord, SequenceRecord, TailBatch,
    TailGroup, TailRecord, TailStretch, VirtualSegmentRecord,
};
use super::{
    Change, Checkpoint, Cluster, Committed, Compaction, Counter, Document, DocumentKey, Durability, Fact, Floor, Group,
    GroupKey, LogStart, Numbers, Pin, PinId, PinKind, Position, PositionKey, Seen, Stage, State, TimelineInfo, Topic,
    TopicId, TopicName, Volume, VolumeId,
};
use crate::disk::sim::Seed;
use crate::{Lsn, Moment, TimelineId, TopicNumber, TopicPartition};
use bytes::Bytes;
use std::collections::BTreeMap;

const TIME: i64 = 1_764_000_000_000;

/// The id of a topic of volume 3, with a checksum that nobody here looks at.
fn topic_id(number: u32) -> TopicId {
    let mut id = [0; 16];
    id[0] = 0x4d;
    id[9] = 3;
    id[10..14].copy_from_slice(&number.to_be_bytes());
    id[14..].copy_from_slice(&[0x12, 0x34]);
    id
}

fn topic(stream: &str, name: &str, number: u32) -> Topic {
    Topic {
        name: TopicName::new(stream, name),
        number: TopicNumber(number),
        partitions: 8,
        created: TIME,
        internal: false,
        settings: BTreeMap::new(),
    }
}

fn log_start(number: u32, partition: u32, offset: i64) -> LogStart {
    LogStart { partition: TopicPartition::new(TopicNumber(number), partition), offset }
}

fn compaction(number: u32, partition: u32, end: i64) -> Compaction {
    let segment = VirtualSegmentRecord { base_offset: 2, bytes: 100, first_timestamp: TIME, max_timestamp: TIME + 1 };
    Compaction {
        partition: TopicPartition::new(TopicNumber(number), partition),
        generation: 7,
        end,
        tombstones: vec![Seen { end: 5, time: TIME }],
        segments: vec![segment],
    }
}

fn position_key(group: &str, topic: &str, partition: u32) -> PositionKey {
    PositionKey { group: group.into(), topic: topic.into(), partition }
}

fn position(group: &str, topic: &str, partition: u32, number: u32, offset: i64) -> Position {
    let committed =
        Committed { offset, time: TIME, leader_epoch: 5, metadata: "méta".into(), topic_id: topic_id(number) };
    Position { key: position_key(group, topic, partition), committed }
}

/// One fact of every kind.
fn one_of_each() -> Vec<Fact> {
    let settings = [("retention.ms", "-1"), ("segment.bytes", "1048576")];
    let settings = settings.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    let group = GroupKey { scope: 6, group: "app".into() };
    vec![
        Topic { internal: true, settings, ..topic("taq", "trades", 16) }.into(),
        log_start(16, 3, 1 << 33).into(),
        compaction(16, 3, 1 << 33).into(),
        Volume {
            name: "trading".into(),
            id: VolumeId(3),
            timeline: TimelineId(4),
            durability: Some(Durability::PageCache),
            created: TIME,
            listed: true,
            mount: "/user/mapr".into(),
        }
        .into(),
        TimelineInfo {
            id: TimelineId(4),
            origin: Some((TimelineId(2), Lsn(900))),
            volume: VolumeId(3),
            leader_epoch: 11,
            created: TIME,
            stage: Stage::There,
        }
        .into(),
        TimelineInfo {
            id: TimelineId(0),
            origin: None,
            volume: VolumeId(0),
            leader_epoch: 0,
            created: TIME,
            stage: Stage::Making,
        }
        .into(),
        Floor { timeline: TimelineId(4), at: Moment { lsn: Lsn(77), time: 1_764_000_000_000 } }.into(),
        Pin {
            id: PinId(9),
            timeline: TimelineId(4),
            lsn: Lsn(900),
            kind: PinKind::Snapshot,
            created: TIME,
            volume: VolumeId(3),
            time: TIME - 1,
            expires: None,
            protected: true,
            name: "close".into(),
            schedule: "hourly".into(),
        }
        .into(),
        Counter { numbers: Numbers::Producer, next: 5000 }.into(),
        Group { key: group, members: Bytes::from_static(&[1, 2, 3]) }.into(),
        Cluster { id: std::array::from_fn(|byte| u8::try_from(byte).unwrap()) }.into(),
        Document { key: DocumentKey { collection: 3, name: "nightly".into() }, body: Bytes::from_static(&[4, 5]) }
            .into(),
        position("app", "taq.trades", 7, 16, 123_456_789_012).into(),
    ]
}

fn fold(facts: &[Fact]) -> State {
    let mut state = State::default();
    for fact in facts {
        state.apply(fact);
    }
    state
}

/// The delete of what a fact puts.
fn delete_of(fact: &Fact) -> Fact {
    match fact {
        Fact::Topic(change) => Change::<Topic>::Delete(change.key()).into(),
        Fact::LogStart(change) => Change::<LogStart>::Delete(change.key()).into(),
        Fact::Compaction(change) => Change::<Compaction>::Delete(change.key()).into(),
        Fact::Position(change) => Change::<Position>::Delete(change.key()).into(),
        Fact::Volume(change) => Change::<Volume>::Delete(change.key()).into(),
        Fact::Timeline(change) => Change::<TimelineInfo>::Delete(change.key()).into(),
        Fact::Floor(change) => Change::<Floor>::Delete(change.key()).into(),
        Fact::Pin(change) => Change::<Pin>::Delete(change.key()).into(),
        Fact::Counter(change) => Change::<Counter>::Delete(change.key()).into(),
        Fact::Group(change) => Change::<Group>::Delete(change.key()).into(),
        Fact::Cluster(_) => Change::<Cluster>::Delete(()).into(),
        Fact::Document(change) => Change::<Document>::Delete(change.key()).into(),
    }
}

/// A checkpoint with so many topics of so many partitions, and something in every section.
fn checkpoint(topics: u32, partitions: u32, seed: u64) -> Checkpoint {
    let mut seeded = Seed::new(seed);
    let mut checkpoint = Checkpoint { lsn: Lsn(1000 + seed), time: TIME, facts: fold(&one_of_each()), ..empty() };
    for number in (0..topics).map(|nth| 100 + nth) {
        let name = format!("topic-{number}");
        checkpoint.facts.apply(&topic("default", &name, number).into());
        for partition in 0..partitions {
            if number % 10 == 0 {
                let offset = i64::from(number) * 100;
                checkpoint.facts.apply(&position("readers", &name, partition, number, offset).into());
            }
            add_partition(&mut checkpoint, TopicPartition::new(TopicNumber(number), partition), &mut seeded);
        }
    }
    checkpoint
}

fn empty() -> Checkpoint {
    Checkpoint {
        tail: TailRecord { first_lsn: Lsn(900), position: 1 << 20, ..TailRecord::default() },
        ..Checkpoint::default()
    }
}

fn add_partition(checkpoint: &mut Checkpoint, partition: TopicPartition, seeded: &mut Seed) {
    let end_offset = 10 + seeded.below(1 << 40).cast_signed();
    checkpoint.partitions.push(PartitionRecord {
        partition,
        log_start: 5,
        end_offset,
        inherited_end: end_offset % 5,
        gone_at: (end_offset % 7 == 0).then_some(Lsn(950)),
        epochs: vec![EpochRecord { epoch: 0, start_offset: 0 }, EpochRecord { epoch: 7, start_offset: end_offset - 3 }],
        segments: vec![VirtualSegmentRecord {
            base_offset: 5,
            bytes: seeded.below(1 << 30),
            first_timestamp: TIME,
            max_timestamp: TIME + seeded.below(1 << 20).cast_signed(),
        }],
    });
    checkpoint.producers.push(ProducerRecord {
        partition,
        producer_id: seeded.below(1 << 40).cast_signed(),
        epoch: 1,
        last_append: TIME,
        batches: vec![SequenceRecord { first_sequence: 3, last_sequence: i32::MAX, base_offset: end_offset - 3 }],
    });
    checkpoint.log_starts.push(LogStartRecord { partition, lsn: Lsn(seeded.below(900)), offset: 5 });
    let (lsn, generation) = (Lsn(seeded.below(900)), 1 + u32::try_from(seeded.below(90)).unwrap());
    checkpoint.compactions.push(CompactionRecord { partition, lsn, generation, end: end_offset - 4 });
    let batches = (0..2).map(|nth| TailBatch {
        base_offset: end_offset - 4 + 2 * nth,
        end_offset: end_offset - 2 + 2 * nth,
        position: 64 * seeded.below(1 << 22),
        bytes: 61 + u32::try_from(seeded.below(1 << 20)).unwrap(),
        lsn: Lsn(900 + nth.cast_unsigned()),
        max_timestamp: TIME + nth,
    });
    checkpoint.tail.stretches.push(TailStretch { partition, batches: batches.collect() });
    if let lsn @ 0..100 = checkpoint.tail.groups.len() as u64 {
        checkpoint.tail.groups.push(TailGroup { lsn: Lsn(900 + lsn), time: TIME, position: 64 + lsn * 4096 });
    }
}
