//! Fetching: order, starts, leaders that move, offsets that are gone.

use std::collections::BTreeMap;
use std::time::Duration;

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::ApiKey;
use millpond_storage::batch::{BatchBuilder, Codec, Header, NewRecord};

use super::fake::{FakeCluster, Fault};
use crate::client::{ClientError, Consumer, ConsumerOptions, FetchedRecord, OffsetAt, Polled, StartAt};

fn options() -> ConsumerOptions {
    ConsumerOptions { max_wait: Duration::from_millis(5), ..ConsumerOptions::default() }
}

/// Writes batches of three records each to a partition; record `n` has the timestamp `1000 + n`.
fn fill(cluster: &FakeCluster, partition: usize, batches: i64) {
    let mut world = cluster.world();
    let log = &mut world.topics.get_mut("t").unwrap()[partition];
    for batch in 0..batches {
        let codec =
            [Codec::None, Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd][usize::try_from(batch % 5).unwrap()];
        let mut builder = BatchBuilder::new().codec(codec);
        for record in 0..3 {
            let number = batch * 3 + record;
            let value = format!("{partition}-{number}");
            let headers = [
                Header { key: b"same", value: Some(b"first") },
                Header { key: b"same", value: None },
                Header { key: b"\xff", value: Some(b"") },
            ];
            let record = NewRecord {
                timestamp: 1_000 + number,
                key: (number % 2 == 0).then_some(b"key"),
                value: Some(value.as_bytes()),
                headers: &headers,
            };
            builder.append(&record).unwrap();
        }
        log.append(&builder.build().unwrap()).unwrap();
    }
}

/// Everything up to the ends of now, by partition.
async fn read_all(cluster: &FakeCluster, consumer: &mut Consumer) -> BTreeMap<i32, Vec<FetchedRecord>> {
    let partitions = cluster.world().topics["t"].len();
    let all: Vec<i32> = (0..i32::try_from(partitions).unwrap()).collect();
    let ends = cluster.client().await.offsets("t", &all, OffsetAt::Latest).await.unwrap();
    let mut read: BTreeMap<i32, Vec<FetchedRecord>> = BTreeMap::new();
    while !consumer.reached(&ends) {
        if let Polled::Records(records) = consumer.next().await.unwrap() {
            read.entry(records[0].partition).or_default().extend(records);
        }
    }
    read
}

async fn consumer(cluster: &FakeCluster, partitions: &[i32], start: StartAt) -> Consumer {
    Consumer::assign(cluster.client().await, "t", partitions, start, options()).await.unwrap()
}

#[tokio::test]
async fn all_records_of_all_partitions_come_whole_and_in_order() {
    let cluster = FakeCluster::start(3).await;
    cluster.add_topic("t", 5);
    (0..5).for_each(|partition| fill(&cluster, partition, 20));
    let mut consumer = consumer(&cluster, &[0, 1, 2, 3, 4], StartAt::Earliest).await;
    let read = read_all(&cluster, &mut consumer).await;
    for (partition, records) in read {
        let offsets: Vec<i64> = records.iter().map(|record| record.offset).collect();
        assert_eq!(offsets, (0..60).collect::<Vec<_>>());
        for record in records {
            assert_eq!(record.value.unwrap(), format!("{partition}-{}", record.offset));
            assert_eq!(record.timestamp, 1_000 + record.offset);
            assert_eq!(record.key.is_some(), record.offset % 2 == 0);
            let headers: Vec<(&[u8], Option<&[u8]>)> =
                record.headers.iter().map(|(key, value)| (&key[..], value.as_deref())).collect();
            assert_eq!(headers, [(&b"same"[..], Some(&b"first"[..])), (b"same", None), (b"\xff", Some(b""))]);
        }
    }
}

#[tokio::test]
async fn starts_are_found() {
    let cluster = FakeCluster::start(1).await;
    cluster.add_topic("t", 1);
    fill(&cluster, 0, 4);
    let cases = [
        (StartAt::Earliest, 0),
        (StartAt::Offset(7), 7),
        (StartAt::Offset(-5), 0),
        (StartAt::BeforeEnd(5), 7),
        (StartAt::BeforeEnd(u64::MAX), 0),
        (StartAt::Time(1_004), 4),
        (StartAt::Time(0), 0),
    ];
    for (start, first) in cases {
        let mut consumer = consumer(&cluster, &[0], start).await;
        let read = read_all(&cluster, &mut consumer).await;
        assert_eq!(read[&0][0].offset, first, "{start:?}");
        assert_eq!(read[&0].len(), usize::try_from(12 - first).unwrap(), "{start:?}");
    }
    for start in [StartAt::Latest, StartAt::Offset(99), StartAt::BeforeEnd(0), StartAt::Time(9_999)] {
        let mut consumer = consumer(&cluster, &[0], start).await;
        assert_eq!(consumer.next().await.unwrap(), Polled::Nothing, "{start:?}");
    }
}

#[tokio::test]
async fn new_records_arrive_while_it_waits() {
    let cluster = FakeCluster::start(1).await;
    cluster.add_topic("t", 1);
    let mut consumer = consumer(&cluster, &[0], StartAt::Latest).await;
    assert_eq!(consumer.next().await.unwrap(), Polled::Nothing);
    fill(&cluster, 0, 1);
    loop {
        match consumer.next().await.unwrap() {
            Polled::Records(records) => break assert_eq!(records.len(), 3),
            other => assert_eq!(other, Polled::Nothing),
        }
    }
}

#[tokio::test]
async fn it_rides_out_failures_and_moved_leaders() {
    let cluster = FakeCluster::start(2).await;
    cluster.add_topic("t", 2);
    (0..2).for_each(|partition| fill(&cluster, partition, 10));
    let faults = [
        Some(Fault::Close),
        Some(Fault::Code(ResponseError::NotLeaderOrFollower)),
        Some(Fault::Code(ResponseError::FencedLeaderEpoch)),
        None,
        Some(Fault::Code(ResponseError::KafkaStorageError)),
    ];
    cluster.fail(ApiKey::Fetch, faults);
    let mut consumer = consumer(&cluster, &[0, 1], StartAt::Earliest).await;
    cluster.world().topics.get_mut("t").unwrap()[0].leader = 1;
    let read = read_all(&cluster, &mut consumer).await;
    assert_eq!(read[&0].len() + read[&1].len(), 60);
}

#[tokio::test]
async fn an_offset_that_is_gone_is_told_and_passed_over() {
    let cluster = FakeCluster::start(1).await;
    cluster.add_topic("t", 1);
    fill(&cluster, 0, 4);
    let mut consumer = consumer(&cluster, &[0], StartAt::Earliest).await;
    cluster.world().topics.get_mut("t").unwrap()[0].delete_before(6);
    let moved = loop {
        match consumer.next().await.unwrap() {
            Polled::Nothing => {}
            other => break other,
        }
    };
    assert_eq!(moved, Polled::Moved { partition: 0, from: 0, to: 6 });
    let read = read_all(&cluster, &mut consumer).await;
    assert_eq!(read[&0].iter().map(|record| record.offset).collect::<Vec<_>>(), [6, 7, 8, 9, 10, 11]);
}

#[tokio::test]
async fn control_batches_are_passed_over() {
    let cluster = FakeCluster::start(1).await;
    cluster.add_topic("t", 1);
    fill(&cluster, 0, 1);
    let mut builder = BatchBuilder::new().control();
    builder.append(&NewRecord { key: Some(&[0, 0, 0, 1]), value: Some(&[0; 6]), ..NewRecord::default() }).unwrap();
    cluster.world().topics.get_mut("t").unwrap()[0].append(&builder.build().unwrap()).unwrap();
    fill(&cluster, 0, 1);
    let mut consumer = consumer(&cluster, &[0], StartAt::Earliest).await;
    let read = read_all(&cluster, &mut consumer).await;
    assert_eq!(read[&0].iter().map(|record| record.offset).collect::<Vec<_>>(), [0, 1, 2, 4, 5, 6]);
}

#[tokio::test]
async fn patience_ends() {
    let cluster = FakeCluster::start(1).await;
    cluster.add_topic("t", 1);
    cluster.fail(ApiKey::Fetch, vec![Some(Fault::Code(ResponseError::KafkaStorageError)); 1_000]);
    let options = ConsumerOptions { patience: Some(Duration::from_millis(300)), ..options() };
    let client = cluster.client().await;
    let mut consumer = Consumer::assign(client, "t", &[0], StartAt::Earliest, options).await.unwrap();
    let error = loop {
        match consumer.next().await {
            Ok(polled) => assert_eq!(polled, Polled::Nothing),
            Err(error) => break error,
        }
    };
    assert_eq!(error.to_string(), "reading t-0: KAFKA_STORAGE_ERROR (56)");
}

#[tokio::test]
async fn a_refusal_that_lasts_is_an_error_at_once() {
    let cluster = FakeCluster::start(1).await;
    cluster.add_topic("t", 1);
    cluster.fail(ApiKey::Fetch, [Some(Fault::Code(ResponseError::TopicAuthorizationFailed))]);
    let mut consumer = consumer(&cluster, &[0], StartAt::Earliest).await;
    let error = consumer.next().await.unwrap_err();
    assert!(matches!(error, ClientError::Refused { code: ResponseError::TopicAuthorizationFailed, .. }), "{error}");
}
