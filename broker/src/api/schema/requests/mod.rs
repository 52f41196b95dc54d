//! Every request that has a schema, one constant each. To serve another API, add its request here: copy the fields from
//! the codec's `impl Decodable` in their order; the tests of the folder above say whether that was done right.

mod cluster;
mod data;
mod groups;
mod topics;

use super::Schema;

/// All of them.
pub const REQUESTS: [Schema; 35] = [
    data::PRODUCE,
    data::FETCH,
    data::LIST_OFFSETS,
    data::DELETE_RECORDS,
    data::OFFSET_FOR_LEADER_EPOCH,
    data::INIT_PRODUCER_ID,
    data::DESCRIBE_PRODUCERS,
    groups::FIND_COORDINATOR,
    groups::JOIN_GROUP,
    groups::SYNC_GROUP,
    groups::HEARTBEAT,
    groups::LEAVE_GROUP,
    groups::OFFSET_COMMIT,
    groups::OFFSET_FETCH,
    groups::OFFSET_DELETE,
    groups::LIST_GROUPS,
    groups::DESCRIBE_GROUPS,
    groups::DELETE_GROUPS,
    topics::METADATA,
    topics::DESCRIBE_TOPIC_PARTITIONS,
    topics::CREATE_TOPICS,
    topics::DELETE_TOPICS,
    topics::CREATE_PARTITIONS,
    topics::DESCRIBE_CONFIGS,
    topics::ALTER_CONFIGS,
    topics::INCREMENTAL_ALTER_CONFIGS,
    topics::LIST_CONFIG_RESOURCES,
    topics::DESCRIBE_LOG_DIRS,
    topics::ELECT_LEADERS,
    topics::ALTER_PARTITION_REASSIGNMENTS,
    topics::LIST_PARTITION_REASSIGNMENTS,
    cluster::API_VERSIONS,
    cluster::DESCRIBE_CLUSTER,
    cluster::DESCRIBE_QUORUM,
    cluster::DESCRIBE_ACLS,
];
