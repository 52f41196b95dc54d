//! Groups over a real engine, on a disk in memory.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use millpond_storage::disk::SimDisk;
use millpond_storage::state::{Change, Committed, Fact, PinId, State as FrozenState, Topic, TopicName, VolumeId};
use millpond_storage::{DEFAULT_VOLUME, Options, TopicNumber};
use tokio::sync::oneshot;

use super::positions::{Commit, PositionError, PositionTopic};
use super::request::{JoinRequest, Leaver, MemberClaim, Protocol, SyncRequest};
use super::spelling::TopicIdentity;
use super::subscription::encode_subscription;
use super::*;
use crate::scope::Scope;

const HOUR_MS: i64 = 3_600_000;

struct Names;

impl TopicNames for Names {
    fn identity(&self, _scope: Scope, name: &str) -> Option<TopicIdentity> {
        let number = TopicNumber(name.strip_prefix('t')?.parse().ok()?);
        Some(TopicIdentity { home: Scope::Volume(VolumeId(1)), number })
    }

    fn frozen(&self, _: PinId) -> Option<Arc<FrozenState>> {
        None
    }
}

struct World {
    engine: Arc<Engine>,
    groups: Arc<Groups>,
    now: Arc<AtomicI64>,
}

impl World {
    fn open(disk: &SimDisk, at_ms: i64) -> Self {
        let options = Options {
            background: false,
            free_floor_bytes: 0,
            ballast_bytes: 0,
            ..Options::new(Arc::new(disk.clone()))
        };
        let engine = Engine::open(options).unwrap();
        let now = Arc::new(AtomicI64::new(at_ms));
        let clock = Arc::clone(&now);
        let members = GroupSettings {
            session_timeout_min: Duration::from_secs(1),
            session_timeout_max: Duration::from_hours(1),
            members_max: 10,
            initial_rebalance_delay: Duration::ZERO,
            new_member_join_timeout: Duration::from_mins(5),
        };
        let positions = PositionSettings {
            metadata_bytes_max: 10,
            retention: Duration::from_hours(24),
            retention_check_interval: Duration::from_mins(10),
        };
        let clock = Box::new(move || clock.load(Ordering::Relaxed));
        let groups = Groups::open_at(Arc::clone(&engine), members, positions, Arc::new(Names), clock);
        Self { engine, groups, now }
    }

    async fn new() -> Self {
        let world = Self::open(&SimDisk::new(), 0);
        world.create(20).await;
        world.create(21).await;
        world
    }

    async fn change(&self, fact: Fact) {
        let (_, timeline) = self.engine.volume(DEFAULT_VOLUME).unwrap();
        let (waiter, done) = oneshot::channel();
        timeline.transact(move |txn| txn.put(fact), move |outcome| drop(waiter.send(outcome)));
        done.await.unwrap().unwrap();
    }

    /// A topic `t<number>` of three partitions.
    async fn create(&self, number: u32) {
        let name = TopicName::new("default", &format!("t{number}"));
        let topic = Topic {
            name,
            number: TopicNumber(number),
            partitions: 3,
            created: 0,
            internal: false,
            settings: BTreeMap::default(),
        };
        self.change(Fact::Topic(Change::Put(topic))).await;
    }

    fn topic(&self, number: u32) -> PositionTopic {
        let (volume, timeline) = self.engine.volume(DEFAULT_VOLUME).unwrap();
        let mut id = [0; 16];
        id[10..14].copy_from_slice(&number.to_be_bytes());
        let number = TopicNumber(number);
        PositionTopic {
            timeline,
            home: Scope::Volume(volume.id),
            number,
            partitions: 3,
            name: format!("t{number}").into(),
            id,
            frozen: None,
            is_restored: false,
        }
    }

    fn commit_of(&self, number: u32, partition: u32, offset: i64) -> Commit {
        let topic = self.topic(number);
        Commit { topic, partition, offset, leader_epoch: 4, metadata: "note".to_owned() }
    }

    /// A client outside of the group protocol commits to partition 0.
    async fn commit(&self, group_id: &str, number: u32, offset: i64) -> Result<(), PositionError> {
        let commits = vec![self.commit_of(number, 0, offset)];
        self.groups.commit(&key(group_id), &outsider(), commits).await.remove(0)
    }

    fn position(&self, group_id: &str, number: u32) -> Option<i64> {
        let found = self.groups.positions(group_id, &self.topic(number), &[0]).remove(0);
        found.map(|committed| committed.offset)
    }

    /// A member alone in a group, subscribed to topic `t20`, at work.
    async fn member(&self, group_id: &str) -> MemberClaim {
        let metadata = encode_subscription(&["t20"]);
        let request = JoinRequest {
            session_timeout: Duration::from_secs(10),
            rebalance_timeout: Duration::from_secs(10),
            protocol_type: "consumer".to_owned(),
            protocols: vec![Protocol { name: "range".to_owned(), metadata }],
            ..JoinRequest::default()
        };
        let coordinator = self.groups.coordinator();
        let joined = coordinator.join(&key(group_id), request).await.unwrap();
        let sync = SyncRequest {
            member_id: joined.member_id.clone(),
            instance_id: None,
            generation: joined.generation,
            protocol_type: None,
            protocol_name: None,
            assignments: vec![(joined.member_id.clone(), Bytes::from_static(b"all"))],
        };
        coordinator.sync(&key(group_id), sync).await.unwrap();
        MemberClaim { member_id: joined.member_id, instance_id: None, generation: joined.generation }
    }

    fn leave(&self, group_id: &str, claim: &MemberClaim) {
        let leaver = Leaver { member_id: claim.member_id.clone(), instance_id: None, reason: String::new() };
        assert_eq!(self.groups.coordinator().leave(&key(group_id), &[leaver]), Ok(vec![Ok(())]));
    }

    async fn after(&self, ms: i64) {
        self.now.fetch_add(ms, Ordering::Relaxed);
        self.groups.expire().await;
    }
}

fn key(group_id: &str) -> GroupKey {
    GroupKey::new(Scope::Everything, group_id)
}

fn outsider() -> MemberClaim {
    MemberClaim { member_id: String::new(), instance_id: None, generation: -1 }
}

#[tokio::test]
async fn what_is_committed_is_read_back() {
    let world = World::new().await;
    world.now.store(77, Ordering::Relaxed);
    let commits = vec![world.commit_of(20, 0, 5), world.commit_of(21, 2, 9), world.commit_of(20, 1, 6)];
    let results = world.groups.commit(&key("g"), &outsider(), commits).await;
    assert!(results.iter().all(Result::is_ok), "{results:?}");
    let found = world.groups.positions("g", &world.topic(20), &[1, 0, 2, -1]);
    let offsets: Vec<_> = found.iter().map(|found| found.as_ref().map(|committed| committed.offset)).collect();
    assert_eq!(offsets, [Some(6), Some(5), None, None]);
    let topic_id = world.topic(20).id;
    let expected = Committed { offset: 6, time: 77, leader_epoch: 4, metadata: "note".into(), topic_id };
    assert_eq!(found[0], Some(expected));
    let all = world.groups.all_positions(Scope::Everything, "g");
    let all: Vec<_> = all.iter().map(|at| (&*at.topic.name.topic, at.partition, at.committed.offset)).collect();
    assert_eq!(all, [("t20", 0, 5), ("t20", 1, 6), ("t21", 2, 9)]);
    assert_eq!(world.position("h", 20), None);
}

#[tokio::test]
async fn a_position_fails_alone() {
    let world = World::new().await;
    let long = Commit { metadata: "eleven byte".to_owned(), ..world.commit_of(20, 0, 1) };
    let ten = Commit { metadata: "ten bytes.".to_owned(), ..world.commit_of(21, 0, 1) };
    let commits = vec![long, world.commit_of(20, 3, 1), world.commit_of(99, 0, 1), ten];
    let results = world.groups.commit(&key("g"), &outsider(), commits).await;
    assert!(matches!(results[0], Err(PositionError::MetadataTooLarge)));
    assert!(matches!(results[1], Err(PositionError::UnknownPartition)));
    assert!(matches!(results[2], Err(PositionError::UnknownPartition)));
    assert!(results[3].is_ok());
}

#[tokio::test]
async fn a_group_id_that_cannot_be_written_down_is_refused() {
    let world = World::new().await;
    let long = "g".repeat(40_000);
    assert!(matches!(world.commit(&long, 20, 1).await, Err(PositionError::Group(GroupError::InvalidGroupId))));
    assert!(world.commit("", 20, 1).await.is_ok(), "Kafka takes an empty one for positions");
    assert_eq!(world.position("", 20), Some(1));
}

#[tokio::test]
async fn members_commit_in_their_generation_and_others_not_at_all() {
    let world = World::new().await;
    let claim = world.member("g").await;
    let results = world.groups.commit(&key("g"), &claim, vec![world.commit_of(20, 0, 5)]).await;
    assert!(results[0].is_ok());
    let stale = MemberClaim { generation: claim.generation - 1, ..claim.clone() };
    for (claim, error) in [(stale, GroupError::IllegalGeneration), (outsider(), GroupError::UnknownMemberId)] {
        let results = world.groups.commit(&key("g"), &claim, vec![world.commit_of(20, 0, 6)]).await;
        assert!(matches!(results[0], Err(PositionError::Group(found)) if found == error));
    }
    assert_eq!(world.position("g", 20), Some(5));
    let results = world.groups.commit(&key("none"), &claim, vec![world.commit_of(20, 0, 6)]).await;
    assert!(matches!(results[0], Err(PositionError::Group(GroupError::UnknownMemberId))));
}

#[tokio::test]
async fn a_group_of_positions_only_is_there() {
    let world = World::new().await;
    assert_eq!(world.groups.describe(&key("g")), None);
    world.commit("g", 20, 5).await.unwrap();
    assert_eq!(world.groups.describe(&key("g")), Some(GroupDescription::simple()));
    world.member("h").await;
    let listed: Vec<_> = world.groups.list(Scope::Everything).into_iter().collect();
    assert_eq!(listed.len(), 2);
    assert_eq!(
        (listed[0].0.as_str(), listed[0].1.state, listed[0].1.protocol_type.as_deref()),
        ("g", State::Empty, None)
    );
    let (id, group) = &listed[1];
    assert_eq!((id.as_str(), group.state, group.protocol_type.as_deref()), ("h", State::Stable, Some("consumer")));
}

#[tokio::test]
async fn a_deleted_group_has_neither_members_nor_positions() {
    let world = World::new().await;
    assert!(matches!(world.groups.delete(&key("g")).map(|_| ()), Err(GroupError::GroupIdNotFound)));
    let claim = world.member("g").await;
    world.groups.commit(&key("g"), &claim, vec![world.commit_of(20, 0, 5)]).await;
    world.commit("other", 20, 7).await.unwrap();
    assert!(matches!(world.groups.delete(&key("g")).map(|_| ()), Err(GroupError::NonEmptyGroup)));
    world.leave("g", &claim);
    world.groups.delete(&key("g")).unwrap().await.unwrap();
    assert_eq!(world.groups.describe(&key("g")), None);
    assert_eq!((world.position("g", 20), world.position("other", 20)), (None, Some(7)));

    world.groups.delete(&key("other")).unwrap().await.unwrap();
    assert_eq!(world.position("other", 20), None);
    assert!(world.groups.list(Scope::Everything).is_empty());
}

#[tokio::test]
async fn single_positions_go_unless_their_topic_is_subscribed_to() {
    let world = World::new().await;
    let claim = world.member("g").await;
    let commits = vec![world.commit_of(20, 0, 5), world.commit_of(21, 0, 6)];
    world.groups.commit(&key("g"), &claim, commits).await;
    let asked = [20, 21, 21].into_iter().zip([0, 0, 1]);
    let asked = asked.map(|(number, partition)| (format!("t{number}"), world.topic(number), partition)).collect();
    let results = world.groups.delete_positions(&key("g"), asked).unwrap().await;
    assert!(matches!(results[0], Err(PositionError::Subscribed)));
    assert!(results[1].is_ok() && results[2].is_ok(), "what is not there is deleted, too");
    assert_eq!((world.position("g", 20), world.position("g", 21)), (Some(5), None));
    let missing = world.groups.delete_positions(&key("none"), Vec::new()).map(|_| ());
    assert!(matches!(missing, Err(GroupError::GroupIdNotFound)));
}

#[tokio::test]
async fn positions_go_with_their_topic_and_do_not_come_back() {
    let world = World::new().await;
    world.commit("g", 20, 5).await.unwrap();
    world.change(Fact::delete::<Topic>(TopicName::new("default", "t20"))).await;
    assert_eq!(world.position("g", 20), None);
    assert!(matches!(world.commit("g", 20, 5).await, Err(PositionError::UnknownPartition)));
    assert_eq!(world.groups.describe(&key("g")), None);
}

#[tokio::test]
async fn positions_without_a_group_age_by_their_commit() {
    let world = World::new().await;
    world.commit("g", 20, 5).await.unwrap();
    world.after(23 * HOUR_MS).await;
    world.commit("g", 21, 6).await.unwrap();
    world.after(HOUR_MS - 1).await;
    assert_eq!(world.position("g", 20), Some(5));
    world.after(1).await;
    assert_eq!((world.position("g", 20), world.position("g", 21)), (None, Some(6)));
    world.after(23 * HOUR_MS).await;
    assert_eq!(world.groups.describe(&key("g")), None);
}

#[tokio::test]
async fn positions_of_members_are_kept_but_for_topics_that_they_left() {
    let world = World::new().await;
    let claim = world.member("g").await;
    let commits = vec![world.commit_of(20, 0, 5), world.commit_of(21, 0, 6)];
    world.groups.commit(&key("g"), &claim, commits).await;
    world.after(48 * HOUR_MS).await;
    assert_eq!((world.position("g", 20), world.position("g", 21)), (Some(5), None));
    assert_eq!(world.groups.describe(&key("g")).unwrap().state, State::Stable);
}

#[tokio::test]
async fn positions_of_an_empty_group_age_from_its_last_member_and_the_group_goes_with_them() {
    let world = World::new().await;
    let claim = world.member("g").await;
    world.groups.commit(&key("g"), &claim, vec![world.commit_of(20, 0, 5)]).await;
    world.leave("g", &claim);
    // The group has been empty since the machine's own time, which is long after that of this world.
    let empty_since = unix_ms();
    world.now.store(empty_since + 24 * HOUR_MS - 60_000, Ordering::Relaxed);
    world.after(0).await;
    assert_eq!(world.position("g", 20), Some(5), "committed long ago, and left only now");
    world.after(120_000).await;
    assert_eq!(world.position("g", 20), None);
    assert_eq!(world.groups.describe(&key("g")), None, "nothing is left of the group");
}

#[tokio::test]
async fn a_commit_into_a_group_long_empty_is_kept_for_its_time() {
    let world = World::new().await;
    let claim = world.member("g").await;
    world.groups.commit(&key("g"), &claim, vec![world.commit_of(20, 0, 5)]).await;
    world.leave("g", &claim);
    world.now.store(unix_ms() + 100 * HOUR_MS, Ordering::Relaxed);
    world.commit("g", 21, 6).await.unwrap();
    world.after(HOUR_MS).await;
    assert_eq!((world.position("g", 20), world.position("g", 21)), (None, Some(6)));
}

#[tokio::test]
async fn members_and_positions_survive_the_broker() {
    let disk = SimDisk::new();
    let world = World::open(&disk, 0);
    world.create(20).await;
    let claim = world.member("g").await;
    world.groups.commit(&key("g"), &claim, vec![world.commit_of(20, 0, 5)]).await;
    let disk = disk.kill();
    drop(world);

    let world = World::open(&disk, 0);
    assert_eq!(world.position("g", 20), Some(5));
    assert_eq!(world.groups.coordinator().heartbeat(&key("g"), &claim), Ok(()));
    let results = world.groups.commit(&key("g"), &claim, vec![world.commit_of(20, 0, 6)]).await;
    assert!(results[0].is_ok());
    world.leave("g", &claim);
    world.groups.delete(&key("g")).unwrap().await.unwrap();
    let disk = disk.kill();
    drop(world);

    let world = World::open(&disk, 0);
    assert!(world.groups.list(Scope::Everything).is_empty(), "what was deleted stays so");
    world.engine.close().unwrap();
}
