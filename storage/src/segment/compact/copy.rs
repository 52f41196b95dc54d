//! The second pass over a partition: what stays is copied.
//!
//! A record goes if a later one that was looked at has its key; a tombstone goes also when its time is over, which runs from the first compaction that saw it and kept it; a
//! record without a key goes (in a compacted topic there are such only from before it was compacted). Control batches, and batches that cannot be opened, stay as they are.
//! What stays of a batch is [`Batch::filter`]'s. Where all records of neighbours are gone one empty batch stands for their offsets, so that no offset is in no batch.

use super::Job;
use super::due::Due;
use super::keys::Keys;
use crate::batch::{Batch, BatchBuilder, BatchHeader, Filtered, Record};
use crate::error::{Error, Result};
use crate::frame::{FrameHeader, FrameKind};
use crate::state::checkpoint::VirtualSegmentRecord;
use crate::state::{Compaction, Seen};
use crate::timeline::{VirtualSegment, VirtualSegments, lock};

/// Virtual segments of what a compaction leaves, at most: the last of them takes the rest.
const SEGMENTS_MAX: usize = 1000;

/// Into so many steps the time of tombstones is divided.
const TOMBSTONE_STEPS: i64 = 64;

/// A partition while it is copied.
pub(super) struct Copying<'a> {
    due: &'a Due,
    /// Which records stay.
    stay: Stay<'a>,
    /// Behind the last batch that was written.
    next: i64,
    opening: u32,
    segments: VirtualSegments,
}

/// Which records stay.
struct Stay<'a> {
    keys: Keys,
    last: Option<&'a Compaction>,
    now: i64,
    tombstones_ms: i64,
    /// Of the spans that had tombstones which ones still have; then whether what was dirty has.
    tombstones: Vec<bool>,
    gone: u64,
}

impl<'a> Copying<'a> {
    /// Copies what is due of a partition, from its log start up to an offset, into the outputs of a job: what there is to be said then.
    pub(super) fn run(job: &mut Job<'_>, due: &'a Due, keys: Keys, (from, end): (i64, i64)) -> Result<Compaction> {
        let last = due.last.as_ref();
        let spans = last.map_or(0, |last| last.tombstones.len());
        let (now, tombstones_ms) = (job.inner.shared.now(), due.compaction.tombstones_ms);
        let stay = Stay { keys, last, now, tombstones_ms, tombstones: vec![false; spans + 1], gone: 0 };
        let opening = lock(&job.inner.manifest).opening();
        let mut copy = Self { due, stay, next: from, opening, segments: VirtualSegments::default() };
        job.each_batch(&due.partition, (from, end), |job, batch| copy.batch(job, batch).map(|()| true))?;
        copy.hole(job, end)?;
        job.inner.shared.stats.compacted_records.add(copy.stay.gone);
        Ok(copy.fact(job.generation, end))
    }

    fn batch(&mut self, job: &mut Job<'_>, batch: &Batch<'_>) -> Result<()> {
        let most = job.inner.shared.options.plain_bytes_max;
        let filtered = if batch.header().attributes().is_control() {
            Filtered::All
        } else {
            // What cannot be opened is nobody's to judge.
            batch.filter(most, |record| self.stay.keeps(record)).unwrap_or(Filtered::All)
        };
        match filtered {
            Filtered::Nothing => Ok(()),
            Filtered::All => self.push(job, batch.header(), batch.bytes()),
            Filtered::Some(bytes) => {
                let header = BatchHeader::parse(&bytes).map_err(|error| Error::Invalid(error.to_string()))?;
                self.push(job, &header, &bytes)
            }
        }
    }

    /// Writes a batch, and before it what stands for the offsets from the last one on.
    fn push(&mut self, job: &mut Job<'_>, header: &BatchHeader, bytes: &[u8]) -> Result<()> {
        self.hole(job, header.base_offset())?;
        self.write(job, header, bytes)?;
        let segment = VirtualSegment {
            base_offset: header.base_offset(),
            bytes: bytes.len() as u64,
            first_timestamp: header.base_timestamp(),
            max_timestamp: header.max_timestamp(),
        };
        let policy = &self.due.policy;
        let is_full = self.segments.len() >= SEGMENTS_MAX;
        let (bytes, ms) = if is_full { (u64::MAX, i64::MAX) } else { (policy.segment_bytes, policy.segment_ms) };
        self.segments.count(&segment, bytes, ms);
        Ok(())
    }

    /// Empty batches for the offsets behind the last batch, up to one.
    fn hole(&mut self, job: &mut Job<'_>, end: i64) -> Result<()> {
        while self.next < end {
            let last = end.min(self.next.saturating_add(i64::from(i32::MAX))) - 1;
            let epoch = job.view.epoch_of(&self.due.partition, self.next);
            let hole = BatchBuilder::new().base_offset(self.next).last_offset(last).leader_epoch(epoch).build();
            let hole = hole.map_err(|error| Error::Invalid(error.to_string()))?;
            let header = BatchHeader::parse(&hole).map_err(|error| Error::Invalid(error.to_string()))?;
            self.write(job, &header, &hole)?;
        }
        Ok(())
    }

    fn write(&mut self, job: &mut Job<'_>, header: &BatchHeader, bytes: &[u8]) -> Result<()> {
        let frame = FrameHeader {
            kind: FrameKind::Compacted,
            lsn: job.lsn,
            index: 0,
            payload_bytes: u32::try_from(bytes.len()).map_err(|_| Error::Invalid("a batch of 4 GiB".to_owned()))?,
            partition: self.due.partition.id(),
            base_offset: header.base_offset(),
            offsets: header.last_offset_delta() + 1,
            chain: job.generation,
            opening: self.opening,
            leader_epoch: header.leader_epoch(),
            max_timestamp_ms: header.max_timestamp(),
        };
        let head = frame.encode(job.inner.salt, bytes);
        job.output()?.push(&frame, &head, bytes)?;
        job.rate.take(&job.inner.shared, bytes.len());
        self.next = header.next_offset();
        Ok(())
    }

    fn fact(self, generation: u32, end: i64) -> Compaction {
        let Stay { last, now, tombstones: has, .. } = self.stay;
        let known = last.into_iter().flat_map(|last| last.tombstones.iter().copied());
        let spans = known.chain([Seen { end, time: whole_step(now, self.due.compaction.tombstones_ms) }]);
        let mut tombstones: Vec<Seen> = Vec::new();
        for (span, _) in spans.zip(has).filter(|(_, has)| *has) {
            match tombstones.last_mut().filter(|before| before.time == span.time) {
                Some(before) => before.end = span.end,
                None => tombstones.push(span),
            }
        }
        Compaction {
            partition: self.due.partition.id(),
            generation,
            end,
            tombstones,
            segments: self.segments.iter().map(VirtualSegmentRecord::from).collect(),
        }
    }
}

/// The next of the steps in which tombstones are remembered: a small part of the time that they are kept, so that however often is compacted, their list is short.
fn whole_step(now: i64, tombstones_ms: i64) -> i64 {
    let step = (tombstones_ms / TOMBSTONE_STEPS).max(1);
    now.checked_add(step - 1).map_or(now, |late| late - late.rem_euclid(step))
}

impl Stay<'_> {
    fn keeps(&mut self, record: &Record<'_>) -> bool {
        let stays = record.key.is_some_and(|key| self.keys.last(key).is_none_or(|last| last <= record.offset))
            && (record.value.is_some() || self.keeps_tombstone(record.offset));
        self.gone += u64::from(!stays);
        stays
    }

    fn keeps_tombstone(&mut self, offset: i64) -> bool {
        let spans = self.last.map_or(&[][..], |last| &last.tombstones[..]);
        let span = spans.partition_point(|seen| seen.end <= offset);
        let is_over = spans.get(span).is_some_and(|seen| self.now.saturating_sub(seen.time) >= self.tombstones_ms);
        self.tombstones[span] |= !is_over;
        !is_over
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tombstones_are_kept_no_shorter_and_hardly_longer() {
        assert_eq!(whole_step(1_000, 6_400), 1_000);
        assert_eq!(whole_step(1_001, 6_400), 1_100);
        assert_eq!((whole_step(7, 0), whole_step(i64::MAX, 6_400)), (7, i64::MAX));
    }
}
