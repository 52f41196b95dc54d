//! Records: produced, fetched, found, deleted; and the producers of them.

use kafka_protocol::messages::{
    ApiKey, delete_records_request, describe_producers_request, fetch_request, list_offsets_request,
    offset_for_leader_epoch_request, produce_request,
};

use super::super::{BYTES, INT8, INT16, INT32, INT64, STRING, Schema, UUID, field, record, records, values};

pub(super) const PRODUCE: Schema = Schema {
    key: ApiKey::Produce,
    name: "Produce",
    min: 0,
    max: 13,
    flexible_from: 9,
    fields: &[
        field("transactional_id", STRING).from(3),
        field("acks", INT16),
        field("timeout_ms", INT32),
        records::<produce_request::TopicProduceData>(
            "topic_data",
            &[
                field("name", STRING).to(12),
                field("topic_id", UUID).from(13),
                records::<produce_request::PartitionProduceData>(
                    "partition_data",
                    &[field("index", INT32), field("records", BYTES)],
                ),
            ],
        ),
    ],
};

pub(super) const FETCH: Schema = Schema {
    key: ApiKey::Fetch,
    name: "Fetch",
    min: 4,
    max: 18,
    flexible_from: 12,
    fields: &[
        field("replica_id", INT32).to(14),
        field("max_wait_ms", INT32),
        field("min_bytes", INT32),
        field("max_bytes", INT32),
        field("isolation_level", INT8),
        field("session_id", INT32).from(7),
        field("session_epoch", INT32).from(7),
        records::<fetch_request::FetchTopic>(
            "topics",
            &[
                field("topic", STRING).to(12),
                field("topic_id", UUID).from(13),
                records::<fetch_request::FetchPartition>(
                    "partitions",
                    &[
                        field("partition", INT32),
                        field("current_leader_epoch", INT32).from(9),
                        field("fetch_offset", INT64),
                        field("last_fetched_epoch", INT32).from(12),
                        field("log_start_offset", INT64).from(5),
                        field("partition_max_bytes", INT32),
                        field("replica_directory_id", UUID).from(17).tagged(0),
                        field("high_watermark", INT64).from(18).tagged(1),
                    ],
                ),
            ],
        ),
        records::<fetch_request::ForgottenTopic>(
            "forgotten_topics_data",
            &[field("topic", STRING).to(12), field("topic_id", UUID).from(13), values::<i32>("partitions", &INT32)],
        )
        .from(7),
        field("rack_id", STRING).from(11),
        field("cluster_id", STRING).tagged(0),
        record("replica_state", &[field("replica_id", INT32), field("replica_epoch", INT64)]).from(15).tagged(1),
    ],
};

pub(super) const LIST_OFFSETS: Schema = Schema {
    key: ApiKey::ListOffsets,
    name: "ListOffsets",
    min: 1,
    max: 10,
    flexible_from: 6,
    fields: &[
        field("replica_id", INT32),
        field("isolation_level", INT8).from(2),
        records::<list_offsets_request::ListOffsetsTopic>(
            "topics",
            &[
                field("name", STRING),
                records::<list_offsets_request::ListOffsetsPartition>(
                    "partitions",
                    &[
                        field("partition_index", INT32),
                        field("current_leader_epoch", INT32).from(4),
                        field("timestamp", INT64),
                    ],
                ),
            ],
        ),
        field("timeout_ms", INT32).from(10),
    ],
};

pub(super) const DELETE_RECORDS: Schema = Schema {
    key: ApiKey::DeleteRecords,
    name: "DeleteRecords",
    min: 0,
    max: 2,
    flexible_from: 2,
    fields: &[
        records::<delete_records_request::DeleteRecordsTopic>(
            "topics",
            &[
                field("name", STRING),
                records::<delete_records_request::DeleteRecordsPartition>(
                    "partitions",
                    &[field("partition_index", INT32), field("offset", INT64)],
                ),
            ],
        ),
        field("timeout_ms", INT32),
    ],
};

pub(super) const OFFSET_FOR_LEADER_EPOCH: Schema = Schema {
    key: ApiKey::OffsetForLeaderEpoch,
    name: "OffsetForLeaderEpoch",
    min: 2,
    max: 4,
    flexible_from: 4,
    fields: &[
        field("replica_id", INT32).from(3),
        records::<offset_for_leader_epoch_request::OffsetForLeaderTopic>(
            "topics",
            &[
                field("topic", STRING),
                records::<offset_for_leader_epoch_request::OffsetForLeaderPartition>(
                    "partitions",
                    &[field("partition", INT32), field("current_leader_epoch", INT32), field("leader_epoch", INT32)],
                ),
            ],
        ),
    ],
};

pub(super) const INIT_PRODUCER_ID: Schema = Schema {
    key: ApiKey::InitProducerId,
    name: "InitProducerId",
    min: 0,
    max: 5,
    flexible_from: 2,
    fields: &[
        field("transactional_id", STRING),
        field("transaction_timeout_ms", INT32),
        field("producer_id", INT64).from(3),
        field("producer_epoch", INT16).from(3),
    ],
};

pub(super) const DESCRIBE_PRODUCERS: Schema = Schema {
    key: ApiKey::DescribeProducers,
    name: "DescribeProducers",
    min: 0,
    max: 0,
    flexible_from: 0,
    fields: &[records::<describe_producers_request::TopicRequest>(
        "topics",
        &[field("name", STRING), values::<i32>("partition_indexes", &INT32)],
    )],
};
