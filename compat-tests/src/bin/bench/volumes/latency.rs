//! Producers at a fixed offered load, while a snapshot is taken every so often: the latency of what was due within 100 ms of one, beside that of the rest.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use super::bed::{Bed, VOLUME};
use super::curve::{self, Curve};
use super::load::{produce, small_batch};
use super::offered::{Answered, Offered};
use crate::arguments::Arguments;
use crate::report::number;
use crate::table::Table;

const PARTITIONS: u32 = 100;
const RECORD_BYTES: usize = 1024;
/// The first seconds are warmth.
const WARMING: Duration = Duration::from_secs(2);
/// How near is near.
const NEAR: Duration = Duration::from_millis(100);
/// Between two snapshots: longer than all that is near, so that most of the time is not.
const EVERY: Duration = Duration::from_millis(700);

pub(crate) fn run(arguments: &Arguments, base: &Path) -> Table {
    let bed = Bed::new(arguments, base);
    let topics = bed.create_partitions(PARTITIONS);
    produce(bed.kafka(), &topics, 1, &small_batch(RECORD_BYTES));
    let offered = Offered {
        address: bed.kafka(),
        topic: &topics[0].0,
        partitions: PARTITIONS,
        per_second: arguments.offered_per_second,
        batch: small_batch(RECORD_BYTES),
    };
    let begin = Instant::now();
    let (snapshots, answered) = offered.during(|| freeze(&bed, arguments.offered_for()));
    let is_near = |it: &&Answered| snapshots.iter().any(|(from, to)| *from <= it.due + NEAR && it.due <= *to + NEAR);
    let (near, rest): (Vec<&Answered>, Vec<&Answered>) =
        answered.iter().filter(|it| it.due > begin + WARMING).partition(is_near);
    let near = Curve::new(format!("within {} ms of a snapshot", NEAR.as_millis()), seconds(&near));
    let rest = Curve::new("elsewhere".to_owned(), seconds(&rest));
    if let Some(path) = &arguments.svg {
        let title = format!("Produce, acks=all, {} requests of 1 KiB a second", arguments.offered_per_second);
        fs::write(path, curve::svg(&title, &[&rest, &near])).expect("the file for --svg can be written");
    }
    table(&[&near, &rest], snapshots.len())
}

/// Takes snapshots for so long: when each began and ended.
fn freeze(bed: &Bed, how_long: Duration) -> Vec<(Instant, Instant)> {
    thread::sleep(WARMING);
    let ends = Instant::now() + how_long;
    let mut snapshots = Vec::new();
    while Instant::now() < ends {
        let begin = Instant::now();
        bed.snapshot(VOLUME, &format!("s{}", snapshots.len()));
        let end = Instant::now();
        if end - begin > NEAR {
            eprintln!("snapshot {} took {} ms", snapshots.len(), (end - begin).as_millis());
        }
        snapshots.push((begin, end));
        thread::sleep(EVERY);
    }
    snapshots
}

fn seconds(answered: &[&Answered]) -> Vec<f64> {
    answered.iter().map(|it| it.seconds()).collect()
}

fn table(curves: &[&Curve; 2], snapshots: usize) -> Table {
    let mut table =
        Table::new("volumes: latency at a fixed offered load", &["due", "requests", "p50, ms", "p99, ms", "p99.9, ms"]);
    let at = |curve: &Curve, quantile| curve.at(quantile) * 1e3;
    for curve in curves {
        let row = [0.5, 0.99, 0.999].map(|quantile| number(at(curve, quantile)));
        let mut cells = vec![curve.name.clone(), curve.len().to_string()];
        cells.extend(row);
        table.add(cells);
    }
    let [near, rest] = curves;
    let mut cells = vec![format!("ratio ({snapshots} snapshots)"), String::new()];
    cells.extend([0.5, 0.99, 0.999].map(|quantile| number(near.at(quantile) / rest.at(quantile))));
    table.add(cells);
    table
}
