//! An engine with volumes that branch and a compacted topic in each, and the plain model beside it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use bytes::Bytes;
use millpond_storage::batch::{BatchBuilder, Codec, NewRecord, check};
use millpond_storage::disk::SimDisk;
use millpond_storage::disk::sim::Seed;
use millpond_storage::state::{Durability, Numbers, PinId, Topic, TopicName};
use millpond_storage::{
    Ack, Append, AppendPart, CompactionPolicy, DEFAULT_VOLUME, Engine, Error, Lsn, Options, PinnedView, Policy,
    Timeline, TimelineId, TopicNumber, TopicPartition, Usage,
};

use crate::calls::{RULES, wait};
use crate::check::check_view;
use crate::plain::{PlainPartition, PlainRecord, PlainSnapshot, PlainView, PlainVolume, Written};
use crate::volumes;

const CODECS: [Codec; 5] = [Codec::None, Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd];
const VOLUMES_MAX: usize = 4;
const SNAPSHOTS_MAX: usize = 8;
const PAST_MAX: usize = 30;
pub(crate) const PARTITIONS: usize = 2;
pub(crate) const HISTORY_MS: i64 = 1_000;
pub(crate) const TOMBSTONES_MS: i64 = 3_000;

pub(crate) struct World {
    pub(crate) disk: SimDisk,
    pub(crate) engine: Option<Arc<Engine>>,
    pub(crate) clock: Arc<AtomicI64>,
    pub(crate) volumes: BTreeMap<String, PlainVolume>,
    pub(crate) snapshots: BTreeMap<PinId, PlainSnapshot>,
    names: u64,
    /// The last batch of the producer of a partition, with its offset, and the sequence that is next.
    produced: BTreeMap<(TimelineId, usize), (Bytes, i64, i32)>,
    /// How many partitions were seen to have been compacted.
    pub(crate) compactions: usize,
    /// The memory that a compaction may take.
    keys_bytes: u64,
    /// How long records are kept, where they are deleted, too.
    retention_ms: Option<i64>,
    durability: Durability,
    /// The age below which records are not compacted, and the one from which on they are, however little there is to gain.
    lags_ms: (i64, i64),
}

/// The nth partition of the topic that every volume has.
pub(crate) fn id(index: usize) -> TopicPartition {
    TopicPartition::new(TopicNumber(16), u32::try_from(index).unwrap())
}

impl World {
    pub(crate) fn new() -> Self {
        let mut world = Self {
            disk: SimDisk::new(),
            engine: None,
            clock: Arc::new(AtomicI64::new(1_000_000)),
            volumes: BTreeMap::new(),
            snapshots: BTreeMap::new(),
            names: 0,
            produced: BTreeMap::new(),
            compactions: 0,
            keys_bytes: 1 << 20,
            retention_ms: None,
            durability: Durability::Fsync,
            lags_ms: (0, i64::MAX),
        };
        world.open();
        let (_, timeline) = world.engine().volume(DEFAULT_VOLUME).expect("every engine has it");
        let taken = wait(|done| world.engine().system().transact(|txn| txn.take(Numbers::Topic, 1), done));
        assert_eq!(taken.expect("durable"), Some(16));
        let topic = Topic {
            name: TopicName::new("default", "latest"),
            number: TopicNumber(16),
            partitions: u32::try_from(PARTITIONS).unwrap(),
            created: 0,
            internal: false,
            settings: BTreeMap::new(),
        };
        wait(|done| timeline.transact(move |txn| txn.put(topic), done)).expect("durable");
        let now = vec![PlainPartition::default(); PARTITIONS];
        let volume = PlainVolume { timeline: timeline.id(), now, past: Vec::new() };
        world.volumes.insert(DEFAULT_VOLUME.to_owned(), volume);
        world.remember(DEFAULT_VOLUME);
        world
    }

    pub(crate) fn open(&mut self) {
        let clock = Arc::clone(&self.clock);
        let (lag_min_ms, lag_max_ms) = self.lags_ms;
        let compaction =
            CompactionPolicy { dirty_ratio_min: 0.2, lag_min_ms, lag_max_ms, tombstones_ms: TOMBSTONES_MS };
        let policy = Policy {
            retention_ms: self.retention_ms,
            segment_bytes: 2_000,
            segment_ms: 5_000,
            compaction: Some(compaction),
            ..Policy::default()
        };
        let options = Options {
            clock: Arc::new(move || clock.load(Ordering::SeqCst)),
            policy: Arc::new(move |_, _| policy),
            log_file_bytes: 64 << 10,
            log_roll_ms: 2_000,
            checkpoint_bytes: 30 << 10,
            cache_bytes: 8 << 10,
            history_ms: HISTORY_MS,
            durability: self.durability,
            compaction_keys_bytes: self.keys_bytes,
            free_floor_bytes: 0,
            ballast_bytes: 0,
            background: false,
            ..Options::new(Arc::new(self.disk.clone()))
        };
        self.engine = Some(Engine::open(options).expect("it opens"));
    }

    /// From here on a compaction has room for the fewest keys.
    pub(crate) fn limit_keys(&mut self) {
        self.keys_bytes = 0;
        self.reopen();
    }

    /// From here on records are deleted, too (`compact,delete`).
    pub(crate) fn retain_for(&mut self, ms: i64) {
        self.retention_ms = Some(ms);
        self.reopen();
    }

    /// From here on nothing waits for a sync.
    pub(crate) fn acknowledge_early(&mut self) {
        self.durability = Durability::PageCache;
        self.reopen();
    }

    /// From here on records are compacted at these ages.
    pub(crate) fn compact_between(&mut self, min_ms: i64, max_ms: i64) {
        self.lags_ms = (min_ms, max_ms);
        self.reopen();
    }

    pub(crate) fn reopen(&mut self) {
        self.engine.take().expect("it is open").close().expect("it closes");
        self.open();
    }

    pub(crate) fn engine(&self) -> Arc<Engine> {
        Arc::clone(self.engine.as_ref().expect("it is open"))
    }

    pub(crate) fn timeline(&self, id: TimelineId) -> Timeline {
        self.engine().timeline(id).unwrap_or_else(|| panic!("timeline {id} is gone"))
    }

    pub(crate) fn now(&self) -> i64 {
        self.clock.load(Ordering::SeqCst)
    }

    pub(crate) fn pass(&self, ms: u64) {
        self.clock.fetch_add(i64::try_from(ms).unwrap(), Ordering::SeqCst);
    }

    pub(crate) fn step(&mut self, choices: &mut Seed) {
        let name = self.any_volume(choices);
        self.pass(choices.below(60));
        match choices.below(48) {
            0..=19 => self.append(&name, choices),
            20..=21 => self.append_again(&name, choices),
            22 => self.delete_records(&name, choices),
            23..=24 => self.snapshot_if_few(&name),
            25..=26 => self.snapshot_past(&name, choices),
            27..=28 => self.clone_snapshot(choices),
            29 => self.restore(&name, choices),
            30..=31 => self.delete_snapshot(choices),
            32 => self.delete_volume(&name),
            33..=36 => self.tend(choices.below(900)),
            37..=42 => self.compact().expect("compacted"),
            43 => self.engine().save().expect("a checkpoint"),
            44..=45 => self.restart(choices),
            _ => self.check_volume(&name, choices),
        }
        self.remember(&name);
    }

    fn any_volume(&self, choices: &mut Seed) -> String {
        self.volumes.keys().nth(choices.index(self.volumes.len())).expect("there is one").clone()
    }

    fn any_snapshot(&self, choices: &mut Seed) -> Option<(PinId, PlainSnapshot)> {
        let nth = self.snapshots.iter().nth(choices.index(self.snapshots.len()))?;
        Some((*nth.0, nth.1.clone()))
    }

    fn plain(&mut self, name: &str, index: usize) -> &mut PlainPartition {
        &mut self.volumes.get_mut(name).expect("it is known").now[index]
    }

    pub(crate) fn remember(&mut self, name: &str) {
        let Some(volume) = self.volumes.get(name) else { return };
        let lsn = self.timeline(volume.timeline).visible_lsn();
        let volume = self.volumes.get_mut(name).expect("looked at above");
        if volume.past.last().is_some_and(|(_, view)| *view == volume.now) {
            return;
        }
        volume.past.push((lsn, volume.now.clone()));
        if volume.past.len() > PAST_MAX {
            volume.past.remove(0);
        }
    }

    /// Few keys, so that most records are superseded soon; some tombstones, and now and then a record without a key.
    pub(crate) fn append(&mut self, name: &str, choices: &mut Seed) {
        let index = choices.index(PARTITIONS);
        let count = 1 + choices.index(9);
        let records: Vec<_> = (0..count)
            .map(|_| {
                let key = (choices.below(40) > 0).then(|| format!("key-{}", choices.below(12)).into_bytes());
                let value = format!("{:x}", choices.bits()).repeat(choices.index(12) + 1).into_bytes();
                let timestamp = self.now() - 20 + i64::try_from(choices.below(40)).unwrap();
                (key, (choices.below(6) > 0).then_some(value), timestamp)
            })
            .collect();
        let codec = CODECS[choices.index(CODECS.len())];
        self.append_records(name, index, codec, &records);
    }

    pub(crate) fn append_records(&mut self, name: &str, index: usize, codec: Codec, records: &[Written]) {
        let id = self.volumes[name].timeline;
        let sequence = self.produced.get(&(id, index)).map_or(0, |(_, _, next)| *next);
        // A producer of its own for each timeline: what others have inherited is tested elsewhere.
        let producer = i64::try_from(id.0).unwrap();
        let mut builder = BatchBuilder::new().codec(codec).producer(producer, 0, sequence);
        for (key, value, timestamp) in records {
            let (key, value) = (key.as_deref(), value.as_deref());
            builder.append(&NewRecord { key, value, timestamp: *timestamp, headers: &[] }).expect("fits");
        }
        let batch = Bytes::from(builder.build().expect("a batch"));
        let base_offset = self.send(id, index, &batch);
        let next = sequence + i32::try_from(records.len()).unwrap();
        self.produced.insert((id, index), (batch, base_offset, next));
        let plain = self.plain(name, index);
        assert_eq!(base_offset, plain.end);
        for (key, value, timestamp) in records {
            let (offset, timestamp) = (plain.end, *timestamp);
            plain.records.push(PlainRecord { offset, timestamp, key: key.clone(), value: value.clone() });
            plain.end += 1;
        }
    }

    fn send(&self, id: TimelineId, index: usize, batch: &Bytes) -> i64 {
        let timeline = self.timeline(id);
        let checked = check(batch, &RULES).expect("sound");
        let partition = timeline.partition(self::id(index)).expect("it exists");
        let parts =
            vec![AppendPart { partition, batch: batch.clone(), checked, stamp: false, name: 0, is_new_name: false }];
        let mut results = wait(|done| timeline.append(Append { parts, ack: Ack::Visible }, done));
        results.pop().expect("one part").expect("appended").base_offset
    }

    /// A producer that did not hear the answer: it gets the first one again, whatever became of its records.
    fn append_again(&mut self, name: &str, choices: &mut Seed) {
        let key = (self.volumes[name].timeline, choices.index(PARTITIONS));
        if let Some((batch, base_offset, _)) = self.produced.get(&key) {
            assert_eq!(self.send(key.0, key.1, batch), *base_offset, "a duplicate");
        }
    }

    fn delete_records(&mut self, name: &str, choices: &mut Seed) {
        let index = choices.index(PARTITIONS);
        let plain = self.plain(name, index);
        let span = (plain.end - plain.log_start).unsigned_abs();
        let offset = plain.log_start + i64::try_from(choices.below(span / 2 + 1)).unwrap();
        if offset > plain.log_start {
            self.delete_below(name, index, offset);
        }
    }

    pub(crate) fn delete_below(&mut self, name: &str, index: usize, offset: i64) {
        self.plain(name, index).log_start = offset;
        volumes::hide_below(&self.timeline(self.volumes[name].timeline), id(index), offset);
    }

    fn snapshot_if_few(&mut self, name: &str) {
        if self.snapshots.len() < SNAPSHOTS_MAX {
            self.snapshot(name);
        }
    }

    pub(crate) fn snapshot(&mut self, name: &str) -> PinId {
        let PlainVolume { timeline, now: view, .. } = self.volumes[name].clone();
        let pinned = volumes::pin_view(&self.engine(), PinnedView::Now(timeline));
        let (id, stand) = pinned.expect("now can always be had");
        self.snapshots.insert(id, PlainSnapshot { timeline: stand.timeline, lsn: stand.lsn, view });
        id
    }

    fn snapshot_past(&mut self, name: &str, choices: &mut Seed) {
        let volume = &self.volumes[name];
        if volume.past.is_empty() || self.snapshots.len() >= SNAPSHOTS_MAX {
            return;
        }
        let (lsn, view) = volume.past[choices.index(volume.past.len())].clone();
        match self.snapshot_at(volume.timeline, lsn, view) {
            Ok(_) => {}
            Err(Error::Forgotten { oldest: Some(oldest) }) => assert!(oldest.lsn > lsn),
            Err(error) => panic!("{error}"),
        }
    }

    /// A snapshot of a group, where the view of it is known.
    pub(crate) fn snapshot_at(&mut self, timeline: TimelineId, lsn: Lsn, view: PlainView) -> Result<PinId, Error> {
        let (id, _) = volumes::pin_view(&self.engine(), PinnedView::At(timeline, lsn))?;
        self.snapshots.insert(id, PlainSnapshot { timeline, lsn, view });
        Ok(id)
    }

    fn clone_snapshot(&mut self, choices: &mut Seed) {
        if self.volumes.len() >= VOLUMES_MAX {
            return;
        }
        if let Some((_, snapshot)) = self.any_snapshot(choices) {
            self.clone_of(&snapshot);
        }
    }

    pub(crate) fn clone_of(&mut self, snapshot: &PlainSnapshot) -> String {
        self.names += 1;
        let name = format!("clone-{}", self.names);
        let timeline = volumes::branch(&self.engine(), &name, (snapshot.timeline, snapshot.lsn));
        let timeline = timeline.expect("a snapshot can always be cloned");
        let now = self.born(timeline, &snapshot.view);
        self.volumes.insert(name.clone(), PlainVolume { timeline, now, past: Vec::new() });
        self.remember(&name);
        name
    }

    /// What a branch begins with: the view, whose tombstones count as new.
    fn born(&self, timeline: TimelineId, view: &PlainView) -> PlainView {
        let mut now = view.clone();
        self.timeline(timeline).state(|state| {
            for (index, plain) in now.iter_mut().enumerate() {
                let made = state.compaction(id(index)).cloned();
                let before = std::mem::replace(&mut plain.made, made.clone());
                assert_eq!(made.is_some(), before.is_some(), "a branch inherits the fact");
                let both = made.zip(before).map(|(made, before)| (made.tombstones, before.tombstones));
                let (inherited, before) = both.unwrap_or_default();
                let is_later = inherited.iter().zip(&before).all(|(own, before)| own.time >= before.time);
                assert!(is_later && inherited.len() == before.len(), "{inherited:?} {before:?}");
            }
        });
        now
    }

    fn restore(&mut self, name: &str, choices: &mut Seed) {
        if let Some((_, snapshot)) = self.any_snapshot(choices) {
            self.restore_to(name, &snapshot);
        }
    }

    /// Restores a volume: the pin of where it was.
    pub(crate) fn restore_to(&mut self, name: &str, snapshot: &PlainSnapshot) -> PinId {
        let restored = volumes::restore(&self.engine(), name, (snapshot.timeline, snapshot.lsn));
        let (timeline, id, end) = restored.expect("restored");
        let now = self.born(timeline, &snapshot.view);
        let volume = self.volumes.get_mut(name).expect("known");
        let safety = PlainSnapshot { timeline: end.timeline, lsn: end.lsn, view: volume.now.clone() };
        *volume = PlainVolume { timeline, now, past: Vec::new() };
        self.snapshots.insert(id, safety);
        id
    }

    fn delete_snapshot(&mut self, choices: &mut Seed) {
        if let Some((id, _)) = self.any_snapshot(choices) {
            self.unpin(id);
        }
    }

    pub(crate) fn unpin(&mut self, id: PinId) {
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

    pub(crate) fn tend(&mut self, ms: u64) {
        self.pass(ms);
        self.engine().maintain().expect("tended");
        self.engine().retain().expect("collected");
    }

    pub(crate) fn compact(&mut self) -> Result<(), Error> {
        let outcome = self.engine().compact();
        if outcome.is_ok() {
            self.notice();
        }
        outcome
    }

    /// What was compacted since it was last looked, as the facts say: the model does the same.
    pub(crate) fn notice(&mut self) {
        let now = self.now();
        for name in self.volumes.keys().cloned().collect::<Vec<_>>() {
            let timeline = self.timeline(self.volumes[&name].timeline);
            for index in 0..PARTITIONS {
                let made = timeline.state(|state| state.compaction(id(index)).cloned());
                let plain = self.plain(&name, index);
                if let Some(made) = made.filter(|made| plain.made.as_ref() != Some(made)) {
                    plain.compact(&made, now, TOMBSTONES_MS);
                    self.compactions += 1;
                }
            }
            self.remember(&name);
        }
    }

    fn restart(&mut self, choices: &mut Seed) {
        if choices.coin() {
            return self.reopen();
        }
        let power = choices.coin().then(|| choices.bits());
        self.kill(power);
    }

    /// The process is killed, or the power goes, by a seed; and it starts again.
    pub(crate) fn kill(&mut self, power: Option<u64>) {
        self.disk = power.map_or_else(|| self.disk.kill(), |seed| self.disk.power_loss(seed));
        self.disk.calm();
        // All its handles are dead: this only ends the threads.
        let _dead = self.engine.take().map(|engine| engine.close());
        self.open();
    }

    pub(crate) fn usage(&self) -> Usage {
        volumes::usage(&self.engine())
    }

    pub(crate) fn check_all(&self, choices: &mut Seed) {
        self.volumes.keys().for_each(|name| self.check_volume(name, choices));
        for (id, snapshot) in &self.snapshots {
            let timeline = self.timeline(snapshot.timeline);
            let view = timeline.at(snapshot.lsn).unwrap_or_else(|error| panic!("{id:?}: {error}"));
            check_view(&view, &snapshot.view, choices);
        }
        for volume in self.volumes.values() {
            let timeline = self.timeline(volume.timeline);
            for (lsn, view) in &volume.past {
                match timeline.at(*lsn) {
                    Ok(past) => check_view(&past, view, choices),
                    Err(Error::Forgotten { oldest: Some(oldest) }) => assert!(oldest.lsn > *lsn),
                    Err(error) => panic!("{error}"),
                }
            }
        }
    }

    pub(crate) fn check_volume(&self, name: &str, choices: &mut Seed) {
        let volume = &self.volumes[name];
        check_view(&self.timeline(volume.timeline).live(), &volume.now, choices);
    }
}
