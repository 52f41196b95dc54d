//! The disk behind the lock: names, files, faults.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::faults::{Fault, Faults, Op};
use super::names::Names;
use super::node::Node;
use super::seed::Seed;
use super::{dead, io};
use crate::error::{Error, Result};

pub(super) type Inode = u64;

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) names: Names,
    nodes: BTreeMap<Inode, Node>,
    next_inode: Inode,
    pub(super) faults: Faults,
    pub(super) budget: Option<u64>,
    pub(super) locks: BTreeSet<PathBuf>,
    /// The process that is alive.
    pub(super) process: u64,
}

pub(super) fn full(path: &Path) -> Error {
    Error::Full(format!("{}: no space left on device", path.display()))
}

impl State {
    /// Starts an operation: whether it is to be done. An error if it fails.
    pub(super) fn begin(&mut self, op: Op, path: &Path) -> Result<bool> {
        match self.faults.next(op) {
            None if self.faults.is_broken(path) => self.suffer(Fault::Error, path),
            None => Ok(true),
            Some(fault) => self.suffer(fault, path),
        }
    }

    /// Starts a write of so many bytes: how many are to be written.
    pub(super) fn begin_write(&mut self, bytes: usize, path: &Path) -> Result<usize> {
        match self.faults.next(Op::Write) {
            None if self.faults.is_broken(path) => Err(io(path, "input/output error")),
            None => Ok(bytes),
            Some(Fault::Torn) => Ok(bytes / 2),
            Some(fault) => Ok(if self.suffer(fault, path)? { bytes } else { 0 }),
        }
    }

    fn suffer(&mut self, fault: Fault, path: &Path) -> Result<bool> {
        match fault {
            Fault::Lost => Ok(false),
            Fault::Full => Err(full(path)),
            Fault::Error | Fault::Torn => Err(io(path, "input/output error")),
            Fault::Die => {
                self.end_process();
                Err(dead(path))
            }
            Fault::DieAfter => {
                self.faults.dies_after = true;
                Ok(true)
            }
        }
    }

    /// Ends an operation that was done.
    pub(super) fn end(&mut self, path: &Path) -> Result<()> {
        if std::mem::take(&mut self.faults.dies_after) {
            self.end_process();
            return Err(dead(path));
        }
        Ok(())
    }

    pub(super) fn end_process(&mut self) {
        self.process += 1;
        self.locks.clear();
        self.faults.calm();
    }

    pub(super) fn lose_power(&mut self, seed: &mut Seed) {
        self.names.lose_power(seed);
        let named = self.names.inodes();
        self.nodes.retain(|inode, _| named.contains(inode));
        for node in self.nodes.values_mut() {
            node.lose_power(seed);
        }
    }

    pub(super) fn node(&mut self, path: &Path) -> Option<&mut Node> {
        let inode = self.names.get(path)?;
        self.nodes.get_mut(&inode)
    }

    pub(super) fn by_inode(&mut self, inode: Inode) -> &mut Node {
        self.nodes.entry(inode).or_default()
    }

    /// Bytes of the files that have names.
    pub(super) fn used(&self) -> u64 {
        let inodes: BTreeSet<Inode> = self.names.files().filter_map(|path| self.names.get(path)).collect();
        inodes.iter().filter_map(|inode| self.nodes.get(inode)).map(|node| node.cache.len() as u64).sum()
    }

    pub(super) fn create(&mut self, path: &Path) -> Result<()> {
        if self.names.get(path).is_some() || self.names.is_dir(path) {
            return Err(io(path, "file exists"));
        }
        if !path.parent().is_some_and(|dir| self.names.is_dir(dir)) {
            return Err(io(path, "no such directory"));
        }
        if self.budget.is_some_and(|budget| self.used() >= budget) {
            return Err(full(path));
        }
        let inode = self.new_inode(Node::default());
        self.names.link(path, inode);
        Ok(())
    }

    pub(super) fn plant(&mut self, path: &Path, bytes: &[u8]) {
        if let Some(dir) = path.parent() {
            self.names.create_dir_all(dir);
        }
        let inode = self.new_inode(Node::durable(bytes));
        self.names.plant(path, inode);
    }

    fn new_inode(&mut self, node: Node) -> Inode {
        self.next_inode += 1;
        self.nodes.insert(self.next_inode, node);
        self.next_inode
    }

    /// Writes, as far as there is room.
    pub(super) fn write(&mut self, inode: Inode, path: &Path, bytes: &[u8], position: u64) -> Result<()> {
        let position = usize::try_from(position).map_err(|_| io(path, "file too large"))?;
        let grows = (position + bytes.len()).saturating_sub(self.by_inode(inode).cache.len());
        let room = self.budget.map_or(u64::MAX, |budget| budget.saturating_sub(self.used()));
        let lacking = (grows as u64).saturating_sub(room);
        let kept = bytes.len() - usize::try_from(lacking).map_or(bytes.len(), |lacking| lacking.min(bytes.len()));
        self.by_inode(inode).write(&bytes[..kept], position);
        if kept < bytes.len() { Err(full(path)) } else { Ok(()) }
    }
}
