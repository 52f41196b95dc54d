//! `JoinGroup` (key 11), versions 0–9: a member wants to be in its group's next generation, and waits for it.
//!
//! - v1: rebalance timeout of its own. v4: a dynamic member comes back with the id that it was given (KIP-394).
//! - v5: group instance id (KIP-345). v6: flexible. v7: protocol type in the answer (KIP-559).
//! - v8: the reason (KIP-800). v9: a returning static leader is told that the assignment stands (KIP-814).

use std::time::Duration;

use bytes::Bytes;
use kafka_protocol::messages::join_group_request::JoinGroupRequestProtocol;
use kafka_protocol::messages::join_group_response::JoinGroupResponseMember;
use kafka_protocol::messages::{JoinGroupRequest, JoinGroupResponse};
use kafka_protocol::protocol::StrBytes;

use super::error;
use super::{Answer, Api, Context};
use crate::groups::request::{JoinReply, JoinRequest, Joined, JoinedMember, Protocol};

/// The API.
pub(super) struct JoinGroup;

impl Api for JoinGroup {
    type Request = JoinGroupRequest;

    fn handle(ctx: &Context, request: JoinGroupRequest) -> Answer<JoinGroupResponse> {
        let version = ctx.api_version;
        let key = ctx.group_key(&request.group_id);
        let reply = ctx.broker().groups.coordinator().join(&key, asked(ctx, request));
        Answer::later(async move { respond(version, reply.await) })
    }
}

/// What is kept is copied, so that a member does not hold on to the frame that it came in.
fn asked(ctx: &Context, request: JoinGroupRequest) -> JoinRequest {
    // Version 0 has one timeout for both.
    let rebalance_timeout_ms =
        if ctx.api_version == 0 { request.session_timeout_ms } else { request.rebalance_timeout_ms };
    JoinRequest {
        member_id: request.member_id.to_string(),
        instance_id: request.group_instance_id.map(|id| id.to_string()),
        client_id: ctx.client_id.to_string(),
        client_host: format!("/{}", ctx.peer().ip()),
        session_timeout: millis(request.session_timeout_ms),
        rebalance_timeout: millis(rebalance_timeout_ms),
        protocol_type: request.protocol_type.to_string(),
        protocols: request.protocols.iter().map(protocol).collect(),
        requires_known_member_id: ctx.api_version >= 4,
        skips_assignment: ctx.api_version >= 9,
        reason: request.reason.unwrap_or_default().to_string(),
        ..JoinRequest::default()
    }
}

fn millis(ms: i32) -> Duration {
    Duration::from_millis(u64::try_from(ms).unwrap_or(0))
}

fn protocol(protocol: &JoinGroupRequestProtocol) -> Protocol {
    Protocol { name: protocol.name.to_string(), metadata: Bytes::copy_from_slice(&protocol.metadata) }
}

fn respond(version: i16, reply: JoinReply) -> JoinGroupResponse {
    match reply {
        Ok(joined) => welcome(version, joined),
        Err(refusal) => JoinGroupResponse::default()
            .with_error_code(error::of_group(refusal.error).code())
            .with_generation_id(-1)
            .with_protocol_name(protocol_name(version, None))
            .with_member_id(StrBytes::from_string(refusal.member_id)),
    }
}

fn welcome(version: i16, joined: Joined) -> JoinGroupResponse {
    let mut response = JoinGroupResponse::default()
        .with_generation_id(joined.generation)
        .with_protocol_name(protocol_name(version, joined.protocol_name))
        .with_leader(StrBytes::from_string(joined.leader))
        .with_member_id(StrBytes::from_string(joined.member_id))
        .with_members(joined.members.into_iter().map(|seen| member(version, seen)).collect());
    if version >= 7 {
        response = response.with_protocol_type(joined.protocol_type.map(StrBytes::from_string));
    }
    if version >= 9 {
        response = response.with_skip_assignment(joined.skip_assignment);
    }
    response
}

/// Before version 7 there is always a name, if only an empty one.
fn protocol_name(version: i16, name: Option<String>) -> Option<StrBytes> {
    let name = if version < 7 { Some(name.unwrap_or_default()) } else { name };
    name.map(StrBytes::from_string)
}

fn member(version: i16, seen: JoinedMember) -> JoinGroupResponseMember {
    let instance_id = seen.instance_id.filter(|_| version >= 5);
    JoinGroupResponseMember::default()
        .with_member_id(StrBytes::from_string(seen.member_id))
        .with_group_instance_id(instance_id.map(StrBytes::from_string))
        .with_metadata(seen.metadata)
}
