//! What may happen next in a state: the log, floors, snapshots, the start of jobs, deletion, readers.

use crate::jobs::output_of;
use crate::*;

/// Where successors of a state are collected.
pub(crate) struct Next<'a> {
    pub(crate) s: &'a State,
    pub(crate) settling: bool,
    /// Whether `system` takes another fact before its next sync.
    room: bool,
    free_slot: Option<usize>,
    pub(crate) out: &'a mut Vec<(Act, State)>,
}

/// Writes a group to the log.
pub(crate) fn push(tl: &mut Timeline, group: Group) {
    tl.end += 1;
    tl.log[tl.end as usize] = group;
    tl.files[tl.active as usize].holds |= bit(tl.end);
}

impl Next<'_> {
    pub(crate) fn go(&mut self, act: Act, change: impl FnOnce(&mut State)) {
        let mut n = *self.s;
        change(&mut n);
        self.out.push((act, n));
    }
}

impl Model {
    pub(crate) fn successors(&self, s: &State, settling: bool, out: &mut Vec<(Act, State)>) {
        let b = &self.bounds;
        let free_slot = (0..b.snapshots).find(|i| {
            s.taking[*i].is_none()
                && s.mem.pins[*i].is_none()
                && s.disk.pins[*i].is_none()
                && !s.branching.is_some_and(|b| b.old != NONE && b.slot as usize == *i)
        });
        let next = &mut Next { s, settling, room: s.facts[b.facts - 1].is_none(), free_slot, out };
        for t in 0..b.timelines {
            self.appends(next, t);
            self.syncs(next, t);
            self.floors(next, t);
            self.states_at(next, t);
            self.snapshots_of(next, t);
            self.job_starts(next, t);
            self.reaps(next, t);
            self.deletions(next, t);
            self.opens(next, t);
        }
        if s.reader.is_some() {
            next.go(Act::Close, |n| n.reader = None);
        }
        self.pins_written(next);
        self.system_steps(next);
        if let Some(j) = s.job {
            self.job_step(s, j, next.out);
        }
        self.compactions(next);
        if !settling && b.branches {
            self.branch_steps(s, free_slot, next.out);
        }
    }

    pub(crate) fn writable(s: &State, t: usize) -> bool {
        s.disk.meta[t].life == Named && s.mem.meta[t].life == Named
    }

    pub(crate) fn free_file(&self, next: &Next<'_>, t: usize) -> Option<usize> {
        let (s, tl) = (next.s, &next.s.tl[t]);
        let is_output = |i| {
            s.job.is_some_and(|j| (j.t as usize, j.out as usize) == (t, i))
                || s.compacting.is_some_and(|c| (c.home as usize, c.out as usize) == (t, i))
        };
        (0..if next.settling { F } else { self.bounds.files }).find(|i| !tl.files[*i].exists && !is_output(*i))
    }

    fn appends(&self, next: &mut Next<'_>, t: usize) {
        let (s, b, tn) = (next.s, &self.bounds, t as u8);
        let tl = &s.tl[t];
        let active = tl.files[tl.active as usize];
        let may_append = Self::writable(s, t) && (!tl.fenced || !self.ok(Rule::Fence));
        if !may_append || tl.end >= b.lsns || !active.exists || !(active.named || !self.ok(Rule::OpenEditFirst)) {
            return;
        }
        let append = |group| move |n: &mut State| push(&mut n.tl[t], group);
        for p in 0..b.parts {
            next.go(Act::Append(tn, Rec(p)), append(Rec(p)));
        }
        if self.expected(s, (tn, tl.end)).0 != 0 {
            next.go(Act::Append(tn, Hide(0)), append(Hide(0)));
        }
        if b.ids > 0 && !self.ok(Rule::IdsInSystem) {
            next.go(Act::Append(tn, Id), append(Id));
        }
    }

    fn syncs(&self, next: &mut Next<'_>, t: usize) {
        let (s, tn) = (next.s, t as u8);
        let tl = &s.tl[t];
        for (i, f) in tl.files.iter().enumerate().filter(|(_, f)| f.exists && f.log && f.synced != f.holds) {
            next.go(Act::SyncLog(tn, i as u8), |n| {
                n.tl[t].files[i].synced = f.holds;
                let synced = n.tl[t].files.iter().filter(|f| f.exists && f.log).fold(0, |m, f| m | f.synced);
                let durable = if self.ok(Rule::OlderFirst) {
                    (tl.durable + 1..=tl.end).take_while(|l| synced & bit(*l) != 0).last()
                } else {
                    bits(synced).last()
                };
                for l in tl.durable + 1..=durable.unwrap_or(0) {
                    if tl.log[l as usize] == Id {
                        give(n, (1..=l).filter(|x| self.group(s, t, *x) == Id).count() as u8);
                    }
                }
                n.tl[t].durable = tl.durable.max(durable.unwrap_or(0));
            });
        }
        let active = tl.files[tl.active as usize];
        let may_roll = Self::writable(s, t) && !tl.fenced && active.holds != 0 && !tl.edit && !next.settling;
        let is_synced = active.synced == active.holds || !self.ok(Rule::OpenAfterSync);
        if let Some(i) = self.free_file(next, t).filter(|_| may_roll && is_synced) {
            next.go(Act::Roll(tn), |n| {
                n.tl[t].files[i] =
                    File { exists: true, log: true, first: tl.end + 1, naming: true, ..Default::default() };
                (n.tl[t].active, n.tl[t].edit) = (i as u8, true);
                if !self.bounds.fine {
                    n.tl[t].edit = false;
                    sync_edit(&mut n.tl[t]);
                }
            });
        }
        if tl.edit {
            next.go(Act::SyncEdit(tn), |n| {
                n.tl[t].edit = false;
                sync_edit(&mut n.tl[t]);
                if let Some(j) = n.job.as_mut().filter(|j| j.t == tn && j.step == Step::Edited) {
                    j.step = Step::Ended;
                }
                if let Some(c) = n.compacting.as_mut().filter(|c| c.home == tn && c.step == Step::Edited) {
                    c.step = Step::Ended;
                }
            });
        }
    }

    fn floors(&self, next: &mut Next<'_>, t: usize) {
        let (s, tn) = (next.s, t as u8);
        let tl = &s.tl[t];
        if !Self::writable(s, t) || !next.room {
            return;
        }
        for l in tl.planned + 1..=if self.ok(Rule::FloorBelowDurable) { tl.durable } else { tl.end } {
            if next.settling && l != tl.durable {
                continue;
            }
            next.go(Act::PlanFloor(tn, l), |n| {
                n.tl[t].planned = l;
                if self.ok(Rule::FloorDurable) {
                    n.write(Fact::Floor(tn, l));
                } else {
                    n.disk.meta[t].floor = l;
                    n.mem.meta[t].floor = l;
                }
            });
        }
    }

    fn states_at(&self, next: &mut Next<'_>, t: usize) {
        let (s, tn) = (next.s, t as u8);
        let tl = &s.tl[t];
        if !s.disk.alive(t) {
            return;
        }
        let mut at: u8 = self.pins(s, t).filter(|l| *l <= tl.durable).fold(0, |m, l| m | bit(l));
        if Self::writable(s, t) {
            at |= bit(s.disk.meta[t].floor) | if self.ok(Rule::StateAtDurable) { 0 } else { bit(tl.end) };
        }
        if next.settling || tl.state_at.count_ones() < self.bounds.states_at {
            for k in bits(at & !tl.state_at) {
                next.go(Act::StateAt(tn, k), |n| n.tl[t].state_at |= bit(k));
            }
        }
        for k in bits(tl.state_at).filter(|k| self.state_at_idle(s, t, *k)) {
            next.go(Act::DropStateAt(tn, k), |n| n.tl[t].state_at &= !bit(k));
        }
    }

    fn snapshots_of(&self, next: &mut Next<'_>, t: usize) {
        let (s, tn) = (next.s, t as u8);
        let tl = &s.tl[t];
        let Some(i) = next.free_slot.filter(|_| Self::writable(s, t) && !next.settling) else { return };
        let low = if self.ok(Rule::PlannedFloor) { tl.planned } else { s.disk.meta[t].floor };
        for l in (low..=tl.end).filter(|l| *l <= tl.durable || (*l == tl.end && !tl.fenced)) {
            next.go(Act::TakeSnapshot(i as u8, (tn, l)), |n| n.taking[i] = Some((tn, l)));
        }
    }

    fn job_starts(&self, next: &mut Next<'_>, t: usize) {
        let (s, tl) = (next.s, &next.s.tl[t]);
        if s.job.is_some() || !s.disk.alive(t) {
            return;
        }
        let is_sealed = |i: &usize| {
            let f = &tl.files[*i];
            let held = s.compacting.is_some_and(|c| (c.home as usize, c.out as usize) == (t, *i));
            f.exists
                && f.named
                && f.naming
                && (*i != tl.active as usize || s.disk.meta[t].life == Nameless)
                && (!held || !self.ok(Rule::OutputsHeld))
        };
        let sealed = (0..F).filter(is_sealed).fold(0u8, |m, i| m | 1 << i);
        let plain =
            (0..F).filter(|i| sealed & 1 << i != 0 && tl.files[*i].generation == 0).fold(0u8, |m, i| m | 1 << i);
        let all = if plain.count_ones() > 1 { Some(plain) } else { None };
        for inputs in (0..F as u8).map(|i| sealed & 1 << i).filter(|m| *m != 0).chain(all) {
            let floors = tl.planned..=if self.ok(Rule::PinsAfterPlan) { tl.planned } else { tl.durable };
            for floor in floors {
                self.job_start(next, t, inputs, floor);
            }
        }
    }

    fn job_start(&self, next: &mut Next<'_>, t: usize, inputs: u8, floor: Lsn) {
        let (s, tl, tn) = (next.s, &next.s.tl[t], t as u8);
        let files = || (0..F).filter(|i| inputs & 1 << *i != 0).map(|i| tl.files[i]);
        let holds = files().fold(0, |m, f| m | f.holds);
        let output = output_of(tl, inputs);
        let keep = self.keep(s, t, (holds, output.generation), floor);
        let free = self.free_file(next, t).map_or(NONE, |i| i as u8);
        let is_idle = keep == holds && (next.settling || !files().any(|f| f.log)) && holds != 0;
        if keep != 0 && free == NONE || is_idle {
            return;
        }
        let out = if keep != 0 { free } else { NONE };
        let step = if self.bounds.fine { Step::Started } else { Step::Synced };
        next.go(Act::StartJob(tn, inputs, keep), |n| {
            n.job = Some(Job { t: tn, inputs, out, keep, floor, step });
            if !self.bounds.fine && out != NONE {
                n.tl[t].files[out as usize] = File { holds: keep, synced: keep, intent: true, ..output };
            }
        });
    }

    fn reaps(&self, next: &mut Next<'_>, t: usize) {
        let (s, tl) = (next.s, &next.s.tl[t]);
        if self.ok(Rule::PlaceUnversioned) {
            return;
        }
        for i in (0..F).filter(|i| tl.files[*i].exists && tl.files[*i].dropped) {
            let r = tl.files[i].first;
            if s.job.is_none_or(|j| j.inputs & 1 << i == 0)
                && !(self.named(s, t) && s.disk.meta[t].floor < r)
                && !self.pins(s, t).any(|l| l < r)
            {
                next.go(Act::Reap(t as u8, i as u8), |n| n.tl[t].files[i] = File::default());
            }
        }
    }

    fn deletions(&self, next: &mut Next<'_>, t: usize) {
        let (s, tl, meta, tn) = (next.s, &next.s.tl[t], &next.s.disk.meta[t], t as u8);
        if Self::writable(s, t) && !tl.fenced && next.room {
            next.go(Act::DeleteVolume(tn), |n| {
                n.tl[t].fenced = true;
                n.write(Fact::Delete(tn));
            });
        }
        let is_pinned = self.pins(s, t).next().is_some() || s.mem.pins.iter().flatten().any(|v| v.0 == tn);
        let held = is_pinned || self.children(s, t).next().is_some();
        let is_nameless = meta.life == Nameless && s.mem.meta[t].life == Nameless;
        if is_nameless && next.room && s.job.is_none_or(|j| j.t != tn) && (!held || !self.ok(Rule::DropAfterPins)) {
            next.go(Act::DropTimeline(tn), |n| n.write(Fact::Drop(tn)));
        }
        let read = s.reader.is_some_and(|r| r.0 == tn) && self.ok(Rule::ReadersFirst);
        let is_dropped = meta.life == Dropping || s.mem.meta[t].life == Dropping && !self.ok(Rule::DropDurable);
        if tl.dir != Dir::Absent && !read && is_dropped {
            next.go(Act::RemoveDir(tn), |n| {
                n.tl[t] = Timeline::default();
                if meta.life == Dropping {
                    for sys in [&mut n.disk, &mut n.mem] {
                        sys.meta[t] = Meta { life: Dropping, parent: NONE, ..Default::default() };
                    }
                }
            });
        }
    }

    fn opens(&self, next: &mut Next<'_>, t: usize) {
        let (s, tl) = (next.s, &next.s.tl[t]);
        if self.bounds.reader && !next.settling && s.reader.is_none() {
            for i in (0..F).filter(|i| tl.files[*i].exists && tl.files[*i].naming) {
                next.go(Act::Open(t as u8, i as u8), |n| n.reader = Some((t as u8, i as u8)));
            }
        }
    }

    fn pins_written(&self, next: &mut Next<'_>) {
        let (s, room) = (next.s, next.room);
        for i in 0..self.bounds.snapshots {
            let slot = i as u8;
            if let Some(v) = s.taking[i].filter(|_| s.mem.pins[i].is_none()) {
                if room && (s.tl[v.0 as usize].durable >= v.1 || !self.ok(Rule::PinAfterDurable)) {
                    next.go(Act::WritePin(slot), |n| n.write(Fact::Pin(slot, v)));
                }
                next.go(Act::Abandon(slot), |n| n.taking[i] = None);
            }
            if room && s.disk.pins[i].is_some() && s.mem.pins[i].is_some() {
                next.go(Act::DeleteSnapshot(slot), |n| n.write(Fact::Unpin(slot)));
            }
        }
    }

    fn system_steps(&self, next: &mut Next<'_>) {
        let (s, ids) = (next.s, self.bounds.ids);
        if s.facts[0].is_some() {
            next.go(Act::SyncSystem, |n| {
                if self.ok(Rule::IdAfterDurable) && self.ok(Rule::IdsInSystem) {
                    (s.disk.next_id..s.mem.next_id).for_each(|id| give(n, id));
                }
                s.facts.iter().flatten().for_each(|f| safety_pin_late(n, *f));
                (n.disk, n.facts) = (n.mem, [None; 2]);
                for i in 0..S {
                    if n.disk.pins[i].is_some() {
                        n.taking[i] = None;
                    }
                }
                if n.branching.is_some_and(|b| n.disk.alive(b.new as usize)) {
                    n.branching = None;
                }
            });
        }
        if ids > 0 && self.ok(Rule::IdsInSystem) && next.room && s.mem.next_id < ids && !next.settling {
            next.go(Act::GiveId(s.mem.next_id), |n| {
                if !self.ok(Rule::IdAfterDurable) {
                    give(n, s.mem.next_id);
                }
                n.write(Fact::Id);
            });
        }
    }
}
