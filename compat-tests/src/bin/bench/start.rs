//! Start: from a process's begin until it answers `ApiVersions`, and its memory a second later: with nothing, and with many
//! partitions, after a clean stop and after `kill -9`.

use std::path::Path;
use std::thread;
use std::time::Duration;

use crate::arguments::{Arguments, Broker, Durability, Variant};
use crate::lane::{Site, create_topic};
use crate::process::Process;
use crate::report::{Figure, Report};

/// Starts take long in Kafka: no more than this many each.
const TURNS_MAX: usize = 3;
/// Partitions of one topic.
const TOPIC_PARTITIONS: u32 = 1000;
/// When memory is looked at.
const SETTLING: Duration = Duration::from_secs(1);

/// Millpond and Kafka as they come; the floor has nothing to start with.
pub(crate) fn run(arguments: &Arguments, base: &Path, report: &mut Report) {
    let variants = [Variant::new(Broker::Millpond, Durability::Fsync), Variant::REFERENCE];
    let variants = arguments.chosen(&variants);
    let turns = arguments.repeats().min(TURNS_MAX);
    let partitions = arguments.start_partitions();

    let begin = |variant| (variant, Figure::of_start("empty", variant), Figure::of_memory("empty", variant));
    let mut empty: Vec<_> = variants.iter().map(|variant| begin(*variant)).collect();
    for _ in 0..turns {
        for (variant, seconds, memory) in &mut empty {
            let site = Site::new(arguments, *variant, base);
            observe(&site, seconds, memory).stop();
        }
    }
    for (_, seconds, memory) in empty {
        report.figures.extend([seconds, memory]);
    }

    let sites: Vec<(Variant, Site)> =
        variants.iter().map(|variant| (*variant, Site::new(arguments, *variant, base))).collect();
    for (variant, site) in &sites {
        fill(*variant, site, partitions, report);
    }
    for (end, is_clean) in [("a clean stop", true), ("kill -9", false)] {
        let what = format!("{partitions} partitions, after {end}");
        if !is_clean {
            // What was stopped cleanly is no start after a kill yet.
            for (_, site) in &sites {
                drop(site.start());
            }
        }
        let begin = |variant| (Figure::of_start(&what, variant), Figure::of_memory(&what, variant));
        let mut figures: Vec<_> = variants.iter().map(|variant| begin(*variant)).collect();
        for _ in 0..turns {
            for ((_, site), (seconds, memory)) in sites.iter().zip(&mut figures) {
                let process = observe(site, seconds, memory);
                if is_clean {
                    process.stop();
                } else {
                    drop(process);
                }
            }
        }
        for (seconds, memory) in figures {
            report.figures.extend([seconds, memory]);
        }
    }
}

/// Creates the partitions, and stops.
fn fill(variant: Variant, site: &Site, partitions: u32, report: &mut Report) {
    let process = site.start();
    let before = process.cpu_seconds();
    for first in (0..partitions).step_by(TOPIC_PARTITIONS as usize) {
        let count = TOPIC_PARTITIONS.min(partitions - first);
        create_topic(process.address(), &format!("start-{first}"), count, &[]);
    }
    let mut cpu = Figure::new(&format!("creating {partitions} partitions"), "CPU-s", variant);
    cpu.values.push(process.cpu_seconds() - before);
    thread::sleep(SETTLING);
    let mut memory = Figure::of_memory(&format!("{partitions} partitions, just created"), variant);
    memory.values.push(process.resident_mib());
    report.figures.extend([cpu, memory]);
    process.stop();
}

/// Starts it and keeps what it took.
fn observe(site: &Site, seconds: &mut Figure, memory: &mut Figure) -> Process {
    let process = site.start();
    seconds.values.push(process.started_in.as_secs_f64());
    // Time has to pass here: the broker tells nobody when it is idle.
    thread::sleep(SETTLING);
    memory.values.push(process.resident_mib());
    eprintln!("{}: {}: {:.3} s", seconds.what, seconds.variant, process.started_in.as_secs_f64());
    process
}
