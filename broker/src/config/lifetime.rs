//! How long something is kept, in `MapR`'s units: `30mi`, `1h`, `2d`, `4w`, `6m` (months of 30 days), `1y` (365 days).
//!
//! A number is a whole one, above zero, and always has a unit: a bare number is `MapR`'s seconds in one command and days in
//! another.

/// Units with their milliseconds, the shortest first. `s` and `min` are the broker's own spellings, beside `MapR`'s.
const UNITS: [(&str, i64); 8] = [
    ("s", 1_000),
    ("mi", 60_000),
    ("min", 60_000),
    ("h", 3_600_000),
    ("d", 86_400_000),
    ("w", 604_800_000),
    ("m", 30 * 86_400_000),
    ("y", 365 * 86_400_000),
];

/// The text is no lifetime.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no time to keep something for, such as 30mi, 1h, 2d or 4w.")]
pub struct NotALifetime(String);

/// Reads a lifetime, in milliseconds.
pub fn parse_lifetime(text: &str) -> Result<i64, NotALifetime> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let unit = UNITS.iter().find(|(name, _)| *name == unit);
    let number = number.parse::<i64>().ok().filter(|number| *number > 0);
    let millis = number.zip(unit).and_then(|(number, (_, factor))| number.checked_mul(*factor));
    millis.ok_or_else(|| NotALifetime(text.to_owned()))
}

/// Shows a lifetime in the largest unit up to weeks that divides it.
pub fn show_lifetime(millis: i64) -> String {
    let units = [("w", 604_800_000), ("d", 86_400_000), ("h", 3_600_000), ("mi", 60_000), ("s", 1_000)];
    match units.into_iter().find(|(_, factor)| millis > 0 && millis % factor == 0) {
        Some((unit, factor)) => format!("{}{unit}", millis / factor),
        None => format!("{millis}ms"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lifetimes_have_maprs_units() {
        for (text, millis) in [
            ("30mi", 1_800_000),
            ("30min", 1_800_000),
            ("90s", 90_000),
            ("1h", 3_600_000),
            ("2d", 172_800_000),
            ("4w", 2_419_200_000),
            ("1m", 2_592_000_000),
            ("1y", 31_536_000_000),
        ] {
            assert_eq!(parse_lifetime(text), Ok(millis), "{text}");
        }
    }

    #[test]
    fn what_is_no_lifetime_is_refused() {
        for text in
            ["", "1", "h", "0h", "-1h", "1 h", "1H", "1.5h", "1h30mi", "9223372036854775807w", "99999999999999999999s"]
        {
            assert!(parse_lifetime(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn what_is_shown_reads_back() {
        for text in ["30mi", "1h", "2d", "4w", "5s"] {
            assert_eq!(show_lifetime(parse_lifetime(text).unwrap()), text);
        }
        assert_eq!(show_lifetime(1), "1ms");
    }
}
