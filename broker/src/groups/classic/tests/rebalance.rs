//! Gathering members: how long, who is left out, who leads.

use std::time::Duration;

use super::bench::*;
use crate::groups::request::JoinRequest;
use crate::groups::{GroupError, State};

#[test]
fn an_empty_group_waits_for_more_members_and_longer_when_they_come() {
    let mut bench = Bench::new();
    let first_id = bench.new_id("1");
    let first = bench.join(consumer(&first_id));
    bench.advance(INITIAL_DELAY - 1);
    let id = bench.new_id("2");
    let second = bench.join(consumer(&id));
    bench.advance(INITIAL_DELAY);
    assert!(bench.is_waiting(first) && bench.is_waiting(second), "somebody came, so the wait is prolonged");
    bench.advance(1);
    assert_eq!(bench.joined(first).unwrap().members.len(), 2);
    assert!(bench.joined(second).is_ok());
    assert_eq!(bench.group.generation(), 1);
}

#[test]
fn the_initial_wait_is_not_prolonged_beyond_the_rebalance_timeout() {
    let mut bench = Bench::new();
    let rebalance_timeout = Duration::from_millis(2 * INITIAL_DELAY + 500);
    let newcomer = |fresh: u64| JoinRequest {
        rebalance_timeout,
        requires_known_member_id: false,
        fresh_id: fresh.to_string(),
        ..consumer("")
    };
    let first = bench.join(newcomer(0));
    let started = bench.now_ms();
    while bench.is_waiting(first) {
        bench.join(newcomer(bench.now_ms() + 1));
        bench.advance(100);
    }
    assert_eq!(bench.now_ms() - started, 2 * INITIAL_DELAY + 500);
}

#[test]
fn without_an_initial_delay_the_first_member_need_not_wait() {
    let mut bench = Bench::new();
    bench.settings.initial_rebalance_delay = Duration::ZERO;
    let id = bench.new_id("1");
    let waiter = bench.join(consumer(&id));
    assert_eq!(bench.joined(waiter).unwrap().generation, 1);
}

#[test]
fn a_rebalance_is_over_as_soon_as_everybody_is_back() {
    let (mut bench, ids) = Bench::stable(&["1", "2"]);
    let id = bench.new_id("3");
    let third = bench.join(consumer(&id));
    let first = bench.join(consumer(&ids[0]));
    assert!(bench.is_waiting(first) && bench.is_waiting(third));
    let second = bench.join(consumer(&ids[1]));
    for waiter in [first, second, third] {
        assert_eq!(bench.joined(waiter).unwrap().generation, 2);
    }
}

#[test]
fn who_is_not_back_by_the_longest_rebalance_timeout_is_out() {
    let (mut bench, ids) = Bench::stable(&["1", "2"]);
    let waiter = bench.join(consumer(&ids[0]));
    bench.advance_alive(REBALANCE - 1, &[&ids[1]]);
    assert!(bench.is_waiting(waiter), "the second is alive and has this long to come");
    bench.advance(1);
    assert_eq!(bench.joined(waiter).unwrap().members.len(), 1);
    assert_eq!(bench.heartbeat(&ids[1]), Err(GroupError::UnknownMemberId));
}

#[test]
fn a_leader_that_is_not_back_loses_the_lead() {
    let (mut bench, ids) = Bench::stable(&["1", "2", "3"]);
    let id = bench.new_id("4");
    let fourth = bench.join(consumer(&id));
    let third = bench.join(consumer(&ids[2]));
    bench.advance_alive(REBALANCE, &[&ids[0], &ids[1]]);
    let joined = bench.joined(third).unwrap();
    assert_eq!(joined.leader, ids[2], "one who is there leads");
    assert_eq!(joined.members.len(), 2);
    assert!(bench.joined(fourth).unwrap().members.is_empty());
}

#[test]
fn a_leader_that_is_back_keeps_the_lead() {
    let (mut bench, ids) = Bench::stable(&["1", "2"]);
    assert!(bench.group.is_leader(&ids[0]));
    let second = bench.join(JoinRequest { protocols: protocols(&["range"], &["u"]), ..consumer(&ids[1]) });
    let first = bench.join(consumer(&ids[0]));
    assert_eq!(bench.joined(first).unwrap().members.len(), 2);
    assert_eq!(bench.joined(second).unwrap().leader, ids[0]);
}

#[test]
fn a_leader_that_leaves_passes_on_the_lead() {
    let (mut bench, ids) = Bench::stable(&["1", "2"]);
    bench.leave(&ids[0]).unwrap();
    let waiter = bench.join(consumer(&ids[1]));
    assert_eq!(bench.joined(waiter).unwrap().leader, ids[1]);
}

#[test]
fn everybody_gone_while_gathering_makes_an_empty_group_of_a_new_generation() {
    let (mut bench, ids) = Bench::stable(&["1"]);
    let id = bench.new_id("2");
    let second = bench.join(consumer(&id));
    bench.leave(&ids[0]).unwrap();
    bench.joined(second).unwrap();
    bench.leave(&id).unwrap();
    assert_eq!(bench.group.state(), State::Empty);
    assert_eq!(bench.group.generation(), 3);
    assert_eq!(bench.group.wake_at().map(|_| bench.group.deadlines().count()), Some(0), "nothing is left to time out");
}

#[test]
fn a_first_member_that_leaves_at_once_leaves_an_empty_group() {
    let mut bench = Bench::new();
    let id = bench.new_id("1");
    let waiter = bench.join(consumer(&id));
    bench.leave(&id).unwrap();
    assert_eq!(bench.joined(waiter), refused(GroupError::UnknownMemberId, ""));
    bench.advance(INITIAL_DELAY);
    assert_eq!(bench.group.state(), State::Empty);
}

#[test]
fn a_known_member_is_not_timed_out_while_it_waits_to_join() {
    let (mut bench, ids) = Bench::stable(&["1", "2"]);
    let long = Duration::from_hours(1);
    let slow = JoinRequest { rebalance_timeout: long, ..consumer(&ids[1]) };
    bench.join(consumer(&ids[0]));
    let slow = bench.join(slow);
    bench.joined(slow).unwrap();
    bench.sync_all();

    let id = bench.new_id("3");
    let third = bench.join(consumer(&id));
    let first = bench.join(consumer(&ids[0]));
    bench.advance_alive(1_000_000, &[&ids[1]]);
    assert!(bench.is_waiting(first) && bench.is_waiting(third), "they wait for the slow one, which is alive");
    bench.join(consumer(&ids[1]));
    assert!(bench.joined(first).is_ok() && bench.joined(third).is_ok());
}

#[test]
fn a_member_that_cannot_know_its_id_waits_so_long_and_no_longer() {
    let (mut bench, ids) = Bench::stable(&["1"]);
    let long = JoinRequest { rebalance_timeout: Duration::from_hours(1), ..consumer(&ids[0]) };
    let waiter = bench.join(long);
    bench.joined(waiter).unwrap();
    bench.sync_all();
    let nameless = JoinRequest { requires_known_member_id: false, fresh_id: "2".to_owned(), ..consumer("") };
    let waiter = bench.join(nameless);
    bench.advance_alive(299_999, &[&ids[0]]);
    assert!(bench.is_waiting(waiter));
    bench.advance_alive(1, &[&ids[0]]);
    assert_eq!(bench.joined(waiter), refused(GroupError::UnknownMemberId, ""));
}

#[test]
fn generations_begin_anew_after_the_last() {
    let (mut bench, ids) = Bench::stable(&["1"]);
    bench.group.generation = i32::MAX;
    let waiter = bench.join(consumer(&ids[0]));
    assert_eq!(bench.joined(waiter).unwrap().generation, 1);
}
