//! Directories: the names that the process sees, those that the disk has, and the changes between.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::seed::Seed;
use super::state::Inode;
use crate::disk::Entry;

/// A change of names that is not on the disk yet.
#[derive(Clone, Debug)]
enum Change {
    Link(PathBuf, Inode),
    Unlink(PathBuf),
    /// One step, in whichever of the two directories is synced first.
    Rename(PathBuf, PathBuf, Inode),
    RemoveDir(PathBuf),
}

impl Change {
    fn paths(&self) -> Vec<&Path> {
        match self {
            Self::Link(path, _) | Self::Unlink(path) | Self::RemoveDir(path) => vec![path],
            Self::Rename(from, to, _) => vec![from, to],
        }
    }

    /// Whether it is about one of these names, or about a directory above or below it.
    fn touches(&self, names: &BTreeSet<PathBuf>) -> bool {
        let paths = self.paths();
        names.iter().any(|name| paths.iter().any(|path| path.starts_with(name) || name.starts_with(path)))
    }

    fn is_in(&self, dir: &Path) -> bool {
        self.paths().into_iter().any(|path| path.parent() == Some(dir))
    }
}

type Files = BTreeMap<PathBuf, Inode>;

/// Names and directories.
#[derive(Debug, Default)]
pub(super) struct Names {
    files: Files,
    durable: Files,
    dirs: BTreeSet<PathBuf>,
    pending: Vec<Change>,
}

impl Names {
    pub(super) fn files(&self) -> impl Iterator<Item = &Path> {
        self.files.keys().map(PathBuf::as_path)
    }

    pub(super) fn get(&self, path: &Path) -> Option<Inode> {
        self.files.get(path).copied()
    }

    /// Every file that a name leads to, now or after a loss of power.
    pub(super) fn inodes(&self) -> BTreeSet<Inode> {
        self.files.values().chain(self.durable.values()).copied().collect()
    }

    pub(super) fn links(&self, inode: Inode) -> u64 {
        self.files.values().filter(|of| **of == inode).count() as u64
    }

    pub(super) fn is_dir(&self, path: &Path) -> bool {
        path.as_os_str().is_empty() || self.dirs.contains(path)
    }

    pub(super) fn list(&self, dir: &Path) -> Option<Vec<Entry>> {
        if !self.is_dir(dir) {
            return None;
        }
        let name = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let inside = |path: &&PathBuf| path.parent() == Some(dir) && !path.as_os_str().is_empty();
        let files = self.files.keys().filter(inside).map(|path| Entry { name: name(path), is_dir: false });
        let dirs = self.dirs.iter().filter(inside).map(|path| Entry { name: name(path), is_dir: true });
        let mut entries: Vec<Entry> = files.chain(dirs).collect();
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        Some(entries)
    }

    pub(super) fn create_dir_all(&mut self, dir: &Path) {
        self.dirs.extend(dir.ancestors().filter(|path| !path.as_os_str().is_empty()).map(Path::to_path_buf));
    }

    pub(super) fn link(&mut self, path: &Path, inode: Inode) {
        self.change(Change::Link(path.to_path_buf(), inode));
    }

    pub(super) fn unlink(&mut self, path: &Path) -> bool {
        let is_there = self.files.contains_key(path);
        if is_there {
            self.change(Change::Unlink(path.to_path_buf()));
        }
        is_there
    }

    pub(super) fn rename(&mut self, from: &Path, to: &Path) -> bool {
        let Some(inode) = self.get(from) else { return false };
        self.change(Change::Rename(from.to_path_buf(), to.to_path_buf(), inode));
        true
    }

    pub(super) fn remove_dir_all(&mut self, dir: &Path) {
        self.change(Change::RemoveDir(dir.to_path_buf()));
        self.dirs.retain(|path| !path.starts_with(dir));
    }

    /// Puts a name in place, durably.
    pub(super) fn plant(&mut self, path: &Path, inode: Inode) {
        self.files.insert(path.to_path_buf(), inode);
        self.durable.insert(path.to_path_buf(), inode);
    }

    fn change(&mut self, change: Change) {
        apply(&mut self.files, &change);
        self.pending.push(change);
    }

    /// The changes in a directory reach the disk.
    pub(super) fn sync(&mut self, dir: &Path) {
        self.flush(|_, change| change.is_in(dir));
    }

    /// Any part of the changes reaches the disk: the first ones (a journal), or some.
    pub(super) fn lose_power(&mut self, seed: &mut Seed) {
        let first = seed.index(self.pending.len() + 1);
        if seed.coin() {
            self.flush(|index, _| index < first);
        } else {
            self.flush(|_, _| seed.coin());
        }
        self.pending.clear();
        self.files.clone_from(&self.durable);
        let dirs: Vec<PathBuf> = self.files.keys().filter_map(|path| path.parent().map(Path::to_path_buf)).collect();
        for dir in &dirs {
            self.create_dir_all(dir);
        }
    }

    /// Applies the changes that are picked, and those before them that touch the same names.
    fn flush(&mut self, mut picks: impl FnMut(usize, &Change) -> bool) {
        let mut paths: BTreeSet<PathBuf> = BTreeSet::new();
        let mut picked = vec![false; self.pending.len()];
        for (index, change) in self.pending.iter().enumerate().rev() {
            if picks(index, change) || change.touches(&paths) {
                picked[index] = true;
                paths.extend(change.paths().into_iter().map(Path::to_path_buf));
            }
        }
        for (change, picked) in std::mem::take(&mut self.pending).into_iter().zip(picked) {
            if picked {
                apply(&mut self.durable, &change);
            } else {
                self.pending.push(change);
            }
        }
    }
}

fn apply(files: &mut Files, change: &Change) {
    match change {
        Change::Link(path, inode) => drop(files.insert(path.clone(), *inode)),
        Change::Unlink(path) => drop(files.remove(path)),
        Change::Rename(from, to, inode) => {
            files.remove(from);
            files.insert(to.clone(), *inode);
        }
        Change::RemoveDir(dir) => files.retain(|path, _| !path.starts_with(dir)),
    }
}
