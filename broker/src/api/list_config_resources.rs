//! `ListConfigResources` (key 74), versions 0–1: what has a configuration: topics and this broker.
//!
//! - v0: `ListClientMetricsResources`, which asks for client metrics alone (KIP-714): there are none. v1: the types of
//!   resources, all where none is given (KIP-1142).

use kafka_protocol::messages::list_config_resources_response::ConfigResource;
use kafka_protocol::messages::{ListConfigResourcesRequest, ListConfigResourcesResponse};

use super::error::ErrorCode;
use super::text::text;
use super::{Answer, Api, Context, configs};

/// The API.
pub(super) struct ListConfigResources;

/// The types that can be asked for: topics, brokers, their loggers, client metrics, groups.
const TYPES: [i8; 5] = [configs::TOPIC, configs::BROKER, 8, 16, 32];

impl Api for ListConfigResources {
    type Request = ListConfigResourcesRequest;

    fn handle(ctx: &Context, request: ListConfigResourcesRequest) -> Answer<ListConfigResourcesResponse> {
        if ctx.api_version == 0 {
            return Answer::now(ListConfigResourcesResponse::default());
        }
        let asked = request.resource_types;
        if !asked.iter().all(|kind| TYPES.contains(kind)) {
            let code = ErrorCode::UnsupportedVersion.code();
            return Answer::now(ListConfigResourcesResponse::default().with_error_code(code));
        }
        let is_asked = |kind| asked.is_empty() || asked.contains(&kind);
        let resource = |kind, name| ConfigResource::default().with_resource_type(kind).with_resource_name(name);
        let mut resources = Vec::new();
        if is_asked(configs::BROKER) {
            resources.push(resource(configs::BROKER, text(ctx.broker().node_id)));
        }
        if is_asked(configs::TOPIC) {
            let topics = ctx.listed_topics();
            resources.extend(topics.iter().map(|topic| resource(configs::TOPIC, text(topic.name()))));
        }
        Answer::now(ListConfigResourcesResponse::default().with_config_resources(resources))
    }
}
