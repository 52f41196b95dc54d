//! Reading of typed keys out of layered text.
//!
//! [`Keys`] holds every key that some layer gave, as text with its origin. A section takes its keys one by one, each with
//! its type and its range; the same calls therefore are the list of the keys that exist, of what each allows, and of
//! what the broker describes to clients. Nothing stops at the first problem: a taken key that is bad gives a placeholder
//! and a [`Problem`], a key that nobody took is one, and [`Keys::finish`] tells them all.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::RangeInclusive;
use std::time::Duration;

use super::address::Address;
use super::units::{parse_bytes, parse_millis, show_bytes, show_millis};

/// The type of a key, in the terms that Kafka's clients know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ConfigType {
    /// `true` or `false`.
    Boolean,
    /// Text.
    String,
    /// A whole number of 16 bits.
    Short,
    /// A whole number of 32 bits.
    Int,
    /// A whole number of 64 bits.
    Long,
    /// A number with a fraction.
    Double,
    /// Texts, separated by commas.
    List,
}

/// A key as one layer gave it.
#[derive(Clone, Debug)]
pub(super) struct Found {
    pub(super) text: String,
    pub(super) origin: String,
}

/// A key that a section took: its value in Kafka's notation (bytes and milliseconds as plain numbers, no limit as −1).
#[derive(Clone, Debug)]
pub(super) struct Taken {
    pub(super) key: &'static str,
    pub(super) config_type: ConfigType,
    pub(super) value: String,
}

/// One thing that is wrong with the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The key, `section.name`.
    pub key: String,
    /// The value, when the key exists.
    pub value: Option<String>,
    /// Who gave it: a file, the environment, the command line.
    pub origin: String,
    /// What is allowed in its place.
    pub allowed: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.value {
            Some(value) => {
                write!(f, "{} = {value:?} (from {}): expected {}", self.key, self.origin, self.allowed)
            }
            None => write!(f, "unknown key {} (from {}): {}", self.key, self.origin, self.allowed),
        }
    }
}

/// The keys that were given, and what became of them.
pub(super) struct Keys {
    found: BTreeMap<String, Found>,
    taken: Vec<Taken>,
    problems: Vec<Problem>,
    /// Keys that no layer gives: only where one gave something else in place of their section, which is a problem itself.
    missing: Vec<Problem>,
}

impl Keys {
    pub(super) fn new(found: BTreeMap<String, Found>) -> Self {
        Self { found, taken: Vec::new(), problems: Vec::new(), missing: Vec::new() }
    }

    /// The keys that were taken, or everything that is wrong.
    pub(super) fn finish(mut self) -> Result<Vec<Taken>, Vec<Problem>> {
        for (key, found) in &self.found {
            if !self.taken.iter().any(|taken| taken.key == key) {
                self.problems.push(Problem {
                    key: key.clone(),
                    value: None,
                    origin: found.origin.clone(),
                    allowed: known_keys(key, &self.taken),
                });
            }
        }
        if self.problems.is_empty() {
            self.problems = self.missing;
        }
        if self.problems.is_empty() { Ok(self.taken) } else { Err(self.problems) }
    }

    /// Notes that `key` has a value that does not go with another key's.
    pub(super) fn refuse(&mut self, key: &'static str, allowed: String) {
        self.note(key, allowed);
    }

    fn note(&mut self, key: &'static str, allowed: String) {
        let key = key.to_owned();
        match self.found.get(&key).cloned() {
            Some(Found { text, origin }) => self.problems.push(Problem { key, value: Some(text), origin, allowed }),
            None => self.missing.push(Problem { key, value: None, origin: "nowhere".to_owned(), allowed }),
        }
    }

    /// A whole number.
    pub(super) fn number(&mut self, key: &'static str, range: RangeInclusive<u64>) -> u64 {
        let allowed = || format!("a whole number from {} to {}", range.start(), range.end());
        let parse = |text: &str| text.parse().ok().filter(|number| range.contains(number));
        self.take(key, integer_type(&range), parse, u64::to_string, allowed).unwrap_or(*range.start())
    }

    /// A whole number of things in memory.
    pub(super) fn count(&mut self, key: &'static str, range: RangeInclusive<u64>) -> usize {
        in_memory(self.number(key, range))
    }

    /// A number of bytes in memory.
    pub(super) fn size(&mut self, key: &'static str, range: RangeInclusive<u64>) -> usize {
        in_memory(self.bytes(key, range))
    }

    /// A number of bytes.
    pub(super) fn bytes(&mut self, key: &'static str, range: RangeInclusive<u64>) -> u64 {
        let allowed = || bytes_allowed(&range);
        let parse = |text: &str| parse_bytes(text).filter(|bytes| range.contains(bytes));
        self.take(key, integer_type(&range), parse, u64::to_string, allowed).unwrap_or(*range.start())
    }

    /// A number of bytes, or none where there is no limit.
    pub(super) fn bytes_or_unlimited(&mut self, key: &'static str, range: RangeInclusive<u64>) -> Option<u64> {
        let allowed = || format!("{}, or unlimited", bytes_allowed(&range));
        let parse = |text: &str| unlimited(text, |text| parse_bytes(text).filter(|bytes| range.contains(bytes)));
        self.take(key, ConfigType::Long, parse, Limit::show, allowed).and_then(|limit| limit.0)
    }

    /// A length of time.
    pub(super) fn duration(&mut self, key: &'static str, millis: RangeInclusive<u64>) -> Duration {
        let allowed = || millis_allowed(&millis);
        let parse = |text: &str| parse_millis(text).filter(|value| millis.contains(value));
        let value = self.take(key, integer_type(&millis), parse, u64::to_string, allowed);
        Duration::from_millis(value.unwrap_or(*millis.start()))
    }

    /// A length of time, or none where there is no limit.
    pub(super) fn duration_or_unlimited(&mut self, key: &'static str, millis: RangeInclusive<u64>) -> Option<Duration> {
        let allowed = || format!("{}, or unlimited", millis_allowed(&millis));
        let parse = |text: &str| unlimited(text, |text| parse_millis(text).filter(|value| millis.contains(value)));
        self.take(key, ConfigType::Long, parse, Limit::show, allowed)
            .and_then(|limit| limit.0)
            .map(Duration::from_millis)
    }

    /// A length of time, the longest of the range where there is no limit.
    pub(super) fn duration_or_longest(&mut self, key: &'static str, millis: RangeInclusive<u64>) -> Duration {
        let allowed = || format!("{}, or unlimited", millis_allowed(&millis));
        let parse = |text: &str| {
            let limit = unlimited(text, |text| parse_millis(text).filter(|value| millis.contains(value)))?;
            Some(limit.0.unwrap_or(*millis.end()))
        };
        let value = self.take(key, ConfigType::Long, parse, u64::to_string, allowed);
        Duration::from_millis(value.unwrap_or(*millis.start()))
    }

    /// A number from 0 to 1.
    pub(super) fn ratio(&mut self, key: &'static str) -> f64 {
        let parse = |text: &str| text.parse().ok().filter(|ratio: &f64| (0.0..=1.0).contains(ratio));
        self.take(key, ConfigType::Double, parse, f64::to_string, || "a number from 0 to 1".to_owned()).unwrap_or(0.0)
    }

    /// `true` or `false`.
    pub(super) fn flag(&mut self, key: &'static str) -> bool {
        let parse = |text: &str| text.to_ascii_lowercase().parse().ok();
        self.take(key, ConfigType::Boolean, parse, bool::to_string, || "true or false".to_owned()).unwrap_or(false)
    }

    /// One of the `choices`, by name.
    pub(super) fn choice<T: Copy>(&mut self, key: &'static str, choices: &[(&'static str, T)]) -> T {
        let parse = |text: &str| choices.iter().find(|(name, _)| *name == text).copied();
        let names = || choices.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(" or ");
        let show = |(name, _): &(&'static str, T)| (*name).to_owned();
        self.take(key, ConfigType::String, parse, show, names).map_or(choices[0].1, |(_, choice)| choice)
    }

    /// `HOST:PORT`.
    pub(super) fn address(&mut self, key: &'static str) -> Address {
        let parse = |text: &str| text.parse::<Address>().ok();
        self.take(key, ConfigType::String, parse, Address::to_string, address_allowed)
            .unwrap_or(Address { host: "localhost".to_owned(), port: 0 })
    }

    /// `HOST:PORT`, or none when the text is empty.
    pub(super) fn optional_address(&mut self, key: &'static str) -> Option<Address> {
        let parse = |text: &str| match text {
            "" => Some(None),
            text => text.parse::<Address>().ok().map(Some),
        };
        let show = |address: &Option<Address>| address.as_ref().map_or(String::new(), Address::to_string);
        self.take(key, ConfigType::String, parse, show, || format!("{}, or nothing", address_allowed())).flatten()
    }

    /// Text that `check` accepts; `allowed` says which that is.
    pub(super) fn text(&mut self, key: &'static str, check: impl Fn(&str) -> bool, allowed: &str) -> String {
        let parse = |text: &str| check(text).then(|| text.to_owned());
        self.take(key, ConfigType::String, parse, String::clone, || allowed.to_owned()).unwrap_or_default()
    }

    /// Takes `key` out of what was found; `None`, with a problem noted, when it is missing or does not parse.
    fn take<T>(
        &mut self,
        key: &'static str,
        config_type: ConfigType,
        parse: impl Fn(&str) -> Option<T>,
        show: impl Fn(&T) -> String,
        allowed: impl Fn() -> String,
    ) -> Option<T> {
        let value = self.found.get(key).and_then(|found| parse(found.text.trim()));
        let shown = value.as_ref().map(show).unwrap_or_default();
        self.taken.push(Taken { key, config_type, value: shown });
        if value.is_none() {
            self.note(key, allowed());
        }
        value
    }
}

/// What the user may have meant: the keys of the section, or the sections.
fn known_keys(key: &str, taken: &[Taken]) -> String {
    let parts = || taken.iter().filter_map(|taken| taken.key.split_once('.'));
    let section = key.split_once('.').map_or(key, |(section, _)| section);
    let names: Vec<&str> = parts().filter(|(of, _)| *of == section).map(|(_, name)| name).collect();
    if !names.is_empty() {
        return format!("the keys of [{section}] are {}", names.join(", "));
    }
    let mut sections: Vec<&str> = parts().map(|(section, _)| section).collect();
    sections.dedup();
    format!("the sections are {}", sections.join(", "))
}

/// Kafka gives what fits 32 bits as INT and all else as LONG.
fn integer_type(range: &RangeInclusive<u64>) -> ConfigType {
    if i32::try_from(*range.end()).is_ok() { ConfigType::Int } else { ConfigType::Long }
}

/// A number that may be absent, where there is no limit.
struct Limit(Option<u64>);

impl Limit {
    /// As Kafka writes it.
    fn show(&self) -> String {
        self.0.map_or_else(|| "-1".to_owned(), |limit| limit.to_string())
    }
}

/// `unlimited`, or Kafka's −1 for it, or what `parse` makes of the text.
fn unlimited(text: &str, parse: impl Fn(&str) -> Option<u64>) -> Option<Limit> {
    match text {
        "unlimited" | "-1" => Some(Limit(None)),
        text => parse(text).map(|limit| Limit(Some(limit))),
    }
}

/// What does not fit the address space is as good as no limit.
fn in_memory(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

fn bytes_allowed(range: &RangeInclusive<u64>) -> String {
    format!(
        "a size from {} to {}, in bytes or with a unit as in 64MiB",
        show_bytes(*range.start()),
        show_bytes(*range.end())
    )
}

fn millis_allowed(range: &RangeInclusive<u64>) -> String {
    format!(
        "a duration from {} to {}, in milliseconds or with a unit as in 10min",
        show_millis(*range.start()),
        show_millis(*range.end())
    )
}

fn address_allowed() -> String {
    "HOST:PORT, such as 127.0.0.1:9092 or [::1]:9092".to_owned()
}
