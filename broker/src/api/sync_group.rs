//! `SyncGroup` (key 14), versions 0–5: a member fetches its assignment, the leader brings everybody's; both wait until the
//! assignment is durable.
//!
//! - v3: group instance id (KIP-345). v4: flexible. v5: protocol type and name, which are then mandatory (KIP-559).

use bytes::Bytes;
use kafka_protocol::messages::{SyncGroupRequest, SyncGroupResponse};
use kafka_protocol::protocol::StrBytes;

use super::error::{self, ErrorCode};
use super::{Answer, Api, Context};
use crate::groups::request::{SyncReply, SyncRequest};

/// The API.
pub(super) struct SyncGroup;

impl Api for SyncGroup {
    type Request = SyncGroupRequest;

    fn handle(ctx: &Context, request: SyncGroupRequest) -> Answer<SyncGroupResponse> {
        let version = ctx.api_version;
        if version >= 5 && (request.protocol_type.is_none() || request.protocol_name.is_none()) {
            let code = ErrorCode::InconsistentGroupProtocol.code();
            return Answer::now(SyncGroupResponse::default().with_error_code(code));
        }
        let key = ctx.group_key(&request.group_id);
        let reply = ctx.broker().groups.coordinator().sync(&key, asked(request));
        Answer::later(async move { respond(version, reply.await) })
    }
}

/// What is kept is copied, so that an assignment does not hold on to the frame that it came in.
fn asked(request: SyncGroupRequest) -> SyncRequest {
    let assignments = request.assignments.into_iter();
    SyncRequest {
        member_id: request.member_id.to_string(),
        instance_id: request.group_instance_id.map(|id| id.to_string()),
        generation: request.generation_id,
        protocol_type: request.protocol_type.map(|text| text.to_string()),
        protocol_name: request.protocol_name.map(|text| text.to_string()),
        assignments: assignments
            .map(|member| (member.member_id.to_string(), Bytes::copy_from_slice(&member.assignment)))
            .collect(),
    }
}

fn respond(version: i16, reply: SyncReply) -> SyncGroupResponse {
    match reply {
        Ok(synced) => {
            let response = SyncGroupResponse::default().with_assignment(synced.assignment);
            if version < 5 {
                return response;
            }
            response
                .with_protocol_type(synced.protocol_type.map(StrBytes::from_string))
                .with_protocol_name(synced.protocol_name.map(StrBytes::from_string))
        }
        Err(error) => SyncGroupResponse::default().with_error_code(error::of_group(error).code()),
    }
}
