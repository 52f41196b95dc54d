//! How a record looks on a line of its own.
//!
//! What comes from a topic is not to be trusted by a terminal: control characters and bytes that are not UTF-8 are shown
//! as escapes.

use std::fmt::Write as _;

use clap::ValueEnum;
use serde::Serialize;

use super::super::calendar::show_time;
use super::super::demo::taq::{Parties, Quote, Side, Trade};
use crate::client::FetchedRecord;

/// The choices of `--format`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// TAQ records in columns, others as text
    Auto,
    /// TAQ records in columns, and why where a record is none
    Taq,
    /// Key and value as text
    Text,
    /// One JSON object a line
    Json,
}

/// Writes lines, and the heading of their columns whenever that changes.
#[derive(Debug)]
pub(super) struct Formatter {
    format: Format,
    topic: String,
    headings: bool,
    heading: &'static str,
}

const START: &str = "PART     OFFSET  TIMESTAMP                 ";
const TRADE: &str = "TIME          SYMBOL     EX  COND     VOLUME       PRICE    SEQUENCE  SENDER  RECEIVERS";
const QUOTE: &str =
    "TIME          SYMBOL     EX  SIDE     BID SIZE         BID         ASK    ASK SIZE    SEQUENCE  SENDER  RECEIVERS";
const TEXT: &str = "KEY  VALUE";

impl Formatter {
    /// `headings`: whether lines have headings, which JSON never has.
    pub(super) fn new(format: Format, topic: &str, headings: bool) -> Self {
        Self { format, topic: topic.to_owned(), headings: headings && format != Format::Json, heading: "" }
    }

    /// Appends a record's line to `out`.
    pub(super) fn line(&mut self, record: &FetchedRecord, out: &mut String) {
        let value = record.value.as_deref().unwrap_or_default();
        let (heading, columns) = match self.format {
            Format::Json => {
                out.push_str(&json(&self.topic, record));
                out.push('\n');
                return;
            }
            Format::Text => (TEXT, text(record)),
            Format::Auto | Format::Taq => match (Trade::parse(value), Quote::parse(value)) {
                (Ok(trade), _) => (TRADE, trade_columns(&trade)),
                (_, Ok(quote)) => (QUOTE, quote_columns(&quote)),
                (Err(error), _) if self.format == Format::Taq => (TEXT, format!("(no TAQ record: {error})")),
                _ => (TEXT, text(record)),
            },
        };
        if self.headings && self.heading != heading {
            self.heading = heading;
            let _ = writeln!(out, "{START}{heading}");
        }
        let timestamp = if record.timestamp == -1 { "-".to_owned() } else { show_time(record.timestamp) };
        let line = format!("{:>4} {:>10}  {timestamp:<24}  {columns}", record.partition, record.offset);
        out.push_str(line.trim_end());
        out.push('\n');
    }
}

fn trade_columns(trade: &Trade) -> String {
    format!(
        "{}  {:<9}  {}   {}  {:>9}  {:>10}  {:>10}  {}",
        trade.time,
        trade.symbol,
        char::from(trade.exchange),
        escaped(&trade.conditions),
        trade.volume,
        trade.price,
        trade.sequence,
        parties(trade.parties.as_ref())
    )
}

fn quote_columns(quote: &Quote) -> String {
    let side = match quote.side {
        Side::Bid => "bid",
        Side::Ask => "ask",
    };
    format!(
        "{}  {:<9}  {}   {side}   {:>10}  {:>10}  {:>10}  {:>10}  {:>10}  {}",
        quote.time,
        quote.symbol,
        char::from(quote.exchange),
        quote.bid_size,
        quote.bid_price,
        quote.ask_price,
        quote.ask_size,
        quote.sequence,
        parties(quote.parties.as_ref())
    )
}

fn parties(parties: Option<&Parties>) -> String {
    let Some(parties) = parties else { return String::new() };
    let receivers: Vec<String> = parties.receivers().iter().map(ToString::to_string).collect();
    format!("{}    {}", parties.sender(), receivers.join(" "))
}

/// Key, value, and headers where there are any; what is null is a dash.
fn text(record: &FetchedRecord) -> String {
    let part = |part: Option<&[u8]>| part.map_or_else(|| "-".to_owned(), escaped);
    let mut text = format!("{}  {}", part(record.key.as_deref()), part(record.value.as_deref()));
    for (key, value) in &record.headers {
        let _ = write!(text, "  [{}={}]", escaped(key), part(value.as_deref()));
    }
    text
}

/// Text as it is; control characters, backslashes and bytes that are not UTF-8 as escapes.
fn escaped(bytes: &[u8]) -> String {
    let mut shown = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            if character.is_control() || character == '\\' {
                shown.extend(character.escape_default());
            } else {
                shown.push(character);
            }
        }
        for byte in chunk.invalid() {
            let _ = write!(shown, "\\x{byte:02x}");
        }
    }
    shown
}

/// Bytes in JSON: a string where they are UTF-8, else an object that holds them in hexadecimal.
#[derive(Serialize)]
#[serde(untagged)]
enum JsonBytes<'a> {
    Text(&'a str),
    Hex { hex: String },
}

#[derive(Serialize)]
struct JsonRecord<'a> {
    topic: &'a str,
    partition: i32,
    offset: i64,
    timestamp: Option<i64>,
    key: Option<JsonBytes<'a>>,
    value: Option<JsonBytes<'a>>,
    headers: Vec<JsonHeader<'a>>,
}

#[derive(Serialize)]
struct JsonHeader<'a> {
    key: JsonBytes<'a>,
    value: Option<JsonBytes<'a>>,
}

fn json(topic: &str, record: &FetchedRecord) -> String {
    let headers = record.headers.iter();
    let record = JsonRecord {
        topic,
        partition: record.partition,
        offset: record.offset,
        timestamp: (record.timestamp != -1).then_some(record.timestamp),
        key: record.key.as_deref().map(json_bytes),
        value: record.value.as_deref().map(json_bytes),
        headers: headers
            .map(|(key, value)| JsonHeader { key: json_bytes(key), value: value.as_deref().map(json_bytes) })
            .collect(),
    };
    serde_json::to_string(&record).expect("strings and numbers are always JSON")
}

fn json_bytes(bytes: &[u8]) -> JsonBytes<'_> {
    match std::str::from_utf8(bytes) {
        Ok(text) => JsonBytes::Text(text),
        Err(_) => JsonBytes::Hex { hex: hexadecimal(bytes) },
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    const TRADE_RECORD: &str = "093433949JXYC             @  I00000005600000243400N000000000000000001N 240625802835";
    const QUOTE_RECORD: &str =
        "093706668BZFE   PRA       000006570000000100000006571000000100R0000000000000003NB16961726";

    fn record(value: &'static str) -> FetchedRecord {
        FetchedRecord {
            partition: 3,
            offset: 12_345,
            timestamp: 1_795_447_800_000,
            key: Some(Bytes::from_static(b"JXY")),
            value: Some(Bytes::from_static(value.as_bytes())),
            headers: Vec::new(),
        }
    }

    fn lines(format: Format, headings: bool, records: &[FetchedRecord]) -> String {
        let (mut formatter, mut out) = (Formatter::new(format, "t", headings), String::new());
        for record in records {
            formatter.line(record, &mut out);
        }
        out
    }

    #[test]
    fn taq_records_stand_in_columns_below_their_headings() {
        let shown = lines(Format::Auto, true, &[record(TRADE_RECORD), record(TRADE_RECORD), record(QUOTE_RECORD)]);
        let trade = "   3      12345  2026-11-23T15:30:00.000Z  09:34:33.949  XYC        J   @  I         56       24.34           1  2406    2580 2835";
        let quote = "   3      12345  2026-11-23T15:30:00.000Z  09:37:06.668  ZFE PRA    B   bid          100       65.70       65.71         100           3  1696    1726";
        let expected = [&format!("{START}{TRADE}"), trade, trade, &format!("{START}{QUOTE}"), quote, ""];
        assert_eq!(shown, expected.join("\n"));
    }

    #[test]
    fn other_records_are_text_with_escapes() {
        let mut odd = record("a\x1b[31m\tb\\");
        odd.key = Some(Bytes::from_static(b"\xffk"));
        odd.headers =
            vec![(Bytes::from_static(b"h"), None), (Bytes::from_static(b"h"), Some(Bytes::from_static(b"v")))];
        let start = "   3      12345  2026-11-23T15:30:00.000Z  ";
        let expected = format!("{start}\\xffk  a\\u{{1b}}[31m\\tb\\\\  [h=-]  [h=v]\n");
        assert_eq!(lines(Format::Auto, false, std::slice::from_ref(&odd)), expected);
        assert_eq!(lines(Format::Text, false, &[odd]), expected);
    }

    #[test]
    fn nothing_is_a_dash() {
        let empty = FetchedRecord { timestamp: -1, key: None, value: None, ..record("") };
        let shown = lines(Format::Text, true, &[empty]);
        assert_eq!(shown, format!("{START}{TEXT}\n   3      12345  -                         -  -\n"));
    }

    #[test]
    fn the_format_taq_says_why_a_record_is_none() {
        let shown = lines(Format::Taq, false, &[record("093433949")]);
        assert!(shown.ends_with("(no TAQ record: exchange at byte 9 is missing or malformed)\n"), "{shown}");
    }

    #[test]
    fn json_keeps_every_byte() {
        let mut odd = record("\"é");
        odd.key = Some(Bytes::from_static(b"\xff\x00"));
        odd.headers = vec![(Bytes::from_static(b"h"), None)];
        let expected = r#"{"topic":"t","partition":3,"offset":12345,"timestamp":1795447800000,"key":{"hex":"ff00"},"value":"\"é","headers":[{"key":"h","value":null}]}"#;
        assert_eq!(lines(Format::Json, true, &[odd]), format!("{expected}\n"));
    }
}
