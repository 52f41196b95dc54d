//! The classic group protocol of one group: a state machine without clock, threads or I/O.
//!
//! ```text
//!             a first member                 all are back, or time is up            the leader's assignment is durable
//!   Empty ───────────────────► PreparingRebalance ────────────────► CompletingRebalance ────────────────► Stable
//!     ▲                          │       ▲   ▲                              │                                │
//!     └──────── nobody is left ──┘       │   └── a member joins or goes ────┘                                │
//!     └─ deleted ─► Dead                 └── a member joins or goes, the leader asks ────────────────────────┘
//! ```
//!
//! Every step takes the time in a [`Step`] and leaves [`Effect`]s there: answers to waiting `JoinGroup`s (waiters `J`) and
//! `SyncGroup`s (waiters `S`), and images to write down, whose outcome comes back by [`ClassicGroup::saved`]. Time-outs
//! happen in [`ClassicGroup::tick`], which is due at [`ClassicGroup::wake_at`] at the latest.
//!
//! Rules are those of Kafka's coordinator. Where this one differs, on purpose:
//! - no waiter is forgotten: one that a second request of its member replaces is told to join again, and a member that
//!   leaves while it waits in `SyncGroup` is told so;
//! - a member that knows its id is never timed out while it waits in `JoinGroup`, and every `JoinGroup` and `SyncGroup` of
//!   a member is a sign of life, not only those that are answered after a wait;
//! - a returning static member that finds its group rebalancing by the time its new id is durable waits for the rebalance
//!   instead of being sent through the old generation first.
//!
//! Invariants: see [`ClassicGroup::check`], which runs after every step in debug builds.

mod check;
mod fence;
mod join;
mod member;
mod membership;
mod observe;
mod persistence;
mod rebalance;
mod session;
mod static_member;
mod sync;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::time::Duration;

use self::member::Member;
pub use self::observe::Aging;
use self::persistence::Persistence;
pub use self::persistence::{Save, SaveVersion};
use self::rebalance::JoinTimer;
use self::static_member::Return;
use self::sync::Proposal;
use super::request::{JoinReply, SyncReply};
use super::settings::GroupSettings;
use super::spelling::Spellings;

/// Where a group stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// No members; positions may remain.
    Empty,
    /// Members are asked to join the next generation.
    PreparingRebalance,
    /// The members are settled and wait for the leader's assignment.
    CompletingRebalance,
    /// Everybody works.
    Stable,
    /// Deleted, as soon as that is durable.
    Dead,
}

impl State {
    /// Kafka's name of the state.
    pub fn name(self) -> &'static str {
        match self {
            Self::Empty => "Empty",
            Self::PreparingRebalance => "PreparingRebalance",
            Self::CompletingRebalance => "CompletingRebalance",
            Self::Stable => "Stable",
            Self::Dead => "Dead",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.name())
    }
}

/// A reading of both clocks.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    /// Since some fixed moment: what time-outs go by.
    pub monotonic: Duration,
    /// Milliseconds since 1970: what is written down.
    pub unix_ms: i64,
}

/// What a step brought about.
#[derive(Debug, PartialEq, Eq)]
pub enum Effect<J, S> {
    /// Answer a `JoinGroup`.
    Joined(J, JoinReply),
    /// Answer a `SyncGroup`.
    Synced(S, SyncReply),
    /// Write the group down and report to [`ClassicGroup::saved`].
    Save(Save),
}

/// One step of the machine: when it is, what holds, and where its effects go, in order.
#[derive(Debug)]
pub struct Step<'a, J, S> {
    /// When the step is.
    pub now: Now,
    /// The settings that hold.
    pub settings: &'a GroupSettings,
    /// Receives the effects.
    pub effects: &'a mut Vec<Effect<J, S>>,
}

impl<J, S> Step<'_, J, S> {
    fn after(&self, timeout: Duration) -> Duration {
        self.now.monotonic.saturating_add(timeout)
    }
}

/// A group of the classic protocol.
#[derive(Debug)]
pub struct ClassicGroup<J, S> {
    group_id: String,
    state: State,
    state_since_unix_ms: i64,
    generation: i32,
    protocol_type: Option<String>,
    protocol_name: Option<String>,
    leader: Option<String>,
    members: BTreeMap<String, Member<J, S>>,
    /// Member id by group instance id.
    static_members: HashMap<String, String>,
    /// Ids that were given out with `MEMBER_ID_REQUIRED` and not used yet, with the time at which they lapse.
    pending_joins: BTreeMap<String, Duration>,
    /// Members of this generation that have not fetched their assignment yet.
    pending_syncs: BTreeSet<String>,
    /// What consumers subscribe to; none if their metadata says it in a way that cannot be read.
    subscribed_topics: Option<BTreeSet<String>>,
    spellings: Spellings,
    join_timer: Option<JoinTimer>,
    sync_deadline: Option<Duration>,
    /// The leader's assignment, on its way to the log.
    proposal: Option<Proposal>,
    /// Static members that came back to a stable group and whose new ids are on their way to the log.
    returns: Vec<Return>,
    persistence: Persistence,
    /// At or before the earliest deadline of any kind.
    wake_at: Option<Duration>,
}

impl<J, S> ClassicGroup<J, S> {
    /// A group without members, which nobody has written down.
    pub fn new(group_id: &str, now: Now) -> Self {
        Self {
            group_id: group_id.to_owned(),
            state: State::Empty,
            state_since_unix_ms: now.unix_ms,
            generation: 0,
            protocol_type: None,
            protocol_name: None,
            leader: None,
            members: BTreeMap::new(),
            static_members: HashMap::new(),
            pending_joins: BTreeMap::new(),
            pending_syncs: BTreeSet::new(),
            subscribed_topics: None,
            spellings: Spellings::default(),
            join_timer: None,
            sync_deadline: None,
            proposal: None,
            returns: Vec::new(),
            persistence: Persistence::default(),
            wake_at: None,
        }
    }

    /// The state.
    pub fn state(&self) -> State {
        self.state
    }

    /// The generation.
    pub fn generation(&self) -> i32 {
        self.generation
    }

    /// When [`ClassicGroup::tick`] is due at the latest; none if nothing can time out.
    pub fn wake_at(&self) -> Option<Duration> {
        self.wake_at
    }

    fn transition(&mut self, step: &Step<'_, J, S>, state: State) {
        self.state = state;
        self.state_since_unix_ms = step.now.unix_ms;
    }

    /// Notes a deadline that was or will be set, and gives it back.
    fn arm(&mut self, deadline: Duration) -> Duration {
        self.wake_at = Some(self.wake_at.map_or(deadline, |wake| wake.min(deadline)));
        deadline
    }
}
