//! `LeaveGroup`: every version, every error, batches.

use kafka_protocol::messages::LeaveGroupRequest;
use kafka_protocol::messages::leave_group_request::MemberIdentity;
use millpond_compat_tests::requests::text;

use crate::group::{
    FENCED_INSTANCE_ID, INVALID_GROUP_ID, Member, NONE, UNKNOWN_MEMBER_ID, id, join, join_request, start, sync_request,
};

#[test]
fn one_member_leaves_in_the_old_versions() {
    let server = start();
    for version in 0..=2 {
        let mut member = Member::alone(&server, "g");
        let request = |member_id| LeaveGroupRequest::default().with_group_id(id("g")).with_member_id(member_id);
        let own = request(member.id.clone());
        assert_eq!(member.wire.call(version, &request(text("stranger"))).error_code, UNKNOWN_MEMBER_ID, "v{version}");
        assert_eq!(member.wire.call(version, &own).error_code, NONE, "v{version}");
        assert_eq!(member.wire.call(version, &own).error_code, UNKNOWN_MEMBER_ID, "v{version}");
        assert_eq!(member.wire.call(version, &own.with_group_id(id(""))).error_code, INVALID_GROUP_ID, "v{version}");
    }
}

#[test]
fn several_leave_at_once_and_each_is_answered() {
    let server = start();
    for version in 3..=5 {
        let group = format!("g{version}");
        let mut wire = server.wire();
        let joined = join(&mut wire, 9, &group);
        let pending = wire.call(9, &join_request(9, &group, "")).member_id;
        let leaver = |member_id, instance: Option<&str>| {
            let leaver = MemberIdentity::default().with_member_id(member_id);
            let leaver = leaver.with_group_instance_id(instance.map(text));
            if version >= 5 { leaver.with_reason(Some(text("done"))) } else { leaver }
        };
        let members = vec![
            leaver(text("stranger"), None),
            leaver(text(""), Some("nobody")),
            leaver(pending, None),
            leaver(joined.member_id.clone(), Some("nobody")),
            leaver(joined.member_id.clone(), None),
            leaver(joined.member_id, None),
        ];
        let request = LeaveGroupRequest::default().with_group_id(id(&group)).with_members(members.clone());
        let answer = wire.call(version, &request);
        assert_eq!(answer.error_code, NONE, "v{version}");
        let unknown = UNKNOWN_MEMBER_ID;
        let codes: Vec<i16> = answer.members.iter().map(|member| member.error_code).collect();
        assert_eq!(codes, [unknown, unknown, NONE, unknown, NONE, unknown], "v{version}");
        for (asked, answered) in members.iter().zip(&answer.members) {
            assert_eq!(
                (&asked.member_id, &asked.group_instance_id),
                (&answered.member_id, &answered.group_instance_id)
            );
        }
        let answer = wire.call(version, &request.clone().with_group_id(id("none")));
        assert!(answer.members.iter().all(|member| member.error_code == UNKNOWN_MEMBER_ID), "v{version}");
        assert_eq!(wire.call(version, &request.with_group_id(id(""))).error_code, INVALID_GROUP_ID, "v{version}");
    }
}

#[test]
fn a_static_member_is_removed_by_its_instance_id_but_not_by_a_former_id() {
    let server = start();
    let mut wire = server.wire();
    for version in 3..=5 {
        let request = join_request(9, "g", "").with_group_instance_id(Some(text("i")));
        let joined = wire.call(9, &request);
        assert_eq!(wire.call(5, &sync_request(5, "g", &joined)).error_code, NONE);
        let again = wire.call(9, &request);
        assert_ne!(again.member_id, joined.member_id);
        let mut leave = |member_id| {
            let member = MemberIdentity::default().with_member_id(member_id).with_group_instance_id(Some(text("i")));
            let request = LeaveGroupRequest::default().with_group_id(id("g")).with_members(vec![member]);
            wire.call(version, &request).members[0].error_code
        };
        assert_eq!(leave(joined.member_id), FENCED_INSTANCE_ID, "v{version}");
        assert_eq!(leave(text("")), NONE, "v{version}");
        assert_eq!(leave(text("")), UNKNOWN_MEMBER_ID, "v{version}");
    }
}
