//! Which segments are worth merging: neighbours of one class that are small.
//!
//! Small is what is smaller than a log file: what is left of collected files, one output of a sort among those of many classes, log files that were ended by
//! their age. Copies are bounded: at least four go together, none of which is larger than the others in all, so that whatever is copied is at least doubled.
//!
//! Invariant: between the batches that a partition has in the inputs it has none in another file; else the output would not have a place among the others.

use std::collections::{BTreeMap, BTreeSet};

use super::files::File;
use super::sort::{expires_soon, fits};
use super::stretch::Stretch;
use crate::manifest::FileRef;
use crate::timeline::{Inner, lock};
use crate::units::{Lsn, TopicPartition};

/// So many segments are merged at least.
const SEGMENTS: usize = 4;

/// Segments to merge, by their first groups; none if it does not pay yet.
pub(super) fn to_merge(inner: &Inner) -> Vec<File> {
    let all = inner.files.all();
    let unread = unread(inner, &all);
    let mut classes: BTreeMap<u8, Vec<File>> = BTreeMap::new();
    {
        let manifest = lock(&inner.manifest);
        for file in all {
            let FileRef::Segment(id) = file.name() else { continue };
            let Some(segment) = manifest.files().segments.get(&id) else { continue };
            classes.entry(segment.class).or_default().push(file);
        }
    }
    for files in classes.values_mut() {
        files.sort_by_key(|file| file.first_lsn());
        for run in files.split(|file| !is_small(inner, file)) {
            if let Some(some) = worth_it(inner, run, &unread) {
                return some.to_vec();
            }
        }
    }
    Vec::new()
}

fn is_small(inner: &Inner, file: &File) -> bool {
    file.bytes() < inner.shared.options.log_file_bytes
        && !inner.files.is_spoiled(file.name())
        && !expires_soon(inner, file)
}

/// The first and longest part of a run that pays.
fn worth_it<'a>(inner: &Inner, run: &'a [File], unread: &[(Lsn, Lsn)]) -> Option<&'a [File]> {
    (0..run.len()).find_map(|from| {
        let lengths = (SEGMENTS..=run.len() - from).rev();
        let parts = lengths.map(|length| &run[from..from + length]);
        parts.into_iter().find(|part| pays(part) && fits(part) && are_neighbours(inner, part, unread))
    })
}

fn pays(files: &[File]) -> bool {
    let largest = files.iter().map(|file| file.bytes()).max().unwrap_or(0);
    let all: u64 = files.iter().map(|file| file.bytes()).sum();
    largest <= all - largest
}

/// Whether no other file has batches of their partitions between theirs, nor two of them what compactions left of one. (What a file that cannot be read has is not known.)
fn are_neighbours(inner: &Inner, files: &[File], unread: &[(Lsn, Lsn)]) -> bool {
    let first = files.iter().map(|file| file.first_lsn()).min().unwrap_or(Lsn::MAX);
    let last = files.iter().map(|file| file.last_lsn()).max().unwrap_or(Lsn::ZERO);
    if unread.iter().any(|(from, to)| *from <= last && *to >= first) {
        return false;
    }
    // A compaction may have left several files of one partition, and another one more: a file holds one stretch of each.
    let mut compacted = BTreeSet::new();
    let stretches = files.iter().flat_map(|file| file.stretches()).filter(|stretch| stretch.generation > 0);
    if !stretches.map(|stretch| stretch.partition).all(|partition| compacted.insert(partition)) {
        return false;
    }
    let names: BTreeSet<FileRef> = files.iter().map(|file| file.name()).collect();
    let partitions: BTreeSet<TopicPartition> =
        files.iter().flat_map(|file| file.stretches()).map(|stretch| stretch.partition).collect();
    partitions.into_iter().filter_map(|id| inner.tables.get_any(id)).all(|partition| {
        let pieces = partition.pieces();
        let of_these = |stretch: &Stretch| names.contains(&stretch.sealed.name());
        pieces.sealed.chunk_by(|a, b| of_these(a) == of_these(b)).filter(|run| of_these(&run[0])).count() <= 1
    })
}

/// The groups of sealed files that the manifest names and that could not be opened.
fn unread(inner: &Inner, open: &[File]) -> Vec<(Lsn, Lsn)> {
    let open: BTreeSet<FileRef> = open.iter().map(|file| file.name()).collect();
    let manifest = lock(&inner.manifest);
    let files = manifest.files();
    let segments = files.segments.values().map(|s| (FileRef::Segment(s.id), s.first, s.last));
    let sealed = files.logs.iter().filter_map(|log| Some((log.first, log.end.filter(|end| end.sealed)?.last)));
    let sealed = sealed.map(|(first, last)| (FileRef::Log(first), first, last));
    let unread = segments.chain(sealed).filter(|(name, ..)| !open.contains(name));
    unread.map(|(_, first, last)| (first, last)).collect()
}
