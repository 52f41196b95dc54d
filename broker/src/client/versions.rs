//! Which version of each API to speak with a broker.
//!
//! The highest that the broker offers, the codec can encode and decode, and this client's code understands: it names
//! topics by name, so that Produce and Fetch stay below 13, where topics are named by id alone; and asks for one group at a
//! time, where later versions ask for several.

use std::collections::BTreeMap;

use kafka_protocol::messages::api_versions_response::ApiVersion;
use kafka_protocol::messages::{ApiKey, FetchRequest, FindCoordinatorRequest, OffsetFetchRequest, ProduceRequest};
use kafka_protocol::protocol::{Message, Request};

/// The newest version of an API that this client's own code understands, where that is not all that the codec has.
const NEWEST: [(i16, i16); 4] = [
    (ProduceRequest::KEY, 12),
    (FetchRequest::KEY, 12),
    (FindCoordinatorRequest::KEY, 3),
    (OffsetFetchRequest::KEY, 7),
];

/// What a broker offers.
#[derive(Debug, Clone, Default)]
pub(crate) struct Versions {
    offered: BTreeMap<i16, (i16, i16)>,
}

impl Versions {
    pub(crate) fn new(offered: &[ApiVersion]) -> Self {
        Self { offered: offered.iter().map(|api| (api.api_key, (api.min_version, api.max_version))).collect() }
    }

    /// The version to use for `R`, if there is one.
    pub(crate) fn choose<R: Request>(&self) -> Option<i16> {
        let &(broker_min, broker_max) = self.offered.get(&R::KEY)?;
        let codec = R::VERSIONS.intersect(&<R::Response as Message>::VERSIONS);
        let newest = NEWEST.iter().find(|(key, _)| *key == R::KEY).map_or(i16::MAX, |(_, newest)| *newest);
        let version = broker_max.min(codec.max).min(newest);
        (version >= broker_min.max(codec.min)).then_some(version)
    }
}

/// The name of an API for error messages.
pub(crate) fn api_name<R: Request>() -> &'static str {
    /// Only the APIs that this client uses.
    const NAMES: [(ApiKey, &str); 14] = [
        (ApiKey::Produce, "Produce"),
        (ApiKey::Fetch, "Fetch"),
        (ApiKey::ListOffsets, "ListOffsets"),
        (ApiKey::Metadata, "Metadata"),
        (ApiKey::ApiVersions, "ApiVersions"),
        (ApiKey::CreateTopics, "CreateTopics"),
        (ApiKey::InitProducerId, "InitProducerId"),
        (ApiKey::FindCoordinator, "FindCoordinator"),
        (ApiKey::JoinGroup, "JoinGroup"),
        (ApiKey::SyncGroup, "SyncGroup"),
        (ApiKey::Heartbeat, "Heartbeat"),
        (ApiKey::LeaveGroup, "LeaveGroup"),
        (ApiKey::OffsetCommit, "OffsetCommit"),
        (ApiKey::OffsetFetch, "OffsetFetch"),
    ];
    NAMES.iter().find(|(key, _)| *key as i16 == R::KEY).map_or("an API", |(_, name)| name)
}

#[cfg(test)]
mod tests {
    use kafka_protocol::messages::{InitProducerIdRequest, MetadataRequest};

    use super::*;

    fn offering(ranges: &[(i16, i16, i16)]) -> Versions {
        let apis: Vec<ApiVersion> = ranges
            .iter()
            .map(|(key, min, max)| {
                ApiVersion::default().with_api_key(*key).with_min_version(*min).with_max_version(*max)
            })
            .collect();
        Versions::new(&apis)
    }

    #[test]
    fn the_newest_common_version_is_chosen() {
        let versions = offering(&[(0, 0, 99), (1, 4, 11), (3, 0, 7), (22, 0, 6)]);
        assert_eq!(versions.choose::<ProduceRequest>(), Some(12), "topics by name end with 12");
        assert_eq!(versions.choose::<FetchRequest>(), Some(11));
        assert_eq!(versions.choose::<MetadataRequest>(), Some(7));
        assert_eq!(versions.choose::<InitProducerIdRequest>(), Some(5), "the codec's request stops at 5");
    }

    #[test]
    fn without_a_common_version_there_is_none() {
        let versions = offering(&[(0, 0, 2), (1, 13, 17)]);
        assert_eq!(versions.choose::<ProduceRequest>(), None);
        assert_eq!(versions.choose::<FetchRequest>(), None);
        assert_eq!(versions.choose::<MetadataRequest>(), None);
    }
}
