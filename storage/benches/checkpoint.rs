//! What a checkpoint of many positions costs: the copy, the first commits behind it (which unshare what they touch), and keeping it.
//!
//! `cargo bench -p millpond-storage --bench checkpoint`. One million positions: of many groups in one topic, and of some groups in many topics.

#![allow(clippy::print_stdout, reason = "a bench prints")]

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use millpond_storage::disk::{Disk, RealDisk};
use millpond_storage::state::{
    Change, Checkpoint, Committed, Fact, Index, Position, PositionKey, State, Topic, TopicName, state_at,
};
use millpond_storage::{Lsn, TimelineId, TopicNumber};

fn main() {
    println!("groups  topics  partitions   copy  worst commit  next  100 commits  kept first  kept again");
    for (groups, topics, partitions) in [(10_000, 1, 100), (100, 100, 100), (100_000, 1, 10)] {
        row(groups, topics, partitions);
    }
}

fn row(groups: u32, topics: u32, partitions: u32) {
    let mut state = state(groups, topics, partitions);
    let (copy, shared) = timed(|| state.clone());
    let (worst, ()) = timed(|| commit(&mut state, groups / 2, topics / 2, 1, 7));
    let (next, ()) = timed(|| commit(&mut state, groups / 2, topics / 2, 2, 7));
    let (more, ()) = timed(|| (0..100).for_each(|n| commit(&mut state, n * 31 % groups, n % topics, 3, 8)));
    let dir = tempfile::tempdir().expect("a directory");
    let disk = RealDisk::new(dir.path());
    disk.create_dir_all("timelines/1/state-at".as_ref()).expect("a directory");
    let index = Index::open(&dir.path().join("state"), 8 << 20);
    let (first, ()) = timed(|| keep(&disk, &index, shared, 1));
    let (again, ()) = timed(|| keep(&disk, &index, state, 2));
    println!(
        "{groups:>6}  {topics:>6}  {partitions:>10}  {copy:>5.1?}  {worst:>12.1?}  {next:>4.1?}  {more:>11.1?}  {first:>10.1?}  {again:>10.1?}"
    );
}

fn timed<T>(run: impl FnOnce() -> T) -> (Duration, T) {
    let started = Instant::now();
    let result = run();
    (started.elapsed(), result)
}

fn state(groups: u32, topics: u32, partitions: u32) -> State {
    let mut state = State::default();
    for topic in 0..topics {
        let (name, number) = (TopicName::new("default", &format!("topic-{topic}")), TopicNumber(16 + topic));
        let topic = Topic { name, number, partitions, created: 0, internal: false, settings: BTreeMap::new() };
        state.apply(&Fact::Topic(Change::Put(topic)));
    }
    for group in 0..groups {
        for topic in 0..topics {
            (0..partitions).for_each(|partition| commit(&mut state, group, topic, partition, 1));
        }
    }
    state
}

fn commit(state: &mut State, group: u32, topic: u32, partition: u32, offset: i64) {
    let mut topic_id = [0; 16];
    topic_id[10..14].copy_from_slice(&(16 + topic).to_be_bytes());
    let key = PositionKey { group: format!("group-{group}").into(), topic: format!("topic-{topic}").into(), partition };
    let committed = Committed { offset, time: 1_700_000_000_000, leader_epoch: 0, metadata: "".into(), topic_id };
    state.apply(&Fact::Position(Change::Put(Position { key, committed })));
}

fn keep(disk: &RealDisk, index: &Index, facts: State, lsn: u64) {
    let mut checkpoint = Checkpoint::default();
    (checkpoint.lsn, checkpoint.facts) = (Lsn(lsn), facts);
    let origin = state_at::Origin { timeline: TimelineId(1), salt: 7, opening: 1, created_ms: 0 };
    state_at::write(disk, &origin, &checkpoint).expect("written");
    index.put(origin.timeline, &checkpoint).expect("kept");
}
