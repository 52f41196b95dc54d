//! The project's own small client as a member of a group, beside itself and beside librdkafka.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use millpond::client::{Client, ConnectionOptions, ConsumerOptions, GroupConsumer, GroupOptions, GroupPolled, Polled};

use crate::support::{LIMIT, Member, Target, fresh, produce, topic, values};

/// A member of our own, and what it was told.
struct Own {
    consumer: GroupConsumer,
    owned: BTreeMap<i32, i64>,
    read: Vec<String>,
    joins: usize,
}

impl Own {
    async fn new(address: &str, group: &str, topic: &str) -> Self {
        let bootstrap = vec![address.parse().expect("an address")];
        let client = Client::connect(bootstrap, ConnectionOptions::default()).await.expect("a broker");
        let fetching = ConsumerOptions { max_wait: Duration::from_millis(50), ..ConsumerOptions::default() };
        let options = GroupOptions {
            heartbeat_interval: Duration::from_millis(100),
            consumer: fetching,
            ..GroupOptions::default()
        };
        let consumer = GroupConsumer::new(client, group, topic, options);
        Self { consumer, owned: BTreeMap::new(), read: Vec::new(), joins: 0 }
    }

    async fn poll(&mut self) {
        match self.consumer.next().await.expect("it is a member") {
            GroupPolled::Joined(begins) => (self.owned, self.joins) = (begins, self.joins + 1),
            GroupPolled::Polled(Polled::Records(records)) => {
                for record in records {
                    self.owned.insert(record.partition, record.offset + 1);
                    let value = record.value.expect("a value").to_vec();
                    self.read.push(String::from_utf8(value).expect("text"));
                }
            }
            GroupPolled::Polled(_) => {}
        }
    }

    async fn poll_until(&mut self, what: &str, done: impl Fn(&Self) -> bool) {
        let deadline = Instant::now() + LIMIT;
        while !done(self) {
            self.poll().await;
            assert!(
                Instant::now() < deadline,
                "not within {LIMIT:?}: {what}: {:?}, read {}",
                self.owned,
                self.read.len()
            );
        }
    }

    async fn poll_until_it_has(&mut self, partitions: usize) {
        self.poll_until("it has its partitions", |member| member.owned.len() == partitions).await;
    }

    fn partitions(&self) -> BTreeSet<i32> {
        self.owned.keys().copied().collect()
    }
}

/// A broker, a topic of four partitions, the name of a group.
fn world() -> (Target, String, String) {
    let target = Target::start();
    let topic = topic(target.address(), 4, &[]);
    (target, topic, fresh("group"))
}

fn run(test: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime").block_on(test);
}

fn send(address: &str, topic: &str, prefix: &str) -> Vec<String> {
    let all: Vec<Vec<String>> = (0..4).map(|partition| values(&format!("{prefix}-{partition}"), 5)).collect();
    for (partition, values) in (0..).zip(&all) {
        produce(address, topic, partition, values, &[]).expect("all are delivered");
    }
    all.concat()
}

#[test]
fn a_member_begins_where_its_group_has_come_to() {
    let (target, topic, group) = world();
    let first = send(target.address(), &topic, "first");
    run(async {
        let mut member = Own::new(target.address(), &group, &topic).await;
        member.poll_until("all is read", |member| member.read.len() == 20).await;
        assert_eq!((member.joins, member.consumer.generation()), (1, Some(1)));
        assert!(member.consumer.commit(&member.owned).await.expect("a commit"));
        member.read.sort();
        assert_eq!(member.read, first);
        member.consumer.leave().await.expect("it leaves");
    });
    let second = send(target.address(), &topic, "second");
    run(async {
        let mut member = Own::new(target.address(), &group, &topic).await;
        member.poll_until("the rest is read", |member| member.read.len() == 20).await;
        member.read.sort();
        assert_eq!(member.read, second);
    });
}

#[test]
fn members_share_hand_over_and_are_told_what_is_not_theirs_any_more() {
    let (target, topic, group) = world();
    run(async {
        let mut one = Own::new(target.address(), &group, &topic).await;
        one.poll_until_it_has(4).await;
        let stale = one.consumer.generation();
        let address = target.address().to_owned();
        let (group_of_two, topic_of_two) = (group.clone(), topic.clone());
        let (tell, told) = tokio::sync::oneshot::channel();
        let two = tokio::spawn(async move {
            let mut two = Own::new(&address, &group_of_two, &topic_of_two).await;
            two.poll_until_it_has(2).await;
            tell.send(two.partitions()).expect("somebody listens");
            two
        });
        one.poll_until_it_has(2).await;
        assert!(one.consumer.generation() > stale);
        let share = told.await.expect("the other one has a share");
        let both: BTreeSet<i32> = one.partitions().union(&share).copied().collect();
        assert_eq!(both, (0..4).collect());
        let mut two = two.await.expect("it goes on");
        assert!(two.consumer.commit(&two.owned).await.expect("a commit"));
        two.consumer.leave().await.expect("it leaves");
        one.poll_until_it_has(4).await;
    });
}

#[test]
fn it_shares_with_librdkafka() {
    let (target, topic, group) = world();
    run(async {
        let mut own = Own::new(target.address(), &group, &topic).await;
        own.poll_until_it_has(4).await;
        let address = target.address().to_owned();
        let other = tokio::task::spawn_blocking(move || {
            let mut members = [Member::join(&address, &group, &topic, &[])];
            crate::support::poll_until("it has a share", &mut members, |members| members[0].owned().len() == 2);
            members[0].owned()
        });
        own.poll_until_it_has(2).await;
        let mine = own.partitions();
        let deadline = Instant::now() + LIMIT;
        while !other.is_finished() {
            own.poll().await;
            assert!(Instant::now() < deadline);
        }
        let others = other.await.expect("it has a share");
        assert_eq!(mine.union(&others).copied().collect::<BTreeSet<_>>(), (0..4).collect());
    });
}
