//! The bytes of every kind of fact, written down: what is in a log must be readable for ever.
//!
//! Those of positions were made by Kafka's own classes (group coordinator 4.3.1), the others by hand from
//! `docs/architecture.md`.

use super::{delete_of, one_of_each};
use crate::state::{Fact, number_in};
use crate::{Error, TopicNumber};

/// Key and value of the facts of `one_of_each`, in hexadecimal.
const FACTS: [(&str, &str); 13] = [
    (
        "0174617100747261646573",
        "01100000000800000000e897b69a0100000100000002000c00726574656e74696f6e2e6d7302002d31\
         0d007365676d656e742e6279746573070031303438353736",
    ),
    ("020000001000000003", "010000000002000000"),
    (
        "030000001000000003",
        "01070000000000000002000000010000000500000000000000\
         00e897b69a010000010000000200000000000000640000000000000000e897b69a01000001e897b69a010000",
    ),
    ("1074726164696e67", "01030000000000000004000000000000000200e897b69a010000010000000a002f757365722f6d617072"),
    ("110000000000000004", "010200000000000000840300000000000003000000000000000b00000000e897b69a01000002"),
    ("110000000000000000", "01ffffffffffffffff000000000000000000000000000000000000000000e897b69a01000001"),
    ("120000000000000004", "014d0000000000000000e897b69a010000"),
    (
        "130000000000000009",
        "01040000000000000084030000000000000100e897b69a0100000300000000000000ffe797b69a010000ffffffffffffff7f010500636c6f73650600686f75726c79",
    ),
    ("1402", "018813000000000000"),
    ("150000000000000006617070", "01010203"),
    ("16", "01000102030405060708090a0b0c0d0e0f"),
    ("17036e696768746c79", "010405"),
    (
        "00010003617070000a7461712e74726164657300000007",
        "00040000001cbe991a1400000005066dc3a974610000019ab697e8000100104d000000000000000003000000101234",
    ),
];

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

fn encoded(fact: &Fact) -> (Vec<u8>, Vec<u8>) {
    let mut value = Vec::new();
    assert!(fact.put_value(&mut value));
    (fact.key().bytes.to_vec(), value)
}

#[test]
fn facts_have_the_bytes_they_always_had() {
    for (fact, (key, value)) in one_of_each().iter().zip(FACTS) {
        assert_eq!(encoded(fact), (bytes(key), bytes(value)), "{fact:?}");
    }
}

#[test]
fn facts_are_read_from_the_bytes_they_always_had() {
    for (fact, (key, value)) in one_of_each().iter().zip(FACTS) {
        assert_eq!(&Fact::parse(fact.topic(), &bytes(key), Some(&bytes(value))).unwrap(), fact);
        assert_eq!(Fact::parse(fact.topic(), &bytes(key), None).unwrap(), delete_of(fact));
    }
}

#[test]
fn what_is_cut_or_too_long_is_damage() {
    for (fact, (key, value)) in one_of_each().iter().zip(FACTS) {
        let (key, value) = (bytes(key), bytes(value));
        // The rest of what the broker keeps is the broker's, and may have any length.
        let is_open = matches!(fact, Fact::Group(_) | Fact::Document(_));
        let whole = if is_open { 1 } else { value.len() };
        for length in 0..whole {
            let parsed = Fact::parse(fact.topic(), &key, Some(&value[..length]));
            assert!(matches!(parsed, Err(Error::Corrupt(_))), "{fact:?} cut to {length}: {parsed:?}");
        }
        if !is_open {
            let longer = [&value[..], &[0]].concat();
            assert!(matches!(Fact::parse(fact.topic(), &key, Some(&longer)), Err(Error::Corrupt(_))), "{fact:?}");
        }
    }
}

#[test]
fn newer_kinds_and_versions_are_refused_by_name() {
    for (fact, (key, value)) in one_of_each().iter().zip(FACTS) {
        let mut value = bytes(value);
        let version = usize::from(fact.topic() == TopicNumber::POSITIONS);
        value[version] += 1;
        let parsed = Fact::parse(fact.topic(), &bytes(key), Some(&value));
        assert!(matches!(parsed, Err(Error::Newer { .. })), "{fact:?}: {parsed:?}");
    }
    for kind in (0..=255).filter(|kind| ![1, 2, 3, 16, 17, 18, 19, 20, 21, 22, 23].contains(kind)) {
        let parsed = Fact::parse(TopicNumber::FACTS, &[kind, 0, 0], Some(&[1]));
        assert!(matches!(parsed, Err(Error::Newer { .. })), "kind {kind}: {parsed:?}");
    }
    assert!(matches!(Fact::parse(TopicNumber(2), &[1], None), Err(Error::Newer { .. })));
}

#[test]
fn any_byte_of_a_fact_may_be_anything() {
    for (fact, (key, value)) in one_of_each().iter().zip(FACTS) {
        let (key, value) = (bytes(key), bytes(value));
        for at in 0..key.len() + value.len() {
            for byte in 0..=255 {
                let (mut key, mut value) = (key.clone(), value.clone());
                if at < key.len() {
                    key[at] = byte;
                } else {
                    value[at - key.len()] = byte;
                }
                // What is still a fact says the same when it is written again.
                if let Ok(parsed) = Fact::parse(fact.topic(), &key, Some(&value)) {
                    assert_eq!(encoded(&parsed), (key, value));
                }
            }
        }
    }
}

#[test]
fn a_topic_id_says_the_number() {
    let Some(Fact::Position(change)) = one_of_each().pop() else { panic!("the last one is a position") };
    assert_eq!(change.value().map(|position| number_in(&position.committed.topic_id)), Some(TopicNumber(16)));
}
