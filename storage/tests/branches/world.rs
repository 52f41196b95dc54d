//! An engine with volumes that branch, and the plain model beside it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use bytes::Bytes;
use millpond_storage::batch::{BatchBuilder, NewRecord, check};
use millpond_storage::disk::SimDisk;
use millpond_storage::disk::sim::Seed;
use millpond_storage::state::{Committed, Durability, Numbers, PinId, Position, PositionKey, Topic, TopicName};
use millpond_storage::{
    Ack, Append, AppendPart, DEFAULT_VOLUME, Engine, Error, Options, PinnedView, Policy, Timeline, TimelineId,
    TopicNumber, TopicPartition, Usage,
};

use tempfile::TempDir;

use crate::calls::{RULES, wait};
use crate::check::{check_state, check_view};
use crate::plain::{PlainMoment, PlainPartition, PlainSnapshot, PlainTopic, PlainView, PlainVolume};
use crate::volumes;

const VOLUMES_MAX: usize = 6;
const SNAPSHOTS_MAX: usize = 12;
const PAST_MAX: usize = 40;
const GROUP: &str = "app";

pub(crate) struct World {
    pub(crate) disk: SimDisk,
    pub(crate) engine: Option<Arc<Engine>>,
    pub(crate) clock: Arc<AtomicI64>,
    pub(crate) volumes: BTreeMap<String, PlainVolume>,
    pub(crate) snapshots: BTreeMap<PinId, PlainSnapshot>,
    names: u64,
    durability: Durability,
    /// Of every twelfth world: it lies on the real disk, whose syncs take their time.
    index_dir: Option<TempDir>,
}

impl World {
    pub(crate) fn new(seed: u64) -> Self {
        let clock = Arc::new(AtomicI64::new(1_000_000 + i64::try_from(seed % 1000).unwrap()));
        let mut world = Self {
            disk: SimDisk::new(),
            engine: None,
            clock,
            volumes: BTreeMap::new(),
            snapshots: BTreeMap::new(),
            names: 0,
            durability: if seed.is_multiple_of(3) { Durability::PageCache } else { Durability::Fsync },
            index_dir: seed.is_multiple_of(12).then(|| tempfile::tempdir().expect("a directory")),
        };
        world.open();
        let (_, timeline) = world.engine().volume(DEFAULT_VOLUME).expect("every engine has it");
        let volume = PlainVolume { timeline: timeline.id(), now: PlainView::default(), past: Vec::new() };
        world.volumes.insert(DEFAULT_VOLUME.to_owned(), volume);
        world.remember(DEFAULT_VOLUME);
        world.create_topic(DEFAULT_VOLUME, 2);
        world.remember(DEFAULT_VOLUME);
        world
    }

    pub(crate) fn open(&mut self) {
        let clock = Arc::clone(&self.clock);
        let policy = Policy { retention_ms: None, ..Policy::default() };
        let options = Options {
            clock: Arc::new(move || clock.load(Ordering::SeqCst)),
            policy: Arc::new(move |_, _| policy),
            log_file_bytes: 64 << 10,
            checkpoint_bytes: 90 << 10,
            cache_bytes: 64 << 10,
            history_ms: 1000,
            durability: self.durability,
            index_dir: self.index_dir.as_ref().map(|dir| dir.path().to_owned()),
            free_floor_bytes: 0,
            ballast_bytes: 0,
            background: false,
            ..Options::new(Arc::new(self.disk.clone()))
        };
        self.engine = Some(Engine::open(options).expect("it opens"));
    }

    pub(crate) fn engine(&self) -> Arc<Engine> {
        Arc::clone(self.engine.as_ref().expect("it is open"))
    }

    pub(crate) fn timeline(&self, id: TimelineId) -> Timeline {
        self.engine().timeline(id).unwrap_or_else(|| panic!("timeline {id} is gone"))
    }

    pub(crate) fn step(&mut self, choices: &mut Seed) {
        let name = self.any_volume(choices);
        self.clock.fetch_add(i64::try_from(choices.below(20)).unwrap(), Ordering::SeqCst);
        match choices.below(46) {
            0..=13 => self.append(&name, choices),
            14..=15 => self.create_topic(&name, 1 + u32::try_from(choices.below(3)).unwrap()),
            16 => self.delete_topic(&name, choices),
            17..=19 => self.commit(&name, choices),
            20..=22 => self.delete_records(&name, choices),
            23..=24 => self.snapshot(&name),
            25..=26 => self.snapshot_past(&name, choices),
            27..=28 => self.clone_snapshot(choices),
            29 => self.restore(&name, choices),
            30 => self.delete_snapshot(choices),
            31 => self.delete_volume(&name),
            32..=34 => self.tend(choices),
            35 => self.engine().save().expect("a checkpoint"),
            36..=37 => self.crash(choices),
            38..=41 => self.check_cuts(&name, choices),
            42 => self.forget_history(&name),
            43..=44 => self.check_lineage(choices),
            _ => self.check_volume(&name),
        }
        self.remember(&name);
    }

    fn any_volume(&self, choices: &mut Seed) -> String {
        self.volumes.keys().nth(choices.index(self.volumes.len())).expect("there is one").clone()
    }

    pub(crate) fn any_snapshot(&self, choices: &mut Seed) -> Option<(PinId, PlainSnapshot)> {
        let nth = self.snapshots.iter().nth(choices.index(self.snapshots.len()))?;
        Some((*nth.0, nth.1.clone()))
    }

    pub(crate) fn any_partition(&self, name: &str, choices: &mut Seed) -> Option<(String, TopicPartition)> {
        let topics = &self.volumes[name].now.topics;
        let (topic, plain) = topics.iter().nth(choices.index(topics.len()))?;
        let partition = u32::try_from(choices.index(plain.partitions.len())).unwrap();
        Some((topic.clone(), TopicPartition::new(TopicNumber(plain.number), partition)))
    }

    fn plain(&mut self, name: &str, topic: &str, partition: u32) -> &mut PlainPartition {
        let volume = self.volumes.get_mut(name).expect("it is known");
        &mut volume.now.topics.get_mut(topic).expect("it is known").partitions[partition as usize]
    }

    pub(crate) fn remember(&mut self, name: &str) {
        let Some(volume) = self.volumes.get(name) else { return };
        let (lsn, time) = (self.timeline(volume.timeline).visible_lsn(), self.clock.load(Ordering::SeqCst));
        let volume = self.volumes.get_mut(name).expect("looked at above");
        // Groups that say nothing come at any time.
        if volume.past.last().is_some_and(|moment| moment.view == volume.now) {
            return;
        }
        volume.past.push(PlainMoment { lsn, time, view: volume.now.clone() });
        if volume.past.len() > PAST_MAX {
            volume.past.remove(0);
        }
    }

    pub(crate) fn append(&mut self, name: &str, choices: &mut Seed) {
        let Some((topic, id)) = self.any_partition(name, choices) else { return };
        let timeline = self.timeline(self.volumes[name].timeline);
        let values: Vec<String> =
            (0..=choices.below(9)).map(|_| format!("{:x}", choices.bits()).repeat(choices.index(120) + 1)).collect();
        let mut builder = BatchBuilder::new();
        let about = self.clock.load(Ordering::SeqCst);
        let timestamps: Vec<i64> =
            values.iter().map(|_| about - 20 + i64::try_from(choices.below(40)).unwrap()).collect();
        for (value, timestamp) in values.iter().zip(&timestamps) {
            let record = NewRecord { value: Some(value.as_bytes()), timestamp: *timestamp, ..NewRecord::default() };
            builder.append(&record).expect("fits");
        }
        let batch = Bytes::from(builder.build().expect("a batch"));
        let checked = check(&batch, &RULES).expect("sound");
        let partition = timeline.partition(id).expect("it exists");
        let parts = vec![AppendPart { partition, batch, checked, stamp: false, name: 0, is_new_name: false }];
        let mut results = wait(|done| timeline.append(Append { parts, ack: Ack::Visible }, done));
        let appended = results.pop().expect("one part").expect("appended");
        let plain = self.plain(name, &topic, id.partition);
        assert_eq!(usize::try_from(appended.base_offset).unwrap(), plain.values.len());
        plain.values.extend(values);
        plain.timestamps.extend(timestamps);
    }

    fn create_topic(&mut self, name: &str, partitions: u32) {
        let engine = self.engine();
        let number = wait(|done| engine.system().transact(|txn| txn.take(Numbers::Topic, 1), done)).expect("durable");
        let number = u32::try_from(number.expect("numbers are left")).unwrap();
        self.names += 1;
        let topic = format!("topic-{}", self.names);
        let fact = Topic {
            name: TopicName::new("default", &topic),
            number: TopicNumber(number),
            partitions,
            created: 0,
            internal: false,
            settings: BTreeMap::new(),
        };
        let timeline = self.timeline(self.volumes[name].timeline);
        wait(|done| timeline.transact(move |txn| txn.put(fact), done)).expect("durable");
        let plain = PlainTopic { number, partitions: vec![PlainPartition::default(); partitions as usize] };
        self.volumes.get_mut(name).expect("known").now.topics.insert(topic, plain);
    }

    fn delete_topic(&mut self, name: &str, choices: &mut Seed) {
        let Some((topic, _)) = self.any_partition(name, choices) else { return };
        let timeline = self.timeline(self.volumes[name].timeline);
        let key = TopicName::new("default", &topic);
        wait(|done| timeline.transact(move |txn| txn.delete::<Topic>(key), done)).expect("durable");
        let now = &mut self.volumes.get_mut(name).expect("known").now;
        now.topics.remove(&topic);
        now.positions.retain(|(_, of, _), _| *of != topic);
    }

    fn commit(&mut self, name: &str, choices: &mut Seed) {
        let Some((topic, id)) = self.any_partition(name, choices) else { return };
        let offset = i64::try_from(choices.below(1000)).unwrap();
        let mut topic_id = [0; 16];
        topic_id[10..14].copy_from_slice(&id.topic.0.to_be_bytes());
        let key = PositionKey { group: GROUP.into(), topic: topic.as_str().into(), partition: id.partition };
        let committed = Committed { offset, time: 1, leader_epoch: -1, metadata: "".into(), topic_id };
        let timeline = self.timeline(self.volumes[name].timeline);
        wait(|done| timeline.transact(move |txn| txn.put(Position { key, committed }), done)).expect("durable");
        let positions = &mut self.volumes.get_mut(name).expect("known").now.positions;
        positions.insert((GROUP.to_owned(), topic, id.partition), offset);
    }

    fn delete_records(&mut self, name: &str, choices: &mut Seed) {
        let Some((topic, id)) = self.any_partition(name, choices) else { return };
        let plain = self.plain(name, &topic, id.partition);
        let end = i64::try_from(plain.values.len()).unwrap();
        let offset =
            plain.log_start + i64::try_from(choices.below((end - plain.log_start + 1).unsigned_abs())).unwrap();
        if offset == plain.log_start {
            return;
        }
        plain.log_start = offset;
        volumes::hide_below(&self.timeline(self.volumes[name].timeline), id, offset);
    }

    pub(crate) fn snapshot(&mut self, name: &str) {
        let view = self.volumes[name].now.clone();
        let pinned = volumes::pin_view(&self.engine(), PinnedView::Now(self.volumes[name].timeline))
            .expect("now can always be had");
        self.snapshots.insert(pinned.0, PlainSnapshot { timeline: pinned.1.timeline, lsn: pinned.1.lsn, view });
    }

    fn snapshot_past(&mut self, name: &str, choices: &mut Seed) {
        let volume = &self.volumes[name];
        if volume.past.is_empty() || self.snapshots.len() >= SNAPSHOTS_MAX {
            return;
        }
        let PlainMoment { lsn, view, .. } = volume.past[choices.index(volume.past.len())].clone();
        match volumes::pin_view(&self.engine(), PinnedView::At(volume.timeline, lsn)) {
            Ok((id, stand)) => {
                assert_eq!(stand.lsn, lsn);
                self.snapshots.insert(id, PlainSnapshot { timeline: stand.timeline, lsn, view });
            }
            Err(Error::Forgotten { oldest: Some(oldest) }) => assert!(oldest.lsn > lsn),
            Err(error) => panic!("{error}"),
        }
    }

    fn clone_snapshot(&mut self, choices: &mut Seed) {
        if self.volumes.len() >= VOLUMES_MAX {
            return;
        }
        if let Some((_, snapshot)) = self.any_snapshot(choices) {
            self.clone_of(&snapshot).expect("a snapshot can always be cloned");
        }
    }

    pub(crate) fn clone_of(&mut self, snapshot: &PlainSnapshot) -> Result<String, Error> {
        self.names += 1;
        let name = format!("clone-{}", self.names);
        let timeline = volumes::branch(&self.engine(), &name, (snapshot.timeline, snapshot.lsn))?;
        let plain = PlainVolume { timeline, now: snapshot.view.clone(), past: Vec::new() };
        self.volumes.insert(name.clone(), plain);
        self.remember(&name);
        Ok(name)
    }

    fn delete_snapshot(&mut self, choices: &mut Seed) {
        if let Some((id, _)) = self.any_snapshot(choices) {
            self.unpin(id);
        }
    }

    fn unpin(&mut self, id: PinId) {
        volumes::unpin(&self.engine(), id);
        self.snapshots.remove(&id);
    }

    pub(crate) fn delete_volume(&mut self, name: &str) {
        if name == DEFAULT_VOLUME {
            return;
        }
        let timeline = self.volumes.remove(name).expect("known").timeline;
        volumes::delete(&self.engine(), name, timeline);
    }

    fn tend(&mut self, choices: &mut Seed) {
        self.clock.fetch_add(i64::try_from(choices.below(900)).unwrap(), Ordering::SeqCst);
        self.engine().maintain().expect("tended");
        self.engine().retain().expect("collected");
    }

    fn crash(&mut self, choices: &mut Seed) {
        if choices.coin() {
            let engine = self.engine.take();
            let engine = engine.expect("it is open");
            engine.close().expect("it closes");
        } else {
            let durable = self.durable_lsns();
            let engine = self.engine.take();
            let loses_power = choices.coin();
            self.disk = if loses_power { self.disk.power_loss(choices.bits()) } else { self.disk.kill() };
            // All its handles are dead: this only ends the threads.
            let _dead = engine.as_ref().map(|engine| engine.close());
            drop(engine);
            self.open();
            if loses_power && self.durability == Durability::PageCache {
                self.accept_loss(&durable);
            }
            return;
        }
        self.open();
    }

    /// A chain of clones, each with records of its own, deleted in one of the orders while collecting.
    pub(crate) fn chain(&mut self, links: usize, order: u64) {
        let mut choices = Seed::new(order);
        let mut names = vec![DEFAULT_VOLUME.to_owned()];
        for _ in 0..links {
            let name = names.last().expect("one at least").clone();
            (0..12).for_each(|_| self.append(&name, &mut choices));
            self.snapshot(&name);
            let (_, snapshot) = self.snapshots.iter().last().map(|(id, s)| (*id, s.clone())).expect("just made");
            names.push(self.clone_of(&snapshot).expect("cloned"));
        }
        while !self.snapshots.is_empty() || self.volumes.len() > 1 {
            if choices.coin() {
                self.delete_snapshot(&mut choices);
            } else {
                let name = self.any_volume(&mut choices);
                self.delete_volume(&name);
            }
            self.tend(&mut choices);
            self.check_all();
        }
        self.expect_one_timeline();
    }

    pub(crate) fn delete_all(&mut self) {
        for id in self.snapshots.keys().copied().collect::<Vec<_>>() {
            self.unpin(id);
        }
        for name in self.volumes.keys().cloned().collect::<Vec<_>>() {
            self.delete_volume(&name);
        }
        self.expect_one_timeline();
        self.check_volume(DEFAULT_VOLUME);
    }

    /// What nothing needs goes; the current timeline of `default` may have ancestors, which it reads.
    fn expect_one_timeline(&self) {
        for _ in 0..3 {
            self.engine().retain().expect("collected");
        }
        let engine = self.engine();
        let mut needed = Some(self.volumes[DEFAULT_VOLUME].timeline);
        let mut left: Vec<TimelineId> = engine.timelines().iter().map(Timeline::id).collect();
        while let Some(id) = needed {
            left.retain(|other| *other != id);
            let info = engine.system().state(|state| state.timeline(id).cloned()).expect("it is known");
            needed = info.origin.map(|(parent, _)| parent);
        }
        assert_eq!(left, [], "timelines that nothing needs");
        let dirs = self.disk.paths().into_iter().filter(|path| path.file_name().is_some_and(|name| name == "TIMELINE"));
        assert_eq!(dirs.count(), engine.timelines().len() + 1, "directories that nothing needs");
    }

    pub(crate) fn check_all(&self) {
        self.volumes.keys().for_each(|name| self.check_volume(name));
        let usage = self.usage();
        for (id, snapshot) in &self.snapshots {
            let timeline = self.timeline(snapshot.timeline);
            let view = timeline.at(snapshot.lsn).unwrap_or_else(|error| panic!("{id:?}: {error}"));
            let state = wait(|done| timeline.state_at(snapshot.lsn, done)).expect("the past can be told");
            check_state(&state, &snapshot.view);
            let bytes = check_view(&view, &snapshot.view);
            let counted = usage.pins[id];
            assert_eq!(counted.owned + counted.shared, bytes, "bytes of {id:?}");
        }
    }

    fn usage(&self) -> Usage {
        volumes::usage(&self.engine())
    }

    fn check_volume(&self, name: &str) {
        let volume = &self.volumes[name];
        let timeline = self.timeline(volume.timeline);
        check_state(&timeline.state(Clone::clone), &volume.now);
        let bytes = check_view(&timeline.live(), &volume.now);
        let counted = self.usage().timelines[&volume.timeline];
        assert_eq!(counted.live + counted.inherited, bytes, "bytes of {name}");
        self.check_meter(name, bytes);
    }
}
