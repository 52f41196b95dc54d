//! The real binary as a process of its own: started on free ports with a directory of its own, killed, started again.
//!
//! - A [`Server`] dies with its value, and its directory goes with it.
//! - What it printed is kept and shown when the test that owns it fails.
//! - After a restart the addresses are the same, so that clients find it again.

use std::env;
use std::ffi::OsString;
use std::fmt::{Display, Write as _};
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::directory;
use crate::wire::Wire;

/// How long a start or a clean stop may take.
const LIMIT: Duration = Duration::from_mins(1);
/// How much of what it printed a failing test shows.
const LINES_SHOWN: usize = 80;

/// A running (or killed) broker.
#[derive(Debug)]
pub struct Server {
    setup: Builder,
    data: Arc<TempDir>,
    process: Child,
    output: Output,
    kafka: String,
    http: String,
}

/// How to start one.
#[must_use]
#[derive(Clone, Debug, Default)]
pub struct Builder {
    arguments: Vec<String>,
    variables: Vec<(String, OsString)>,
    data: Option<Arc<TempDir>>,
}

type Output = Arc<Mutex<Vec<String>>>;

impl Builder {
    /// `--set key=value`, in place of what was set for the key before.
    pub fn set(mut self, key: &str, value: &(impl Display + ?Sized)) -> Self {
        let prefix = format!("{key}=");
        let before = self.arguments.iter().position(|argument| argument.starts_with(&prefix));
        if let Some(at) = before {
            self.arguments.drain(at - 1..=at);
        }
        self.argument("--set").argument(&format!("{key}={value}"))
    }

    /// An argument of `millpond serve`.
    pub fn argument(mut self, argument: &str) -> Self {
        self.arguments.push(argument.to_owned());
        self
    }

    /// A variable of its environment.
    pub fn variable(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.variables.push((name.to_owned(), value.into()));
        self
    }

    /// With its data below a directory that is there: on another file system, say.
    pub fn data_in(mut self, directory: &Path) -> Self {
        self.data = Some(Arc::new(tempfile::tempdir_in(directory).expect("a directory can be made there")));
        self
    }

    /// With a copy of a directory of data.
    pub fn copy_of(mut self, data: &Path) -> Self {
        let copy = tempfile::tempdir().expect("a directory can be made");
        directory::copy(data, copy.path());
        self.data = Some(Arc::new(copy));
        self
    }

    /// On the data of another server (which must be down, or the start is refused).
    pub fn on_data_of(mut self, other: &Server) -> Self {
        self.data = Some(Arc::clone(&other.data));
        self
    }

    /// Starts the broker and waits until it has printed its addresses.
    pub fn start(self) -> Server {
        self.try_start().unwrap_or_else(|output| panic!("the broker did not start; it printed:\n{output}"))
    }

    /// Starts the broker; what it printed, if it ends (or is silent) before it has printed its addresses.
    pub fn try_start(self) -> Result<Server, String> {
        let data = self.data.clone().unwrap_or_else(|| Arc::new(tempfile::tempdir().expect("a directory can be made")));
        let started = launch(&self, data.path(), "127.0.0.1:0", "127.0.0.1:0")?;
        Ok(Server {
            setup: self,
            data,
            process: started.process,
            output: started.output,
            kafka: started.kafka,
            http: started.http,
        })
    }
}

impl Server {
    /// A broker with default settings.
    pub fn start() -> Self {
        Self::builder().start()
    }

    /// One with settings of its own.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// Where Kafka clients connect: `host:port`.
    pub fn kafka(&self) -> &str {
        &self.kafka
    }

    /// Where HTTP is served: `host:port`.
    pub fn http(&self) -> &str {
        &self.http
    }

    /// Its data directory.
    pub fn data(&self) -> &Path {
        self.data.path()
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// A new raw connection.
    pub fn wire(&self) -> Wire {
        Wire::connect(&self.kafka)
    }

    /// All that it has printed since its last start.
    pub fn output(&self) -> String {
        text(&self.output, usize::MAX)
    }

    /// Kills it with SIGKILL.
    pub fn kill(&mut self) {
        self.process.kill().expect("it is our child");
        self.process.wait().expect("it is our child");
    }

    /// Stops it with SIGTERM; how it ended.
    pub fn stop(&mut self) -> ExitStatus {
        let pid = Pid::from_child(&self.process);
        if self.process.try_wait().expect("it is our child").is_none() {
            kill_process(pid, Signal::TERM).expect("it is our child");
        }
        self.ended()
    }

    /// Waits until it has ended, by a signal that was sent or by itself; how it ended.
    pub fn ended(&mut self) -> ExitStatus {
        let deadline = Instant::now() + LIMIT;
        loop {
            if let Some(status) = self.process.try_wait().expect("it is our child") {
                return status;
            }
            assert!(Instant::now() < deadline, "it has not ended after {LIMIT:?}");
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Whether it runs.
    pub fn is_alive(&mut self) -> bool {
        self.process.try_wait().expect("it is our child").is_none()
    }

    /// What it has printed since its last start, once these words are among it: its output is read by a thread.
    pub fn printed(&self, words: &str) -> String {
        let deadline = Instant::now() + LIMIT;
        loop {
            let output = self.output();
            if output.contains(words) {
                return output;
            }
            assert!(Instant::now() < deadline, "no {words:?} in {output}");
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Starts it again on the same data and the same addresses, after [`Server::kill`] or [`Server::stop`].
    pub fn restart(&mut self) {
        self.try_restart().unwrap_or_else(|output| panic!("the broker did not start again; it printed:\n{output}"));
    }

    /// [`Server::restart`], where it may refuse to start: what it printed then.
    pub fn try_restart(&mut self) -> Result<(), String> {
        let ended = self.process.try_wait().expect("it is our child").is_some();
        assert!(ended, "kill or stop it first");
        let started = launch(&self.setup, self.data.path(), &self.kafka, &self.http)?;
        (self.process, self.output) = (started.process, started.output);
        Ok(())
    }

    /// Starts it on the same data and kills it after this long, wherever in its start it then is.
    pub fn kill_while_starting(&mut self, after: Duration) {
        self.begin_restart();
        // The moment is what the caller tests: no event may choose it.
        thread::sleep(after);
        self.kill();
    }

    /// Starts it on the same data and the same addresses, and does not wait until clients are let in.
    pub fn begin_restart(&mut self) {
        let ended = self.process.try_wait().expect("it is our child").is_some();
        assert!(ended, "kill or stop it first");
        let mut process = spawn(&self.setup, self.data.path(), &self.kafka, &self.http);
        self.output = Output::default();
        gather(process.stdout.take().expect("it is piped"), Arc::clone(&self.output), None);
        gather(process.stderr.take().expect("it is piped"), Arc::clone(&self.output), None);
        self.process = process;
    }

    /// Other arguments from the next restart on.
    pub fn with_setup(&mut self, setup: Builder) {
        self.setup = setup;
    }
}

impl Drop for Server {
    #[allow(clippy::print_stderr, reason = "a failing test shows what its broker said")]
    fn drop(&mut self) {
        // It may have ended already; then there is nothing to kill.
        let _ = self.process.kill();
        let _ = self.process.wait();
        if thread::panicking() {
            eprintln!("the broker printed:\n{}", text(&self.output, LINES_SHOWN));
        }
    }
}

/// A process whose addresses are known.
struct Started {
    process: Child,
    output: Output,
    kafka: String,
    http: String,
}

/// Starts the binary and reads what it prints until both addresses are there.
fn launch(setup: &Builder, data: &Path, kafka: &str, http: &str) -> Result<Started, String> {
    let mut process = spawn(setup, data, kafka, http);
    let output = Output::default();
    let (line_sender, lines) = mpsc::channel();
    let readers = [
        gather(process.stdout.take().expect("it is piped"), Arc::clone(&output), Some(line_sender.clone())),
        // With JSON the addresses are in a log line.
        gather(process.stderr.take().expect("it is piped"), Arc::clone(&output), Some(line_sender)),
    ];
    if let Some((kafka, http)) = addresses(&lines) {
        return Ok(Started { process, output, kafka, http });
    }
    // It may have ended already; then there is nothing to kill.
    let _ = process.kill();
    let status = process.wait().expect("it is our child");
    for reader in readers {
        reader.join().expect("it only reads");
    }
    Err(format!("{}\n{status}", text(&output, LINES_SHOWN)))
}

fn spawn(setup: &Builder, data: &Path, kafka: &str, http: &str) -> Child {
    let mut command = Command::new(binary());
    // What steers the tests is none of the broker's, which would warn of it.
    for (name, _) in env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("MILLPOND_")) {
        if !name.to_string_lossy().starts_with("MILLPOND__") {
            command.env_remove(name);
        }
    }
    command
        .arg("serve")
        .args(["--kafka", kafka, "--http", http, "--data"])
        .arg(data)
        .args(&setup.arguments)
        .envs(setup.variables.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("cannot run {}: {error}", binary().display()))
}

/// Keeps the lines of a stream, in a thread that ends with the stream.
fn gather(
    stream: impl Read + Send + 'static,
    output: Output,
    lines: Option<mpsc::Sender<String>>,
) -> thread::JoinHandle<()> {
    thread::spawn(move || {
        for line in BufReader::new(stream).split(b'\n').map_while(Result::ok) {
            let line = String::from_utf8_lossy(&line).into_owned();
            output.lock().unwrap_or_else(PoisonError::into_inner).push(line.clone());
            if let Some(lines) = &lines {
                // Nobody listens any more once the addresses are known.
                let _ = lines.send(line);
            }
        }
    })
}

/// The last `count` lines.
fn text(output: &Output, count: usize) -> String {
    let lines = output.lock().unwrap_or_else(PoisonError::into_inner);
    let skipped = lines.len().saturating_sub(count);
    let mut text = String::new();
    for line in &lines[skipped..] {
        writeln!(text, "  {line}").expect("a string grows");
    }
    text
}

/// The Kafka and the HTTP address, as soon as both are printed; none if the process ends or stays silent.
fn addresses(lines: &mpsc::Receiver<String>) -> Option<(String, String)> {
    let deadline = Instant::now() + LIMIT;
    let (mut kafka, mut http) = (None, None);
    loop {
        let line = lines.recv_timeout(deadline.saturating_duration_since(Instant::now())).ok()?;
        kafka = kafka.or_else(|| address_after("kafka", &line));
        http = http.or_else(|| address_after("http", &line));
        if let (Some(kafka), Some(http)) = (&kafka, &http) {
            return Some((kafka.clone(), http.clone()));
        }
    }
}

/// The first `host:port` behind `word` in a line (`http://host:port` counts).
fn address_after(word: &str, line: &str) -> Option<String> {
    let start = line.to_ascii_lowercase().find(word)?;
    let is_part_of_one = |c: char| c.is_ascii_alphanumeric() || ".:-[]".contains(c);
    let mut candidates = line[start..].split(|c| !is_part_of_one(c)).map(|word| word.trim_end_matches(['.', ':']));
    candidates
        .find(|candidate| {
            let port = candidate.rsplit_once(':').map(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok());
            port == Some(true)
        })
        .map(str::to_owned)
}

/// Kills a broker by its process id, while others use its [`Server`]; [`Server::kill`] has to follow.
pub fn kill(pid: u32) {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).expect("it runs");
    kill_process(pid, Signal::KILL).expect("it is our child");
}

/// The binary to test: `MILLPOND_BIN`, or this workspace's own, built once per test process.
pub fn binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| env::var_os("MILLPOND_BIN").map_or_else(build, PathBuf::from))
}

/// Builds the binary beside the running test (`<target>/<profile>/deps/<test>`) or program (`<target>/<profile>/<name>`),
/// which cannot depend on it.
fn build() -> PathBuf {
    let running = env::current_exe().expect("a process knows its file");
    let beside = running.parent().expect("a file lies in a directory");
    let profile = if beside.ends_with("deps") { beside.parent() } else { Some(beside) };
    let profile = profile.expect("tests lie in <target>/<profile>/deps");
    let target = profile.parent().expect("a profile lies in the target directory");
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/..")).arg("build").arg("--target-dir").arg(target);
    // All of the workspace: with other features of the shared dependencies they would be built a second time.
    command.args(["--quiet", "--workspace", "--bin", "millpond"]);
    if profile.ends_with("release") {
        command.arg("--release");
    }
    // The job server of the cargo that runs this test is not for its tests.
    command.env_remove("CARGO_MAKEFLAGS").env_remove("MAKEFLAGS");
    let status = command.status().expect("cargo runs");
    assert!(status.success(), "the broker does not build");
    profile.join("millpond")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_found_in_lines_for_people() {
        let found = |word, line| address_after(word, line);
        assert_eq!(
            found("kafka", "Kafka on 127.0.0.1:9092, HTTP on http://127.0.0.1:9080."),
            Some("127.0.0.1:9092".into())
        );
        assert_eq!(
            found("http", "Kafka on 127.0.0.1:9092, HTTP on http://127.0.0.1:9080."),
            Some("127.0.0.1:9080".into())
        );
        assert_eq!(found("kafka", "kafka  [::1]:9092"), Some("[::1]:9092".into()));
        assert_eq!(found("kafka", "Kafka clients: localhost:1234"), Some("localhost:1234".into()));
        assert_eq!(found("kafka", "a Kafka-compatible broker"), None);
    }
}
