//! How fast compaction reads and writes, at most.

use std::time::{Duration, Instant};

use crate::engine::Shared;

/// The longest that it sleeps before it looks whether the engine closes.
const NAP: Duration = Duration::from_millis(100);

/// What was read and written since a moment.
#[derive(Debug)]
pub(super) struct Rate {
    per_second: u64,
    since: Instant,
    taken: u64,
}

impl Rate {
    pub(super) fn new(shared: &Shared) -> Self {
        Self { per_second: shared.options.compaction_bytes_per_second.max(1), since: Instant::now(), taken: 0 }
    }

    /// So many bytes were read or written: waits until they may have been. (Not where tests own the clock.)
    pub(super) fn take(&mut self, shared: &Shared, bytes: usize) {
        self.taken = self.taken.saturating_add(bytes as u64);
        while shared.options.background && !shared.is_closing() {
            let early = self.early(self.since.elapsed());
            if early.is_zero() {
                return;
            }
            std::thread::sleep(early.min(NAP));
        }
    }

    /// How much too early it is for what was taken, so long after the beginning.
    fn early(&self, elapsed: Duration) -> Duration {
        let nanos = u128::from(self.taken) * 1_000_000_000 / u128::from(self.per_second);
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX)).saturating_sub(elapsed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_waits_until_so_many_bytes_may_have_passed() {
        let rate = Rate { per_second: 1_000, since: Instant::now(), taken: 2_500 };
        assert_eq!(rate.early(Duration::from_secs(1)), Duration::from_millis(1_500));
        assert_eq!(rate.early(Duration::from_secs(3)), Duration::ZERO);
        let unbounded = Rate { per_second: u64::MAX, since: Instant::now(), taken: u64::MAX - 1 };
        assert!(unbounded.early(Duration::ZERO) < Duration::from_secs(1) + Duration::from_nanos(1));
    }
}
