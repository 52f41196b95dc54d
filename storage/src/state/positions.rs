//! All committed positions of a timeline, found by group, by topic and by both.
//!
//! Invariants: a group has a number exactly while it has positions; its list of topics counts them, per topic; so a group's
//! positions are found without looking at others', and a topic's go without looking for them.
//!
//! Shape: per topic blocks of positions: those of 32 groups in 64 partitions, as one ordered map by (group's number,
//! partition), for there are millions of positions, few topics, and nodes that groups share cost less than a map for each.
//! Names are kept in blocks, too. Everything is shared with clones until one side changes, block by block: a checkpoint's
//! copy of the state costs next to nothing, and the first commit behind it no more than its own block.

use super::position::Committed;
use crate::TopicNumber;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Stands for a group's id. Means nothing outside of one [`Positions`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct GroupNumber(u32);

/// So many groups, by their numbers, share blocks.
const GROUPS: u32 = 32;
/// So many partitions are in a block.
const PARTITIONS: u32 = 64;

/// Which block: groups, partitions.
type BlockKey = (u32, u32);
type Block = BTreeMap<(GroupNumber, u32), Committed>;

/// The positions in a topic. No block is empty.
#[derive(Debug, Clone, Default)]
struct OfTopic(BTreeMap<BlockKey, Arc<Block>>);

/// All positions.
#[derive(Debug, Clone, Default)]
pub(super) struct Positions {
    groups: Groups,
    topics: BTreeMap<TopicNumber, Arc<OfTopic>>,
}

/// Numbers and names of groups.
#[derive(Debug, Clone, Default)]
struct Groups {
    numbers: Arc<BTreeMap<Arc<str>, GroupNumber>>,
    /// By number, in blocks of [`GROUPS`].
    entries: Arc<Vec<Arc<Vec<Option<Entry>>>>>,
    free: Arc<Vec<GroupNumber>>,
}

/// A group: how many positions it has in which topics, by their number.
#[derive(Debug, Clone)]
struct Entry {
    name: Arc<str>,
    topics: Vec<(TopicNumber, u32)>,
}

impl Positions {
    pub(super) fn get(&self, group: &str, topic: TopicNumber, partition: u32) -> Option<&Committed> {
        let group = *self.groups.numbers.get(group)?;
        self.topics.get(&topic)?.get(group, partition)
    }

    pub(super) fn insert(&mut self, group: &Arc<str>, topic: TopicNumber, partition: u32, committed: Committed) {
        let number = match self.groups.numbers.get(group) {
            Some(number) => *number,
            None => self.groups.add(group),
        };
        let of_topic = Arc::make_mut(self.topics.entry(topic).or_default());
        if of_topic.insert(number, partition, committed).is_none() {
            self.groups.count_up(number, topic);
        }
    }

    pub(super) fn remove(&mut self, group: &str, topic: TopicNumber, partition: u32) {
        if self.get(group, topic, partition).is_none() {
            return;
        }
        let (Some(&number), Some(of_topic)) = (self.groups.numbers.get(group), self.topics.get_mut(&topic)) else {
            return;
        };
        let of_topic = Arc::make_mut(of_topic);
        of_topic.remove(number, partition);
        if of_topic.0.is_empty() {
            self.topics.remove(&topic);
        }
        self.groups.count_down(number, topic, 1);
    }

    /// Removes all positions in a topic.
    pub(super) fn remove_topic(&mut self, topic: TopicNumber) {
        let Some(of_topic) = self.topics.remove(&topic) else { return };
        for (number, _) in of_topic.keys() {
            self.groups.count_down(number, topic, 1);
        }
    }

    /// The ids of all groups that have positions, in order.
    pub(super) fn groups(&self) -> impl Iterator<Item = &Arc<str>> {
        self.groups.numbers.keys()
    }

    /// The positions of a group, by topic and partition.
    pub(super) fn of_group(&self, group: &str) -> impl Iterator<Item = (TopicNumber, u32, &Committed)> {
        self.groups.numbers.get(group).into_iter().flat_map(|number| self.of_number(*number))
    }

    /// Who has positions in a topic, and in which partitions.
    pub(super) fn of_topic(&self, topic: TopicNumber) -> impl Iterator<Item = (&Arc<str>, u32)> {
        let keys = self.topics.get(&topic).into_iter().flat_map(|of_topic| of_topic.keys());
        keys.filter_map(|(number, partition)| Some((&self.groups.entry(number)?.name, partition)))
    }

    /// All positions, by group, topic and partition.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&Arc<str>, TopicNumber, u32, &Committed)> {
        self.groups.numbers.iter().flat_map(|(group, number)| {
            self.of_number(*number).map(move |(topic, partition, committed)| (group, topic, partition, committed))
        })
    }

    fn of_number(&self, number: GroupNumber) -> impl Iterator<Item = (TopicNumber, u32, &Committed)> {
        let topics = self.groups.entry(number).map_or(&[][..], |entry| &entry.topics);
        topics.iter().filter_map(|(topic, _)| Some((*topic, self.topics.get(topic)?))).flat_map(
            move |(topic, of_topic)| {
                of_topic.of_group(number).map(move |(partition, committed)| (topic, partition, committed))
            },
        )
    }
}

impl PartialEq for Positions {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for Positions {}

impl OfTopic {
    fn block_of(group: GroupNumber, partition: u32) -> BlockKey {
        (group.0 / GROUPS, partition / PARTITIONS)
    }

    fn get(&self, group: GroupNumber, partition: u32) -> Option<&Committed> {
        self.0.get(&Self::block_of(group, partition))?.get(&(group, partition))
    }

    fn insert(&mut self, group: GroupNumber, partition: u32, committed: Committed) -> Option<Committed> {
        let block = self.0.entry(Self::block_of(group, partition)).or_default();
        Arc::make_mut(block).insert((group, partition), committed)
    }

    fn remove(&mut self, group: GroupNumber, partition: u32) {
        let key = Self::block_of(group, partition);
        let Some(block) = self.0.get_mut(&key) else { return };
        let block = Arc::make_mut(block);
        block.remove(&(group, partition));
        if block.is_empty() {
            self.0.remove(&key);
        }
    }

    /// By blocks of partitions, and so by partition.
    fn of_group(&self, group: GroupNumber) -> impl Iterator<Item = (u32, &Committed)> {
        let groups = group.0 / GROUPS;
        let blocks = self.0.range((groups, 0)..=(groups, u32::MAX));
        blocks.flat_map(move |(_, block)| {
            block.range((group, 0)..=(group, u32::MAX)).map(|((_, partition), committed)| (*partition, committed))
        })
    }

    fn keys(&self) -> impl Iterator<Item = (GroupNumber, u32)> {
        self.0.values().flat_map(|block| block.keys().copied())
    }
}

impl Groups {
    /// Where a number's entry is: block, and place in it.
    fn place(number: GroupNumber) -> (usize, usize) {
        ((number.0 / GROUPS) as usize, (number.0 % GROUPS) as usize)
    }

    fn entry(&self, number: GroupNumber) -> Option<&Entry> {
        let (block, at) = Self::place(number);
        self.entries.get(block)?.get(at)?.as_ref()
    }

    fn slot(&mut self, number: GroupNumber) -> Option<&mut Option<Entry>> {
        let (block, at) = Self::place(number);
        Arc::make_mut(Arc::make_mut(&mut self.entries).get_mut(block)?).get_mut(at)
    }

    fn add(&mut self, name: &Arc<str>) -> GroupNumber {
        let entry = Some(Entry { name: Arc::clone(name), topics: Vec::new() });
        let free = if self.free.is_empty() { None } else { Arc::make_mut(&mut self.free).pop() };
        let number = free.unwrap_or_else(|| self.new_number());
        if let Some(slot) = self.slot(number) {
            *slot = entry;
        }
        Arc::make_mut(&mut self.numbers).insert(Arc::clone(name), number);
        number
    }

    /// A number that no group has had, with an empty place for it.
    fn new_number(&mut self) -> GroupNumber {
        let entries = Arc::make_mut(&mut self.entries);
        if entries.last().is_none_or(|last| last.len() == GROUPS as usize) {
            entries.push(Arc::default());
        }
        let block = entries.len() - 1;
        let last = Arc::make_mut(&mut entries[block]);
        last.push(None);
        let number = block * GROUPS as usize + last.len() - 1;
        GroupNumber(u32::try_from(number).unwrap_or(u32::MAX))
    }

    fn count_up(&mut self, number: GroupNumber, topic: TopicNumber) {
        let Some(Some(entry)) = self.slot(number) else { return };
        match entry.topics.binary_search_by_key(&topic, |(topic, _)| *topic) {
            Ok(at) => entry.topics[at].1 += 1,
            Err(at) => entry.topics.insert(at, (topic, 1)),
        }
    }

    fn count_down(&mut self, number: GroupNumber, topic: TopicNumber, by: u32) {
        let Some(slot) = self.slot(number) else { return };
        let Some(entry) = slot else { return };
        let Ok(at) = entry.topics.binary_search_by_key(&topic, |(topic, _)| *topic) else { return };
        entry.topics[at].1 = entry.topics[at].1.saturating_sub(by);
        if entry.topics[at].1 == 0 {
            entry.topics.remove(at);
        }
        if entry.topics.is_empty() {
            let name = Arc::clone(&entry.name);
            *slot = None;
            Arc::make_mut(&mut self.numbers).remove(&name);
            Arc::make_mut(&mut self.free).push(number);
        }
    }
}
