//! Metadata, versions 0–13.

use kafka_protocol::messages::MetadataRequest;
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::metadata_response::MetadataResponse;
use millpond_compat_tests::requests::{create_topic, metadata, name};
use millpond_compat_tests::server::Server;
use millpond_compat_tests::wire::Wire;
use uuid::Uuid;

const VERSIONS: std::ops::RangeInclusive<i16> = 0..=13;
const UNKNOWN_TOPIC_OR_PARTITION: i16 = 3;
const INVALID_TOPIC_EXCEPTION: i16 = 17;
const INVALID_REQUEST: i16 = 42;
const UNKNOWN_TOPIC_ID: i16 = 100;

fn create(wire: &mut Wire, topic: &str, partitions: i32) -> Uuid {
    let answer = wire.call(7, &create_topic(topic, partitions));
    assert_eq!(answer.topics[0].error_code, 0, "{topic}");
    answer.topics[0].topic_id
}

fn names(answer: &MetadataResponse) -> Vec<&str> {
    answer.topics.iter().map(|topic| topic.name.as_ref().map_or("", |name| name.as_str())).collect()
}

fn all() -> MetadataRequest {
    MetadataRequest::default().with_topics(None)
}

#[test]
fn a_topic_is_described_in_every_version() {
    let server = Server::start();
    let mut wire = server.wire();
    let id = create(&mut wire, "trades", 3);
    for version in VERSIONS {
        let mut request = metadata(&["trades"]);
        // The flag is not in versions 0 to 3, where topics always come into being.
        request.allow_auto_topic_creation = version < 4;
        let answer = wire.call(version, &request);
        let (host, port) = server.kafka().rsplit_once(':').unwrap();
        let broker = &answer.brokers[0];
        assert_eq!((answer.brokers.len(), broker.node_id.0, broker.host.as_str()), (1, 1, host), "v{version}");
        assert_eq!(broker.port.to_string(), port, "v{version}");
        assert_eq!(answer.controller_id.0, if version >= 1 { 1 } else { -1 }, "v{version}");
        assert_eq!(answer.cluster_id.as_ref().map(|id| id.len()), (version >= 2).then_some(22), "v{version}");
        let topic = &answer.topics[0];
        assert_eq!((topic.error_code, topic.is_internal), (0, false), "v{version}");
        assert_eq!(topic.topic_id, if version >= 10 { id } else { Uuid::nil() }, "v{version}");
        assert_eq!(topic.topic_authorized_operations, i32::MIN, "v{version}");
        let indexes: Vec<i32> = topic.partitions.iter().map(|part| part.partition_index).collect();
        assert_eq!(indexes, [0, 1, 2], "v{version}");
        for part in &topic.partitions {
            assert_eq!((part.error_code, part.leader_id.0), (0, 1), "v{version}");
            assert_eq!(part.leader_epoch, if version >= 7 { 0 } else { -1 }, "v{version}");
            assert_eq!((part.replica_nodes.len(), part.isr_nodes.len(), part.offline_replicas.len()), (1, 1, 0));
        }
    }
}

#[test]
fn all_topics_are_asked_for_as_each_version_has_it() {
    let server = Server::start();
    let mut wire = server.wire();
    create(&mut wire, "b", 1);
    create(&mut wire, "a", 1);
    for version in VERSIONS {
        let none = MetadataRequest::default().with_topics(Some(Vec::new()));
        if version == 0 {
            assert_eq!(names(&wire.call(version, &none)), ["a", "b"]);
        } else {
            assert_eq!(names(&wire.call(version, &all())), ["a", "b"], "v{version}");
            assert!(wire.call(version, &none).topics.is_empty(), "v{version}");
        }
    }
}

#[test]
fn a_topic_comes_into_being_where_it_may() {
    let server = Server::builder().set("topics.num_partitions", "2").start();
    let mut wire = server.wire();
    for version in VERSIONS {
        let topic = format!("made-by-{version}");
        if version >= 4 {
            let answer = wire.call(version, &metadata(&[&topic]));
            assert_eq!(answer.topics[0].error_code, UNKNOWN_TOPIC_OR_PARTITION, "v{version}");
            assert!(answer.topics[0].partitions.is_empty());
        }
        let request = metadata(&[&topic]).with_allow_auto_topic_creation(true);
        let answer = wire.call(version, &request);
        assert_eq!((answer.topics[0].error_code, answer.topics[0].partitions.len()), (0, 2), "v{version}");
        assert_eq!(names(&answer), [topic.as_str()]);
    }
    for bad in ["", "a b", "..", "/default", "/default/default:a b"] {
        let answer = wire.call(12, &metadata(&[bad]).with_allow_auto_topic_creation(true));
        assert_eq!(answer.topics[0].error_code, INVALID_TOPIC_EXCEPTION, "{bad:?}");
    }
    for elsewhere in ["/nowhere/default:a", "/default/other:a"] {
        let answer = wire.call(12, &metadata(&[elsewhere]).with_allow_auto_topic_creation(true));
        assert_eq!(answer.topics[0].error_code, UNKNOWN_TOPIC_OR_PARTITION, "{elsewhere}");
    }
}

#[test]
fn nothing_comes_into_being_where_the_broker_forbids_it() {
    let server = Server::builder().set("topics.auto_create", "false").start();
    let answer = server.wire().call(12, &metadata(&["trades"]).with_allow_auto_topic_creation(true));
    assert_eq!(answer.topics[0].error_code, UNKNOWN_TOPIC_OR_PARTITION);
    assert!(server.wire().call(12, &all()).topics.is_empty());
}

#[test]
fn topics_are_asked_for_by_id_from_version_12_on() {
    let server = Server::start();
    let mut wire = server.wire();
    let id = create(&mut wire, "trades", 1);
    let by_id = |id| MetadataRequestTopic::default().with_name(None).with_topic_id(id);
    for version in 12..=13 {
        let request = MetadataRequest::default().with_topics(Some(vec![by_id(id), by_id(Uuid::from_u128(7))]));
        let answer = wire.call(version, &request);
        assert_eq!(names(&answer), ["trades", ""]);
        assert_eq!((answer.topics[0].error_code, answer.topics[0].topic_id), (0, id));
        assert_eq!(answer.topics[1].error_code, UNKNOWN_TOPIC_ID);
        assert_eq!((answer.topics[1].topic_id, &answer.topics[1].name), (Uuid::from_u128(7), &None));
    }
    for version in 10..=11 {
        let request = MetadataRequest::default()
            .with_topics(Some(vec![MetadataRequestTopic::default().with_name(Some(name("trades"))).with_topic_id(id)]));
        assert_eq!(wire.call(version, &request).topics[0].error_code, INVALID_REQUEST, "v{version}");
    }
}

#[test]
fn a_path_is_another_name_with_another_id() {
    let server = Server::start();
    let mut wire = server.wire();
    let id = create(&mut wire, "trades", 1);
    let path = "/default/default:trades";
    let answer = wire.call(12, &metadata(&["trades", path]));
    assert_eq!(names(&answer), ["trades", path]);
    assert_eq!(answer.topics[0].topic_id, id);
    let path_id = answer.topics[1].topic_id;
    assert_ne!(path_id, id, "Java clients stop when two names share an id");
    let by_id = MetadataRequestTopic::default().with_name(None).with_topic_id(path_id);
    let answer = wire.call(12, &MetadataRequest::default().with_topics(Some(vec![by_id])));
    assert_eq!(names(&answer), [path]);
    assert_eq!(names(&wire.call(12, &all())), ["trades"]);
}

#[test]
fn operations_are_told_where_they_are_asked_for() {
    let server = Server::start();
    let mut wire = server.wire();
    create(&mut wire, "trades", 1);
    for version in 8..=13 {
        let with_cluster = (8..=10).contains(&version);
        let request = metadata(&["trades"])
            .with_include_topic_authorized_operations(true)
            .with_include_cluster_authorized_operations(with_cluster);
        let answer = wire.call(version, &request);
        assert_eq!(answer.topics[0].topic_authorized_operations, 0b1101_1111_1000, "v{version}");
        let cluster = if with_cluster { 0b1_1111_1010_0000 } else { i32::MIN };
        assert_eq!(answer.cluster_authorized_operations, cluster, "v{version}");
    }
}

#[test]
fn a_topic_asked_for_twice_is_answered_once() {
    let server = Server::start();
    let answer = server.wire().call(12, &metadata(&["t", "t", "u", "t"]).with_allow_auto_topic_creation(true));
    assert_eq!(names(&answer), ["t", "u"]);
}

#[test]
fn the_advertised_address_and_the_node_are_those_of_the_configuration() {
    let server = Server::builder().set("server.advertised", "broker.example:19092").set("server.node_id", "42").start();
    let mut wire = server.wire();
    create(&mut wire, "trades", 1);
    let answer = wire.call(12, &metadata(&["trades"]));
    let broker = &answer.brokers[0];
    assert_eq!((broker.host.as_str(), broker.port, broker.node_id.0), ("broker.example", 19092, 42));
    assert_eq!((answer.controller_id.0, answer.topics[0].partitions[0].leader_id.0), (42, 42));
}

#[test]
fn ids_names_and_the_cluster_outlive_a_restart() {
    let mut server = Server::start();
    let id = create(&mut server.wire(), "trades", 3);
    let before = server.wire().call(12, &all());
    server.kill();
    server.restart();
    let after = server.wire().call(12, &all());
    assert_eq!(after, before);
    assert_eq!(after.topics[0].topic_id, id);
    assert_ne!(create(&mut server.wire(), "quotes", 1), id);
}
