//! Collection: raises the history floor, lets files go that nothing needs, and has rewritten what pays.
//!
//! What lies above the last state-at but one is not touched: a start reads it, should the newest state-at have rotted. The past of `system` is nobody's: its floor
//! is that state-at, and no fact has to say so.
//!
//! Order, each step durable before the next: the floor is planned (pins below it are refused from here on), its fact is written to `system`, the pins are read, one edit takes
//! files out of the manifest, and only then are they unlinked. A reader that has a file open goes on reading it.

use std::sync::Arc;

use crate::engine::{Engine, wait};
use crate::error::{Error, Result};
use crate::manifest::{Edit, FileRef};
use crate::state::{Floor, Txn};
use crate::timeline::{Entry, Inner, LogFile, Partition, Timeline, lock};
use crate::units::{Lsn, Moment, TimelineId};

use super::files::File;
use super::merge;
use super::need::{By, Lying, Need, Shares};
use super::rewrite::rewrite;
use super::sort;

/// A log file that waits for its end has at least this part of its bytes in facts below the floor, or some record that nobody needs.
const FACTS_SHARE: u64 = 16;

/// One collection of a timeline. A step that fails keeps no other from being done.
pub(crate) fn collect(engine: &Engine, timeline: &Timeline) -> Result<()> {
    let inner = &timeline.0;
    let mut outcome = Ok(());
    if timeline.id() == TimelineId::SYSTEM {
        let base = Need::of(inner).base();
        let floor = inner.history.plan(Moment { lsn: base, ..Moment::default() });
        inner.history.settle(floor.lsn);
    } else if inner.is_named() {
        outcome = outcome.and(raise_floor(engine, timeline)).and(cap_history(engine, timeline));
    }
    outcome = outcome.and(roll_if_due(inner)).and(save_if_held_up(inner));
    let need = Need::of(inner);
    let unneeded: Vec<File> = inner.files.all().into_iter().filter(|file| is_spare(file, &need)).collect();
    outcome = outcome.and(drop_files(inner, &unneeded));
    outcome = outcome.and(rewrite_what_pays(inner, &need)).and(thin_state_ats(inner, &need));
    forget_partitions(inner, &need);
    inner.tables.skip_dropped_facts();
    outcome
}

/// What the files of a timeline hold, by who needs it; of those that are not sealed what clients see.
pub(crate) fn held(inner: &Inner) -> Shares {
    let mut held = total(inner, &Need::of(inner));
    held.live += unsealed_live_bytes(inner);
    held
}

/// What all sealed files hold, by who needs it.
fn total(inner: &Inner, need: &Need<'_>) -> Shares {
    let mut total = Shares::default();
    for file in inner.files.all() {
        total += file.shares(need);
    }
    total
}

/// What the files that are not sealed hold of what clients see.
fn unsealed_live_bytes(inner: &Inner) -> u64 {
    let bytes = |partition: &Arc<Partition>| {
        let pieces = partition.pieces();
        let log_start = pieces.compaction_at(None).map_or(0, |made| made.end).max(partition.log_start());
        let entries = pieces.tail.iter().flat_map(|chunk| &chunk.entries);
        entries.filter(|entry| entry.base_offset >= log_start).map(|entry| u64::from(entry.bytes)).sum::<u64>()
    };
    inner.tables.partitions.iter().map(|partition| bytes(&partition)).sum()
}

/// Ends the active log file where it is old and something in it waits to be let go: a volume that hardly writes would keep it for ever.
fn roll_if_due(inner: &Arc<Inner>) -> Result<()> {
    let Some(active) = inner.active_log() else { return Ok(()) };
    let began = active.groups().first().map(|first| first.time);
    let age = if inner.shared.space.refused().is_some() { 0 } else { inner.shared.options.log_roll_ms };
    let old = inner.shared.now().saturating_sub(age);
    if began.is_some_and(|began| began <= old) && something_waits(inner, &active, &Need::of(inner)) {
        inner.end_active()?;
        inner.seal_ended()?;
    }
    Ok(())
}

/// Whether records in a log file are needed by nobody, or enough facts lie below the floor. (The records of a partition go from the first on.)
fn something_waits(inner: &Inner, log: &Arc<LogFile>, need: &Need<'_>) -> bool {
    let facts_max = inner.shared.options.log_file_bytes / FACTS_SHARE;
    let mut facts = 0;
    for partition in log.touched() {
        let pieces = partition.pieces();
        let Some(chunk) = pieces.tail.iter().find(|chunk| Arc::ptr_eq(&chunk.log, log)) else { continue };
        let lsn_of = |entry: &Entry| log.group_of(u64::from(entry.position)).map_or(Lsn::ZERO, |group| group.lsn);
        if partition.id().topic.is_internal() {
            let below = chunk.entries.iter().take_while(|entry| lsn_of(entry) <= need.needed.floor);
            facts += below.map(|entry| u64::from(entry.bytes)).sum::<u64>();
            continue;
        }
        let first = chunk
            .entries
            .first()
            .map(|first| (chunk.entries.get(1).map_or(chunk.end_offset, |next| next.base_offset), lsn_of(first)));
        drop(pieces);
        let lying = first.map(|(end, lsn)| Lying { partition: partition.id(), generation: 0, end, lsns: (lsn, lsn) });
        if lying.is_some_and(|lying| need.by(&lying) == By::Nobody) {
            return true;
        }
    }
    facts >= facts_max
}

/// Files are given up or rewritten only below the last state-at but one. Where nothing more is written none would come by itself.
fn save_if_held_up(inner: &Arc<Inner>) -> Result<()> {
    // Two state-ats above the last group of the file; one more where a group of an idle log came since the last.
    for _ in 0..3 {
        let need = Need::of(inner);
        let base = need.base();
        let waits = sort::to_sort(inner, base).is_empty() && !sort::to_sort(inner, Lsn::MAX).is_empty();
        let mut above = inner.files.all().into_iter().filter(|file| file.last_lsn() >= base);
        if !waits && !above.any(|file| sort::is_mostly_dead(inner, &file, &need, false)) {
            return Ok(());
        }
        inner.save_anew()?;
    }
    Ok(())
}

/// Collects files that are mostly dead, one by one, then sorts log files that wait for it, then merges what is small.
fn rewrite_what_pays(inner: &Inner, need: &Need<'_>) -> Result<()> {
    let base = need.base();
    let space = inner.shared.disk.space()?;
    let is_nearly_full = space.free < space.total / 5;
    for file in inner.files.all().into_iter().filter(|file| file.last_lsn() < base) {
        if sort::is_mostly_dead(inner, &file, need, is_nearly_full) {
            rewrite_some(inner, need, &[file])?;
        }
    }
    let mut next = sort::to_sort(inner, base);
    while !next.is_empty() && rewrite_some(inner, need, &next)? {
        next = sort::to_sort(inner, base);
    }
    next = merge::to_merge(inner);
    while !next.is_empty() && rewrite_some(inner, need, &next)? {
        next = merge::to_merge(inner);
    }
    Ok(())
}

/// Rewrites, if there is room for the outputs beside the inputs. A bad place or a full disk gives this job up and no other.
fn rewrite_some(inner: &Inner, need: &Need<'_>, files: &[File]) -> Result<bool> {
    let mut shares = Shares::default();
    for file in files {
        shares += file.shares(need);
    }
    let free = inner.shared.disk.space()?.free;
    if free < (shares.live + shares.history).saturating_add(inner.shared.options.free_floor_bytes / 2) {
        return Ok(false);
    }
    match rewrite(inner, need, files) {
        Ok(()) => Ok(true),
        // Of the bad place was told.
        Err(_) if files.iter().any(|file| inner.files.is_spoiled(file.name())) => Ok(false),
        Err(error @ Error::Full(_)) => {
            tracing::warn!(%error, "files are left as they are");
            Ok(false)
        }
        Err(error) => Err(error),
    }
}

/// Nothing needs it, and every start reads from behind it on. (The end of a partition needs no batch that stays: what no view sees lies below every view's
/// log start, which the last two state-ats hold. Facts say for themselves whether they are needed.)
fn is_spare(file: &File, need: &Need<'_>) -> bool {
    let shares = file.shares(need);
    shares.live == 0 && shares.history == 0 && file.last_lsn() < need.base()
}

/// Raises the floor to the newest group that is older than the history that is kept.
fn raise_floor(engine: &Engine, timeline: &Timeline) -> Result<()> {
    let inner = &timeline.0;
    let oldest = inner.shared.now().saturating_sub(history_ms(engine, timeline.id()));
    let sealed = inner.files.timed().into_iter().filter(|file| file.last_time() <= oldest).map(|file| file.last());
    let wanted = inner.unsealed_group_at(oldest).or_else(|| sealed.max()).unwrap_or_default();
    raise_to(engine, timeline, wanted)
}

/// How far back the past of a timeline is kept, in milliseconds.
fn history_ms(engine: &Engine, timeline: TimelineId) -> i64 {
    let options = &engine.shared().options;
    let own = engine.system().state(|state| {
        let volume = state.volumes().find(|volume| volume.timeline == timeline)?;
        (options.history_of)(state, volume.id)
    });
    own.unwrap_or(options.history_ms)
}

/// While the history alone needs more than it may, the floor rises: to the oldest end of a file from which on it fits, or to the end of the log.
fn cap_history(engine: &Engine, timeline: &Timeline) -> Result<()> {
    let inner = &timeline.0;
    // On a full disk the past gives way to the present; what is pinned stays.
    let most = if inner.shared.space.refused().is_some() { 0 } else { inner.shared.options.history_bytes };
    let mut need = Need::of(inner);
    if total(inner, &need).history <= most {
        return Ok(());
    }
    let end = Moment { lsn: timeline.durable_lsn(), time: inner.time_of(timeline.durable_lsn())? };
    let mut floors: Vec<Moment> = inner.files.timed().iter().map(|file| file.last()).collect();
    floors.push(end);
    floors.sort_unstable();
    let fits = floors.partition_point(|floor| {
        need.needed.floor = floor.lsn;
        total(inner, &need).history > most
    });
    raise_to(engine, timeline, floors.get(fits).copied().unwrap_or(end))
}

/// Raises the floor to `wanted`, if it is below: durable when this returns.
pub(crate) fn raise_to(engine: &Engine, timeline: &Timeline, wanted: Moment) -> Result<()> {
    let inner = &timeline.0;
    let wanted = Moment { lsn: wanted.lsn.min(timeline.durable_lsn()), ..wanted };
    if wanted.lsn <= inner.history.floor() {
        return Ok(());
    }
    let floor = inner.history.plan(wanted);
    let fact = Floor { timeline: timeline.id(), at: floor };
    // Somebody else may have planned more meanwhile, and come first.
    let raise = move |txn: &mut Txn<'_>| {
        if txn.get::<Floor>(&fact.timeline).is_none_or(|known| known.at < fact.at) {
            txn.put(fact);
        }
    };
    inner.shared.disk.fail_point("floor.planned")?;
    wait(|done| engine.system().transact(raise, done))?;
    inner.shared.disk.fail_point("floor.after_fact")?;
    inner.history.settle(floor.lsn);
    Ok(())
}

fn drop_files(inner: &Inner, files: &[File]) -> Result<()> {
    if files.is_empty() {
        return Ok(());
    }
    let inputs: Vec<FileRef> = files.iter().map(|file| file.name()).collect();
    inner.shared.disk.fail_point("collect.before_edit")?;
    inner.edit(&Edit::Swap { job: 0, outputs: Vec::new(), inputs })?;
    inner.shared.disk.fail_point("collect.after_edit")?;
    for file in files {
        inner.files.remove(file.name());
        hide_stretches(inner, file);
    }
    files.iter().map(|file| unlink(inner, file)).fold(Ok(()), Result::and)
}

/// Partitions stop looking into a file.
pub(super) fn hide_stretches(inner: &Inner, file: &File) {
    for record in file.stretches() {
        if let Some(partition) = inner.tables.get_any(record.partition) {
            partition.pieces().drop_stretches(|name| name == file.name());
        }
    }
}

/// Takes the name of a file that no edit names any more.
pub(super) fn unlink(inner: &Inner, file: &File) -> Result<()> {
    for path in file.paths() {
        if inner.shared.disk.exists(path)? {
            inner.shared.disk.remove(path)?;
        }
    }
    inner.shared.disk.fail_point("collect.after_unlink")?;
    if let Some(dir) = file.paths().first().and_then(|path| path.parent()) {
        inner.shared.disk.sync_dir(dir)?; // the manifest may forget a file when its name cannot come back
    }
    inner.shared.stats.removed_bytes.add(file.bytes());
    lock(&inner.manifest).unlinked(file.name());
    Ok(())
}

fn thin_state_ats(inner: &Inner, need: &Need<'_>) -> Result<()> {
    for lsn in need.spare_state_ats() {
        inner.edit(&Edit::StateAt { lsn, added: false })?;
        inner.shared.disk.fail_point("collect.after_state_at_edit")?;
        let path = lock(&inner.manifest).dir().state_at(lsn);
        if inner.shared.disk.exists(&path)? {
            inner.shared.disk.remove(&path)?;
        }
        // The manifest may forget a file when its name cannot come back.
        inner.shared.disk.sync_dir(&lock(&inner.manifest).dir().states_at())?;
        lock(&inner.manifest).unlinked(FileRef::StateAt(lsn));
    }
    Ok(())
}

/// Partitions of deleted topics that no view sees any more, and log starts that no view asks for.
fn forget_partitions(inner: &Inner, need: &Need<'_>) {
    inner.tables.retired.retain(|_, partition| {
        let pieces = partition.pieces();
        let has_files = !pieces.sealed.is_empty() || !pieces.tail.is_empty() || !pieces.compacted.is_empty();
        drop(pieces);
        has_files || need.needed.sees(Lsn::ZERO, partition.gone_at()) || need.is_inherited(partition)
    });
    let oldest = need.needed.pins.first().copied().unwrap_or(Lsn::MAX).min(need.needed.floor);
    let oldest_view = need.oldest_view();
    for partition in inner.tables.all_opened() {
        let mut pieces = partition.pieces();
        // The last move at or below the oldest view says where that view begins.
        let before = pieces.log_starts.partition_point(|moved| moved.lsn <= oldest);
        pieces.log_starts.drain(..before.saturating_sub(1));
        let before = pieces.compactions.partition_point(|made| made.lsn <= oldest_view);
        pieces.compactions.drain(..before.saturating_sub(1));
    }
}
