//! The tail cache: frames just received, kept as they came, first in first out over all partitions of all timelines.
//!
//! The batches themselves hang on their partitions; here is only the order in which they leave and what they weigh. An entry leaves the front of its
//! partition's queue, which is right because both queues are filled in the same order by the same writer.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use super::partition::{Partition, lock};
use super::pieces::Cached;

/// What an entry costs beside its bytes: queue slots and two reference counts.
const OVERHEAD_BYTES: u64 = 160;

/// The order of eviction.
#[derive(Debug)]
pub struct TailCache {
    bytes_max: u64,
    queue: Mutex<Queue>,
}

#[derive(Default, Debug)]
struct Queue {
    bytes: u64,
    entries: VecDeque<(Arc<Partition>, u64)>,
}

impl TailCache {
    /// A cache of at most so many bytes; 0 keeps nothing.
    pub fn new(bytes_max: u64) -> Self {
        Self { bytes_max, queue: Mutex::default() }
    }

    /// Bytes held.
    pub fn bytes(&self) -> u64 {
        lock(&self.queue).bytes
    }

    /// Takes in the batches of a group, in order of offset per partition, and lets the oldest go.
    pub(crate) fn insert(&self, group: Vec<(Arc<Partition>, Cached)>) {
        if self.bytes_max == 0 {
            return;
        }
        let mut queue = lock(&self.queue);
        for (partition, batch) in group {
            let charge = batch.bytes() as u64 + OVERHEAD_BYTES;
            partition.pieces().cache.push_back(batch);
            queue.bytes += charge;
            queue.entries.push_back((partition, charge));
        }
        while queue.bytes > self.bytes_max {
            let Some((partition, charge)) = queue.entries.pop_front() else { break };
            queue.bytes -= charge;
            partition.pieces().cache.pop_front();
        }
    }
}
