//! From written to visible: syncs, and the effects of groups in the order of their LSNs.
//!
//! Invariants: `visible_lsn <= written_lsn`; with durability `fsync` also `visible_lsn <= durable_lsn`. One sync per timeline is under way; the next
//! covers all that was written meanwhile. Effects are applied under one turn, so that readers see groups whole and in order.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::Inner;
use super::group::Group;
use super::log_file::LogFile;
use super::partition::{Partition, lock};
use super::writer::Answer;
use crate::disk::File;
use crate::error::{Error, Result};
use crate::state::{Durability, Fact};
use crate::units::Lsn;

/// What a group brings about once clients may see it.
pub(super) struct Effects {
    pub lsn: Lsn,
    pub time: i64,
    /// New ends, in the order of the frames.
    pub ends: Vec<(Arc<Partition>, i64)>,
    pub facts: Vec<Fact>,
    pub answers: Vec<Answer>,
}

/// What the next sync has to cover.
pub(super) struct SyncTarget {
    /// The active log file; none where the log is damaged.
    pub file: Option<Arc<dyn File>>,
    pub lsn: Lsn,
    pub running: bool,
}

impl Inner {
    /// A group is in the file: queues its effects, and makes it visible or has it synced.
    pub(super) fn written(self: &Arc<Self>, effects: Effects, active: &Arc<LogFile>, bytes: u64, vouched: Lsn) {
        let lsn = effects.lsn;
        lock(&self.unseen).push_back(effects);
        self.written_lsn.store(lsn.0, Ordering::Release);
        self.shared.stats.log_bytes.add(bytes);
        self.shared.stats.log_groups.add(1);
        self.vouched_lsn.fetch_max(vouched.0, Ordering::AcqRel);
        self.unsaved_bytes.fetch_add(bytes, Ordering::Relaxed);
        self.set_sync_target(active, lsn);
        match self.durability() {
            Durability::PageCache => self.publish(lsn),
            Durability::Fsync => self.start_sync(),
        }
        if self.shared.has_failed() {
            self.abandon(&Error::Closed);
        } else if let Some(why) = self.damage.get() {
            self.abandon(&Error::ReadOnly { timeline: self.id.0, why: why.clone() });
        }
    }

    /// Nothing becomes visible any more: who waits for it is told, rather than left waiting until the process has ended.
    fn abandon(&self, error: &Error) {
        let turn = lock(&self.publishing);
        let abandoned = std::mem::take(&mut *lock(&self.unseen));
        drop(turn);
        for answer in abandoned.into_iter().flat_map(|effects| effects.answers) {
            answer.fail(error);
        }
    }

    /// A group that came to nothing: who waits for visibility waits for that of the last group written.
    pub(super) fn settle(&self, group: Group) {
        for answer in group.on_written {
            answer.succeed();
        }
        if group.on_visible.is_empty() {
            return;
        }
        let mut unseen = lock(&self.unseen);
        if let Some(last) = unseen.back_mut() {
            last.answers.extend(group.on_visible);
            return;
        }
        if self.shared.has_failed() {
            // What it was decided on may be among what was abandoned.
            drop(unseen);
            return group.on_visible.into_iter().for_each(|answer| answer.fail(&Error::Closed));
        }
        drop(unseen);
        // Nothing is unseen; but what was taken off the queue a moment ago may still be on its way to the state.
        drop(lock(&self.publishing));
        for answer in group.on_visible {
            answer.succeed();
        }
    }

    pub(super) fn set_sync_target(&self, active: &Arc<LogFile>, lsn: Lsn) {
        let mut target = lock(&self.sync);
        target.file = Some(Arc::clone(&active.file));
        target.lsn = target.lsn.max(lsn);
    }

    /// Syncs go to another file from here on; what is in the one before is synced.
    pub(super) fn set_sync_file(&self, active: &Arc<LogFile>) {
        lock(&self.sync).file = Some(Arc::clone(&active.file));
    }

    /// Has what is written synced, unless that is under way.
    pub(super) fn start_sync(self: &Arc<Self>) {
        let mut target = lock(&self.sync);
        if target.running || self.durable_lsn() >= target.lsn {
            return;
        }
        target.running = true;
        drop(target);
        let timeline = Arc::clone(self);
        self.shared.sync_pool.run(move || timeline.sync_until_idle());
    }

    fn sync_until_idle(&self) {
        while let Some((file, lsn)) = self.next_sync() {
            if !self.sync_once(&file, lsn) {
                return;
            }
        }
        if self.shared.has_failed() {
            self.abandon(&Error::Closed);
        }
    }

    /// The active log file has no name any more: what was synced into it is found by no start, and nobody is told that it was kept. What is open is
    /// still read: that may be all that is left.
    fn lose(&self, file: &Arc<dyn File>) {
        let why = format!("{} was removed while it was written to", file.path().display());
        tracing::error!(timeline = %self.id, why, "the log is LOST: no more writes are taken; what is open can still be read");
        let error = Error::ReadOnly { timeline: self.id.0, why: why.clone() };
        // Found before: then it is said.
        let _first = self.damage.set(why);
        self.abandon(&error);
    }

    /// The engine cannot go on.
    pub(super) fn fail(&self, why: &str) {
        self.shared.fail(why);
        self.abandon(&Error::Closed);
    }

    /// What to sync next; with nothing left the turn ends.
    fn next_sync(&self) -> Option<(Arc<dyn File>, Lsn)> {
        let mut target = lock(&self.sync);
        let file = target.file.clone().filter(|_| self.durable_lsn() < target.lsn && !self.shared.has_failed());
        target.running = file.is_some();
        file.map(|file| (file, target.lsn))
    }

    /// Syncs all that is written now, on this thread.
    pub(crate) fn sync_now(&self) -> Result<()> {
        let (file, lsn) = {
            let target = lock(&self.sync);
            (target.file.clone(), target.lsn)
        };
        match file {
            Some(file) if self.durable_lsn() < lsn && !self.sync_once(&file, lsn) => Err(Error::Closed),
            _ => Ok(()),
        }
    }

    /// Parks the thread until an LSN that is written is durable.
    pub(crate) fn await_durable(&self, lsn: Lsn) -> Result<()> {
        if self.durable_lsn() >= lsn { Ok(()) } else { self.sync_now() }
    }

    fn sync_once(&self, file: &Arc<dyn File>, lsn: Lsn) -> bool {
        let started = std::time::Instant::now();
        if let Err(error) = file.sync_data() {
            self.fail(&format!("a sync failed: {error}"));
            return false;
        }
        self.shared.stats.syncs.observe(started.elapsed());
        if file.link_count().is_ok_and(|names| names == 0) {
            self.lose(file);
            return false;
        }
        self.synced(lsn);
        true
    }

    /// All up to `lsn` is on the disk.
    pub(super) fn synced(&self, lsn: Lsn) {
        self.durable_lsn.fetch_max(lsn.0, Ordering::AcqRel);
        if self.durability() == Durability::Fsync {
            self.publish(lsn);
        }
    }

    /// Makes all groups up to `lsn` visible, then answers and wakes those who waited.
    pub(super) fn publish(&self, lsn: Lsn) {
        let turn = lock(&self.publishing);
        let ready = self.take_unseen(lsn);
        let Some(last) = ready.back() else { return };
        let (last_lsn, last_time) = (last.lsn, last.time);
        for effects in &ready {
            self.apply(effects);
        }
        self.visible_lsn.store(last_lsn.0, Ordering::Release);
        self.visible_time.store(last_time, Ordering::Release);
        for effects in ready {
            for answer in effects.answers {
                answer.succeed();
            }
            for (partition, _) in &effects.ends {
                partition.wake_visible();
            }
        }
        drop(turn);
    }

    fn take_unseen(&self, lsn: Lsn) -> VecDeque<Effects> {
        let mut unseen = lock(&self.unseen);
        let ready = unseen.iter().take_while(|effects| effects.lsn <= lsn).count();
        let later = unseen.split_off(ready);
        std::mem::replace(&mut unseen, later)
    }

    fn apply(&self, effects: &Effects) {
        if !effects.facts.is_empty() {
            let mut state = self.tables.write_state();
            for fact in &effects.facts {
                self.tables.apply(&mut state, fact, effects.lsn);
            }
        }
        for (partition, end) in &effects.ends {
            partition.publish(*end);
        }
    }
}
