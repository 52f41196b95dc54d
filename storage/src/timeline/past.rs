//! The past of a timeline as a checkpoint: the newest state-at at or below an LSN, and the frames behind it up to that LSN.
//!
//! Whoever asks holds a lease on that LSN. Frames may be found twice, in a log file and in the segment it was sorted into: files are listed while they
//! are rewritten. What nothing needs at that LSN may be missing; then a log start that passed it says where the partition goes on.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::checkpoint::add_partitions;
use super::fold::Fold;
use super::open::epoch_then;
use super::partition::lock;
use super::{Inner, Producers, Tables, Timeline};
use crate::disk::File;
use crate::error::{Error, Result};
use crate::frame::{FrameHeader, FrameKind, FrameRead, GroupRead, Scan, Scanned, Scanner, batch_header_of};
use crate::manifest::FileRef;
use crate::segment::{NO_TIME, SealedFile};
use crate::state::{Checkpoint, State, state_at};
use crate::units::Lsn;

/// A frame, and the time of its group.
struct Found {
    time: i64,
    frame: FrameRead,
}

/// Frames by LSN and place in the group.
type Frames = BTreeMap<(Lsn, u32), Found>;

/// Where a timeline was asked for: the base it starts from, and the LSN it ends at.
struct Span<'a> {
    base: &'a Checkpoint,
    last: Lsn,
}

impl Timeline {
    /// What the facts added up to at an LSN that the caller holds a lease on. Reads files: on the read pool.
    pub fn state_at(&self, lsn: Lsn, done: impl FnOnce(Result<Arc<State>>) + Send + 'static) {
        let inner = Arc::clone(&self.0);
        self.0.shared.read_pool.run(move || done(inner.checkpoint_at(lsn).map(|past| Arc::new(past.facts))));
    }
}

impl Inner {
    /// All that a start would know, had the log ended with the group `lsn`. Of the log itself it says nothing: its tail is empty.
    pub(crate) fn checkpoint_at(&self, lsn: Lsn) -> Result<Checkpoint> {
        let mut base = self.base_of(lsn)?;
        let epoch = epoch_then(self.born_epoch, &base);
        // Nobody reads through these partitions: what they inherited is not looked for.
        let tables = Tables::new(&mut base, epoch, Arc::clone(&self.shared.options.policy), None);
        let frames = self.frames(&Span { base: &base, last: lsn })?;
        let producers = Producers::taken_from(&mut base);
        let mut fold = Fold { tables: &tables, producers, logs: BTreeMap::new() };
        let mut time = base.time;
        for Found { time: at, frame } in frames.values() {
            time = time.max(*at);
            fold.frame(None, *at, frame)?;
        }
        let expired_before = time.saturating_sub(self.shared.options.producer_expiration_ms);
        let producers = fold.producers;
        let facts = tables.read_state().clone();
        let mut past = Checkpoint { lsn, time, facts, ..Checkpoint::default() };
        producers.give(&mut past, expired_before);
        let opened = tables.give_packed(&mut past);
        for partition in &opened {
            // Batches that no view sees may be gone, with what they said of the end.
            let compacted = partition.pieces().compaction_at(None).map_or(0, |made| made.end);
            partition.set_log_end(partition.log_end().max(partition.log_start()).max(compacted));
        }
        add_partitions(&mut past, &opened, None);
        Ok(past)
    }

    /// The newest state-at at or below an LSN that can be read.
    fn base_of(&self, lsn: Lsn) -> Result<Checkpoint> {
        let known = lock(&self.manifest).files().state_ats.clone();
        for at in known.iter().rev().filter(|at| **at <= lsn) {
            match state_at::read(&*self.shared.disk, self.id, self.salt, *at) {
                Ok(base) => return Ok(base),
                Err(error @ Error::Corrupt(_)) => {
                    tracing::error!(timeline = %self.id, lsn = %at, %error, "a state-at file is not to be used: going on with an older one");
                }
                Err(error) => return Err(error),
            }
        }
        match &self.origin {
            Some(origin) => origin.birth(self.created_ms, self.born_epoch),
            None => Ok(Checkpoint::default()),
        }
    }

    fn frames(&self, span: &Span<'_>) -> Result<Frames> {
        let mut frames = Frames::new();
        // Unsealed files first: one that is sealed meanwhile is found again among the others, and one that is not is there.
        let active = lock(&self.core).as_ref().map(|core| Arc::clone(&core.active));
        let unsealed = lock(&self.unsealed).clone();
        for log in unsealed.iter().chain(&active) {
            if let Some(last) = log.last_group().filter(|last| last.lsn > span.base.lsn) {
                self.scan(&mut frames, span, (log.first_lsn, last.lsn), &log.file)?;
            }
        }
        for file in self.files.all() {
            if file.last_lsn() <= span.base.lsn || file.first_lsn() > span.last {
                continue;
            }
            match file.name() {
                FileRef::Log(first) => self.scan(&mut frames, span, (first, file.last_lsn()), &file.file())?,
                _ => self.sorted(&mut frames, span, &*file)?,
            }
        }
        Ok(frames)
    }

    /// Takes the frames of a log file, from its first group to its last, in the order of groups.
    fn scan(
        &self,
        frames: &mut Frames,
        span: &Span<'_>,
        (first, last): (Lsn, Lsn),
        file: &Arc<dyn File>,
    ) -> Result<()> {
        let last = last.min(span.last);
        let mut scan = Scan::whole(first, self.salt);
        let tail = &span.base.tail;
        if tail.first_lsn == first && tail.position > 0 {
            scan = Scan { position: tail.position, after: span.base.lsn, chain: Some(tail.chain), ..scan };
        }
        let mut scanner = Scanner::new(Arc::clone(file), scan)?;
        let mut reached = span.base.lsn;
        while reached < last {
            let group = match scanner.next()? {
                Scanned::Group(group) => Some(group),
                // All of this was durable: where batches of records alone do not check, the rest of their group holds.
                Scanned::Bad { .. } => salvaged(&mut scanner)?,
                Scanned::End { .. } => None,
            };
            let Some(group) = group else {
                let path = file.path().display();
                return Err(Error::Corrupt(format!("{path}: groups up to {last} should follow {reached}")));
            };
            reached = group.header.lsn;
            if reached <= span.base.lsn || reached > last {
                continue;
            }
            let time = group.header.time_ms;
            for frame in group.frames {
                frames.insert((frame.header.lsn, frame.header.index), Found { time, frame });
            }
        }
        Ok(())
    }

    /// Takes the frames of a segment, partition by partition.
    fn sorted(&self, frames: &mut Frames, span: &Span<'_>, file: &dyn SealedFile) -> Result<()> {
        let groups: Vec<_> = file.groups()?.into_iter().filter(|group| group.time != NO_TIME).collect();
        // What compaction left says nothing that the log has not said.
        for stretch in file.stretches().iter().filter(|stretch| stretch.generation == 0) {
            if stretch.last_lsn <= span.base.lsn || stretch.first_lsn > span.last {
                continue;
            }
            let records = file.records(stretch.partition)?;
            for (nth, record) in records.iter().enumerate() {
                if record.lsn <= span.base.lsn || record.lsn > span.last {
                    continue;
                }
                let (head, batch) = file.frame(stretch, nth, record)?;
                let header = FrameHeader::decode(&head, self.salt, &batch).map_err(|flaw| {
                    Error::Corrupt(format!("a frame of {} in {:?}: {flaw}", stretch.partition, file.name()))
                })?;
                let after = groups.partition_point(|group| group.lsn <= record.lsn);
                let time = after.checked_sub(1).map_or(span.base.time, |at| groups[at].time);
                let frame = FrameRead {
                    header,
                    position: 0,
                    batch_header: batch_header_of(&batch),
                    is_lost: false,
                    payload: Some(batch),
                };
                frames.insert((header.lsn, header.index), Found { time, frame });
            }
        }
        Ok(())
    }
}

fn salvaged(scanner: &mut Scanner) -> Result<Option<GroupRead>> {
    let group = scanner.salvage()?;
    let is_sound = |frame: &FrameRead| !frame.is_lost || frame.header.kind == FrameKind::Records;
    let group = group.filter(|group| group.frames.iter().all(is_sound));
    if let Some(group) = &group {
        scanner.pass(group);
    }
    Ok(group)
}
