//! librdkafka through its Rust binding: produce, groups with rebalances, seek by time, headers, admin.

use std::time::Duration;

use ::rdkafka::admin::{AlterConfig, NewPartitions, NewTopic, ResourceSpecifier, TopicReplication};
use ::rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use ::rdkafka::error::KafkaError;
use ::rdkafka::message::{Header, Headers, Message, OwnedHeaders};
use ::rdkafka::producer::{FutureProducer, FutureRecord};
use ::rdkafka::types::RDKafkaErrorCode;
use ::rdkafka::{Offset, TopicPartitionList};

use crate::support::{
    LIMIT, Member, Target, admin, config, consumer_config, fresh, is_fair, options, poll_until, produce, read, texts,
    topic, values, wait,
};

#[test]
fn codecs_come_back_as_sent_from_idempotent_producers_and_others() {
    let target = Target::start();
    let sent = values(&"the same words over and over ".repeat(40), 200);
    for codec in ["none", "gzip", "snappy", "lz4"] {
        for idempotent in ["false", "true"] {
            let topic = topic(target.address(), 1, &[]);
            let settings = [("compression.type", codec), ("enable.idempotence", idempotent)];
            let offsets = produce(target.address(), &topic, 0, &sent, &settings).expect("all are delivered");
            assert_eq!(offsets, (0..200).collect::<Vec<i64>>());
            assert_eq!(texts(&read(target.address(), &topic, 0, Offset::Beginning, 200)), sent);
        }
    }
}

#[test]
fn many_small_batches_in_flight_keep_their_order() {
    let target = Target::start();
    let topic = topic(target.address(), 1, &[]);
    let sent = values("v", 3000);
    let settings = [("enable.idempotence", "true"), ("batch.num.messages", "5"), ("linger.ms", "0")];
    produce(target.address(), &topic, 0, &sent, &settings).expect("all are delivered");
    assert_eq!(texts(&read(target.address(), &topic, 0, Offset::Beginning, 3000)), sent);
}

#[test]
fn headers_keep_their_order_doubles_and_nulls() {
    let target = Target::start();
    let topic = topic(target.address(), 1, &[]);
    let producer: FutureProducer = config(target.address(), &[]).create().expect("a producer");
    let header = |key, value| Header { key, value };
    let headers = OwnedHeaders::new()
        .insert(header("a", Some(&b"1"[..])))
        .insert(header("b", Some(&b"\xff\x00"[..])))
        .insert(header("a", Some(&b"2"[..])))
        .insert(header("null", None));
    let record = FutureRecord::to(&topic).key("k").payload("v").partition(0).headers(headers.clone());
    wait(producer.send(record, LIMIT)).expect("it is delivered");
    let message = read(target.address(), &topic, 0, Offset::Beginning, 1).remove(0);
    let found = message.headers().expect("headers");
    assert_eq!(found.iter().collect::<Vec<_>>(), headers.iter().collect::<Vec<_>>());
}

#[test]
fn a_record_over_the_limit_is_refused() {
    let target = Target::start();
    let topic = topic(target.address(), 1, &[("max.message.bytes", "2000")]);
    let error = produce(target.address(), &topic, 0, &["x".repeat(3000)], &[]).expect_err("it is refused");
    assert_eq!(error, KafkaError::MessageProduction(RDKafkaErrorCode::MessageSizeTooLarge));
    assert_eq!(produce(target.address(), &topic, 0, &["x".repeat(1000)], &[]), Ok(vec![0]));
}

#[test]
fn eager_and_cooperative_members_share_and_hand_over() {
    let target = Target::start();
    for strategy in ["range", "roundrobin", "cooperative-sticky"] {
        share_and_hand_over(target.address(), &[("partition.assignment.strategy", strategy)]);
    }
}

/// One, two, three members, then two, then one: each record is read exactly once.
fn share_and_hand_over(address: &str, settings: &[(&str, &str)]) {
    let (topic, group) = (topic(address, 6, &[]), fresh("group"));
    let mut members: Vec<Member> = Vec::new();
    let (mut read, mut sent) = (Vec::new(), Vec::new());
    for stage in ["one", "two", "three", "the third left", "the first left"] {
        match stage {
            "the third left" => read.append(&mut members.remove(2).read),
            "the first left" => read.append(&mut members.remove(0).read),
            _ => members.push(Member::join(address, &group, &topic, settings)),
        }
        poll_until(stage, &mut members, |members| is_fair(members, 6));
        for partition in 0..6 {
            let values = values(&format!("{stage}-{partition}"), 10);
            produce(address, &topic, partition, &values, &[]).expect("all are delivered");
            sent.extend(values);
        }
        let wanted = sent.len() - read.len();
        poll_until(stage, &mut members, |members| members.iter().map(|m| m.read.len()).sum::<usize>() >= wanted);
        members.iter().for_each(Member::commit);
    }
    read.extend(members.into_iter().flat_map(|member| member.read));
    read.sort();
    sent.sort();
    assert_eq!(read, sent, "lost or read twice: {settings:?}");
}

#[test]
fn a_commit_is_where_the_next_member_begins() {
    let target = Target::start();
    let (topic, group) = (topic(target.address(), 1, &[]), fresh("group"));
    produce(target.address(), &topic, 0, &values("v", 30), &[]).expect("all are delivered");
    let mut noted = TopicPartitionList::new();
    noted.add_partition_offset(&topic, 0, Offset::Offset(10)).expect("a legal offset");
    let first: BaseConsumer = consumer_config(target.address(), &group, &[]).create().expect("a consumer");
    first.commit(&noted, CommitMode::Sync).expect("a commit");
    drop(first);
    let mut members = [Member::join(target.address(), &group, &topic, &[])];
    poll_until("the rest", &mut members, |members| members[0].read.len() == 20);
    assert_eq!(members[0].read, values("v", 30)[10..]);
}

#[test]
fn offsets_are_found_by_time() {
    let target = Target::start();
    let topic = topic(target.address(), 1, &[]);
    let producer: FutureProducer = config(target.address(), &[("linger.ms", "50")]).create().expect("a producer");
    let record = |time| FutureRecord::<(), str>::to(&topic).payload("v").partition(0).timestamp(time);
    let sent: Vec<_> = (0..100).map(|i| producer.send_result(record(1000 + 10 * i)).expect("room")).collect();
    for answer in sent {
        wait(answer).expect("the producer lives").expect("it is delivered");
    }
    let consumer: BaseConsumer = consumer_config(target.address(), &fresh("group"), &[]).create().expect("a consumer");
    for (time, expected) in
        [(0, Offset::Offset(0)), (1001, Offset::Offset(1)), (1990, Offset::Offset(99)), (1991, Offset::End)]
    {
        let mut asked = TopicPartitionList::new();
        asked.add_partition_offset(&topic, 0, Offset::Offset(time)).expect("a legal time");
        let found = consumer.offsets_for_times(asked, LIMIT).expect("an answer");
        assert_eq!(found.elements()[0].offset(), expected, "at {time}");
    }
}

#[test]
fn the_end_is_seen_at_once_after_acks_1() {
    let target = Target::start();
    let topic = topic(target.address(), 1, &[]);
    let consumer: BaseConsumer = consumer_config(target.address(), &fresh("group"), &[]).create().expect("a consumer");
    let producer: FutureProducer = config(target.address(), &[("acks", "1")]).create().expect("a producer");
    for end in 1..=50 {
        let record = FutureRecord::<(), str>::to(&topic).payload("v").partition(0);
        wait(producer.send(record, Duration::ZERO)).expect("it is delivered");
        assert_eq!(consumer.fetch_watermarks(&topic, 0, LIMIT).expect("an answer"), (0, end));
    }
}

#[test]
fn topics_are_created_grown_configured_and_deleted() {
    let target = Target::start();
    let admin = admin(target.address());
    let name = topic(target.address(), 2, &[("retention.ms", "1234567")]);
    let again = NewTopic::new(&name, 2, TopicReplication::Fixed(1));
    let results = wait(admin.create_topics([&again], &options())).expect("an answer");
    assert_eq!(results, [Err((name.clone(), RDKafkaErrorCode::TopicAlreadyExists))]);

    let results = wait(admin.create_partitions([&NewPartitions::new(&name, 5)], &options())).expect("an answer");
    assert_eq!(results, [Ok(name.clone())]);
    let metadata = admin.inner().fetch_metadata(Some(&name), LIMIT).expect("an answer");
    assert_eq!(metadata.topics()[0].partitions().len(), 5);

    let resource = ResourceSpecifier::Topic(&name);
    let retention = || {
        let configs = wait(admin.describe_configs([&resource], &options())).expect("an answer").remove(0);
        configs.expect("the topic exists").get("retention.ms").expect("the key").value.clone()
    };
    assert_eq!(retention().as_deref(), Some("1234567"));
    let change = AlterConfig::new(resource).set("retention.ms", "7654321");
    assert!(wait(admin.alter_configs([&change], &options())).expect("an answer")[0].is_ok());
    assert_eq!(retention().as_deref(), Some("7654321"));

    assert_eq!(wait(admin.delete_topics(&[&name], &options())).expect("an answer"), [Ok(name.clone())]);
    let results = wait(admin.delete_topics(&[&name], &options())).expect("an answer");
    assert_eq!(results, [Err((name, RDKafkaErrorCode::UnknownTopicOrPartition))]);
}

#[test]
fn records_and_groups_are_deleted() {
    let target = Target::start();
    let admin = admin(target.address());
    let (topic, group) = (topic(target.address(), 1, &[]), fresh("group"));
    produce(target.address(), &topic, 0, &values("v", 10), &[]).expect("all are delivered");
    let mut before = TopicPartitionList::new();
    before.add_partition_offset(&topic, 0, Offset::Offset(4)).expect("a legal offset");
    let found = wait(admin.delete_records(&before, &options())).expect("an answer");
    assert_eq!(found.elements()[0].offset(), Offset::Offset(4));
    assert_eq!(read(target.address(), &topic, 0, Offset::Beginning, 6)[0].offset(), 4);

    let consumer: BaseConsumer = consumer_config(target.address(), &group, &[]).create().expect("a consumer");
    consumer.commit(&before, CommitMode::Sync).expect("a commit");
    drop(consumer);
    let results = wait(admin.delete_groups(&[&group], &options())).expect("an answer");
    assert_eq!(results, [Ok(group.clone())]);
    let results = wait(admin.delete_groups(&[&group], &options())).expect("an answer");
    assert_eq!(results, [Err((group, RDKafkaErrorCode::GroupIdNotFound))]);
}
