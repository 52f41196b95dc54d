//! `ElectLeaders`, versions 0–2.

use kafka_protocol::messages::ElectLeadersRequest;
use kafka_protocol::messages::elect_leaders_request::TopicPartitions;
use millpond_compat_tests::requests::{create_topic, name};
use millpond_compat_tests::server::Server;

const UNKNOWN_TOPIC_OR_PARTITION: i16 = 3;
const INVALID_REQUEST: i16 = 42;
const ELECTION_NOT_NEEDED: i16 = 84;

#[test]
fn no_election_is_ever_needed() {
    let server = Server::start();
    let mut wire = server.wire();
    wire.call(7, &create_topic("trades", 1));
    for version in 0..=2 {
        let topic = |topic: &str| TopicPartitions::default().with_topic(name(topic)).with_partitions(vec![0, 1]);
        for kind in if version >= 1 { 0..=1 } else { 0..=0 } {
            let request = ElectLeadersRequest::default()
                .with_election_type(kind)
                .with_topic_partitions(Some(vec![topic("trades"), topic("missing")]));
            let answer = wire.call(version, &request);
            assert_eq!(answer.error_code, 0, "v{version}");
            let codes: Vec<i16> = answer
                .replica_election_results
                .iter()
                .flat_map(|topic| &topic.partition_result)
                .map(|partition| partition.error_code)
                .collect();
            let unknown = UNKNOWN_TOPIC_OR_PARTITION;
            assert_eq!(codes, [ELECTION_NOT_NEEDED, unknown, unknown, unknown], "v{version}");
        }
        let all = wire.call(version, &ElectLeadersRequest::default().with_topic_partitions(None));
        assert_eq!((all.error_code, all.replica_election_results.len()), (0, 0), "v{version}");
    }
}

#[test]
fn a_kind_of_election_that_there_is_not_is_refused() {
    let server = Server::start();
    for version in 1..=2 {
        let answer = server.wire().call(version, &ElectLeadersRequest::default().with_election_type(2));
        assert_eq!(answer.error_code, INVALID_REQUEST, "v{version}");
    }
}
