//! What a crash leaves, and what recovery makes of it.

use crate::*;

impl Model {
    pub(crate) fn crashes(&self, s: &State, out: &mut Vec<(Act, State)>) {
        // Killed: the page cache keeps what was written. With the rules kept, that is a power loss that spares everything.
        if !self.ok(Rule::RewriteTail) || !self.ok(Rule::SyncManifest) {
            out.push((Act::Kill, self.recover(s, *s, true)));
        }
        let mut worlds = vec![];
        for keep in 0..=s.facts.iter().flatten().count() {
            let mut n = *s;
            for f in s.facts.iter().flatten().take(keep) {
                n.disk.apply(*f);
                safety_pin_late(&mut n, *f);
            }
            worlds.push((Act::PowerLoss { facts: keep as u8, cut: [0; T], edits_lost: 0 }, n));
        }
        for t in 0..T {
            let tl = &s.tl[t];
            let unsynced = tl.files.iter().filter(|f| f.exists && f.log).fold(0, |m, f| m | f.holds & !f.synced);
            let mut next = vec![];
            for (act, w) in worlds {
                for lost in [NEVER].into_iter().chain(bits(unsynced)) {
                    for edit_lost in if tl.edit { &[false, true][..] } else { &[false][..] } {
                        let (mut act, mut n) = (act, w);
                        if let Act::PowerLoss { cut, edits_lost, .. } = &mut act {
                            if lost != NEVER {
                                cut[t] = lost;
                            }
                            *edits_lost |= u8::from(*edit_lost) << t;
                        }
                        if *edit_lost {
                            for f in &mut n.tl[t].files {
                                f.naming = f.named;
                            }
                        }
                        for f in n.tl[t].files.iter_mut().filter(|f| !f.log) {
                            f.holds &= f.synced;
                        }
                        if tl.dir == Dir::Written {
                            n.tl[t] = Timeline::default();
                        } else {
                            self.cut(&mut n, t, lost);
                        }
                        next.push((act, n));
                    }
                }
            }
            worlds = next;
        }
        for (act, w) in worlds {
            out.push((act, self.recover(s, w, false)));
        }
    }
    /// The log ends at the first group that is lost.
    pub(crate) fn cut(&self, n: &mut State, t: usize, lost: Lsn) {
        let tl = &mut n.tl[t];
        if lost == NEVER {
            return;
        }
        if lost <= tl.durable {
            n.bad = Some("P2 lost: a group that was durable");
        }
        tl.end = lost - 1;
        for l in lost as usize..L {
            tl.log[l] = Group::Empty;
        }
        for f in tl.files.iter_mut().filter(|f| f.log) {
            f.holds &= range(0, lost - 1) | 1;
        }
    }
    pub(crate) fn recover(&self, before: &State, mut n: State, kill: bool) -> State {
        if kill {
            n.disk = n.mem;
        } // system itself is written again and synced
        n.mem = n.disk;
        (n.facts, n.taking, n.branching, n.job, n.reader) = ([None; 2], [None; S], None, None, None);
        n.compacting = None;
        for t in 0..T {
            self.recover_timeline(before, &mut n, t, kill);
        }
        n
    }

    pub(crate) fn recover_timeline(&self, before: &State, n: &mut State, t: usize, kill: bool) {
        let meta = n.disk.meta[t];
        if !self.ok(Rule::FloorDurable) {
            n.disk.meta[t].floor = meta.branch;
            n.mem.meta[t].floor = meta.branch;
        }
        if before.disk.alive(t) && n.disk.meta[t].floor < before.disk.meta[t].floor {
            n.bad = n.bad.or(Some("P6 floor: it fell"));
        }
        if meta.life == Life::Unborn {
            if n.tl[t].dir != Dir::Absent && !self.ok(Rule::BranchIntent) {
                n.bad = n.bad.or(Some("P3 trash: the directory of an unfinished branch is kept for ever"));
            }
            n.tl[t] = Timeline::default();
            return;
        }
        if meta.life == Dropping {
            return;
        }
        if n.tl[t].dir != Dir::Synced {
            n.bad = n.bad.or(Some(if meta.life == Named {
                "P2 lost: a volume's directory"
            } else {
                "P7 false damage: directory missing"
            }));
            return;
        }
        self.recover_manifest(n, t, kill);
        self.recover_log(n, t);
    }

    pub(crate) fn recover_manifest(&self, n: &mut State, t: usize, kill: bool) {
        let meta = n.disk.meta[t];
        let tl = &mut n.tl[t];
        let believe_only = kill && !self.ok(Rule::SyncManifest);
        if !believe_only {
            tl.edit = false;
            sync_edit(tl);
        }
        for f in tl.files.iter_mut().filter(|f| f.exists && !f.naming) {
            let known = f.dropped || f.intent || f.named || f.holds == 0; // removed by an edit, unfinished output, or empty
            if f.dropped && !self.ok(Rule::PlaceUnversioned) {
                continue;
            }
            if !known && f.log {
                n.bad = n.bad.or(Some(if self.ok(Rule::AsideNotSwept) {
                    "P2 lost: frames set aside in trash"
                } else {
                    "P2 unlinked: frames that no edit names, swept"
                }));
            }
            if !known && !f.log {
                n.bad = n.bad.or(Some("P3 trash: an unfinished output is kept for ever"));
            }
            *f = File { named: f.named && believe_only, ..Default::default() };
        }
        if meta.life == Named
            && tl.files.iter().any(|f| f.named && (!f.exists && !believe_only || !f.log && f.holds != f.synced))
        {
            n.bad = n.bad.or(Some("P2 lost: a file that the manifest names is missing or empty"));
        }
    }

    pub(crate) fn recover_log(&self, n: &mut State, t: usize) {
        let meta = n.disk.meta[t];
        let tl = &mut n.tl[t];
        let newest = (0..F)
            .filter(|i| tl.files[*i].exists && tl.files[*i].log && tl.files[*i].naming)
            .max_by_key(|i| tl.files[*i].first);
        let bound = newest
            .filter(|_| self.ok(Rule::OlderFirst))
            .map_or(0, |i| tl.files[i].first - 1)
            .max(bits(tl.state_at).last().unwrap_or(0))
            .max(tl.files.iter().filter(|f| f.naming && f.generation > 0).map(|f| f.first).max().unwrap_or(0))
            .max(n.disk.meta[t].floor)
            .max(n.disk.pins.iter().flatten().filter(|v| v.0 as usize == t).map(|v| v.1).max().unwrap_or(0))
            .max(
                (0..T)
                    .filter(|c| n.disk.alive(*c) && n.disk.meta[*c].parent as usize == t)
                    .map(|c| n.disk.meta[c].branch)
                    .max()
                    .unwrap_or(0),
            );
        if tl.end < bound {
            n.bad = n.bad.or(Some("P7 false damage: the log ends below a pin, branch, floor, state-at or opened file"));
        }
        if self.ok(Rule::RewriteTail) {
            for f in tl.files.iter_mut().filter(|f| f.exists && f.log) {
                f.synced = f.holds;
            }
        }
        (tl.durable, tl.planned, tl.fenced) = (tl.end, n.disk.meta[t].floor, meta.life == Nameless);
        tl.forgotten = 0; // what a state-at from before, or the log, still has is known again
        match newest {
            Some(i) => tl.active = i as u8,
            _ if meta.life == Named => {
                if let Some(i) = (0..F).find(|i| !tl.files[*i].exists) {
                    tl.files[i] = File {
                        exists: true,
                        log: true,
                        first: tl.end + 1,
                        named: true,
                        naming: true,
                        ..Default::default()
                    };
                    tl.active = i as u8;
                }
            }
            _ => {}
        }
    }
}
