//! A broker as a process: started with a stopwatch, read in `/proc`, ended by its handle.

use std::fs::{self, File};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use kafka_protocol::messages::ApiVersionsRequest;
use millpond_compat_tests::wire::{self, Wire};
use rustix::process::{Pid, Signal, kill_process};

/// How long a start or a clean stop may take.
const LIMIT: Duration = Duration::from_mins(5);
/// `USER_HZ`: the unit of times in `/proc`, the same for every program on Linux.
const TICKS_PER_SECOND: f64 = 100.0;

/// A running broker. It dies with this value.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    address: String,
    /// From the process's begin to its first answer to `ApiVersions`.
    pub(crate) started_in: Duration,
}

impl Process {
    /// Starts it, with what it prints in `log`, and waits for its first answer at `address`.
    pub(crate) fn start(command: &mut Command, address: &str, log: &Path) -> Self {
        let output = File::options().create(true).append(true).open(log).expect("a log file can be made");
        let errors = output.try_clone().expect("a handle can be copied");
        command.stdin(Stdio::null()).stdout(output).stderr(errors);
        let begin = Instant::now();
        let child = command.spawn().unwrap_or_else(|error| panic!("cannot run {command:?}: {error}"));
        let mut process = Self { child, address: address.to_owned(), started_in: Duration::ZERO };
        while !answers(address) {
            let ended = process.child.try_wait().expect("it is our child");
            let printed = || fs::read_to_string(log).unwrap_or_default();
            assert!(ended.is_none(), "{command:?} ended ({ended:?}) after it printed:\n{}", printed());
            assert!(begin.elapsed() < LIMIT, "{command:?} does not answer; it printed:\n{}", printed());
            thread::sleep(Duration::from_millis(1));
        }
        process.started_in = begin.elapsed();
        process
    }

    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// CPU seconds of all its threads so far, user and system.
    pub(crate) fn cpu_seconds(&self) -> f64 {
        cpu_seconds(&self.pid().to_string())
    }

    /// CPU time of the threads that it has now, in nanoseconds, user and system.
    pub(crate) fn cpu_nanos(&self) -> u64 {
        let threads = fs::read_dir(format!("/proc/{}/task", self.pid())).expect("it runs");
        let of_thread = |thread: PathBuf| {
            let schedstat = fs::read_to_string(thread.join("schedstat")).ok()?;
            schedstat.split(' ').next()?.parse::<u64>().ok()
        };
        // A thread may end meanwhile.
        threads.flatten().filter_map(|thread| of_thread(thread.path())).sum()
    }

    /// Its memory in RAM now.
    pub(crate) fn resident_mib(&self) -> f64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid())).expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a process has memory");
        let kib: f64 = line.trim().trim_end_matches(" kB").parse().expect("the kernel writes a number");
        kib / 1024.0
    }

    /// Ends it with SIGTERM and waits.
    pub(crate) fn stop(mut self) {
        kill_process(Pid::from_child(&self.child), Signal::TERM).expect("it is our child");
        let begin = Instant::now();
        while self.child.try_wait().expect("it is our child").is_none() {
            assert!(begin.elapsed() < LIMIT, "{} is not stopped {LIMIT:?} after SIGTERM", self.address);
            thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already; then there is nothing to kill.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// CPU seconds of a process, by its name in `/proc` (`self`, or its id).
pub(crate) fn cpu_seconds(process: &str) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).expect("it runs");
    // The program's name, in brackets, may hold spaces; user and system time are the 12th and 13th field behind it.
    let fields = stat.rsplit_once(')').expect("the kernel puts the name in brackets").1;
    let ticks = fields.split_whitespace().skip(11).take(2);
    let ticks: u32 = ticks.map(|field| field.parse::<u32>().expect("the kernel writes a number")).sum();
    f64::from(ticks) / TICKS_PER_SECOND
}

/// An address on loopback that nobody listens at.
pub(crate) fn free_address() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    listener.local_addr().expect("it is bound").to_string()
}

fn answers(address: &str) -> bool {
    let Ok(mut wire) = Wire::try_connect(address) else { return false };
    let request = wire::encode_request(1, 0, &ApiVersionsRequest::default());
    wire.send_frame(&request).and_then(|()| wire.read_frame()).is_ok()
}
