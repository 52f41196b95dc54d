//! Three spellings of a topic (and three more in a snapshot) in every API that carries a name: each is answered in the spelling
//! that it was asked by, and each has an id of its own (two names with one id make a Java client's I/O thread die).

use kafka_protocol::messages::alter_configs_request::{AlterConfigsResource, AlterableConfig};
use kafka_protocol::messages::create_partitions_request::CreatePartitionsTopic;
use kafka_protocol::messages::delete_records_request::{DeleteRecordsPartition, DeleteRecordsTopic};
use kafka_protocol::messages::delete_topics_request::DeleteTopicState;
use kafka_protocol::messages::describe_configs_request::DescribeConfigsResource;
use kafka_protocol::messages::describe_log_dirs_request::DescribableLogDirTopic;
use kafka_protocol::messages::describe_topic_partitions_request::TopicRequest;
use kafka_protocol::messages::elect_leaders_request::TopicPartitions;
use kafka_protocol::messages::incremental_alter_configs_request as incremental;
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::offset_delete_request::{OffsetDeleteRequestPartition, OffsetDeleteRequestTopic};
use kafka_protocol::messages::offset_for_leader_epoch_request::{OffsetForLeaderPartition, OffsetForLeaderTopic};
use kafka_protocol::messages::{
    AlterConfigsRequest, CreatePartitionsRequest, DeleteRecordsRequest, DeleteTopicsRequest, DescribeConfigsRequest,
    DescribeLogDirsRequest, DescribeTopicPartitionsRequest, ElectLeadersRequest, IncrementalAlterConfigsRequest,
    MetadataRequest, OffsetDeleteRequest, OffsetForLeaderEpochRequest,
};
use millpond_compat_tests::batch::Batch;
use millpond_compat_tests::requests::{
    FETCH, PRODUCE, commit, create_topic, fetch, init_producer, list_offsets, metadata, name, position, produce,
    read_log, text,
};
use uuid::Uuid;

use super::*;
use crate::group::id;

const INVALID_REQUEST: i16 = 42;
const TOPIC: i8 = 2;

/// A connection to the listener that takes it, and a spelling of the topic of most tests.
fn spellings(server: &Server) -> Vec<(Wire, &'static str)> {
    let scoped = listen(server, "trading");
    vec![
        (server.wire(), TRADES),
        (server.wire(), "/trading/taq:trades"),
        (Wire::connect(&scoped), "taq.trades"),
        (Wire::connect(&scoped), TRADES),
        (Wire::connect(&scoped), "/trading/taq:trades"),
    ]
}

#[test]
fn a_topic_is_created_and_deleted_by_any_of_its_names_and_ids() {
    let server = pond();
    for (mut wire, topic) in spellings(&server) {
        let created = wire.call(7, &create_topic(topic, 1)).topics.remove(0);
        assert_eq!((created.error_code, created.name.as_str()), (0, topic));
        let by_name = DeleteTopicsRequest::default()
            .with_timeout_ms(30_000)
            .with_topics(vec![DeleteTopicState::default().with_name(Some(name(topic)))]);
        let deleted = wire.call(6, &by_name).responses.remove(0);
        let answered = deleted.name.as_ref().map(|name| name.as_str().to_owned());
        assert_eq!((deleted.error_code, answered.as_deref()), (0, Some(topic)));

        let created = wire.call(7, &create_topic(topic, 1)).topics.remove(0);
        let by_id = DeleteTopicState::default().with_name(None).with_topic_id(created.topic_id);
        let request = DeleteTopicsRequest::default().with_timeout_ms(30_000).with_topics(vec![by_id]);
        let deleted = wire.call(6, &request).responses.remove(0);
        assert_eq!((deleted.error_code, deleted.topic_id), (0, created.topic_id), "{topic}");
    }
}

#[test]
fn two_names_never_share_an_id_and_an_id_is_answered_in_its_own_spelling() {
    let server = pond_with_trades();
    let mut ids = Vec::new();
    for (mut wire, topic) in spellings(&server) {
        let by_name = described(&mut wire, topic);
        let answered = by_name.name.as_ref().map(|name| name.as_str().to_owned());
        assert_eq!((by_name.error_code, answered.as_deref()), (0, Some(topic)));
        let asked = MetadataRequestTopic::default().with_name(None).with_topic_id(by_name.topic_id);
        let by_id = wire.call(12, &MetadataRequest::default().with_topics(Some(vec![asked]))).topics.remove(0);
        assert_eq!(by_id, by_name, "{topic}");
        ids.push((by_name.topic_id, topic));
    }
    // The same name is the same topic with the same id on both listeners; three names, three ids.
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 3, "{ids:?}");
    ids.dedup_by_key(|(id, _)| *id);
    assert_eq!(ids.len(), 3, "{ids:?}");
}

#[test]
fn records_go_in_and_out_by_any_name_and_id() {
    let server = pond_with_trades();
    let mut end = 0;
    for (mut wire, topic) in spellings(&server) {
        let topic_id = described(&mut wire, topic).topic_id;
        assert_eq!(append(&mut wire, topic, "by name"), end);
        let mut by_id = produce(-1, [(String::new(), 0, Batch::of_value("by id").encode())]);
        by_id.topic_data[0].topic_id = topic_id;
        let answer = wire.call(13, &by_id).responses.remove(0);
        let part = &answer.partition_responses[0];
        assert_eq!((part.error_code, part.base_offset, answer.topic_id), (0, end + 1, topic_id), "{topic}");
        end += 2;
        assert_eq!(read_log(&mut wire, topic, 0, 0).1, end, "{topic}");
        let mut by_id = fetch(&[("", 0, 0)]);
        by_id.topics[0].topic_id = topic_id;
        let answer = wire.call(13, &by_id).responses.remove(0);
        assert_eq!((answer.partitions[0].error_code, answer.partitions[0].high_watermark), (0, end), "{topic}");
        assert_eq!(answer.topic_id, topic_id);
    }
}

#[test]
fn offsets_and_positions_are_told_by_any_name() {
    let server = pond_with_trades();
    append(&mut server.wire(), TRADES, "a");
    for (nth, (mut wire, topic)) in (0..).zip(spellings(&server)) {
        let answer = wire.call(7, &list_offsets(topic, 0, -1)).topics.remove(0);
        let part = &answer.partitions[0];
        assert_eq!((answer.name.as_str(), part.error_code, part.offset), (topic, 0, 1));

        let asked = OffsetForLeaderPartition::default().with_current_leader_epoch(-1).with_leader_epoch(epoch(&server));
        let asked = OffsetForLeaderTopic::default().with_topic(name(topic)).with_partitions(vec![asked]);
        let request = OffsetForLeaderEpochRequest::default().with_replica_id((-1).into()).with_topics(vec![asked]);
        let answer = wire.call(4, &request).topics.remove(0);
        assert_eq!((answer.topic.as_str(), answer.partitions[0].end_offset), (topic, 1));

        let answer = wire.call(9, &commit("app", topic, 0, nth, "")).topics.remove(0);
        assert_eq!((answer.name.as_str(), answer.partitions[0].error_code), (topic, 0));
        let answer = wire.call(9, &position("app", topic, 0)).groups.remove(0).topics.remove(0);
        assert_eq!((answer.name.as_str(), answer.partitions[0].committed_offset), (topic, nth));
        // Whatever the name, it is one position.
        assert_eq!(committed(&server, TRADES), nth);

        let part = OffsetDeleteRequestPartition::default().with_partition_index(0);
        let asked = OffsetDeleteRequestTopic::default().with_name(name(topic)).with_partitions(vec![part]);
        let request = OffsetDeleteRequest::default().with_group_id(id("app")).with_topics(vec![asked]);
        let answer = wire.call(0, &request);
        assert_eq!((answer.error_code, answer.topics[0].name.as_str()), (0, topic));
        assert_eq!((answer.topics[0].partitions[0].error_code, committed(&server, TRADES)), (0, -1), "{topic}");
    }
}

fn committed(server: &Server, topic: &str) -> i64 {
    let answer = server.wire().call(9, &position("app", topic, 0));
    answer.groups[0].topics[0].partitions[0].committed_offset
}

#[test]
fn settings_are_told_and_changed_by_any_name() {
    let server = pond_with_trades();
    for (nth, (mut wire, topic)) in (0..).zip(spellings(&server)) {
        let (one, other) = ((60_000 + nth).to_string(), (70_000 + nth).to_string());
        let config = AlterableConfig::default().with_name(text("retention.ms")).with_value(Some(text(&one)));
        let asked = AlterConfigsResource::default()
            .with_resource_type(TOPIC)
            .with_resource_name(text(topic))
            .with_configs(vec![config]);
        let answer = wire.call(2, &AlterConfigsRequest::default().with_resources(vec![asked])).responses.remove(0);
        assert_eq!((answer.error_code, answer.resource_name.as_str()), (0, topic));
        assert_eq!(retention(&mut wire, topic), one);

        let config =
            incremental::AlterableConfig::default().with_name(text("retention.ms")).with_value(Some(text(&other)));
        let asked = incremental::AlterConfigsResource::default()
            .with_resource_type(TOPIC)
            .with_resource_name(text(topic))
            .with_configs(vec![config]);
        let request = IncrementalAlterConfigsRequest::default().with_resources(vec![asked]);
        let answer = wire.call(1, &request).responses.remove(0);
        assert_eq!((answer.error_code, answer.resource_name.as_str()), (0, topic));
        assert_eq!(retention(&mut server.wire(), TRADES), other);
    }
}

fn retention(wire: &mut Wire, topic: &str) -> String {
    let asked = DescribeConfigsResource::default()
        .with_resource_type(TOPIC)
        .with_resource_name(text(topic))
        .with_configuration_keys(Some(vec![text("retention.ms")]));
    let mut answer = wire.call(4, &DescribeConfigsRequest::default().with_resources(vec![asked])).results.remove(0);
    assert_eq!((answer.error_code, answer.resource_name.as_str()), (0, topic));
    answer.configs.remove(0).value.expect("it has a value").to_string()
}

#[test]
fn partitions_and_log_starts_are_changed_by_any_name() {
    let server = pond_with_trades();
    for nth in 0..5 {
        assert_eq!(append(&mut server.wire(), TRADES, "a"), nth);
    }
    for (nth, (mut wire, topic)) in (1..).zip(spellings(&server)) {
        let part = DeleteRecordsPartition::default().with_offset(nth);
        let asked = DeleteRecordsTopic::default().with_name(name(topic)).with_partitions(vec![part]);
        let request = DeleteRecordsRequest::default().with_topics(vec![asked]).with_timeout_ms(30_000);
        let answer = wire.call(2, &request).topics.remove(0);
        let part = &answer.partitions[0];
        assert_eq!((answer.name.as_str(), part.error_code, part.low_watermark), (topic, 0, nth));

        let count = i32::try_from(nth).expect("few") + 1;
        let asked = CreatePartitionsTopic::default().with_name(name(topic)).with_count(count).with_assignments(None);
        let request = CreatePartitionsRequest::default().with_topics(vec![asked]).with_timeout_ms(30_000);
        let answer = wire.call(3, &request).results.remove(0);
        assert_eq!((answer.name.as_str(), answer.error_code), (topic, 0));

        let asked = TopicRequest::default().with_name(name(topic));
        let request =
            DescribeTopicPartitionsRequest::default().with_topics(vec![asked]).with_response_partition_limit(100);
        let answer = wire.call(0, &request).topics.remove(0);
        let answered = answer.name.as_ref().map(|name| name.as_str().to_owned());
        assert_eq!((answered.as_deref(), answer.partitions.len()), (Some(topic), usize::try_from(count).expect("few")));

        let asked = DescribableLogDirTopic::default().with_topic(name(topic)).with_partitions(vec![0]);
        let answer = wire.call(4, &DescribeLogDirsRequest::default().with_topics(Some(vec![asked])));
        let told: Vec<_> = answer.results[0].topics.iter().map(|topic| topic.name.as_str()).collect();
        assert_eq!(told, [topic]);

        let asked = TopicPartitions::default().with_topic(name(topic)).with_partitions(vec![0]);
        let request = ElectLeadersRequest::default().with_topic_partitions(Some(vec![asked])).with_timeout_ms(30_000);
        let answer = wire.call(2, &request);
        assert_eq!(answer.replica_election_results[0].topic.as_str(), topic);
    }
}

#[test]
fn what_is_no_name_and_what_is_no_topic_are_told_apart() {
    let server = pond_with_trades();
    let scoped = listen(&server, "trading");
    create(&mut server.wire(), "plain");
    let malformed = ["/trading/taq", "/trading:trades", "//taq:trades", "/trading/ta.q:trades", "/trading/taq:a b"];
    let too_long = format!("/trading/taq:{}", "x".repeat(512));
    for topic in malformed.into_iter().chain([too_long.as_str()]) {
        assert_eq!(described(&mut server.wire(), topic).error_code, INVALID_TOPIC_EXCEPTION, "{topic}");
        assert_eq!(server.wire().call(7, &create_topic(topic, 1)).topics[0].error_code, INVALID_TOPIC_EXCEPTION);
    }
    let unknown = ["/nowhere/taq:trades", "/trading/nowhere:trades", "trading.nowhere.trades", "trading.trades"];
    for topic in unknown {
        assert_eq!(described(&mut server.wire(), topic).error_code, UNKNOWN_TOPIC_OR_PARTITION, "{topic}");
        assert_eq!(server.wire().call(7, &create_topic(topic, 1)).topics[0].error_code, INVALID_TOPIC_EXCEPTION);
    }
    let mut wire = Wire::connect(&scoped);
    for topic in ["plain", "default.default.plain", "/default/default:plain"] {
        assert_eq!(described(&mut wire, topic).error_code, UNKNOWN_TOPIC_OR_PARTITION, "{topic}");
    }
}

#[test]
fn a_scope_does_not_know_the_ids_of_others() {
    let server = pond_with_trades();
    snapshot(&server, "trading", "close");
    clone(&server, "trading@close", "v2");
    create(&mut server.wire(), "plain");
    let scoped = |shows: &str| Wire::connect(&listen(&server, shows));
    let own = described(&mut scoped("v2"), "taq.trades").topic_id;
    let foreign: Vec<Uuid> = [
        described(&mut server.wire(), "plain").topic_id,
        described(&mut scoped("trading@close"), "taq.trades").topic_id,
        Uuid::from_u128(9),
    ]
    .into();
    let mut wire = scoped("v2");
    for id in foreign {
        let asked = MetadataRequestTopic::default().with_name(None).with_topic_id(id);
        let answer = wire.call(12, &MetadataRequest::default().with_topics(Some(vec![asked])));
        assert_eq!(answer.topics[0].error_code, UNKNOWN_TOPIC_ID);
        let mut request = fetch(&[("", 0, 0)]);
        request.topics[0].topic_id = id;
        assert_eq!(wire.call(13, &request).responses[0].partitions[0].error_code, UNKNOWN_TOPIC_ID);
        let mut request = produce(-1, [(String::new(), 0, Batch::of_value("a").encode())]);
        request.topic_data[0].topic_id = id;
        assert_eq!(wire.call(13, &request).responses[0].partition_responses[0].error_code, UNKNOWN_TOPIC_ID);
    }
    let mut request = fetch(&[("", 0, 0)]);
    request.topics[0].topic_id = own;
    assert_eq!(wire.call(13, &request).responses[0].partitions[0].error_code, 0);
    // Short names are of listeners that show one thing alone.
    assert_eq!(server.wire().call(13, &request).responses[0].partitions[0].error_code, UNKNOWN_TOPIC_ID);
}

/// What a client has under way, or knows for ever, when its port moves to a clone.
#[test]
fn a_clone_takes_the_ids_of_what_it_comes_from_for_its_own_topics() {
    let server = pond_with_trades();
    append(&mut server.wire(), TRADES, "a");
    let scoped = |shows: &str| Wire::connect(&listen(&server, shows));
    let short = described(&mut scoped("trading"), "taq.trades").topic_id;
    let dotted = described(&mut server.wire(), TRADES).topic_id;
    clone(&server, "trading", "v2");
    clone(&server, "v2", "v3");
    create(&mut server.wire(), "trading.taq.later");
    let later = described(&mut scoped("trading"), "taq.later").topic_id;
    let mut wire = scoped("v3");
    let producer = wire.call(4, &init_producer()).producer_id.0;
    let mut write = |id: Uuid, sequence: i32| {
        let batch = Batch::of_value("mine").producer(producer, 0, sequence).encode();
        let mut request = produce(-1, [(String::new(), 0, batch)]);
        request.topic_data[0].topic_id = id;
        let answer = wire.call(13, &request).responses.remove(0);
        assert_eq!(answer.topic_id, id, "an answer has the id of its request");
        (answer.partition_responses[0].error_code, answer.partition_responses[0].base_offset)
    };
    let own = described(&mut scoped("v3"), "taq.trades").topic_id;
    assert_eq!([write(short, 0), write(short, 1), write(own, 2)], [(0, 1), (0, 2), (0, 3)]);
    assert_eq!(write(dotted, 3).0, INVALID_REQUEST, "a second name of the topic");
    assert_eq!(write(later, 3).0, UNKNOWN_TOPIC_ID, "what came behind the clone is not in it");
    let mut request = fetch(&[("", 0, 0)]);
    request.topics[0].topic_id = short;
    let answer = scoped("v3").call(13, &request).responses.remove(0);
    assert_eq!((answer.topic_id, answer.partitions[0].high_watermark), (short, 4));
    assert_eq!(read_log(&mut server.wire(), TRADES, 0, 0).1, 1, "the original is what it was");
    let mut request = fetch(&[("", 0, 0)]);
    request.topics[0].topic_id = own;
    assert_eq!(
        scoped("trading").call(13, &request).responses[0].partitions[0].error_code,
        UNKNOWN_TOPIC_ID,
        "no descendant's"
    );
}

#[test]
fn an_application_with_its_names_in_its_code_runs_against_a_clone_of_a_clone() {
    let server = pond_with_trades();
    append(&mut server.wire(), TRADES, "a");
    clone(&server, "trading", "v2");
    clone(&server, "v2", "v3");
    let mut wire = Wire::connect(&listen(&server, "v3"));
    let names = ["taq.trades", TRADES, "v2.taq.trades", "v3.taq.trades", "/trading/taq:trades", "/v3/taq:trades"];
    for (nth, topic) in (1..).zip(names) {
        assert_eq!(append(&mut wire, topic, "mine"), nth, "{topic}");
    }
    assert_eq!(read_log(&mut server.wire(), TRADES, 0, 0).1, 1, "the original is what it was");
    assert_eq!(read_log(&mut server.wire(), "v3.taq.trades", 0, 0).1, 7);
}

#[test]
fn topics_of_a_deleted_volume_do_not_come_back_as_plain_ones() {
    let server = pond_with_trades();
    append(&mut server.wire(), TRADES, "a");
    delete(&server, "volumes/trading?force=true");
    let mut wire = server.wire();
    for topic in [TRADES, "trading.x", "/trading/taq:trades"] {
        // As the clients do that still run: they ask, and would have it made.
        let asked = metadata(&[topic]).with_allow_auto_topic_creation(true);
        assert_eq!(wire.call(12, &asked).topics[0].error_code, UNKNOWN_TOPIC_OR_PARTITION, "{topic}");
        assert_eq!(wire.call(7, &create_topic(topic, 1)).topics[0].error_code, INVALID_TOPIC_EXCEPTION, "{topic}");
    }
    assert!(wire.call(12, &MetadataRequest::default().with_topics(None)).topics.is_empty());
    let refused = wire.call(PRODUCE, &produce(-1, [(TRADES.to_owned(), 0, Batch::of_value("b").encode())]));
    assert_eq!(refused.responses[0].partition_responses[0].error_code, UNKNOWN_TOPIC_OR_PARTITION);
    let refused = wire.call(FETCH, &fetch(&[(TRADES, 0, 0)]));
    assert_eq!(refused.responses[0].partitions[0].error_code, UNKNOWN_TOPIC_OR_PARTITION);
}
