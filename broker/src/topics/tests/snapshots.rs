//! Topics of snapshots: found and read as they were, never changed.

use super::super::fixture::{Fixture, append, read};
use super::super::ids::Form;
use super::*;

/// A topic with two records of before the snapshot `close`, and what came later.
async fn world() -> (Fixture, Topics, Scope) {
    let (engine, topics) = topics_on(&Arc::default(), Config::default());
    let fixture = Fixture(engine);
    fixture.volume("trading", true, &["taq"]).await;
    let settings = checked([("retention.ms", Some("5000"))]).unwrap();
    let trades = NewTopic { settings, ..new("trading.taq.trades", 1) };
    let trades = topics.create(Scope::Everything, trades).await.unwrap();
    append(&trades, &["a", "b"]).await;
    let pin = fixture.snapshot("trading", "close").await;
    append(&trades, &["c"]).await;
    topics.alter(&trades, |own| change(own, "retention.ms", Change::Set(Some("6")))).await.unwrap();
    topics.create(Scope::Everything, new("trading.taq.late", 1)).await.unwrap();
    (fixture, topics, Scope::Snapshot(pin))
}

#[tokio::test]
async fn a_snapshot_is_loaded_once_it_is_asked_for() {
    let (_fixture, topics, scope) = world().await;
    let Scope::Snapshot(pin) = scope else { panic!("it is one") };
    let first = topics.resolve(scope, "taq.trades");
    assert!(matches!(first, Err(TopicError::Loading)), "{first:?}");
    let loaded = topics.load(pin).await.unwrap();
    assert!(topics.resolve(scope, "taq.trades").is_ok());
    topics.forget_snapshots();
    assert!(topics.resolve(scope, "taq.trades").is_ok(), "it is held");
    drop(loaded);
    let _ = topics.resolve(scope, "taq.trades");
    topics.forget_snapshots();
    assert!(matches!(topics.resolve(scope, "taq.trades"), Err(TopicError::Loading)), "nobody holds it");
    assert!(topics.resolve_loaded(scope, "taq.trades").await.is_ok());
}

#[tokio::test]
async fn what_is_loaded_of_one_goes_with_it() {
    let (fixture, topics, scope) = world().await;
    let Scope::Snapshot(pin) = scope else { panic!("it is one") };
    let loaded = Arc::downgrade(&topics.load(pin).await.unwrap());
    topics.forget_deleted_snapshots();
    assert!(loaded.upgrade().is_some(), "it stays loaded");
    fixture.delete_snapshot(pin).await;
    topics.forget_deleted_snapshots();
    assert!(loaded.upgrade().is_none(), "it would keep the bytes of its view");
}

#[tokio::test]
async fn its_topics_are_what_they_were() {
    let (fixture, topics, scope) = world().await;
    let everything = Scope::Everything;
    let mut ids = Vec::new();
    for (scope, name, form) in [
        (everything, "trading.-close.taq.trades", Form::Alias),
        (everything, "/trading/.snapshot/close/taq:trades", Form::SnapshotPath),
        (scope, "taq.trades", Form::Short),
        (scope, "trading.taq.trades", Form::Dotted),
        (scope, "/trading/taq:trades", Form::Path),
        (scope, "trading.-close.taq.trades", Form::Alias),
        (scope, "/trading/.snapshot/close/taq:trades", Form::SnapshotPath),
    ] {
        let found = topics.resolve_loaded(scope, name).await.unwrap();
        assert!(found.is_frozen() && found.spelling.form == form, "{name}");
        assert_eq!(found.settings.retention_ms, Some(5000), "{name}");
        let (bytes, end) = read(&found, 0).await;
        assert!(bytes > 0 && end == 2, "{name}: {end}");
        assert_eq!(&*topics.resolve_id(scope, &found.id).unwrap().name(), name);
        ids.push(found.id);
    }
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 5, "one id for each of five forms");
    let listed: Vec<_> = topics.list(scope).iter().map(|found| found.name().to_string()).collect();
    assert_eq!(listed, ["taq.trades"]);
    for name in ["taq.late", "trading.-open.taq.trades", "/trading/.snapshot/open/taq:trades"] {
        assert!(matches!(topics.resolve_loaded(scope, name).await, Err(TopicError::Unknown)), "{name}");
    }
    let volume = Scope::Volume(fixture.volume_id("trading"));
    let live = topics.resolve(volume, "trading.-close.taq.trades");
    assert!(matches!(live, Err(TopicError::Unknown)), "a volume's listener shows the volume alone");
}

#[tokio::test]
async fn what_is_deleted_later_is_still_in_it() {
    let (fixture, topics, scope) = world().await;
    let live = topics.resolve(Scope::Everything, "trading.taq.trades").unwrap();
    topics.delete_records(&live, 0, Some(3)).await.unwrap();
    topics.delete(&live).await.unwrap();
    let Scope::Snapshot(pin) = scope else { panic!("it is one") };
    let found = topics.resolve_loaded(scope, "taq.trades").await.unwrap();
    assert_eq!(read(&found, 0).await.1, 2);
    assert!(!found.is_gone(&found.partition(0).unwrap()));
    fixture.restore("trading", pin).await;
    assert_eq!(read(&topics.resolve(scope, "taq.trades").unwrap(), 1).await.1, 2, "a restore does not end it");
    fixture.delete_snapshot(pin).await;
    assert!(matches!(topics.resolve(scope, "taq.trades"), Err(TopicError::Unknown)));
    assert!(matches!(topics.resolve_id(scope, &found.id), Err(TopicError::UnknownId)));
    assert!(matches!(topics.load(pin).await, Err(TopicError::Unknown)));
}

#[tokio::test]
async fn nothing_in_it_is_changed() {
    let (_fixture, topics, scope) = world().await;
    let found = topics.resolve_loaded(scope, "taq.trades").await.unwrap();
    let read_only =
        |outcome: Result<(), TopicError>| assert!(matches!(outcome, Err(TopicError::ReadOnly(_))), "{outcome:?}");
    read_only(topics.delete(&found).await);
    read_only(topics.add_partitions(&found, 2).await);
    read_only(topics.check_partitions(&found, 2));
    read_only(topics.alter(&found, |_| Ok(())).await);
    read_only(topics.delete_records(&found, 0, None).await.map(drop));
    read_only(topics.create(scope, new("taq.more", 1)).await.map(drop));
    read_only(topics.create(Scope::Everything, new("trading.-close.taq.more", 1)).await.map(drop));
    let asked = topics.create_when_asked_for(scope, "taq.more").await;
    assert!(matches!(asked, Err(TopicError::Unknown)), "{asked:?}");
}
