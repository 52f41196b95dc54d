//! `CreateTopics`, versions 2–7.

use kafka_protocol::messages::create_topics_request::{
    CreatableReplicaAssignment, CreatableTopic, CreatableTopicConfig,
};
use kafka_protocol::messages::create_topics_response::CreatableTopicResult;
use kafka_protocol::messages::{BrokerId, CreateTopicsRequest};
use millpond_compat_tests::requests::{create_topic, metadata, name, text};
use millpond_compat_tests::server::Server;
use uuid::Uuid;

const VERSIONS: std::ops::RangeInclusive<i16> = 2..=7;
const INVALID_TOPIC_EXCEPTION: i16 = 17;
const TOPIC_ALREADY_EXISTS: i16 = 36;
const INVALID_PARTITIONS: i16 = 37;
const INVALID_REPLICATION_FACTOR: i16 = 38;
const INVALID_REPLICA_ASSIGNMENT: i16 = 39;
const INVALID_CONFIG: i16 = 40;
const INVALID_REQUEST: i16 = 42;
const POLICY_VIOLATION: i16 = 44;

fn topic(topic: &str, partitions: i32, replicas: i16) -> CreatableTopic {
    CreatableTopic::default().with_name(name(topic)).with_num_partitions(partitions).with_replication_factor(replicas)
}

fn config(key: &str, value: Option<&str>) -> CreatableTopicConfig {
    CreatableTopicConfig::default().with_name(text(key)).with_value(value.map(text))
}

fn assigned(partitions: &[(i32, &[i32])]) -> Vec<CreatableReplicaAssignment> {
    let each = partitions.iter().map(|(index, nodes)| {
        CreatableReplicaAssignment::default()
            .with_partition_index(*index)
            .with_broker_ids(nodes.iter().copied().map(BrokerId).collect())
    });
    each.collect()
}

fn of(topics: Vec<CreatableTopic>) -> CreateTopicsRequest {
    CreateTopicsRequest::default().with_topics(topics).with_timeout_ms(30_000)
}

fn message(result: &CreatableTopicResult) -> &str {
    result.error_message.as_ref().map_or("", |message| message.as_str())
}

#[test]
fn topics_are_created_in_every_version() {
    let server = Server::builder().set("topics.num_partitions", "4").start();
    let mut wire = server.wire();
    for version in VERSIONS {
        let (one, other) = (format!("one-{version}"), format!("other-{version}"));
        let answer = wire.call(version, &of(vec![topic(&one, 3, 1), topic(&other, -1, -1)]));
        let names: Vec<&str> = answer.topics.iter().map(|topic| topic.name.as_str()).collect();
        assert_eq!(names, [&one, &other], "v{version}");
        for (created, partitions) in answer.topics.iter().zip([3, 4]) {
            assert_eq!((created.error_code, &created.error_message), (0, &None), "v{version}");
            assert_eq!(created.topic_id.is_nil(), version < 7, "v{version}");
            let told = if version >= 5 { (partitions, 1) } else { (-1, -1) };
            assert_eq!((created.num_partitions, created.replication_factor), told, "v{version}");
        }
        let described = wire.call(12, &metadata(&[&one, &other]));
        let counts: Vec<usize> = described.topics.iter().map(|topic| topic.partitions.len()).collect();
        assert_eq!(counts, [3, 4], "v{version}");
        let again = wire.call(version, &create_topic(&one, 3));
        assert_eq!(again.topics[0].error_code, TOPIC_ALREADY_EXISTS, "v{version}");
        assert_eq!(message(&again.topics[0]), format!("Topic '{one}' already exists."));
    }
}

#[test]
fn the_answer_says_what_holds_for_the_topic_from_version_5_on() {
    let server = Server::start();
    let mut wire = server.wire();
    for version in 5..=7 {
        let wanted = topic(&format!("t-{version}"), 1, -1)
            .with_configs(vec![config("retention.ms", Some("60000")), config("cleanup.policy", Some("delete"))]);
        let answer = wire.call(version, &of(vec![wanted]));
        let configs = answer.topics[0].configs.as_ref().expect("they are told");
        let find = |key: &str| configs.iter().find(|config| config.name.as_str() == key).expect("every key is told");
        let retention = find("retention.ms");
        assert_eq!(
            (retention.value.as_deref(), retention.config_source, retention.read_only),
            (Some("60000"), 1, false)
        );
        let segment = find("segment.bytes");
        assert_eq!((segment.value.as_deref(), segment.config_source), (Some("1073741824"), 5));
        assert_eq!(find("cleanup.policy").config_source, 1);
    }
}

#[test]
fn what_is_only_validated_is_not_created() {
    let server = Server::start();
    let mut wire = server.wire();
    for version in VERSIONS {
        let request = of(vec![topic("t", 2, 1), topic("bad name", 1, 1)]).with_validate_only(true);
        let answer = wire.call(version, &request);
        assert_eq!(answer.topics[0].error_code, 0, "v{version}");
        assert_eq!(answer.topics[1].error_code, INVALID_TOPIC_EXCEPTION, "v{version}");
        assert_eq!(answer.topics[0].topic_id, Uuid::nil());
        assert_ne!(wire.call(12, &metadata(&["t"])).topics[0].error_code, 0, "v{version}");
    }
}

#[test]
fn each_topic_is_refused_by_itself_with_its_reason() {
    let server = Server::start();
    let mut wire = server.wire();
    for version in VERSIONS {
        let good = format!("good-{version}");
        let answer = wire.call(
            version,
            &of(vec![
                topic("", 1, 1),
                topic("a/b", 1, 1),
                topic("/nowhere/stream:t", 1, 1),
                topic("none", 0, 1),
                topic("negative", -2, 1),
                topic("zero-replicas", 1, 0),
                topic("two-replicas", 1, 2),
                topic("unknown-key", 1, 1).with_configs(vec![config("no.such.key", Some("1"))]),
                topic("bad-value", 1, 1).with_configs(vec![config("retention.ms", Some("soon"))]),
                topic("null-value", 1, 1).with_configs(vec![config("retention.ms", None)]),
                topic("burnt", 1, 1).with_configs(vec![config("cleanup.policy", Some("burn"))]),
                topic("twice", 1, 1),
                topic("twice", 2, 1),
                topic(&good, 1, 1),
            ]),
        );
        let codes: Vec<i16> = answer.topics.iter().map(|topic| topic.error_code).collect();
        let expected = [
            INVALID_TOPIC_EXCEPTION,
            INVALID_TOPIC_EXCEPTION,
            INVALID_TOPIC_EXCEPTION,
            INVALID_PARTITIONS,
            INVALID_PARTITIONS,
            INVALID_REPLICATION_FACTOR,
            INVALID_REPLICATION_FACTOR,
            INVALID_CONFIG,
            INVALID_CONFIG,
            INVALID_CONFIG,
            INVALID_CONFIG,
            INVALID_REQUEST,
            0,
        ];
        assert_eq!(codes, expected, "v{version}");
        assert!(message(&answer.topics[10]).contains("cleanup.policy"), "{}", message(&answer.topics[10]));
        assert_eq!(message(&answer.topics[11]), "Duplicate topic name.");
    }
    let listed = wire.call(12, &kafka_protocol::messages::MetadataRequest::default().with_topics(None));
    assert_eq!(listed.topics.len(), VERSIONS.count(), "only the good ones are there");
}

#[test]
fn assignments_by_hand_are_checked() {
    let server = Server::start();
    let mut wire = server.wire();
    for version in VERSIONS {
        let by_hand = |name: &str, partitions: &[(i32, &[i32])]| {
            topic(&format!("{name}-{version}"), -1, -1).with_assignments(assigned(partitions))
        };
        let counted = by_hand("counted", &[(0, &[1])]).with_num_partitions(1);
        let replicated = by_hand("replicated", &[(0, &[1])]).with_replication_factor(1);
        let answer = wire.call(
            version,
            &of(vec![
                by_hand("good", &[(0, &[1]), (1, &[1])]),
                by_hand("gap", &[(0, &[1]), (2, &[1])]),
                by_hand("elsewhere", &[(0, &[2])]),
                by_hand("empty", &[(0, &[])]),
                by_hand("doubled", &[(0, &[1, 1])]),
                by_hand("repeated", &[(0, &[1]), (0, &[1])]),
                counted,
                replicated,
            ]),
        );
        let codes: Vec<i16> = answer.topics.iter().map(|topic| topic.error_code).collect();
        let wrong = INVALID_REPLICA_ASSIGNMENT;
        assert_eq!(codes, [0, wrong, wrong, wrong, wrong, wrong, INVALID_REQUEST, INVALID_REQUEST], "v{version}");
        let described = wire.call(12, &metadata(&[&format!("good-{version}")]));
        assert_eq!(described.topics[0].partitions.len(), 2);
    }
}

#[test]
fn a_request_for_too_many_partitions_is_refused_whole() {
    let server = Server::start();
    let mut wire = server.wire();
    let answer = wire.call(7, &of(vec![topic("few", 1, 1), topic("many", 10_000, 1)]));
    let codes: Vec<i16> = answer.topics.iter().map(|topic| topic.error_code).collect();
    assert_eq!(codes, [POLICY_VIOLATION, POLICY_VIOLATION]);
    assert_eq!(wire.call(7, &create_topic("many", 10_000)).topics[0].error_code, 0);
    assert_eq!(wire.call(12, &metadata(&["many"])).topics[0].partitions.len(), 10_000);
}

#[test]
fn a_topic_is_there_after_the_answer_and_after_a_crash() {
    let mut server = Server::start();
    let mut wire = server.wire();
    let wanted = topic("trades", 5, 1).with_configs(vec![config("retention.ms", Some("60000"))]);
    let id = wire.call(7, &of(vec![wanted])).topics[0].topic_id;
    server.kill();
    server.restart();
    let found = server.wire().call(12, &metadata(&["trades"]));
    assert_eq!((found.topics[0].topic_id, found.topics[0].partitions.len()), (id, 5));
}

#[test]
fn topics_created_at_once_by_many_are_created_once() {
    let server = Server::start();
    let mut wires: Vec<_> = (0..8).map(|_| server.wire()).collect();
    let sent: Vec<_> = wires.iter_mut().map(|wire| wire.send(7, &create_topic("trades", 1))).collect();
    let codes: Vec<i16> =
        wires.iter_mut().zip(sent).map(|(wire, sent)| wire.receive(sent).topics[0].error_code).collect();
    assert_eq!(codes.iter().filter(|code| **code == 0).count(), 1, "{codes:?}");
    assert!(codes.iter().all(|code| [0, TOPIC_ALREADY_EXISTS].contains(code)), "{codes:?}");
}
