//! `DescribeLogDirs`, versions 1–4.

use kafka_protocol::messages::DescribeLogDirsRequest;
use kafka_protocol::messages::describe_log_dirs_request::DescribableLogDirTopic;
use kafka_protocol::messages::describe_log_dirs_response::DescribeLogDirsTopic;
use millpond_compat_tests::batch::{Batch, Record};
use millpond_compat_tests::requests::{PRODUCE, create_topic, name, produce};
use millpond_compat_tests::server::Server;

fn sizes(topic: &DescribeLogDirsTopic) -> Vec<(i32, i64)> {
    topic.partitions.iter().map(|part| (part.partition_index, part.partition_size)).collect()
}

#[test]
fn bytes_of_batches_are_told_in_every_version() {
    let server = Server::start();
    let mut wire = server.wire();
    wire.call(7, &create_topic("trades", 2));
    wire.call(7, &create_topic("quotes", 1));
    let batch = Batch::of(["a", "b", "c"].map(Record::of)).encode();
    let bytes = i64::try_from(batch.len()).unwrap();
    let answer = wire.call(PRODUCE, &produce(-1, [("trades".to_owned(), 1, batch.clone())]));
    assert_eq!(answer.responses[0].partition_responses[0].error_code, 0);
    for version in 1..=4 {
        let answer = wire.call(version, &DescribeLogDirsRequest::default().with_topics(None));
        assert_eq!((answer.error_code, answer.results.len()), (0, 1), "v{version}");
        let result = &answer.results[0];
        assert_eq!((result.error_code, result.log_dir.as_str()), (0, server.data().to_str().unwrap()), "v{version}");
        let names: Vec<&str> = result.topics.iter().map(|topic| topic.name.as_str()).collect();
        assert_eq!(names, ["quotes", "trades"], "v{version}");
        assert_eq!(sizes(&result.topics[1]), [(0, 0), (1, bytes)], "v{version}");
        assert!(result.topics[1].partitions.iter().all(|part| part.offset_lag == 0 && !part.is_future_key));
        assert_eq!(result.total_bytes > 0, version >= 4, "v{version}");
        assert_eq!(result.usable_bytes > 0, version >= 4, "v{version}");
    }
}

#[test]
fn only_what_is_asked_for_and_there_is_told() {
    let server = Server::start();
    let mut wire = server.wire();
    wire.call(7, &create_topic("trades", 3));
    let topic = |topic: &str, partitions: &[i32]| {
        DescribableLogDirTopic::default().with_topic(name(topic)).with_partitions(partitions.to_vec())
    };
    for version in 1..=4 {
        let asked = vec![topic("trades", &[2, 7]), topic("missing", &[0]), topic("trades", &[0])];
        let answer = wire.call(version, &DescribeLogDirsRequest::default().with_topics(Some(asked)));
        let topics = &answer.results[0].topics;
        assert_eq!(topics.len(), 1, "v{version}");
        assert_eq!(sizes(&topics[0]), [(0, 0), (2, 0)], "v{version}");
        let none = wire.call(version, &DescribeLogDirsRequest::default().with_topics(Some(Vec::new())));
        assert!(none.results[0].topics.is_empty());
    }
}
