//! Members that join, leave, die, dawdle and come back, saves that take their time or fail, a broker that is killed: seeded,
//! so that a failing storm can be had again (`STORM_SEED=n cargo test storm`).
//!
//! What must hold in any weather, beside the machine's own invariants after every step:
//! - whoever is alive and prompt never hears that it is unknown or fenced, unless the broker died before it knew better;
//! - a generation has one leader, and everybody in it hears of the same one;
//! - an assignment is the one that this generation's leader made, never an empty one;
//! - every waiter is answered, and when the storm is over, all work in one generation.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, HashMap};

use super::bench::*;
use crate::groups::record::GroupRecord;
use crate::groups::request::{JoinReply, JoinRequest, SyncReply, SyncRequest};
use crate::groups::{GroupError, State};

const CLIENTS: usize = 9;
const STORM_MS: u64 = 600_000;
const LATENCY_MS: u64 = 400;

/// Splitmix64: a storm from a seed.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % sides
    }
}

#[derive(Clone, Debug)]
enum Phase {
    /// About to join.
    Out,
    Joining(Waiter),
    /// About to sync.
    Settled,
    Syncing(Waiter),
    Working,
    /// Gone without a word.
    Dead,
}

#[derive(Debug)]
struct Client {
    instance_id: Option<String>,
    member_id: String,
    generation: i32,
    /// Whom it has to assign to, if it leads.
    led: Vec<String>,
    phase: Phase,
    /// Changed now and then, so that a follower has a reason to join again.
    topic: u64,
    /// It took longer than it may, so it may have lost its place.
    is_late: bool,
    /// The broker was killed and may have forgotten it.
    is_forgotten: bool,
    /// Numbers what it is scheduled for; only the latest counts.
    turn: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Act { client: usize, turn: u64 },
    Saved { life: u64, version: u64 },
    Kill,
}

struct Storm {
    seed: u64,
    dice: Dice,
    bench: Bench,
    clients: Vec<Client>,
    events: BinaryHeap<Reverse<(u64, Event)>>,
    /// What is on the disk.
    record: Option<GroupRecord>,
    images: HashMap<u64, Option<GroupRecord>>,
    /// How often the broker was started.
    life: u64,
    fresh: u64,
    leaders: BTreeMap<(u64, i32), String>,
    /// Requests that this life of the broker took.
    owed: BTreeSet<Waiter>,
    is_over: bool,
    now: u64,
}

impl Storm {
    fn new(seed: u64) -> Self {
        let mut bench = Bench::new();
        bench.saves_at_once = false;
        let client = |number: usize| Client {
            instance_id: number.is_multiple_of(3).then(|| format!("instance{number}")),
            member_id: String::new(),
            generation: -1,
            led: Vec::new(),
            phase: Phase::Out,
            topic: 0,
            is_late: false,
            is_forgotten: false,
            turn: 0,
        };
        let mut storm = Self {
            seed,
            dice: Dice(seed),
            bench,
            clients: (0..CLIENTS).map(client).collect(),
            events: BinaryHeap::new(),
            record: None,
            images: HashMap::new(),
            life: 0,
            fresh: 0,
            leaders: BTreeMap::new(),
            owed: BTreeSet::new(),
            is_over: false,
            now: 0,
        };
        for client in 0..CLIENTS {
            let at = storm.dice.roll(30_000);
            storm.schedule(client, at);
        }
        for at in [STORM_MS / 3, STORM_MS / 2] {
            if storm.dice.roll(2) == 0 {
                storm.events.push(Reverse((at, Event::Kill)));
            }
        }
        storm
    }

    fn run(&mut self) {
        while self.now < STORM_MS {
            self.next();
        }
        self.is_over = true;
        for client in 0..CLIENTS {
            if matches!(self.clients[client].phase, Phase::Dead) {
                self.revive(client);
            }
        }
        // Long enough for late members to lapse, and for two rebalances after that.
        while self.now < STORM_MS + 4 * REBALANCE {
            self.next();
        }
        self.check_calm();
    }

    fn check_calm(&self) {
        let lost: Vec<_> = self.owed.iter().filter(|waiter| self.bench.is_waiting(**waiter)).collect();
        assert!(lost.is_empty(), "seed {}: nobody answered {lost:?}", self.seed);
        let generation = self.bench.group.generation();
        assert_eq!(self.bench.group.state(), State::Stable, "seed {}", self.seed);
        for client in &self.clients {
            assert!(matches!(client.phase, Phase::Working), "seed {}: {client:?}", self.seed);
            assert_eq!(client.generation, generation, "seed {}", self.seed);
        }
        assert_eq!(self.bench.group.describe().members.len(), CLIENTS, "seed {}", self.seed);
    }

    /// The next thing that happens: a time-out of the group or an event.
    fn next(&mut self) {
        let wake = self.bench.group.wake_at().map(|wake| u64::try_from(wake.as_millis()).unwrap());
        let event = self.events.peek().map(|Reverse((at, _))| *at);
        let first = wake.into_iter().chain(event).min();
        self.now = self.now.max(first.unwrap_or_else(|| panic!("seed {}: all wait for ever", self.seed)));
        self.bench.advance(self.now - self.bench.now_ms());
        if event == first {
            let Reverse((_, event)) = self.events.pop().unwrap();
            self.happen(event);
        }
        self.schedule_saves();
        self.hear_answers();
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Act { client, turn } if turn == self.clients[client].turn => self.act(client),
            Event::Saved { life, version } if life == self.life => {
                let is_durable = self.is_over || self.dice.roll(20) != 0;
                let image = self.images.remove(&version).unwrap();
                if is_durable {
                    self.record = image;
                }
                self.bench.step(|group, step| group.saved(step, version, is_durable));
            }
            // Out of date.
            Event::Act { .. } | Event::Saved { .. } => {}
            Event::Kill => self.kill(),
        }
    }

    fn schedule_saves(&mut self) {
        for save in std::mem::take(&mut self.bench.saves) {
            let at = self.now + self.dice.roll(1_000);
            self.events.push(Reverse((at, Event::Saved { life: self.life, version: save.version })));
            self.images.insert(save.version, save.record);
        }
    }

    fn schedule(&mut self, client: usize, delay: u64) {
        self.clients[client].turn += 1;
        let turn = self.clients[client].turn;
        self.events.push(Reverse((self.now + delay, Event::Act { client, turn })));
    }

    fn soon(&mut self, client: usize) {
        let delay = 1 + self.dice.roll(LATENCY_MS);
        self.schedule(client, delay);
    }

    /// The broker dies and comes back with what the disk has; connections break, so who waited asks again.
    fn kill(&mut self) {
        self.life += 1;
        self.owed.clear();
        self.images.clear();
        let mut bench = Bench::new();
        bench.saves_at_once = false;
        bench.advance(self.now);
        if let Some(record) = self.record.clone() {
            bench.restore(record);
        }
        let known: Vec<String> = bench.group.members.keys().cloned().collect();
        self.bench = bench;
        for number in 0..CLIENTS {
            let client = &mut self.clients[number];
            client.is_forgotten |= !known.contains(&client.member_id);
            if matches!(client.phase, Phase::Joining(_) | Phase::Syncing(_)) {
                client.phase = Phase::Out;
                self.soon(number);
            }
        }
    }

    fn act(&mut self, number: usize) {
        match self.clients[number].phase.clone() {
            Phase::Out => self.join(number),
            Phase::Settled => self.sync(number),
            Phase::Working => self.work(number),
            Phase::Dead => self.revive(number),
            Phase::Joining(_) | Phase::Syncing(_) => self.fidget(number),
        }
    }

    /// It does not want to wait: its process dies, is replaced, leaves, or its request is sent once more.
    fn fidget(&mut self, number: usize) {
        match self.dice.roll(4) {
            0 => self.die(number),
            1 if self.clients[number].instance_id.is_some() => self.revive(number),
            2 if !self.clients[number].member_id.is_empty() => self.depart(number),
            _ if matches!(self.clients[number].phase, Phase::Joining(_)) => self.join(number),
            _ => self.sync(number),
        }
    }

    /// Now and then, to somebody who waits.
    fn maybe_fidget(&mut self, number: usize) {
        if !self.is_over && self.dice.roll(12) == 0 {
            self.soon(number);
        }
    }

    fn join(&mut self, number: usize) {
        self.fresh += 1;
        let client = &self.clients[number];
        let topic = format!("t{}", client.topic);
        let request = JoinRequest {
            instance_id: client.instance_id.clone(),
            client_id: format!("client{number}"),
            protocols: protocols(&["range", "sticky"], &[&topic]),
            fresh_id: self.fresh.to_string(),
            requires_known_member_id: number.is_multiple_of(2),
            ..consumer(&client.member_id)
        };
        let waiter = self.bench.join(request);
        self.clients[number].phase = Phase::Joining(waiter);
        self.owed.insert(waiter);
        self.maybe_fidget(number);
    }

    fn sync(&mut self, number: usize) {
        let client = &self.clients[number];
        let assign = |member_id: String| {
            let assigned = assignment(&member_id, client.generation);
            (member_id, assigned)
        };
        let request = SyncRequest {
            member_id: client.member_id.clone(),
            instance_id: client.instance_id.clone(),
            generation: client.generation,
            protocol_type: Some("consumer".to_owned()),
            protocol_name: Some("range".to_owned()),
            assignments: client.led.iter().cloned().map(assign).collect(),
        };
        let waiter = self.bench.sync(request);
        self.clients[number].phase = Phase::Syncing(waiter);
        self.owed.insert(waiter);
        self.maybe_fidget(number);
    }

    /// A heartbeat, and now and then a decision.
    fn work(&mut self, number: usize) {
        let whim = if self.is_over { 99 } else { self.dice.roll(100) };
        match whim {
            0..2 => self.die(number),
            2..4 => self.depart(number),
            4..7 => {
                // It has something new to say, or leads and wants to assign anew.
                self.clients[number].topic += u64::from(whim != 4);
                self.clients[number].phase = Phase::Out;
                self.soon(number);
            }
            7 => {
                self.clients[number].is_late = true;
                let delay = SESSION + self.dice.roll(2 * REBALANCE);
                self.schedule(number, delay);
            }
            // A static member's process is replaced by another.
            8..12 if self.clients[number].instance_id.is_some() => self.revive(number),
            _ => self.heartbeat(number),
        }
    }

    fn heartbeat(&mut self, number: usize) {
        let client = &self.clients[number];
        let mut claim = claim(&client.member_id, client.generation);
        claim.instance_id.clone_from(&client.instance_id);
        match self.bench.step(|group, step| group.heartbeat(step, &claim)) {
            Ok(()) => self.schedule(number, SESSION / 3),
            Err(error) => self.refused(number, error),
        }
    }

    fn die(&mut self, number: usize) {
        self.clients[number].phase = Phase::Dead;
        let delay = self.dice.roll(3 * SESSION);
        self.schedule(number, delay);
    }

    /// A process in the place of one that died without a word.
    fn revive(&mut self, number: usize) {
        let client = &mut self.clients[number];
        client.member_id.clear();
        client.is_late = false;
        client.is_forgotten = false;
        client.phase = Phase::Out;
        self.soon(number);
    }

    fn depart(&mut self, number: usize) {
        let member_id = self.clients[number].member_id.clone();
        if let Err(error) = self.bench.leave(&member_id) {
            self.excuse(number, error);
        }
        self.die(number);
    }

    fn hear_answers(&mut self) {
        for number in 0..CLIENTS {
            match self.clients[number].phase {
                Phase::Joining(waiter) if !self.bench.is_waiting(waiter) => {
                    let reply = self.bench.joined(waiter);
                    self.owed.remove(&waiter);
                    self.hear_join(number, reply);
                }
                Phase::Syncing(waiter) if !self.bench.is_waiting(waiter) => {
                    let reply = self.bench.synced(waiter);
                    self.owed.remove(&waiter);
                    self.hear_sync(number, reply);
                }
                _ => {}
            }
        }
    }

    fn hear_join(&mut self, number: usize, reply: JoinReply) {
        match reply {
            Ok(joined) => {
                let leader = self.leaders.entry((self.life, joined.generation));
                let leader = leader.or_insert_with(|| identity(&joined.leader).to_owned());
                assert_eq!(leader, identity(&joined.leader), "seed {}: two leaders of a generation", self.seed);
                let client = &mut self.clients[number];
                client.member_id = joined.member_id;
                client.generation = joined.generation;
                (client.is_late, client.is_forgotten) = (false, false);
                let led = joined.members.into_iter().filter(|_| !joined.skip_assignment);
                client.led = led.map(|member| member.member_id).collect();
                client.phase = Phase::Settled;
                self.soon(number);
            }
            Err(refusal) if refusal.error == GroupError::MemberIdRequired => {
                let client = &mut self.clients[number];
                client.member_id = refusal.member_id;
                client.phase = Phase::Out;
                self.soon(number);
            }
            Err(refusal) => self.refused(number, refusal.error),
        }
    }

    fn hear_sync(&mut self, number: usize, reply: SyncReply) {
        match reply {
            Ok(synced) => {
                self.check_assignment(number, &synced.assignment);
                self.clients[number].phase = Phase::Working;
                self.schedule(number, SESSION / 3);
            }
            Err(error) => self.refused(number, error),
        }
    }

    /// It names this generation and this member, or the static one that was in its place.
    fn check_assignment(&self, number: usize, assigned: &[u8]) {
        let client = &self.clients[number];
        let assigned = std::str::from_utf8(assigned).unwrap();
        let (member_id, generation) = assigned.split_once('@').unwrap_or_else(|| {
            panic!("seed {}: {client:?} got an empty assignment", self.seed);
        });
        assert_eq!(generation, client.generation.to_string(), "seed {}", self.seed);
        match &client.instance_id {
            Some(instance_id) => assert!(member_id.starts_with(instance_id), "seed {}: {member_id}", self.seed),
            None => assert_eq!(member_id, client.member_id, "seed {}", self.seed),
        }
    }

    fn refused(&mut self, number: usize, error: GroupError) {
        if matches!(error, GroupError::UnknownMemberId | GroupError::FencedInstanceId) {
            self.excuse(number, error);
            self.clients[number].member_id.clear();
            (self.clients[number].is_late, self.clients[number].is_forgotten) = (false, false);
        }
        self.clients[number].phase = Phase::Out;
        self.soon(number);
    }

    /// A member may hear that it is unknown only if it was late, or if the broker was killed.
    fn excuse(&self, number: usize, error: GroupError) {
        let client = &self.clients[number];
        let is_excused = client.is_late || client.is_forgotten || client.member_id.is_empty();
        assert!(is_excused, "seed {}, {} ms: {error:?} to the live {client:?}", self.seed, self.now);
    }
}

/// Who a member is: a static one stays who it is under every id that it gets.
fn identity(member_id: &str) -> &str {
    let is_static = member_id.starts_with("instance");
    member_id.rsplit_once('-').filter(|_| is_static).map_or(member_id, |(instance_id, _)| instance_id)
}

#[test]
fn in_any_weather_the_promises_hold() {
    let seeds = match std::env::var("STORM_SEED") {
        Ok(seed) => vec![seed.parse().unwrap()],
        Err(_) => (0..100).collect(),
    };
    for seed in seeds {
        Storm::new(seed).run();
    }
}
