//! Heartbeats, commits, and what happens without them.

use super::bench::*;
use crate::groups::request::MemberClaim;
use crate::groups::{GroupError, State};

#[test]
fn heartbeats_keep_a_member_and_silence_ends_it() {
    let (mut bench, ids) = Bench::stable(&["1", "2"]);
    bench.advance_alive(10 * SESSION, &[&ids[0], &ids[1]]);
    assert_eq!(bench.group.state(), State::Stable);
    bench.advance_alive(SESSION - 1, &[&ids[0]]);
    assert_eq!(bench.group.state(), State::Stable);
    bench.advance_alive(1, &[&ids[0]]);
    assert_eq!(bench.heartbeat(&ids[0]), Err(GroupError::RebalanceInProgress));
    assert_eq!(bench.heartbeat(&ids[1]), Err(GroupError::UnknownMemberId));
    let waiter = bench.join(consumer(&ids[0]));
    assert_eq!(bench.joined(waiter).unwrap().members.len(), 1, "the dead are not waited for");
}

#[test]
fn a_member_that_dies_before_the_assignment_begins_the_rebalance_anew() {
    let (mut bench, ids) = Bench::stable(&["1", "2"]);
    bench.rejoin_all_from(&ids);
    let waiting = bench.sync_as(&ids[1]);
    bench.advance(SESSION);
    assert_eq!(bench.synced(waiting), Err(GroupError::RebalanceInProgress));
    let waiter = bench.join(consumer(&ids[1]));
    assert_eq!(bench.joined(waiter).unwrap().leader, ids[1]);
}

#[test]
fn heartbeats_are_answered_by_state_and_claim() {
    let (mut bench, ids) = Bench::stable(&["1", "2"]);
    let beat = |bench: &mut Bench, claim: MemberClaim| bench.step(|group, step| group.heartbeat(step, &claim));
    assert_eq!(beat(&mut bench, claim(&ids[0], 1)), Ok(()));
    assert_eq!(beat(&mut bench, claim(&ids[0], 0)), Err(GroupError::IllegalGeneration));
    assert_eq!(beat(&mut bench, claim(&ids[0], 2)), Err(GroupError::IllegalGeneration));
    assert_eq!(beat(&mut bench, claim("nobody", 1)), Err(GroupError::UnknownMemberId));
    let wrong_instance = MemberClaim { instance_id: Some("i".to_owned()), ..claim(&ids[0], 1) };
    assert_eq!(beat(&mut bench, wrong_instance), Err(GroupError::UnknownMemberId));
    bench.join(consumer(&ids[0]));
    assert_eq!(beat(&mut bench, claim(&ids[1], 1)), Err(GroupError::RebalanceInProgress));
    bench.join(consumer(&ids[1]));
    assert_eq!(beat(&mut bench, claim(&ids[1], 2)), Ok(()), "before the assignment a heartbeat is as good as ever");
}

#[test]
fn heartbeats_during_a_rebalance_keep_the_member() {
    let (mut bench, ids) = Bench::stable(&["1", "2"]);
    let waiter = bench.join(consumer(&ids[0]));
    bench.advance_alive(REBALANCE - 1, &[&ids[1]]);
    assert!(bench.is_waiting(waiter));
    let second = bench.join(consumer(&ids[1]));
    assert_eq!(bench.joined(second).unwrap().generation, 2);
}

#[test]
fn commits_are_checked_against_generation_and_state() {
    let (mut bench, ids) = Bench::stable(&["1", "2"]);
    let commit = |bench: &mut Bench, claim: MemberClaim| bench.step(|group, step| group.check_commit(step, &claim));
    assert_eq!(commit(&mut bench, claim(&ids[0], 1)), Ok(()));
    assert_eq!(commit(&mut bench, claim(&ids[0], 0)), Err(GroupError::IllegalGeneration));
    assert_eq!(commit(&mut bench, claim("nobody", 1)), Err(GroupError::UnknownMemberId));
    assert_eq!(commit(&mut bench, claim("", -1)), Err(GroupError::UnknownMemberId), "the group has members");
    bench.join(consumer(&ids[0]));
    assert_eq!(commit(&mut bench, claim(&ids[1], 1)), Ok(()), "on the way to a rebalance members commit");
    bench.join(consumer(&ids[1]));
    assert_eq!(commit(&mut bench, claim(&ids[1], 1)), Err(GroupError::IllegalGeneration));
    assert_eq!(commit(&mut bench, claim(&ids[1], 2)), Err(GroupError::RebalanceInProgress));
}

#[test]
fn an_empty_group_takes_commits_of_clients_outside_of_the_protocol() {
    let mut bench = Bench::new();
    let commit = |bench: &mut Bench, claim: MemberClaim| bench.step(|group, step| group.check_commit(step, &claim));
    assert_eq!(commit(&mut bench, claim("", -1)), Ok(()));
    assert_eq!(commit(&mut bench, claim("gone", 3)), Err(GroupError::UnknownMemberId));
}

#[test]
fn a_commit_is_a_sign_of_life() {
    let (mut bench, ids) = Bench::stable(&["1"]);
    for _ in 0..5 {
        bench.advance(SESSION - 1);
        let claim = claim(&ids[0], 1);
        bench.step(|group, step| group.check_commit(step, &claim)).unwrap();
    }
    assert_eq!(bench.group.state(), State::Stable);
}

#[test]
fn joining_and_syncing_again_are_signs_of_life() {
    let (mut bench, ids) = Bench::stable(&["1", "2"]);
    for _ in 0..5 {
        bench.advance_alive(SESSION - 1, &[&ids[0]]);
        let waiter = bench.join(consumer(&ids[1]));
        assert!(bench.joined(waiter).is_ok());
        bench.advance_alive(SESSION - 1, &[&ids[0]]);
        let waiter = bench.sync_as(&ids[1]);
        assert!(bench.synced(waiter).is_ok());
    }
    assert_eq!(bench.group.state(), State::Stable);
}

#[test]
fn a_commit_is_overtaken_only_when_others_work_in_a_later_generation() {
    let (mut bench, ids) = Bench::stable(&["1", "2"]);
    assert!(!bench.group.has_overtaken(1));
    bench.rejoin_all_from(&ids);
    assert!(!bench.group.has_overtaken(1), "nobody has the new assignment yet");
    bench.sync_all();
    assert!(bench.group.has_overtaken(1));
    assert!(bench.group.has_overtaken(-1));
    assert!(!bench.group.has_overtaken(2));
}
