//! Dates, RFC 3339 times, and the hours of the New York exchanges; in the proleptic Gregorian calendar.
//!
//! Days are counted from 1970-01-01, times in milliseconds from then, UTC. A page of arithmetic, and nothing else is asked
//! of dates here, so that no date library is needed. Leap seconds do not exist, as in Kafka's timestamps.

use std::fmt;
use std::str::FromStr;

const DAY_MS: i64 = 86_400_000;
const HOUR_MS: i64 = 3_600_000;

/// A day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Date {
    days: i64,
}

/// The text is no date.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a date such as 2026-11-23")]
pub struct NotADate;

/// The text is no time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a time such as 2026-11-23T15:30:00Z or 2026-11-23T09:30:00.250-05:00")]
pub struct NotATime;

impl Date {
    /// The day with this number; years 1 to 9999 are told apart and shown.
    pub fn from_days(days: i64) -> Self {
        Self { days }
    }

    /// `None` if there is no such day.
    pub fn new(year: i64, month: i64, day: i64) -> Option<Self> {
        if !(1..=9999).contains(&year) || !(1..=12).contains(&month) {
            return None;
        }
        // Years begin in March, so that the leap day is the last; 400 of them have 146,097 days.
        let (shifted_year, shifted_month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
        let day_of_year = (153 * shifted_month + 2) / 5 + day - 1;
        let days = 365 * shifted_year + shifted_year / 4 - shifted_year / 100 + shifted_year / 400 + day_of_year;
        let date = Self { days: days - 719_468 };
        (date.parts() == (year, month, day)).then_some(date)
    }

    /// Year, month, day.
    fn parts(self) -> (i64, i64, i64) {
        let days = self.days + 719_468;
        let era = days.div_euclid(146_097);
        let day_of_era = days.rem_euclid(146_097);
        let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let shifted_month = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
        let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
        let year = year_of_era + era * 400 + i64::from(month <= 2);
        (year, month, day)
    }

    /// 0 is Sunday.
    fn weekday(self) -> i64 {
        (self.days + 4).rem_euclid(7)
    }

    /// Midnight in New York, as milliseconds since the epoch.
    pub fn midnight_in_new_york(self) -> i64 {
        self.days * DAY_MS + self.new_york_behind_ms()
    }

    /// How far New York's clocks are behind UTC during trading hours: by daylight time from the second Sunday of March to
    /// the first of November (the rule since 2007; no exchange is open in the night that clocks change).
    fn new_york_behind_ms(self) -> i64 {
        let (year, _, _) = self.parts();
        let nth_sunday = |month, nth: i64| {
            let first = Self::new(year, month, 1).unwrap_or(self);
            first.days + (7 - first.weekday()) % 7 + 7 * (nth - 1)
        };
        let daylight = (nth_sunday(3, 2)..nth_sunday(11, 1)).contains(&self.days);
        if daylight { 4 * HOUR_MS } else { 5 * HOUR_MS }
    }

    /// The last weekday whose session, 09:30 to 16:00 in New York, is over at `now_ms`. Holidays count as weekdays.
    pub fn last_session(now_ms: i64) -> Self {
        let mut date = Self { days: now_ms.div_euclid(DAY_MS) };
        while matches!(date.weekday(), 0 | 6) || date.midnight_in_new_york() + 16 * HOUR_MS > now_ms {
            date.days -= 1;
        }
        date
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = self.parts();
        write!(f, "{year:04}-{month:02}-{day:02}")
    }
}

impl FromStr for Date {
    type Err = NotADate;

    fn from_str(text: &str) -> Result<Self, NotADate> {
        let bytes = text.as_bytes();
        if bytes.len() != 10 || bytes[4] != b'-' || bytes[7] != b'-' {
            return Err(NotADate);
        }
        let parts = (number(&bytes[..4]), number(&bytes[5..7]), number(&bytes[8..]));
        let (Some(year), Some(month), Some(day)) = parts else { return Err(NotADate) };
        Self::new(year, month, day).ok_or(NotADate)
    }
}

/// Reads an RFC 3339 time (`T` may be a space) as milliseconds since the epoch; finer fractions are cut off.
pub fn parse_time(text: &str) -> Result<i64, NotATime> {
    let bytes = text.as_bytes();
    let date: Date = text.get(..10).and_then(|date| date.parse().ok()).ok_or(NotATime)?;
    let clock = bytes.get(10..19).filter(|clock| matches!(clock[0], b'T' | b't' | b' ')).ok_or(NotATime)?;
    if clock[3] != b':' || clock[6] != b':' {
        return Err(NotATime);
    }
    let parts = (number(&clock[1..3]), number(&clock[4..6]), number(&clock[7..]));
    let (Some(hour @ 0..24), Some(minute @ 0..60), Some(second @ 0..60)) = parts else { return Err(NotATime) };
    let (fraction_ms, zone) = fraction(&bytes[19..])?;
    let local = ((hour * 60 + minute) * 60 + second) * 1_000 + fraction_ms;
    Ok(date.days * DAY_MS + local - zone_ms(zone)?)
}

/// Milliseconds of a fraction, if there is one, and what follows.
fn fraction(rest: &[u8]) -> Result<(i64, &[u8]), NotATime> {
    let Some(digits) = rest.strip_prefix(b".") else { return Ok((0, rest)) };
    let count = digits.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if count == 0 {
        return Err(NotATime);
    }
    let place = |(index, byte): (usize, &u8)| i64::from(byte - b'0') * [100, 10, 1][index];
    let milliseconds = digits[..count].iter().take(3).enumerate().map(place).sum();
    Ok((milliseconds, &digits[count..]))
}

fn zone_ms(zone: &[u8]) -> Result<i64, NotATime> {
    let sign = match zone {
        b"Z" | b"z" => return Ok(0),
        [b'+', ..] => 1,
        [b'-', ..] => -1,
        _ => return Err(NotATime),
    };
    match (zone.len(), zone.get(3), zone.get(1..3).and_then(number), zone.get(4..).and_then(number)) {
        (6, Some(b':'), Some(hours @ 0..24), Some(minutes @ 0..60)) => Ok(sign * (hours * 60 + minutes) * 60_000),
        _ => Err(NotATime),
    }
}

/// A number of digits only.
fn number(digits: &[u8]) -> Option<i64> {
    let all = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    all.then(|| std::str::from_utf8(digits).ok()?.parse().ok()).flatten()
}

/// Shows milliseconds since the epoch as an RFC 3339 time in UTC, or as a number where no year of four digits has it.
pub fn show_time(milliseconds: i64) -> String {
    let date = Date { days: milliseconds.div_euclid(DAY_MS) };
    let (year, _, _) = date.parts();
    if !(1..=9999).contains(&year) {
        return milliseconds.to_string();
    }
    let of_day = milliseconds.rem_euclid(DAY_MS);
    let (hour, minute, second) = (of_day / HOUR_MS, of_day / 60_000 % 60, of_day / 1_000 % 60);
    format!("{date}T{hour:02}:{minute:02}:{second:02}.{:03}Z", of_day % 1_000)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn date(text: &str) -> Date {
        text.parse().unwrap()
    }

    #[test]
    fn known_days_have_their_numbers() {
        for (text, days) in [("1970-01-01", 0), ("2000-02-29", 11_016), ("2026-11-24", 20_781), ("1969-12-31", -1)] {
            assert_eq!(date(text), Date::from_days(days), "{text}");
            assert_eq!(Date::from_days(days).to_string(), text);
        }
        assert_eq!(date("2026-11-24").weekday(), 2, "a Tuesday");
    }

    #[test]
    fn what_is_no_date_is_refused() {
        for text in ["", "2026-02-29", "2026-13-01", "2026-00-10", "2026-1-01", "2026-04-31", "20261124", "2026-04-3x"]
        {
            assert_eq!(text.parse::<Date>(), Err(NotADate), "{text}");
        }
    }

    #[test]
    fn times_are_read_with_their_zone() {
        let cases = [
            ("1970-01-01T00:00:00Z", 0),
            ("2026-11-23T15:30:00Z", 1_795_447_800_000),
            ("2026-11-23T10:30:00-05:00", 1_795_447_800_000),
            ("2026-11-23 16:30:00.25+01:00", 1_795_447_800_250),
            ("2026-11-23t15:30:00.1239999z", 1_795_447_800_123),
        ];
        for (text, milliseconds) in cases {
            assert_eq!(parse_time(text), Ok(milliseconds), "{text}");
        }
        let wrong = [
            "2026-11-23",
            "2026-11-23T15:30:00",
            "2026-11-23T15:30Z",
            "2026-11-23T24:00:00Z",
            "2026-11-23T15:30:00.Z",
            "2026-11-23T15:30:00+0100",
            "2026-11-23T15:30:00+01:00x",
            "2026-11-23T15:30:00é",
            "yesterday",
        ];
        for text in wrong {
            assert_eq!(parse_time(text), Err(NotATime), "{text}");
        }
    }

    #[test]
    fn new_york_has_daylight_time_from_march_to_november() {
        let behind = |text| date(text).new_york_behind_ms() / HOUR_MS;
        let days = ["2026-03-06", "2026-03-07", "2026-03-09", "2026-07-01", "2026-10-30", "2026-11-02", "2026-12-24"];
        assert_eq!(days.map(behind), [5, 5, 4, 4, 4, 5, 5]);
        assert_eq!(show_time(date("2026-07-01").midnight_in_new_york() + 34_200_000), "2026-07-01T13:30:00.000Z");
    }

    #[test]
    fn the_last_session_is_a_weekday_that_is_over() {
        let session = |now| Date::last_session(parse_time(now).unwrap()).to_string();
        assert_eq!(session("2026-11-24T08:00:00Z"), "2026-11-23");
        assert_eq!(session("2026-11-24T20:59:59Z"), "2026-11-23");
        assert_eq!(session("2026-11-24T21:00:00Z"), "2026-11-24");
        assert_eq!(session("2026-11-22T12:00:00Z"), "2026-11-20", "on a Sunday, Friday");
        assert_eq!(session("2026-11-23T01:00:00Z"), "2026-11-20");
    }

    proptest! {
        #[test]
        fn times_read_back_as_shown(milliseconds in -62_135_596_800_000_i64..253_402_300_800_000) {
            prop_assert_eq!(parse_time(&show_time(milliseconds)), Ok(milliseconds));
        }

        #[test]
        fn reading_never_panics(text in ".{0,40}") {
            let _ = parse_time(&text);
            let _ = text.parse::<Date>();
        }
    }
}
