//! All committed positions of a timeline, found by group, by topic and by both.
//!
//! Invariants: a group has a number exactly while it has positions; its list of topics counts them, per topic; so a group's
//! positions are found without looking at others', and a topic's go without looking for them.
//!
//! Shape: per topic one ordered map by (group's number, partition), for there are millions of positions, few topics, and
//! nodes that groups share cost less than a map for each. The maps are shared with clones until one side changes, so that
//! a checkpoint's copy of the state costs no more than the topics.

use super::position::Committed;
use crate::TopicNumber;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Stands for a group's id. Means nothing outside of one [`Positions`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct GroupNumber(u32);

type OfTopic = BTreeMap<(GroupNumber, u32), Committed>;

/// All positions.
#[derive(Debug, Clone, Default)]
pub(super) struct Positions {
    groups: Arc<Groups>,
    topics: BTreeMap<TopicNumber, Arc<OfTopic>>,
}

#[derive(Debug, Clone, Default)]
struct Groups {
    numbers: BTreeMap<Arc<str>, GroupNumber>,
    entries: Vec<Option<Entry>>,
    free: Vec<GroupNumber>,
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
        self.topics.get(&topic)?.get(&(group, partition))
    }

    pub(super) fn insert(&mut self, group: &Arc<str>, topic: TopicNumber, partition: u32, committed: Committed) {
        let number = match self.groups.numbers.get(group) {
            Some(number) => *number,
            None => Arc::make_mut(&mut self.groups).add(group),
        };
        let of_topic = Arc::make_mut(self.topics.entry(topic).or_default());
        if of_topic.insert((number, partition), committed).is_none() {
            Arc::make_mut(&mut self.groups).count_up(number, topic);
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
        of_topic.remove(&(number, partition));
        if of_topic.is_empty() {
            self.topics.remove(&topic);
        }
        Arc::make_mut(&mut self.groups).count_down(number, topic, 1);
    }

    /// Removes all positions in a topic.
    pub(super) fn remove_topic(&mut self, topic: TopicNumber) {
        let Some(of_topic) = self.topics.remove(&topic) else { return };
        let groups = Arc::make_mut(&mut self.groups);
        for (number, _) in of_topic.keys() {
            groups.count_down(*number, topic, 1);
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
        keys.filter_map(|(number, partition)| Some((&self.groups.entry(*number)?.name, *partition)))
    }

    /// All positions, by group, topic and partition.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&Arc<str>, TopicNumber, u32, &Committed)> {
        self.groups.numbers.iter().flat_map(|(group, number)| {
            self.of_number(*number).map(move |(topic, partition, committed)| (group, topic, partition, committed))
        })
    }

    fn of_number(&self, number: GroupNumber) -> impl Iterator<Item = (TopicNumber, u32, &Committed)> {
        let topics = self.groups.entry(number).map_or(&[][..], |entry| &entry.topics);
        topics.iter().filter_map(|(topic, _)| Some((*topic, self.topics.get(topic)?))).flat_map(move |(topic, map)| {
            let range = map.range((number, 0)..=(number, u32::MAX));
            range.map(move |((_, partition), committed)| (topic, *partition, committed))
        })
    }
}

impl PartialEq for Positions {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for Positions {}

impl Groups {
    fn entry(&self, number: GroupNumber) -> Option<&Entry> {
        self.entries.get(number.0 as usize)?.as_ref()
    }

    fn add(&mut self, name: &Arc<str>) -> GroupNumber {
        let entry = Some(Entry { name: Arc::clone(name), topics: Vec::new() });
        let number = if let Some(number) = self.free.pop() {
            self.entries[number.0 as usize] = entry;
            number
        } else {
            self.entries.push(entry);
            GroupNumber(u32::try_from(self.entries.len() - 1).unwrap_or(u32::MAX))
        };
        self.numbers.insert(Arc::clone(name), number);
        number
    }

    fn count_up(&mut self, number: GroupNumber, topic: TopicNumber) {
        let Some(entry) = self.entries.get_mut(number.0 as usize).and_then(Option::as_mut) else { return };
        match entry.topics.binary_search_by_key(&topic, |(topic, _)| *topic) {
            Ok(at) => entry.topics[at].1 += 1,
            Err(at) => entry.topics.insert(at, (topic, 1)),
        }
    }

    fn count_down(&mut self, number: GroupNumber, topic: TopicNumber, by: u32) {
        let Some(slot) = self.entries.get_mut(number.0 as usize) else { return };
        let Some(entry) = slot else { return };
        let Ok(at) = entry.topics.binary_search_by_key(&topic, |(topic, _)| *topic) else { return };
        entry.topics[at].1 = entry.topics[at].1.saturating_sub(by);
        if entry.topics[at].1 == 0 {
            entry.topics.remove(at);
        }
        if entry.topics.is_empty() {
            self.numbers.remove(&entry.name);
            *slot = None;
            self.free.push(number);
        }
    }
}
