//! Some consecutive entries of a checkpoint, packed: as a state-at file and the index have them, and as they stay in memory until
//! somebody asks for one of them.
//!
//! Invariant: all of it was read once, so that reading it again finds the same, in order.

use super::checkpoint::{PartitionRecord, ProducerRecord};
use super::codec::Reader;
use super::records::{Refill, key_of_partition, key_of_producer};
use crate::{Error, Result, TopicPartition};
use bytes::Bytes;

/// What can be packed.
pub(crate) trait Packable: Refill + Clone {
    /// What they are sorted by, and what none shares with another.
    type Key: Ord + Copy + std::fmt::Debug;
    /// What is known of the entries of a page without unpacking it.
    type About: Default + Copy + std::fmt::Debug;

    fn key(&self) -> Self::Key;

    fn partition(key: &Self::Key) -> TopicPartition;

    /// Appends what [`Entry::put_key`](super::records::Entry::put_key) does.
    fn put_key_of(key: &Self::Key, out: &mut Vec<u8>);

    /// Adds what is to be known of this one.
    fn tell(&self, about: &mut Self::About);
}

/// What is known of partitions.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct AboutPartitions {
    /// Bytes of the batches that the live view shows, of topics that are not internal.
    pub(crate) live_bytes: u64,
    /// The greatest leader epoch that one of them has.
    pub(crate) epoch: Option<i32>,
    /// Whether the topic of one of them is internal, or gone.
    pub(crate) is_special: bool,
}

impl Packable for PartitionRecord {
    type Key = TopicPartition;
    type About = AboutPartitions;

    fn key(&self) -> TopicPartition {
        self.partition
    }

    fn partition(key: &TopicPartition) -> TopicPartition {
        *key
    }

    fn put_key_of(key: &TopicPartition, out: &mut Vec<u8>) {
        key_of_partition(*key, out);
    }

    fn tell(&self, about: &mut AboutPartitions) {
        let (is_internal, is_gone) = (self.partition.topic.is_internal(), self.gone_at.is_some());
        if !is_internal && !is_gone {
            about.live_bytes = self.segments.iter().fold(about.live_bytes, |sum, of| sum.wrapping_add(of.bytes));
        }
        about.epoch = about.epoch.max(self.epochs.last().map(|last| last.epoch));
        about.is_special |= is_internal || is_gone;
    }
}

/// What is known of producers.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct AboutProducers {
    /// When the last of them appended, in milliseconds.
    pub(crate) last_append: i64,
}

impl Packable for ProducerRecord {
    type Key = (TopicPartition, i64);
    type About = AboutProducers;

    fn key(&self) -> (TopicPartition, i64) {
        (self.partition, self.producer_id)
    }

    fn partition(key: &(TopicPartition, i64)) -> TopicPartition {
        key.0
    }

    fn put_key_of(key: &(TopicPartition, i64), out: &mut Vec<u8>) {
        key_of_producer(*key, out);
    }

    fn tell(&self, about: &mut AboutProducers) {
        about.last_append = about.last_append.max(self.last_append);
    }
}

/// Entries that follow one another.
#[derive(Debug, Clone)]
pub(crate) struct PackedPage<E: Packable> {
    keys: (E::Key, E::Key),
    count: u32,
    body: Bytes,
    about: E::About,
}

impl<E: Packable> PackedPage<E> {
    /// Reads a page of so many entries; none where there are none.
    pub(super) fn read(count: u32, body: &[u8]) -> Result<Option<Self>> {
        let mut filling = Filling::<E>::new();
        each(count, body, &mut |entry: &mut E| filling.note(entry))?;
        filling.body.extend_from_slice(body);
        Ok(filling.page())
    }

    /// The key of the first entry.
    pub(super) fn key(&self) -> E::Key {
        self.keys.0
    }

    /// The partition of the first entry.
    pub(crate) fn first(&self) -> TopicPartition {
        E::partition(&self.keys.0)
    }

    /// The partition of the last entry.
    pub(crate) fn last(&self) -> TopicPartition {
        E::partition(&self.keys.1)
    }

    /// Whether all of it comes before another page.
    pub(super) fn is_before(&self, other: &Self) -> bool {
        self.keys.1 < other.keys.0
    }

    /// How many entries are in it.
    pub(super) fn count(&self) -> u32 {
        self.count
    }

    /// The packed entries.
    pub(super) fn body(&self) -> &[u8] {
        &self.body
    }

    pub(crate) fn about(&self) -> &E::About {
        &self.about
    }

    /// Shows every entry.
    pub(crate) fn each(&self, see: &mut dyn FnMut(&E)) {
        let read = each(self.count, &self.body, &mut |entry: &mut E| {
            see(entry);
            Ok(())
        });
        if let Err(error) = read {
            crate::fatal(&format!("what was read is not in memory any more: {error}"));
        }
    }

    /// The same with every entry changed, but for those that `change` gives up; none if it gives up all.
    pub(crate) fn changed(&self, change: &mut dyn FnMut(&mut E) -> bool) -> Result<Option<Self>> {
        let mut filling = Filling::<E>::new();
        filling.body.reserve(self.body.len() + self.body.len() / 4);
        each(self.count, &self.body, &mut |entry: &mut E| {
            if !change(entry) {
                return Ok(());
            }
            entry.put(None, &mut filling.body);
            filling.note(entry)
        })?;
        Ok(filling.page())
    }
}

/// Entries of which some are packed, in order.
pub(crate) fn all_of<E: Packable>(entries: &[E], packed: &[PackedPage<E>]) -> Vec<E> {
    let mut all = entries.to_vec();
    for page in packed {
        page.each(&mut |entry| all.push(entry.clone()));
    }
    all.sort_by_key(E::key);
    all
}

fn each<E: Packable>(count: u32, body: &[u8], see: &mut dyn FnMut(&mut E) -> Result<()>) -> Result<()> {
    let mut input = Reader::new(body, E::WHAT);
    let mut entry = E::nothing();
    for _ in 0..count {
        entry.refill(&mut input)?;
        see(&mut entry)?;
    }
    input.end()
}

/// A page whose entries come one by one.
struct Filling<E: Packable> {
    keys: Option<(E::Key, E::Key)>,
    count: u32,
    body: Vec<u8>,
    about: E::About,
}

impl<E: Packable> Filling<E> {
    fn new() -> Self {
        Self { keys: None, count: 0, body: Vec::new(), about: E::About::default() }
    }

    fn note(&mut self, entry: &E) -> Result<()> {
        let key = entry.key();
        let first = match self.keys {
            Some((_, last)) if last >= key => {
                return Err(Error::Corrupt(format!("{}: {key:?} comes behind {last:?}", E::WHAT)));
            }
            Some((first, _)) => first,
            None => key,
        };
        self.keys = Some((first, key));
        self.count += 1;
        entry.tell(&mut self.about);
        Ok(())
    }

    fn page(self) -> Option<PackedPage<E>> {
        let Self { keys, count, body, about } = self;
        Some(PackedPage { keys: keys?, count, body: body.into(), about })
    }
}
