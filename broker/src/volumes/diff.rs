//! What differs between two views, topic by topic: records, offsets, settings, positions of groups; topics in one only.
//!
//! A topic is the same in both where it has the same number: one that was deleted and made again under its name is told as two.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use millpond_storage::state::{State, Topic};
use millpond_storage::{Error, TopicNumber, TopicPartition, View};
use tokio::task::spawn_blocking;

use super::view::ViewName;
use super::{Result, VolumeError, Volumes};
use crate::completion;

/// What differs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Diff {
    /// Topics that differ, by short name.
    pub topics: Vec<TopicDiff>,
    /// How many topics are the same in both.
    pub same: usize,
}

/// What differs in a topic.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TopicDiff {
    /// Its short name.
    pub topic: String,
    /// Whether the first view has it.
    pub in_first: bool,
    /// Whether the second view has it.
    pub in_second: bool,
    /// Partitions whose offsets differ, by number.
    pub partitions: Vec<PartitionDiff>,
    /// Settings that differ: the key, the value in the first view, the value in the second.
    pub settings: Vec<(String, Option<String>, Option<String>)>,
    /// Positions that differ.
    pub positions: Vec<PositionDiff>,
}

/// Where a partition begins and ends in both views; none: the view does not have it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartitionDiff {
    /// Its number.
    pub partition: u32,
    /// In the first view: the first offset, and the one behind the last.
    pub first: Option<(i64, i64)>,
    /// The same in the second view.
    pub second: Option<(i64, i64)>,
}

impl PartitionDiff {
    /// Offsets that the second view has behind the end of the first, below zero where it ends before.
    pub fn records(&self) -> i64 {
        let end = |bounds: Option<(i64, i64)>| bounds.map_or(0, |(_, end)| end);
        match (self.first, self.second) {
            (Some((start, end)), None) => start - end,
            (None, Some((start, end))) => end - start,
            (first, second) => end(second) - end(first),
        }
    }
}

/// How far a group has come in a partition in both views; none: it has no position there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PositionDiff {
    /// The group.
    pub group: String,
    /// The partition.
    pub partition: u32,
    /// The position in the first view.
    pub first: Option<i64>,
    /// The position in the second view.
    pub second: Option<i64>,
}

impl Volumes {
    /// What is different in the second view.
    pub async fn diff(&self, first: &ViewName, second: &ViewName) -> Result<Diff> {
        let (first, second) = (self.side(first).await?, self.side(second).await?);
        // Where partitions of the past end may have to be read from files.
        let compared = spawn_blocking(move || compare(&first, &second));
        Ok(compared.await.map_err(|_| VolumeError::Storage(Error::Closed))??)
    }

    async fn side(&self, name: &ViewName) -> Result<Side> {
        let (timeline, lsn) = if let Some(snapshot) = &name.snapshot {
            let pin = self.snapshot(&name.volume, snapshot)?.pin;
            let timeline = self.engine.timeline(pin.timeline).ok_or(VolumeError::Storage(Error::Closed))?;
            (timeline, pin.lsn)
        } else {
            let timeline = self.settled(&name.volume).await?;
            let lsn = timeline.visible_lsn();
            (timeline, lsn)
        };
        let view = timeline.at(lsn)?;
        let (done, state) = completion::pair();
        timeline.state_at(lsn, done);
        let state = state.await.unwrap_or(Err(Error::Closed))?;
        Ok(Side { view, state })
    }
}

/// One of the two views.
struct Side {
    view: View,
    state: Arc<State>,
}

impl Side {
    fn topics(&self) -> BTreeMap<(Arc<str>, TopicNumber), &Topic> {
        self.state.topics().map(|topic| ((topic.name.short(), topic.number), &**topic)).collect()
    }

    fn bounds(&self, topic: Option<&&Topic>, index: u32) -> std::result::Result<Option<(i64, i64)>, Error> {
        let Some(topic) = topic.filter(|topic| index < topic.partitions) else { return Ok(None) };
        let Some(partition) = self.view.partition(TopicPartition::new(topic.number, index)) else { return Ok(None) };
        let bounds = self.view.bounds(&partition)?;
        Ok(Some((bounds.log_start, bounds.high_watermark)))
    }

    /// The positions in all topics, by topic, group and partition.
    fn positions(&self) -> BTreeMap<TopicNumber, BTreeMap<(Arc<str>, u32), i64>> {
        let mut positions: BTreeMap<_, BTreeMap<_, _>> = BTreeMap::new();
        for position in self.state.positions() {
            let of_topic = positions.entry(position.committed.topic()).or_default();
            of_topic.insert((position.key.group, position.key.partition), position.committed.offset);
        }
        positions
    }
}

fn compare(first: &Side, second: &Side) -> std::result::Result<Diff, Error> {
    let (first_topics, second_topics) = (first.topics(), second.topics());
    let (first_positions, second_positions) = (first.positions(), second.positions());
    let mut diff = Diff::default();
    let keys: BTreeSet<_> = first_topics.keys().chain(second_topics.keys()).collect();
    for key in keys {
        let (here, there) = (first_topics.get(key), second_topics.get(key));
        let topic = TopicDiff {
            topic: key.0.to_string(),
            in_first: here.is_some(),
            in_second: there.is_some(),
            partitions: partitions(first, second, here, there)?,
            settings: settings(here, there),
            positions: positions(first_positions.get(&key.1), second_positions.get(&key.1)),
        };
        let is_same = topic.partitions.is_empty() && topic.settings.is_empty() && topic.positions.is_empty();
        if topic.in_first && topic.in_second && is_same {
            diff.same += 1;
        } else {
            diff.topics.push(topic);
        }
    }
    Ok(diff)
}

fn partitions(
    first: &Side,
    second: &Side,
    here: Option<&&Topic>,
    there: Option<&&Topic>,
) -> std::result::Result<Vec<PartitionDiff>, Error> {
    let count = here.into_iter().chain(there).map(|topic| topic.partitions).max().unwrap_or(0);
    let mut differ = Vec::new();
    for partition in 0..count {
        let (first, second) = (first.bounds(here, partition)?, second.bounds(there, partition)?);
        if first != second {
            differ.push(PartitionDiff { partition, first, second });
        }
    }
    Ok(differ)
}

fn settings(here: Option<&&Topic>, there: Option<&&Topic>) -> Vec<(String, Option<String>, Option<String>)> {
    let (Some(here), Some(there)) = (here, there) else { return Vec::new() };
    let keys: BTreeSet<_> = here.settings.keys().chain(there.settings.keys()).collect();
    let pairs = keys.into_iter().map(|key| (key, here.settings.get(key), there.settings.get(key)));
    let differ = pairs.filter(|(_, one, other)| one != other);
    differ.map(|(key, one, other)| (key.clone(), one.cloned(), other.cloned())).collect()
}

fn positions(
    first: Option<&BTreeMap<(Arc<str>, u32), i64>>,
    second: Option<&BTreeMap<(Arc<str>, u32), i64>>,
) -> Vec<PositionDiff> {
    let of = |side: Option<&BTreeMap<(Arc<str>, u32), i64>>, key| side.and_then(|side| side.get(key).copied());
    let keys: BTreeSet<_> = first.into_iter().chain(second).flat_map(BTreeMap::keys).collect();
    let pairs = keys.into_iter().map(|key| (key, of(first, key), of(second, key)));
    let differ = pairs.filter(|(_, one, other)| one != other);
    differ
        .map(|((group, partition), first, second)| PositionDiff {
            group: group.to_string(),
            partition: *partition,
            first,
            second,
        })
        .collect()
}
