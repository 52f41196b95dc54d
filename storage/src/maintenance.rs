//! What is done behind the clients' backs: room on the disk, sealing, checkpoints, retention, collection; compaction.
//!
//! One thread, and one thing at a time, and a second one for compaction, which takes long; no lock is held across file work. What fails is told of once and tried again at the next round: nothing that was
//! acknowledged depends on it. What fails for one timeline keeps no other, and nothing else of its own, from being done; the functions give the first error when all is done.

use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, Weak};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::engine::{Engine, Shared, wait};
use crate::error::{Error, Result};
use crate::options::Policy;
use crate::segment;
use crate::state::checkpoint::PartitionRecord;
use crate::state::{Change, Checkpoint, Fact, LogStart, Topic, Txn, state_at};
use crate::timeline::{Inner, Partition, Tables, Timeline, VirtualSegment, lock};
use crate::units::{Lsn, TopicNumber};

/// How often retention is looked at, at the least, while the disk is full.
const FULL_DISK_CHECK_MS: i64 = 2_000;
/// When retention is first looked at, unless it is looked at more often anyway: as in Kafka.
const FIRST_CHECK_MS: i64 = 30_000;
/// How often the thread looks around when nobody wakes it.
const ROUND: Duration = Duration::from_millis(500);

/// Starts the thread. It ends when the engine closes or is gone.
pub(crate) fn spawn(engine: &Arc<Engine>) -> Result<JoinHandle<()>> {
    let shared = Arc::clone(engine.shared());
    let engine = Arc::downgrade(engine);
    let thread = std::thread::Builder::new().name("maintenance".to_owned());
    thread.spawn(move || work(&shared, &engine)).map_err(|error| Error::io("maintenance", &error))
}

fn work(shared: &Shared, engine: &Weak<Engine>) {
    // The first look comes soon, so that gauges say what there is; not at once, so that whoever starts a broker can still change what would expire.
    let interval = shared.options.retention_check_ms;
    let mut retained = shared.now().saturating_sub(interval.saturating_sub(FIRST_CHECK_MS).max(0));
    loop {
        shared.await_maintenance(ROUND);
        let Some(engine) = engine.upgrade().filter(|_| !shared.is_closing()) else { return };
        // What fails is told of where it is noted, and tried again.
        let _told = round(&engine);
        // A full disk does not wait for the next look at retention.
        let due = if shared.space.refused().is_some() { FULL_DISK_CHECK_MS } else { shared.options.retention_check_ms };
        if shared.now().saturating_sub(retained) >= due.min(shared.options.retention_check_ms) {
            retained = shared.now();
            let _told = retain(&engine);
        }
    }
}

/// Starts the thread that compacts. It ends when the engine closes or is gone.
pub(crate) fn spawn_compaction(engine: &Arc<Engine>) -> Result<JoinHandle<()>> {
    let shared = Arc::clone(engine.shared());
    let engine = Arc::downgrade(engine);
    let work = move || {
        let interval = Duration::from_millis(shared.options.compaction_check_ms.max(1).unsigned_abs());
        loop {
            std::thread::park_timeout(interval);
            let Some(engine) = engine.upgrade().filter(|_| !shared.is_closing()) else { return };
            let _told = compact(&engine);
        }
    };
    let thread = std::thread::Builder::new().name("compaction".to_owned());
    thread.spawn(work).map_err(|error| Error::io("compaction", &error))
}

/// Compacts what is due: one at a time, whichever thread it is.
pub(crate) fn compact(engine: &Engine) -> Result<()> {
    let _turn = lock(&engine.shared().compacting);
    if engine.shared().is_gone() || engine.shared().space.refused().is_some() {
        return Ok(());
    }
    segment::compact(engine)
}

/// One round: what is cheap when there is nothing to do.
pub(crate) fn round(engine: &Engine) -> Result<()> {
    let shared = engine.shared();
    let _turn = lock(&shared.tending);
    if !engine.is_in_place() {
        return Ok(());
    }
    let looked = shared.space.look().map(|free| shared.stats.free_bytes.set(free));
    let mut outcome = shared.troubles.note(&shared.stats, &"the disk", "a look at its room", looked);
    for timeline in engine.timelines().iter().chain([engine.system()]) {
        outcome = outcome.and(timeline.0.note("sealing and checkpoints", tend(timeline)));
    }
    outcome
}

fn tend(timeline: &Timeline) -> Result<()> {
    if timeline.damage().is_some() {
        return Ok(());
    }
    let inner = &timeline.0;
    inner.seal_ended()?;
    let unsaved = inner.unsaved_bytes.load(Ordering::Relaxed);
    if unsaved >= inner.shared.options.checkpoint_bytes && !inner.saves.is_resting() {
        inner.save()?;
    }
    inner.vouch();
    Ok(())
}

/// Hides what is past its time or over its size, then frees what nothing needs.
pub(crate) fn retain(engine: &Engine) -> Result<()> {
    let shared = engine.shared();
    let _turn = lock(&shared.tending);
    if shared.is_gone() {
        return Ok(());
    }
    let stats = engine.stats();
    let removed = engine.remove_unneeded();
    let mut outcome = shared.troubles.note(stats, &"deleted volumes", "removing what is left of them", removed);
    let mut total = segment::Shares::default();
    for timeline in engine.timelines().iter().chain([engine.system()]) {
        if timeline.damage().is_none() {
            let inner = &timeline.0;
            outcome = outcome.and(inner.note("retention", hide_expired(timeline)));
            outcome = outcome.and(inner.note("collection", segment::collect(engine, timeline)));
            total += segment::held(inner);
        }
    }
    stats.live_bytes.set(total.live);
    stats.history_bytes.set(total.history);
    stats.dead_bytes.set(total.dead);
    outcome
}

/// Moves the log starts of partitions whose oldest virtual segments are due: one group for all of them.
fn hide_expired(timeline: &Timeline) -> Result<()> {
    let inner = &timeline.0;
    if !inner.is_named() {
        return Ok(());
    }
    let now = inner.shared.now();
    let moves = due_in(&inner.tables, now);
    if moves.is_empty() {
        return Ok(());
    }
    let timeline = Arc::clone(inner);
    let hide = move |txn: &mut Txn<'_>| {
        // If the volume was restored meanwhile, what was found says nothing of its new timeline.
        for start in moves.into_iter().filter(|_| timeline.is_named()) {
            // The topic may have gone meanwhile, or DeleteRecords have gone further.
            let further = txn.get::<LogStart>(&start.partition).is_some_and(|known| known.offset >= start.offset);
            if !further && txn.topic_by_number(start.partition.topic).is_some() {
                txn.put(Fact::LogStart(Change::Put(start)));
            }
        }
    };
    wait(|done| inner.decide_here(hide, done))
}

/// Where partitions begin, once what is due by their policies is hidden: packed ones are not unpacked for it.
fn due_in(tables: &Tables, now: i64) -> Vec<LogStart> {
    let policies: HashMap<TopicNumber, (u32, Policy)> = {
        let state = tables.read_state();
        let of = |topic: &Arc<Topic>| (topic.number, (topic.partitions, tables.policy(&state, topic)));
        state.topics().map(of).collect()
    };
    let mut moves = Vec::new();
    for (topic, (partitions, policy)) in &policies {
        for partition in tables.opened_of(*topic, *partitions) {
            let due = partition.due(policy, now);
            moves.extend(due.map(|offset| LogStart { partition: partition.id(), offset }));
        }
    }
    tables.each_packed(&mut |record| {
        let PartitionRecord { partition, log_start, end_offset, ref segments, .. } = *record;
        let due = policies.get(&partition.topic).and_then(|(_, policy)| {
            due(segments.iter().map(VirtualSegment::from), (log_start, end_offset), policy, now)
        });
        moves.extend(due.map(|offset| LogStart { partition, offset }));
    });
    moves.sort_by_key(|start| start.partition);
    moves
}

impl Inner {
    /// Gives every log file that has ended its index.
    pub(crate) fn seal_ended(&self) -> Result<()> {
        let ended = lock(&self.unsealed).clone();
        for log in ended {
            segment::seal(self, &log)?;
            lock(&self.unsealed).retain(|other| !Arc::ptr_eq(other, &log));
            self.shared.stats.sealed.add(1);
        }
        Ok(())
    }

    /// Writes a checkpoint of the end of the log, as a state-at file and into the index.
    pub(crate) fn save(self: &Arc<Self>) -> Result<()> {
        self.seal_ended()?;
        let Some(checkpoint) = self.checkpoint() else { return Ok(()) };
        if checkpoint.lsn == Lsn::ZERO || self.newest_state_at() == Some(checkpoint.lsn) {
            return Ok(());
        }
        let began = Instant::now();
        self.await_durable(checkpoint.lsn)?;
        self.write_state_at(&checkpoint)?;
        if let Some(index) = &self.shared.index {
            lock(index).put(self.id, &checkpoint);
        }
        self.saves.took(began, Instant::now());
        self.shared.stats.checkpoints.add(1);
        Ok(())
    }

    /// As [`Inner::save`], also where nothing was written since the last one.
    pub(crate) fn save_anew(self: &Arc<Self>) -> Result<()> {
        if self.newest_state_at() == Some(self.written_lsn()) {
            self.step_on()?;
        }
        self.save()
    }

    fn newest_state_at(&self) -> Option<Lsn> {
        lock(&self.manifest).files().state_ats.last().copied()
    }

    /// The file first, then the edit that names it.
    fn write_state_at(&self, checkpoint: &Checkpoint) -> Result<()> {
        let origin = state_at::Origin {
            timeline: self.id,
            salt: self.salt,
            opening: lock(&self.manifest).opening(),
            created_ms: self.shared.now(),
        };
        state_at::write(&*self.shared.disk, &origin, checkpoint)?;
        self.edit(&crate::manifest::Edit::StateAt { lsn: checkpoint.lsn, added: true })
    }

    /// When the last groups are synced and nothing follows, a group that says so: the next start then knows that they must be there.
    fn vouch(self: &Arc<Self>) {
        let durable = self.durable_lsn();
        if durable == self.written_lsn() && durable > self.vouched_lsn() {
            self.mark_idle();
        }
    }
}

/// How long checkpoints take, so that they do not follow one another without a rest: a state of millions of positions is written whole each time, and a log
/// that is written fast asks for that every second.
#[derive(Default, Debug)]
pub(crate) struct Saves(Mutex<Option<Instant>>);

/// A rest is so many times as long as what came before it.
const REST: u32 = 9;

impl Saves {
    fn took(&self, began: Instant, ended: Instant) {
        *lock(&self.0) = Some(ended + ended.saturating_duration_since(began) * REST);
    }

    fn is_resting(&self) -> bool {
        self.is_resting_at(Instant::now())
    }

    fn is_resting_at(&self, now: Instant) -> bool {
        lock(&self.0).is_some_and(|until| now < until)
    }
}

impl Partition {
    fn due(&self, policy: &Policy, now: i64) -> Option<i64> {
        let pieces = self.pieces();
        due(pieces.segments.iter().copied(), (self.log_start(), self.high_watermark()), policy, now)
    }
}

/// The oldest offset that a partition keeps by its policy, if it is above its log start.
fn due(
    segments: impl Iterator<Item = VirtualSegment> + Clone,
    (log_start, visible): (i64, i64),
    policy: &Policy,
    now: i64,
) -> Option<i64> {
    let ends = segments.clone().skip(1).map(|next| next.base_offset).chain([visible]);
    let mut bytes: u64 = segments.clone().map(|segment| segment.bytes).sum();
    let mut due = None;
    for (segment, end) in segments.zip(ends) {
        let is_last = end == visible;
        let too_old = policy
            .retention_ms
            .is_some_and(|most| segment.max_timestamp >= 0 && now.saturating_sub(segment.max_timestamp) > most);
        // By size a segment goes when what is behind it is enough; the one being filled stays, as in Kafka.
        let too_much = !is_last && policy.retention_bytes.is_some_and(|most| bytes - segment.bytes >= most);
        if end > visible || !(too_old || too_much) {
            break;
        }
        bytes -= segment.bytes;
        due = Some(end);
    }
    due.filter(|offset| *offset > log_start)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checkpoints_take_a_tenth_of_the_time_at_most() {
        let (saves, start) = (Saves::default(), Instant::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        assert!(!saves.is_resting_at(start));
        saves.took(start, at(2));
        assert!(saves.is_resting_at(at(19)) && !saves.is_resting_at(at(20)));
    }
}
