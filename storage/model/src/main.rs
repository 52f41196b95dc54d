//! The rules of the storage engine, executable: a breadth-first search through every order of appends, syncs, jobs, floors, pins, branches, deletions and
//! crashes, within small bounds. With the rules kept no state is wrong; with one of them broken the search says how it goes wrong, by a shortest way.
//!
//! `millpond-model` checks the rules in every scenario, then breaks them one at a time; `millpond-model rules` does only the first,
//! `millpond-model break [alone] [RULE]` only the second. A number limits the states of a search, a scenario's name picks it.
//!
//! A record is one group; its LSN names it along a chain of timelines. `log` is the ghost: what was written. What can be *read* comes from `files` and
//! `state_at` alone. `disk` is the part of `system` that is durable, `mem` adds the facts appended and not yet synced. A crash keeps any prefix of what is not
//! synced.
//!
//! A compaction leaves the last record of each partition, as if all had one key, under the number of its generation. From its fact on views look for what it left, and
//! for nothing else: no copy of a record counts that lies where they do not look.
//!
//! In the engine: need is `segment/need.rs`, jobs are `segment/rewrite.rs` and `collect.rs`, pins and floors `timeline/history.rs`, branches `branches.rs`.
//! A branch's intent is the fact of a timeline that is being made; a child's own fact keeps what it reads, as its parent's `children` do in memory; numbers come
//! from counters in `system`.
//!
//! Left out: frames (stale bytes, torn groups, rot: the disk is sound), page-cache mode, watermarks and leader epochs, transactions, offsets as such, time,
//! sled, full disks, quotas, the age of leases, of compaction what is due when (tombstones, the memory for keys, several outputs, damage), crashes inside recovery, several
//! jobs of the rewriter or branches at once. `storage/tests` has most of these, by random search over the engine itself.

#![allow(clippy::wildcard_imports, reason = "the files are one small model over the types of this one")]
#![allow(clippy::enum_glob_use, clippy::many_single_char_names, reason = "states are written down as in mathematics")]
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    reason = "all numbers are below a hundred"
)]
#![allow(clippy::unused_self, clippy::nonminimal_bool, reason = "every rule is asked for in the same way")]
#![allow(
    clippy::struct_excessive_bools,
    clippy::large_types_passed_by_value,
    reason = "states are copied and hashed whole"
)]
#![allow(clippy::print_stdout, reason = "the command line is what this is for")]

mod check;
mod compact;
mod crash;
mod jobs;
mod need;
mod rules;
mod scenarios;
mod search;
mod steps;
#[cfg(test)]
mod tests;

use compact::{Known, Piece, highest, stored};
use rules::{RULES, Rule};
use scenarios::SCENARIOS;
use search::{give, safety_pin_late, sync_edit};

type Lsn = u8;
type View = (u8, Lsn); // timeline, LSN
const T: usize = 3; // timelines
const F: usize = 4; // file slots of a timeline; one more than any scenario uses, so that a job always finds room
const S: usize = 2; // snapshots
const L: usize = 8; // LSNs, 0 = nothing written
const NEVER: Lsn = 99;
const NONE: u8 = 9;

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
enum Group {
    #[default]
    Empty,
    Rec(u8),
    Hide(u8),
    Id,
    /// From here on views find what lies at or below `upto` as that generation left it.
    Compacted {
        upto: Lsn,
        generation: u8,
    },
}
use Group::*;

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
struct File {
    exists: bool,
    log: bool,
    first: Lsn,     // the LSN it was opened for; where compaction made it, the view that was compacted
    generation: u8, // which compaction made it, 0: as it was written
    holds: u8,      // groups in it, a bit per LSN
    synced: u8,     // those that a power loss spares
    named: bool,    // by the synced edits
    naming: bool,   // by all edits
    dropped: bool,  // a synced edit removed it
    intent: bool,   // output of a job that noted it
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
enum Dir {
    #[default]
    Absent,
    Written,
    Synced,
}
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
struct Timeline {
    dir: Dir,
    log: [Group; L],
    end: Lsn,
    durable: Lsn,
    files: [File; F],
    active: u8,
    edit: bool, // an edit is written and not synced
    state_at: u8,
    planned: Lsn,
    fenced: bool,
    jobs: u8,      // compactions that were begun; the manifest counts them
    forgotten: u8, // those whose facts are no longer asked for
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
enum Life {
    #[default]
    Unborn,
    Named,
    Nameless,
    Dropping,
}
use Life::*;

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
struct Meta {
    life: Life,
    parent: u8,
    branch: Lsn,
    floor: Lsn,
}
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
struct System {
    meta: [Meta; T],
    pins: [Option<View>; S],
    volumes: u8,
    next_id: u8,
}
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Fact {
    Pin(u8, View),
    Unpin(u8),
    Floor(u8, Lsn),
    Branch(u8, View, Option<(u8, View)>),
    Retire(u8, View),
    Delete(u8),
    Drop(u8),
    Id,
}

impl State {
    /// Appends a fact to `system`, which is not synced.
    fn write(&mut self, f: Fact) {
        self.mem.apply(f);
        if let Some(free) = self.facts.iter_mut().find(|f| f.is_none()) {
            *free = Some(f);
        }
    }
}

impl System {
    fn apply(&mut self, fact: Fact) {
        match fact {
            Fact::Pin(slot, view) => self.pins[slot as usize] = Some(view),
            Fact::Unpin(slot) => self.pins[slot as usize] = None,
            Fact::Floor(t, l) => self.meta[t as usize].floor = l,
            Fact::Branch(new, at, safety) => {
                self.meta[new as usize] = Meta { life: Named, parent: at.0, branch: at.1, floor: at.1 };
                self.next_id += 1;
                match safety {
                    Some((slot, old)) => {
                        self.meta[old.0 as usize].life = Nameless;
                        self.pins[slot as usize] = Some(old);
                    }
                    None => self.volumes += 1,
                }
            }
            Fact::Retire(slot, old) => {
                self.meta[old.0 as usize].life = Nameless;
                self.pins[slot as usize] = Some(old);
            }
            Fact::Delete(t) => {
                self.meta[t as usize].life = Nameless;
                self.volumes -= 1;
            }
            Fact::Drop(t) => self.meta[t as usize].life = Dropping,
            Fact::Id => self.next_id += 1,
        }
    }
    fn alive(&self, t: usize) -> bool {
        matches!(self.meta[t].life, Named | Nameless)
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Step {
    Started,
    Written,
    Synced,
    Edited,
    Ended,
}
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
struct Job {
    t: u8,
    inputs: u8,
    out: u8,
    keep: u8,
    floor: Lsn,
    step: Step,
}
/// A compaction that runs: beside the job, as its thread does.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
struct Compacting {
    t: u8,
    home: u8, // the timeline whose files its output is one of
    at: Lsn,  // the view that it compacts
    generation: u8,
    out: u8,
    step: Step,
}
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
struct Branching {
    new: u8,
    at: View,
    old: u8,
    slot: u8,
    step: Step,
}
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
struct State {
    tl: [Timeline; T],
    disk: System,
    mem: System,
    facts: [Option<Fact>; 2],
    taking: [Option<View>; S], // snapshots asked for, until durable
    branching: Option<Branching>,
    job: Option<Job>,
    compacting: Option<Compacting>,
    reader: Option<(u8, u8)>,
    given: u16, // ids handed out
    bad: Option<&'static str>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Act {
    Append(u8, Group),
    SyncLog(u8, u8),
    Roll(u8),
    SyncEdit(u8),
    SyncSystem,
    TakeSnapshot(u8, View),
    WritePin(u8),
    Abandon(u8),
    DeleteSnapshot(u8),
    PlanFloor(u8, Lsn),
    StateAt(u8, Lsn),
    DropStateAt(u8, Lsn),
    StartJob(u8, u8, u8),
    JobStep(Step),
    Reap(u8, u8),
    StartCompaction(u8, Lsn),
    CompactionStep(Step),
    CompactionFact(u8),
    GiveUpCompaction(u8),
    ForgetCompactions(u8),
    Clone(u8, View),
    Restore(u8, View, u8),
    BranchStep(Step),
    DeleteVolume(u8),
    DropTimeline(u8),
    RemoveDir(u8),
    GiveId(u8),
    Open(u8, u8),
    Close,
    Kill,
    PowerLoss { facts: u8, cut: [Lsn; T], edits_lost: u8 },
}

fn bit(l: Lsn) -> u8 {
    if (l as usize) < L { 1 << l } else { 0 }
}
fn range(above: Lsn, to: Lsn) -> u8 {
    (above + 1..=to).fold(0, |m, l| m | bit(l))
}
fn bits(mask: u8) -> impl Iterator<Item = Lsn> {
    (0..L as Lsn).filter(move |l| mask & bit(*l) != 0)
}

/// What a scenario may do.
#[derive(Clone, Copy)]
struct Bounds {
    name: &'static str,
    timelines: usize,
    lsns: Lsn,
    files: usize,
    snapshots: usize,
    states_at: u32,
    parts: u8,
    ids: u8,
    reader: bool,
    branches: bool,
    settle: bool,
    facts: usize,
    fine: bool,
    /// How many compactions of a timeline may be begun.
    compactions: u8,
}
// `fine`: each write, sync, edit and unlink of a job, a branch or a roll is a step of its own. Otherwise those steps are
// one, since with the rules kept a crash among them leads to the state before all or after all of them.

struct Model {
    bounds: Bounds,
    broken: Vec<Rule>,
}

impl Model {
    fn ok(&self, rule: Rule) -> bool {
        !self.broken.contains(&rule)
    }

    fn start(&self) -> State {
        let mut s = State {
            tl: Default::default(),
            disk: System::default(),
            mem: System::default(),
            facts: [None; 2],
            taking: [None; S],
            branching: None,
            job: None,
            compacting: None,
            reader: None,
            given: 0,
            bad: None,
        };
        s.tl[0] = self.timeline(0);
        s.tl[0].dir = Dir::Synced;
        s.disk.meta[0] = Meta { life: Named, parent: NONE, branch: 0, floor: 0 };
        s.disk.volumes = 1;
        s.mem = s.disk;
        s
    }
    /// A new timeline's directory: an empty log file, named, and the state at its branch point.
    fn timeline(&self, at: Lsn) -> Timeline {
        let mut t =
            Timeline { dir: Dir::Written, end: at, durable: at, planned: at, state_at: bit(at), ..Default::default() };
        t.files[0] = File { exists: true, log: true, first: at + 1, named: true, naming: true, ..Default::default() };
        t
    }
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let has = |w: &str| args.iter().any(|a| a == w);
    let limit = args.iter().find_map(|a| a.parse().ok()).unwrap_or(100_000_000);
    let picked = |b: &&Bounds| !args.iter().any(|a| SCENARIOS.iter().any(|s| s.name == a)) || has(b.name);
    if !has("break") {
        for b in SCENARIOS.iter().filter(picked) {
            report(&Model { bounds: *b, broken: vec![] }, limit);
        }
    }
    if !has("rules") {
        for (rule, text) in RULES.iter().filter(|(r, _)| {
            !args.iter().any(|a| RULES.iter().any(|(r, _)| format!("{r:?}") == *a)) || has(&format!("{r:?}"))
        }) {
            println!("\n{rule:?}: {text}");
            let broken = if has("alone") { vec![*rule] } else { broken_with(*rule) };
            for b in SCENARIOS.iter().filter(picked) {
                if report(&Model { bounds: *b, broken: broken.clone() }, limit) {
                    break;
                }
            }
        }
    }
}
fn report(m: &Model, limit: usize) -> bool {
    let f = m.search(limit);
    let end = match &f.bad {
        Some((what, _)) => what,
        _ if f.complete => "holds",
        _ => "cut off at the limit",
    };
    println!(
        "{:24} {:>11} states {:>12} steps  depth {:>2} {:>7.1} s  {end}",
        m.bounds.name, f.states, f.steps, f.depth, f.secs
    );
    if let Some((_, acts)) = &f.bad {
        for a in acts {
            println!("    {a:?}");
        }
    }
    f.bad.is_some()
}

/// What else has to be broken for a rule to matter: two rules cover these.
fn broken_with(rule: Rule) -> Vec<Rule> {
    match rule {
        Rule::OlderFirst => vec![rule, Rule::OpenAfterSync],
        Rule::AsideNotSwept => vec![rule, Rule::OpenEditFirst],
        rule => vec![rule],
    }
}
