//! `millpond serve`, which is also what `millpond` alone does: runs the broker until it is told to stop.
//!
//! `/livez` answers while data is recovered; Kafka clients are let in when all of it is there. SIGTERM and SIGINT stop the
//! broker: requests under way are finished, the log is synced, a checkpoint is made. A second signal ends the process at
//! once; nothing acknowledged is lost then either.

use std::env;
use std::fmt::Write as _;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process;
use std::sync::Arc;

use clap::{Args, ValueEnum};
use millpond_storage::disk::RealDisk;
use tokio::net::{TcpListener, lookup_host};
use tokio::runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::spawn_blocking;
use tokio_util::sync::CancellationToken;

use super::failure::Failure;
use super::output::print;
use crate::api::SERVED;
use crate::broker::{Advertised, Broker, Listener, Scope};
use crate::config::{Address, Config, Durability, LogFormat, ServerConfig, Sources};
use crate::http::{self, HttpState};
use crate::logging;
use crate::server::Server;

/// The flags of `serve`. Each stands for a key of the configuration and overrides it.
#[derive(Args, Debug, Default)]
pub struct ServeArgs {
    /// Directory of all data, created when missing [default: ./data]
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,

    /// Where to listen for Kafka clients; port 0 picks a free one [default: 127.0.0.1:9092]
    #[arg(long, value_name = "HOST:PORT")]
    pub kafka: Option<String>,

    /// What clients are told to connect to [default: where they reached the broker]
    #[arg(long, value_name = "HOST:PORT")]
    pub advertised: Option<String>,

    /// Where to answer HTTP; port 0 picks a free one [default: 127.0.0.1:9080]
    #[arg(long, value_name = "HOST:PORT")]
    pub http: Option<String>,

    /// When a write counts as done, for volumes that do not say [default: fsync]
    #[arg(long)]
    pub durability: Option<DurabilityArg>,

    /// A file of your own with keys to change; config/millpond.toml explains every key
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// Sets one key, as in `log.file_bytes=64MiB`; may be repeated
    #[arg(long, value_name = "KEY=VALUE")]
    pub set: Vec<String>,
}

/// The choices of `--durability`.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum DurabilityArg {
    /// When it is on the disk
    Fsync,
    /// When the operating system has it, as in Kafka
    PageCache,
}

impl DurabilityArg {
    fn name(self) -> &'static str {
        match self {
            Self::Fsync => Durability::Fsync.name(),
            Self::PageCache => Durability::PageCache.name(),
        }
    }
}

impl ServeArgs {
    /// The configuration that these flags, the environment and the file make together.
    pub fn config(&self) -> Result<Config, Failure> {
        let environment = env::vars_os()
            .map(|(name, value)| (name.to_string_lossy().into_owned(), value.to_string_lossy().into_owned()))
            .collect();
        Ok(Config::load(&Sources { file: self.config.clone(), environment, overrides: self.overrides()? })?)
    }

    /// `--set` first: a flag of its own name says more.
    fn overrides(&self) -> Result<Vec<(String, String)>, Failure> {
        let mut overrides = Vec::new();
        for set in &self.set {
            let (key, value) = set
                .split_once('=')
                .ok_or_else(|| Failure::new(format!("--set {set:?} is not KEY=VALUE, such as log.file_bytes=64MiB")))?;
            overrides.push((key.trim().to_owned(), value.trim().to_owned()));
        }
        let flags = [
            ("server.data", self.data.as_ref().map(|path| path.to_string_lossy().into_owned())),
            ("server.kafka", self.kafka.clone()),
            ("server.advertised", self.advertised.clone()),
            ("server.http", self.http.clone()),
            ("log.durability", self.durability.map(|choice| choice.name().to_owned())),
        ];
        overrides.extend(flags.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?))));
        Ok(overrides)
    }
}

/// Runs the broker until it is told to stop.
pub fn run(args: &ServeArgs) -> Result<(), Failure> {
    let config = args.config()?;
    logging::start(&config.logging);
    let runtime = runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(serve(config))
}

async fn serve(config: Config) -> Result<(), Failure> {
    let signals = Signals::new()?;
    let http = bind("--http", &config.server.http).await?;
    let http_address = http.local_addr()?;
    let state = HttpState::default();
    let stop_http = CancellationToken::new();
    let answering_http = tokio::spawn(http::serve(http, state.clone(), stop_http.clone()));
    let broker = open(&Arc::new(config), &state).await?;
    state.serve(Arc::clone(&broker));
    let served = serve_clients(&broker, &state, http_address, signals).await;
    state.readiness.stopping();
    stop_http.cancel();
    answering_http.await??;
    // What is still to be synced, and a checkpoint: also where clients could not be listened for.
    spawn_blocking(move || broker.engine.close()).await??;
    tracing::info!("stopped");
    served
}

/// Lets clients in until the first signal, and finishes what they have under way.
async fn serve_clients(
    broker: &Arc<Broker>,
    state: &HttpState,
    http_address: SocketAddr,
    mut signals: Signals,
) -> Result<(), Failure> {
    let server = Server::new(Arc::clone(broker), &SERVED);
    let kafka_address = listen(&server, &broker.config.server).await?;
    let groups = tokio::spawn(Arc::clone(&broker.groups).run());
    state.readiness.ready();
    announce(&broker.config, kafka_address, http_address)?;
    signals.first().await;
    tracing::info!("stopping: requests under way are finished; a second signal stops at once");
    tokio::spawn(async move {
        signals.first().await;
        process::exit(1);
    });
    state.readiness.stopping();
    // Members that wait for each other would be waited for in vain.
    broker.groups.coordinator().stop();
    server.shutdown().await;
    groups.abort();
    Ok(())
}

/// Opens the data, which may take as long as its recovery does.
async fn open(config: &Arc<Config>, state: &HttpState) -> Result<Arc<Broker>, Failure> {
    let (config, metrics) = (Arc::clone(config), Arc::clone(&state.metrics));
    let directory = config.server.data.display().to_string();
    let opened = spawn_blocking(move || {
        let data = config.server.data.clone();
        let index = data.join("state");
        Broker::open(config, metrics, Arc::new(RealDisk::new(data)), Some(index))
    });
    let broker = opened.await?;
    broker.map(Arc::new).map_err(|error| Failure::new(format!("cannot open the data in {directory}: {error}")))
}

/// Binds an address that `flag` can change.
async fn bind(flag: &str, address: &Address) -> Result<TcpListener, Failure> {
    let bound = TcpListener::bind((address.host.as_str(), address.port)).await;
    bound.map_err(|error| cannot_listen(flag, address, &error))
}

/// Listens for Kafka clients on every address that the configured name stands for (`localhost` is often two), all on one
/// port, and gives the first.
async fn listen(server: &Server, config: &ServerConfig) -> Result<SocketAddr, Failure> {
    let failed = |error| cannot_listen("--kafka", &config.kafka, &error);
    let mut first: Option<SocketAddr> = None;
    let named = lookup_host((config.kafka.host.as_str(), config.kafka.port)).await.map_err(failed)?;
    for mut address in named {
        address.set_port(first.map_or(address.port(), |first| first.port()));
        let advertised = config.advertised.clone().map(|Address { host, port }| Advertised { host, port });
        match server.listen(Listener { address, advertised, scope: Scope::Everything }) {
            Ok(bound) => first = first.or(Some(bound)),
            // The name stands for an address of another family, which this machine does not have.
            Err(error) if first.is_some() && error.kind() == io::ErrorKind::AddrNotAvailable => {}
            Err(error) => return Err(failed(error)),
        }
    }
    first.ok_or_else(|| failed(io::ErrorKind::AddrNotAvailable.into()))
}

fn cannot_listen(flag: &str, address: &Address, error: &io::Error) -> Failure {
    Failure::new(format!(
        "cannot listen on {address}: {error}. If another program (perhaps another broker) is there, {flag} HOST:PORT \
         chooses another address; port 0 finds a free one."
    ))
}

/// Tells, on standard output, where the broker listens, where its data is and how to go on.
fn announce(config: &Config, kafka: SocketAddr, http: SocketAddr) -> Result<(), Failure> {
    let data = std::path::absolute(&config.server.data)?;
    if config.logging.format == LogFormat::Json {
        tracing::info!(%kafka, %http, data = %data.display(), "serving");
    }
    Ok(print(&greeting(kafka, http, &data, config.log.durability))?)
}

fn greeting(kafka: SocketAddr, http: SocketAddr, data: &Path, durability: Durability) -> String {
    let version = env!("CARGO_PKG_VERSION");
    let done = match durability {
        Durability::Fsync => "is on the disk",
        Durability::PageCache => "is in the page cache",
    };
    let mut text = format!("Millpond {version} serves Kafka on {kafka} and HTTP on http://{http}\n");
    let brokers = if kafka.port() == 9092 { String::new() } else { format!(" --brokers {kafka}") };
    // Writing to a String cannot fail.
    let _ = writeln!(text, "Its data is in {}; a write is acknowledged when it {done}", data.display());
    let _ = writeln!(
        text,
        "Go on with `millpond demo taq{brokers}` and `millpond tail trades{brokers}`, or any Kafka client; Ctrl-C stops"
    );
    text
}

/// The signals that stop the broker.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> Result<Self, Failure> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    /// Waits for the next of them.
    async fn first(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_override_set_and_set_overrides_the_file() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("own.toml");
        std::fs::write(&file, "[log]\ndurability = \"fsync\"\nfile_bytes = \"2MiB\"\n").unwrap();
        let args = ServeArgs {
            config: Some(file),
            set: vec!["log.file_bytes = 3MiB".to_owned(), "log.durability=fsync".to_owned()],
            durability: Some(DurabilityArg::PageCache),
            data: Some("/somewhere".into()),
            ..ServeArgs::default()
        };
        let config = args.config().unwrap();
        assert_eq!(config.log.file_bytes, 3 << 20);
        assert_eq!(config.log.durability, Durability::PageCache);
        assert_eq!(config.server.data, Path::new("/somewhere"));
    }

    #[test]
    fn a_set_without_a_value_is_refused() {
        let args = ServeArgs { set: vec!["log.file_bytes".to_owned()], ..ServeArgs::default() };
        assert!(args.config().unwrap_err().to_string().contains("is not KEY=VALUE"));
    }

    #[test]
    fn the_greeting_says_where_and_how_to_go_on() {
        let address = |text: &str| text.parse().unwrap();
        let text = greeting(address("127.0.0.1:9092"), address("127.0.0.1:9080"), Path::new("/d"), Durability::Fsync);
        assert_eq!(text.lines().count(), 3, "{text}");
        assert!(text.contains("Kafka on 127.0.0.1:9092 and HTTP on http://127.0.0.1:9080"), "{text}");
        assert!(text.contains("`millpond demo taq`"), "{text}");
        let text = greeting(address("[::1]:5"), address("[::1]:6"), Path::new("/d"), Durability::PageCache);
        assert!(text.contains("`millpond demo taq --brokers [::1]:5`"), "{text}");
    }

    #[tokio::test]
    async fn a_port_in_use_is_told_with_the_way_out() {
        let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = taken.local_addr().unwrap().into();
        let words = bind("--kafka", &address).await.unwrap_err().to_string();
        assert!(words.contains(&address.to_string()) && words.contains("--kafka"), "{words}");
    }
}
