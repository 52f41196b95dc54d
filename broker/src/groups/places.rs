//! Where the positions of a scope are: in the logs of volumes, or in a snapshot and over it.

use std::sync::Arc;

use millpond_storage::state::{Committed, PinId, State, Topic, Volume, VolumeId};
use millpond_storage::{DEFAULT_VOLUME, Timeline};

use super::{Groups, overlay};
use crate::scope::Scope;

/// Where positions are.
pub(super) enum Place {
    /// In the log of a volume.
    Volume(VolumeId, Timeline),
    /// In this state, and what `system` has over it.
    Snapshot(PinId, Arc<State>),
}

impl Groups {
    /// Where the positions are that a scope shows to who names no topic.
    pub(super) fn places(&self, scope: Scope) -> Vec<Place> {
        let is_shown = |volume: &Volume| match scope {
            Scope::Everything => volume.listed || *volume.name == *DEFAULT_VOLUME,
            home => home == Scope::Volume(volume.id),
        };
        match scope {
            Scope::Snapshot(pin) => {
                self.topics.frozen(pin).map(|state| Place::Snapshot(pin, state)).into_iter().collect()
            }
            _ => self.volumes(is_shown).into_iter().map(|(id, timeline)| Place::Volume(id, timeline)).collect(),
        }
    }

    /// The volumes, each with its current log.
    pub(super) fn volumes(&self, is_wanted: impl Fn(&Volume) -> bool) -> Vec<(VolumeId, Timeline)> {
        let volumes: Vec<_> = self.engine.system().state(|state| {
            let wanted = state.volumes().filter(|volume| is_wanted(volume));
            wanted.map(|volume| (volume.id, volume.timeline)).collect()
        });
        volumes.into_iter().filter_map(|(id, timeline)| Some((id, self.engine.timeline(timeline)?))).collect()
    }
}

impl Place {
    pub(super) fn home(&self) -> Scope {
        match self {
            Self::Volume(id, _) => Scope::Volume(*id),
            Self::Snapshot(id, _) => Scope::Snapshot(*id),
        }
    }

    /// All that a group has here, by topic and partition.
    pub(super) fn positions_of(&self, system: &Timeline, group_id: &str) -> Vec<(Arc<Topic>, u32, Committed)> {
        match self {
            Self::Volume(_, timeline) => timeline.state(|state| {
                let positions = state.positions_of(group_id);
                positions.map(|(topic, at, committed)| (Arc::clone(topic), at, committed.clone())).collect()
            }),
            Self::Snapshot(pin, frozen) => {
                let positions = system.state(|system| overlay::positions_of(system, *pin, frozen, group_id));
                let known = positions.into_iter().filter_map(|((number, at), committed)| {
                    Some((Arc::clone(frozen.topic_by_number(number)?), at, committed))
                });
                known.collect()
            }
        }
    }

    pub(super) fn has_positions_of(&self, system: &Timeline, group_id: &str) -> bool {
        match self {
            Self::Volume(_, timeline) => timeline.state(|state| state.positions_of(group_id).next().is_some()),
            Self::Snapshot(..) => !self.positions_of(system, group_id).is_empty(),
        }
    }

    /// The groups that have positions here.
    pub(super) fn groups(&self, system: &Timeline) -> Vec<Arc<str>> {
        match self {
            Self::Volume(_, timeline) => timeline.state(|state| state.position_groups().cloned().collect()),
            Self::Snapshot(pin, frozen) => system.state(|system| overlay::groups(system, *pin, frozen)),
        }
    }
}
