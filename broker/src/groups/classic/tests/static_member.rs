//! Static members: back without a rebalance, fencing their former selves.

use super::bench::*;
use crate::groups::request::{JoinRequest, MemberClaim, SyncRequest};
use crate::groups::{GroupError, State};

/// A stable group of two static members, `a` (`a-0`, the leader) and `b` (`b-0`).
fn stable() -> Bench {
    let mut bench = Bench::new();
    for instance in ["a", "b"] {
        bench.join(JoinRequest { fresh_id: "0".to_owned(), ..static_consumer("", instance) });
    }
    bench.advance(2 * INITIAL_DELAY);
    bench.sync_all();
    assert_eq!(bench.group.leader.as_deref(), Some("a-0"));
    bench
}

fn back(instance_id: &str, fresh: &str) -> JoinRequest {
    JoinRequest { fresh_id: fresh.to_owned(), ..static_consumer("", instance_id) }
}

#[test]
fn a_follower_is_back_without_a_rebalance_once_that_is_durable() {
    let mut bench = stable();
    bench.saves_at_once = false;
    let waiter = bench.join(back("b", "1"));
    assert!(bench.is_waiting(waiter));
    bench.settle(true);
    let joined = bench.joined(waiter).unwrap();
    assert_eq!((joined.member_id.as_str(), joined.generation, joined.leader.as_str()), ("b-1", 1, "a-0"));
    assert!(!joined.skip_assignment && joined.members.is_empty());
    assert_eq!(bench.group.state(), State::Stable);
    let waiter = bench.sync_as("b-1");
    assert_eq!(bench.synced(waiter).unwrap().assignment, assignment("b-0", 1), "it has what its former self had");
}

#[test]
fn a_leader_of_version_9_is_told_that_the_assignment_stands() {
    let mut bench = stable();
    let waiter = bench.join(back("a", "1"));
    let joined = bench.joined(waiter).unwrap();
    assert_eq!(joined.leader, "a-1");
    assert!(joined.skip_assignment);
    assert_eq!(joined.members.len(), 2, "it leads and must know its members");
    assert_eq!(bench.group.state(), State::Stable);
}

#[test]
fn an_older_leader_is_told_that_its_former_self_leads() {
    let mut bench = stable();
    let waiter = bench.join(JoinRequest { skips_assignment: false, ..back("a", "1") });
    let joined = bench.joined(waiter).unwrap();
    assert_eq!(joined.leader, "a-0", "or it would assign anew");
    assert!(!joined.skip_assignment && joined.members.is_empty());
    assert!(bench.group.is_leader("a-1"));
}

#[test]
fn a_former_self_is_fenced_everywhere() {
    let mut bench = stable();
    bench.join(back("b", "1"));
    let fenced = Err(GroupError::FencedInstanceId);
    let former = MemberClaim { instance_id: Some("b".to_owned()), ..claim("b-0", 1) };
    assert_eq!(bench.step(|group, step| group.heartbeat(step, &former)), fenced);
    assert_eq!(bench.step(|group, step| group.check_commit(step, &former)), fenced);
    let waiter = bench.join(static_consumer("b-0", "b"));
    assert_eq!(bench.joined(waiter), refused(GroupError::FencedInstanceId, "b-0"));
    let sync = SyncRequest {
        member_id: "b-0".to_owned(),
        instance_id: Some("b".to_owned()),
        generation: 1,
        protocol_type: None,
        protocol_name: None,
        assignments: vec![],
    };
    let waiter = bench.sync(sync);
    assert_eq!(bench.synced(waiter), Err(GroupError::FencedInstanceId));
    assert_eq!(bench.heartbeat("b-0"), Err(GroupError::UnknownMemberId), "without its instance id it is just unknown");
}

#[test]
fn an_instance_id_that_nobody_has_is_unknown() {
    let mut bench = stable();
    let waiter = bench.join(static_consumer("c-0", "c"));
    assert_eq!(bench.joined(waiter), refused(GroupError::UnknownMemberId, "c-0"));
}

#[test]
fn a_known_static_member_rejoins_like_any_other() {
    let mut bench = stable();
    let waiter = bench.join(static_consumer("b-0", "b"));
    assert_eq!(bench.joined(waiter).unwrap().generation, 1, "a follower, unchanged");
}

#[test]
fn a_return_that_changes_the_vote_needs_a_rebalance() {
    let mut bench = stable();
    let waiter = bench.join(JoinRequest { protocols: protocols(&["sticky"], &["t"]), ..back("b", "1") });
    assert!(bench.is_waiting(waiter));
    assert_eq!(bench.group.state(), State::PreparingRebalance);
    bench.join(static_consumer("a-0", "a"));
    assert_eq!(bench.joined(waiter).unwrap().protocol_name.as_deref(), Some("sticky"));
}

#[test]
fn a_return_before_the_assignment_begins_the_rebalance_anew() {
    let mut bench = stable();
    bench.join(static_consumer("a-0", "a"));
    bench.join(static_consumer("b-0", "b"));
    assert_eq!(bench.group.state(), State::CompletingRebalance);
    let leader = bench.sync_as("b-0");
    let waiter = bench.join(back("b", "1"));
    assert_eq!(bench.synced(leader), Err(GroupError::FencedInstanceId), "the former self is told");
    assert_eq!(bench.group.state(), State::PreparingRebalance);
    bench.join(static_consumer("a-0", "a"));
    assert_eq!(bench.joined(waiter).unwrap().generation, 3);
}

#[test]
fn a_return_during_a_rebalance_takes_the_place_in_it() {
    let mut bench = stable();
    let former = bench.join(JoinRequest { protocols: protocols(&["range"], &["u"]), ..static_consumer("b-0", "b") });
    assert!(bench.is_waiting(former));
    let waiter = bench.join(back("b", "1"));
    assert_eq!(bench.joined(former), refused(GroupError::FencedInstanceId, "b-0"));
    let leader = bench.join(static_consumer("a-0", "a"));
    let seen = bench.joined(leader).unwrap().members;
    let seen: Vec<_> = seen.iter().map(|member| (member.member_id.as_str(), member.instance_id.as_deref())).collect();
    assert_eq!(seen, [("a-0", Some("a")), ("b-1", Some("b"))]);
    assert!(bench.joined(waiter).is_ok());
}

#[test]
fn an_absent_static_member_keeps_its_place_through_a_rebalance_until_its_session_ends() {
    let mut bench = stable();
    let waiter = bench.join(static_consumer("a-0", "a"));
    bench.advance_alive(REBALANCE, &["b-0"]);
    let joined = bench.joined(waiter).unwrap();
    assert_eq!(joined.members.len(), 2, "the absent one is still assigned to");
    bench.sync_as("a-0");
    assert_eq!(bench.group.state(), State::Stable);
    bench.advance_alive(SESSION, &["a-0"]);
    assert_eq!(bench.heartbeat("a-0"), Err(GroupError::RebalanceInProgress));
}

#[test]
fn with_only_absent_static_members_a_rebalance_waits_for_their_sessions() {
    let mut bench = stable();
    let id = bench.new_id("d");
    let dynamic = bench.join(consumer(&id));
    assert!(bench.is_waiting(dynamic));
    bench.leave(&id).unwrap();
    bench.advance_alive(3 * REBALANCE, &["a-0", "b-0"]);
    assert_eq!(bench.group.state(), State::PreparingRebalance, "alive, and yet to join");
    bench.advance(SESSION);
    bench.advance(REBALANCE);
    assert_eq!(bench.group.state(), State::Empty);
}

#[test]
fn a_return_that_cannot_be_stored_is_to_be_tried_again() {
    let mut bench = stable();
    bench.saves_at_once = false;
    let waiter = bench.join(back("b", "1"));
    bench.settle(false);
    assert_eq!(bench.joined(waiter), refused(GroupError::CoordinatorNotAvailable, ""));
    bench.saves_at_once = true;
    let waiter = bench.join(back("b", "2"));
    assert_eq!(bench.joined(waiter).unwrap().member_id, "b-2");
}

#[test]
fn a_return_whose_group_rebalances_meanwhile_waits_for_that() {
    let mut bench = stable();
    bench.saves_at_once = false;
    let waiter = bench.join(back("b", "1"));
    let leader = bench.join(static_consumer("a-0", "a"));
    assert_eq!(bench.joined(waiter).unwrap().generation, 2, "it had joined already");
    assert!(bench.joined(leader).is_ok());
    bench.settle(true);
    assert_eq!(bench.group.state(), State::CompletingRebalance);
}

#[test]
fn two_returns_in_a_row_leave_one_member() {
    let mut bench = stable();
    bench.saves_at_once = false;
    let first = bench.join(back("b", "1"));
    let second = bench.join(back("b", "2"));
    assert_eq!(bench.joined(first), refused(GroupError::FencedInstanceId, "b-1"));
    bench.settle(true);
    assert!(bench.is_waiting(second), "the id it has is not durable yet");
    bench.settle(true);
    assert_eq!(bench.joined(second).unwrap().member_id, "b-2");
    assert_eq!(bench.group.describe().members.len(), 2);
}

#[test]
fn a_return_waiting_for_the_log_may_outlast_its_session() {
    let mut bench = stable();
    bench.saves_at_once = false;
    let waiter = bench.join(back("b", "1"));
    bench.advance_alive(2 * SESSION, &["a-0"]);
    bench.settle(true);
    assert!(bench.joined(waiter).is_ok());
    assert_eq!(bench.heartbeat("b-1"), Ok(()));
}
