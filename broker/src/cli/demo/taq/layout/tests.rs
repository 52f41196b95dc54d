//! Each field in its place, and refusals of what is not quite a record.

use super::*;

/// A record of the extended form as the blueprint published it.
const PUBLISHED: &[u8] =
    b"080449201DDXJS              T 00000054300000103300N000000000000000000CT12392879295025362327223925422808";

fn symbol() -> Symbol {
    Symbol::new("ABC", "PRA").unwrap()
}

fn parties() -> Parties {
    let ids: Vec<TraderId> = [7, 1_000, 9_999].into_iter().filter_map(TraderId::new).collect();
    Parties::new(ids[0], &ids[1..]).unwrap()
}

fn trade() -> Trade {
    Trade {
        time: TimeOfDay::from_milliseconds(57_599_999).unwrap(),
        exchange: b'N',
        symbol: symbol(),
        conditions: *b"@F I",
        volume: 123_456_789,
        price: Price::from_ten_thousandths(99_999_999_999).unwrap(),
        stop_stock: b'Y',
        correction: 12,
        sequence: 9_999_999_999_999_999,
        source: b'C',
        reporting_facility: b' ',
        parties: None,
    }
}

fn quote() -> Quote {
    Quote {
        time: TimeOfDay::from_milliseconds(34_200_000).unwrap(),
        exchange: b'Q',
        symbol: symbol(),
        bid_price: Price::from_ten_thousandths(1_234_500).unwrap(),
        bid_size: 200,
        ask_price: Price::from_ten_thousandths(1_234_600).unwrap(),
        ask_size: 9_999_999,
        condition: b'R',
        sequence: 77,
        source: b'N',
        side: Side::Ask,
        parties: Some(parties()),
    }
}

fn encoded(encode: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode(&mut bytes);
    bytes
}

#[test]
fn the_published_record_reads_and_writes_back() {
    let trade = Trade::parse(PUBLISHED).unwrap();
    assert_eq!(trade.time.to_string(), "08:04:49.201");
    assert_eq!((trade.exchange, trade.symbol.to_string().as_str()), (b'D', "DXJS"));
    assert_eq!((&trade.conditions, trade.volume), (b"  T ", 543));
    assert_eq!(trade.price.to_string(), "10.33");
    assert_eq!((trade.stop_stock, trade.correction, trade.sequence), (b'N', 0, 0));
    assert_eq!((trade.source, trade.reporting_facility), (b'C', b'T'));
    let parties = trade.parties.unwrap();
    assert_eq!(parties.sender().to_string(), "1239");
    let receivers: Vec<String> = parties.receivers().iter().map(ToString::to_string).collect();
    assert_eq!(receivers, ["2879", "2950", "2536", "2327", "2239", "2542", "2808"]);
    assert_eq!(encoded(|out| trade.encode(out)), PUBLISHED);
}

#[test]
fn every_field_of_a_trade_has_its_place() {
    let bytes = encoded(|out| Trade { parties: Some(parties()), ..trade() }.encode(out));
    assert_eq!(bytes.len(), TRADE_BYTES + 12);
    let fields = [
        (0, "155959999"),
        (9, "N"),
        (10, "ABC   "),
        (16, "PRA       "),
        (26, "@F I"),
        (30, "123456789"),
        (39, "99999999999"),
        (50, "Y"),
        (51, "12"),
        (53, "9999999999999999"),
        (69, "C"),
        (70, " "),
        (71, "0007"),
        (75, "10009999"),
    ];
    for (from, text) in fields {
        assert_eq!(&bytes[from..from + text.len()], text.as_bytes(), "at {from}");
    }
}

#[test]
fn every_field_of_a_quote_has_its_place() {
    let bytes = encoded(|out| quote().encode(out));
    assert_eq!(bytes.len(), QUOTE_BYTES + 12);
    let fields = [
        (0, "093000000"),
        (9, "Q"),
        (10, "ABC   PRA       "),
        (26, "00001234500"),
        (37, "0000200"),
        (44, "00001234600"),
        (55, "9999999"),
        (62, "R"),
        (63, "0000000000000077"),
        (79, "N"),
        (80, "A"),
        (81, "0007"),
        (85, "10009999"),
    ];
    for (from, text) in fields {
        assert_eq!(&bytes[from..from + text.len()], text.as_bytes(), "at {from}");
    }
    assert_eq!(Quote::parse(&bytes), Ok(quote()));
}

#[test]
fn a_pure_trade_has_71_bytes_and_no_parties() {
    let bytes = encoded(|out| trade().encode(out));
    assert_eq!(bytes.len(), TRADE_BYTES);
    assert_eq!(Trade::parse(&bytes), Ok(trade()));
}

#[test]
fn what_is_cut_short_or_runs_over_is_refused() {
    let bytes = encoded(|out| Trade { parties: Some(parties()), ..trade() }.encode(out));
    for length in 0..bytes.len() {
        let whole = length == TRADE_BYTES || (length > TRADE_BYTES + 4 && (length - TRADE_BYTES).is_multiple_of(4));
        assert_eq!(Trade::parse(&bytes[..length]).is_ok(), whole, "{length} bytes");
    }
    let eleven_receivers = [&bytes[..TRADE_BYTES + 4], &b"1234".repeat(11)].concat();
    assert_eq!(Trade::parse(&eleven_receivers).unwrap_err().field, "receivers");
}

#[test]
fn a_wrong_byte_is_refused_by_its_field() {
    let bytes = encoded(|out| Trade { parties: Some(parties()), ..trade() }.encode(out));
    let wrong = [
        (0, b'3', "time"),
        (4, b'6', "time"),
        (9, b'n', "exchange"),
        (10, b' ', "symbol"),
        (20, b'\t', "symbol"),
        (27, 0x1b, "sale condition"),
        (30, b' ', "volume"),
        (45, b'.', "price"),
        (52, b'x', "correction indicator"),
        (53, b'-', "sequence number"),
        (69, b' ', "source"),
        (70, 0xff, "trade reporting facility"),
        (71, b'?', "sender"),
        (80, b'?', "receivers"),
    ];
    for (at, byte, field) in wrong {
        let mut bytes = bytes.clone();
        bytes[at] = byte;
        assert_eq!(Trade::parse(&bytes).map_err(|error| error.field), Err(field), "byte {at}");
    }
}

#[test]
fn prices_show_cents_or_what_is_finer() {
    let shown = |value| Price::from_ten_thousandths(value).unwrap().to_string();
    assert_eq!([shown(0), shown(103_300), shown(4_501), shown(10_000)], ["0.00", "10.33", "0.4501", "1.00"]);
    assert_eq!(Price::from_ten_thousandths(100_000_000_000), None);
}

#[test]
fn symbols_are_six_and_ten_printable_characters() {
    assert_eq!(symbol().to_string(), "ABC PRA");
    assert_eq!(Symbol::new("", "A"), None);
    assert_eq!(Symbol::new("SEVENCH", ""), None);
    assert_eq!(Symbol::new("A B", ""), None);
    assert_eq!(Symbol::new("A", "ELEVENCHARS"), None);
}
