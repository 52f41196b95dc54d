//! What only the inside shows: the end of a log file, and which partitions are in memory.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::lock;
use crate::branches::NewTimeline;
use crate::disk::SimDisk;
use crate::engine::{DEFAULT_VOLUME, Engine, wait};
use crate::options::Options;
use crate::state::{Checkpoint, TimelineInfo, Topic, TopicName, Txn, Volume, all_of};
use crate::units::{TopicNumber, TopicPartition};

fn open(disk: &SimDisk) -> Arc<Engine> {
    let options = Options::new(Arc::new(disk.clone()));
    Engine::open(Options { background: false, free_floor_bytes: 0, ballast_bytes: 0, ..options }).unwrap()
}

#[test]
fn a_log_file_without_groups_is_not_ended() {
    let disk = SimDisk::new();
    let engine = open(&disk);
    let log = engine.volume(DEFAULT_VOLUME).unwrap().1.0;
    log.step_on().unwrap();
    for _ in 0..3 {
        log.end_active().unwrap();
    }
    let logs = lock(&log.manifest).files().logs.clone();
    let ended: Vec<_> = logs.iter().map(|log| log.end.map(|end| end.last)).collect();
    assert_eq!(ended, [Some(log.written_lsn()), None]);
    let disk = disk.power_loss(3);
    let engine = open(&disk);
    let again = engine.volume(DEFAULT_VOLUME).unwrap().1;
    assert_eq!((again.damage(), again.end_lsn()), (None, log.written_lsn()));
    again.0.step_on().unwrap();
    again.0.end_active().unwrap();
    assert!(open(&disk.kill()).volume(DEFAULT_VOLUME).unwrap().1.damage().is_none());
}

#[test]
fn a_clone_has_in_memory_what_was_asked_for() {
    const MANY: u32 = 2000;
    let disk = SimDisk::new();
    let engine = open(&disk);
    let log = engine.volume(DEFAULT_VOLUME).unwrap().1;
    let name = TopicName::new("default", "many");
    let number = TopicNumber(16);
    let topic = Topic { name, number, partitions: MANY, created: 0, internal: false, settings: BTreeMap::new() };
    wait(|done| log.transact(|txn| txn.put(topic), done)).unwrap();
    assert_eq!(log.0.tables.partitions.len(), 2, "a topic alone takes no partition");
    // Asked for, they have a record each in the checkpoint.
    assert!((0..MANY).all(|index| log.partition(TopicPartition::new(number, index)).is_some()));
    assert!(log.partition(TopicPartition::new(number, MANY)).is_none());
    engine.save().unwrap();
    let lease = log.0.history.lease(log.visible_lsn()).unwrap();
    let new = NewTimeline { from: Some((log.id(), lease.lsn())), volume: None };
    let name = |txn: &mut Txn<'_>, info: &TimelineInfo| {
        let (name, id, timeline, mount) = ("clone".into(), info.volume, info.id, "/clone".into());
        txn.put(Volume { name, id, timeline, durability: None, created: 0, listed: false, mount });
        Ok::<_, ()>(())
    };
    wait(|done| engine.branch(new, name, done)).unwrap().unwrap();
    let asked = TopicPartition::new(number, MANY / 2);
    let is_mostly_packed = |engine: &Arc<Engine>| {
        let clone = engine.volume("clone").unwrap().1;
        assert!(clone.0.tables.partitions.len() <= 2, "nobody has asked for one");
        assert!(clone.partition(asked).is_some());
        engine.retain().unwrap();
        let opened = clone.0.tables.partitions.len();
        assert!(opened < MANY as usize, "{opened} are in memory for one");
        let mut again = Checkpoint::default();
        assert_eq!(clone.0.tables.give_packed(&mut again).len(), opened);
        let all = all_of(&[], &again.packed).len() + opened - 2;
        assert_eq!(all, MANY as usize);
    };
    is_mostly_packed(&engine);
    engine.save().unwrap();
    drop((log, lease, engine));
    is_mostly_packed(&open(&disk.kill()));
}
