//! What differs between two views, topic by topic: records and bytes, offsets, settings, positions of groups; topics in one only; and
//! the policies of streams, which topics have where they have nothing of their own.
//!
//! Records are the same where both views have them from one history, below the offset at which their histories part: so a clone and its origin that each wrote
//! a record differ by both, though they end alike. Offsets stand for records, of which compaction may have left fewer.
//!
//! A topic is the same in both where it has the same number: one that was deleted and made again under its name is told as two.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use millpond_storage::state::{State, Topic};
use millpond_storage::{Error, Partition, TopicNumber, TopicPartition, View};
use tokio::task::spawn_blocking;

use super::view::{Found, ViewName};
use super::{Result, VolumeError, Volumes};
use crate::completion;
use crate::topics::config_keys::Overrides;
use crate::topics::streams::Stream;

/// What differs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Diff {
    /// Topics that differ, by short name.
    pub topics: Vec<TopicDiff>,
    /// Streams that differ, by name.
    pub streams: Vec<StreamDiff>,
    /// How many topics are the same in both.
    pub same: usize,
}

/// A setting that differs: its name, the value in the first view, the value in the second.
pub type SettingDiff = (String, Option<String>, Option<String>);

/// What differs in a stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StreamDiff {
    /// Its name.
    pub stream: String,
    /// Whether the first view has it.
    pub in_first: bool,
    /// Whether the second view has it.
    pub in_second: bool,
    /// What differs in its policy.
    pub settings: Vec<SettingDiff>,
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
    /// Partitions that differ, by number.
    pub partitions: Vec<PartitionDiff>,
    /// Settings of its own that differ.
    pub settings: Vec<SettingDiff>,
    /// Positions that differ.
    pub positions: Vec<PositionDiff>,
}

/// A partition in both views, where these differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartitionDiff {
    /// Its number.
    pub partition: u32,
    /// In the first view: the first offset, and the one behind the last; none: the view does not have it.
    pub first: Option<(i64, i64)>,
    /// The same in the second view.
    pub second: Option<(i64, i64)>,
    /// What the second view shows and the first does not.
    pub added: Amount,
    /// What the first view shows and the second does not.
    pub removed: Amount,
}

/// How much.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Amount {
    /// Offsets, which is about how many records.
    pub records: u64,
    /// Bytes of batches.
    pub bytes: u64,
}

impl std::ops::AddAssign for Amount {
    fn add_assign(&mut self, other: Self) {
        self.records += other.records;
        self.bytes += other.bytes;
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
        let Found { timeline, view, .. } = self.find_view(name).await?;
        let (done, state) = completion::pair();
        timeline.state_at(view.lsn(), done);
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

    fn partition(&self, topic: Option<&&Topic>, index: u32) -> Told<Option<Shown<'_>>> {
        let Some(topic) = topic.filter(|topic| index < topic.partitions) else { return Ok(None) };
        let Some(partition) = self.view.partition(TopicPartition::new(topic.number, index)) else { return Ok(None) };
        let bounds = self.view.bounds(&partition)?;
        Ok(Some(Shown { view: &self.view, partition, start: bounds.log_start, end: bounds.high_watermark }))
    }

    /// The policies of all streams, by name.
    fn policies(&self) -> BTreeMap<Arc<str>, Overrides> {
        Stream::all(&self.state).into_iter().map(|(name, stream)| (name, stream.policy())).collect()
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

/// What was found out, or why not.
type Told<T> = std::result::Result<T, Error>;

/// A partition as a view shows it.
struct Shown<'a> {
    view: &'a View,
    partition: Arc<Partition>,
    start: i64,
    end: i64,
}

impl Shown<'_> {
    fn bounds(&self) -> (i64, i64) {
        (self.start, self.end)
    }

    /// What it shows that another does not, which begins at `start`, where both have the same records below `common`.
    fn beyond(&self, start: i64, common: i64) -> Told<Amount> {
        let mut amount = Amount::default();
        for (from, to) in [(self.start, start.min(common).min(self.end)), (self.start.max(common), self.end)] {
            if from < to {
                amount +=
                    Amount { records: from.abs_diff(to), bytes: self.view.bytes_between(&self.partition, from, to)? };
            }
        }
        Ok(amount)
    }
}

fn compare(first: &Side, second: &Side) -> Told<Diff> {
    let (first_topics, second_topics) = (first.topics(), second.topics());
    let (first_positions, second_positions) = (first.positions(), second.positions());
    let mut diff = Diff { streams: streams(first, second), ..Diff::default() };
    let keys: BTreeSet<_> = first_topics.keys().chain(second_topics.keys()).collect();
    for key in keys {
        let (here, there) = (first_topics.get(key), second_topics.get(key));
        let topic = TopicDiff {
            topic: key.0.to_string(),
            in_first: here.is_some(),
            in_second: there.is_some(),
            partitions: partitions(first, second, here, there)?,
            settings: settings(here.map(|topic| &topic.settings), there.map(|topic| &topic.settings)),
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

fn partitions(first: &Side, second: &Side, here: Option<&&Topic>, there: Option<&&Topic>) -> Told<Vec<PartitionDiff>> {
    let count = here.into_iter().chain(there).map(|topic| topic.partitions).max().unwrap_or(0);
    let mut differ = Vec::new();
    for partition in 0..count {
        let (one, other) = (first.partition(here, partition)?, second.partition(there, partition)?);
        let (removed, added) = amounts(one.as_ref(), other.as_ref())?;
        let (first, second) = (one.map(|one| one.bounds()), other.map(|other| other.bounds()));
        // Two histories may end at the same offset.
        if first != second || added != Amount::default() || removed != Amount::default() {
            differ.push(PartitionDiff { partition, first, second, added, removed });
        }
    }
    Ok(differ)
}

/// What only the first shows, and what only the second.
fn amounts(first: Option<&Shown<'_>>, second: Option<&Shown<'_>>) -> Told<(Amount, Amount)> {
    let all = |shown: Option<&Shown<'_>>| shown.map_or(Ok(Amount::default()), |shown| shown.beyond(i64::MIN, i64::MIN));
    let (Some(one), Some(other)) = (first, second) else { return Ok((all(first)?, all(second)?)) };
    let common = one.view.common_end(&one.partition, other.view, &other.partition)?;
    Ok((one.beyond(other.start, common)?, other.beyond(one.start, common)?))
}

fn streams(first: &Side, second: &Side) -> Vec<StreamDiff> {
    let (first, second) = (first.policies(), second.policies());
    let names: BTreeSet<_> = first.keys().chain(second.keys()).collect();
    let diffs = names.into_iter().map(|name| {
        let (here, there) = (first.get(name), second.get(name));
        let settings = settings(here, there);
        StreamDiff { stream: name.to_string(), in_first: here.is_some(), in_second: there.is_some(), settings }
    });
    diffs.filter(|diff| !(diff.in_first && diff.in_second && diff.settings.is_empty())).collect()
}

/// What differs in something that both views have.
fn settings(here: Option<&Overrides>, there: Option<&Overrides>) -> Vec<SettingDiff> {
    let (Some(here), Some(there)) = (here, there) else { return Vec::new() };
    let keys: BTreeSet<_> = here.keys().chain(there.keys()).collect();
    let pairs = keys.into_iter().map(|key| (key, here.get(key), there.get(key)));
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

#[cfg(test)]
mod tests {
    use super::super::NewSnapshot;
    use super::super::moment::Moment;
    use super::super::streams::StreamChange;
    use super::super::tests::{Pond, append, new, snapshot, trading};
    use super::*;
    use crate::scope::Scope;
    use crate::topics::config_keys::{Change, change};

    async fn diff(pond: &Pond, one: &str, other: &str) -> Result<Diff> {
        pond.volumes.diff(&one.parse().unwrap(), &other.parse().unwrap()).await
    }

    async fn take(pond: &Pond, new: NewSnapshot) {
        pond.volumes.create_snapshot("trading", new).await.unwrap();
    }

    #[tokio::test]
    async fn a_diff_tells_records_settings_and_topics_in_one_view_only() {
        let pond = Pond::new();
        trading(&pond).await;
        pond.topic("trading.default.same").await;
        take(&pond, snapshot("open", Moment::Now)).await;
        append(&pond, "trading.default.trades", 3).await;
        pond.topic("trading.default.new").await;
        let trades = pond.topics.resolve(Scope::Everything, "trading.default.trades").unwrap();
        pond.topics.alter(&trades, |own| change(own, "retention.ms", Change::Set(Some("5")))).await.unwrap();
        let config = [("segment.ms".to_owned(), Some("7".to_owned()))].into();
        let policy = StreamChange { partitions: Some(Some(4)), config, ..StreamChange::default() };
        pond.volumes.alter_stream("trading", "default", policy).await.unwrap();
        pond.volumes.create_stream("trading", "taq", StreamChange::default()).await.unwrap();

        let found = diff(&pond, "trading@open", "trading").await.unwrap();
        assert_eq!((found.same, found.topics.len()), (1, 2));
        let [new, trades] = &found.topics[..] else { panic!("{found:?}") };
        assert!(!new.in_first && new.in_second && new.topic == "new");
        let of_trades = trades.partitions[0];
        assert_eq!((of_trades.added.records, of_trades.removed), (3, Amount::default()));
        assert_eq!(trades.settings, [("retention.ms".to_owned(), None, Some("5".to_owned()))]);
        let back = diff(&pond, "trading", "trading@open").await.unwrap().topics[1].partitions[0];
        assert_eq!((back.added, back.removed), (Amount::default(), of_trades.added));
        let [default, taq] = &found.streams[..] else { panic!("{found:?}") };
        let set = |name: &str, value: &str| (name.to_owned(), None, Some(value.to_owned()));
        assert_eq!(default.settings, [set("partitions_default", "4"), set("segment.ms", "7")]);
        assert!(default.in_first && default.in_second && !taq.in_first && taq.in_second && taq.stream == "taq");
        let same = diff(&pond, "trading", "trading").await.unwrap();
        assert_eq!((same.topics, same.streams), (Vec::new(), Vec::new()));
    }

    #[tokio::test]
    async fn a_moment_of_the_past_is_a_side_as_good_as_another() {
        let pond = Pond::new();
        trading(&pond).await;
        let lsn = pond.volumes.describe("trading").unwrap().lsn;
        let bytes = pond.volumes.describe("trading").unwrap().bytes;
        append(&pond, "trading.default.trades", 3).await;
        let more = pond.volumes.describe("trading").unwrap().bytes - bytes;
        for view in [format!("trading@lsn:{lsn}"), "trading@trades/0/5".to_owned()] {
            let found = diff(&pond, &view, "trading").await.unwrap();
            assert_eq!(found.topics[0].partitions[0].added, Amount { records: 3, bytes: more }, "{view}");
        }
        assert!(matches!(diff(&pond, "trading@lsn:99999", "trading").await, Err(VolumeError::Invalid(_))));
        assert!(matches!(diff(&pond, "trading@nothing:1", "trading").await, Err(VolumeError::Invalid(_))));
        assert!(matches!(diff(&pond, "trading@no", "trading").await, Err(VolumeError::UnknownSnapshot { .. })));
        pond.volumes.purge_history("trading").await.unwrap();
        let gone = diff(&pond, &format!("trading@lsn:{lsn}"), "trading").await;
        assert!(matches!(gone, Err(VolumeError::Forgotten(_))), "{gone:?}");
    }

    #[tokio::test]
    async fn histories_that_part_and_end_alike_differ_by_both() {
        let pond = Pond::new();
        trading(&pond).await;
        append(&pond, "trading.default.trades", 2).await;
        pond.volumes.clone_view(&"trading@trades/0/5".parse().unwrap(), new("v2")).await.unwrap();
        append(&pond, "v2.default.trades", 2).await;
        let found = diff(&pond, "trading", "v2").await.unwrap();
        let trades = found.topics[0].partitions[0];
        assert_eq!(trades.first, trades.second);
        assert_eq!((trades.added.records, trades.removed.records), (2, 2));
        assert!(trades.added.bytes > 0 && trades.removed.bytes > 0);
        assert_eq!(pond.volumes.describe("v2").unwrap().clone_of.unwrap().snapshot, None);
    }
}
