//! What was measured, as tables in Markdown and as JSON.
//!
//! A cell is the median and, in brackets, the least and the greatest. A ratio is the median of the ratios turn by turn:
//! legs that were neighbours in time are compared.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::arguments::{Arguments, Broker, Variant};
use crate::lane::Lane;
use crate::measure::{Sample, median};
use crate::table::Table;

const MIB: f64 = 1024.0 * 1024.0;
const GIB: f64 = 1024.0 * MIB;
const MICROS: f64 = 1e6;

/// All of it.
pub(crate) struct Report {
    machine: Vec<String>,
    series: Vec<Series>,
    /// What is not a leg.
    pub(crate) figures: Vec<Figure>,
    pub(crate) tables: Vec<Table>,
}

/// The legs of one variant in one case.
struct Series {
    part: &'static str,
    case: String,
    variant: Variant,
    samples: Vec<Sample>,
}

/// A number that was measured some times.
pub(crate) struct Figure {
    pub(crate) what: String,
    pub(crate) unit: &'static str,
    pub(crate) variant: Variant,
    pub(crate) values: Vec<f64>,
}

impl Figure {
    pub(crate) fn new(what: &str, unit: &'static str, variant: Variant) -> Self {
        Self { what: what.to_owned(), unit, variant, values: Vec::new() }
    }

    pub(crate) fn of_start(what: &str, variant: Variant) -> Self {
        Self::new(&format!("start, {what}"), "ms", variant)
    }

    pub(crate) fn of_memory(what: &str, variant: Variant) -> Self {
        Self::new(&format!("resident, {what}"), "MiB", variant)
    }
}

impl Series {
    /// What the broker's CPU is counted against: GiB, or (for small requests) millions.
    fn scale(&self) -> f64 {
        if self.part == "small" { MICROS } else { GIB }
    }

    /// CPU seconds per GiB, or microseconds per request.
    fn costs(&self) -> Vec<f64> {
        self.samples.iter().map(|sample| sample.broker_cpu / sample.amount * self.scale()).collect()
    }

    fn load_costs(&self) -> Vec<f64> {
        self.samples.iter().map(|sample| sample.load_cpu / sample.amount * self.scale()).collect()
    }

    /// MB (of a million bytes), or requests, in a second.
    fn rates(&self) -> Vec<f64> {
        let unit = if self.part == "small" { 1.0 } else { 1e6 };
        self.samples.iter().map(|sample| sample.amount / sample.seconds / unit).collect()
    }

    fn resident(&self) -> f64 {
        self.samples.iter().map(|sample| sample.resident_mib).fold(0.0, f64::max)
    }
}

impl Report {
    pub(crate) fn new(arguments: &Arguments) -> Self {
        Self { machine: machine(arguments), series: Vec::new(), figures: Vec::new(), tables: Vec::new() }
    }

    /// The samples of each lane in a case.
    pub(crate) fn add(&mut self, part: &'static str, case: &str, lanes: &[Lane], samples: Vec<Vec<Sample>>) {
        for (lane, samples) in lanes.iter().zip(samples) {
            self.series.push(Series { part, case: case.to_owned(), variant: lane.variant, samples });
        }
    }

    /// The tables.
    pub(crate) fn print(&self) {
        println!("{}", self.machine.join("; "));
        for (part, first, rate, cost) in [
            ("produce", "partitions", "MB/s", "CPU-s/GiB"),
            ("consume", "partitions", "MB/s", "CPU-s/GiB"),
            ("small", "request", "requests/s", "CPU-µs/request"),
        ] {
            if self.series.iter().any(|series| series.part == part) {
                println!("\n### {part}\n");
                println!(
                    "| {first} | broker | {cost} | of Kafka's | of the floor's | {rate} | load's {cost} | resident MiB |"
                );
                println!("|---|---|---|---|---|---|---|---|");
                self.series.iter().filter(|series| series.part == part).for_each(|series| self.print_row(series));
            }
        }
        if !self.figures.is_empty() {
            println!("\n### start and memory\n\n| what | broker | value | of Kafka's |\n|---|---|---|---|");
        }
        for figure in &self.figures {
            let scale = if figure.unit == "ms" { 1e3 } else { 1.0 };
            let values: Vec<f64> = figure.values.iter().map(|value| value * scale).collect();
            let is_reference = |it: &&Figure| it.what == figure.what && it.variant == Variant::REFERENCE;
            let reference = self.figures.iter().find(is_reference).map(|reference| reference.values.as_slice());
            let of_kafka = ratio(&figure.values, reference, figure.variant == Variant::REFERENCE);
            println!("| {} | {} | {} {} | {of_kafka} |", figure.what, figure.variant, cell(&values), figure.unit);
        }
        self.tables.iter().for_each(Table::print);
    }

    fn print_row(&self, series: &Series) {
        let costs = series.costs();
        let other = |variant| {
            let is_it = |it: &&Series| it.part == series.part && it.case == series.case && it.variant == variant;
            self.series.iter().find(is_it).map(Series::costs)
        };
        let floor = Variant::new(Broker::Floor, series.variant.durability);
        let floor =
            other(floor).or_else(|| other(Variant { durability: crate::arguments::Durability::PageCache, ..floor }));
        let kafka = other(Variant::REFERENCE);
        println!(
            "| {} | {} | {} | {} | {} | {} | {} | {:.0} |",
            series.case,
            series.variant,
            cell(&costs),
            ratio(&costs, kafka.as_deref(), series.variant == Variant::REFERENCE),
            ratio(&costs, floor.as_deref(), series.variant.broker == Broker::Floor),
            cell(&series.rates()),
            number(median(&series.load_costs())),
            series.resident(),
        );
    }

    /// Every sample.
    pub(crate) fn json(&self) -> String {
        let sample = |sample: &Sample| {
            json!({
                "amount": sample.amount, "seconds": sample.seconds, "broker_cpu_seconds": sample.broker_cpu,
                "load_cpu_seconds": sample.load_cpu, "resident_mib": sample.resident_mib,
            })
        };
        let series = |it: &Series| {
            json!({
                "part": it.part, "case": it.case, "broker": it.variant.to_string(),
                "amount_unit": if it.part == "small" { "requests" } else { "bytes of record values" },
                "samples": it.samples.iter().map(sample).collect::<Vec<Value>>(),
            })
        };
        let figure = |it: &Figure| {
            let unit = if it.unit == "ms" { "s" } else { it.unit };
            json!({ "what": it.what, "unit": unit, "broker": it.variant.to_string(), "values": it.values })
        };
        let all = json!({
            "machine": self.machine,
            "series": self.series.iter().map(series).collect::<Vec<Value>>(),
            "figures": self.figures.iter().map(figure).collect::<Vec<Value>>(),
            "tables": self.tables.iter().map(Table::json).collect::<Vec<Value>>(),
        });
        format!("{all:#}\n")
    }
}

/// The median, and the least and the greatest in brackets.
pub(crate) fn cell(values: &[f64]) -> String {
    let least = values.iter().copied().fold(f64::INFINITY, f64::min);
    let greatest = values.iter().copied().fold(0.0, f64::max);
    format!("{} ({}–{})", number(median(values)), number(least), number(greatest))
}

/// The median of the ratios turn by turn.
pub(crate) fn ratio(values: &[f64], of: Option<&[f64]>, is_itself: bool) -> String {
    match of {
        Some(of) if !is_itself && of.iter().all(|value| *value > 0.0) => {
            let ratios: Vec<f64> = values.iter().zip(of).map(|(value, of)| value / of).collect();
            number(median(&ratios))
        }
        _ => "–".to_owned(),
    }
}

/// Three digits, more or less.
pub(crate) fn number(value: f64) -> String {
    match value {
        value if value < 0.1 && value > 0.0 => format!("{value:.4}"),
        value if value < 10.0 => format!("{value:.2}"),
        value if value < 100.0 => format!("{value:.1}"),
        value => format!("{value:.0}"),
    }
}

/// What it ran on.
fn machine(arguments: &Arguments) -> Vec<String> {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let field = |text: &str, name: &str| {
        let line = text.lines().find(|line| line.starts_with(name)).unwrap_or_default();
        line.split_once(':').map(|(_, value)| value.trim().to_owned()).unwrap_or_default()
    };
    let cpus = read("/proc/cpuinfo");
    let cores = cpus.lines().filter(|line| line.starts_with("processor")).count();
    let mut machine = vec![
        format!("{cores} × {}", field(&cpus, "model name")),
        format!("{} of memory", field(&read("/proc/meminfo"), "MemTotal")),
        format!("Linux {}", read("/proc/sys/kernel/osrelease").trim()),
    ];
    machine.extend(arguments.kafka_libs.as_deref().and_then(kafka_version));
    machine
}

/// From the name of its jar: `kafka_<Scala>-<version>.jar`.
fn kafka_version(libs: &Path) -> Option<String> {
    let names = fs::read_dir(libs).ok()?.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let version = names.filter_map(|name| {
        let (scala, version) = name.strip_prefix("kafka_")?.strip_suffix(".jar")?.split_once('-')?;
        Some(format!("Apache Kafka {version} (Scala {scala})"))
    });
    version.max()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_short() {
        assert_eq!(cell(&[1.0, 2.0, 30.0]), "2.00 (1.00–30.0)");
        assert_eq!(number(1234.4), "1234");
        assert_eq!(number(0.00157), "0.0016");
    }

    #[test]
    fn ratios_are_taken_turn_by_turn() {
        assert_eq!(ratio(&[1.0, 4.0, 9.0], Some(&[1.0, 2.0, 3.0]), false), "2.00");
        assert_eq!(ratio(&[1.0], Some(&[1.0]), true), "–");
        assert_eq!(ratio(&[1.0], None, false), "–");
    }
}
