//! What must be there and is not: told of, and nothing changed.

use super::pond::{Ghost, Opened, SALT, dir, identity, open, start};
use crate::disk::sim::{Fault, Op};
use crate::disk::{Disk, SimDisk};
use crate::frame::sample::{Place, Sample, group};
use crate::manifest::{Edit, FileRef, SegmentFile};
use crate::timeline::recovery::{Lost, Recovered, Required, Resume, Start};
use crate::units::{FileId, Lsn, TopicNumber, TopicPartition};

/// Groups 1 to 4 synced one by one, 5 and 6 not.
fn written() -> (SimDisk, Ghost) {
    let (disk, mut ghost) = (SimDisk::new(), Ghost::default());
    let mut pond = start(&disk, &mut ghost).unwrap();
    for at in 0..6 {
        pond.append(&mut ghost, vec![Sample::records(at, &[7; 100]), Sample::facts(at, b"fact")]).unwrap();
        if at < 4 {
            pond.sync(&mut ghost).unwrap();
        }
    }
    (disk, ghost)
}

/// Where a group has the batch of records, but for its first 21 bytes, which the frame's CRC covers.
const RECORDS: std::ops::Range<u64> = 149..289;
/// Where a group has zeros.
const PADDING: [std::ops::Range<u64>; 2] = [289..296, 425..448];

/// A durable group, the nth, of which nothing but a batch of records or padding is bad: all the log is there, and the batch is told of.
fn salvaged(disk: &SimDisk, ghost: &Ghost, nth: u64, is_lost: bool) {
    let opened = open(disk, None, &[]).unwrap();
    let Recovered { damage, cut, end_lsn, lost, .. } = opened.recovered;
    assert_eq!((damage, cut, end_lsn), (None, None, Lsn(6)));
    let base_offset = i64::try_from(nth).unwrap() - 1;
    let partition = TopicPartition::new(TopicNumber(16), 3);
    let expected = is_lost.then_some(Lost { partition, base_offset, offsets: 1, lsn: Lsn(nth) });
    assert_eq!(lost, Vec::from_iter(expected));
    for ((lsn, folded), (ghost_lsn, written)) in opened.folded.iter().zip(&ghost.groups) {
        assert_eq!(lsn, ghost_lsn);
        assert_eq!(folded == written, !is_lost || *lsn != Lsn(nth), "another group has changed");
    }
    assert_eq!(opened.folded.len(), 6);
}

fn positions(disk: &SimDisk) -> Vec<u64> {
    let len = disk.contents(dir().log(Lsn(1))).unwrap().len() as u64;
    let each = (len - 64) / 6;
    (0..6).map(|at| 64 + at * each).collect()
}

fn required(lsn: u64) -> Vec<Required> {
    vec![Required { lsn: Lsn(lsn), by: "the snapshot \"close\"".into() }]
}

/// The disk, byte for byte; the manifest apart, where every start notes its opening.
fn image(disk: &SimDisk) -> Vec<(std::path::PathBuf, Vec<u8>)> {
    let paths = disk.paths().into_iter().filter(|path| *path != dir().manifest());
    paths.map(|path| (path.clone(), disk.contents(&path).unwrap())).collect()
}

fn damaged(disk: &SimDisk, start: Option<Start>, required: &[Required]) -> Opened {
    let before = image(disk);
    let opened = open(disk, start, required).unwrap();
    assert!(opened.recovered.damage.is_some(), "{:?}", opened.recovered);
    assert!(opened.recovered.resume.is_none() && opened.recovered.cut.is_none() && !opened.recovered.clean);
    assert_eq!(image(disk), before, "a damaged timeline is left as it is");
    opened
}

fn why(opened: &Opened) -> &str {
    opened.recovered.damage.as_deref().unwrap()
}

#[test]
fn every_flipped_byte_is_a_torn_tail_or_damage_or_one_lost_batch_by_what_was_durable() {
    let (disk, ghost) = written();
    let (log, starts) = (dir().log(Lsn(1)), positions(&disk));
    let bytes = disk.contents(&log).unwrap();
    let manifest = disk.contents(dir().manifest()).unwrap();
    for at in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[at] ^= 0x40;
        disk.plant(&log, &changed);
        disk.plant(dir().manifest(), &manifest);
        let hit = starts.iter().filter(|start| **start <= at as u64).count() as u64;
        let within = starts.iter().rev().find(|start| **start <= at as u64).map_or(0, |start| at as u64 - start);
        if (1..=4).contains(&hit) && (RECORDS.contains(&within) || PADDING.iter().any(|part| part.contains(&within))) {
            salvaged(&disk, &ghost, hit, RECORDS.contains(&within));
            continue;
        }
        let opened = if hit <= 4 { damaged(&disk, None, &[]) } else { open(&disk, None, &[]).unwrap() };
        // Groups 5 and 6 vouch for 4; and only for 4: what was not synced may be torn.
        assert_eq!(opened.recovered.end_lsn, Lsn(hit.saturating_sub(1)), "byte {at}");
        assert_eq!(opened.folded[..], ghost.groups[..usize::try_from(hit).unwrap().saturating_sub(1)]);
        assert_eq!(opened.recovered.cut.is_some(), hit > 4);
    }
}

#[test]
fn a_torn_tail_is_cut_and_appending_goes_on_in_a_new_file() {
    let (disk, mut ghost) = written();
    let at = positions(&disk)[4];
    assert!(disk.flip(dir().log(Lsn(1)), at + 200, 1));
    let opened = open(&disk, None, &[]).unwrap();
    let cut = opened.recovered.cut.unwrap();
    assert_eq!((cut.log, cut.position), (Lsn(1), at));
    assert!(matches!(opened.recovered.resume, Some(Resume::New { after: Lsn(4), .. })));
    assert_eq!(disk.contents(dir().log(Lsn(1))).unwrap().len() as u64, at);
    ghost.groups.truncate(4);
    let disk = disk.kill();
    let mut pond = start(&disk, &mut ghost).unwrap();
    pond.append(&mut ghost, vec![Sample::idle()]).unwrap();
    assert_eq!(disk.contents(dir().log(Lsn(5))).unwrap().len(), 64 + 64 + 64);
    start(&disk.kill(), &mut ghost).unwrap();
}

#[test]
fn what_the_caller_requires_makes_a_lost_tail_damage() {
    let (disk, _) = written();
    let bytes = disk.contents(dir().log(Lsn(1))).unwrap();
    let cut_off = &bytes[..usize::try_from(positions(&disk)[5]).unwrap()];
    disk.plant(dir().log(Lsn(1)), cut_off);
    let opened = damaged(&disk, None, &required(6));
    assert!(why(&opened).contains("the snapshot \"close\"") && why(&opened).contains("LSN 5"), "{}", why(&opened));
    assert_eq!(open(&disk, None, &required(5)).unwrap().recovered.damage, None);
}

#[test]
fn a_group_behind_a_bad_place_vouches_for_what_is_missing() {
    let (disk, _) = written();
    let at = positions(&disk);
    // All of groups 3 and 4 and the head of 5 are gone; 6 says that 4 was durable.
    let mut bytes = disk.contents(dir().log(Lsn(1))).unwrap();
    bytes[usize::try_from(at[2]).unwrap()..usize::try_from(at[4] + 64).unwrap()].fill(0);
    disk.plant(dir().log(Lsn(1)), &bytes);
    let opened = damaged(&disk, None, &[]);
    assert_eq!(opened.recovered.end_lsn, Lsn(2));
    assert!(why(&opened).contains("4 was durable"), "{}", why(&opened));
}

/// A client sends what looks like a group of ours that vouches for LSN 800, where a group could stand.
#[test]
fn payload_behind_a_bad_place_does_not_vouch() {
    let (disk, mut ghost) = (SimDisk::new(), Ghost::default());
    let mut pond = start(&disk, &mut ghost).unwrap();
    pond.append(&mut ghost, vec![Sample::idle()]).unwrap();
    pond.sync(&mut ghost).unwrap();
    let payload_at = 64 + 128 + 64 + 64 + 61u64;
    let position = payload_at.next_multiple_of(64);
    let place = Place { salt: SALT ^ 2, position, lsn: Lsn(801), durable: Lsn(800), opening: 1, chain: 0 };
    let mut records = vec![0; usize::try_from(position - payload_at).unwrap()];
    records.extend_from_slice(&group(place, &[Sample::idle()]).0);
    pond.append(&mut ghost, vec![Sample::records(0, &records)]).unwrap();
    assert!(disk.flip(dir().log(Lsn(1)), 64 + 128 + 70, 1));
    let opened = open(&disk, None, &[]).unwrap();
    assert_eq!((opened.recovered.damage, opened.recovered.end_lsn), (None, Lsn(1)));
}

/// Two files; the older one lost its end. The newer one was opened after the older was synced: that vouches.
#[test]
fn a_newer_file_vouches_for_the_one_before_it() {
    let (disk, mut ghost) = (SimDisk::new(), Ghost::default());
    let mut pond = start(&disk, &mut ghost).unwrap();
    for at in 0..3 {
        pond.append(&mut ghost, vec![Sample::records(at, &[1; 50])]).unwrap();
    }
    pond.roll(&mut ghost).unwrap();
    pond.append(&mut ghost, vec![Sample::records(3, &[1; 50])]).unwrap();
    let bytes = disk.contents(dir().log(Lsn(1))).unwrap();
    for (len, end) in [(bytes.len() - 1, 2), (bytes.len() - 64, 2), (65, 0), (64, 0), (10, 0), (0, 0)] {
        disk.plant(dir().log(Lsn(1)), &bytes[..len]);
        let opened = damaged(&disk, None, &[]);
        assert_eq!(opened.recovered.end_lsn, Lsn(end), "length {len}: {}", why(&opened));
    }
    let mut longer = bytes.clone();
    longer.extend_from_slice(&[9; 100]);
    disk.plant(dir().log(Lsn(1)), &longer);
    let opened = open(&disk, None, &[]).unwrap();
    assert_eq!(
        (opened.recovered.damage, opened.recovered.end_lsn),
        (None, Lsn(4)),
        "what lies behind a known end is nothing"
    );
    disk.remove(&dir().log(Lsn(1))).unwrap();
    let opened = damaged(&disk, None, &[]);
    assert!(why(&opened).contains("is missing"), "{}", why(&opened));
}

/// Bytes of groups that a cut made stale do not come back, even if the disk forgets the truncation.
#[test]
fn stale_groups_behind_a_cut_stay_gone() {
    let (disk, mut ghost) = written();
    let log = dir().log(Lsn(1));
    assert!(disk.flip(&log, positions(&disk)[4] + 200, 1));
    let stale = disk.contents(&log).unwrap();
    ghost.groups.truncate(4);
    let mut pond = start(&disk, &mut ghost).unwrap();
    for at in 0..3 {
        pond.append(&mut ghost, vec![Sample::records(90 + at, &[9; 100])]).unwrap();
    }
    pond.sync(&mut ghost).unwrap();
    disk.plant(&log, &stale);
    start(&disk.kill(), &mut ghost).unwrap();

    // Before anything was appended after the cut: the manifest knows of the cut.
    let (disk, mut ghost) = written();
    assert!(disk.flip(&log, positions(&disk)[4] + 200, 1));
    disk.arm("recovery.after_cut_edit");
    open(&disk, None, &[]).map(|_| ()).unwrap_err();
    let disk = disk.kill();
    assert!(disk.flip(&log, positions(&disk)[4] + 200, 1), "the tail would be sound again");
    ghost.groups.truncate(4);
    start(&disk, &mut ghost).unwrap();
    assert_eq!(disk.contents(&log).unwrap().len() as u64, 64 + (stale.len() as u64 - 64) / 6 * 4);
}

#[test]
fn a_file_with_groups_that_no_edit_names_is_damage() {
    let (disk, mut ghost) = (SimDisk::new(), Ghost::default());
    let mut pond = start(&disk, &mut ghost).unwrap();
    pond.append(&mut ghost, vec![Sample::idle()]).unwrap();
    pond.roll(&mut ghost).unwrap();
    let without = disk.contents(dir().manifest()).unwrap();
    pond.append(&mut ghost, vec![Sample::idle()]).unwrap();
    pond.sync(&mut ghost).unwrap();
    let disk = disk.kill();
    // The edit that opened the second file rots: it looks torn. Its groups were promised and must not be swept.
    assert!(disk.flip(dir().manifest(), without.len() as u64 - 3, 1));
    let opened = damaged(&disk, None, &[]);
    assert!(why(&opened).contains("no edit of the manifest names it"), "{}", why(&opened));
    assert_eq!(opened.recovered.end_lsn, Lsn(1));
}

#[test]
fn what_nothing_names_is_set_aside_and_what_is_nobodys_goes() {
    let (disk, mut ghost) = written();
    let mut pond = start(&disk.kill(), &mut ghost).unwrap();
    let disk = disk.kill();
    drop(pond);
    pond = start(&disk, &mut ghost).unwrap();
    pond.manifest.append(&Edit::Intent { job: 8, outputs: vec![FileId(0), FileId(1)] }).unwrap();
    let kept = SegmentFile { id: FileId(2), class: 0, first: Lsn(1), last: Lsn(2), bytes: 3 };
    pond.manifest.append(&Edit::Intent { job: 9, outputs: vec![FileId(2), FileId(3)] }).unwrap();
    pond.manifest.append(&Edit::Swap { job: 9, outputs: vec![kept], inputs: vec![] }).unwrap();
    pond.manifest.append(&Edit::Dropped { files: vec![FileRef::Segment(FileId(4))] }).unwrap();
    // An old log file whose groups the log goes beyond: a sorted one that came back, perhaps. And one that never had a group.
    let old = disk.contents(dir().log(Lsn(1))).unwrap();
    let stays = [dir().segment(FileId(2)), dir().log(Lsn(1))];
    let goes = [
        dir().segment(FileId(0)),
        dir().segment(FileId(1)),
        dir().segment(FileId(4)),
        dir().state_at(Lsn(3)),
        dir().index(Lsn(1)),
        dir().root().join("MANIFEST.tmp"),
        dir().segments().join("x.tmp"),
        dir().log(Lsn(40)),
    ];
    let aside =
        [dir().segment(FileId(3)), dir().segment(FileId(77)), dir().logs().join("notes.txt"), dir().log(Lsn(0))];
    for path in goes.iter().chain(&aside).chain(&stays[..1]) {
        disk.plant(path, b"abc");
    }
    disk.plant(dir().log(Lsn(40)), &old[..64]);
    disk.plant(dir().log(Lsn(0)), &old);
    let disk = disk.kill();
    let opened = open(&disk, None, &[]).unwrap();
    assert_eq!(opened.recovered.damage, None);
    let told: Vec<_> = opened.recovered.aside.iter().map(|aside| aside.from.clone()).collect();
    for path in &stays {
        assert!(disk.exists(path).unwrap(), "{}", path.display());
    }
    for path in &goes {
        assert!(!disk.exists(path).unwrap(), "{}", path.display());
    }
    for path in &aside {
        assert!(!disk.exists(path).unwrap() && told.contains(path), "{}", path.display());
    }
    assert_eq!(told.len(), aside.len());
    for each in &opened.recovered.aside {
        assert!(disk.exists(&each.to).unwrap() && each.to.starts_with(dir().trash()));
    }
    assert!(opened.pond.manifest.files().intents.is_empty());
    let again = open(&disk.power_loss(3), None, &[]).unwrap();
    assert_eq!((again.recovered.aside.len(), again.recovered.damage), (0, None));
}

#[test]
fn a_segment_that_is_missing_or_short_is_damage() {
    let (disk, mut ghost) = written();
    let mut pond = start(&disk, &mut ghost).unwrap();
    let output = SegmentFile { id: FileId(0), class: 0, first: Lsn(1), last: Lsn(2), bytes: 3 };
    pond.manifest.append(&Edit::Swap { job: 0, outputs: vec![output], inputs: vec![] }).unwrap();
    let opened = damaged(&disk, None, &[]);
    assert!(why(&opened).contains("seg is missing"), "{}", why(&opened));
    assert_eq!(opened.recovered.end_lsn, Lsn(6), "the log is read all the same");
    disk.plant(dir().segment(FileId(0)), b"ab");
    assert!(why(&damaged(&disk, None, &[])).contains("2 bytes of 3"));
    disk.plant(dir().segment(FileId(0)), b"abc");
    assert_eq!(open(&disk, None, &[]).unwrap().recovered.damage, None);
}

#[test]
fn a_scan_starts_at_the_checkpoint() {
    let (disk, ghost) = written();
    let at = positions(&disk);
    let bytes = disk.contents(dir().log(Lsn(1))).unwrap();
    let chain_of = |at: u64| bytes[usize::try_from(at).unwrap() + 4..][..4].try_into().map(u32::from_le_bytes).unwrap();
    let from = Start { log: Lsn(1), position: at[3], lsn: Lsn(3), time_ms: 30, chain: chain_of(at[2]) };
    let opened = open(&disk, Some(from), &[]).unwrap();
    assert_eq!((opened.recovered.end_lsn, opened.recovered.groups), (Lsn(6), 3));
    assert_eq!(opened.folded[..], ghost.groups[3..]);
    assert_eq!(opened.recovered.bytes, bytes.len() as u64 - at[3], "what is before it is not read");
    for (start, says) in [
        (
            Start { position: bytes.len() as u64 + 64, lsn: Lsn(9), ..from },
            "and a checkpoint (in state/ or state-at/) has LSN 9",
        ),
        (Start { position: 0, ..from }, "the file ends within it"),
        (Start { position: at[2], ..from }, "out of order"),
        (Start { chain: chain_of(at[1]), ..from }, "does not follow"),
        (Start { log: Lsn(0), lsn: Lsn(0), ..from }, ""),
        (Start { log: Lsn(9), lsn: Lsn(9), ..from }, ""),
    ] {
        let opened = open(&disk.kill(), Some(start), &[]).unwrap();
        let damage = opened.recovered.damage.unwrap_or_default();
        assert!(damage.contains(says), "{start:?}: {damage}");
        assert_eq!(damage.is_empty(), says.is_empty(), "{start:?}: {damage}");
    }
    let end = Start { position: bytes.len() as u64, lsn: Lsn(6), chain: chain_of(at[5]), ..from };
    let opened = open(&disk.kill(), Some(end), &[]).unwrap();
    assert!(
        matches!(opened.recovered.resume, Some(Resume::Same { log: Lsn(1), position, .. }) if position == end.position)
    );
}

/// A log file went into a segment after the checkpoint was made: what is between is not in the log any more.
#[test]
fn a_checkpoint_older_than_the_log_is_damage() {
    let (disk, mut ghost) = (SimDisk::new(), Ghost::default());
    let mut pond = start(&disk, &mut ghost).unwrap();
    pond.append(&mut ghost, vec![Sample::idle()]).unwrap();
    let first = Start { log: Lsn(1), position: 64, lsn: Lsn(0), time_ms: 0, chain: 0 };
    pond.roll(&mut ghost).unwrap();
    pond.append(&mut ghost, vec![Sample::idle()]).unwrap();
    pond.checkpoint(&mut ghost).unwrap();
    pond.rewrite(&ghost).unwrap();
    assert_eq!(open(&disk.kill(), ghost.checkpoint, &[]).unwrap().recovered.damage, None);
    for start in [Some(first), None] {
        let opened = open(&disk.kill(), start, &[]).unwrap();
        assert!(why(&opened).contains("follows LSN 1"), "{}", why(&opened));
    }
}

#[test]
fn a_clean_close_is_known_and_only_then() {
    let (disk, mut ghost) = (SimDisk::new(), Ghost::default());
    let mut pond = start(&disk, &mut ghost).unwrap();
    pond.append(&mut ghost, vec![Sample::idle()]).unwrap();
    pond.close(&mut ghost).unwrap();
    let disk = disk.power_loss(4);
    let opened = open(&disk, None, &[]).unwrap();
    assert!(opened.recovered.clean);
    assert!(matches!(opened.recovered.resume, Some(Resume::Same { log: Lsn(1), .. })));
    let opened = open(&disk.kill(), None, &[]).unwrap();
    assert!(!opened.recovered.clean, "it was opened since");
    let bytes = disk.contents(dir().log(Lsn(1))).unwrap();
    let mut pond = start(&disk.kill(), &mut ghost).unwrap();
    pond.close(&mut ghost).unwrap();
    disk.plant(dir().log(Lsn(1)), &bytes[..64]);
    assert!(why(&damaged(&disk.kill(), None, &[])).contains("the closing of the timeline"));
}

/// A sync fails, the process ends, the page cache shows the group: it is served, so it must survive from then on.
#[test]
fn a_tail_that_only_the_page_cache_has_is_made_durable_before_it_is_served() {
    let (disk, mut ghost) = (SimDisk::new(), Ghost::default());
    let mut pond = start(&disk, &mut ghost).unwrap();
    pond.append(&mut ghost, vec![Sample::idle()]).unwrap();
    pond.sync(&mut ghost).unwrap();
    pond.append(&mut ghost, vec![Sample::records(1, &[5; 3000])]).unwrap();
    disk.fail(Op::Sync, 0, Fault::Error);
    pond.sync(&mut ghost).unwrap_err();
    let disk = disk.kill();
    let opened = open(&disk, None, &[]).unwrap();
    assert_eq!(opened.recovered.end_lsn, Lsn(2));
    for seed in 0..40 {
        let opened = open(&disk.power_loss(seed), None, &required(2)).unwrap();
        assert_eq!((opened.recovered.damage, opened.recovered.end_lsn), (None, Lsn(2)));
    }
}

/// Nothing new to make durable, nothing to write: a start does not rewrite what is vouched for.
#[test]
fn only_the_doubtful_tail_is_written_again() {
    let (disk, _) = written();
    let before = disk.steps();
    let opened = open(&disk.kill(), None, &[]).unwrap();
    assert_eq!(opened.recovered.end_lsn, Lsn(6));
    // Manifest: its name, the last edit and its sync, the opening and its sync. Log: groups 5 and 6 in one write, a sync.
    assert_eq!(disk.steps() - before, 7);
    let at = positions(&disk)[4];
    assert_eq!(disk.contents(dir().log(Lsn(1))).unwrap().len() as u64, at + (at - 64) / 2);
}

#[test]
fn an_error_of_the_fold_is_the_callers() {
    let (disk, _) = written();
    let shared: std::sync::Arc<dyn Disk> = std::sync::Arc::new(disk.clone());
    let mut manifest = crate::manifest::Manifest::open(&shared, &identity()).unwrap();
    let recovery = crate::timeline::recovery::Recovery {
        disk: &shared,
        identity: &identity(),
        manifest: &mut manifest,
        required: &[],
        start: None,
    };
    let failed = recovery.run(&mut |_| Err(crate::Error::Invalid("no".into())));
    assert!(matches!(failed, Err(crate::Error::Invalid(_))));
}
