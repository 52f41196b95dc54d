//! `DescribeConfigs` (key 32), versions 1–4: every key of topics and of this broker, with what holds, and why.
//!
//! Broker keys cannot be changed while it runs; so the cluster's dynamic defaults (a broker without a number) are none.
//! Loggers, client metrics and groups have no configuration here.
//!
//! - v1: where a value comes from, and the layers below (KIP-226). v2: throttled after the answer. v3: types and
//!   documentation (KIP-569). v4: flexible.

use kafka_protocol::messages::describe_configs_request::DescribeConfigsResource;
use kafka_protocol::messages::describe_configs_response::{
    DescribeConfigsResourceResult, DescribeConfigsResult, DescribeConfigsSynonym,
};
use kafka_protocol::messages::{DescribeConfigsRequest, DescribeConfigsResponse};

use super::configs::{self, Refusal};
use super::text::text;
use super::{Answer, Api, Context};
use crate::broker::Advertised;
use crate::config::Address;
use crate::topics::describe::{Described, describe_broker, describe_topic};

/// The API.
pub(super) struct DescribeConfigs;

impl Api for DescribeConfigs {
    type Request = DescribeConfigsRequest;

    fn handle(ctx: &Context, request: DescribeConfigsRequest) -> Answer<DescribeConfigsResponse> {
        let shown = Shown { synonyms: request.include_synonyms, documentation: request.include_documentation };
        let results = request.resources.into_iter().map(|resource| {
            let outcome = describe(ctx, &resource);
            let result = DescribeConfigsResult::default()
                .with_resource_type(resource.resource_type)
                .with_resource_name(resource.resource_name.clone());
            match outcome {
                Ok(keys) => result.with_error_message(None).with_configs(shown.keys(keys, &resource)),
                Err((code, why)) => result.with_error_code(code.code()).with_error_message(Some(text(why))),
            }
        });
        Answer::now(DescribeConfigsResponse::default().with_results(results.collect()))
    }
}

fn describe(ctx: &Context, resource: &DescribeConfigsResource) -> Result<Vec<Described>, Refusal> {
    let broker = ctx.broker();
    let name = resource.resource_name.as_str();
    match resource.resource_type {
        configs::TOPIC => {
            let found = ctx.topic(name).map_err(|why| configs::refusal(&why))?;
            Ok(describe_topic(&broker.config, &found.stream_config(), &found.topic.settings))
        }
        configs::BROKER if name.is_empty() => Ok(Vec::new()),
        configs::BROKER => {
            configs::check_broker(name, broker.node_id)?;
            Ok(as_reached(ctx, describe_broker(&broker.config)))
        }
        other => Err(configs::invalid(format!("Unsupported resource type: {other}"))),
    }
}

/// Where this client came in, in place of what the broker was asked to listen on (port 0 is any free one), and where it is
/// told to connect to, which need not have been set.
fn as_reached(ctx: &Context, mut keys: Vec<Described>) -> Vec<Described> {
    let Advertised { host, port } = ctx.advertised().clone();
    for key in &mut keys {
        let address = match key.name.as_str() {
            "listeners" => Address::from(ctx.connection.listener.address),
            "advertised.listeners" => Address { host: host.clone(), port },
            _ => continue,
        };
        key.value = format!("PLAINTEXT://{address}");
    }
    keys
}

/// What a client wants to be told of each key.
#[derive(Clone, Copy)]
struct Shown {
    synonyms: bool,
    documentation: bool,
}

impl Shown {
    /// The keys that were asked for.
    fn keys(self, keys: Vec<Described>, resource: &DescribeConfigsResource) -> Vec<DescribeConfigsResourceResult> {
        let is_asked = |key: &Described| {
            resource.configuration_keys.as_ref().is_none_or(|asked| {
                // Kafka takes an empty list for all keys, too.
                asked.is_empty() || asked.iter().any(|asked| asked.as_str() == key.name)
            })
        };
        keys.into_iter().filter(is_asked).map(|key| self.key(key)).collect()
    }

    fn key(self, key: Described) -> DescribeConfigsResourceResult {
        let synonyms = key.synonyms.into_iter().filter(|_| self.synonyms).map(|synonym| {
            DescribeConfigsSynonym::default()
                .with_name(text(synonym.name))
                .with_value(Some(text(synonym.value)))
                .with_source(configs::source(synonym.source))
        });
        DescribeConfigsResourceResult::default()
            .with_name(text(key.name))
            .with_value(Some(text(key.value)))
            .with_read_only(key.is_read_only)
            .with_config_source(configs::source(key.source))
            .with_synonyms(synonyms.collect())
            .with_config_type(configs::config_type(key.config_type))
            .with_documentation(self.documentation.then(|| text(key.documentation)))
    }
}
