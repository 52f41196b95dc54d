//! The broker itself.

use kafka_protocol::messages::{ApiKey, describe_quorum_request};

use super::super::{INT8, INT32, STRING, Schema, field, records};

pub(super) const API_VERSIONS: Schema = Schema {
    key: ApiKey::ApiVersions,
    name: "ApiVersions",
    min: 0,
    max: 4,
    flexible_from: 3,
    fields: &[field("client_software_name", STRING).from(3), field("client_software_version", STRING).from(3)],
};

pub(super) const DESCRIBE_CLUSTER: Schema = Schema {
    key: ApiKey::DescribeCluster,
    name: "DescribeCluster",
    min: 0,
    max: 2,
    flexible_from: 0,
    fields: &[
        field("include_cluster_authorized_operations", INT8),
        field("endpoint_type", INT8).from(1),
        field("include_fenced_brokers", INT8).from(2),
    ],
};

pub(super) const DESCRIBE_QUORUM: Schema = Schema {
    key: ApiKey::DescribeQuorum,
    name: "DescribeQuorum",
    min: 0,
    max: 2,
    flexible_from: 0,
    fields: &[records::<describe_quorum_request::TopicData>(
        "topics",
        &[
            field("topic_name", STRING),
            records::<describe_quorum_request::PartitionData>("partitions", &[field("partition_index", INT32)]),
        ],
    )],
};

pub(super) const DESCRIBE_ACLS: Schema = Schema {
    key: ApiKey::DescribeAcls,
    name: "DescribeAcls",
    min: 1,
    max: 3,
    flexible_from: 2,
    fields: &[
        field("resource_type_filter", INT8),
        field("resource_name_filter", STRING),
        field("pattern_type_filter", INT8),
        field("principal_filter", STRING),
        field("host_filter", STRING),
        field("operation", INT8),
        field("permission_type", INT8),
    ],
};
