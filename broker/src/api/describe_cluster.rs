//! `DescribeCluster` (key 60), versions 0–2: this node, at the address of the listener that was asked.
//!
//! - v1: which kind of endpoint is meant (KIP-919): this is one of brokers. v2: fenced brokers (KIP-1073), of which there are
//!   none.

use kafka_protocol::messages::describe_cluster_response::DescribeClusterBroker;
use kafka_protocol::messages::{DescribeClusterRequest, DescribeClusterResponse};

use super::error::ErrorCode;
use super::text::text;
use super::{Answer, Api, Context, operations};

/// The API.
pub(super) struct DescribeCluster;

const BROKERS: i8 = 1;
const CONTROLLERS: i8 = 2;

impl Api for DescribeCluster {
    type Request = DescribeClusterRequest;

    fn handle(ctx: &Context, request: DescribeClusterRequest) -> Answer<DescribeClusterResponse> {
        let refused = |code: ErrorCode, why: String| {
            Answer::now(
                DescribeClusterResponse::default().with_error_code(code.code()).with_error_message(Some(text(why))),
            )
        };
        match request.endpoint_type {
            BROKERS => {}
            CONTROLLERS => {
                let why =
                    "The request was sent to an endpoint of type BROKER, but we wanted an endpoint of type CONTROLLER";
                return refused(ErrorCode::MismatchedEndpointType, why.to_owned());
            }
            other => {
                return refused(ErrorCode::UnsupportedEndpointType, format!("Unsupported endpoint type {other}"));
            }
        }
        let broker = ctx.broker();
        let node = DescribeClusterBroker::default()
            .with_broker_id(broker.node_id.into())
            .with_host(text(&ctx.advertised().host))
            .with_port(ctx.advertised().port.into());
        let operations = operations::if_asked(request.include_cluster_authorized_operations, operations::ON_CLUSTER);
        let response = DescribeClusterResponse::default()
            .with_cluster_id(text(broker.cluster_id(ctx.scope())))
            .with_controller_id(broker.node_id.into())
            .with_brokers(vec![node])
            .with_cluster_authorized_operations(operations);
        Answer::now(response)
    }
}
