//! A replay into brokers of the test's own: what arrives is the generator's day, whole and in order.

use std::collections::HashMap;

use clap::Parser;

use super::super::taq::{Quote, Symbol, Trade};
use super::*;
use crate::client::tests::fake::{FakeCluster, Fault};
use kafka_protocol::error::ResponseError;

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    args: TaqArgs,
}

fn args(cluster: &FakeCluster, flags: &[&str]) -> TaqArgs {
    let brokers = cluster.address(0).to_string();
    let line = ["taq", "--brokers", &brokers].into_iter().chain(flags.iter().copied());
    Line::try_parse_from(line).unwrap_or_else(|error| panic!("{error}")).args
}

/// Replays, and returns what the meter saw.
async fn replay(args: &TaqArgs, stop: &CancellationToken) -> Result<Meter, Failure> {
    let mut replay = Replay::prepare(args, args.brokers.connect().await?).await?;
    let mut deliveries = replay.deliveries.take().unwrap();
    replay.write(args, Instant::now(), stop).await?;
    drop(replay);
    let mut meter = Meter::default();
    while let Some(delivery) = deliveries.recv().await {
        meter.add(&delivery);
    }
    Ok(meter)
}

fn partitions(cluster: &FakeCluster, topic: &str) -> Vec<Vec<String>> {
    let count = cluster.world().topics[topic].len();
    (0..count).map(|partition| cluster.values(topic, partition)).collect()
}

#[tokio::test]
async fn the_whole_day_arrives_once_and_in_order_for_each_symbol() {
    let cluster = FakeCluster::start(2).await;
    let args = args(&cluster, &["--records", "5_000", "--quotes", "--partitions", "4", "--seed", "7"]);
    let meter = replay(&args, &CancellationToken::new()).await.unwrap();
    assert_eq!(meter.records, 5_000);
    let mut sequences = Vec::new();
    for (topic, parse) in [("trades", trade as fn(&str) -> (Symbol, u64)), ("quotes", quote)] {
        let mut all: Vec<u64> = Vec::new();
        assert_eq!(partitions(&cluster, topic).len(), 4);
        for partition in partitions(&cluster, topic) {
            let mut last: HashMap<Symbol, u64> = HashMap::new();
            for (symbol, sequence) in partition.iter().map(|value| parse(value)) {
                assert!(last.insert(symbol, sequence) < Some(sequence), "{symbol} goes back");
                all.push(sequence);
            }
        }
        all.sort_unstable();
        assert_eq!(all, (1..=all.len() as u64).collect::<Vec<_>>());
        sequences.push(all.len());
    }
    assert_eq!(sequences.iter().sum::<usize>(), 5_000);
}

fn trade(value: &str) -> (Symbol, u64) {
    let trade = Trade::parse(value.as_bytes()).unwrap();
    assert!(trade.parties.is_some());
    (trade.symbol, trade.sequence)
}

fn quote(value: &str) -> (Symbol, u64) {
    let quote = Quote::parse(value.as_bytes()).unwrap();
    (quote.symbol, quote.sequence)
}

#[tokio::test]
async fn the_same_seed_writes_the_same_records_to_the_same_partitions() {
    let cluster = FakeCluster::start(1).await;
    for topic in ["a", "b"] {
        let args = args(&cluster, &["--records", "2000", "--topic", topic, "--partitions", "3"]);
        replay(&args, &CancellationToken::new()).await.unwrap();
    }
    assert_eq!(partitions(&cluster, "a"), partitions(&cluster, "b"));
}

#[tokio::test]
async fn pure_trades_have_71_bytes() {
    let cluster = FakeCluster::start(1).await;
    replay(&args(&cluster, &["--records", "100", "--no-parties"]), &CancellationToken::new()).await.unwrap();
    assert!(partitions(&cluster, "trades").concat().iter().all(|value| value.len() == 71));
}

#[tokio::test]
async fn a_stop_delivers_what_was_sent_and_no_more() {
    let cluster = FakeCluster::start(1).await;
    let stop = CancellationToken::new();
    let args = args(&cluster, &["--rate", "1000", "--partitions", "1"]);
    let (replayed, ()) = tokio::join!(replay(&args, &stop), async {
        cluster.arrived(kafka_protocol::messages::ApiKey::Produce, 3).await;
        stop.cancel();
    });
    let written = partitions(&cluster, "trades").concat();
    assert_eq!(replayed.unwrap().records, written.len() as u64);
    assert!(!written.is_empty() && written.len() < 10_000);
    let sequences: Vec<u64> = written.iter().map(|value| trade(value).1).collect();
    assert_eq!(sequences, (1..=written.len() as u64).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_refusal_ends_the_replay_with_the_brokers_error() {
    let cluster = FakeCluster::start(1).await;
    let refusal = Fault::Code(ResponseError::TopicAuthorizationFailed);
    cluster.fail(kafka_protocol::messages::ApiKey::Produce, [None, Some(refusal)]);
    let failure = replay(&args(&cluster, &[]), &CancellationToken::new()).await.unwrap_err();
    assert!(failure.to_string().contains("TOPIC_AUTHORIZATION_FAILED (29)"), "{failure}");
}

#[tokio::test]
async fn no_broker_is_told_with_what_to_do() {
    let line = Line::parse_from(["taq", "--brokers", "127.0.0.1:1"]);
    let failure = line.args.brokers.connect().await.unwrap_err().to_string();
    assert!(failure.starts_with("no broker at 127.0.0.1:1: Connection refused"), "{failure}");
    assert!(failure.contains("Start one with `millpond`"), "{failure}");
}

#[test]
fn market_timestamps_are_the_trading_days_and_others_the_clocks() {
    let args = Line::parse_from(["taq", "--date", "2026-07-01"]).args;
    let event = args.generator().next().unwrap();
    let timestamp = args.clock().timestamp(&event, Instant::now());
    assert_eq!(timestamp - i64::from(event.time().milliseconds()), 1_782_878_400_000, "2026-07-01T04:00:00Z");
    let args = Line::parse_from(["taq", "--timestamps", "now"]).args;
    let clock = args.clock();
    let (before, timestamp) = (now_ms(), clock.timestamp(&event, Instant::now()));
    assert!((before - 1_000..=now_ms()).contains(&timestamp));
}

#[test]
fn flags_that_make_no_sense_are_refused() {
    for flags in [["--rate", "0"], ["--partitions", "0"], ["--records", "many"], ["--date", "today"], ["--acks", "2"]] {
        assert!(Line::try_parse_from(["taq"].into_iter().chain(flags)).is_err(), "{flags:?}");
    }
    let args = Line::parse_from(["taq", "--quotes", "--rate", "10"]).args;
    assert_eq!((args.quotes.as_deref(), args.rate), (Some("quotes"), Some(10)));
    assert_eq!(Line::parse_from(["taq", "--quotes", "q"]).args.quotes.as_deref(), Some("q"));
}
