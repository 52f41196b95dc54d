//! Creating topics and asking for offsets.

use std::collections::BTreeMap;
use std::time::Duration;

use kafka_protocol::messages::create_topics_request::CreatableTopic;
use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::{BrokerId, CreateTopicsRequest, ListOffsetsRequest, ListOffsetsResponse};
use tokio::time::Instant;

use super::backoff::Backoff;
use super::cluster::{Client, topic_name};
use super::error::{ClientError, ErrorCode, Result};

/// How long the broker may take to create a topic.
const CREATE_WAIT: Duration = Duration::from_secs(30);
/// How long to go on asking for offsets while leaders change.
const OFFSETS_WAIT: Duration = Duration::from_secs(30);

/// What `ensure_topic` found or did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TopicState {
    /// It is new.
    Created,
    /// It was there already.
    Existing,
}

/// A moment in a partition's log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OffsetAt {
    /// The first offset that there is.
    Earliest,
    /// The offset that the next record will have.
    Latest,
    /// The first record at or after this time, in milliseconds since the epoch.
    Time(i64),
}

impl OffsetAt {
    fn code(self) -> i64 {
        match self {
            Self::Latest => -1,
            Self::Earliest => -2,
            Self::Time(milliseconds) => milliseconds.max(0),
        }
    }
}

impl Client {
    /// Creates a topic unless there is one, and waits until it has leaders. `None`: as many partitions as the broker likes.
    pub async fn ensure_topic(&self, topic: &str, partitions: Option<i32>) -> Result<TopicState> {
        match self.topic_with_leaders(topic).await {
            Ok(_) => return Ok(TopicState::Existing),
            Err(ClientError::UnknownTopic { .. }) => {}
            Err(error) => return Err(error),
        }
        let state = self.create_topic(topic, partitions).await?;
        self.await_topic(topic).await?;
        Ok(state)
    }

    async fn create_topic(&self, topic: &str, partitions: Option<i32>) -> Result<TopicState> {
        let creatable = CreatableTopic::default()
            .with_name(topic_name(topic))
            .with_num_partitions(partitions.unwrap_or(-1))
            .with_replication_factor(-1);
        let timeout_ms = i32::try_from(CREATE_WAIT.as_millis()).unwrap_or(i32::MAX);
        let request = CreateTopicsRequest::default().with_topics(vec![creatable]).with_timeout_ms(timeout_ms);
        let answer = self.controller().await?.submit(&request)?.receive(CREATE_WAIT).await?;
        let result = answer.topics.iter().find(|result| result.name.as_str() == topic);
        let code = result.map_or(Some(ErrorCode::UnknownServerError), |r| ErrorCode::try_from_code(r.error_code));
        match code {
            None => Ok(TopicState::Created),
            // Somebody else was faster.
            Some(ErrorCode::TopicAlreadyExists) => Ok(TopicState::Existing),
            Some(code) => {
                let message = result.and_then(|result| result.error_message.as_deref());
                Err(ClientError::refused(format!("creating topic {topic}"), code, message))
            }
        }
    }

    /// In a cluster a new topic reaches the other brokers' metadata a little later.
    async fn await_topic(&self, topic: &str) -> Result<()> {
        let deadline = Instant::now() + CREATE_WAIT;
        let mut backoff = Backoff::default();
        loop {
            match self.topic_with_leaders(topic).await {
                Err(ClientError::UnknownTopic { .. }) if Instant::now() < deadline => {
                    tokio::time::sleep(backoff.advance()).await;
                }
                outcome => return outcome.map(|_| ()),
            }
        }
    }

    /// The offset of `at` in each partition; for a time after the last record, the end.
    pub async fn offsets(&self, topic: &str, partitions: &[i32], at: OffsetAt) -> Result<BTreeMap<i32, i64>> {
        let mut found = self.known_offsets(topic, partitions, at).await?;
        let beyond: Vec<i32> = found.iter().filter(|(_, offset)| **offset < 0).map(|(index, _)| *index).collect();
        if !beyond.is_empty() {
            found.extend(self.known_offsets(topic, &beyond, OffsetAt::Latest).await?);
        }
        Ok(found)
    }

    /// As `offsets`, but −1 where no record is that late.
    async fn known_offsets(&self, topic: &str, partitions: &[i32], at: OffsetAt) -> Result<BTreeMap<i32, i64>> {
        let deadline = Instant::now() + OFFSETS_WAIT;
        let mut backoff = Backoff::default();
        let mut found = BTreeMap::new();
        loop {
            let missing: Vec<i32> = partitions.iter().copied().filter(|index| !found.contains_key(index)).collect();
            if missing.is_empty() {
                return Ok(found);
            }
            match self.ask_leaders(topic, &missing, at, &mut found).await {
                Ok(()) => {}
                Err(error) if error.is_retriable() && Instant::now() < deadline => {
                    tokio::time::sleep(backoff.advance()).await;
                    // Should this fail, then so does asking the leaders again.
                    let _ = self.refresh(topic).await;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Asks each leader once, and adds what is answered to `found`.
    async fn ask_leaders(
        &self,
        topic: &str,
        partitions: &[i32],
        at: OffsetAt,
        found: &mut BTreeMap<i32, i64>,
    ) -> Result<()> {
        let info = self.topic(topic).await?;
        let mut by_leader: BTreeMap<i32, Vec<ListOffsetsPartition>> = BTreeMap::new();
        for &partition in partitions {
            let leader = info.partition(topic, partition)?;
            let leader = leader.ok_or_else(|| ClientError::NoLeader { topic: topic.to_owned(), partition })?;
            let asked = ListOffsetsPartition::default()
                .with_partition_index(partition)
                .with_current_leader_epoch(-1)
                .with_timestamp(at.code());
            by_leader.entry(leader).or_default().push(asked);
        }
        for (leader, partitions) in by_leader {
            let asked = ListOffsetsTopic::default().with_name(topic_name(topic)).with_partitions(partitions);
            let request = ListOffsetsRequest::default().with_replica_id(BrokerId(-1)).with_topics(vec![asked]);
            let answer = self.broker(leader).await?.request(&request).await?;
            collect_offsets(topic, &answer, found)?;
        }
        match partitions.iter().find(|partition| !found.contains_key(partition)) {
            Some(partition) => Err(refused_offsets(topic, *partition, ErrorCode::UnknownTopicOrPartition)),
            None => Ok(()),
        }
    }
}

fn collect_offsets(topic: &str, answer: &ListOffsetsResponse, found: &mut BTreeMap<i32, i64>) -> Result<()> {
    let mut refusal = Ok(());
    for partition in answer.topics.iter().filter(|answered| answered.name.as_str() == topic).flat_map(|t| &t.partitions)
    {
        match ErrorCode::try_from_code(partition.error_code) {
            None => {
                found.insert(partition.partition_index, partition.offset);
            }
            Some(code) => refusal = Err(refused_offsets(topic, partition.partition_index, code)),
        }
    }
    refusal
}

fn refused_offsets(topic: &str, partition: i32, code: ErrorCode) -> ClientError {
    ClientError::refused(format!("asking for offsets of {topic}-{partition}"), code, None)
}
