//! Topics that a restore took away are not brought back, empty, by clients that still ask for them.
//!
//! What was lost is what the histories have that the volume left of late, which its safety snapshots keep. Whoever creates such
//! a topic by its name may: the restore may be why it is needed.

use millpond_storage::TimelineId;
use millpond_storage::state::PinKind;

use super::Topics;
use super::place::{Log, Place};

/// For how long after a restore: twice the five minutes (`metadata.max.age.ms`) within which every client has asked for its topics
/// anew and been told that they are not there.
const LOST_FOR_MS: i64 = 10 * 60 * 1000;

impl Topics {
    /// Whether a restore took a topic away lately.
    pub(super) fn is_lost(&self, place: &Place, stream: &str, topic: &str) -> bool {
        if !place.is_restored || matches!(place.log, Log::Frozen(_)) {
            return false;
        }
        let since = self.0.engine.now().saturating_sub(LOST_FOR_MS);
        let left: Vec<TimelineId> = self.0.engine.system().state(|state| {
            let safety = state.pins().filter(|pin| pin.kind == PinKind::Safety && pin.volume == place.volume);
            safety.filter(|pin| pin.created > since).map(|pin| pin.timeline).collect()
        });
        let has_it =
            |id| self.0.engine.timeline(id).is_some_and(|log| log.state(|at| at.topic(stream, topic).is_some()));
        left.into_iter().any(has_it)
    }
}
