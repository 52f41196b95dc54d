//! What volumes may hold: how it is set, and who is told when one exceeds its advisory quota.

use std::collections::HashSet;
use std::sync::Arc;

use millpond_storage::TimelineId;
use millpond_storage::state::VolumeId;

use super::{Result, VolumeError, Volumes};
use crate::config::show_bytes_roughly;
use crate::documents::{self, Collection, VolumeLimits, VolumeSettings};

/// What is to be changed of the limits; what is none stays, `Some(None)` takes a limit away.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LimitsChange {
    /// Bytes of its batches, above which producers are refused.
    pub quota_bytes: Option<Option<u64>>,
    /// Bytes of its batches, above which it is told.
    pub advisory_quota_bytes: Option<Option<u64>>,
    /// Topics.
    pub topics_max: Option<Option<u32>>,
    /// Partitions of all topics.
    pub partitions_max: Option<Option<u32>>,
    /// Connections to listeners that show it or a snapshot of it.
    pub connections_max: Option<Option<u32>>,
}

impl LimitsChange {
    /// The limits when they are changed so.
    pub(super) fn apply(&self, limits: VolumeLimits) -> Result<VolumeLimits> {
        let changed = VolumeLimits {
            quota_bytes: self.quota_bytes.unwrap_or(limits.quota_bytes),
            advisory_quota_bytes: self.advisory_quota_bytes.unwrap_or(limits.advisory_quota_bytes),
            topics_max: self.topics_max.unwrap_or(limits.topics_max),
            partitions_max: self.partitions_max.unwrap_or(limits.partitions_max),
            connections_max: self.connections_max.unwrap_or(limits.connections_max),
            rest: limits.rest,
        };
        check(&changed)?;
        Ok(changed)
    }
}

/// Refuses limits that cannot be meant.
pub(super) fn check(limits: &VolumeLimits) -> Result<()> {
    let bytes = [("quota", limits.quota_bytes), ("advisory quota", limits.advisory_quota_bytes)];
    let counts = [
        ("limit on topics", limits.topics_max),
        ("limit on partitions", limits.partitions_max),
        ("limit on connections", limits.connections_max),
    ];
    let counts = counts.into_iter().map(|(what, most)| (what, most.map(u64::from)));
    if let Some((what, _)) = bytes.into_iter().chain(counts).find(|(_, most)| *most == Some(0)) {
        return Err(VolumeError::Invalid(format!("A {what} is above zero; null takes it away.")));
    }
    match (limits.advisory_quota_bytes, limits.quota_bytes) {
        (Some(advisory), Some(quota)) if advisory > quota => Err(VolumeError::Invalid(format!(
            "An advisory quota of {} above the quota of {} would never be told of.",
            show_bytes_roughly(advisory),
            show_bytes_roughly(quota)
        ))),
        _ => Ok(()),
    }
}

/// The volumes that have an advisory quota, and which of them exceed it.
#[derive(Debug, Default)]
pub(super) struct Watch {
    /// What `system` counted when they were read; none: they were not.
    version: Option<u64>,
    watched: Vec<Watched>,
    over: HashSet<VolumeId>,
}

#[derive(Clone, Debug)]
struct Watched {
    id: VolumeId,
    name: Arc<str>,
    timeline: TimelineId,
    most: u64,
}

impl Volumes {
    /// Tells of the volumes that exceed their advisory quota since the last look, and of those that no longer do.
    pub(super) fn watch_quotas(&self, watch: &mut Watch) {
        let system = self.engine.system();
        if watch.version != Some(system.names_version()) {
            // A change of limits puts the volume's fact, too.
            system.state(|state| {
                watch.version = Some(system.names_version());
                let watched = state.volumes().filter_map(|volume| {
                    let key = volume.id.0.to_string();
                    let settings: VolumeSettings = documents::find(state, Collection::VolumeSettings, &key)?;
                    let most = settings.limits.advisory_quota_bytes?;
                    Some(Watched { id: volume.id, name: Arc::clone(&volume.name), timeline: volume.timeline, most })
                });
                watch.watched = watched.collect();
            });
        }
        watch.look(|timeline| self.engine.timeline(timeline).map(|timeline| timeline.live_bytes()));
    }
}

impl Watch {
    fn look(&mut self, held: impl Fn(TimelineId) -> Option<u64>) {
        let over = std::mem::take(&mut self.over);
        for Watched { id, name, timeline, most } in &self.watched {
            let Some(bytes) = held(*timeline) else { continue };
            if bytes > *most {
                self.over.insert(*id);
            }
            match (over.contains(id), bytes > *most) {
                (false, true) => {
                    tracing::warn!(volume = %name, held = bytes, quota = most, "a volume exceeds its advisory quota");
                }
                (true, false) => {
                    tracing::info!(volume = %name, held = bytes, quota = most, "a volume is within its advisory quota again");
                }
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_that_cannot_be_meant_are_refused() {
        let change = |quota_bytes, advisory_quota_bytes| LimitsChange {
            quota_bytes: Some(quota_bytes),
            advisory_quota_bytes: Some(advisory_quota_bytes),
            ..LimitsChange::default()
        };
        let apply = |change: LimitsChange| change.apply(VolumeLimits::default());
        assert!(apply(change(Some(0), None)).is_err());
        assert!(apply(change(Some(5), Some(6))).is_err());
        let limits = apply(change(Some(6), Some(6))).unwrap();
        let less = LimitsChange { quota_bytes: Some(Some(5)), ..LimitsChange::default() };
        assert!(less.apply(limits.clone()).is_err(), "it would fall below the advisory quota that is there");
        let none = LimitsChange { quota_bytes: Some(None), ..LimitsChange::default() };
        assert_eq!(none.apply(limits).unwrap().advisory_quota_bytes, Some(6));
    }

    #[test]
    fn a_volume_that_is_over_its_quota_is_told_of_once() {
        let watched = Watched { id: VolumeId(1), name: "a".into(), timeline: TimelineId(1), most: 10 };
        let mut watch = Watch { watched: vec![watched], ..Watch::default() };
        let over = [9, 10, 11, 12, 10].map(|bytes| {
            watch.look(|_| Some(bytes));
            watch.over.len()
        });
        assert_eq!(over, [0, 0, 1, 1, 0]);
    }
}
