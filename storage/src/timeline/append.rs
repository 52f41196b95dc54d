//! What is handed to the writer and what it answers.

use std::sync::Arc;

use bytes::Bytes;

use super::partition::Partition;
use super::producers::Sequence;
use crate::batch::Checked;
use crate::error::{Error, Result};
use crate::state::Txn;

/// When an append is answered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ack {
    /// When it is written (`acks=1`).
    Written,
    /// When clients can read it (`acks=all`).
    Visible,
}

/// One batch for one partition.
#[derive(Debug)]
pub struct AppendPart {
    /// Where to.
    pub partition: Arc<Partition>,
    /// Exactly one batch, which `checked` is about.
    pub batch: Bytes,
    /// What the checks found.
    pub checked: Checked,
    /// Whether the topic's timestamps are those of the broker (`LogAppendTime`).
    pub stamp: bool,
    /// Which of the topic's names the producer called it by. It counts a sequence for each name, and the partition has one.
    pub name: u8,
    /// Whether nobody can have called it so before the timeline branched off: what is known of the producer from there is of another
    /// name.
    pub is_new_name: bool,
}

impl AppendPart {
    pub(super) fn sequence(&self) -> Option<Sequence> {
        Some(Sequence { name: Some(self.name), ..Sequence::of(&self.checked.header)? })
    }
}

/// Batches that are written together. Each is answered on its own: one that is refused does not stop the others.
#[derive(Debug)]
pub struct Append {
    /// At most one per partition, as Kafka has it.
    pub parts: Vec<AppendPart>,
    /// When to answer.
    pub ack: Ack,
}

/// What became of a batch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Appended {
    /// The offset of its first record; of a duplicate, the one that the original got.
    pub base_offset: i64,
    /// The broker's time in milliseconds when it stamped the batch, else −1.
    pub append_time: i64,
    /// The first offset of the partition.
    pub log_start: i64,
}

/// Why a batch was not appended.
#[derive(Debug, Clone, thiserror::Error)]
pub enum AppendError {
    /// The topic is gone.
    #[error("no such partition")]
    UnknownPartition,
    /// Batches of the producer are missing before it.
    #[error("out of order: sequence {found} came where {expected} was expected")]
    OutOfOrderSequence {
        /// What was due.
        expected: i32,
        /// What came.
        found: i32,
    },
    /// A newer instance of the producer has written.
    #[error("the producer's epoch {found} is older than {current}")]
    InvalidProducerEpoch {
        /// The newest.
        current: i16,
        /// That of the batch.
        found: i16,
    },
    /// Its sequence is one of another name of the topic, and says nothing about those under this name.
    #[error(
        "the idempotent producer writes this topic under another name, too: use one of them, or a producer for each"
    )]
    OtherName,
    /// The engine could not.
    #[error(transparent)]
    Storage(#[from] Error),
}

/// A call when it is done.
pub(super) type Done = Box<dyn FnOnce() + Send>;
/// A call with the outcome.
pub(super) type Deliver = Box<dyn FnOnce(Result<()>) + Send>;
/// A call with what became of each part.
pub(super) type AppendDone = Box<dyn FnOnce(Vec<Result<Appended, AppendError>>) + Send>;

/// Something for the writer to do.
pub(super) enum Item {
    /// Records.
    Append(Append, AppendDone),
    /// A decision over the writer's state; what it returns delivers its result.
    Transact(Box<dyn FnOnce(&mut Txn<'_>) -> Deliver + Send>),
    /// Nothing, but in order.
    Barrier(Done),
    /// A group that only vouches for those before it.
    Idle,
    /// A new leader epoch.
    Epoch(i32, Deliver),
    /// The end of the active log file, if there is a group in it.
    Roll(Deliver),
}

impl Item {
    /// What it weighs in the queue.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Item::Append(append, _) => append.parts.iter().map(|part| part.batch.len()).sum(),
            Item::Transact(_) | Item::Barrier(_) | Item::Idle | Item::Epoch(..) | Item::Roll(_) => 0,
        }
    }
}
