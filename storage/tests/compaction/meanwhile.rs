//! What happens to a volume while a compaction of it runs, from before the first record is read to right before the fact is written.

use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::JoinHandle;

use millpond_storage::disk::sim::Seed;
use millpond_storage::state::{Fact, Topic};
use millpond_storage::{DEFAULT_VOLUME, Error};

use crate::calls::wait;
use crate::check::check_view;
use crate::world::{HISTORY_MS, World, id};

/// Before the first record is read; when the outputs are named; before the facts. (No collection runs at the last.)
const POINTS: [&str; 3] = ["compact.after_intent", "compact.output_named", "compact.before_facts"];

/// A compaction that waits.
struct Waiting {
    go_on: Sender<()>,
    thread: JoinHandle<Result<(), Error>>,
}

impl Waiting {
    /// Begins one, and returns when it waits at a fail point.
    fn at(world: &World, point: &'static str) -> Self {
        let (reached, is_reached) = mpsc::channel();
        let (go_on, may_go_on): (_, Receiver<()>) = mpsc::channel();
        world.disk.at(point, move || {
            reached.send(()).expect("the test waits for it");
            may_go_on.recv().expect("the test says so");
        });
        let engine = world.engine();
        let thread = std::thread::spawn(move || engine.compact());
        is_reached.recv().expect("there is something to compact");
        Self { go_on, thread }
    }

    fn end(self) {
        self.go_on.send(()).expect("it waits");
        self.thread.join().expect("it does not panic").expect("whatever happened, it is no error");
    }
}

/// A clone that is due, and nothing else that is: what was before its compaction is in a snapshot.
fn due(seed: u64) -> (World, String, Seed) {
    let (mut world, mut choices) = (World::new(), Seed::new(seed));
    (0..60).for_each(|_| world.append(DEFAULT_VOLUME, &mut choices));
    let early = world.snapshot(DEFAULT_VOLUME);
    world.compact().expect("compacted");
    let name = world.clone_of(&world.snapshots[&early].clone());
    (0..60).for_each(|_| world.append(&name, &mut choices));
    world.snapshot(&name);
    world.remember(&name);
    (world, name, choices)
}

/// What becomes of a compaction.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Outcome {
    Done,
    Nothing,
}
use Outcome::{Done, Nothing};

/// Does something to a volume at each point of its compaction. Whatever became of both, every view is what it should be, now, after a start, and when
/// the window has passed.
fn meanwhile(outcome: Outcome, points: &[&'static str], act: impl Fn(&mut World, &str, &mut Seed)) {
    for (nth, point) in points.iter().enumerate() {
        let (mut world, name, mut choices) = due(31);
        let waiting = Waiting::at(&world, point);
        act(&mut world, &name, &mut choices);
        waiting.end();
        world.notice();
        let made = world.volumes.get(&name).is_some_and(|volume| volume.now.iter().any(|plain| plain.made.is_some()));
        assert_eq!(if made { Done } else { Nothing }, outcome, "{point}");
        world.check_all(&mut choices);
        world.kill((nth > 0).then_some(7));
        world.check_all(&mut choices);
        for _ in 0..2 {
            pass_the_window(&mut world);
            world.check_all(&mut choices);
            let names: Vec<_> = world.volumes.keys().cloned().collect();
            for name in names {
                (0..40).for_each(|_| world.append(&name, &mut choices));
            }
            world.compact().expect("compacted");
            world.check_all(&mut choices);
        }
    }
}

fn pass_the_window(world: &mut World) {
    for _ in 0..3 {
        world.tend(HISTORY_MS.unsigned_abs() * 3);
        world.engine().save().expect("a checkpoint");
    }
}

#[test]
fn records_come() {
    meanwhile(Done, &POINTS, |world, name, choices| (0..30).for_each(|_| world.append(name, choices)));
}

#[test]
fn all_records_are_deleted() {
    meanwhile(Done, &POINTS, |world, name, _| {
        for index in 0..2 {
            let end = world.volumes[name].now[index].end;
            world.delete_below(name, index, end);
        }
    });
}

#[test]
fn some_records_are_deleted() {
    meanwhile(Done, &POINTS, |world, name, _| {
        for index in 0..2 {
            let (start, end) = (world.volumes[name].now[index].log_start, world.volumes[name].now[index].end);
            world.delete_below(name, index, start + (end - start) / 3);
        }
    });
}

#[test]
fn a_snapshot_is_taken_and_cloned() {
    meanwhile(Done, &POINTS, |world, name, choices| {
        let pin = world.snapshot(name);
        let clone = world.clone_of(&world.snapshots[&pin].clone());
        world.append(&clone, choices);
    });
}

#[test]
fn the_volume_goes_back_to_before_and_again_to_where_it_was() {
    let early = |world: &World| world.snapshots.values().next().expect("the first").clone();
    meanwhile(Nothing, &POINTS, |world, name, choices| {
        world.restore_to(name, &early(world));
        world.append(name, choices);
    });
    meanwhile(Nothing, &POINTS, |world, name, choices| {
        let safety = world.restore_to(name, &early(world));
        world.restore_to(name, &world.snapshots[&safety].clone());
        world.append(name, choices);
    });
}

#[test]
fn the_volume_is_deleted() {
    meanwhile(Nothing, &POINTS, |world, name, _| world.delete_volume(name));
}

/// The view that is read has a lease, and its outputs are nobody's to take.
#[test]
fn the_window_passes_and_all_is_collected() {
    meanwhile(Done, &POINTS[..2], |world, name, _| {
        for index in 0..2 {
            let end = world.volumes[name].now[index].end;
            world.delete_below(name, index, end);
        }
        pass_the_window(world);
    });
    meanwhile(Done, &POINTS[..2], |world, _, _| pass_the_window(world));
}

#[test]
fn the_volume_is_deleted_and_all_is_collected() {
    meanwhile(Nothing, &POINTS[..2], |world, name, _| {
        world.delete_volume(name);
        pass_the_window(world);
    });
}

/// It is not compacted, nothing says that it was, and its snapshots stay.
#[test]
fn the_topic_is_deleted() {
    for point in POINTS {
        let (mut world, name, mut choices) = due(32);
        let timeline = world.timeline(world.volumes[&name].timeline);
        let waiting = Waiting::at(&world, point);
        let topic = timeline.state(|state| state.topics().next().expect("it has one").name.clone());
        wait(|done| timeline.transact(move |txn| txn.put(Fact::delete::<Topic>(topic)), done)).expect("durable");
        waiting.end();
        let is_gone = |world: &World| {
            let timeline = world.timeline(world.volumes[&name].timeline);
            timeline.partition(id(0)).is_none() && timeline.state(|state| state.compactions().next().is_none())
        };
        assert!(is_gone(&world), "{point}");
        for power in [None, Some(5)] {
            for snapshot in world.snapshots.values() {
                let view = world.timeline(snapshot.timeline).at(snapshot.lsn).expect("it is pinned");
                check_view(&view, &snapshot.view, &mut choices);
            }
            world.kill(power);
            assert!(is_gone(&world), "{point}");
            pass_the_window(&mut world);
        }
    }
}
