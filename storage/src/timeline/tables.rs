//! What the facts of a timeline add up to while it runs: the state, and the partitions that the state's topics have.
//!
//! Invariants: every partition of a topic in the state is in the table, and no other but the internal ones; a partition whose topic was deleted is kept
//! aside for views of the past, until nothing needs its batches. The same functions serve publishing and recovery.

use std::sync::atomic::{AtomicI32, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use dashmap::DashMap;

use super::partition::Partition;
use super::virtual_segments::Meter;
use crate::options::{Policy, PolicyOf};
use crate::state::{Change, Fact, State, Topic};
use crate::units::{Lsn, TopicNumber, TopicPartition};

/// State and partitions.
pub(crate) struct Tables {
    pub(crate) partitions: DashMap<TopicPartition, Arc<Partition>>,
    /// Of deleted topics, while views of the past may need them.
    pub(crate) retired: DashMap<TopicPartition, Arc<Partition>>,
    state: RwLock<State>,
    leader_epoch: AtomicI32,
    /// How often a volume or a pin came, changed or went.
    names_version: AtomicU64,
    /// Of the partitions that topics have.
    meter: Arc<Meter>,
    policy: PolicyOf,
}

impl Tables {
    /// Over a state whose topics' partitions are still to be opened.
    pub(crate) fn new(state: State, leader_epoch: i32, policy: PolicyOf) -> Self {
        let tables = Self {
            partitions: DashMap::new(),
            retired: DashMap::new(),
            state: RwLock::new(state),
            leader_epoch: AtomicI32::new(leader_epoch),
            names_version: AtomicU64::new(0),
            meter: Arc::default(),
            policy,
        };
        for topic in [TopicNumber::FACTS, TopicNumber::POSITIONS] {
            let id = TopicPartition::new(topic, 0);
            tables.partitions.insert(id, Partition::new(id, 0, 0));
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

    /// Takes in a partition as it was when the timeline was last saved.
    pub(crate) fn restore(&self, partition: Arc<Partition>) {
        if !partition.id().topic.is_internal() {
            partition.count_with(&self.meter);
        }
        self.partitions.insert(partition.id(), partition);
    }

    /// A partition, as far as its topic is visible.
    pub(crate) fn get(&self, id: TopicPartition) -> Option<Arc<Partition>> {
        self.partitions.get(&id).map(|entry| Arc::clone(entry.value()))
    }

    /// A partition, also one that is kept for views of the past.
    pub(crate) fn get_any(&self, id: TopicPartition) -> Option<Arc<Partition>> {
        self.get(id).or_else(|| self.retired.get(&id).map(|entry| Arc::clone(entry.value())))
    }

    /// Every partition, also those kept for views of the past.
    pub(crate) fn all(&self) -> Vec<Arc<Partition>> {
        let tables = [&self.partitions, &self.retired];
        tables
            .into_iter()
            .flat_map(|table| table.iter().map(|entry| Arc::clone(entry.value())).collect::<Vec<_>>())
            .collect()
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
                if let Some(partition) = self.partitions.get(&start.partition) {
                    partition.move_log_start(start.offset, lsn);
                }
            }
            Fact::Compaction(Change::Put(compaction)) => {
                if let Some(partition) = self.partitions.get(&compaction.partition) {
                    partition.compact(compaction, lsn);
                }
            }
            // What topics have in common may be in it.
            Fact::Document(_) => state.topics().for_each(|topic| self.open(state, topic)),
            _ => {}
        }
    }

    /// Opens the partitions that a topic has and the table lacks, and gives all of them its policy.
    pub(crate) fn open(&self, state: &State, topic: &Topic) {
        let policy = self.policy(state, topic);
        for index in 0..topic.partitions {
            let id = TopicPartition::new(topic.number, index);
            let entry = self.partitions.entry(id).or_insert_with(|| {
                let partition = Partition::new(id, 0, 0);
                partition.pieces().note_epoch(self.leader_epoch(), 0);
                partition.count_with(&self.meter);
                partition
            });
            entry.set_policy(&policy);
        }
    }

    /// The timeline takes a new leader epoch: every partition has it from its end on.
    pub(crate) fn begin_epoch(&self, epoch: i32) {
        self.leader_epoch.store(epoch, Ordering::Release);
        for partition in &self.partitions {
            partition.pieces().note_epoch(epoch, partition.log_end());
        }
    }

    /// The partitions that a fact ends.
    pub(crate) fn ended_partitions(&self, fact: &Fact) -> Vec<Arc<Partition>> {
        let ended = ended_by(&self.read_state(), fact);
        ended.map_or_else(Vec::new, |topic| self.partitions_of(&topic))
    }

    fn retire(&self, topic: &Topic, lsn: Lsn) {
        for partition in self.partitions_of(topic) {
            partition.retire(lsn);
            self.retired.insert(partition.id(), Arc::clone(&partition));
            self.partitions.remove(&partition.id());
        }
    }

    /// The partitions of a topic.
    pub(crate) fn partitions_of(&self, topic: &Topic) -> Vec<Arc<Partition>> {
        (0..topic.partitions).filter_map(|index| self.get(TopicPartition::new(topic.number, index))).collect()
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
