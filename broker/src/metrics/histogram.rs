//! A histogram of durations for the hot path: two atomic additions and no lock.
//!
//! Buckets are powers of two of a microsecond, so that finding one is counting leading zeros; a reader may see an
//! observation in its bucket and not yet in the sum, or the other way round, which Prometheus takes.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use prometheus_client::encoding::{MetricEncoder, NoLabelSet};

/// The first bucket ends at 2³ µs, the last but one at 2²⁴ µs (16.8 s), the last nowhere.
const FIRST_POWER: usize = 3;
const BUCKETS: usize = 23;

/// How often something took how long.
#[derive(Default)]
pub struct Histogram {
    buckets: [AtomicU64; BUCKETS],
    sum_micros: AtomicU64,
}

impl Histogram {
    /// Counts one.
    pub fn observe(&self, duration: Duration) {
        let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        self.buckets[bucket_of(micros)].fetch_add(1, Ordering::Relaxed);
        self.sum_micros.fetch_add(micros, Ordering::Relaxed);
    }

    /// How many were counted.
    pub fn count(&self) -> u64 {
        self.buckets.iter().map(|bucket| bucket.load(Ordering::Relaxed)).sum()
    }

    /// Writes it for a scrape, in seconds.
    pub(super) fn encode(&self, encoder: &mut MetricEncoder<'_>) -> fmt::Result {
        let buckets: [(f64, u64); BUCKETS] =
            std::array::from_fn(|at| (bound_seconds(at), self.buckets[at].load(Ordering::Relaxed)));
        let count = buckets.iter().map(|(_, count)| count).sum();
        let sum = Duration::from_micros(self.sum_micros.load(Ordering::Relaxed)).as_secs_f64();
        encoder.encode_histogram::<NoLabelSet>(sum, count, &buckets, None)
    }
}

impl fmt::Debug for Histogram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Histogram").field("count", &self.count()).finish_non_exhaustive()
    }
}

/// The bucket whose bound is the lowest power of two at or above `micros`.
fn bucket_of(micros: u64) -> usize {
    let power = (u64::BITS - micros.saturating_sub(1).leading_zeros()) as usize;
    power.saturating_sub(FIRST_POWER).min(BUCKETS - 1)
}

/// The inclusive upper bound; `f64::MAX` stands for none.
fn bound_seconds(bucket: usize) -> f64 {
    if bucket == BUCKETS - 1 { f64::MAX } else { Duration::from_micros(1 << (bucket + FIRST_POWER)).as_secs_f64() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_falls_into_the_bucket_whose_bound_it_does_not_pass() {
        for (micros, bucket) in [(0, 0), (8, 0), (9, 1), (16, 1), (17, 2), (1 << 24, 21), ((1 << 24) + 1, 22)] {
            assert_eq!(bucket_of(micros), bucket, "{micros} µs");
        }
        assert_eq!(bucket_of(u64::MAX), BUCKETS - 1);
    }

    #[test]
    fn bounds_are_the_buckets_own() {
        for bucket in 0..BUCKETS - 1 {
            let bound = Duration::from_secs_f64(bound_seconds(bucket));
            let micros = u64::try_from(bound.as_micros()).unwrap();
            assert_eq!(bucket_of(micros), bucket);
            assert_eq!(bucket_of(micros + 1), bucket + 1);
        }
    }
}
