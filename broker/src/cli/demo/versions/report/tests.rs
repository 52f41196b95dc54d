//! What is told at the end.

use super::super::bars::{Digest, Sums};
use super::*;

fn version(records: u64, crc: u32, began: i64, ended: i64) -> Version {
    Version {
        began: BTreeMap::from([(0, began)]),
        ended: BTreeMap::from([(0, ended)]),
        joins: 1,
        read: 1_300,
        bars: 7,
        tally: Tally { input: Digest { records, crc }, odd_lots: 333, cancelled: 2 },
    }
}

fn compared(symbol: &str, v1: u64, v2: u64) -> Compared {
    let figures = |volume: u64| {
        let sums =
            Sums { trades: 9, volume, value: Dollars(u128::from(volume) * 243_000 + 10_000_000_000), left_out: 0 };
        sums.into()
    };
    Compared { symbol: symbol.to_owned(), v1: figures(v1), v2: figures(v2) }
}

fn report() -> Report {
    Report {
        volume: "trading".to_owned(),
        snapshot: "trading@close".to_owned(),
        clone: "trading-v2".to_owned(),
        as_of: "2026-11-23T16:00:00-05:00".to_owned(),
        seed: 1,
        records: 1_300,
        lsn: 77,
        snapshot_microseconds: 5_000,
        clone_microseconds: 6_000,
        shared_bytes: 123_456_789,
        acknowledged: Acknowledgements { batches: 100, slowest_microseconds: 9_100 },
        acknowledged_while_frozen: Acknowledgements { batches: 3, slowest_microseconds: 4_200 },
        versions: vec![version(1_000, 0xab, 0, 1_300), version(1_000, 0xab, 50, 1_050)],
        addresses: ["127.0.0.1:9192", "127.0.0.1:9193"].map(|address| address.parse().unwrap()),
        whole: compared("all", 225_123_456, 213_123_456),
        symbols: (0..10).map(|_| compared("ABCD PRA", 12_345_600, 11_845_600)).collect(),
    }
}

fn telling() -> Telling {
    Telling {
        volume: "trading".to_owned(),
        clone: "trading-v2".to_owned(),
        close: "2026-11-23T16:00:00-05:00".to_owned(),
        noon: "2026-11-23T12:00:00-05:00".to_owned(),
        server: String::new(),
        silent: false,
    }
}

#[test]
fn the_end_fits_a_terminal_of_eighty_columns() {
    let text = report().text(&telling());
    for line in text.lines().filter(|line| !line.contains(&program())) {
        assert!(line.chars().count() <= 80, "{line}");
    }
}

#[test]
fn the_table_says_by_how_much_the_versions_differ() {
    let text = report().text(&telling());
    let rows: Vec<Vec<&str>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
    assert!(rows.contains(&vec!["checksum", "000000ab", "000000ab", "of", "all", "their", "bytes"]), "{text}");
    assert!(rows.contains(&vec!["all", "225,123,456", "213,123,456", "-5.3", "%"]), "{text}");
    let row = vec!["ABCD", "PRA", "12,345,600", "11,845,600", "-4.1", "%", "24.3810", "24.3844", "+0.0034"];
    assert!(rows.contains(&row), "{text}");
    assert!(text.contains("(2 more symbols are in the last line, too)"), "{text}");
    assert!(text.contains("acknowledged within 4.2 ms;\nover the whole day, within 9.1 ms."), "{text}");
}

#[test]
fn versions_that_did_not_read_the_same_are_told_of() {
    report().check().unwrap();
    let wrong = [version(1_000, 0xac, 50, 1_050), version(999, 0xab, 50, 1_050), version(1_000, 0xab, 49, 1_050)];
    for v2 in wrong {
        let mut report = report();
        report.versions[1] = v2;
        let words = report.check().unwrap_err().to_string();
        assert!(words.contains("did not read the same"), "{words}");
    }
}

#[test]
fn changes_have_a_sign_and_are_rounded() {
    assert_eq!(percent(1_000, 949), "-5.1 %");
    assert_eq!(percent(3, 4), "+33.3 %");
    assert_eq!(percent(8, 8), "+0.0 %");
    assert_eq!(percent(0, 4), "");
    assert_eq!(change(Dollars(20_000), Dollars(19_988)), "-0.0012");
    assert_eq!(change(Dollars(1), Dollars(10_001)), "+1.0000");
}
