//! Views: what every read goes through. The live view ends at the high watermark; a view of the past at the groups up to its LSN.
//!
//! A view never changes: the same question has the same answer, whatever is sealed, sorted, retained or collected meanwhile. (The live view is the
//! view at the newest visible LSN, taken anew at each question.)

mod between;
mod epoch;
mod known;
mod piece;
mod read;
mod time;
mod wanted;

use std::sync::Arc;

pub use piece::{Fetched, Piece, Stored};
pub use time::Found;

use crate::error::{Error, Result};
use crate::timeline::{Lease, Partition, Timeline};
use crate::units::{Lsn, TopicPartition};

/// A timeline as of an LSN, or live.
#[derive(Clone, Debug)]
pub struct View {
    timeline: Timeline,
    /// What keeps a view of the past.
    at: Option<Arc<Lease>>,
}

/// The ends of a partition in a view.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Bounds {
    /// The first offset that can be read.
    pub log_start: i64,
    /// Below it every transaction has ended.
    pub last_stable: i64,
    /// The offset behind the last that can be read.
    pub high_watermark: i64,
}

/// What to read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Read {
    /// From which offset; the batch that holds it is returned whole.
    pub from: i64,
    /// At most so many bytes of batches.
    pub max_bytes: usize,
    /// Whether the first batch is returned even if it is larger.
    pub at_least_one: bool,
}

impl Timeline {
    /// The view at the high watermark.
    pub fn live(&self) -> View {
        View { timeline: self.clone(), at: None }
    }

    /// The view at an LSN between the history floor and the newest visible one.
    pub fn at(&self, lsn: Lsn) -> Result<View> {
        let newest = self.visible_lsn();
        if lsn > newest {
            return Err(Error::Invalid(format!("LSN {lsn} is in the future: the newest is {newest}")));
        }
        let lease = self.0.history.lease(lsn)?;
        Ok(View { timeline: self.clone(), at: Some(Arc::new(lease)) })
    }
}

impl View {
    /// The LSN it stands at.
    pub fn lsn(&self) -> Lsn {
        self.at.as_ref().map_or_else(|| self.timeline.visible_lsn(), |lease| lease.lsn())
    }

    /// The same for views of the past alone.
    pub(crate) fn past(&self) -> Option<Lsn> {
        self.at.as_ref().map(|lease| lease.lsn())
    }

    /// A partition, if this view has it.
    pub fn partition(&self, id: TopicPartition) -> Option<Arc<Partition>> {
        match &self.at {
            None => self.timeline.partition(id),
            Some(lease) => self.timeline.partition_at(id, lease.lsn()),
        }
    }

    /// Where a partition begins and ends in this view. For a view of the past this may read an index.
    pub fn bounds(&self, partition: &Partition) -> Result<Bounds> {
        match &self.at {
            None => Ok(live_bounds(partition)),
            Some(lease) => past_bounds(partition, lease.lsn()),
        }
    }

    /// The same on a thread of the read pool.
    pub fn bounds_later(&self, partition: &Arc<Partition>, done: impl FnOnce(Result<Bounds>) + Send + 'static) {
        let (view, partition) = (self.clone(), Arc::clone(partition));
        self.timeline.0.shared.read_pool.run(move || answer(view, |view| view.bounds(&partition), done));
    }

    /// Reads what can be had without waiting: from the tail cache, from files where all of it is known and in the kernel's cache, or nothing at the end of the
    /// log. `None`: [`View::read`] has to look into files.
    pub fn read_now(&self, partition: &Arc<Partition>, read: &Read) -> Option<Result<Fetched>> {
        if self.at.is_some() {
            return None;
        }
        let bounds = live_bounds(partition);
        let cached = self.read_cached(partition, read, bounds).transpose();
        cached.or_else(|| self.read_known(partition, read, bounds).map(Ok))
    }

    /// Reads batches from files, on a thread of the read pool.
    pub fn read(&self, partition: &Arc<Partition>, read: Read, done: impl FnOnce(Result<Fetched>) + Send + 'static) {
        self.timeline.0.shared.stats.cache_misses.add(1);
        let (view, partition) = (self.clone(), Arc::clone(partition));
        self.timeline.0.shared.read_pool.run(move || answer(view, |view| view.read_files(&partition, &read), done));
    }

    /// The first record whose timestamp is at or after `time`, exact to the record. Runs on the read pool.
    pub fn find_time(
        &self,
        partition: &Arc<Partition>,
        time: i64,
        done: impl FnOnce(Result<Option<Found>>) + Send + 'static,
    ) {
        self.search(partition, done, move |view, partition| view.find_time_in(partition, time));
    }

    /// The first record that holds the greatest timestamp. Runs on the read pool.
    pub fn max_time(&self, partition: &Arc<Partition>, done: impl FnOnce(Result<Option<Found>>) + Send + 'static) {
        self.search(partition, done, View::max_time_in);
    }

    /// The leader epoch that an offset was written under.
    pub fn epoch_of(&self, partition: &Partition, offset: i64) -> i32 {
        wanted::epoch_at(&partition.pieces().epochs, offset)
    }

    fn search(
        &self,
        partition: &Arc<Partition>,
        done: impl FnOnce(Result<Option<Found>>) + Send + 'static,
        look: impl FnOnce(&View, &Arc<Partition>) -> Result<Option<Found>> + Send + 'static,
    ) {
        let (view, partition) = (self.clone(), Arc::clone(partition));
        self.timeline.0.shared.read_pool.run(move || answer(view, |view| look(view, &partition), done));
    }
}

/// Asks a view, and lets go of it before the answer is told: whoever has it may expect that nothing is kept any more.
fn answer<T>(view: View, ask: impl FnOnce(&View) -> T, done: impl FnOnce(T)) {
    let answer = ask(&view);
    drop(view);
    done(answer);
}

fn live_bounds(partition: &Partition) -> Bounds {
    // The start is read first: it only grows and never passes the end, so that the pair is never inverted.
    let log_start = partition.log_start();
    let high_watermark = partition.high_watermark().max(log_start);
    Bounds { log_start, last_stable: high_watermark, high_watermark }
}

fn past_bounds(partition: &Partition, lsn: Lsn) -> Result<Bounds> {
    let (log_start, compacted, sealed, tail_end) = {
        let pieces = partition.pieces();
        let log_start = pieces.log_start_at(lsn);
        let compacted = pieces.compaction_at(Some(lsn)).map_or(0, |made| made.end);
        (log_start, compacted, pieces.sealed.clone(), pieces.tail_end_at(lsn))
    };
    let end = match tail_end {
        Some(end) => end,
        None => match sealed.iter().rev().find(|stretch| stretch.first_lsn <= lsn) {
            Some(stretch) => stretch.end_at(lsn)?,
            None => partition.inherited().map_or(0, |inherited| inherited.end),
        },
    };
    // Behind what is compacted there may be nothing as it was written, up to this group.
    let high_watermark = end.max(compacted).max(log_start);
    Ok(Bounds { log_start, last_stable: high_watermark, high_watermark })
}
