//! Topics, their partitions, settings and places.

use kafka_protocol::messages::{
    ApiKey, alter_configs_request, alter_partition_reassignments_request, create_partitions_request,
    create_topics_request, delete_topics_request, describe_configs_request, describe_log_dirs_request,
    describe_topic_partitions_request, elect_leaders_request, incremental_alter_configs_request,
    list_partition_reassignments_request, metadata_request,
};
use kafka_protocol::protocol::StrBytes;

use super::super::{INT8, INT16, INT32, STRING, Schema, UUID, field, optional, records, values};

pub(super) const METADATA: Schema = Schema {
    key: ApiKey::Metadata,
    name: "Metadata",
    min: 0,
    max: 13,
    flexible_from: 9,
    fields: &[
        records::<metadata_request::MetadataRequestTopic>(
            "topics",
            &[field("topic_id", UUID).from(10), field("name", STRING)],
        ),
        field("allow_auto_topic_creation", INT8).from(4),
        field("include_cluster_authorized_operations", INT8).from(8).to(10),
        field("include_topic_authorized_operations", INT8).from(8),
    ],
};

pub(super) const DESCRIBE_TOPIC_PARTITIONS: Schema = Schema {
    key: ApiKey::DescribeTopicPartitions,
    name: "DescribeTopicPartitions",
    min: 0,
    max: 0,
    flexible_from: 0,
    fields: &[
        records::<describe_topic_partitions_request::TopicRequest>("topics", &[field("name", STRING)]),
        field("response_partition_limit", INT32),
        optional("cursor", &[field("topic_name", STRING), field("partition_index", INT32)]),
    ],
};

pub(super) const CREATE_TOPICS: Schema = Schema {
    key: ApiKey::CreateTopics,
    name: "CreateTopics",
    min: 2,
    max: 7,
    flexible_from: 5,
    fields: &[
        records::<create_topics_request::CreatableTopic>(
            "topics",
            &[
                field("name", STRING),
                field("num_partitions", INT32),
                field("replication_factor", INT16),
                records::<create_topics_request::CreatableReplicaAssignment>(
                    "assignments",
                    &[field("partition_index", INT32), values::<i32>("broker_ids", &INT32)],
                ),
                records::<create_topics_request::CreatableTopicConfig>(
                    "configs",
                    &[field("name", STRING), field("value", STRING)],
                ),
            ],
        ),
        field("timeout_ms", INT32),
        field("validate_only", INT8),
    ],
};

pub(super) const DELETE_TOPICS: Schema = Schema {
    key: ApiKey::DeleteTopics,
    name: "DeleteTopics",
    min: 1,
    max: 6,
    flexible_from: 4,
    fields: &[
        records::<delete_topics_request::DeleteTopicState>("topics", &[field("name", STRING), field("topic_id", UUID)])
            .from(6),
        values::<StrBytes>("topic_names", &STRING).to(5),
        field("timeout_ms", INT32),
    ],
};

pub(super) const CREATE_PARTITIONS: Schema = Schema {
    key: ApiKey::CreatePartitions,
    name: "CreatePartitions",
    min: 0,
    max: 3,
    flexible_from: 2,
    fields: &[
        records::<create_partitions_request::CreatePartitionsTopic>(
            "topics",
            &[
                field("name", STRING),
                field("count", INT32),
                records::<create_partitions_request::CreatePartitionsAssignment>(
                    "assignments",
                    &[values::<i32>("broker_ids", &INT32)],
                ),
            ],
        ),
        field("timeout_ms", INT32),
        field("validate_only", INT8),
    ],
};

pub(super) const DESCRIBE_CONFIGS: Schema = Schema {
    key: ApiKey::DescribeConfigs,
    name: "DescribeConfigs",
    min: 1,
    max: 4,
    flexible_from: 4,
    fields: &[
        records::<describe_configs_request::DescribeConfigsResource>(
            "resources",
            &[
                field("resource_type", INT8),
                field("resource_name", STRING),
                values::<StrBytes>("configuration_keys", &STRING),
            ],
        ),
        field("include_synonyms", INT8),
        field("include_documentation", INT8).from(3),
    ],
};

pub(super) const ALTER_CONFIGS: Schema = Schema {
    key: ApiKey::AlterConfigs,
    name: "AlterConfigs",
    min: 0,
    max: 2,
    flexible_from: 2,
    fields: &[
        records::<alter_configs_request::AlterConfigsResource>(
            "resources",
            &[
                field("resource_type", INT8),
                field("resource_name", STRING),
                records::<alter_configs_request::AlterableConfig>(
                    "configs",
                    &[field("name", STRING), field("value", STRING)],
                ),
            ],
        ),
        field("validate_only", INT8),
    ],
};

pub(super) const INCREMENTAL_ALTER_CONFIGS: Schema = Schema {
    key: ApiKey::IncrementalAlterConfigs,
    name: "IncrementalAlterConfigs",
    min: 0,
    max: 1,
    flexible_from: 1,
    fields: &[
        records::<incremental_alter_configs_request::AlterConfigsResource>(
            "resources",
            &[
                field("resource_type", INT8),
                field("resource_name", STRING),
                records::<incremental_alter_configs_request::AlterableConfig>(
                    "configs",
                    &[field("name", STRING), field("config_operation", INT8), field("value", STRING)],
                ),
            ],
        ),
        field("validate_only", INT8),
    ],
};

pub(super) const LIST_CONFIG_RESOURCES: Schema = Schema {
    key: ApiKey::ListConfigResources,
    name: "ListConfigResources",
    min: 0,
    max: 1,
    flexible_from: 0,
    fields: &[values::<i8>("resource_types", &INT8).from(1)],
};

pub(super) const DESCRIBE_LOG_DIRS: Schema = Schema {
    key: ApiKey::DescribeLogDirs,
    name: "DescribeLogDirs",
    min: 1,
    max: 4,
    flexible_from: 2,
    fields: &[records::<describe_log_dirs_request::DescribableLogDirTopic>(
        "topics",
        &[field("topic", STRING), values::<i32>("partitions", &INT32)],
    )],
};

pub(super) const ELECT_LEADERS: Schema = Schema {
    key: ApiKey::ElectLeaders,
    name: "ElectLeaders",
    min: 0,
    max: 2,
    flexible_from: 2,
    fields: &[
        field("election_type", INT8).from(1),
        records::<elect_leaders_request::TopicPartitions>(
            "topic_partitions",
            &[field("topic", STRING), values::<i32>("partitions", &INT32)],
        ),
        field("timeout_ms", INT32),
    ],
};

pub(super) const ALTER_PARTITION_REASSIGNMENTS: Schema = Schema {
    key: ApiKey::AlterPartitionReassignments,
    name: "AlterPartitionReassignments",
    min: 0,
    max: 1,
    flexible_from: 0,
    fields: &[
        field("timeout_ms", INT32),
        field("allow_replication_factor_change", INT8).from(1),
        records::<alter_partition_reassignments_request::ReassignableTopic>(
            "topics",
            &[
                field("name", STRING),
                records::<alter_partition_reassignments_request::ReassignablePartition>(
                    "partitions",
                    &[field("partition_index", INT32), values::<i32>("replicas", &INT32)],
                ),
            ],
        ),
    ],
};

pub(super) const LIST_PARTITION_REASSIGNMENTS: Schema = Schema {
    key: ApiKey::ListPartitionReassignments,
    name: "ListPartitionReassignments",
    min: 0,
    max: 0,
    flexible_from: 0,
    fields: &[
        field("timeout_ms", INT32),
        records::<list_partition_reassignments_request::ListPartitionReassignmentsTopics>(
            "topics",
            &[field("name", STRING), values::<i32>("partition_indexes", &INT32)],
        ),
    ],
};
