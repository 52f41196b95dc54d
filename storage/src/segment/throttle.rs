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
        if self.is_slowed(counted(shared)) && shared.options.background && !shared.is_closing() {
            std::thread::sleep(PAUSE);
        }
    }

    /// Whether what was counted since the last look is more than twice what is usual.
    fn is_slowed(&mut self, now: (u64, u64)) -> bool {
        let (count, us) = (now.0.saturating_sub(self.seen.0), now.1.saturating_sub(self.seen.1));
        self.seen = now;
        let Some((usual, recent)) = self.usual_us.zip(us.checked_div(count)) else { return false };
        recent > usual.saturating_mul(2)
    }
}

fn counted(shared: &Shared) -> (u64, u64) {
    (shared.stats.syncs.count(), shared.stats.syncs.sum_us())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_holds_back_while_syncs_take_more_than_twice_as_long_as_before_the_job() {
        let mut throttle = Throttle { usual_us: Some(100), seen: (1_000, 100_000) };
        assert!(!throttle.is_slowed((1_010, 102_000)), "twice as long is not more");
        assert!(throttle.is_slowed((1_020, 104_010)));
        assert!(!throttle.is_slowed((1_020, 104_010)), "nothing was synced: nobody is held up");
        assert!(!throttle.is_slowed((1_030, 104_501)), "what was slow before does not count again");
    }

    #[test]
    fn it_does_not_hold_back_where_nothing_was_synced_before() {
        let mut throttle = Throttle { usual_us: 0u64.checked_div(0), seen: (0, 0) };
        assert!(!throttle.is_slowed((5, 500_000)));
    }
}
