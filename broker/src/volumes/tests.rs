//! Volumes and their streams over an engine in memory.

use std::sync::Arc;

use millpond_storage::disk::SimDisk;
use millpond_storage::state::Durability;
use millpond_storage::{Engine, Options};

use super::streams::StreamChange;
use super::{NewVolume, VolumeChange, VolumeError, Volumes, history_of};
use crate::config::Config;
use crate::scope::Scope;
use crate::topics::{NewTopic, Topics};

pub(super) struct Pond {
    pub(super) engine: Arc<Engine>,
    pub(super) volumes: Volumes,
    pub(super) topics: Topics,
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
        let volumes = Volumes::new(Arc::clone(&engine), config);
        Self { engine, volumes, topics }
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
