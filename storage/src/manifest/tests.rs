//! The file set survives what a disk and a process can do to it, or says that it did not.

use std::sync::Arc;

use proptest::prelude::*;

use super::edit::Decoded;
use super::*;
use crate::disk::SimDisk;
use crate::disk::sim::{Fault, Op};
use crate::units::TimelineId;

const SALT: u64 = 77;

fn identity() -> Identity {
    Identity {
        timeline: TimelineId(4),
        salt: SALT,
        created_ms: 1000,
        parent: Some((TimelineId(1), Lsn(50))),
        volume: 9,
        leader_epoch: 3,
    }
}

fn as_disk(disk: &SimDisk) -> Arc<dyn Disk> {
    Arc::new(disk.clone())
}

fn created() -> (SimDisk, Manifest) {
    let disk = SimDisk::new();
    let manifest = Manifest::create(&as_disk(&disk), &identity()).unwrap();
    (disk, manifest)
}
fn open(disk: &SimDisk) -> Result<Manifest> {
    Manifest::open(&as_disk(disk), &identity())
}
fn segment(id: u64) -> SegmentFile {
    SegmentFile { id: FileId(id), class: 2, first: Lsn(51), last: Lsn(60), bytes: 4096 }
}
/// A life in edits: each fits what those before it made.
fn life() -> Vec<Edit> {
    vec![
        Edit::Open { first: Lsn(51), after: Lsn(50), after_bytes: 0 },
        Edit::Open { first: Lsn(61), after: Lsn(60), after_bytes: 640 },
        Edit::Sealed { first: Lsn(51), last: Lsn(60), bytes: 640 },
        Edit::StateAt { lsn: Lsn(55), added: true },
        Edit::Intent { job: 1, outputs: vec![FileId(0), FileId(1)] },
        Edit::Swap { job: 1, outputs: vec![segment(0), segment(1)], inputs: vec![FileRef::Log(Lsn(51))] },
        Edit::StateAt { lsn: Lsn(60), added: true },
        Edit::StateAt { lsn: Lsn(55), added: false },
        Edit::Intent { job: 2, outputs: vec![FileId(2)] },
        Edit::Truncated { first: Lsn(61), last: Lsn(64), bytes: 320 },
        Edit::Open { first: Lsn(65), after: Lsn(64), after_bytes: 0 },
        Edit::Truncated { first: Lsn(65), last: Lsn(64), bytes: 64 },
        Edit::Swap { job: 0, outputs: vec![], inputs: vec![FileRef::Log(Lsn(65))] },
        Edit::Open { first: Lsn(65), after: Lsn(64), after_bytes: 0 },
        Edit::Dropped { files: vec![FileRef::Segment(FileId(1)), FileRef::StateAt(Lsn(55))] },
        Edit::Closed { last: Lsn(70) },
    ]
}
fn any_edit() -> impl Strategy<Value = Edit> {
    let file = any::<(u8, u64)>().prop_map(|(kind, id)| match kind % 3 {
        0 => FileRef::Log(Lsn(id)),
        1 => FileRef::Segment(FileId(id)),
        _ => FileRef::StateAt(Lsn(id)),
    });
    let files = prop::collection::vec(file, 0..5);
    let segment = any::<(u64, u8, u64, u64, u64)>().prop_map(|(id, class, first, last, bytes)| SegmentFile {
        id: FileId(id),
        class,
        first: Lsn(first),
        last: Lsn(last),
        bytes,
    });
    let segments = prop::collection::vec(segment, 0..5);
    let ids = prop::collection::vec(any::<u64>().prop_map(FileId), 0..9);
    let n = any::<(u64, u64, u64, u32, bool)>();
    (0..9u8, n, files, segments, ids).prop_map(|(kind, (a, b, c, d, e), files, outputs, ids)| match kind {
        0 => Edit::Open { first: Lsn(a), after: Lsn(b), after_bytes: c },
        1 => Edit::Intent { job: a, outputs: ids },
        2 => Edit::Swap { job: a, outputs, inputs: files },
        3 => Edit::Sealed { first: Lsn(a), last: Lsn(b), bytes: c },
        4 => Edit::Truncated { first: Lsn(a), last: Lsn(b), bytes: c },
        5 => Edit::StateAt { lsn: Lsn(a), added: e },
        6 => Edit::Opened { opening: d, next_file: FileId(a), next_lsn: Lsn(b) },
        7 => Edit::Closed { last: Lsn(a) },
        _ => Edit::Dropped { files },
    })
}
proptest! {
    #[test]
    fn edits_are_read_back_and_no_byte_changes_unnoticed(edit in any_edit(), salt: u64, position in 0..u64::MAX, flip in 1u8..) {
        let bytes = edit.encode(salt, position);
        let followed = [&bytes[..], b"behind"].concat();
        prop_assert_eq!(Edit::decode(&followed, salt, position), Decoded::Edit(edit, bytes.len()));
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= flip;
            prop_assert_eq!(Edit::decode(&changed, salt, position), Decoded::Bad, "byte {}", at);
            prop_assert_eq!(Edit::decode(&bytes[..at], salt, position), Decoded::Bad);
        }
        prop_assert_eq!(Edit::decode(&bytes, salt ^ 1, position), Decoded::Bad);
        prop_assert_eq!(Edit::decode(&bytes, salt, position + 1), Decoded::Bad);
    }

    #[test]
    fn any_edits_are_applied_or_refused_without_panic(edits in prop::collection::vec(any_edit(), 0..20)) {
        let mut set = FileSet::default();
        for edit in &edits {
            let before = set.clone();
            if set.apply(edit).is_err() {
                prop_assert_eq!(&set, &before, "a refused edit changes nothing");
            }
            set.durable();
        }
    }

    #[test]
    fn any_bytes_are_refused_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = Edit::decode(&bytes, SALT, 64);
    }
}
#[test]
fn an_edit_of_a_newer_program_is_told_from_damage() {
    let (disk, manifest) = created();
    let mut whole = disk.contents(manifest.path()).unwrap();
    let position = whole.len() as u64;
    let mut bytes = Edit::Closed { last: Lsn(1) }.encode(SALT, position);
    let reseal = |bytes: &mut Vec<u8>| {
        let placed = crc32c::crc32c_append(77, &position.to_le_bytes());
        let crc = crc32c::crc32c_append(crc32c::crc32c_append(placed, &bytes[..4]), &bytes[8..]);
        bytes[4..8].copy_from_slice(&crc.to_le_bytes());
    };
    bytes[9] = 200;
    reseal(&mut bytes);
    assert_eq!(Edit::decode(&bytes, SALT, position), Decoded::Unknown(1, 200));
    whole.extend_from_slice(&bytes);
    disk.plant(manifest.path(), &whole);
    let why = open(&disk).unwrap_err().to_string();
    assert!(why.contains("kind 200"), "{why}");
}
#[test]
fn the_set_is_what_the_edits_say() {
    let (disk, mut manifest) = created();
    for edit in life() {
        manifest.append(&edit).unwrap();
    }
    let set = manifest.files().clone();
    assert_eq!(set.logs.iter().map(|log| log.first.0).collect::<Vec<_>>(), [61, 65]);
    assert_eq!(set.log(Lsn(61)).unwrap().end, Some(LogEnd { last: Lsn(64), bytes: 320, sealed: false }));
    assert_eq!(set.segments.len(), 2);
    assert_eq!(set.state_ats, [Lsn(60)]);
    assert_eq!(set.intents.keys().collect::<Vec<_>>(), [&2]);
    assert!(set.dropped.contains(&FileRef::Log(Lsn(51))) && !set.dropped.contains(&FileRef::Log(Lsn(65))));
    assert_eq!((set.next_file, set.durable(), set.closed), (FileId(3), Lsn(70), Some(Lsn(70))));
    let again = open(&disk).unwrap();
    assert_eq!(again.closed_before(), Some(Lsn(70)));
    assert_eq!(again.opening(), 2);
    assert_eq!(*again.files(), FileSet { opening: 2, closed: None, ..set });
    let third = open(&disk).unwrap();
    assert_eq!((third.opening(), third.closed_before()), (3, None));
}

#[test]
fn edits_that_do_not_fit_are_refused_and_change_nothing() {
    let (disk, mut manifest) = created();
    for edit in life() {
        manifest.append(&edit).unwrap();
    }
    let (set, bytes) = (manifest.files().clone(), disk.contents(manifest.path()));
    for edit in [
        Edit::Open { first: Lsn(65), after: Lsn(64), after_bytes: 0 },
        Edit::Open { first: Lsn(80), after: Lsn(80), after_bytes: 0 },
        Edit::Open { first: Lsn(80), after: Lsn(63), after_bytes: 0 },
        Edit::Sealed { first: Lsn(51), last: Lsn(60), bytes: 640 },
        Edit::Sealed { first: Lsn(61), last: Lsn(63), bytes: 320 },
        Edit::Sealed { first: Lsn(65), last: Lsn(63), bytes: 320 },
        Edit::Truncated { first: Lsn(61), last: Lsn(64), bytes: 0 },
        Edit::Intent { job: 2, outputs: vec![FileId(9)] },
        Edit::Intent { job: 3, outputs: vec![FileId(1)] },
        Edit::Swap { job: 2, outputs: vec![segment(0)], inputs: vec![] },
        Edit::Swap { job: 2, outputs: vec![], inputs: vec![FileRef::Log(Lsn(51))] },
        Edit::Swap { job: 2, outputs: vec![SegmentFile { last: Lsn(50), ..segment(2) }], inputs: vec![] },
        Edit::StateAt { lsn: Lsn(60), added: true },
        Edit::StateAt { lsn: Lsn(55), added: false },
        Edit::Opened { opening: 1, next_file: FileId(3), next_lsn: Lsn(65) },
        Edit::Opened { opening: 5, next_file: FileId(2), next_lsn: Lsn(65) },
        Edit::Opened { opening: 5, next_file: FileId(3), next_lsn: Lsn(64) },
    ] {
        assert!(matches!(manifest.append(&edit), Err(Error::Invalid(_))), "{edit:?}");
    }
    assert_eq!(*manifest.files(), set);
    assert_eq!(disk.contents(manifest.path()), bytes);
}

/// Whatever byte changes: it is damage, or it looks like the last edit's write that never ended. Never another set.
#[test]
fn every_changed_byte_is_found() {
    let (disk, mut manifest) = created();
    let mut before_last = None;
    for edit in life() {
        before_last = Some((manifest.position, manifest.files().clone()));
        manifest.append(&edit).unwrap();
    }
    let (last_at, before_last) = before_last.unwrap();
    let path = manifest.path().to_path_buf();
    let bytes = disk.contents(&path).unwrap();
    for at in 0..bytes.len() {
        for bit in 0..8 {
            let mut changed = bytes.clone();
            changed[at] ^= 1 << bit;
            disk.plant(&path, &changed);
            let file = disk.open_read_only(&path).unwrap();
            match Replay::of(file.as_ref(), &identity()) {
                Err(Error::Corrupt(_)) => assert!((at as u64) < last_at, "byte {at}"),
                Ok(replay) => {
                    assert!(at as u64 >= last_at, "byte {at} is taken for another set");
                    assert_eq!((replay.end, &replay.files), (last_at, &before_last));
                }
                Err(other) => panic!("{other}"),
            }
        }
    }
}

#[test]
fn a_manifest_that_ends_anywhere_loses_only_what_is_cut() {
    let (disk, mut manifest) = created();
    let mut sets = vec![(manifest.position, manifest.files().clone())];
    for edit in life() {
        manifest.append(&edit).unwrap();
        sets.push((manifest.position, manifest.files().clone()));
    }
    let path = manifest.path().to_path_buf();
    let bytes = disk.contents(&path).unwrap();
    for len in usize::try_from(sets[0].0).unwrap()..=bytes.len() {
        for zeros in [0, 700] {
            let mut cut = bytes[..len].to_vec();
            cut.resize(len + zeros, 0);
            disk.plant(&path, &cut);
            // An edit that ends with zeros may lose those and be whole.
            let len = bytes.iter().zip(&cut).take_while(|(a, b)| a == b).count();
            let (end, expected) = sets.iter().rfind(|(end, _)| *end <= len as u64).unwrap();
            let manifest = open(&disk).unwrap();
            assert_eq!(*manifest.files(), FileSet { opening: 2, closed: None, ..expected.clone() });
            let opened = Edit::Opened { opening: 2, next_file: expected.next_file, next_lsn: expected.next_lsn };
            let opened = opened.encode(SALT, *end);
            assert_eq!(disk.contents(&path).unwrap().len() as u64, end + opened.len() as u64);
        }
    }
}

/// Dies at every change of the disk, in every way; the set is then what it was before the edit under way, or after it.
#[test]
fn a_crash_anywhere_leaves_the_set_before_or_after_the_edit() {
    let run = |disk: &SimDisk, acknowledged: &mut usize| -> Result<()> {
        let mut manifest = Manifest::create(&as_disk(disk), &identity())?;
        for edit in life() {
            manifest.append(&edit)?;
            *acknowledged += 1;
        }
        Ok(())
    };
    let mut sets = vec![FileSet { opening: 1, ..FileSet::default() }];
    for edit in life() {
        let mut next = sets[sets.len() - 1].clone();
        next.apply(&edit).unwrap();
        sets.push(next);
    }
    let whole = SimDisk::new();
    run(&whole, &mut 0).unwrap();
    for step in 1..=whole.steps() {
        for seed in 0..20 {
            let disk = SimDisk::new();
            let mut acknowledged = 0;
            disk.die_at_step(step);
            run(&disk, &mut acknowledged).unwrap_err();
            let disk = if seed == 0 { disk.kill() } else { disk.power_loss(seed) };
            let dir = TimelineDir::new(identity().timeline);
            if !disk.exists(&dir.manifest()).unwrap() {
                assert_eq!(acknowledged, 0);
                continue;
            }
            let first = open(&disk).unwrap();
            let is = |set: &FileSet| *first.files() == FileSet { opening: 2, closed: None, ..set.clone() };
            let now = (acknowledged..sets.len().min(acknowledged + 2)).find(|at| is(&sets[*at]));
            let now = now.unwrap_or_else(|| panic!("step {step} seed {seed}: {:?}", first.files()));
            // What was acted on stays: no later loss of power takes it back.
            let disk = disk.power_loss(seed + 100);
            let second = open(&disk).unwrap();
            assert_eq!(*second.files(), FileSet { opening: 3, closed: None, ..sets[now].clone() });
        }
    }
}

/// The sync fails, the process ends: the page cache shows an edit that the disk does not have. The next start acts on it, so it makes it durable.
#[test]
fn an_edit_whose_sync_failed_is_written_again_before_it_is_acted_on() {
    let (disk, mut manifest) = created();
    disk.fail(Op::Sync, 0, Fault::Error);
    manifest.append(&life()[0]).unwrap_err();
    assert!(manifest.files().logs.is_empty(), "not durable, not in the set");
    assert!(matches!(manifest.append(&life()[0]), Err(Error::Closed)), "nothing more is believed");
    let disk = disk.kill();
    let named = open(&disk).unwrap().files().clone();
    assert_eq!(named.logs.len(), 1);
    for seed in 0..50 {
        let disk = disk.power_loss(seed);
        assert_eq!(open(&disk).unwrap().files().logs, named.logs);
    }
}

/// The file system took the write and has no room for it at the sync: nobody may take that for an edit that was refused.
#[test]
fn a_disk_that_is_full_at_the_sync_has_failed() {
    let (disk, mut manifest) = created();
    disk.fail(Op::Sync, 0, Fault::Full);
    assert!(matches!(manifest.append(&life()[0]), Err(Error::Io { .. })));
    assert!(manifest.is_broken());
}

#[test]
fn a_timeline_is_not_made_over_the_log_of_another() {
    let (disk, mut manifest) = created();
    manifest.create_log(NextLog { first: Lsn(51), after: Lsn(50), after_bytes: 0, created_ms: 0 }).unwrap();
    disk.remove(manifest.path()).unwrap();
    disk.remove(&manifest.dir().timeline()).unwrap();
    let again = Manifest::create(&as_disk(&disk), &identity());
    assert!(matches!(again, Err(Error::Corrupt(_))), "{again:?}");
    assert!(disk.exists(&manifest.dir().log(Lsn(51))).unwrap());
    disk.remove(&manifest.dir().log(Lsn(51))).unwrap();
    Manifest::create(&as_disk(&disk), &identity()).unwrap();
}

#[test]
fn a_full_disk_refuses_the_edit_and_nothing_else() {
    let (disk, mut manifest) = created();
    let used = |disk: &SimDisk| disk.space().map(|space| space.total - space.free).unwrap();
    disk.budget(Some(u64::MAX));
    let used = used(&disk);
    for room in 0..8 {
        disk.budget(Some(used + room));
        assert!(matches!(manifest.append(&life()[0]), Err(Error::Full(_))));
    }
    assert!(manifest.files().logs.is_empty());
    disk.budget(None);
    manifest.append(&life()[0]).unwrap();
    assert_eq!(open(&disk).unwrap().files().logs.len(), 1);
}

#[test]
fn a_long_manifest_is_written_anew_and_says_the_same() {
    let (disk, mut manifest) = created();
    for edit in life() {
        manifest.append(&edit).unwrap();
    }
    let mut longest = 0;
    for lsn in 100..1500 {
        manifest.append(&Edit::StateAt { lsn: Lsn(lsn), added: true }).unwrap();
        manifest.append(&Edit::StateAt { lsn: Lsn(lsn), added: false }).unwrap();
        manifest.unlinked(FileRef::StateAt(Lsn(lsn)));
        longest = longest.max(disk.contents(manifest.path()).unwrap().len());
    }
    assert!(longest < 10_000, "{longest}");
    let set = manifest.files().clone();
    let again = open(&disk).unwrap().files().clone();
    assert!(
        again.dropped.is_superset(&set.dropped) && again.dropped.len() < 220,
        "no edit says that a file is unlinked"
    );
    assert_eq!(again, FileSet { opening: 2, closed: None, dropped: again.dropped.clone(), ..set });
    for point in ["manifest.new.before_rename", "manifest.new.after_rename"] {
        assert!(disk.reached().contains(point));
    }
}

/// Folds come and go: a fold is added, then the one before it is dropped. `last` is the newest that was added.
fn move_on(manifest: &mut Manifest, last: &mut u64, to: u64) -> Result<()> {
    while *last < to {
        manifest.append(&Edit::StateAt { lsn: Lsn(*last + 1), added: true })?;
        *last += 1;
        if manifest.files().state_ats.len() > 1 {
            let old = manifest.files().state_ats[0];
            manifest.append(&Edit::StateAt { lsn: old, added: false })?;
            manifest.unlinked(FileRef::StateAt(old));
        }
    }
    Ok(())
}

#[test]
fn a_crash_while_the_manifest_is_written_anew_loses_nothing() {
    let (disk, mut manifest) = created();
    let before = disk.steps();
    move_on(&mut manifest, &mut 99, 205).unwrap();
    assert!(manifest.edits < 100, "it was written anew");
    let written_anew = before + 2 * 190;
    for step in written_anew..=disk.steps() {
        for seed in 0..12 {
            let (disk, mut manifest) = created();
            let mut last = 99;
            disk.die_at_step(step);
            move_on(&mut manifest, &mut last, 205).unwrap_err();
            let disk = if seed % 3 == 0 { disk.kill() } else { disk.power_loss(seed) };
            let found = open(&disk).unwrap().files().state_ats.clone();
            let newest = found.last().unwrap().0;
            assert!((last..=last + 1).contains(&newest), "step {step} seed {seed}: {newest} of {last}");
            assert!(found.len() <= 2);
            assert_eq!(open(&disk.power_loss(seed)).unwrap().files().state_ats, found);
        }
    }
}

/// Killed when a manifest has its name, and the name is in the page cache alone: the next start goes on in it, so it makes the name durable first.
#[test]
fn a_name_that_only_the_page_cache_has_is_made_durable_before_it_is_acted_on() {
    for seed in 0..40 {
        let disk = SimDisk::new();
        disk.arm("manifest.new.after_rename");
        Manifest::create(&as_disk(&disk), &identity()).unwrap_err();
        let disk = disk.kill();
        open(&disk).unwrap().append(&life()[0]).unwrap();
        let disk = disk.power_loss(seed);
        let mut manifest = open(&disk).unwrap();
        assert_eq!(manifest.files().logs.len(), 1);
        disk.arm("manifest.new.after_rename");
        let mut last = 99;
        assert!(move_on(&mut manifest, &mut last, 400).is_err(), "it was to be written anew");
        let disk = disk.kill();
        open(&disk).unwrap().append(&Edit::StateAt { lsn: Lsn(9999), added: true }).unwrap();
        let found = open(&disk.power_loss(seed + 1)).unwrap();
        assert!([last, last + 1].contains(&found.files().state_ats[0].0) && found.files().state_ats.len() < 4);
        assert_eq!(found.files().state_ats.last(), Some(&Lsn(9999)));
        assert_eq!(found.files().logs.len(), 1);
    }
}

#[test]
fn a_log_file_is_named_before_it_is_given_out() {
    let (disk, mut manifest) = created();
    let next = NextLog { first: Lsn(51), after: Lsn(50), after_bytes: 0, created_ms: 5 };
    let path = manifest.dir().log(Lsn(51));
    for (op, fault) in [(Op::Create, Fault::Full), (Op::Write, Fault::Full), (Op::Sync, Fault::Full)] {
        disk.fail(op, 0, fault);
        manifest.create_log(next).unwrap_err();
        assert!(!disk.exists(&path).unwrap(), "{op:?}: what is not named goes");
        assert!(manifest.files().logs.is_empty());
    }
    let file = manifest.create_log(next).unwrap();
    let header = FileHeader::read(&file.read_at(0, 64).unwrap(), &path, FileKind::Log, None).unwrap();
    assert_eq!((header.first_lsn, header.opening, header.created_ms), (Lsn(51), 1, 5));
    for seed in 0..30 {
        let disk = disk.power_loss(seed);
        assert_eq!(open(&disk).unwrap().files().logs.len(), 1);
        assert_eq!(disk.contents(&path).unwrap().len(), 64);
    }
}

#[test]
fn a_timeline_says_who_it_is() {
    let (disk, _) = created();
    let timeline = identity().timeline;
    assert_eq!(Identity::read(&disk, timeline).unwrap(), identity());
    let path = TimelineDir::new(timeline).timeline();
    let bytes = disk.contents(&path).unwrap();
    assert_eq!(bytes.len(), 96);
    for at in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[at] ^= 0x10;
        disk.plant(&path, &changed);
        assert!(matches!(Identity::read(&disk, timeline), Err(Error::Corrupt(_))), "byte {at}");
        disk.plant(&path, &bytes[..at]);
        assert!(matches!(Identity::read(&disk, timeline), Err(Error::Corrupt(_))), "length {at}");
    }
    let root = Identity { timeline: TimelineId(8), parent: None, ..identity() };
    Manifest::create(&as_disk(&disk), &root).unwrap();
    assert_eq!(Identity::read(&disk, TimelineId(8)).unwrap(), root);
}

#[test]
fn names_are_made_and_read_in_one_place() {
    let dir = TimelineDir::new(TimelineId(3));
    let name = |path: std::path::PathBuf| path.file_name().unwrap().to_str().unwrap().to_owned();
    assert_eq!(dir.log(Lsn(7)).to_str(), Some("timelines/3/log/00000000000000000007.log"));
    for (path, named) in [
        (dir.log(Lsn(u64::MAX)), Named::Log(Lsn(u64::MAX))),
        (dir.index(Lsn(7)), Named::Index(Lsn(7))),
        (dir.segment(FileId(9)), Named::Segment(FileId(9))),
        (dir.state_at(Lsn(0)), Named::StateAt(Lsn(0))),
        (dir.temporary_manifest(), Named::Temporary),
    ] {
        assert_eq!(TimelineDir::parse(&name(path)), Some(named));
    }
    for other in
        ["", "7.log", "0000000000000000000x.log", "00000000000000000007.txt", "99999999999999999999.log", "ééééééééééé"]
    {
        assert_eq!(TimelineDir::parse(other), None, "{other}");
    }
}
