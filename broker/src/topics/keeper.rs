//! What becomes of loaded snapshots with time: those that were deleted go, so that the next collection frees what only they showed.

use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};

use super::Topics;
use crate::scope::Scope;

/// How often it is looked. A look costs nothing where nothing has changed.
const EVERY: Duration = Duration::from_secs(1);

impl Topics {
    /// Keeps time, for as long as it is polled.
    pub async fn run(self) {
        let mut ticks = interval(EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            self.forget_deleted_snapshots();
        }
    }

    /// Lets go of loaded snapshots that are there no more and that nobody else holds on to.
    pub(super) fn forget_deleted_snapshots(&self) {
        let directory = self.directory();
        self.0.recent.keep(|pin| directory.place(Scope::Snapshot(pin)).is_some());
    }
}
