//! A producer: records go into batches by partition, batches go to the partitions' leaders, several at once.
//!
//! Order: the records of a partition stay in the order of `send`, also through failures. With idempotence the broker
//! refuses gaps and repetitions, so that five batches of a partition may be on their way; without it, only one is.
//!
//! It stops at the first record that cannot be delivered: what was sent before is delivered, all later calls give the error.
//! Nothing is skipped in silence.
//!
//! | file | what it holds |
//! |---|---|
//! | `batch` | a batch, from its first record to its acknowledgement |
//! | `queues` | what waits, per partition; when a batch may go, and what an answer does to it |
//! | `sender` | the task that moves batches and answers between the queues and the connections |
//! | `partitioner` | the partition of a key |

mod batch;
mod partitioner;
mod queues;
mod sender;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use kafka_protocol::messages::{InitProducerIdRequest, ProducerId};
use millpond_storage::batch::{Codec, NewRecord};
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::backoff::Backoff;
use super::cluster::Client;
use super::error::{ClientError, ErrorCode, Result};
use queues::{Admission, Queues};
use sender::Sender;

/// Whose acknowledgement a record needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Acks {
    /// Nobody's: a record counts as delivered once it is written to the socket.
    None,
    /// The partition leader's.
    Leader,
    /// That of all replicas in sync; from a Millpond broker, that the record is as durable as its volume is set to be.
    #[default]
    All,
}

impl Acks {
    fn code(self) -> i16 {
        match self {
            Self::None => 0,
            Self::Leader => 1,
            Self::All => -1,
        }
    }
}

/// Whether the broker is asked to refuse repetitions and gaps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Idempotence {
    /// No: a retry may write a batch twice.
    Off,
    /// Where the broker offers it and `acks` is `All`.
    #[default]
    IfOffered,
}

/// How to produce.
#[derive(Debug, Clone)]
pub struct ProducerOptions {
    /// Whose acknowledgement to await.
    pub acks: Acks,
    /// Whether a retry may write twice.
    pub idempotence: Idempotence,
    /// How batches are compressed.
    pub compression: Codec,
    /// A batch goes when it has this many bytes, uncompressed.
    pub batch_bytes: usize,
    /// A smaller one goes when its first record is this old.
    pub linger: Duration,
    /// A request holds batches of so many bytes, or a single larger one.
    pub request_bytes_max: usize,
    /// So many requests to a broker may be unanswered. With idempotence a broker remembers five batches of a partition.
    pub in_flight_max: usize,
    /// `send` waits while records of so many bytes are on their way.
    pub buffer_bytes_max: usize,
    /// How long a record may take, retries included.
    pub delivery_timeout: Duration,
}

impl Default for ProducerOptions {
    fn default() -> Self {
        Self {
            acks: Acks::All,
            idempotence: Idempotence::IfOffered,
            compression: Codec::None,
            batch_bytes: 128 << 10,
            linger: Duration::from_millis(5),
            request_bytes_max: 1 << 20,
            in_flight_max: 5,
            buffer_bytes_max: 32 << 20,
            delivery_timeout: Duration::from_mins(2),
        }
    }
}

/// A batch that was delivered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// The topic's name.
    pub topic: Arc<str>,
    /// The partition.
    pub partition: i32,
    /// The offset of its first record; −1 where the broker did not say (without acknowledgement, or a repetition).
    pub base_offset: i64,
    /// How many records it has.
    pub records: u32,
    /// The bytes of their keys and values.
    pub payload_bytes: u64,
    /// When its first record was due, as `send` was told.
    pub due: Instant,
    /// When its acknowledgement came.
    pub acknowledged: Instant,
}

/// A topic that a producer writes to.
#[derive(Debug, Clone)]
pub struct ProducerTopic {
    name: Arc<str>,
    /// Where its partitions begin in the queues, and how many there are.
    first: usize,
    partitions: usize,
}

impl ProducerTopic {
    /// How many partitions it had when the producer first asked; later ones get no records.
    pub fn partitions(&self) -> usize {
        self.partitions
    }
}

/// See the module.
#[derive(Debug)]
pub struct Producer {
    client: Client,
    shared: Arc<Shared>,
    topics: tokio::sync::Mutex<HashMap<String, ProducerTopic>>,
    idempotent: bool,
    sender: JoinHandle<()>,
}

/// Tells how a producer fares, beside it and after it.
#[derive(Debug, Clone)]
pub struct ProducerStatus {
    shared: Arc<Shared>,
}

impl ProducerStatus {
    /// What has kept records from going since the last delivery.
    pub fn trouble(&self) -> Option<ClientError> {
        self.shared.lock().trouble().cloned()
    }
}

/// What callers and the sender share.
#[derive(Debug)]
struct Shared {
    queues: Mutex<Queues>,
    /// There may be something to send.
    work: Notify,
    /// Something was delivered, or all is over.
    progress: Notify,
}

impl Shared {
    /// The queues are whole between any two of their methods, so that a panic elsewhere cannot have broken them.
    fn lock(&self) -> MutexGuard<'_, Queues> {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Producer {
    /// Starts a producer. Deliveries are told through the receiver, in order for each partition; it may be dropped.
    pub async fn start(client: Client, options: ProducerOptions) -> Result<(Self, mpsc::UnboundedReceiver<Delivery>)> {
        let producer_id = match options.idempotence {
            Idempotence::IfOffered if options.acks == Acks::All => producer_id(&client).await?,
            _ => None,
        };
        let (delivered, deliveries) = mpsc::unbounded_channel();
        let shared = Arc::new(Shared {
            queues: Mutex::new(Queues::new(&options, producer_id)),
            work: Notify::new(),
            progress: Notify::new(),
        });
        let sender = Sender::new(client.clone(), Arc::clone(&shared), options, delivered);
        let producer = Self {
            client,
            shared,
            topics: tokio::sync::Mutex::default(),
            idempotent: producer_id.is_some(),
            sender: tokio::spawn(sender.run()),
        };
        Ok((producer, deliveries))
    }

    /// Whether the broker refuses repetitions and gaps.
    pub fn is_idempotent(&self) -> bool {
        self.idempotent
    }

    /// A view of how it fares.
    pub fn status(&self) -> ProducerStatus {
        ProducerStatus { shared: Arc::clone(&self.shared) }
    }

    /// How many batches are on their way.
    pub fn in_flight(&self) -> usize {
        self.shared.lock().in_flight()
    }

    /// Looks up a topic to write to. It must exist.
    pub async fn topic(&self, name: &str) -> Result<ProducerTopic> {
        let mut topics = self.topics.lock().await;
        if let Some(topic) = topics.get(name) {
            return Ok(topic.clone());
        }
        let info = self.client.topic_with_leaders(name).await?;
        let name: Arc<str> = Arc::from(name);
        let first = self.shared.lock().add_topic(&name, &info);
        let topic = ProducerTopic { name, first, partitions: info.partitions().len() };
        topics.insert(topic.name.to_string(), topic.clone());
        Ok(topic)
    }

    /// Takes a record, and waits while too much is on its way. Its partition is that of its key, or of `partition`.
    ///
    /// `due` is when the record was meant to be sent, from which the latency of its delivery counts.
    pub async fn send(
        &self,
        topic: &ProducerTopic,
        partition: Option<i32>,
        record: &NewRecord<'_>,
        due: Instant,
    ) -> Result<()> {
        if self.admit(topic, partition, record, due)? {
            return Ok(());
        }
        loop {
            let progress = self.shared.progress.notified();
            tokio::pin!(progress);
            // Registered before the queues are looked at, so that no delivery in between is missed.
            progress.as_mut().enable();
            if self.admit(topic, partition, record, due)? {
                return Ok(());
            }
            progress.await;
        }
    }

    /// Whether the record was taken.
    fn admit(
        &self,
        topic: &ProducerTopic,
        partition: Option<i32>,
        record: &NewRecord<'_>,
        due: Instant,
    ) -> Result<bool> {
        let admission = self.shared.lock().admit(topic, partition, record, due)?;
        if admission == Admission::NewWork {
            self.shared.work.notify_one();
        }
        Ok(admission != Admission::Full)
    }

    /// Sends all that waits, and returns when it is delivered.
    pub async fn flush(&self) -> Result<()> {
        self.shared.lock().begin_flush();
        self.shared.work.notify_one();
        let outcome = self.drained().await;
        self.shared.lock().end_flush();
        outcome
    }

    async fn drained(&self) -> Result<()> {
        loop {
            let progress = self.shared.progress.notified();
            tokio::pin!(progress);
            progress.as_mut().enable();
            if self.shared.lock().is_drained()? {
                return Ok(());
            }
            progress.await;
        }
    }
}

impl Drop for Producer {
    /// What is not delivered is given up; `flush` first.
    fn drop(&mut self) {
        self.shared.lock().fail(ClientError::Closed);
        self.sender.abort();
    }
}

/// Asks for a producer id, if some broker gives them out.
async fn producer_id(client: &Client) -> Result<Option<(i64, i16)>> {
    // The codec's default is an empty transactional id, which is one, and an illegal one.
    let request = InitProducerIdRequest::default()
        .with_transactional_id(None)
        .with_producer_id(ProducerId(-1))
        .with_producer_epoch(-1);
    let deadline = Instant::now() + Duration::from_secs(30);
    let mut backoff = Backoff::default();
    loop {
        let connection = client.any().await?;
        if !connection.offers::<InitProducerIdRequest>() {
            return Ok(None);
        }
        let answer = connection.request(&request).await?;
        match ErrorCode::try_from_code(answer.error_code) {
            None => return Ok(Some((answer.producer_id.0, answer.producer_epoch))),
            Some(code) if code.is_retriable() && Instant::now() < deadline => {
                tokio::time::sleep(backoff.advance()).await;
            }
            Some(code) => return Err(ClientError::refused("asking for a producer id", code, None)),
        }
    }
}
