//! What the demo tells: to people as it goes on, and at the end; to programs all at once.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::time::Duration;

use serde::Serialize;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::super::super::calendar::Date;
use super::super::super::failure::Failure;
use super::super::super::greeting::program;
use super::super::super::output::{Table, print};
use super::super::progress::{grouped, in_place, milliseconds, seconds};
use super::bars::{Dollars, Tally};
use super::ground::{Found, SNAPSHOT};
use super::program::{BARS, GROUP, Outcome, Reading, TRADES};
use super::results::Compared;
use super::tape::{Acknowledged, Hand};
use crate::config::show_bytes_roughly;

/// How many symbols the table shows.
const SYMBOLS: usize = 8;

/// Tells people what happens, unless only programs listen.
#[derive(Debug, Clone)]
pub(super) struct Telling {
    pub(super) volume: String,
    pub(super) clone: String,
    /// 16:00 of the day, and 12:00, with its time zone.
    pub(super) close: String,
    pub(super) noon: String,
    /// The flag that commands need to find the broker over HTTP, if they do.
    pub(super) server: String,
    pub(super) silent: bool,
}

/// How long things took.
#[derive(Debug, Clone, Copy)]
pub(super) struct Took {
    pub(super) snapshot: Duration,
    pub(super) clone: Duration,
    /// Of the snapshot.
    pub(super) lsn: u64,
}

impl Telling {
    fn say(&self, text: &str) -> Result<(), Failure> {
        if self.silent { Ok(()) } else { Ok(print(text)?) }
    }

    pub(super) fn begin(&self, live: SocketAddr, date: Date, rate: u64) -> Result<(), Failure> {
        self.say(&format!(
            "1. A live volume, and version 1 of a program on it\n\n   \
             Volume {} has topics {TRADES} and {BARS}; clients at {live} see\n   \
             nothing else, under these names. Version 1 runs there, in group {GROUP}:\n   \
             shares and average price (VWAP) by symbol and minute, of every trade.\n   \
             The trades of {date} come in, {} a second.\n\n",
            self.volume,
            grouped(rate)
        ))
    }

    pub(super) fn opening(&self, sent: u64) -> Result<(), Failure> {
        self.say(&format!("   09:30  The opening, after {} early trades.\n", grouped(sent)))
    }

    pub(super) fn close(&self, sent: u64) -> Result<(), Failure> {
        self.say(&format!("   16:00  The close: {} trades. They go on, at a quarter of the pace.\n", grouped(sent)))
    }

    pub(super) fn decision(&self, (hour, minute): (u32, u32)) -> Result<(), Failure> {
        self.say(&format!(
            "   {hour}:{minute:02}  Odd lots and cancelled trades should not have counted. What would\n          \
             version 2 say about the day as it was at the close?\n\n\
             2. The volume as it was at 16:00, frozen at {hour}:{minute:02}\n\n"
        ))
    }

    pub(super) fn frozen(&self, took: &Took, shared_bytes: u64, address: SocketAddr) -> Result<(), Failure> {
        let Self { volume, clone, close, .. } = self;
        self.say(&format!(
            "   snapshot create {volume} {SNAPSHOT} --at-record {TRADES} {close}\n      \
             took {}: records, results and positions of one instant\n   \
             clone create {volume}@{SNAPSHOT} {clone}\n      \
             took {}: {} shared, none copied\n   \
             listener add {address} --volume {clone}\n\n\
             3. Version 2 on the clone, while version 1 goes on\n\n   \
             The same topics, the same group, another port. It begins where the group\n   \
             stood in the snapshot, which is where the regular session begins.\n",
            milliseconds(took.snapshot),
            milliseconds(took.clone),
            show_bytes_roughly(shared_bytes),
        ))
    }

    pub(super) fn second_ended(&self, read: u64, bars: u64, took: Duration, is_over: bool) -> Result<(), Failure> {
        let (read, bars, took) = (grouped(read), grouped(bars), seconds(took));
        let meanwhile =
            if is_over { "" } else { "   Meanwhile trades went on coming in, and version 1 went on reading them.\n" };
        self.say(&format!("   It read {read} trades and wrote {bars} results in {took}.\n{meanwhile}\n"))
    }

    /// A line about where the tape is, on terminals, until it is ended.
    pub(super) fn line(&self, hand: Hand, reading: Reading) -> Line {
        let stop = CancellationToken::new();
        let task = (!self.silent && in_place()).then(|| tokio::spawn(line(hand, reading, stop.clone())));
        Line { stop, task }
    }

    /// Why nothing is done when an earlier run left something.
    pub(super) fn there_already(&self, found: &Found) -> String {
        let program = program();
        let again = if self.volume == "trading" { String::new() } else { format!(" --volume {}", self.volume) };
        let mut text = format!(
            "there is {} already, and nothing was done.\n\n\
             Run it anew:   {program} demo versions{again} --again\n\
             Only clean up: {program} demo versions{again} --clean\n\
             Run another beside it: with --volume NAME and --listen ADDRESS,ADDRESS\n",
            found.words().unwrap_or_default()
        );
        let addresses = (found.address_of(&self.volume), found.address_of(&self.clone));
        if let (2, (Some(v1), Some(v2))) = (found.volumes.len(), addresses) {
            let _ = write!(text, "\nLook at it:\n\n{}", self.ways_on([v1, v2]));
        }
        text.truncate(text.trim_end().len());
        text
    }

    /// Commands to go on with.
    fn ways_on(&self, [v1, v2]: [SocketAddr; 2]) -> String {
        let Self { volume, clone, noon, server, .. } = self;
        let program = program();
        format!(
            "   What each version wrote, and what it read:\n     \
             {program} tail {BARS} -n 3 --brokers {v1}\n     \
             {program} tail {BARS} -n 3 --brokers {v2}\n     \
             {program} tail {TRADES} -n 3 --brokers {v2}\n   \
             What happened in {volume} after the close, and in the clone:\n     \
             {program} diff {volume}@{SNAPSHOT} {volume}{server}\n     \
             {program} diff {volume}@{SNAPSHOT} {clone}{server}\n   \
             Freeze another moment that is over; take the volume back to the close:\n     \
             {program} snapshot create {volume} noon \\\n       \
             --at-record {TRADES} {noon}{server}\n     \
             {program} restore {volume}@{SNAPSHOT}{server}\n"
        )
    }
}

/// A line that is rewritten in place.
#[derive(Debug)]
pub(super) struct Line {
    stop: CancellationToken,
    task: Option<JoinHandle<()>>,
}

impl Line {
    pub(super) async fn end(self) {
        self.stop.cancel();
        if let Some(task) = self.task {
            // Nothing depends on a line.
            let _ = task.await;
        }
    }
}

async fn line(hand: Hand, reading: Reading, stop: CancellationToken) {
    let mut ticks = tokio::time::interval(Duration::from_millis(100));
    let put = |text: &str| {
        let mut out = io::stdout().lock();
        // Nothing depends on a line.
        let _ = write!(out, "\r{text}\x1b[K").and_then(|()| out.flush());
    };
    loop {
        tokio::select! {
            () = stop.cancelled() => return put(""),
            _ = ticks.tick() => {}
        }
        let time = hand.time().map(|time| time.to_string()).unwrap_or_default();
        let (sent, read) = (grouped(hand.sent()), grouped(reading.read()));
        put(&format!("   {time:.5}  {sent} trades came in, version 1 has read {read}"));
    }
}

/// What came of it.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Report {
    pub(super) volume: String,
    pub(super) snapshot: String,
    pub(super) clone: String,
    /// The moment that was frozen.
    pub(super) as_of: String,
    pub(super) seed: u64,
    pub(super) records: u64,
    pub(super) lsn: u64,
    pub(super) snapshot_microseconds: u64,
    pub(super) clone_microseconds: u64,
    pub(super) shared_bytes: u64,
    /// Of all batches of trades.
    pub(super) acknowledged: Acknowledgements,
    /// Of those that were acknowledged while snapshot, clone and listener were made.
    pub(super) acknowledged_while_frozen: Acknowledgements,
    /// Version 1 and version 2.
    pub(super) versions: Vec<Version>,
    pub(super) addresses: [SocketAddr; 2],
    /// All symbols together, in the regular session.
    pub(super) whole: Compared,
    /// Every symbol.
    pub(super) symbols: Vec<Compared>,
}

/// What a version did.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Version {
    /// The positions that it began at, and those that it ended at.
    pub(super) began: BTreeMap<i32, i64>,
    pub(super) ended: BTreeMap<i32, i64>,
    /// How often it joined its group.
    pub(super) joins: u32,
    pub(super) read: u64,
    pub(super) bars: u64,
    /// Of the regular session.
    #[serde(flatten)]
    pub(super) tally: Tally,
}

impl From<Outcome> for Version {
    fn from(outcome: Outcome) -> Self {
        let Outcome { began, ended, joins, read, bars, tally } = outcome;
        Self { began, ended, joins, read, bars, tally }
    }
}

/// How long acknowledgements took.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(super) struct Acknowledgements {
    pub(super) batches: usize,
    pub(super) slowest_microseconds: u64,
}

impl Acknowledgements {
    pub(super) fn of<'a>(batches: impl Iterator<Item = &'a Acknowledged>) -> Self {
        batches.fold(Self::default(), |all, batch| Self {
            batches: all.batches + 1,
            slowest_microseconds: all.slowest_microseconds.max(microseconds(batch.after)),
        })
    }
}

pub(super) fn microseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

impl Report {
    /// What must hold, whatever the machine: both versions read what the snapshot holds, and nothing else of the session.
    pub(super) fn check(&self) -> Result<(), Failure> {
        let [v1, v2] = self.versions.as_slice() else { return Ok(()) };
        let offsets = |version: &Version| {
            let began = |partition| version.began.get(partition).copied().unwrap_or(0);
            version.ended.iter().map(|(partition, end)| end - began(partition)).sum::<i64>()
        };
        let frozen = u64::try_from(offsets(v2)).unwrap_or(0);
        if v1.tally.input == v2.tally.input && v2.tally.input.records == frozen {
            return Ok(());
        }
        Err(Failure::new(format!(
            "the versions did not read the same: {} trades with checksum {:08x}, {} with {:08x}, and {frozen} in the snapshot \
             behind the group's positions. That is a bug: please tell us.",
            v1.tally.input.records, v1.tally.input.crc, v2.tally.input.records, v2.tally.input.crc,
        )))
    }

    /// For people.
    pub(super) fn text(&self, telling: &Telling) -> String {
        let mut text = indented(&self.versions_table());
        text.push_str("\n4. What the difference is\n\n");
        text.push_str(&indented(&self.symbols_table()));
        let rest = self.symbols.len().saturating_sub(SYMBOLS);
        if rest > 0 {
            let _ = writeln!(text, "   ({} more symbols are in the last line, too)", grouped(rest as u64));
        }
        let _ = write!(text, "\n{}\n", self.undisturbed());
        let _ = write!(text, "Everything stays (`{} demo versions --clean` removes it):\n\n", program());
        text.push_str(&telling.ways_on(self.addresses));
        text
    }

    /// Both versions side by side.
    fn versions_table(&self) -> String {
        let mut table = Table::new(&["", ">VERSION 1", ">VERSION 2", ""]);
        let mut row = |name: &str, figures: [String; 2], note: &str| {
            let [one, two] = figures;
            table.row([name.to_owned(), one, two, note.to_owned()]);
        };
        row("volume", [self.volume.clone(), self.clone.clone()], "");
        row("clients at", self.addresses.map(|address| address.to_string()), "");
        row("group", [GROUP.to_owned(), GROUP.to_owned()], "");
        if let [v1, v2] = self.versions.as_slice() {
            let both = |figure: fn(&Version) -> u64| [grouped(figure(v1)), grouped(figure(v2))];
            row("trades read", both(|version| version.tally.input.records), "of the regular session");
            row("checksum", [v1, v2].map(|version| format!("{:08x}", version.tally.input.crc)), "of all their bytes");
            row("odd lots left out", both(|version| version.tally.odd_lots), "");
            row("cancelled left out", both(|version| version.tally.cancelled), "");
        }
        table.show()
    }

    fn symbols_table(&self) -> String {
        let columns = ["SYMBOL", ">SHARES V1", ">SHARES V2", ">CHANGE", ">VWAP V1", ">VWAP V2", ">CHANGE"];
        let mut table = Table::new(&columns);
        for row in self.symbols.iter().take(SYMBOLS) {
            let (v1, v2) = (&row.v1, &row.v2);
            let price = |vwap: Option<Dollars>| vwap.map_or_else(|| "-".to_owned(), |vwap| vwap.to_string());
            table.row([
                row.symbol.clone(),
                grouped(v1.sums.volume),
                grouped(v2.sums.volume),
                percent(v1.sums.volume, v2.sums.volume),
                price(v1.vwap),
                price(v2.vwap),
                v1.vwap.zip(v2.vwap).map(|(from, to)| change(from, to)).unwrap_or_default(),
            ]);
        }
        let (v1, v2) = (self.whole.v1.sums.volume, self.whole.v2.sums.volume);
        // A price of everything would say nothing.
        let prices = [String::new(), String::new(), String::new()];
        let shares = ["all".to_owned(), grouped(v1), grouped(v2), percent(v1, v2)];
        table.row(shares.into_iter().chain(prices));
        table.show()
    }

    /// What version 1 noticed.
    fn undisturbed(&self) -> String {
        let Some(v1) = self.versions.first() else { return String::new() };
        let slowest = |all: Acknowledgements| milliseconds(Duration::from_micros(all.slowest_microseconds));
        let joins = match v1.joins {
            1 => "was in its group all the time".to_owned(),
            joins => format!("joined its group {joins} times"),
        };
        let mut text = format!("Version 1 {joins} and read all {} trades.\n", grouped(v1.read));
        let meanwhile = self.acknowledged_while_frozen;
        if meanwhile.batches > 0 {
            let _ = writeln!(
                text,
                "While snapshot and clone were made, trades were acknowledged within {};\nover the whole day, within {}.",
                slowest(meanwhile),
                slowest(self.acknowledged)
            );
        }
        text
    }
}

/// Lines moved to the right; empty ones stay empty.
fn indented(text: &str) -> String {
    text.lines().map(|line| if line.is_empty() { "\n".to_owned() } else { format!("   {line}\n") }).collect()
}

/// `-5.1 %`.
fn percent(from: u64, to: u64) -> String {
    if from == 0 {
        return String::new();
    }
    let sign = if to < from { '-' } else { '+' };
    let per_mille = (u128::from(to.abs_diff(from)) * 2_000 + u128::from(from)) / (2 * u128::from(from));
    format!("{sign}{}.{} %", per_mille / 10, per_mille % 10)
}

/// `-0.0012`.
fn change(from: Dollars, to: Dollars) -> String {
    let sign = if to < from { '-' } else { '+' };
    format!("{sign}{}", Dollars(to.0.abs_diff(from.0)))
}

#[cfg(test)]
mod tests;
