//! The overlay: a transaction reads what the state will be at the end of the log, whatever part of it is visible.

use super::fold::{Writer, op};
use super::{fold, log_start, one_of_each, position, topic};
use crate::state::{
    Cluster, Counter, Fact, Floor, Group, LogStart, Numbers, Pending, Pin, Position, State, Thing, TimelineInfo, Topic,
    Txn, Volume,
};
use crate::{Error, Lsn, TopicNumber};
use proptest::prelude::*;

/// All of a kind in a state that has seen everything, by key as the overlay gives them.
fn all_in<T: Thing>(state: &State) -> Vec<T> {
    let mut all = Vec::new();
    T::each(state, &mut |thing| all.push(thing));
    all
}

fn assert_reads_as<T: Thing>(txn: &Txn<'_>, end: &State) {
    assert_eq!(txn.all::<T>(), all_in::<T>(end));
    for thing in all_in::<T>(end) {
        assert_eq!(txn.get::<T>(&thing.key()), Some(thing));
    }
}

/// Every question a transaction may ask, but for what belongs to topics that are gone: nobody can ask for that by a topic.
fn assert_reads_end(txn: &Txn<'_>, end: &State) {
    assert_reads_as::<Topic>(txn, end);
    assert_reads_as::<Volume>(txn, end);
    assert_reads_as::<TimelineInfo>(txn, end);
    assert_reads_as::<Floor>(txn, end);
    assert_reads_as::<Pin>(txn, end);
    assert_reads_as::<Counter>(txn, end);
    assert_reads_as::<Group>(txn, end);
    assert_reads_as::<Cluster>(txn, end);
    for number in (0..120).map(TopicNumber) {
        assert_eq!(txn.topic_by_number(number).as_ref(), end.topic_by_number(number).map(|topic| &**topic));
    }
    for topic in end.topics() {
        let short = topic.name.short();
        assert_eq!(txn.topic_by_short_name(&short).as_ref(), Some(&**topic));
        for partition in 0..3 {
            let start = log_start(topic.number.0, partition, 0).partition;
            assert_eq!(txn.get::<LogStart>(&start).map(|start| start.offset), end.log_start(start));
            for group in ["g", "group-2", "third"] {
                let committed = txn.position(group, &short, partition);
                assert_eq!(committed.as_ref(), end.position(group, topic.number, partition));
            }
        }
    }
    for group in ["g", "group-2", "third", "nobody"] {
        let mut expected: Vec<Position> = end.positions().filter(|position| &*position.key.group == group).collect();
        expected.sort_by(|a, b| a.key.cmp(&b.key));
        assert_eq!(txn.positions_of(group), expected);
    }
}

/// What is left of facts when a transaction said them at the end of a log.
fn decided(facts: &[Fact], end: &State) -> Vec<Fact> {
    let pending = Pending::new();
    let mut txn = Txn::new(end, &pending);
    for fact in facts {
        txn.put(fact.clone());
    }
    txn.into_facts().unwrap()
}

proptest! {
    /// Groups of operations; some are visible, some pending, the last one is being decided; one may be refused.
    #[test]
    fn a_transaction_reads_the_end_of_the_log(
        ops_of_groups in prop::collection::vec(prop::collection::vec(op(), 0..8), 1..8),
        visible in 0..8usize,
        refused in prop::option::of(prop::collection::vec(op(), 0..8)),
        own in prop::collection::vec(op(), 0..8),
    ) {
        let mut writer = Writer::default();
        let mut groups: Vec<Vec<Fact>> = Vec::new();
        for ops in &ops_of_groups {
            let facts = decided(&writer.facts(ops), &fold(&groups.concat()));
            groups.push(facts);
        }
        let visible = visible.min(groups.len());
        let mut pending = Pending::new();
        for (nth, facts) in groups.iter().enumerate() {
            pending.add(Lsn(10 + nth as u64), facts);
        }
        if let Some(ops) = refused {
            // Another writer, for what a refused group said is not known to those after it; but numbers are given once.
            pending.add(Lsn(50), &Writer::from(500).facts(&ops));
            pending.refuse(Lsn(50));
        }
        pending.retire(Lsn(9 + visible as u64));
        prop_assert_eq!(pending.len(), groups[visible..].iter().map(Vec::len).sum::<usize>());
        let state = fold(&groups[..visible].concat());

        let mut txn = Txn::new(&state, &pending);
        assert_reads_end(&txn, &fold(&groups.concat()));
        let own = writer.facts(&own);
        for fact in &own {
            txn.put(fact.clone());
        }
        assert_reads_end(&txn, &fold(&[groups.concat(), own.clone()].concat()));
        prop_assert_eq!(txn.into_facts().unwrap(), decided(&own, &fold(&groups.concat())));
    }
}

#[test]
fn what_is_pending_is_known_with_its_lsn_until_it_is_visible() {
    let mut pending = Pending::new();
    let (first, second): (Fact, Fact) = (log_start(16, 0, 1).into(), log_start(16, 0, 2).into());
    pending.add(Lsn(5), std::slice::from_ref(&first));
    pending.add(Lsn(6), std::slice::from_ref(&second));
    assert_eq!(pending.get(&first.key()), Some((Lsn(6), &second)));
    pending.retire(Lsn(5));
    assert_eq!(pending.get(&first.key()), Some((Lsn(6), &second)));
    pending.retire(Lsn(6));
    assert_eq!((pending.get(&first.key()), pending.is_empty()), (None, true));
}

#[test]
fn a_refused_group_uncovers_the_one_before() {
    let mut pending = Pending::new();
    let first: Fact = topic("default", "a", 16).into();
    pending.add(Lsn(5), std::slice::from_ref(&first));
    pending.add(Lsn(6), &[Fact::delete::<Topic>(topic("default", "a", 16).name), topic("default", "a", 17).into()]);
    pending.refuse(Lsn(6));
    assert_eq!(pending.get(&first.key()), Some((Lsn(5), &first)));
    let state = State::default();
    let txn = Txn::new(&state, &pending);
    assert_eq!(txn.topic("default", "a").map(|topic| topic.number), Some(TopicNumber(16)));
    assert_eq!(txn.topic_by_number(TopicNumber(17)), None);
}

#[test]
fn numbers_are_given_out_once_and_end() {
    let (state, pending) = (State::default(), Pending::new());
    let mut txn = Txn::new(&state, &pending);
    for numbers in Numbers::ALL {
        assert_eq!(txn.counter(numbers), numbers.first());
        assert_eq!(txn.take(numbers, 10), Some(numbers.first()));
        assert_eq!(txn.take(numbers, 5), Some(numbers.first() + 10));
        let left = numbers.end() - numbers.first() - 15;
        assert_eq!((txn.take(numbers, left + 1), txn.take(numbers, u64::MAX)), (None, None));
        assert_eq!(txn.take(numbers, left), Some(numbers.first() + 15));
        assert_eq!(txn.take(numbers, 1), None);
    }
    let state = fold(&txn.into_facts().unwrap());
    assert_eq!(Txn::new(&state, &pending).counter(Numbers::Topic), Numbers::Topic.end());
}

#[test]
fn a_put_that_cannot_be_written_refuses_all() {
    let (state, pending) = (State::default(), Pending::new());
    let mut txn = Txn::new(&state, &pending);
    for fact in one_of_each() {
        txn.put(fact);
    }
    txn.put(position(&"g".repeat(40_000), "a", 0, 16, 1));
    txn.put(topic("default", "b", 20));
    assert!(matches!(txn.into_facts(), Err(Error::Invalid(_))));
}

#[test]
fn what_belongs_to_no_topic_is_not_said() {
    let (state, pending) = (fold(&[topic("default", "a", 16).into()]), Pending::new());
    let mut txn = Txn::new(&state, &pending);
    txn.put(position("g", "a", 0, 15, 1));
    txn.put(position("g", "b", 0, 16, 1));
    txn.put(log_start(17, 0, 1));
    txn.put(position("g", "a", 0, 16, 1));
    txn.put(log_start(16, 0, 1));
    txn.put(log_start(1, 0, 1));
    let expected: [Fact; 3] =
        [position("g", "a", 0, 16, 1).into(), log_start(16, 0, 1).into(), log_start(1, 0, 1).into()];
    assert_eq!(txn.into_facts().unwrap(), expected);
}
