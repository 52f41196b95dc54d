//! Handing out assignments.

use std::time::Duration;

use super::bench::*;
use crate::groups::request::{JoinRequest, SyncRequest};
use crate::groups::{GroupError, State};

fn settled(fresh: &[&str]) -> (Bench, Vec<String>) {
    let (mut bench, ids) = Bench::stable(fresh);
    bench.rejoin_all_from(&ids);
    assert_eq!(bench.group.state(), State::CompletingRebalance);
    (bench, ids)
}

fn request(member_id: &str, generation: i32) -> SyncRequest {
    SyncRequest {
        member_id: member_id.to_owned(),
        instance_id: None,
        generation,
        protocol_type: None,
        protocol_name: None,
        assignments: Vec::new(),
    }
}

#[test]
fn followers_wait_for_the_leader_and_all_for_the_log() {
    let (mut bench, ids) = settled(&["1", "2", "3"]);
    bench.saves_at_once = false;
    let second = bench.sync_as(&ids[1]);
    assert!(bench.is_waiting(second), "never an empty answer in place of waiting");
    let leader = bench.sync_as(&ids[0]);
    let third = bench.sync_as(&ids[2]);
    assert!([leader, second, third].iter().all(|waiter| bench.is_waiting(*waiter)), "not durable yet");
    assert_eq!(bench.group.state(), State::CompletingRebalance);
    bench.settle(true);
    for (id, waiter) in ids.iter().zip([leader, second, third]) {
        let synced = bench.synced(waiter).unwrap();
        assert_eq!(synced.assignment, assignment(id, 2));
        assert_eq!(synced.protocol_name.as_deref(), Some("range"));
    }
    assert_eq!(bench.group.state(), State::Stable);
}

#[test]
fn in_a_stable_group_the_assignment_is_given_again() {
    let (mut bench, ids) = Bench::stable(&["1", "2"]);
    let waiter = bench.sync(request(&ids[1], 1));
    assert_eq!(bench.synced(waiter).unwrap().assignment, assignment(&ids[1], 1));
}

#[test]
fn a_member_that_the_leader_leaves_out_is_assigned_nothing() {
    let (mut bench, ids) = settled(&["1", "2"]);
    let second = bench.sync_as(&ids[1]);
    let assignments = vec![(ids[0].clone(), assignment(&ids[0], 2)), ("nobody".to_owned(), assignment("x", 2))];
    let leader = bench.sync(SyncRequest { assignments, ..request(&ids[0], 2) });
    assert!(bench.synced(leader).is_ok());
    assert!(bench.synced(second).unwrap().assignment.is_empty());
}

#[test]
fn what_a_sync_claims_must_hold() {
    let (mut bench, ids) = settled(&["1"]);
    let wrong_type = SyncRequest { protocol_type: Some("connect".to_owned()), ..request(&ids[0], 2) };
    let wrong_name = SyncRequest { protocol_name: Some("sticky".to_owned()), ..request(&ids[0], 2) };
    for (request, error) in [
        (request("nobody", 2), GroupError::UnknownMemberId),
        (request(&ids[0], 1), GroupError::IllegalGeneration),
        (request(&ids[0], 3), GroupError::IllegalGeneration),
        (wrong_type, GroupError::InconsistentGroupProtocol),
        (wrong_name, GroupError::InconsistentGroupProtocol),
    ] {
        let waiter = bench.sync(request);
        assert_eq!(bench.synced(waiter), Err(error));
    }
    let right = SyncRequest {
        protocol_type: Some("consumer".to_owned()),
        protocol_name: Some("range".to_owned()),
        ..request(&ids[0], 2)
    };
    let waiter = bench.sync(right);
    assert!(bench.synced(waiter).is_ok());
}

#[test]
fn a_sync_during_a_rebalance_is_sent_back_to_join() {
    let (mut bench, ids) = Bench::stable(&["1", "2"]);
    bench.join(consumer(&ids[0]));
    let waiter = bench.sync(request(&ids[1], 1));
    assert_eq!(bench.synced(waiter), Err(GroupError::RebalanceInProgress));
}

#[test]
fn a_newcomer_before_the_assignment_sends_everybody_back_to_join() {
    let (mut bench, ids) = settled(&["1", "2"]);
    bench.saves_at_once = false;
    let waiters = [bench.sync_as(&ids[0]), bench.sync_as(&ids[1])];
    let id = bench.new_id("3");
    bench.join(consumer(&id));
    for waiter in waiters {
        assert_eq!(bench.synced(waiter), Err(GroupError::RebalanceInProgress));
    }
    bench.settle(true);
    assert_eq!(bench.group.state(), State::PreparingRebalance, "the assignment came too late");
}

#[test]
fn members_that_do_not_fetch_their_assignment_are_out() {
    let (mut bench, ids) = settled(&["1", "2", "3"]);
    let waiters = [bench.sync_as(&ids[0]), bench.sync_as(&ids[1])];
    assert_eq!(bench.group.state(), State::Stable);
    bench.advance_alive(REBALANCE - 1, &[&ids[0], &ids[1], &ids[2]]);
    assert_eq!(bench.group.state(), State::Stable);
    bench.advance(1);
    assert_eq!(bench.group.state(), State::PreparingRebalance);
    assert_eq!(bench.heartbeat(&ids[2]), Err(GroupError::UnknownMemberId));
    assert_eq!(bench.heartbeat(&ids[0]), Err(GroupError::RebalanceInProgress));
    assert!(waiters.into_iter().all(|waiter| bench.synced(waiter).is_ok()));
}

#[test]
fn a_leader_that_brings_no_assignment_is_out() {
    let (mut bench, ids) = settled(&["1", "2"]);
    let waiting = bench.sync_as(&ids[1]);
    bench.advance_alive(REBALANCE, &[&ids[0]]);
    assert_eq!(bench.synced(waiting), Err(GroupError::RebalanceInProgress));
    let waiter = bench.join(consumer(&ids[1]));
    assert_eq!(bench.joined(waiter).unwrap().leader, ids[1]);
}

#[test]
fn a_member_is_not_timed_out_while_it_waits_for_its_assignment() {
    let (mut bench, ids) = settled(&["1", "2"]);
    let waiting = bench.sync_as(&ids[1]);
    bench.advance_alive(5 * SESSION, &[&ids[0]]);
    assert!(bench.is_waiting(waiting));
    let leader = bench.sync_as(&ids[0]);
    assert!(bench.synced(waiting).is_ok() && bench.synced(leader).is_ok());
    bench.advance_alive(SESSION - 1, &[&ids[0]]);
    assert_eq!(bench.heartbeat(&ids[1]), Ok(()), "its session begins when it has its answer");
}

#[test]
fn the_older_of_two_syncs_of_a_member_is_told_to_try_again() {
    let (mut bench, ids) = settled(&["1", "2"]);
    let older = bench.sync_as(&ids[1]);
    let newer = bench.sync_as(&ids[1]);
    assert_eq!(bench.synced(older), Err(GroupError::RebalanceInProgress));
    bench.sync_as(&ids[0]);
    assert!(bench.synced(newer).is_ok());
}

#[test]
fn an_assignment_that_cannot_be_stored_is_not_given_out() {
    let (mut bench, ids) = settled(&["1", "2"]);
    bench.saves_at_once = false;
    let waiters = [bench.sync_as(&ids[0]), bench.sync_as(&ids[1])];
    bench.settle(false);
    for waiter in waiters {
        assert_eq!(bench.synced(waiter), Err(GroupError::CoordinatorNotAvailable));
    }
    assert_eq!(bench.group.state(), State::PreparingRebalance, "and the members are asked anew");
    bench.saves_at_once = true;
    bench.rejoin_all_from(&ids);
    bench.sync_all();
}

#[test]
fn a_leader_that_syncs_twice_is_believed_the_second_time() {
    let (mut bench, ids) = settled(&["1"]);
    bench.saves_at_once = false;
    bench.sync_as(&ids[0]);
    let assignments = vec![(ids[0].clone(), assignment("second", 0))];
    let waiter = bench.sync(SyncRequest { assignments, ..request(&ids[0], 2) });
    bench.settle(true);
    assert!(bench.is_waiting(waiter), "the first assignment is durable, the second is not");
    bench.settle(true);
    assert_eq!(bench.synced(waiter).unwrap().assignment, assignment("second", 0));
}

#[test]
fn the_time_to_sync_is_the_longest_rebalance_timeout() {
    let (mut bench, ids) = Bench::stable(&["1", "2"]);
    let slow = JoinRequest { rebalance_timeout: Duration::from_millis(3 * REBALANCE), ..consumer(&ids[0]) };
    bench.join(slow);
    bench.join(consumer(&ids[1]));
    bench.sync_as(&ids[0]);
    bench.advance_alive(3 * REBALANCE - 1, &[&ids[0], &ids[1]]);
    assert_eq!(bench.group.state(), State::Stable);
    bench.advance(1);
    assert_eq!(bench.group.state(), State::PreparingRebalance);
}
