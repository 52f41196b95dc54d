//! The cluster as seen from here: which brokers there are, who leads which partition, and a connection to each on demand.
//!
//! Everything known comes from Metadata. A topic's leaders are cached until somebody finds them wrong and refreshes; the
//! brokers' addresses are those of the newest answer. The bootstrap addresses serve whenever no broker is known to live.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::metadata_response::{MetadataResponse, MetadataResponseTopic};
use kafka_protocol::messages::{BrokerId, MetadataRequest, TopicName};
use kafka_protocol::protocol::StrBytes;
use tokio::time::Instant;

use super::backoff::Backoff;
use super::connection::{Connection, ConnectionOptions};
use super::error::{ClientError, ErrorCode, Result};
use crate::config::Address;

/// How long a fresh topic or a cluster in an election may take to have leaders.
const LEADERS_WAIT: Duration = Duration::from_secs(30);

/// The partitions of a topic and their leaders.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicInfo {
    /// The leader of each partition, by index; none during an election. Partitions are numbered from 0.
    leaders: BTreeMap<i32, Option<i32>>,
}

impl TopicInfo {
    /// The indexes of its partitions.
    pub fn partitions(&self) -> impl ExactSizeIterator<Item = i32> + '_ {
        self.leaders.keys().copied()
    }

    /// The broker that leads `partition`, if there is one.
    pub fn leader(&self, partition: i32) -> Option<i32> {
        self.leaders.get(&partition).copied().flatten()
    }

    /// The leader of a partition of `topic`, whose info this is; an error if there is no such partition.
    pub(crate) fn partition(&self, topic: &str, partition: i32) -> Result<Option<i32>> {
        let unknown = || ClientError::UnknownPartition { topic: topic.to_owned(), partition };
        self.leaders.get(&partition).copied().ok_or_else(unknown)
    }

    fn from_answer(topic: &MetadataResponseTopic) -> Self {
        let leaders = topic.partitions.iter().map(|partition| {
            let leader = partition.leader_id.0;
            (partition.partition_index, (leader >= 0).then_some(leader))
        });
        Self { leaders: leaders.collect() }
    }
}

/// A client of a cluster. Clones share what is known and the connections.
#[derive(Debug, Clone)]
pub struct Client {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    options: ConnectionOptions,
    bootstrap: Vec<Address>,
    known: Mutex<Known>,
    /// A slot each for brokers, and one (`None`) for whichever bootstrap address answered.
    slots: Mutex<HashMap<Option<i32>, Slot>>,
}

/// An asynchronous lock, so that those who need the same broker wait for one connection instead of making several.
type Slot = Arc<tokio::sync::Mutex<Option<Connection>>>;

#[derive(Debug, Default)]
struct Known {
    brokers: BTreeMap<i32, Address>,
    controller: Option<i32>,
    topics: HashMap<String, Arc<TopicInfo>>,
}

impl Client {
    /// Connects to the first of `bootstrap` that answers, and learns who else is in the cluster.
    pub async fn connect(bootstrap: Vec<Address>, options: ConnectionOptions) -> Result<Self> {
        let shared = Shared { options, bootstrap, known: Mutex::default(), slots: Mutex::default() };
        let client = Self { shared: Arc::new(shared) };
        client.fetch_metadata(&client.bootstrap().await?, &[]).await?;
        Ok(client)
    }

    /// The partitions and leaders of a topic, asked for once. A topic that does not exist is an error, not created.
    pub async fn topic(&self, topic: &str) -> Result<Arc<TopicInfo>> {
        let cached = self.known().topics.get(topic).cloned();
        match cached {
            Some(info) => Ok(info),
            None => self.refresh(topic).await,
        }
    }

    /// Asks anew for the partitions and leaders of a topic.
    pub async fn refresh(&self, topic: &str) -> Result<Arc<TopicInfo>> {
        let answer = self.fetch_metadata(&self.any().await?, &[topic]).await?;
        let described =
            answer.topics.iter().find(|found| found.name.as_ref().is_some_and(|name| name.as_str() == topic));
        match described.map(|found| ErrorCode::try_from_code(found.error_code)) {
            None | Some(Some(ErrorCode::UnknownTopicOrPartition)) => {
                self.known().topics.remove(topic);
                Err(ClientError::UnknownTopic { topic: topic.to_owned() })
            }
            // A partition without a leader makes some brokers report LEADER_NOT_AVAILABLE for the whole topic.
            Some(None | Some(ErrorCode::LeaderNotAvailable)) => self.topic_known(topic),
            Some(Some(code)) => Err(ClientError::refused(format!("looking up topic {topic}"), code, None)),
        }
    }

    fn topic_known(&self, topic: &str) -> Result<Arc<TopicInfo>> {
        self.known().topics.get(topic).cloned().ok_or_else(|| ClientError::UnknownTopic { topic: topic.to_owned() })
    }

    /// The partitions and leaders of a topic that is known to exist, as soon as all have leaders.
    pub async fn topic_with_leaders(&self, topic: &str) -> Result<Arc<TopicInfo>> {
        let deadline = Instant::now() + LEADERS_WAIT;
        let mut backoff = Backoff::default();
        let mut answer = self.topic(topic).await;
        loop {
            let error = match answer {
                Ok(info) => match info.leaders.iter().find(|(_, leader)| leader.is_none()) {
                    None if !info.leaders.is_empty() => return Ok(info),
                    missing => {
                        let partition = missing.map_or(0, |(partition, _)| *partition);
                        ClientError::NoLeader { topic: topic.to_owned(), partition }
                    }
                },
                Err(error) if error.is_retriable() => error,
                Err(error) => return Err(error),
            };
            if Instant::now() >= deadline {
                return Err(error);
            }
            tokio::time::sleep(backoff.advance()).await;
            answer = self.refresh(topic).await;
        }
    }

    /// A connection to the broker with this id.
    pub async fn broker(&self, id: i32) -> Result<Connection> {
        let address = self.known().brokers.get(&id).cloned();
        let Some(address) = address else {
            // The cluster has changed since: whoever asks refreshes what led here and asks again.
            let address = self.shared.bootstrap.first().cloned();
            let address = address.unwrap_or(Address { host: "?".to_owned(), port: 0 });
            return Err(ClientError::Disconnected { address, reason: format!("broker {id} has left the cluster") });
        };
        self.connected(Some(id), &[address]).await
    }

    /// A connection to the controller: the broker that creates topics.
    pub async fn controller(&self) -> Result<Connection> {
        let controller = self.known().controller;
        match controller {
            Some(id) => self.broker(id).await,
            None => self.any().await,
        }
    }

    /// A connection to some broker that lives: a known one, or a bootstrap address.
    pub async fn any(&self) -> Result<Connection> {
        let known: Vec<i32> = self.known().brokers.keys().copied().collect();
        for id in known {
            if let Ok(connection) = self.broker(id).await {
                return Ok(connection);
            }
        }
        self.bootstrap().await
    }

    async fn bootstrap(&self) -> Result<Connection> {
        self.connected(None, &self.shared.bootstrap).await
    }

    /// The connection in a slot, made anew where it has ended, to the first address that answers.
    async fn connected(&self, slot: Option<i32>, addresses: &[Address]) -> Result<Connection> {
        let slot = Arc::clone(lock(&self.shared.slots).entry(slot).or_default());
        let mut slot = slot.lock().await;
        if let Some(connection) = slot.as_ref().filter(|connection| {
            // A broker that came back elsewhere has another address.
            !connection.is_closed() && addresses.contains(connection.address())
        }) {
            return Ok(connection.clone());
        }
        let mut outcome = Err(ClientError::Closed);
        for address in addresses {
            outcome = Connection::open(address, &self.shared.options).await;
            if outcome.is_ok() {
                break;
            }
        }
        let connection = outcome?;
        *slot = Some(connection.clone());
        Ok(connection)
    }

    /// Asks for brokers and these topics, and remembers the answer. No topic is created by asking.
    async fn fetch_metadata(&self, connection: &Connection, topics: &[&str]) -> Result<MetadataResponse> {
        let topics = topics.iter().map(|topic| MetadataRequestTopic::default().with_name(Some(topic_name(topic))));
        let request =
            MetadataRequest::default().with_topics(Some(topics.collect())).with_allow_auto_topic_creation(false);
        let answer = connection.request(&request).await?;
        let mut known = self.known();
        known.brokers = answer.brokers.iter().filter_map(broker_address).collect();
        known.controller = Some(answer.controller_id.0).filter(|id| known.brokers.contains_key(id));
        for topic in &answer.topics {
            let sound =
                matches!(ErrorCode::try_from_code(topic.error_code), None | Some(ErrorCode::LeaderNotAvailable));
            if let Some(name) = topic.name.as_ref().filter(|_| sound) {
                known.topics.insert(name.to_string(), Arc::new(TopicInfo::from_answer(topic)));
            }
        }
        drop(known);
        Ok(answer)
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        lock(&self.shared.known)
    }
}

fn broker_address(
    broker: &kafka_protocol::messages::metadata_response::MetadataResponseBroker,
) -> Option<(i32, Address)> {
    let BrokerId(id) = broker.node_id;
    let port = u16::try_from(broker.port).ok()?;
    Some((id, Address { host: broker.host.to_string(), port }))
}

/// What these locks guard is whole between any two operations, so that a panic elsewhere cannot have broken it.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A topic's name as the codec wants it.
pub(crate) fn topic_name(topic: &str) -> TopicName {
    TopicName(StrBytes::from_string(topic.to_owned()))
}
