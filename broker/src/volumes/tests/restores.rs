//! What a restore means to groups and to topics that it takes away.

use millpond_storage::state::{Pin, VolumeId};
use millpond_storage::{Timeline, TimelineId};

use super::*;
use crate::documents::{self, Collection};
use crate::groups::positions::{Commit, PositionError, PositionTopic};
use crate::groups::request::{JoinRequest, MemberClaim, Protocol, SyncRequest};
use crate::groups::subscription::encode_subscription;
use crate::groups::{GroupError, GroupKey, State as GroupState, note_restore};

const TRADES: &str = "trading.default.trades";

fn position_topic(pond: &Pond) -> PositionTopic {
    let found = pond.topics.resolve(Scope::Everything, TRADES).unwrap();
    PositionTopic {
        home: found.home(),
        number: found.topic.number,
        partitions: found.topic.partitions,
        id: found.id.into_bytes(),
        name: found.topic.name.short(),
        frozen: None,
        is_restored: found.is_restored(),
        timeline: found.timeline,
    }
}

fn key() -> GroupKey {
    GroupKey::new(Scope::Everything, "app")
}

fn outsider() -> MemberClaim {
    MemberClaim { member_id: String::new(), instance_id: None, generation: -1 }
}

async fn commit_to(
    pond: &Pond,
    topic: PositionTopic,
    claim: &MemberClaim,
    (offset, leader_epoch): (i64, i32),
) -> Result<(), PositionError> {
    let commit = Commit { topic, partition: 0, offset, leader_epoch, metadata: String::new() };
    pond.groups.commit(&key(), claim, vec![commit]).await.remove(0)
}

fn position(pond: &Pond) -> Option<i64> {
    pond.groups.positions("app", &position_topic(pond), &[0]).remove(0).map(|committed| committed.offset)
}

fn epoch(pond: &Pond) -> i32 {
    pond.volumes.describe("trading").unwrap().leader_epoch
}

/// A member alone in its group, at work.
async fn member(pond: &Pond) -> MemberClaim {
    let second = std::time::Duration::from_secs(1);
    let request = JoinRequest {
        session_timeout: 10 * second,
        rebalance_timeout: 10 * second,
        protocol_type: "consumer".to_owned(),
        protocols: vec![Protocol { name: "range".to_owned(), metadata: encode_subscription(&[TRADES]) }],
        ..JoinRequest::default()
    };
    let groups = Arc::clone(pond.groups.coordinator());
    let joined = tokio::select! {
        joined = groups.join(&key(), request) => joined.unwrap(),
        () = Arc::clone(&groups).run() => panic!("it runs for ever"),
    };
    let sync = SyncRequest {
        member_id: joined.member_id.clone(),
        instance_id: None,
        generation: joined.generation,
        protocol_type: None,
        protocol_name: None,
        assignments: Vec::new(),
    };
    groups.sync(&key(), sync).await.unwrap();
    MemberClaim { member_id: joined.member_id, instance_id: None, generation: joined.generation }
}

/// Waits until groups have been told of all restores, and that is durable.
async fn all_told(pond: &Pond) {
    let system: &Timeline = pond.engine.system();
    while !system.state(|state| documents::all::<serde_json::Value>(state, Collection::Restores).is_empty()) {
        let (done, settled) = crate::completion::pair();
        system.barrier(move || done(()));
        settled.await.unwrap();
    }
}

/// A volume of five records when the snapshot `close` was made, and eight now.
async fn world(disk: &Arc<SimDisk>) -> Pond {
    let pond = Pond::on(disk);
    trading(&pond).await;
    commit_to(&pond, position_topic(&pond), &outsider(), (2, epoch(&pond))).await.unwrap();
    pond.volumes.create_snapshot("trading", snapshot("close", Moment::Now)).await.unwrap();
    append(&pond, TRADES, 3).await;
    commit_to(&pond, position_topic(&pond), &outsider(), (8, epoch(&pond))).await.unwrap();
    pond
}

#[tokio::test(start_paused = true)]
async fn members_are_sent_away_by_a_restore_and_find_the_positions_of_then() {
    let pond = world(&Arc::default()).await;
    let claim = member(&pond).await;
    commit_to(&pond, position_topic(&pond), &claim, (7, epoch(&pond))).await.unwrap();
    pond.volumes.restore("trading", "close", None).await.unwrap();
    assert_eq!(position(&pond), Some(2));
    let stranger = GroupError::UnknownMemberId;
    let refused = commit_to(&pond, position_topic(&pond), &claim, (4, -1)).await;
    assert!(matches!(refused, Err(PositionError::Group(error)) if error == stranger), "{refused:?}");
    all_told(&pond).await;
    assert_eq!(pond.groups.describe(&key()).unwrap().state, GroupState::Empty);
    let next = member(&pond).await;
    assert!(next.generation > claim.generation);
    commit_to(&pond, position_topic(&pond), &next, (4, epoch(&pond))).await.unwrap();
    assert_eq!(position(&pond), Some(4));
}

#[tokio::test(start_paused = true)]
async fn positions_of_the_history_that_was_left_are_refused() {
    let pond = world(&Arc::default()).await;
    let before = epoch(&pond);
    let commit = async |offset, epoch| commit_to(&pond, position_topic(&pond), &outsider(), (offset, epoch)).await;
    commit(1_000, 77).await.unwrap();
    pond.volumes.restore("trading", "close", None).await.unwrap();
    assert!(matches!(commit(6, -1).await, Err(PositionError::BeyondEnd)));
    append(&pond, TRADES, 3).await;
    commit(8, epoch(&pond)).await.unwrap();
    commit(8, -1).await.unwrap();
    // Both histories have an offset 6 now. An epoch that both share says nothing against it: Sarama never commits another.
    commit(6, before).await.unwrap();
    assert_eq!(position(&pond), Some(6));

    let second = epoch(&pond);
    let undo =
        pond.volumes.snapshots("trading").unwrap().into_iter().find(|found| found.pin.name.starts_with("before-"));
    pond.volumes.restore("trading", &undo.unwrap().pin.name, None).await.unwrap();
    assert_eq!(position(&pond), Some(1_000), "as it was, whatever it was");
    assert!(matches!(commit(7, second).await, Err(PositionError::OtherHistory)), "the records of that epoch are gone");
    commit(5, second).await.unwrap();
    commit(8, before).await.unwrap();
    assert_eq!(position(&pond), Some(8));
}

#[tokio::test(start_paused = true)]
async fn a_commit_that_a_restore_overtakes_lands_nowhere() {
    let pond = world(&Arc::default()).await;
    let claim = member(&pond).await;
    let (by_member, by_outsider) = (position_topic(&pond), position_topic(&pond));
    pond.volumes.restore("trading", "close", None).await.unwrap();
    // Found before, and forwarded by the log that was left.
    let refused = commit_to(&pond, by_member.clone(), &claim, (3, -1)).await;
    assert!(matches!(refused, Err(PositionError::Group(GroupError::UnknownMemberId))), "{refused:?}");
    let next = member(&pond).await;
    let refused = commit_to(&pond, by_member, &next, (3, -1)).await;
    assert!(matches!(refused, Err(PositionError::Group(GroupError::UnknownMemberId))), "{refused:?}");
    pond.groups
        .coordinator()
        .leave(
            &key(),
            &[crate::groups::request::Leaver { member_id: next.member_id, instance_id: None, reason: String::new() }],
        )
        .unwrap();
    let refused = commit_to(&pond, by_outsider, &outsider(), (3, -1)).await;
    assert!(matches!(refused, Err(PositionError::OtherHistory)), "{refused:?}");
    assert_eq!(position(&pond), Some(2));
}

#[tokio::test(start_paused = true)]
async fn nothing_is_committed_by_members_between_the_restore_and_the_fence() {
    let pond = world(&Arc::default()).await;
    let claim = member(&pond).await;
    let fence = pond.groups.begin_fence(pond.volumes.describe("trading").unwrap().id);
    let refused = commit_to(&pond, position_topic(&pond), &claim, (3, -1)).await;
    assert!(matches!(refused, Err(PositionError::Group(GroupError::UnknownMemberId))), "{refused:?}");
    drop(fence);
    commit_to(&pond, position_topic(&pond), &claim, (3, -1)).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_broker_that_ended_before_groups_were_told_tells_them_at_its_start() {
    let disk = Arc::default();
    let pond = world(&disk).await;
    let claim = member(&pond).await;
    let described = pond.volumes.describe("trading").unwrap();
    let volume: VolumeId = described.id;
    // What is durable when the volume's name has moved, and nothing has been done about it yet.
    let (left, taken): (TimelineId, TimelineId) = (described.timeline, described.timeline);
    pond.volumes
        .decide(move |txn| {
            note_restore(txn, volume, left, taken);
            Ok(())
        })
        .await
        .unwrap();
    pond.engine.close().unwrap();
    drop(pond);

    let pond = Pond::on(&disk);
    let beat = pond.groups.coordinator().heartbeat(&key(), &claim);
    assert_eq!(beat, Err(GroupError::UnknownMemberId));
    all_told(&pond).await;
    let next = member(&pond).await;
    assert!(next.generation > claim.generation, "generations never fall");
    pond.engine.close().unwrap();
    drop(pond);
    let pond = Pond::on(&disk);
    assert_eq!(pond.groups.coordinator().heartbeat(&key(), &next), Ok(()), "once is enough");
}

#[tokio::test(start_paused = true)]
async fn topics_that_a_restore_took_away_do_not_come_back_by_being_asked_for() {
    let pond = world(&Arc::default()).await;
    pond.topic("trading.default.late").await;
    let comes = |name: &str| pond.topics.is_created_when_asked_for(Scope::Everything, name);
    assert!(comes("trading.default.other"));
    pond.volumes.restore("trading", "close", None).await.unwrap();
    let scope = Scope::Volume(pond.volumes.describe("trading").unwrap().id);
    for name in ["trading.default.late", "/trading/default:late"] {
        assert!(!comes(name), "{name}");
    }
    assert!(!pond.topics.is_created_when_asked_for(scope, "late"));
    assert!(comes("trading.default.other") && comes("late"));
    // Back to the first history, then to the second state of it: both are remembered.
    pond.topic("trading.default.later").await;
    pond.volumes.restore("trading", "close", None).await.unwrap();
    assert!(!comes("trading.default.late") && !comes("trading.default.later"));
    pond.topic("trading.default.late").await;
    // Ten minutes later (when safety snapshots are older) nobody asks any more who did not mean it.
    let safety: Vec<_> = pond.volumes.snapshots("trading").unwrap().into_iter().map(|found| found.pin).collect();
    pond.volumes
        .decide(move |txn| {
            for pin in safety {
                txn.put(Pin { created: pin.created - 10 * 60 * 1000, ..pin });
            }
            Ok(())
        })
        .await
        .unwrap();
    assert!(comes("trading.default.later"));
}
