//! `DescribeTopicPartitions`, version 0.

use kafka_protocol::messages::DescribeTopicPartitionsRequest;
use kafka_protocol::messages::describe_topic_partitions_request::{Cursor, TopicRequest};
use kafka_protocol::messages::describe_topic_partitions_response::DescribeTopicPartitionsResponse;
use millpond_compat_tests::requests::{create_topic, name};
use millpond_compat_tests::server::Server;

const UNKNOWN_TOPIC_OR_PARTITION: i16 = 3;
const INVALID_TOPIC_EXCEPTION: i16 = 17;
const INVALID_REQUEST: i16 = 42;

fn of(topics: &[&str], limit: i32, cursor: Option<(&str, i32)>) -> DescribeTopicPartitionsRequest {
    let cursor =
        cursor.map(|(topic, partition)| Cursor::default().with_topic_name(name(topic)).with_partition_index(partition));
    DescribeTopicPartitionsRequest::default()
        .with_topics(topics.iter().map(|topic| TopicRequest::default().with_name(name(topic))).collect())
        .with_response_partition_limit(limit)
        .with_cursor(cursor)
}

fn shown(answer: &DescribeTopicPartitionsResponse) -> Vec<(String, i16, Vec<i32>)> {
    let topics = answer.topics.iter();
    topics
        .map(|topic| {
            let indexes = topic.partitions.iter().map(|part| part.partition_index).collect();
            (topic.name.as_ref().expect("it is named").to_string(), topic.error_code, indexes)
        })
        .collect()
}

fn cursor(answer: &DescribeTopicPartitionsResponse) -> Option<(String, i32)> {
    answer.next_cursor.as_ref().map(|cursor| (cursor.topic_name.to_string(), cursor.partition_index))
}

fn server() -> Server {
    let server = Server::start();
    for (topic, partitions) in [("b", 3), ("a", 2), ("c", 1)] {
        assert_eq!(server.wire().call(7, &create_topic(topic, partitions)).topics[0].error_code, 0);
    }
    server
}

#[test]
fn topics_come_by_name_with_their_partitions() {
    let server = server();
    let mut wire = server.wire();
    let answer = wire.call(0, &of(&["b", "missing", "a", "no name", "b"], 100, None));
    let expected = [
        ("a".to_owned(), 0, vec![0, 1]),
        ("b".to_owned(), 0, vec![0, 1, 2]),
        ("missing".to_owned(), UNKNOWN_TOPIC_OR_PARTITION, vec![]),
        ("no name".to_owned(), INVALID_TOPIC_EXCEPTION, vec![]),
    ];
    assert_eq!(shown(&answer), expected);
    assert_eq!(cursor(&answer), None);
    let (topic, part) = (&answer.topics[0], &answer.topics[0].partitions[1]);
    assert_eq!((topic.topic_authorized_operations, topic.is_internal), (0b1101_1111_1000, false));
    assert!(!topic.topic_id.is_nil());
    assert_eq!((part.error_code, part.leader_id.0, part.leader_epoch), (0, 1, 0));
    assert_eq!((part.replica_nodes.len(), part.isr_nodes.len(), part.offline_replicas.len()), (1, 1, 0));
    assert_eq!((&part.eligible_leader_replicas, &part.last_known_elr), (&Some(vec![]), &Some(vec![])));
}

#[test]
fn pages_hold_everything_once() {
    let server = server();
    let mut wire = server.wire();
    for (topics, limit) in [(&[][..], 1), (&[], 2), (&[], 4), (&[], 5), (&["a", "b", "c"], 2), (&["c", "b", "a"], 1)] {
        let (mut seen, mut next) = (Vec::new(), None);
        loop {
            let from = next.as_ref().map(|(topic, partition): &(String, i32)| (topic.as_str(), *partition));
            let answer = wire.call(0, &of(topics, limit, from));
            let pairs = shown(&answer).into_iter().flat_map(|(topic, code, indexes)| {
                assert_eq!(code, 0);
                indexes.into_iter().map(move |index| (topic.clone(), index))
            });
            let page: Vec<_> = pairs.collect();
            assert!(page.len() <= usize::try_from(limit).unwrap());
            seen.extend(page);
            next = cursor(&answer);
            if next.is_none() {
                break;
            }
        }
        let expected: Vec<(String, i32)> =
            [("a", 0), ("a", 1), ("b", 0), ("b", 1), ("b", 2), ("c", 0)].map(|(t, p)| (t.to_owned(), p)).into();
        assert_eq!(seen, expected, "{topics:?} by {limit}");
    }
}

#[test]
fn limits_below_one_are_one() {
    let server = server();
    let answer = server.wire().call(0, &of(&[], -5, None));
    assert_eq!((shown(&answer), cursor(&answer)), (vec![("a".to_owned(), 0, vec![0])], Some(("a".to_owned(), 1))));
}

#[test]
fn a_cursor_that_no_answer_gave_is_refused() {
    let server = server();
    let mut wire = server.wire();
    for (topics, from) in [(&["a", "b"], ("c", 0)), (&["a", "b"], ("a", -1))] {
        let answer = wire.call(0, &of(topics, 10, Some(from)));
        assert!(answer.topics.iter().all(|topic| topic.error_code == INVALID_REQUEST), "{from:?}");
        assert_eq!(answer.topics.len(), 2);
    }
    let gone = wire.call(0, &of(&[], 10, Some(("aa", 5))));
    assert_eq!(shown(&gone)[0], ("b".to_owned(), 0, vec![0, 1, 2]), "a topic that went meanwhile is passed over");
    let beyond = wire.call(0, &of(&[], 10, Some(("b", 9))));
    assert_eq!(shown(&beyond), [("b".to_owned(), 0, vec![]), ("c".to_owned(), 0, vec![0])]);
}
