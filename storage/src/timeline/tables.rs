//! What the facts of a timeline add up to while it runs: the state, and the partitions that the state's topics have.
//!
//! Invariants: every partition of a topic in the state is there, and no other but the internal ones: in the table once somebody asked for it, until then
//! [`Packed`], or, where nothing was ever written to it, by its topic alone; a partition whose topic was deleted is kept aside for views of the past, until
//! nothing needs its batches. The same functions serve publishing and recovery.

use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use dashmap::DashMap;

use super::Origin;
use super::checkpoint::restored;
use super::packed::Packed;
use super::partition::Partition;
use super::virtual_segments::Meter;
use crate::options::{Policy, PolicyOf};
use crate::state::checkpoint::PartitionRecord;
use crate::state::{Change, Checkpoint, Fact, State, Topic};
use crate::units::{Lsn, TopicNumber, TopicPartition};

/// State and partitions.
pub(crate) struct Tables {
    /// Those that somebody asked for.
    pub(crate) partitions: DashMap<TopicPartition, Arc<Partition>>,
    /// Of deleted topics, while views of the past may need them.
    pub(crate) retired: DashMap<TopicPartition, Arc<Partition>>,
    topics: DashMap<TopicNumber, Shape>,
    packed: Packed,
    /// Where what is packed finds what it inherited.
    origin: Option<Origin>,
    /// Held, shared, by whoever puts a partition into the table, and alone by whoever changes something for all that are not there yet.
    opening: RwLock<()>,
    state: RwLock<State>,
    leader_epoch: AtomicI32,
    is_fenced: AtomicBool,
    has_ended: AtomicBool,
    /// How often a volume or a pin came, changed or went.
    names_version: AtomicU64,
    /// Of the partitions that topics have.
    meter: Arc<Meter>,
    policy: PolicyOf,
}

/// What the partitions of a topic have in common.
#[derive(Clone, Copy)]
struct Shape {
    partitions: u32,
    policy: Policy,
}

impl Tables {
    /// As a checkpoint has them, of which it takes what is packed. What a partition inherited is found in the parent.
    pub(crate) fn new(
        checkpoint: &mut Checkpoint,
        leader_epoch: i32,
        policy: PolicyOf,
        origin: Option<&Origin>,
    ) -> Self {
        let facts = checkpoint.facts.clone();
        let tables = Self {
            partitions: DashMap::new(),
            retired: DashMap::new(),
            topics: DashMap::new(),
            packed: Packed::taken_from(checkpoint),
            origin: origin.cloned(),
            opening: RwLock::default(),
            state: RwLock::new(facts.clone()),
            leader_epoch: AtomicI32::new(leader_epoch),
            is_fenced: AtomicBool::new(false),
            has_ended: AtomicBool::new(false),
            names_version: AtomicU64::new(0),
            meter: Arc::default(),
            policy,
        };
        for topic in [TopicNumber::FACTS, TopicNumber::POSITIONS] {
            let id = TopicPartition::new(topic, 0);
            tables.partitions.insert(id, Partition::new(id, 0, 0));
        }
        facts.topics().for_each(|topic| tables.open(&facts, topic));
        tables.meter.add(tables.packed.live_bytes());
        tables.packed.unpack_special(|record| tables.unpack(record));
        for record in &checkpoint.partitions {
            tables.take_in(record, Partition::count_with);
        }
        tables
    }

    pub(crate) fn read_state(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn write_state(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn leader_epoch(&self) -> i32 {
        self.leader_epoch.load(Ordering::Acquire)
    }

    /// Grows whenever a volume or a pin comes, changes or goes: under the lock of the state, so that who reads it there knows that state.
    pub(crate) fn names_version(&self) -> u64 {
        self.names_version.load(Ordering::Acquire)
    }

    /// Bytes of the batches that the live view shows.
    pub(crate) fn live_bytes(&self) -> u64 {
        self.meter.bytes()
    }

    /// A partition, as far as its topic is visible.
    pub(crate) fn get(&self, id: TopicPartition) -> Option<Arc<Partition>> {
        self.opened(id).or_else(|| self.make(id))
    }

    /// A partition that somebody asked for before.
    fn opened(&self, id: TopicPartition) -> Option<Arc<Partition>> {
        self.partitions.get(&id).map(|entry| Arc::clone(entry.value()))
    }

    /// A partition, also one that is kept for views of the past.
    pub(crate) fn get_any(&self, id: TopicPartition) -> Option<Arc<Partition>> {
        self.get(id).or_else(|| self.retired.get(&id).map(|entry| Arc::clone(entry.value())))
    }

    /// Whether there is a partition, also one that is kept for views of the past.
    pub(crate) fn has_any(&self, id: TopicPartition) -> bool {
        self.partitions.contains_key(&id) || self.is_in_topic(id) || self.retired.contains_key(&id)
    }

    fn is_in_topic(&self, id: TopicPartition) -> bool {
        self.topics.get(&id.topic).is_some_and(|topic| id.partition < topic.partitions)
    }

    /// Puts a partition into the table that is not there yet, if its topic has it.
    fn make(&self, id: TopicPartition) -> Option<Arc<Partition>> {
        let _opening = self.opening.read().unwrap_or_else(PoisonError::into_inner);
        if !self.is_in_topic(id) {
            return None;
        }
        self.packed.unpack(id, |record| self.unpack(record));
        let entry = self.partitions.entry(id).or_insert_with(|| {
            // Nothing was ever written to it.
            let partition = Partition::new(id, 0, 0);
            self.ready(&partition);
            partition.count_with(&self.meter);
            partition
        });
        Some(Arc::clone(entry.value()))
    }

    /// Takes in a partition that was packed: its bytes are counted.
    fn unpack(&self, record: &PartitionRecord) {
        self.take_in(record, Partition::is_counted_with);
    }

    fn take_in(&self, record: &PartitionRecord, count: impl FnOnce(&Partition, &Arc<Meter>)) {
        let id = record.partition;
        let known = (self.packed.log_starts(id), self.packed.compactions(id));
        let partition = restored(record, known, self.origin.as_ref());
        if record.gone_at.is_some() {
            self.retired.insert(id, partition);
            return;
        }
        self.ready(&partition);
        if !id.topic.is_internal() {
            count(&partition, &self.meter);
        }
        self.partitions.insert(id, partition);
    }

    /// Tells a partition what it missed while it was not in the table.
    fn ready(&self, partition: &Partition) {
        partition.pieces().note_epoch(self.leader_epoch(), partition.log_end());
        if let Some(topic) = self.topics.get(&partition.id().topic) {
            partition.set_policy(&topic.policy);
        }
        if self.is_fenced.load(Ordering::Acquire) {
            partition.fence();
        }
        if self.has_ended.load(Ordering::Acquire) {
            partition.end();
        }
    }

    /// Every partition that somebody asked for, also those kept for views of the past. Of no other there is anything in a file of this timeline.
    pub(crate) fn all_opened(&self) -> Vec<Arc<Partition>> {
        let tables = [&self.partitions, &self.retired];
        tables
            .into_iter()
            .flat_map(|table| table.iter().map(|entry| Arc::clone(entry.value())).collect::<Vec<_>>())
            .collect()
    }

    /// Puts into a checkpoint what is packed, and returns all other partitions, in order; of those that are neither the topic says all.
    pub(crate) fn give_packed(&self, checkpoint: &mut Checkpoint) -> Vec<Arc<Partition>> {
        let alone = self.alone();
        let mut opened = self.all_opened();
        self.packed.give(checkpoint);
        drop(alone);
        opened.sort_by_key(|partition| partition.id());
        opened
    }

    /// Where a partition begins that nobody has asked for and of which nothing was ever hidden from a view; what it holds was inherited.
    pub(crate) fn packed_log_start(&self, id: TopicPartition) -> Option<i64> {
        self.packed.log_start(id)
    }

    /// Shows the partitions that are packed.
    pub(crate) fn each_packed(&self, see: &mut dyn FnMut(&PartitionRecord)) {
        for page in self.packed.pages() {
            page.each(&mut |record| see(record));
        }
    }

    fn alone(&self) -> RwLockWriteGuard<'_, ()> {
        self.opening.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Readers of internal topics begin with what is still there.
    pub(crate) fn skip_dropped_facts(&self) {
        for topic in [TopicNumber::FACTS, TopicNumber::POSITIONS] {
            if let Some(partition) = self.get(TopicPartition::new(topic, 0)) {
                partition.skip_dropped();
            }
        }
    }

    /// The policy of a topic in a state that the caller has locked.
    pub(crate) fn policy(&self, state: &State, topic: &Topic) -> Policy {
        (self.policy)(state, topic)
    }

    /// What a fact means: the fold, and the partitions that come, go or lose their beginning.
    pub(crate) fn apply(&self, state: &mut State, fact: &Fact, lsn: Lsn) {
        if let Some(topic) = ended_by(state, fact) {
            self.retire(&topic, lsn);
        }
        state.apply(fact);
        match fact {
            Fact::Topic(Change::Put(topic)) => self.open(state, topic),
            Fact::Volume(_) | Fact::Pin(_) => drop(self.names_version.fetch_add(1, Ordering::AcqRel)),
            Fact::LogStart(Change::Put(start)) => {
                if let Some(partition) = self.get(start.partition) {
                    partition.move_log_start(start.offset, lsn);
                }
            }
            Fact::Compaction(Change::Put(compaction)) => {
                if let Some(partition) = self.get(compaction.partition) {
                    partition.compact(compaction, lsn);
                }
            }
            // What topics have in common may be in it.
            Fact::Document(_) => state.topics().for_each(|topic| self.open(state, topic)),
            _ => {}
        }
    }

    /// From here on a topic has its partitions, and all of them its policy.
    fn open(&self, state: &State, topic: &Topic) {
        let shape = Shape { partitions: topic.partitions, policy: self.policy(state, topic) };
        let alone = self.alone();
        let before = self.topics.insert(topic.number, shape);
        drop(alone);
        // Who comes into the table now has it already.
        if let Some(before) = before.filter(|before| before.policy != shape.policy) {
            for partition in self.opened_of(topic.number, before.partitions) {
                partition.set_policy(&shape.policy);
            }
        }
    }

    /// The timeline takes a new leader epoch: every partition has it from its end on.
    pub(crate) fn begin_epoch(&self, epoch: i32) {
        self.tell_all(
            || self.leader_epoch.store(epoch, Ordering::Release),
            |partition| partition.pieces().note_epoch(epoch, partition.log_end()),
        );
    }

    /// The timeline handed over to another.
    pub(crate) fn fence(&self) {
        self.tell_all(|| self.is_fenced.store(true, Ordering::Release), Partition::fence);
    }

    /// The timeline's volume is no more.
    pub(crate) fn end(&self) {
        self.tell_all(|| self.has_ended.store(true, Ordering::Release), Partition::end);
    }

    /// Notes something for partitions that are packed, while none is opened, and then tells those that are open.
    fn tell_all(&self, note: impl FnOnce(), tell: impl Fn(&Partition)) {
        let alone = self.alone();
        note();
        drop(alone);
        for partition in &self.partitions {
            tell(&partition);
        }
    }

    /// The partitions that a fact ends.
    pub(crate) fn ended_partitions(&self, fact: &Fact) -> Vec<Arc<Partition>> {
        let ended = ended_by(&self.read_state(), fact);
        ended.map_or_else(Vec::new, |topic| self.partitions_of(&topic))
    }

    fn retire(&self, topic: &Topic, lsn: Lsn) {
        let partitions = self.partitions_of(topic);
        let alone = self.alone();
        self.topics.remove(&topic.number);
        drop(alone);
        for partition in partitions {
            partition.retire(lsn);
            self.retired.insert(partition.id(), Arc::clone(&partition));
            self.partitions.remove(&partition.id());
        }
    }

    /// The partitions of a topic.
    pub(crate) fn partitions_of(&self, topic: &Topic) -> Vec<Arc<Partition>> {
        (0..topic.partitions).filter_map(|index| self.get(TopicPartition::new(topic.number, index))).collect()
    }

    /// Those of the first partitions of a topic that somebody asked for.
    pub(crate) fn opened_of(&self, topic: TopicNumber, partitions: u32) -> impl Iterator<Item = Arc<Partition>> {
        (0..partitions).filter_map(move |index| self.opened(TopicPartition::new(topic, index)))
    }
}

/// The topic that is no more once a fact holds.
fn ended_by(state: &State, fact: &Fact) -> Option<Arc<Topic>> {
    let Fact::Topic(change) = fact else { return None };
    let name = change.key();
    let before = state.topic(&name.stream, &name.topic)?;
    let goes_on = change.value().is_some_and(|topic| topic.number == before.number);
    (!goes_on).then(|| Arc::clone(before))
}
