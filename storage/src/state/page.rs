//! A checkpoint cut into pages, and put together again: what a state-at file and the index both keep.
//!
//! A page is some consecutive entries of one section. Where a page ends depends on the keys of its entries alone (but for
//! pages that get too long): after about one key in 128, by its hash. So the pages of two checkpoints differ only where
//! their entries do, and the index writes only those.
//!
//! Reading checks that sections are known, that every byte of a page is used, and that entries come in order, none twice.

use super::checkpoint::{Checkpoint, CompactionRecord, LogStartRecord, TailGroup, TailStretch};
use super::codec::{Reader, put_varint, put_zigzag};
use super::fact::Fact;
use super::packed_page::{Packable, PackedPage};
use super::records::{Entry, TailEntry};
use crate::{Error, Lsn, Result, TopicNumber};
use std::borrow::Borrow;

/// The sections of a checkpoint, in the order in which they are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub(super) enum Section {
    Facts = 1,
    Partitions = 2,
    Producers = 3,
    LogStarts = 4,
    Tail = 5,
    TailBatches = 6,
    TailGroups = 7,
    Compactions = 8,
}

impl Section {
    const ALL: [Section; 8] = [
        Self::Facts,
        Self::Partitions,
        Self::Producers,
        Self::LogStarts,
        Self::Tail,
        Self::TailBatches,
        Self::TailGroups,
        Self::Compactions,
    ];

    pub(super) fn from_number(number: u32) -> Result<Self> {
        Self::ALL
            .into_iter()
            .find(|section| *section as u32 == number)
            .ok_or_else(|| Error::Corrupt(format!("a checkpoint has no section {number}")))
    }
}

/// Some consecutive entries of a section.
#[derive(Debug, Clone, Copy)]
pub(super) struct Page<'a> {
    pub(super) section: Section,
    /// The key of its first entry: no other page of the section has it, and the pages of a section are ordered by it.
    pub(super) key: &'a [u8],
    /// How many entries it has.
    pub(super) count: u32,
    pub(super) body: &'a [u8],
}

/// One key in so many ends a page.
const ENTRIES_MEAN: u64 = 128;
const ENTRIES_MAX: u32 = 1024;
/// A page ends when it has so many bytes.
const BYTES_MAX: usize = 64 << 10;

/// A hash that is the same in every build and on every machine: FNV-1a, its bits mixed at the end.
pub(super) fn hash(parts: &[&[u8]]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for byte in parts.iter().copied().flatten() {
        hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    }
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    hash ^ (hash >> 33)
}

/// Shows all pages of a checkpoint, section by section.
pub(super) fn each_page(checkpoint: &Checkpoint, see: &mut dyn FnMut(Page<'_>) -> Result<()>) -> Result<()> {
    facts(checkpoint, see)?;
    partly_packed(Section::Partitions, &checkpoint.partitions, &checkpoint.packed, see)?;
    partly_packed(Section::Producers, &checkpoint.producers, &checkpoint.packed_producers, see)?;
    pages::<LogStartRecord, _>(Section::LogStarts, checkpoint.log_starts.iter(), see)?;
    see(Page { section: Section::Tail, key: &[], count: 1, body: &tail(checkpoint) })?;
    let batches = checkpoint.tail.stretches.iter().flat_map(|stretch| {
        stretch.batches.iter().map(|batch| TailEntry { partition: stretch.partition, batch: *batch })
    });
    pages::<TailEntry, _>(Section::TailBatches, batches, see)?;
    pages::<TailGroup, _>(Section::TailGroups, checkpoint.tail.groups.iter(), see)?;
    pages::<CompactionRecord, _>(Section::Compactions, checkpoint.compactions.iter(), see)
}

/// Entries, and others that are packed and shown as they are. Those of internal topics are in pages of their own: they are asked for in any case.
fn partly_packed<E: Packable>(
    section: Section,
    entries: &[E],
    packed: &[PackedPage<E>],
    see: &mut dyn FnMut(Page<'_>) -> Result<()>,
) -> Result<()> {
    let internal = entries.partition_point(|entry| E::partition(&entry.key()).topic.is_internal());
    let (internal, mut rest) = entries.split_at(internal);
    pages::<E, _>(section, internal.iter(), see)?;
    let mut key = Vec::new();
    for page in packed {
        let (before, behind) = rest.split_at(rest.partition_point(|entry| entry.key() < page.key()));
        pages::<E, _>(section, before.iter(), see)?;
        rest = behind;
        key.clear();
        E::put_key_of(&page.key(), &mut key);
        see(Page { section, key: &key, count: page.count(), body: page.body() })?;
    }
    pages::<E, _>(section, rest.iter(), see)
}

fn tail(checkpoint: &Checkpoint) -> Vec<u8> {
    let mut body = Vec::new();
    put_varint(&mut body, checkpoint.lsn.0);
    put_zigzag(&mut body, checkpoint.time);
    put_varint(&mut body, checkpoint.tail.first_lsn.0);
    put_varint(&mut body, checkpoint.tail.position);
    put_varint(&mut body, checkpoint.tail.chain.into());
    body
}

/// A page that is being filled.
struct Filling {
    section: Section,
    key: Vec<u8>,
    count: u32,
    body: Vec<u8>,
}

impl Filling {
    fn new(section: Section) -> Self {
        Self { section, key: Vec::new(), count: 0, body: Vec::new() }
    }

    /// Counts an entry that was appended to the body. Shows the page if it is the last one in it, and says so.
    fn added(&mut self, key: &[u8], see: &mut dyn FnMut(Page<'_>) -> Result<()>) -> Result<bool> {
        if self.count == 0 {
            self.key.extend_from_slice(key);
        }
        self.count += 1;
        let full = self.count >= ENTRIES_MAX || self.body.len() >= BYTES_MAX;
        if !full && !hash(&[key]).is_multiple_of(ENTRIES_MEAN) {
            return Ok(false);
        }
        self.show(see)?;
        Ok(true)
    }

    fn show(&mut self, see: &mut dyn FnMut(Page<'_>) -> Result<()>) -> Result<()> {
        if self.count > 0 {
            see(Page { section: self.section, key: &self.key, count: self.count, body: &self.body })?;
        }
        self.key.clear();
        self.body.clear();
        self.count = 0;
        Ok(())
    }
}

fn pages<E: Entry, B: Borrow<E>>(
    section: Section,
    entries: impl Iterator<Item = B>,
    see: &mut dyn FnMut(Page<'_>) -> Result<()>,
) -> Result<()> {
    let mut page = Filling::new(section);
    let mut key = Vec::new();
    let mut before: Option<B> = None;
    for entry in entries {
        key.clear();
        entry.borrow().put_key(&mut key);
        entry.borrow().put(before.as_ref().map(Borrow::borrow), &mut page.body);
        before = (!page.added(&key, see)?).then_some(entry);
    }
    page.show(see)
}

fn facts(checkpoint: &Checkpoint, see: &mut dyn FnMut(Page<'_>) -> Result<()>) -> Result<()> {
    let mut page = Filling::new(Section::Facts);
    let mut page_key = Vec::new();
    let mut outcome = Ok(());
    checkpoint.facts.each_encoded(&mut |topic, key, value| {
        if outcome.is_err() {
            return;
        }
        page_key.clear();
        page_key.extend_from_slice(&topic.0.to_be_bytes());
        page_key.extend_from_slice(key);
        put_varint(&mut page.body, topic.0.into());
        put_varint(&mut page.body, key.len() as u64);
        put_varint(&mut page.body, value.len() as u64);
        page.body.extend_from_slice(key);
        page.body.extend_from_slice(value);
        outcome = page.added(&page_key, see).map(|_| ());
    });
    outcome?;
    page.show(see)
}

/// Puts a checkpoint together from its pages, in the order of sections and keys.
#[derive(Debug, Default)]
pub(super) struct Assembly {
    checkpoint: Checkpoint,
    tails: u32,
}

impl Assembly {
    /// Adds a page.
    pub(super) fn add(&mut self, section: Section, count: u32, body: &[u8]) -> Result<()> {
        let Checkpoint { facts, packed, packed_producers, log_starts, compactions, tail, .. } = &mut self.checkpoint;
        match section {
            Section::Facts => take_facts(count, body, &mut |fact| facts.apply(&fact)),
            Section::Partitions => PackedPage::read(count, body).map(|page| packed.extend(page)),
            Section::Producers => PackedPage::read(count, body).map(|page| packed_producers.extend(page)),
            Section::LogStarts => take_page(count, body, &mut |entry: LogStartRecord| log_starts.push(entry)),
            Section::Tail => self.tail(count, body),
            Section::TailBatches => take_page(count, body, &mut |entry| add_batch(&mut tail.stretches, entry)),
            Section::TailGroups => take_page(count, body, &mut |entry: TailGroup| tail.groups.push(entry)),
            Section::Compactions => take_page(count, body, &mut |entry: CompactionRecord| compactions.push(entry)),
        }
    }

    fn tail(&mut self, count: u32, body: &[u8]) -> Result<()> {
        let mut input = Reader::new(body, "the tail of a checkpoint");
        self.checkpoint.lsn = Lsn(input.varint()?);
        self.checkpoint.time = input.zigzag()?;
        self.checkpoint.tail.first_lsn = Lsn(input.varint()?);
        self.checkpoint.tail.position = input.varint()?;
        self.checkpoint.tail.chain = input.varint_u32()?;
        input.end()?;
        self.tails = self.tails.saturating_add(count);
        Ok(())
    }

    /// The checkpoint, if all of it was there.
    pub(super) fn finish(self) -> Result<Checkpoint> {
        let Self { checkpoint, tails } = self;
        if tails != 1 {
            return Err(Error::Corrupt(format!("a checkpoint with {tails} tails")));
        }
        let sorted = checkpoint.packed.is_sorted_by(PackedPage::is_before)
            && checkpoint.packed_producers.is_sorted_by(PackedPage::is_before)
            && ascending(checkpoint.log_starts.iter(), |entry| (entry.partition, entry.lsn))
            && ascending(checkpoint.compactions.iter(), |entry| (entry.partition, entry.lsn))
            && ascending(checkpoint.tail.stretches.iter(), |entry| entry.partition)
            && ascending(checkpoint.tail.groups.iter(), |entry| entry.lsn)
            && checkpoint.tail.stretches.iter().all(|stretch| ascending(stretch.batches.iter(), |b| b.base_offset));
        if !sorted {
            return Err(Error::Corrupt("a checkpoint whose entries are not in order".into()));
        }
        Ok(checkpoint)
    }
}

fn ascending<'a, E: 'a, K: Ord>(entries: impl Iterator<Item = &'a E>, key: impl Fn(&E) -> K) -> bool {
    entries.map(key).is_sorted_by(|before, after| before < after)
}

fn add_batch(stretches: &mut Vec<TailStretch>, TailEntry { partition, batch }: TailEntry) {
    match stretches.last_mut().filter(|last| last.partition == partition) {
        Some(last) => last.batches.push(batch),
        None => stretches.push(TailStretch { partition, batches: vec![batch] }),
    }
}

fn take_page<E: Entry>(count: u32, body: &[u8], see: &mut dyn FnMut(E)) -> Result<()> {
    let mut input = Reader::new(body, E::WHAT);
    let mut before: Option<E> = None;
    for _ in 0..count {
        let entry = E::take(before.as_ref(), &mut input)?;
        if let Some(before) = before.replace(entry) {
            see(before);
        }
    }
    before.into_iter().for_each(see);
    input.end()
}

fn take_facts(count: u32, body: &[u8], see: &mut dyn FnMut(Fact)) -> Result<()> {
    let mut input = Reader::new(body, "the facts of a checkpoint");
    for _ in 0..count {
        let topic = TopicNumber(input.varint_u32()?);
        let key_bytes = input.count(1)?;
        let value_bytes = input.count(1)?;
        let key = input.bytes(key_bytes)?;
        let value = input.bytes(value_bytes)?;
        see(Fact::parse(topic, key, Some(value))?);
    }
    input.end()
}
