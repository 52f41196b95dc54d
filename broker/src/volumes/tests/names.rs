//! Names that two writers give out at once, and names that listeners hold on to.

use std::collections::BTreeMap;

use millpond_storage::state::{PinId, VolumeId};

use super::*;
use crate::documents::{self, AddedListener, Collection};
use crate::topics::TopicError;

/// How often two are let loose on one name.
const ROUNDS: usize = 60;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_volume_and_a_plain_topic_of_its_name_are_never_both_created() {
    let pond = Pond::new();
    let mut won = [0; 2];
    for round in 0..ROUNDS {
        let (name, topic) = (format!("v{round}"), format!("v{round}.s.t"));
        let (volumes, topics) = (pond.volumes.clone(), pond.topics.clone());
        let volume = tokio::spawn(async move { volumes.create(new(&name)).await });
        let created = tokio::spawn(async move {
            let mut created = 0;
            // As a client does that asks again and again while the volume is being made.
            for nth in 0..5 {
                let new = NewTopic { name: format!("{topic}{nth}"), ..NewTopic::default() };
                created += usize::from(topics.create(Scope::Everything, new).await.is_ok());
            }
            created
        });
        let (volume, created) = (volume.await.unwrap(), created.await.unwrap());
        let plain =
            pond.engine.volume("default").unwrap().1.state(|state| {
                state.topics().filter(|topic| topic.name.topic.starts_with(&format!("v{round}."))).count()
            });
        assert_eq!(plain, created, "round {round}: topics of volumes are in their logs");
        assert!(volume.is_err() || created == 0, "round {round}: both are there");
        won[usize::from(volume.is_ok())] += 1;
    }
    assert_eq!(won[0] + won[1], ROUNDS);
}

#[tokio::test]
async fn a_reserved_name_is_free_again_when_its_volume_was_not_made() {
    let pond = Pond::new();
    let reserved = pond.topics.reserve("orders");
    let create =
        |name: &str| pond.topics.create(Scope::Everything, NewTopic { name: name.to_owned(), ..NewTopic::default() });
    assert!(matches!(create("orders.eu").await, Err(TopicError::InvalidName(_))));
    create("orders").await.unwrap();
    create("ordersx.eu").await.unwrap();
    drop(reserved);
    let taken = NewVolume { mount: Some("/default".to_owned()), ..new("orders") };
    assert!(pond.volumes.create(taken).await.is_err());
    create("orders.eu").await.unwrap();
}

#[tokio::test]
async fn a_plain_topic_that_a_restore_brings_back_is_listed_under_a_name_that_means_it() {
    let pond = Pond::new();
    pond.topic("orders.default.eu").await;
    pond.volumes.create_snapshot("default", snapshot("before", Moment::Now)).await.unwrap();
    let plain = pond.topics.resolve(Scope::Everything, "orders.default.eu").unwrap();
    pond.topics.delete(&plain).await.unwrap();
    pond.volume("orders").await;
    pond.topic("orders.default.eu").await;
    pond.volumes.restore("default", "before", None).await.unwrap();
    let listed: BTreeMap<String, _> = pond
        .topics
        .list(Scope::Everything)
        .into_iter()
        .map(|found| (found.name().to_string(), (found.home(), found.topic.number)))
        .collect();
    assert_eq!(listed.keys().collect::<Vec<_>>(), ["/default/default:orders.default.eu", "orders.default.eu"]);
    for (name, is) in listed {
        let found = pond.topics.resolve(Scope::Everything, &name).unwrap();
        assert_eq!((found.home(), found.topic.number), is, "{name}");
    }
}

#[tokio::test]
async fn a_stream_and_a_dotted_topic_of_its_name_are_never_both_created() {
    let pond = Pond::new();
    pond.volume("trading").await;
    pond.topic("trading.default.eu.late").await;
    let refused = pond.volumes.create_stream("trading", "eu", StreamChange::default()).await;
    assert!(matches!(&refused, Err(VolumeError::InTheWay(words)) if words.contains("eu.late")), "{refused:?}");
    pond.volumes.create_stream("trading", "e", StreamChange::default()).await.unwrap();
    for round in 0..ROUNDS {
        let name = format!("s{round}");
        let new = NewTopic { name: format!("trading.default.{name}.t"), ..NewTopic::default() };
        let (stream, topic) = tokio::join!(
            pond.volumes.create_stream("trading", &name, StreamChange::default()),
            pond.topics.create(Scope::Everything, new)
        );
        assert!(stream.is_ok() != topic.is_ok(), "round {round}: {stream:?} {topic:?}");
    }
}

#[tokio::test]
async fn a_topic_keeps_its_short_name_when_a_volume_of_its_first_label_comes() {
    let pond = Pond::new();
    pond.volume("trading").await;
    let scope = Scope::Volume(pond.volumes.describe("trading").unwrap().id);
    let new_topic = |name: &str| NewTopic { name: name.to_owned(), ..NewTopic::default() };
    let created = pond.topics.create(scope, new_topic("orders.eu")).await.unwrap();
    pond.volume("orders").await;
    assert_eq!(pond.topics.resolve(scope, "orders.eu").unwrap().topic.number, created.topic.number);
    assert_eq!(pond.topics.list(scope).iter().map(|found| found.name().to_string()).collect::<Vec<_>>(), ["orders.eu"]);
    assert!(pond.topics.create(scope, new_topic("orders.us")).await.is_err(), "no other comes");
}

/// Says that a listener shows something.
async fn listen(pond: &Pond, address: &str, scope: Scope) {
    let listener = AddedListener { scope: scope.number(), ..AddedListener::default() };
    let document = Collection::Listeners.document(address, &listener);
    pond.volumes
        .decide(move |txn| {
            txn.put(document);
            Ok(())
        })
        .await
        .unwrap();
}

async fn silence(pond: &Pond, address: &'static str) {
    pond.volumes
        .decide(move |txn| {
            documents::remove(txn, Collection::Listeners, address);
            Ok(())
        })
        .await
        .unwrap();
}

#[tokio::test]
async fn what_a_listener_shows_is_not_deleted_and_does_not_go_by_itself() {
    let pond = Pond::new();
    pond.volume("trading").await;
    let volumes = &pond.volumes;
    let brief = NewSnapshot { lifetime_ms: Some(1), ..snapshot("close", Moment::Now) };
    let pin = volumes.create_snapshot("trading", brief).await.unwrap().pin;
    listen(&pond, "127.0.0.1:7001", Scope::Snapshot(pin.id)).await;
    listen(&pond, "127.0.0.1:7002", Scope::Volume(VolumeId(99))).await;
    listen(&pond, "127.0.0.1:7003", Scope::Snapshot(PinId(99))).await;
    for refused in [volumes.delete_snapshot("trading", "close").await, volumes.delete("trading", true).await] {
        let words = refused.unwrap_err().to_string();
        assert!(words.contains("millpond listener remove 127.0.0.1:7001"), "{words}");
    }
    volumes.expire(i64::MAX).await;
    assert_eq!(volumes.snapshots("trading").unwrap().len(), 1);
    silence(&pond, "127.0.0.1:7001").await;
    volumes.expire(i64::MAX).await;
    assert!(volumes.snapshots("trading").unwrap().is_empty());

    listen(&pond, "127.0.0.1:7001", Scope::Volume(volumes.describe("trading").unwrap().id)).await;
    assert!(matches!(volumes.delete("trading", false).await, Err(VolumeError::InTheWay(_))));
    silence(&pond, "127.0.0.1:7001").await;
    volumes.delete("trading", false).await.unwrap();
}

#[tokio::test]
async fn a_schedule_goes_on_while_a_listener_shows_one_of_its_snapshots() {
    let pond = Pond::new();
    pond.volume("trading").await;
    let start = pond.volumes.create_schedule("trading", "often", "every 10s keep 1").await.unwrap().schedule.created;
    pond.volumes.keep_schedules(start + 10_000).await;
    let first = pond.volumes.snapshots("trading").unwrap().remove(0).pin;
    listen(&pond, "127.0.0.1:7001", Scope::Snapshot(first.id)).await;
    pond.volumes.keep_schedules(start + 20_000).await;
    pond.volumes.keep_schedules(start + 30_000).await;
    let kept: Vec<_> = pond.volumes.snapshots("trading").unwrap().into_iter().map(|found| found.pin.id).collect();
    assert_eq!(kept.len(), 2, "the one that is shown, and the last");
    assert!(kept.contains(&first.id));
}
