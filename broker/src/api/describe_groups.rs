//! `DescribeGroups` (key 15), versions 0–6: groups with their members.
//!
//! A group that is not there is `Dead`. Without an authorizer every operation on a group is allowed.
//!
//! - v1: throttle time. v3: allowed operations (KIP-430). v4: group instance ids (KIP-345). v5: flexible.
//! - v6: a group that is not there is an error, with a message (KIP-1043).

use kafka_protocol::messages::describe_groups_response::{DescribedGroup, DescribedGroupMember};
use kafka_protocol::messages::{DescribeGroupsRequest, DescribeGroupsResponse, GroupId};
use kafka_protocol::protocol::StrBytes;

use super::error::ErrorCode;
use super::{Answer, Api, Context, operations};
use crate::groups::State;
use crate::groups::request::{GroupDescription, MemberDescription};

/// The API.
pub(super) struct DescribeGroups;

impl Api for DescribeGroups {
    type Request = DescribeGroupsRequest;

    fn handle(ctx: &Context, request: DescribeGroupsRequest) -> Answer<DescribeGroupsResponse> {
        let shows_operations = ctx.api_version >= 3 && request.include_authorized_operations;
        let describe = |group_id: GroupId| {
            let described = match ctx.broker().groups.describe(&ctx.group_key(&group_id)) {
                Some(group) => described(ctx.api_version, group)
                    .with_authorized_operations(operations::if_asked(shows_operations, operations::ON_GROUP)),
                None => missing(ctx.api_version, &group_id),
            };
            described.with_group_id(group_id)
        };
        let groups = request.groups.into_iter().map(describe).collect();
        Answer::now(DescribeGroupsResponse::default().with_groups(groups))
    }
}

fn missing(version: i16, group_id: &GroupId) -> DescribedGroup {
    let dead = DescribedGroup::default().with_group_state(StrBytes::from_static_str(State::Dead.name()));
    if version < 6 {
        return dead;
    }
    let message = format!("Group {} not found.", group_id.as_str());
    dead.with_error_code(ErrorCode::GroupIdNotFound.code()).with_error_message(Some(StrBytes::from_string(message)))
}

fn described(version: i16, group: GroupDescription) -> DescribedGroup {
    DescribedGroup::default()
        .with_group_state(StrBytes::from_static_str(group.state.name()))
        .with_protocol_type(StrBytes::from_string(group.protocol_type.unwrap_or_default()))
        .with_protocol_data(StrBytes::from_string(group.protocol_name.unwrap_or_default()))
        .with_members(group.members.into_iter().map(|seen| member(version, seen)).collect())
}

fn member(version: i16, seen: MemberDescription) -> DescribedGroupMember {
    let instance_id = seen.instance_id.filter(|_| version >= 4);
    DescribedGroupMember::default()
        .with_member_id(StrBytes::from_string(seen.member_id))
        .with_group_instance_id(instance_id.map(StrBytes::from_string))
        .with_client_id(StrBytes::from_string(seen.client_id))
        .with_client_host(StrBytes::from_string(seen.client_host))
        .with_member_metadata(seen.metadata)
        .with_member_assignment(seen.assignment)
}
