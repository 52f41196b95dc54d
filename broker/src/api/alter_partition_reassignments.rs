//! `AlterPartitionReassignments` (key 45), versions 0–1: there is one node. A partition that is to be on it already is; it can
//! be nowhere else; and there is never a reassignment to cancel.
//!
//! - v1: whether the number of replicas may change (KIP-860); it cannot.

use kafka_protocol::messages::alter_partition_reassignments_request::ReassignablePartition;
use kafka_protocol::messages::alter_partition_reassignments_response::{
    ReassignablePartitionResponse, ReassignableTopicResponse,
};
use kafka_protocol::messages::{AlterPartitionReassignmentsRequest, AlterPartitionReassignmentsResponse};

use super::error::{self, ErrorCode};
use super::text::text;
use super::{Answer, Api, Context};
use crate::topics::replicas::check_replicas;
use crate::topics::{Resolved, TopicError};

/// The API.
pub(super) struct AlterPartitionReassignments;

impl Api for AlterPartitionReassignments {
    type Request = AlterPartitionReassignmentsRequest;

    fn handle(
        ctx: &Context,
        request: AlterPartitionReassignmentsRequest,
    ) -> Answer<AlterPartitionReassignmentsResponse> {
        let node_id = ctx.broker().node_id;
        let responses = request.topics.into_iter().map(|topic| {
            let found = ctx.topic(topic.name.as_str());
            let partitions = topic.partitions.iter().map(|asked| answer(&found, asked, node_id)).collect();
            ReassignableTopicResponse::default().with_name(topic.name).with_partitions(partitions)
        });
        let response = AlterPartitionReassignmentsResponse::default()
            .with_allow_replication_factor_change(request.allow_replication_factor_change)
            .with_error_message(None)
            .with_responses(responses.collect());
        Answer::now(response)
    }
}

fn answer(
    found: &Result<Resolved, TopicError>,
    asked: &ReassignablePartition,
    node_id: i32,
) -> ReassignablePartitionResponse {
    let response = ReassignablePartitionResponse::default().with_partition_index(asked.partition_index);
    let refused = |code: ErrorCode, why: String| {
        response.clone().with_error_code(code.code()).with_error_message(Some(text(why)))
    };
    let topic = match found {
        Ok(found) => found.partition_id(asked.partition_index),
        Err(why) => Err(why.clone()),
    };
    let outcome = topic.map(|_| asked.replicas.as_ref()).and_then(|replicas| {
        let Some(replicas) = replicas else { return Ok(false) };
        let nodes: Vec<i32> = replicas.iter().map(|node| node.0).collect();
        check_replicas(&nodes, node_id).map(|()| true)
    });
    match outcome {
        Ok(true) => response.with_error_message(None),
        Ok(false) => {
            refused(ErrorCode::NoReassignmentInProgress, "No partition reassignment is in progress.".to_owned())
        }
        Err(why) => refused(error::of_topic(&why), why.to_string()),
    }
}
