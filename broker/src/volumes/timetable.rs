//! When a schedule takes snapshots, and how long it keeps them, as people write it:
//!
//! | text | means |
//! |---|---|
//! | `every 15mi keep 8` | every quarter of an hour from its creation on; the last eight stay |
//! | `hourly keep 24`, `hourly at :30 keep 2d` | at the full hour, or so many minutes past it |
//! | `daily at 22:00 keep 7d`, `daily keep 7` | at that time of day, or at midnight |
//! | `weekly on sunday at 03:00 keep 4w` | on that day, at that time; on Monday at midnight where nothing is said |
//!
//! Times of day are those of the broker's time zone; a time that a change of clocks leaves out is taken as the clocks then show it.

use jiff::Zoned;
use jiff::civil::{Time, Weekday};
use jiff::tz::TimeZone;

use super::moment::zoned;
use super::{Result, VolumeError};
use crate::config::parse_lifetime;

/// The shortest time between two snapshots of a schedule, in milliseconds.
const EVERY_MIN_MS: i64 = 1_000;

/// When, and how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timetable {
    /// When snapshots are taken.
    pub when: When,
    /// How long they are kept.
    pub keep: Keep,
}

/// When snapshots are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// So many milliseconds apart.
    Every(i64),
    /// So many minutes past each hour.
    Hourly(i8),
    /// At a time of day.
    Daily(Time),
    /// On a day, at a time.
    Weekly(Weekday, Time),
}

/// How long the snapshots of a schedule are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// The last so many.
    Last(usize),
    /// Each so many milliseconds.
    For(i64),
}

impl Timetable {
    /// Reads a timetable.
    pub fn parse(text: &str) -> Result<Self> {
        let words: Vec<&str> = text.split_whitespace().collect();
        let read = || {
            let [when @ .., "keep", keep] = &words[..] else { return None };
            Some(Self { when: when_of(when)?, keep: keep_of(keep)? })
        };
        read().ok_or_else(|| {
            VolumeError::Invalid(format!(
                "{text:?} is no timetable such as `hourly keep 24`, `daily at 22:00 keep 7d`, \
                 `weekly on sunday at 03:00 keep 4w` or `every 15mi keep 8`."
            ))
        })
    }

    /// The first time after `last` at which a snapshot is due, in milliseconds.
    pub fn next_after(&self, last: i64, zone: &TimeZone) -> Option<i64> {
        match self.when {
            When::Every(millis) => last.checked_add(millis),
            When::Hourly(minute) => {
                let hour = zoned(last, zone)?.with().minute(minute).second(0).subsec_nanosecond(0).build().ok()?;
                let millis = hour.timestamp().as_millisecond();
                Some(if millis > last { millis } else { millis + 3_600_000 })
            }
            When::Daily(time) => first_day(last, zone, time, |_| true),
            When::Weekly(weekday, time) => first_day(last, zone, time, |day| day.weekday() == weekday),
        }
    }
}

/// The first time after `last` on a day that counts.
fn first_day(last: i64, zone: &TimeZone, time: Time, counts: impl Fn(&Zoned) -> bool) -> Option<i64> {
    let mut day = zoned(last, zone)?;
    // A week and a day: today's time may be over.
    for _ in 0..=7 {
        let at = day.with().time(time).build().ok()?;
        if counts(&day) && at.timestamp().as_millisecond() > last {
            return Some(at.timestamp().as_millisecond());
        }
        day = day.tomorrow().ok()?;
    }
    None
}

fn when_of(words: &[&str]) -> Option<When> {
    let midnight = Time::midnight();
    match words {
        ["every", time] => parse_lifetime(time).ok().filter(|millis| *millis >= EVERY_MIN_MS).map(When::Every),
        ["hourly"] => Some(When::Hourly(0)),
        ["hourly", "at", minute] => minute_of(minute).map(When::Hourly),
        ["daily"] => Some(When::Daily(midnight)),
        ["daily", "at", time] => time_of(time).map(When::Daily),
        ["weekly"] => Some(When::Weekly(Weekday::Monday, midnight)),
        ["weekly", "on", day] => Some(When::Weekly(weekday_of(day)?, midnight)),
        ["weekly", "on", day, "at", time] => Some(When::Weekly(weekday_of(day)?, time_of(time)?)),
        _ => None,
    }
}

fn keep_of(word: &str) -> Option<Keep> {
    match word.parse::<usize>() {
        Ok(count) => (count > 0).then_some(Keep::Last(count)),
        Err(_) => parse_lifetime(word).ok().map(Keep::For),
    }
}

fn minute_of(word: &str) -> Option<i8> {
    let digits = word.strip_prefix(':').filter(|digits| digits.len() == 2)?;
    digits.parse().ok().filter(|minute| (0..60).contains(minute))
}

fn time_of(word: &str) -> Option<Time> {
    Some(word).filter(|word| word.len() == 5 && word.as_bytes()[2] == b':')?.parse().ok()
}

fn weekday_of(word: &str) -> Option<Weekday> {
    let days = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];
    let at = days.iter().position(|day| *day == word)?;
    Weekday::from_monday_zero_offset(i8::try_from(at).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    fn at(text: &str) -> i64 {
        text.parse::<Timestamp>().unwrap().as_millisecond()
    }

    #[test]
    fn what_is_no_timetable_is_refused() {
        for text in [
            "",
            "hourly",
            "hourly keep",
            "hourly keep 0",
            "hourly keep x",
            "keep 3",
            "hourly at 30 keep 1",
            "daily at 25:00 keep 1",
            "daily at 9:00 keep 1",
            "weekly on day keep 1",
            "every 0s keep 1",
            "yearly keep 1",
        ] {
            assert!(Timetable::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn the_next_time_is_behind_the_last_one() {
        // A Tuesday.
        let last = at("2026-11-24T12:30:00Z");
        for (text, next) in [
            ("every 15mi keep 8", "2026-11-24T12:45:00Z"),
            ("hourly keep 24", "2026-11-24T13:00:00Z"),
            ("hourly at :30 keep 24", "2026-11-24T13:30:00Z"),
            ("hourly at :31 keep 24", "2026-11-24T12:31:00Z"),
            ("daily keep 7", "2026-11-25T00:00:00Z"),
            ("daily at 22:00 keep 7d", "2026-11-24T22:00:00Z"),
            ("daily at 12:30 keep 7d", "2026-11-25T12:30:00Z"),
            ("weekly keep 4w", "2026-11-30T00:00:00Z"),
            ("weekly on tuesday at 12:30 keep 4w", "2026-12-01T12:30:00Z"),
            ("weekly on tuesday at 12:31 keep 4w", "2026-11-24T12:31:00Z"),
        ] {
            let found = Timetable::parse(text).unwrap().next_after(last, &TimeZone::UTC).unwrap();
            assert_eq!(found, at(next), "{text}");
        }
        let east = TimeZone::fixed(jiff::tz::offset(2));
        let daily = Timetable::parse("daily at 22:00 keep 7d").unwrap();
        assert_eq!(daily.next_after(last, &east), Some(at("2026-11-24T20:00:00Z")));
    }

    #[test]
    fn snapshots_are_kept_by_their_number_or_their_age() {
        assert_eq!(Timetable::parse("hourly keep 24").unwrap().keep, Keep::Last(24));
        assert_eq!(Timetable::parse("hourly keep 2d").unwrap().keep, Keep::For(172_800_000));
    }
}
