//! The bytes of a trade and of a quote.
//!
//! A **trade** is NYSE's Daily TAQ record: fixed width, ASCII, 71 bytes. Behind it may stand the *parties* of the
//! stock-exchange blueprint that made this format known for streams: the sender, then one to ten receivers.
//!
//! | from | length | field |
//! |---|---|---|
//! | 0 | 9 | time of day, `HHMMSSmmm` |
//! | 9 | 1 | exchange |
//! | 10 | 16 | symbol: root 6, suffix 10, padded with spaces |
//! | 26 | 4 | sale condition, up to four codes |
//! | 30 | 9 | volume, shares |
//! | 39 | 11 | price, ten-thousandths of a dollar |
//! | 50 | 1 | stop stock indicator |
//! | 51 | 2 | correction indicator, 00 is regular |
//! | 53 | 16 | sequence number |
//! | 69 | 1 | source: C for CTA, N for UTP |
//! | 70 | 1 | trade reporting facility |
//! | 71 | 4 | sender, if there are parties |
//! | 75 | 4 × N | receivers, N = 1 to 10 |
//!
//! A **quote** has a layout of this project's own, made of Daily TAQ's quote fields; 81 bytes, then parties alike:
//!
//! | from | length | field |
//! |---|---|---|
//! | 0 | 9 | time of day, `HHMMSSmmm` |
//! | 9 | 1 | exchange |
//! | 10 | 16 | symbol |
//! | 26 | 11 | bid price, ten-thousandths of a dollar |
//! | 37 | 7 | bid size, shares |
//! | 44 | 11 | ask price, ten-thousandths of a dollar |
//! | 55 | 7 | ask size, shares |
//! | 62 | 1 | quote condition, R is regular |
//! | 63 | 16 | sequence number |
//! | 79 | 1 | source: C or N |
//! | 80 | 1 | side that its sender moved: B the bid, A the ask |
//! | 81 | 4 | sender, if there are parties |
//! | 85 | 4 × N | receivers, N = 1 to 10 |
//!
//! Numbers are padded with zeros and have no point or sign. No line end belongs to a record; in files CR LF follows it.
//! Everything is an integer: money in floating point was the blueprint's mistake. Reading is strict, so that a
//! record either round-trips byte for byte or is refused with the field that is wrong.

use std::fmt;

use super::field::{FieldError, Reader, put_digits};

/// Bytes of a trade without parties.
pub const TRADE_BYTES: usize = 71;
/// Bytes of a quote without parties.
pub const QUOTE_BYTES: usize = 81;
/// The most receivers that a record names.
pub const RECEIVERS_MAX: usize = 10;

/// A time of day in milliseconds since midnight, on the exchange's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct TimeOfDay(u32);

impl TimeOfDay {
    /// `milliseconds` since midnight; `None` from 24 h on.
    pub fn from_milliseconds(milliseconds: u32) -> Option<Self> {
        (milliseconds < 86_400_000).then_some(Self(milliseconds))
    }

    /// Milliseconds since midnight.
    pub fn milliseconds(self) -> u32 {
        self.0
    }

    fn digits(self) -> u64 {
        let (seconds, milliseconds) = (self.0 / 1_000, self.0 % 1_000);
        let (hour, minute, second) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
        u64::from(hour * 10_000_000 + minute * 100_000 + second * 1_000 + milliseconds)
    }

    fn from_digits(digits: u64) -> Option<Self> {
        let digits = u32::try_from(digits).ok()?;
        let (hour, minute) = (digits / 10_000_000, digits / 100_000 % 100);
        let (second, milliseconds) = (digits / 1_000 % 100, digits % 1_000);
        let valid = hour < 24 && minute < 60 && second < 60;
        valid.then(|| Self(((hour * 60 + minute) * 60 + second) * 1_000 + milliseconds))
    }
}

impl fmt::Display for TimeOfDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0 / 1_000;
        let (hour, minute, second) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
        write!(f, "{hour:02}:{minute:02}:{second:02}.{:03}", self.0 % 1_000)
    }
}

/// A price in ten-thousandths of a dollar, at most 9,999,999.9999 dollars.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Price(u64);

impl Price {
    /// A price of so many ten-thousandths; `None` if it has more than eleven digits.
    pub fn from_ten_thousandths(value: u64) -> Option<Self> {
        (value < 100_000_000_000).then_some(Self(value))
    }

    /// Ten-thousandths of a dollar.
    pub fn ten_thousandths(self) -> u64 {
        self.0
    }
}

impl fmt::Display for Price {
    /// Dollars with two decimals, or four where they say more.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (dollars, fraction) = (self.0 / 10_000, self.0 % 10_000);
        if fraction.is_multiple_of(100) {
            f.pad(&format!("{dollars}.{:02}", fraction / 100))
        } else {
            f.pad(&format!("{dollars}.{fraction:04}"))
        }
    }
}

/// A ticker symbol: a root of up to six and a suffix of up to ten characters, both padded with spaces.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Symbol([u8; 16]);

impl Symbol {
    /// Pads `root` and `suffix`; `None` if one is too long, the root is empty, or a character is not printable ASCII.
    pub fn new(root: &str, suffix: &str) -> Option<Self> {
        let fits = !root.is_empty() && root.len() <= 6 && suffix.len() <= 10;
        let printable = root.bytes().chain(suffix.bytes()).all(|byte| byte.is_ascii_graphic());
        (fits && printable).then(|| {
            let mut padded = [b' '; 16];
            padded[..root.len()].copy_from_slice(root.as_bytes());
            padded[6..6 + suffix.len()].copy_from_slice(suffix.as_bytes());
            Self(padded)
        })
    }

    /// The root, without its padding.
    pub fn root(&self) -> &str {
        trimmed(&self.0[..6])
    }

    /// Appends the key of a record about it: root, and behind a space the suffix, as the TAQ files with `|` between fields
    /// write a symbol.
    pub fn write_key(&self, out: &mut String) {
        out.push_str(self.root());
        if !self.suffix().is_empty() {
            out.push(' ');
            out.push_str(self.suffix());
        }
    }

    /// The suffix, without its padding; mostly empty.
    pub fn suffix(&self) -> &str {
        trimmed(&self.0[6..])
    }
}

/// Symbols are printable ASCII by construction and by `Symbol::parse`; other bytes would show as nothing.
fn trimmed(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes.trim_ascii_end()).unwrap_or_default()
}

impl fmt::Display for Symbol {
    /// As in the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut key = String::with_capacity(16);
        self.write_key(&mut key);
        f.pad(&key)
    }
}

impl fmt::Debug for Symbol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Symbol({self})")
    }
}

/// A sender or receiver: four digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TraderId(u16);

impl TraderId {
    /// `None` from 10,000 on.
    pub fn new(id: u16) -> Option<Self> {
        (id < 10_000).then_some(Self(id))
    }
}

impl fmt::Display for TraderId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}", self.0)
    }
}

/// Who sent an order, and the one to ten to whom it went. Kept inline: a generator makes millions of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parties {
    sender: TraderId,
    receivers: [TraderId; RECEIVERS_MAX],
    receiver_count: usize,
}

impl Parties {
    /// `None` unless there are one to ten receivers.
    pub fn new(sender: TraderId, receivers: &[TraderId]) -> Option<Self> {
        (1..=RECEIVERS_MAX).contains(&receivers.len()).then(|| {
            let mut inline = [TraderId(0); RECEIVERS_MAX];
            inline[..receivers.len()].copy_from_slice(receivers);
            Self { sender, receivers: inline, receiver_count: receivers.len() }
        })
    }

    /// Who sent it.
    pub fn sender(&self) -> TraderId {
        self.sender
    }

    /// To whom it went, in order.
    pub fn receivers(&self) -> &[TraderId] {
        &self.receivers[..self.receiver_count]
    }

    fn encode(&self, out: &mut Vec<u8>) {
        put_digits(out, 4, u64::from(self.sender.0));
        for receiver in self.receivers() {
            put_digits(out, 4, u64::from(receiver.0));
        }
    }

    /// Reads what is left: nothing, or a sender and one to ten receivers.
    fn parse(reader: &mut Reader<'_>) -> Result<Option<Self>, FieldError> {
        if reader.remaining() == 0 {
            return Ok(None);
        }
        let sender = trader(reader, "sender")?;
        let mut receivers = [TraderId(0); RECEIVERS_MAX];
        let mut receiver_count = 0;
        while reader.remaining() > 0 {
            let slot = receivers.get_mut(receiver_count).ok_or_else(|| reader.error("receivers"))?;
            *slot = trader(reader, "receivers")?;
            receiver_count += 1;
        }
        if receiver_count == 0 {
            return Err(reader.error("receivers"));
        }
        Ok(Some(Self { sender, receivers, receiver_count }))
    }
}

fn trader(reader: &mut Reader<'_>, name: &'static str) -> Result<TraderId, FieldError> {
    let digits = reader.digits(name, 4)?;
    u16::try_from(digits).ok().and_then(TraderId::new).ok_or_else(|| reader.error(name))
}

/// One trade. Letters are ASCII; `volume` has at most nine digits and `sequence` at most sixteen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trade {
    /// When, on the exchange's clock.
    pub time: TimeOfDay,
    /// Where: one letter per exchange.
    pub exchange: u8,
    /// What.
    pub symbol: Symbol,
    /// Up to four codes, each in its own place; a space where none applies.
    pub conditions: [u8; 4],
    /// Shares.
    pub volume: u32,
    /// Dollars a share.
    pub price: Price,
    /// `N`, or `Y` for a stopped trade.
    pub stop_stock: u8,
    /// 0 for a regular trade.
    pub correction: u8,
    /// Ascending over the day.
    pub sequence: u64,
    /// `C` (CTA) or `N` (UTP).
    pub source: u8,
    /// The facility that reported a trade made off the exchanges, else a space.
    pub reporting_facility: u8,
    /// Who sent it to whom; none in a pure trade.
    pub parties: Option<Parties>,
}

impl Trade {
    /// Appends the record to `out`.
    pub fn encode(&self, out: &mut Vec<u8>) {
        put_digits(out, 9, self.time.digits());
        out.push(self.exchange);
        out.extend_from_slice(&self.symbol.0);
        out.extend_from_slice(&self.conditions);
        put_digits(out, 9, u64::from(self.volume));
        put_digits(out, 11, self.price.0);
        out.push(self.stop_stock);
        put_digits(out, 2, u64::from(self.correction));
        put_digits(out, 16, self.sequence);
        out.extend_from_slice(&[self.source, self.reporting_facility]);
        if let Some(parties) = &self.parties {
            parties.encode(out);
        }
    }

    /// Reads one whole record.
    pub fn parse(record: &[u8]) -> Result<Self, FieldError> {
        let reader = &mut Reader::new(record);
        Ok(Self {
            time: time(reader)?,
            exchange: reader.letter("exchange")?,
            symbol: symbol(reader)?,
            conditions: reader.text("sale condition")?,
            volume: number(reader, "volume", 9)?,
            price: price(reader, "price")?,
            stop_stock: reader.character("stop stock indicator")?,
            correction: number(reader, "correction indicator", 2)?,
            sequence: reader.digits("sequence number", 16)?,
            source: reader.letter("source")?,
            reporting_facility: reader.character("trade reporting facility")?,
            parties: Parties::parse(reader)?,
        })
    }
}

/// The side of the market that a quote's sender moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Somebody wants to buy.
    Bid,
    /// Somebody wants to sell.
    Ask,
}

/// The best bid and ask of one exchange after one of them moved. Sizes have at most seven digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quote {
    /// When, on the exchange's clock.
    pub time: TimeOfDay,
    /// Where: one letter per exchange.
    pub exchange: u8,
    /// What.
    pub symbol: Symbol,
    /// What buyers offer.
    pub bid_price: Price,
    /// How many shares they want.
    pub bid_size: u32,
    /// What sellers ask.
    pub ask_price: Price,
    /// How many shares they have.
    pub ask_size: u32,
    /// `R` for a regular quote.
    pub condition: u8,
    /// Ascending over the day.
    pub sequence: u64,
    /// `C` (CTA) or `N` (UTP).
    pub source: u8,
    /// Which side moved.
    pub side: Side,
    /// Who sent it to whom, unless left out.
    pub parties: Option<Parties>,
}

impl Quote {
    /// Appends the record to `out`.
    pub fn encode(&self, out: &mut Vec<u8>) {
        put_digits(out, 9, self.time.digits());
        out.push(self.exchange);
        out.extend_from_slice(&self.symbol.0);
        put_digits(out, 11, self.bid_price.0);
        put_digits(out, 7, u64::from(self.bid_size));
        put_digits(out, 11, self.ask_price.0);
        put_digits(out, 7, u64::from(self.ask_size));
        out.push(self.condition);
        put_digits(out, 16, self.sequence);
        let side = match self.side {
            Side::Bid => b'B',
            Side::Ask => b'A',
        };
        out.extend_from_slice(&[self.source, side]);
        if let Some(parties) = &self.parties {
            parties.encode(out);
        }
    }

    /// Reads one whole record.
    pub fn parse(record: &[u8]) -> Result<Self, FieldError> {
        let reader = &mut Reader::new(record);
        Ok(Self {
            time: time(reader)?,
            exchange: reader.letter("exchange")?,
            symbol: symbol(reader)?,
            bid_price: price(reader, "bid price")?,
            bid_size: number(reader, "bid size", 7)?,
            ask_price: price(reader, "ask price")?,
            ask_size: number(reader, "ask size", 7)?,
            condition: reader.letter("quote condition")?,
            sequence: reader.digits("sequence number", 16)?,
            source: reader.letter("source")?,
            side: side(reader)?,
            parties: Parties::parse(reader)?,
        })
    }
}

fn time(reader: &mut Reader<'_>) -> Result<TimeOfDay, FieldError> {
    let digits = reader.digits("time", 9)?;
    TimeOfDay::from_digits(digits).ok_or_else(|| reader.error("time"))
}

fn price(reader: &mut Reader<'_>, name: &'static str) -> Result<Price, FieldError> {
    reader.digits(name, 11).map(Price)
}

fn number<T: TryFrom<u64>>(reader: &mut Reader<'_>, name: &'static str, width: usize) -> Result<T, FieldError> {
    let digits = reader.digits(name, width)?;
    T::try_from(digits).map_err(|_| reader.error(name))
}

fn symbol(reader: &mut Reader<'_>) -> Result<Symbol, FieldError> {
    let padded: [u8; 16] = reader.text("symbol")?;
    let (root, suffix) = (trimmed(&padded[..6]), trimmed(&padded[6..]));
    let symbol = Symbol::new(root, suffix).ok_or_else(|| reader.error("symbol"))?;
    Ok(symbol)
}

fn side(reader: &mut Reader<'_>) -> Result<Side, FieldError> {
    match reader.letter("side")? {
        b'B' => Ok(Side::Bid),
        b'A' => Ok(Side::Ask),
        _ => Err(reader.error("side")),
    }
}

#[cfg(test)]
mod tests;
