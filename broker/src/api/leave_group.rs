//! `LeaveGroup` (key 13), versions 0–5: members leave, or an administrator removes static ones by their instance ids.
//!
//! - v3: several members, group instance ids (KIP-345). v4: flexible. v5: the reason (KIP-800).

use kafka_protocol::messages::leave_group_request::MemberIdentity;
use kafka_protocol::messages::leave_group_response::MemberResponse;
use kafka_protocol::messages::{LeaveGroupRequest, LeaveGroupResponse};

use super::error;
use super::{Answer, Api, Context};
use crate::groups::GroupError;
use crate::groups::request::Leaver;

/// The API.
pub(super) struct LeaveGroup;

impl Api for LeaveGroup {
    type Request = LeaveGroupRequest;

    fn handle(ctx: &Context, request: LeaveGroupRequest) -> Answer<LeaveGroupResponse> {
        let key = ctx.group_key(&request.group_id);
        let members = if ctx.api_version >= 3 {
            request.members
        } else {
            vec![MemberIdentity::default().with_member_id(request.member_id)]
        };
        let leavers: Vec<Leaver> = members.iter().map(leaver).collect();
        let results = match ctx.broker().groups.coordinator().leave(&key, &leavers) {
            Ok(results) => results,
            Err(error) => return Answer::now(refused(error)),
        };
        if ctx.api_version >= 3 {
            let members = members.into_iter().zip(results).map(|(member, result)| answer(member, result));
            return Answer::now(LeaveGroupResponse::default().with_members(members.collect()));
        }
        Answer::now(match results.into_iter().next() {
            Some(Err(error)) => refused(error),
            _ => LeaveGroupResponse::default(),
        })
    }
}

fn leaver(member: &MemberIdentity) -> Leaver {
    Leaver {
        member_id: member.member_id.to_string(),
        instance_id: member.group_instance_id.as_ref().map(ToString::to_string),
        reason: member.reason.as_ref().map(ToString::to_string).unwrap_or_default(),
    }
}

fn refused(error: GroupError) -> LeaveGroupResponse {
    LeaveGroupResponse::default().with_error_code(error::of_group(error).code())
}

fn answer(member: MemberIdentity, result: Result<(), GroupError>) -> MemberResponse {
    MemberResponse::default()
        .with_member_id(member.member_id)
        .with_group_instance_id(member.group_instance_id)
        .with_error_code(error::code_of(&result.map_err(error::of_group)))
}
