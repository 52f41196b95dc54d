//! The engine against a model, on a disk that fails: whatever happens, what clients see is a prefix of what was asked for, and holds all that was
//! acknowledged as durable; a view of the past never changes; a batch that is sent again is there once; what is lost in page-cache mode raises the epoch.
//!
//! A failing seed is printed, `MILLPOND_CRASH_FIRST` and `MILLPOND_CRASH_SEEDS` run it again. Threads of the engine run as they like, so the same seed may
//! take another way; what must hold does not depend on it.

mod life;
mod plain;

use std::path::{Path, PathBuf};

use millpond_storage::disk::SimDisk;
use millpond_storage::disk::sim::Seed;
use millpond_storage::state::Durability;

use life::{Life, Work};

/// Prints the seed if what follows panics.
struct Told(u64);

impl Drop for Told {
    fn drop(&mut self) {
        if std::thread::panicking() {
            #[expect(clippy::print_stderr, reason = "a failing seed is printed")]
            {
                eprintln!("seed {}", self.0);
            }
        }
    }
}

/// The state index of a life, and an older copy of it.
struct Sled {
    root: tempfile::TempDir,
}

impl Sled {
    fn dir(&self) -> PathBuf {
        self.root.path().join("state")
    }

    fn older(&self) -> PathBuf {
        self.root.path().join("older")
    }

    /// Between two processes: stays, goes, or falls back to what it was between two others.
    fn meddle(&self, choices: &mut Seed) {
        match choices.below(4) {
            0 => drop(std::fs::remove_dir_all(self.dir())),
            1 if self.older().exists() => copy(&self.older(), &self.dir()),
            2 if self.dir().exists() => copy(&self.dir(), &self.older()),
            _ => {}
        }
    }
}

fn copy(from: &Path, to: &Path) {
    let _ = std::fs::remove_dir_all(to);
    std::fs::create_dir_all(to).expect("made");
    for entry in std::fs::read_dir(from).expect("readable") {
        let entry = entry.expect("readable");
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).expect("copied");
        }
    }
}

/// Six lives, each with its own trouble and its own end, and one that comes to a good one.
fn again_and_again(seed: u64, durability: Durability, work: &mut Work) {
    let _told = Told(seed);
    let sled = seed.is_multiple_of(10).then(|| Sled { root: tempfile::tempdir().expect("a directory") });
    let mut life = Life::new(seed, durability, sled.as_ref().map(Sled::dir));
    let mut disk = SimDisk::new();
    for _ in 0..6 {
        if let Some(sled) = &sled {
            sled.meddle(&mut life.choices);
        }
        life.trouble(&disk);
        let Some(world) = life.open(&disk) else {
            disk = life.crash_at_start(&disk);
            continue;
        };
        let steps = 10 + life.choices.index(if seed.is_multiple_of(4) { 150 } else { 40 });
        let _ = life.live(&world, steps);
        work.add(&world);
        disk = life.end(world);
    }
    disk.calm();
    let world = life.open(&disk).expect("it opens");
    assert!(life.live(&world, 5).is_ok());
    world.engine.close().expect("it closes");
}

/// Seeds from a first one on: as many as CI has time for, or as the environment says.
fn seeds(first: u64, count: u64) -> std::ops::Range<u64> {
    let number = |name| std::env::var(name).ok().and_then(|value| value.parse::<u64>().ok());
    let first = number("MILLPOND_CRASH_FIRST").unwrap_or(first);
    first..first + number("MILLPOND_CRASH_SEEDS").unwrap_or(count)
}

fn run(first: u64, count: u64, durability: Durability) {
    let seeds = seeds(first, count);
    let is_short = seeds.end - seeds.start < count;
    let mut work = Work::default();
    for seed in seeds {
        again_and_again(seed, durability, &mut work);
    }
    // A test that never gets to what it is to try says nothing.
    assert!(is_short || work.is_enough(), "{work:?}");
}

#[test]
fn what_is_acknowledged_survives_with_fsync() {
    run(0, 140, Durability::Fsync);
}

#[test]
fn what_survives_in_page_cache_mode_is_a_prefix() {
    run(1_000_000, 90, Durability::PageCache);
}
