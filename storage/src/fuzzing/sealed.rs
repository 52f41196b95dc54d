//! Sealed files: the index of a log file, and segments with theirs.

use std::path::Path;
use std::sync::Arc;

use super::input::{Input, disk_with};
use super::{OF, bounded};
use crate::disk::Disk;
use crate::error::{Error, Result};
use crate::frame::sample::batch;
use crate::frame::{FileHeader, FileKind, FrameHeader, FrameKind, HEADER_BYTES};
use crate::manifest::TimelineDir;
use crate::segment::index::{self, EntryRecord, GroupRecord, Index, NewStretch};
use crate::segment::segment_file::Segment;
use crate::segment::stretch::SealedFile;
use crate::units::{FileId, Lsn, TopicNumber, TopicPartition};

const ID: FileId = FileId(4);
const STRETCH_BYTES: usize = 72;
const ENTRY_BYTES: usize = 32;

/// The index of a log file: any bytes, or three sections whose CRCs are right, or one that was written.
pub fn index(data: &[u8]) {
    let mut input = Input::new(data);
    match input.u8() % 3 {
        0 => read_index(input.rest()),
        1 => {
            let (heads, entries, groups) = (input.piece(), input.piece(), input.piece());
            read_index(&sections(0, heads, entries, groups));
        }
        _ => written_index(&mut input),
    }
}

fn read_index(bytes: &[u8]) {
    let path = Path::new("index");
    let file = disk_with(path, bytes).open_read_only(path).expect("it was planted");
    bounded(bytes.len(), || {
        let Some(index) = damaged_or(Index::read(&*file)) else { return };
        let _column = damaged_or(index.column(&file));
        let _groups = damaged_or(index.groups(&*file));
        for stretch in &index.stretches {
            assert_eq!(index.stretch(stretch.partition), Some(stretch), "partitions are in order, none twice");
            let Some(entries) = damaged_or(index.entries(&*file, stretch)) else { continue };
            assert_eq!(entries.len() as u64, stretch.entries());
            assert_eq!(index::readable(&entries).len(), entries.len());
        }
    });
}

/// Sections and a footer that check. Stretches get the CRCs of the entries that they name.
fn sections(position: u64, heads: &[u8], entries: &[u8], groups: &[u8]) -> Vec<u8> {
    let mut heads = heads.to_vec();
    for head in heads.chunks_exact_mut(STRETCH_BYTES) {
        let word = |at: usize| u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]) as usize;
        let (first, count) = (word(56), word(60));
        let named = first.saturating_mul(ENTRY_BYTES)..first.saturating_add(count).saturating_mul(ENTRY_BYTES);
        let crc = entries.get(named).map_or(0, crc32c::crc32c);
        head[64..68].copy_from_slice(&crc.to_le_bytes());
    }
    let mut footer = b"MPX1\x01\0\0\0".to_vec();
    let mut at = position;
    for section in [&heads[..], entries, groups] {
        footer.extend_from_slice(&at.to_le_bytes());
        footer.extend_from_slice(&(section.len() as u64).to_le_bytes());
        footer.extend_from_slice(&crc32c::crc32c(section).to_le_bytes());
        at += section.len() as u64;
    }
    footer.resize(124, 0);
    let crc = crc32c::crc32c(&footer);
    [&heads[..], entries, groups, &footer, &crc.to_le_bytes()].concat()
}

/// What was written is read, entry for entry; after a mishap it is the same, or refused.
fn written_index(input: &mut Input<'_>) {
    let (stretches, groups) = contents(input);
    let mut bytes = index::encode(0, &stretches, &groups);
    input.mishaps(&mut bytes);
    let path = Path::new("index");
    let file = disk_with(path, &bytes).open_read_only(path).expect("it was planted");
    let Some(index) = damaged_or(Index::read(&*file)) else { return };
    assert_eq!(index.stretches.len(), stretches.len());
    for (read, written) in index.stretches.iter().zip(&stretches) {
        assert_eq!((read.partition, read.end_offset), (written.partition, written.end_offset));
        let entries = damaged_or(index.entries(&*file, read));
        assert!(entries.is_none_or(|entries| entries == written.entries), "entries that were not written");
    }
    let read = damaged_or(index.groups(&*file));
    assert!(read.is_none_or(|read| read == groups), "groups that were not written");
}

fn contents(input: &mut Input<'_>) -> (Vec<NewStretch>, Vec<GroupRecord>) {
    let mut stretches = Vec::new();
    let mut groups = Vec::new();
    for topic in 0..=u32::from(input.u8() % 4) {
        let mut offset = i64::from(input.u16());
        let entries = (0..=u64::from(input.u8() % 5)).map(|nth| {
            offset += i64::from(input.u8());
            let (position, bytes) = (input.u32(), input.u32());
            EntryRecord { base_offset: offset, position, bytes, lsn: Lsn(nth + 1), max_timestamp: input.i64() }
        });
        let entries: Vec<_> = entries.collect();
        groups.push(GroupRecord { lsn: Lsn(u64::from(topic) + 1), time: input.i64(), position: input.u64() });
        let partition = TopicPartition::new(TopicNumber(topic), 0);
        let last_lsn = Lsn(entries.len() as u64);
        let generation = u32::from(input.u8() % 3);
        stretches.push(NewStretch { partition, end_offset: offset + 1, last_lsn, generation, entries });
    }
    (stretches, groups)
}

/// A segment: any bytes behind a sound header, or batches with their frame headers and an index of any sections, or a sound one
/// to which things happen.
pub fn segment(data: &[u8]) {
    let mut input = Input::new(data);
    let mode = input.u8() % 3;
    if mode == 0 {
        return drop(open(&[&header()[..], input.rest()].concat()));
    }
    let batches = batches(&mut input);
    let mut bytes = header().to_vec();
    bytes.extend(batches.iter().flat_map(|batch| batch.bytes.iter().copied()));
    bytes.extend(batches.iter().flat_map(|batch| batch.head));
    let position = bytes.len() as u64;
    if mode == 1 {
        let (heads, entries, groups) = (input.piece(), input.piece(), input.piece());
        bytes.extend_from_slice(&sections(position, heads, entries, groups));
        return drop(open(&bytes));
    }
    bytes.extend_from_slice(&index::encode(position, &stretches_of(&batches), &[]));
    input.mishaps(&mut bytes);
    let Some(segment) = open(&bytes) else { return };
    for (_, record, head, batch) in read_all(&segment) {
        // What is served is checked once more, as a fetch and the rewriter do; a header vouches for its batch's head only.
        let served = crate::batch::Batch::parse_verified(&batch).is_ok()
            && FrameHeader::decode(&head, OF.1, &batch).is_ok_and(|header| header.base_offset == record.base_offset);
        let was_written = batches.iter().any(|written| written.bytes == batch && written.head[..] == head[..]);
        assert!(!served || was_written, "a batch is served that was not written");
    }
}

/// A batch of a segment, and its frame header.
struct Written {
    partition: TopicPartition,
    base_offset: i64,
    bytes: Vec<u8>,
    head: [u8; HEADER_BYTES],
}

fn batches(input: &mut Input<'_>) -> Vec<Written> {
    let mut written: Vec<Written> = Vec::new();
    for nth in 0..=u64::from(input.u8() % 6) {
        let topic = 16 + u32::from(input.u8() % 2) + written.last().map_or(0, |last| last.partition.topic.0 - 16);
        let partition = TopicPartition::new(TopicNumber(topic), 0);
        let base_offset = i64::try_from(nth * 3).unwrap_or(0);
        let records = usize::from(input.u8());
        let bytes = batch(base_offset, 1, input.bytes(records));
        let header = FrameHeader {
            kind: FrameKind::Records,
            lsn: Lsn(nth + 1),
            index: 0,
            payload_bytes: u32::try_from(bytes.len()).unwrap_or(u32::MAX),
            partition,
            base_offset,
            offsets: 1 + u32::from(input.u8() % 3),
            chain: input.u32(),
            opening: 1,
            leader_epoch: 1,
            max_timestamp_ms: input.i64(),
        };
        let head = header.encode(OF.1, &bytes);
        written.push(Written { partition, base_offset, bytes, head });
    }
    written
}

fn stretches_of(batches: &[Written]) -> Vec<NewStretch> {
    let mut stretches: Vec<NewStretch> = Vec::new();
    let mut position = HEADER_BYTES;
    for (nth, batch) in (1..).zip(batches) {
        let entry = EntryRecord {
            base_offset: batch.base_offset,
            position: u32::try_from(position).unwrap_or(u32::MAX),
            bytes: u32::try_from(batch.bytes.len()).unwrap_or(u32::MAX),
            lsn: Lsn(nth),
            max_timestamp: -1,
        };
        position += batch.bytes.len();
        let end_offset = batch.base_offset + 1;
        match stretches.last_mut().filter(|last| last.partition == batch.partition) {
            Some(last) => {
                (last.end_offset, last.last_lsn) = (end_offset, Lsn(nth));
                last.entries.push(entry);
            }
            None => stretches.push(NewStretch {
                partition: batch.partition,
                end_offset,
                last_lsn: Lsn(nth),
                generation: 0,
                entries: vec![entry],
            }),
        }
    }
    stretches
}

fn header() -> [u8; HEADER_BYTES] {
    FileHeader {
        kind: FileKind::Segment,
        timeline: OF.0,
        salt: OF.1,
        first_lsn: Lsn(1),
        file_id: ID.0,
        created_ms: 0,
        opening: 1,
    }
    .encode()
}

/// Opens a segment and reads all of it.
fn open(bytes: &[u8]) -> Option<Arc<Segment>> {
    let disk = disk_with(&TimelineDir::new(OF.0).segment(ID), bytes);
    let segment = damaged_or(bounded(bytes.len(), || Segment::open(&disk, OF, ID)))?;
    read_all(&segment);
    for stretch in segment.stretches() {
        for lsn in [Lsn::ZERO, stretch.first_lsn, stretch.last_lsn, Lsn(u64::MAX)] {
            let _end = damaged_or(bounded(bytes.len(), || segment.end_at(stretch.partition, lsn)));
        }
    }
    Some(segment)
}

type ReadBack = (TopicPartition, EntryRecord, bytes::Bytes, bytes::Bytes);

/// Every batch that the segment says it has.
fn read_all(segment: &Segment) -> Vec<ReadBack> {
    let len = usize::try_from(segment.bytes()).unwrap_or(usize::MAX);
    let _groups = damaged_or(bounded(len, || segment.groups()));
    let mut read = Vec::new();
    for stretch in segment.stretches() {
        let partition = stretch.partition;
        let Some(records) = damaged_or(bounded(len, || segment.records(partition))) else { continue };
        let entries = damaged_or(bounded(len, || segment.entries(partition)));
        assert!(entries.is_none_or(|entries| entries.len() == records.len()));
        // A hostile index may name the same bytes again and again: some are enough.
        for (nth, record) in records.into_iter().enumerate().take(100) {
            let frame = damaged_or(bounded(len, || segment.frame(stretch, nth, &record)));
            read.extend(frame.map(|(head, batch)| (partition, record, head, batch)));
        }
    }
    read
}

fn damaged_or<T>(read: Result<T>) -> Option<T> {
    match read {
        Ok(read) => Some(read),
        Err(Error::Corrupt(_) | Error::Newer { .. }) => None,
        Err(other) => panic!("{other}"),
    }
}
