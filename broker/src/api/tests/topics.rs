//! What every API that names a topic says of one that is not there, cannot be called so, is the broker's own, is in a snapshot, or
//! cannot be changed now: each time a code that clients of that API know what to do with.

use std::sync::Arc;

use kafka_protocol::messages::{ApiKey, DeleteGroupsRequest, InitProducerIdRequest};
use millpond_storage::disk::sim::{Fault, Op};
use millpond_storage::disk::{Disk, SimDisk};

use super::super::error::{ErrorCode, NONE};
use super::super::{SERVED, delete_groups, init_producer_id};
use super::codes::{Asker, group};
use super::support::{World, call, code, commit, world, world_on};
use crate::broker::{Broker, Scope};
use crate::config::Config;
use crate::topics::fixture::append;
use crate::topics::{NewTopic, Resolved};

/// APIs that change topics and records.
const CHANGING: [ApiKey; 7] = [
    ApiKey::Produce,
    ApiKey::DeleteTopics,
    ApiKey::DeleteRecords,
    ApiKey::AlterConfigs,
    ApiKey::CreatePartitions,
    ApiKey::IncrementalAlterConfigs,
    ApiKey::CreateTopics,
];

/// Asks every API for the topic that `named` gives; those that name none are left out.
async fn all(asker: &Asker<'_>, mut named: impl AsyncFnMut(ApiKey) -> String) -> Vec<(ApiKey, i16)> {
    let mut codes = Vec::new();
    for row in SERVED.rows() {
        let topic = named(row.key).await;
        codes.extend(asker.code(row.key, &topic).await.map(|code| (row.key, code)));
    }
    assert!(codes.len() >= 18, "they name topics: {codes:?}");
    codes
}

/// Each said what `expected` says.
fn said(codes: Vec<(ApiKey, i16)>, expected: impl Fn(ApiKey) -> i16) {
    for (key, code) in codes {
        assert_eq!(code, expected(key), "{key:?}");
    }
}

fn everything(world: &World) -> Asker<'_> {
    Asker { broker: &world.broker, scope: Scope::Everything }
}

/// Of a topic that is there and stays as it is.
fn unchanged(key: ApiKey) -> i16 {
    if key == ApiKey::ElectLeaders { code(ErrorCode::ElectionNotNeeded) } else { NONE }
}

#[tokio::test]
async fn a_topic_that_is_not_there() {
    let world = world().await;
    let codes = all(&everything(&world), async |key| format!("trading.taq.missing-{}", key as i16)).await;
    said(codes, |key| match key {
        ApiKey::CreateTopics | ApiKey::OffsetFetch => NONE,
        _ => code(ErrorCode::UnknownTopicOrPartition),
    });
}

#[tokio::test]
async fn a_name_that_no_topic_has() {
    let world = world().await;
    said(all(&everything(&world), async |_| "no name".to_owned()).await, |key| match key {
        ApiKey::OffsetFetch => NONE,
        ApiKey::OffsetCommit | ApiKey::OffsetDelete => code(ErrorCode::UnknownTopicOrPartition),
        _ => code(ErrorCode::InvalidTopicException),
    });
}

#[tokio::test]
async fn the_brokers_own_topic() {
    let world = world().await;
    said(all(&everything(&world), async |_| "__consumer_offsets".to_owned()).await, |key| match key {
        ApiKey::CreateTopics => code(ErrorCode::TopicAlreadyExists),
        key if CHANGING.contains(&key) => code(ErrorCode::InvalidTopicException),
        ApiKey::OffsetCommit => code(ErrorCode::UnknownTopicOrPartition),
        key => unchanged(key),
    });
}

#[tokio::test]
async fn a_snapshot_that_is_being_loaded() {
    let world = world().await;
    let fresh = async |key| {
        let name = format!("s{}", key as i16);
        world.fixture.snapshot("trading", &name).await;
        format!("trading.-{name}.taq.trades")
    };
    said(all(&everything(&world), fresh).await, |key| match key {
        ApiKey::CreateTopics => code(ErrorCode::PolicyViolation),
        // It waits.
        ApiKey::Metadata => NONE,
        // Java's consumer knows only some errors there.
        ApiKey::Fetch => code(ErrorCode::NotLeaderOrFollower),
        ApiKey::OffsetCommit | ApiKey::OffsetFetch | ApiKey::OffsetDelete => code(ErrorCode::CoordinatorLoadInProgress),
        _ => code(ErrorCode::LeaderNotAvailable),
    });
}

#[tokio::test]
async fn a_topic_in_a_snapshot() {
    let world = world().await;
    let Scope::Snapshot(pin) = world.snapshot else { panic!("it is one") };
    let _loaded = world.broker.topics.load(pin).await.unwrap();
    said(all(&everything(&world), async |_| "trading.-close.taq.trades".to_owned()).await, |key| match key {
        key if CHANGING.contains(&key) => code(ErrorCode::PolicyViolation),
        key => unchanged(key),
    });
}

/// A broker on this disk, with a topic that has a record and a position.
async fn on(disk: &SimDisk) -> (Arc<Broker>, Resolved) {
    let mut config = Config::default();
    config.log.tail_cache_bytes = 0;
    let broker = Arc::new(Broker::on(disk, config).unwrap());
    let new = NewTopic { name: "trades".to_owned(), ..NewTopic::default() };
    let trades = broker.topics.create(Scope::Everything, new).await.unwrap();
    append(&trades, &["a", "b"]).await;
    commit(&broker, Scope::Everything, "trades", 1).await;
    (broker, trades)
}

#[tokio::test]
async fn a_disk_that_is_full_refuses_what_would_be_written() {
    let disk = SimDisk::new();
    let (broker, _) = on(&disk).await;
    let asker = Asker { broker: &broker, scope: Scope::Everything };
    let named = async |key| if key == ApiKey::CreateTopics { "quotes".to_owned() } else { "trades".to_owned() };
    disk.budget(Some(0));
    said(all(&asker, named).await, |key| match key {
        key if CHANGING.contains(&key) => code(ErrorCode::NotEnoughReplicas),
        ApiKey::OffsetCommit | ApiKey::OffsetDelete => code(ErrorCode::CoordinatorNotAvailable),
        key => unchanged(key),
    });
    let delete = || DeleteGroupsRequest::default().with_groups_names(vec![group()]);
    let refused = call::<delete_groups::DeleteGroups>(&asker.ctx(2), delete()).await;
    assert_eq!(refused.results[0].error_code, code(ErrorCode::CoordinatorNotAvailable));
    let request = || InitProducerIdRequest::default().with_producer_id((-1).into()).with_producer_epoch(-1);
    let refused = call::<init_producer_id::InitProducerId>(&asker.ctx(4), request().with_transactional_id(None)).await;
    assert_eq!(refused.error_code, code(ErrorCode::CoordinatorLoadInProgress));
    assert_eq!((refused.producer_id.0, refused.producer_epoch), (-1, -1));

    disk.budget(None);
    let given = call::<init_producer_id::InitProducerId>(&asker.ctx(4), request().with_transactional_id(None)).await;
    assert_eq!((given.error_code, given.producer_epoch), (NONE, 0));
    let gone = call::<delete_groups::DeleteGroups>(&asker.ctx(2), delete()).await;
    assert_eq!(gone.results[0].error_code, NONE);
    assert_eq!(asker.code(ApiKey::DeleteTopics, "trades").await, Some(NONE));
}

#[tokio::test]
async fn a_file_that_cannot_be_read_is_an_error_of_the_storage_and_told_once_for_each_try() {
    let disk = SimDisk::new();
    let (broker, _) = on(&disk).await;
    let asker = Asker { broker: &broker, scope: Scope::Everything };
    let fetch = async || asker.code(ApiKey::Fetch, "trades").await;
    disk.fail(Op::Read, 0, Fault::Error);
    assert_eq!(fetch().await, Some(code(ErrorCode::KafkaStorageError)));
    assert_eq!(fetch().await, Some(NONE), "it could be read again");
    disk.fail(Op::Read, 0, Fault::Error);
    assert_eq!(asker.list_offsets("trades", 1001, -1).await, code(ErrorCode::KafkaStorageError));
    assert_eq!(asker.list_offsets("trades", 1001, -1).await, NONE);
}

#[tokio::test]
async fn the_ends_of_a_snapshot_that_cannot_be_read_are_an_error_of_the_storage() {
    let disk = SimDisk::new();
    let mut config = Config::default();
    config.log.file_bytes = 4 << 10;
    let world = world_on(&disk, config).await;
    let Scope::Snapshot(pin) = world.snapshot else { panic!("it is one") };
    let trades = world.broker.topics.resolve(Scope::Everything, "trading.taq.trades").unwrap();
    // Until the file is full that the snapshot ends in the middle of: then its index is asked.
    for _ in 0..50 {
        append(&trades, &["d"]).await;
    }
    world.broker.engine.maintain().unwrap();
    let _loaded = world.broker.topics.load(pin).await.unwrap();
    let asker = everything(&world);
    let asking = [ApiKey::OffsetForLeaderEpoch, ApiKey::ListOffsets, ApiKey::Fetch];
    for key in asking {
        disk.fail(Op::Read, 0, Fault::Error);
        let failed = asker.code(key, "trading.-close.taq.trades").await;
        assert_eq!(failed, Some(code(ErrorCode::KafkaStorageError)), "{key:?}");
    }
    for key in asking {
        assert_eq!(asker.code(key, "trading.-close.taq.trades").await, Some(NONE), "{key:?}: it is read again");
    }
}

#[tokio::test]
async fn a_log_that_was_removed_takes_nothing_and_can_still_be_read() {
    let disk = SimDisk::new();
    let (broker, trades) = on(&disk).await;
    let log = format!("timelines/{}/log", trades.timeline.id());
    for path in disk.paths().iter().filter(|path| path.starts_with(&log)) {
        disk.remove(path).unwrap();
    }
    let asker = Asker { broker: &broker, scope: Scope::Everything };
    let named = async |key| if key == ApiKey::CreateTopics { "quotes".to_owned() } else { "trades".to_owned() };
    said(all(&asker, named).await, |key| match key {
        key if CHANGING.contains(&key) => code(ErrorCode::KafkaStorageError),
        ApiKey::OffsetCommit | ApiKey::OffsetDelete => code(ErrorCode::CoordinatorNotAvailable),
        key => unchanged(key),
    });
}

#[tokio::test]
async fn a_restore_fences_who_knows_the_epoch_before_it() {
    let world = world().await;
    let Scope::Snapshot(pin) = world.snapshot else { panic!("it is one") };
    world.fixture.restore("trading", pin).await;
    let asker = Asker { broker: &world.broker, scope: Scope::Everything };
    for (epoch, expected) in [(0, ErrorCode::FencedLeaderEpoch), (99, ErrorCode::UnknownLeaderEpoch)] {
        assert_eq!(asker.list_offsets("trading.taq.trades", -1, epoch).await, code(expected), "{epoch}");
    }
}

/// Clients never see it: the connection closes first (`server/write.rs`).
#[tokio::test]
async fn an_engine_that_has_ended_is_not_available() {
    let disk = SimDisk::new();
    let (broker, _) = on(&disk).await;
    broker.engine.close().unwrap();
    let asker = Asker { broker: &broker, scope: Scope::Everything };
    let named = async |key| if key == ApiKey::CreateTopics { "quotes".to_owned() } else { "trades".to_owned() };
    said(all(&asker, named).await, |key| match key {
        key if CHANGING.contains(&key) => code(ErrorCode::BrokerNotAvailable),
        ApiKey::OffsetCommit | ApiKey::OffsetDelete => code(ErrorCode::CoordinatorNotAvailable),
        ApiKey::Fetch => code(ErrorCode::UnknownServerError),
        key => unchanged(key),
    });
    assert_eq!(asker.list_offsets("trades", 1001, -1).await, code(ErrorCode::BrokerNotAvailable));
}
