//! What shall go wrong, and when.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};

/// Kinds of operations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    /// Making a file.
    Create,
    /// Opening one.
    Open,
    /// Removing a file or a directory.
    Remove,
    /// Renaming.
    Rename,
    /// Writing to a file.
    Write,
    /// Reading from one.
    Read,
    /// Syncing a file.
    Sync,
    /// Syncing a directory, or making one.
    SyncDir,
    /// Changing a file's length.
    Truncate,
}

impl Op {
    /// Whether it changes the disk.
    pub(super) fn is_step(self) -> bool {
        !matches!(self, Self::Open | Self::Read)
    }

    fn is_sync(self) -> bool {
        matches!(self, Self::Sync | Self::SyncDir)
    }
}

/// What becomes of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It fails and does nothing. (A sync that fails leaves its pages unwritten and clean.)
    Error,
    /// It fails for want of space and does nothing.
    Full,
    /// It says that it succeeded and did nothing.
    Lost,
    /// A write does its first half and fails; others fail.
    Torn,
    /// The process dies before it.
    Die,
    /// The process dies after it.
    DieAfter,
}

/// What is called at fail points, once.
#[derive(Default)]
pub(super) struct Calls(pub(super) BTreeMap<&'static str, Box<dyn FnOnce() + Send>>);

impl fmt::Debug for Calls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// The plan.
#[derive(Debug, Default)]
pub(super) struct Faults {
    planned: Vec<(Op, u64, Fault)>,
    broken: Vec<PathBuf>,
    pub(super) die_at_step: Option<u64>,
    pub(super) die_at_sync: Option<u64>,
    pub(super) armed: BTreeSet<&'static str>,
    pub(super) calls: Calls,
    pub(super) reached: BTreeSet<&'static str>,
    pub(super) steps: u64,
    pub(super) syncs: u64,
    /// Dies when the operation under way has been done.
    pub(super) dies_after: bool,
}

impl Faults {
    pub(super) fn add(&mut self, op: Op, nth: u64, fault: Fault) {
        self.planned.push((op, nth, fault));
    }

    pub(super) fn break_below(&mut self, path: &Path) {
        self.broken.push(path.to_path_buf());
    }

    /// Whether nothing can be done with a file or directory.
    pub(super) fn is_broken(&self, path: &Path) -> bool {
        self.broken.iter().any(|broken| path.starts_with(broken))
    }

    pub(super) fn calm(&mut self) {
        self.planned.clear();
        self.broken.clear();
        self.armed.clear();
        self.calls.0.clear();
        (self.die_at_step, self.die_at_sync, self.dies_after) = (None, None, false);
    }

    /// Counts an operation and says what becomes of it.
    pub(super) fn next(&mut self, op: Op) -> Option<Fault> {
        if op.is_step() {
            self.steps += 1;
            if self.die_at_step == Some(self.steps) {
                return Some(Fault::Die);
            }
        }
        if op.is_sync() {
            self.syncs += 1;
            if self.die_at_sync == Some(self.syncs) {
                return Some(Fault::Die);
            }
        }
        let mut due = None;
        for (index, (of, left, fault)) in self.planned.iter_mut().enumerate().filter(|(_, (of, ..))| *of == op) {
            debug_assert_eq!(*of, op);
            match left.checked_sub(1) {
                Some(fewer) => *left = fewer,
                None => due = Some((index, *fault)),
            }
        }
        let (index, fault) = due?;
        self.planned.remove(index);
        Some(fault)
    }

    /// Whether the process dies at this fail point.
    pub(super) fn reach(&mut self, point: &'static str) -> bool {
        self.reached.insert(point);
        self.armed.remove(point)
    }
}
