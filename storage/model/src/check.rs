//! What must hold in every state, and that jobs leave nothing behind.

use crate::*;

impl Model {
    pub(crate) fn check(&self, s: &State) -> Option<&'static str> {
        if s.bad.is_some() {
            return s.bad;
        }
        let exact = |v: View| self.actual(s, v) == Some(self.expected(s, v));
        for v in s.disk.pins.iter().flatten() {
            if !exact(*v) {
                return Some("P1 view: a durable snapshot does not read as it should");
            }
        }
        for v in s.taking.iter().flatten().chain(s.branching.iter().map(|b| &b.at)) {
            let registered = self.ok(Rule::PinRegistered) && self.ok(Rule::BranchRegistered);
            if registered && v.1 <= s.tl[v.0 as usize].durable && !exact(*v) {
                return Some("P1 view: a registered pin does not read as it should");
            }
        }
        for t in (0..T).filter(|t| s.disk.meta[*t].life == Named) {
            let tl = &s.tl[t];
            let window = tl.planned.max(s.disk.meta[t].floor);
            for l in window..=tl.durable {
                if !exact((t as u8, l)) {
                    return Some(if l == tl.durable {
                        "P1 view: live does not read as it should"
                    } else {
                        "P1 view: the window does not read as it should"
                    });
                }
            }
            if self.compactions_of(s, t, Known::Ever).filter(|made| made.lsn > window).count() > 1 {
                return Some("P5 space: what two compactions put aside is there at once");
            }
        }
        if let Some((t, f)) = s.reader
            && !s.tl[t as usize].files[f as usize].exists
        {
            return Some("P1 view: a file vanished under its reader");
        }
        if s.disk.meta.iter().filter(|m| m.life == Named).count() as u8 != s.disk.volumes {
            return Some("P1 view: a volume without a timeline");
        }
        let quiet = s.facts[0].is_none()
            && s.job.is_none()
            && s.compacting.is_none()
            && s.branching.is_none()
            && s.reader.is_none()
            && s.taking == [None; S]
            && s.tl.iter().all(|t| !t.edit);
        if self.bounds.settle && quiet && self.ok(Rule::StateAtBase) {
            return self.leak(&self.settle(*s, false)).or_else(|| {
                let empty = self.settle(*s, true);
                empty.tl.iter().any(|t| t.dir != Dir::Absent).then_some("P3 leak: all is deleted and a timeline stays")
            });
        }
        None
    }
    /// Runs jobs until nothing more is to do, after deleting everything if asked to.
    pub(crate) fn settle(&self, mut s: State, delete: bool) -> State {
        let mut next = vec![];
        for _ in 0..400 {
            next.clear();
            self.successors(&s, true, &mut next);
            let rank = |a: &Act| match a {
                Act::SyncLog(..) | Act::SyncEdit(_) | Act::SyncSystem | Act::JobStep(_) | Act::RemoveDir(_) => 0,
                Act::DeleteSnapshot(_) | Act::DeleteVolume(_) if delete => 1,
                Act::PlanFloor(..) => 2,
                Act::StateAt(..) => 3,
                Act::DropStateAt(..) | Act::StartJob(..) | Act::Reap(..) | Act::DropTimeline(_) => 4,
                _ => 9,
            };
            match next.iter().min_by_key(|(a, _)| rank(a)).filter(|(a, _)| rank(a) < 9) {
                Some((_, n)) => s = *n,
                None => return s,
            }
        }
        s.bad = Some("P3 leak: the jobs never end");
        s
    }
    /// Every group on disk is seen by a promised view (asked by brute force, not by the need test), and is there once.
    pub(crate) fn leak(&self, s: &State) -> Option<&'static str> {
        if s.bad.is_some() {
            return s.bad;
        }
        let mut views: Vec<View> = s.disk.pins.iter().flatten().copied().collect();
        for t in (0..T).filter(|t| s.disk.meta[*t].life == Named) {
            views.extend((s.tl[t].planned..=s.tl[t].durable).map(|l| (t as u8, l)));
        }
        for t in 0..T {
            let tl = &s.tl[t];
            for (i, f) in tl.files.iter().enumerate().filter(|(_, f)| f.exists) {
                let mut before = tl.files[..i].iter().filter(|f| f.exists);
                if before.any(|other| other.generation == f.generation && other.holds & f.holds != 0) {
                    return Some("P3 leak: a group is stored twice");
                }
                if s.disk.meta[t].life == Named && i == tl.active as usize {
                    continue;
                }
                for x in bits(f.holds) {
                    let seen = views.iter().any(|v| {
                        self.place(s, *v, x) == Some((t, f.generation)) && self.expected(s, *v).0 & bit(x) != 0
                    });
                    if !seen && (f.generation > 0 || !self.header_needed(s, t, x, tl.planned)) {
                        return Some("P3 leak: a group that no view needs stays");
                    }
                }
            }
        }
        None
    }
}
