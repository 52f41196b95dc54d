//! Consumer groups, their members and positions.

use kafka_protocol::messages::{
    ApiKey, join_group_request, leave_group_request, offset_commit_request, offset_delete_request,
    offset_fetch_request, sync_group_request,
};
use kafka_protocol::protocol::StrBytes;

use super::super::{BYTES, INT8, INT32, INT64, NEVER, STRING, Schema, field, records, values};

pub(super) const FIND_COORDINATOR: Schema = Schema {
    key: ApiKey::FindCoordinator,
    name: "FindCoordinator",
    min: 0,
    max: 6,
    flexible_from: 3,
    fields: &[
        field("key", STRING).to(3),
        field("key_type", INT8).from(1),
        values::<StrBytes>("coordinator_keys", &STRING).from(4),
    ],
};

pub(super) const JOIN_GROUP: Schema = Schema {
    key: ApiKey::JoinGroup,
    name: "JoinGroup",
    min: 0,
    max: 9,
    flexible_from: 6,
    fields: &[
        field("group_id", STRING),
        field("session_timeout_ms", INT32),
        field("rebalance_timeout_ms", INT32).from(1),
        field("member_id", STRING),
        field("group_instance_id", STRING).from(5),
        field("protocol_type", STRING),
        records::<join_group_request::JoinGroupRequestProtocol>(
            "protocols",
            &[field("name", STRING), field("metadata", BYTES)],
        ),
        field("reason", STRING).from(8),
    ],
};

pub(super) const SYNC_GROUP: Schema = Schema {
    key: ApiKey::SyncGroup,
    name: "SyncGroup",
    min: 0,
    max: 5,
    flexible_from: 4,
    fields: &[
        field("group_id", STRING),
        field("generation_id", INT32),
        field("member_id", STRING),
        field("group_instance_id", STRING).from(3),
        field("protocol_type", STRING).from(5),
        field("protocol_name", STRING).from(5),
        records::<sync_group_request::SyncGroupRequestAssignment>(
            "assignments",
            &[field("member_id", STRING), field("assignment", BYTES)],
        ),
    ],
};

pub(super) const HEARTBEAT: Schema = Schema {
    key: ApiKey::Heartbeat,
    name: "Heartbeat",
    min: 0,
    max: 4,
    flexible_from: 4,
    fields: &[
        field("group_id", STRING),
        field("generation_id", INT32),
        field("member_id", STRING),
        field("group_instance_id", STRING).from(3),
    ],
};

pub(super) const LEAVE_GROUP: Schema = Schema {
    key: ApiKey::LeaveGroup,
    name: "LeaveGroup",
    min: 0,
    max: 5,
    flexible_from: 4,
    fields: &[
        field("group_id", STRING),
        field("member_id", STRING).to(2),
        records::<leave_group_request::MemberIdentity>(
            "members",
            &[field("member_id", STRING), field("group_instance_id", STRING), field("reason", STRING).from(5)],
        )
        .from(3),
    ],
};

pub(super) const OFFSET_COMMIT: Schema = Schema {
    key: ApiKey::OffsetCommit,
    name: "OffsetCommit",
    min: 2,
    max: 9,
    flexible_from: 8,
    fields: &[
        field("group_id", STRING),
        field("generation_id_or_member_epoch", INT32),
        field("member_id", STRING),
        field("group_instance_id", STRING).from(7),
        field("retention_time_ms", INT64).to(4),
        records::<offset_commit_request::OffsetCommitRequestTopic>(
            "topics",
            &[
                field("name", STRING),
                records::<offset_commit_request::OffsetCommitRequestPartition>(
                    "partitions",
                    &[
                        field("partition_index", INT32),
                        field("committed_offset", INT64),
                        field("committed_leader_epoch", INT32).from(6),
                        field("committed_metadata", STRING),
                    ],
                ),
            ],
        ),
    ],
};

pub(super) const OFFSET_FETCH: Schema = Schema {
    key: ApiKey::OffsetFetch,
    name: "OffsetFetch",
    min: 1,
    max: 9,
    flexible_from: 6,
    fields: &[
        field("group_id", STRING).to(7),
        records::<offset_fetch_request::OffsetFetchRequestTopic>(
            "topics",
            &[field("name", STRING).to(7), values::<i32>("partition_indexes", &INT32).to(7)],
        )
        .to(7),
        records::<offset_fetch_request::OffsetFetchRequestGroup>(
            "groups",
            &[
                field("group_id", STRING),
                field("member_id", STRING).from(9),
                field("member_epoch", INT32).from(9),
                records::<offset_fetch_request::OffsetFetchRequestTopics>(
                    "topics",
                    &[field("name", STRING), values::<i32>("partition_indexes", &INT32)],
                ),
            ],
        )
        .from(8),
        field("require_stable", INT8).from(7),
    ],
};

pub(super) const OFFSET_DELETE: Schema = Schema {
    key: ApiKey::OffsetDelete,
    name: "OffsetDelete",
    min: 0,
    max: 0,
    flexible_from: NEVER,
    fields: &[
        field("group_id", STRING),
        records::<offset_delete_request::OffsetDeleteRequestTopic>(
            "topics",
            &[
                field("name", STRING),
                records::<offset_delete_request::OffsetDeleteRequestPartition>(
                    "partitions",
                    &[field("partition_index", INT32)],
                ),
            ],
        ),
    ],
};

pub(super) const LIST_GROUPS: Schema = Schema {
    key: ApiKey::ListGroups,
    name: "ListGroups",
    min: 0,
    max: 5,
    flexible_from: 3,
    fields: &[
        values::<StrBytes>("states_filter", &STRING).from(4),
        values::<StrBytes>("types_filter", &STRING).from(5),
    ],
};

pub(super) const DESCRIBE_GROUPS: Schema = Schema {
    key: ApiKey::DescribeGroups,
    name: "DescribeGroups",
    min: 0,
    max: 6,
    flexible_from: 5,
    fields: &[values::<StrBytes>("groups", &STRING), field("include_authorized_operations", INT8).from(3)],
};

pub(super) const DELETE_GROUPS: Schema = Schema {
    key: ApiKey::DeleteGroups,
    name: "DeleteGroups",
    min: 0,
    max: 2,
    flexible_from: 2,
    fields: &[values::<StrBytes>("groups_names", &STRING)],
};
