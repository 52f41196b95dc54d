//! What is written down, when, and what becomes of it after a restart.

use super::super::Aging;
use super::bench::*;
use crate::groups::record::GroupRecord;
use crate::groups::request::JoinRequest;
use crate::groups::{GroupError, State};

/// The image that makes this group's generation durable.
fn image(bench: &mut Bench, act: impl FnOnce(&mut Bench)) -> GroupRecord {
    bench.saves_at_once = false;
    act(bench);
    let save = bench.saves.last().expect("the group is written down").clone();
    bench.settle(true);
    bench.saves_at_once = true;
    let record = save.record.expect("an image, no deletion");
    GroupRecord::decode(record.encode()).unwrap()
}

fn stable_image(fresh: &[&str]) -> (GroupRecord, Vec<String>) {
    let (mut bench, ids) = Bench::stable(fresh);
    bench.rejoin_all_from(&ids);
    let record = image(&mut bench, |bench| {
        bench.sync_as(&ids[0]);
    });
    (record, ids)
}

#[test]
fn after_a_restart_members_go_on_without_a_rebalance() {
    let (record, ids) = stable_image(&["1", "2"]);
    let mut bench = Bench::restarted(record);
    assert_eq!((bench.group.state(), bench.group.generation()), (State::Stable, 2));
    bench.advance(SESSION - 1);
    for id in &ids {
        assert_eq!(bench.heartbeat(id), Ok(()), "sessions began anew");
        let waiter = bench.sync_as(id);
        assert_eq!(bench.synced(waiter).unwrap().assignment, assignment(id, 2));
    }
    let waiter = bench.join(consumer(&ids[1]));
    assert_eq!(bench.joined(waiter).unwrap().generation, 2, "all protocols were remembered: nothing has changed");
    assert!(bench.group.is_leader(&ids[0]));
    assert!(bench.group.is_subscribed_to("t", topic(9)) && !bench.group.is_subscribed_to("u", topic(9)));
}

#[test]
fn after_a_restart_who_is_not_heard_of_is_out() {
    let (record, ids) = stable_image(&["1", "2"]);
    let mut bench = Bench::restarted(record);
    bench.advance_alive(SESSION, &[&ids[0]]);
    assert_eq!(bench.heartbeat(&ids[0]), Err(GroupError::RebalanceInProgress));
    let waiter = bench.join(consumer(&ids[0]));
    assert_eq!(bench.joined(waiter).unwrap().generation, 3);
}

#[test]
fn a_restart_in_the_middle_of_a_rebalance_goes_back_to_the_generation_before() {
    let (mut bench, ids) = Bench::stable(&["1", "2"]);
    bench.rejoin_all_from(&ids);
    let record = image(&mut bench, |bench| {
        bench.sync_as(&ids[0]);
    });
    bench.saves_at_once = false;
    let third = bench.new_id("3");
    bench.join(consumer(&third));
    assert!(bench.saves.is_empty(), "a rebalance under way is not written down");

    let mut bench = Bench::restarted(record);
    let waiter = bench.join(consumer(&third));
    assert_eq!(bench.joined(waiter), refused(GroupError::UnknownMemberId, &third));
    let third = bench.new_id("3");
    let waiters = [bench.join(consumer(&third)), bench.join(consumer(&ids[0])), bench.join(consumer(&ids[1]))];
    for waiter in waiters {
        assert_eq!(bench.joined(waiter).unwrap().generation, 3);
    }
}

#[test]
fn an_empty_group_is_written_down_with_its_generation_and_time() {
    let (mut bench, ids) = Bench::stable(&["1"]);
    bench.advance(5_000);
    let record = image(&mut bench, |bench| bench.leave(&ids[0]).unwrap());
    assert_eq!((record.generation, record.members.len()), (2, 0));
    assert_eq!(record.protocol_type.as_deref(), Some("consumer"));
    assert_eq!(record.state_since_unix_ms, 1_000_000 + i64::try_from(bench.now_ms()).unwrap());
    let mut bench = Bench::restarted(record);
    assert_eq!((bench.group.state(), bench.group.generation()), (State::Empty, 2));
    let id = bench.new_id("2");
    let waiter = bench.join(consumer(&id));
    bench.advance(INITIAL_DELAY);
    assert_eq!(bench.joined(waiter).unwrap().generation, 3, "generations never fall");
}

#[test]
fn a_static_return_is_written_down_and_fences_after_a_restart() {
    let mut bench = Bench::new();
    bench.join(JoinRequest { fresh_id: "0".to_owned(), ..static_consumer("", "a") });
    bench.advance(INITIAL_DELAY);
    bench.sync_all();
    let record = image(&mut bench, |bench| {
        bench.join(JoinRequest { fresh_id: "1".to_owned(), ..static_consumer("", "a") });
    });
    let mut bench = Bench::restarted(record);
    assert_eq!(bench.heartbeat("a-1"), Ok(()));
    let waiter = bench.join(static_consumer("a-0", "a"));
    assert_eq!(bench.joined(waiter), refused(GroupError::FencedInstanceId, "a-0"));
}

#[test]
fn a_loaded_group_with_too_many_members_is_asked_to_shrink() {
    let (record, ids) = stable_image(&["1", "2", "3"]);
    let mut bench = Bench::new();
    bench.settings.members_max = 2;
    bench.restore(record);
    assert_eq!(bench.group.state(), State::PreparingRebalance);
    let first = bench.join(consumer(&ids[0]));
    let second = bench.join(consumer(&ids[1]));
    let third = bench.join(consumer(&ids[2]));
    assert_eq!(bench.joined(third), refused(GroupError::GroupMaxSizeReached, ""));
    assert!(bench.joined(first).is_ok() && bench.joined(second).is_ok());
}

#[test]
fn a_group_with_members_is_not_deleted() {
    let (mut bench, ids) = Bench::stable(&["1"]);
    assert_eq!(bench.step(Group::delete), Err(GroupError::NonEmptyGroup));
    bench.join(consumer(&ids[0]));
    assert_eq!(bench.step(Group::delete), Err(GroupError::NonEmptyGroup));
}

#[test]
fn a_deleted_group_is_dead_until_that_is_durable_and_then_gone() {
    let (mut bench, ids) = Bench::stable(&["1"]);
    bench.leave(&ids[0]).unwrap();
    let pending = bench.new_id("2");
    bench.saves_at_once = false;
    bench.step(Group::delete).unwrap();
    assert_eq!(bench.saves[0].record, None);
    assert_eq!(bench.step(Group::delete), Err(GroupError::GroupIdNotFound));
    let waiter = bench.join(consumer(""));
    assert_eq!(bench.joined(waiter), refused(GroupError::CoordinatorNotAvailable, ""));
    let waiter = bench.join(consumer(&pending));
    assert_eq!(bench.joined(waiter), refused(GroupError::CoordinatorNotAvailable, &pending));
    assert_eq!(bench.heartbeat(&pending), Err(GroupError::CoordinatorNotAvailable));
    assert_eq!(bench.leave(&pending), Err(GroupError::CoordinatorNotAvailable));
    assert!(!bench.group.is_gone());
    bench.settle(true);
    assert!(bench.group.is_gone());
}

#[test]
fn a_deletion_that_cannot_be_stored_leaves_the_group() {
    let mut bench = Bench::new();
    bench.saves_at_once = false;
    bench.step(Group::delete).unwrap();
    bench.settle(false);
    assert_eq!(bench.group.state(), State::Empty);
    assert!(!bench.group.is_gone());
}

#[test]
fn single_positions_may_be_deleted_where_nobody_could_want_them() {
    let (bench, _) = Bench::stable(&["1"]);
    assert_eq!(bench.group.check_offset_delete(), Ok(()), "topic by topic, see subscriptions");
    assert!(bench.group.is_subscribed_to("t", topic(9)) && !bench.group.is_subscribed_to("u", topic(9)));

    let mut bench = Bench::new();
    assert_eq!(bench.group.check_offset_delete(), Ok(()));
    let connect = JoinRequest { protocol_type: "connect".to_owned(), requires_known_member_id: false, ..consumer("") };
    bench.join(connect);
    assert_eq!(bench.group.check_offset_delete(), Err(GroupError::NonEmptyGroup));
}

#[test]
fn a_consumer_group_whose_subscriptions_cannot_be_read_may_want_anything() {
    let mut bench = Bench::new();
    let mut request = JoinRequest { requires_known_member_id: false, ..consumer("") };
    for protocol in &mut request.protocols {
        protocol.metadata = "gibberish".into();
    }
    bench.join(request);
    bench.advance(INITIAL_DELAY);
    assert!(bench.group.is_subscribed_to("anything", topic(9)));
}

#[test]
fn a_topic_is_subscribed_to_under_any_of_its_names() {
    let mut bench = Bench::new();
    bench.join(JoinRequest { topics: vec![spelled("t", 7)], requires_known_member_id: false, ..consumer("") });
    bench.advance(INITIAL_DELAY);
    assert!(bench.group.is_subscribed_to("/v/s:t", topic(7)));
    assert!(!bench.group.is_subscribed_to("/v/s:t", topic(8)));
}

#[test]
fn positions_age_by_what_the_group_does() {
    assert_eq!(Bench::new().group.aging(), Aging::SinceCommit);
    let (mut bench, ids) = Bench::stable(&["1"]);
    assert_eq!(bench.group.aging(), Aging::SinceCommitIfUnsubscribed);
    let pending = bench.new_id("2");
    bench.join(consumer(&ids[0]));
    assert_eq!(bench.group.aging(), Aging::Never);
    bench.leave(&pending).unwrap();
    bench.leave(&ids[0]).unwrap();
    let unix_ms = 1_000_000 + i64::try_from(bench.now_ms()).unwrap();
    assert_eq!(bench.group.aging(), Aging::SinceEmpty { unix_ms });
    assert!(bench.group.is_idle());
    bench.new_id("3");
    assert!(!bench.group.is_idle(), "somebody is about to join");
}

#[test]
fn a_description_shows_metadata_only_of_a_stable_group() {
    let (mut bench, ids) = Bench::stable(&["1"]);
    let shown = bench.group.describe();
    assert_eq!(shown.protocol_name.as_deref(), Some("range"));
    assert_eq!(shown.members[0].assignment, assignment(&ids[0], 1));
    assert!(!shown.members[0].metadata.is_empty());
    let id = bench.new_id("2");
    bench.join(consumer(&id));
    let shown = bench.group.describe();
    assert_eq!((shown.state, shown.protocol_name), (State::PreparingRebalance, None));
    assert!(shown.members.iter().all(|member| member.metadata.is_empty()));
}
