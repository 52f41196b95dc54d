//! What volumes may hold, in the answers and requests of `/v1/volumes` and `/v1/clones`.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::body::given;
use crate::documents::VolumeLimits;
use crate::volumes::LimitsChange as Change;

/// What a volume may hold; what is missing is not limited.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Bytes of its batches: producers are told to wait that would exceed them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quota_bytes: Option<u64>,
    /// Bytes of its batches: the log and a metric tell when there are more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub advisory_quota_bytes: Option<u64>,
    /// How many topics it may have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub topics_max: Option<u32>,
    /// How many partitions these may have together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partitions_max: Option<u32>,
    /// How many connections there may be to the listeners that show it, or a snapshot of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connections_max: Option<u32>,
}

/// What is to be changed of what a volume may hold. What is missing stays; null takes a limit away.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LimitsChange {
    /// Bytes of its batches: producers are told to wait that would exceed them.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<u64>)]
    pub quota_bytes: Option<Option<u64>>,
    /// Bytes of its batches: the log and a metric tell when there are more.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<u64>)]
    pub advisory_quota_bytes: Option<Option<u64>>,
    /// How many topics it may have.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<u32>)]
    pub topics_max: Option<Option<u32>>,
    /// How many partitions these may have together.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<u32>)]
    pub partitions_max: Option<Option<u32>>,
    /// How many connections there may be to the listeners that show it, or a snapshot of it.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<u32>)]
    pub connections_max: Option<Option<u32>>,
}

impl LimitsChange {
    /// Whether nothing is to be changed.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl From<Limits> for VolumeLimits {
    fn from(limits: Limits) -> Self {
        Self {
            quota_bytes: limits.quota_bytes,
            advisory_quota_bytes: limits.advisory_quota_bytes,
            topics_max: limits.topics_max,
            partitions_max: limits.partitions_max,
            connections_max: limits.connections_max,
            ..Self::default()
        }
    }
}

impl From<VolumeLimits> for Limits {
    fn from(limits: VolumeLimits) -> Self {
        Self {
            quota_bytes: limits.quota_bytes,
            advisory_quota_bytes: limits.advisory_quota_bytes,
            topics_max: limits.topics_max,
            partitions_max: limits.partitions_max,
            connections_max: limits.connections_max,
        }
    }
}

impl From<LimitsChange> for Change {
    fn from(change: LimitsChange) -> Self {
        Self {
            quota_bytes: change.quota_bytes,
            advisory_quota_bytes: change.advisory_quota_bytes,
            topics_max: change.topics_max,
            partitions_max: change.partitions_max,
            connections_max: change.connections_max,
        }
    }
}
