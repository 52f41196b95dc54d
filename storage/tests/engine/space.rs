//! What the disk holds: as much as views need, however often files are tended, and nothing that is past its time.

use millpond_storage::state::{Change, Fact, Group, GroupKey};

use crate::world::{HOUR, MINUTE, World};

#[test]
fn log_files_with_short_runs_are_sorted_once_and_the_disk_does_not_grow() {
    let world = World::new();
    let ids = world.partitions("long", 20).expect("made");
    world.fill(&ids, 300).expect("alive");
    let before = world.all_shown(&ids);
    world.tend().expect("alive");
    assert!(!world.files(1, ".seg").is_empty(), "nothing was sorted: {:?}", world.disk.paths());
    let bytes = world.bytes(1);
    for _ in 0..10 {
        world.tend().expect("alive");
        // Markers of idle logs and facts of floors take their few bytes; records written again would be half a mebibyte.
        assert!(world.bytes(1) <= bytes + (16 << 10), "the disk grows from {bytes} to {}", world.bytes(1));
    }
    let world = world.again(Some(1));
    assert!(world.all_shown(&ids) == before, "sorting changed what is read");
}

#[test]
fn what_expires_is_freed_though_it_lay_among_what_stays() {
    let world = World::new();
    let mut ids = world.partitions("short", 9).expect("made");
    ids.extend(world.partitions("long", 1).expect("made"));
    world.fill(&ids, 500).expect("alive");
    world.tend().expect("alive");
    let full = world.bytes(1);
    world.ground.pass(5 * MINUTE);
    world.engine.retain().expect("hidden");
    world.ground.pass(11 * MINUTE);
    world.engine.retain().expect("collected");
    let left = world.bytes(1);
    assert!(left < full / 2, "{left} of {full} bytes are left: {:?}", world.disk.paths());
    let shown = world.all_shown(&ids[9..]);
    assert_eq!(shown[0].2.len(), 50, "what stays is whole");
}

/// Facts of the groups of `system`, each over the one before.
fn members(world: &World, count: usize) {
    for n in 0..count {
        let key = GroupKey { scope: 0, group: format!("group-{}", n % 10).into() };
        let group = Group { key, members: format!("{n:>2000}").into_bytes().into() };
        world.put_in_system(Fact::Group(Change::Put(group))).get().expect("alive").expect("durable");
    }
}

#[test]
fn the_log_of_system_is_collected() {
    let mut world = World::new();
    for round in 0..10 {
        members(&world, 200);
        world.tend().expect("alive");
        world.tend().expect("alive");
        let bytes = world.bytes(0);
        // Nearly 500,000 bytes a round. What may stay: two folds, and the files above the older of them.
        assert!(bytes < 600_000, "round {round}: system holds {bytes} bytes: {:?}", world.disk.paths());
        if round % 3 == 2 {
            world = world.again((round > 5).then_some(round));
        }
        let last = world.engine.system().state(|state| {
            let key = GroupKey { scope: 0, group: "group-9".into() };
            state.group(&key).cloned()
        });
        assert_eq!(last.expect("it is there")[..], *format!("{:>2000}", 199).as_bytes());
    }
}

/// Less than a log file, so that nothing but age ends it.
#[test]
fn what_is_past_its_time_is_freed_where_nothing_more_is_written() {
    let world = World::tuned(|options| options.log_file_bytes = 1 << 20);
    let ids = world.partitions("short", 3).expect("made");
    world.fill(&ids, 100).expect("alive");
    world.tend().expect("alive");
    let full = world.bytes(1);
    assert!(full > 150_000, "{full} bytes");
    world.ground.pass(30 * MINUTE);
    world.tend().expect("hidden");
    assert!(world.bytes(1) >= full, "the log file is young, and history reaches back");
    world.ground.pass(HOUR);
    world.tend().expect("collected");
    let left = world.bytes(1);
    assert!(left < 20_000, "{left} of {full} bytes are left: {:?}", world.disk.paths());
    let logs = world.files(1, ".log");
    for _ in 0..3 {
        world.ground.pass(3 * HOUR);
        world.tend().expect("alive");
    }
    assert_eq!(world.files(1, ".log"), logs, "nothing waits: no file is ended for nothing");
    let world = world.again(Some(3));
    assert_eq!(world.append(ids[1], "next"), Some(33), "the end is not forgotten with the records");
}

/// Topics of eight expiry classes: every sort leaves eight segments, each half as long as a log file.
#[test]
fn small_segments_are_merged_and_nothing_that_is_read_changes() {
    let world = World::new();
    let ids: Vec<_> = (0..8)
        .map(|class| {
            let number = world.topic_number().expect("alive");
            world.keep_for(&format!("topic-{class}"), number, 2 << class).expect("made")
        })
        .collect();
    let mut pinned = Vec::new();
    for round in 0..20 {
        world.fill(&ids, 160).expect("alive");
        world.tend().expect("alive");
        if round % 6 == 5 {
            let view = world.log.at(world.log.visible_lsn()).expect("the newest");
            let shown: Vec<_> = ids.iter().map(|id| world.shown(&view, *id).expect("alive")).collect();
            pinned.push((view, shown));
        }
    }
    let segments = world.files(1, ".seg").len();
    // Not merged there would be 150. A class holds 600,000 bytes: at most one segment per 64 KiB and a few that wait.
    assert!(segments < 8 * 13, "{segments} segments");
    for (view, shown) in &pinned {
        let now: Vec<_> = ids.iter().map(|id| world.shown(view, *id).expect("alive")).collect();
        assert!(now == *shown, "the view at {} has changed", view.lsn());
    }
    let before = world.all_shown(&ids);
    assert_eq!(before.iter().map(|shown| shown.2.len()).sum::<usize>(), 20 * 160);
    drop(pinned);
    let world = world.again(Some(9));
    assert!(world.all_shown(&ids) == before);
}

/// A topic whose retention goes to and fro has neighbours in time in two classes.
#[test]
fn segments_between_which_another_has_batches_are_not_merged() {
    let world = World::new();
    let number = world.topic_number().expect("alive");
    let other = world.partitions("long", 7).expect("made");
    for round in 0..14 {
        let id = world.keep_for("changing", number, if round % 2 == 0 { 100 } else { 400 }).expect("changed");
        let ids: Vec<_> = other.iter().copied().chain([id]).collect();
        world.fill(&ids, 200).expect("alive");
        world.tend().expect("alive");
    }
    let ids: Vec<_> = other.iter().copied().chain([millpond_storage::TopicPartition::new(number, 0)]).collect();
    assert_eq!(world.all_shown(&ids).iter().map(|shown| shown.2.len()).sum::<usize>(), 14 * 200);
    let before = world.all_shown(&ids);
    let world = world.again(None);
    assert!(world.all_shown(&ids) == before);
}

#[test]
fn history_that_is_too_much_is_given_up_but_for_what_is_pinned() {
    const MOST: u64 = 100 << 10;
    let world = World::tuned(|options| {
        options.history_bytes = MOST;
        options.history_ms = 100 * HOUR;
    });
    let ids = world.partitions("short", 10).expect("made");
    world.fill(&ids, 60).expect("alive");
    let early = world.log.visible_lsn();
    let pinned = world.log.at(early).expect("the newest");
    let shown = |ids: &[_]| ids.iter().map(|id| world.shown(&pinned, *id).expect("alive")).collect::<Vec<_>>();
    let before = shown(&ids);
    world.fill(&ids, 240).expect("alive");
    let late = world.log.visible_lsn();
    world.engine.maintain().expect("sealed");
    assert!(world.log.at(millpond_storage::Lsn(early.0 + 10)).is_ok(), "all of it is history");
    world.ground.pass(2 * MINUTE);
    world.tend().expect("hidden, and too much");
    world.tend().expect("alive");
    let history = world.engine.stats().history_bytes.get();
    // 60 batches of 1,600 bytes are pinned, in log files that hold others, too: those go when less than half of a file is needed.
    assert!(history <= MOST + (64 << 10), "{history} bytes of history");
    let refused = world.log.at(millpond_storage::Lsn(early.0 + 10)).expect_err("given up");
    assert!(refused.to_string().contains("the oldest that can be had"), "{refused}");
    assert!(world.log.at(early).is_ok(), "what is pinned can be had");
    assert!(shown(&ids) == before, "the pinned view has changed");
    assert!(world.log.at(late).is_err() || history <= MOST);
    drop(pinned);
    // A thread that has just read for it may hold the view a moment longer.
    let is_freed = (0..100).any(|_| {
        world.tend().expect("alive");
        world.engine.stats().history_bytes.get() <= MOST
    });
    assert!(is_freed, "nothing holds it any more");
}

/// A merged segment begins before another one, and has later batches of a partition that both have.
#[test]
fn batches_are_merged_in_the_order_of_each_partition() {
    let world = World::new();
    let filler = world.partitions("long", 8).expect("made");
    let [p, q] = [0, 1].map(|_| world.topic_number().expect("alive"));
    let ids =
        [("p", p, 400), ("q", q, 100)].map(|(name, number, days)| world.keep_for(name, number, days).expect("made"));
    let round = |batches| {
        for n in 0..batches {
            // Q first: the segments of its class begin with it.
            world.append(ids[1], &format!("q {n}")).expect("alive");
            world.append(ids[0], &format!("p {n}")).expect("alive");
        }
        world.fill(&filler, 200).expect("alive");
        world.tend().expect("tended");
    };
    round(20);
    world.keep_for("p", p, 100).expect("changed");
    (0..3).for_each(|_| round(20));
    // Most of what P has in its first class goes; the rest is copied into the class of Q.
    world.log_start(ids[0], 15).get().expect("alive").expect("durable");
    world.ground.pass(11 * MINUTE);
    (0..4).for_each(|_| round(60));
    let shown = world.all_shown(&ids);
    assert_eq!((shown[0].0, shown[0].1, shown[1].1), (15, 320, 320));
    let world = world.again(None);
    assert!(world.all_shown(&ids) == shown);
}
