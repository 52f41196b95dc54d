//! `ListGroups` (key 16), versions 0–5: the groups that have members or positions.
//!
//! - v1: throttle time. v3: flexible. v4: states, to show and to filter by (KIP-518). v5: types, likewise (KIP-848).

use kafka_protocol::messages::list_groups_response::ListedGroup;
use kafka_protocol::messages::{GroupId, ListGroupsRequest, ListGroupsResponse};
use kafka_protocol::protocol::StrBytes;

use super::{Answer, Api, Context};
use crate::groups::State;
use crate::groups::request::GroupDescription;

/// The API.
pub(super) struct ListGroups;

/// The one type of group there is.
const CLASSIC: &str = "classic";

impl Api for ListGroups {
    type Request = ListGroupsRequest;

    fn handle(ctx: &Context, request: ListGroupsRequest) -> Answer<ListGroupsResponse> {
        let wants_type = request.types_filter.is_empty()
            || request.types_filter.iter().any(|wanted| wanted.eq_ignore_ascii_case(CLASSIC));
        let wants_state = |state: State| {
            let filter = &request.states_filter;
            filter.is_empty() || filter.iter().any(|wanted| wanted.trim().eq_ignore_ascii_case(state.name()))
        };
        let groups = ctx.broker().groups.list(ctx.scope()).into_iter();
        let groups = groups.filter(|(_, group)| wants_type && wants_state(group.state));
        let groups = groups.map(|(group_id, group)| listed(ctx.api_version, group_id, group)).collect();
        Answer::now(ListGroupsResponse::default().with_groups(groups))
    }
}

fn listed(version: i16, group_id: String, group: GroupDescription) -> ListedGroup {
    let mut listed = ListedGroup::default()
        .with_group_id(GroupId(StrBytes::from_string(group_id)))
        .with_protocol_type(StrBytes::from_string(group.protocol_type.unwrap_or_default()));
    if version >= 4 {
        listed = listed.with_group_state(StrBytes::from_static_str(group.state.name()));
    }
    if version >= 5 {
        listed = listed.with_group_type(StrBytes::from_static_str(CLASSIC));
    }
    listed
}
