//! Deleting records from the front of a partition.

use millpond_storage::state::LogStart;

use super::change::{changeable, current};
use super::pending::{Changing, flat, pending, refused};
use super::{Resolved, TopicError, Topics};

impl Topics {
    /// Deletes what lies below an offset, or all there is where there is none, and gives the first offset that is left.
    pub fn delete_records(&self, found: &Resolved, partition: i32, before: Option<i64>) -> Changing<i64> {
        let partition = match changeable(found).and_then(|()| found.partition(partition)) {
            Ok(partition) => partition,
            Err(error) => return refused(error),
        };
        let (done, changing) = pending();
        let (timeline, number) = (found.timeline.clone(), found.topic.number);
        let decide = move |txn: &mut millpond_storage::state::Txn<'_>| {
            current(txn, number)?;
            // This may be another timeline than the partition's: its records are not the ones that were meant.
            if partition.is_fenced() {
                return Err(TopicError::Fenced);
            }
            let id = partition.id();
            let log_start = txn.get::<LogStart>(&id).map_or(0, |start| start.offset);
            let high_watermark = partition.high_watermark();
            let offset = before.unwrap_or(high_watermark);
            if !(0..=high_watermark).contains(&offset) {
                return Err(TopicError::OutOfRange { offset, log_start, high_watermark });
            }
            if offset > log_start {
                txn.put(LogStart { partition: id, offset });
            }
            Ok(offset.max(log_start))
        };
        // What was acknowledged before, be it only as written, counts: first it must be readable.
        let log = timeline.clone();
        timeline.barrier(move || log.transact(decide, |outcome| done(flat(outcome))));
        changing
    }
}
