//! `ElectLeaders` (key 43), versions 0–2: there is one replica of each partition, and it leads: no election is ever needed.
//!
//! As in Kafka, partitions that need none are left out where all were asked for.
//!
//! - v1: unclean elections (KIP-460); an error for the whole answer. v2: flexible.

use kafka_protocol::messages::elect_leaders_request::TopicPartitions;
use kafka_protocol::messages::elect_leaders_response::{PartitionResult, ReplicaElectionResult};
use kafka_protocol::messages::{ElectLeadersRequest, ElectLeadersResponse};

use super::error::{self, ErrorCode};
use super::text::text;
use super::{Answer, Api, Context};

/// The API.
pub(super) struct ElectLeaders;

const PREFERRED: i8 = 0;
const UNCLEAN: i8 = 1;

impl Api for ElectLeaders {
    type Request = ElectLeadersRequest;

    fn handle(ctx: &Context, request: ElectLeadersRequest) -> Answer<ElectLeadersResponse> {
        if !matches!(request.election_type, PREFERRED | UNCLEAN) {
            let code = ErrorCode::InvalidRequest.code();
            return Answer::now(ElectLeadersResponse::default().with_error_code(code));
        }
        let topics = request.topic_partitions.unwrap_or_default();
        let results = topics.into_iter().map(|topic| answer(ctx, topic));
        Answer::now(ElectLeadersResponse::default().with_replica_election_results(results.collect()))
    }
}

fn answer(ctx: &Context, topic: TopicPartitions) -> ReplicaElectionResult {
    let found = ctx.topic(topic.topic.as_str());
    let results = topic.partitions.into_iter().map(|index| {
        let (code, why) = match found.as_ref().map_err(Clone::clone).and_then(|found| found.partition_id(index)) {
            Ok(_) => (ErrorCode::ElectionNotNeeded, "Leader election not needed for topic partition.".to_owned()),
            Err(why) => (error::of_topic(&why), why.to_string()),
        };
        PartitionResult::default()
            .with_partition_id(index)
            .with_error_code(code.code())
            .with_error_message(Some(text(why)))
    });
    let results = results.collect();
    ReplicaElectionResult::default().with_topic(topic.topic).with_partition_result(results)
}
