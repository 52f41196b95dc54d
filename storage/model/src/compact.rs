//! Compaction, and where views find what it left. In the engine: `segment/compact/`, `Partition::place`, and the list of compactions that a partition keeps.
//!
//! The view that a compaction sees is its last durable one; of that it leaves the last record of each partition, in one output. What is due by share, age or tombstones,
//! and holes, are left out: a compaction may begin whenever the window allows it.

use crate::steps::{Next, push};
use crate::*;

/// Records as they were written (0) or as a compaction left them.
pub(crate) type Piece = (Lsn, u8);

/// A compaction whose fact is in a timeline's log.
#[derive(Clone, Copy)]
pub(crate) struct Made {
    pub(crate) lsn: Lsn,
    upto: Lsn,
    generation: u8,
}

/// Whose knowledge of the compactions of a timeline.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Known {
    /// All that were ever there.
    Ever,
    /// What the running process has in mind.
    Now,
    /// What it would know after a start: from the newest state-at and the facts in its files.
    Stored,
}

/// The groups that a timeline's files hold, as they were written or as a compaction left them.
pub(crate) fn stored(tl: &Timeline, generation: u8) -> u8 {
    let files = tl.files.iter().filter(|f| f.exists && f.naming && f.generation == generation);
    files.fold(0, |m, f| m | f.holds)
}

pub(crate) fn highest(mask: u8) -> u8 {
    bits(mask).last().map_or(0, bit)
}

/// Reading.
impl Model {
    /// The compactions of a timeline itself, oldest first.
    pub(crate) fn compactions_of<'a>(
        &self,
        s: &'a State,
        t: usize,
        known: Known,
    ) -> impl DoubleEndedIterator<Item = Made> + use<'a> {
        let tl = &s.tl[t];
        let is_known = match known {
            Known::Ever => !0,
            Known::Now => !tl.forgotten,
            Known::Stored => !tl.forgotten & (stored(tl, 0) | range(0, bits(tl.state_at).last().unwrap_or(0))),
        };
        let end = if self.bounds.compactions > 0 { tl.end } else { 0 };
        (s.mem.meta[t].branch + 1..=end).filter_map(move |lsn| match tl.log[lsn as usize] {
            Compacted { upto, generation } if is_known & bit(lsn) != 0 => Some(Made { lsn, upto, generation }),
            _ => None,
        })
    }

    /// Where a view looks: timelines from its own up, with what they hold as it was written or as a compaction left it, and for which records.
    fn layers(&self, s: &State, (t, l): View, known: Known, see: &mut impl FnMut(usize, u8, u8)) {
        let (mut u, mut hi) = (t as usize, l);
        loop {
            let Meta { parent, branch, .. } = s.mem.meta[u];
            let rule = if u == t as usize { Rule::CompactionIsFact } else { Rule::BranchAsOf };
            let as_of = if self.ok(rule) || known == Known::Ever { hi } else { NEVER };
            let made = self.compactions_of(s, u, known).rev().find(|made| made.lsn <= as_of);
            let upto = made.map_or(branch, |made| made.upto);
            see(u, 0, range(upto, hi));
            if let Some(made) = made {
                return see(u, made.generation, range(0, upto));
            }
            if parent == NONE {
                return;
            }
            (u, hi) = (parent as usize, branch);
        }
    }

    /// The records that a view finds, each where it looks for it.
    pub(crate) fn found(&self, s: &State, view: View) -> u8 {
        let mut found = 0;
        self.layers(s, view, Known::Stored, &mut |u, generation, lsns| {
            let holder = if generation > 0 { self.home(s, u) } else { u };
            found |= stored(&s.tl[holder], generation) & lsns;
        });
        found
    }

    /// Where a view should find a record: in whose files, and in what form.
    pub(crate) fn place(&self, s: &State, view: View, x: Lsn) -> Option<(usize, u8)> {
        let mut place = None;
        self.layers(s, view, Known::Ever, &mut |u, generation, lsns| {
            if lsns & bit(x) != 0 {
                place = Some((u, generation));
            }
        });
        place
    }

    /// The views of a timeline itself that look for a piece, log starts apart: from one group on, and no longer from another one on.
    pub(crate) fn lives(&self, s: &State, t: usize, (x, generation): Piece) -> Option<(Lsn, Lsn)> {
        let mut made = self.compactions_of(s, t, Known::Now);
        let branch = s.mem.meta[t].branch;
        if generation == 0 {
            let until = match made.find(|made| made.upto >= x) {
                Some(_) if !self.ok(Rule::SupersededStays) => 0,
                Some(_) if !self.ok(Rule::SupersededGoes) => NEVER,
                Some(_) if !self.ok(Rule::ChildSupersedes) && x <= branch => NEVER,
                made => made.map_or(NEVER, |made| made.lsn),
            };
            return Some((x.max(branch), until));
        }
        let Some(own) = made.find(|made| made.generation == generation) else {
            return Some((x, NEVER)).filter(|_| !self.ok(Rule::UnfinishedGoes));
        };
        let until = made.next().map_or(NEVER, |next| if self.ok(Rule::GenerationStays) { next.lsn } else { 0 });
        Some((own.lsn, until))
    }

    /// The timeline whose files the outputs of a compaction are.
    fn home(&self, s: &State, t: usize) -> usize {
        let parent = s.mem.meta[t].parent;
        if self.ok(Rule::CloneOwnFiles) || parent == NONE { t } else { parent as usize }
    }
}

/// Doing.
impl Model {
    pub(crate) fn compactions(&self, next: &mut Next<'_>) {
        if self.bounds.compactions == 0 || next.settling {
            return;
        }
        for t in 0..self.bounds.timelines {
            if next.s.compacting.is_none() {
                self.compaction_start(next, t);
            }
            self.compactions_forgotten(next, t);
        }
        if let Some(compacting) = next.s.compacting {
            self.compaction_step(next, compacting);
        }
    }

    fn compaction_start(&self, next: &mut Next<'_>, t: usize) {
        let (s, tl, tn) = (next.s, &next.s.tl[t], t as u8);
        let at = if self.ok(Rule::CompactsDurable) { tl.durable } else { tl.end };
        let last = self.compactions_of(s, t, Known::Now).last();
        let in_window = last.is_some_and(|made| made.lsn > s.disk.meta[t].floor) && self.ok(Rule::OncePerWindow);
        let may_begin = Self::writable(s, t) && !tl.fenced && tl.jobs < self.bounds.compactions && !in_window;
        if !may_begin || self.expected(s, (tn, at)).0 == 0 {
            return;
        }
        let generation = if self.ok(Rule::NewGeneration) {
            tl.jobs + 1
        } else {
            self.compactions_of(s, t, Known::Ever).count() as u8 + 1
        };
        let home = self.home(s, t);
        let Some(out) = self.free_file(next, home) else { return };
        next.go(Act::StartCompaction(tn, at), |n| {
            let (home, out, step) = (home as u8, out as u8, Step::Started);
            n.compacting = Some(Compacting { t: tn, home, at, generation, out, step });
            n.tl[t].jobs += 1;
        });
    }

    fn compaction_step(&self, next: &mut Next<'_>, c: Compacting) {
        let (s, home, out) = (next.s, c.home as usize, c.out as usize);
        let step = |n: &mut State, step| n.compacting = Some(Compacting { step, ..c });
        match c.step {
            Step::Started => next.go(Act::CompactionStep(c.step), |n| self.copy(n, c)),
            Step::Written => next.go(Act::CompactionStep(c.step), |n| {
                if self.ok(Rule::OutputsSynced) {
                    n.tl[home].files[out].synced = n.tl[home].files[out].holds;
                }
                step(n, Step::Synced);
            }),
            Step::Synced if s.tl[home].edit => {}
            Step::Synced => next.go(Act::CompactionStep(c.step), |n| {
                n.tl[home].files[out].naming = true;
                n.tl[home].edit = true;
                step(n, Step::Edited);
            }),
            Step::Edited if self.ok(Rule::OutputsBeforeFact) => {}
            Step::Edited | Step::Ended => self.compaction_end(next, c),
        }
    }

    /// Writes what stays of the view, as it is found.
    fn copy(&self, n: &mut State, c: Compacting) {
        let view = (c.t, c.at);
        let found = self.actual(n, view);
        if found != Some(self.expected(n, view)) {
            n.bad = Some("P1 view: a compaction does not find what it is to copy");
        }
        let found = found.map_or(0, |found| found.0);
        let last = |p: u8| bits(found).filter(|x| self.group(n, c.t as usize, *x) == Rec(p)).last();
        let holds = (0..self.bounds.parts).filter_map(last).fold(0, |m, x| m | bit(x));
        let made = File { exists: true, first: c.at, generation: c.generation, holds, ..Default::default() };
        let (file, step) = if self.bounds.fine {
            (File { intent: self.ok(Rule::JobIntent), ..made }, Step::Written)
        } else {
            (File { synced: holds, named: true, naming: true, ..made }, Step::Ended)
        };
        n.tl[c.home as usize].files[c.out as usize] = file;
        n.compacting = Some(Compacting { step, ..c });
    }

    /// The fact, if the volume has not gone on to another timeline.
    fn compaction_end(&self, next: &mut Next<'_>, c: Compacting) {
        let (s, t) = (next.s, c.t as usize);
        let tl = &s.tl[t];
        let active = tl.files[tl.active as usize];
        if Self::writable(s, t) && !tl.fenced && tl.end < self.bounds.lsns && active.exists && active.named {
            next.go(Act::CompactionFact(c.t), |n| {
                push(&mut n.tl[t], Compacted { upto: c.at, generation: c.generation });
                n.compacting = None;
            });
        } else {
            next.go(Act::GiveUpCompaction(c.t), |n| n.compacting = None);
        }
    }

    /// Drops from the list the compactions that no view asks for.
    fn compactions_forgotten(&self, next: &mut Next<'_>, t: usize) {
        let s = next.s;
        let floor = if self.named(s, t) { s.disk.meta[t].floor } else { NEVER };
        let branches = self.children(s, t).map(|c| s.mem.meta[c].branch);
        let oldest = self.pins(s, t).chain(branches).chain([floor]).min().unwrap_or(NEVER);
        let passed = self.compactions_of(s, t, Known::Now).filter(|made| made.lsn <= oldest);
        let passed = passed.fold(0, |m, made| m | bit(made.lsn));
        let gone = if self.ok(Rule::CompactionKnown) { passed & !highest(passed) } else { passed };
        if gone != 0 {
            next.go(Act::ForgetCompactions(t as u8), |n| n.tl[t].forgotten |= gone);
        }
    }
}
