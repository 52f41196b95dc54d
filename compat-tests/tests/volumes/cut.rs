//! The cut: snapshots of now and of the past, taken while chains of events grow, are states that there were.
//!
//! - What was acknowledged before a snapshot of now was asked for is in it; what was sent after its answer is not. The same holds for a moment of the past.
//! - Each holds a beginning of every chain, and with an event all that was acknowledged before that was sent ([`crate::history`]).
//! - Of two snapshots the one with the lower LSN holds no more than the other.
//! - A clone shows what its snapshot shows, and takes writes that nobody else sees. All of it is the same after `kill -9`.
//!
//! The seed is printed; `MILLPOND_SEED` plays the same decisions again (the moments depend on the machine, too).

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use millpond_compat_tests::batch::{Batch, Record};
use millpond_compat_tests::random::Random;
use millpond_compat_tests::server::{self, Server};
use millpond_compat_tests::{http, requests};
use serde_json::{Value, json};

use crate::history::{CHAINS, COUNTERS, Counts, Event, History, PARTITIONS, TOPIC, index, now};
use crate::view::View;

const OF_NOW: u64 = 16;
/// Of each kind, while the process lives and after it was killed.
const OF_THE_PAST: u64 = 4;
const LIMIT: Duration = Duration::from_secs(30);

/// A snapshot, and what it may hold.
struct Taken {
    name: String,
    lsn: u64,
    at_least: Counts,
    at_most: Counts,
    /// As it was read first.
    view: Option<View>,
}

struct World {
    server: Server,
    history: History,
    random: Random,
    /// When the chains began: the time, and the LSN.
    began: (i64, u64),
    taken: Vec<Taken>,
    /// Clones, and the snapshots they were made of.
    clones: Vec<(String, usize)>,
}

#[test]
fn what_is_frozen_is_a_state_that_there_was() {
    let mut world = World::new();
    world.freeze_under_load();
    world.freeze_the_past("before");
    world.check_all();
    world.clone_some();
    world.kill_while_freezing();
    world.freeze_the_past("after");
    world.check_all();
    world.check_clones(1);
    world.check_now();
}

impl World {
    fn new() -> Self {
        // Small files, so that they are rolled, sealed, sorted and collected meanwhile.
        let setup = Server::builder()
            .set("log.file_bytes", "1MiB")
            .set("log.checkpoint_bytes", "1MiB")
            .set("topics.retention_check_interval_ms", "300ms");
        let server = setup.start();
        http::call(server.http(), "POST", "/volumes", &json!({"name": "trading"}));
        let answer = server.wire().call(7, &requests::create_topic(TOPIC, index(PARTITIONS)));
        assert_eq!(answer.topics[0].error_code, 0, "{answer:?}");
        let began = (now(), lsn_of(&server));
        let random = Random::of_test("the cut");
        Self { server, history: History::new(), random, began, taken: Vec::new(), clones: Vec::new() }
    }

    /// Snapshots of now, while all chains grow, and one when they have stopped; some are read and cloned at once.
    fn freeze_under_load(&mut self) {
        let (history, random, taken) = (&self.history, &mut self.random, &mut self.taken);
        let (kafka, http) = (self.server.kafka(), self.server.http());
        thread::scope(|scope| {
            let _stops = Stops(history);
            for chain in 0..CHAINS {
                scope.spawn(move || history.go_on(chain, kafka));
            }
            let mut wire = self.server.wire();
            for number in 0..OF_NOW {
                assert!(has_more_events(history, random.between(10, 300)), "the load does not go on");
                let mut now = take_now(history, http, &format!("now-{number}"));
                if number % 5 == 0 {
                    now.view = Some(View::read(&mut wire, &alias(&now.name)));
                    let clone = clone(http, &now.name);
                    self.clones.push((clone, taken.len()));
                }
                taken.push(now);
            }
        });
        // Nothing comes behind what was acknowledged: it is in this one to the last event.
        taken.push(take_now(history, http, "at-rest"));
    }

    /// Snapshots of random moments of the past: times, LSNs, offsets, and times of records.
    fn freeze_the_past(&mut self, label: &str) {
        let (ended, last_lsn) = (now(), lsn_of(&self.server));
        for number in 0..OF_THE_PAST {
            let time = between(&mut self.random, self.began.0, ended);
            let text = Timestamp::from_millisecond(time).expect("a time of today").to_string();
            let bounds = self.by_time(time);
            self.take(&format!("{label}-time-{number}"), json!({"at": text}), bounds);
            let lsn = self.random.between(self.began.1, last_lsn);
            self.take_at_lsn(&format!("{label}-lsn-{number}"), lsn);
            self.take_at_offset(&format!("{label}-offset-{number}"));
            let time = between(&mut self.random, self.began.0, ended);
            let text = Timestamp::from_millisecond(time).expect("a time of today").to_string();
            // Records carry the time at which they were sent: what is behind the cut was acknowledged behind it, too.
            let (at_least, at_most) = self.by_time(time);
            let asked = json!({"at_record": {"topic": "counter", "time": text}});
            let at_most = [at_most[0], at_most[1], at_most[2], at_most[3], usize::MAX];
            // Where no record is later there is nothing to stand before.
            if (0..COUNTERS).any(|chain| self.history.acknowledged()[chain] > at_most[chain]) {
                self.take(&format!("{label}-record-{number}"), asked, (at_least, at_most));
            }
        }
    }

    /// What a state of a time holds at least and at most.
    fn by_time(&self, time: i64) -> (Counts, Counts) {
        let at_least = self.count(|event| event.acknowledged_ms.is_some_and(|acknowledged| acknowledged <= time));
        (at_least, self.count(|event| event.sent_ms <= time))
    }

    /// How many events at the begin of each chain are so.
    fn count(&self, is_so: impl Fn(&Event) -> bool) -> Counts {
        std::array::from_fn(|chain| self.history.chain(chain).partition_point(&is_so))
    }

    fn take_at_lsn(&mut self, name: &str, lsn: u64) {
        let answer = post(self.server.http(), name, json!({"at": format!("lsn:{lsn}")}));
        assert_eq!(answer["lsn"], lsn, "{answer}");
        let time = answer["time"].as_i64().expect("a snapshot has a time");
        // Of the last millisecond it holds a part.
        let (at_least, at_most) = (self.by_time(time - 1).0, self.by_time(time).1);
        self.taken.push(Taken { name: name.to_owned(), lsn, at_least, at_most, view: None });
    }

    fn take_at_offset(&mut self, name: &str) {
        let counter = usize::try_from(self.random.between(0, COUNTERS as u64 - 1)).expect("few");
        let number = self.random.between(0, self.history.acknowledged()[counter] as u64 - 1);
        let number = usize::try_from(number).expect("few");
        let event = self.history.chain(counter)[number].clone();
        let offset = event.offset.expect("it was acknowledged");
        let mut at_most = self.history.sent();
        at_most[counter] = number;
        let asked = json!({"at": format!("counter/{}/{offset}", event.partition)});
        self.take(name, asked, (event.before, at_most));
    }

    fn take(&mut self, name: &str, asked: Value, (at_least, at_most): (Counts, Counts)) {
        let answer = post(self.server.http(), name, asked);
        let lsn = answer["lsn"].as_u64().expect("a snapshot has an LSN");
        self.taken.push(Taken { name: name.to_owned(), lsn, at_least, at_most, view: None });
    }

    /// Reads every snapshot in full.
    fn check_all(&mut self) {
        self.check(|_| true);
    }

    fn check(&mut self, is_wanted: impl Fn(usize) -> bool) {
        let mut wire = self.server.wire();
        let mut found: Vec<(u64, Counts, String)> = Vec::new();
        for (_, taken) in self.taken.iter_mut().enumerate().filter(|(at, _)| is_wanted(*at)) {
            let view = View::read(&mut wire, &alias(&taken.name));
            let counts = view.counts(&self.history, &taken.name);
            check_counts(&self.history, counts, taken);
            if let Some(before) = &taken.view {
                assert!(*before == view, "{} has changed", taken.name);
            }
            taken.view = Some(view);
            found.push((taken.lsn, counts, taken.name.clone()));
        }
        found.sort();
        for pair in found.windows(2) {
            let holds_less = pair[0].1.iter().zip(pair[1].1).all(|(earlier, later)| *earlier <= later);
            assert!(holds_less, "{:?} holds more than {:?}", pair[0], pair[1]);
            assert!(pair[0].0 < pair[1].0 || pair[0].1 == pair[1].1, "{:?} is not {:?}", pair[0], pair[1]);
        }
    }

    fn clone_some(&mut self) {
        for _ in 0..3 {
            let of = usize::try_from(self.random.between(0, self.taken.len() as u64 - 1)).expect("few");
            if self.clones.iter().all(|(_, other)| *other != of) {
                let clone = clone(self.server.http(), &self.taken[of].name);
                self.clones.push((clone, of));
            }
        }
        self.check_clones(0);
        let mut wire = self.server.wire();
        for (clone, of) in &self.clones {
            let view = self.taken[*of].view.as_ref().expect("all were read");
            let batch = Batch::of([Record::of("0/0")]).encode();
            let request = requests::produce(-1, [(format!("{clone}.default.counter"), 0, batch)]);
            let part = wire.call(requests::PRODUCE, &request).responses.remove(0).partition_responses.remove(0);
            let end = i64::try_from(view.records[0].len()).expect("few");
            assert_eq!((part.error_code, part.base_offset), (0, end), "{clone} goes on at its offsets");
        }
        // What was written to clones is seen nowhere else.
        let cloned: Vec<usize> = self.clones.iter().map(|(_, of)| *of).collect();
        self.check(|at| cloned.contains(&at));
    }

    /// Clones show what their snapshots show, and the records that were written to each.
    fn check_clones(&self, written: usize) {
        let mut wire = self.server.wire();
        for (clone, of) in &self.clones {
            let mut view = View::read(&mut wire, &format!("{clone}.default.counter"));
            let expected = self.taken[*of].view.as_ref().expect("all were read");
            let inherited = expected.records[0].len().min(view.records[0].len());
            let own = view.records[0].split_off(inherited);
            assert_eq!(own, vec![(0, 0); written], "{clone} has other records than were written to it");
            assert!(view == *expected, "{clone} is not {}", self.taken[*of].name);
        }
    }

    /// Snapshots one after the other until the broker is killed, under load. One without an answer is there as a whole or not at all.
    fn kill_while_freezing(&mut self) {
        let (history, taken, random) = (&self.history, &mut self.taken, &mut self.random);
        let (kafka, http) = (self.server.kafka().to_owned(), self.server.http().to_owned());
        let (kafka, http) = (kafka.as_str(), http.as_str());
        let pid = self.server.pid();
        let killed = AtomicBool::new(false);
        history.resume();
        thread::scope(|scope| {
            for chain in 0..CHAINS {
                scope.spawn(move || history.go_on(chain, kafka));
            }
            let freezing = scope.spawn(|| freeze_until_killed(history, http, &killed));
            // Killed in any case: nothing else ends what goes on here.
            let goes_on = has_more_events(history, random.between(50, 600));
            killed.store(true, Ordering::SeqCst);
            server::kill(pid);
            taken.extend(freezing.join().expect("it saw nothing wrong"));
            assert!(goes_on, "the load does not go on");
        });
        self.server.kill();
        self.server.restart();
        let list = http::call(self.server.http(), "GET", "/volumes/trading/snapshots", &Value::Null);
        let names = list["snapshots"].as_array().expect("a list").iter();
        let names: Vec<&str> = names.map(|snapshot| snapshot["name"].as_str().expect("a name")).collect();
        self.taken.retain(|taken| taken.lsn > 0 || names.contains(&&*taken.name));
        assert!(self.taken.iter().all(|taken| names.contains(&&*taken.name)), "a snapshot is lost");
        for taken in self.taken.iter_mut().filter(|taken| taken.lsn == 0) {
            let found = list["snapshots"].as_array().expect("a list").iter().find(|found| found["name"] == *taken.name);
            taken.lsn = found.and_then(|found| found["lsn"].as_u64()).expect("it has an LSN");
        }
    }

    /// The live view has all that was acknowledged.
    fn check_now(&self) {
        let view = View::read(&mut self.server.wire(), TOPIC);
        let (at_least, at_most) = (self.history.acknowledged(), self.history.sent());
        let now = Taken { name: "now".to_owned(), lsn: u64::MAX, at_least, at_most, view: None };
        check_counts(&self.history, view.counts(&self.history, "now"), &now);
        assert!(at_least.iter().all(|count| *count > 100), "the load hardly runs: {at_least:?}");
    }
}

/// What was found lies within bounds, and lacks nothing that was acknowledged before anything in it was sent.
fn check_counts(history: &History, counts: Counts, taken: &Taken) {
    let Taken { name, at_least, at_most, .. } = taken;
    for chain in 0..CHAINS {
        let is_within = at_least[chain] <= counts[chain] && counts[chain] <= at_most[chain];
        assert!(is_within, "{name} holds {counts:?}, which should be from {at_least:?} to {at_most:?}");
        let Some(last) = counts[chain].checked_sub(1) else { continue };
        let before = history.chain(chain)[last].before;
        let lacks_nothing = before.iter().zip(counts).all(|(before, count)| *before <= count);
        assert!(lacks_nothing, "{name} holds {counts:?}, and event {last} of chain {chain} came after {before:?}");
    }
}

fn take_now(history: &History, http: &str, name: &str) -> Taken {
    let at_least = history.acknowledged();
    let answer = post(http, name, json!({}));
    let lsn = answer["lsn"].as_u64().expect("a snapshot has an LSN");
    Taken { name: name.to_owned(), lsn, at_least, at_most: history.sent(), view: None }
}

/// The last of them had no answer: its LSN is 0.
fn freeze_until_killed(history: &History, http: &str, killed: &AtomicBool) -> Vec<Taken> {
    let mut all = Vec::new();
    loop {
        let name = format!("killed-{}", all.len());
        let at_least = history.acknowledged();
        let answer = http::try_call(http, "POST", "/volumes/trading/snapshots", &json!({"name": name}));
        let lsn = match answer {
            Ok((201, answer)) => answer["lsn"].as_u64().expect("a snapshot has an LSN"),
            Ok(refused) => panic!("{name} is refused: {refused:?}"),
            Err(error) => {
                assert!(killed.load(Ordering::SeqCst), "{name} failed: {error}");
                0
            }
        };
        all.push(Taken { name, lsn, at_least, at_most: [usize::MAX; CHAINS], view: None });
        if lsn == 0 {
            return all;
        }
    }
}

fn post(http: &str, name: &str, mut asked: Value) -> Value {
    asked["name"] = name.into();
    http::call(http, "POST", "/volumes/trading/snapshots", &asked)
}

fn clone(http: &str, snapshot: &str) -> String {
    let name = format!("clone-of-{snapshot}");
    http::call(http, "POST", "/clones", &json!({"from": format!("trading@{snapshot}"), "name": name}));
    name
}

fn alias(snapshot: &str) -> String {
    format!("trading.-{snapshot}.default.counter")
}

fn lsn_of(server: &Server) -> u64 {
    http::call(server.http(), "GET", "/volumes/trading", &Value::Null)["lsn"].as_u64().expect("a volume has an LSN")
}

fn between(random: &mut Random, from: i64, to: i64) -> i64 {
    from + i64::try_from(random.between(0, (to - from).unsigned_abs())).expect("a short time")
}

/// Waits until so many more events were acknowledged; whether they were.
fn has_more_events(history: &History, more: u64) -> bool {
    let total = || history.acknowledged().iter().sum::<usize>() as u64;
    let (wanted, deadline) = (total() + more, Instant::now() + LIMIT);
    while total() < wanted {
        if Instant::now() > deadline {
            return false;
        }
        thread::sleep(Duration::from_millis(1));
    }
    true
}

/// Stops the chains at the end of a scope, whatever ended it.
struct Stops<'a>(&'a History);

impl Drop for Stops<'_> {
    fn drop(&mut self) {
        self.0.stop();
    }
}
