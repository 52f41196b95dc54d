//! `OffsetCommit`: every version, every error.

use kafka_protocol::messages::OffsetCommitRequest;
use kafka_protocol::messages::offset_commit_request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic};
use millpond_compat_tests::requests::{commit, create_topic, name, position, text};
use millpond_compat_tests::wire::Wire;

use crate::group::{
    FENCED_INSTANCE_ID, ILLEGAL_GENERATION, INVALID_GROUP_ID, Member, NONE, OFFSET_METADATA_TOO_LARGE,
    REBALANCE_IN_PROGRESS, UNKNOWN_MEMBER_ID, UNKNOWN_TOPIC_OR_PARTITION, builder, join_request, start, sync_request,
};

fn create(wire: &mut Wire) {
    assert_eq!(wire.call(7, &create_topic("t", 2)).topics[0].error_code, NONE);
}

/// The one answer to a request with one position.
fn code(wire: &mut Wire, version: i16, request: &OffsetCommitRequest) -> i16 {
    let answer = wire.call(version, request);
    assert_eq!((answer.topics.len(), answer.topics[0].partitions.len()), (1, 1));
    answer.topics[0].partitions[0].error_code
}

fn as_member(member: &Member) -> OffsetCommitRequest {
    commit(&member.group, "t", 0, 7, "by a member")
        .with_member_id(member.id.clone())
        .with_generation_id_or_member_epoch(member.generation)
}

#[test]
fn anybody_commits_to_a_group_without_members_in_every_version() {
    let mut server = start();
    let mut wire = server.wire();
    create(&mut wire);
    for version in 2..=9 {
        let mut request = commit("g", "t", 1, 100 + i64::from(version), "note");
        if version >= 6 {
            request.topics[0].partitions[0].committed_leader_epoch = 0;
        }
        if version <= 4 {
            request.retention_time_ms = 1;
        }
        assert_eq!(code(&mut wire, version, &request), NONE, "v{version}");
        let found = wire.call(8, &position("g", "t", 1)).groups[0].topics[0].partitions[0].clone();
        assert_eq!((found.committed_offset, found.metadata.as_deref()), (100 + i64::from(version), Some("note")));
        assert_eq!(found.committed_leader_epoch, if version >= 6 { 0 } else { -1 }, "v{version}");
    }
    server.kill();
    server.restart();
    let found = server.wire().call(8, &position("g", "t", 1)).groups[0].topics[0].partitions[0].clone();
    assert_eq!(found.committed_offset, 109, "what was acknowledged is there");
}

#[test]
fn each_position_fails_alone() {
    let server = builder().set("groups.offset_metadata_bytes_max", "10").start();
    let mut wire = server.wire();
    create(&mut wire);
    let partition = |index, note: &str| {
        OffsetCommitRequestPartition::default()
            .with_partition_index(index)
            .with_committed_offset(5)
            .with_committed_metadata(Some(text(note)))
    };
    let topic =
        |topic, partitions| OffsetCommitRequestTopic::default().with_name(name(topic)).with_partitions(partitions);
    let topics = vec![
        topic("t", vec![partition(0, "ten bytes."), partition(1, "eleven byte"), partition(2, ""), partition(-1, "")]),
        topic("none", vec![partition(0, "")]),
        topic("not/legal", vec![partition(0, "")]),
    ];
    let request = commit("g", "t", 0, 0, "").with_topics(topics);
    for version in 2..=9 {
        let answer = wire.call(version, &request);
        let codes: Vec<Vec<i16>> = answer
            .topics
            .iter()
            .map(|topic| topic.partitions.iter().map(|partition| partition.error_code).collect())
            .collect();
        let unknown = UNKNOWN_TOPIC_OR_PARTITION;
        let expected = [vec![NONE, OFFSET_METADATA_TOO_LARGE, unknown, unknown], vec![unknown], vec![unknown]];
        assert_eq!(codes, expected, "v{version}");
        assert_eq!(answer.topics[2].name.as_str(), "not/legal");
    }
}

#[test]
fn a_group_whose_id_no_position_can_hold_commits_none() {
    let server = start();
    let mut wire = server.wire();
    create(&mut wire);
    // Longer than a text in the format of positions; only flexible versions can say it.
    let request = commit(&"g".repeat(1 << 15), "t", 0, 5, "");
    for version in 8..=9 {
        assert_eq!(code(&mut wire, version, &request), INVALID_GROUP_ID, "v{version}");
    }
}

#[test]
fn no_metadata_are_empty_metadata() {
    let server = start();
    let mut wire = server.wire();
    create(&mut wire);
    let mut request = commit("g", "t", 0, 5, "");
    request.topics[0].partitions[0].committed_metadata = None;
    assert_eq!(code(&mut wire, 9, &request), NONE);
    let found = wire.call(8, &position("g", "t", 0)).groups[0].topics[0].partitions[0].clone();
    assert_eq!(found.metadata.as_deref(), Some(""));
}

#[test]
fn members_commit_in_their_generation() {
    let server = start();
    let mut member = Member::alone(&server, "g");
    create(&mut member.wire);
    let good = as_member(&member);
    for version in 2..=9 {
        for (request, error) in [
            (good.clone(), NONE),
            (good.clone().with_generation_id_or_member_epoch(0), ILLEGAL_GENERATION),
            (good.clone().with_member_id(text("stranger")), UNKNOWN_MEMBER_ID),
            (commit("g", "t", 0, 5, ""), UNKNOWN_MEMBER_ID),
            (as_member(&member).with_group_id(crate::group::id("none")), UNKNOWN_MEMBER_ID),
        ] {
            assert_eq!(code(&mut member.wire, version, &request), error, "v{version}");
        }
    }
    let mut second = server.wire();
    let second_id = second.call(9, &join_request(9, "g", "")).member_id;
    let waiting = second.send(9, &join_request(9, "g", &second_id));
    while member.heartbeat() == NONE {}
    assert_eq!(code(&mut member.wire, 9, &good), NONE, "on the way to a rebalance members commit");
    member.generation = member.wire.call(9, &join_request(9, "g", &member.id)).generation_id;
    assert_eq!(second.receive(waiting).error_code, NONE);
    let request = as_member(&member);
    assert_eq!(code(&mut member.wire, 9, &request), REBALANCE_IN_PROGRESS, "what it was assigned is not known yet");
}

#[test]
fn a_replaced_static_member_is_fenced() {
    let server = start();
    let mut wire = server.wire();
    create(&mut wire);
    let request = join_request(9, "g", "").with_group_instance_id(Some(text("i")));
    let joined = wire.call(9, &request);
    assert_eq!(wire.call(5, &sync_request(5, "g", &joined)).error_code, NONE);
    wire.call(9, &request);
    let stale = commit("g", "t", 0, 5, "")
        .with_member_id(joined.member_id)
        .with_generation_id_or_member_epoch(joined.generation_id)
        .with_group_instance_id(Some(text("i")));
    for version in 7..=9 {
        assert_eq!(code(&mut wire, version, &stale), FENCED_INSTANCE_ID, "v{version}");
    }
}
