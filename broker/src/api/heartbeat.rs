//! `Heartbeat` (key 12), versions 0–4: a member is alive, and hears whether its group rebalances.
//!
//! - v3: group instance id (KIP-345). v4: flexible.

use kafka_protocol::messages::{HeartbeatRequest, HeartbeatResponse};

use super::error;
use super::{Answer, Api, Context};
use crate::groups::request::MemberClaim;

/// The API.
pub(super) struct Heartbeat;

impl Api for Heartbeat {
    type Request = HeartbeatRequest;

    fn handle(ctx: &Context, request: HeartbeatRequest) -> Answer<HeartbeatResponse> {
        let claim = MemberClaim {
            member_id: request.member_id.to_string(),
            instance_id: request.group_instance_id.map(|id| id.to_string()),
            generation: request.generation_id,
        };
        let result = ctx.broker().groups.coordinator().heartbeat(&ctx.group_key(&request.group_id), &claim);
        let code = error::code_of(&result.map_err(error::of_group));
        Answer::now(HeartbeatResponse::default().with_error_code(code))
    }
}
