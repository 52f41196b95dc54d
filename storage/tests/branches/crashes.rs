//! Restores, crashes in the middle of branches and restores, and what may be lost where durability is the page cache's.

use std::collections::BTreeMap;

use millpond_storage::disk::sim::Seed;
use millpond_storage::state::{PinKind, State, Volume};
use millpond_storage::{DEFAULT_VOLUME, Error, Lsn, Timeline, TimelineId, TopicNumber, TopicPartition};

use crate::plain::{PlainSnapshot, PlainView, PlainVolume};
use crate::volumes;
use crate::world::World;

impl World {
    pub(crate) fn restore(&mut self, name: &str, choices: &mut Seed) {
        if let Some((_, snapshot)) = self.any_snapshot(choices) {
            self.restore_to(name, &snapshot).expect("restored");
        }
    }

    fn restore_to(&mut self, name: &str, snapshot: &PlainSnapshot) -> Result<(), Error> {
        let (timeline, id, end) = volumes::restore(&self.engine(), name, (snapshot.timeline, snapshot.lsn))?;
        let volume = self.volumes.get_mut(name).expect("known");
        let safety = PlainSnapshot { timeline: end.timeline, lsn: end.lsn, view: volume.now.clone() };
        *volume = PlainVolume { timeline, now: snapshot.view.clone(), past: Vec::new() };
        self.snapshots.insert(id, safety);
        self.remember(name);
        Ok(())
    }

    /// After a crash.
    fn again(&mut self) {
        self.disk.calm();
        let _dead = self.engine.take().map(|engine| engine.close());
        self.open();
    }

    /// What is durable of each timeline that a volume points at.
    pub(crate) fn durable_lsns(&self) -> BTreeMap<TimelineId, Lsn> {
        let timelines = self.volumes.values().map(|volume| self.timeline(volume.timeline));
        timelines.map(|timeline| (timeline.id(), timeline.durable_lsn())).collect()
    }

    /// Without syncs a volume may come back as it was before, though not before what was durable.
    pub(crate) fn accept_loss(&mut self, durable: &BTreeMap<TimelineId, Lsn>) {
        for name in self.volumes.keys().cloned().collect::<Vec<_>>() {
            let timeline = self.timeline(self.volumes[&name].timeline);
            let volume = self.volumes.get_mut(&name).expect("looked at above");
            let found = timeline.state(|state| {
                volume.past.iter().rposition(|moment| is_like(state, &moment.view) && has_ends(&timeline, &moment.view))
            });
            let at = found.unwrap_or_else(|| panic!("{name} is nothing that it ever was"));
            let kept = volume.past.get(at + 1).is_none_or(|lost| lost.lsn > durable[&timeline.id()]);
            assert!(kept, "{name} lost what was durable");
            volume.past.truncate(at + 1);
            volume.now = volume.past[at].view.clone();
        }
    }

    /// Restores a volume until the engine dies at a fail point, and comes back: before the fact is durable nothing has happened, behind it all has.
    pub(crate) fn restore_until(&mut self, point: &'static str, is_done: bool, power: bool) {
        let name = DEFAULT_VOLUME;
        self.snapshot(name);
        let snapshot = self.snapshots.values().last().expect("just made").clone();
        let mut choices = Seed::new(5);
        (0..9).for_each(|_| self.append(name, &mut choices));
        let old = self.volumes[name].clone();
        self.disk.arm(point);
        let restored = self.restore_to(name, &snapshot);
        assert!(restored.is_err() && self.disk.reached().contains(point), "{point} was not reached");
        self.disk = if power { self.disk.power_loss(3) } else { self.disk.kill() };
        self.again();
        let (volume, _) = self.engine().volume(name).expect("it is there");
        assert_eq!(volume.timeline != old.timeline, is_done, "{point}");
        if is_done {
            let safety = self.engine().system().state(|state| {
                state.pins().find(|pin| pin.kind == PinKind::Safety && pin.timeline == old.timeline).cloned()
            });
            let safety = safety.expect("what was there is kept");
            let kept = PlainSnapshot { timeline: old.timeline, lsn: safety.lsn, view: old.now };
            self.snapshots.insert(safety.id, kept);
            let now = PlainVolume { timeline: volume.timeline, now: snapshot.view, past: Vec::new() };
            self.volumes.insert(name.to_owned(), now);
        }
        (0..3).for_each(|_| self.append(name, &mut choices));
    }

    /// Makes clones until the engine dies at a fail point, and comes back.
    pub(crate) fn branch_until(&mut self, point: &'static str, power: bool) {
        let name = DEFAULT_VOLUME;
        self.snapshot(name);
        let snapshot = self.snapshots.values().last().expect("just made").clone();
        let clone = self.clone_of(&snapshot).expect("nothing is armed yet");
        self.delete_volume(&clone);
        self.disk.arm(point);
        let cloned = self.clone_of(&snapshot);
        // What is removed is removed by the collection, if not by the branch.
        let _tended = cloned.map(|name| self.volumes.remove(&name)).is_ok() && self.engine().retain().is_ok();
        assert!(self.disk.reached().contains(point), "{point} was not reached");
        self.disk = if power { self.disk.power_loss(3) } else { self.disk.kill() };
        self.again();
        self.adopt_survivors(&snapshot);
    }

    /// A clone that was made and not acknowledged may be there, as a whole.
    fn adopt_survivors(&mut self, snapshot: &PlainSnapshot) {
        let engine = self.engine();
        let known: Vec<Volume> = engine.system().state(|state| state.volumes().cloned().collect());
        for volume in known {
            if self.volumes.contains_key(&*volume.name) {
                continue;
            }
            let plain = PlainVolume { timeline: volume.timeline, now: snapshot.view.clone(), past: Vec::new() };
            self.volumes.insert(volume.name.to_string(), plain);
        }
    }
}

/// Whether topics, log starts and positions are those of a view.
fn is_like(state: &State, view: &PlainView) -> bool {
    let topics: Vec<_> = state.topics().map(|topic| (&*topic.name.topic, topic.number.0)).collect();
    let expected: Vec<_> = view.topics.iter().map(|(name, topic)| (&**name, topic.number)).collect();
    let positions: Vec<_> = state.positions().map(|position| position.committed.offset).collect();
    topics == expected && positions == view.positions.values().copied().collect::<Vec<_>>()
}

fn has_ends(timeline: &Timeline, view: &PlainView) -> bool {
    view.topics.values().all(|topic| {
        topic.partitions.iter().zip(0..).all(|(plain, index)| {
            let id = TopicPartition::new(TopicNumber(topic.number), index);
            let found = timeline.partition(id).map(|found| (found.log_start(), found.high_watermark()));
            found == Some((plain.log_start, i64::try_from(plain.values.len()).unwrap()))
        })
    })
}
