//! What happens to an engine, and what it must show for it.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicI64;

use millpond_storage::disk::SimDisk;
use millpond_storage::disk::sim::{Fault, Op as DiskOp, Seed};
use millpond_storage::state::Durability;
use millpond_storage::{AppendError, Error, TopicPartition, View};

use super::plain::{Op, Plain};
use crate::fail_points::FAIL_POINTS;
use crate::world::{Answered, Ground, MINUTE, Waiting, World, is_trouble};

/// What was asked for, and how much of that must be there.
#[derive(Default)]
struct Asked {
    ops: Vec<Op>,
    /// So many of `ops` are durable.
    promised: usize,
    /// So many of `ops` were answered.
    answered: usize,
    /// So many of `ops` are in the page cache of a process that was killed: they are there while the power is.
    cached: usize,
    /// The process ended while retention was at work: more may be hidden than was seen.
    expiring: bool,
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

/// The process is gone.
pub(super) struct Gone;

/// An append that is under way.
type Submitted = (Op, Waiting<Vec<Answered>>);

/// What was done behind the clients' backs, in all lives.
#[derive(Default, Debug)]
pub(super) struct Work {
    sealed: u64,
    rewritten: u64,
    removed: u64,
    checkpoints: u64,
}

impl Work {
    pub(super) fn add(&mut self, world: &World) {
        let stats = world.engine.stats();
        self.sealed += stats.sealed.get();
        self.rewritten += stats.rewritten_bytes.get();
        self.removed += stats.removed_bytes.get();
        self.checkpoints += stats.checkpoints.get();
    }

    pub(super) fn is_enough(&self) -> bool {
        self.sealed > 500 && self.rewritten > 5 << 20 && self.removed > 5 << 20 && self.checkpoints > 500
    }
}

/// One data directory over many processes.
pub(super) struct Life {
    ground: Ground,
    pub(super) choices: Seed,
    asked: Asked,
    names: u64,
    epoch: i32,
}

impl Life {
    pub(super) fn new(seed: u64, durability: Durability, index_dir: Option<PathBuf>) -> Self {
        let clock = Arc::new(AtomicI64::new(crate::world::DAY));
        let ground = Ground { durability, clock, index_dir, ..Ground::default() };
        Self { ground, choices: Seed::new(seed), asked: Asked::default(), names: 0, epoch: 0 }
    }

    /// Opens the engine, which must show a prefix of what was asked for that holds what was promised.
    pub(super) fn open(&mut self, disk: &SimDisk) -> Option<World> {
        let world = match World::open(disk, &self.ground) {
            Ok(world) => world,
            Err(error) if disk.is_dead() || is_trouble(&error) => return None,
            Err(error) => panic!("it does not open: {error}"),
        };
        for timeline in world.engine.timelines().iter().chain([world.engine.system()]) {
            assert_eq!(timeline.damage(), None, "timeline {}", timeline.id());
        }
        let seen = see(&world)?;
        let Asked { ops, promised, cached, answered, expiring } = &self.asked;
        let promised = promised.max(cached);
        let kept = (*promised..=ops.len()).rev().find(|at| Plain::of(&ops[..*at]).allows(&seen, *expiring));
        let kept = kept.unwrap_or_else(|| {
            let (seen, asked) = (seen.brief(), self.asked.now().brief());
            panic!("{promised} of {} were promised;\nseen {seen}\nasked {asked}", ops.len())
        });
        self.check_epoch(&world, kept < *answered);
        self.asked.ops.truncate(kept);
        self.note_log_starts(&seen);
        // Whoever asks now sees it: from here on it must stay.
        let all = self.asked.ops.len();
        (self.asked.promised, self.asked.answered, self.asked.cached, self.asked.expiring) = (all, all, 0, false);
        self.send_again(&world)?;
        Some(world)
    }

    /// Clients that read what is gone must learn of it; those that read nothing of the kind are left in peace.
    fn check_epoch(&mut self, world: &World, is_lost: bool) {
        let epoch = world.log.leader_epoch();
        match self.ground.durability {
            Durability::Fsync => assert_eq!(epoch, self.epoch, "no epoch begins with fsync"),
            Durability::PageCache => assert!(if is_lost { epoch > self.epoch } else { epoch >= self.epoch }, "{epoch}"),
        }
        self.epoch = epoch;
    }

    /// What retention has hidden, as if it had been asked for.
    fn note_log_starts(&mut self, seen: &Plain) {
        let now = self.asked.now();
        for (of, (start, _)) in &seen.logs {
            if now.logs.get(of).is_some_and(|(before, _)| before < start) {
                self.asked.ops.push(Op::LogStart { of: *of, offset: *start });
            }
        }
    }

    /// The last batch comes again, as from a client that did not get its answer: it is there, and stays there once.
    fn send_again(&self, world: &World) -> Option<()> {
        let Some((Op::Append { to, values }, before)) = self.asked.ops.split_last() else { return Some(()) };
        let before = Plain::of(before);
        if !before.logs.contains_key(to) {
            return Some(());
        }
        let answer = append(world, *to, before.end(*to), values)?.get()?.pop().expect("one part");
        match answer {
            Ok(appended) => assert_eq!(appended.base_offset, before.end(*to), "a duplicate"),
            Err(error) => assert!(world.is_gone(), "{error}"),
        }
        Some(())
    }

    /// A stretch of life: until the process is gone, or so many steps.
    pub(super) fn live(&mut self, world: &World, steps: usize) -> Result<(), Gone> {
        let mut kept: Vec<Kept> = Vec::new();
        for _ in 0..steps {
            self.step(world, &mut kept)?;
            if world.is_gone() {
                return Err(Gone);
            }
        }
        self.check(world, &kept)
    }

    fn check(&self, world: &World, kept: &[Kept]) -> Result<(), Gone> {
        let seen = see(world).ok_or(Gone)?;
        let asked = self.asked.now();
        assert_eq!(seen.brief(), asked.brief());
        assert_eq!(seen, asked);
        kept.iter().try_for_each(|kept| unchanged(world, kept))
    }

    fn step(&mut self, world: &World, kept: &mut Vec<Kept>) -> Result<(), Gone> {
        self.ground.pass(i64::try_from(self.choices.below(2_000)).expect("small"));
        match self.choices.below(44) {
            0..=3 => self.create(world),
            4 => self.delete(world),
            5..=6 => self.log_start(world),
            7..=9 => world.expect(world.engine.maintain()).ok_or(Gone),
            10 => world.expect(world.engine.save()).ok_or(Gone),
            11..=13 => self.retain(world),
            14 if kept.len() < 3 => {
                let view = world.expect(world.log.at(world.log.visible_lsn())).ok_or(Gone)?;
                kept.push(Kept { view, plain: self.asked.now() });
                Ok(())
            }
            15 => kept.pop().map_or(Ok(()), |kept| unchanged(world, &kept)),
            16 => self.send_again(world).map_or_else(|| if world.is_gone() { Err(Gone) } else { Ok(()) }, Ok),
            17 => self.check(world, kept),
            _ => self.append(world),
        }
    }

    fn retain(&mut self, world: &World) -> Result<(), Gone> {
        self.ground.pass([0, 20_000, MINUTE, 11 * MINUTE][self.choices.index(4)]);
        self.asked.expiring = true;
        world.expect(world.engine.retain()).ok_or(Gone)?;
        self.asked.expiring = false;
        let now = self.asked.now();
        for (of, (start, _)) in &now.logs {
            let offset = world.log.partition(*of).ok_or(Gone)?.log_start();
            assert!(
                offset == *start || (offset > *start && now.expires(*of)),
                "{of} begins at {offset}, not at {start}"
            );
            if offset > *start {
                self.asked.done(Op::LogStart { of: *of, offset }, self.ground.durability);
            }
        }
        Ok(())
    }

    fn create(&mut self, world: &World) -> Result<(), Gone> {
        if self.asked.now().topics.len() >= 8 {
            return Ok(());
        }
        let number = world.topic_number().ok_or(Gone)?;
        self.names += 1;
        let kind = ["short", "long"][self.choices.index(2)];
        let (name, partitions) =
            (format!("{kind}-{}", self.names), 1 + u32::try_from(self.choices.below(3)).expect("small"));
        let answer = world.create(&name, number, partitions).get();
        let answer = answer.map(|answer| answer.map_err(|error| is_open(&error)));
        self.settle(world, Op::Create { name, number, partitions }, answer)
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
        let room = u64::try_from(end - start + 1).expect("positive");
        let offset = start + i64::try_from(self.choices.below(room)).expect("small");
        let answer = world.log_start(of, offset).get();
        self.settle(world, Op::LogStart { of, offset }, answer.map(|answer| answer.map_err(|error| is_open(&error))))
    }

    /// One to four batches, submitted before any is answered.
    fn append(&mut self, world: &World) -> Result<(), Gone> {
        let mut outcome = Ok(());
        for (op, waiting) in self.submit_some(world)? {
            let answer = waiting.get().map(|mut answers| answers.pop().expect("one part").map(drop));
            let answer =
                answer.map(|answer| answer.map_err(|error| matches!(error, AppendError::Storage(e) if is_open(&e))));
            outcome = self.settle(world, op, answer).and(outcome);
        }
        outcome
    }

    fn submit_some(&mut self, world: &World) -> Result<Vec<Submitted>, Gone> {
        let before = self.asked.now();
        let mut now = before.clone();
        let mut submitted = Vec::new();
        for _ in 0..=self.choices.below(4) {
            let Some(to) = self.pick(&now) else { break };
            if before.end(to) == 0 && now.end(to) > 0 {
                continue; // the first batch of a producer goes alone: if it is refused, the next one would be taken as the first
            }
            let values: Vec<String> = (0..=self.choices.below(3)).map(|_| self.value()).collect();
            let waiting = append(world, to, now.end(to), &values).ok_or(Gone)?;
            let op = Op::Append { to, values };
            now.apply(&op);
            submitted.push((op, waiting));
        }
        Ok(submitted)
    }

    fn value(&mut self) -> String {
        self.names += 1;
        let len = [10, 200, 4000, 15_000][self.choices.index(4)];
        format!("{:<len$}", self.names)
    }

    fn pick(&mut self, now: &Plain) -> Option<TopicPartition> {
        let ids: Vec<TopicPartition> = now.logs.keys().copied().collect();
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
    pub(super) fn trouble(&mut self, disk: &SimDisk) {
        let choices = &mut self.choices;
        match choices.below(10) {
            0..=1 => disk.die_at_step(disk.steps() + 1 + choices.below(120)),
            2..=3 => disk.die_at_sync(disk.syncs() + 1 + choices.below(60)),
            4 => disk.fail(DiskOp::Sync, choices.below(40), Fault::Error),
            5 => disk.fail(DiskOp::Write, choices.below(40), Fault::Torn),
            6 => {
                let op = [DiskOp::Create, DiskOp::Write, DiskOp::Rename][choices.index(3)];
                disk.fail(op, choices.below(30), Fault::Full);
            }
            7 => disk.arm(FAIL_POINTS[choices.index(FAIL_POINTS.len())]),
            _ => {}
        }
    }

    /// The end of a process: in good order, or by a kill or a loss of power, at times with batches under way.
    pub(super) fn end(&mut self, world: World) -> SimDisk {
        if !world.is_gone() && self.choices.below(4) == 0 {
            world.disk.calm();
            world.engine.close().expect("it closes");
            self.asked.promised = self.asked.answered;
            return world.crash(Some(self.choices.bits()));
        }
        if !world.is_gone() && self.choices.coin() {
            // Nothing is refused from here on: what is under way is there up to some batch.
            world.disk.calm();
            let submitted = self.submit_some(&world).unwrap_or_default();
            self.asked.ops.extend(submitted.into_iter().map(|(op, _)| op));
        }
        self.asked.cached = 0;
        if self.choices.below(3) == 0 {
            self.asked.cached = self.asked.answered;
            return world.crash(None);
        }
        world.crash(Some(self.choices.bits()))
    }

    /// The end of a process that did not come to serve.
    pub(super) fn crash_at_start(&mut self, disk: &SimDisk) -> SimDisk {
        if self.choices.coin() {
            return disk.kill();
        }
        self.asked.cached = 0;
        disk.power_loss(self.choices.bits())
    }
}

/// Appends as the one producer that writes there: a batch that was lost may be sent again, one that was not is told apart.
fn append(world: &World, to: TopicPartition, base: i64, values: &[String]) -> Option<Waiting<Vec<Answered>>> {
    let producer = i64::from(to.topic.0) * 1000 + i64::from(to.partition);
    world.submit_batch(to, Some((producer, i32::try_from(base).expect("small"))), values)
}

/// All that clients can see, read record by record.
fn see(world: &World) -> Option<Plain> {
    let topics = world.log.state(|state| {
        let each = state.topics().map(|topic| (topic.name.topic.to_string(), (topic.number, topic.partitions)));
        each.collect()
    });
    see_at(world, &world.log.live(), Plain { topics, ..Plain::default() })
}

/// What the partitions of some topics hold in a view.
fn see_at(world: &World, view: &View, topics: Plain) -> Option<Plain> {
    let mut seen = Plain { topics: topics.topics, ..Plain::default() };
    for (number, partitions) in seen.topics.values() {
        for index in 0..*partitions {
            let id = TopicPartition::new(*number, index);
            assert!(view.partition(id).is_some(), "{id} is not there");
            let (start, _, records) = world.shown(view, id)?;
            seen.logs.insert(id, (start, records.into_iter().map(|(_, value)| value).collect()));
        }
    }
    Some(seen)
}

fn unchanged(world: &World, kept: &Kept) -> Result<(), Gone> {
    let seen = see_at(world, &kept.view, kept.plain.clone()).ok_or(Gone)?;
    assert_eq!(seen.brief(), kept.plain.brief(), "the view at {} changed", kept.view.lsn());
    assert_eq!(seen, kept.plain);
    Ok(())
}

/// Whether an error leaves open what became of what was asked for.
fn is_open(error: &Error) -> bool {
    matches!(error, Error::Closed)
}
