//! Facts, what they add up to, and the state-at files that keep it.

use super::input::{Input, disk_with};
use super::{OF, bounded};
use crate::disk::SimDisk;
use crate::error::{Error, Result};
use crate::frame::{FileHeader, FileKind, HEADER_BYTES, seed};
use crate::manifest::TimelineDir;
use crate::state::state_at::{self, Origin};
use crate::state::{Checkpoint, Fact, State, payload};
use crate::units::{Lsn, TopicNumber};

const LSN: Lsn = Lsn(7);

/// Keys and values as facts, each read and written again, then folded; or bytes as the batch of a facts frame.
pub fn facts(data: &[u8]) {
    let mut input = Input::new(data);
    let topic = [TopicNumber::FACTS, TopicNumber::POSITIONS, TopicNumber(input.u8().into())];
    let topic = topic[usize::from(input.u8() % 3)];
    if input.u8().is_multiple_of(4) {
        let bytes = input.rest();
        let facts = bounded(bytes.len(), || payload::decode(topic, bytes));
        return drop(damaged_or(facts));
    }
    let mut state = State::default();
    while !input.is_empty() {
        let (key, is_put) = (input.piece(), !input.u8().is_multiple_of(8));
        let value = is_put.then(|| input.piece());
        let len = key.len() + value.map_or(0, <[u8]>::len);
        let Some(fact) = damaged_or(bounded(len, || Fact::parse(topic, key, value))) else { continue };
        comes_back(&fact);
        state.apply(&fact);
        let once = state.clone();
        state.apply(&fact);
        assert_eq!(state, once, "a fact folded twice is a fact folded once: {fact:?}");
    }
    is_what_its_facts_say(&state);
}

/// A fact that was read can be written, and read again.
fn comes_back(fact: &Fact) {
    let (mut key, mut value) = (Vec::new(), Vec::new());
    fact.put_key(&mut key);
    let is_put = fact.put_value(&mut value);
    let again = Fact::parse(fact.topic(), &key, is_put.then_some(&value[..]));
    assert_eq!(again.as_ref().ok(), Some(fact), "{again:?}");
    if fact.check().is_err() {
        return;
    }
    let [batch] = &payload::encode(std::slice::from_ref(fact), 1).expect("it can be written")[..] else {
        panic!("one fact is one batch");
    };
    let again = payload::decode(batch.topic, &batch.payload).expect("what was written is read");
    assert_eq!(again, std::slice::from_ref(fact));
}

fn is_what_its_facts_say(state: &State) {
    let mut again = State::default();
    state.each_fact(&mut |fact| again.apply(&fact));
    assert_eq!(again, *state);
}

/// A state-at file: bytes behind a sound header, or sections whose CRCs are right, or mishaps to a sound file.
pub fn state_at(data: &[u8]) {
    let mut input = Input::new(data);
    let mut bytes = header().to_vec();
    match input.u8() % 3 {
        0 => bytes.extend_from_slice(input.rest()),
        1 => hostile(&mut input, &mut bytes),
        _ => return mishaps(&mut input),
    }
    let Some(checkpoint) = read(&bytes) else { return };
    assert_eq!(checkpoint.lsn, LSN);
    let written = written(&checkpoint);
    assert_eq!(read(&written).as_ref(), Some(&checkpoint), "what was read is written and read again");
}

/// Sections that check: their kinds, counts and bodies are the input's.
fn hostile(input: &mut Input<'_>, bytes: &mut Vec<u8>) {
    let mut number = 0_u32;
    while !input.is_empty() {
        let (kind, count, body) = (u32::from(input.u8() % 9), input.u32(), input.piece());
        put_section(bytes, kind, count, number, body);
        number += 1;
    }
    put_section(bytes, 255, number, number, &[]);
}

fn put_section(bytes: &mut Vec<u8>, kind: u32, count: u32, number: u32, body: &[u8]) {
    let mut head = kind.to_le_bytes().to_vec();
    head.extend_from_slice(&count.to_le_bytes());
    head.extend_from_slice(&(body.len() as u64).to_le_bytes());
    let crc = crc32c::crc32c_append(seed(OF.1), &head);
    let crc = crc32c::crc32c_append(crc32c::crc32c_append(crc, &number.to_le_bytes()), body);
    for part in [&head[..], &crc.to_le_bytes(), &number.to_le_bytes(), body] {
        bytes.extend_from_slice(part);
    }
}

/// After a mishap it is what it was, or refused.
fn mishaps(input: &mut Input<'_>) {
    let mut checkpoint = Checkpoint { lsn: LSN, time: 5, ..Checkpoint::default() };
    (checkpoint.tail.first_lsn, checkpoint.tail.position) = (Lsn(1), 4_096);
    let cluster = Fact::parse(TopicNumber::FACTS, &[22], Some(&[1; 17])).expect("a cluster");
    checkpoint.facts.apply(&cluster);
    let mut bytes = written(&checkpoint);
    input.mishaps(&mut bytes);
    let read = read(&bytes);
    assert!(read.is_none_or(|read| read == checkpoint), "other than what was written");
}

fn header() -> [u8; HEADER_BYTES] {
    let (timeline, salt) = OF;
    let kind = FileKind::StateAt;
    FileHeader { kind, timeline, salt, first_lsn: LSN, file_id: 0, created_ms: 0, opening: 1 }.encode()
}

fn read(bytes: &[u8]) -> Option<Checkpoint> {
    let disk = disk_with(&TimelineDir::new(OF.0).state_at(LSN), bytes);
    damaged_or(bounded(bytes.len(), || state_at::read(&disk, OF.0, OF.1, LSN)))
}

fn written(checkpoint: &Checkpoint) -> Vec<u8> {
    let disk = SimDisk::new();
    let path = TimelineDir::new(OF.0).state_at(LSN);
    disk.plant(&path, &[]); // the directory
    let origin = Origin { timeline: OF.0, salt: OF.1, opening: 1, created_ms: 0 };
    state_at::write(&disk, &origin, checkpoint).expect("this disk takes everything");
    disk.contents(&path).expect("it was written")
}

/// What was read, unless it was found to be damaged or newer: no bytes are any other error.
fn damaged_or<T>(read: Result<T>) -> Option<T> {
    match read {
        Ok(read) => Some(read),
        Err(Error::Corrupt(_) | Error::Newer { .. }) => None,
        Err(other) => panic!("{other}"),
    }
}
