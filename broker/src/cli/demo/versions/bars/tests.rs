//! What the two versions count, and when.

use bytes::Bytes;

use super::super::super::taq::{Price, Symbol};
use super::*;

/// A trade at `HH:MM:SS`.
fn trade(symbol: &str, clock: [u32; 3], volume: u32, price: u64) -> Trade {
    let [hour, minute, second] = clock;
    Trade {
        time: TimeOfDay::from_milliseconds(((hour * 60 + minute) * 60 + second) * 1_000).unwrap(),
        exchange: b'N',
        symbol: Symbol::new(symbol, "").unwrap(),
        conditions: *b"@   ",
        volume,
        price: Price::from_ten_thousandths(price).unwrap(),
        stop_stock: b'N',
        correction: 0,
        sequence: 1,
        source: b'C',
        reporting_facility: b' ',
        parties: None,
    }
}

fn odd_lot(trade: Trade) -> Trade {
    Trade { conditions: *b"@  I", ..trade }
}

fn record(partition: i32, offset: i64, trade: &Trade) -> FetchedRecord {
    let mut value = Vec::new();
    trade.encode(&mut value);
    FetchedRecord { partition, offset, timestamp: 0, key: None, value: Some(value.into()), headers: Vec::new() }
}

/// Feeds a partition; gives the bars that were finished.
fn feed(bars: &mut Bars, partition: i32, from: i64, trades: &[Trade]) -> Vec<Bar> {
    (from..).zip(trades).flat_map(|(offset, trade)| bars.add(&record(partition, offset, trade))).collect()
}

fn bars(rules: Rules, positions: &[(i32, i64)]) -> Bars {
    let mut bars = Bars::new(rules);
    bars.begin(&positions.iter().copied().collect());
    bars
}

#[test]
fn a_minute_is_finished_by_the_next_and_weighs_prices_by_volume() {
    let mut bars = bars(Rules::Every, &[(0, 0)]);
    let day = [
        trade("A", [9, 31, 0], 100, 100_000),
        trade("B", [9, 31, 1], 5, 7),
        trade("A", [9, 31, 59], 300, 110_001),
        trade("A", [9, 32, 0], 1, 1),
    ];
    let finished = feed(&mut bars, 0, 0, &day);
    assert_eq!(finished.len(), 2);
    let a = &finished[0];
    assert_eq!((a.key().as_str(), a.sums.trades, a.sums.volume), ("A 09:31", 2, 400));
    assert_eq!(a.sums.value, Dollars(43_000_300));
    assert_eq!(a.vwap, Some(Dollars(107_501)), "107,500.75 rounded");
    assert_eq!(bars.close()[0].key(), "A 09:32");
    assert_eq!(bars.close(), [], "nothing is finished twice");
}

#[test]
fn version_2_leaves_out_what_taq_does() {
    let plain = trade("A", [10, 0, 0], 100, 10);
    let day = [
        plain,
        odd_lot(trade("A", [10, 0, 0], 50, 10)),
        Trade { correction: 8, ..plain },
        Trade { correction: 1, ..plain },
        Trade { correction: 12, conditions: *b"@  I", ..plain },
    ];
    for (rules, counted, left_out, tally) in [(Rules::Every, 5, 0, (0, 0)), (Rules::Eligible, 2, 3, (1, 2))] {
        let mut bars = bars(rules, &[(0, 0)]);
        feed(&mut bars, 0, 0, &day);
        let bar = bars.close().pop().unwrap();
        assert_eq!((bar.sums.trades, bar.sums.left_out), (counted, left_out), "{rules:?}");
        assert_eq!((bars.tally().odd_lots, bars.tally().cancelled), tally, "{rules:?}");
    }
}

#[test]
fn a_minute_without_a_trade_that_counts_has_a_bar_all_the_same() {
    let mut bars = bars(Rules::Eligible, &[(0, 0)]);
    feed(&mut bars, 0, 0, &[odd_lot(trade("A", [10, 0, 0], 50, 10))]);
    let bar = bars.close().pop().unwrap();
    assert_eq!((bar.sums.trades, bar.sums.left_out, bar.vwap), (0, 1, None));
    let text = serde_json::to_string(&bar).unwrap();
    let expected = r#"{"symbol":"A","minute":"10:00","trades":0,"volume":0,"value":"0.0000","left_out":1}"#;
    assert_eq!(text, expected);
    assert_eq!(serde_json::from_str::<Bar>(&text).unwrap(), bar);
}

#[test]
fn positions_move_when_a_session_is_over_and_to_its_end_at_the_close_of_the_day() {
    let mut bars = bars(Rules::Every, &[(0, 7), (1, 0)]);
    feed(&mut bars, 0, 7, &[trade("A", [9, 29, 0], 1, 1), trade("A", [9, 29, 1], 1, 1)]);
    assert_eq!(bars.take_moved(), None);
    feed(&mut bars, 0, 9, &[trade("A", [9, 30, 0], 1, 1), trade("A", [15, 59, 59], 1, 1)]);
    assert_eq!(bars.take_moved(), Some(BTreeMap::from([(0, 9)])), "where the regular session begins");
    assert_eq!(bars.take_moved(), None);
    feed(&mut bars, 0, 11, &[trade("A", [16, 0, 1], 1, 1)]);
    assert_eq!(bars.take_moved(), Some(BTreeMap::from([(0, 11)])));
    assert!(bars.reached(&BTreeMap::from([(0, 12), (1, 0)])) && !bars.reached(&BTreeMap::from([(1, 1)])));
    bars.close();
    assert_eq!(bars.take_moved(), Some(BTreeMap::from([(0, 12), (1, 0)])));
}

#[test]
fn whoever_begins_where_the_session_did_reads_the_same() {
    let before = [trade("A", [9, 0, 0], 100, 10)];
    let regular = [trade("A", [9, 30, 0], 100, 10), trade("B", [12, 0, 0], 100, 10)];
    let after = [trade("A", [16, 0, 1], 100, 10)];
    let mut whole = bars(Rules::Every, &[(0, 0), (1, 0)]);
    feed(&mut whole, 1, 0, &regular);
    feed(&mut whole, 0, 0, &before);
    feed(&mut whole, 0, 1, &regular);
    feed(&mut whole, 0, 3, &after);
    whole.close();
    let mut part = bars(Rules::Eligible, &[(0, 1), (1, 0)]);
    feed(&mut part, 0, 1, &regular);
    feed(&mut part, 1, 0, &regular);
    part.close();
    assert_eq!(part.tally().input.records, 4);
    assert_eq!(part.tally().input, whole.tally().input);
    let mut other = bars(Rules::Every, &[(0, 1), (1, 0)]);
    feed(&mut other, 0, 1, &[regular[1], regular[0]]);
    feed(&mut other, 1, 0, &regular);
    other.close();
    assert_ne!(other.tally().input.crc, whole.tally().input.crc);
}

#[test]
fn a_new_beginning_forgets_what_was_not_committed() {
    let mut bars = bars(Rules::Every, &[(0, 0)]);
    let day = [trade("A", [9, 30, 0], 100, 10), trade("A", [9, 30, 1], 100, 10)];
    feed(&mut bars, 0, 0, &day);
    bars.begin(&BTreeMap::from([(0, 0)]));
    feed(&mut bars, 0, 0, &day);
    assert_eq!(bars.close().pop().unwrap().sums.trades, 2);
    assert_eq!(bars.tally().input.records, 2);
}

#[test]
fn what_is_no_trade_is_passed_over() {
    let mut bars = bars(Rules::Every, &[(0, 0)]);
    let noise =
        FetchedRecord { value: Some(Bytes::from_static(b"hello")), ..record(0, 0, &trade("A", [9, 0, 0], 1, 1)) };
    assert_eq!(bars.add(&noise), []);
    assert_eq!(bars.add(&FetchedRecord { value: None, offset: 1, ..noise.clone() }), []);
    assert_eq!(bars.add(&FetchedRecord { partition: 5, ..noise }), []);
    assert!(bars.reached(&BTreeMap::from([(0, 2)])));
}

#[test]
fn amounts_read_back_as_shown() {
    for amount in [0, 1, 9_999, 10_000, 123_456_789, u128::from(u64::MAX) * 10] {
        assert_eq!(Dollars(amount).to_string().parse(), Ok(Dollars(amount)));
    }
    for text in ["", "1", "1.5", "-1.0000", "1.00000", ".0000", "+1.0000", "1.+000", "x.0000"] {
        assert_eq!(text.parse::<Dollars>(), Err(NotDollars), "{text:?}");
    }
}

#[test]
fn a_bar_knows_when_its_minute_begins() {
    let start = |minute: &str| {
        let bar = Bar { symbol: "A".to_owned(), minute: minute.to_owned(), sums: Sums::default(), vwap: None };
        bar.start().map(TimeOfDay::milliseconds)
    };
    assert_eq!(["00:00", "09:30", "23:59"].map(start), [Some(0), Some(34_200_000), Some(86_340_000)]);
    assert_eq!(["", "9", "24:00", "99999999:00", "a:b"].map(start), [None; 5]);
}
