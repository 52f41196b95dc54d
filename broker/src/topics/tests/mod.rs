//! Topics over an engine in memory.

mod snapshots;
mod volumes;

use std::sync::Arc;

use millpond_storage::disk::SimDisk;
use millpond_storage::state::Txn;
use millpond_storage::{Engine, Options, TopicNumber};
use uuid::Uuid;

use super::config_keys::{Change, change, checked};
use super::ids::{Form, Spelling};
use super::streams::Stream;
use super::{NewTopic, Resolved, TopicError, Topics};
use crate::config::Config;
use crate::documents::Collection;
use crate::scope::Scope;

fn topics_on(disk: &Arc<SimDisk>, config: Config) -> (Arc<Engine>, Topics) {
    let options = Options { ballast_bytes: 0, free_floor_bytes: 0, ..Options::new(Arc::clone(disk) as _) };
    let engine = Engine::open(options).unwrap();
    let topics = Topics::new(Arc::clone(&engine), Arc::new(config)).unwrap();
    (engine, topics)
}

fn topics() -> Topics {
    topics_on(&Arc::default(), Config::default()).1
}

fn new(name: &str, partitions: i32) -> NewTopic {
    NewTopic { name: name.to_owned(), partitions: Some(partitions), ..NewTopic::default() }
}

#[tokio::test]
async fn a_topic_is_found_by_each_of_its_names_and_ids() {
    let topics = topics();
    let created = topics.create(Scope::Everything, new("trades", 3)).await.unwrap();
    let plain = topics.resolve(Scope::Everything, "trades").unwrap();
    let path = topics.resolve(Scope::Everything, "/default/default:trades").unwrap();
    assert_eq!((plain.id, plain.spelling), (created.id, Spelling::own(Form::Dotted)));
    assert_eq!(path.spelling, Spelling::own(Form::Path));
    assert_ne!(plain.id, path.id);
    assert!(Arc::ptr_eq(&plain.topic, &path.topic));
    for (id, name) in [(plain.id, "trades"), (path.id, "/default/default:trades")] {
        assert_eq!(&*topics.resolve_id(Scope::Everything, &id).unwrap().name(), name);
    }
    assert!(plain.partition(2).is_ok());
    assert!(matches!(plain.partition(3), Err(TopicError::Unknown)));
    assert!(matches!(plain.partition(-1), Err(TopicError::Unknown)));
}

#[tokio::test]
async fn what_is_not_there_is_unknown_and_what_is_no_name_invalid() {
    let topics = topics();
    for name in ["trades", "default.default.trades", "/default/other:trades", "/nowhere/default:trades"] {
        assert!(matches!(topics.resolve(Scope::Everything, name), Err(TopicError::Unknown)), "{name}");
    }
    for name in ["", "a b", "/", "/default/trades"] {
        assert!(matches!(topics.resolve(Scope::Everything, name), Err(TopicError::InvalidName(_))), "{name}");
    }
    assert!(matches!(topics.resolve_id(Scope::Everything, &Uuid::nil()), Err(TopicError::UnknownId)));
    for name in ["/default/other:trades", "/nowhere/default:trades"] {
        assert!(
            matches!(topics.create(Scope::Everything, new(name, 1)).await, Err(TopicError::InvalidName(_))),
            "{name}"
        );
    }
}

#[tokio::test]
async fn of_two_that_create_a_topic_at_once_one_does() {
    let topics = topics();
    let (one, other) =
        (topics.create(Scope::Everything, new("trades", 1)), topics.create(Scope::Everything, new("trades", 2)));
    assert_eq!(one.await.unwrap().topic.partitions, 1);
    assert!(matches!(other.await, Err(TopicError::AlreadyExists(_))));
    let asked: Vec<_> = (0..5).map(|_| topics.create_when_asked_for(Scope::Everything, "quotes")).collect();
    let mut ids = Vec::new();
    for asked in asked {
        ids.push(asked.await.unwrap().id);
    }
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
}

#[tokio::test]
async fn numbers_are_not_given_twice_over_blocks_and_restarts() {
    let disk = Arc::new(SimDisk::new());
    let mut numbers = Vec::new();
    for round in 0..2 {
        let (engine, topics) = topics_on(&disk, Config::default());
        let created: Vec<_> =
            (0..100).map(|at| topics.create(Scope::Everything, new(&format!("t-{round}-{at}"), 1))).collect();
        for created in created {
            numbers.push(created.await.unwrap().topic.number);
        }
        engine.close().unwrap();
    }
    let mut distinct = numbers.clone();
    distinct.sort_unstable();
    distinct.dedup();
    assert_eq!(distinct.len(), numbers.len());
    assert!(numbers.iter().all(|number| *number >= TopicNumber::FIRST_USER));
}

#[tokio::test]
async fn a_topic_that_is_made_again_is_another() {
    let topics = topics();
    let first = topics.create(Scope::Everything, new("trades", 1)).await.unwrap();
    topics.delete(&first).await.unwrap();
    assert!(matches!(topics.resolve(Scope::Everything, "trades"), Err(TopicError::Unknown)));
    assert!(matches!(topics.resolve_id(Scope::Everything, &first.id), Err(TopicError::UnknownId)));
    let second = topics.create(Scope::Everything, new("trades", 1)).await.unwrap();
    assert_ne!(second.id, first.id);
    assert!(matches!(topics.delete(&first).await, Err(TopicError::Unknown)));
    assert_eq!(topics.resolve(Scope::Everything, "trades").unwrap().id, second.id);
}

#[tokio::test]
async fn settings_follow_the_topics_fact() {
    let topics = topics();
    let settings = checked([("retention.ms", Some("5"))]).unwrap();
    let found = topics.create(Scope::Everything, NewTopic { settings, ..new("trades", 1) }).await.unwrap();
    assert_eq!(found.settings.retention_ms, Some(5));
    topics.alter(&found, |own| change(own, "retention.ms", Change::Set(Some("6")))).await.unwrap();
    let found = topics.resolve(Scope::Everything, "trades").unwrap();
    assert_eq!(found.settings.retention_ms, Some(6));
    let refused = topics.alter(&found, |own| {
        change(own, "retention.ms", Change::Delete)?;
        change(own, "no.such.key", Change::Delete)
    });
    assert!(matches!(refused.await, Err(TopicError::InvalidConfig(_))));
    assert_eq!(topics.resolve(Scope::Everything, "trades").unwrap().settings.retention_ms, Some(6));
}

#[tokio::test]
async fn partitions_only_grow() {
    let topics = topics();
    let found = topics.create(Scope::Everything, new("trades", 2)).await.unwrap();
    for count in [-1, 0, 1, 2, 100_001] {
        let refused = topics.add_partitions(&found, count).await;
        assert!(matches!(refused, Err(TopicError::InvalidPartitions(_))), "{count}: {refused:?}");
    }
    topics.add_partitions(&found, 5).await.unwrap();
    assert_eq!(topics.resolve(Scope::Everything, "trades").unwrap().partitions().count(), 5);
    for count in [0, -1, 100_001] {
        assert!(
            matches!(topics.check_new(Scope::Everything, new("quotes", count)), Err(TopicError::InvalidPartitions(_))),
            "{count}"
        );
    }
}

#[tokio::test]
async fn internal_topics_are_found_and_not_changed() {
    let topics = topics();
    let found = topics.resolve(Scope::Everything, "__consumer_offsets").unwrap();
    assert!(found.topic.internal);
    assert_eq!(&*topics.resolve_id(Scope::Everything, &found.id).unwrap().name(), "__consumer_offsets");
    assert!(matches!(topics.delete(&found).await, Err(TopicError::Internal(_))));
    assert!(matches!(topics.delete_records(&found, 0, None).await, Err(TopicError::Internal(_))));
    assert!(matches!(
        topics.create(Scope::Everything, new("__consumer_offsets", 1)).await,
        Err(TopicError::AlreadyExists(_))
    ));
    assert!(topics.list(Scope::Everything).is_empty(), "it is listed from the first position on");
}

#[tokio::test]
async fn deletion_can_be_forbidden() {
    let mut config = Config::default();
    config.topics.allow_delete = false;
    let (_engine, topics) = topics_on(&Arc::default(), config);
    let found = topics.create(Scope::Everything, new("trades", 1)).await.unwrap();
    assert!(matches!(topics.delete(&found).await, Err(TopicError::DeletionDisabled)));
}

/// Makes a stream of volume `default`, or changes it.
fn put_stream(engine: &Engine, name: &'static str, stream: Stream) {
    let (_, timeline) = engine.volume("default").unwrap();
    let (sender, receiver) = std::sync::mpsc::channel();
    let put = move |txn: &mut Txn<'_>| txn.put(Collection::Streams.document(name, &stream));
    timeline.transact(put, move |outcome| sender.send(outcome).unwrap());
    receiver.recv().unwrap().unwrap();
}

#[tokio::test]
async fn a_streams_policy_holds_for_its_topics_from_its_change_on() {
    let (engine, topics) = topics_on(&Arc::default(), Config::default());
    assert!(matches!(
        topics.create(Scope::Everything, new("/default/taq:trades", 1)).await,
        Err(TopicError::InvalidName(_))
    ));
    let config = checked([("retention.ms", Some("5")), ("segment.ms", Some("9"))]).unwrap();
    let stream = Stream { partitions: Some(3), auto_create: Some(false), config, ..Stream::default() };
    put_stream(&engine, "taq", stream.clone());

    let found = topics
        .create(Scope::Everything, NewTopic { name: "/default/taq:trades".to_owned(), ..NewTopic::default() })
        .await
        .unwrap();
    assert_eq!((found.topic.partitions, found.settings.retention_ms, found.settings.segment_ms), (3, Some(5), 9));
    topics.alter(&found, |own| change(own, "retention.ms", Change::Set(Some("6")))).await.unwrap();
    assert_eq!(topics.resolve(Scope::Everything, "/default/taq:trades").unwrap().settings.retention_ms, Some(6));
    assert!(!topics.is_created_when_asked_for(Scope::Everything, "/default/taq:quotes"));
    assert!(!topics.is_created_when_asked_for(Scope::Everything, "/default/other:quotes"));
    assert!(topics.is_created_when_asked_for(Scope::Everything, "quotes"));

    put_stream(&engine, "taq", Stream { config: checked([("segment.ms", Some("10"))]).unwrap(), ..stream });
    let found = topics.resolve(Scope::Everything, "/default/taq:trades").unwrap();
    assert_eq!((found.settings.retention_ms, found.settings.segment_ms), (Some(6), 10));
    put_stream(&engine, "default", Stream { partitions: Some(2), ..Stream::default() });
    let plain =
        topics.create(Scope::Everything, NewTopic { name: "plain".to_owned(), ..NewTopic::default() }).await.unwrap();
    assert_eq!(plain.topic.partitions, 2);
}
