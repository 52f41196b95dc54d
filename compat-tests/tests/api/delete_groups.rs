//! `DeleteGroups`: every version, every error.

use kafka_protocol::messages::{DeleteGroupsRequest, GroupId};
use millpond_compat_tests::requests::{commit, create_topic, position};

use crate::group::{GROUP_ID_NOT_FOUND, Member, NON_EMPTY_GROUP, NONE, id, start};

#[test]
fn groups_go_with_their_positions_unless_somebody_is_in_them() {
    let mut server = start();
    let mut wire = server.wire();
    assert_eq!(wire.call(7, &create_topic("t", 1)).topics[0].error_code, NONE);
    for version in 0..=2 {
        assert_eq!(wire.call(9, &commit("simple", "t", 0, 5, "")).topics[0].partitions[0].error_code, NONE);
        Member::alone(&server, "empty").leave();
        let _working = Member::alone(&server, &format!("working{version}"));
        let working = format!("working{version}");
        let names = ["simple", "empty", &working, "none", "simple", ""];
        let names: Vec<GroupId> = names.iter().map(|name| id(name)).collect();
        let answer = wire.call(version, &DeleteGroupsRequest::default().with_groups_names(names));
        let mut results: Vec<_> =
            answer.results.iter().map(|result| (result.group_id.as_str(), result.error_code)).collect();
        results.sort_unstable();
        let expected = [
            ("", GROUP_ID_NOT_FOUND),
            ("empty", NONE),
            ("none", GROUP_ID_NOT_FOUND),
            ("simple", NONE),
            (working.as_str(), NON_EMPTY_GROUP),
        ];
        assert_eq!(results, expected, "v{version}");
        let found = wire.call(8, &position("simple", "t", 0));
        assert_eq!(found.groups[0].topics[0].partitions[0].committed_offset, -1, "v{version}");
    }
    server.kill();
    server.restart();
    let found = server.wire().call(8, &position("simple", "t", 0));
    assert_eq!(found.groups[0].topics[0].partitions[0].committed_offset, -1, "it does not come back");
}
