//! `DescribeGroups`: every version, groups in every state.

use kafka_protocol::messages::DescribeGroupsRequest;
use kafka_protocol::messages::describe_groups_response::DescribedGroup;
use millpond_compat_tests::requests::{commit, create_topic, text};
use millpond_compat_tests::wire::Wire;

use crate::group::{GROUP_ID_NOT_FOUND, Member, NONE, id, join, join_request, start, subscription};

fn describe(wire: &mut Wire, version: i16, group: &str) -> DescribedGroup {
    let request = DescribeGroupsRequest::default().with_groups(vec![id(group)]);
    let mut groups = wire.call(version, &request).groups;
    assert_eq!((groups.len(), groups[0].group_id.as_str()), (1, group), "v{version}");
    groups.remove(0)
}

#[test]
fn a_stable_group_is_shown_with_its_members() {
    let server = start();
    let member = Member::alone(&server, "g");
    let mut wire = server.wire();
    for version in 0..=6 {
        let group = describe(&mut wire, version, "g");
        assert_eq!((group.error_code, group.group_state.as_str()), (NONE, "Stable"), "v{version}");
        assert_eq!((group.protocol_type.as_str(), group.protocol_data.as_str()), ("consumer", "range"));
        let shown = &group.members[0];
        assert_eq!(shown.member_id, member.id);
        assert_eq!((shown.client_id.as_str(), shown.client_host.as_str()), ("compat-tests", "/127.0.0.1"));
        assert_eq!(shown.member_metadata, subscription("topic-of-the-group"));
        assert_eq!(&shown.member_assignment[..], b"assigned");
        assert_eq!(shown.group_instance_id, None);
    }
}

#[test]
fn other_states_are_shown_without_metadata() {
    let server = start();
    let mut wire = server.wire();
    assert_eq!(wire.call(7, &create_topic("t", 1)).topics[0].error_code, NONE);
    assert_eq!(wire.call(9, &commit("simple", "t", 0, 5, "")).topics[0].partitions[0].error_code, NONE);
    Member::alone(&server, "empty").leave();
    join(&mut wire, 9, "completing");
    let mut first = Member::alone(&server, "preparing");
    let mut second = server.wire();
    let second_id = second.call(9, &join_request(9, "preparing", "")).member_id;
    let _waiting = second.send(9, &join_request(9, "preparing", &second_id));
    while first.heartbeat() == NONE {}
    for version in 0..=6 {
        for (name, state, protocol_type, members) in [
            ("simple", "Empty", "", 0),
            ("empty", "Empty", "consumer", 0),
            ("completing", "CompletingRebalance", "consumer", 1),
            ("preparing", "PreparingRebalance", "consumer", 2),
        ] {
            let group = describe(&mut wire, version, name);
            assert_eq!((group.error_code, group.group_state.as_str()), (NONE, state), "v{version} {name}");
            assert_eq!((group.protocol_type.as_str(), group.members.len()), (protocol_type, members), "{name}");
            assert!(group.protocol_data.is_empty());
            assert!(group.members.iter().all(|member| member.member_metadata.is_empty()));
        }
    }
}

#[test]
fn a_group_that_is_not_there_is_dead() {
    let server = start();
    let mut wire = server.wire();
    for version in 0..=6 {
        let group = describe(&mut wire, version, "none");
        assert_eq!(group.group_state.as_str(), "Dead");
        let error = if version >= 6 { GROUP_ID_NOT_FOUND } else { NONE };
        assert_eq!((group.error_code, group.error_message.is_some()), (error, version >= 6), "v{version}");
    }
}

#[test]
fn operations_are_shown_when_asked_for() {
    let server = start();
    let _member = Member::alone(&server, "g");
    let mut wire = server.wire();
    for version in 3..=6 {
        for (is_asked, expected) in [(true, 0b1_0100_1000), (false, i32::MIN)] {
            let request = DescribeGroupsRequest::default()
                .with_groups(vec![id("g")])
                .with_include_authorized_operations(is_asked);
            assert_eq!(wire.call(version, &request).groups[0].authorized_operations, expected, "v{version}");
        }
    }
}

#[test]
fn a_static_member_is_shown_with_its_instance_id() {
    let server = start();
    let mut wire = server.wire();
    let joined = wire.call(9, &join_request(9, "g", "").with_group_instance_id(Some(text("i"))));
    assert_eq!(joined.error_code, NONE);
    for version in 0..=6 {
        let shown = describe(&mut wire, version, "g").members.remove(0).group_instance_id;
        assert_eq!(shown.as_deref(), (version >= 4).then_some("i"), "v{version}");
    }
}
