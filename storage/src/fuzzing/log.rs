//! A log file: hostile groups whose CRCs are right, and mishaps to a sound log that is then recovered.

use std::sync::Arc;

use super::input::{Input, disk_with};
use super::{OF, bounded};
use crate::disk::{Disk, File, SimDisk};
use crate::error::Error;
use crate::frame::sample::{LogBytes, Sample};
use crate::frame::{
    FrameHeader, FrameKind, GroupHeader, GroupRead, HEADER_BYTES, Payloads, Scan, Scanned, Scanner, crc_field,
    find_voucher, padded_frame, padded_group,
};
use crate::manifest::{Identity, Manifest, NextLog, TimelineDir};
use crate::timeline::recovery::{Recovered, Recovery};
use crate::units::{Lsn, TopicNumber, TopicPartition};

const IDENTITY: Identity =
    Identity { timeline: OF.0, salt: OF.1, created_ms: 0, parent: None, volume: 1, leader_epoch: 0 };
const FIRST: Lsn = Lsn(1);

/// Bytes behind a header: as they are, as fields of groups and frames, or as mishaps to a log that was written.
pub fn log(data: &[u8]) {
    let mut input = Input::new(data);
    match input.u8() % 3 {
        0 => scan(&[&[0; HEADER_BYTES], input.rest()].concat()),
        1 => scan(&hostile(&mut input)),
        _ => mishaps(&mut input),
    }
}

/// Reads a file of any bytes in every way.
fn scan(bytes: &[u8]) {
    let path = TimelineDir::new(OF.0).log(FIRST);
    let file = disk_with(&path, bytes).open_read_only(&path).expect("it was planted");
    for payloads in [Payloads::None, Payloads::Facts, Payloads::All] {
        let end = bounded(bytes.len(), || scan_to_the_end(&file, Scan { payloads, ..Scan::whole(FIRST, OF.1) }));
        let found = bounded(bytes.len(), || find_voucher(&file, OF.1, end, 0)).expect("this disk reads");
        assert!(found.is_none_or(|voucher| voucher.position >= end));
    }
}

/// Groups stand back to back and their LSNs grow; where the last one ends.
fn scan_to_the_end(file: &Arc<dyn File>, scan: Scan) -> u64 {
    let mut scanner = Scanner::new(Arc::clone(file), scan).expect("this disk reads");
    let (mut position, mut lsn) = (HEADER_BYTES as u64, Lsn::ZERO);
    loop {
        match scanner.next().expect("this disk reads") {
            Scanned::Group(group) => {
                assert_eq!(group.header.position, position);
                assert!(group.header.lsn > lsn && group.end() > position && !group.frames.is_empty());
                (position, lsn) = (group.end(), group.header.lsn);
            }
            Scanned::End { position: end } => {
                assert_eq!(end, position);
                return end;
            }
            Scanned::Bad { position: end, at, .. } => {
                assert!(end == position && at >= end);
                return end;
            }
        }
    }
}

/// Groups whose CRCs are right: what they say of themselves is the input's, or as it should be.
fn hostile(input: &mut Input<'_>) -> Vec<u8> {
    let mut bytes = vec![0; HEADER_BYTES];
    let (mut chain, mut lsn) = (0, 1);
    while !input.is_empty() && bytes.len() < 1 << 16 {
        let odd = input.u8();
        let or = |bit: u8, given: u64, right: u64| if odd & bit == 0 { right } else { given };
        let (mut frames, count) = (Vec::new(), usize::from(input.u8() % 4));
        let samples: Vec<Vec<u8>> = (0..count).map(|_| input.piece().to_vec()).collect();
        for payload in &samples {
            let len = padded_frame((HEADER_BYTES + payload.len()) as u64);
            frames.resize(frames.len() + usize::try_from(len).expect("short pieces"), 0);
        }
        let right = padded_group(frames.len() as u64);
        let position = or(1, input.u64(), bytes.len() as u64);
        let header = GroupHeader {
            position,
            lsn: Lsn(or(2, input.u64(), lsn)),
            time_ms: input.i64(),
            durable: Lsn(or(4, input.u64(), lsn.saturating_sub(1))),
            bytes: u32::try_from(or(8, input.u32().into(), right)).unwrap_or(u32::MAX),
            frames: u32::try_from(or(16, input.u32().into(), count as u64)).unwrap_or(u32::MAX),
            opening: u32::try_from(or(32, input.u32().into(), 1)).unwrap_or(u32::MAX),
            chain,
        };
        let encoded = header.encode(OF.1);
        chain = crc_field(&encoded);
        bytes.extend_from_slice(&encoded);
        put_frames(&mut bytes, input, &header, &samples);
        lsn = header.lsn.0.saturating_add(1);
    }
    bytes
}

/// Frames whose CRCs are right, over payloads that may be no batches.
fn put_frames(bytes: &mut Vec<u8>, input: &mut Input<'_>, group: &GroupHeader, payloads: &[Vec<u8>]) {
    let mut chain = crc_field(&group.encode(OF.1));
    for (index, payload) in (0..).zip(payloads) {
        let odd = input.u8();
        let kind = FrameKind::ALL[usize::from(odd >> 6)];
        let payload = if odd & 8 == 0 { &as_batch(payload) } else { payload };
        let payload = if kind.has_batch() { &payload[..] } else { &[] };
        let right = u32::try_from(payload.len()).unwrap_or(u32::MAX);
        let frame = FrameHeader {
            kind,
            lsn: group.lsn,
            index: if odd & 1 == 0 { index } else { input.u32() },
            payload_bytes: if odd & 2 == 0 { right } else { input.u32() },
            partition: TopicPartition::new(TopicNumber(input.u32()), input.u32()),
            base_offset: input.i64(),
            offsets: input.u32(),
            chain,
            opening: group.opening,
            leader_epoch: 1,
            max_timestamp_ms: input.i64(),
        };
        let mut prefix = payload.to_vec();
        prefix.resize(prefix.len().max(crate::frame::PREFIX_BYTES), 0);
        let encoded = frame.encode(OF.1, if frame.payload_bytes == 0 { &[] } else { &prefix });
        chain = crc_field(&encoded);
        bytes.extend_from_slice(&encoded);
        bytes.extend_from_slice(payload);
        bytes.resize(bytes.len().next_multiple_of(8), 0);
    }
    bytes.resize(bytes.len().next_multiple_of(64), 0);
}

fn as_batch(records: &[u8]) -> Vec<u8> {
    crate::frame::sample::batch(0, 1, records)
}

/// Writes a log, lets things happen to it, and recovers it: what comes back was written so, in that order, and what a group
/// that is still whole vouches for is there, or the timeline says that it is damaged. Then once more, with the same outcome.
fn mishaps(input: &mut Input<'_>) {
    let mut written = LogBytes::new(OF.1);
    for _ in 0..=input.u8() % 6 {
        let samples = (0..=input.u8() % 3).map(|_| sample(input)).collect();
        written.push(samples);
    }
    let disk = SimDisk::new();
    let path = TimelineDir::new(OF.0).log(FIRST);
    prepare(&disk, &written);
    let mut bytes = disk.contents(&path).expect("it was written");
    input.mishaps(&mut bytes);
    disk.plant(&path, &bytes);
    let Some(first) = recover(&disk, &written, &bytes) else { return };
    let bytes = disk.contents(&path);
    let second = recover(&disk, &written, &bytes.unwrap_or_default());
    let second = second.expect("what was recovered once is recovered again");
    assert_eq!(second.end_lsn, first.end_lsn, "a second start comes to the same end");
    assert_eq!(second.damage.is_some(), first.damage.is_some());
}

fn sample(input: &mut Input<'_>) -> Sample {
    let kind = input.u8();
    let records = input.bytes(usize::from(kind >> 2));
    match kind & 3 {
        0 => Sample::idle(),
        1 => Sample::facts(0, records),
        _ => Sample::records(7, records),
    }
}

fn prepare(disk: &SimDisk, written: &LogBytes) {
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    let mut manifest = Manifest::create(&shared, &IDENTITY).expect("an empty disk");
    let next = NextLog { first: FIRST, after: Lsn::ZERO, after_bytes: 0, created_ms: 0 };
    let file = manifest.create_log(next).expect("an empty disk");
    file.write_at(&written.bytes[HEADER_BYTES..], HEADER_BYTES as u64).expect("this disk takes everything");
}

/// Recovers the log and holds it to what was written; `None` if what the disk has is no timeline at all.
fn recover(disk: &SimDisk, written: &LogBytes, bytes: &[u8]) -> Option<Recovered> {
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    let mut manifest = Manifest::open(&shared, &IDENTITY).expect("nothing happened to it");
    let mut groups = 0;
    let recovery = Recovery { disk: &shared, identity: &IDENTITY, manifest: &mut manifest, required: &[], start: None };
    let recovered = recovery.run(&mut |group| {
        was_written(written, groups, group, bytes);
        groups += 1;
        Ok(())
    });
    let recovered = match recovered {
        Ok(recovered) => recovered,
        Err(Error::Corrupt(_)) => return None,
        Err(other) => panic!("{other}"),
    };
    assert_eq!(recovered.end_lsn, Lsn(groups as u64));
    if recovered.damage.is_none() {
        assert!(vouched(written, bytes) <= recovered.end_lsn, "something durable was cut off: {recovered:?}");
    }
    Some(recovered)
}

/// All headers of a group are as they were written, and all batches but those of which it says that they are lost.
fn was_written(written: &LogBytes, nth: usize, group: &GroupRead, bytes: &[u8]) {
    let start = written.starts[nth];
    assert_eq!((group.header.lsn, group.header.position), (Lsn(nth as u64 + 1), start as u64));
    assert_eq!(group.frames.len(), written.groups[nth].len());
    let is_same = |at: usize, len: usize| bytes[at..at + len] == written.bytes[at..at + len];
    assert!(is_same(start, HEADER_BYTES), "group {nth} is another");
    for frame in &group.frames {
        let at = usize::try_from(frame.position).expect("a small file");
        let len = if frame.is_lost { 0 } else { frame.header.payload_bytes as usize };
        assert!(is_same(at, HEADER_BYTES + len), "a frame of group {nth} is served and was not written so");
    }
}

/// What the groups say that was durable whose headers are as they were written, where they were written.
fn vouched(written: &LogBytes, bytes: &[u8]) -> Lsn {
    let intact = written.starts.iter().filter_map(|start| {
        let header = bytes.get(*start..*start + HEADER_BYTES)?;
        GroupHeader::decode(header, OF.1).ok().filter(|header| header.position == *start as u64)
    });
    intact.map(|header| header.durable).max().unwrap_or(Lsn::ZERO)
}
