//! Compaction: of a partition's records the last one of each key stays, and older ones go.
//!
//! It changes what views show, so it is a fact in the log: from the fact's group on, what lies below the compaction's end is what it left, its *generation*; views
//! before it go on seeing what they saw, from the files that they saw it in, as long as the history, a pin or a child has such a view. So nothing is taken in and
//! swapped here: outputs are added, and what they supersede goes by need, as what a log start hides does.
//!
//! Two passes over the records of a partition, read as a view shows them (a clone compacts what it inherited, too). The first fills a table of the keys that are dirty
//! ([`keys`]), up to a batch for which there is no room: there this compaction ends, and the next one begins. The second copies what stays, in order, batch by batch;
//! of batches that lose all their records one empty batch tells, for all of them that are neighbours.
//!
//! Order, each step durable before the next: the intent of each output, the output, the edit that names it; then, for all partitions together, the facts. A crash before
//! the facts leaves outputs of a generation that no view asks for, which the next collection drops.
//!
//! A thread of its own does it, slowly ([`rate`]), and holds nothing up but a collection while the facts are written.

mod copy;
mod due;
mod keys;
mod rate;

use std::sync::Arc;

use self::copy::Copying;
use self::due::{Due, due};
use self::keys::Keys;
use self::rate::Rate;
use super::files::File;
use super::rewrite::{COMPACTED, Output, give_up};
use super::segment_file::Segment;
use crate::batch::{Batch, BatchIter};
use crate::engine::{Engine, wait};
use crate::error::{Error, Result};
use crate::manifest::Edit;
use crate::state::{Change, Compaction, Fact};
use crate::timeline::{Inner, Partition, Timeline, lock};
use crate::units::{FileId, Lsn, TimelineId, TopicPartition};
use crate::view::{Read, View};

/// Partitions are compacted together up to so many bytes of them.
const JOB_BYTES: u64 = 1 << 30;
/// An output is ended at this size,
const OUTPUT_BYTES: u64 = 1 << 30;
/// and at so many batches: their headers and entries are in memory while it is written.
const OUTPUT_BATCHES: usize = 256 << 10;
/// What is read at once.
const READ_BYTES: usize = 1 << 20;

/// Compacts what is due in all timelines.
pub(crate) fn compact(engine: &Engine) -> Result<()> {
    let mut outcome = Ok(());
    for timeline in engine.timelines() {
        if timeline.damage().is_none() && timeline.0.is_named() && timeline.id() != TimelineId::SYSTEM {
            outcome = outcome.and(timeline.0.note("compaction", compact_timeline(&timeline)));
        }
    }
    outcome
}

/// Compacts what is due in a timeline, some partitions after the others. Some that fail keep no others from it.
fn compact_timeline(timeline: &Timeline) -> Result<()> {
    let inner = &timeline.0;
    let waiting = due(inner, inner.needed().floor);
    let mut rest = &waiting[..];
    let mut outcome = Ok(());
    while let Some(count) = together(rest) {
        let (some, others) = rest.split_at(count);
        rest = others;
        match Job::begin(timeline).and_then(|job| job.run(some)) {
            // The engine closes, or the volume went on to another timeline.
            Err(Error::Closed) if inner.shared.is_closing() || !inner.is_named() => return Ok(()),
            done => outcome = outcome.and(done),
        }
    }
    outcome
}

/// A partition in which something cannot be read is told of and left as it is from now on; the others are compacted.
fn leave(inner: &Inner, partition: TopicPartition, error: &Error) {
    tracing::error!(timeline = %inner.id, %partition, %error, "a partition is not compacted any more: it has a bad place");
    inner.files.mark_uncompactable(partition);
    inner.shared.stats.uncompactable_partitions.add(1);
}

/// What the disk does not give back is as good as damaged: that is no reason to give up a job.
fn unreadable(error: Error) -> Error {
    match error {
        Error::Io { path, why } => Error::Corrupt(format!("{}: {why}", path.display())),
        error => error,
    }
}

/// How many of the partitions that are due go into one job.
fn together(due: &[Due]) -> Option<usize> {
    let mut bytes = 0u64;
    let count = due.iter().take_while(|due| {
        let fits = bytes < JOB_BYTES;
        bytes = bytes.saturating_add(due.bytes);
        fits
    });
    Some(count.count()).filter(|count| *count > 0)
}

/// What is made of some partitions at once.
struct Job<'a> {
    inner: &'a Arc<Inner>,
    /// What is compacted is what it shows.
    view: View,
    lsn: Lsn,
    /// What it makes is numbered by.
    generation: u32,
    /// The output that is being written.
    output: Option<(FileId, Output<'a>)>,
    /// Outputs that the manifest names.
    named: Vec<FileId>,
    rate: Rate,
}

impl<'a> Job<'a> {
    fn begin(timeline: &'a Timeline) -> Result<Self> {
        let inner = &timeline.0;
        let lsn = timeline.visible_lsn();
        inner.await_durable(lsn)?;
        let view = timeline.at(lsn)?;
        let rate = Rate::new(&inner.shared);
        let mut job = Self { inner, view, lsn, generation: 0, output: None, named: Vec::new(), rate };
        job.generation = generation(job.open()?)?;
        Ok(job)
    }

    fn run(mut self, due: &[Due]) -> Result<()> {
        let mut due: Vec<&Due> = due.iter().collect();
        due.sort_by_key(|due| due.partition.id());
        let done = self.each(&due);
        let done = done.and_then(|facts| self.finish().map(|()| facts));
        match done {
            Ok(facts) => self.publish(facts),
            Err(error) => {
                self.give_up()?;
                Err(error)
            }
        }
    }

    /// Compacts partitions, in their order.
    fn each(&mut self, due: &[&Due]) -> Result<Vec<Compaction>> {
        let mut facts = Vec::new();
        for due in due {
            let id = due.partition.id();
            match self.partition(due) {
                Ok(fact) => facts.extend(fact),
                Err(error @ (Error::DamagedBatch { .. } | Error::Corrupt(_))) => leave(self.inner, id, &error),
                // Retention, or whoever deletes records, was faster.
                Err(Error::OutOfRange { .. } | Error::UnknownPartition) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(facts)
    }

    fn partition(&mut self, due: &Due) -> Result<Option<Compaction>> {
        let partition = &due.partition;
        let bounds = self.view.bounds(partition).map_err(unreadable)?;
        let limit = due.limit.min(bounds.high_watermark);
        let mut keys = Keys::new(self.inner.shared.options.compaction_keys_bytes);
        let dirty = due.dirty.max(bounds.log_start);
        let end = self.read_keys(partition, (dirty, limit), &mut keys)?.max(dirty);
        if end <= bounds.log_start {
            return Ok(None);
        }
        Copying::run(self, due, keys, (bounds.log_start, end)).map(Some)
    }

    /// The keys of the batches from an offset on, up to a limit or to what there is no room for: where that is.
    fn read_keys(&mut self, partition: &Arc<Partition>, (from, limit): (i64, i64), keys: &mut Keys) -> Result<i64> {
        let most = self.inner.shared.options.plain_bytes_max;
        let (mut end, mut is_full) = (from, false);
        self.each_batch(partition, (from, limit), |_, batch| {
            let header = batch.header();
            // One batch is always taken, so that each compaction gets further.
            is_full = end > from && !keys.has_room(header.record_count() as usize);
            if is_full {
                return Ok(false);
            }
            if !header.attributes().is_control() {
                // A batch that cannot be opened is kept as it is; what was read of it until then is there.
                let _unreadable = batch.for_each_record(most, |record| {
                    if let Some(key) = record.key {
                        keys.put(key, record.offset);
                    }
                });
            }
            end = header.next_offset();
            Ok(true)
        })?;
        Ok(if is_full { end } else { limit })
    }

    /// Shows the batches that cover offsets from one on and begin below another, until `see` has enough.
    fn each_batch(
        &mut self,
        partition: &Arc<Partition>,
        (from, limit): (i64, i64),
        mut see: impl FnMut(&mut Self, &Batch<'_>) -> Result<bool>,
    ) -> Result<()> {
        let mut from = from;
        while from < limit {
            self.go_on()?;
            let read = Read { from, max_bytes: READ_BYTES, at_least_one: true };
            let read = self.view.read_files(partition, &read).and_then(|read| read.concat());
            let bytes = read.map_err(unreadable)?;
            self.rate.take(&self.inner.shared, bytes.len());
            self.inner.shared.stats.compaction_read_bytes.add(bytes.len() as u64);
            let before = from;
            for batch in BatchIter::new(&bytes) {
                let batch = batch.map_err(|damage| Error::Corrupt(format!("{}: {damage}", partition.id())))?;
                if batch.header().base_offset() >= limit || !see(self, &batch)? {
                    return Ok(());
                }
                from = batch.header().next_offset();
            }
            if from == before {
                return Ok(()); // nothing follows
            }
        }
        Ok(())
    }

    /// Whether there is reason to stop.
    fn go_on(&self) -> Result<()> {
        let shared = &self.inner.shared;
        if shared.is_closing() || shared.is_gone() || !self.inner.is_named() {
            return Err(Error::Closed);
        }
        shared.space.refused().map_or(Ok(()), |why| Err(Error::Full(why)))
    }
}

/// Outputs.
impl<'a> Job<'a> {
    /// Begins an output, by its intent.
    fn open(&mut self) -> Result<FileId> {
        let id = self.inner.intend(1)?;
        self.output = Some((id, Output::new(self.inner, id)));
        self.inner.shared.disk.fail_point("compact.after_intent")?;
        Ok(id)
    }

    /// The output that takes the next batch.
    fn output(&mut self) -> Result<&mut Output<'a>> {
        let is_full = self.output.as_ref().is_none_or(|(_, output)| {
            let (bytes, batches) = output.taken();
            bytes >= OUTPUT_BYTES || batches >= OUTPUT_BATCHES
        });
        if is_full {
            self.finish()?;
            self.open()?;
        }
        match &mut self.output {
            Some((_, output)) => Ok(output),
            None => Err(Error::Closed),
        }
    }

    /// Ends the output: what is in it is durable and named.
    fn finish(&mut self) -> Result<()> {
        let Some((id, output)) = self.output.take() else { return Ok(()) };
        let ended = self.end(id, output);
        if ended.is_err() {
            give_up(self.inner, id, &[id])?;
        }
        ended
    }

    fn end(&mut self, id: FileId, output: Output<'a>) -> Result<()> {
        let disk = &self.inner.shared.disk;
        let made = output.finish(COMPACTED, &[])?;
        let bytes = made.map_or(0, |made| made.bytes);
        disk.fail_point("compact.output_synced")?;
        disk.sync_dir(&lock(&self.inner.manifest).dir().segments())?;
        self.inner.edit(&Edit::Swap { job: id.0, outputs: made.into_iter().collect(), inputs: Vec::new() })?;
        self.named.extend(made.map(|made| made.id));
        self.inner.shared.stats.compaction_written_bytes.add(bytes);
        disk.fail_point("compact.output_named")
    }

    /// Nothing comes of it: outputs that are named are of no generation that a view asks for, and go with the next collection.
    fn give_up(mut self) -> Result<()> {
        if let Some((id, output)) = self.output.take() {
            drop(output);
            give_up(self.inner, id, &[id])?;
        }
        self.show().map(drop)
    }

    /// Opens the outputs: partitions find them from here on, once a fact says so.
    fn show(&self) -> Result<Vec<File>> {
        let inner = self.inner;
        let mut files = Vec::new();
        for id in &self.named {
            files.push(Segment::open(&*inner.shared.disk, (inner.id, inner.salt), *id)? as File);
        }
        for file in &files {
            super::seal::show(&inner.tables, file);
            inner.files.add(Arc::clone(file));
        }
        Ok(files)
    }

    /// Says so in the log, for all partitions in one group. No collection runs between: it would take the outputs for what nobody needs.
    fn publish(&self, facts: Vec<Compaction>) -> Result<()> {
        let inner = self.inner;
        let _turn = lock(&inner.shared.tending);
        self.show()?;
        inner.shared.disk.fail_point("compact.before_facts")?;
        let count = facts.len() as u64;
        let timeline = Arc::clone(inner);
        wait(|done| {
            inner.decide_here(
                move |txn| {
                    // To a volume that was restored meanwhile, or to a topic that is gone, nothing has happened.
                    for fact in facts.into_iter().filter(|_| timeline.is_named()) {
                        txn.put(Fact::Compaction(Change::Put(fact)));
                    }
                },
                done,
            );
        })?;
        inner.shared.stats.compactions.add(count);
        inner.shared.disk.fail_point("compact.after_facts")
    }
}

/// What a job's batches are numbered by: its number and one, since 0 is what is as it was written.
fn generation(job: FileId) -> Result<u32> {
    u32::try_from(job.0.saturating_add(1))
        .map_err(|_| Error::Invalid("more files than a compaction can be numbered by".to_owned()))
}
