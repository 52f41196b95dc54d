//! Facts that are decided and that clients do not see yet: an overlay over the visible state, and what decides with it.
//!
//! Invariants: per key the last fact wins; facts come in LSN order, leave from the front when they become visible
//! ([`Pending::retire`]) or from the back when their group was refused ([`Pending::refuse`]). Only the writer has it.
//!
//! A [`Txn`] reads its own puts, then what is pending, then what is visible: what the state will be at the end of the log.

use super::counter::{Counter, Numbers};
use super::fact::{Change, Fact, FactKey, InFact, Thing};
use super::fold::State;
use super::position::{Committed, Position, PositionKey};
use super::topic::{DEFAULT_STREAM, Topic, TopicName};
use crate::{Error, Lsn, Result, TopicNumber};
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

/// The facts between what is visible and the end of the log.
#[derive(Debug, Default)]
pub struct Pending {
    /// Per key its facts, oldest first: most often one.
    by_key: HashMap<FactKey, VecDeque<(Lsn, Fact)>>,
    /// Every fact's key, in the order in which they came.
    order: VecDeque<(Lsn, FactKey)>,
    /// The names that topic numbers were last put under.
    names: HashMap<TopicNumber, (Lsn, TopicName)>,
}

impl Pending {
    /// Nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds facts that a group says. Its LSN is not below those before.
    pub fn add(&mut self, lsn: Lsn, facts: &[Fact]) {
        debug_assert!(self.order.back().is_none_or(|(last, _)| *last <= lsn), "facts come in LSN order");
        for fact in facts {
            let key = fact.key();
            if let Fact::Topic(Change::Put(topic)) = fact {
                self.names.insert(topic.number, (lsn, topic.name.clone()));
            }
            self.by_key.entry(key.clone()).or_default().push_back((lsn, fact.clone()));
            self.order.push_back((lsn, key));
        }
    }

    /// Drops the facts up to `visible`: the visible state has them now.
    pub fn retire(&mut self, visible: Lsn) {
        while let Some((_, key)) = self.order.pop_front_if(|(lsn, _)| *lsn <= visible) {
            if let Some(facts) = self.by_key.get_mut(&key) {
                facts.pop_front();
                if facts.is_empty() {
                    self.by_key.remove(&key);
                }
            }
        }
        self.names.retain(|_, (lsn, _)| *lsn > visible);
    }

    /// Drops the facts from `first` on: their group was not kept.
    pub fn refuse(&mut self, first: Lsn) {
        while let Some((_, key)) = self.order.pop_back_if(|(lsn, _)| *lsn >= first) {
            if let Some(facts) = self.by_key.get_mut(&key) {
                facts.pop_back();
                if facts.is_empty() {
                    self.by_key.remove(&key);
                }
            }
        }
    }

    /// The last fact of a key, and its LSN.
    pub fn get(&self, key: &FactKey) -> Option<(Lsn, &Fact)> {
        self.by_key.get(key)?.back().map(|(lsn, fact)| (*lsn, fact))
    }

    /// How many facts there are.
    pub fn len(&self) -> usize {
        self.order.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// The last fact of each key.
    fn last_facts(&self) -> impl Iterator<Item = &Fact> {
        self.by_key.values().filter_map(|facts| facts.back()).map(|(_, fact)| fact)
    }
}

/// One decision of the writer: reads the state at the end of the log, and says facts.
#[derive(Debug)]
pub struct Txn<'a> {
    visible: &'a State,
    pending: &'a Pending,
    puts: Vec<Fact>,
    /// Per key the place of its last put.
    own: HashMap<FactKey, usize>,
    /// The names that topic numbers were put under.
    names: HashMap<TopicNumber, TopicName>,
    refused: Option<Error>,
}

impl<'a> Txn<'a> {
    /// Begins a decision.
    pub fn new(visible: &'a State, pending: &'a Pending) -> Self {
        Self { visible, pending, puts: Vec::new(), own: HashMap::new(), names: HashMap::new(), refused: None }
    }

    /// The last fact of a key that is not visible yet.
    fn unseen(&self, key: &FactKey) -> Option<&Fact> {
        match self.own.get(key) {
            Some(at) => self.puts.get(*at),
            None => self.pending.get(key).map(|(_, fact)| fact),
        }
    }

    /// A thing, as it is at the end of the log.
    pub fn get<T: Thing>(&self, key: &T::Key) -> Option<T> {
        match self.unseen(&FactKey::of::<T>(key)).and_then(T::of) {
            Some(change) => change.value().cloned(),
            None => T::find(self.visible, key),
        }
    }

    /// All things of a kind, as they are at the end of the log, by key.
    pub fn all<T: Thing>(&self) -> Vec<T> {
        let mut all = BTreeMap::new();
        T::each(self.visible, &mut |thing| {
            all.insert(FactKey::of::<T>(&thing.key()), thing);
        });
        for change in self.pending.last_facts().chain(&self.puts).filter_map(T::of) {
            let key = FactKey::of::<T>(&change.key());
            match change {
                Change::Put(thing) => all.insert(key, thing.clone()),
                Change::Delete(_) => all.remove(&key),
            };
        }
        all.into_values().collect()
    }

    /// Says that a thing is so, or what [`Fact::delete`] says. What cannot be written refuses the whole transaction. A
    /// position or log start of a topic that is gone is not said: the fold would drop it.
    pub fn put(&mut self, fact: impl Into<Fact>) {
        let fact = fact.into();
        if let Err(error) = fact.check() {
            self.refused.get_or_insert(error);
            return;
        }
        if !self.has_topic_of(&fact) {
            return;
        }
        if let Fact::Topic(Change::Put(topic)) = &fact {
            self.names.insert(topic.number, topic.name.clone());
        }
        self.own.insert(fact.key(), self.puts.len());
        self.puts.push(fact);
    }

    /// Whether what a fact puts belongs to a topic that lives, if it belongs to one at all.
    fn has_topic_of(&self, fact: &Fact) -> bool {
        match fact {
            Fact::Position(Change::Put(Position { key, committed })) => {
                self.topic_by_short_name(&key.topic).is_some_and(|topic| topic.number == committed.topic())
            }
            Fact::LogStart(Change::Put(start)) => {
                let topic = start.partition.topic;
                topic.is_internal() || self.topic_by_number(topic).is_some()
            }
            Fact::Compaction(Change::Put(compaction)) => self.topic_by_number(compaction.partition.topic).is_some(),
            _ => true,
        }
    }

    /// Says that a thing is not there.
    pub fn delete<T: Thing>(&mut self, key: T::Key)
    where
        Fact: From<Change<T>>,
    {
        self.put(Fact::delete::<T>(key));
    }

    /// The facts that were said, in order.
    pub fn into_facts(self) -> Result<Vec<Fact>> {
        match self.refused {
            Some(error) => Err(error),
            None => Ok(self.puts),
        }
    }
}

/// What is asked for by more than a key.
impl Txn<'_> {
    /// The topic of a name.
    pub fn topic(&self, stream: &str, topic: &str) -> Option<Topic> {
        self.get::<Topic>(&TopicName::new(stream, topic))
    }

    /// The topic of a short name, as [`State::topic_by_short_name`].
    pub fn topic_by_short_name(&self, short: &str) -> Option<Topic> {
        let in_stream = short.split_once('.').filter(|(stream, _)| *stream != DEFAULT_STREAM);
        in_stream.and_then(|(stream, topic)| self.topic(stream, topic)).or_else(|| self.topic(DEFAULT_STREAM, short))
    }

    /// The topic that has a number.
    pub fn topic_by_number(&self, number: TopicNumber) -> Option<Topic> {
        let unseen = self.names.get(&number).or_else(|| self.pending.names.get(&number).map(|(_, name)| name));
        let name = match unseen {
            Some(name) => name.clone(),
            None => self.visible.topic_by_number(number)?.name.clone(),
        };
        self.get::<Topic>(&name).filter(|topic| topic.number == number)
    }

    /// What a group committed for a partition of the topic that now has this short name.
    pub fn position(&self, group: &str, topic: &str, partition: u32) -> Option<Committed> {
        let number = self.topic_by_short_name(topic)?.number;
        let key = PositionKey { group: group.into(), topic: topic.into(), partition };
        self.get::<Position>(&key).map(|position| position.committed).filter(|committed| committed.topic() == number)
    }

    /// All that a group committed, by topic name and partition.
    pub fn positions_of(&self, group: &str) -> Vec<Position> {
        let mut all = BTreeMap::new();
        for (topic, partition, committed) in self.visible.positions_of(group) {
            let key = PositionKey { group: group.into(), topic: topic.name.short(), partition };
            all.insert(key, committed.clone());
        }
        for change in self.pending.last_facts().chain(&self.puts).filter_map(Position::of) {
            match change {
                Change::Put(position) if *position.key.group == *group => {
                    all.insert(position.key.clone(), position.committed.clone());
                }
                Change::Delete(key) if *key.group == *group => {
                    all.remove(key);
                }
                _ => {}
            }
        }
        let lives = |key: &PositionKey, committed: &Committed| {
            self.topic_by_short_name(&key.topic).is_some_and(|topic| topic.number == committed.topic())
        };
        all.retain(|key, committed| lives(key, committed));
        all.into_iter().map(|(key, committed)| Position { key, committed }).collect()
    }

    /// The keys of all positions that may have been committed for a topic, in order; deleting one that is not there is no harm.
    pub fn positions_in(&self, topic: &Topic) -> BTreeSet<PositionKey> {
        let name = topic.name.short();
        let visible = self.visible.positions_in(topic.number);
        let visible = visible.map(|(group, partition)| PositionKey {
            group: Arc::clone(group),
            topic: Arc::clone(&name),
            partition,
        });
        let unseen = self.pending.last_facts().chain(&self.puts).filter_map(Position::of).filter_map(|change| {
            change.value().filter(|position| position.committed.topic() == topic.number).map(|position| &position.key)
        });
        visible.chain(unseen.cloned()).collect()
    }

    /// The first number not given out yet.
    pub fn counter(&self, numbers: Numbers) -> u64 {
        self.get::<Counter>(&numbers).map_or(numbers.first(), |counter| counter.next)
    }

    /// Gives out `count` numbers: the first of them. None, and nothing, if there are not so many left.
    pub fn take(&mut self, numbers: Numbers, count: u64) -> Option<u64> {
        let first = self.counter(numbers);
        let next = first.checked_add(count).filter(|next| *next <= numbers.end())?;
        self.put(Counter { numbers, next });
        Some(first)
    }
}
