//! One request of each API that names a topic, and the code that it is answered by.

use std::sync::Arc;

use kafka_protocol::messages::alter_partition_reassignments_request::{ReassignablePartition, ReassignableTopic};
use kafka_protocol::messages::create_partitions_request::CreatePartitionsTopic;
use kafka_protocol::messages::create_topics_request::CreatableTopic;
use kafka_protocol::messages::delete_records_request::{DeleteRecordsPartition, DeleteRecordsTopic};
use kafka_protocol::messages::describe_configs_request::DescribeConfigsResource;
use kafka_protocol::messages::describe_topic_partitions_request::TopicRequest;
use kafka_protocol::messages::elect_leaders_request::TopicPartitions;
use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::offset_commit_request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic};
use kafka_protocol::messages::offset_delete_request::{OffsetDeleteRequestPartition, OffsetDeleteRequestTopic};
use kafka_protocol::messages::offset_fetch_request::{OffsetFetchRequestGroup, OffsetFetchRequestTopics};
use kafka_protocol::messages::offset_for_leader_epoch_request::{OffsetForLeaderPartition, OffsetForLeaderTopic};
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::*;
use kafka_protocol::protocol::StrBytes;

use super::super::configs::TOPIC;
use super::super::*;
use super::support::{call, ctx, fetch, fetch_request, name};
use crate::broker::{Broker, Scope};
use crate::topics::fixture::batch;

/// Who asks.
pub(super) struct Asker<'a> {
    pub(super) broker: &'a Arc<Broker>,
    pub(super) scope: Scope,
}

/// A group without members.
pub(super) fn group() -> GroupId {
    GroupId(StrBytes::from_static_str("app"))
}

/// That asks for the first record to be deleted.
pub(super) fn delete_records_request(topic: &str) -> DeleteRecordsRequest {
    let partition = DeleteRecordsPartition::default().with_offset(1);
    let topic = DeleteRecordsTopic::default().with_name(name(topic)).with_partitions(vec![partition]);
    DeleteRecordsRequest::default().with_topics(vec![topic])
}

impl Asker<'_> {
    /// What an API says of a topic (or its partition 0); none of one that names no topic, or leaves out what is not there.
    pub(super) async fn code(&self, key: ApiKey, topic: &str) -> Option<i16> {
        let text = StrBytes::from_string(topic.to_owned());
        let code = match key {
            ApiKey::Produce => self.produce(topic).await,
            ApiKey::Fetch => self.fetch(topic).await,
            ApiKey::ListOffsets => self.list_offsets(topic, -1, -1).await,
            ApiKey::Metadata => self.metadata(topic).await,
            ApiKey::OffsetCommit => self.commit(topic).await,
            ApiKey::OffsetFetch => self.position(topic).await,
            ApiKey::CreateTopics => self.create(topic).await,
            ApiKey::DeleteTopics => self.delete(topic).await,
            ApiKey::DeleteRecords => self.delete_records(topic).await,
            ApiKey::OffsetForLeaderEpoch => self.end_of_epoch(topic).await,
            ApiKey::DescribeConfigs => self.describe_configs(text).await,
            ApiKey::AlterConfigs => self.alter_configs(text).await,
            ApiKey::CreatePartitions => self.create_partitions(topic).await,
            ApiKey::ElectLeaders => self.elect(topic).await,
            ApiKey::IncrementalAlterConfigs => self.alter_one_config(text).await,
            ApiKey::AlterPartitionReassignments => self.reassign(topic).await,
            ApiKey::OffsetDelete => self.delete_position(topic).await,
            ApiKey::DescribeTopicPartitions => self.describe_partitions(topic).await,
            _ => return None,
        };
        Some(code)
    }

    pub(super) fn ctx(&self, api_version: i16) -> Context {
        ctx(self.broker, self.scope, api_version)
    }

    pub(super) async fn produce(&self, topic: &str) -> i16 {
        let data = PartitionProduceData::default().with_records(Some(batch(&["x"])));
        let topic = TopicProduceData::default().with_name(name(topic)).with_partition_data(vec![data]);
        let request = ProduceRequest::default().with_acks(-1).with_topic_data(vec![topic]);
        let answer = call::<produce::Produce>(&self.ctx(9), request).await;
        answer.responses[0].partition_responses[0].error_code
    }

    async fn fetch(&self, topic: &str) -> i16 {
        let answer = fetch(&self.ctx(12), fetch_request(topic, 0, -1, 0)).await;
        answer.responses[0].partitions[0].error_code
    }

    /// Asks for a time, or what stands for one, by who takes `epoch` for the current one.
    pub(super) async fn list_offsets(&self, topic: &str, time: i64, epoch: i32) -> i16 {
        let asked = ListOffsetsPartition::default().with_timestamp(time).with_current_leader_epoch(epoch);
        let topic = ListOffsetsTopic::default().with_name(name(topic)).with_partitions(vec![asked]);
        let request = ListOffsetsRequest::default().with_topics(vec![topic]);
        call::<list_offsets::ListOffsets>(&self.ctx(7), request).await.topics[0].partitions[0].error_code
    }

    async fn metadata(&self, topic: &str) -> i16 {
        let asked = MetadataRequestTopic::default().with_name(Some(name(topic)));
        let request = MetadataRequest::default().with_topics(Some(vec![asked])).with_allow_auto_topic_creation(false);
        call::<metadata::Metadata>(&self.ctx(9), request).await.topics[0].error_code
    }

    async fn commit(&self, topic: &str) -> i16 {
        let position = OffsetCommitRequestPartition::default().with_committed_offset(1);
        let topic = OffsetCommitRequestTopic::default().with_name(name(topic)).with_partitions(vec![position]);
        let request = OffsetCommitRequest::default()
            .with_group_id(group())
            .with_generation_id_or_member_epoch(-1)
            .with_topics(vec![topic]);
        call::<offset_commit::OffsetCommit>(&self.ctx(8), request).await.topics[0].partitions[0].error_code
    }

    async fn position(&self, topic: &str) -> i16 {
        let topic = OffsetFetchRequestTopics::default().with_name(name(topic)).with_partition_indexes(vec![0]);
        let asked = OffsetFetchRequestGroup::default().with_group_id(group()).with_topics(Some(vec![topic]));
        let request = OffsetFetchRequest::default().with_groups(vec![asked]);
        call::<offset_fetch::OffsetFetch>(&self.ctx(8), request).await.groups[0].error_code
    }

    async fn delete_position(&self, topic: &str) -> i16 {
        let position = OffsetDeleteRequestPartition::default();
        let topic = OffsetDeleteRequestTopic::default().with_name(name(topic)).with_partitions(vec![position]);
        let request = OffsetDeleteRequest::default().with_group_id(group()).with_topics(vec![topic]);
        call::<offset_delete::OffsetDelete>(&self.ctx(0), request).await.topics[0].partitions[0].error_code
    }

    async fn create(&self, topic: &str) -> i16 {
        let topic = CreatableTopic::default().with_name(name(topic)).with_num_partitions(1).with_replication_factor(1);
        let request = CreateTopicsRequest::default().with_topics(vec![topic]);
        call::<create_topics::CreateTopics>(&self.ctx(7), request).await.topics[0].error_code
    }

    async fn delete(&self, topic: &str) -> i16 {
        let request = DeleteTopicsRequest::default().with_topic_names(vec![name(topic)]);
        call::<delete_topics::DeleteTopics>(&self.ctx(5), request).await.responses[0].error_code
    }

    async fn delete_records(&self, topic: &str) -> i16 {
        let request = delete_records_request(topic);
        call::<delete_records::DeleteRecords>(&self.ctx(2), request).await.topics[0].partitions[0].error_code
    }

    async fn end_of_epoch(&self, topic: &str) -> i16 {
        let asked = OffsetForLeaderPartition::default().with_current_leader_epoch(-1);
        let topic = OffsetForLeaderTopic::default().with_topic(name(topic)).with_partitions(vec![asked]);
        let request = OffsetForLeaderEpochRequest::default().with_topics(vec![topic]);
        let answer = call::<offset_for_leader_epoch::OffsetForLeaderEpoch>(&self.ctx(4), request).await;
        answer.topics[0].partitions[0].error_code
    }

    async fn describe_configs(&self, topic: StrBytes) -> i16 {
        let asked = DescribeConfigsResource::default().with_resource_type(TOPIC).with_resource_name(topic);
        let request = DescribeConfigsRequest::default().with_resources(vec![asked]);
        call::<describe_configs::DescribeConfigs>(&self.ctx(4), request).await.results[0].error_code
    }

    async fn alter_configs(&self, topic: StrBytes) -> i16 {
        use kafka_protocol::messages::alter_configs_request::{AlterConfigsResource, AlterableConfig};
        let key = AlterableConfig::default()
            .with_name(StrBytes::from_static_str("retention.ms"))
            .with_value(Some(StrBytes::from_static_str("5000")));
        let asked = AlterConfigsResource::default().with_resource_type(TOPIC).with_resource_name(topic);
        let request = AlterConfigsRequest::default().with_resources(vec![asked.with_configs(vec![key])]);
        call::<alter_configs::AlterConfigs>(&self.ctx(2), request).await.responses[0].error_code
    }

    async fn alter_one_config(&self, topic: StrBytes) -> i16 {
        use kafka_protocol::messages::incremental_alter_configs_request::{AlterConfigsResource, AlterableConfig};
        let key = AlterableConfig::default()
            .with_name(StrBytes::from_static_str("retention.ms"))
            .with_value(Some(StrBytes::from_static_str("6000")));
        let asked = AlterConfigsResource::default().with_resource_type(TOPIC).with_resource_name(topic);
        let request = IncrementalAlterConfigsRequest::default().with_resources(vec![asked.with_configs(vec![key])]);
        call::<incremental_alter_configs::IncrementalAlterConfigs>(&self.ctx(1), request).await.responses[0].error_code
    }

    async fn create_partitions(&self, topic: &str) -> i16 {
        let topic = CreatePartitionsTopic::default().with_name(name(topic)).with_count(9).with_assignments(None);
        let request = CreatePartitionsRequest::default().with_topics(vec![topic]);
        call::<create_partitions::CreatePartitions>(&self.ctx(3), request).await.results[0].error_code
    }

    async fn elect(&self, topic: &str) -> i16 {
        let topic = TopicPartitions::default().with_topic(name(topic)).with_partitions(vec![0]);
        let request = ElectLeadersRequest::default().with_topic_partitions(Some(vec![topic]));
        let answer = call::<elect_leaders::ElectLeaders>(&self.ctx(2), request).await;
        answer.replica_election_results[0].partition_result[0].error_code
    }

    async fn reassign(&self, topic: &str) -> i16 {
        let partition = ReassignablePartition::default().with_replicas(Some(vec![BrokerId(1)]));
        let topic = ReassignableTopic::default().with_name(name(topic)).with_partitions(vec![partition]);
        let request = AlterPartitionReassignmentsRequest::default().with_topics(vec![topic]);
        let answer = call::<alter_partition_reassignments::AlterPartitionReassignments>(&self.ctx(1), request).await;
        answer.responses[0].partitions[0].error_code
    }

    async fn describe_partitions(&self, topic: &str) -> i16 {
        let request =
            DescribeTopicPartitionsRequest::default().with_topics(vec![TopicRequest::default().with_name(name(topic))]);
        let answer = call::<describe_topic_partitions::DescribeTopicPartitions>(&self.ctx(0), request).await;
        answer.topics[0].error_code
    }
}
