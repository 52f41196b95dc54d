//! `ListPartitionReassignments` (key 46), version 0: there is one node, so that no partition is ever on its way to another.

use kafka_protocol::messages::{ListPartitionReassignmentsRequest, ListPartitionReassignmentsResponse};

use super::{Answer, Api, Context};

/// The API.
pub(super) struct ListPartitionReassignments;

impl Api for ListPartitionReassignments {
    type Request = ListPartitionReassignmentsRequest;

    fn handle(_: &Context, _: ListPartitionReassignmentsRequest) -> Answer<ListPartitionReassignmentsResponse> {
        Answer::now(ListPartitionReassignmentsResponse::default().with_error_message(None))
    }
}
