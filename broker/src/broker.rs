//! What all parts of one broker share: its identity, its limits, and the parts themselves.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process;
use std::sync::Arc;

use millpond_storage::disk::{Disk, SimDisk};
use millpond_storage::state::{Durability as StateDurability, Numbers, PinId, State};
use millpond_storage::{Engine, Error, Options};
use tokio_util::sync::CancellationToken;

use crate::api::FetchSessions;
use crate::config::{Config, DiskConfig, Durability};
use crate::groups::spelling::TopicIdentity;
use crate::groups::{Groups, TopicNames};
use crate::limits::Limits;
use crate::metrics::{Metrics, Sample, engine_samples};
use crate::numbers::NumberBlocks;
pub use crate::scope::Scope;
use crate::topics::{Holding, Topics, ids, policy};
use crate::volumes::{Volumes, history_of};

/// The exit code when the engine cannot go on (`EX_SOFTWARE`): what was acknowledged is there after the next start.
const FATAL: i32 = 70;
/// Producer ids that are reserved at a time, as in Kafka.
const PRODUCER_IDS_BLOCK: u64 = 1000;

/// One running broker. Handlers reach everything through it.
#[derive(Debug)]
pub struct Broker {
    /// The one node id of this broker.
    pub node_id: i32,
    /// What clients may take.
    pub limits: Limits,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// What it was started with.
    pub config: Arc<Config>,
    /// The data.
    pub engine: Arc<Engine>,
    /// Where the data is.
    pub disk: Arc<dyn Disk>,
    /// The topics in it.
    pub topics: Topics,
    /// The volumes that these are in.
    pub volumes: Volumes,
    /// The groups that consume them. Somebody has to [run](Groups::run) them.
    pub groups: Arc<Groups>,
    /// What consumers fetch again and again.
    pub fetch_sessions: FetchSessions,
    /// Who produces.
    pub producer_ids: NumberBlocks,
    /// Cancelled when the broker is about to end: what waits for something new is answered with what there is.
    pub stopping: CancellationToken,
}

impl Broker {
    /// Opens the data on a disk and recovers all of it: this blocks. The index of the state is kept in `index`, or nowhere.
    pub fn open(
        config: Arc<Config>,
        metrics: Arc<Metrics>,
        disk: Arc<dyn Disk>,
        index: Option<PathBuf>,
    ) -> Result<Self, Error> {
        let engine = Engine::open(options(&config, Arc::clone(&disk), index))?;
        let counted = Arc::clone(&engine);
        metrics.scrape_from(move || engine_samples(counted.stats()));
        let topics = Topics::new(Arc::clone(&engine), Arc::clone(&config))?;
        let names = Arc::new(SubscribedNames(topics.clone()));
        let groups = Groups::open(Arc::clone(&engine), (&config.groups).into(), (&config.groups).into(), names);
        let (counted_topics, counted_groups) = (topics.clone(), Arc::clone(&groups));
        metrics.scrape_from(move || contents(&counted_topics, &counted_groups));
        let held = topics.clone();
        metrics.scrape_from(move || holdings(&held.holdings()));
        let volumes = Volumes::new(Arc::clone(&engine), Arc::clone(&config), topics.clone(), Arc::clone(&groups));
        Ok(Self {
            node_id: config.server.node_id,
            limits: config.limits.clone(),
            metrics,
            groups,
            topics,
            volumes,
            producer_ids: NumberBlocks::new(engine.system().clone(), Numbers::Producer, PRODUCER_IDS_BLOCK),
            fetch_sessions: FetchSessions::new(config.limits.fetch_sessions_max),
            stopping: CancellationToken::new(),
            engine,
            disk,
            config,
        })
    }

    /// The cluster id that clients of a scope see, stable over restarts, restores and re-binding: that of the data directory,
    /// with the scope's number over its last half, so that no client takes one scope for another.
    pub fn cluster_id(&self, scope: Scope) -> String {
        let id = u128::from_be_bytes(self.engine.cluster_id()) ^ u128::from(scope.number());
        ids::text(&id.to_be_bytes())
    }

    /// A broker whose data is in memory and goes with it: for tests.
    pub fn in_memory(config: Config) -> Result<Self, Error> {
        Self::on(&SimDisk::new(), config)
    }

    /// A broker on a disk in memory, which may be made to fail: for tests.
    pub fn on(disk: &SimDisk, mut config: Config) -> Result<Self, Error> {
        config.disk = DiskConfig { free_bytes_min: 0, ballast_bytes: 0 };
        Self::open(Arc::new(config), Arc::default(), Arc::new(disk.clone()), None)
    }
}

/// How much there is of what clients make.
fn contents(topics: &Topics, groups: &Groups) -> Vec<Sample> {
    let listed = topics.list(Scope::Everything);
    let partitions = listed.iter().map(|found| u64::from(found.topic.partitions)).sum();
    let groups = groups.list(Scope::Everything).len();
    vec![
        Sample::gauge("topics", "Topics that are listed", listed.len() as u64),
        Sample::gauge("partitions", "Partitions of these topics", partitions),
        Sample::gauge("groups", "Consumer groups with members or positions", groups as u64),
    ]
}

/// What each volume holds and may hold.
fn holdings(volumes: &[Holding]) -> Vec<Sample> {
    let all = |figure: &dyn Fn(&Holding) -> Option<u64>| -> Vec<(String, u64)> {
        volumes.iter().filter_map(|volume| Some((volume.name.to_string(), figure(volume)?))).collect()
    };
    let by_volume = |name, help, values| Sample::gauges(name, help, "volume", values);
    let is_over = |volume: &Holding| Some(u64::from(volume.bytes > volume.limits.advisory_quota_bytes?));
    let refused = |volume: &Holding| volume.limits.quota_bytes.map(|_| volume.refused);
    vec![
        by_volume("volume_bytes", "Bytes of batches that a volume shows", all(&|volume| Some(volume.bytes))),
        by_volume("volume_quota_bytes", "Bytes that a volume may hold", all(&|volume| volume.limits.quota_bytes)),
        by_volume(
            "volume_advisory_quota_bytes",
            "Bytes that a volume should not exceed",
            all(&|volume| volume.limits.advisory_quota_bytes),
        ),
        by_volume("volume_over_advisory_quota", "Whether a volume exceeds its advisory quota", all(&is_over)),
        Sample::counters(
            "volume_quota_refused_batches",
            "Batches that a volume's quota refused",
            "volume",
            all(&refused),
        ),
    ]
}

/// What the names in subscriptions mean.
struct SubscribedNames(Topics);

impl TopicNames for SubscribedNames {
    fn identity(&self, scope: Scope, name: &str) -> Option<TopicIdentity> {
        let found = self.0.resolve(scope, name).ok()?;
        Some(TopicIdentity { home: found.home(), number: found.topic.number })
    }

    fn frozen(&self, pin: PinId) -> Option<Arc<State>> {
        let frozen = self.0.frozen(Scope::Snapshot(pin)).ok()??;
        Some(Arc::clone(&frozen.state))
    }
}

fn options(config: &Arc<Config>, disk: Arc<dyn Disk>, index_dir: Option<PathBuf>) -> Options {
    let topics = Arc::clone(config);
    Options {
        policy: Arc::new(move |state, topic| policy(&topics.topics, state, topic)),
        on_fatal: Arc::new(end),
        durability: match config.log.durability {
            Durability::Fsync => StateDurability::Fsync,
            Durability::PageCache => StateDurability::PageCache,
        },
        log_file_bytes: config.log.file_bytes,
        log_roll_ms: millis(config.log.roll),
        cache_bytes: config.log.tail_cache_bytes,
        checkpoint_bytes: config.log.checkpoint_bytes,
        index_dir,
        index_cache_bytes: config.log.index_cache_bytes,
        plain_bytes_max: config.limits.decompressed_bytes_max,
        writer_threads: config.log.writer_threads,
        producer_expiration_ms: millis(config.producers.id_expiration),
        history_ms: millis(config.history.retention),
        history_of: Arc::new(history_of),
        history_bytes: config.history.bytes_max.unwrap_or(u64::MAX),
        retention_check_ms: millis(config.topics.retention_check_interval),
        compaction_check_ms: millis(config.log.compaction_check_interval),
        compaction_keys_bytes: config.log.compaction_keys_bytes,
        compaction_bytes_per_second: config.log.compaction_bytes_per_second_max.unwrap_or(u64::MAX),
        ballast_bytes: config.disk.ballast_bytes,
        free_floor_bytes: config.disk.free_bytes_min,
        ..Options::new(disk)
    }
}

fn millis(duration: std::time::Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// Ends the process, as what it would do from here on could not be trusted.
fn end(why: &str) {
    tracing::error!("the broker ends: {why}");
    process::exit(FATAL);
}

/// One address at which clients connect, and what they see there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    /// Where to listen, and port 0 is any free one; in a connection, where it came in.
    pub address: SocketAddr,
    /// What answers tell clients to connect to; none means the address at which each of them reached the broker.
    pub advertised: Option<Advertised>,
    /// What clients see.
    pub scope: Scope,
}

/// An address in answers (Metadata, `FindCoordinator`, `DescribeCluster` and others).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Advertised {
    /// A name or an IP address.
    pub host: String,
    /// The port.
    pub port: u16,
}
