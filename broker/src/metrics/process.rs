//! What the operating system says of this process, under the names that every Prometheus exporter uses.
//!
//! Read from `/proc/self` at a scrape; where that is missing or reads otherwise, the figure is left out.

use std::fs;

use super::scraped::{Sample, Value};

/// `USER_HZ`: the kernel reports in these units to every program, whatever it counts in itself.
const TICKS_PER_SECOND: f64 = 100.0;

/// CPU time, resident memory and open files.
pub(super) fn samples() -> Vec<Sample> {
    let gauge = |name, help, value: u64| Sample::gauge(name, help, value);
    let cpu = cpu_seconds().map(|value| Sample {
        name: "process_cpu_seconds",
        help: "Processor time used by all threads",
        value: Value::Counter(value),
    });
    let memory = resident_bytes().map(|bytes| gauge("process_resident_memory_bytes", "Memory that is in RAM", bytes));
    let files = open_files().map(|files| gauge("process_open_fds", "Open files and sockets", files));
    [cpu, memory, files].into_iter().flatten().collect()
}

fn cpu_seconds() -> Option<f64> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    // The program's name, in brackets, may hold spaces; user and system time are the 12th and 13th field behind it.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let user: u32 = fields.next()?.parse().ok()?;
    let system: u32 = fields.next()?.parse().ok()?;
    Some((f64::from(user) + f64::from(system)) / TICKS_PER_SECOND)
}

fn resident_bytes() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    kib.checked_mul(1 << 10)
}

fn open_files() -> Option<u64> {
    u64::try_from(fs::read_dir("/proc/self/fd").ok()?.count()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_process_is_seen() {
        assert!(cpu_seconds().unwrap() >= 0.0);
        assert!(resident_bytes().unwrap() > 1 << 20);
        assert!(open_files().unwrap() >= 3);
    }
}
