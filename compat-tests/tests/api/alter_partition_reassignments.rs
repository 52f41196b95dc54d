//! `AlterPartitionReassignments`, versions 0–1.

use kafka_protocol::messages::alter_partition_reassignments_request::{ReassignablePartition, ReassignableTopic};
use kafka_protocol::messages::{AlterPartitionReassignmentsRequest, BrokerId};
use millpond_compat_tests::requests::{create_topic, name};
use millpond_compat_tests::server::Server;

const UNKNOWN_TOPIC_OR_PARTITION: i16 = 3;
const INVALID_REPLICA_ASSIGNMENT: i16 = 39;
const NO_REASSIGNMENT_IN_PROGRESS: i16 = 85;

fn partition(index: i32, nodes: Option<&[i32]>) -> ReassignablePartition {
    ReassignablePartition::default()
        .with_partition_index(index)
        .with_replicas(nodes.map(|nodes| nodes.iter().copied().map(BrokerId).collect()))
}

#[test]
fn partitions_stay_where_they_are() {
    let server = Server::start();
    let mut wire = server.wire();
    wire.call(7, &create_topic("trades", 2));
    for version in 0..=1 {
        let trades = vec![
            partition(0, Some(&[1])),
            partition(1, Some(&[2])),
            partition(1, Some(&[1, 2])),
            partition(1, Some(&[])),
            partition(1, None),
            partition(2, Some(&[1])),
        ];
        let topic =
            |topic: &str, partitions| ReassignableTopic::default().with_name(name(topic)).with_partitions(partitions);
        let topics = vec![topic("trades", trades), topic("missing", vec![partition(0, Some(&[1]))])];
        let answer = wire.call(version, &AlterPartitionReassignmentsRequest::default().with_topics(topics));
        assert_eq!((answer.error_code, &answer.error_message), (0, &None), "v{version}");
        let codes: Vec<i16> =
            answer.responses.iter().flat_map(|topic| &topic.partitions).map(|partition| partition.error_code).collect();
        let (wrong, unknown) = (INVALID_REPLICA_ASSIGNMENT, UNKNOWN_TOPIC_OR_PARTITION);
        assert_eq!(codes, [0, wrong, wrong, wrong, NO_REASSIGNMENT_IN_PROGRESS, unknown, unknown], "v{version}");
    }
}
