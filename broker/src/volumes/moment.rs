//! Moments of a volume's past, as people name them, and times as they read them.
//!
//! | text | means |
//! |---|---|
//! | `2026-11-24T16:00:00Z`, `2026-11-24 16:00:00+01:00` | the last group at or before that time |
//! | `16:00`, `16:00:30` | the latest such moment on the broker's clock, in its time zone |
//! | `lsn:4711` | that LSN |
//! | `taq.trades/0/1234` | the last group before the record of that topic, partition and offset |
//!
//! And, beside a topic, a time: the last group before a record of that topic whose own timestamp is later (for days that are
//! replayed).

use jiff::civil::Time;
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};

use super::{Result, VolumeError};

/// A moment of a volume's past.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Moment {
    /// Now: all that was submitted before.
    Now,
    /// An LSN of its current timeline.
    Lsn(u64),
    /// The last group at or before a time, in milliseconds.
    Time(i64),
    /// The last group before a record.
    Offset {
        /// The topic's short name.
        topic: String,
        /// The partition.
        partition: u32,
        /// The record's offset.
        offset: i64,
    },
    /// The last group before a record of a topic with a later timestamp.
    Record {
        /// The topic's short name.
        topic: String,
        /// The timestamp, in milliseconds.
        time: i64,
    },
}

impl Moment {
    /// Reads a moment; `now` is the broker's time in milliseconds, `zone` its time zone.
    pub fn parse(text: &str, now: i64, zone: &TimeZone) -> Result<Self> {
        if text == "now" {
            return Ok(Self::Now);
        }
        if let Some(lsn) = text.strip_prefix("lsn:") {
            return lsn.parse().map(Self::Lsn).map_err(|_| not_a_moment(text));
        }
        match text.rsplitn(3, '/').collect::<Vec<_>>()[..] {
            [offset, partition, topic] => match (partition.parse(), offset.parse()) {
                (Ok(partition), Ok(offset)) if !topic.is_empty() => {
                    Ok(Self::Offset { topic: topic.to_owned(), partition, offset })
                }
                _ => Err(not_a_moment(text)),
            },
            _ => parse_time(text, now, zone).map(Self::Time),
        }
    }
}

/// Reads a time, in milliseconds: RFC 3339, or a time of day, which stands for the latest such moment.
pub fn parse_time(text: &str, now: i64, zone: &TimeZone) -> Result<i64> {
    if let Ok(time) = text.parse::<Timestamp>() {
        return Ok(time.as_millisecond());
    }
    let of_day = Some(text).filter(|text| matches!(text.len(), 5 | 8) && text.as_bytes()[2] == b':');
    let of_day = of_day.and_then(|text| text.parse::<Time>().ok()).ok_or_else(|| not_a_moment(text))?;
    latest(of_day, now, zone).ok_or_else(|| not_a_moment(text))
}

/// The latest moment at or before `now` at which clocks showed a time of day.
pub(super) fn latest(of_day: Time, now: i64, zone: &TimeZone) -> Option<i64> {
    let now = zoned(now, zone)?;
    let today = now.with().time(of_day).build().ok()?;
    let latest = if today <= now { today } else { now.yesterday().ok()?.with().time(of_day).build().ok()? };
    Some(latest.timestamp().as_millisecond())
}

/// A time in milliseconds as clocks in a zone show it.
pub(super) fn zoned(millis: i64, zone: &TimeZone) -> Option<Zoned> {
    Some(Timestamp::from_millisecond(millis).ok()?.to_zoned(zone.clone()))
}

/// Shows a time in milliseconds, in UTC.
pub(super) fn show_time(millis: i64) -> String {
    Timestamp::from_millisecond(millis).map_or_else(|_| millis.to_string(), |time| format!("{time:.3}"))
}

/// `20261124-160000`: a time that can be part of a name, in the broker's zone.
pub(super) fn label_of(millis: i64, zone: &TimeZone) -> String {
    zoned(millis, zone).map_or_else(|| millis.to_string(), |time| time.strftime("%Y%m%d-%H%M%S").to_string())
}

fn not_a_moment(text: &str) -> VolumeError {
    VolumeError::Invalid(format!(
        "{text:?} is no moment such as 2026-11-24T16:00:00Z, 16:00, lsn:4711 or TOPIC/PARTITION/OFFSET."
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> i64 {
        text.parse::<Timestamp>().unwrap().as_millisecond()
    }

    #[test]
    fn each_form_means_what_it_says() {
        let now = at("2026-11-24T12:00:00Z");
        let parse = |text: &str| Moment::parse(text, now, &TimeZone::UTC).unwrap();
        assert_eq!(parse("now"), Moment::Now);
        assert_eq!(parse("lsn:7"), Moment::Lsn(7));
        assert_eq!(parse("2026-11-23T16:00:00-05:00"), Moment::Time(at("2026-11-23T21:00:00Z")));
        assert_eq!(parse("2026-11-23 16:00:00Z"), Moment::Time(at("2026-11-23T16:00:00Z")));
        let offset = Moment::Offset { topic: "taq.trades".to_owned(), partition: 3, offset: 12 };
        assert_eq!(parse("taq.trades/3/12"), offset);
        for text in [
            "",
            "yesterday",
            "lsn:",
            "lsn:x",
            "25:00",
            "16",
            "16:0",
            "/0/1",
            "a/b/1",
            "2026-11-24",
            "2026-11-24T16:00:00",
        ] {
            assert!(Moment::parse(text, now, &TimeZone::UTC).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_time_of_day_is_its_latest_moment_in_the_brokers_zone() {
        let now = at("2026-11-24T12:00:00Z");
        let of_day = |text: &str, zone: &TimeZone| parse_time(text, now, zone).unwrap();
        assert_eq!(of_day("11:59", &TimeZone::UTC), at("2026-11-24T11:59:00Z"));
        assert_eq!(of_day("12:00", &TimeZone::UTC), now);
        assert_eq!(of_day("16:00:30", &TimeZone::UTC), at("2026-11-23T16:00:30Z"));
        let east = TimeZone::fixed(jiff::tz::offset(2));
        assert_eq!(of_day("13:30", &east), at("2026-11-24T11:30:00Z"));
        assert_eq!(label_of(now, &east), "20261124-140000");
        assert_eq!(show_time(now), "2026-11-24T12:00:00.000Z");
    }
}
