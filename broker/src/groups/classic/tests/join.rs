//! Who may join, by what id, in which order.

use std::time::Duration;

use super::bench::*;
use crate::groups::request::JoinRequest;
use crate::groups::{GroupError, State};

#[test]
fn a_new_dynamic_member_gets_an_id_and_must_come_back_with_it() {
    let mut bench = Bench::new();
    let waiter = bench.join(JoinRequest { fresh_id: "1".to_owned(), ..consumer("") });
    assert_eq!(bench.joined(waiter), refused(GroupError::MemberIdRequired, "client-1"));
    assert_eq!(bench.group.state(), State::Empty, "nobody has joined yet");
    let waiter = bench.join(consumer("client-1"));
    assert!(bench.is_waiting(waiter));
    bench.advance(INITIAL_DELAY);
    let joined = bench.joined(waiter).unwrap();
    assert_eq!((joined.member_id.as_str(), joined.generation, joined.leader.as_str()), ("client-1", 1, "client-1"));
    assert_eq!(joined.members.len(), 1);
    assert_eq!(joined.protocol_type.as_deref(), Some("consumer"));
}

#[test]
fn before_version_4_a_new_member_joins_at_once() {
    let mut bench = Bench::new();
    let request = JoinRequest { requires_known_member_id: false, fresh_id: "1".to_owned(), ..consumer("") };
    let waiter = bench.join(request);
    bench.advance(INITIAL_DELAY);
    assert_eq!(bench.joined(waiter).unwrap().member_id, "client-1");
}

#[test]
fn a_static_members_id_begins_with_its_instance_id() {
    let mut bench = Bench::new();
    let waiter = bench.join(JoinRequest { fresh_id: "1".to_owned(), ..static_consumer("", "rack7") });
    bench.advance(INITIAL_DELAY);
    assert_eq!(bench.joined(waiter).unwrap().member_id, "rack7-1");
}

#[test]
fn a_stranger_with_an_id_is_unknown() {
    let (mut bench, _) = Bench::stable(&["1"]);
    let waiter = bench.join(consumer("client-99"));
    assert_eq!(bench.joined(waiter), refused(GroupError::UnknownMemberId, "client-99"));
    assert_eq!(bench.group.state(), State::Stable, "a stranger disturbs nobody");
}

#[test]
fn an_id_that_is_not_used_in_time_lapses() {
    let mut bench = Bench::new();
    let id = bench.new_id("1");
    bench.advance(SESSION);
    let waiter = bench.join(consumer(&id));
    assert_eq!(bench.joined(waiter), refused(GroupError::UnknownMemberId, &id));
}

#[test]
fn ids_are_not_given_out_without_end() {
    let mut bench = Bench::new();
    bench.new_id("first");
    let lapses_at = bench.group.wake_at().unwrap();
    bench.group.pending_joins.extend((1..10_000).map(|number| (number.to_string(), lapses_at)));
    let waiter = bench.join(JoinRequest { fresh_id: "more".to_owned(), ..consumer("") });
    assert_eq!(bench.joined(waiter), refused(GroupError::GroupMaxSizeReached, ""));
    bench.advance(SESSION);
    bench.new_id("later");
}

#[test]
fn a_pending_member_holds_up_the_rebalance_until_it_joins_or_lapses() {
    let (mut bench, ids) = Bench::stable(&["1"]);
    let late = bench.new_id("2");
    let waiter = bench.join(consumer(&ids[0]));
    assert!(bench.is_waiting(waiter), "the second is about to join");
    let second = bench.join(consumer(&late));
    assert_eq!(bench.joined(waiter).unwrap().members.len(), 2);
    assert!(bench.joined(second).unwrap().members.is_empty());
    bench.sync_all();

    bench.new_id("3");
    let waiter = bench.join(consumer(&ids[0]));
    let second = bench.join(consumer(&late));
    assert!(bench.is_waiting(waiter) && bench.is_waiting(second));
    bench.advance(SESSION);
    assert!(bench.joined(waiter).is_ok() && bench.joined(second).is_ok(), "the third never came");
}

#[test]
fn only_the_leader_sees_the_members() {
    let (mut bench, ids) = Bench::stable(&["1", "2", "3"]);
    let joined = {
        let waiter = bench.join(consumer(&ids[0]));
        assert!(bench.is_waiting(waiter), "the leader asks for a rebalance");
        let others = [bench.join(consumer(&ids[1])), bench.join(consumer(&ids[2]))];
        for other in others {
            let joined = bench.joined(other).unwrap();
            assert_eq!(joined.leader, ids[0]);
            assert!(joined.members.is_empty());
        }
        bench.joined(waiter).unwrap()
    };
    let seen: Vec<&str> = joined.members.iter().map(|member| member.member_id.as_str()).collect();
    assert_eq!(seen, ids);
    assert_eq!(joined.members[0].metadata, consumer("").protocols[0].metadata);
}

#[test]
fn protocols_must_fit_type_and_one_name_that_all_share() {
    let (mut bench, ids) = Bench::stable(&["1"]);
    let other_type = JoinRequest { protocol_type: "connect".to_owned(), ..consumer("") };
    let other_name = JoinRequest { protocols: protocols(&["roundrobin"], &["t"]), ..consumer("") };
    let none = JoinRequest { protocols: vec![], ..consumer("") };
    for request in [other_type, other_name, none] {
        let waiter = bench.join(request);
        assert_eq!(bench.joined(waiter), refused(GroupError::InconsistentGroupProtocol, ""));
    }
    let waiter = bench.join(JoinRequest { protocol_type: "connect".to_owned(), ..consumer(&ids[0]) });
    assert_eq!(bench.joined(waiter), refused(GroupError::InconsistentGroupProtocol, &ids[0]));
    assert_eq!(bench.group.state(), State::Stable);
}

#[test]
fn an_empty_group_takes_any_type_but_none() {
    let mut bench = Bench::new();
    for request in [
        JoinRequest { protocol_type: String::new(), ..consumer("") },
        JoinRequest { protocols: vec![], ..consumer("") },
    ] {
        let waiter = bench.join(request);
        assert_eq!(bench.joined(waiter), refused(GroupError::InconsistentGroupProtocol, ""));
    }
    let (mut bench, ids) = Bench::stable(&["1"]);
    bench.leave(&ids[0]).unwrap();
    assert_eq!(bench.group.state(), State::Empty);
    let connect = JoinRequest {
        protocol_type: "connect".to_owned(),
        protocols: protocols(&["sessioned"], &[]),
        requires_known_member_id: false,
        ..consumer("")
    };
    let waiter = bench.join(connect);
    bench.advance(INITIAL_DELAY);
    assert_eq!(bench.joined(waiter).unwrap().protocol_type.as_deref(), Some("connect"));
}

#[test]
fn the_protocol_with_most_votes_among_the_shared_wins() {
    let mut bench = Bench::new();
    let orders: [&[&str]; 4] = [&["c", "b", "a"], &["b", "a"], &["a", "b", "d"], &["b", "a", "c"]];
    let mut waiters = Vec::new();
    for (number, order) in orders.iter().enumerate() {
        let request = JoinRequest {
            protocols: protocols(order, &["t"]),
            requires_known_member_id: false,
            fresh_id: number.to_string(),
            ..consumer("")
        };
        waiters.push(bench.join(request));
    }
    bench.advance(2 * INITIAL_DELAY);
    for waiter in waiters {
        assert_eq!(bench.joined(waiter).unwrap().protocol_name.as_deref(), Some("b"));
    }
}

#[test]
fn a_tie_of_votes_is_decided_the_same_way_whoever_comes_first() {
    for orders in [[["a", "b"], ["b", "a"]], [["b", "a"], ["a", "b"]]] {
        let mut bench = Bench::new();
        let waiters = orders.map(|order| {
            bench.join(JoinRequest {
                protocols: protocols(&order, &["t"]),
                requires_known_member_id: false,
                fresh_id: order[0].to_owned(),
                ..consumer("")
            })
        });
        bench.advance(2 * INITIAL_DELAY);
        for waiter in waiters {
            assert_eq!(bench.joined(waiter).unwrap().protocol_name.as_deref(), Some("a"));
        }
    }
}

#[test]
fn a_follower_that_joins_again_unchanged_goes_on_in_the_generation() {
    let (mut bench, ids) = Bench::stable(&["1", "2"]);
    let waiter = bench.join(consumer(&ids[1]));
    let joined = bench.joined(waiter).unwrap();
    assert_eq!((joined.generation, joined.skip_assignment), (1, false));
    assert!(joined.members.is_empty());
    assert_eq!(bench.group.state(), State::Stable);
    let waiter = bench.sync_as(&ids[1]);
    assert_eq!(bench.synced(waiter).unwrap().assignment, assignment(&ids[1], 1));
}

#[test]
fn a_follower_with_other_metadata_and_a_leader_with_any_ask_for_a_rebalance() {
    let (mut bench, ids) = Bench::stable(&["1", "2"]);
    let changed = JoinRequest { protocols: protocols(&["range", "sticky"], &["t", "u"]), ..consumer(&ids[1]) };
    let waiter = bench.join(changed);
    assert!(bench.is_waiting(waiter));
    assert_eq!(bench.heartbeat(&ids[0]), Err(GroupError::RebalanceInProgress));
    bench.join(consumer(&ids[0]));
    assert_eq!(bench.joined(waiter).unwrap().generation, 2);
    bench.sync_all();

    let leader = bench.group.leader.clone().unwrap();
    let waiter = bench.join(consumer(&leader));
    assert!(bench.is_waiting(waiter));
    assert_eq!(bench.group.state(), State::PreparingRebalance);
}

#[test]
fn a_member_that_lost_the_answer_has_it_again_before_the_assignment() {
    let (mut bench, ids) = Bench::stable(&["1", "2"]);
    bench.rejoin_all_from(&ids);
    assert_eq!(bench.group.state(), State::CompletingRebalance);
    let leader = bench.join(consumer(&ids[0]));
    let follower = bench.join(consumer(&ids[1]));
    let joined = bench.joined(leader).unwrap();
    assert_eq!((joined.generation, joined.members.len()), (2, 2));
    let joined = bench.joined(follower).unwrap();
    assert_eq!((joined.generation, joined.members.len()), (2, 0));

    let waiting = bench.sync_as(&ids[0]);
    bench.synced(waiting).unwrap();
}

#[test]
fn changed_metadata_before_the_assignment_begins_the_rebalance_anew() {
    let (mut bench, ids) = Bench::stable(&["1", "2"]);
    bench.rejoin_all_from(&ids);
    let waiting = bench.sync_as(&ids[1]);
    assert!(bench.is_waiting(waiting));
    let changed = JoinRequest { protocols: protocols(&["range"], &["u"]), ..consumer(&ids[0]) };
    let leader = bench.join(changed);
    assert_eq!(bench.synced(waiting), Err(GroupError::RebalanceInProgress), "the follower is sent back to join");
    bench.join(consumer(&ids[1]));
    assert_eq!(bench.joined(leader).unwrap().generation, 3);
}

#[test]
fn the_older_of_two_joins_of_a_member_is_told_to_try_again() {
    let (mut bench, ids) = Bench::stable(&["1", "2"]);
    let older = bench.join(consumer(&ids[0]));
    let newer = bench.join(consumer(&ids[0]));
    assert_eq!(bench.joined(older), refused(GroupError::RebalanceInProgress, &ids[0]));
    assert!(bench.is_waiting(newer));
    bench.join(consumer(&ids[1]));
    assert!(bench.joined(newer).is_ok());
}

#[test]
fn a_full_group_takes_no_more_members() {
    let (mut bench, ids) = Bench::stable(&["1", "2"]);
    bench.settings.members_max = 2;
    let waiter = bench.join(consumer(""));
    assert_eq!(bench.joined(waiter), refused(GroupError::GroupMaxSizeReached, ""));
    let waiter = bench.join(consumer(&ids[1]));
    assert!(bench.joined(waiter).is_ok(), "members are not affected");
}

#[test]
fn a_group_that_is_too_large_loses_whoever_joins_last() {
    let (mut bench, ids) = Bench::stable(&["1", "2", "3"]);
    bench.settings.members_max = 2;
    let first = bench.join(consumer(&ids[0]));
    let second = bench.join(consumer(&ids[1]));
    let again = bench.join(consumer(&ids[1]));
    assert!(bench.joined(second).is_err(), "replaced by the one that follows");
    let last = bench.join(consumer(&ids[2]));
    assert_eq!(bench.joined(last), refused(GroupError::GroupMaxSizeReached, ""));
    assert!(bench.joined(first).is_ok() && bench.joined(again).is_ok(), "and the others need not wait for it");
}

#[test]
fn a_second_spelling_of_a_topic_is_refused() {
    let mut bench = Bench::new();
    let spelling = |fresh: &str, name: &str| JoinRequest {
        topics: vec![spelled(name, 7)],
        requires_known_member_id: false,
        fresh_id: fresh.to_owned(),
        ..consumer("")
    };
    let first = bench.join(spelling("1", "v.s.t"));
    let other = bench.join(spelling("2", "/v/s:t"));
    assert_eq!(bench.joined(other), refused(GroupError::InconsistentGroupProtocol, ""));
    let same = bench.join(spelling("3", "v.s.t"));
    bench.advance(2 * INITIAL_DELAY);
    assert!(bench.joined(first).is_ok() && bench.joined(same).is_ok());
    bench.sync_all();

    let renamed = JoinRequest { member_id: "client-3".to_owned(), ..spelling("", "/v/s:t") };
    let waiter = bench.join(renamed);
    assert_eq!(bench.joined(waiter), refused(GroupError::InconsistentGroupProtocol, "client-3"));
}

#[test]
fn a_member_alone_may_change_its_spelling() {
    let mut bench = Bench::new();
    let spelling = |member_id: &str, name: &str| JoinRequest {
        topics: vec![spelled(name, 7)],
        requires_known_member_id: false,
        fresh_id: "1".to_owned(),
        ..consumer(member_id)
    };
    bench.join(spelling("", "v.s.t"));
    bench.advance(INITIAL_DELAY);
    bench.sync_all();
    let waiter = bench.join(spelling("client-1", "/v/s:t"));
    assert!(bench.joined(waiter).is_ok());
    let waiter = bench.join(JoinRequest { fresh_id: "2".to_owned(), ..spelling("", "v.s.t") });
    assert!(bench.joined(waiter).is_err(), "the former spelling is no longer the group's");
}

#[test]
fn time_outs_follow_the_latest_request() {
    let (mut bench, ids) = Bench::stable(&["1"]);
    let waiter = bench.join(JoinRequest { session_timeout: Duration::from_secs(100), ..consumer(&ids[0]) });
    bench.joined(waiter).unwrap();
    bench.sync_all();
    bench.advance(99_000);
    assert_eq!(bench.heartbeat(&ids[0]), Ok(()));
}
