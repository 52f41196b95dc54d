//! `IncrementalAlterConfigs` (key 44), versions 0–1: sets, unsets, extends and shortens single keys of topics. All changes of
//! a resource are made, or none.
//!
//! The broker's own keys are set when it starts. Loggers, client metrics and groups have no configuration here.
//!
//! - v1: flexible.

use kafka_protocol::messages::incremental_alter_configs_request::{AlterConfigsResource, AlterableConfig};
use kafka_protocol::messages::incremental_alter_configs_response::AlterConfigsResourceResponse;
use kafka_protocol::messages::{IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse};
use kafka_protocol::protocol::StrBytes;

use super::configs::{self, Alteration, Refusal, named_twice};
use super::{Answer, Api, Context};
use crate::topics::Changing;
use crate::topics::config_keys::{Change, InvalidConfig, Overrides, change};

/// The API.
pub(super) struct IncrementalAlterConfigs;

impl Api for IncrementalAlterConfigs {
    type Request = IncrementalAlterConfigsRequest;

    fn handle(ctx: &Context, request: IncrementalAlterConfigsRequest) -> Answer<IncrementalAlterConfigsResponse> {
        let named = |resource: &AlterConfigsResource| (resource.resource_type, resource.resource_name.clone());
        let twice = named_twice(request.resources.iter().map(named));
        let begun: Vec<_> = request
            .resources
            .into_iter()
            .map(|resource| {
                let named = named(&resource);
                let begun = alteration(resource).and_then(|change| change.begin(ctx, &twice, request.validate_only));
                (named, begun)
            })
            .collect();
        Answer::later(async move {
            let mut responses = Vec::with_capacity(begun.len());
            for (named, begun) in begun {
                responses.push(answer(named, begun).await);
            }
            IncrementalAlterConfigsResponse::default().with_responses(responses)
        })
    }
}

/// What one key is to become.
struct Edit {
    name: StrBytes,
    operation: Operation,
    value: Option<StrBytes>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Operation {
    Set,
    Delete,
    Append,
    Subtract,
}

impl Edit {
    fn of(config: AlterableConfig) -> Result<Self, Refusal> {
        let AlterableConfig { name, config_operation, value, .. } = config;
        let operation = match config_operation {
            0 => Operation::Set,
            1 => Operation::Delete,
            2 => Operation::Append,
            3 => Operation::Subtract,
            other => return Err(configs::invalid(format!("Unknown operations type {other}"))),
        };
        Ok(Self { name, operation, value })
    }

    fn apply(&self, overrides: &mut Overrides) -> Result<(), InvalidConfig> {
        let value = self.value.as_deref();
        let edit = match self.operation {
            Operation::Set => Change::Set(value),
            Operation::Delete => Change::Delete,
            Operation::Append => Change::Append(value),
            Operation::Subtract => Change::Subtract(value),
        };
        change(overrides, &self.name, edit)
    }
}

fn alteration(
    resource: AlterConfigsResource,
) -> Result<Alteration<impl FnOnce(&mut Overrides) -> Result<(), InvalidConfig> + Send + 'static>, Refusal> {
    let edits = resource.configs.into_iter().map(Edit::of).collect::<Result<Vec<_>, _>>()?;
    let is_null = |edit: &Edit| edit.value.is_none() && edit.operation != Operation::Delete;
    Ok(Alteration {
        resource_type: resource.resource_type,
        name: resource.resource_name,
        keys: edits.iter().map(|edit| (edit.name.clone(), is_null(edit))).collect(),
        change: move |overrides: &mut Overrides| edits.iter().try_for_each(|edit| edit.apply(overrides)),
    })
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
