//! `AlterConfigs` (key 33), versions 0–2: replaces all that is set on topics. What is not given has the default again.
//!
//! The broker's own keys are set when it starts. Client metrics and groups have no configuration here.
//!
//! - v1: throttled after the answer. v2: flexible.

use kafka_protocol::messages::alter_configs_request::AlterConfigsResource;
use kafka_protocol::messages::alter_configs_response::AlterConfigsResourceResponse;
use kafka_protocol::messages::{AlterConfigsRequest, AlterConfigsResponse};
use kafka_protocol::protocol::StrBytes;

use super::configs::{self, Alteration, Refusal, named_twice};
use super::{Answer, Api, Context};
use crate::topics::Changing;
use crate::topics::config_keys::{InvalidConfig, Overrides, checked};

/// The API.
pub(super) struct AlterConfigs;

impl Api for AlterConfigs {
    type Request = AlterConfigsRequest;

    fn handle(ctx: &Context, request: AlterConfigsRequest) -> Answer<AlterConfigsResponse> {
        let named = |resource: &AlterConfigsResource| (resource.resource_type, resource.resource_name.clone());
        let twice = named_twice(request.resources.iter().map(named));
        let begun: Vec<_> = request
            .resources
            .into_iter()
            .map(|resource| (named(&resource), alteration(resource).begin(ctx, &twice, request.validate_only)))
            .collect();
        Answer::later(async move {
            let mut responses = Vec::with_capacity(begun.len());
            for (named, begun) in begun {
                responses.push(answer(named, begun).await);
            }
            AlterConfigsResponse::default().with_responses(responses)
        })
    }
}

fn alteration(
    resource: AlterConfigsResource,
) -> Alteration<impl FnOnce(&mut Overrides) -> Result<(), InvalidConfig> + Send + 'static> {
    let given = resource.configs;
    Alteration {
        resource_type: resource.resource_type,
        name: resource.resource_name,
        keys: given.iter().map(|config| (config.name.clone(), config.value.is_none())).collect(),
        change: move |overrides: &mut Overrides| {
            let pairs = given.iter().map(|config| (config.name.as_str(), config.value.as_deref()));
            *overrides = checked(pairs)?;
            Ok(())
        },
    }
}

async fn answer(
    (resource_type, name): (i8, StrBytes),
    begun: Result<Changing<()>, Refusal>,
) -> AlterConfigsResourceResponse {
    let (code, message) = configs::settled(begun).await;
    AlterConfigsResourceResponse::default()
        .with_resource_type(resource_type)
        .with_resource_name(name)
        .with_error_code(code)
        .with_error_message(message)
}
