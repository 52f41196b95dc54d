//! Batching, routing, and above all order, whatever fails.

use std::time::Duration;

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::ApiKey;
use millpond_storage::batch::{Codec, NewRecord};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::fake::{FakeCluster, Fault};
use crate::client::{Acks, ClientError, Delivery, Idempotence, Producer, ProducerOptions, ProducerTopic};

/// Options that put two records of `value` into a batch.
fn small_batches() -> ProducerOptions {
    ProducerOptions { batch_bytes: 90, linger: Duration::from_millis(1), ..ProducerOptions::default() }
}

fn value(number: usize) -> String {
    format!("value-{number:04}")
}

async fn producer(cluster: &FakeCluster, options: ProducerOptions) -> (Producer, mpsc::UnboundedReceiver<Delivery>) {
    Producer::start(cluster.client().await, options).await.unwrap()
}

async fn send(producer: &Producer, topic: &ProducerTopic, partition: i32, text: &str) -> Result<(), ClientError> {
    let record = NewRecord { timestamp: 1_000, value: Some(text.as_bytes()), ..NewRecord::default() };
    producer.send(topic, Some(partition), &record, Instant::now()).await
}

async fn send_all(producer: &Producer, partitions: i32, count: usize) -> Result<(), ClientError> {
    let topic = producer.topic("t").await.unwrap();
    for number in 0..count {
        for partition in 0..partitions {
            send(producer, &topic, partition, &value(number)).await?;
        }
    }
    producer.flush().await
}

fn values(count: usize) -> Vec<String> {
    (0..count).map(value).collect()
}

#[tokio::test]
async fn records_reach_their_partitions_on_all_brokers_in_order() {
    let cluster = FakeCluster::start(3).await;
    cluster.add_topic("t", 7);
    let (producer, mut deliveries) = producer(&cluster, small_batches()).await;
    assert!(producer.is_idempotent());
    send_all(&producer, 7, 40).await.unwrap();
    for partition in 0..7 {
        assert_eq!(cluster.values("t", partition), values(40));
    }
    let mut next = [0_i64; 7];
    while let Ok(delivery) = deliveries.try_recv() {
        let next = &mut next[usize::try_from(delivery.partition).unwrap()];
        assert_eq!(delivery.base_offset, *next);
        assert_eq!(delivery.payload_bytes, u64::from(delivery.records) * 10);
        *next += i64::from(delivery.records);
    }
    assert_eq!(next, [40; 7]);
}

#[tokio::test]
async fn every_codec_arrives() {
    for compression in [Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd] {
        let cluster = FakeCluster::start(1).await;
        cluster.add_topic("t", 1);
        let options = ProducerOptions { compression, ..ProducerOptions::default() };
        let (producer, _) = producer(&cluster, options).await;
        send_all(&producer, 1, 100).await.unwrap();
        assert_eq!(cluster.values("t", 0), values(100), "{}", compression.name());
    }
}

#[tokio::test]
async fn five_requests_are_on_their_way_and_no_more() {
    let cluster = FakeCluster::start(1).await;
    cluster.add_topic("t", 8);
    let options = ProducerOptions { request_bytes_max: 1, ..small_batches() };
    let (producer, _) = producer(&cluster, options).await;
    let topic = producer.topic("t").await.unwrap();
    // The fake serves one request of a connection after another, so that the first holds up the rest unread.
    cluster.hold();
    for partition in 0..8 {
        send(&producer, &topic, partition, "a").await.unwrap();
    }
    let flush = producer.flush();
    tokio::pin!(flush);
    tokio::select! {
        _ = &mut flush => panic!("nothing was answered"),
        () = cluster.arrived(ApiKey::Produce, 1) => {}
    }
    assert_eq!(producer.in_flight(), 5);
    cluster.release();
    flush.await.unwrap();
    assert_eq!(producer.in_flight(), 0);
    assert_eq!(cluster.count(ApiKey::Produce), 8);
}

#[tokio::test]
async fn a_full_buffer_makes_the_caller_wait() {
    let cluster = FakeCluster::start(1).await;
    cluster.add_topic("t", 1);
    let options = ProducerOptions { buffer_bytes_max: 200, ..small_batches() };
    let (producer, _) = producer(&cluster, options).await;
    cluster.hold();
    let sending = send_all(&producer, 1, 50);
    tokio::pin!(sending);
    tokio::select! {
        _ = &mut sending => panic!("the buffer has no bound"),
        () = cluster.arrived(ApiKey::Produce, 1) => {}
    }
    cluster.release();
    sending.await.unwrap();
    assert_eq!(cluster.values("t", 0), values(50));
}

/// Each of these happens to every third Produce request.
#[tokio::test]
async fn order_holds_through_failures() {
    let faults = [
        Fault::Close,
        Fault::ServeAndClose,
        Fault::Code(ResponseError::NotLeaderOrFollower),
        Fault::Code(ResponseError::NotEnoughReplicas),
        Fault::Code(ResponseError::KafkaStorageError),
    ];
    for fault in faults {
        let cluster = FakeCluster::start(2).await;
        cluster.add_topic("t", 3);
        cluster.fail(ApiKey::Produce, (0..12).map(|number| (number % 3 == 1).then_some(fault)));
        let (producer, _) = producer(&cluster, small_batches()).await;
        send_all(&producer, 3, 30).await.unwrap();
        for partition in 0..3 {
            assert_eq!(cluster.values("t", partition), values(30), "{fault:?}");
        }
    }
}

#[tokio::test]
async fn without_idempotence_order_holds_too() {
    let cluster = FakeCluster::start(1).await;
    cluster.world().offered.insert(ApiKey::InitProducerId as i16, None);
    cluster.add_topic("t", 1);
    let fault = Fault::Code(ResponseError::RequestTimedOut);
    cluster.fail(ApiKey::Produce, (0..12).map(|number| (number % 2 == 0).then_some(fault)));
    let (producer, _) = producer(&cluster, small_batches()).await;
    assert!(!producer.is_idempotent());
    send_all(&producer, 1, 30).await.unwrap();
    assert_eq!(cluster.values("t", 0), values(30));
}

#[tokio::test]
async fn a_batch_that_was_written_unheard_is_not_written_twice() {
    let cluster = FakeCluster::start(1).await;
    cluster.add_topic("t", 1);
    cluster.fail(ApiKey::Produce, [Some(Fault::ServeAndClose)]);
    let (producer, mut deliveries) = producer(&cluster, ProducerOptions::default()).await;
    send_all(&producer, 1, 3).await.unwrap();
    assert_eq!(cluster.values("t", 0), values(3));
    assert_eq!(deliveries.recv().await.unwrap().base_offset, 0);
    assert_eq!(cluster.count(ApiKey::Produce), 2);
}

#[tokio::test]
async fn a_leader_that_moves_is_followed() {
    let cluster = FakeCluster::start(2).await;
    cluster.add_topic("t", 2);
    let (producer, _) = producer(&cluster, small_batches()).await;
    let topic = producer.topic("t").await.unwrap();
    send(&producer, &topic, 0, "before").await.unwrap();
    producer.flush().await.unwrap();
    cluster.world().topics.get_mut("t").unwrap()[0].leader = 1;
    send(&producer, &topic, 0, "after").await.unwrap();
    producer.flush().await.unwrap();
    assert_eq!(cluster.values("t", 0), ["before", "after"]);
}

#[tokio::test]
async fn a_partition_without_leader_is_waited_for() {
    let cluster = FakeCluster::start(1).await;
    cluster.add_topic("t", 1);
    let (producer, _) = producer(&cluster, small_batches()).await;
    let topic = producer.topic("t").await.unwrap();
    cluster.world().topics.get_mut("t").unwrap()[0].leader = -1;
    send(&producer, &topic, 0, "a").await.unwrap();
    let flush = producer.flush();
    tokio::pin!(flush);
    let asked_before = cluster.count(ApiKey::Metadata);
    tokio::select! {
        _ = &mut flush => panic!("nobody leads the partition"),
        () = cluster.arrived(ApiKey::Metadata, asked_before + 2) => {}
    }
    cluster.world().topics.get_mut("t").unwrap()[0].leader = 0;
    flush.await.unwrap();
    assert_eq!(cluster.values("t", 0), ["a"]);
}

#[tokio::test]
async fn the_first_lasting_refusal_ends_the_producer() {
    let cluster = FakeCluster::start(1).await;
    cluster.add_topic("t", 1);
    cluster.fail(ApiKey::Produce, [None, Some(Fault::Code(ResponseError::MessageTooLarge))]);
    let (producer, _) = producer(&cluster, small_batches()).await;
    let topic = producer.topic("t").await.unwrap();
    send(&producer, &topic, 0, "kept").await.unwrap();
    producer.flush().await.unwrap();
    send(&producer, &topic, 0, "refused").await.unwrap();
    let error = producer.flush().await.unwrap_err();
    assert_eq!(error.to_string(), "writing to t-0: MESSAGE_TOO_LARGE (10)");
    let again = send(&producer, &topic, 0, "later").await.unwrap_err();
    assert_eq!(again.to_string(), error.to_string());
    assert_eq!(cluster.values("t", 0), ["kept"]);
}

#[tokio::test]
async fn a_gap_that_no_retry_can_close_is_an_error() {
    let cluster = FakeCluster::start(1).await;
    cluster.add_topic("t", 1);
    cluster.fail(ApiKey::Produce, [Some(Fault::Code(ResponseError::OutOfOrderSequenceNumber))]);
    let (producer, _) = producer(&cluster, small_batches()).await;
    let error = send_all(&producer, 1, 1).await.unwrap_err();
    assert_eq!(error.to_string(), "writing to t-0: OUT_OF_ORDER_SEQUENCE_NUMBER (45)");
}

#[tokio::test]
async fn records_that_cannot_go_in_time_are_an_error_with_the_cause() {
    let cluster = FakeCluster::start(1).await;
    cluster.add_topic("t", 1);
    cluster.fail(ApiKey::Produce, vec![Some(Fault::Code(ResponseError::NotEnoughReplicas)); 1_000]);
    let options = ProducerOptions { delivery_timeout: Duration::from_secs(1), ..small_batches() };
    let (producer, _) = producer(&cluster, options).await;
    let error = send_all(&producer, 1, 1).await.unwrap_err().to_string();
    assert_eq!(error, "records for t-0 could not be delivered within 1 s: writing to t-0: NOT_ENOUGH_REPLICAS (19)");
}

#[tokio::test]
async fn without_acknowledgement_nothing_is_awaited() {
    let cluster = FakeCluster::start(1).await;
    cluster.add_topic("t", 1);
    let options = ProducerOptions { acks: Acks::None, idempotence: Idempotence::IfOffered, ..small_batches() };
    let (producer, mut deliveries) = producer(&cluster, options).await;
    assert!(!producer.is_idempotent());
    send_all(&producer, 1, 20).await.unwrap();
    assert_eq!(deliveries.recv().await.unwrap().base_offset, -1);
    cluster.arrived(ApiKey::Produce, 10).await;
}

#[tokio::test]
async fn keys_decide_partitions_as_in_kafka_and_records_without_are_spread() {
    let cluster = FakeCluster::start(1).await;
    cluster.add_topic("t", 4);
    let (producer, _) = producer(&cluster, small_batches()).await;
    let topic = producer.topic("t").await.unwrap();
    assert_eq!(topic.partitions(), 4);
    let record = NewRecord { key: Some(b"foobar"), value: Some(b"keyed"), ..NewRecord::default() };
    producer.send(&topic, None, &record, Instant::now()).await.unwrap();
    for number in 0..40 {
        let text = value(number);
        let record = NewRecord { value: Some(text.as_bytes()), ..NewRecord::default() };
        producer.send(&topic, None, &record, Instant::now()).await.unwrap();
    }
    producer.flush().await.unwrap();
    // murmur2("foobar") is -790332482: masked 1357151166, of which 2 is left by 4.
    assert!(cluster.values("t", 2).contains(&"keyed".to_owned()));
    for partition in 0..4 {
        assert!(cluster.values("t", partition).len() > 5, "partition {partition}");
    }
}

/// A random sequence of everything that can go wrong, from a seed; many of them at once, since most of it is waiting.
#[tokio::test]
async fn nothing_is_lost_doubled_or_reordered_in_a_storm() {
    let mut storms = tokio::task::JoinSet::new();
    (0..40).for_each(|seed| drop(storms.spawn(storm(seed))));
    storms.join_all().await;
}

async fn storm(seed: u64) {
    let cluster = FakeCluster::start(3).await;
    cluster.add_topic("t", 4);
    let mut state = seed;
    let mut random = move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state >> 33
    };
    let faults = (0..30).map(|_| match random() % 8 {
        0 => Some(Fault::Close),
        1 => Some(Fault::ServeAndClose),
        2 => Some(Fault::Code(ResponseError::NotLeaderOrFollower)),
        _ => None,
    });
    cluster.fail(ApiKey::Produce, faults.collect::<Vec<_>>());
    cluster.fail(ApiKey::Metadata, [None, None, Some(Fault::Close)]);
    let (producer, _) = producer(&cluster, small_batches()).await;
    send_all(&producer, 4, 40).await.unwrap_or_else(|error| panic!("seed {seed}: {error}"));
    for partition in 0..4 {
        assert_eq!(cluster.values("t", partition), values(40), "seed {seed}");
    }
}
