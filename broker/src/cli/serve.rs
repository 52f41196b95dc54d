//! `millpond serve`, which is also what `millpond` alone does: runs the broker until it is told to stop.
//!
//! `/livez` answers while data is recovered; Kafka clients are let in when all of it is there. SIGTERM and SIGINT stop the
//! broker: requests under way are finished, the log is synced, a checkpoint is made. A second signal ends the process at
//! once; nothing acknowledged is lost then either. Nor does a signal wait for data that is still being opened.

use std::env;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process;
use std::sync::Arc;

use clap::{Args, ValueEnum};
use millpond_storage::disk::RealDisk;
use tokio::net::{TcpListener, lookup_host};
use tokio::runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::spawn_blocking;
use tokio_util::sync::CancellationToken;

use super::descriptors;
use super::failure::Failure;
use super::greeting::{self, Greeting};
use super::output::print;
use crate::api::SERVED;
use crate::broker::{Advertised, Broker, Listener, Scope};
use crate::config::{Address, Config, Durability, LogFormat, ServerConfig, Sources, unread_variables};
use crate::http::{self, HttpState};
use crate::logging;
use crate::server::{Listeners, Server};

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
        let overrides = self.overrides()?;
        let mut config = Config::load(&Sources { file: self.config.clone(), environment, overrides })?;
        // As it is: a path need be no text, and may begin or end with spaces.
        config.server.data = self.data.clone().unwrap_or(config.server.data);
        Ok(config)
    }

    /// `--set` first: a flag of its own name says more.
    fn overrides(&self) -> Result<Vec<(String, String)>, Failure> {
        let mut overrides: Vec<(String, String)> = Vec::new();
        for set in &self.set {
            let (key, value) = set
                .split_once('=')
                .ok_or_else(|| Failure::new(format!("--set {set:?} is not KEY=VALUE, such as log.file_bytes=64MiB")))?;
            let key = key.trim().to_owned();
            if overrides.iter().any(|(other, _)| *other == key) {
                return Err(Failure::new(format!("--set {key} is there twice")));
            }
            overrides.push((key, value.trim().to_owned()));
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
    let mut config = args.config()?;
    logging::start(&config.logging);
    warn_of_variables();
    limit_connections(&mut config);
    let runtime = runtime::Builder::new_multi_thread().enable_all().build()?;
    let served = runtime.block_on(serve(config));
    // Data that is still being opened is not waited for.
    runtime.shutdown_background();
    served
}

/// One underscore too few is easily written, and would change nothing in silence.
fn warn_of_variables() {
    let names: Vec<String> = env::vars_os().map(|(name, _)| name.to_string_lossy().into_owned()).collect();
    let unread = unread_variables(names.iter().map(String::as_str));
    if !unread.is_empty() {
        tracing::warn!("nothing reads {} (keys are set as MILLPOND__SECTION__KEY)", unread.join(", "));
    }
}

/// Admits no more connections than there can be descriptors for: files of the data must find theirs.
fn limit_connections(config: &mut Config) {
    let open_files_max = descriptors::raise_limit();
    let limit = |key: &str, wanted: &mut usize, allowed: usize| {
        if allowed < *wanted {
            tracing::warn!(
                "{key} is {wanted}, but only {allowed} connections are admitted: the process may have {} open files \
                 (ulimit -n, or LimitNOFILE of its unit)",
                open_files_max.unwrap_or(u64::MAX)
            );
            *wanted = allowed;
        }
    };
    let (kafka, http) = (&mut config.limits.connections_max, &mut config.http.connections_max);
    let (of_kafka, of_http) = (
        descriptors::connections_max(*kafka, open_files_max),
        descriptors::http_connections_max(*http, open_files_max),
    );
    limit("limits.connections_max", kafka, of_kafka);
    limit("http.connections_max", http, of_http);
}

async fn serve(config: Config) -> Result<(), Failure> {
    let mut signals = Signals::new()?;
    let http = bind("--http", &config.server.http).await?;
    let http_address = http.local_addr()?;
    let state = HttpState::new(config.http.clone());
    let stop_http = CancellationToken::new();
    let answering_http = tokio::spawn(http::serve(http, state.clone(), stop_http.clone()));
    let config = Arc::new(config);
    let opened = tokio::select! {
        opened = open(&config, &state) => Some(opened?),
        () = signals.first() => None,
    };
    let Some(broker) = opened else {
        tracing::info!("stopped while the data was being opened, which the next start does from its beginning");
        return Ok(());
    };
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
    let server = Arc::new(Server::new(Arc::clone(broker), &SERVED));
    let kafka_address = listen(&server, &broker.config.server).await?;
    let listeners = Arc::new(Listeners::new(Arc::clone(&server)));
    listeners.reopen().await;
    state.listen(listeners);
    let groups = tokio::spawn(Arc::clone(&broker.groups).run());
    let volumes = tokio::spawn(broker.volumes.clone().run());
    let topics = tokio::spawn(broker.topics.clone().run());
    state.readiness.ready();
    announce(&broker.config, kafka_address, http_address)?;
    signals.first().await;
    tracing::info!("stopping: requests under way are finished; a second signal stops at once");
    tokio::spawn(async move {
        signals.first().await;
        process::exit(1);
    });
    state.readiness.stopping();
    // Members that wait for each other would be waited for in vain; and nobody expires whom nobody can hear any more.
    broker.groups.coordinator().stop();
    groups.abort();
    volumes.abort();
    topics.abort();
    server.shutdown().await;
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
    let way_out = match error.kind() {
        io::ErrorKind::AddrInUse => {
            format!(
                "Another program (perhaps another broker) is there; {flag} HOST:PORT chooses another address, and port 0 \
                 finds a free one."
            )
        }
        io::ErrorKind::PermissionDenied => {
            format!("This user may not take that port; {flag} HOST:PORT chooses another one, best above 1023.")
        }
        io::ErrorKind::AddrNotAvailable => {
            format!("This machine has no such address; {flag} HOST:PORT chooses one that it has, such as 127.0.0.1.")
        }
        _ => format!("{flag} HOST:PORT chooses another address."),
    };
    Failure::new(format!("cannot listen on {address}: {error}. {way_out}"))
}

/// Tells where the broker listens, where its data is and how to go on: on standard output to people, else in a log line.
fn announce(config: &Config, kafka: SocketAddr, http: SocketAddr) -> Result<(), Failure> {
    let data = std::path::absolute(&config.server.data)?;
    if config.logging.format == LogFormat::Json {
        tracing::info!(%kafka, %http, data = %data.display(), "serving");
        return Ok(());
    }
    let (durability, program) = (config.log.durability, greeting::program());
    Ok(print(&Greeting { kafka, http, data: &data, durability, program: &program }.text())?)
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
        assert_eq!(config.server.data, std::path::Path::new("/somewhere"));
    }

    #[test]
    fn a_set_without_a_value_is_refused() {
        let args = ServeArgs { set: vec!["log.file_bytes".to_owned()], ..ServeArgs::default() };
        assert!(args.config().unwrap_err().to_string().contains("is not KEY=VALUE"));
    }

    #[test]
    fn a_key_that_is_set_twice_is_refused() {
        let set = vec!["log.file_bytes=1MiB".to_owned(), " log.file_bytes =2MiB".to_owned()];
        let args = ServeArgs { set, ..ServeArgs::default() };
        assert!(args.config().unwrap_err().to_string().contains("log.file_bytes is there twice"));
    }

    #[test]
    fn the_directory_is_taken_as_it_is() {
        use std::os::unix::ffi::OsStringExt;
        let data = PathBuf::from(std::ffi::OsString::from_vec(b" d\xff ".to_vec()));
        let args = ServeArgs { data: Some(data.clone()), ..ServeArgs::default() };
        assert_eq!(args.config().unwrap().server.data, data);
    }

    #[test]
    fn why_it_cannot_listen_decides_what_to_do() {
        let address = "h:1".parse().unwrap();
        for (kind, words) in [
            (io::ErrorKind::AddrInUse, "Another program"),
            (io::ErrorKind::PermissionDenied, "above 1023"),
            (io::ErrorKind::AddrNotAvailable, "no such address"),
        ] {
            let told = cannot_listen("--http", &address, &kind.into()).to_string();
            assert!(told.contains(words) && told.contains("--http HOST:PORT"), "{told}");
        }
    }

    #[tokio::test]
    async fn a_port_in_use_is_told_with_the_way_out() {
        let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = taken.local_addr().unwrap().into();
        let words = bind("--kafka", &address).await.unwrap_err().to_string();
        assert!(words.contains(&address.to_string()) && words.contains("--kafka"), "{words}");
    }
}
