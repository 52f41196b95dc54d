//! Leaving, one by one and in batches.

use super::bench::*;
use crate::groups::request::{JoinRequest, Leaver};
use crate::groups::{GroupError, State};

fn leaver(member_id: &str, instance_id: Option<&str>) -> Leaver {
    Leaver { member_id: member_id.to_owned(), instance_id: instance_id.map(str::to_owned), reason: "done".to_owned() }
}

#[test]
fn who_leaves_is_replaced_without_waiting_for_its_session() {
    let (mut bench, ids) = Bench::stable(&["1", "2"]);
    bench.leave(&ids[1]).unwrap();
    assert_eq!(bench.heartbeat(&ids[0]), Err(GroupError::RebalanceInProgress));
    let waiter = bench.join(consumer(&ids[0]));
    assert_eq!(bench.joined(waiter).unwrap().members.len(), 1);
}

#[test]
fn a_batch_is_answered_one_by_one() {
    let (mut bench, ids) = Bench::stable(&["1", "2"]);
    let waiter = bench.join(JoinRequest { fresh_id: "s".to_owned(), ..static_consumer("", "i") });
    bench.rejoin_all_from(&ids);
    bench.joined(waiter).unwrap();
    bench.sync_all();
    let pending = bench.new_id("p");
    let leavers = [
        leaver(&ids[1], None),
        leaver("nobody", None),
        leaver("", Some("i")),
        leaver("", Some("i")),
        leaver("", None),
        leaver(&ids[0], Some("other")),
        leaver(&pending, None),
    ];
    let results = bench.step(|group, step| group.leave(step, &leavers));
    let unknown = Err(GroupError::UnknownMemberId);
    assert_eq!(results, [Ok(()), unknown, Ok(()), unknown, unknown, unknown, Ok(())]);
    assert_eq!(bench.group.state(), State::PreparingRebalance);
    let waiter = bench.join(consumer(&ids[0]));
    assert_eq!(bench.joined(waiter).unwrap().members.len(), 1);
}

#[test]
fn a_static_member_leaves_by_the_id_it_has_now_and_no_other() {
    let mut bench = Bench::new();
    bench.join(JoinRequest { fresh_id: "1".to_owned(), ..static_consumer("", "i") });
    bench.advance(INITIAL_DELAY);
    bench.sync_all();
    let fenced = bench.step(|group, step| group.leave(step, &[leaver("i-0", Some("i"))]));
    assert_eq!(fenced, [Err(GroupError::FencedInstanceId)]);
    let gone = bench.step(|group, step| group.leave(step, &[leaver("i-1", Some("i"))]));
    assert_eq!(gone, [Ok(())]);
    assert_eq!(bench.group.state(), State::Empty);
}

#[test]
fn a_leave_that_removes_nobody_disturbs_nobody() {
    let (mut bench, _) = Bench::stable(&["1"]);
    assert_eq!(bench.leave("nobody"), Err(GroupError::UnknownMemberId));
    assert_eq!(bench.group.state(), State::Stable);
}

#[test]
fn who_leaves_while_waiting_to_join_is_told_and_the_others_go_on() {
    let (mut bench, ids) = Bench::stable(&["1", "2", "3"]);
    let first = bench.join(consumer(&ids[0]));
    let second = bench.join(consumer(&ids[1]));
    bench.leave(&ids[1]).unwrap();
    assert_eq!(bench.joined(second), refused(GroupError::UnknownMemberId, ""));
    bench.leave(&ids[2]).unwrap();
    assert_eq!(bench.joined(first).unwrap().members.len(), 1);
}

#[test]
fn who_leaves_while_waiting_for_the_assignment_is_told() {
    let (mut bench, ids) = Bench::stable(&["1", "2"]);
    bench.rejoin_all_from(&ids);
    let waiting = bench.sync_as(&ids[1]);
    bench.leave(&ids[1]).unwrap();
    assert_eq!(bench.synced(waiting), Err(GroupError::UnknownMemberId));
}

#[test]
fn a_pending_member_that_leaves_frees_the_rebalance() {
    let (mut bench, ids) = Bench::stable(&["1"]);
    let pending = bench.new_id("2");
    let waiter = bench.join(consumer(&ids[0]));
    assert!(bench.is_waiting(waiter));
    bench.leave(&pending).unwrap();
    assert!(bench.joined(waiter).is_ok());
}
