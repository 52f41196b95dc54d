//! `DeleteTopics`, versions 1–6.

use kafka_protocol::messages::delete_topics_request::DeleteTopicState;
use kafka_protocol::messages::{DeleteTopicsRequest, MetadataRequest};
use millpond_compat_tests::requests::{commit, create_topic, metadata, name, read_log};
use millpond_compat_tests::server::Server;
use millpond_compat_tests::wire::Wire;
use uuid::Uuid;

const UNKNOWN_TOPIC_OR_PARTITION: i16 = 3;
const INVALID_TOPIC_EXCEPTION: i16 = 17;
const INVALID_REQUEST: i16 = 42;
const TOPIC_DELETION_DISABLED: i16 = 73;
const UNKNOWN_TOPIC_ID: i16 = 100;

fn create(wire: &mut Wire, topic: &str) -> Uuid {
    let answer = wire.call(7, &create_topic(topic, 1));
    assert_eq!(answer.topics[0].error_code, 0, "{topic}");
    answer.topics[0].topic_id
}

/// Deletes topics by name, in the field that the version has for it.
fn delete(version: i16, topics: &[&str]) -> DeleteTopicsRequest {
    let request = DeleteTopicsRequest::default().with_timeout_ms(30_000);
    if version < 6 {
        return request.with_topic_names(topics.iter().map(|topic| name(topic)).collect());
    }
    request.with_topics(topics.iter().map(|topic| state(Some(topic), Uuid::nil())).collect())
}

fn state(topic: Option<&str>, id: Uuid) -> DeleteTopicState {
    DeleteTopicState::default().with_name(topic.map(name)).with_topic_id(id)
}

#[test]
fn topics_are_deleted_by_name_in_every_version() {
    let server = Server::start();
    let mut wire = server.wire();
    for version in 1..=6 {
        let id = create(&mut wire, "gone");
        create(&mut wire, "stays");
        let answer = wire.call(version, &delete(version, &["gone", "missing", "no name", "gone-too"]));
        let codes: Vec<i16> = answer.responses.iter().map(|result| result.error_code).collect();
        let unknown = UNKNOWN_TOPIC_OR_PARTITION;
        assert_eq!(codes, [0, unknown, INVALID_TOPIC_EXCEPTION, unknown], "v{version}");
        let first = &answer.responses[0];
        assert_eq!(first.name, Some(name("gone")), "v{version}");
        assert_eq!(first.topic_id, if version >= 6 { id } else { Uuid::nil() }, "v{version}");
        assert_eq!(answer.responses[1].error_message.is_some(), version >= 5, "v{version}");
        let left = wire.call(12, &metadata(&["gone", "stays"]));
        assert_eq!((left.topics[0].error_code, left.topics[1].error_code), (unknown, 0), "v{version}");
        wire.call(version, &delete(version, &["stays"]));
    }
}

#[test]
fn topics_are_deleted_by_id() {
    let server = Server::start();
    let mut wire = server.wire();
    let (one, other) = (create(&mut wire, "one"), create(&mut wire, "other"));
    let states = vec![state(None, one), state(None, Uuid::from_u128(9))];
    let answer = wire.call(6, &DeleteTopicsRequest::default().with_topics(states));
    assert_eq!((answer.responses[0].error_code, &answer.responses[0].name), (0, &Some(name("one"))));
    assert_eq!((answer.responses[1].error_code, &answer.responses[1].name), (UNKNOWN_TOPIC_ID, &None));
    let recreated = create(&mut wire, "one");
    assert_ne!(recreated, one);
    let answer = wire.call(6, &DeleteTopicsRequest::default().with_topics(vec![state(None, one)]));
    assert_eq!(answer.responses[0].error_code, UNKNOWN_TOPIC_ID, "an old id deletes no new topic");
    let left = wire.call(12, &metadata(&["one", "other"]));
    assert_eq!((left.topics[0].topic_id, left.topics[1].topic_id), (recreated, other));
}

#[test]
fn what_contradicts_itself_deletes_nothing() {
    let server = Server::start();
    let mut wire = server.wire();
    let id = create(&mut wire, "trades");
    let both = || vec![state(Some("trades"), id)];
    let neither = || vec![state(None, Uuid::nil())];
    let names_twice = || vec![state(Some("trades"), Uuid::nil()), state(Some("trades"), Uuid::nil())];
    let ids_twice = || vec![state(None, id), state(None, id)];
    for states in [both(), neither(), names_twice(), ids_twice()] {
        let answer = wire.call(6, &DeleteTopicsRequest::default().with_topics(states));
        let codes: Vec<i16> = answer.responses.iter().map(|result| result.error_code).collect();
        assert_eq!(codes, [INVALID_REQUEST]);
        assert_eq!(wire.call(12, &metadata(&["trades"])).topics[0].error_code, 0);
    }
    let states =
        vec![state(Some("trades"), Uuid::nil()), state(None, id), state(Some("/default/default:trades"), Uuid::nil())];
    let answer = wire.call(6, &DeleteTopicsRequest::default().with_topics(states));
    let codes: Vec<i16> = answer.responses.iter().map(|result| result.error_code).collect();
    assert_eq!(codes, [0, INVALID_REQUEST, INVALID_REQUEST], "one topic by three names is deleted once");
}

#[test]
fn a_deleted_topic_stays_deleted() {
    let mut server = Server::start();
    let id = create(&mut server.wire(), "trades");
    assert_eq!(server.wire().call(6, &delete(6, &["trades"])).responses[0].error_code, 0);
    server.kill();
    server.restart();
    let mut wire = server.wire();
    assert_eq!(wire.call(12, &metadata(&["trades"])).topics[0].error_code, UNKNOWN_TOPIC_OR_PARTITION);
    assert_ne!(create(&mut wire, "trades"), id);
}

#[test]
fn deletion_can_be_forbidden() {
    let server = Server::builder().set("topics.allow_delete", "false").start();
    let mut wire = server.wire();
    create(&mut wire, "trades");
    for version in 1..=6 {
        let answer = wire.call(version, &delete(version, &["trades"]));
        let code = if version < 3 { INVALID_REQUEST } else { TOPIC_DELETION_DISABLED };
        assert_eq!(answer.responses[0].error_code, code, "v{version}");
    }
    assert_eq!(wire.call(12, &metadata(&["trades"])).topics[0].error_code, 0);
}

#[test]
fn the_topic_of_positions_is_not_deleted() {
    let server = Server::start();
    let answer = server.wire().call(6, &delete(6, &["__consumer_offsets"]));
    assert_eq!(answer.responses[0].error_code, INVALID_TOPIC_EXCEPTION);
}

/// Whoever follows the positions as records sees that they have gone.
#[test]
fn positions_in_a_deleted_topic_end_with_tombstones() {
    let server = Server::start();
    let mut wire = server.wire();
    for topic in ["gone", "stays"] {
        create(&mut wire, topic);
        let answer = wire.call(9, &commit("group", topic, 0, 7, ""));
        assert_eq!(answer.topics[0].partitions[0].error_code, 0);
    }
    assert_eq!(wire.call(6, &delete(6, &["gone"])).responses[0].error_code, 0);
    let (batches, _) = read_log(&mut wire, "__consumer_offsets", 0, 0);
    let records: Vec<_> = batches.iter().flat_map(|batch| &batch.records).collect();
    let [gone, stays, end] = &records[..] else { panic!("{records:?}") };
    assert!(gone.value.is_some() && stays.value.is_some());
    assert_eq!((&end.key, &end.value), (&gone.key, &None));
    let listed = wire.call(12, &MetadataRequest::default().with_topics(None));
    let positions = listed.topics.iter().find(|topic| topic.is_internal).expect("it is listed");
    assert_eq!((&positions.name, positions.partitions.len()), (&Some(name("__consumer_offsets")), 1));
}
