//! Which sealed files are worth rewriting: log files whose runs are short, several together, and files that are mostly dead.
//!
//! Sorting doubles what is written, so it is lazy: not before four neighbouring log files (or 1 GiB of them) wait for it, not when reads find long runs
//! as it is, and not when all of it expires within the hour. Copies are bounded: a file is collected when less than half of it is needed (three quarters
//! on a nearly full disk).

use super::files::File;
use super::index::StretchRecord;
use super::need::{By, Need};
use crate::error::Result;
use crate::frame::HEADER_BYTES;
use crate::manifest::FileRef;
use crate::timeline::Inner;
use crate::units::Lsn;

/// So many log files are sorted together, or so many bytes.
const LOGS: usize = 4;
const BYTES: u64 = 1 << 30;
/// The most batches of a job: their headers and entries are in memory while it runs.
const BATCHES_MAX: u64 = 512 << 10;
/// A run of this length reads as well as a sorted one.
const RUN_BYTES: u64 = 64 << 10;
/// What expires within this is left to expire.
const SOON_MS: i64 = 3_600_000;

/// Log files to sort together, by their first groups; none if it does not pay yet.
pub(super) fn to_sort(inner: &Inner, base: Lsn) -> Vec<File> {
    let mut files = inner.files.all();
    files.retain(|file| !file.is_compacted());
    files.sort_by_key(|file| file.first_lsn());
    let mut run: Vec<File> = Vec::new();
    let mut reach = Lsn::ZERO;
    for file in files {
        let apart = file.first_lsn() > reach;
        reach = reach.max(file.last_lsn());
        if !apart {
            // It lies among the groups of the one before: what is on both sides of it is not a neighbour.
            run.clear();
            continue;
        }
        let together: Vec<File> = run.iter().chain([&file]).cloned().collect();
        if !fits(&together) || !is_unsorted(inner, &file, base) {
            if pays(&run) {
                return run;
            }
            run.clear();
        }
        if is_unsorted(inner, &file, base) {
            run.push(file);
        }
    }
    if pays(&run) { run } else { Vec::new() }
}

fn pays(run: &[File]) -> bool {
    run.len() >= LOGS || run.iter().map(|file| file.bytes()).sum::<u64>() >= BYTES
}

/// Whether files are not too much for one job. (One alone never is.)
pub(super) fn fits(files: &[File]) -> bool {
    let batches: u64 = files.iter().flat_map(|file| file.stretches()).map(StretchRecord::entries).sum();
    let bytes: u64 = files.iter().map(|file| file.bytes()).sum();
    files.len() <= 1 || (batches <= BATCHES_MAX && bytes <= BYTES + BYTES / 2)
}

/// A log file that reads would gain from being sorted.
fn is_unsorted(inner: &Inner, file: &File, base: Lsn) -> bool {
    let is_log = matches!(file.name(), FileRef::Log(_));
    is_log
        && file.last_lsn() < base
        && !expires_soon(inner, file)
        && is_so(inner, file, || inner.files.has_short_runs(file, short_runs))
}

/// Whether a file is such that it should be rewritten. One of which that cannot be read is not.
fn is_so(inner: &Inner, file: &File, look: impl FnOnce() -> Result<bool>) -> bool {
    let spoil = |error| {
        inner.files.spoil(file.name(), &error);
        false
    };
    !inner.files.is_spoiled(file.name()) && look().unwrap_or_else(spoil)
}

/// Whether all records of a file are past their time within the hour.
pub(super) fn expires_soon(inner: &Inner, file: &File) -> bool {
    let soon = inner.shared.now().saturating_add(SOON_MS);
    let users = file.stretches().iter().filter(|stretch| !stretch.partition.topic.is_internal());
    users.into_iter().all(|stretch| {
        let state = inner.tables.read_state();
        let Some(topic) = state.topic_by_number(stretch.partition.topic) else { return true };
        let most = inner.tables.policy(&state, topic).retention_ms;
        most.is_some_and(|most| stretch.max_timestamp >= 0 && stretch.max_timestamp.saturating_add(most) < soon)
    })
}

/// Whether less than nine tenths of a file's bytes lie in long runs.
fn short_runs(file: &File) -> Result<bool> {
    let (mut total, mut long) = (0, 0);
    for stretch in file.stretches() {
        let (mut run, mut end) = (0, 0);
        for record in file.records(stretch.partition)? {
            // Between neighbours lie padding, a frame header and perhaps a group header.
            let between = u64::from(record.position).saturating_sub(end);
            if between > 3 * HEADER_BYTES as u64 {
                long += if run >= RUN_BYTES { run } else { 0 };
                run = 0;
            }
            run += u64::from(record.bytes);
            end = u64::from(record.position) + u64::from(record.bytes);
        }
        long += if run >= RUN_BYTES { run } else { 0 };
        total += stretch.bytes;
    }
    Ok(long < total / 10 * 9)
}

/// Whether so little of a file is needed that copying that frees more than it costs.
pub(super) fn is_mostly_dead(inner: &Inner, file: &File, need: &Need<'_>, is_nearly_full: bool) -> bool {
    is_so(inner, file, || needs_little(file, need, is_nearly_full))
}

fn needs_little(file: &File, need: &Need<'_>, is_nearly_full: bool) -> Result<bool> {
    let total: u64 = file.stretches().iter().map(|stretch| stretch.bytes).sum();
    let most = if is_nearly_full { total / 4 * 3 } else { total / 2 };
    let mut needed = 0;
    for stretch in file.stretches() {
        needed += needed_bytes(file, stretch, need)?;
        if needed >= most {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Bytes of the batches of a stretch that something needs. The index is read only where the stretch is not needed as a whole.
fn needed_bytes(file: &File, stretch: &StretchRecord, need: &Need<'_>) -> Result<u64> {
    if need.by(&stretch.lying()) == By::Nobody {
        return Ok(0);
    }
    if need.is_whole(stretch) {
        return Ok(stretch.bytes);
    }
    let records = file.records(stretch.partition)?;
    let ends = records.iter().skip(1).map(|next| next.base_offset).chain([stretch.end_offset]);
    let needed =
        records.iter().zip(ends).filter(|(record, end)| need.by(&stretch.lying_in(record, *end)) != By::Nobody);
    Ok(needed.map(|(record, _)| u64::from(record.bytes)).sum())
}
