//! What volumes may hold, on the command line: `--quota 10G`, `--advisoryquota 8G` (`MapR`'s words), `--max-topics 100`.

use std::str::FromStr;

use clap::Args;

use crate::config::{NotASize, parse_size, show_bytes_roughly};
use crate::http::limits::{Limits, LimitsChange};

/// What takes a limit away.
const NONE: &str = "none";

/// What a volume may hold.
#[derive(Args, Debug, Default)]
pub struct LimitArgs {
    /// Bytes that it may hold, such as 500M or 10G, or none: producers that would exceed them are told to wait
    #[arg(long, value_name = "SIZE")]
    quota: Option<Size>,
    /// Bytes from which on the log and a metric warn, or none
    #[arg(long = "advisoryquota", visible_alias = "advisory-quota", value_name = "SIZE")]
    advisory_quota: Option<Size>,
    /// Topics that it may have, or none
    #[arg(long, value_name = "N")]
    max_topics: Option<Count>,
    /// Partitions that these may have together, or none
    #[arg(long, value_name = "N")]
    max_partitions: Option<Count>,
    /// Connections that there may be to the listeners that show it or a snapshot of it, or none
    #[arg(long, value_name = "N")]
    max_connections: Option<Count>,
}

/// A size; none: no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Size(Option<u64>);

/// A number; none: no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Count(Option<u32>);

/// The text is no number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it is neither a number above zero nor {NONE}")]
struct NotACount;

impl FromStr for Size {
    type Err = NotASize;

    fn from_str(text: &str) -> Result<Self, NotASize> {
        if text == NONE { Ok(Self(None)) } else { parse_size(text).map(Some).map(Self) }
    }
}

impl FromStr for Count {
    type Err = NotACount;

    fn from_str(text: &str) -> Result<Self, NotACount> {
        if text == NONE {
            return Ok(Self(None));
        }
        text.parse().ok().filter(|count| *count > 0).map(Some).map(Self).ok_or(NotACount)
    }
}

impl LimitArgs {
    /// Those of a new volume.
    pub(super) fn limits(&self) -> Limits {
        Limits {
            quota_bytes: self.quota.and_then(|size| size.0),
            advisory_quota_bytes: self.advisory_quota.and_then(|size| size.0),
            topics_max: self.max_topics.and_then(|count| count.0),
            partitions_max: self.max_partitions.and_then(|count| count.0),
            connections_max: self.max_connections.and_then(|count| count.0),
        }
    }

    /// What is to be changed of those that a volume has.
    pub(super) fn change(&self) -> LimitsChange {
        LimitsChange {
            quota_bytes: self.quota.map(|size| size.0),
            advisory_quota_bytes: self.advisory_quota.map(|size| size.0),
            topics_max: self.max_topics.map(|count| count.0),
            partitions_max: self.max_partitions.map(|count| count.0),
            connections_max: self.max_connections.map(|count| count.0),
        }
    }
}

/// The limits that a volume has, in words.
pub(super) fn show(limits: &Limits) -> Vec<(&'static str, String)> {
    let sizes = [("quota", limits.quota_bytes), ("advisory quota", limits.advisory_quota_bytes)];
    let counts = [
        ("max topics", limits.topics_max),
        ("max partitions", limits.partitions_max),
        ("max connections", limits.connections_max),
    ];
    let sizes = sizes.into_iter().filter_map(|(name, most)| Some((name, show_bytes_roughly(most?))));
    let counts = counts.into_iter().filter_map(|(name, most)| Some((name, most?.to_string())));
    sizes.chain(counts).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_set_taken_away_or_left() {
        let args = LimitArgs {
            quota: Some("10G".parse().unwrap()),
            advisory_quota: Some("none".parse().unwrap()),
            max_topics: Some("7".parse().unwrap()),
            ..LimitArgs::default()
        };
        let change = args.change();
        assert_eq!((change.quota_bytes, change.advisory_quota_bytes), (Some(Some(10 << 30)), Some(None)));
        assert_eq!((change.topics_max, change.partitions_max), (Some(Some(7)), None));
        let rows = show(&args.limits());
        assert_eq!(rows, [("quota", "10.0 GiB".to_owned()), ("max topics", "7".to_owned())]);
    }

    #[test]
    fn what_is_no_limit_is_refused() {
        assert!("10".parse::<Size>().is_err() && "x".parse::<Count>().is_err() && "0".parse::<Count>().is_err());
    }
}
