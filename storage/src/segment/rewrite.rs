//! The rewriter: takes in sealed files, writes what is needed of them sorted by partition, one segment per expiry class.
//!
//! Order, each step durable before the next: the intent names the outputs; outputs are written and synced; their directory is synced; one edit swaps them
//! for the inputs; partitions look into the outputs; the inputs are unlinked. A crash leaves either the inputs, and outputs that the next start removes by
//! the intent, or the outputs, and inputs that it removes by the edit.
//!
//! Every batch is checked on its way, header and CRC. One that does not check gives the job up: the inputs stay, what is around the bad place stays
//! readable, and the file is not taken in again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;

use super::collect::unlink;
use super::files::File;
use super::index::{self, EntryRecord, GroupRecord, NewStretch, StretchRecord};
use super::need::{By, Need};
use super::segment_file::Segment;
use super::stretch::Stretch;
use super::throttle::Throttle;
use crate::batch::Batch;
use crate::error::{Error, Result};
use crate::frame::{FileHeader, FileKind, FrameHeader, HEADER_BYTES};
use crate::manifest::{Edit, FileRef, SegmentFile};
use crate::timeline::{Inner, lock};
use crate::units::{FileId, Lsn, TopicPartition};

/// What is written in one go.
const WRITE_BYTES: usize = 1 << 20;
/// Synced in steps of so much, so that the log's own syncs never wait for more.
const SYNC_BYTES: u64 = 4 << 20;

/// The class of what is as it was written, in a topic that is compacted.
const TO_COMPACT: u8 = 67;
/// The class of what compaction left.
pub(super) const COMPACTED: u8 = 68;

/// Rewrites inputs, which are neighbours in the order of groups. A file whose bytes do not check is named, and left out from now on.
pub(super) fn rewrite(inner: &Inner, need: &Need<'_>, inputs: &[File]) -> Result<()> {
    let classes = classes_of(inner, inputs);
    let first = inner.intend(classes.len() as u64)?;
    let ids: Vec<FileId> = (0..classes.len() as u64).map(|n| FileId(first.0 + n)).collect();
    let job = Job { inner, need, inputs, number: first.0, ids };
    match job.run(&classes) {
        Ok(()) => Ok(()),
        Err(error) => {
            give_up(inner, first, &job.ids)?;
            Err(error)
        }
    }
}

/// The partitions of the inputs, by expiry class.
fn classes_of(inner: &Inner, inputs: &[File]) -> BTreeMap<u8, BTreeSet<TopicPartition>> {
    let mut classes: BTreeMap<u8, BTreeSet<TopicPartition>> = BTreeMap::new();
    for stretch in inputs.iter().flat_map(|file| file.stretches()) {
        let class = if stretch.generation > 0 { COMPACTED } else { class_of(inner, stretch.partition) };
        classes.entry(class).or_default().insert(stretch.partition);
    }
    classes
}

/// What makes bytes die together: 0 facts, 1 kept for ever, 2 of deleted topics, 67 as it was written in a topic that is compacted, 68 what compaction left; else
/// 3 and the power of two of the retention time.
fn class_of(inner: &Inner, partition: TopicPartition) -> u8 {
    if partition.topic.is_internal() {
        return 0;
    }
    let state = inner.tables.read_state();
    let Some(topic) = state.topic_by_number(partition.topic) else { return 2 };
    let policy = inner.tables.policy(&state, topic);
    match policy.retention_ms {
        _ if policy.compaction.is_some() => TO_COMPACT,
        None => 1,
        Some(most) => 3 + u8::try_from(most.max(1).ilog2()).unwrap_or(63),
    }
}

struct Job<'a> {
    inner: &'a Inner,
    need: &'a Need<'a>,
    /// By their first groups.
    inputs: &'a [File],
    number: u64,
    ids: Vec<FileId>,
}

impl Job<'_> {
    fn run(&self, classes: &BTreeMap<u8, BTreeSet<TopicPartition>>) -> Result<()> {
        let disk = &self.inner.shared.disk;
        disk.fail_point("rewrite.after_intent")?;
        let times = self.times()?;
        let (mut outputs, mut files) = (Vec::new(), Vec::new());
        for ((class, partitions), id) in classes.iter().zip(&self.ids) {
            let Some(output) = self.write(*id, *class, partitions, &times)? else { continue };
            outputs.push(output);
        }
        disk.fail_point("rewrite.outputs_synced")?;
        disk.sync_dir(&lock(&self.inner.manifest).dir().segments())?;
        for output in &outputs {
            files.push(Segment::open(&**disk, (self.inner.id, self.inner.salt), output.id)? as File);
        }
        disk.fail_point("rewrite.before_edit")?;
        let bytes = outputs.iter().map(|output| output.bytes).sum();
        let inputs = self.inputs.iter().map(|file| file.name()).collect();
        self.inner.edit(&Edit::Swap { job: self.number, outputs, inputs })?;
        self.inner.shared.stats.rewritten_bytes.add(bytes);
        self.swap(&files);
        disk.fail_point("rewrite.after_edit")?;
        self.inputs.iter().try_for_each(|file| unlink(self.inner, file))
    }

    /// The groups of the inputs, in order.
    fn times(&self) -> Result<Vec<GroupRecord>> {
        let mut times = Vec::new();
        for file in self.inputs {
            times.extend(self.read(file, file.groups())?.into_iter().map(|group| GroupRecord { position: 0, ..group }));
        }
        // One whose time is lost gives way to one that has it.
        times.sort_by_key(|group| (group.lsn, std::cmp::Reverse(group.time)));
        times.dedup_by_key(|group| group.lsn);
        Ok(times)
    }

    /// Writes the segment of a class; nothing if nothing of it is needed.
    fn write(
        &self,
        id: FileId,
        class: u8,
        partitions: &BTreeSet<TopicPartition>,
        times: &[GroupRecord],
    ) -> Result<Option<SegmentFile>> {
        let mut output = Output::new(self.inner, id);
        for partition in partitions {
            for (input, stretch) in self.stretches_of(*partition) {
                self.copy(&mut output, input, stretch)?;
            }
        }
        output.finish(class, times)
    }

    /// What the inputs hold of a partition, by offset: an input that begins before another one may hold later batches of it.
    fn stretches_of(&self, partition: TopicPartition) -> Vec<(&File, &StretchRecord)> {
        let of = |input: &'_ File| input.stretches().binary_search_by_key(&partition, |stretch| stretch.partition).ok();
        let found = self.inputs.iter().filter_map(|input| Some((input, input.stretches().get(of(input)?)?)));
        let mut stretches: Vec<_> = found.collect();
        stretches.sort_by_key(|(_, stretch)| stretch.first_offset);
        stretches
    }

    /// Copies what is needed of a stretch.
    fn copy(&self, output: &mut Output<'_>, input: &File, stretch: &StretchRecord) -> Result<()> {
        let records = self.read(input, input.records(stretch.partition))?;
        for (nth, record) in records.iter().enumerate() {
            let end = records.get(nth + 1).map_or(stretch.end_offset, |next| next.base_offset);
            if self.need.by(&stretch.lying_in(record, end)) == By::Nobody {
                continue;
            }
            let (head, batch) = self.read(input, input.frame(stretch, nth, record))?;
            let header = self.read(input, checked(self.inner.salt, stretch.partition, record, &head, &batch))?;
            output.push(&header, &head, &batch)?;
        }
        Ok(())
    }

    /// What was read of an input, which is not taken in again if that failed.
    fn read<T>(&self, input: &File, read: Result<T>) -> Result<T> {
        read.inspect_err(|error| self.inner.files.spoil(input.name(), error))
    }

    /// Partitions look into the outputs: each under its own lock, so that a reader finds every batch in one of the two.
    fn swap(&self, files: &[File]) {
        let inner = self.inner;
        let inputs: BTreeSet<FileRef> = self.inputs.iter().map(|file| file.name()).collect();
        let ids: BTreeSet<_> = self.inputs.iter().flat_map(|file| file.stretches()).map(|s| s.partition).collect();
        let mut stretches = BTreeMap::new();
        for file in files {
            inner.files.add(Arc::clone(file));
            stretches.extend(file.stretches().iter().map(|s| (s.partition, Stretch::new(s, Arc::clone(file)))));
        }
        for id in ids {
            let Some(partition) = inner.tables.get_any(id) else { continue };
            let mut pieces = partition.pieces();
            pieces.drop_stretches(|name| inputs.contains(&name));
            if let Some(stretch) = stretches.remove(&id) {
                pieces.add_stretch(stretch);
            }
        }
        for input in inputs {
            inner.files.remove(input);
        }
    }
}

/// Removes what was written of the outputs of a job, then the intent. If the edit that names them may be on the disk, the next start decides.
pub(super) fn give_up(inner: &Inner, job: FileId, outputs: &[FileId]) -> Result<()> {
    let dir = {
        let manifest = lock(&inner.manifest);
        if manifest.is_broken() || !manifest.files().intents.contains_key(&job.0) {
            return Ok(());
        }
        manifest.dir().clone()
    };
    let disk = &inner.shared.disk;
    for id in outputs {
        let path = dir.segment(*id);
        if disk.exists(&path)? {
            disk.remove(&path)?;
        }
    }
    disk.sync_dir(&dir.segments())?;
    inner.edit(&Edit::Swap { job: job.0, outputs: Vec::new(), inputs: Vec::new() })
}

/// The header of a batch that is what the index says, and sound in all its bytes.
fn checked(
    salt: u64,
    partition: TopicPartition,
    record: &EntryRecord,
    head: &[u8],
    batch: &Bytes,
) -> Result<FrameHeader> {
    let damaged = |why: String| Error::Corrupt(format!("the batch {} of {partition}: {why}", record.base_offset));
    let header = FrameHeader::decode(head, salt, batch).map_err(|flaw| damaged(flaw.to_string()))?;
    let parsed = Batch::parse_verified(batch).map_err(|error| damaged(error.to_string()))?;
    let same = header.partition == partition
        && header.base_offset == record.base_offset
        && header.lsn == record.lsn
        && header.payload_bytes == record.bytes
        && parsed.bytes().len() == batch.len();
    if same { Ok(header) } else { Err(damaged("it is not what the index says".to_owned())) }
}

/// A segment while it is written.
pub(super) struct Output<'a> {
    inner: &'a Inner,
    id: FileId,
    file: Option<Arc<dyn crate::disk::File>>,
    buffer: Vec<u8>,
    /// Bytes in the file.
    written: u64,
    synced: u64,
    headers: Vec<u8>,
    stretches: Vec<NewStretch>,
    throttle: Throttle,
}

impl<'a> Output<'a> {
    pub(super) fn new(inner: &'a Inner, id: FileId) -> Self {
        let throttle = Throttle::new(&inner.shared);
        let (headers, stretches) = (Vec::new(), Vec::new());
        Self {
            inner,
            id,
            file: None,
            buffer: vec![0; HEADER_BYTES],
            written: 0,
            synced: 0,
            headers,
            stretches,
            throttle,
        }
    }

    /// Bytes of batches that it has taken, and how many.
    pub(super) fn taken(&self) -> (u64, usize) {
        (self.written + self.buffer.len() as u64, self.headers.len() / HEADER_BYTES)
    }

    /// Takes the next batch: partitions in order, offsets within one in order.
    pub(super) fn push(&mut self, header: &FrameHeader, head: &[u8], batch: &[u8]) -> Result<()> {
        let position = self.written + self.buffer.len() as u64;
        let fits = position.checked_add(batch.len() as u64).is_some_and(|end| u32::try_from(end).is_ok());
        let position = u32::try_from(position).ok().filter(|_| fits);
        let position = position.ok_or_else(|| Error::Invalid("a segment of 4 GiB".to_owned()))?;
        let entry = EntryRecord {
            base_offset: header.base_offset,
            position,
            bytes: header.payload_bytes,
            lsn: header.lsn,
            max_timestamp: header.max_timestamp_ms,
        };
        let end_offset = header.base_offset.saturating_add(i64::from(header.offsets));
        let of = (header.partition, header.generation());
        match self.stretches.last_mut().filter(|last| (last.partition, last.generation) == of) {
            Some(last) if last.end_offset > header.base_offset || last.last_lsn > header.lsn => {
                return Err(Error::Invalid(format!(
                    "{}: two files overlap at {}",
                    header.partition, header.base_offset
                )));
            }
            Some(last) => {
                (last.end_offset, last.last_lsn) = (end_offset, header.lsn);
                last.entries.push(entry);
            }
            None => {
                let ((partition, generation), last_lsn) = (of, header.lsn);
                self.stretches.push(NewStretch { partition, end_offset, last_lsn, generation, entries: vec![entry] });
            }
        }
        self.headers.extend_from_slice(head);
        self.append(batch)
    }

    fn append(&mut self, bytes: &[u8]) -> Result<()> {
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() >= WRITE_BYTES { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<()> {
        let file = self.open()?;
        file.write_at(&self.buffer, self.written)?;
        self.written += self.buffer.len() as u64;
        self.buffer.clear();
        if self.written - self.synced >= SYNC_BYTES {
            file.sync_data()?;
            self.synced = self.written;
            self.throttle.step(&self.inner.shared);
        }
        Ok(())
    }

    /// The file, made when there is something for it.
    fn open(&mut self) -> Result<Arc<dyn crate::disk::File>> {
        if let Some(file) = &self.file {
            return Ok(Arc::clone(file));
        }
        let path = lock(&self.inner.manifest).dir().segment(self.id);
        let file = self.inner.shared.disk.create(&path)?;
        self.file = Some(Arc::clone(&file));
        Ok(file)
    }

    /// Ends the file: headers, index, and last the file's header, so that only a whole one has it.
    pub(super) fn finish(mut self, class: u8, times: &[GroupRecord]) -> Result<Option<SegmentFile>> {
        let first = self.stretches.iter().filter_map(|stretch| stretch.entries.first()).map(|entry| entry.lsn).min();
        let last = self.stretches.iter().map(|stretch| stretch.last_lsn).max();
        let (Some(first), Some(last)) = (first, last) else { return Ok(None) };
        let headers = std::mem::take(&mut self.headers);
        for piece in headers.chunks(WRITE_BYTES) {
            self.append(piece)?;
        }
        let index = index::encode(self.written + self.buffer.len() as u64, &self.stretches, &self.groups(times));
        for piece in index.chunks(WRITE_BYTES) {
            self.append(piece)?;
        }
        self.flush()?;
        let file = self.open()?;
        file.write_at(&self.header(first).encode(), 0)?;
        self.inner.shared.disk.fail_point("rewrite.before_sync")?;
        file.sync_all()?;
        Ok(Some(SegmentFile { id: self.id, class, first, last, bytes: self.written }))
    }

    fn header(&self, first_lsn: Lsn) -> FileHeader {
        FileHeader {
            kind: FileKind::Segment,
            timeline: self.inner.id,
            salt: self.inner.salt,
            first_lsn,
            file_id: self.id.0,
            created_ms: self.inner.shared.now(),
            opening: lock(&self.inner.manifest).opening(),
        }
    }

    /// The groups that batches of this segment are of.
    fn groups(&self, times: &[GroupRecord]) -> Vec<GroupRecord> {
        let mut held = vec![false; times.len()];
        for entry in self.stretches.iter().flat_map(|stretch| &stretch.entries) {
            if let Ok(at) = times.binary_search_by_key(&entry.lsn, |group| group.lsn) {
                held[at] = true;
            }
        }
        times.iter().zip(held).filter_map(|(group, held)| held.then_some(*group)).collect()
    }
}
