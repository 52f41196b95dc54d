//! A leg: some load on one broker, with what it cost. And turns: a leg for each broker, then again.

use std::fs::File;
use std::thread;
use std::time::{Duration, Instant};

use crate::lane::Lane;
use crate::process::cpu_seconds;

/// What a broker still does for a leg that has just ended counts, for this long.
const SETTLING: Duration = Duration::from_millis(300);

/// One leg.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    /// Bytes of record values, or requests.
    pub(crate) amount: f64,
    pub(crate) seconds: f64,
    /// CPU seconds of the broker, and of the load.
    pub(crate) broker_cpu: f64,
    pub(crate) load_cpu: f64,
    /// The broker's memory behind the leg, in MiB.
    pub(crate) resident_mib: f64,
}

/// Runs `load`, which says how much it was.
pub(crate) fn leg(lane: &Lane, load: impl FnOnce() -> u64) -> Sample {
    // What one leg left dirty in the page cache is not for the next one to write.
    let directory = File::open(lane.directory()).expect("the data directory can be opened");
    rustix::fs::syncfs(&directory).expect("a file system can be synced");
    let (broker_before, load_before) = (lane.process().cpu_seconds(), cpu_seconds("self"));
    let begin = Instant::now();
    let amount = load();
    let seconds = begin.elapsed().as_secs_f64();
    let load_cpu = cpu_seconds("self") - load_before;
    // Time has to pass here: the broker tells nobody when it is idle.
    thread::sleep(SETTLING);
    let broker_cpu = lane.process().cpu_seconds() - broker_before;
    let resident_mib = lane.process().resident_mib();
    #[allow(clippy::cast_precision_loss, reason = "amounts are far below 2^52")]
    let amount = amount as f64;
    Sample { amount, seconds, broker_cpu, load_cpu, resident_mib }
}

/// A leg for each lane in turn, `repeats` times: the samples of each lane.
pub(crate) fn turns(repeats: usize, lanes: &[Lane], what: &str, run: impl Fn(&Lane) -> Sample) -> Vec<Vec<Sample>> {
    let mut samples = vec![Vec::new(); lanes.len()];
    for turn in 1..=repeats {
        for (lane, samples) in lanes.iter().zip(&mut samples) {
            let sample = run(lane);
            let (variant, pid) = (lane.variant, lane.process().pid());
            let Sample { seconds, broker_cpu, .. } = sample;
            eprintln!("{what}, turn {turn} of {repeats}: {variant} (pid {pid}): {seconds:.2} s, {broker_cpu:.2} CPU-s");
            samples.push(sample);
        }
    }
    samples
}

/// The middle of some numbers.
pub(crate) fn median(values: &[f64]) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len() % 2 == 1 { values[middle] } else { f64::midpoint(values[middle - 1], values[middle]) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        assert!((median(&[3.0, 1.0, 2.0]) - 2.0).abs() < 1e-9);
        assert!((median(&[4.0, 1.0, 2.0, 3.0]) - 2.5).abs() < 1e-9);
    }
}
