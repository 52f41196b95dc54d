//! A full disk, and what is left of the internal topics.

use millpond_storage::state::{Committed, Position, PositionKey};
use millpond_storage::{TopicNumber, TopicPartition};

use crate::world::{HOUR, MINUTE, World};

/// The past gives way to the present without help, however long history is kept.
#[test]
fn on_a_full_disk_what_only_the_past_needs_is_freed_though_history_reaches_back() {
    let world = World::tuned(|options| {
        options.history_ms = 100 * HOUR;
        options.free_floor_bytes = 400 << 10;
    });
    world.disk.budget(Some(1 << 20));
    let ids = world.partitions("short", 2).expect("made");
    let value = "x".repeat(4000);
    let append = |_: &i32| world.engine.maintain().is_ok() && world.append(ids[0], &value).is_some();
    let written = (0..1000).take_while(append).count();
    assert!((100..1000).contains(&written), "{written} batches went in");
    world.ground.pass(2 * MINUTE);
    for _ in 0..4 {
        world.tend().expect("hidden, and freed");
    }
    assert!(world.bytes(1) < 300 << 10, "{} bytes are left: {:?}", world.bytes(1), world.disk.paths());
    assert_eq!(world.append(ids[0], "there is room"), i64::try_from(written).ok());
}

/// Facts go once they are folded. Whoever reads their topic begins with what is there, and never finds damage.
#[test]
fn positions_whose_facts_are_gone_leave_a_topic_that_can_be_read() {
    let world = World::new();
    let id = world.partitions("long", 1).expect("made")[0];
    let commit = |round: u64| {
        let mut topic_id = [0; 16];
        topic_id[10..14].copy_from_slice(&id.topic.0.to_be_bytes());
        let key = PositionKey { group: "app".into(), topic: "long".into(), partition: 0 };
        let metadata = "x".repeat(3000).into();
        let committed = Committed { offset: 1, time: 1, leader_epoch: -1, metadata, topic_id };
        let fact = Position { key, committed }.into();
        assert!(world.put(fact).get().is_some_and(|done| done.is_ok()), "round {round}");
    };
    let positions = TopicPartition::new(TopicNumber::POSITIONS, 0);
    for round in 0..400 {
        commit(round);
        if round % 50 == 49 {
            world.ground.pass(HOUR);
            world.tend().expect("alive");
        }
    }
    let partition = world.log.partition(positions).expect("every timeline has it");
    assert!(partition.log_start() > 0, "nothing was folded away");
    let view = world.log.live();
    let mut from = partition.log_start();
    while from < partition.high_watermark() {
        let fetched = world.read(&view, positions, from).expect("alive").expect("it is read");
        let bytes = fetched.concat().expect("it is there");
        let before = from;
        for batch in millpond_storage::batch::BatchIter::new(&bytes) {
            from = batch.expect("sound").header().next_offset();
        }
        assert!(from > before, "nothing at {from} of {}", partition.high_watermark());
    }
}
