//! Volumes and their streams over an engine in memory.

mod names;
mod restores;

use std::sync::Arc;

use millpond_storage::disk::SimDisk;
use millpond_storage::state::{Durability, PinId, State};
use millpond_storage::{Engine, Options};

use super::moment::{Moment, label_of};
use super::streams::StreamChange;
use super::{NewSnapshot, NewVolume, ViewName, VolumeChange, VolumeError, Volumes, history_of};
use crate::config::Config;
use crate::groups::spelling::TopicIdentity;
use crate::groups::{Groups, TopicNames};
use crate::scope::Scope;
use crate::topics::config_keys::{Change, Overrides, change};
use crate::topics::fixture::append_at;
use crate::topics::{NewTopic, TopicError, Topics};

/// What the names in subscriptions mean.
struct Names(Topics);

impl TopicNames for Names {
    fn identity(&self, scope: Scope, name: &str) -> Option<TopicIdentity> {
        let found = self.0.resolve(scope, name).ok()?;
        Some(TopicIdentity { home: found.home(), number: found.topic.number })
    }

    fn frozen(&self, _: PinId) -> Option<Arc<State>> {
        None
    }
}

pub(super) struct Pond {
    pub(super) engine: Arc<Engine>,
    pub(super) volumes: Volumes,
    pub(super) topics: Topics,
    pub(super) groups: Arc<Groups>,
}

impl Pond {
    pub(super) fn new() -> Self {
        Self::on(&Arc::default())
    }

    pub(super) fn on(disk: &Arc<SimDisk>) -> Self {
        let options = Options {
            ballast_bytes: 0,
            free_floor_bytes: 0,
            history_of: Arc::new(history_of),
            ..Options::new(Arc::clone(disk) as _)
        };
        let engine = Engine::open(options).unwrap();
        let config = Arc::new(Config::default());
        let topics = Topics::new(Arc::clone(&engine), Arc::clone(&config)).unwrap();
        let names = Arc::new(Names(topics.clone()));
        let groups = Groups::open(Arc::clone(&engine), (&config.groups).into(), (&config.groups).into(), names);
        let volumes = Volumes::new(Arc::clone(&engine), config, topics.clone(), Arc::clone(&groups));
        Self { engine, volumes, topics, groups }
    }

    pub(super) async fn topic(&self, name: &str) {
        self.topics.create(Scope::Everything, NewTopic { name: name.to_owned(), ..NewTopic::default() }).await.unwrap();
    }

    pub(super) async fn volume(&self, name: &str) {
        self.volumes.create(new(name)).await.unwrap();
    }
}

pub(super) fn new(name: &str) -> NewVolume {
    NewVolume { name: name.to_owned(), listed: true, ..NewVolume::default() }
}

#[tokio::test]
async fn a_volume_is_created_described_and_found_again() {
    let disk = Arc::default();
    let pond = Pond::on(&disk);
    let created = pond.volumes.create(NewVolume { history_ms: Some(5), ..new("trading") }).await.unwrap();
    assert_eq!((created.mount.as_str(), created.listed, created.topics), ("/trading", true, 0));
    assert_eq!((created.own_history_ms, created.durability), (Some(5), Durability::Fsync));
    pond.topic("trading.default.trades").await;
    let names: Vec<_> = pond.volumes.list().into_iter().map(|volume| volume.name).collect();
    assert_eq!(names, ["default", "trading"]);
    pond.engine.close().unwrap();
    drop(pond);

    let pond = Pond::on(&disk);
    let found = pond.volumes.describe("trading").unwrap();
    assert_eq!((found.id, found.timeline, found.topics, found.partitions), (created.id, created.timeline, 1, 1));
    assert_eq!(found.history_ms, 5);
    assert_eq!(pond.engine.system().state(|state| history_of(state, found.id)), Some(5));
    assert!(matches!(pond.volumes.describe("other"), Err(VolumeError::UnknownVolume(_))));
}

#[tokio::test]
async fn names_and_mounts_are_one_volumes_own() {
    let pond = Pond::new();
    pond.topic("orders.eu.late").await;
    pond.volume("trading").await;
    for (name, why) in [
        ("trading", "already"),
        ("default", "broker's own"),
        ("system", "broker's own"),
        ("orders", "orders.eu.late"),
        ("a.b", "cannot be the name"),
        ("-a", "cannot be the name"),
        ("", "cannot be the name"),
    ] {
        let words = pond.volumes.create(new(name)).await.unwrap_err().to_string();
        assert!(words.contains(why), "{name}: {words}");
    }
    for mount in ["/trading", "/trading/a", "/default", "no", "/"] {
        let refused = pond.volumes.create(NewVolume { mount: Some(mount.to_owned()), ..new("other") }).await;
        assert!(refused.is_err(), "{mount}");
    }
    let created =
        pond.volumes.create(NewVolume { mount: Some("/user/mapr".to_owned()), ..new("other") }).await.unwrap();
    assert_eq!(created.mount, "/user/mapr");
    pond.topic("/user/mapr/default:trades").await;
    assert_eq!(pond.volumes.describe("other").unwrap().topics, 1);
}

#[tokio::test]
async fn of_two_that_create_a_volume_at_once_one_does_and_nothing_of_the_other_stays() {
    let pond = Pond::new();
    let (one, other) = tokio::join!(pond.volumes.create(new("trading")), pond.volumes.create(new("trading")));
    assert_eq!(usize::from(one.is_ok()) + usize::from(other.is_ok()), 1);
    assert_eq!(pond.engine.timelines().len(), 2);
    assert_eq!(pond.engine.system().state(|state| state.timelines().count()), 2);
}

#[tokio::test]
async fn a_volume_is_altered_as_a_whole_or_not_at_all() {
    let pond = Pond::new();
    pond.volume("trading").await;
    let change = VolumeChange {
        durability: Some(Some(Durability::PageCache)),
        mount: Some("/markets/trading".to_owned()),
        listed: Some(false),
        history_ms: Some(Some(60_000)),
        ..VolumeChange::default()
    };
    let altered = pond.volumes.alter("trading", change).await.unwrap();
    assert_eq!((altered.durability, altered.own_durability), (Durability::PageCache, Some(Durability::PageCache)));
    assert_eq!((altered.mount.as_str(), altered.listed, altered.history_ms), ("/markets/trading", false, 60_000));

    let refused = VolumeChange { mount: Some("/default".to_owned()), listed: Some(true), ..VolumeChange::default() };
    assert!(matches!(pond.volumes.alter("trading", refused).await, Err(VolumeError::InTheWay(_))));
    assert!(!pond.volumes.describe("trading").unwrap().listed);
    let back = VolumeChange { durability: Some(None), history_ms: Some(None), ..VolumeChange::default() };
    let altered = pond.volumes.alter("trading", back).await.unwrap();
    assert_eq!((altered.durability, altered.own_history_ms), (Durability::Fsync, None));
    let unlisted = VolumeChange { listed: Some(false), ..VolumeChange::default() };
    assert!(pond.volumes.alter("default", unlisted).await.is_err());
    let none = VolumeChange { history_ms: Some(Some(0)), ..VolumeChange::default() };
    assert_eq!(pond.volumes.alter("trading", none).await.unwrap().history_ms, 0);
    let less = VolumeChange { history_ms: Some(Some(-1)), ..VolumeChange::default() };
    assert!(matches!(pond.volumes.alter("trading", less).await, Err(VolumeError::Invalid(_))));
    let less = NewVolume { history_ms: Some(-1), ..new("other") };
    assert!(matches!(pond.volumes.create(less).await, Err(VolumeError::Invalid(_))));
}

#[tokio::test]
async fn a_deleted_volumes_name_never_falls_to_default_and_can_be_given_again() {
    let pond = Pond::new();
    pond.volume("trading").await;
    pond.topic("trading.default.trades").await;
    pond.volumes.delete("trading", false).await.unwrap();
    assert!(matches!(pond.volumes.delete("trading", false).await, Err(VolumeError::UnknownVolume(_))));
    assert!(pond.volumes.delete("default", true).await.is_err());
    pond.volume("trading").await;
    assert_eq!(pond.volumes.describe("trading").unwrap().topics, 0);
}

#[tokio::test]
async fn streams_are_created_altered_and_deleted_with_their_topics_only_by_force() {
    let pond = Pond::new();
    pond.volume("trading").await;
    let config = [("retention.ms".to_owned(), Some("60000".to_owned()))].into();
    let change = StreamChange { partitions: Some(Some(4)), config, ..StreamChange::default() };
    let created = pond.volumes.create_stream("trading", "taq", change.clone()).await.unwrap();
    assert_eq!(created.stream.partitions, Some(4));
    assert!(matches!(pond.volumes.create_stream("trading", "taq", change).await, Err(VolumeError::Taken(_))));
    pond.topic("trading.taq.trades").await;
    let found = pond.topics.resolve(Scope::Everything, "trading.taq.trades").unwrap();
    assert_eq!((found.topic.partitions, found.settings.retention_ms), (4, Some(60_000)));

    let unset = StreamChange { config: [("retention.ms".to_owned(), None)].into(), ..StreamChange::default() };
    pond.volumes.alter_stream("trading", "taq", unset).await.unwrap();
    assert_eq!(
        pond.topics.resolve(Scope::Everything, "trading.taq.trades").unwrap().settings.retention_ms,
        Some(604_800_000)
    );
    for bad in [
        StreamChange { partitions: Some(Some(0)), ..StreamChange::default() },
        StreamChange { config: [("no.such.key".to_owned(), None)].into(), ..StreamChange::default() },
    ] {
        assert!(pond.volumes.alter_stream("trading", "taq", bad).await.is_err());
    }
    let names: Vec<_> = pond.volumes.streams("trading").unwrap().into_iter().map(|stream| stream.name).collect();
    assert_eq!(names, ["default", "taq"]);

    assert!(matches!(pond.volumes.delete_stream("trading", "taq", false).await, Err(VolumeError::InTheWay(_))));
    pond.volumes.delete_stream("trading", "taq", true).await.unwrap();
    assert!(pond.topics.resolve(Scope::Everything, "trading.taq.trades").is_err());
    assert!(matches!(pond.volumes.stream("trading", "taq"), Err(VolumeError::UnknownStream { .. })));
    assert!(pond.volumes.delete_stream("trading", "default", true).await.is_err());
    assert!(pond.volumes.create_stream("default", "taq", StreamChange::default()).await.is_err());
}

#[tokio::test]
async fn lags_of_a_topic_its_stream_and_the_broker_go_together_wherever_they_are_set() {
    let pond = Pond::new();
    pond.volume("trading").await;
    let set = |key: &str, value: Option<&str>| StreamChange {
        config: [(key.to_owned(), value.map(str::to_owned))].into(),
        ..StreamChange::default()
    };
    let (min, max) = ("min.compaction.lag.ms", "max.compaction.lag.ms");
    pond.volumes.create_stream("trading", "taq", set(max, Some("50"))).await.unwrap();
    let new = |name: &str, min_ms: &str| NewTopic {
        name: format!("trading.taq.{name}"),
        settings: [(min.to_owned(), min_ms.to_owned())].into(),
        ..NewTopic::default()
    };
    let everything = Scope::Everything;
    let conflict = |why: &dyn std::fmt::Display| {
        why.to_string().contains("is above max.compaction.lag.ms (50, set on the stream)")
    };
    for refused in [
        pond.topics.create(everything, new("late", "51")).await.map(drop),
        pond.topics.check_new(everything, new("late", "51")).map(drop),
    ] {
        assert!(matches!(&refused, Err(why @ TopicError::InvalidConfig(_)) if conflict(why)), "{refused:?}");
    }
    let trades = pond.topics.create(everything, new("trades", "50")).await.unwrap();
    let raise = move |keys: &mut Overrides| change(keys, min, Change::Set(Some("51")));
    for refused in [pond.topics.alter(&trades, raise).await, pond.topics.check_alter(&trades, raise)] {
        assert!(matches!(&refused, Err(why @ TopicError::InvalidConfig(_)) if conflict(why)), "{refused:?}");
    }
    let lowered = pond.volumes.alter_stream("trading", "taq", set(max, Some("49"))).await;
    let why = "Topic trades of stream taq: Conflict of topic configs: min.compaction.lag.ms (50, set on the topic) is above max.compaction.lag.ms (49, set on the stream)";
    assert!(matches!(&lowered, Err(VolumeError::InTheWay(said)) if said == why), "{lowered:?}");
    let alone = pond.volumes.alter_stream("trading", "taq", set(min, Some("51"))).await;
    assert!(matches!(alone, Err(VolumeError::InvalidConfig(_))), "{alone:?}");
    // What neither is about is changed, and what is no longer set is in nobody's way.
    pond.volumes.alter_stream("trading", "taq", set("retention.ms", Some("5"))).await.unwrap();
    pond.topics.alter(&trades, move |keys| change(keys, max, Change::Set(Some("60")))).await.unwrap();
    pond.volumes.alter_stream("trading", "taq", set(max, Some("40"))).await.unwrap();
    let unset = move |keys: &mut Overrides| change(keys, max, Change::Delete);
    assert!(matches!(pond.topics.alter(&trades, unset).await, Err(TopicError::InvalidConfig(_))));
    pond.volumes.alter_stream("trading", "taq", set(max, None)).await.unwrap();
    pond.topics.alter(&trades, unset).await.unwrap();
}

/// Appends records to a partition of a topic, as its producer would.
pub(super) async fn append(pond: &Pond, topic: &str, count: usize) {
    let found = pond.topics.resolve(Scope::Everything, topic).unwrap();
    // Retention is none of these tests' business.
    append_at(&found, pond.engine.now(), &vec!["value"; count]).await;
}

pub(super) fn end(pond: &Pond, topic: &str) -> i64 {
    pond.topics.resolve(Scope::Everything, topic).unwrap().partition(0).unwrap().high_watermark()
}

pub(super) fn snapshot(name: &str, at: Moment) -> NewSnapshot {
    NewSnapshot { name: name.to_owned(), at, lifetime_ms: None, protected: false }
}

/// A volume `trading` with five records in `trading.default.trades`.
pub(super) async fn trading(pond: &Pond) {
    pond.volume("trading").await;
    pond.topic("trading.default.trades").await;
    append(pond, "trading.default.trades", 5).await;
}

#[tokio::test]
async fn snapshots_are_taken_of_now_and_of_the_past_and_the_past_ends_somewhere() {
    let pond = Pond::new();
    trading(&pond).await;
    let volumes = &pond.volumes;
    let open = volumes.create_snapshot("trading", snapshot("open", Moment::Now)).await.unwrap().pin;
    append(&pond, "trading.default.trades", 3).await;
    let before = Moment::Offset { topic: "trades".to_owned(), partition: 0, offset: 6 };
    let past = volumes.create_snapshot("trading", snapshot("past", before)).await.unwrap().pin;
    assert_eq!(past.lsn, open.lsn, "the record is one of those that came behind");
    let at = volumes.create_snapshot("trading", snapshot("lsn", Moment::Lsn(open.lsn.0))).await.unwrap().pin;
    assert_eq!((at.lsn, at.time), (open.lsn, open.time));
    let now = volumes.create_snapshot("trading", snapshot("time", Moment::Time(pond.engine.now()))).await.unwrap().pin;
    assert!(now.lsn > open.lsn);

    let refused = |at| volumes.create_snapshot("trading", snapshot("bad", at));
    let words = refused(Moment::Time(0)).await.unwrap_err();
    assert!(matches!(&words, VolumeError::Forgotten(words) if words.contains("The oldest that can be had")), "{words}");
    assert!(refused(Moment::Lsn(u64::MAX)).await.is_err());
    assert!(refused(Moment::Time(i64::MAX)).await.is_err());
    let taken = volumes.create_snapshot("trading", snapshot("open", Moment::Now)).await;
    assert!(matches!(taken, Err(VolumeError::Taken(_))));
    let names: Vec<_> = volumes.snapshots("trading").unwrap().iter().map(|found| found.pin.name.to_string()).collect();
    assert_eq!(names.len(), 4, "{names:?}");
    assert_eq!(volumes.all_snapshots().len(), 4);
}

#[tokio::test]
async fn a_protected_snapshot_stays_and_a_lifetime_ends() {
    let pond = Pond::new();
    trading(&pond).await;
    let volumes = &pond.volumes;
    let new = NewSnapshot { lifetime_ms: Some(10), protected: true, ..snapshot("close", Moment::Now) };
    let expires = volumes.create_snapshot("trading", new).await.unwrap().pin.expires.unwrap();
    assert!(matches!(volumes.delete_snapshot("trading", "close").await, Err(VolumeError::Protected(_))));
    volumes.expire(expires).await;
    assert_eq!(volumes.snapshots("trading").unwrap().len(), 1);
    volumes.alter_snapshot("trading", "close", Some(false), None).await.unwrap();
    volumes.expire(expires - 1).await;
    assert_eq!(volumes.snapshots("trading").unwrap().len(), 1);
    volumes.expire(expires).await;
    assert!(volumes.snapshots("trading").unwrap().is_empty());
    assert!(matches!(volumes.delete_snapshot("trading", "close").await, Err(VolumeError::UnknownSnapshot { .. })));

    volumes
        .create_snapshot("trading", NewSnapshot { lifetime_ms: Some(1), ..snapshot("kept", Moment::Now) })
        .await
        .unwrap();
    volumes.alter_snapshot("trading", "kept", None, Some(None)).await.unwrap();
    volumes.expire(i64::MAX).await;
    volumes.delete_snapshot("trading", "kept").await.unwrap();
}

#[tokio::test]
async fn a_clone_goes_its_own_way_and_knows_where_it_comes_from() {
    let pond = Pond::new();
    trading(&pond).await;
    let volumes = &pond.volumes;
    volumes.create_snapshot("trading", snapshot("close", Moment::Now)).await.unwrap();
    append(&pond, "trading.default.trades", 3).await;
    let of = |view: &str| view.parse::<ViewName>().unwrap();
    let cloned = volumes.clone_view(&of("trading@close"), NewVolume { listed: false, ..new("v2") }).await.unwrap();
    let origin = cloned.clone_of.unwrap();
    assert_eq!((origin.volume.as_str(), origin.snapshot.as_deref()), ("trading", Some("close")));
    append(&pond, "v2.default.trades", 1).await;
    assert_eq!((end(&pond, "trading.default.trades"), end(&pond, "v2.default.trades")), (8, 6));
    volumes.clone_view(&of("trading"), new("now")).await.unwrap();
    assert_eq!(end(&pond, "now.default.trades"), 8);
    volumes.clone_view(&of("v2"), new("v3")).await.unwrap();
    assert_eq!(end(&pond, "v3.default.trades"), 6);

    volumes.delete_snapshot("trading", "close").await.unwrap();
    assert!(matches!(volumes.delete("trading", false).await, Err(VolumeError::InTheWay(_))));
    volumes.delete("trading", true).await.unwrap();
    assert_eq!(end(&pond, "v3.default.trades"), 6, "a clone does not need its origin's name");
    assert!(volumes.clone_view(&of("trading"), new("v4")).await.is_err());
    assert!(volumes.clone_view(&of("v2@close"), new("v4")).await.is_err());
}

#[tokio::test]
async fn snapshots_outlive_their_volume_and_keep_its_name() {
    let pond = Pond::new();
    trading(&pond).await;
    let volumes = &pond.volumes;
    volumes.create_snapshot("trading", snapshot("close", Moment::Now)).await.unwrap();
    volumes.delete("trading", true).await.unwrap();
    assert_eq!(volumes.all_snapshots()[0].volume, "trading");
    assert!(matches!(volumes.create(new("trading")).await, Err(VolumeError::InTheWay(_))));
    volumes.clone_view(&"trading@close".parse().unwrap(), new("again")).await.unwrap();
    assert_eq!(end(&pond, "again.default.trades"), 5);
    volumes.delete_snapshot("trading", "close").await.unwrap();
    pond.volume("trading").await;
}

#[tokio::test]
async fn a_restore_is_undone_by_another() {
    let pond = Pond::new();
    trading(&pond).await;
    let volumes = &pond.volumes;
    volumes.create_snapshot("trading", snapshot("close", Moment::Now)).await.unwrap();
    append(&pond, "trading.default.trades", 3).await;
    let epoch = volumes.describe("trading").unwrap().leader_epoch;
    let safety = volumes.restore("trading", "close", Some(1_000)).await.unwrap().pin;
    assert!(safety.name.starts_with("before-restore-") && safety.expires.is_some());
    let restored = volumes.describe("trading").unwrap();
    assert!(restored.leader_epoch > epoch);
    assert_eq!(end(&pond, "trading.default.trades"), 5);
    let second = volumes.restore("trading", &safety.name, None).await.unwrap().pin;
    assert_eq!(end(&pond, "trading.default.trades"), 8);
    assert_ne!(second.name, safety.name);
    assert!(matches!(volumes.restore("trading", "no", None).await, Err(VolumeError::UnknownSnapshot { .. })));
    let names: Vec<_> = volumes.list().into_iter().map(|volume| volume.name).collect();
    assert_eq!(names, ["default", "trading"]);
}

#[tokio::test]
async fn a_schedule_takes_snapshots_when_they_are_due_and_lets_the_old_ones_go() {
    let disk = Arc::default();
    let pond = Pond::on(&disk);
    trading(&pond).await;
    let volumes = &pond.volumes;
    let created = volumes.create_schedule("trading", "often", "every 10s keep 2").await.unwrap();
    let start = created.schedule.created;
    assert_eq!(created.next, Some(start + 10_000));
    volumes.keep_schedules(start + 9_999).await;
    assert_eq!(volumes.all_snapshots(), []);
    // Clocks that are put back show a time twice.
    let label = label_of(start + 10_000, &volumes.zone);
    volumes.create_snapshot("trading", snapshot(&format!("often-{label}"), Moment::Now)).await.unwrap();
    volumes.keep_schedules(start + 10_000).await;
    assert!(volumes.snapshot("trading", &format!("often-{label}-2")).is_ok(), "a name that is taken costs no snapshot");
    volumes.delete_snapshot("trading", &format!("often-{label}")).await.unwrap();
    for round in 2..=4 {
        volumes.keep_schedules(start + 10_000 * round).await;
        volumes.keep_schedules(start + 10_000 * round).await;
    }
    let kept = volumes.snapshots("trading").unwrap();
    assert_eq!(kept.len(), 2);
    assert!(kept.iter().all(|found| &*found.pin.schedule == "often" && found.pin.name.starts_with("often-")));
    assert_eq!(volumes.snapshot_bytes().await.unwrap().len(), 2);
    volumes.alter_snapshot("trading", &kept[0].pin.name, Some(true), None).await.unwrap();
    volumes.keep_schedules(start + 50_000).await;
    assert_eq!(volumes.snapshots("trading").unwrap().len(), 3, "the protected one stays");

    volumes.create_schedule("trading", "daily", "daily at 22:00 keep 7d").await.unwrap();
    assert!(matches!(volumes.create_schedule("trading", "daily", "daily keep 1").await, Err(VolumeError::Taken(_))));
    assert!(volumes.create_schedule("trading", "bad", "now and then").await.is_err());
    assert!(volumes.create_schedule("nowhere", "daily", "daily keep 1").await.is_err());
    pond.engine.close().unwrap();
    drop(pond);

    let pond = Pond::on(&disk);
    let volumes = &pond.volumes;
    let found = volumes.schedules(Some("trading")).unwrap();
    assert_eq!(found.iter().map(|info| info.name.as_str()).collect::<Vec<_>>(), ["daily", "often"]);
    assert_eq!(found[1].schedule.last, Some(start + 50_000));
    volumes.keep_schedules(start + 2 * 86_400_000).await;
    let daily = volumes.snapshots("trading").unwrap().into_iter().find(|found| &*found.pin.schedule == "daily");
    assert!(daily.unwrap().pin.expires.is_some(), "what was missed is taken once, and has its lifetime");
    volumes.delete_schedule("trading", "daily").await.unwrap();
    assert!(matches!(volumes.delete_schedule("trading", "daily").await, Err(VolumeError::UnknownSchedule { .. })));
    volumes.delete("trading", true).await.unwrap();
    assert_eq!(volumes.schedules(None).unwrap(), []);
}
