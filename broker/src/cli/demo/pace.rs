//! When each record of a replay is due.
//!
//! At a rate, record `n` is due `n / rate` seconds after the start, whatever happened to those before: a stall is made up
//! for and shows in the latencies, which count from when a record was due. Without a rate a record is due when its
//! turn comes.

use std::time::Duration;

use tokio::time::Instant;

/// Without a rate, the clock is read once for so many records.
const CLOCK_EVERY: u64 = 64;

/// Hands out due times.
#[derive(Debug)]
pub(super) struct Pace {
    start: Instant,
    rate: Option<u64>,
    sent: u64,
    now: Instant,
}

impl Pace {
    /// So many records a second; `None`: as fast as it goes.
    pub(super) fn new(start: Instant, rate: Option<u64>) -> Self {
        Self { start, rate, sent: 0, now: start }
    }

    /// When the next record is due.
    pub(super) fn next(&mut self) -> Instant {
        let due = if let Some(rate) = self.rate {
            self.start + after(self.sent, rate)
        } else {
            if self.sent.is_multiple_of(CLOCK_EVERY) {
                self.now = Instant::now();
            }
            self.now
        };
        self.sent += 1;
        due
    }
}

/// `records / rate` seconds. Rates are at least one a second.
fn after(records: u64, rate: u64) -> Duration {
    let rate = rate.max(1);
    let nanoseconds = u128::from(records % rate) * 1_000_000_000 / u128::from(rate);
    Duration::from_secs(records / rate) + Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or(0))
}

/// Waits, unless the moment has passed; a timer rounds up to whole milliseconds, so that what is due within one goes with it.
pub(super) async fn sleep_until(due: Instant) {
    if due > Instant::now() {
        tokio::time::sleep_until(due).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_at_a_rate_are_evenly_due() {
        let start = Instant::now();
        let mut pace = Pace::new(start, Some(3));
        let due: Vec<u128> = (0..7).map(|_| (pace.next() - start).as_millis()).collect();
        assert_eq!(due, [0, 333, 666, 1_000, 1_333, 1_666, 2_000]);
        assert_eq!(after(u64::MAX, 1_000_000), Duration::new(18_446_744_073_709, 551_615_000));
    }

    #[test]
    fn without_a_rate_everything_is_due_now() {
        let start = Instant::now();
        let mut pace = Pace::new(start, None);
        let due: Vec<Instant> = (0..200).map(|_| pace.next()).collect();
        assert!(due.is_sorted() && due[0] >= start && due[199] <= Instant::now());
    }
}
