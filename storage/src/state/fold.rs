//! The state: what the facts of a timeline add up to, and the one function that adds a fact.
//!
//! Invariants:
//! - A topic has one name and one number; numbers are never given twice.
//! - Log starts are of internal topics and of topics that live, positions and compactions of topics that live. All go with the topic, by
//!   its number, so that a topic made again inherits nothing, and a late fact of a topic that is gone leaves nothing.
//! - For a log that keeps to the first point, folding any suffix of it into a state that already has it changes nothing:
//!   recovery may start earlier than it has to.
//!
//! Shape: the large maps are shared with clones until one side changes. A clone is cheap, and is how a checkpoint gets a
//! state that stands still.

use super::cluster::Cluster;
use super::compaction::Compaction;
use super::counter::{Counter, Numbers};
use super::document::{Document, DocumentKey, Named};
use super::fact::{Change, Fact, Thing};
use super::floor::Floor;
use super::group::{Group, GroupKey};
use super::log_start::LogStart;
use super::pin::{Pin, PinId};
use super::position::{self, Committed, Position, PositionKey};
use super::positions::Positions;
use super::timeline::TimelineInfo;
use super::topic::{DEFAULT_STREAM, Topic, TopicName};
use super::volume::{Volume, VolumeId};
use crate::{Moment, TimelineId, TopicNumber, TopicPartition};
use bytes::Bytes;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// What the facts of a timeline add up to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct State {
    topics: Arc<Topics>,
    log_starts: Arc<BTreeMap<TopicPartition, i64>>,
    compactions: Arc<BTreeMap<TopicPartition, Compaction>>,
    positions: Positions,
    documents: Arc<BTreeMap<DocumentKey, Bytes>>,
    system: Arc<System>,
}

/// Takes the internal topic, the key and the value of a fact.
pub(super) type SeeEncoded<'a> = dyn FnMut(TopicNumber, &[u8], &[u8]) + 'a;

/// Topics by name, stream by stream, and by number: the same ones.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Topics {
    by_name: BTreeMap<Arc<str>, BTreeMap<Arc<str>, Arc<Topic>>>,
    by_number: HashMap<TopicNumber, Arc<Topic>>,
}

/// What only the `system` volume's log has facts of.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct System {
    volumes: BTreeMap<Arc<str>, Volume>,
    timelines: BTreeMap<TimelineId, TimelineInfo>,
    floors: BTreeMap<TimelineId, Moment>,
    pins: BTreeMap<PinId, Pin>,
    counters: BTreeMap<Numbers, u64>,
    groups: BTreeMap<GroupKey, Bytes>,
    cluster: Option<[u8; 16]>,
}

impl State {
    /// Adds a fact.
    pub fn apply(&mut self, fact: &Fact) {
        match fact {
            Fact::Topic(change) => self.apply_topic(change),
            Fact::LogStart(change) => self.apply_log_start(change),
            Fact::Compaction(change) => self.apply_compaction(change),
            Fact::Position(change) => self.apply_position(change),
            Fact::Volume(change) => apply_to(&mut self.system_mut().volumes, change, Volume::clone),
            Fact::Timeline(change) => apply_to(&mut self.system_mut().timelines, change, TimelineInfo::clone),
            Fact::Floor(change) => apply_to(&mut self.system_mut().floors, change, |floor: &Floor| floor.at),
            Fact::Pin(change) => apply_to(&mut self.system_mut().pins, change, Pin::clone),
            Fact::Counter(change) => {
                apply_to(&mut self.system_mut().counters, change, |counter: &Counter| counter.next);
            }
            Fact::Group(change) => {
                apply_to(&mut self.system_mut().groups, change, |group: &Group| group.members.clone());
            }
            Fact::Document(change) => {
                apply_to(Arc::make_mut(&mut self.documents), change, |document: &Document| document.body.clone());
            }
            Fact::Cluster(change) => self.system_mut().cluster = change.value().map(|cluster: &Cluster| cluster.id),
        }
    }

    fn system_mut(&mut self) -> &mut System {
        Arc::make_mut(&mut self.system)
    }

    fn apply_topic(&mut self, change: &Change<Topic>) {
        let name = change.key();
        let before = self.topic(&name.stream, &name.topic).map(|topic| topic.number);
        let after = change.value();
        if let Some(gone) = before.filter(|before| after.is_none_or(|topic| topic.number != *before)) {
            self.forget(gone);
        }
        let Some(topic) = after else { return };
        // No log of ours gives a number to a second name. Should one do so, then the last one counts, everywhere.
        if self.topic_by_number(topic.number).is_some_and(|other| other.name != topic.name) {
            self.forget(topic.number);
        }
        Arc::make_mut(&mut self.topics).insert(Arc::new(topic.clone()));
    }

    /// Removes a topic and what belongs to it.
    fn forget(&mut self, number: TopicNumber) {
        Arc::make_mut(&mut self.topics).remove(number);
        self.positions.remove_topic(number);
        let all = TopicPartition::new(number, 0)..=TopicPartition::new(number, u32::MAX);
        if self.log_starts.range(all.clone()).next().is_some() {
            let log_starts = Arc::make_mut(&mut self.log_starts);
            let gone: Vec<_> = log_starts.range(all).map(|(partition, _)| *partition).collect();
            for partition in gone {
                log_starts.remove(&partition);
            }
        }
        if self.compactions.keys().any(|partition| partition.topic == number) {
            Arc::make_mut(&mut self.compactions).retain(|partition, _| partition.topic != number);
        }
    }

    fn apply_compaction(&mut self, change: &Change<Compaction>) {
        if self.topic_by_number(change.key().topic).is_some() {
            apply_to(Arc::make_mut(&mut self.compactions), change, Compaction::clone);
        }
    }

    /// What a timeline has that branches off at that age: its inherited tombstones count as new.
    pub(crate) fn age_compactions(&mut self, age: i64) {
        if !self.compactions.is_empty() {
            for compaction in Arc::make_mut(&mut self.compactions).values_mut() {
                *compaction = compaction.aged(age);
            }
        }
    }

    fn apply_log_start(&mut self, change: &Change<LogStart>) {
        let topic = change.key().topic;
        if topic.is_internal() || self.topic_by_number(topic).is_some() {
            apply_to(Arc::make_mut(&mut self.log_starts), change, |start: &LogStart| start.offset);
        }
    }

    fn apply_position(&mut self, change: &Change<Position>) {
        match change {
            Change::Put(Position { key, committed }) => {
                let number = committed.topic();
                if self.topic_by_number(number).is_some_and(|topic| topic.name.is_short(&key.topic)) {
                    self.positions.insert(&key.group, number, key.partition, committed.clone());
                }
            }
            Change::Delete(PositionKey { group, topic, partition }) => {
                if let Some(number) = self.topic_by_short_name(topic).map(|topic| topic.number) {
                    self.positions.remove(group, number, *partition);
                }
            }
        }
    }

    /// Shows every fact of the state, kind by kind, in an order that depends on nothing but the state. Folding them in
    /// this order makes an equal state.
    pub fn each_fact(&self, see: &mut dyn FnMut(Fact)) {
        self.each_but_positions(see);
        Position::each(self, &mut |thing| see(thing.into()));
    }

    /// Shows the keys and values of all facts, in that order. Positions may be millions: nothing is made for one of them.
    pub(super) fn each_encoded(&self, see: &mut SeeEncoded<'_>) {
        let (mut key, mut value) = (Vec::new(), Vec::new());
        self.each_but_positions(&mut |fact| {
            key.clear();
            value.clear();
            fact.put_key(&mut key);
            fact.put_value(&mut value);
            see(fact.topic(), &key, &value);
        });
        let mut names: HashMap<TopicNumber, Option<Arc<str>>> = HashMap::new();
        for (group, number, partition, committed) in self.positions.iter() {
            let name = names.entry(number).or_insert_with(|| Some(self.topic_by_number(number)?.name.short()));
            let Some(name) = name else { continue };
            key.clear();
            value.clear();
            position::put_key(group, name, partition, &mut key);
            committed.put(&mut value);
            see(TopicNumber::POSITIONS, &key, &value);
        }
    }

    fn each_but_positions(&self, see: &mut dyn FnMut(Fact)) {
        Topic::each(self, &mut |thing| see(thing.into()));
        LogStart::each(self, &mut |thing| see(thing.into()));
        Compaction::each(self, &mut |thing| see(thing.into()));
        Volume::each(self, &mut |thing| see(thing.into()));
        TimelineInfo::each(self, &mut |thing| see(thing.into()));
        Floor::each(self, &mut |thing| see(thing.into()));
        Pin::each(self, &mut |thing| see(thing.into()));
        Counter::each(self, &mut |thing| see(thing.into()));
        Group::each(self, &mut |thing| see(thing.into()));
        Cluster::each(self, &mut |thing| see(thing.into()));
        Document::each(self, &mut |thing| see(thing.into()));
    }
}

/// Topics, log starts, positions.
impl State {
    /// The topic of a name.
    pub fn topic(&self, stream: &str, topic: &str) -> Option<&Arc<Topic>> {
        self.topics.by_name.get(stream)?.get(topic)
    }

    /// The topic of a short name, as positions have it: `<stream>.<topic>` where the volume has that, else plain in the
    /// default stream.
    pub fn topic_by_short_name(&self, short: &str) -> Option<&Arc<Topic>> {
        let in_stream = short.split_once('.').and_then(|(stream, topic)| self.topic(stream, topic));
        in_stream.filter(|topic| *topic.name.stream != *DEFAULT_STREAM).or_else(|| self.topic(DEFAULT_STREAM, short))
    }

    /// The topic that has a number.
    pub fn topic_by_number(&self, number: TopicNumber) -> Option<&Arc<Topic>> {
        self.topics.by_number.get(&number)
    }

    /// All topics, by stream and name.
    pub fn topics(&self) -> impl Iterator<Item = &Arc<Topic>> {
        self.topics.by_name.values().flat_map(BTreeMap::values)
    }

    /// The topics of a stream, by name.
    pub fn topics_in(&self, stream: &str) -> impl Iterator<Item = &Arc<Topic>> {
        self.topics.by_name.get(stream).into_iter().flat_map(BTreeMap::values)
    }

    /// How many topics there are.
    pub fn topic_count(&self) -> usize {
        self.topics.by_number.len()
    }

    /// The first offset of a partition, if it was ever raised.
    pub fn log_start(&self, partition: TopicPartition) -> Option<i64> {
        self.log_starts.get(&partition).copied()
    }

    /// All first offsets that were ever raised, by partition.
    pub fn log_starts(&self) -> impl Iterator<Item = (TopicPartition, i64)> {
        self.log_starts.iter().map(|(partition, offset)| (*partition, *offset))
    }

    /// How far a partition is compacted, if it ever was.
    pub fn compaction(&self, partition: TopicPartition) -> Option<&Compaction> {
        self.compactions.get(&partition)
    }

    /// The last compactions of all partitions, by partition.
    pub fn compactions(&self) -> impl Iterator<Item = &Compaction> {
        self.compactions.values()
    }

    /// What a group committed for a partition.
    pub fn position(&self, group: &str, topic: TopicNumber, partition: u32) -> Option<&Committed> {
        self.positions.get(group, topic, partition)
    }

    /// All that a group committed, by topic and partition.
    pub fn positions_of(&self, group: &str) -> impl Iterator<Item = (&Arc<Topic>, u32, &Committed)> {
        self.positions
            .of_group(group)
            .filter_map(|(number, partition, committed)| Some((self.topic_by_number(number)?, partition, committed)))
    }

    /// The groups that committed something for a topic, and the partitions.
    pub fn positions_in(&self, topic: TopicNumber) -> impl Iterator<Item = (&Arc<str>, u32)> {
        self.positions.of_topic(topic)
    }

    /// The ids of all groups that committed something, in order.
    pub fn position_groups(&self) -> impl Iterator<Item = &Arc<str>> {
        self.positions.groups()
    }

    /// All positions, by group, topic and partition.
    pub fn positions(&self) -> impl Iterator<Item = Position> {
        self.positions.iter().filter_map(|(group, number, partition, committed)| {
            let topic = self.topic_by_number(number)?.name.short();
            let key = PositionKey { group: Arc::clone(group), topic, partition };
            Some(Position { key, committed: committed.clone() })
        })
    }
}

/// Documents.
impl State {
    /// A document.
    pub fn document(&self, key: &DocumentKey) -> Option<&Bytes> {
        self.documents.get(key)
    }

    /// A document by the parts of its key.
    pub fn document_named(&self, collection: u8, name: &str) -> Option<&Bytes> {
        self.documents.get(&(collection, name) as &dyn Named)
    }

    /// All documents, by collection and name.
    pub fn documents(&self) -> impl Iterator<Item = (&DocumentKey, &Bytes)> {
        self.documents.iter()
    }

    /// The documents of a collection, by name.
    pub fn documents_in(&self, collection: u8) -> impl Iterator<Item = (&DocumentKey, &Bytes)> {
        let first = DocumentKey { collection, name: "".into() };
        self.documents.range(first..).take_while(move |(key, _)| key.collection == collection)
    }
}

/// What only `system` has.
impl State {
    /// The volume of a name.
    pub fn volume(&self, name: &str) -> Option<&Volume> {
        self.system.volumes.get(name)
    }

    /// The volume that has an id.
    pub fn volume_by_id(&self, id: VolumeId) -> Option<&Volume> {
        self.volumes().find(|volume| volume.id == id)
    }

    /// All volumes, by name.
    pub fn volumes(&self) -> impl Iterator<Item = &Volume> {
        self.system.volumes.values()
    }

    /// A timeline.
    pub fn timeline(&self, id: TimelineId) -> Option<&TimelineInfo> {
        self.system.timelines.get(&id)
    }

    /// All timelines, by id.
    pub fn timelines(&self) -> impl Iterator<Item = &TimelineInfo> {
        self.system.timelines.values()
    }

    /// The history floor of a timeline.
    pub fn floor(&self, timeline: TimelineId) -> Option<Moment> {
        self.system.floors.get(&timeline).copied()
    }

    /// All history floors, by timeline.
    pub fn floors(&self) -> impl Iterator<Item = (TimelineId, Moment)> {
        self.system.floors.iter().map(|(timeline, at)| (*timeline, *at))
    }

    /// A pin.
    pub fn pin(&self, id: PinId) -> Option<&Pin> {
        self.system.pins.get(&id)
    }

    /// All pins, by id.
    pub fn pins(&self) -> impl Iterator<Item = &Pin> {
        self.system.pins.values()
    }

    /// The first number not given out yet, if one ever was.
    pub fn counter(&self, numbers: Numbers) -> Option<u64> {
        self.system.counters.get(&numbers).copied()
    }

    /// All counters.
    pub fn counters(&self) -> impl Iterator<Item = (Numbers, u64)> {
        self.system.counters.iter().map(|(numbers, next)| (*numbers, *next))
    }

    /// The members of a group.
    pub fn group(&self, key: &GroupKey) -> Option<&Bytes> {
        self.system.groups.get(key)
    }

    /// All groups that have members or had some, by scope and id.
    pub fn groups(&self) -> impl Iterator<Item = (&GroupKey, &Bytes)> {
        self.system.groups.iter()
    }

    /// The cluster's id.
    pub fn cluster(&self) -> Option<[u8; 16]> {
        self.system.cluster
    }
}

impl Topics {
    fn insert(&mut self, topic: Arc<Topic>) {
        let TopicName { stream, topic: name } = topic.name.clone();
        self.by_number.insert(topic.number, Arc::clone(&topic));
        self.by_name.entry(stream).or_default().insert(name, topic);
    }

    fn remove(&mut self, number: TopicNumber) {
        let Some(topic) = self.by_number.remove(&number) else { return };
        let TopicName { stream, topic: name } = &topic.name;
        if let Some(in_stream) = self.by_name.get_mut(stream) {
            in_stream.remove(name);
            if in_stream.is_empty() {
                self.by_name.remove(stream);
            }
        }
    }
}

fn apply_to<T: Thing, V>(map: &mut BTreeMap<T::Key, V>, change: &Change<T>, value: impl FnOnce(&T) -> V)
where
    T::Key: Ord,
{
    match change {
        Change::Put(thing) => {
            map.insert(thing.key(), value(thing));
        }
        Change::Delete(key) => {
            map.remove(key);
        }
    }
}
