//! Partitions that nobody has asked for since their timeline was opened: whatever happens to their topic, their volume or their parent, they are what they
//! would be had they been asked for at once.

use millpond_storage::state::{Change, Fact, LogStart, Topic, TopicName, Volume};
use millpond_storage::{DEFAULT_VOLUME, PinnedView, Timeline, TopicNumber, TopicPartition};

use std::collections::BTreeMap;

use crate::branches::{append, clone_of, restore, snapshot};
use crate::calls::wait;
use crate::world::{MINUTE, Shown, World};

/// So many that they fill several pages.
const MANY: u32 = 700;

/// A topic of many partitions, in each of them what its number says, in the last state-at.
fn many(topic: &str) -> (World, Vec<TopicPartition>) {
    let world = World::new();
    let ids = world.partitions(topic, MANY).expect("alive");
    for id in &ids {
        world.append(*id, &format!("of {id}")).expect("alive");
    }
    world.engine.save().expect("a checkpoint");
    (world, ids)
}

fn shown(world: &World, log: &Timeline, ids: &[TopicPartition]) -> Vec<Shown> {
    let live = log.live();
    ids.iter().map(|id| world.shown(&live, *id).expect("alive")).collect()
}

fn put(log: &Timeline, fact: Fact) {
    wait(|done| log.transact(move |txn| txn.put(fact), done)).expect("durable");
}

fn topic(number: TopicNumber, partitions: u32) -> Fact {
    let name = TopicName::new("default", "long");
    let topic = Topic { name, number, partitions, created: 0, internal: false, settings: BTreeMap::new() };
    Fact::Topic(Change::Put(topic))
}

#[test]
fn a_clone_has_all_partitions_whichever_were_touched_and_saved() {
    let (world, ids) = many("long");
    world.append(ids[5], "after the checkpoint").expect("alive");
    let before = shown(&world, &world.log, &ids);
    let bytes = world.log.live_bytes();
    let clone = clone_of(&world.engine, snapshot(&world.engine, PinnedView::Now(world.log.id())).expect("now"), "one");
    assert_eq!(clone.live_bytes(), bytes);
    append(&clone, ids[300], None, "of the clone").expect("it is taken");
    world.engine.save().expect("what was touched, and what was not");
    let stand = snapshot(&world.engine, PinnedView::Now(clone.id())).expect("now can be had");
    let second = clone_of(&world.engine, stand, "two");
    let (clone, second) = (clone.id(), second.id());
    let world = world.again(Some(1));
    let find = |id| world.engine.timeline(id).expect("it serves");
    let (clone, second) = (find(clone), find(second));
    assert_eq!(second.live_bytes(), clone.live_bytes());
    let mut expected = before.clone();
    expected[300].1 += 1;
    expected[300].2.push((1, "of the clone".to_owned()));
    assert_eq!(shown(&world, &second, &ids), expected);
    assert_eq!(shown(&world, &clone, &ids), expected);
    assert_eq!(shown(&world, &world.log, &ids), before);
    let counted: u64 = ids.iter().map(|id| second.partition(*id).expect("it is there").live_bytes()).sum();
    assert_eq!(second.live_bytes(), counted);
    for id in &ids {
        let epoch = second.live().end_for_epoch(
            &second.partition(*id).expect("it is there"),
            &second.live().bounds(&second.partition(*id).expect("it is there")).expect("bounds"),
            second.leader_epoch(),
        );
        let end = second.partition(*id).expect("it is there").log_end();
        assert_eq!(epoch, Some((second.leader_epoch(), end)), "{id}");
    }
}

#[test]
fn what_was_not_touched_expires_too() {
    let (world, ids) = many("short");
    let stand = snapshot(&world.engine, PinnedView::Now(world.log.id())).expect("now can be had");
    let clone = clone_of(&world.engine, stand, "clone");
    world.ground.pass(2 * MINUTE);
    world.tend().expect("alive");
    assert_eq!(clone.live_bytes(), 0);
    for (log_start, end, records) in shown(&world, &clone, &ids) {
        assert_eq!((log_start, end, records.len()), (1, 1, 0));
    }
    let clone = clone.id();
    let world = world.again(None);
    let clone = world.engine.timeline(clone).expect("it serves");
    assert_eq!(shown(&world, &clone, &ids[..3]), vec![(1, 1, Vec::new()); 3]);
    assert_eq!(append(&clone, ids[0], None, "more").expect("it is taken").base_offset, 1);
}

#[test]
fn a_clone_begins_where_its_parent_began_in_every_view_of_it() {
    let (world, ids) = many("long");
    for id in &ids {
        world.append(*id, "more").expect("alive");
        put(&world.log, Fact::LogStart(Change::Put(LogStart { partition: *id, offset: 1 })));
    }
    world.engine.save().expect("a checkpoint");
    let stand = snapshot(&world.engine, PinnedView::Now(world.log.id())).expect("now can be had");
    let clone = clone_of(&world.engine, stand, "clone");
    let born = snapshot(&world.engine, PinnedView::Now(clone.id())).expect("now can be had");
    let (clone, world) = (clone.id(), world.again(None));
    let clone = world.engine.timeline(clone).expect("it serves");
    let view = clone.at(born.lsn).expect("it is pinned");
    for id in &ids {
        assert_eq!(world.shown(&view, *id).expect("alive"), (1, 2, vec![(1, "more".to_owned())]), "{id}");
    }
}

#[test]
fn a_topic_that_goes_or_grows_takes_along_what_was_not_touched() {
    let (world, ids) = many("long");
    let stand = snapshot(&world.engine, PinnedView::Now(world.log.id())).expect("now can be had");
    let [grows, goes] = ["grows", "goes"].map(|name| clone_of(&world.engine, stand, name));
    put(&grows, topic(ids[0].topic, MANY + 50));
    let new = TopicPartition::new(ids[0].topic, MANY + 49);
    assert_eq!(append(&grows, new, None, "in a new one").expect("it is taken").base_offset, 0);
    assert!(grows.partition(TopicPartition::new(ids[0].topic, MANY + 50)).is_none());
    let born = snapshot(&world.engine, PinnedView::Now(goes.id())).expect("now can be had");
    put(&goes, Fact::Topic(Change::Delete(TopicName::new("default", "long"))));
    world.delete("long").get().expect("alive").expect("durable");
    world.tend().expect("alive");
    assert!(ids.iter().all(|id| goes.partition(*id).is_none() && world.log.partition(*id).is_none()));
    let (grows, goes, world) = (grows.id(), goes.id(), world.again(Some(2)));
    world.tend().expect("alive");
    let find = |id| world.engine.timeline(id).expect("it serves");
    let (grows, view) = (find(grows), find(goes).at(born.lsn).expect("it is pinned"));
    for id in &ids {
        let expected = (0, 1, vec![(0, format!("of {id}"))]);
        assert_eq!(world.shown(&view, *id).expect("alive"), expected, "{id}");
        assert_eq!(world.shown(&grows.live(), *id).expect("alive"), expected, "{id}");
    }
    assert_eq!(world.shown(&grows.live(), new).expect("alive").2.len(), 1);
}

#[test]
fn what_was_not_touched_is_fenced_and_ends_with_its_volume() {
    let (world, ids) = many("long");
    let stand = snapshot(&world.engine, PinnedView::Now(world.log.id())).expect("now can be had");
    restore(&world.engine, stand);
    let (_, restored) = world.engine.volume(DEFAULT_VOLUME).expect("it is there");
    let again = snapshot(&world.engine, PinnedView::Now(restored.id())).expect("now can be had");
    restore(&world.engine, again);
    assert!(ids.iter().all(|id| restored.partition(*id).expect("it is there").is_fenced()));
    let clone = clone_of(&world.engine, stand, "clone");
    let delete = |txn: &mut millpond_storage::state::Txn<'_>| {
        txn.delete::<Volume>("clone".into());
        Ok::<_, ()>(())
    };
    wait(|done| world.engine.unname(clone.id(), delete, done)).expect("durable").expect("it is not refused");
    assert!(ids.iter().all(|id| clone.partition(*id).expect("it is there").is_gone()));
}

#[test]
fn a_parent_keeps_what_a_child_has_not_touched() {
    let (world, ids) = many("short");
    let stand = snapshot(&world.engine, PinnedView::Now(world.log.id())).expect("now can be had");
    let clone = clone_of(&world.engine, stand, "clone");
    let hide = |log: &Timeline, id| put(log, Fact::LogStart(Change::Put(LogStart { partition: id, offset: 1 })));
    for id in &ids {
        hide(&world.log, *id);
    }
    hide(&clone, ids[7]);
    for _ in 0..4 {
        let filled = world.partitions("other", 1).expect("alive");
        world.fill(&filled, 60).expect("alive");
        world.delete("other").get().expect("alive").expect("durable");
        world.tend().expect("alive");
    }
    let usage = wait(|done| world.engine.usage(done)).expect("it can be counted");
    assert_eq!(usage.timelines[&clone.id()].inherited, clone.live_bytes());
    for (id, (log_start, end, records)) in ids.iter().zip(shown(&world, &clone, &ids)) {
        assert_eq!((log_start, end, records.len()), if *id == ids[7] { (1, 1, 0) } else { (0, 1, 1) }, "{id}");
    }
}
