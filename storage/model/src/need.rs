//! What a view should hold, what it does hold, and what of that somebody needs.

use crate::*;

impl Model {
    pub(crate) fn owner(&self, s: &State, mut t: usize, l: Lsn) -> usize {
        while l <= s.mem.meta[t].branch && s.mem.meta[t].parent != NONE {
            t = s.mem.meta[t].parent as usize;
        }
        t
    }
    pub(crate) fn group(&self, s: &State, t: usize, l: Lsn) -> Group {
        s.tl[self.owner(s, t, l)].log[l as usize]
    }

    /// The records that a view shows and each partition's last record: of `records`, and of the groups whose headers or facts are `known`. What compaction
    /// takes away counts where it is to be `compacted`; else `records` are what is left.
    fn show(&self, s: &State, (t, l): View, (records, known): (u8, u8), compacted: bool) -> (u8, [Lsn; 2]) {
        let (mut seen, mut last) = ([0u8; 2], [0; 2]);
        let mut then = [[0u8; 2]; L];
        for x in 1..=l {
            match self.group(s, t as usize, x) {
                Rec(p) => {
                    seen[p as usize] |= bit(x) & records;
                    if known & bit(x) != 0 {
                        last[p as usize] = x;
                    }
                }
                Hide(p) if known & bit(x) != 0 => seen[p as usize] = 0,
                Compacted { upto, .. } if compacted => {
                    for (seen, then) in seen.iter_mut().zip(then[upto as usize]) {
                        *seen &= !range(0, upto) | highest(then);
                    }
                }
                _ => {}
            }
            then[x as usize] = seen;
        }
        (seen[0] | seen[1], last)
    }
    pub(crate) fn expected(&self, s: &State, view: View) -> (u8, [Lsn; 2]) {
        self.show(s, view, (!0, !0), true)
    }
    pub(crate) fn actual(&self, s: &State, (t, l): View) -> Option<(u8, [Lsn; 2])> {
        let (mut said, mut u, mut hi) = (0, t as usize, l);
        loop {
            let lo = s.mem.meta[u].branch;
            said |= stored(&s.tl[u], 0) & range(lo, hi);
            if s.mem.meta[u].parent == NONE {
                break;
            }
            (u, hi) = (s.mem.meta[u].parent as usize, lo);
        }
        let base = bits(s.tl[t as usize].state_at).filter(|k| *k <= l).last()?;
        Some(self.show(s, (t, l), (self.found(s, (t, l)), said | range(0, base)), false))
    }

    pub(crate) fn named(&self, s: &State, t: usize) -> bool {
        if self.ok(Rule::DeleteDurable) {
            s.disk.meta[t].life == Named
        } else {
            s.mem.meta[t].life == Named && s.disk.meta[t].life == Named
        }
    }
    /// LSNs of the pins on a timeline: durable ones, and those registered in memory.
    pub(crate) fn pins<'a>(&'a self, s: &'a State, t: usize) -> impl Iterator<Item = Lsn> + 'a {
        let durable =
            (0..S).filter(|i| self.ok(Rule::UnpinDurable) || s.mem.pins[*i].is_some()).filter_map(|i| s.disk.pins[i]);
        let taking = s.taking.iter().flatten().copied().filter(|_| self.ok(Rule::PinRegistered));
        let branch = s.branching.iter().map(|b| b.at).filter(|_| self.ok(Rule::BranchRegistered));
        let compacted = s.compacting.iter().map(|c| (c.t, c.at)).filter(|_| self.ok(Rule::CompactionLeased));
        let all = durable.chain(taking).chain(branch).chain(compacted);
        all.filter(move |v| v.0 as usize == t).map(|v| v.1)
    }
    pub(crate) fn children<'a>(&'a self, s: &'a State, t: usize) -> impl Iterator<Item = usize> + 'a {
        (0..T).filter(move |c| [&s.disk, &s.mem].iter().any(|sys| sys.alive(*c) && sys.meta[*c].parent as usize == t))
    }
    /// Is a record, as it was written in `t` or before `t` branched off, or as a compaction in `t` left it, needed by `t` or by what branched from it?
    pub(crate) fn record_needed(&self, s: &State, t: usize, (x, generation): Piece, floor: Lsn) -> bool {
        let Rec(p) = self.group(s, t, x) else { return false };
        let Some((from, superseded)) = self.lives(s, t, (x, generation)) else { return false };
        let branch = s.mem.meta[t].branch;
        let hidden = (x.max(branch) + 1..=s.tl[t].end).find(|h| s.tl[t].log[*h as usize] == Hide(p)).unwrap_or(NEVER);
        let until = hidden.min(superseded);
        let hidden_by_child = || {
            !self.ok(Rule::HideInOwn)
                && self.children(s, t).any(|c| {
                    let branch = s.mem.meta[c].branch;
                    self.named(s, c) && branch >= x && !self.record_needed(s, c, (x, 0), s.disk.meta[c].floor)
                })
        };
        self.named(s, t) && until > floor && !hidden_by_child()
            || self.pins(s, t).any(|l| from <= l && (l < until || !self.ok(Rule::IntervalNeed)))
            || self.ok(Rule::ChildNeeds)
                && (generation == 0 || self.ok(Rule::ChildSeesGeneration))
                && self.children(s, t).any(|c| {
                    let b = s.mem.meta[c].branch;
                    from <= b
                        && b < until
                        && (!self.ok(Rule::ChildCuts) || self.record_needed(s, c, (x, 0), s.disk.meta[c].floor))
                })
    }
    /// Is the fact, or what the header says of its partition's end, needed, since no state-at holds it for some view?
    pub(crate) fn header_needed(&self, s: &State, t: usize, x: Lsn, floor: Lsn) -> bool {
        let g = s.tl[t].log[x as usize];
        let rule = if matches!(g, Rec(_)) { Rule::EndsFolded } else { Rule::FactsFolded };
        let next = if matches!(g, Rec(_)) {
            (x + 1..=s.tl[t].end).find(|y| s.tl[t].log[*y as usize] == g).unwrap_or(NEVER)
        } else {
            NEVER
        };
        let folded = |l: Lsn| s.tl[t].state_at & range(x - 1, if self.ok(rule) { l } else { L as Lsn - 1 }) != 0;
        if matches!(g, Rec(_))
            && !self.ok(Rule::SupersededFolded)
            && self.lives(s, t, (x, 0)).is_some_and(|(_, until)| until != NEVER)
        {
            return false;
        }
        let needed = |l: Lsn| x <= l && l < next && !folded(l);
        let of_child = |c: usize| needed(s.mem.meta[c].branch);
        self.named(s, t) && needed(floor.max(x))
            || self.pins(s, t).any(needed)
            || matches!(g, Compacted { .. }) && self.ok(Rule::ChildFolds) && self.children(s, t).any(of_child)
    }
    pub(crate) fn keep(&self, s: &State, t: usize, (holds, generation): (u8, u8), floor: Lsn) -> u8 {
        let says = |x: Lsn| generation == 0 && self.header_needed(s, t, x, floor);
        let stays = |x: &Lsn| self.record_needed(s, t, (*x, generation), floor) || says(*x);
        bits(holds).filter(stays).fold(0, |m, x| m | bit(x))
    }
    /// Nothing reads from this state-at: each view that could has a newer one.
    pub(crate) fn state_at_idle(&self, s: &State, t: usize, k: Lsn) -> bool {
        let next = bits(s.tl[t].state_at).find(|n| *n > k).unwrap_or(NEVER);
        if !self.ok(Rule::StateAtBase) {
            return next != NEVER;
        }
        let mut views = self.pins(s, t).chain(self.children(s, t).map(|c| s.mem.meta[c].branch));
        !(self.named(s, t) && s.disk.meta[t].floor < next) && !views.any(|l| k <= l && l < next)
    }
}
