//! What of a sealed file is needed, and by whom.
//!
//! The live view needs what no log start has passed and no deletion has taken. The history window and pins need what some view of theirs sees: a batch is seen by views in
//! `[from, until)`, from its own group to the group that hid it. Facts, and what a file alone says of ends and epochs, are needed until every view that is needed has a
//! state-at between them and itself. Placement plays no part: bytes are needed or not wherever they lie.
//!
//! What a child sees of its parent is needed, too, as long as some view of the child sees it: what a child hides it hides in its own log.
//!
//! A compaction hides all below its end, for views from its group on, and what it left is seen from that group on, up to that of the next compaction. What it hides says
//! what producers and epochs were, too: so that stays until a state-at says so, to every view that is needed.

use std::sync::Arc;

use crate::timeline::{Inner, Needed, Partition, lock};
use crate::units::{Lsn, TopicPartition};

use super::index::StretchRecord;

/// What a timeline needs at one moment, after the floor that it works with is durable.
pub(crate) struct Need<'a> {
    inner: &'a Inner,
    /// Whether a volume points at the timeline: else only pins and children see it.
    is_live: bool,
    /// Pins and the floor.
    pub(crate) needed: Needed,
    /// LSNs of the state-at files, in order.
    pub(crate) state_ats: Vec<Lsn>,
    children: Vec<Child>,
}

/// A timeline that branched off, and what it needs.
struct Child {
    branch: Lsn,
    inner: Arc<Inner>,
    needed: Needed,
    children: Vec<Child>,
}

/// Bytes by who needs them.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(crate) struct Shares {
    pub(crate) live: u64,
    pub(crate) history: u64,
    pub(crate) dead: u64,
}

/// Batches of a partition that lie somewhere.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lying {
    pub(crate) partition: TopicPartition,
    /// Which compaction made them, or 0.
    pub(crate) generation: u32,
    /// The offset behind the last.
    pub(crate) end: i64,
    /// The first group and the last that wrote them.
    pub(crate) lsns: (Lsn, Lsn),
}

/// Who needs a stretch or a batch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum By {
    Live,
    History,
    Nobody,
}

impl<'a> Need<'a> {
    /// What a timeline needs now. Pins are read before children: whoever makes a branch has a lease until the child is known.
    pub(crate) fn of(inner: &'a Inner) -> Self {
        let state_ats = lock(&inner.manifest).files().state_ats.clone();
        let needed = inner.needed();
        Self { inner, is_live: inner.is_named(), needed, state_ats, children: children_of(inner) }
    }

    /// Who needs batches.
    pub(crate) fn by(&self, lying: &Lying) -> By {
        let Lying { partition, generation, end, lsns: (first, last) } = *lying;
        if partition.topic.is_internal() {
            return if self.is_folded(first, last) { By::Nobody } else { By::Live };
        }
        let Some(known) = self.inner.tables.get_any(partition) else { return By::Nobody };
        let Some(Seen { from, until, is_superseded }) = Seen::of(&known, lying) else { return By::Nobody };
        if self.is_live && !known.is_gone() && known.log_start() < end && !is_superseded {
            return By::Live;
        }
        let is_needed = self.needed.sees(from, until) || is_inherited(&self.children, partition, end, (from, until));
        let says_more = is_superseded && generation == 0 && !self.is_folded(first, last);
        if is_needed || says_more { By::History } else { By::Nobody }
    }

    /// Who needs how much of a stretch, taken as a whole: one that a log start cuts is live.
    pub(crate) fn shares(&self, stretch: &StretchRecord) -> Shares {
        let bytes = stretch.bytes;
        match self.by(&stretch.lying()) {
            By::Live => Shares { live: bytes, ..Shares::default() },
            By::History => Shares { history: bytes, ..Shares::default() },
            By::Nobody => Shares { dead: bytes, ..Shares::default() },
        }
    }

    /// The last state-at but one: should the newest have rotted, a start reads the log from there on. Log files with groups above it stay as they are.
    pub(crate) fn base(&self) -> Lsn {
        self.state_ats.iter().rev().nth(1).copied().unwrap_or(Lsn::ZERO)
    }

    /// Whether every batch of a stretch is needed, as far as that is known without its index.
    pub(crate) fn is_whole(&self, stretch: &StretchRecord) -> bool {
        let known = self.inner.tables.get_any(stretch.partition).filter(|_| self.is_live);
        let begins_at = |known: &Partition| match known.pieces().compaction_at(None) {
            Some(made) if stretch.generation == 0 => made.end.max(known.log_start()),
            made if made.map_or(0, |made| made.generation) == stretch.generation => known.log_start(),
            _ => i64::MAX,
        };
        known.is_some_and(|known| !known.is_gone() && begins_at(&known) <= stretch.first_offset)
            && !stretch.partition.topic.is_internal()
    }

    /// Whether what groups `[first, last]` say is, for every view that is needed, in a state-at between them and the view.
    pub(crate) fn is_folded(&self, first: Lsn, last: Lsn) -> bool {
        let folded = self.state_ats.get(self.state_ats.partition_point(|at| *at < last));
        let is_below = |view: Lsn| view >= last && folded.is_some_and(|at| *at <= view);
        // Where the lowest of the views has it between them, all others have.
        let pin = self.needed.pins.get(self.needed.pins.partition_point(|pin| *pin < first)).copied();
        let child = self.children.iter().map(|child| child.branch).filter(|branch| *branch >= first).min();
        pin.into_iter().chain(child).chain([self.needed.floor]).all(is_below)
    }

    /// The lowest view that is needed: of pins, children and the history.
    pub(crate) fn oldest_view(&self) -> Lsn {
        self.single_views().chain([self.needed.floor]).min().unwrap_or(Lsn::ZERO)
    }

    /// Whether a child has a partition of a deleted topic: it finds the records through this one, wherever they lie.
    pub(crate) fn is_inherited(&self, partition: &Partition) -> bool {
        let since = self.children.iter().filter(|child| child.branch < partition.gone_at());
        since.into_iter().any(|child| child.inner.tables.has_any(partition.id()))
    }

    /// Pins, and the branch points of children: should the beginning of one rot, it is made again.
    fn single_views(&self) -> impl Iterator<Item = Lsn> {
        self.needed.pins.iter().copied().chain(self.children.iter().map(|child| child.branch))
    }

    /// The state-ats that may go: no pin lies between one and the next, and the floor is at or above the next. The last two stay.
    pub(crate) fn spare_state_ats(&self) -> Vec<Lsn> {
        let (_newest, older) = self.state_ats.split_last().unwrap_or((&Lsn::ZERO, &[]));
        let pairs = older.windows(2).map(|pair| (pair[0], pair[1]));
        let spare = pairs.filter(|(at, next)| {
            let pinned = self.single_views().any(|view| (*at..*next).contains(&view));
            !pinned && self.needed.floor >= *next
        });
        spare.map(|(at, _)| at).collect()
    }
}

impl std::ops::AddAssign for Shares {
    fn add_assign(&mut self, other: Self) {
        self.live += other.live;
        self.history += other.history;
        self.dead += other.dead;
    }
}

fn children_of(inner: &Inner) -> Vec<Child> {
    let children = inner.children().into_iter();
    children
        .map(|child| Child {
            branch: child.origin.as_ref().map_or(Lsn::ZERO, |origin| origin.branch),
            needed: child.needed(),
            children: children_of(&child),
            inner: child,
        })
        .collect()
}

/// Whether a child that branched off in `[from, until)` still sees, in some view, batches below `end`.
fn is_inherited(children: &[Child], partition: TopicPartition, end: i64, (from, until): (Lsn, Lsn)) -> bool {
    children.iter().filter(|child| from <= child.branch && child.branch < until).any(|child| {
        // To the child they are as they were written, whatever the parent had made of them by then.
        let inherited = Lying { partition, generation: 0, end, lsns: (child.branch, child.branch) };
        let Some((Seen { from, until, .. }, is_shown)) = Seen::in_timeline(&child.inner, &inherited) else {
            return false;
        };
        (child.inner.is_named() && is_shown)
            || child.needed.sees(from, until)
            || is_inherited(&child.children, partition, end, (from, until))
    })
}

/// Which views of a partition's own timeline see batches.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Seen {
    /// From this group on,
    pub(super) from: Lsn,
    /// and no longer from this one on; past the greatest if every later view does.
    pub(super) until: Lsn,
    /// Whether a compaction has put something in their place.
    pub(super) is_superseded: bool,
}

impl Seen {
    /// Of batches that may lie in an ancestor's files, and whether the live view shows them. Does not unpack a partition that was only inherited.
    pub(super) fn in_timeline(inner: &Inner, lying: &Lying) -> Option<(Self, bool)> {
        if let Some(log_start) = inner.tables.packed_log_start(lying.partition).filter(|_| lying.generation == 0) {
            let is_shown = log_start < lying.end;
            let branch = inner.origin.as_ref().map_or(Lsn::ZERO, |origin| origin.branch);
            let until = if is_shown { Lsn::MAX } else { branch };
            return Some((Self { from: lying.lsns.0, until, is_superseded: false }, is_shown));
        }
        let known = inner.tables.get_any(lying.partition)?;
        let seen = Self::of(&known, lying)?;
        Some((seen, !known.is_gone() && known.log_start() < lying.end && !seen.is_superseded))
    }

    /// None where no view does: a compaction made them that came to nothing, or that no view asks for any more.
    pub(super) fn of(partition: &Partition, lying: &Lying) -> Option<Self> {
        let Lying { generation, end, lsns: (first, _), .. } = *lying;
        let (from, next) = {
            let compactions = &partition.pieces().compactions;
            if generation == 0 {
                (first, compactions.iter().find(|made| made.end >= end).map(|made| made.lsn))
            } else {
                let made = compactions.iter().position(|made| made.generation == generation)?;
                (compactions[made].lsn, compactions.get(made + 1).map(|next| next.lsn))
            }
        };
        let hidden = hidden_at(partition, end);
        Some(Self { from, until: hidden.min(next.unwrap_or(Lsn::MAX)), is_superseded: next.is_some() })
    }
}

/// The group from which on no view sees what lies below `end`, in whatever form; past the greatest if every view does.
fn hidden_at(partition: &Partition, end: i64) -> Lsn {
    let pieces = partition.pieces();
    let passed = pieces.log_starts.partition_point(|moved| moved.offset < end);
    let passed = pieces.log_starts.get(passed).map(|moved| moved.lsn);
    passed.unwrap_or(Lsn::MAX).min(partition.gone_at())
}
