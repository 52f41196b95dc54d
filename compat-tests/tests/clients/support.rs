//! The broker of a test, and short ways to send and read with librdkafka. Every wait has a limit.

use std::collections::BTreeSet;
use std::env;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use ::rdkafka::ClientConfig;
use ::rdkafka::ClientContext;
use ::rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use ::rdkafka::client::DefaultClientContext;
use ::rdkafka::config::FromClientConfigAndContext;
use ::rdkafka::consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext, Rebalance};
use ::rdkafka::error::KafkaResult;
use ::rdkafka::message::{Message, OwnedMessage};
use ::rdkafka::producer::{FutureProducer, FutureRecord};
use ::rdkafka::{Offset, TopicPartitionList};
use millpond_compat_tests::random::fresh_seed;
use millpond_compat_tests::server::Server;

/// How long anything may take.
pub(crate) const LIMIT: Duration = Duration::from_secs(45);

/// The broker of one test.
pub(crate) enum Target {
    /// Somebody else's, at this address.
    External(String),
    /// The test's own.
    Own(Box<Server>),
}

impl Target {
    /// The one that `MILLPOND_BOOTSTRAP` names, else a new one.
    pub(crate) fn start() -> Self {
        env::var("MILLPOND_BOOTSTRAP").map_or_else(|_| Self::Own(Box::new(own())), Self::External)
    }

    pub(crate) fn address(&self) -> &str {
        match self {
            Self::External(address) => address,
            Self::Own(server) => server.kafka(),
        }
    }
}

/// A broker of our own, which does not wait for further members before the first rebalance.
pub(crate) fn own() -> Server {
    Server::builder().set("groups.initial_rebalance_delay_ms", "100ms").start()
}

/// A name that no other test and no other run uses.
pub(crate) fn fresh(kind: &str) -> String {
    format!("rust-{kind}-{:016x}", fresh_seed())
}

/// Settings as pairs.
pub(crate) type Settings<'a> = &'a [(&'a str, &'a str)];

pub(crate) fn config(address: &str, settings: Settings) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", address).set("linger.ms", "2").set("message.timeout.ms", "40000");
    for (key, value) in settings {
        config.set(*key, *value);
    }
    config
}

pub(crate) fn admin(address: &str) -> AdminClient<DefaultClientContext> {
    config(address, &[]).create().expect("an admin client")
}

/// Runs one call of the admin client or of a producer.
pub(crate) fn wait<T>(call: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async { tokio::time::timeout(LIMIT, call).await.expect("an answer in time") })
}

pub(crate) fn options() -> AdminOptions {
    AdminOptions::new().request_timeout(Some(LIMIT)).operation_timeout(Some(LIMIT))
}

/// Creates a topic and gives its name.
pub(crate) fn topic(address: &str, partitions: i32, settings: Settings) -> String {
    let name = fresh("topic");
    let mut topic = NewTopic::new(&name, partitions, TopicReplication::Fixed(1));
    for (key, value) in settings {
        topic = topic.set(key, value);
    }
    let results = wait(admin(address).create_topics([&topic], &options())).expect("an answer");
    assert_eq!(results, [Ok(name.clone())]);
    name
}

/// Sends all, in order, to one partition; the offsets, or the first error.
pub(crate) fn produce(
    address: &str,
    topic: &str,
    partition: i32,
    values: &[String],
    settings: Settings,
) -> KafkaResult<Vec<i64>> {
    let producer: FutureProducer = config(address, settings).create().expect("a producer");
    let record = |value| FutureRecord::<(), String>::to(topic).payload(value).partition(partition);
    let sent: Vec<_> =
        values.iter().map(|value| producer.send_result(record(value)).expect("room in the queue")).collect();
    let mut offsets = Vec::new();
    for answer in sent {
        match wait(answer).expect("the producer lives") {
            Ok(delivery) => offsets.push(delivery.offset),
            Err((error, _)) => return Err(error),
        }
    }
    Ok(offsets)
}

/// `prefix-0` to `prefix-(count-1)`.
pub(crate) fn values(prefix: &str, count: usize) -> Vec<String> {
    (0..count).map(|number| format!("{prefix}-{number}")).collect()
}

/// The settings of a consumer that reads from the beginning and commits only when told to.
pub(crate) fn consumer_config(address: &str, group: &str, settings: Settings) -> ClientConfig {
    let mut config = config(address, &[]);
    config.set("group.id", group).set("auto.offset.reset", "earliest").set("enable.auto.commit", "false");
    config.set("fetch.wait.max.ms", "100").set("topic.metadata.refresh.interval.ms", "1000");
    for (key, value) in settings {
        config.set(*key, *value);
    }
    config
}

/// Reads exactly `count` messages of a partition from `offset` on, without a group.
pub(crate) fn read(address: &str, topic: &str, partition: i32, offset: Offset, count: usize) -> Vec<OwnedMessage> {
    let settings: Settings = &[("check.crcs", "true")];
    let consumer: BaseConsumer = consumer_config(address, &fresh("group"), settings).create().expect("a consumer");
    let mut assignment = TopicPartitionList::new();
    assignment.add_partition_offset(topic, partition, offset).expect("a legal offset");
    consumer.assign(&assignment).expect("an assignment");
    let deadline = Instant::now() + LIMIT;
    let mut messages = Vec::new();
    while messages.len() < count {
        if let Some(message) = consumer.poll(Duration::from_millis(100)) {
            messages.push(message.expect("a message").detach());
        }
        assert!(Instant::now() < deadline, "{} of {count} messages", messages.len());
    }
    messages
}

/// The values of messages as text.
pub(crate) fn texts(messages: &[OwnedMessage]) -> Vec<String> {
    messages.iter().map(text).collect()
}

pub(crate) fn text(message: &impl Message) -> String {
    String::from_utf8(message.payload().expect("a value").to_vec()).expect("text")
}

/// What a group member was given and lost, noted by callbacks.
#[derive(Default)]
pub(crate) struct Notes {
    owned: Mutex<BTreeSet<i32>>,
    revoked: Mutex<Vec<BTreeSet<i32>>>,
}

impl ClientContext for Notes {}

impl ConsumerContext for Notes {
    fn pre_rebalance(&self, consumer: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        if let Rebalance::Revoke(partitions) = rebalance {
            // There may be nothing to commit.
            let _ = consumer.commit_consumer_state(CommitMode::Sync);
            let numbers = numbers(partitions);
            self.owned.lock().unwrap_or_else(PoisonError::into_inner).retain(|number| !numbers.contains(number));
            self.revoked.lock().unwrap_or_else(PoisonError::into_inner).push(numbers);
        }
    }

    fn post_rebalance(&self, _: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        if let Rebalance::Assign(partitions) = rebalance {
            self.owned.lock().unwrap_or_else(PoisonError::into_inner).extend(numbers(partitions));
        }
    }
}

fn numbers(partitions: &TopicPartitionList) -> BTreeSet<i32> {
    partitions.elements().iter().map(::rdkafka::topic_partition_list::TopicPartitionListElem::partition).collect()
}

/// A member of a group. Members are polled in turn by the test's thread, so that it sees each change in order.
pub(crate) struct Member {
    pub(crate) consumer: BaseConsumer<Notes>,
    pub(crate) read: Vec<String>,
}

impl Member {
    pub(crate) fn join(address: &str, group: &str, topic: &str, settings: Settings) -> Self {
        let mut config = consumer_config(address, group, &[("partition.assignment.strategy", "range")]);
        config.set("session.timeout.ms", "10000").set("heartbeat.interval.ms", "500");
        for (key, value) in settings {
            config.set(*key, *value);
        }
        let consumer = BaseConsumer::from_config_and_context(&config, Notes::default()).expect("a consumer");
        consumer.subscribe(&[topic]).expect("a subscription");
        Self { consumer, read: Vec::new() }
    }

    pub(crate) fn owned(&self) -> BTreeSet<i32> {
        self.consumer.context().owned.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn revoked(&self) -> Vec<BTreeSet<i32>> {
        self.consumer.context().revoked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn commit(&self) {
        self.consumer.commit_consumer_state(CommitMode::Sync).expect("a commit");
    }

    /// Takes what is there, and waits a moment if there is nothing. Connection errors are not the member's end:
    /// librdkafka goes on by itself.
    fn poll(&mut self) {
        let mut patience = Duration::from_millis(20);
        while let Some(polled) = self.consumer.poll(patience) {
            if let Ok(message) = polled {
                self.read.push(text(&message));
            }
            patience = Duration::ZERO;
        }
    }
}

/// Polls all members in turn until `done`.
pub(crate) fn poll_until(what: &str, members: &mut [Member], done: impl Fn(&[Member]) -> bool) {
    let deadline = Instant::now() + LIMIT;
    while !done(members) {
        members.iter_mut().for_each(Member::poll);
        let owned: Vec<_> = members.iter().map(|member| (member.owned(), member.read.len())).collect();
        assert!(Instant::now() < deadline, "not within {LIMIT:?}: {what}; owned and read: {owned:?}");
    }
}

/// Whether the members own all the partitions, each exactly one owner, in equal parts (to within one).
pub(crate) fn is_fair(members: &[Member], partitions: usize) -> bool {
    let owned: Vec<_> = members.iter().map(Member::owned).collect();
    let all: BTreeSet<i32> = owned.iter().flatten().copied().collect();
    let sizes = || owned.iter().map(BTreeSet::len);
    let spread = sizes().max().unwrap_or(0) - sizes().min().unwrap_or(0);
    all.len() == partitions && sizes().sum::<usize>() == partitions && spread <= 1
}
