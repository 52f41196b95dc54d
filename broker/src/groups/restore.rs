//! What the restore of a volume means to groups: members with a stake in it are sent away, to come back and ask for the
//! positions of the history that took the place of theirs ([`Fence`]).
//!
//! The fact that moves the volume's name comes with a note of it in `system`, which goes when the groups are written down without
//! their members. So a broker that ends in between does at its start what it had yet to do.

use std::sync::Arc;

use millpond_storage::state::{Txn, VolumeId};
use millpond_storage::{Engine, TimelineId};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tracing::error;

use super::Groups;
use super::coordinator::Fence;
use crate::documents::{self, Collection};
use crate::scope::Scope;

/// A restore of which groups have yet to be told.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Restored {
    /// The timeline that the volume left.
    from: u64,
    /// The one that it is in.
    to: u64,
    /// What a newer version says.
    #[serde(flatten)]
    rest: Map<String, Value>,
}

/// In the writer of `system`, with the fact that moves the volume's name: groups have yet to be told.
pub fn note_restore(txn: &mut Txn<'_>, volume: VolumeId, from: TimelineId, to: TimelineId) {
    let restored = Restored { from: from.0, to: to.0, rest: Map::new() };
    txn.put(Collection::Restores.document(&volume.0.to_string(), &restored));
}

/// Keeps members of groups from committing to a volume while it is restored.
#[derive(Debug)]
pub struct RestoreFence {
    engine: Arc<Engine>,
    fence: Fence,
    volume: VolumeId,
}

impl Groups {
    /// To be held from before a volume is restored, and to be [carried out](RestoreFence::carry_out) when it was. If it was not,
    /// the fence is dropped, and nothing has happened.
    pub fn begin_fence(&self, volume: VolumeId) -> RestoreFence {
        let fence = self.coordinator.begin_fence(Scope::Volume(volume));
        RestoreFence { engine: Arc::clone(&self.engine), fence, volume }
    }

    /// At the start: what a broker that ended had yet to do.
    pub(super) fn resume_fences(&self) {
        let noted: Vec<(Arc<str>, Restored)> =
            self.engine.system().state(|state| documents::all(state, Collection::Restores));
        for (volume, restored) in noted {
            let Ok(volume) = volume.parse() else { continue };
            let (from, to) = (TimelineId(restored.from), TimelineId(restored.to));
            self.begin_fence(VolumeId(volume)).carry_out(from, to);
        }
    }
}

impl RestoreFence {
    /// The volume went from one timeline to another: members of groups that have a stake in either are sent away.
    pub fn carry_out(self, from: TimelineId, to: TimelineId) {
        let Self { engine, fence, volume } = self;
        let histories: Vec<_> = [from, to].into_iter().filter_map(|id| engine.timeline(id)).collect();
        let has_positions = |group_id: &str| {
            histories.iter().any(|timeline| timeline.state(|state| state.positions_of(group_id).next().is_some()))
        };
        let system = engine.system().clone();
        let done = move |is_durable: bool| {
            if !is_durable {
                error!(volume = volume.0, "groups could not be written down after a restore; the next start does it");
                return;
            }
            system.transact(
                move |txn| remove_note(txn, volume, to),
                move |outcome| {
                    if let Err(error) = outcome {
                        error!(volume = volume.0, %error, "the note of a restore stays, and is acted upon at the next start");
                    }
                },
            );
        };
        fence.carry_out(has_positions, Box::new(done));
    }
}

/// In the writer of `system`. The note of a later restore stays.
fn remove_note(txn: &mut Txn<'_>, volume: VolumeId, to: TimelineId) {
    let name = volume.0.to_string();
    let noted = documents::get::<Restored>(txn, Collection::Restores, &name);
    if noted.is_ok_and(|noted| noted.is_some_and(|restored| restored.to == to.0)) {
        documents::remove(txn, Collection::Restores, &name);
    }
}
