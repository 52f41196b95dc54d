//! The trading day, 09:30 to 16:00 in New York, with half an hour before and after it if asked, and how records spread over it.
//!
//! However many records are asked for, they fill exactly one day: `trade number / how many there are` picks the moment.
//! More happens after the opening and before the close than at noon: [`Hours`] say how much. Within its slot each
//! record falls on a random moment, so that arrivals are not a comb; slots do not overlap, so that time never goes back.

use super::layout::TimeOfDay;
use super::random::Random;

/// 09:30:00.000.
pub(crate) const OPENING_MS: u32 = (9 * 60 + 30) * 60_000;
/// 16:00:00.000, which no record of the regular hours reaches.
pub(crate) const CLOSE_MS: u32 = 16 * 60 * 60_000;

const HALF_HOUR_MS: u32 = 30 * 60_000;

/// When trades happen, and how many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hours {
    from_ms: u32,
    /// How many of a thousand records fall into each half hour.
    half_hours: &'static [u64],
}

impl Hours {
    /// From the opening to the close.
    pub const REGULAR: Self =
        Self { from_ms: OPENING_MS, half_hours: &[140, 95, 80, 70, 62, 56, 52, 52, 54, 60, 70, 85, 124] };
    /// The same, in three quarters of the records, between half an hour before the opening and one after the close.
    pub const EXTENDED: Self = Self {
        from_ms: OPENING_MS - HALF_HOUR_MS,
        half_hours: &[50, 105, 71, 60, 53, 46, 42, 39, 39, 41, 45, 52, 64, 93, 200],
    };

    /// How many of `records` come before half hour number `half_hour`; all of them after the last.
    fn records_before(self, half_hour: usize, records: u64) -> u64 {
        let per_mille: u64 = self.half_hours.iter().take(half_hour).sum();
        let before = u128::from(records) * u128::from(per_mille) / 1_000;
        u64::try_from(before).expect("at most a thousand thousandths of a u64")
    }
}

/// Hands out the time of each record of a day, in order.
#[derive(Debug, Clone)]
pub(crate) struct Session {
    hours: Hours,
    records: u64,
    next: u64,
    half_hour: usize,
    /// The first record of the current half hour, and the first of the next one.
    from: u64,
    until: u64,
}

impl Session {
    /// A day of so many records.
    pub(crate) fn of(hours: Hours, records: u64) -> Self {
        Self { hours, records, next: 0, half_hour: 0, from: 0, until: hours.records_before(1, records) }
    }

    /// The time of the next record; `None` when the day is over.
    pub(crate) fn next(&mut self, random: &mut Random) -> Option<TimeOfDay> {
        if self.next == self.records {
            return None;
        }
        while self.next >= self.until {
            self.half_hour += 1;
            self.from = self.until;
            self.until = self.hours.records_before(self.half_hour + 1, self.records);
        }
        let index = u128::from(self.next - self.from);
        let slots = u128::from(self.until - self.from);
        self.next += 1;
        let within = ((index << 64) + u128::from(random.bits())) / slots;
        let milliseconds =
            scaled(within) + self.half_hour as u64 * u64::from(HALF_HOUR_MS) + u64::from(self.hours.from_ms);
        u32::try_from(milliseconds).ok().and_then(TimeOfDay::from_milliseconds)
    }
}

/// A fraction of a half hour, in units of 2^-64, as whole milliseconds.
fn scaled(fraction: u128) -> u64 {
    let fraction = u64::try_from(fraction).unwrap_or(u64::MAX);
    let product = u128::from(fraction) * u128::from(HALF_HOUR_MS);
    u64::try_from(product >> 64).expect("the high half of a 128-bit product has 64 bits")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(hours: Hours, records: u64) -> Vec<u32> {
        let mut random = Random::from_seed(5);
        let mut session = Session::of(hours, records);
        std::iter::from_fn(|| session.next(&mut random)).map(TimeOfDay::milliseconds).collect()
    }

    #[test]
    fn the_weights_of_the_half_hours_are_a_whole() {
        for hours in [Hours::REGULAR, Hours::EXTENDED] {
            assert_eq!(hours.half_hours.iter().sum::<u64>(), 1_000);
        }
    }

    #[test]
    fn every_count_of_records_fills_the_day_in_order() {
        for records in [0, 1, 2, 13, 999, 1_000, 50_001] {
            let times = day(Hours::REGULAR, records);
            assert_eq!(times.len() as u64, records);
            assert!(times.is_sorted());
            assert!(times.iter().all(|time| (OPENING_MS..CLOSE_MS).contains(time)));
        }
    }

    #[test]
    fn the_day_is_busy_at_both_ends() {
        let times = day(Hours::REGULAR, 100_000);
        let within = |from: u32, until: u32| times.iter().filter(|time| (from..until).contains(time)).count();
        assert_eq!(within(OPENING_MS, OPENING_MS + 1_800_000), 14_000);
        assert_eq!(within(CLOSE_MS - 1_800_000, CLOSE_MS), 12_400);
        assert!(times[0] - OPENING_MS < 1_000 && CLOSE_MS - times[99_999] < 1_000);
    }

    #[test]
    fn extended_hours_lie_around_the_regular_ones() {
        let times = day(Hours::EXTENDED, 10_000);
        assert!(times.is_sorted());
        let (before, after) = (OPENING_MS - HALF_HOUR_MS, CLOSE_MS + HALF_HOUR_MS);
        assert!(times.iter().all(|time| (before..after).contains(time)));
        assert_eq!(times.iter().filter(|time| **time < OPENING_MS).count(), 500);
        assert_eq!(times.iter().filter(|time| **time >= CLOSE_MS).count(), 2_000);
    }
}
