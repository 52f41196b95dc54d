//! Holds the rewriter back while the log's own syncs are slow because of it.

use std::time::Duration;

use crate::engine::Shared;

/// The longest pause after a step.
const PAUSE: Duration = Duration::from_millis(50);

/// What a sync of the log took before the job began, and what is counted since.
#[derive(Debug)]
pub(super) struct Throttle {
    usual_us: Option<u64>,
    seen: (u64, u64),
}

impl Throttle {
    pub(super) fn new(shared: &Shared) -> Self {
        let seen = counted(shared);
        Self { usual_us: seen.1.checked_div(seen.0), seen }
    }

    /// After a step: a pause if the syncs since the last one took more than twice as long as usual. (Not where tests own the clock.)
    pub(super) fn step(&mut self, shared: &Shared) {
        let now = counted(shared);
        let (count, us) = (now.0.saturating_sub(self.seen.0), now.1.saturating_sub(self.seen.1));
        self.seen = now;
        let Some((usual, recent)) = self.usual_us.zip(us.checked_div(count)) else { return };
        if shared.options.background && !shared.is_closing() && recent > usual.saturating_mul(2) {
            std::thread::sleep(PAUSE);
        }
    }
}

fn counted(shared: &Shared) -> (u64, u64) {
    (shared.stats.syncs.count(), shared.stats.syncs.sum_us())
}
