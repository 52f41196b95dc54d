//! The steps of a job of the rewriter, and of a branch or restore.

use crate::*;

impl Model {
    pub(crate) fn job_step(&self, s: &State, mut j: Job, out: &mut Vec<(Act, State)>) {
        let (mut n, t, was, mut done) = (*s, j.t as usize, j.step, false);
        let tl = &mut n.tl[t];
        let floor_durable = s.disk.meta[t].floor >= j.floor || !self.named(s, t);
        match j.step {
            Step::Started if j.out == NONE => j.step = Step::Synced,
            Step::Started => {
                let intent = self.ok(Rule::JobIntent);
                tl.files[j.out as usize] = File { holds: j.keep, intent, ..output_of(tl, j.inputs) };
                j.step = Step::Written;
            }
            Step::Written => {
                if self.ok(Rule::OutputsSynced) {
                    tl.files[j.out as usize].synced = j.keep;
                }
                j.step = Step::Synced;
            }
            Step::Synced => {
                if tl.edit || self.ok(Rule::EditAfterFloor) && !floor_durable {
                    return;
                }
                for i in 0..F {
                    if j.inputs & 1 << i != 0 {
                        tl.files[i].naming = false;
                    }
                }
                if j.out != NONE {
                    tl.files[j.out as usize].naming = true;
                }
                if !self.bounds.fine && self.ok(Rule::PlaceUnversioned) {
                    sync_edit(tl);
                    for i in 0..F {
                        if j.inputs & 1 << i != 0 {
                            tl.files[i] = File::default();
                        }
                    }
                    done = true;
                } else {
                    tl.edit = true;
                    j.step = Step::Edited;
                }
            }
            Step::Edited if self.ok(Rule::EditBeforeUnlink) => return,
            Step::Edited | Step::Ended => {
                let read = s.reader.is_some_and(|(rt, rf)| rt == j.t && j.inputs & 1 << rf != 0);
                if read && self.ok(Rule::ReadersFirst) || !floor_durable {
                    return;
                }
                for i in (0..F).filter(|i| j.inputs & 1 << i != 0) {
                    if self.ok(Rule::PlaceUnversioned) {
                        tl.files[i] = File { named: tl.files[i].named, ..Default::default() }
                    } else {
                        tl.files[i].first = tl.end;
                    }
                }
                if tl.files.iter().any(|f| f.named && !f.exists) {
                    n.bad = Some("P2 unlinked: a file that the synced manifest names");
                }
                done = true;
            }
        }
        n.job = if done { None } else { Some(j) };
        out.push((Act::JobStep(was), n));
    }
}

/// What the output of a job is: as its inputs are, compacted or not.
pub(crate) fn output_of(tl: &Timeline, inputs: u8) -> File {
    let File { generation, first, .. } = tl.files[inputs.trailing_zeros() as usize];
    File { exists: true, generation, first: if generation == 0 { 0 } else { first }, ..Default::default() }
}

impl Model {
    pub(crate) fn branch_steps(&self, s: &State, free_slot: Option<usize>, out: &mut Vec<(Act, State)>) {
        match s.branching {
            Some(b) => self.branch_step(s, b, out),
            None => self.branch_starts(s, free_slot, out),
        }
    }

    fn branch_starts(&self, s: &State, free_slot: Option<usize>, out: &mut Vec<(Act, State)>) {
        let Some(new) =
            (0..self.bounds.timelines).find(|t| s.mem.meta[*t].life == Life::Unborn && s.tl[*t].dir == Dir::Absent)
        else {
            return;
        };
        let mut sources = self.sources(s);
        sources.retain(|(at, _)| at.1 > 0); // nothing to share
        for (at, olds) in sources {
            let fine = self.bounds.fine;
            let start = |old, slot| Branching {
                new: new as u8,
                at,
                old,
                slot,
                step: if fine { Step::Started } else { Step::Synced },
            };
            let mut s = *s;
            if !fine {
                s.tl[new] = Timeline { dir: Dir::Synced, ..self.timeline(at.1) }
            }
            let mut n = s;
            n.branching = Some(start(NONE, NONE));
            out.push((Act::Clone(new as u8, at), n));
            let Some(slot) = free_slot else { continue };
            for old in olds {
                let mut n = s;
                n.tl[old].fenced = true;
                n.branching = Some(start(old as u8, slot as u8));
                out.push((Act::Restore(new as u8, at, old as u8), n));
            }
        }
    }

    /// Views to branch off, and whose name a restore to one may take.
    fn sources(&self, s: &State) -> Vec<(View, Vec<usize>)> {
        let named: Vec<usize> = (0..T)
            .filter(|t| s.disk.meta[*t].life == Named && s.mem.meta[*t].life == Named && !s.tl[*t].fenced)
            .collect();
        let mut sources: Vec<(View, Vec<usize>)> = vec![];
        for &t in &named {
            let tl = &s.tl[t];
            for l in tl.planned..=if self.ok(Rule::BranchDurable) { tl.durable } else { tl.end } {
                sources.push(((t as u8, l), vec![t]));
            }
        }
        for i in 0..S {
            if let (Some(v), Some(_)) = (s.disk.pins[i], s.mem.pins[i]) {
                sources.push((v, named.clone()));
            }
        }
        sources
    }

    fn branch_step(&self, s: &State, mut b: Branching, out: &mut Vec<(Act, State)>) {
        let (mut n, was) = (*s, b.step);
        match b.step {
            Step::Started => {
                n.tl[b.new as usize] = self.timeline(b.at.1);
                b.step = Step::Written;
            }
            Step::Written if self.ok(Rule::DirBeforeFact) => {
                n.tl[b.new as usize].dir = Dir::Synced;
                b.step = Step::Synced;
            }
            Step::Written | Step::Synced => {
                let mut facts = vec![Fact::Branch(b.new, b.at, None)];
                if b.old != NONE {
                    let old = &s.tl[b.old as usize];
                    if old.durable < old.end && self.ok(Rule::Fence) {
                        return;
                    }
                    let safety = (b.old, old.durable);
                    facts = if self.ok(Rule::RestoreOneFact) {
                        vec![Fact::Branch(b.new, b.at, Some((b.slot, safety)))]
                    } else {
                        vec![Fact::Retire(b.slot, safety), Fact::Branch(b.new, b.at, Some((b.slot, safety)))]
                    };
                }
                if s.facts.iter().filter(|f| f.is_none()).count() < facts.len() {
                    return;
                }
                for f in facts {
                    n.write(f);
                }
                b.step = Step::Edited;
            }
            _ => return,
        }
        n.branching = Some(b);
        out.push((Act::BranchStep(was), n));
    }
}
