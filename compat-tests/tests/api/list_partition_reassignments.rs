//! `ListPartitionReassignments`, version 0.

use kafka_protocol::messages::ListPartitionReassignmentsRequest;
use kafka_protocol::messages::list_partition_reassignments_request::ListPartitionReassignmentsTopics;
use millpond_compat_tests::requests::{create_topic, name};
use millpond_compat_tests::server::Server;

#[test]
fn nothing_is_ever_reassigned() {
    let server = Server::start();
    let mut wire = server.wire();
    wire.call(7, &create_topic("trades", 1));
    let topic = ListPartitionReassignmentsTopics::default().with_name(name("trades")).with_partition_indexes(vec![0]);
    for topics in [None, Some(Vec::new()), Some(vec![topic])] {
        let answer = wire.call(0, &ListPartitionReassignmentsRequest::default().with_topics(topics));
        assert_eq!((answer.error_code, answer.error_message, answer.topics.len()), (0, None, 0));
    }
}
