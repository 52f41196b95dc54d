//! `min.compaction.lag.ms` and `max.compaction.lag.ms`: whether the one is above the other, wherever each is set.
//!
//! Each may be set on a topic, on its stream, or for the broker. It is looked at where a topic or a stream is made or changed that sets one of them: what holds
//! then must go together, as in Kafka. A broker that is started with other defaults beneath what is set refuses nothing: then the minimum holds (nothing
//! younger is compacted, however late it is), and that is told of.

use std::fmt;

use super::config_keys::{InvalidConfig, Overrides};
use super::settings::TopicSettings;
use crate::config::TopicsConfig;

/// The two keys.
pub const LAGS: [&str; 2] = ["min.compaction.lag.ms", "max.compaction.lag.ms"];

/// Where something is set, and what is set there.
pub type Layer<'a> = (&'static str, &'a Overrides);

/// What holds of one key, and where that is set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lag {
    /// Milliseconds.
    pub ms: i64,
    /// Where.
    pub whose: &'static str,
}

impl fmt::Display for Lag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, set on {}", self.ms, self.whose)
    }
}

/// A topic's own keys.
pub fn own(keys: &Overrides) -> Layer<'_> {
    ("the topic", keys)
}

/// Those of a stream.
pub fn of_stream(keys: &Overrides) -> Layer<'_> {
    ("the stream", keys)
}

/// Whether what is set in the first of these layers goes together with what it leaves to the others and the broker.
pub fn agree(config: &TopicsConfig, layers: &[Layer<'_>]) -> Result<(), InvalidConfig> {
    let sets_one = |(_, keys): &Layer<'_>| LAGS.iter().any(|key| keys.contains_key(*key));
    if !layers.first().is_some_and(sets_one) {
        return Ok(());
    }
    let defaults = TopicSettings::defaults(config);
    let holds = |key: &str, default| {
        let set = layers.iter().find_map(|&(whose, keys)| Some(Lag { ms: keys.get(key)?.parse().ok()?, whose }));
        set.unwrap_or(Lag { ms: default, whose: "the broker" })
    };
    let min = holds(LAGS[0], defaults.compaction_lag_min_ms);
    let max = holds(LAGS[1], defaults.compaction_lag_max_ms);
    if min.ms > max.ms { Err(InvalidConfig::Lags { min, max }) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::config::Config;

    fn keys(min: Option<i64>, max: Option<i64>) -> Overrides {
        let named = LAGS.iter().zip([min, max]);
        named.filter_map(|(key, ms)| Some(((*key).to_owned(), ms?.to_string()))).collect()
    }

    #[test]
    fn a_lag_is_compared_with_what_holds_of_the_other() {
        let mut config = Config::default().topics;
        config.compaction_lag_max = Duration::from_millis(50);
        let agrees = |topic: &Overrides, stream: &Overrides| agree(&config, &[own(topic), of_stream(stream)]);
        let nothing = keys(None, None);
        for (topic, stream) in [
            (keys(Some(5), Some(5)), nothing.clone()),
            (keys(Some(50), None), nothing.clone()),
            (keys(Some(60), None), keys(None, Some(60))),
            (keys(Some(6), None), keys(Some(70), None)),
            // Not the topic's doing.
            (nothing.clone(), keys(Some(60), None)),
        ] {
            assert_eq!(agrees(&topic, &stream), Ok(()), "{topic:?} in {stream:?}");
        }
        for (topic, stream, words) in [
            (
                keys(Some(6), Some(5)),
                nothing.clone(),
                "(6, set on the topic) is above max.compaction.lag.ms (5, set on the topic)",
            ),
            (
                keys(Some(51), None),
                nothing.clone(),
                "(51, set on the topic) is above max.compaction.lag.ms (50, set on the broker)",
            ),
            (
                keys(Some(6), None),
                keys(None, Some(5)),
                "(6, set on the topic) is above max.compaction.lag.ms (5, set on the stream)",
            ),
            (
                keys(None, Some(5)),
                keys(Some(6), None),
                "(6, set on the stream) is above max.compaction.lag.ms (5, set on the topic)",
            ),
        ] {
            let why = agrees(&topic, &stream).unwrap_err().to_string();
            assert!(why.contains(words), "{why}");
        }
    }
}
