//! MANIFEST: hostile edits whose CRCs are right, and mishaps to a sound one.

use std::sync::Arc;

use super::input::{Input, disk_with};
use super::{OF, bounded};
use crate::disk::Disk;
use crate::error::Error;
use crate::frame::{FileHeader, FileKind, HEADER_BYTES, seed};
use crate::manifest::edit::Decoded;
use crate::manifest::{Edit, FileRef, FileSet, Identity, Manifest, Replay, SegmentFile, TimelineDir};
use crate::units::{FileId, Lsn};

const IDENTITY: Identity =
    Identity { timeline: OF.0, salt: OF.1, created_ms: 0, parent: None, volume: 1, leader_epoch: 0 };

/// Bytes behind a sound header: as they are, as bodies of edits, or as mishaps to edits that were written.
pub fn manifest(data: &[u8]) {
    let mut input = Input::new(data);
    match input.u8() % 3 {
        0 => drop(replay(&file(input.rest()))),
        1 => hostile(&mut input),
        _ => mishaps(&mut input),
    }
}

fn hostile(input: &mut Input<'_>) {
    let mut edits = Vec::new();
    while !input.is_empty() {
        let body = input.piece();
        let length = u32::try_from(body.len()).unwrap_or(u32::MAX);
        let position = (HEADER_BYTES + edits.len()) as u64;
        let placed = crc32c::crc32c_append(seed(OF.1), &position.to_le_bytes());
        let crc = crc32c::crc32c_append(crc32c::crc32c_append(placed, &length.to_le_bytes()), body);
        let edit = [&length.to_le_bytes(), &crc.to_le_bytes(), body].concat();
        if let Decoded::Edit(decoded, taken) = Edit::decode(&edit, OF.1, position) {
            assert_eq!(taken, edit.len());
            assert_eq!(decoded.encode(OF.1, position), edit, "{decoded:?} is written as it was read");
        }
        edits.extend_from_slice(&edit);
    }
    let bytes = file(&edits);
    let Some(replay) = replay(&bytes) else { return };
    says_the_same_when_rewritten(&replay.files);
    opens_twice(&bytes, &replay.files);
}

/// The fewest edits that make a set make that set. (A manifest that is written anew has been opened.)
fn says_the_same_when_rewritten(files: &FileSet) {
    if files.opening == 0 {
        return;
    }
    let mut again = FileSet::default();
    for edit in files.edits() {
        if let Err(why) = again.apply(&edit) {
            panic!("{files:?} is rewritten with {edit:?}: {why}");
        }
    }
    assert_eq!(again, *files);
}

/// Opening changes the opening number and no more, the second time as the first.
fn opens_twice(bytes: &[u8], files: &FileSet) {
    let disk = disk_with(&TimelineDir::new(OF.0).manifest(), bytes);
    let disk: Arc<dyn Disk> = Arc::new(disk);
    for nth in 1..=2 {
        let Ok(opened) = Manifest::open(&disk, &IDENTITY) else {
            assert_eq!(nth, 1, "it opens once and then no more");
            return;
        };
        let expected = FileSet { opening: files.opening + nth, closed: None, ..files.clone() };
        assert_eq!(*opened.files(), expected);
    }
}

/// After a mishap it is refused, or it is what some first part of the edits had made.
fn mishaps(input: &mut Input<'_>) {
    let edits = life();
    let (mut bytes, mut sets) = (Vec::new(), vec![FileSet::default()]);
    for edit in &edits {
        let mut set = sets[sets.len() - 1].clone();
        set.apply(edit).expect("the edits of a life fit");
        bytes.extend_from_slice(&edit.encode(OF.1, (HEADER_BYTES + bytes.len()) as u64));
        sets.push(set);
    }
    let mut bytes = file(&bytes);
    input.mishaps(&mut bytes);
    let Some(replay) = replay(&bytes) else { return };
    assert!(sets.contains(&replay.files), "a set that never was: {:?}", replay.files);
}

fn replay(bytes: &[u8]) -> Option<Replay> {
    let path = TimelineDir::new(OF.0).manifest();
    let file = disk_with(&path, bytes).open(&path).expect("it was planted");
    match bounded(bytes.len(), || Replay::of(&*file, &IDENTITY)) {
        Ok(replay) => Some(replay),
        Err(Error::Corrupt(_) | Error::Newer { .. }) => None,
        Err(other) => panic!("{other}"),
    }
}

fn file(edits: &[u8]) -> Vec<u8> {
    let header = FileHeader {
        kind: FileKind::Manifest,
        timeline: OF.0,
        salt: OF.1,
        first_lsn: Lsn::ZERO,
        file_id: 0,
        created_ms: 0,
        opening: 0,
    };
    let bytes = [&header.encode()[..], edits].concat();
    assert_eq!(bytes.len(), HEADER_BYTES + edits.len());
    bytes
}

/// One edit of each kind.
fn life() -> Vec<Edit> {
    let [l0, l1, l10, l20] = [0, 1, 10, 20].map(Lsn);
    let output = SegmentFile { id: FileId(4), class: 9, first: l1, last: Lsn(9), bytes: 4_000 };
    vec![
        Edit::Opened { opening: 1, next_file: FileId(1), next_lsn: l0 },
        Edit::Open { first: l1, after: l0, after_bytes: 0 },
        Edit::Open { first: l10, after: Lsn(9), after_bytes: 4_096 },
        Edit::Sealed { first: l1, last: Lsn(9), bytes: 4_096 },
        Edit::StateAt { lsn: Lsn(9), added: true },
        Edit::Intent { job: 4, outputs: vec![FileId(4), FileId(5)] },
        Edit::Swap { job: 4, outputs: vec![output], inputs: vec![FileRef::Log(l1)] },
        Edit::Truncated { first: l10, last: Lsn(14), bytes: 640 },
        Edit::Open { first: l20, after: Lsn(14), after_bytes: 0 },
        Edit::StateAt { lsn: Lsn(14), added: true },
        Edit::StateAt { lsn: Lsn(9), added: false },
        Edit::Dropped { files: vec![FileRef::Segment(FileId(2))] },
        Edit::Closed { last: l20 },
    ]
}
