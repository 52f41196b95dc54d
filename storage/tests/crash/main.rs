//! The engine against a model, on a disk that fails: whatever happens, what clients see is a prefix of what was asked for, and holds all that was
//! acknowledged as durable; a view of the past never changes; a batch that is sent again is there once.
//!
//! A failing seed is printed. Threads of the engine run as they like, so the same seed may take another way; what must hold does not depend on it.

mod plain;
mod world;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use millpond_storage::disk::SimDisk;
use millpond_storage::disk::sim::{Fault, Op as DiskOp, Seed};
use millpond_storage::state::Durability;
use millpond_storage::{AppendError, Error, View};

use plain::{Id, Op, Plain};
use world::{Ground, World};

/// What was asked for, and how much of that must be there.
struct Asked {
    ops: Vec<Op>,
    /// So many of `ops` are durable.
    promised: usize,
    /// So many of `ops` were answered.
    answered: usize,
    /// So many of `ops` are in the page cache of a process that was killed: they are there while the power is.
    cached: usize,
}

impl Asked {
    fn now(&self) -> Plain {
        Plain::of(&self.ops)
    }

    fn done(&mut self, op: Op, durability: Durability) {
        self.ops.push(op);
        self.answered = self.ops.len();
        if durability == Durability::Fsync {
            self.promised = self.ops.len();
        }
    }
}

/// A view of the past that is kept open, and what it showed at first.
struct Kept {
    view: View,
    plain: Plain,
}

struct Life {
    ground: Ground,
    choices: Seed,
    asked: Asked,
    names: u64,
}

/// The process is gone.
struct Gone;

impl Life {
    fn new(seed: u64, durability: Durability) -> Self {
        let ground = Ground { durability, clock: Arc::new(AtomicI64::new(1_000_000)), index_dir: None };
        let asked = Asked { ops: Vec::new(), promised: 0, answered: 0, cached: 0 };
        Self { ground, choices: Seed::new(seed), asked, names: 0 }
    }

    /// Opens the engine, which must show a prefix of what was asked for that holds what was promised.
    fn open(&mut self, disk: &SimDisk) -> Option<World> {
        let world = match World::open(disk, &self.ground) {
            Ok(world) => world,
            Err(error) if disk.is_dead() || world::is_trouble(&error) => return None,
            Err(error) => panic!("it does not open: {error}"),
        };
        for timeline in world.engine.timelines().iter().chain([world.engine.system()]) {
            assert_eq!(timeline.damage(), None, "timeline {}", timeline.id());
        }
        let seen = world.see()?;
        let Asked { ops, promised, cached, .. } = &self.asked;
        let promised = promised.max(cached);
        let kept = (*promised..=ops.len()).rev().find(|at| Plain::of(&ops[..*at]) == seen);
        let kept = kept.unwrap_or_else(|| {
            panic!(
                "{promised} of {} were promised;\nseen {}\nasked {}",
                ops.len(),
                brief(&seen),
                brief(&self.asked.now())
            )
        });
        self.asked.ops.truncate(kept);
        // Whoever asks now sees it: from here on it must stay.
        (self.asked.promised, self.asked.answered, self.asked.cached) = (kept, kept, 0);
        self.send_again(&world)?;
        Some(world)
    }

    /// The last batch comes again, as from a client that did not get its answer: it is there, and stays there once.
    fn send_again(&self, world: &World) -> Option<()> {
        let Some(Op::Append { to, values }) = self.asked.ops.last() else { return Some(()) };
        let before = Plain::of(&self.asked.ops[..self.asked.ops.len() - 1]);
        if !before.logs.contains_key(to) {
            return Some(());
        }
        let answer = world.append(*to, before.end(*to), values).expect("it is there").get()?.pop().expect("one part");
        match answer {
            Ok(appended) => assert_eq!(appended.base_offset, before.end(*to), "a duplicate"),
            Err(error) => assert!(world.is_gone(), "{error}"),
        }
        Some(())
    }

    /// A stretch of life: until the process is gone, or so many steps.
    fn live(&mut self, world: &World, steps: usize) -> Result<(), Gone> {
        let mut kept: Vec<Kept> = Vec::new();
        for _ in 0..steps {
            self.step(world, &mut kept)?;
            if world.is_gone() {
                return Err(Gone);
            }
        }
        let seen = world.see().ok_or(Gone)?;
        assert_eq!(brief(&seen), brief(&self.asked.now()));
        assert_eq!(seen, self.asked.now());
        kept.iter().try_for_each(|kept| unchanged(world, kept))
    }

    fn step(&mut self, world: &World, kept: &mut Vec<Kept>) -> Result<(), Gone> {
        self.ground.clock.fetch_add(i64::try_from(self.choices.below(200)).expect("small"), Ordering::SeqCst);
        match self.choices.below(40) {
            0..=3 => self.create(world),
            4 => self.delete(world),
            5..=6 => self.log_start(world),
            7..=8 => world.expect(world.engine.maintain()).ok_or(Gone),
            9 => world.expect(world.engine.save()).ok_or(Gone),
            10..=11 => {
                self.ground.clock.fetch_add(2000, Ordering::SeqCst);
                world.expect(world.engine.retain()).ok_or(Gone)
            }
            12 if kept.len() < 3 => {
                let view = world.expect(world.log.at(world.log.visible_lsn())).ok_or(Gone)?;
                kept.push(Kept { view, plain: self.asked.now() });
                Ok(())
            }
            13 => kept.pop().map_or(Ok(()), |kept| unchanged(world, &kept)),
            _ => self.append(world),
        }
    }

    fn create(&mut self, world: &World) -> Result<(), Gone> {
        let number = world.topic_number().ok_or(Gone)?;
        self.names += 1;
        let (name, partitions) =
            (format!("topic-{}", self.names), 1 + u32::try_from(self.choices.below(3)).expect("small"));
        let answer = world.create(&name, number, partitions).get();
        self.settle(
            world,
            Op::Create { name, number, partitions },
            answer.map(|answer| answer.map_err(|error| is_open(&error))),
        )
    }

    fn delete(&mut self, world: &World) -> Result<(), Gone> {
        let topics: Vec<String> = self.asked.now().topics.into_keys().collect();
        if topics.len() < 3 {
            return Ok(());
        }
        let name = topics[self.choices.index(topics.len())].clone();
        let answer = world.delete(&name).get();
        self.settle(world, Op::Delete { name }, answer.map(|answer| answer.map_err(|error| is_open(&error))))
    }

    fn log_start(&mut self, world: &World) -> Result<(), Gone> {
        let now = self.asked.now();
        let Some(of) = self.pick(&now) else { return Ok(()) };
        let (start, end) = (now.logs[&of].0, now.end(of));
        let offset = start
            + i64::try_from(self.choices.below(u64::try_from(end - start + 1).expect("positive"))).expect("small");
        let answer = world.log_start(of, offset).get();
        self.settle(world, Op::LogStart { of, offset }, answer.map(|answer| answer.map_err(|error| is_open(&error))))
    }

    /// One to four batches, submitted before any is answered.
    fn append(&mut self, world: &World) -> Result<(), Gone> {
        let before = self.asked.now();
        let mut now = before.clone();
        let mut submitted = Vec::new();
        for _ in 0..=self.choices.below(4) {
            let Some(to) = self.pick(&now) else { return Ok(()) };
            if before.end(to) == 0 && now.end(to) > 0 {
                continue; // the first batch of a producer goes alone: if it is refused, the next one would be taken as the first
            }
            let values: Vec<String> = (0..=self.choices.below(3)).map(|_| self.value()).collect();
            let waiting = world.append(to, now.end(to), &values).ok_or(Gone)?;
            let op = Op::Append { to, values };
            now.apply(&op);
            submitted.push((op, waiting));
        }
        let mut outcome = Ok(());
        for (op, waiting) in submitted {
            let answer = waiting.get().map(|mut answers| answers.pop().expect("one part").map(drop));
            let answer =
                answer.map(|answer| answer.map_err(|error| matches!(error, AppendError::Storage(e) if is_open(&e))));
            outcome = self.settle(world, op, answer).and(outcome);
        }
        outcome
    }

    fn value(&mut self) -> String {
        self.names += 1;
        let len = [10, 200, 4000, 15_000][self.choices.index(4)];
        format!("{:<len$}", self.names)
    }

    fn pick(&mut self, now: &Plain) -> Option<Id> {
        let ids: Vec<Id> = now.logs.keys().copied().collect();
        (!ids.is_empty()).then(|| ids[self.choices.index(ids.len())])
    }

    /// An answer came, or none will. What got none, or that the engine is closing, may have happened (`Err(true)`); what was refused has not.
    fn settle(&mut self, world: &World, op: Op, answer: Option<Result<(), bool>>) -> Result<(), Gone> {
        match answer {
            Some(Ok(())) => self.asked.done(op, self.ground.durability),
            Some(Err(false)) => {}
            Some(Err(true)) | None => self.asked.ops.push(op),
        }
        if world.is_gone() { Err(Gone) } else { Ok(()) }
    }

    /// Something that will go wrong, or nothing.
    fn trouble(&mut self, disk: &SimDisk) {
        let choices = &mut self.choices;
        match choices.below(8) {
            0..=1 => disk.die_at_step(disk.steps() + 1 + choices.below(120)),
            2..=3 => disk.die_at_sync(disk.syncs() + 1 + choices.below(60)),
            4 => disk.fail(DiskOp::Sync, choices.below(40), Fault::Error),
            5 => disk.fail(DiskOp::Write, choices.below(40), Fault::Torn),
            6 => {
                let op = [DiskOp::Create, DiskOp::Write, DiskOp::Rename][choices.index(3)];
                disk.fail(op, choices.below(30), Fault::Full);
            }
            _ => {}
        }
    }

    fn crash(&mut self, world: World) -> SimDisk {
        self.asked.cached = 0;
        if self.choices.below(3) == 0 {
            self.asked.cached = self.asked.answered;
            return world.crash(None);
        }
        world.crash(Some(self.choices.bits()))
    }
}

/// Whether an error leaves open what became of what was asked for.
fn is_open(error: &Error) -> bool {
    matches!(error, Error::Closed)
}

fn unchanged(world: &World, kept: &Kept) -> Result<(), Gone> {
    let seen = world.see_at(&kept.view, kept.plain.topics.clone()).ok_or(Gone)?;
    assert_eq!(brief(&seen), brief(&kept.plain), "the view at {} has changed", kept.view.lsn());
    assert_eq!(seen, kept.plain);
    Ok(())
}

/// A state as text, with the numbers of records in place of their bytes.
fn brief(plain: &Plain) -> String {
    let logs: BTreeMap<_, _> = plain
        .logs
        .iter()
        .map(|(id, (start, log))| {
            (id, format!("{start}: {}", log.iter().map(|v| v.trim()).collect::<Vec<_>>().join(" ")))
        })
        .collect();
    format!("{:?} {logs:?}", plain.topics)
}

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

fn crash_again_and_again(seed: u64, durability: Durability, ground: impl FnOnce(&mut Ground)) {
    let _told = Told(seed);
    let mut life = Life::new(seed, durability);
    ground(&mut life.ground);
    let mut disk = SimDisk::new();
    for _ in 0..6 {
        life.trouble(&disk);
        let Some(world) = life.open(&disk) else {
            if life.choices.coin() {
                disk = disk.kill();
            } else {
                disk = disk.power_loss(life.choices.bits());
                life.asked.cached = 0;
            }
            continue;
        };
        let steps = 10 + life.choices.index(40);
        let _ = life.live(&world, steps);
        if !world.is_gone() && life.choices.below(4) == 0 {
            world.disk.calm();
            world.engine.close().expect("it closes");
            life.asked.promised = life.asked.answered;
            disk = world.crash(Some(life.choices.bits()));
        } else {
            disk = life.crash(world);
        }
    }
    disk.calm();
    let world = life.open(&disk).expect("it opens");
    assert!(life.live(&world, 5).is_ok());
    world.engine.close().expect("it closes");
}

/// Seeds from a first one on: as many as CI has time for, or as `MILLPOND_CRASH_SEEDS` says; from `MILLPOND_CRASH_FIRST` on, to see one again.
fn seeds(first: u64, count: u64) -> std::ops::Range<u64> {
    let number = |name| std::env::var(name).ok().and_then(|value| value.parse::<u64>().ok());
    let first = number("MILLPOND_CRASH_FIRST").unwrap_or(first);
    first..first + number("MILLPOND_CRASH_SEEDS").unwrap_or(count)
}

#[test]
fn what_is_acknowledged_survives_with_fsync() {
    for seed in seeds(0, 120) {
        crash_again_and_again(seed, Durability::Fsync, |_| {});
    }
}

#[test]
fn what_survives_in_page_cache_mode_is_a_prefix() {
    for seed in seeds(1_000_000, 80) {
        crash_again_and_again(seed, Durability::PageCache, |_| {});
    }
}
