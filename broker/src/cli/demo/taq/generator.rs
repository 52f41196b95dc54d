//! Makes the records of one trading day from a seed.
//!
//! The same options make the same records, byte for byte, on every machine and in every version (tests hold a hash).
//! What happens, to whom and at which price depends on the seed alone, so that a longer day is about the same market;
//! only the clock, which spreads the records over one day, depends on their number.
//!
//! Trades and quotes are numbered apart, each from 1 without a gap: whoever reads a topic can tell a lost, doubled
//! or reordered record from the sequence numbers alone.

use super::layout::{Parties, Quote, Side, Symbol, TimeOfDay, Trade};
use super::market::{Listing, Market, Traders};
use super::random::Random;
use super::session::{CLOSE_MS, Hours, OPENING_MS, Session};

/// With quotes, this many of a hundred records are quotes: markets quote more than they trade.
const QUOTES_PERCENT: u64 = 75;

/// What to make.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GeneratorOptions {
    /// Decides everything that is left to chance.
    pub seed: u64,
    /// How many records, trades and quotes together.
    pub records: u64,
    /// Mix quotes among the trades.
    pub quotes: bool,
    /// Give every record a sender and receivers.
    pub parties: bool,
}

/// One record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// A sale.
    Trade(Trade),
    /// A bid or an ask.
    Quote(Quote),
}

impl Event {
    /// When it happened.
    pub fn time(&self) -> TimeOfDay {
        match self {
            Event::Trade(trade) => trade.time,
            Event::Quote(quote) => quote.time,
        }
    }

    /// What it is about: the key.
    pub fn symbol(&self) -> Symbol {
        match self {
            Event::Trade(trade) => trade.symbol,
            Event::Quote(quote) => quote.symbol,
        }
    }

    /// Appends its bytes to `out`.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Event::Trade(trade) => trade.encode(out),
            Event::Quote(quote) => quote.encode(out),
        }
    }
}

/// An iterator over a day's records, in order of time.
#[derive(Debug, Clone)]
pub struct Generator {
    options: GeneratorOptions,
    /// Two sources, so that the clock's draws do not shift the market's.
    market_random: Random,
    clock_random: Random,
    session: Session,
    market: Market,
    traders: Traders,
    trades: u64,
    quotes: u64,
}

impl Generator {
    /// A market at the opening.
    pub fn new(options: GeneratorOptions) -> Self {
        Self::with_hours(options, Hours::REGULAR)
    }

    /// A market of other hours.
    pub fn with_hours(options: GeneratorOptions, hours: Hours) -> Self {
        Self {
            options,
            market_random: Random::from_seed(options.seed),
            clock_random: Random::from_seed(!options.seed),
            session: Session::of(hours, options.records),
            market: Market::open(),
            traders: Traders::new(),
            trades: 0,
            quotes: 0,
        }
    }

    fn trade(&mut self, time: TimeOfDay) -> Trade {
        self.trades += 1;
        let random = &mut self.market_random;
        let listing = self.market.next(random);
        let exchange = exchange(listing, random);
        let volume = volume(random);
        Trade {
            time,
            exchange,
            symbol: listing.symbol,
            conditions: conditions(time, volume, random),
            volume,
            price: listing.price(side(random)),
            stop_stock: b'N',
            correction: if random.chance(1, 4_096) { 8 } else { 0 },
            sequence: self.trades,
            source: listing.source,
            reporting_facility: reporting_facility(exchange, random),
            parties: self.options.parties.then(|| self.traders.parties(random)),
        }
    }

    fn quote(&mut self, time: TimeOfDay) -> Quote {
        self.quotes += 1;
        let random = &mut self.market_random;
        let listing = self.market.next(random);
        Quote {
            time,
            exchange: exchange(listing, random),
            symbol: listing.symbol,
            bid_price: listing.price(Side::Bid),
            bid_size: quote_size(random),
            ask_price: listing.price(Side::Ask),
            ask_size: quote_size(random),
            condition: b'R',
            sequence: self.quotes,
            source: listing.source,
            side: side(random),
            parties: self.parties(),
        }
    }

    fn parties(&mut self) -> Option<Parties> {
        self.options.parties.then(|| self.traders.parties(&mut self.market_random))
    }
}

impl Iterator for Generator {
    type Item = Event;

    fn next(&mut self) -> Option<Event> {
        let time = self.session.next(&mut self.clock_random)?;
        let is_quote = self.options.quotes && self.market_random.chance(QUOTES_PERCENT, 100);
        Some(if is_quote { Event::Quote(self.quote(time)) } else { Event::Trade(self.trade(time)) })
    }
}

fn side(random: &mut Random) -> Side {
    if random.chance(1, 2) { Side::Bid } else { Side::Ask }
}

/// About four in ten trades are reported off the exchanges (D, FINRA). Nasdaq is T for shares listed elsewhere, Q for its own.
fn exchange(listing: &Listing, random: &mut Random) -> u8 {
    const SHARES_OF_64: &[u8; 64] = b"DDDDDDDDDDDDDDDDDDDDDDDDQQQQQQQQQQPPPPPPPNNNNNNZZZZZKKKKJJYYBAMX";
    match SHARES_OF_64[random.index(64)] {
        b'Q' if listing.source == b'C' => b'T',
        b'A' if random.chance(1, 2) => b'C',
        b'X' if random.chance(1, 2) => b'W',
        exchange => exchange,
    }
}

fn reporting_facility(exchange: u8, random: &mut Random) -> u8 {
    if exchange == b'D' { b"TTTQQN"[random.index(6)] } else { b' ' }
}

/// A third are odd lots; round lots are mostly one hundred, each doubling half as likely.
fn volume(random: &mut Random) -> u32 {
    let shares = if random.chance(1, 3) {
        1 + random.below(99)
    } else {
        let doublings = random.bits().trailing_zeros().min(10);
        100 * (1 + random.below(1 << doublings))
    };
    u32::try_from(shares).expect("at most 102,400")
}

fn quote_size(random: &mut Random) -> u32 {
    let doublings = random.bits().trailing_zeros().min(7);
    u32::try_from(100 * (1 + random.below(2 << doublings))).expect("at most 25,600")
}

/// Settlement `@` (regular), `F` for one in four (an intermarket sweep), `T` before the opening and after the close, `I` for an
/// odd lot.
fn conditions(time: TimeOfDay, volume: u32, random: &mut Random) -> [u8; 4] {
    let sweep = if random.chance(1, 4) { b'F' } else { b' ' };
    let odd_lot = if volume < 100 { b'I' } else { b' ' };
    let regular = (OPENING_MS..CLOSE_MS).contains(&time.milliseconds());
    [b'@', sweep, if regular { b' ' } else { b'T' }, odd_lot]
}

#[cfg(test)]
mod tests;
