//! A log file that is not sealed: its handle, the groups in it and the partitions that have batches in it.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use super::partition::{Partition, lock};
use crate::disk::File;
use crate::segment::Verified;
use crate::units::Lsn;

/// Where a group begins, and when it was written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct GroupMark {
    /// Its number.
    pub lsn: Lsn,
    /// Its time.
    pub time: i64,
    /// Position of its header.
    pub position: u32,
}

/// One log file, active or waiting to be sealed.
pub struct LogFile {
    /// The LSN that it was opened for, which names it.
    pub first_lsn: Lsn,
    /// Its handle.
    pub file: Arc<dyn File>,
    bytes: AtomicU64,
    groups: Mutex<Vec<GroupMark>>,
    touched: Mutex<Vec<Arc<Partition>>>,
    /// Which of its batches were found sound when they were read.
    pub(crate) verified: Arc<Verified>,
}

impl fmt::Debug for LogFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "log {} ({} bytes)", self.first_lsn, self.bytes())
    }
}

impl LogFile {
    /// A file that holds `bytes`, header included.
    pub fn new(first_lsn: Lsn, file: Arc<dyn File>, bytes: u64) -> Arc<Self> {
        let bytes = AtomicU64::new(bytes);
        let (groups, touched, verified) = Default::default();
        Arc::new(Self { first_lsn, file, bytes, groups, touched, verified })
    }

    /// Bytes written, header included.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Acquire)
    }

    /// The groups in it, in order.
    pub fn groups(&self) -> MutexGuard<'_, Vec<GroupMark>> {
        lock(&self.groups)
    }

    /// The last group in it.
    pub fn last_group(&self) -> Option<GroupMark> {
        self.groups().last().copied()
    }

    /// The position behind the last group at or below `lsn`: what lies before it belongs to the view at `lsn`.
    pub fn position_after(&self, lsn: Lsn) -> u64 {
        let groups = self.groups();
        let next = groups.partition_point(|group| group.lsn <= lsn);
        groups.get(next).map_or(u64::MAX, |group| u64::from(group.position))
    }

    /// The last group at or before a time, and not above `newest`. (The time of groups never falls.)
    pub fn group_at(&self, time: i64, newest: Lsn) -> Option<GroupMark> {
        let groups = self.groups();
        let after = groups.partition_point(|group| group.time <= time && group.lsn <= newest);
        after.checked_sub(1).map(|at| groups[at])
    }

    /// The time of the last group at or below an LSN.
    pub fn time_of(&self, lsn: Lsn) -> Option<i64> {
        let groups = self.groups();
        let after = groups.partition_point(|group| group.lsn <= lsn);
        after.checked_sub(1).map(|at| groups[at].time)
    }

    /// The group that holds the frame at `position`.
    pub fn group_of(&self, position: u64) -> Option<GroupMark> {
        let groups = self.groups();
        let next = groups.partition_point(|group| u64::from(group.position) <= position);
        next.checked_sub(1).map(|at| groups[at])
    }

    /// Notes a group that was written and the new end of the file.
    pub(crate) fn push_group(&self, mark: GroupMark, end: u64) {
        self.groups().push(mark);
        self.bytes.store(end, Ordering::Release);
    }

    /// Notes that a partition has its first batch here.
    pub(crate) fn touch(&self, partition: &Arc<Partition>) {
        lock(&self.touched).push(Arc::clone(partition));
    }

    /// The partitions with batches here.
    pub fn touched(&self) -> Vec<Arc<Partition>> {
        lock(&self.touched).clone()
    }
}
