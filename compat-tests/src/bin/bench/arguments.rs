//! The command line, and what each of its defaults is in a full and in a quick run.

use std::env;
use std::fmt::{self, Display, Formatter};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use clap::{Parser, ValueEnum};

/// Measures Millpond beside Apache Kafka and beside a floor without a broker's logic. Prints tables in Markdown.
#[derive(Clone, Debug, Parser)]
#[command(name = "bench")]
pub(crate) struct Arguments {
    /// What to measure; all of it when nothing is named
    parts: Vec<Part>,
    /// Only these brokers
    #[arg(long, value_delimiter = ',')]
    only: Vec<Broker>,
    /// Only these durabilities (Kafka with fsync is one with flush.messages=1)
    #[arg(long, value_delimiter = ',')]
    durability: Vec<Durability>,
    /// Partitions for produce and consume [default: 1,100,1000]
    #[arg(long, value_delimiter = ',')]
    partitions: Vec<u32>,
    /// Only these small requests, by name
    #[arg(long, value_delimiter = ',')]
    pub(crate) requests: Vec<String>,
    /// Turns that each broker takes [default: 5; quick: 2]
    #[arg(long)]
    repeats: Option<usize>,
    /// MiB of records in a leg of produce and consume [default: 1024; quick: 256]
    #[arg(long)]
    mib: Option<u64>,
    /// MiB of records that Kafka is warmed with [default: 16384; quick: 1024]
    #[arg(long)]
    warm_mib: Option<u64>,
    /// Requests in a leg of small requests [default: 100000; quick: 20000]
    #[arg(long)]
    count: Option<u64>,
    /// Partitions of the brokers whose start is measured [default: 10000; quick: 1000]
    #[arg(long)]
    start_partitions: Option<u32>,
    /// Partitions of the volumes that are frozen [default: 10,1000,100000; quick: 10,1000]
    #[arg(long, value_delimiter = ',')]
    volume_partitions: Vec<u32>,
    /// MiB of data of the volumes that are frozen; 1 is always among them [default: 256; quick: 16]
    #[arg(long, value_delimiter = ',')]
    volume_mib: Vec<u64>,
    /// Snapshots that are present while batches are counted; first what the others are compared with [default: 0,100,1000; quick: 0,100]
    #[arg(long, value_delimiter = ',')]
    volume_snapshots: Vec<u32>,
    /// Only these measurements of volumes: freeze, crowd, latency, space
    #[arg(long, value_delimiter = ',')]
    pub(crate) volume_cases: Vec<String>,
    /// Requests in a second that producers offer while snapshots are taken
    #[arg(long, default_value_t = 1000)]
    pub(crate) offered_per_second: u32,
    /// Seconds for which they do [default: 40; quick: 8]
    #[arg(long)]
    offered_seconds: Option<u64>,
    /// Where to draw their latencies, as SVG
    #[arg(long)]
    pub(crate) svg: Option<PathBuf>,
    /// Connections for produce and consume
    #[arg(long, default_value_t = 4)]
    pub(crate) connections: usize,
    /// Connections for small requests
    #[arg(long, default_value_t = 50)]
    pub(crate) small_connections: usize,
    /// Less of everything: to see that it works, not to quote
    #[arg(long)]
    quick: bool,
    /// Where data is written, in a directory that is removed; not on tmpfs [default: beside this program]
    #[arg(long)]
    dir: Option<PathBuf>,
    /// The directory of Apache Kafka's jars; without it (or without java) Kafka is left out
    #[arg(long, env = "KAFKA_LIBS")]
    pub(crate) kafka_libs: Option<PathBuf>,
    /// Another Millpond to measure than the one of this workspace, which is built first
    #[arg(long, env = "MILLPOND_BIN")]
    pub(crate) millpond: Option<PathBuf>,
    /// Where to write every sample, as JSON
    #[arg(long)]
    pub(crate) json: Option<PathBuf>,
    /// Be the floor at this address
    #[arg(long, hide = true)]
    pub(crate) floor: Option<String>,
}

/// What can be measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Part {
    Produce,
    Consume,
    Small,
    Start,
    Volumes,
}

/// Who is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Broker {
    Millpond,
    Kafka,
    Floor,
}

/// When a write is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Durability {
    Fsync,
    PageCache,
}

/// One row of a table: a broker and how durable its writes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Variant {
    pub(crate) broker: Broker,
    pub(crate) durability: Durability,
}

impl Arguments {
    /// Leaves Kafka out, and says so, when it cannot run here.
    pub(crate) fn with_what_is_here(mut self) -> Self {
        if self.brokers().contains(&Broker::Kafka) {
            let java = Command::new("java").arg("-version").stdout(Stdio::null()).stderr(Stdio::null()).status();
            let has_java = java.is_ok_and(|status| status.success());
            let missing = match (&self.kafka_libs, has_java) {
                (None, _) => Some("--kafka-libs was not given"),
                (_, false) => Some("java is not here"),
                (Some(libs), true) => (!libs.is_dir()).then_some("the directory of --kafka-libs is not there"),
            };
            if let Some(missing) = missing {
                eprintln!("bench: without Apache Kafka: {missing}");
                self.only = self.brokers().into_iter().filter(|broker| *broker != Broker::Kafka).collect();
            }
        }
        self
    }

    /// The parts to measure, in order.
    pub(crate) fn parts(&self) -> Vec<Part> {
        if self.parts.is_empty() { Part::value_variants().to_vec() } else { self.parts.clone() }
    }

    fn brokers(&self) -> Vec<Broker> {
        if self.only.is_empty() { Broker::value_variants().to_vec() } else { self.only.clone() }
    }

    /// The durabilities asked for.
    pub(crate) fn durabilities(&self) -> Vec<Durability> {
        if self.durability.is_empty() { Durability::value_variants().to_vec() } else { self.durability.clone() }
    }

    /// Those of `variants` that are asked for.
    pub(crate) fn chosen(&self, variants: &[Variant]) -> Vec<Variant> {
        let (brokers, durabilities) = (self.brokers(), self.durabilities());
        let is_chosen = |it: &&Variant| brokers.contains(&it.broker) && durabilities.contains(&it.durability);
        variants.iter().filter(is_chosen).copied().collect()
    }

    /// For how many partitions to produce and consume.
    pub(crate) fn partitions(&self) -> Vec<u32> {
        if self.partitions.is_empty() { vec![1, 100, 1000] } else { self.partitions.clone() }
    }

    pub(crate) fn repeats(&self) -> usize {
        self.repeats.unwrap_or(if self.quick { 2 } else { 5 }).max(1)
    }

    /// Bytes of record values in a leg.
    pub(crate) fn leg_bytes(&self) -> u64 {
        self.mib.unwrap_or(if self.quick { 256 } else { 1024 }) << 20
    }

    pub(crate) fn warm_bytes(&self) -> u64 {
        self.warm_mib.unwrap_or(if self.quick { 1024 } else { 16_384 }) << 20
    }

    /// Small requests in a leg.
    pub(crate) fn leg_requests(&self) -> u64 {
        self.count.unwrap_or(if self.quick { 20_000 } else { 100_000 })
    }

    pub(crate) fn start_partitions(&self) -> u32 {
        self.start_partitions.unwrap_or(if self.quick { 1000 } else { 10_000 })
    }

    pub(crate) fn volume_partitions(&self) -> Vec<u32> {
        self.given(&self.volume_partitions, &[10, 1000, 100_000], &[10, 1000])
    }

    /// Beside 1 MiB.
    pub(crate) fn volume_mib(&self) -> Vec<u64> {
        self.given(&self.volume_mib, &[256], &[16])
    }

    pub(crate) fn volume_snapshots(&self) -> Vec<u32> {
        self.given(&self.volume_snapshots, &[0, 100, 1000], &[0, 100])
    }

    /// How long producers offer their load.
    pub(crate) fn offered_for(&self) -> Duration {
        Duration::from_secs(self.offered_seconds.unwrap_or(if self.quick { 8 } else { 40 }))
    }

    fn given<T: Clone>(&self, given: &[T], full: &[T], quick: &[T]) -> Vec<T> {
        match given {
            [] if self.quick => quick.to_vec(),
            [] => full.to_vec(),
            given => given.to_vec(),
        }
    }

    /// Where data may be written.
    pub(crate) fn directory(&self) -> PathBuf {
        let beside = || env::current_exe().ok().and_then(|exe| exe.parent().map(Path::to_owned));
        self.dir.clone().or_else(beside).expect("--dir is given, or this program lies in a directory")
    }
}

impl Variant {
    pub(crate) const fn new(broker: Broker, durability: Durability) -> Self {
        Self { broker, durability }
    }

    /// What ratios are taken against: Kafka as it comes, whose writes are in the page cache when it answers.
    pub(crate) const REFERENCE: Self = Self::new(Broker::Kafka, Durability::PageCache);
}

impl Display for Variant {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match (self.broker, self.durability) {
            (Broker::Millpond, Durability::Fsync) => "Millpond, fsync",
            (Broker::Millpond, Durability::PageCache) => "Millpond, page cache",
            (Broker::Kafka, Durability::Fsync) => "Kafka, flush.messages=1",
            (Broker::Kafka, Durability::PageCache) => "Kafka",
            (Broker::Floor, Durability::Fsync) => "floor, fsync",
            (Broker::Floor, Durability::PageCache) => "floor, page cache",
        })
    }
}
