//! Branches while time passes, producers go on and appends run: what a clone inherits ages from its birth, a restore loses and refuses nothing, a snapshot of
//! the past is whole or refused, and snapshots cost no bytes.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, mpsc};

use bytes::Bytes;
use millpond_storage::batch::{BatchBuilder, NewRecord, check};
use millpond_storage::disk::SimDisk;
use millpond_storage::state::{Numbers, PinId, PinKind, State, Topic, Txn, Volume};
use millpond_storage::{
    Ack, Append, AppendError, AppendPart, Appended, DEFAULT_VOLUME, Engine, Error, Lsn, NewTimeline, Options,
    PinnedView, Policy, Result, Stand, Timeline, TopicPartition,
};

use crate::calls::{RULES, wait};
use crate::facts::{pin, volume};
use crate::front_door::create_topic;
use crate::world::{DAY, Ground, MINUTE, World};

pub(crate) fn snapshot(engine: &Arc<Engine>, view: PinnedView) -> Result<Stand> {
    let put = |txn: &mut Txn<'_>, stand, id| {
        txn.put(pin(id, stand, PinKind::Snapshot));
        Ok::<_, ()>(stand)
    };
    wait(|done| engine.pin(view, put, done)).map(|stand| stand.expect("it is not refused"))
}

pub(crate) fn clone_of(engine: &Arc<Engine>, stand: Stand, name: &'static str) -> Timeline {
    let new = NewTimeline { from: Some((stand.timeline, stand.lsn)), volume: None };
    let put = move |txn: &mut Txn<'_>, info: &millpond_storage::state::TimelineInfo| {
        txn.put(volume(name, info.id, info.volume));
        Ok::<_, ()>(info.id)
    };
    let id = wait(|done| engine.branch(new, put, done)).expect("made").expect("it is not refused");
    engine.timeline(id).expect("it serves")
}

/// Restores the volume `default`. Returns where the old timeline ends.
pub(crate) fn restore(engine: &Arc<Engine>, to: Stand) -> Stand {
    restore_while(engine, to, |_| {})
}

/// The same; `meanwhile` is given the new timeline just before the name moves.
fn restore_while(engine: &Arc<Engine>, to: Stand, meanwhile: impl FnOnce(Timeline) + Send + 'static) -> Stand {
    let finder = Arc::clone(engine);
    let (known, old) = engine.volume(DEFAULT_VOLUME).expect("it is there");
    let new = NewTimeline { from: Some((to.timeline, to.lsn)), volume: Some(known.id) };
    let put = move |txn: &mut Txn<'_>, info: &millpond_storage::state::TimelineInfo, end| {
        meanwhile(finder.timeline(info.id).expect("it was made"));
        let id = PinId(txn.take(Numbers::Pin, 1).expect("numbers are left"));
        txn.put(pin(id, end, PinKind::Safety));
        txn.put(Volume { timeline: info.id, ..known });
        Ok::<_, ()>(end)
    };
    wait(|done| engine.replace(old.id(), new, put, done)).expect("restored").expect("it is not refused")
}

/// A batch of one record, with the id and sequence of its producer if it has one.
fn request(log: &Timeline, to: TopicPartition, producer: Option<(i64, i32)>, value: &str) -> Append {
    let mut builder = BatchBuilder::new();
    if let Some((id, sequence)) = producer {
        builder = builder.producer(id, 0, sequence);
    }
    builder.append(&NewRecord { value: Some(value.as_bytes()), ..NewRecord::default() }).expect("it fits");
    let batch = Bytes::from(builder.build().expect("a batch"));
    let checked = check(&batch, &RULES).expect("sound");
    let partition = log.partition(to).expect("it is there");
    Append {
        parts: vec![AppendPart { partition, batch, checked, stamp: false, name: 0, is_new_name: false }],
        ack: Ack::Visible,
    }
}

pub(crate) fn append(
    log: &Timeline,
    to: TopicPartition,
    producer: Option<(i64, i32)>,
    value: &str,
) -> Result<Appended, AppendError> {
    wait(|done| log.append(request(log, to, producer, value), done)).pop().expect("one part")
}

#[test]
fn what_a_clone_inherits_ages_from_its_birth() {
    let world = World::new();
    let id = world.partitions("short", 1).expect("made")[0];
    for n in 0..5 {
        world.append(id, &format!("value {n}")).expect("alive");
    }
    let stand = snapshot(&world.engine, PinnedView::Now(world.log.id())).expect("now can be had");
    world.ground.pass(40 * DAY);
    world.tend().expect("alive");
    assert_eq!(world.all_shown(&[id])[0].2.len(), 0, "the volume itself has let them go");
    let clone = clone_of(&world.engine, stand, "clone");
    world.ground.pass(MINUTE / 2);
    world.tend().expect("alive");
    assert_eq!(world.shown(&clone.live(), id).expect("alive").2.len(), 5, "they are half a minute old");
    // After a start, too: the shift is a part of what the clone was born with.
    let (clone, world) = (clone.id(), world.again(Some(3)));
    let clone = world.engine.timeline(clone).expect("it serves");
    world.tend().expect("alive");
    assert_eq!(world.shown(&clone.live(), id).expect("alive").2.len(), 5);
    world.ground.pass(MINUTE);
    world.tend().expect("alive");
    assert_eq!(world.shown(&clone.live(), id).expect("alive").2.len(), 0, "older than a minute");
    let view = world.engine.timeline(stand.timeline).expect("it is pinned").at(stand.lsn).expect("it is pinned");
    assert_eq!(world.shown(&view, id).expect("alive").2.len(), 5, "the snapshot is what it was");
}

#[test]
fn an_inherited_producer_may_leave_one_gap() {
    let world = World::new();
    let id = world.partitions("long", 1).expect("made")[0];
    let send = |log: &Timeline, sequence| append(log, id, Some((9, sequence)), &format!("value {sequence}"));
    for sequence in 0..3 {
        send(&world.log, sequence).expect("in order");
    }
    let stand = snapshot(&world.engine, PinnedView::Now(world.log.id())).expect("now can be had");
    for sequence in 3..7 {
        send(&world.log, sequence).expect("in order");
    }
    let clone = clone_of(&world.engine, stand, "clone");
    assert_eq!(send(&clone, 1).expect("a duplicate is answered").base_offset, 1);
    assert_eq!(send(&clone, 7).expect("what lay between was not inherited").base_offset, 3);
    assert!(matches!(send(&clone, 9), Err(AppendError::OutOfOrderSequence { expected: 8, found: 9 })));
    assert_eq!(send(&clone, 8).expect("in order").base_offset, 4);
    // What lies before is no gap: it would be there twice.
    for sequence in 7..14 {
        send(&world.log, sequence).expect("in order");
    }
    let stand = snapshot(&world.engine, PinnedView::Now(world.log.id())).expect("now can be had");
    let other = clone_of(&world.engine, stand, "other");
    assert!(matches!(send(&other, 2), Err(AppendError::OutOfOrderSequence { expected: 14, found: 2 })));
    assert_eq!(send(&other, 14).expect("in order").base_offset, 14);
}

#[test]
fn a_name_that_came_with_the_branch_has_a_sequence_of_its_own() {
    let world = World::new();
    let id = world.partitions("long", 1).expect("made")[0];
    for sequence in 0..3 {
        append(&world.log, id, Some((9, sequence)), "of the parent").expect("in order");
    }
    let stand = snapshot(&world.engine, PinnedView::Now(world.log.id())).expect("now can be had");
    let clone = clone_of(&world.engine, stand, "clone");
    let send = |log: &Timeline, sequence, value: &str| {
        let mut request = request(log, id, Some((9, sequence)), value);
        request.parts[0].is_new_name = true;
        wait(|done| log.append(request, done)).pop().expect("one part")
    };
    assert_eq!(send(&clone, 0, "first").expect("no duplicate").base_offset, 3);
    // After a start, too, the parent's batches are none of its sequence.
    let (clone, world) = (clone.id(), world.again(Some(3)));
    let clone = world.engine.timeline(clone).expect("it serves");
    assert_eq!(send(&clone, 1, "second").expect("no duplicate").base_offset, 4);
    assert_eq!(send(&clone, 0, "first").expect("a duplicate is answered").base_offset, 3);
    assert!(matches!(send(&clone, 3, "fourth"), Err(AppendError::OutOfOrderSequence { expected: 2, found: 3 })));
}

#[test]
fn what_waits_at_a_restore_comes_before_what_found_the_successor_by_its_name() {
    let world = World::new();
    let id = world.partitions("long", 1).expect("made")[0];
    let stand = snapshot(&world.engine, PinnedView::Now(world.log.id())).expect("now can be had");
    append(&world.log, id, Some((9, 0)), "value 0").expect("in order");
    let (answers, told) = mpsc::channel();
    let old = world.log.clone();
    restore_while(&world.engine, stand, move |successor| {
        for (sequence, log) in [(1, &old), (2, &successor)] {
            let answers = answers.clone();
            let request = request(log, id, Some((9, sequence)), &format!("value {sequence}"));
            log.append(request, move |mut parts| answers.send(parts.pop()).expect("somebody waits"));
        }
    });
    let offsets: Vec<i64> = told.iter().map(|part| part.expect("one part").expect("in order").base_offset).collect();
    assert_eq!(offsets, [0, 1]);
}

#[test]
fn what_retention_finds_is_not_done_to_the_successor_of_a_restored_timeline() {
    let (reached, is_reached) = mpsc::channel();
    let (go_on, may_go_on) = mpsc::channel();
    let stop = Arc::new(Mutex::new(None::<(mpsc::Sender<()>, mpsc::Receiver<()>)>));
    let stops = Arc::clone(&stop);
    let policy = move |_: &State, _: &Topic| {
        let stop = stops.lock().expect("nobody panics with it").take();
        if let Some((reached, may_go_on)) = stop {
            reached.send(()).expect("the test waits");
            may_go_on.recv().expect("the test says so");
        }
        Policy { segment_bytes: 1, retention_ms: Some(MINUTE), ..Policy::default() }
    };
    let options = Options { policy: Arc::new(policy), ..Ground::default().options(&SimDisk::new()) };
    let engine = Engine::open(options).expect("it opens");
    let (_, log) = engine.volume(DEFAULT_VOLUME).expect("it is there");
    let id = TopicPartition::new(create_topic(&engine, "old", 1), 0);
    append(&log, id, None, "of both").expect("appended");
    let stand = snapshot(&engine, PinnedView::Now(log.id())).expect("now can be had");
    for _ in 0..9 {
        append(&log, id, None, "of the old one").expect("appended");
    }
    *stop.lock().expect("nobody panics with it") = Some((reached, may_go_on));
    std::thread::scope(|scope| {
        let retention = scope.spawn(|| engine.retain());
        is_reached.recv().expect("retention asks for the policy");
        restore(&engine, stand);
        go_on.send(()).expect("retention waits");
        retention.join().expect("it ends").expect("retained");
    });
    let (_, successor) = engine.volume(DEFAULT_VOLUME).expect("it is there");
    assert_ne!(successor.id(), log.id());
    let partition = successor.partition(id).expect("it is there");
    assert_eq!((partition.log_start(), partition.high_watermark()), (0, 1));
}

#[test]
fn what_waits_at_a_restore_finds_its_partition_fenced() {
    let world = World::new();
    let id = world.partitions("long", 1).expect("made")[0];
    let partition = world.log.partition(id).expect("it is there");
    let stand = snapshot(&world.engine, PinnedView::Now(world.log.id())).expect("now can be had");
    let (answers, told) = mpsc::channel();
    let old = world.log.clone();
    restore_while(&world.engine, stand, move |_| {
        old.transact(move |_| partition.is_fenced(), move |fenced| answers.send(fenced).expect("somebody waits"));
    });
    assert!(
        told.recv().expect("an answer").expect("decided"),
        "it is decided in the successor, which has other records"
    );
}

/// Every acknowledged value, by producer.
type Acknowledged = Vec<Vec<(String, i64)>>;

/// Appends until told to stop, always through the handle that it had at first.
fn produce(log: &Timeline, to: TopicPartition, of: usize, stop: &AtomicBool) -> Vec<(String, i64)> {
    let mut acknowledged = Vec::new();
    while !stop.load(Ordering::Acquire) {
        let sequence = i32::try_from(acknowledged.len()).expect("few");
        let value = format!("{of}:{sequence}");
        let appended = append(log, to, None, &value).unwrap_or_else(|error| panic!("{value} is refused: {error}"));
        acknowledged.push((value, appended.base_offset));
    }
    acknowledged
}

#[test]
fn a_restore_under_appends_loses_refuses_and_reorders_nothing() {
    let world = World::new();
    let id = world.partitions("long", 1).expect("made")[0];
    world.append(id, "first").expect("alive");
    let start = snapshot(&world.engine, PinnedView::Now(world.log.id())).expect("now can be had");
    let stop = AtomicBool::new(false);
    let mut ends = Vec::new();
    let acknowledged: Acknowledged = std::thread::scope(|scope| {
        let producers: Vec<_> = (0..4)
            .map(|of| (of, world.log.clone()))
            .map(|(of, log)| {
                scope.spawn({
                    let stop = &stop;
                    move || produce(&log, id, of, stop)
                })
            })
            .collect();
        for _ in 0..12 {
            // Some records lie between two restores.
            let log = world.engine.volume(DEFAULT_VOLUME).expect("it is there").1;
            let visible = log.visible_lsn();
            while log.visible_lsn() < Lsn(visible.0 + 5) {
                std::thread::yield_now();
            }
            ends.push(restore(&world.engine, start));
        }
        stop.store(true, Ordering::Release);
        producers.into_iter().map(|producer| producer.join().expect("nothing is refused")).collect()
    });
    let live = world.engine.volume(DEFAULT_VOLUME).expect("it is there").1.live();
    let views =
        ends.iter().map(|end| world.engine.timeline(end.timeline).expect("pinned").at(end.lsn).expect("pinned"));
    let mut found: BTreeMap<String, Vec<(String, i64)>> = BTreeMap::new();
    for view in views.chain([live]) {
        let (_, _, records) = world.shown(&view, id).expect("alive");
        assert_eq!(records[0].1, "first");
        for (offset, value) in records.into_iter().skip(1) {
            let (of, _) = value.split_once(':').expect("as it was produced");
            found.entry(of.to_owned()).or_default().push((value.clone(), offset));
        }
    }
    // One timeline after the other: each value once, in order, at the offset that was acknowledged.
    let found: Acknowledged = found.into_values().collect();
    assert!(found == acknowledged, "what is there is not what was acknowledged");
}

fn bytes_of_records(world: &World) -> usize {
    let files = [world.files(1, ".log"), world.files(1, ".seg"), world.files(1, ".idx")].concat();
    files.into_iter().filter_map(|path| world.disk.contents(path)).map(|bytes| bytes.len()).sum()
}

/// What ten collections leave, with so many snapshots taken meanwhile.
fn left_with(snapshots: usize) -> usize {
    let world = World::new();
    let mut ids = world.partitions("long", 10).expect("made");
    ids.extend(world.partitions("kept", 10).expect("made"));
    for n in 0..400 {
        world.fill(&ids[n % 20..=n % 20], 1).expect("alive");
        if snapshots > 0 && n % (400 / snapshots) == 0 {
            snapshot(&world.engine, PinnedView::Now(world.log.id())).expect("now can be had");
        }
    }
    for _ in 0..10 {
        world.ground.pass(5 * MINUTE);
        world.tend().expect("alive");
    }
    assert!(!world.files(1, ".seg").is_empty(), "nothing was sorted");
    bytes_of_records(&world)
}

#[test]
fn snapshots_cost_no_bytes_of_records() {
    let without = left_with(0);
    for snapshots in [1, 10, 100] {
        let left = left_with(snapshots);
        // Facts that say what was created stay as long as a snapshot may ask.
        assert!(left <= without + (8 << 10), "{snapshots} snapshots: {left} bytes in place of {without}");
    }
}

#[test]
fn a_snapshot_of_the_past_that_races_the_floor_is_whole_or_refused() {
    let world = World::tuned(|options| options.history_ms = 50);
    let id = world.partitions("short", 1).expect("made")[0];
    let mut moments = Vec::new();
    let (mut taken, mut refused) = (Vec::new(), 0);
    for round in 0..40 {
        for n in 0..6 {
            world.ground.pass(10);
            world.append(id, &"v".repeat(4_000 + n)).expect("alive");
            let (start, end, _) = world.shown(&world.log.live(), id).expect("alive");
            moments.push((world.log.visible_lsn(), start, end));
        }
        world.ground.pass(if round % 5 == 4 { MINUTE } else { 20 });
        std::thread::scope(|scope| {
            let tending = scope.spawn(|| world.tend().expect("alive"));
            for at in moments.iter().rev().take(8) {
                match snapshot(&world.engine, PinnedView::At(world.log.id(), at.0)) {
                    Ok(_) => taken.push(*at),
                    Err(Error::Forgotten { oldest: Some(oldest) }) => {
                        assert!(oldest.lsn > at.0);
                        refused += 1;
                    }
                    Err(error) => panic!("{error}"),
                }
            }
            tending.join().expect("tended");
        });
    }
    assert!(taken.len() > 20 && refused > 20, "{} taken, {refused} refused", taken.len());
    world.ground.pass(DAY);
    for _ in 0..3 {
        world.tend().expect("alive");
    }
    let world = world.again(Some(7));
    for (lsn, start, end) in taken {
        let view = world.log.at(lsn).expect("it is pinned");
        let shown = world.shown(&view, id).expect("alive");
        assert_eq!((shown.0, shown.1), (start, end), "the view at {lsn}");
    }
}
