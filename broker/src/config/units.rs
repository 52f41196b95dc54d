//! Sizes and durations as people write them: `256MiB`, `10min`, or a plain number in the base unit.
//!
//! A number is a whole one; its unit follows directly or after spaces, in any case. What does not fit 64 bits is no
//! number. Sizes are in bytes, durations in milliseconds.

const SIZES: [(&str, u64); 9] = [
    ("b", 1),
    ("kb", 1_000),
    ("mb", 1_000_000),
    ("gb", 1_000_000_000),
    ("tb", 1_000_000_000_000),
    ("kib", 1 << 10),
    ("mib", 1 << 20),
    ("gib", 1 << 30),
    ("tib", 1 << 40),
];

const DURATIONS: [(&str, u64); 6] =
    [("ms", 1), ("s", 1_000), ("min", 60_000), ("h", 3_600_000), ("d", 86_400_000), ("w", 604_800_000)];

/// The size in bytes, `None` when `text` is none.
pub fn parse_bytes(text: &str) -> Option<u64> {
    parse(text, &SIZES)
}

/// The duration in milliseconds, `None` when `text` is none.
pub fn parse_millis(text: &str) -> Option<u64> {
    parse(text, &DURATIONS)
}

/// `bytes` in the largest binary unit that divides it: `256MiB`.
pub fn show_bytes(bytes: u64) -> String {
    let (unit, factor) = [("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)]
        .into_iter()
        .find(|&(_, factor): &(_, u64)| bytes != 0 && bytes.is_multiple_of(factor))
        .unwrap_or(("B", 1));
    format!("{}{unit}", bytes / factor)
}

/// `bytes` as people read them: `1.4 GiB`.
pub fn show_bytes_roughly(bytes: u64) -> String {
    let units = [("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
    match units.into_iter().find(|&(_, factor): &(_, u64)| bytes >= factor) {
        Some((unit, factor)) => {
            let tenths = u128::from(bytes) * 10 / u128::from(factor);
            format!("{}.{} {unit}", tenths / 10, tenths % 10)
        }
        None => format!("{bytes} B"),
    }
}

/// `millis` in the largest unit up to days that divides it: `10min`.
pub fn show_millis(millis: u64) -> String {
    let (unit, factor) = [("d", 86_400_000), ("h", 3_600_000), ("min", 60_000), ("s", 1_000)]
        .into_iter()
        .find(|&(_, factor): &(_, u64)| millis != 0 && millis.is_multiple_of(factor))
        .unwrap_or(("ms", 1));
    format!("{}{unit}", millis / factor)
}

fn parse(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let text = text.trim();
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().ok()?;
    let unit = unit.trim_start().to_ascii_lowercase();
    if unit.is_empty() {
        return Some(number);
    }
    let (_, factor) = units.iter().find(|(name, _)| *name == unit)?;
    number.checked_mul(*factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_binary_and_decimal_units() {
        assert_eq!(parse_bytes("256MiB"), Some(256 << 20));
        assert_eq!(parse_bytes(" 3 kb "), Some(3_000));
        assert_eq!(parse_bytes("1048588"), Some(1_048_588));
        assert_eq!(parse_bytes("0"), Some(0));
    }

    #[test]
    fn durations_are_milliseconds_unless_they_say_otherwise() {
        assert_eq!(parse_millis("10min"), Some(600_000));
        assert_eq!(parse_millis("2 W"), Some(1_209_600_000));
        assert_eq!(parse_millis("250"), Some(250));
    }

    #[test]
    fn what_is_no_number_is_refused() {
        for text in ["", "MiB", "-1", "1.5GiB", "1 XB", "10min5s", "18446744073709551616", "99999999TiB"] {
            assert_eq!(parse_bytes(text), None, "{text}");
            assert_eq!(parse_millis(text), None, "{text}");
        }
    }

    #[test]
    fn sizes_for_people_have_one_digit_behind_the_point() {
        assert_eq!(show_bytes_roughly(1023), "1023 B");
        assert_eq!(show_bytes_roughly(1 << 10), "1.0 KiB");
        assert_eq!(show_bytes_roughly((3 << 30) + (1 << 29)), "3.5 GiB");
        assert_eq!(show_bytes_roughly(u64::MAX), "16777215.9 TiB");
    }

    #[test]
    fn what_is_shown_reads_back() {
        for bytes in [0, 1, 1_000, 1 << 10, 3 << 20, 1 << 40, u64::MAX] {
            assert_eq!(parse_bytes(&show_bytes(bytes)), Some(bytes));
        }
        for millis in [0, 1, 1_000, 90_000, 3_600_000, 604_800_000, u64::MAX] {
            assert_eq!(parse_millis(&show_millis(millis)), Some(millis));
        }
        assert_eq!(show_bytes(256 << 20), "256MiB");
        assert_eq!(show_millis(600_000), "10min");
    }
}
