//! The index of a sealed file: which partitions it holds, and where their batches lie.
//!
//! ```text
//! stretches   72 bytes each, by (topic, partition):
//!             topic u32 │ partition u32 │ first offset i64 │ end offset i64 │ first LSN u64 │ last LSN u64 │ max timestamp i64 │ bytes u64
//!             │ first entry u32 │ entries u32 │ CRC u32 of those entries │ generation u32 (0: as written; else the compaction that made it)
//! entries     32 bytes each, by offset within a stretch: base offset i64 │ position u32 │ bytes u32 │ LSN u64 │ max timestamp i64
//! groups      24 bytes each, by LSN: LSN u64 │ time i64 (the least there is: lost) │ position u64 (0 in a segment)
//! footer      128 bytes: magic MPX1 │ version u32 │ sections: three times (position u64 │ length u64 │ CRC u32) │ zeros │ CRC u32 of all before
//! ```
//!
//! Version 2 has generations; an index without any is written as version 1, which had zeros there.
//!
//! Invariants, checked when it is read: sections lie before the footer, one behind the other; every stretch's entries lie in the section; offsets and LSNs
//! of a stretch do not run backwards. What does not check is [`Error::Corrupt`]: the caller makes the index anew from the frames.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

use super::need::Lying;
use crate::disk::File;
use crate::error::{Error, Result};
use crate::timeline::Entry;
use crate::units::{Lsn, TopicNumber, TopicPartition};

const MAGIC: &[u8; 4] = b"MPX1";
/// With generations.
const VERSION: u32 = 2;
/// Without.
const PLAIN_VERSION: u32 = 1;
const FOOTER_BYTES: usize = 128;
const SECTION_BYTES: usize = 20;
const STRETCH_BYTES: usize = 72;
const ENTRY_BYTES: usize = 32;
const GROUP_BYTES: usize = 24;
/// The time of a group that is no longer known: the index of a segment rotted, and batches do not say when they were written.
pub(crate) const NO_TIME: i64 = i64::MIN;

/// A stretch as the index has it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct StretchRecord {
    pub(crate) partition: TopicPartition,
    pub(crate) first_offset: i64,
    pub(crate) end_offset: i64,
    pub(crate) first_lsn: Lsn,
    pub(crate) last_lsn: Lsn,
    pub(crate) max_timestamp: i64,
    pub(crate) bytes: u64,
    /// Which compaction made it; 0: none, it is as it was written.
    pub(crate) generation: u32,
    first_entry: u32,
    entries: u32,
    crc: u32,
}

/// Where batches lie, and the group of the first of them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct EntryRecord {
    pub(crate) base_offset: i64,
    pub(crate) position: u32,
    pub(crate) bytes: u32,
    pub(crate) lsn: Lsn,
    pub(crate) max_timestamp: i64,
}

/// A group.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct GroupRecord {
    pub(crate) lsn: Lsn,
    pub(crate) time: i64,
    pub(crate) position: u64,
}

/// The stretches of a partition to be written, with their entries.
#[derive(Clone, Debug)]
pub(crate) struct NewStretch {
    pub(crate) partition: TopicPartition,
    pub(crate) end_offset: i64,
    pub(crate) last_lsn: Lsn,
    /// Which compaction made it, or 0.
    pub(crate) generation: u32,
    /// By offset, at least one.
    pub(crate) entries: Vec<EntryRecord>,
}

/// An index that was read: its stretches, and where the rest is.
#[derive(Clone, Debug)]
pub(crate) struct Index {
    /// By partition.
    pub(crate) stretches: Vec<StretchRecord>,
    entries: Range<u64>,
    groups: Section,
}

#[derive(Clone, Copy, Debug)]
struct Section {
    position: u64,
    length: u64,
    crc: u32,
}

/// The bytes of an index that begins at `position` of its file.
pub(crate) fn encode(position: u64, stretches: &[NewStretch], groups: &[GroupRecord]) -> Vec<u8> {
    let mut entries = Vec::new();
    let mut heads = Vec::new();
    for stretch in stretches {
        let from = entries.len();
        for entry in &stretch.entries {
            put_entry(&mut entries, entry);
        }
        put_stretch(&mut heads, stretch, from / ENTRY_BYTES, crc32c::crc32c(&entries[from..]));
    }
    let mut marks = Vec::with_capacity(groups.len() * GROUP_BYTES);
    for group in groups {
        marks.extend_from_slice(&group.lsn.0.to_le_bytes());
        marks.extend_from_slice(&group.time.to_le_bytes());
        marks.extend_from_slice(&group.position.to_le_bytes());
    }
    let mut footer = Vec::with_capacity(FOOTER_BYTES);
    footer.extend_from_slice(MAGIC);
    let version = if stretches.iter().any(|stretch| stretch.generation > 0) { VERSION } else { PLAIN_VERSION };
    footer.extend_from_slice(&version.to_le_bytes());
    let mut at = position;
    for section in [&heads, &entries, &marks] {
        footer.extend_from_slice(&at.to_le_bytes());
        footer.extend_from_slice(&(section.len() as u64).to_le_bytes());
        footer.extend_from_slice(&crc32c::crc32c(section).to_le_bytes());
        at += section.len() as u64;
    }
    footer.resize(FOOTER_BYTES - 4, 0);
    let crc = crc32c::crc32c(&footer);
    footer.extend_from_slice(&crc.to_le_bytes());
    [heads, entries, marks, footer].concat()
}

fn put_stretch(out: &mut Vec<u8>, stretch: &NewStretch, first_entry: usize, crc: u32) {
    let (Some(first), Some(_)) = (stretch.entries.first(), stretch.entries.last()) else { return };
    let max = stretch.entries.iter().map(|entry| entry.max_timestamp).max().unwrap_or(-1);
    let bytes: u64 = stretch.entries.iter().map(|entry| u64::from(entry.bytes)).sum();
    out.extend_from_slice(&stretch.partition.topic.0.to_le_bytes());
    out.extend_from_slice(&stretch.partition.partition.to_le_bytes());
    for number in [first.base_offset, stretch.end_offset] {
        out.extend_from_slice(&number.to_le_bytes());
    }
    for lsn in [first.lsn, stretch.last_lsn] {
        out.extend_from_slice(&lsn.0.to_le_bytes());
    }
    out.extend_from_slice(&max.to_le_bytes());
    out.extend_from_slice(&bytes.to_le_bytes());
    for count in [first_entry, stretch.entries.len()] {
        out.extend_from_slice(&u32::try_from(count).unwrap_or(u32::MAX).to_le_bytes());
    }
    out.extend_from_slice(&crc.to_le_bytes());
    out.extend_from_slice(&stretch.generation.to_le_bytes());
}

fn put_entry(out: &mut Vec<u8>, entry: &EntryRecord) {
    out.extend_from_slice(&entry.base_offset.to_le_bytes());
    out.extend_from_slice(&entry.position.to_le_bytes());
    out.extend_from_slice(&entry.bytes.to_le_bytes());
    out.extend_from_slice(&entry.lsn.0.to_le_bytes());
    out.extend_from_slice(&entry.max_timestamp.to_le_bytes());
}

impl Index {
    /// Reads the footer and the stretches of the index at the end of a file.
    pub(crate) fn read(file: &dyn File) -> Result<Self> {
        let [heads, entries, groups] = sections(file)?;
        let bytes = read_section(file, heads)?;
        let count = entries.length / ENTRY_BYTES as u64;
        let stretches: Vec<_> = bytes.chunks_exact(STRETCH_BYTES).map(stretch_of).collect();
        let sorted = stretches.is_sorted_by(|a, b| a.partition < b.partition);
        if bytes.len() % STRETCH_BYTES != 0 || !sorted || !stretches.iter().all(|stretch| stretch.is_sound(count)) {
            return Err(damaged(file, "a stretch is not sound"));
        }
        Ok(Self { stretches, entries: entries.position..entries.position + entries.length, groups })
    }

    /// In a segment: where the frame headers begin, one per entry, right before the index.
    pub(crate) fn column(&self, file: &Arc<dyn File>) -> Result<u64> {
        let headers = (self.entries.end - self.entries.start) / ENTRY_BYTES as u64 * crate::frame::HEADER_BYTES as u64;
        let heads = self.stretches.len() as u64 * STRETCH_BYTES as u64;
        self.entries
            .start
            .checked_sub(heads + headers)
            .ok_or_else(|| Error::Corrupt(format!("{}: no room for the headers of its batches", file.path().display())))
    }

    /// The stretch of a partition.
    pub(crate) fn stretch(&self, partition: TopicPartition) -> Option<&StretchRecord> {
        let at = self.stretches.binary_search_by_key(&partition, |stretch| stretch.partition).ok()?;
        self.stretches.get(at)
    }

    /// The entries of a stretch.
    pub(crate) fn entries(&self, file: &dyn File, stretch: &StretchRecord) -> Result<Vec<EntryRecord>> {
        let from = self.entries.start + u64::from(stretch.first_entry) * ENTRY_BYTES as u64;
        let bytes = file.read_exact_at(from, stretch.entries as usize * ENTRY_BYTES)?;
        if crc32c::crc32c(&bytes) != stretch.crc {
            let (path, partition) = (file.path().display(), stretch.partition);
            return Err(Error::Corrupt(format!("the index in {path}: the entries of {partition} do not check")));
        }
        Ok(bytes.chunks_exact(ENTRY_BYTES).map(entry_of).collect())
    }

    /// The groups of the file.
    pub(crate) fn groups(&self, file: &dyn File) -> Result<Vec<GroupRecord>> {
        read_groups(file, self.groups)
    }
}

/// The groups, where what else an index has may not check.
pub(crate) fn groups_alone(file: &dyn File) -> Result<Vec<GroupRecord>> {
    let [.., groups] = sections(file)?;
    read_groups(file, groups)
}

/// The groups that batches are of, without their times.
pub(crate) fn untimed(stretches: &[NewStretch]) -> Vec<GroupRecord> {
    let lsns = stretches.iter().flat_map(|stretch| &stretch.entries).map(|entry| entry.lsn).collect::<BTreeSet<_>>();
    lsns.into_iter().map(|lsn| GroupRecord { lsn, time: NO_TIME, position: 0 }).collect()
}

fn damaged(file: &dyn File, why: &str) -> Error {
    Error::Corrupt(format!("the index in {}: {why}", file.path().display()))
}

/// Where the sections are: stretches, entries, groups.
fn sections(file: &dyn File) -> Result<[Section; 3]> {
    let end = file.len()?.checked_sub(FOOTER_BYTES as u64).ok_or_else(|| damaged(file, "too short"))?;
    let footer = file.read_exact_at(end, FOOTER_BYTES)?;
    if crc32c::crc32c(&footer[..FOOTER_BYTES - 4]) != u32_at(&footer, FOOTER_BYTES - 4) || &footer[..4] != MAGIC {
        return Err(damaged(file, "the footer does not check"));
    }
    if u32_at(&footer, 4) > VERSION {
        let path = file.path().to_owned();
        return Err(Error::Newer { path, found: u32_at(&footer, 4), known: VERSION });
    }
    let sections = [0, 1, 2].map(|n| section_at(&footer, 8 + n * SECTION_BYTES));
    let mut before = sections[0].position;
    for section in sections {
        let behind = section.position.checked_add(section.length).filter(|behind| *behind <= end);
        before = behind.filter(|_| section.position == before).ok_or_else(|| damaged(file, "sections overlap"))?;
    }
    Ok(sections)
}

fn read_groups(file: &dyn File, section: Section) -> Result<Vec<GroupRecord>> {
    let bytes = read_section(file, section)?;
    Ok(bytes.chunks_exact(GROUP_BYTES).map(group_of).collect())
}

impl StretchRecord {
    /// The number of its first entry in the file.
    pub(crate) fn first_entry(&self) -> u64 {
        u64::from(self.first_entry)
    }

    /// All of it.
    pub(crate) fn lying(&self) -> Lying {
        let Self { partition, generation, end_offset, first_lsn, last_lsn, .. } = *self;
        Lying { partition, generation, end: end_offset, lsns: (first_lsn, last_lsn) }
    }

    /// One of its entries, which ends at an offset.
    pub(crate) fn lying_in(&self, entry: &EntryRecord, end: i64) -> Lying {
        Lying { partition: self.partition, generation: self.generation, end, lsns: (entry.lsn, entry.lsn) }
    }

    /// How many entries it has.
    pub(crate) fn entries(&self) -> u64 {
        u64::from(self.entries)
    }

    fn is_sound(&self, entries: u64) -> bool {
        let behind = u64::from(self.first_entry) + u64::from(self.entries);
        self.entries > 0 && behind <= entries && self.first_offset < self.end_offset && self.first_lsn <= self.last_lsn
    }
}

impl EntryRecord {
    /// As reads use it; running maxima are set over the whole list.
    pub(crate) fn entry(&self) -> Entry {
        let EntryRecord { base_offset, position, bytes, max_timestamp, .. } = *self;
        Entry { base_offset, position, bytes, max_timestamp, running_max: max_timestamp }
    }
}

/// Stretches as an index would have them.
pub(crate) fn records_of(stretches: &[NewStretch]) -> Vec<StretchRecord> {
    let mut heads = Vec::new();
    let mut entries = 0;
    for stretch in stretches {
        put_stretch(&mut heads, stretch, entries, 0);
        entries += stretch.entries.len();
    }
    heads.chunks_exact(STRETCH_BYTES).map(stretch_of).collect()
}

/// The entries of a list as reads use them.
pub(crate) fn readable(records: &[EntryRecord]) -> Arc<[Entry]> {
    crate::timeline::with_running_max(records.iter().map(EntryRecord::entry)).into()
}

fn read_section(file: &dyn File, section: Section) -> Result<bytes::Bytes> {
    let length = usize::try_from(section.length).unwrap_or(usize::MAX);
    let bytes = file.read_exact_at(section.position, length)?;
    if crc32c::crc32c(&bytes) == section.crc {
        return Ok(bytes);
    }
    Err(Error::Corrupt(format!(
        "the index in {}: the section at {} does not check",
        file.path().display(),
        section.position
    )))
}

fn section_at(footer: &[u8], at: usize) -> Section {
    Section { position: u64_at(footer, at), length: u64_at(footer, at + 8), crc: u32_at(footer, at + 16) }
}

fn stretch_of(bytes: &[u8]) -> StretchRecord {
    StretchRecord {
        partition: TopicPartition::new(TopicNumber(u32_at(bytes, 0)), u32_at(bytes, 4)),
        first_offset: i64_at(bytes, 8),
        end_offset: i64_at(bytes, 16),
        first_lsn: Lsn(u64_at(bytes, 24)),
        last_lsn: Lsn(u64_at(bytes, 32)),
        max_timestamp: i64_at(bytes, 40),
        bytes: u64_at(bytes, 48),
        first_entry: u32_at(bytes, 56),
        entries: u32_at(bytes, 60),
        crc: u32_at(bytes, 64),
        generation: u32_at(bytes, 68),
    }
}

fn entry_of(bytes: &[u8]) -> EntryRecord {
    EntryRecord {
        base_offset: i64_at(bytes, 0),
        position: u32_at(bytes, 8),
        bytes: u32_at(bytes, 12),
        lsn: Lsn(u64_at(bytes, 16)),
        max_timestamp: i64_at(bytes, 24),
    }
}

fn group_of(bytes: &[u8]) -> GroupRecord {
    GroupRecord { lsn: Lsn(u64_at(bytes, 0)), time: i64_at(bytes, 8), position: u64_at(bytes, 16) }
}

fn field<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut field = [0; N];
    field.copy_from_slice(&bytes[at..at + N]);
    field
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(field(bytes, at))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(field(bytes, at))
}

fn i64_at(bytes: &[u8], at: usize) -> i64 {
    i64::from_le_bytes(field(bytes, at))
}
