//! What the versions wrote, read back from where they wrote it, and held against each other.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde::Serialize;

use super::super::super::failure::Failure;
use super::bars::{Bar, Dollars, Sums};
use super::day::Session;
use super::program::BARS;
use crate::client::{Client, ConnectionOptions, Consumer, ConsumerOptions, OffsetAt, Polled, StartAt};
use crate::config::Address;

/// The sums of the regular session, by symbol.
pub(super) type Totals = BTreeMap<String, Sums>;

/// Reads the bars behind an address: the latest of each key, added up over the regular session.
pub(super) async fn totals(address: Address) -> Result<Totals, Failure> {
    let client = Client::connect(vec![address], ConnectionOptions::default()).await?;
    let partitions: Vec<i32> = client.topic_with_leaders(BARS).await?.partitions().collect();
    let ends = client.offsets(BARS, &partitions, OffsetAt::Latest).await?;
    let mut consumer =
        Consumer::assign(client, BARS, &partitions, StartAt::Earliest, ConsumerOptions::default()).await?;
    let mut latest = HashMap::new();
    while !consumer.reached(&ends) {
        let Polled::Records(records) = consumer.next().await? else { continue };
        for record in records {
            let bar: Bar = serde_json::from_slice(record.value.as_deref().unwrap_or_default())
                .map_err(|error| Failure::new(format!("{BARS} holds something that is no bar: {error}")))?;
            latest.insert(record.key, bar);
        }
    }
    Ok(add_up(latest.into_values()))
}

fn add_up(bars: impl Iterator<Item = Bar>) -> Totals {
    let mut totals = Totals::new();
    for bar in bars.filter(|bar| bar.start().map(Session::of) == Some(Session::Regular)) {
        totals.entry(bar.symbol).or_default().merge(&bar.sums);
    }
    totals
}

/// A symbol, or all of them, in both versions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Compared {
    pub(super) symbol: String,
    pub(super) v1: Figures,
    pub(super) v2: Figures,
}

/// What a version says.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(super) struct Figures {
    #[serde(flatten)]
    pub(super) sums: Sums,
    pub(super) vwap: Option<Dollars>,
}

impl From<Sums> for Figures {
    fn from(sums: Sums) -> Self {
        Self { vwap: sums.vwap(), sums }
    }
}

/// Every symbol of either version, those first that version 1 says most was paid for.
pub(super) fn compared(v1: &Totals, v2: &Totals) -> Vec<Compared> {
    let all: BTreeSet<&String> = v1.keys().chain(v2.keys()).collect();
    let figures = |totals: &Totals, symbol: &String| totals.get(symbol).copied().unwrap_or_default().into();
    let mut rows: Vec<Compared> = all
        .into_iter()
        .map(|symbol| Compared { symbol: symbol.clone(), v1: figures(v1, symbol), v2: figures(v2, symbol) })
        .collect();
    rows.sort_by(|a, b| b.v1.sums.value.cmp(&a.v1.sums.value).then_with(|| a.symbol.cmp(&b.symbol)));
    rows
}

/// The sums over all symbols.
pub(super) fn whole(rows: &[Compared]) -> Compared {
    let mut sums = (Sums::default(), Sums::default());
    for row in rows {
        sums.0.merge(&row.v1.sums);
        sums.1.merge(&row.v2.sums);
    }
    Compared { symbol: "all".to_owned(), v1: sums.0.into(), v2: sums.1.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bar(symbol: &str, minute: &str, trades: u64, value: u128) -> Bar {
        let sums = Sums { trades, volume: trades * 100, value: Dollars(value), left_out: 1 };
        Bar { symbol: symbol.to_owned(), minute: minute.to_owned(), sums, vwap: sums.vwap() }
    }

    #[test]
    fn only_the_regular_session_counts() {
        let bars = ["09:29", "09:30", "15:59", "16:00", "?"].map(|minute| bar("A", minute, 1, 10_000));
        let totals = add_up(bars.into_iter());
        assert_eq!(totals["A"], Sums { trades: 2, volume: 200, value: Dollars(20_000), left_out: 2 });
    }

    #[test]
    fn symbols_of_either_version_are_compared_the_dearest_first() {
        let v1 = add_up([bar("A", "10:00", 1, 500), bar("B", "10:00", 2, 900)].into_iter());
        let v2 = add_up([bar("A", "10:00", 1, 400), bar("C", "10:00", 1, 1)].into_iter());
        let rows = compared(&v1, &v2);
        let symbols: Vec<&str> = rows.iter().map(|row| row.symbol.as_str()).collect();
        assert_eq!(symbols, ["B", "A", "C"]);
        assert_eq!(rows[0].v2, Figures::default());
        assert_eq!(rows[1].v1.vwap, Some(Dollars(5)));
        let all = whole(&rows);
        assert_eq!((all.v1.sums.trades, all.v1.sums.value, all.v2.sums.value), (3, Dollars(1_400), Dollars(401)));
    }
}
