//! Groups and names: a classic group does not name one topic in two ways, and members of two scopes do not share positions.

use kafka_protocol::messages::JoinGroupResponse;
use kafka_protocol::messages::join_group_request::JoinGroupRequestProtocol;
use millpond_compat_tests::requests::{commit, text};

use super::*;
use crate::group::{
    INCONSISTENT_GROUP_PROTOCOL, MEMBER_ID_REQUIRED, NONE, UNKNOWN_MEMBER_ID, join_request, subscription,
};

/// Joins group `app` as a consumer of a topic, with the id that it is given first.
fn join(wire: &mut Wire, topic: &str) -> JoinGroupResponse {
    let request = |member_id: &str| {
        let protocol = JoinGroupRequestProtocol::default().with_name(text("range")).with_metadata(subscription(topic));
        join_request(9, "app", member_id).with_protocols(vec![protocol])
    };
    let answer = wire.call(9, &request(""));
    if answer.error_code != MEMBER_ID_REQUIRED {
        return answer;
    }
    wire.call(9, &request(&answer.member_id))
}

#[test]
fn a_second_spelling_in_a_classic_group_is_refused_and_both_are_told() {
    let server = pond_with_trades();
    let (mut one, mut other) = (server.wire(), server.wire());
    assert_eq!(join(&mut one, TRADES).error_code, NONE);
    assert_eq!(join(&mut other, "/trading/taq:trades").error_code, INCONSISTENT_GROUP_PROTOCOL);
    let told = server.printed("a second name");
    let line = told.lines().find(|line| line.contains("a second name")).expect("it is there");
    assert!(line.contains(TRADES) && line.contains("/trading/taq:trades"), "{line}");
}

#[test]
fn while_a_group_has_members_in_one_scope_it_gets_none_in_one_that_overlaps() {
    let mut server = pond_with_trades();
    clone(&server, "trading", "v2");
    let (trading, v2) = (listen(&server, "trading"), listen(&server, "v2"));
    let mut member = Wire::connect(&trading);
    let joined = join(&mut member, "taq.trades");
    assert_eq!(joined.error_code, NONE);
    assert_eq!(join(&mut server.wire(), TRADES).error_code, INCONSISTENT_GROUP_PROTOCOL);
    // Nor does somebody commit over them who stands outside.
    let refused = server.wire().call(9, &commit("app", TRADES, 0, 0, ""));
    assert_eq!(refused.topics[0].partitions[0].error_code, UNKNOWN_MEMBER_ID);
    // The clone is another volume, and the group another one there.
    assert_eq!(join(&mut Wire::connect(&v2), "taq.trades").error_code, NONE);

    // It was not written down yet, so that a restart forgets it; then whoever comes first is in.
    server.kill();
    server.restart();
    assert_eq!(join(&mut server.wire(), TRADES).error_code, NONE);
    assert_eq!(join(&mut Wire::connect(&trading), "taq.trades").error_code, INCONSISTENT_GROUP_PROTOCOL);
}
