//! A batch, from its first record to its acknowledgement: *filling*, then *numbered* (its place in the order is fixed),
//! then encoded and on its way, perhaps more than once.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use millpond_storage::batch::{BatchBuilder, BuildError, NewRecord};
use tokio::time::Instant;

use super::super::error::{ClientError, Result};
use super::{Delivery, ProducerOptions};

/// A batch that takes records.
#[derive(Debug)]
pub(super) struct Filling {
    builder: BatchBuilder,
    payload_bytes: u64,
    due: Instant,
    /// When it was begun.
    pub(super) since: Instant,
}

impl Filling {
    /// Begins with a first record, which was due at `due`.
    pub(super) fn begin(record: &NewRecord<'_>, due: Instant, options: &ProducerOptions) -> Result<Self> {
        let builder = BatchBuilder::new().codec(options.compression);
        let mut filling = Self { builder, payload_bytes: 0, due, since: Instant::now() };
        filling.push(record)?;
        Ok(filling)
    }

    /// Adds a record.
    pub(super) fn push(&mut self, record: &NewRecord<'_>) -> Result<()> {
        self.builder.append(record).map_err(|error| encode_error("a record", &error))?;
        self.payload_bytes += payload_bytes(record) as u64;
        Ok(())
    }

    /// The bytes that it has so far, uncompressed, and takes of the buffer.
    pub(super) fn bytes(&self) -> usize {
        self.builder.plain_bytes()
    }

    /// Fixes its place: the `order`th batch of its partition, with the first sequence of its producer.
    pub(super) fn number(mut self, place: &Place<'_>, producer: Option<(i64, i16, i32)>) -> (Ready, u32) {
        if let Some((id, epoch, first_sequence)) = producer {
            self.builder = self.builder.producer(id, epoch, first_sequence);
        }
        let records = self.builder.record_count();
        let batch = Batch {
            queue: place.queue,
            topic: Arc::clone(place.topic),
            partition: place.partition,
            bytes: Bytes::new(),
            order: place.order,
            records,
            payload_bytes: self.payload_bytes,
            charged: self.bytes(),
            due: self.due,
            deadline: self.since + place.delivery_timeout,
        };
        (Ready::New(Box::new(Numbered { builder: self.builder, batch })), records)
    }
}

/// Where a batch belongs.
#[derive(Debug)]
pub(super) struct Place<'a> {
    pub(super) queue: usize,
    pub(super) topic: &'a Arc<str>,
    pub(super) partition: i32,
    pub(super) order: u64,
    pub(super) delivery_timeout: Duration,
}

/// The bytes of a record's key and value.
pub(super) fn payload_bytes(record: &NewRecord<'_>) -> usize {
    record.key.map_or(0, <[u8]>::len) + record.value.map_or(0, <[u8]>::len)
}

/// A full batch with its place in the order.
#[derive(Debug)]
pub(super) struct Numbered {
    builder: BatchBuilder,
    /// All of the batch but its bytes.
    batch: Batch,
}

/// A batch on its way or about to be.
#[derive(Debug, Clone)]
pub(super) struct Batch {
    /// The partition's place in the queues.
    pub(super) queue: usize,
    /// The topic's name.
    pub(super) topic: Arc<str>,
    /// The partition.
    pub(super) partition: i32,
    /// Its bytes as they go over the wire.
    pub(super) bytes: Bytes,
    /// Grows from batch to batch of a partition.
    pub(super) order: u64,
    /// How many records it has.
    pub(super) records: u32,
    payload_bytes: u64,
    /// Bytes that it takes of the buffer.
    pub(super) charged: usize,
    due: Instant,
    /// When its time is up.
    pub(super) deadline: Instant,
}

impl Batch {
    /// The report of its delivery.
    pub(super) fn delivered(&self, base_offset: i64, acknowledged: Instant) -> Delivery {
        Delivery {
            topic: Arc::clone(&self.topic),
            partition: self.partition,
            base_offset,
            records: self.records,
            payload_bytes: self.payload_bytes,
            due: self.due,
            acknowledged,
        }
    }
}

/// A batch that may go: one that went before, or a new one, numbered but not yet encoded.
#[derive(Debug)]
pub(super) enum Ready {
    Again(Batch),
    New(Box<Numbered>),
}

impl Ready {
    /// The batch, its bytes perhaps still missing.
    pub(super) fn batch(&self) -> &Batch {
        match self {
            Self::Again(batch) => batch,
            Self::New(numbered) => &numbered.batch,
        }
    }

    /// The batch with its bytes. Takes a checksum and perhaps compresses: not under the lock of the queues.
    pub(super) fn encode(self) -> Result<Batch> {
        match self {
            Self::Again(batch) => Ok(batch),
            Self::New(numbered) => {
                let bytes = numbered.builder.build().map_err(|error| encode_error("a batch", &error))?;
                Ok(Batch { bytes: bytes.into(), ..numbered.batch })
            }
        }
    }
}

fn encode_error(what: &'static str, error: &BuildError) -> ClientError {
    ClientError::Encode { what, reason: error.to_string() }
}
