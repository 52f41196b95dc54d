//! Counts and latencies of what was delivered.
//!
//! A batch's latency is that of its oldest record, from when it was due to its acknowledgement, and counts for all its
//! records: what is shown is an upper bound. Latencies are kept in buckets of at most 3 % width.

use std::time::Duration;

use crate::client::Delivery;

/// Values below this have a bucket of their own; above it each power of two is split into half as many.
const LINEAR: u64 = 64;
const HALF: usize = 32;
/// One power of two after another, up to 2^64.
const BUCKETS: usize = 64 + 58 * HALF;

/// A histogram of durations in microseconds.
#[derive(Debug, Clone)]
pub(super) struct Latencies {
    buckets: Vec<u64>,
    count: u64,
    max: u64,
}

impl Default for Latencies {
    fn default() -> Self {
        Self { buckets: vec![0; BUCKETS], count: 0, max: 0 }
    }
}

impl Latencies {
    fn add(&mut self, latency: Duration, times: u64) {
        let microseconds = u64::try_from(latency.as_micros()).unwrap_or(u64::MAX);
        self.buckets[bucket(microseconds)] += times;
        self.count += times;
        self.max = self.max.max(microseconds);
    }

    /// The latency that `percent` of all did not exceed, rounded up by 3 % at most; zero if there are none.
    pub(super) fn percentile(&self, percent: u64) -> Duration {
        let wanted = (u128::from(self.count) * u128::from(percent)).div_ceil(100);
        let mut seen: u128 = 0;
        for (index, count) in self.buckets.iter().enumerate() {
            seen += u128::from(*count);
            if seen >= wanted && seen > 0 {
                return Duration::from_micros(upper_end(index).min(self.max));
            }
        }
        Duration::ZERO
    }

    /// Whether nothing was counted.
    pub(super) fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The longest.
    pub(super) fn max(&self) -> Duration {
        Duration::from_micros(self.max)
    }
}

fn bucket(value: u64) -> usize {
    let narrow = |value: u64| usize::try_from(value).unwrap_or(usize::MAX);
    if value < LINEAR {
        return narrow(value);
    }
    // The six leading bits choose the bucket: the shift its power of two, the rest its place there.
    let shift = 58 - value.leading_zeros();
    narrow(LINEAR) + narrow(u64::from(shift - 1)) * HALF + narrow(value >> shift) - HALF
}

/// The largest value in a bucket.
fn upper_end(bucket: usize) -> u64 {
    let Some(above) = bucket.checked_sub(64) else { return bucket as u64 };
    let (shift, place) = (above / HALF + 1, above % HALF + HALF);
    let next = (place as u128 + 1) << shift;
    u64::try_from(next - 1).unwrap_or(u64::MAX)
}

/// What was delivered in some time.
#[derive(Debug, Clone, Default)]
pub(super) struct Meter {
    /// Records.
    pub(super) records: u64,
    /// Bytes of their keys and values.
    pub(super) bytes: u64,
    /// How long they took.
    pub(super) latencies: Latencies,
}

impl Meter {
    pub(super) fn add(&mut self, delivery: &Delivery) {
        let records = u64::from(delivery.records);
        self.records += records;
        self.bytes += delivery.payload_bytes;
        self.latencies.add(delivery.acknowledged.saturating_duration_since(delivery.due), records);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn latencies(microseconds: impl IntoIterator<Item = u64>) -> Latencies {
        let mut latencies = Latencies::default();
        microseconds.into_iter().for_each(|value| latencies.add(Duration::from_micros(value), 1));
        latencies
    }

    #[test]
    fn percentiles_are_within_three_percent() {
        let latencies = latencies(1..=10_000);
        for percent in [1, 50, 99, 100] {
            let exact = percent * 100;
            let shown = u64::try_from(latencies.percentile(percent).as_micros()).unwrap();
            assert!((exact..=exact + exact / 32 + 1).contains(&shown), "{percent} %: {shown}");
        }
        assert_eq!(latencies.max(), Duration::from_millis(10));
        assert_eq!(latencies.percentile(100), latencies.max());
    }

    #[test]
    fn nothing_has_no_latency() {
        assert_eq!(Latencies::default().percentile(99), Duration::ZERO);
        assert_eq!(latencies([0]).percentile(50), Duration::ZERO);
    }

    proptest! {
        #[test]
        fn every_value_lies_in_its_bucket(value: u64) {
            let bucket = bucket(value);
            prop_assert!(bucket < BUCKETS);
            prop_assert!(upper_end(bucket) >= value);
            prop_assert!(bucket == 0 || upper_end(bucket - 1) < value);
        }
    }
}
