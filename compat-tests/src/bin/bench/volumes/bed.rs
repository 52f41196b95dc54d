//! A Millpond with a volume to be frozen.

use std::path::Path;
use std::time::Instant;

use millpond_compat_tests::{directory, http};
use serde_json::{Value, json};

use crate::arguments::{Arguments, Broker, Durability, Variant};
use crate::lane::{Site, create_topic};
use crate::process::Process;

/// The volume of every case.
pub(crate) const VOLUME: &str = "bench";
/// Who is measured.
pub(super) const VARIANT: Variant = Variant::new(Broker::Millpond, Durability::Fsync);
/// Partitions of one topic.
const TOPIC_PARTITIONS: u32 = 1000;

/// A broker, and where it lies.
pub(crate) struct Bed {
    site: Site,
    pub(crate) process: Process,
}

impl Bed {
    /// With an empty volume.
    pub(crate) fn new(arguments: &Arguments, base: &Path) -> Self {
        let site = Site::new(arguments, VARIANT, base);
        let process = site.start();
        let bed = Self { site, process };
        bed.post("/volumes", &json!({"name": VOLUME}));
        bed
    }

    pub(crate) fn kafka(&self) -> &str {
        self.process.address()
    }

    fn post(&self, path: &str, body: &Value) {
        http::call(self.site.http(), "POST", path, body);
    }

    /// Topics `0`, `1` and on, with so many partitions together.
    pub(crate) fn create_partitions(&self, partitions: u32) -> Vec<(String, u32)> {
        let topics = (0..partitions).step_by(TOPIC_PARTITIONS as usize).map(|first| {
            let (topic, count) = (topic_of(VOLUME, first / TOPIC_PARTITIONS), TOPIC_PARTITIONS.min(partitions - first));
            create_topic(self.kafka(), &topic, count, &[]);
            (topic, count)
        });
        topics.collect()
    }

    /// Takes a snapshot of a volume: the seconds until its answer.
    pub(crate) fn snapshot(&self, volume: &str, name: &str) -> f64 {
        let begin = Instant::now();
        self.post(&format!("/volumes/{volume}/snapshots"), &json!({"name": name}));
        begin.elapsed().as_secs_f64()
    }

    /// Clones a snapshot: the seconds until its answer.
    pub(crate) fn clone_of(&self, volume: &str, snapshot: &str, name: &str) -> f64 {
        let begin = Instant::now();
        self.post("/clones", &json!({"from": format!("{volume}@{snapshot}"), "name": name}));
        begin.elapsed().as_secs_f64()
    }

    /// How many files were synced so far.
    pub(crate) fn syncs(&self) -> f64 {
        http::metric(self.site.http(), "millpond_log_sync_seconds_count")
    }

    /// Bytes of all files.
    pub(crate) fn bytes_on_disk(&self) -> u64 {
        directory::files(&self.site.directory.path().join("data")).iter().map(|(_, bytes)| bytes).sum()
    }
}

/// How a topic of a volume is called.
pub(crate) fn topic_of(volume: &str, number: u32) -> String {
    format!("{volume}.default.{number}")
}
