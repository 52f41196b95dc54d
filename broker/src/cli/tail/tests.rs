//! `tail` against brokers in the test's own process.

use std::sync::{Arc, Mutex};

use clap::Parser;
use millpond_storage::batch::{BatchBuilder, NewRecord};

use super::*;
use crate::client::tests::fake::FakeCluster;

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    args: TailArgs,
}

fn args(cluster: &FakeCluster, flags: &[&str]) -> TailArgs {
    let brokers = cluster.address(0).to_string();
    let line = ["tail", "t", "--brokers", &brokers, "--format", "text"].into_iter().chain(flags.iter().copied());
    Line::try_parse_from(line).unwrap_or_else(|error| panic!("{error}")).args
}

/// Appends records `(timestamp, value)`, each in a batch of its own.
fn append(cluster: &FakeCluster, partition: usize, records: &[(i64, &str)]) {
    for (timestamp, value) in records {
        let mut builder = BatchBuilder::new();
        let record = NewRecord { timestamp: *timestamp, value: Some(value.as_bytes()), ..NewRecord::default() };
        builder.append(&record).unwrap();
        cluster.append("t", partition, &builder.build().unwrap());
    }
}

async fn tail(cluster: &FakeCluster, flags: &[&str]) -> Result<Vec<String>, Ended> {
    let (args, mut out) = (args(cluster, flags), Vec::new());
    Tail::begin(&args, cluster.client().await, &mut out, false).await?.run().await?;
    Ok(values(&out))
}

/// The last column of each line.
fn values(out: &[u8]) -> Vec<String> {
    let text = std::str::from_utf8(out).unwrap();
    text.lines().map(|line| line.rsplit(' ').next().unwrap().to_owned()).collect()
}

async fn three_partitions() -> FakeCluster {
    let cluster = FakeCluster::start(2).await;
    cluster.add_topic("t", 3);
    append(&cluster, 0, &[(1, "a1"), (4, "a4"), (7, "a7"), (10, "a10")]);
    append(&cluster, 1, &[(2, "b2"), (5, "b5"), (8, "b8")]);
    append(&cluster, 2, &[(3, "c3"), (6, "c6"), (9, "c9"), (12, "c12"), (11, "c11")]);
    cluster
}

#[tokio::test]
async fn the_last_records_of_all_partitions_come_by_time() {
    let cluster = three_partitions().await;
    assert_eq!(tail(&cluster, &["-n", "5"]).await.unwrap(), ["b8", "c9", "a10", "c11", "c12"]);
    assert_eq!(tail(&cluster, &[]).await.unwrap().len(), 10);
    assert_eq!(tail(&cluster, &["-n", "99"]).await.unwrap().len(), 12);
    assert!(tail(&cluster, &["-n", "0"]).await.unwrap().is_empty());
}

#[tokio::test]
async fn partitions_can_be_chosen() {
    let cluster = three_partitions().await;
    assert_eq!(tail(&cluster, &["-p", "1"]).await.unwrap(), ["b2", "b5", "b8"]);
    assert_eq!(tail(&cluster, &["-p", "1", "--partition", "0", "-n", "3"]).await.unwrap(), ["a7", "b8", "a10"]);
    let error = tail(&cluster, &["-p", "3"]).await.unwrap_err();
    assert_eq!(error.to_string(), "topic t has no partition 3");
}

#[tokio::test]
async fn from_somewhere_all_is_shown_or_so_many() {
    let cluster = three_partitions().await;
    assert_eq!(tail(&cluster, &["--from", "earliest"]).await.unwrap().len(), 12);
    assert_eq!(tail(&cluster, &["--from", "earliest", "-n", "4"]).await.unwrap().len(), 4);
    assert_eq!(tail(&cluster, &["--from", "2", "-p", "0"]).await.unwrap(), ["a7", "a10"]);
    let by_time = tail(&cluster, &["--from", "1970-01-01T00:00:00.008Z", "-p", "1", "-p", "2"]).await.unwrap();
    let mut sorted = by_time.clone();
    sorted.sort();
    assert_eq!(sorted, ["b8", "c11", "c12", "c9"]);
}

#[tokio::test]
async fn gaps_in_offsets_do_not_hide_records() {
    let cluster = FakeCluster::start(1).await;
    cluster.add_topic("t", 1);
    append(&cluster, 0, &[(1, "first"), (2, "second")]);
    let mut markers = BatchBuilder::new().control().last_offset(30);
    markers.append(&NewRecord { key: Some(&[0, 0, 0, 1]), ..NewRecord::default() }).unwrap();
    cluster.append("t", 0, &markers.build().unwrap());
    assert_eq!(tail(&cluster, &["-n", "2"]).await.unwrap(), ["first", "second"]);
}

#[tokio::test]
async fn an_unknown_topic_is_an_error_without_follow() {
    let cluster = FakeCluster::start(1).await;
    assert_eq!(tail(&cluster, &[]).await.unwrap_err().to_string(), "there is no topic t");
}

/// What a tail that follows has written so far; each write wakes the test.
#[derive(Clone, Default)]
struct Shared {
    written: Arc<Mutex<Vec<u8>>>,
    more: Arc<tokio::sync::Notify>,
}

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.written.lock().unwrap().extend_from_slice(bytes);
        self.more.notify_one();
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Shared {
    async fn lines(&self, count: usize) -> Vec<String> {
        loop {
            let lines = values(&self.written.lock().unwrap());
            if lines.len() >= count {
                return lines;
            }
            self.more.notified().await;
        }
    }
}

#[tokio::test]
async fn following_waits_for_the_topic_and_for_records() {
    let cluster = FakeCluster::start(1).await;
    let (args, out) = (args(&cluster, &["-f"]), Shared::default());
    let client = cluster.client().await;
    let (writer, fake) = (out.clone(), cluster.clone());
    let following = tokio::spawn(async move { Tail::begin(&args, client, writer, false).await.unwrap().run().await });
    fake.arrived(kafka_protocol::messages::ApiKey::Metadata, 2).await;
    fake.add_topic("t", 2);
    append(&fake, 0, &[(1, "one")]);
    assert_eq!(out.lines(1).await, ["one"]);
    append(&fake, 1, &[(2, "two")]);
    assert_eq!(out.lines(2).await, ["one", "two"]);
    append(&fake, 0, &[(3, "three")]);
    assert_eq!(out.lines(3).await, ["one", "two", "three"]);
    following.abort();
}

#[test]
fn places_to_begin_are_read() {
    let begin = |text: &str| text.parse::<Begin>();
    assert_eq!(begin("earliest"), Ok(Begin::Earliest));
    assert_eq!(begin("0"), Ok(Begin::Offset(0)));
    assert_eq!(begin("2026-11-23T15:30:00Z"), Ok(Begin::Time(1_795_447_800_000)));
    assert!(begin("-1").is_err() && begin("2026-11-23").is_err() && begin("begin").is_err());
}
