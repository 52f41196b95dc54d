//! What a volume holds, as plain values: copied whole for every view.

use std::collections::BTreeMap;

use millpond_storage::{Lsn, TimelineId};

/// One partition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct PlainPartition {
    pub(crate) log_start: i64,
    /// From offset 0 on.
    pub(crate) values: Vec<String>,
    /// Of the same records.
    pub(crate) timestamps: Vec<i64>,
}

/// One topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PlainTopic {
    pub(crate) number: u32,
    pub(crate) partitions: Vec<PlainPartition>,
}

/// All that a view shows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct PlainView {
    pub(crate) topics: BTreeMap<String, PlainTopic>,
    /// By group, topic and partition.
    pub(crate) positions: BTreeMap<(String, String, u32), i64>,
}

/// A volume: where it is now, and what it was at every group that a snapshot of the past may ask for.
#[derive(Clone, Debug)]
pub(crate) struct PlainVolume {
    pub(crate) timeline: TimelineId,
    pub(crate) now: PlainView,
    pub(crate) past: Vec<PlainMoment>,
}

/// What a volume was when a group had just been written.
#[derive(Clone, Debug)]
pub(crate) struct PlainMoment {
    pub(crate) lsn: Lsn,
    pub(crate) time: i64,
    pub(crate) view: PlainView,
}

/// A snapshot.
#[derive(Clone, Debug)]
pub(crate) struct PlainSnapshot {
    pub(crate) timeline: TimelineId,
    pub(crate) lsn: Lsn,
    pub(crate) view: PlainView,
}
