//! The analytics that come in two versions: how many shares of a symbol changed hands in a minute, and at which
//! volume-weighted average price (VWAP).
//!
//! A [`Bar`] is a symbol's minute. It is finished when its partition has reached a later minute, and written as the latest
//! value of its key: whoever counts the same minute again, by whichever rules, replaces it. A minute in which no trade counts
//! has a bar that says so.
//!
//! **Positions.** What is open lives in memory alone. So the position that a group commits is the first trade of the
//! session that is under way (before the opening, the regular one, after the close): whoever takes over from there finds
//! all that this session needs. It moves when a session is over, behind its last bars.
//!
//! Money is whole ten-thousandths of a dollar. Nothing is a floating point number.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::super::taq::{TimeOfDay, Trade};
use super::day::Session;
use crate::client::FetchedRecord;

/// Which trades count: what the two versions differ in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rules {
    /// Version 1: every one.
    Every,
    /// Version 2: those that TAQ lets count for a price. Not those that were cancelled or were errors, and no odd lots.
    Eligible,
}

/// Correction 00 is regular and 01 holds what was corrected; those above are errors, cancelled, or say so of others.
const CORRECTED: u8 = 1;
/// The sale condition of less than a round lot.
const ODD_LOT: u8 = b'I';

/// Whether a trade counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Counts,
    Cancelled,
    OddLot,
}

impl Rules {
    fn verdict(self, trade: &Trade) -> Verdict {
        let chooses = self == Self::Eligible;
        if chooses && trade.correction > CORRECTED {
            Verdict::Cancelled
        } else if chooses && trade.conditions.contains(&ODD_LOT) {
            Verdict::OddLot
        } else {
            Verdict::Counts
        }
    }
}

/// An amount of money, in ten-thousandths of a dollar; as text, dollars with four decimals.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub(super) struct Dollars(pub(super) u128);

/// The text is no amount.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an amount such as 24.3400")]
pub(super) struct NotDollars;

impl fmt::Display for Dollars {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:04}", self.0 / 10_000, self.0 % 10_000)
    }
}

impl FromStr for Dollars {
    type Err = NotDollars;

    fn from_str(text: &str) -> Result<Self, NotDollars> {
        let (whole, fraction) = text.split_once('.').filter(|(_, fraction)| fraction.len() == 4).ok_or(NotDollars)?;
        let number = |digits: &str| {
            let digits = Some(digits).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()));
            digits.and_then(|digits| digits.parse::<u128>().ok())
        };
        let amount = number(whole).and_then(|whole| whole.checked_mul(10_000)?.checked_add(number(fraction)?));
        amount.map(Self).ok_or(NotDollars)
    }
}

impl From<Dollars> for String {
    fn from(dollars: Dollars) -> Self {
        dollars.to_string()
    }
}

impl TryFrom<String> for Dollars {
    type Error = NotDollars;

    fn try_from(text: String) -> Result<Self, NotDollars> {
        text.parse()
    }
}

/// What trades add up to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Sums {
    /// Trades that count.
    pub(super) trades: u64,
    /// Their shares.
    pub(super) volume: u64,
    /// What was paid for them.
    pub(super) value: Dollars,
    /// Trades that do not count.
    pub(super) left_out: u64,
}

impl Sums {
    fn add(&mut self, trade: &Trade) {
        self.trades += 1;
        self.volume += u64::from(trade.volume);
        self.value.0 += u128::from(trade.volume) * u128::from(trade.price.ten_thousandths());
    }

    /// Adds what others add up to; of hostile numbers, as much as there is room for.
    pub(super) fn merge(&mut self, other: &Self) {
        self.trades = self.trades.saturating_add(other.trades);
        self.volume = self.volume.saturating_add(other.volume);
        self.value.0 = self.value.0.saturating_add(other.value.0);
        self.left_out = self.left_out.saturating_add(other.left_out);
    }

    /// The average price of a share, rounded; none where none changed hands.
    pub(super) fn vwap(&self) -> Option<Dollars> {
        let volume = u128::from(self.volume);
        let rounded = self.value.0.checked_add(volume / 2)?.checked_div(volume)?;
        Some(Dollars(rounded))
    }
}

/// A symbol's minute, as it is written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Bar {
    /// As in the key of a trade.
    pub(super) symbol: String,
    /// `09:31`, on the exchange's clock.
    pub(super) minute: String,
    #[serde(flatten)]
    pub(super) sums: Sums,
    /// The average price.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) vwap: Option<Dollars>,
}

impl Bar {
    /// What makes a later bar replace it.
    pub(super) fn key(&self) -> String {
        format!("{} {}", self.symbol, self.minute)
    }

    /// When its minute begins; none if that is no time of day.
    pub(super) fn start(&self) -> Option<TimeOfDay> {
        let (hour, minute) = self.minute.split_once(':')?;
        let (hour, minute): (u32, u32) = (hour.parse().ok()?, minute.parse().ok()?);
        TimeOfDay::from_milliseconds(hour.checked_mul(60)?.checked_add(minute)?.checked_mul(60_000)?)
    }
}

/// Which records were read: how many, and a CRC-32C over their offsets, times, keys and values.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(super) struct Digest {
    pub(super) records: u64,
    pub(super) crc: u32,
}

impl Digest {
    fn add(&mut self, record: &FetchedRecord) {
        self.records += 1;
        self.append(&record.offset.to_be_bytes());
        self.append(&record.timestamp.to_be_bytes());
        for part in [&record.key, &record.value] {
            let part = part.as_deref().unwrap_or_default();
            self.append(&(part.len() as u64).to_be_bytes());
            self.append(part);
        }
    }

    fn append(&mut self, bytes: &[u8]) {
        self.crc = crc32c::crc32c_append(self.crc, bytes);
    }
}

/// What a version made of the regular session.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(super) struct Tally {
    /// What it read.
    pub(super) input: Digest,
    /// What of it did not count, being an odd lot.
    pub(super) odd_lots: u64,
    /// The same, being cancelled or an error.
    pub(super) cancelled: u64,
}

impl Tally {
    fn add(&mut self, record: &FetchedRecord, verdict: Verdict) {
        self.input.add(record);
        match verdict {
            Verdict::Counts => {}
            Verdict::OddLot => self.odd_lots += 1,
            Verdict::Cancelled => self.cancelled += 1,
        }
    }
}

/// The state of one partition.
#[derive(Debug)]
struct Window {
    /// The offset behind the last trade.
    next: i64,
    /// When the last trade was.
    at: Option<(Session, u32)>,
    /// The sums of that minute, by symbol.
    open: BTreeMap<String, Sums>,
    tally: Tally,
}

/// The analytics, by partition.
#[derive(Debug)]
pub(super) struct Bars {
    rules: Rules,
    windows: BTreeMap<i32, Window>,
    /// Of partitions whose regular session is over.
    tallies: BTreeMap<i32, Tally>,
    /// Positions that sessions which are over have moved.
    moved: BTreeMap<i32, i64>,
}

impl Bars {
    pub(super) fn new(rules: Rules) -> Self {
        Self { rules, windows: BTreeMap::new(), tallies: BTreeMap::new(), moved: BTreeMap::new() }
    }

    /// Begins at these offsets; what was open is forgotten.
    pub(super) fn begin(&mut self, offsets: &BTreeMap<i32, i64>) {
        let window = |next| Window { next, at: None, open: BTreeMap::new(), tally: Tally::default() };
        self.windows = offsets.iter().map(|(&partition, &next)| (partition, window(next))).collect();
        self.moved.clear();
    }

    /// Takes a record of a partition that it has begun; gives the bars that it finishes. What is no trade is passed over.
    pub(super) fn add(&mut self, record: &FetchedRecord) -> Vec<Bar> {
        let Some(window) = self.windows.get_mut(&record.partition) else { return Vec::new() };
        window.next = record.offset + 1;
        let Ok(trade) = Trade::parse(record.value.as_deref().unwrap_or_default()) else { return Vec::new() };
        let at = (Session::of(trade.time), trade.time.milliseconds() / 60_000);
        let finished = if window.at.is_some_and(|last| last != at) { window.finish() } else { Vec::new() };
        if let Some((session, _)) = window.at.filter(|(session, _)| *session != at.0) {
            self.moved.insert(record.partition, record.offset);
            let tally = std::mem::take(&mut window.tally);
            if session == Session::Regular {
                self.tallies.insert(record.partition, tally);
            }
        }
        window.at = Some(at);
        let verdict = self.rules.verdict(&trade);
        if at.0 == Session::Regular {
            window.tally.add(record, verdict);
        }
        let sums = window.open.entry(trade.symbol.to_string()).or_default();
        if verdict == Verdict::Counts {
            sums.add(&trade);
        } else {
            sums.left_out += 1;
        }
        finished
    }

    /// The positions to commit behind the bars so far, if any have moved since the last call.
    pub(super) fn take_moved(&mut self) -> Option<BTreeMap<i32, i64>> {
        Some(std::mem::take(&mut self.moved)).filter(|moved| !moved.is_empty())
    }

    /// Whether everything before these offsets was taken.
    pub(super) fn reached(&self, ends: &BTreeMap<i32, i64>) -> bool {
        let passed = |(partition, end): (&i32, &i64)| self.windows.get(partition).is_some_and(|w| w.next >= *end);
        ends.iter().all(passed)
    }

    /// Ends the day: everything open is finished, and every position moves to the end.
    pub(super) fn close(&mut self) -> Vec<Bar> {
        let mut finished = Vec::new();
        for (&partition, window) in &mut self.windows {
            finished.append(&mut window.finish());
            let tally = std::mem::take(&mut window.tally);
            if window.at.take().is_some_and(|(session, _)| session == Session::Regular) {
                self.tallies.insert(partition, tally);
            }
            self.moved.insert(partition, window.next);
        }
        finished
    }

    /// Of all partitions whose regular session is over.
    pub(super) fn tally(&self) -> Tally {
        let mut whole = Tally::default();
        for (partition, tally) in &self.tallies {
            whole.odd_lots += tally.odd_lots;
            whole.cancelled += tally.cancelled;
            whole.input.records += tally.input.records;
            whole.input.append(&partition.to_be_bytes());
            whole.input.append(&tally.input.crc.to_be_bytes());
        }
        whole
    }
}

impl Window {
    /// The bars of the minute that is over.
    fn finish(&mut self) -> Vec<Bar> {
        let Some((_, minute)) = self.at else { return Vec::new() };
        let minute = show_minute(minute);
        let open = std::mem::take(&mut self.open).into_iter();
        open.map(|(symbol, sums)| Bar { symbol, minute: minute.clone(), vwap: sums.vwap(), sums }).collect()
    }
}

/// `09:31`.
fn show_minute(minute: u32) -> String {
    format!("{:02}:{:02}", minute / 60, minute % 60)
}

#[cfg(test)]
mod tests;
