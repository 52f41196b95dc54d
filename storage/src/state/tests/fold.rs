//! The fold: against a plain reading of the facts, and from any place in the log.

use super::{delete_of, fold, log_start, one_of_each, position, position_key, topic};
use crate::TopicNumber;
use crate::TopicPartition;
use crate::state::{Change, Fact, LogStart, Position, State, Topic};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::sync::Arc;

const NAMES: [(&str, &str); 4] = [("default", "a"), ("default", "a.b"), ("s", "t"), ("s", "a")];
const GROUPS: [&str; 3] = ["g", "group-2", "third"];

fn short(name: usize) -> String {
    match NAMES[name] {
        ("default", topic) => topic.into(),
        (stream, topic) => format!("{stream}.{topic}"),
    }
}

/// Something that happens to topics, by small numbers that always mean something.
#[derive(Debug, Clone)]
pub(super) enum Op {
    Create(usize),
    Grow(usize),
    DeleteTopic(usize),
    /// In the topic as it is, or (stale) as the one before was.
    Commit {
        group: usize,
        name: usize,
        partition: u32,
        offset: i64,
        stale: bool,
    },
    DeletePosition {
        group: usize,
        name: usize,
        partition: u32,
    },
    Raise {
        name: usize,
        partition: u32,
        offset: i64,
        stale: bool,
    },
    DeleteLogStart {
        name: usize,
        partition: u32,
    },
    Other {
        which: usize,
        put: bool,
    },
}

pub(super) fn op() -> impl Strategy<Value = Op> {
    let (name, group, partition) = (0..NAMES.len(), 0..GROUPS.len(), 0..3u32);
    prop_oneof![
        3 => name.clone().prop_map(Op::Create),
        1 => name.clone().prop_map(Op::Grow),
        2 => name.clone().prop_map(Op::DeleteTopic),
        6 => (group.clone(), name.clone(), partition.clone(), 0..100i64, prop::bool::weighted(0.2))
            .prop_map(|(group, name, partition, offset, stale)| Op::Commit { group, name, partition, offset, stale }),
        2 => (group, name.clone(), partition.clone())
            .prop_map(|(group, name, partition)| Op::DeletePosition { group, name, partition }),
        3 => (name.clone(), partition.clone(), 0..100i64, prop::bool::weighted(0.2))
            .prop_map(|(name, partition, offset, stale)| Op::Raise { name, partition, offset, stale }),
        1 => (name, partition).prop_map(|(name, partition)| Op::DeleteLogStart { name, partition }),
        2 => (2..10usize, any::<bool>()).prop_map(|(which, put)| Op::Other { which, put }),
    ]
}

/// Turns operations into facts as a writer would say them: a number is given once.
#[derive(Debug, Default)]
pub(super) struct Writer {
    given: u32,
    /// The number that each name has or last had, and whether it lives.
    numbers: [Option<(u32, bool)>; NAMES.len()],
}

impl Writer {
    /// One that gives numbers above `given`.
    pub(super) fn from(given: u32) -> Self {
        Self { given, ..Self::default() }
    }

    pub(super) fn facts(&mut self, ops: &[Op]) -> Vec<Fact> {
        ops.iter().filter_map(|op| self.fact(op)).collect()
    }

    fn number(&self, name: usize, stale: bool) -> Option<u32> {
        let (number, lives) = self.numbers[name]?;
        // The number before is one that another name may have.
        if stale { number.checked_sub(1) } else { lives.then_some(number) }
    }

    fn fact(&mut self, op: &Op) -> Option<Fact> {
        Some(match *op {
            Op::Create(name) if self.number(name, false).is_none() => {
                self.given += 1;
                self.numbers[name] = Some((100 + self.given, true));
                topic(NAMES[name].0, NAMES[name].1, 100 + self.given).into()
            }
            Op::Create(_) => return None,
            Op::Grow(name) => {
                let number = self.number(name, false)?;
                Topic { partitions: 9, ..topic(NAMES[name].0, NAMES[name].1, number) }.into()
            }
            Op::DeleteTopic(name) => {
                self.numbers[name] = self.numbers[name].map(|(number, _)| (number, false));
                Fact::delete::<Topic>(topic(NAMES[name].0, NAMES[name].1, 0).name)
            }
            Op::Commit { group, name, partition, offset, stale } => {
                position(GROUPS[group], &short(name), partition, self.number(name, stale)?, offset).into()
            }
            Op::DeletePosition { group, name, partition } => {
                Fact::delete::<Position>(position_key(GROUPS[group], &short(name), partition))
            }
            Op::Raise { name, partition, offset, stale } => {
                log_start(self.number(name, stale)?, partition, offset).into()
            }
            Op::DeleteLogStart { name, partition } => {
                Fact::delete::<LogStart>(log_start(self.numbers[name]?.0, partition, 0).partition)
            }
            Op::Other { which, put } => {
                let fact = one_of_each().swap_remove(which);
                if put { fact } else { delete_of(&fact) }
            }
        })
    }
}

/// What facts mean, read from the front for each question.
struct Plain<'a>(&'a [Fact]);

impl Plain<'_> {
    fn topics(&self) -> BTreeMap<String, Topic> {
        let mut topics = BTreeMap::new();
        for fact in self.0 {
            match fact {
                Fact::Topic(Change::Put(topic)) => topics.insert(topic.name.short().to_string(), topic.clone()),
                Fact::Topic(Change::Delete(name)) => topics.remove(&*name.short()),
                _ => None,
            };
        }
        topics
    }

    /// The facts since the topic got its number.
    fn since(&self, number: TopicNumber) -> &[Fact] {
        let is_it = |fact: &Fact| matches!(fact, Fact::Topic(Change::Put(topic)) if topic.number == number);
        &self.0[self.0.iter().position(is_it).unwrap()..]
    }

    fn positions(&self) -> BTreeMap<(String, String, u32), i64> {
        let mut positions = BTreeMap::new();
        for (short, topic) in self.topics() {
            for fact in self.since(topic.number) {
                match fact {
                    Fact::Position(Change::Put(Position { key, committed }))
                        if *key.topic == *short && committed.topic() == topic.number =>
                    {
                        let key = (key.group.to_string(), short.clone(), key.partition);
                        positions.insert(key, committed.offset);
                    }
                    Fact::Position(Change::Delete(key)) if *key.topic == *short => {
                        positions.remove(&(key.group.to_string(), short.clone(), key.partition));
                    }
                    _ => {}
                }
            }
        }
        positions
    }

    fn log_starts(&self) -> BTreeMap<TopicPartition, i64> {
        let mut log_starts = BTreeMap::new();
        for topic in self.topics().values() {
            for fact in self.since(topic.number) {
                match fact {
                    Fact::LogStart(Change::Put(start)) if start.partition.topic == topic.number => {
                        log_starts.insert(start.partition, start.offset);
                    }
                    Fact::LogStart(Change::Delete(partition)) if partition.topic == topic.number => {
                        log_starts.remove(partition);
                    }
                    _ => {}
                }
            }
        }
        log_starts
    }
}

fn assert_agrees(state: &State, facts: &[Fact]) {
    let plain = Plain(facts);
    let topics: BTreeMap<_, _> = state.topics().map(|t| (t.name.short().to_string(), Topic::clone(t))).collect();
    assert_eq!(topics, plain.topics());
    assert_eq!(state.topic_count(), topics.len());
    for (short, topic) in &topics {
        assert_eq!(state.topic_by_number(topic.number).map(|t| &**t), Some(topic));
        assert_eq!(state.topic_by_short_name(short).map(|t| &**t), Some(topic));
    }
    assert_eq!(state.log_starts().collect::<BTreeMap<_, _>>(), plain.log_starts());
    let as_plain = |position: Position| {
        let Position { key, committed } = position;
        ((key.group.to_string(), key.topic.to_string(), key.partition), committed.offset)
    };
    let positions = plain.positions();
    assert_eq!(state.positions().map(as_plain).collect::<BTreeMap<_, _>>(), positions);
    let mut groups: Vec<_> = positions.keys().map(|(group, _, _)| group.clone()).collect();
    groups.dedup();
    assert_eq!(state.position_groups().map(ToString::to_string).collect::<Vec<_>>(), groups);
    for group in groups {
        let of_group: BTreeMap<_, _> = state
            .positions_of(&group)
            .map(|(topic, partition, at)| ((group.clone(), topic.name.short().to_string(), partition), at.offset))
            .collect();
        let expected: BTreeMap<_, _> = positions.iter().filter(|((g, _, _), _)| *g == group).collect();
        assert!(of_group.iter().eq(expected));
    }
}

proptest! {
    #[test]
    fn the_state_is_what_the_facts_say(ops in prop::collection::vec(op(), 0..60)) {
        let facts = Writer::default().facts(&ops);
        assert_agrees(&fold(&facts), &facts);
    }

    #[test]
    fn a_suffix_folded_twice_changes_nothing(ops in prop::collection::vec(op(), 0..60)) {
        let facts = Writer::default().facts(&ops);
        let state = fold(&facts);
        for from in 0..facts.len() {
            let mut again = state.clone();
            facts[from..].iter().for_each(|fact| again.apply(fact));
            prop_assert_eq!(&again, &state, "from {}", from);
        }
    }

    #[test]
    fn a_state_is_the_fold_of_the_facts_that_it_shows(ops in prop::collection::vec(op(), 0..60)) {
        let state = fold(&Writer::default().facts(&ops));
        let mut shown = Vec::new();
        state.each_fact(&mut |fact| shown.push(fact));
        prop_assert_eq!(fold(&shown), state);
    }

    #[test]
    fn a_copy_stands_still(ops in prop::collection::vec(op(), 0..60), at in 0..60usize) {
        let facts = Writer::default().facts(&ops);
        let at = at.min(facts.len());
        let mut state = fold(&facts[..at]);
        let copy = state.clone();
        facts[at..].iter().for_each(|fact| state.apply(fact));
        prop_assert_eq!(copy, fold(&facts[..at]));
        prop_assert_eq!(state, fold(&facts));
    }
}

#[test]
fn every_kind_is_kept_and_deleted() {
    let facts = one_of_each();
    let state = fold(&facts);
    let mut shown = Vec::new();
    state.each_fact(&mut |fact| shown.push(fact));
    let sorted = |facts: &[Fact]| {
        let mut keys: Vec<_> = facts.iter().map(|fact| (fact.key(), format!("{fact:?}"))).collect();
        keys.sort();
        keys
    };
    assert_eq!(sorted(&shown), sorted(&facts));
    let mut emptied = state.clone();
    facts.iter().rev().for_each(|fact| emptied.apply(&delete_of(fact)));
    assert_eq!(emptied, State::default());
    assert_ne!(state, emptied);
}

#[test]
fn a_topic_made_again_inherits_nothing() {
    let name = topic("default", "a", 16).name;
    let mut state = fold(&[
        topic("default", "a", 16).into(),
        log_start(16, 0, 7).into(),
        position("g", "a", 0, 16, 9).into(),
        Fact::delete::<Topic>(name),
        topic("default", "a", 17).into(),
    ]);
    assert_eq!((state.log_starts().count(), state.positions().count(), state.position_groups().count()), (0, 0, 0));
    // What was under way when it went comes too late.
    state.apply(&position("g", "a", 0, 16, 10).into());
    state.apply(&log_start(16, 0, 8).into());
    assert_eq!((state.log_starts().count(), state.positions().count()), (0, 0));
    state.apply(&position("g", "a", 0, 17, 1).into());
    assert_eq!(state.position("g", TopicNumber(17), 0).map(|at| at.offset), Some(1));
}

#[test]
fn a_number_under_another_name_moves() {
    let state = fold(&[
        topic("default", "a", 16).into(),
        position("g", "a", 0, 16, 9).into(),
        topic("default", "b", 16).into(),
    ]);
    assert_eq!(state.topics().map(|topic| &*topic.name.topic).collect::<Vec<_>>(), ["b"]);
    assert_eq!(state.positions().count(), 0);
}

#[test]
fn log_starts_of_internal_topics_need_no_topic() {
    let state = fold(&[log_start(1, 0, 500).into(), log_start(16, 0, 500).into()]);
    assert_eq!(state.log_starts().collect::<Vec<_>>(), [(TopicPartition::new(TopicNumber::POSITIONS, 0), 500)]);
}

#[test]
fn a_group_is_found_without_looking_at_others() {
    let mut state = fold(&[topic("default", "a", 16).into(), topic("s", "t", 17).into()]);
    for nth in 0..1000u32 {
        let group: Arc<str> = format!("group-{nth:04}").into();
        state.apply(&position(&group, "a", nth % 7, 16, i64::from(nth)).into());
        state.apply(&position(&group, "s.t", 0, 17, 1).into());
    }
    let seen: Vec<_> = state.positions_of("group-0500").map(|(t, p, at)| (t.number.0, p, at.offset)).collect();
    assert_eq!(seen, [(16, 500 % 7, 500), (17, 0, 1)]);
    assert_eq!(state.position_groups().count(), 1000);
    state.apply(&Fact::delete::<Topic>(topic("s", "t", 0).name));
    assert_eq!(state.positions_of("group-0500").count(), 1);
    state.apply(&Fact::delete::<Topic>(topic("default", "a", 0).name));
    assert_eq!(state.position_groups().count(), 0);
}
