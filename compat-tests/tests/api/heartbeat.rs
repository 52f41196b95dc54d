//! `Heartbeat`: every version, every error.

use kafka_protocol::messages::HeartbeatRequest;
use millpond_compat_tests::requests::text;

use crate::group::{
    FENCED_INSTANCE_ID, ILLEGAL_GENERATION, INVALID_GROUP_ID, Member, NONE, REBALANCE_IN_PROGRESS, UNKNOWN_MEMBER_ID,
    builder, id, join_request, replaced_static_member, start, sync_request,
};

#[test]
fn heartbeats_are_answered_by_what_they_claim() {
    let server = start();
    let mut member = Member::alone(&server, "g");
    let good = member.heartbeat_request();
    let mut second = server.wire();
    for version in 0..=4 {
        for (request, error) in [
            (good.clone(), NONE),
            (good.clone().with_generation_id(0), ILLEGAL_GENERATION),
            (good.clone().with_member_id(text("stranger")), UNKNOWN_MEMBER_ID),
            (good.clone().with_group_id(id("none")), UNKNOWN_MEMBER_ID),
            (good.clone().with_group_id(id("")), INVALID_GROUP_ID),
        ] {
            assert_eq!(member.wire.call(version, &request).error_code, error, "v{version}");
        }
    }
    let second_id = second.call(9, &join_request(9, "g", "")).member_id;
    let _waiting = second.send(9, &join_request(9, "g", &second_id));
    while member.heartbeat() == NONE {}
    for version in 0..=4 {
        assert_eq!(member.wire.call(version, &good).error_code, REBALANCE_IN_PROGRESS, "v{version}");
    }
}

#[test]
fn a_replaced_static_member_is_fenced() {
    let server = start();
    let mut wire = server.wire();
    let [joined, again] = replaced_static_member(&mut wire);
    for version in 3..=4 {
        let claim = |member_id| {
            HeartbeatRequest::default()
                .with_group_id(id("g"))
                .with_member_id(member_id)
                .with_generation_id(joined.generation_id)
                .with_group_instance_id(Some(text("i")))
        };
        assert_eq!(wire.call(version, &claim(joined.member_id.clone())).error_code, FENCED_INSTANCE_ID);
        assert_eq!(wire.call(version, &claim(again.member_id.clone())).error_code, NONE);
    }
}

#[test]
fn a_silent_member_is_out() {
    let server = builder().set("groups.session_timeout_min_ms", "200ms").start();
    let mut wire = server.wire();
    let request = join_request(3, "g", "").with_session_timeout_ms(200);
    let joined = wire.call(3, &request);
    let mut sync = sync_request(3, "g", &joined);
    sync.assignments.clear();
    assert_eq!(wire.call(3, &sync).error_code, NONE);
    // It is waited for by joining as a second member: the answer comes when the first is out.
    let second = server.wire().call(3, &request);
    assert_eq!((second.error_code, second.members.len()), (NONE, 1));
    let claim = HeartbeatRequest::default()
        .with_group_id(id("g"))
        .with_member_id(joined.member_id)
        .with_generation_id(joined.generation_id);
    assert_eq!(wire.call(4, &claim).error_code, UNKNOWN_MEMBER_ID);
}
