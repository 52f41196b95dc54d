//! The same writer, stopped at every change of the disk and at every sync, killed or without power, once or again and again.

use super::pond::{Ghost, Pond, some_frames, start};
use crate::disk::SimDisk;
use crate::disk::sim::{Fault, Op, Seed};
use crate::error::{Error, Result};

/// What a timeline goes through.
#[derive(Clone, Copy, Debug)]
enum Do {
    Append,
    Sync,
    Roll,
    Checkpoint,
    Rewrite,
    Skip,
    Close,
}

fn act(pond: &mut Pond, ghost: &mut Ghost, what: Do, seed: &mut Seed) -> Result<()> {
    match what {
        Do::Append => pond.append(ghost, some_frames(seed)),
        Do::Sync => pond.sync(ghost),
        Do::Roll => pond.roll(ghost),
        Do::Checkpoint => pond.checkpoint(ghost),
        Do::Rewrite => pond.rewrite(ghost),
        Do::Skip => pond.skip(ghost, 1000),
        Do::Close => pond.close(ghost),
    }
}

/// A life that passes every step of the writer, the manifest and the jobs.
const LIFE: &[Do] = &[
    Do::Append,
    Do::Append,
    Do::Sync,
    Do::Append,
    Do::Append,
    Do::Roll,
    Do::Append,
    Do::Append,
    Do::Sync,
    Do::Append,
    Do::Checkpoint,
    Do::Append,
    Do::Rewrite,
    Do::Append,
    Do::Roll,
    Do::Append,
    Do::Checkpoint,
    Do::Rewrite,
    Do::Append,
    Do::Skip,
    Do::Append,
    Do::Sync,
    Do::Append,
    Do::Append,
];

fn live(disk: &SimDisk, ghost: &mut Ghost, life: &[Do], seed: u64) -> Result<()> {
    let mut seed = Seed::new(seed);
    let mut pond = start(disk, ghost)?;
    for what in life {
        act(&mut pond, ghost, *what, &mut seed)?;
    }
    Ok(())
}

fn crash(disk: &SimDisk, seed: u64) -> SimDisk {
    if seed.is_multiple_of(4) { disk.kill() } else { disk.power_loss(seed) }
}

/// After a crash: recovery, which may crash as well; more groups; a loss of power; recovery. What was promised is there each time.
fn survive(disk: &SimDisk, ghost: &mut Ghost, seed: u64) {
    let mut choices = Seed::new(seed);
    let mut disk = crash(disk, seed);
    for _ in 0..choices.below(3) {
        disk.die_at_step(disk.steps() + 1 + choices.below(14));
        let _ = start(&disk, ghost);
        disk = crash(&disk, choices.bits());
    }
    live(&disk, ghost, &[Do::Append, Do::Sync, Do::Append], seed).unwrap();
    let disk = disk.power_loss(choices.bits());
    live(&disk, ghost, &[Do::Append, Do::Close], seed).unwrap();
    start(&disk.power_loss(choices.bits()), ghost).unwrap();
}

#[test]
fn a_whole_life_is_read_back() {
    let (disk, mut ghost) = (SimDisk::new(), Ghost::default());
    live(&disk, &mut ghost, LIFE, 1).unwrap();
    survive(&disk, &mut ghost, 0);
    assert!(ghost.groups.len() > 10);
}

#[test]
fn a_crash_at_any_step_loses_nothing_promised() {
    for life in 0..3 {
        let disk = SimDisk::new();
        live(&disk, &mut Ghost::default(), LIFE, life).unwrap();
        for step in 1..=disk.steps() {
            for seed in 0..12 {
                let (disk, mut ghost) = (SimDisk::new(), Ghost::default());
                disk.die_at_step(step);
                live(&disk, &mut ghost, LIFE, life).unwrap_err();
                survive(&disk, &mut ghost, seed + 12 * life);
            }
        }
    }
}

#[test]
fn a_crash_at_any_sync_loses_nothing_promised() {
    let disk = SimDisk::new();
    live(&disk, &mut Ghost::default(), LIFE, 9).unwrap();
    assert!(disk.syncs() > 40);
    for sync in 1..=disk.syncs() {
        for seed in 0..40 {
            let (disk, mut ghost) = (SimDisk::new(), Ghost::default());
            disk.die_at_sync(sync);
            live(&disk, &mut ghost, LIFE, 9).unwrap_err();
            survive(&disk, &mut ghost, seed);
        }
    }
}

/// A sync fails and the process ends, as the engine's rule is. The page cache then shows what the disk does not have, in clean pages.
#[test]
fn a_failed_sync_anywhere_loses_nothing_promised() {
    for op in [Op::Sync, Op::SyncDir] {
        for nth in 0..60 {
            for seed in 0..20 {
                let (disk, mut ghost) = (SimDisk::new(), Ghost::default());
                disk.fail(op, nth, Fault::Error);
                if live(&disk, &mut ghost, LIFE, seed).is_err() {
                    survive(&disk.kill(), &mut ghost, seed);
                }
            }
        }
    }
}

#[test]
fn a_write_that_breaks_off_loses_nothing_promised() {
    for nth in 0..60 {
        for seed in 0..20 {
            let (disk, mut ghost) = (SimDisk::new(), Ghost::default());
            disk.fail(Op::Write, nth, Fault::Torn);
            if live(&disk, &mut ghost, LIFE, seed).is_err() {
                survive(&disk, &mut ghost, seed);
            }
        }
    }
}

#[test]
fn every_fail_point_is_reached_and_survived() {
    const POINTS: &[&str] = &[
        "manifest.after_sync",
        "manifest.after_write",
        "manifest.before_opened",
        "manifest.before_write",
        "manifest.new.after_rename",
        "manifest.new.before_rename",
        "recovery.after_cut",
        "recovery.after_cut_edit",
        "recovery.after_scan",
        "recovery.after_sweep",
        "recovery.after_tail_sync",
        "recovery.before_cut_sync",
        "recovery.before_tail_sync",
        "recovery.sweeping",
        "roll.after_create",
        "roll.after_dir_sync",
        "roll.after_edit",
        "roll.after_file_sync",
        "roll.before_create",
    ];
    let mut seen = std::collections::BTreeSet::new();
    for point in POINTS {
        let mut was_hit = false;
        for seed in 0..200 {
            let (disk, mut ghost) = (SimDisk::new(), Ghost::default());
            disk.arm(point);
            if live(&disk, &mut ghost, LIFE, seed).is_ok() {
                // Not on the writer's way: then on that of a recovery with a torn tail and an unfinished job.
                disk.die_at_step(disk.steps());
            }
            let disk = if disk.is_dead() { disk } else { unfinished(&disk, &mut ghost, seed) };
            let was_dead = disk.is_dead();
            let disk = crash(&disk, seed);
            disk.arm(point);
            let died = start(&disk, &mut ghost).is_err() && disk.is_dead();
            was_hit |= was_dead || died;
            survive(&disk, &mut ghost, seed);
            seen.extend(disk.reached());
        }
        assert!(was_hit, "{point}");
    }
    assert_eq!(seen.into_iter().collect::<Vec<_>>(), POINTS);
}

/// Leaves a half-written group and a job without its edit.
fn unfinished(disk: &SimDisk, ghost: &mut Ghost, seed: u64) -> SimDisk {
    disk.calm();
    let disk = disk.kill();
    let _ = live(&disk, ghost, &[Do::Append, Do::Roll, Do::Checkpoint], seed);
    let disk = disk.kill();
    disk.fail(Op::Write, 4 + seed % 5, Fault::Torn);
    let _ = live(&disk, ghost, &[Do::Append, Do::Append, Do::Rewrite, Do::Append, Do::Append], seed);
    disk
}

/// Any order of anything, with crash upon crash.
#[test]
fn random_lives_lose_nothing_promised() {
    for seed in 0..400 {
        random_life(seed);
    }
}

fn random_life(seed: u64) {
    let mut choices = Seed::new(seed);
    let (mut disk, mut ghost) = (SimDisk::new(), Ghost::default());
    for _ in 0..6 {
        match choices.below(4) {
            0 => disk.die_at_sync(disk.syncs() + 1 + choices.below(25)),
            1 => disk.die_at_step(disk.steps() + 1 + choices.below(60)),
            2 => disk.fail(Op::Sync, choices.below(12), Fault::Error),
            _ => disk.fail(Op::Write, choices.below(25), Fault::Torn),
        }
        let life: Vec<Do> = (0..30)
            .map(|_| match choices.below(16) {
                0 => Do::Roll,
                1 => Do::Checkpoint,
                2 => Do::Rewrite,
                3 if choices.coin() => Do::Skip,
                3..=6 => Do::Sync,
                _ => Do::Append,
            })
            .collect();
        let _ = live(&disk, &mut ghost, &life, choices.bits());
        disk = crash(&disk, choices.bits());
    }
    start(&disk, &mut ghost).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
}

/// A full disk refuses a group or a roll; what was written before stays, and writing goes on when there is room.
#[test]
fn a_full_disk_refuses_groups_and_loses_nothing() {
    for room in (0..30_000).step_by(97) {
        let (disk, mut ghost) = (SimDisk::new(), Ghost::default());
        let mut pond = start(&disk, &mut ghost).unwrap();
        let mut seed = Seed::new(room);
        disk.budget(Some(2_000 + room));
        let mut refused = 0;
        for what in [Do::Append, Do::Append, Do::Roll, Do::Append, Do::Append, Do::Sync, Do::Append, Do::Append] {
            match act(&mut pond, &mut ghost, what, &mut seed) {
                Ok(()) => {}
                Err(Error::Full(_)) => refused += 1,
                Err(other) => panic!("{other}"),
            }
        }
        disk.budget(None);
        act(&mut pond, &mut ghost, Do::Append, &mut seed).unwrap();
        act(&mut pond, &mut ghost, Do::Sync, &mut seed).unwrap();
        assert!(refused > 0 || room > 2_000, "{room}");
        survive(&disk, &mut ghost, room);
    }
}
