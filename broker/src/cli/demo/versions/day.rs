//! The trading day of the demo: half an hour before the opening, the regular session, half an hour after the close.

use super::super::super::calendar::Date;
use super::super::taq::{CLOSE_MS, Event, Generator, GeneratorOptions, Hours, OPENING_MS, TimeOfDay, Trade};

const HOUR_MS: i64 = 3_600_000;

/// A part of the day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Session {
    /// Before 09:30.
    Before,
    /// From 09:30 on, before 16:00.
    Regular,
    /// From 16:00 on.
    After,
}

impl Session {
    pub(super) fn of(time: TimeOfDay) -> Self {
        match time.milliseconds() {
            ..OPENING_MS => Self::Before,
            OPENING_MS..CLOSE_MS => Self::Regular,
            CLOSE_MS.. => Self::After,
        }
    }
}

/// The trades of a day, in order.
#[derive(Debug, Clone)]
pub(super) struct Day {
    date: Date,
    events: Generator,
}

impl Day {
    pub(super) fn new(date: Date, seed: u64, records: u64) -> Self {
        let options = GeneratorOptions { seed, records, quotes: false, parties: true };
        Self { date, events: Generator::with_hours(options, Hours::EXTENDED) }
    }

    /// When something happened, in milliseconds since 1970.
    pub(super) fn timestamp(&self, time: TimeOfDay) -> i64 {
        timestamp(self.date, time)
    }
}

impl Iterator for Day {
    type Item = Trade;

    fn next(&mut self) -> Option<Trade> {
        let trade = self.events.find_map(|event| match event {
            Event::Trade(trade) => Some(trade),
            Event::Quote(_) => None,
        })?;
        // 16:00:00.000 itself belongs to nobody, so that "later than 16:00" is the same as "after the close".
        let time = trade.time.milliseconds();
        let later = TimeOfDay::from_milliseconds(time + u32::from(time == CLOSE_MS)).unwrap_or(trade.time);
        Some(Trade { time: later, ..trade })
    }
}

/// A moment of a day in New York, in milliseconds since 1970.
pub(super) fn timestamp(date: Date, time: TimeOfDay) -> i64 {
    date.midnight_in_new_york() + i64::from(time.milliseconds())
}

/// `2026-11-23T16:00:00-05:00`.
pub(super) fn in_new_york(date: Date, hour: u32, minute: u32) -> String {
    // Midnight there is four or five o'clock in Greenwich.
    let behind = date.midnight_in_new_york().rem_euclid(24 * HOUR_MS) / HOUR_MS;
    format!("{date}T{hour:02}:{minute:02}:00-{behind:02}:00")
}

#[cfg(test)]
mod tests {
    use super::super::super::super::calendar::parse_time;
    use super::*;

    fn date() -> Date {
        "2026-11-23".parse().unwrap()
    }

    #[test]
    fn the_day_has_three_sessions_and_no_trade_on_the_stroke_of_four() {
        for seed in 0..5 {
            let day: Vec<Trade> = Day::new(date(), seed, 20_000).collect();
            assert_eq!(day.len(), 20_000);
            assert!(day.is_sorted_by_key(|trade| trade.time));
            assert!(day.iter().all(|trade| trade.time.milliseconds() != CLOSE_MS));
            let count = |session| day.iter().filter(|trade| Session::of(trade.time) == session).count();
            assert_eq!([Session::Before, Session::Regular, Session::After].map(count), [1_000, 15_000, 4_000]);
        }
    }

    #[test]
    fn trades_outside_of_the_regular_hours_say_so() {
        for trade in Day::new(date(), 1, 2_000) {
            assert_eq!(trade.conditions[2] == b'T', Session::of(trade.time) != Session::Regular, "{trade:?}");
        }
    }

    #[test]
    fn moments_are_those_of_new_york() {
        for (text, shown) in [("2026-11-23", "2026-11-23T16:00:00-05:00"), ("2026-07-01", "2026-07-01T16:00:00-04:00")]
        {
            let date: Date = text.parse().unwrap();
            assert_eq!(in_new_york(date, 16, 0), shown);
            let close = TimeOfDay::from_milliseconds(CLOSE_MS).unwrap();
            assert_eq!(parse_time(shown), Ok(timestamp(date, close)));
        }
    }
}
