//! The settings that groups obey, with Kafka's defaults.

use std::time::Duration;

use crate::config::GroupsConfig;

/// What bounds and times groups. Field names follow Kafka's keys (`group.min.session.timeout.ms` and so on).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupSettings {
    /// `group.min.session.timeout.ms`: the shortest session timeout that a member may ask for.
    pub session_timeout_min: Duration,
    /// `group.max.session.timeout.ms`: the longest session timeout that a member may ask for.
    pub session_timeout_max: Duration,
    /// `group.max.size`: how many members a group may have.
    pub members_max: usize,
    /// `group.initial.rebalance.delay.ms`: how long an empty group waits for more members after the first, and again
    /// whenever one came, up to the rebalance timeout.
    pub initial_rebalance_delay: Duration,
    /// How long a member that cannot know its id yet may wait in `JoinGroup`. A client that lost its connection comes
    /// back as somebody else, so without a bound its former selves would pile up.
    pub new_member_join_timeout: Duration,
}

/// Kafka's, which has no key for it either.
const NEW_MEMBER_JOIN_TIMEOUT: Duration = Duration::from_mins(5);

impl From<&GroupsConfig> for GroupSettings {
    fn from(config: &GroupsConfig) -> Self {
        Self {
            session_timeout_min: config.session_timeout_min,
            session_timeout_max: config.session_timeout_max,
            members_max: usize::try_from(config.members_max).unwrap_or(usize::MAX),
            initial_rebalance_delay: config.initial_rebalance_delay,
            new_member_join_timeout: NEW_MEMBER_JOIN_TIMEOUT,
        }
    }
}

/// How long positions are kept, and how much may go with one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PositionSettings {
    /// `offset.metadata.max.bytes`: the longest text that may go with a position.
    pub metadata_bytes_max: usize,
    /// `offsets.retention.minutes`: how long positions that nobody uses are kept.
    pub retention: Duration,
    /// `offsets.retention.check.interval.ms`: how often expired ones are looked for.
    pub retention_check_interval: Duration,
}

impl PositionSettings {
    pub(super) fn retention_ms(&self) -> i64 {
        i64::try_from(self.retention.as_millis()).unwrap_or(i64::MAX)
    }
}

impl From<&GroupsConfig> for PositionSettings {
    fn from(config: &GroupsConfig) -> Self {
        Self {
            metadata_bytes_max: usize::try_from(config.offset_metadata_bytes_max).unwrap_or(usize::MAX),
            retention: config.offsets_retention,
            retention_check_interval: config.offsets_retention_check_interval,
        }
    }
}
