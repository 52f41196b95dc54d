//! `DeleteGroups` (key 42), versions 0–2: deletes groups without members, and their positions.
//!
//! - v1: throttle time. v2: flexible.

use kafka_protocol::messages::delete_groups_response::DeletableGroupResult;
use kafka_protocol::messages::{DeleteGroupsRequest, DeleteGroupsResponse, GroupId};

use super::error::{self, ErrorCode};
use super::{Answer, Api, Context};

/// The API.
pub(super) struct DeleteGroups;

impl Api for DeleteGroups {
    type Request = DeleteGroupsRequest;

    fn handle(ctx: &Context, request: DeleteGroupsRequest) -> Answer<DeleteGroupsResponse> {
        let mut names = request.groups_names;
        names.sort_unstable();
        names.dedup();
        let delete = |name: GroupId| {
            let begun = ctx.broker().groups.delete(&ctx.group_key(&name));
            (name, begun.map_err(error::of_group))
        };
        let begun: Vec<_> = names.into_iter().map(delete).collect();
        Answer::later(async move {
            let mut results = Vec::with_capacity(begun.len());
            for (name, begun) in begun {
                let result = match begun {
                    Ok(done) => done.await.map_err(|error| error::of_position(&error)),
                    Err(code) => Err(code),
                };
                results.push(answer(name, result));
            }
            DeleteGroupsResponse::default().with_results(results)
        })
    }
}

fn answer(name: GroupId, result: Result<(), ErrorCode>) -> DeletableGroupResult {
    DeletableGroupResult::default().with_group_id(name).with_error_code(error::code_of(&result))
}
