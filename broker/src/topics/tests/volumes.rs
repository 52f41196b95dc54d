//! Topics of several volumes, by every name that they have, on the listeners that show them.

use super::super::fixture::{Fixture, append, read};
use super::super::ids::{Form, TopicIdParts};
use super::*;

async fn world() -> (Fixture, Topics) {
    let (engine, topics) = topics_on(&Arc::default(), Config::default());
    let fixture = Fixture(engine);
    fixture.volume("trading", true, &["taq"]).await;
    (fixture, topics)
}

async fn create(topics: &Topics, scope: Scope, name: &str) -> Resolved {
    topics.create(scope, new(name, 1)).await.unwrap_or_else(|why| panic!("{name}: {why}"))
}

fn names(topics: &Topics, scope: Scope) -> Vec<String> {
    topics.list(scope).iter().map(|found| found.name().to_string()).collect()
}

fn is_unknown<T>(found: &Result<T, TopicError>) -> bool {
    matches!(found, Err(TopicError::Unknown))
}

#[tokio::test]
async fn a_topic_of_a_volume_has_a_name_and_an_id_in_each_form() {
    let (fixture, topics) = world().await;
    let scope = Scope::Volume(fixture.volume_id("trading"));
    let created = create(&topics, Scope::Everything, "trading.taq.trades").await;
    let mut ids = Vec::new();
    for (scope, name, form) in [
        (Scope::Everything, "trading.taq.trades", Form::Dotted),
        (Scope::Everything, "/trading/taq:trades", Form::Path),
        (scope, "taq.trades", Form::Short),
    ] {
        let found = topics.resolve(scope, name).unwrap();
        assert_eq!((found.topic.number, found.spelling.form), (created.topic.number, form), "{name}");
        assert_eq!(&*topics.resolve_id(scope, &found.id).unwrap().name(), name);
        ids.push(found.id);
    }
    ids.dedup();
    assert_eq!(ids.len(), 3, "two names have one id");
    for name in ["trading.taq.trades", "/trading/taq:trades"] {
        assert_eq!(topics.resolve(scope, name).unwrap().topic.number, created.topic.number, "its own names, too");
    }
    assert_eq!(created.home(), scope);
    let short = topics.resolve(scope, "taq.trades").unwrap();
    assert!(matches!(topics.resolve_id(Scope::Everything, &short.id), Err(TopicError::UnknownId)), "a foreign id");
}

#[tokio::test]
async fn a_scope_shows_its_own_topics_and_nothing_else() {
    let (fixture, topics) = world().await;
    let scope = Scope::Volume(fixture.volume_id("trading"));
    let plain = create(&topics, Scope::Everything, "trades").await;
    create(&topics, scope, "quotes").await;
    create(&topics, scope, "taq.trades").await;
    assert_eq!(names(&topics, scope), ["quotes", "taq.trades"]);
    assert_eq!(names(&topics, Scope::Everything), ["trades", "trading.default.quotes", "trading.taq.trades"]);
    for name in ["trades", "/default/default:trades", "default.default.trades"] {
        assert!(is_unknown(&topics.resolve(scope, name)), "{name}");
    }
    assert!(matches!(topics.resolve_id(scope, &plain.id), Err(TopicError::UnknownId)));
    assert!(is_unknown(&topics.resolve(Scope::Volume(millpond_storage::state::VolumeId(99)), "trades")));
}

#[tokio::test]
async fn unlisted_volumes_are_found_when_named() {
    let (fixture, topics) = world().await;
    let pin = fixture.snapshot("trading", "close").await;
    create(&topics, Scope::Everything, "trading.taq.trades").await;
    let clone = fixture.clone_of(pin, "v2").await;
    let created = create(&topics, Scope::Everything, "v2.taq.trades").await;
    assert_eq!(names(&topics, Scope::Everything), ["trading.taq.trades"]);
    assert!(topics.listed(Scope::Everything, Scope::Volume(clone), &created.topic).is_none());
    assert!(topics.listed(Scope::Volume(clone), Scope::Volume(clone), &created.topic).is_some());
    assert_eq!(&*topics.resolve(Scope::Everything, "/v2/taq:trades").unwrap().topic.name.topic, "trades");
    let internal = topics.resolve(Scope::Everything, "v2.default.__consumer_offsets").unwrap();
    assert!(internal.topic.internal);
}

#[tokio::test]
async fn a_clone_knows_the_names_of_those_it_comes_from() {
    let (fixture, topics) = world().await;
    let original = create(&topics, Scope::Everything, "trading.taq.trades").await;
    append(&original, &["a", "b"]).await;
    let pin = fixture.snapshot("trading", "close").await;
    fixture.clone_of(pin, "v2").await;
    let again = fixture.snapshot("v2", "s").await;
    let scope = Scope::Volume(fixture.clone_of(again, "v3").await);
    let mut ids = vec![original.id];
    for (name, whose) in [
        ("taq.trades", 0),
        ("v3.taq.trades", 0),
        ("v2.taq.trades", 1),
        ("trading.taq.trades", 2),
        ("/v3/taq:trades", 0),
        ("/v2/taq:trades", 1),
        ("/trading/taq:trades", 2),
    ] {
        let found = topics.resolve(scope, name).unwrap();
        assert_eq!((found.home(), found.spelling.whose), (scope, whose), "{name}");
        assert_eq!(&*topics.resolve_id(scope, &found.id).unwrap().name(), name);
        assert_eq!(read(&found, 0).await.1, 2);
        ids.push(found.id);
    }
    let count = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), count, "two names have one id");
    fixture.delete_volume("v2").await;
    assert_eq!(topics.resolve(scope, "v2.taq.trades").unwrap().spelling.whose, 1, "names outlive their volumes");
}

#[tokio::test]
async fn labels_of_volumes_never_fall_to_default() {
    let (fixture, topics) = world().await;
    let names = ["trading.trades", "trading.nowhere.trades", "/trading/nowhere:trades", "/nowhere/taq:trades"];
    let refused = async |topics: &Topics, name: &str| {
        assert!(is_unknown(&topics.resolve(Scope::Everything, name)), "{name}");
        let created = topics.create(Scope::Everything, new(name, 1)).await;
        assert!(matches!(created, Err(TopicError::InvalidName(_))), "{name}: {created:?}");
        assert!(is_unknown(&topics.create_when_asked_for(Scope::Everything, name).await), "{name}");
    };
    for name in names {
        refused(&topics, name).await;
    }
    let hidden = topics.create(Scope::Everything, new("/default/default:trading.x", 1)).await;
    assert!(matches!(hidden, Err(TopicError::InvalidName(_))), "it would hold a volume's prefix");
    create(&topics, Scope::Everything, "trading.taq.trades").await;
    fixture.delete_volume("trading").await;
    for name in ["trading.taq.trades", "trading.default.trades", "trading.x", "/trading/taq:trades"] {
        refused(&topics, name).await;
    }
    assert!(topics.list(Scope::Everything).is_empty());
    create(&topics, Scope::Everything, "trading").await;
}

#[tokio::test]
async fn short_names_mean_one_topic() {
    let (fixture, topics) = world().await;
    fixture.volume("other", true, &[]).await;
    let scope = Scope::Volume(fixture.volume_id("trading"));
    create(&topics, scope, "a.b.c").await;
    assert_eq!(&*topics.resolve(Scope::Everything, "trading.default.a.b.c").unwrap().topic.name.topic, "a.b.c");
    // It would be named like a topic of the stream.
    let shadowed = topics.create(Scope::Everything, new("trading.default.taq.x", 1)).await;
    assert!(matches!(shadowed, Err(TopicError::InvalidName(_))), "{shadowed:?}");
    for foreign in ["other.x", "other.default.x"] {
        assert!(is_unknown(&topics.create_when_asked_for(scope, foreign).await), "{foreign}");
    }
    // A short name that reads as a dotted one: it is listed under a name that means it.
    let hidden = create(&topics, Scope::Everything, "/trading/default:trading.taq.y").await;
    assert_eq!(names(&topics, scope), ["/trading/default:trading.taq.y", "a.b.c"]);
    assert_eq!(topics.resolve(scope, "/trading/default:trading.taq.y").unwrap().topic.number, hidden.topic.number);
}

#[tokio::test]
async fn a_restore_is_noticed_at_once() {
    let (fixture, topics) = world().await;
    let before = create(&topics, Scope::Everything, "trading.taq.trades").await;
    append(&before, &["a"]).await;
    let pin = fixture.snapshot("trading", "close").await;
    append(&before, &["b", "c"]).await;
    create(&topics, Scope::Everything, "trading.taq.late").await;
    let safety = fixture.restore("trading", pin).await;
    let after = topics.resolve(Scope::Everything, "trading.taq.trades").unwrap();
    assert_eq!((after.id, after.home()), (before.id, before.home()), "the id stays");
    assert_ne!(after.timeline.id(), before.timeline.id());
    assert!(before.is_fenced(&before.partition(0).unwrap()) && !after.is_fenced(&after.partition(0).unwrap()));
    assert!(after.timeline.leader_epoch() > before.timeline.leader_epoch());
    assert_eq!(read(&after, 0).await.1, 1);
    assert!(is_unknown(&topics.resolve(Scope::Everything, "trading.taq.late")));
    // Whoever still holds the topic of before writes to the new history.
    assert_eq!(append(&before, &["d"]).await, 1);
    assert_eq!(read(&after, 0).await.1, 2);
    fixture.restore("trading", safety).await;
    let undone = topics.resolve(Scope::Everything, "trading.taq.trades").unwrap();
    assert_eq!(read(&undone, 0).await.1, 3);
    let bounds = undone.bounds(&undone.partition(0).unwrap()).await.unwrap();
    let end = |epoch| undone.view().end_for_epoch(&undone.partition(0).unwrap(), &bounds, epoch);
    let (first, second) = (before.timeline.leader_epoch(), after.timeline.leader_epoch());
    assert_eq!(end(first), Some((first, 3)));
    assert_eq!(end(second), Some((first, 1)), "histories part where the restore branched off");
}

#[tokio::test]
async fn streams_of_default_are_named_by_path() {
    let (fixture, topics) = world().await;
    let (_, timeline) = fixture.0.volume("default").unwrap();
    let stream = crate::documents::Collection::Streams.document("side", &serde_json::json!({}));
    let (done, put) = crate::completion::pair();
    timeline.transact(move |txn| txn.put(stream), done);
    put.await.unwrap().unwrap();
    let created = create(&topics, Scope::Everything, "/default/side:trades").await;
    assert_eq!(names(&topics, Scope::Everything), ["/default/side:trades"]);
    assert!(is_unknown(&topics.resolve(Scope::Everything, "side.trades")));
    let scope = Scope::Volume(fixture.volume_id("default"));
    assert_eq!(topics.resolve(scope, "side.trades").unwrap().topic.number, created.topic.number);
    let parts = TopicIdParts::of(&created.id).unwrap();
    assert_eq!((parts.home, parts.spelling.form), (scope, Form::Path));
}
