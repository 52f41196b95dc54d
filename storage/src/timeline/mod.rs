//! A timeline while it runs: the life of a frame from submission to where every reader sees it.
//!
//! [`Timeline`] is the handle: submissions (`append`, `transact`, `barrier`), the visible state, the partitions. Behind it a queue, one writer
//! ([`writer`]) that numbers and writes groups, one sync at a time ([`publish`]), and per partition the watermarks and the tail index
//! ([`partition`]).

mod append;
mod cache;
mod checkpoint;
mod cut;
mod fence;
mod fold;
mod group;
mod history;
mod log_file;
mod open;
mod origin;
mod packed;
mod partition;
mod past;
mod pieces;
mod producers;
mod publish;
pub mod recovery;
mod tables;
#[cfg(test)]
mod tests;
mod virtual_segments;
mod writer;

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, Weak};

pub use append::{Ack, Append, AppendError, AppendPart, Appended};
use bytes::Bytes;
pub use cache::TailCache;
pub use log_file::{GroupMark, LogFile};
pub(crate) use partition::Place;
pub use partition::{Partition, Waiter, Wake};
pub use pieces::{Cached, Chunk, Entry, EpochStart, Pieces};
pub use producers::{Producer, Producers, RememberedBatch, Sequence};
pub use virtual_segments::{VirtualSegment, VirtualSegments};

pub(crate) use checkpoint::with_running_max;
pub(crate) use history::{History, Lease, Needed};
pub(crate) use origin::Origin;
pub(crate) use partition::lock;

use crate::engine::{Shared, wait};
use crate::error::{Error, Result};
use crate::frame;
use crate::maintenance::Saves;
use crate::manifest::{Edit, Manifest, NextLog};
use crate::state::{Durability, Fact, State, Txn};
use crate::trouble::Troubles;
use crate::units::{FileId, Lsn, TimelineId, TopicPartition};
use append::{Deliver, Item};
use fence::Gate;
use group::{Draft, Head};
use publish::{Effects, SyncTarget};
pub(crate) use tables::Tables;
use writer::Core;

/// How much of the queue goes into one group.
const GROUP_BYTES_MAX: usize = 16 << 20;

/// A handle to a running timeline.
#[derive(Clone)]
pub struct Timeline(pub(crate) Arc<Inner>);

/// What the handles share.
pub(crate) struct Inner {
    pub(crate) id: TimelineId,
    pub(crate) salt: u64,
    pub(crate) shared: Arc<Shared>,
    pub(crate) tables: Tables,
    pub(crate) manifest: Mutex<Manifest>,
    /// What the writer works with; nothing where the log is damaged.
    core: Mutex<Option<Core>>,
    /// Log files that ended and wait to be sealed, oldest first.
    pub(crate) unsealed: Mutex<Vec<Arc<LogFile>>>,
    /// Bytes written since the last checkpoint.
    pub(crate) unsaved_bytes: AtomicU64,
    pub(crate) saves: Saves,
    /// What fails of its upkeep.
    troubles: Troubles,
    queue: Mutex<Queue>,
    scheduled: AtomicBool,
    unseen: Mutex<VecDeque<Effects>>,
    sync: Mutex<SyncTarget>,
    publishing: Mutex<()>,
    durability: AtomicU8,
    written_lsn: AtomicU64,
    durable_lsn: AtomicU64,
    visible_lsn: AtomicU64,
    visible_time: AtomicI64,
    /// The durable LSN that the last group written says.
    vouched_lsn: AtomicU64,
    /// Its sealed files.
    pub(crate) files: crate::segment::Files,
    pub(crate) history: Arc<History>,
    /// When it was made.
    created_ms: i64,
    /// The leader epoch it was born with.
    born_epoch: i32,
    /// Whether a volume points at it.
    named: AtomicBool,
    /// Where it branched off.
    pub(crate) origin: Option<Origin>,
    /// The timelines that branched off it.
    children: Mutex<Vec<Weak<Inner>>>,
    /// Why it takes no writes.
    damage: OnceLock<String>,
    /// Whether clients may have read what a crash took away.
    pub(crate) may_have_lost: bool,
}

/// What waits for the writer.
#[derive(Default)]
struct Queue {
    items: VecDeque<Item>,
    gate: Gate,
}

impl Timeline {
    /// Its number.
    pub fn id(&self) -> TimelineId {
        self.0.id
    }

    /// The newest group that clients can see.
    pub fn visible_lsn(&self) -> Lsn {
        self.0.visible_lsn()
    }

    /// The newest group that is on the disk.
    pub fn durable_lsn(&self) -> Lsn {
        self.0.durable_lsn()
    }

    /// The newest group that is written.
    pub fn end_lsn(&self) -> Lsn {
        self.0.written_lsn()
    }

    /// The leader epoch of what is appended now.
    pub fn leader_epoch(&self) -> i32 {
        self.0.leader_epoch()
    }

    /// When clients see what is appended.
    pub fn durability(&self) -> Durability {
        self.0.durability()
    }

    /// Bytes of the batches that the live view shows, inherited ones among them. Counted as they come and go: this only reads a number.
    pub fn live_bytes(&self) -> u64 {
        self.0.tables.live_bytes()
    }

    /// Why the timeline is read-only, if it is.
    pub fn damage(&self) -> Option<&str> {
        self.0.damage.get().map(String::as_str)
    }

    /// A partition, as far as its topic is visible.
    pub fn partition(&self, id: TopicPartition) -> Option<Arc<Partition>> {
        self.0.tables.get(id)
    }

    /// A partition as a view at `lsn` has it: also one whose topic was deleted later.
    pub fn partition_at(&self, id: TopicPartition, lsn: Lsn) -> Option<Arc<Partition>> {
        self.0.tables.get_any(id).filter(|partition| partition.gone_at() > lsn)
    }

    /// Looks at the visible state. Short, and nothing is submitted inside.
    pub fn state<T>(&self, look: impl FnOnce(&State) -> T) -> T {
        look(&self.0.tables.read_state())
    }

    /// A number that grows whenever a volume or a pin comes, changes or goes (in `system`). Read inside of [`Timeline::state`] it belongs to that state.
    pub fn names_version(&self) -> u64 {
        self.0.tables.names_version()
    }

    /// Appends batches and says later what became of each.
    pub fn append(&self, append: Append, done: impl FnOnce(Vec<Result<Appended, AppendError>>) + Send + 'static) {
        if let Some(error) = self.0.refusal() {
            let refused = append.parts.iter().map(|_| Err(AppendError::Storage(error.clone())));
            return done(refused.collect());
        }
        self.0.submit(Item::Append(append, Box::new(done)));
    }

    /// Runs `decide` over the writer's own state, ahead of what is visible, and says its result when all it saw is visible. Facts that it put are
    /// written with it; if it put none, nothing is.
    pub fn transact<R: Send + 'static>(
        &self,
        decide: impl FnOnce(&mut Txn<'_>) -> R + Send + 'static,
        done: impl FnOnce(Result<R>) + Send + 'static,
    ) {
        match self.0.refusal() {
            Some(error) => done(Err(error)),
            None => self.0.submit(transaction(decide, done)),
        }
    }

    /// Calls back when everything submitted before is visible; at once if it is.
    pub fn barrier(&self, done: impl FnOnce() + Send + 'static) {
        if self.0.is_quiet() || self.0.refusal().is_some() {
            return done();
        }
        self.0.submit(Item::Barrier(Box::new(done)));
    }
}

impl std::fmt::Debug for Timeline {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "timeline {} at {}", self.0.id, self.end_lsn())
    }
}

impl Inner {
    pub(crate) fn visible_lsn(&self) -> Lsn {
        Lsn(self.visible_lsn.load(Ordering::Acquire))
    }

    pub(crate) fn durable_lsn(&self) -> Lsn {
        Lsn(self.durable_lsn.load(Ordering::Acquire))
    }

    pub(crate) fn written_lsn(&self) -> Lsn {
        Lsn(self.written_lsn.load(Ordering::Acquire))
    }

    pub(crate) fn vouched_lsn(&self) -> Lsn {
        Lsn(self.vouched_lsn.load(Ordering::Acquire))
    }

    pub(crate) fn leader_epoch(&self) -> i32 {
        self.tables.leader_epoch()
    }

    pub(crate) fn durability(&self) -> Durability {
        match self.durability.load(Ordering::Acquire) {
            0 => Durability::Fsync,
            _ => Durability::PageCache,
        }
    }

    fn refusal(&self) -> Option<Error> {
        if self.shared.is_closing() {
            return Some(Error::Closed);
        }
        let why = self.damage.get()?.clone();
        Some(Error::ReadOnly { timeline: self.id.0, why })
    }

    /// Why no group may be written now, whoever was let in before.
    fn unwritable(&self) -> Option<Error> {
        if self.shared.is_gone() {
            let path = std::path::PathBuf::from("the data directory");
            return Some(Error::Io { path, why: "is not where it was".to_owned() });
        }
        self.damage.get().map(|why| Error::ReadOnly { timeline: self.id.0, why: why.clone() })
    }

    /// Whether nothing is queued, being written, or written and unseen.
    fn is_quiet(&self) -> bool {
        !self.scheduled.load(Ordering::Acquire)
            && lock(&self.queue).is_empty()
            && self.visible_lsn() == self.written_lsn()
    }

    /// Takes turns at writing until the queue is empty.
    fn work(self: &Arc<Self>) {
        loop {
            let items = self.take();
            if items.is_empty() {
                self.scheduled.store(false, Ordering::Release);
                // An item may have come between the look and the store; whoever sets the flag again serves it.
                if lock(&self.queue).is_empty() || self.scheduled.swap(true, Ordering::AcqRel) {
                    return;
                }
                continue;
            }
            let outcome = catch_unwind(AssertUnwindSafe(|| {
                // A damaged timeline has none, and takes nothing in.
                if let Some(core) = lock(&self.core).as_mut() {
                    core.process(self, items);
                }
            }));
            if outcome.is_err() {
                // What it had decided is in doubt; the log is not: the next start takes it from there.
                return self.shared.fail("the writer panicked");
            }
        }
    }

    fn take(&self) -> Vec<Item> {
        let mut queue = lock(&self.queue);
        let mut bytes = 0;
        let count = queue.items.iter().take_while(|item| {
            let fits = bytes < GROUP_BYTES_MAX;
            bytes += item.bytes();
            fits
        });
        let count = count.count();
        queue.items.drain(..count).collect()
    }

    /// The timeline that it branched off.
    pub(crate) fn parent(&self) -> Option<&Inner> {
        self.origin.as_ref().map(|origin| &*origin.parent)
    }

    /// The timelines that branched off and are open.
    pub(crate) fn children(&self) -> Vec<Arc<Inner>> {
        lock(&self.children).iter().filter_map(Weak::upgrade).collect()
    }

    /// Its files go: it sees nothing of its parent any more.
    pub(crate) fn forsake(&self) {
        if let Some(parent) = self.parent() {
            lock(&parent.children).retain(|child| child.upgrade().is_some_and(|child| child.id != self.id));
        }
    }

    /// What pins, leases and the history need. Without a name there is no history but that of pins.
    pub(crate) fn needed(&self) -> Needed {
        self.history.needed()
    }

    /// When clients see what is appended, from here on.
    pub(crate) fn set_durability(&self, durability: Durability) {
        self.durability.store(durability as u8, Ordering::Release);
    }

    /// Takes in a timeline that branched off: what it sees is kept from here on.
    fn adopt(&self, child: &Arc<Inner>) {
        let mut children = lock(&self.children);
        children.retain(|known| known.strong_count() > 0);
        children.push(Arc::downgrade(child));
    }

    /// As [`Timeline::transact`], for the engine: here, even if the volume has gone on to another timeline.
    pub(crate) fn decide_here<R: Send + 'static>(
        self: &Arc<Self>,
        decide: impl FnOnce(&mut Txn<'_>) -> R + Send + 'static,
        done: impl FnOnce(Result<R>) + Send + 'static,
    ) {
        match self.refusal() {
            Some(error) => done(Err(error)),
            None => self.submit_here(transaction(decide, done)),
        }
    }

    /// Notes the intent of a job that makes so many segments: the number of the first, which is the job's.
    pub(crate) fn intend(&self, segments: u64) -> Result<FileId> {
        self.with_manifest(|manifest| {
            let first = manifest.next_file();
            let outputs = (0..segments).map(|n| FileId(first.0 + n)).collect();
            manifest.append(&Edit::Intent { job: first.0, outputs })?;
            Ok(first)
        })
    }

    /// Writes a group that vouches for what is synced, if no other has done so.
    pub(crate) fn mark_idle(self: &Arc<Self>) {
        self.submit_here(Item::Idle);
    }

    /// Ends the active log file, if there is a group in it: that of this timeline, even if the volume has gone on to another. Parks the thread.
    pub(crate) fn end_active(self: &Arc<Self>) -> Result<()> {
        wait(|done| self.submit_here(Item::Roll(done)))
    }

    /// Writes a group that says nothing, so that the log stands above where it stood. Parks the thread.
    pub(crate) fn step_on(self: &Arc<Self>) -> Result<()> {
        self.mark_idle();
        wait(|done| self.submit_here(Item::Barrier(Box::new(move || done(Ok(()))))))
    }

    /// The log file that is appended to; none where the log is damaged.
    pub(crate) fn active_log(&self) -> Option<Arc<LogFile>> {
        lock(&self.core).as_ref().map(|core| Arc::clone(&core.active))
    }

    /// Begins a leader epoch: all that is appended from here on has it.
    pub(crate) fn begin_epoch(self: &Arc<Self>, epoch: i32, done: impl FnOnce(Result<()>) + Send + 'static) {
        self.submit_here(Item::Epoch(epoch, Box::new(done)));
    }

    /// The partition of an internal topic, which every timeline has.
    fn internal_partition(&self, id: TopicPartition) -> Result<Arc<Partition>> {
        self.tables.get(id).ok_or(Error::UnknownPartition)
    }

    /// What a fact means for the writer as soon as it is in the log: nothing may follow the deletion of a topic.
    fn fact_written(&self, fact: &Fact, producers: &mut Producers) {
        for partition in self.tables.ended_partitions(fact) {
            partition.close();
            producers.forget(partition.id());
        }
    }

    /// Makes the next log file and names it in the manifest, in that order. The one before it ends at `after_bytes` with the group `after`.
    fn create_log(&self, first: Lsn, after: Lsn, after_bytes: u64) -> Result<Arc<LogFile>> {
        let next = NextLog { first, after, after_bytes, created_ms: self.shared.now() };
        let file = self.with_manifest(|manifest| manifest.create_log(next))?;
        Ok(LogFile::new(first, file, frame::HEADER_BYTES as u64))
    }

    /// Takes down how something of its upkeep went, and tells of it if that is news.
    pub(crate) fn note(&self, what: &'static str, went: Result<()>) -> Result<()> {
        self.troubles.note(&self.shared.stats, &format_args!("timeline {}", self.id), what, went)
    }

    /// Appends an edit to the manifest.
    pub(crate) fn edit(&self, edit: &Edit) -> Result<()> {
        self.with_manifest(|manifest| manifest.append(edit))
    }

    /// Changes the manifest. If it breaks, the engine ends: a start may find the edit or not, and nothing written meanwhile may depend on which.
    /// (A log file may be ended by it at a place that more groups were written behind.)
    fn with_manifest<T>(&self, change: impl FnOnce(&mut Manifest) -> Result<T>) -> Result<T> {
        let mut manifest = lock(&self.manifest);
        let outcome = change(&mut manifest);
        if let Err(error) = &outcome
            && manifest.is_broken()
        {
            self.fail(&format!("the manifest of timeline {} failed: {error}", self.id));
        }
        outcome
    }

    fn rolled(self: &Arc<Self>, old: Arc<LogFile>) {
        lock(&self.unsealed).push(old);
        self.shared.wake_maintenance();
    }
}

/// A decision, and what is told of it.
fn transaction<R: Send + 'static>(
    decide: impl FnOnce(&mut Txn<'_>) -> R + Send + 'static,
    done: impl FnOnce(Result<R>) + Send + 'static,
) -> Item {
    Item::Transact(Box::new(move |txn| {
        let result = decide(txn);
        let deliver: Deliver = Box::new(move |outcome| done(outcome.map(|()| result)));
        deliver
    }))
}

/// A batch as the tail cache keeps it. A small one is copied, so that it does not hold on to the request that it came in; a large one is kept in two pieces.
fn cache_entry(draft: &Draft, head: &Bytes) -> Cached {
    const COPIED_BYTES_MAX: usize = 16 << 10;
    let patched = draft.head.bytes().len();
    let end_offset = draft.base_offset + i64::from(draft.offsets);
    if matches!(draft.head, Head::AsIs) {
        return Cached { base_offset: draft.base_offset, end_offset, head: draft.payload.clone(), rest: Bytes::new() };
    }
    let rest = draft.payload.slice(patched..);
    if draft.payload.len() > COPIED_BYTES_MAX {
        return Cached { base_offset: draft.base_offset, end_offset, head: head.clone(), rest };
    }
    let mut whole = Vec::with_capacity(draft.payload.len());
    whole.extend_from_slice(head);
    whole.extend_from_slice(&rest);
    Cached { base_offset: draft.base_offset, end_offset, head: Bytes::from(whole), rest: Bytes::new() }
}
