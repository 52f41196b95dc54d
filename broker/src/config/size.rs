//! How much something may hold, as people write it: `500M`, `10G`, `2T` in `MapR`'s units, which are powers of 1024, or with the
//! units of the configuration (`10GiB`, `10GB`).
//!
//! A number is a whole one, above zero, and always has a unit: a bare number is `MapR`'s megabytes and everybody else's bytes.

use super::units::parse_bytes;

/// The text is no size.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no size such as 500M, 10G or 2T.")]
pub struct NotASize(String);

/// Reads a size, in bytes.
pub fn parse_size(text: &str) -> Result<u64, NotASize> {
    let not_a_size = || NotASize(text.to_owned());
    let letter = text.chars().last().filter(char::is_ascii_alphabetic).ok_or_else(not_a_size)?;
    let is_short = matches!(letter.to_ascii_uppercase(), 'K' | 'M' | 'G' | 'T');
    let size = if is_short { parse_bytes(&format!("{text}iB")) } else { parse_bytes(text) };
    size.filter(|size| *size > 0).ok_or_else(not_a_size)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_maprs_units() {
        for (text, bytes) in [
            ("64k", 64 << 10),
            ("500M", 500 << 20),
            ("10G", 10 << 30),
            ("2T", 2 << 40),
            ("10GiB", 10 << 30),
            ("10GB", 10_000_000_000),
            ("700B", 700),
        ] {
            assert_eq!(parse_size(text), Ok(bytes), "{text}");
        }
    }

    #[test]
    fn what_is_no_size_is_refused() {
        for text in ["", "10", "G", "0G", "-1G", "1.5G", "10X", "99999999999T", "10 GiBs"] {
            assert!(parse_size(text).is_err(), "{text:?}");
        }
    }
}
