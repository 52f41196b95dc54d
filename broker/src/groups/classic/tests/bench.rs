//! A group on a workbench: time moves when told, saves end when told, every answer is kept until it is looked at.

use std::collections::HashMap;
use std::time::Duration;

use bytes::Bytes;
use millpond_storage::TopicNumber;
use millpond_storage::state::VolumeId;

use super::super::{ClassicGroup, Effect, Now, Save, State, Step};
use crate::groups::record::GroupRecord;
use crate::groups::request::{
    JoinRefusal, JoinReply, JoinRequest, Leaver, MemberClaim, Protocol, SyncReply, SyncRequest,
};
use crate::groups::spelling::{TopicIdentity, TopicSpelling};
use crate::groups::subscription::encode_subscription;
use crate::groups::{GroupError, GroupSettings};
use crate::scope::Scope;

/// Waiters are numbers, so that every one can be asked for by name.
pub(super) type Waiter = u32;
pub(super) type Group = ClassicGroup<Waiter, Waiter>;

pub(super) const SESSION: u64 = 10_000;
pub(super) const REBALANCE: u64 = 60_000;
pub(super) const INITIAL_DELAY: u64 = 3_000;

pub(super) struct Bench {
    pub(super) group: Group,
    pub(super) settings: GroupSettings,
    now_ms: u64,
    waiters: Waiter,
    joins: HashMap<Waiter, JoinReply>,
    syncs: HashMap<Waiter, SyncReply>,
    /// Saves under way, the oldest first.
    pub(super) saves: Vec<Save>,
    /// Whether a save ends, well, as soon as it begins.
    pub(super) saves_at_once: bool,
}

pub(super) fn settings() -> GroupSettings {
    GroupSettings {
        session_timeout_min: Duration::from_secs(6),
        session_timeout_max: Duration::from_mins(30),
        members_max: usize::MAX,
        initial_rebalance_delay: Duration::from_millis(INITIAL_DELAY),
        new_member_join_timeout: Duration::from_mins(5),
    }
}

/// A consumer's request: version 9, protocols `range` and `sticky`, topic `t`.
pub(super) fn consumer(member_id: &str) -> JoinRequest {
    JoinRequest {
        member_id: member_id.to_owned(),
        instance_id: None,
        client_id: "client".to_owned(),
        client_host: "/127.0.0.1".to_owned(),
        session_timeout: Duration::from_millis(SESSION),
        rebalance_timeout: Duration::from_millis(REBALANCE),
        protocol_type: "consumer".to_owned(),
        protocols: protocols(&["range", "sticky"], &["t"]),
        requires_known_member_id: true,
        skips_assignment: true,
        ..JoinRequest::default()
    }
}

pub(super) fn static_consumer(member_id: &str, instance_id: &str) -> JoinRequest {
    JoinRequest { instance_id: Some(instance_id.to_owned()), ..consumer(member_id) }
}

pub(super) fn protocols(names: &[&str], topics: &[&str]) -> Vec<Protocol> {
    let metadata = encode_subscription(topics);
    names.iter().map(|name| Protocol { name: (*name).to_owned(), metadata: metadata.clone() }).collect()
}

pub(super) fn topic(number: u32) -> TopicIdentity {
    TopicIdentity { home: Scope::Volume(VolumeId(1)), number: TopicNumber(number) }
}

pub(super) fn spelled(name: &str, number: u32) -> TopicSpelling {
    TopicSpelling { name: name.to_owned(), topic: topic(number) }
}

pub(super) fn claim(member_id: &str, generation: i32) -> MemberClaim {
    MemberClaim { member_id: member_id.to_owned(), instance_id: None, generation }
}

pub(super) fn refused(error: GroupError, member_id: &str) -> JoinReply {
    Err(JoinRefusal { error, member_id: member_id.to_owned() })
}

/// What the leader would assign to a member in a generation.
pub(super) fn assignment(member_id: &str, generation: i32) -> Bytes {
    format!("{member_id}@{generation}").into()
}

impl Bench {
    pub(super) fn new() -> Self {
        let now = Now { monotonic: Duration::ZERO, unix_ms: 1_000_000 };
        Self {
            group: ClassicGroup::new("g", now),
            settings: settings(),
            now_ms: 0,
            waiters: 0,
            joins: HashMap::new(),
            syncs: HashMap::new(),
            saves: Vec::new(),
            saves_at_once: true,
        }
    }

    /// The broker is started anew from what was written down.
    pub(super) fn restarted(record: GroupRecord) -> Self {
        let mut bench = Self::new();
        bench.restore(record);
        bench
    }

    /// Puts the group that was written down in place of the one here.
    pub(super) fn restore(&mut self, record: GroupRecord) {
        self.step(|group, step| *group = ClassicGroup::restore("g", record, step, |_, _| Vec::new()));
    }

    /// A stable group of these new members; they get ids from their fresh texts.
    pub(super) fn stable(fresh: &[&str]) -> (Self, Vec<String>) {
        let mut bench = Self::new();
        let ids: Vec<String> = fresh.iter().map(|fresh| bench.new_id(fresh)).collect();
        let waiters: Vec<Waiter> = ids.iter().map(|id| bench.join(consumer(id))).collect();
        bench.advance(INITIAL_DELAY);
        bench.advance(INITIAL_DELAY);
        for waiter in waiters {
            bench.joined(waiter).unwrap();
        }
        bench.sync_all();
        assert_eq!(bench.group.state(), State::Stable);
        (bench, ids)
    }

    /// Asks for a member id.
    pub(super) fn new_id(&mut self, fresh: &str) -> String {
        let waiter = self.join(JoinRequest { fresh_id: fresh.to_owned(), ..consumer("") });
        let refusal = self.joined(waiter).unwrap_err();
        assert_eq!(refusal.error, GroupError::MemberIdRequired);
        refusal.member_id
    }

    pub(super) fn step<R>(&mut self, act: impl FnOnce(&mut Group, &mut Step<'_, Waiter, Waiter>) -> R) -> R {
        let mut effects = Vec::new();
        let now = Now {
            monotonic: Duration::from_millis(self.now_ms),
            unix_ms: 1_000_000 + i64::try_from(self.now_ms).unwrap(),
        };
        let mut step = Step { now, settings: &self.settings, effects: &mut effects };
        let result = act(&mut self.group, &mut step);
        assert_eq!(self.group.check(), Ok(()));
        self.keep(effects);
        result
    }

    fn keep(&mut self, effects: Vec<Effect<Waiter, Waiter>>) {
        for effect in effects {
            match effect {
                Effect::Joined(waiter, reply) => assert!(self.joins.insert(waiter, reply).is_none(), "answered twice"),
                Effect::Synced(waiter, reply) => assert!(self.syncs.insert(waiter, reply).is_none(), "answered twice"),
                Effect::Save(save) if self.saves_at_once => {
                    self.step(|group, step| group.saved(step, save.version, true));
                }
                Effect::Save(save) => self.saves.push(save),
            }
        }
    }

    pub(super) fn join(&mut self, request: JoinRequest) -> Waiter {
        self.waiters += 1;
        let waiter = self.waiters;
        self.step(|group, step| group.join(step, request, waiter));
        waiter
    }

    pub(super) fn sync(&mut self, request: SyncRequest) -> Waiter {
        self.waiters += 1;
        let waiter = self.waiters;
        self.step(|group, step| group.sync(step, request, waiter));
        waiter
    }

    /// A member's `SyncGroup` in the current generation; the leader's brings an assignment for everybody.
    pub(super) fn sync_as(&mut self, member_id: &str) -> Waiter {
        let generation = self.group.generation();
        let ids: Vec<String> = self.group.members.keys().cloned().collect();
        let is_leader = self.group.is_leader(member_id);
        let assignments = ids.into_iter().filter(|_| is_leader).map(|id| {
            let assigned = assignment(&id, generation);
            (id, assigned)
        });
        let assignments = assignments.collect();
        let member_id = member_id.to_owned();
        let none = None::<String>;
        self.sync(SyncRequest {
            member_id,
            instance_id: None,
            generation,
            protocol_type: none.clone(),
            protocol_name: none,
            assignments,
        })
    }

    /// Everybody fetches its assignment.
    pub(super) fn sync_all(&mut self) {
        let ids: Vec<String> = self.group.members.keys().cloned().collect();
        let waiters: Vec<(String, Waiter)> = ids.into_iter().map(|id| (id.clone(), self.sync_as(&id))).collect();
        let generation = self.group.generation();
        for (id, waiter) in waiters {
            assert_eq!(self.synced(waiter).unwrap().assignment, assignment(&id, generation));
        }
    }

    /// These members join again, the first of them being the leader, so that a rebalance begins and its gathering ends.
    pub(super) fn rejoin_all_from(&mut self, ids: &[String]) {
        assert!(self.group.is_leader(&ids[0]));
        let waiters: Vec<Waiter> = ids.iter().map(|id| self.join(consumer(id))).collect();
        for waiter in waiters {
            self.joined(waiter).unwrap();
        }
    }

    pub(super) fn leave(&mut self, member_id: &str) -> Result<(), GroupError> {
        let leaver = Leaver { member_id: member_id.to_owned(), instance_id: None, reason: String::new() };
        self.step(|group, step| group.leave(step, &[leaver])).remove(0)
    }

    pub(super) fn heartbeat(&mut self, member_id: &str) -> Result<(), GroupError> {
        let claim = claim(member_id, self.group.generation());
        self.step(|group, step| group.heartbeat(step, &claim))
    }

    /// The answer to a `JoinGroup`, which must have been given by now.
    pub(super) fn joined(&mut self, waiter: Waiter) -> JoinReply {
        self.joins.remove(&waiter).expect("the JoinGroup was answered")
    }

    /// The answer to a `SyncGroup`, which must have been given by now.
    pub(super) fn synced(&mut self, waiter: Waiter) -> SyncReply {
        self.syncs.remove(&waiter).expect("the SyncGroup was answered")
    }

    pub(super) fn is_waiting(&self, waiter: Waiter) -> bool {
        !self.joins.contains_key(&waiter) && !self.syncs.contains_key(&waiter)
    }

    /// Lets the oldest save end.
    pub(super) fn settle(&mut self, is_durable: bool) {
        let save = self.saves.remove(0);
        self.step(|group, step| group.saved(step, save.version, is_durable));
    }

    /// Lets time pass, and what is due happen when it is due.
    pub(super) fn advance(&mut self, ms: u64) {
        let end = self.now_ms + ms;
        while let Some(wake) = self.group.wake_at() {
            let wake_ms = u64::try_from(wake.as_millis()).unwrap();
            if wake_ms > end {
                break;
            }
            self.now_ms = self.now_ms.max(wake_ms);
            self.step(Group::tick);
        }
        self.now_ms = end;
    }

    /// Lets time pass while these members send heartbeats.
    pub(super) fn advance_alive(&mut self, ms: u64, alive: &[&str]) {
        let end = self.now_ms + ms;
        while self.now_ms < end {
            self.advance((SESSION / 3).min(end - self.now_ms));
            for member_id in alive {
                let _ = self.heartbeat(member_id);
            }
        }
    }

    pub(super) fn now_ms(&self) -> u64 {
        self.now_ms
    }
}
