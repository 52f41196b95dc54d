//! `ListGroups`: every version, filters.

use kafka_protocol::messages::ListGroupsRequest;
use millpond_compat_tests::requests::{commit, create_topic, text};

use crate::group::{Member, NONE, start};

#[test]
fn groups_with_members_and_groups_with_positions_are_listed() {
    let server = start();
    let mut wire = server.wire();
    assert_eq!(wire.call(7, &create_topic("t", 1)).topics[0].error_code, NONE);
    assert_eq!(wire.call(9, &commit("simple", "t", 0, 5, "")).topics[0].partitions[0].error_code, NONE);
    let _member = Member::alone(&server, "working");
    let mut gone = Member::alone(&server, "empty");
    gone.leave();
    for version in 0..=5 {
        let answer = wire.call(version, &ListGroupsRequest::default());
        assert_eq!(answer.error_code, NONE, "v{version}");
        let state = |state: &'static str| if version >= 4 { state } else { "" };
        let kind = if version >= 5 { "classic" } else { "" };
        let mut groups: Vec<_> = answer
            .groups
            .iter()
            .map(|group| [&*group.group_id.0, &*group.protocol_type, &*group.group_state, &*group.group_type])
            .collect();
        groups.sort_unstable();
        let expected = [
            ["empty", "consumer", state("Empty"), kind],
            ["simple", "", state("Empty"), kind],
            ["working", "consumer", state("Stable"), kind],
        ];
        assert_eq!(groups, expected, "v{version}");
    }
}

#[test]
fn states_and_types_filter() {
    let server = start();
    let mut wire = server.wire();
    let _member = Member::alone(&server, "working");
    Member::alone(&server, "empty").leave();
    let mut names = |version: i16, states: &[&str], types: &[&str]| {
        let filter = |values: &[&str]| values.iter().map(|value| text(value)).collect();
        let request = ListGroupsRequest::default().with_states_filter(filter(states)).with_types_filter(filter(types));
        let groups = wire.call(version, &request).groups;
        let mut names: Vec<_> = groups.into_iter().map(|group| group.group_id.to_string()).collect();
        names.sort_unstable();
        names
    };
    for version in 4..=5 {
        assert_eq!(names(version, &["stable"], &[]), ["working"], "case does not matter");
        assert_eq!(names(version, &["Empty", "Dead"], &[]), ["empty"]);
        assert_eq!(names(version, &["Stable", "Empty"], &[]), ["empty", "working"]);
        assert!(names(version, &["Nonsense"], &[]).is_empty());
    }
    assert_eq!(names(5, &[], &["Classic"]), ["empty", "working"]);
    assert_eq!(names(5, &["Stable"], &["classic", "consumer"]), ["working"]);
    assert!(names(5, &[], &["consumer"]).is_empty());
    assert!(names(5, &[], &["nonsense"]).is_empty());
}
