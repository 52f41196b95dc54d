//! What every day of the generator must look like, whatever its seed.

use std::collections::HashMap;

use proptest::prelude::*;

use super::super::market::SYMBOLS;
use super::super::session::{CLOSE_MS, OPENING_MS};
use super::*;

const OPTIONS: GeneratorOptions = GeneratorOptions { seed: 42, records: 100_000, quotes: false, parties: true };

fn trades(options: GeneratorOptions) -> impl Iterator<Item = Trade> {
    Generator::new(options).filter_map(|event| match event {
        Event::Trade(trade) => Some(trade),
        Event::Quote(_) => None,
    })
}

fn bytes(options: GeneratorOptions) -> Vec<u8> {
    let mut bytes = Vec::new();
    for event in Generator::new(options) {
        event.encode(&mut bytes);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes
}

fn text(event: Event) -> String {
    let mut bytes = Vec::new();
    event.encode(&mut bytes);
    String::from_utf8(bytes).unwrap()
}

/// CRC-32C of a day's records, each with CR LF behind it. A change here changes what everybody's seed makes.
const GOLDEN_TRADES: u32 = 3_292_856_542;
const GOLDEN_MIXED: u32 = 2_536_854_683;

#[test]
fn a_seed_makes_the_same_bytes_for_ever() {
    assert_eq!(crc32c::crc32c(&bytes(OPTIONS)), GOLDEN_TRADES);
    assert_eq!(crc32c::crc32c(&bytes(GeneratorOptions { quotes: true, ..OPTIONS })), GOLDEN_MIXED);
    assert_ne!(bytes(GeneratorOptions { seed: 43, ..OPTIONS }), bytes(OPTIONS));
}

#[test]
fn records_read_as_declared() {
    let mut day = Generator::new(GeneratorOptions { quotes: true, records: 100, ..OPTIONS });
    let trade = day.find(|event| matches!(event, Event::Trade(_))).map(text);
    let quote = day.find(|event| matches!(event, Event::Quote(_))).map(text);
    assert_eq!(
        trade.as_deref(),
        Some("093433949JXYC             @  I00000005600000243400N000000000000000001N 240625802835")
    );
    assert_eq!(
        quote.as_deref(),
        Some(
            "093706668BZFE             000006570000000100000006571000000100R0000000000000003NB169617261279209519481961"
        )
    );
}

#[test]
fn a_longer_day_is_about_the_same_market() {
    let without_time =
        |options| trades(options).map(|trade| Trade { time: TimeOfDay::from_milliseconds(0).unwrap(), ..trade });
    let longer = GeneratorOptions { records: 1_000_000, ..OPTIONS };
    assert!(without_time(OPTIONS).zip(without_time(longer)).all(|(a, b)| a == b));
}

#[test]
fn trades_and_quotes_are_numbered_apart_without_gaps() {
    let (mut trades, mut quotes) = (0, 0);
    for event in Generator::new(GeneratorOptions { quotes: true, ..OPTIONS }) {
        match event {
            Event::Trade(trade) => assert_eq!(trade.sequence, {
                trades += 1;
                trades
            }),
            Event::Quote(quote) => assert_eq!(quote.sequence, {
                quotes += 1;
                quotes
            }),
        }
    }
    assert_eq!(trades + quotes, OPTIONS.records);
    assert!((74_000..76_000).contains(&quotes), "{quotes}");
}

#[test]
fn a_few_symbols_and_senders_carry_most_of_the_flow() {
    let (mut symbols, mut senders) = (HashMap::new(), HashMap::new());
    for trade in trades(OPTIONS) {
        *symbols.entry(trade.symbol).or_insert(0_u32) += 1;
        *senders.entry(trade.parties.unwrap().sender()).or_insert(0_u32) += 1;
    }
    assert!(symbols.len() > SYMBOLS * 9 / 10, "{}", symbols.len());
    assert!((55_000..61_000).contains(&largest(100, symbols)));
    assert!((34_000..38_000).contains(&largest(10, senders)));
}

fn largest<K>(count: usize, counts: HashMap<K, u32>) -> u32 {
    let mut counts: Vec<u32> = counts.into_values().collect();
    counts.sort_unstable_by(|a, b| b.cmp(a));
    counts.iter().take(count).sum()
}

#[test]
fn the_price_of_a_symbol_walks_on_its_ticks() {
    let market = Market::open();
    let listings: HashMap<Symbol, &Listing> =
        market.listings().iter().map(|listing| (listing.symbol, listing)).collect();
    let mut last: HashMap<Symbol, u64> = HashMap::new();
    let mut moved = 0;
    for trade in trades(OPTIONS) {
        let listing = listings[&trade.symbol];
        let price = trade.price.ten_thousandths();
        assert_eq!(price % listing.tick(), 0);
        let before = last.insert(trade.symbol, price).unwrap_or(listing.opening_price());
        assert!(price.abs_diff(before) <= listing.move_max(), "{}: {before} to {price}", trade.symbol);
        moved += u32::from(price != before);
    }
    assert!(moved > 50_000, "prices stand still: {moved}");
}

#[test]
fn the_ask_is_above_the_bid() {
    let quotes = Generator::new(GeneratorOptions { quotes: true, ..OPTIONS });
    let crossed = quotes.filter(|event| matches!(event, Event::Quote(quote) if quote.ask_price <= quote.bid_price));
    assert_eq!(crossed.count(), 0);
}

#[test]
fn fields_hold_what_the_format_allows() {
    for trade in trades(OPTIONS) {
        assert!(b"ABCDMNPQTXWZJKY".contains(&trade.exchange));
        assert!(b"CN".contains(&trade.source));
        assert_eq!(trade.reporting_facility == b' ', trade.exchange != b'D');
        assert_eq!(trade.conditions[3] == b'I', trade.volume < 100);
        assert!(trade.volume > 0 && trade.volume <= 102_400);
    }
}

proptest! {
    #[test]
    fn every_record_round_trips_and_time_goes_on(seed: u64, records in 1_u64..400, quotes: bool, parties: bool) {
        let options = GeneratorOptions { seed, records, quotes, parties };
        let mut last = OPENING_MS;
        for event in Generator::new(options) {
            let mut record = Vec::new();
            event.encode(&mut record);
            let parsed = match event {
                Event::Trade(_) => Event::Trade(Trade::parse(&record).unwrap()),
                Event::Quote(_) => Event::Quote(Quote::parse(&record).unwrap()),
            };
            prop_assert_eq!(parsed, event);
            let time = event.time().milliseconds();
            prop_assert!(time >= last && time < CLOSE_MS);
            last = time;
        }
    }
}
