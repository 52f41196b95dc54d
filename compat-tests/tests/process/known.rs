//! A broker with something of everything, and what must be known of it after whatever happens to its data.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use bytes::Bytes;
use kafka_protocol::messages::produce_response::PartitionProduceResponse;
use millpond_compat_tests::batch::{Batch, Record, now};
pub(crate) use millpond_compat_tests::directory::copy as copy_dir;
use millpond_compat_tests::requests;
use millpond_compat_tests::server::Server;
use millpond_compat_tests::wire::Wire;
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use serde_json::Value;

use crate::{millpond, text};

pub(crate) const TOPIC: &str = "trades";
pub(crate) const PARTITIONS: i32 = 3;

/// What was done.
pub(crate) struct Known {
    /// Of an idempotent producer: its id and epoch.
    producer: (i64, i16),
    /// By partition: what was acknowledged, batch by batch, from offset 0 on without a gap.
    pub(crate) acknowledged: Vec<Vec<Sent>>,
    position: i64,
    described: Value,
}

/// A batch as it was sent, and what is in it.
#[derive(Clone)]
pub(crate) struct Sent {
    bytes: Bytes,
    base_offset: i64,
    values: Vec<Bytes>,
}

impl Known {
    /// Makes a topic with a setting, records of an idempotent producer, a position.
    pub(crate) fn make(server: &Server) -> Self {
        let output = millpond(&[
            "topic",
            "create",
            TOPIC,
            "--partitions",
            "3",
            "--config",
            "retention.ms=86400000",
            "--server",
            server.http(),
        ]);
        assert!(output.status.success(), "{output:?}");
        let mut wire = server.wire();
        let answer = wire.call(4, &requests::init_producer());
        let producer = (answer.producer_id.0, answer.producer_epoch);
        let mut known = Self { producer, acknowledged: vec![Vec::new(); 3], position: 0, described: Value::Null };
        known.produce(&mut wire, 4, 20);
        known.commit(&mut wire);
        known.described = described(server);
        known
    }

    /// Appends `count` batches of `bytes` to every partition.
    pub(crate) fn produce(&mut self, wire: &mut Wire, count: usize, bytes: usize) {
        for _ in 0..count {
            for partition in 0..PARTITIONS {
                let answer = self.try_produce(wire, partition, bytes);
                assert_eq!(answer.error_code, 0, "{answer:?}");
            }
        }
    }

    /// Appends one batch of two records, if the broker takes it.
    pub(crate) fn try_produce(&mut self, wire: &mut Wire, partition: i32, bytes: usize) -> PartitionProduceResponse {
        let sent = &mut self.acknowledged[usize::try_from(partition).expect("small")];
        let sequence = i32::try_from(2 * sent.len()).expect("small");
        let value = |nth: i32| Bytes::from(format!("{partition}/{}/{}", sequence + nth, "x".repeat(bytes)));
        let values = vec![value(0), value(1)];
        let batch = Batch::of(values.iter().cloned().map(|value| Record::of(value).at(now()))).producer(
            self.producer.0,
            self.producer.1,
            sequence,
        );
        let bytes = batch.encode();
        let request = requests::produce(-1, [(TOPIC.to_owned(), partition, bytes.clone())]);
        let answer = wire.call(requests::PRODUCE, &request).responses.remove(0).partition_responses.remove(0);
        if answer.error_code == 0 {
            sent.push(Sent { bytes, base_offset: answer.base_offset, values });
        }
        answer
    }

    /// The values of a partition, by offset.
    pub(crate) fn values(&self, partition: i32) -> impl Iterator<Item = &Bytes> {
        self.acknowledged[usize::try_from(partition).expect("small")].iter().flat_map(|sent| &sent.values)
    }

    /// Commits the next position.
    pub(crate) fn commit(&mut self, wire: &mut Wire) {
        let answer = wire.call(8, &requests::commit("risk", TOPIC, 1, self.position + 1, "note"));
        assert_eq!(answer.topics[0].partitions[0].error_code, 0, "{answer:?}");
        self.position += 1;
    }

    /// Everything is there as it was: topics and settings, records, positions, producers.
    pub(crate) fn check(&self, server: &Server) {
        let mut wire = server.wire();
        assert_eq!(described(server), self.described, "the topic");
        self.check_records(&mut wire);
        let answer = wire.call(8, &requests::position("risk", TOPIC, 1));
        assert_eq!(answer.groups[0].topics[0].partitions[0].committed_offset, self.position, "{answer:?}");
        // A batch that is sent again is known, and not appended.
        for (partition, sent) in (0..).zip(&self.acknowledged) {
            let Some(last) = sent.last() else { continue };
            let request = requests::produce(-1, [(TOPIC.to_owned(), partition, last.bytes.clone())]);
            let answer = wire.call(requests::PRODUCE, &request).responses.remove(0).partition_responses.remove(0);
            assert_eq!((answer.error_code, answer.base_offset), (0, last.base_offset), "{answer:?}");
        }
    }

    /// Every record that was acknowledged is there, and nothing else.
    pub(crate) fn check_records(&self, wire: &mut Wire) {
        for (partition, sent) in (0..).zip(&self.acknowledged) {
            let (batches, _) = requests::read_log(wire, TOPIC, partition, 0);
            let found = batches.iter().flat_map(Batch::offsets).map(|(_, record)| record.value.clone());
            let written = sent.iter().flat_map(|sent| &sent.values).cloned().map(Some);
            assert!(found.eq(written), "partition {partition} has other records than were written");
        }
    }
}

/// The topic as people are told of it, without its sizes.
fn described(server: &Server) -> Value {
    let output = millpond(&["topic", "describe", TOPIC, "--json", "--server", server.http()]);
    assert!(output.status.success(), "{output:?}");
    let mut described: Value = serde_json::from_str(&text(&output.stdout)).expect("JSON");
    let object = described.as_object_mut().expect("an object");
    let kept = ["name", "id", "configs", "settings", "config"];
    object.retain(|key, _| kept.contains(&key.as_str()));
    assert!(object.len() >= 3, "what a topic says has other names now: {object:?}");
    described
}

/// A member of group `readers`, which goes on by itself as long as this lives.
pub(crate) struct Member {
    consumer: BaseConsumer,
    before: Value,
}

impl Member {
    pub(crate) fn join(server: &Server) -> Self {
        let consumer: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", server.kafka())
            .set("group.id", "readers")
            .set("enable.auto.commit", "false")
            .create()
            .expect("a consumer");
        consumer.subscribe(&[TOPIC]).expect("it can subscribe");
        let deadline = Instant::now() + Duration::from_secs(30);
        while consumer.assignment().expect("it knows").count() == 0 {
            assert!(Instant::now() < deadline, "no partitions were assigned");
            consumer.poll(Duration::from_millis(20));
        }
        let before = group(server);
        Self { consumer, before }
    }

    /// The group is as it was: the same member, with the same partitions, and no rebalance.
    pub(crate) fn check(&self, server: &Server) {
        assert_eq!(group(server), self.before);
        assert_eq!(self.consumer.assignment().expect("it knows").count(), 3);
    }
}

fn group(server: &Server) -> Value {
    let output = millpond(&["group", "describe", "readers", "--json", "--server", server.http()]);
    assert!(output.status.success(), "{output:?}");
    let mut group: Value = serde_json::from_str(&text(&output.stdout)).expect("JSON");
    let object = group.as_object_mut().expect("an object");
    assert!(object.contains_key("members") && object.contains_key("state"), "{object:?}");
    object.retain(|key, _| key == "members" || key == "state");
    group
}

/// Puts a copy in the place of a directory.
pub(crate) fn replace_dir(from: &Path, to: &Path) {
    if to.exists() {
        fs::remove_dir_all(to).expect("it is ours");
    }
    copy_dir(from, to);
}
