//! `DescribeQuorum`, versions 0–2.

use kafka_protocol::messages::DescribeQuorumRequest;
use kafka_protocol::messages::describe_quorum_request::{PartitionData, TopicData};
use millpond_compat_tests::requests::{create_topic, name};
use millpond_compat_tests::server::Server;

const UNKNOWN_TOPIC_OR_PARTITION: i16 = 3;

fn of(topics: &[(&str, i32)]) -> DescribeQuorumRequest {
    let topics = topics.iter().map(|(topic, partition)| {
        let partition = PartitionData::default().with_partition_index(*partition);
        TopicData::default().with_topic_name(name(topic)).with_partitions(vec![partition])
    });
    DescribeQuorumRequest::default().with_topics(topics.collect())
}

#[test]
fn the_quorum_is_this_node() {
    let server = Server::start();
    let mut wire = server.wire();
    wire.call(7, &create_topic("trades", 1));
    for version in 0..=2 {
        let answer = wire.call(version, &of(&[("__cluster_metadata", 0)]));
        assert_eq!(answer.error_code, 0, "v{version}");
        let part = &answer.topics[0].partitions[0];
        assert_eq!((part.error_code, part.leader_id.0, part.observers.len()), (0, 1, 0), "v{version}");
        let voter = &part.current_voters[0];
        assert_eq!((part.current_voters.len(), voter.replica_id.0), (1, 1), "v{version}");
        assert!(part.high_watermark > 0 && voter.log_end_offset >= part.high_watermark, "v{version}");
        assert_eq!(voter.last_fetch_timestamp > 0, version >= 1, "v{version}");
        assert_eq!(answer.nodes.len(), usize::from(version >= 2), "v{version}");
        if let Some(node) = answer.nodes.first() {
            let listener = &node.listeners[0];
            assert_eq!(format!("{}:{}", listener.host.as_str(), listener.port), server.kafka());
        }
    }
}

#[test]
fn other_topics_have_no_quorum() {
    let server = Server::start();
    let mut wire = server.wire();
    for version in 0..=2 {
        let answer = wire.call(version, &of(&[("trades", 0), ("__cluster_metadata", 1)]));
        let codes: Vec<i16> = answer.topics.iter().map(|topic| topic.partitions[0].error_code).collect();
        assert_eq!(codes, [UNKNOWN_TOPIC_OR_PARTITION; 2], "v{version}");
    }
}
