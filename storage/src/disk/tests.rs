//! What both disks promise, and what the simulated one does when things go wrong.

use std::io::IoSlice;
use std::path::Path;

use super::sim::{Fault, Op};
use super::{Disk, RealDisk, SimDisk};
use crate::error::Error;

/// Runs a promise on both disks.
fn on_both(promise: impl Fn(&dyn Disk)) {
    promise(&SimDisk::new());
    let dir = tempfile::tempdir().unwrap();
    promise(&RealDisk::new(dir.path()));
}

fn path(name: &str) -> &Path {
    Path::new(name)
}

#[test]
fn what_is_written_is_read() {
    on_both(|disk| {
        let file = disk.create(path("a")).unwrap();
        file.write_at(b"hello", 3).unwrap();
        assert_eq!(file.len().unwrap(), 8);
        assert_eq!(&file.read_at(0, 8).unwrap()[..], b"\0\0\0hello");
        file.write_at(b"HE", 3).unwrap();
        let other = disk.open_read_only(path("a")).unwrap();
        assert_eq!(&other.read_exact_at(3, 5).unwrap()[..], b"HEllo");
        assert!(other.write_at(b"x", 0).is_err());
    });
}

#[test]
fn a_read_is_short_only_at_the_end() {
    on_both(|disk| {
        let file = disk.create(path("a")).unwrap();
        let bytes: Vec<u8> = (0..3_000_000u32).map(|n| (n % 251) as u8).collect();
        file.write_at(&bytes, 0).unwrap();
        assert_eq!(file.read_at(1, 2_000_000).unwrap()[..], bytes[1..2_000_001]);
        assert_eq!(file.read_at(2_999_990, 100).unwrap()[..], bytes[2_999_990..]);
        assert_eq!(file.read_at(2_999_990, usize::MAX / 2).unwrap()[..], bytes[2_999_990..]);
        assert!(file.read_at(5_000_000, 10).unwrap().is_empty());
        assert!(matches!(file.read_exact_at(2_999_990, 11), Err(Error::Corrupt(_))));
    });
}

#[test]
fn a_vectored_write_is_whole_however_many_slices_it_has() {
    on_both(|disk| {
        let file = disk.create(path("a")).unwrap();
        let parts: Vec<Vec<u8>> = (0..5000usize).map(|n| vec![n.to_le_bytes()[0]; n % 7]).collect();
        let slices: Vec<IoSlice<'_>> = parts.iter().map(|part| IoSlice::new(part)).collect();
        file.write_vectored_at(&slices, 10).unwrap();
        assert_eq!(file.read_at(10, usize::MAX / 2).unwrap()[..], parts.concat());
        file.write_vectored_at(&[], 0).unwrap();
        file.write_vectored_at(&[IoSlice::new(b"")], 0).unwrap();
        assert_eq!(file.len().unwrap(), 10 + parts.concat().len() as u64);
    });
}

#[test]
fn names_come_and_go() {
    on_both(|disk| {
        disk.create_dir_all(path("x/y")).unwrap();
        disk.create_dir_all(path("x/y")).unwrap();
        let file = disk.create(path("x/y/a")).unwrap();
        file.write_at(b"kept", 0).unwrap();
        assert!(disk.create(path("x/y/a")).is_err());
        disk.create(path("x/y/b")).unwrap();
        disk.rename(path("x/y/a"), path("x/y/b")).unwrap();
        let names: Vec<_> = disk.list(path("x/y")).unwrap().into_iter().map(|entry| entry.name).collect();
        assert_eq!(names, ["b"]);
        assert!(disk.list(path("x")).unwrap()[0].is_dir);
        assert_eq!(disk.metadata(path("x/y/b")).unwrap().map(|m| (m.len, m.is_dir)), Some((4, false)));
        assert_eq!(disk.metadata(path("x/y")).unwrap().map(|m| m.is_dir), Some(true));
        assert!(!disk.exists(path("x/y/a")).unwrap());
        assert_eq!(file.link_count().unwrap(), 1);
        disk.remove(path("x/y/b")).unwrap();
        assert_eq!(file.link_count().unwrap(), 0);
        assert_eq!(&file.read_at(0, 10).unwrap()[..], b"kept");
        disk.sync_dir(path("x/y")).unwrap();
        disk.remove_dir_all(path("x")).unwrap();
        assert!(!disk.exists(path("x/y")).unwrap());
        assert!(disk.remove(path("x/y/b")).is_err() && disk.open(path("nothing")).is_err());
    });
}

#[test]
fn lengths_change() {
    on_both(|disk| {
        let file = disk.create(path("a")).unwrap();
        file.write_at(&[7; 1000], 0).unwrap();
        file.truncate(600).unwrap();
        file.truncate(700).unwrap();
        file.sync_all().unwrap();
        assert_eq!(file.read_at(590, 1000).unwrap()[..], [vec![7; 10], vec![0; 100]].concat());
        file.allocate(1 << 20).unwrap();
        assert_eq!(file.len().unwrap(), 700);
        file.sync_data().unwrap();
    });
}

#[test]
fn one_lock_at_a_time() {
    on_both(|disk| {
        let lock = disk.lock(path("LOCK")).unwrap();
        assert!(matches!(disk.lock(path("LOCK")), Err(Error::Locked { .. })));
        drop(lock);
        disk.lock(path("LOCK")).unwrap();
        let space = disk.space().unwrap();
        assert!(space.free > 0 && space.free <= space.total);
    });
}

#[test]
fn a_path_does_not_leave_the_data_directory() {
    let dir = tempfile::tempdir().unwrap();
    let disk = RealDisk::new(dir.path().join("data"));
    disk.create_dir_all(path("")).unwrap();
    for outside in ["../a", "/tmp/a", "x/../../a"] {
        assert!(matches!(disk.create(path(outside)), Err(Error::Invalid(_))), "{outside}");
    }
}

#[test]
fn a_kill_keeps_what_was_written_and_ends_the_handles() {
    let disk = SimDisk::new();
    let file = disk.create(path("a")).unwrap();
    file.write_at(b"written", 0).unwrap();
    let lock = disk.lock(path("LOCK")).unwrap();
    let next = disk.kill();
    assert!(file.write_at(b"x", 0).is_err() && file.read_at(0, 1).is_err() && disk.open(path("a")).is_err());
    assert_eq!(&next.open(path("a")).unwrap().read_at(0, 10).unwrap()[..], b"written");
    next.lock(path("LOCK")).unwrap();
    drop(lock);
}

/// What power losses can leave of the file `a`.
fn outcomes(write: impl Fn(&SimDisk)) -> std::collections::BTreeSet<Option<Vec<u8>>> {
    let leave = |seed| {
        let disk = SimDisk::new();
        write(&disk);
        disk.power_loss(seed).contents("a")
    };
    (0..400).map(leave).collect()
}

#[test]
fn power_loss_keeps_what_was_synced() {
    let left = outcomes(|disk| {
        let file = disk.create(path("a")).unwrap();
        file.write_at(&[1; 1200], 0).unwrap();
        file.sync_data().unwrap();
        disk.sync_dir(path("")).unwrap();
    });
    assert_eq!(left.into_iter().collect::<Vec<_>>(), [Some(vec![1; 1200])]);
}

#[test]
fn power_loss_keeps_any_sectors_of_what_was_not_synced() {
    let left = outcomes(|disk| {
        let file = disk.create(path("a")).unwrap();
        disk.sync_dir(path("")).unwrap();
        file.write_at(&[1; 1024], 0).unwrap();
        file.sync_data().unwrap();
        file.write_at(&[2; 1024], 0).unwrap();
        file.write_at(&[3; 512], 0).unwrap();
    });
    let sectors = |a: u8, b: u8| Some([[a; 512], [b; 512]].concat());
    for (a, b) in [(1, 1), (1, 2), (2, 1), (2, 2), (3, 1), (3, 2)] {
        assert!(left.contains(&sectors(a, b)), "{a} {b}");
    }
    assert_eq!(left.len(), 6);
}

#[test]
fn power_loss_forgets_names_whose_directory_was_not_synced() {
    let left = outcomes(|disk| disk.create(path("a")).unwrap().sync_all().unwrap());
    assert!(left.contains(&None) && left.contains(&Some(vec![])));
    let left = outcomes(|disk| {
        for (name, byte) in [("a", 1), ("b", 2)] {
            let file = disk.create(path(name)).unwrap();
            file.write_at(&[byte], 0).unwrap();
            file.sync_all().unwrap();
        }
        disk.sync_dir(path("")).unwrap();
        disk.rename(path("b"), path("a")).unwrap();
    });
    assert_eq!(left.into_iter().collect::<Vec<_>>(), [Some(vec![1]), Some(vec![2])]);
}

#[test]
fn after_a_failed_sync_a_second_one_writes_nothing() {
    let left = outcomes(|disk| {
        let file = disk.create(path("a")).unwrap();
        disk.sync_dir(path("")).unwrap();
        file.write_at(&[1; 512], 0).unwrap();
        disk.fail(Op::Sync, 0, Fault::Error);
        file.sync_data().unwrap_err();
        file.sync_data().unwrap_err();
        disk.open(path("a")).unwrap().sync_data().unwrap();
        assert_eq!(disk.contents("a").unwrap(), [1; 512]);
    });
    assert_eq!(left.into_iter().collect::<Vec<_>>(), [Some(vec![0; 512])]);
}

#[test]
fn faults_come_when_they_are_due() {
    let disk = SimDisk::new();
    let file = disk.create(path("a")).unwrap();
    disk.fail(Op::Write, 1, Fault::Torn);
    disk.fail(Op::Write, 2, Fault::Lost);
    file.write_at(&[1; 4], 0).unwrap();
    file.write_at(&[2; 4], 0).unwrap_err();
    file.write_at(&[3; 4], 0).unwrap();
    assert_eq!(disk.contents("a").unwrap(), [2, 2, 1, 1]);
    disk.budget(Some(6));
    assert!(matches!(file.write_at(&[4; 8], 0), Err(Error::Full(_))));
    assert_eq!(disk.contents("a").unwrap(), [4; 6]);
    disk.fail(Op::Sync, 0, Fault::DieAfter);
    let next = disk.clone();
    assert!(file.sync_data().is_err() && next.is_dead());
    let next = next.power_loss(1);
    assert!(next.contents("a").is_none_or(|bytes| bytes == [4; 6]));
}

#[test]
fn a_process_dies_where_it_is_told_to() {
    let run = |disk: &SimDisk| -> crate::Result<()> {
        let file = disk.create(path("a"))?;
        file.write_at(b"1", 0)?;
        disk.fail_point("between")?;
        file.sync_data()?;
        disk.sync_dir(path(""))
    };
    let whole = SimDisk::new();
    run(&whole).unwrap();
    assert_eq!((whole.steps(), whole.syncs()), (4, 2));
    assert!(whole.reached().contains("between"));
    for step in 1..=4 {
        let disk = SimDisk::new();
        disk.die_at_step(step);
        assert!(run(&disk).is_err() && disk.is_dead());
        assert_eq!(disk.steps(), step);
    }
    let disk = SimDisk::new();
    disk.arm("between");
    assert!(run(&disk).is_err() && disk.is_dead());
    assert_eq!(disk.steps(), 2);
}
