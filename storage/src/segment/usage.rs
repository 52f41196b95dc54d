//! What the files of all timelines hold, and for whom: bytes of each snapshot, shared with others and its own, and bytes of each timeline.
//!
//! Who sees a batch is what [`super::need`] says, asked for one after the other: the live view, the history window, single pins, and the same of children.
//! *Owned* is what only one pin sees: what its deletion frees. Leases of readers do not count, they end by themselves. What is not sealed yet is counted, too.
//!
//! One pass over all stretches. An index is read only of stretches that some view sees a part of.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::files::File;
use super::index::StretchRecord;
use super::need::{Lying, Seen};
use crate::engine::Engine;
use crate::error::Result;
use crate::manifest::FileRef;
use crate::state::PinId;
use crate::timeline::{Chunk, Inner};
use crate::units::{Lsn, TimelineId, TopicPartition};

/// Bytes of all timelines and pins.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Usage {
    /// By timeline.
    pub timelines: BTreeMap<TimelineId, TimelineBytes>,
    /// By pin.
    pub pins: BTreeMap<PinId, PinnedBytes>,
}

/// Bytes of batches that lie in the files of a timeline, by who needs them; and what its live view has elsewhere.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct TimelineBytes {
    /// Seen by its live view.
    pub live: u64,
    /// Seen by its history, pins or children alone.
    pub history: u64,
    /// Seen by nothing: a collection frees them.
    pub dead: u64,
    /// Facts, whoever needs them.
    pub facts: u64,
    /// Seen by its live view in the files of its ancestors.
    pub inherited: u64,
}

/// Bytes of batches that a pinned view shows.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct PinnedBytes {
    /// Seen by nothing else: its deletion frees them.
    pub owned: u64,
    /// Seen by others, too.
    pub shared: u64,
}

impl Engine {
    /// What all files hold, and for whom. Runs on the read pool.
    pub fn usage(self: &Arc<Self>, done: impl FnOnce(Result<Usage>) + Send + 'static) {
        let engine = Arc::clone(self);
        self.shared().read_pool.run(move || done(Tally::of(&engine).count()));
    }
}

/// A timeline, and what was counted of it.
struct Node {
    inner: Arc<Inner>,
    is_named: bool,
    floor: Lsn,
    branch: Lsn,
    children: Vec<usize>,
    /// In order of their LSNs.
    pins: Vec<(Lsn, PinId)>,
    /// At each pin, how many bytes more it sees than the one before.
    seen_more: Vec<i128>,
    owned: Vec<u64>,
    bytes: TimelineBytes,
}

struct Tally {
    nodes: Vec<Node>,
}

/// Consecutive batches of a partition, or one.
#[derive(Clone, Copy)]
struct Part {
    partition: TopicPartition,
    generation: u32,
    first_offset: i64,
    end_offset: i64,
    first_lsn: Lsn,
    last_lsn: Lsn,
    bytes: u64,
}

/// Who sees a part.
#[derive(Default)]
struct Seers {
    /// Timelines whose live view does.
    live: Vec<usize>,
    in_window: bool,
    /// Of a timeline, pins from one to before another.
    pins: Vec<(usize, usize, usize)>,
}

impl Tally {
    fn of(engine: &Engine) -> Self {
        let mut pins: BTreeMap<TimelineId, Vec<(Lsn, PinId)>> = BTreeMap::new();
        engine.system().state(|state| {
            state.pins().for_each(|pin| pins.entry(pin.timeline).or_default().push((pin.lsn, pin.id)));
        });
        let mut nodes: Vec<Node> = Vec::new();
        // Parents come first: they have the lower numbers.
        for timeline in engine.timelines() {
            let mut pins = pins.remove(&timeline.id()).unwrap_or_default();
            pins.sort_unstable();
            let inner = timeline.0;
            let origin = inner.origin.as_ref();
            let at = nodes.len();
            if let Some(parent) = origin.and_then(|origin| nodes.iter_mut().find(|n| n.inner.id == origin.parent.id)) {
                parent.children.push(at);
            }
            nodes.push(Node {
                is_named: inner.is_named(),
                floor: inner.needed().floor,
                branch: origin.map_or(Lsn::ZERO, |origin| origin.branch),
                children: Vec::new(),
                seen_more: vec![0; pins.len() + 1],
                owned: vec![0; pins.len()],
                bytes: TimelineBytes::default(),
                pins,
                inner,
            });
        }
        Self { nodes }
    }

    fn count(mut self) -> Result<Usage> {
        for owner in 0..self.nodes.len() {
            let (files, chunks) = pieces_of(&self.nodes[owner].inner);
            for file in &files {
                for stretch in file.stretches() {
                    self.count_stretch(owner, file, stretch)?;
                }
            }
            for (partition, chunk) in &chunks {
                parts_of(*partition, chunk).for_each(|part| self.count_part(owner, &part));
            }
        }
        Ok(self.usage())
    }

    fn count_stretch(&mut self, owner: usize, file: &File, stretch: &StretchRecord) -> Result<()> {
        let StretchRecord { partition, generation, first_offset, end_offset, first_lsn, last_lsn, bytes, .. } =
            *stretch;
        let whole = Part { partition, generation, first_offset, end_offset, first_lsn, last_lsn, bytes };
        if partition.topic.is_internal() || self.is_uniform(owner, &whole) {
            self.count_part(owner, &whole);
            return Ok(());
        }
        let records = file.records(partition)?;
        let ends = records.iter().skip(1).map(|next| next.base_offset).chain([end_offset]);
        for (record, end_offset) in records.iter().zip(ends) {
            let (first_offset, bytes) = (record.base_offset, u64::from(record.bytes));
            let (first_lsn, last_lsn) = (record.lsn, record.lsn);
            let part = Part { partition, generation, first_offset, end_offset, first_lsn, last_lsn, bytes };
            self.count_part(owner, &part);
        }
        Ok(())
    }

    /// Whether every view sees all of a part or nothing.
    fn is_uniform(&self, at: usize, part: &Part) -> bool {
        let node = &self.nodes[at];
        let lying = part.lying();
        let seen = |lying: &Lying| Seen::in_timeline(&node.inner, lying).map(|(seen, _)| seen);
        let Some(last) = seen(&lying) else { return true };
        if seen(&Lying { end: part.first_offset.saturating_add(1), ..lying }) != Some(last) {
            return false;
        }
        // What a compaction left is seen from one group on, all of it.
        let (first_lsn, last_lsn) = if part.generation > 0 { (last.from, last.from) } else { lying.lsns };
        let is_between = |lsn: Lsn| first_lsn <= lsn && lsn < last_lsn;
        let pin = node.pins.partition_point(|(lsn, _)| *lsn < first_lsn);
        let mut children = node.children.iter().map(|child| (*child, self.nodes[*child].branch));
        !node.pins.get(pin).is_some_and(|(lsn, _)| is_between(*lsn))
            && children.all(|(child, branch)| {
                !is_between(branch) && (branch < first_lsn || self.is_uniform(child, &part.inherited_at(branch)))
            })
    }

    fn count_part(&mut self, owner: usize, part: &Part) {
        let bytes = part.bytes;
        if part.partition.topic.is_internal() {
            self.nodes[owner].bytes.facts += bytes;
            return;
        }
        let mut seers = Seers::default();
        self.see(owner, part, &mut seers);
        let Seers { live, in_window, pins } = seers;
        let is_live = live.contains(&owner);
        for at in live.iter().filter(|at| **at != owner) {
            self.nodes[*at].bytes.inherited += bytes;
        }
        for (at, from, to) in &pins {
            let seen_more = &mut self.nodes[*at].seen_more;
            seen_more[*from] += i128::from(bytes);
            seen_more[*to] -= i128::from(bytes);
        }
        if let ([], false, [(at, from, to)]) = (&live[..], in_window, &pins[..])
            && to - from == 1
        {
            self.nodes[*at].owned[*from] += bytes;
        }
        let of_owner = &mut self.nodes[owner].bytes;
        let class = match (is_live, live.is_empty() && !in_window && pins.is_empty()) {
            (true, _) => &mut of_owner.live,
            (false, false) => &mut of_owner.history,
            (false, true) => &mut of_owner.dead,
        };
        *class += bytes;
    }

    fn see(&self, at: usize, part: &Part, seers: &mut Seers) {
        let node = &self.nodes[at];
        let Some((seen, is_shown)) = Seen::in_timeline(&node.inner, &part.lying()) else { return };
        let Seen { from: first, until, .. } = seen;
        if node.is_named && is_shown {
            seers.live.push(at);
        }
        seers.in_window |= until > node.floor;
        let pin = |lsn: Lsn| node.pins.partition_point(|(pin, _)| *pin < lsn);
        let (from, to) = (pin(first), pin(until));
        if from < to {
            seers.pins.push((at, from, to));
        }
        for child in &node.children {
            let branch = self.nodes[*child].branch;
            if first <= branch && branch < until {
                self.see(*child, &part.inherited_at(branch), seers);
            }
        }
    }

    fn usage(self) -> Usage {
        let mut usage = Usage::default();
        for node in self.nodes {
            let mut seen = 0;
            for (((_, pin), owned), more) in node.pins.iter().zip(&node.owned).zip(&node.seen_more) {
                seen += more;
                let shared = u64::try_from(seen).unwrap_or(0).saturating_sub(*owned);
                usage.pins.insert(*pin, PinnedBytes { owned: *owned, shared });
            }
            usage.timelines.insert(node.inner.id, node.bytes);
        }
        usage
    }
}

impl Part {
    /// As a child has it that branched off at an LSN: from there on, whatever the parent had made of it by then.
    fn inherited_at(&self, branch: Lsn) -> Self {
        Self { first_lsn: branch, last_lsn: branch, generation: 0, ..*self }
    }

    fn lying(&self) -> Lying {
        let Self { partition, generation, end_offset, first_lsn, last_lsn, .. } = *self;
        Lying { partition, generation, end: end_offset, lsns: (first_lsn, last_lsn) }
    }
}

/// The sealed files of a timeline, and what lies in others: taken anew until no file was sealed or rewritten meanwhile.
fn pieces_of(inner: &Inner) -> (Vec<File>, Vec<(TopicPartition, Chunk)>) {
    loop {
        let before = names(&inner.files.all());
        let mut chunks = Vec::new();
        for partition in inner.tables.all_opened() {
            chunks.extend(partition.pieces().tail.iter().map(|chunk| (partition.id(), chunk.clone())));
        }
        let files = inner.files.all();
        if names(&files) == before {
            return (files, chunks);
        }
    }
}

fn names(files: &[File]) -> Vec<FileRef> {
    files.iter().map(|file| file.name()).collect()
}

fn parts_of(partition: TopicPartition, chunk: &Chunk) -> impl Iterator<Item = Part> {
    let ends = chunk.entries.iter().skip(1).map(|next| next.base_offset).chain([chunk.end_offset]);
    chunk.entries.iter().zip(ends).map(move |(entry, end_offset)| {
        let lsn = chunk.log.group_of(u64::from(entry.position)).map_or(Lsn::ZERO, |group| group.lsn);
        Part {
            partition,
            generation: 0,
            first_offset: entry.base_offset,
            end_offset,
            first_lsn: lsn,
            last_lsn: lsn,
            bytes: u64::from(entry.bytes),
        }
    })
}
