//! Collection: raises the history floor, then lets files go that nothing needs.
//!
//! Order, each step durable before the next: the floor is planned (pins below it are refused from here on), its fact is written to `system`, the pins are read, one edit takes
//! files out of the manifest, and only then are they unlinked. A reader that has a file open goes on reading it.

use crate::engine::{Engine, wait};
use crate::error::Result;
use crate::manifest::{Edit, FileRef};
use crate::state::{Change, Fact, Floor};
use crate::timeline::{Inner, Timeline, lock};
use crate::units::Lsn;

use super::files::File;
use super::need::{Need, Shares};

/// One collection of a timeline. Returns what its sealed files hold, by who needs it.
pub(crate) fn collect(engine: &Engine, timeline: &Timeline) -> Result<Shares> {
    let inner = &timeline.0;
    raise_floor(engine, timeline)?;
    let need = need_of(inner);
    let mut total = Shares::default();
    let mut unneeded = Vec::new();
    for file in inner.files.all() {
        let shares = file.shares(&need);
        if shares.live == 0 && shares.history == 0 && is_spare(&file, &need) {
            unneeded.push(file);
        } else {
            total += shares;
        }
    }
    drop_files(inner, &unneeded)?;
    thin_state_ats(inner, &need)?;
    forget_partitions(inner, &need);
    Ok(total)
}

fn need_of(inner: &Inner) -> Need<'_> {
    let state_ats = lock(&inner.manifest).files().state_ats.clone();
    Need { tables: &inner.tables, needed: inner.history.needed(), state_ats }
}

/// What a file alone says of ends and epochs must be in a state-at; and a start reads from the newest one on, so that the file is not its tail.
fn is_spare(file: &File, need: &Need<'_>) -> bool {
    let newest = need.state_ats.last().copied().unwrap_or(Lsn::ZERO);
    file.last_lsn() < newest && need.is_folded(file.first_lsn(), file.last_lsn())
}

/// Raises the floor to the newest group that is older than the history that is kept.
fn raise_floor(engine: &Engine, timeline: &Timeline) -> Result<()> {
    let inner = &timeline.0;
    let oldest = inner.shared.now().saturating_sub(inner.shared.options.history_ms);
    let sealed = inner.files.all().into_iter().filter(|file| file.last_time() <= oldest).map(|file| file.last_lsn());
    let wanted = inner.unsealed_group_at(oldest).or_else(|| sealed.max()).unwrap_or(Lsn::ZERO);
    let wanted = wanted.min(timeline.durable_lsn());
    if wanted <= inner.history.floor() {
        return Ok(());
    }
    let floor = inner.history.plan(wanted);
    let fact = Fact::Floor(Change::Put(Floor { timeline: timeline.id(), lsn: floor }));
    wait(|done| engine.system().transact(move |txn| txn.put(fact), done))?;
    inner.history.settle(floor);
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
        unlink(inner, file)?;
    }
    Ok(())
}

/// Partitions stop looking into a file.
pub(super) fn hide_stretches(inner: &Inner, file: &File) {
    for record in file.stretches() {
        if let Some(partition) = inner.tables.get_any(record.partition) {
            partition.pieces().sealed.retain(|stretch| stretch.sealed.name() != file.name());
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
        let has_files = !partition.pieces().sealed.is_empty() || !partition.pieces().tail.is_empty();
        has_files || need.needed.sees(Lsn::ZERO, partition.gone_at())
    });
    let oldest = need.needed.pins.first().copied().unwrap_or(Lsn::MAX).min(need.needed.floor);
    for partition in inner.tables.all() {
        let mut pieces = partition.pieces();
        // The last move at or below the oldest view says where that view begins.
        let before = pieces.log_starts.partition_point(|moved| moved.lsn <= oldest);
        pieces.log_starts.drain(..before.saturating_sub(1));
    }
}
