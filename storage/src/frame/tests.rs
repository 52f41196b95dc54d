//! Every byte counts: what is written is read back, what is changed is noticed.

use std::sync::Arc;

use proptest::prelude::*;

use super::sample::{LogBytes, Place, Sample, batch, group};
use super::*;
use crate::disk::{Disk, File, SimDisk};
use crate::units::{TimelineId, TopicNumber, TopicPartition};

const SALT: u64 = 0x0123_4567_89ab_cdef;

fn file_of(bytes: &[u8]) -> Arc<dyn File> {
    let disk = SimDisk::new();
    disk.plant("log", bytes);
    disk.open_read_only("log".as_ref()).unwrap()
}

/// All groups of a file, and how they end.
fn scan(bytes: &[u8], scan: Scan) -> (Vec<GroupRead>, Scanned) {
    let mut scanner = Scanner::new(file_of(bytes), scan).unwrap();
    let mut groups = Vec::new();
    loop {
        match scanner.next().unwrap() {
            Scanned::Group(group) => groups.push(group),
            end => return (groups, end),
        }
    }
}

fn whole() -> Scan {
    Scan { payloads: Payloads::All, ..Scan::whole(Lsn(1), SALT) }
}

fn assert_reads(log: &LogBytes, groups: &[GroupRead]) {
    for (at, read) in groups.iter().enumerate() {
        assert_eq!(read.header.lsn, Lsn(at as u64 + 1));
        assert_eq!(read.header.position, log.starts[at] as u64);
        let samples: Vec<_> = read
            .frames
            .iter()
            .map(|frame| Sample {
                kind: frame.header.kind,
                payload: frame.payload.as_ref().map(|payload| payload.to_vec()).unwrap_or_default(),
            })
            .collect();
        assert_eq!(samples, log.groups[at]);
    }
}

fn small_log() -> LogBytes {
    let mut log = LogBytes::new(SALT);
    log.push(vec![Sample::facts(0, b"a fact"), Sample::records(7, b"one"), Sample::records(8, b"a longer record")]);
    log.push(vec![Sample::records(9, &[0; 40])]);
    log.push(vec![Sample::idle()]);
    log.push(vec![Sample::records(10, b""), Sample::facts(1, b"another fact")]);
    log
}

fn any_file_header() -> impl Strategy<Value = FileHeader> {
    let kind = (0..FileKind::ALL.len()).prop_map(|at| FileKind::ALL[at]);
    (kind, any::<(u64, u64, u64, u64, i64, u32)>()).prop_map(
        |(kind, (timeline, salt, first, file_id, created_ms, opening))| FileHeader {
            kind,
            timeline: TimelineId(timeline),
            salt,
            first_lsn: Lsn(first),
            file_id,
            created_ms,
            opening,
        },
    )
}

fn any_group_header() -> impl Strategy<Value = GroupHeader> {
    any::<(u64, u64, u64, i64, u32, u32, u32, u32)>().prop_map(
        |(position, lsn, durable, time_ms, bytes, frames, opening, chain)| {
            let (lsn, durable) = (Lsn(lsn.max(1)), Lsn(durable.min(lsn.max(1) - 1)));
            GroupHeader { position, lsn, time_ms, durable, bytes, frames, opening, chain }
        },
    )
}

fn any_frame_header() -> impl Strategy<Value = FrameHeader> {
    let numbers = any::<(u64, u32, u32, u32, i64, u32, u32, u32, i32, i64)>();
    (0..FrameKind::ALL.len(), 61..u32::MAX, numbers).prop_map(|(kind, payload, n)| {
        let kind = FrameKind::ALL[kind];
        FrameHeader {
            kind,
            lsn: Lsn(n.0),
            index: n.1,
            payload_bytes: if kind.has_batch() { payload } else { 0 },
            partition: TopicPartition::new(TopicNumber(n.2), n.3),
            base_offset: n.4,
            offsets: n.5,
            chain: n.6,
            opening: n.7,
            leader_epoch: n.8,
            max_timestamp_ms: n.9,
        }
    })
}

proptest! {
    #[test]
    fn file_headers_are_read_back_and_no_byte_changes_unnoticed(header in any_file_header(), flip in 1u8..) {
        let bytes = header.encode();
        prop_assert_eq!(FileHeader::decode(&bytes), Ok(header));
        for at in 0..bytes.len() {
            let mut changed = bytes;
            changed[at] ^= flip;
            prop_assert!(FileHeader::decode(&changed).is_err(), "byte {}", at);
            prop_assert_eq!(FileHeader::decode(&bytes[..at]), Err(Flaw::Short));
        }
    }

    #[test]
    fn group_headers_are_read_back_and_no_byte_changes_unnoticed(header in any_group_header(), salt: u64, flip in 1u8..) {
        let bytes = header.encode(salt);
        prop_assert_eq!(GroupHeader::decode(&bytes, salt), Ok(header));
        prop_assert!(GroupHeader::decode(&bytes, salt ^ 1).is_err());
        prop_assert!(GroupHeader::decode(&bytes, salt ^ 1 << 63).is_err());
        for at in 0..bytes.len() {
            let mut changed = bytes;
            changed[at] ^= flip;
            prop_assert!(GroupHeader::decode(&changed, salt).is_err(), "byte {}", at);
        }
    }

    #[test]
    fn frame_headers_are_read_back_and_no_byte_changes_unnoticed(header in any_frame_header(), salt: u64, flip in 1u8..) {
        let prefix: Vec<u8> = if header.kind.has_batch() { (1..=21).collect() } else { Vec::new() };
        let bytes = header.encode(salt, &prefix);
        prop_assert_eq!(FrameHeader::decode(&bytes, salt, &prefix), Ok(header));
        prop_assert!(FrameHeader::decode(&bytes, salt ^ 1, &prefix).is_err());
        for at in 0..bytes.len() {
            let mut changed = bytes;
            changed[at] ^= flip;
            prop_assert!(FrameHeader::decode(&changed, salt, &prefix).is_err(), "byte {}", at);
        }
        for at in 0..prefix.len() {
            let mut changed = prefix.clone();
            changed[at] ^= flip;
            prop_assert!(FrameHeader::decode(&bytes, salt, &changed).is_err(), "payload byte {}", at);
        }
    }

    #[test]
    fn any_bytes_are_refused_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = FileHeader::decode(&bytes);
        let _ = GroupHeader::decode(&bytes, SALT);
        let _ = FrameHeader::decode(&bytes, SALT, &bytes);
        let mut log = vec![0; HEADER_BYTES];
        log.extend_from_slice(&bytes);
        let (groups, _) = scan(&log, whole());
        prop_assert!(groups.is_empty());
    }

    #[test]
    fn any_groups_are_read_back(lengths in prop::collection::vec(prop::collection::vec(0usize..300, 1..6), 0..12)) {
        let mut log = LogBytes::new(SALT);
        for group in lengths {
            log.push(group.into_iter().map(|len| Sample::records(1, &vec![0x5a; len])).collect());
        }
        let (groups, end) = scan(&log.bytes, whole());
        prop_assert_eq!(groups.len(), log.groups.len());
        assert_reads(&log, &groups);
        let is_end = matches!(end, Scanned::End { position } if position == log.bytes.len() as u64);
        prop_assert!(is_end, "{:?}", end);
    }

    /// A group header whose CRC is right and whose lengths are anything: a bug of the writer, or of the disk's firmware.
    #[test]
    fn lengths_in_sound_headers_are_checked(bytes: u32, frames: u32, payload_bytes: u32) {
        let header = GroupHeader {
            position: 64, lsn: Lsn(1), time_ms: 0, durable: Lsn(0), bytes, frames, opening: 1, chain: 0,
        };
        let mut log = vec![0; HEADER_BYTES];
        let encoded = header.encode(SALT);
        log.extend_from_slice(&encoded);
        let payload = batch(0, 5, &[1; 100]);
        let frame = FrameHeader {
            kind: FrameKind::Records, lsn: Lsn(1), index: 0, payload_bytes: payload_bytes.max(61),
            partition: TopicPartition::new(TopicNumber(16), 0), base_offset: 0, offsets: 1,
            chain: crc_field(&encoded), opening: 1, leader_epoch: 5, max_timestamp_ms: 0,
        };
        log.extend_from_slice(&frame.encode(SALT, &payload));
        log.extend_from_slice(&payload);
        let (groups, end) = scan(&log, whole());
        prop_assert!(groups.is_empty() && matches!(end, Scanned::Bad { position: 64, .. }), "{:?}", end);
    }
}

#[test]
fn every_changed_byte_of_a_log_is_found_in_its_group() {
    let log = small_log();
    for at in HEADER_BYTES..log.bytes.len() {
        for bit in 0..8 {
            let mut bytes = log.bytes.clone();
            bytes[at] ^= 1 << bit;
            let (groups, end) = scan(&bytes, whole());
            let hit = log.starts.iter().rposition(|start| *start <= at).unwrap();
            assert_eq!(groups.len(), hit, "byte {at}: {end:?}");
            assert_reads(&log, &groups);
            let Scanned::Bad { position, at: flaw, .. } = end else { panic!("byte {at}: {end:?}") };
            assert_eq!(position, log.starts[hit] as u64);
            assert!(flaw >= position && flaw <= at as u64 + 64);
        }
    }
}

#[test]
fn a_log_that_ends_anywhere_is_read_up_to_there() {
    let log = small_log();
    for len in HEADER_BYTES..=log.bytes.len() {
        let (groups, end) = scan(&log.bytes[..len], whole());
        let ends: Vec<_> = log.starts.iter().skip(1).copied().chain([log.bytes.len()]).collect();
        assert_eq!(groups.len(), ends.iter().filter(|end| **end <= len).count());
        let is_between = len == HEADER_BYTES || ends.contains(&len);
        assert_eq!(matches!(end, Scanned::End { .. }), is_between, "{len}: {end:?}");
    }
}

#[test]
fn zeros_up_to_the_end_are_an_end_and_anything_in_them_is_not() {
    let mut log = small_log();
    let sound = log.bytes.len();
    for zeros in [1, 63, 64, 65, 5000] {
        log.bytes.truncate(sound);
        log.bytes.resize(sound + zeros, 0);
        let (groups, end) = scan(&log.bytes, whole());
        assert_eq!(groups.len(), 4);
        assert!(matches!(end, Scanned::End { position } if position == sound as u64), "{end:?}");
        *log.bytes.last_mut().unwrap() = 1;
        let (_, end) = scan(&log.bytes, whole());
        assert!(matches!(end, Scanned::Bad { position, .. } if position == sound as u64), "{end:?}");
        let bounded = Scan { end: Some(sound as u64), ..whole() };
        assert!(matches!(scan(&log.bytes, bounded).1, Scanned::End { .. }));
    }
}

#[test]
fn batches_longer_than_what_is_read_at_once_are_read_and_checked() {
    let mut log = LogBytes::new(SALT);
    let long: Vec<u8> = (0..2_700_001u32).map(|n| (n % 253) as u8).collect();
    log.push(vec![Sample::facts(0, &long), Sample::records(1, b"short"), Sample::records(2, &long)]);
    log.push(vec![Sample::records(3, &long[..1_000_000])]);
    let (groups, _) = scan(&log.bytes, whole());
    assert_eq!(groups.len(), 2);
    assert_reads(&log, &groups);
    for at in [100_000, 1_100_000, 2_600_000, 3_000_000, 5_400_000] {
        let mut bytes = log.bytes.clone();
        bytes[at] ^= 4;
        for payloads in [Payloads::None, Payloads::Facts, Payloads::All] {
            let (groups, end) = scan(&bytes, Scan { payloads, ..whole() });
            assert!(groups.is_empty() && matches!(end, Scanned::Bad { why: Flaw::Payload, .. }), "{at} {end:?}");
            let trusting = Scan { trusted: u64::MAX, payloads, ..whole() };
            assert_eq!(scan(&bytes, trusting).0.len(), 2, "what is trusted is not hashed again");
        }
    }
}

#[test]
fn a_scan_hands_out_what_it_is_asked_for() {
    let log = small_log();
    for (payloads, facts, records) in
        [(Payloads::None, false, false), (Payloads::Facts, true, false), (Payloads::All, true, true)]
    {
        let (groups, _) = scan(&log.bytes, Scan { payloads, ..whole() });
        let frames: Vec<_> = groups.into_iter().flat_map(|group| group.frames).collect();
        for frame in &frames {
            let expected = match frame.header.kind {
                FrameKind::Facts => facts,
                FrameKind::Records => records,
                FrameKind::Epoch | FrameKind::Idle | FrameKind::Compacted => false,
            };
            assert_eq!(frame.payload.is_some(), expected);
            let at = usize::try_from(frame.payload_position()).unwrap();
            if frame.header.kind.has_batch() {
                assert_eq!(frame.batch_header[..], log.bytes[at..at + 61]);
            }
        }
        assert_eq!(frames.len(), 7);
    }
}

#[test]
fn a_scan_starts_where_it_is_told_to() {
    let log = small_log();
    let chain = u32::from_le_bytes(log.bytes[log.starts[1] + 4..log.starts[1] + 8].try_into().unwrap());
    let from = Scan { position: log.starts[2] as u64, after: Lsn(2), ..whole() };
    for chain in [Some(chain), None] {
        assert_eq!(scan(&log.bytes, Scan { chain, ..from }).0.len(), 2);
    }
    let wrong = Scan { chain: Some(chain ^ 1), ..from };
    assert!(matches!(scan(&log.bytes, wrong).1, Scanned::Bad { why: Flaw::Chain, .. }));
    let above = Scan { after: Lsn(3), chain: None, ..from };
    assert!(matches!(scan(&log.bytes, above).1, Scanned::Bad { why: Flaw::Lsn(Lsn(3)), .. }));
}

/// Sound groups of the same file, of which one is missing or stands in another's place.
#[test]
fn groups_that_do_not_follow_each_other_are_refused() {
    let log = small_log();
    let piece = |at: usize| &log.bytes[log.starts[at]..*log.starts.get(at + 1).unwrap_or(&log.bytes.len())];
    let place = |position, chain| Place { salt: SALT, position, lsn: Lsn(2), durable: Lsn(0), opening: 1, chain };
    let after_first = log.starts[1];
    for (stale, flaw) in [
        (group(place(after_first as u64, 0), &[Sample::idle()]).0, Flaw::Chain),
        (group(place(64, 0), &[Sample::idle()]).0, Flaw::Position(64)),
        (piece(0).to_vec(), Flaw::Position(64)),
    ] {
        let mut bytes = log.bytes[..after_first].to_vec();
        bytes.extend_from_slice(&stale);
        let (groups, end) = scan(&bytes, whole());
        assert_eq!(groups.len(), 1);
        assert!(matches!(end, Scanned::Bad { why, .. } if why == flaw), "{end:?}");
    }
}

/// The frames of one write behind the header of another, both sound: what a torn write over an older one leaves.
#[test]
fn frames_of_another_group_are_refused() {
    let place = Place { salt: SALT, position: 64, lsn: Lsn(1), durable: Lsn(0), opening: 1, chain: 0 };
    let (old, _) = group(place, &[Sample::records(0, b"old")]);
    let newer = |opening, durable| group(Place { durable, opening, ..place }, &[Sample::records(0, b"new")]).0;
    let next = Place { lsn: Lsn(2), ..place };
    for header in [newer(2, Lsn(0)), newer(1, Lsn(0)), group(next, &[Sample::records(0, b"new")]).0] {
        let mut bytes = vec![0; HEADER_BYTES];
        bytes.extend_from_slice(&header[..HEADER_BYTES]);
        bytes.extend_from_slice(&old[HEADER_BYTES..]);
        let (groups, end) = scan(&bytes, whole());
        if header[..HEADER_BYTES] == old[..HEADER_BYTES] {
            assert_eq!(groups.len(), 1, "the same header and the old frames are the old group");
        } else {
            assert!(groups.is_empty() && matches!(end, Scanned::Bad { .. }), "{end:?}");
        }
    }
}

/// A client sends groups and frames of ours in its records: even right ones, as if it knew the salt, are only payload.
#[test]
fn groups_in_payloads_are_payload() {
    let inner = small_log();
    let mut log = LogBytes::new(SALT);
    log.push(vec![Sample::records(0, &inner.bytes)]);
    // At a multiple of 64 in the file, with a salt that is not ours.
    let position = (log.bytes.len() + HEADER_BYTES * 2 + 61).next_multiple_of(64);
    let fake =
        Place { salt: SALT ^ 1, position: position as u64, lsn: Lsn(900), durable: Lsn(899), opening: 9, chain: 0 };
    let mut records = vec![0; position - (log.bytes.len() + HEADER_BYTES * 2 + 61)];
    records.extend_from_slice(&group(fake, &[Sample::idle()]).0);
    log.push(vec![Sample::records(1, &records)]);
    log.push(vec![Sample::idle()]);
    let (groups, _) = scan(&log.bytes, whole());
    assert_eq!(groups.len(), 3);
    assert_reads(&log, &groups);

    // The first group is torn; what its own payload and the next one's hold does not vouch.
    let mut torn = log.bytes.clone();
    torn[log.starts[0] + 20] ^= 1;
    let found = find_voucher(&file_of(&torn), SALT, log.starts[0] as u64, 0).unwrap().unwrap();
    assert_eq!((found.lsn, found.durable, found.position), (Lsn(3), Lsn(1), log.starts[2] as u64));
}

#[test]
fn vouchers_are_found_behind_a_bad_place() {
    let log = small_log();
    let find = |bytes: &[u8], from: usize, opening| find_voucher(&file_of(bytes), SALT, from as u64, opening).unwrap();
    assert_eq!(find(&log.bytes, log.starts[1] + 1, 0).map(|v| (v.lsn, v.durable)), Some((Lsn(4), Lsn(2))));
    assert_eq!(find(&log.bytes, log.starts[3], 1).map(|v| v.lsn), Some(Lsn(4)));
    assert_eq!(find(&log.bytes, log.starts[3] + 1, 0), None);
    assert_eq!(find(&log.bytes, 0, 2), None, "an earlier opening than the last sound group's is stale");
    let mut changed = log.bytes.clone();
    changed[log.starts[3] + 17] ^= 1;
    assert_eq!(find(&changed, log.starts[1] + 1, 0).map(|v| v.lsn), Some(Lsn(3)));
    assert_eq!(find(&log.bytes[64..], 0, 0), None, "it names another position");
}

#[test]
fn a_newer_format_is_told_of_by_name() {
    let header = FileHeader {
        kind: FileKind::Log,
        timeline: TimelineId(3),
        salt: SALT,
        first_lsn: Lsn(1),
        file_id: 1,
        created_ms: 0,
        opening: 1,
    };
    let path = Path::new("x.log");
    let mut bytes = header.encode();
    bytes[8] = 2;
    assert!(matches!(FileHeader::read(&bytes, path, FileKind::Log, None), Err(Error::Corrupt(_))), "rot");
    let crc = crc32c::crc32c_append(crc32c::crc32c(&bytes[..12]), &bytes[16..]);
    bytes[12..16].copy_from_slice(&crc.to_le_bytes());
    let newer = FileHeader::read(&bytes, path, FileKind::Log, None);
    assert!(matches!(newer, Err(Error::Newer { found: 2, known: 1, .. })), "{newer:?}");
    let bytes = header.encode();
    let of = Some((TimelineId(3), SALT));
    assert_eq!(FileHeader::read(&bytes, path, FileKind::Log, of).unwrap(), header);
    for other in [(TimelineId(4), SALT), (TimelineId(3), SALT ^ 1)] {
        assert!(matches!(FileHeader::read(&bytes, path, FileKind::Log, Some(other)), Err(Error::Corrupt(_))));
    }
    assert!(matches!(FileHeader::read(&bytes, path, FileKind::Segment, of), Err(Error::Corrupt(_))));
}

#[test]
fn sizes_are_padded_and_bounded() {
    assert_eq!(group_bytes([0]), Some(64));
    assert_eq!(group_bytes([61]), Some(128));
    assert_eq!(group_bytes([61, 65]), Some(320));
    assert_eq!(group_bytes([usize::MAX, 1]), None);
    assert_eq!(group_bytes([u32::MAX as usize]), None);
    assert_eq!((padded_frame(0), padded_frame(1), padded_group(64), padded_group(65)), (0, 8, 64, 128));
}
