//! `FindCoordinator` (key 10), versions 0–6: which broker to talk to about a group. There is one: the listener asked.
//!
//! Transactional ids are refused until there are transactions, by the only error that stops every client; share groups are
//! not served.
//!
//! - v1: key type and error message. v3: flexible. v4: several keys at once (KIP-699). v6: share groups (KIP-932).

use kafka_protocol::messages::find_coordinator_response::Coordinator;
use kafka_protocol::messages::{BrokerId, FindCoordinatorRequest, FindCoordinatorResponse};
use kafka_protocol::protocol::StrBytes;
use tracing::{debug, info};

use super::error::ErrorCode;
use super::{Answer, Api, Context};
use crate::seldom::Seldom;

/// The API.
pub(super) struct FindCoordinator;

const GROUP: i8 = 0;
const TRANSACTION: i8 = 1;

impl Api for FindCoordinator {
    type Request = FindCoordinatorRequest;

    fn handle(ctx: &Context, request: FindCoordinatorRequest) -> Answer<FindCoordinatorResponse> {
        let key_type = request.key_type;
        if ctx.api_version >= 4 {
            let keys = request.coordinator_keys.into_iter();
            let coordinators = keys.map(|key| find(ctx, key_type, key)).collect();
            return Answer::now(FindCoordinatorResponse::default().with_coordinators(coordinators));
        }
        let found = find(ctx, key_type, request.key);
        Answer::now(
            FindCoordinatorResponse::default()
                .with_error_code(found.error_code)
                .with_error_message(found.error_message)
                .with_node_id(found.node_id)
                .with_host(found.host)
                .with_port(found.port),
        )
    }
}

fn find(ctx: &Context, key_type: i8, key: StrBytes) -> Coordinator {
    let here = ctx.advertised();
    match key_type {
        GROUP => Coordinator::default()
            .with_key(key)
            .with_node_id(BrokerId(ctx.broker().node_id))
            .with_host(StrBytes::from_string(here.host.clone()))
            .with_port(i32::from(here.port)),
        TRANSACTION => {
            tell(ctx, &key);
            nowhere(key, ErrorCode::TransactionalIdAuthorizationFailed, "transactions are not served")
        }
        _ => nowhere(key, ErrorCode::InvalidRequest, "only groups have a coordinator here"),
    }
}

/// A person should hear why a transactional client does not start; one that tries on and on is not told of each time.
fn tell(ctx: &Context, id: &str) {
    static TOLD: Seldom = Seldom::new();
    if TOLD.lets_through(ctx.arrived) {
        info!(transactional_id = id, peer = %ctx.peer(), "transactions are not served");
    } else {
        debug!(transactional_id = id, peer = %ctx.peer(), "transactions are not served");
    }
}

fn nowhere(key: StrBytes, error: ErrorCode, message: &'static str) -> Coordinator {
    Coordinator::default()
        .with_key(key)
        .with_node_id(BrokerId(-1))
        .with_port(-1)
        .with_error_code(error.code())
        .with_error_message(Some(StrBytes::from_static_str(message)))
}
