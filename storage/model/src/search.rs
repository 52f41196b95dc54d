//! Breadth first through all states, so that the first violation found is a shortest one.

use crate::*;
use std::collections::HashSet;
use std::hash::{BuildHasherDefault, Hash, Hasher};
use std::time::Instant;

impl Model {
    pub(crate) fn search(&self, limit: usize) -> Found {
        let clock = Instant::now();
        let start = self.start();
        let mut seen: HashSet<u64, BuildHasherDefault<Mix>> = HashSet::default();
        let mut from: Vec<(u32, u16)> = vec![(0, 0)];
        let (mut level, mut depth, mut steps, mut next) = (vec![(start, 0u32)], 0, 0usize, vec![]);
        seen.insert(fingerprint(&start));
        while !level.is_empty() && from.len() < limit {
            let mut below = vec![];
            for (s, id) in &level {
                next.clear();
                self.successors(s, false, &mut next);
                self.crashes(s, &mut next);
                steps += next.len();
                for (i, (_, n)) in next.iter_mut().enumerate() {
                    canonical(n);
                    if !seen.insert(fingerprint(n)) {
                        continue;
                    }
                    let child = from.len() as u32;
                    from.push((*id, i as u16));
                    if let Some(what) = self.check(n) {
                        return Found {
                            states: from.len(),
                            steps,
                            depth: depth + 1,
                            secs: clock.elapsed().as_secs_f64(),
                            complete: false,
                            bad: Some((what, self.trace(&from, child))),
                        };
                    }
                    below.push((*n, child));
                }
            }
            level = below;
            depth += 1;
        }
        Found {
            states: from.len(),
            steps,
            depth,
            secs: clock.elapsed().as_secs_f64(),
            complete: level.is_empty(),
            bad: None,
        }
    }
    pub(crate) fn trace(&self, from: &[(u32, u16)], mut id: u32) -> Vec<Act> {
        let mut path = vec![];
        while id != 0 {
            path.push(from[id as usize].1);
            id = from[id as usize].0;
        }
        let (mut s, mut acts) = (self.start(), vec![]);
        for i in path.into_iter().rev() {
            let mut next = vec![];
            self.successors(&s, false, &mut next);
            self.crashes(&s, &mut next);
            acts.push(next[i as usize].0);
            s = next[i as usize].1;
            canonical(&mut s);
        }
        acts
    }
}

/// File slots have no meaning: sort them, so that states that differ only in slots are one.
pub(crate) fn canonical(s: &mut State) {
    for t in 0..T {
        let mut order = [0, 1, 2, 3];
        let files = s.tl[t].files;
        let job = s.job.filter(|j| j.t as usize == t);
        let compacting = s.compacting.filter(|c| c.home as usize == t);
        let key = |i: usize| {
            let f = &files[i];
            (
                !f.exists,
                !f.log,
                f.first,
                f.generation,
                f.holds,
                f.synced,
                (
                    f.named,
                    f.naming,
                    f.dropped,
                    f.intent,
                    job.map_or(0, |j| (j.inputs >> i & 1) + 2 * u8::from(j.out as usize == i)),
                    compacting.is_some_and(|c| c.out as usize == i),
                ),
            )
        };
        order.sort_by_key(|i| key(*i));
        if order == [0, 1, 2, 3] {
            continue;
        }
        let to = |i: u8| order.iter().position(|o| *o == i as usize).map_or(NONE, |at| at as u8);
        for i in 0..F {
            s.tl[t].files[i] = files[order[i]];
        }
        s.tl[t].active = to(s.tl[t].active);
        if let Some(j) = s.job.as_mut().filter(|j| j.t as usize == t) {
            j.out = to(j.out);
            j.inputs = (0..F as u8).filter(|i| j.inputs & 1 << i != 0).fold(0, |m, i| m | 1 << to(i));
        }
        if let Some(c) = s.compacting.as_mut().filter(|c| c.home as usize == t) {
            c.out = to(c.out);
        }
        if let Some(r) = s.reader.as_mut().filter(|r| r.0 as usize == t) {
            r.1 = to(r.1);
        }
    }
}
pub(crate) fn sync_edit(tl: &mut Timeline) {
    for f in &mut tl.files {
        f.dropped |= f.named && !f.naming;
        f.named = f.naming;
        f.intent &= !f.naming;
    }
}
/// What was acknowledged before a restore is in its safety snapshot.
pub(crate) fn safety_pin_late(s: &mut State, fact: Fact) {
    if let Fact::Branch(_, _, Some((_, (old, l)))) | Fact::Retire(_, (old, l)) = fact
        && s.tl[old as usize].durable > l
    {
        s.bad = Some("P1 view: acknowledged after the safety pin, in no view");
    }
}
pub(crate) fn give(s: &mut State, id: u8) {
    if s.given & 1 << id != 0 {
        s.bad = Some("P4 ids: one was given twice");
    }
    s.given |= 1 << id;
}

pub(crate) struct Found {
    pub(crate) states: usize,
    pub(crate) steps: usize,
    pub(crate) depth: usize,
    pub(crate) secs: f64,
    pub(crate) complete: bool,
    pub(crate) bad: Option<(&'static str, Vec<Act>)>,
}

#[derive(Default)]
struct Mix {
    hash: u64,
    word: u64,
    len: u32,
}
impl Mix {
    fn mix(&mut self, n: u64) {
        let m = u128::from(self.hash ^ n.wrapping_add(0x9e37_79b9_7f4a_7c15)) * 0xd6e8_feb8_6659_fd93_u128;
        self.hash = (m as u64) ^ (m >> 64) as u64;
    }
}
impl Hasher for Mix {
    fn write(&mut self, bytes: &[u8]) {
        for b in bytes {
            self.write_u8(*b);
        }
    }
    fn write_u8(&mut self, n: u8) {
        self.word = self.word << 8 | u64::from(n);
        self.len += 1;
        if self.len.is_multiple_of(8) {
            let w = self.word;
            self.mix(w);
        }
    }
    fn write_u16(&mut self, n: u16) {
        self.write_u8(n as u8);
        self.write_u8((n >> 8) as u8);
    }
    fn write_isize(&mut self, n: isize) {
        self.write_u8(n as u8);
    }
    fn write_u64(&mut self, n: u64) {
        self.mix(n);
    }
    fn finish(&self) -> u64 {
        let mut m = Mix { ..*self };
        m.mix(self.word);
        m.mix(u64::from(self.len));
        m.hash
    }
}
pub(crate) fn fingerprint(s: &State) -> u64 {
    let mut h = Mix::default();
    s.hash(&mut h);
    h.finish()
}
