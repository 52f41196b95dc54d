//! What partitions hold, as plain values: every record of every view, copied whole.

use std::collections::BTreeMap;
use std::fmt;

use millpond_storage::state::Compaction;
use millpond_storage::{Lsn, TimelineId};

/// The key, value and timestamp of a record that is appended.
pub(crate) type Written = (Option<Vec<u8>>, Option<Vec<u8>>, i64);

/// A record.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct PlainRecord {
    pub(crate) offset: i64,
    pub(crate) timestamp: i64,
    pub(crate) key: Option<Vec<u8>>,
    pub(crate) value: Option<Vec<u8>>,
}

/// Short, since a view that is not what it should be is shown whole.
impl fmt::Debug for PlainRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = self.key.as_deref().map(String::from_utf8_lossy);
        let value = self.value.as_ref().map(Vec::len);
        write!(f, "{}@{} {key:?}={value:?}", self.offset, self.timestamp)
    }
}

/// A partition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct PlainPartition {
    pub(crate) log_start: i64,
    pub(crate) end: i64,
    pub(crate) records: Vec<PlainRecord>,
    /// The compaction that it was last seen to have.
    pub(crate) made: Option<Compaction>,
}

/// All partitions of a view.
pub(crate) type PlainView = Vec<PlainPartition>;

/// A volume: where it is now, and what it was at groups that a snapshot of the past may ask for.
#[derive(Clone, Debug)]
pub(crate) struct PlainVolume {
    pub(crate) timeline: TimelineId,
    pub(crate) now: PlainView,
    pub(crate) past: Vec<(Lsn, PlainView)>,
}

/// A snapshot.
#[derive(Clone, Debug)]
pub(crate) struct PlainSnapshot {
    pub(crate) timeline: TimelineId,
    pub(crate) lsn: Lsn,
    pub(crate) view: PlainView,
}

impl PlainPartition {
    /// What a view shows.
    pub(crate) fn shown(&self) -> Vec<PlainRecord> {
        self.records.iter().filter(|record| record.offset >= self.log_start).cloned().collect()
    }

    /// What the engine's last compaction should have done, at that time.
    pub(crate) fn compact(&mut self, made: &Compaction, now: i64, tombstones_ms: i64) {
        let mut last: BTreeMap<Vec<u8>, i64> = BTreeMap::new();
        for record in self.records.iter().filter(|record| record.offset < made.end) {
            last.extend(record.key.clone().map(|key| (key, record.offset)));
        }
        let before = self.made.replace(made.clone());
        let spans = before.map_or_else(Vec::new, |before| before.tombstones);
        let is_over = |offset: i64| {
            spans.iter().find(|seen| offset < seen.end).is_some_and(|seen| now - seen.time >= tombstones_ms)
        };
        self.records.retain(|PlainRecord { offset, key, value, .. }| {
            let is_last = key.as_ref().is_some_and(|key| last.get(key) == Some(offset));
            *offset >= made.end || *offset < self.log_start || (is_last && (value.is_some() || !is_over(*offset)))
        });
    }
}
