//! `demo versions`: what it prints and what it leaves behind, against a computation of its own, from the bytes on the wire.

use std::collections::{BTreeMap, HashMap};

use millpond_compat_tests::batch::{Batch, Record};
use millpond_compat_tests::requests::{position, read_log};
use millpond_compat_tests::server::Server;
use millpond_compat_tests::wire::Wire;
use serde_json::Value;

use crate::{fail, millpond, run, text};

const PARTITIONS: i32 = 3;
const OPENING: u64 = 93_000_000;
const CLOSE: u64 = 160_000_000;

fn server() -> Server {
    Server::builder().set("groups.initial_rebalance_delay_ms", "0").start()
}

/// The command for a small day.
fn demo<'a>(server: &'a Server, flags: &[&'a str]) -> Vec<&'a str> {
    let small = ["--records", "4000", "--rate", "8000", "--partitions", "3", "--seed", "7"];
    let own = ["--brokers", server.kafka(), "--listen", "127.0.0.1:0,127.0.0.1:0"];
    [&["demo", "versions"], &small[..], &own, flags].concat()
}

/// A trade, as far as these tests know of it.
struct Trade {
    offset: i64,
    timestamp: i64,
    key: Vec<u8>,
    value: Vec<u8>,
}

impl Trade {
    fn field(&self, from: usize, to: usize) -> &str {
        std::str::from_utf8(&self.value[from..to]).expect("a trade is ASCII")
    }

    fn number(&self, from: usize, to: usize) -> u64 {
        self.field(from, to).parse().expect("digits")
    }

    /// `HHMMSSmmm`.
    fn time(&self) -> u64 {
        self.number(0, 9)
    }

    fn is_regular(&self) -> bool {
        (OPENING..CLOSE).contains(&self.time())
    }

    fn symbol(&self) -> String {
        format!("{} {}", self.field(10, 16).trim_end(), self.field(16, 26).trim_end()).trim_end().to_owned()
    }

    /// Whether version 2 counts it: no odd lot, not cancelled.
    fn is_eligible(&self) -> bool {
        !self.field(26, 30).contains('I') && self.number(51, 53) < 2
    }
}

/// The trades of each partition.
fn trades(wire: &mut Wire, topic: &str) -> Vec<Vec<Trade>> {
    let of_partition = |partition| {
        let (batches, _) = read_log(wire, topic, partition, 0);
        let records = batches.iter().flat_map(Batch::offsets);
        let trade = |(offset, record): (i64, &Record)| Trade {
            offset,
            timestamp: record.timestamp,
            key: record.key.clone().expect("a key").to_vec(),
            value: record.value.clone().expect("a value").to_vec(),
        };
        records.map(trade).collect()
    };
    (0..PARTITIONS).map(of_partition).collect()
}

/// Trades, shares and ten-thousandths of dollars, by symbol.
type Sums = BTreeMap<String, (u64, u64, u128)>;

fn sums<'a>(trades: impl Iterator<Item = &'a Trade>) -> Sums {
    let mut sums = Sums::new();
    for trade in trades {
        let (count, volume, value) = sums.entry(trade.symbol()).or_default();
        *count += 1;
        *volume += trade.number(30, 39);
        *value += u128::from(trade.number(30, 39)) * u128::from(trade.number(39, 50));
    }
    sums
}

/// What the demo says of a version, by symbol; symbols of which nothing counted left out.
fn told(report: &Value, version: &str) -> Sums {
    let symbols = report["symbols"].as_array().expect("a list").iter();
    let told = symbols.map(|row| {
        let figures = &row[version];
        let value = figures["value"].as_str().expect("dollars").replace('.', "");
        let sums = (&figures["trades"], &figures["volume"]);
        let sums = (sums.0.as_u64().expect("a number"), sums.1.as_u64().expect("a number"));
        (row["symbol"].as_str().expect("a name").to_owned(), (sums.0, sums.1, value.parse().expect("digits")))
    });
    told.filter(|(_, (count, _, _))| *count > 0).collect()
}

/// The average price as text, of shares and ten-thousandths.
fn vwap(volume: u64, value: u128) -> String {
    let rounded = (2 * value + u128::from(volume)) / (2 * u128::from(volume));
    format!("{}.{:04}", rounded / 10_000, rounded % 10_000)
}

/// The shares in a topic of bars, by symbol: the latest bar of each symbol and minute, in the regular session.
fn shares(wire: &mut Wire, topic: &str) -> BTreeMap<String, u64> {
    let mut latest = HashMap::new();
    for partition in 0..PARTITIONS {
        for batch in read_log(wire, topic, partition, 0).0 {
            for (_, record) in batch.offsets() {
                let bar: Value = serde_json::from_slice(record.value.as_ref().expect("a value")).expect("JSON");
                latest.insert(record.key.clone().expect("a key"), bar);
            }
        }
    }
    let mut shares = BTreeMap::new();
    for bar in latest.values() {
        let minute = bar["minute"].as_str().expect("a minute");
        let volume = bar["volume"].as_u64().expect("a number");
        if ("09:30".."16:00").contains(&minute) && volume > 0 {
            *shares.entry(bar["symbol"].as_str().expect("a name").to_owned()).or_default() += volume;
        }
    }
    shares
}

fn volumes(sums: &Sums) -> BTreeMap<String, u64> {
    sums.iter().map(|(symbol, (_, volume, _))| (symbol.clone(), *volume)).collect()
}

/// CRC-32C over everything in the trades of the regular session, by partition, and over these.
fn checksum(day: &[Vec<Trade>]) -> u32 {
    let mut whole = 0;
    for (number, trades) in (0_i32..).zip(day) {
        let mut crc = 0;
        for trade in trades.iter().filter(|trade| trade.is_regular()) {
            let lengths = [&trade.key, &trade.value].map(|part| (part.len() as u64).to_be_bytes());
            let (offset, timestamp) = (trade.offset.to_be_bytes(), trade.timestamp.to_be_bytes());
            for part in [&offset[..], &timestamp, &lengths[0], &trade.key, &lengths[1], &trade.value] {
                crc = crc32c::crc32c_append(crc, part);
            }
        }
        whole = crc32c::crc32c_append(crc32c::crc32c_append(whole, &number.to_be_bytes()), &crc.to_be_bytes());
    }
    whole
}

/// The group's positions in a topic.
fn positions(wire: &mut Wire, topic: &str) -> Vec<i64> {
    let committed = |partition| {
        let answer = wire.call(8, &position("analytics", topic, partition));
        answer.groups[0].topics[0].partitions[0].committed_offset
    };
    (0..PARTITIONS).map(committed).collect()
}

fn count(day: &[Vec<Trade>], counted: impl Fn(&Trade) -> bool) -> Vec<i64> {
    let counts = day.iter().map(|trades| trades.iter().filter(|trade| counted(trade)).count());
    counts.map(|count| i64::try_from(count).expect("few")).collect()
}

/// What the demo says of both versions' input and results is what the trades on the wire come to.
fn check_figures(report: &Value, day: &[Vec<Trade>]) {
    let regular = || day.iter().flatten().filter(|trade| trade.is_regular());
    let (v1, v2) = (sums(regular()), sums(regular().filter(|trade| trade.is_eligible())));
    assert_ne!(v1, v2, "the day has nothing that version 2 leaves out");
    assert_eq!((told(report, "v1"), told(report, "v2")), (v1, v2));
    for row in report["symbols"].as_array().expect("a list") {
        for version in ["v1", "v2"] {
            let volume = row[version]["volume"].as_u64().expect("a number");
            let value = row[version]["value"].as_str().expect("dollars").replace('.', "").parse().expect("digits");
            let expected = (volume > 0).then(|| vwap(volume, value));
            assert_eq!(row[version]["vwap"].as_str(), expected.as_deref(), "{row}");
        }
    }
    for version in report["versions"].as_array().expect("a list") {
        assert_eq!(version["input"]["records"], regular().count(), "{version}");
        assert_eq!(version["input"]["crc"], checksum(day), "{version}");
        assert_eq!(version["joins"], 1);
    }
    assert_eq!(
        (&report["versions"][0]["read"], &report["versions"][1]["odd_lots"]),
        (&4_000.into(), &{ regular().filter(|trade| !trade.is_eligible() && trade.number(51, 53) < 2).count().into() })
    );
}

#[test]
fn both_versions_say_what_the_trades_come_to_and_leave_it_to_be_looked_at() {
    let server = server();
    let report: Value = serde_json::from_str(&run(&server, &demo(&server, &["--json"]))).expect("it prints JSON");
    let wire = &mut server.wire();
    let day = trades(wire, "trading.default.trades");
    assert_eq!(day.iter().map(Vec::len).sum::<usize>(), 4_000);
    check_figures(&report, &day);

    // The snapshot, and the clone, hold the day up to the close, byte for byte.
    for frozen in ["trading.-close.default.trades", "trading-v2.default.trades"] {
        // The first look at a snapshot loads it; Kafka's clients ask again until then, and these tests do not.
        run(&server, &["topic", "describe", frozen]);
        for (frozen, live) in trades(wire, frozen).iter().zip(&day) {
            let until_close: Vec<&Trade> = live.iter().filter(|trade| trade.time() < CLOSE).collect();
            assert_eq!(frozen.len(), until_close.len());
            let same = |(a, b): (&Trade, &&Trade)| a.value == b.value && a.timestamp == b.timestamp && a.key == b.key;
            assert!(frozen.iter().zip(&until_close).all(same));
        }
    }
    // Positions: at the opening when the snapshot stands, since then each version's own.
    let opening = count(&day, |trade| trade.time() < OPENING);
    assert!(opening.iter().all(|offset| *offset > 0));
    assert_eq!(positions(wire, "trading.-close.default.trades"), opening);
    let began = report["versions"][1]["began"].as_object().expect("positions").values();
    assert_eq!(began.map(|offset| offset.as_i64().expect("a number")).collect::<Vec<_>>(), opening);
    assert_eq!(positions(wire, "trading.default.trades"), count(&day, |_| true));
    assert_eq!(positions(wire, "trading-v2.default.trades"), count(&day, |trade| trade.time() < CLOSE));

    // Behind the two addresses the same names lead to either version's results.
    let regular = || day.iter().flatten().filter(|trade| trade.is_regular());
    let expected = [sums(regular()), sums(regular().filter(|trade| trade.is_eligible()))];
    for (address, expected) in report["addresses"].as_array().expect("two").iter().zip(&expected) {
        let mut wire = Wire::connect(address.as_str().expect("an address"));
        assert_eq!(shares(&mut wire, "vwap"), volumes(expected));
    }
    assert!(run(&server, &["clone", "list"]).contains("trading-v2  trading@close"));
}

#[test]
fn a_second_run_says_what_is_there_and_how_to_go_on() {
    let server = server();
    let told = run(&server, &demo(&server, &[]));
    for words in ["VERSION 1", "SYMBOL", "16:00  The close", "trading-v2", " tail vwap -n 3 --brokers 127.0.0.1:"] {
        assert!(told.contains(words), "no {words:?} in {told}");
    }
    // Commands are as long as the name of the program and the address of the server make them.
    let is_command = |line: &&str| line.contains("millpond ") || line.contains("cargo run ");
    let wide: Vec<&str> = told.lines().filter(|line| !is_command(line) && line.len() > 80).collect();
    assert_eq!(wide, [""; 0]);

    let words = fail(&server, &demo(&server, &[]));
    let there = "there is volume trading, volume trading-v2, snapshot trading@close, the listener at ";
    assert!(words.contains(there) && words.contains("--again") && words.contains(" tail vwap"), "{words}");
    let again = run(&server, &demo(&server, &["--again"]));
    let table =
        |told: &str| told[told.find("SYMBOL").expect("a table")..told.find("\nVersion 1").expect("an end")].to_owned();
    assert_eq!(table(&again), table(&told), "the same seed, the same figures");

    let listeners: Value = serde_json::from_str(&run(&server, &["listener", "list", "--json"])).expect("JSON");
    let mut listeners = listeners["listeners"].as_array().expect("a list").iter();
    let live = listeners.find(|listener| listener["shows"] == "trading").expect("it is shown");
    let address = live["address"].as_str().expect("an address");
    let elsewhere = ["--volume", "other", "--listen"];
    let listen = format!("{address},127.0.0.1:0");
    let taken = [&["demo", "versions", "--brokers", server.kafka()], &elsewhere[..], &[listen.as_str()]].concat();
    let words = fail(&server, &taken);
    assert!(words.contains(&format!("{address} shows trading already")), "{words}");

    assert!(
        run(&server, &demo(&server, &["--clean"])).starts_with("Removed volume trading, volume trading-v2, snapshot")
    );
    assert_eq!(run(&server, &demo(&server, &["--clean"])), "There was nothing to remove.\n");
    assert!(run(&server, &["snapshot", "list"]).contains("no snapshots yet"));
    assert!(run(&server, &["listener", "list"]).contains("No listeners"));
}

#[test]
fn a_volume_of_somebody_else_is_left_alone() {
    let server = server();
    run(&server, &["volume", "create", "trading"]);
    run(&server, &["topic", "create", "trading.default.orders"]);
    for flag in ["--again", "--clean"] {
        let words = fail(&server, &demo(&server, &[flag]));
        assert!(words.contains("volume trading has 1 topics") && words.contains("--volume NAME"), "{words}");
    }
    assert!(run(&server, &["topic", "list"]).contains("trading.default.orders"));
}

#[test]
fn brokers_that_are_not_there_or_not_the_same_are_told() {
    let mut server = server();
    let other = Server::start();
    let crossed = ["demo", "versions", "--brokers", other.kafka(), "--listen", "127.0.0.1:0,127.0.0.1:0"];
    let words = fail(&server, &crossed);
    assert!(words.contains("--brokers and --server are to lead to the same Millpond"), "{words}");
    assert!(!run(&server, &["volume", "list"]).contains("trading"), "what was made for nothing is removed");
    let port = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let listen = format!("{},127.0.0.1:0", port.local_addr().expect("it is bound"));
    let words = fail(&server, &["demo", "versions", "--brokers", server.kafka(), "--listen", &listen]);
    assert!(words.contains("--listen ADDRESS,ADDRESS chooses others"), "{words}");
    assert!(!run(&server, &["volume", "list"]).contains("trading"), "what was made for nothing is removed");
    let few = fail(&server, &["demo", "versions", "--records", "10"]);
    assert!(few.contains("too few for a day"), "{few}");
    server.kill();
    let words = fail(&server, &demo(&server, &[]));
    assert!(words.contains("no broker answers at") && words.contains("MILLPOND_SERVER"), "{words}");
    let output = millpond(&["demo", "versions", "--listen", "127.0.0.1:1"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("--listen has two addresses"), "{output:?}");
}
