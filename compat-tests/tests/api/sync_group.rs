//! `SyncGroup`: every version, every error; followers wait.

use std::time::Duration;

use bytes::Bytes;
use kafka_protocol::messages::SyncGroupRequest;
use kafka_protocol::messages::sync_group_request::SyncGroupRequestAssignment;
use millpond_compat_tests::requests::text;

use crate::group::{
    FENCED_INSTANCE_ID, ILLEGAL_GENERATION, INCONSISTENT_GROUP_PROTOCOL, INVALID_GROUP_ID, Member, NONE,
    REBALANCE_IN_PROGRESS, UNKNOWN_MEMBER_ID, id, join, join_request, replaced_static_member, start, sync_request,
};

#[test]
fn the_leader_brings_the_assignment_in_every_version() {
    let server = start();
    let mut wire = server.wire();
    for version in 0..=5 {
        let group = format!("g{version}");
        let joined = join(&mut wire, 9, &group);
        for _ in 0..2 {
            let synced = wire.call(version, &sync_request(version, &group, &joined));
            assert_eq!((synced.error_code, &synced.assignment[..]), (NONE, &b"assigned"[..]), "v{version}");
            assert_eq!(synced.protocol_type.as_deref(), (version >= 5).then_some("consumer"));
            assert_eq!(synced.protocol_name.as_deref(), (version >= 5).then_some("range"));
        }
    }
}

#[test]
fn errors_are_answered_in_every_version() {
    let server = start();
    let mut member = Member::alone(&server, "g");
    let claim = |version: i16, member_id: &str, generation: i32| {
        let request = SyncGroupRequest::default()
            .with_group_id(id("g"))
            .with_member_id(text(member_id))
            .with_generation_id(generation);
        let names = version >= 5;
        request.with_protocol_type(names.then(|| text("consumer"))).with_protocol_name(names.then(|| text("range")))
    };
    let own = member.id.clone();
    for version in 0..=5 {
        for (request, error) in [
            (claim(version, "stranger", 1), UNKNOWN_MEMBER_ID),
            (claim(version, &own, 2), ILLEGAL_GENERATION),
            (claim(version, &own, 1).with_group_id(id("")), INVALID_GROUP_ID),
            (claim(version, &own, 1).with_group_id(id("none")), UNKNOWN_MEMBER_ID),
        ] {
            assert_eq!(member.wire.call(version, &request).error_code, error, "v{version}");
        }
    }
    let good = claim(5, &own, 1);
    for request in [
        good.clone().with_protocol_name(None),
        good.clone().with_protocol_type(None),
        good.clone().with_protocol_name(Some(text("sticky"))),
        good.clone().with_protocol_type(Some(text("connect"))),
    ] {
        assert_eq!(member.wire.call(5, &request).error_code, INCONSISTENT_GROUP_PROTOCOL);
    }
    let mut second = server.wire();
    let second_id = second.call(9, &join_request(9, "g", "")).member_id;
    let _waiting = second.send(9, &join_request(9, "g", &second_id));
    while member.heartbeat() == NONE {}
    assert_eq!(member.wire.call(5, &good).error_code, REBALANCE_IN_PROGRESS);
}

#[test]
fn a_replaced_static_member_is_fenced() {
    let server = start();
    let mut wire = server.wire();
    let [joined, again] = replaced_static_member(&mut wire);
    let sync = |version, joined| sync_request(version, "g", joined).with_group_instance_id(Some(text("i")));
    for version in 3..=5 {
        let fenced = wire.call(version, &sync(version, &joined));
        assert_eq!((fenced.error_code, &fenced.assignment[..]), (FENCED_INSTANCE_ID, &b""[..]), "v{version}");
        let synced = wire.call(version, &sync(version, &again));
        assert_eq!((synced.error_code, &synced.assignment[..]), (NONE, &b"assigned"[..]), "v{version}");
    }
}

/// One that waits for its leader when its successor comes is told so, rather than left waiting.
#[test]
fn a_static_member_that_is_replaced_while_it_waits_is_fenced() {
    let server = start();
    let mut leader = Member::alone(&server, "g");
    let (mut former, mut successor) = (server.wire(), server.wire());
    let request = join_request(9, "g", "").with_group_instance_id(Some(text("i")));
    let joining = former.send(9, &request);
    while leader.heartbeat() == NONE {}
    leader.wire.call(9, &join_request(9, "g", &leader.id));
    let followed = former.receive(joining);
    let mut sync = sync_request(5, "g", &followed).with_group_instance_id(Some(text("i")));
    sync.assignments.clear();
    let syncing = former.send(5, &sync);
    former.expect_silence(Duration::from_millis(300));
    let _joining = successor.send(9, &request);
    assert_eq!(former.receive(syncing).error_code, FENCED_INSTANCE_ID);
}

#[test]
fn a_follower_waits_for_the_leader() {
    let server = start();
    let mut leader = Member::alone(&server, "g");
    let mut follower = server.wire();
    let follower_id = follower.call(9, &join_request(9, "g", "")).member_id;
    let waiting = follower.send(9, &join_request(9, "g", &follower_id));
    while leader.heartbeat() == NONE {}
    let led = leader.wire.call(9, &join_request(9, "g", &leader.id));
    let followed = follower.receive(waiting);

    let mut request = sync_request(5, "g", &followed);
    request.assignments.clear();
    let waiting = follower.send(5, &request);
    follower.expect_silence(Duration::from_millis(300));
    let mut request = sync_request(5, "g", &led);
    let other = SyncGroupRequestAssignment::default()
        .with_member_id(follower_id)
        .with_assignment(Bytes::from_static(b"the rest"));
    request.assignments.push(other);
    assert_eq!(&leader.wire.call(5, &request).assignment[..], b"assigned");
    let synced = follower.receive(waiting);
    assert_eq!((synced.error_code, &synced.assignment[..]), (NONE, &b"the rest"[..]));
}
