//! A small Kafka client, for `demo`, `tail` and the tests. It speaks to any Kafka broker or cluster.

mod admin;
mod backoff;
mod cluster;
mod connection;
mod consumer;
mod error;
mod group;
mod producer;
mod versions;

pub use admin::{OffsetAt, TopicState};
pub use cluster::{Client, TopicInfo};
pub use connection::{Answer, Connection, ConnectionOptions, Written};
pub use consumer::{Consumer, ConsumerOptions, FetchedRecord, Polled, StartAt};
pub use error::{ClientError, ErrorCode, Result};
pub use group::{GroupConsumer, GroupOptions, GroupPolled};
pub use producer::{Acks, Delivery, Idempotence, Producer, ProducerOptions, ProducerStatus, ProducerTopic};

#[cfg(test)]
pub(crate) mod tests;
