//! The clock of groups: time in which the broker was able to listen.
//!
//! When the process is stopped for a while (a debugger, a frozen virtual machine, a starved host) every member's heartbeat
//! lies unread in a socket while its session runs out. Time-outs must not count such a pause, or the first thing the
//! broker did after it would be to throw out every member of every group.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

use super::classic::Now;

/// A wake-up that comes later than this was held up by a pause; ordinary load delays by far less. After a pause, this much
/// of what had passed before is given back, too, so that heartbeats are read first. It is little against a session timeout.
const GRACE: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(super) struct Clock {
    origin: Instant,
    paused_ms: AtomicU64,
}

impl Clock {
    pub(super) fn start() -> Self {
        Self { origin: Instant::now(), paused_ms: AtomicU64::new(0) }
    }

    pub(super) fn now(&self) -> Now {
        let paused = Duration::from_millis(self.paused_ms.load(Ordering::Relaxed));
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Now {
            monotonic: self.origin.elapsed().saturating_sub(paused),
            unix_ms: i64::try_from(since_1970.as_millis()).unwrap_or(i64::MAX),
        }
    }

    /// When it will be `at`, if nothing is paused meanwhile.
    pub(super) fn instant(&self, at: Duration) -> Instant {
        let wait = at.saturating_sub(self.now().monotonic);
        // Beyond what the clock can count, a day is as good: the sleeper looks again.
        let now = Instant::now();
        now.checked_add(wait).unwrap_or(now + Duration::from_hours(24))
    }

    /// Somebody who meant to wake at `due` is awake. If that is too late, the lateness did not happen: it is a little before
    /// `due` again. Says how late it was.
    pub(super) fn forgive_pause(&self, due: Duration) -> Option<Duration> {
        let lateness = self.now().monotonic.saturating_sub(due);
        if lateness < GRACE {
            return None;
        }
        let paused_ms = u64::try_from((lateness + GRACE).as_millis()).unwrap_or(u64::MAX);
        self.paused_ms.fetch_add(paused_ms, Ordering::Relaxed);
        Some(lateness)
    }
}
