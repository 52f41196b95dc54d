//! One data directory: who holds it, its timelines, the threads that serve them.
//!
//! Order at the start: LOCK, FORMAT, the system timeline, then each timeline that `system` names. Order at the end: no more submissions, the writers'
//! queues, the last sync, a checkpoint of each timeline, the lock.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Condvar, Mutex, PoisonError, RwLock};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::branches::durability_of;
use crate::disk::{Disk, Lock};
use crate::error::{Error, Result};
use crate::maintenance;
use crate::manifest::TimelineDir;
use crate::options::Options;
use crate::pool::Pool;
use crate::space::Space;
use crate::state::{Change, Cluster, Fact, Index, Numbers, Stage, State, TimelineInfo, Txn, Volume, VolumeId};
use crate::stats::Stats;
use crate::timeline::{TailCache, Timeline, lock};
use crate::trouble::Troubles;
use crate::units::TimelineId;

/// What FORMAT says.
const FORMAT: &str = "millpond data, format 2\n";
const FORMAT_VERSION: u32 = 2;
/// Threads that sync: one log each.
const SYNC_THREADS: usize = 16;
/// Threads that read files.
const READ_THREADS: usize = 4;
/// The volume that plain names belong to.
pub const DEFAULT_VOLUME: &str = "default";

/// What all timelines share.
pub(crate) struct Shared {
    pub(crate) options: Options,
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) stats: Stats,
    pub(crate) cache: TailCache,
    pub(crate) space: Space,
    /// Where the disk is a real one.
    pub(crate) index: Option<Mutex<Index>>,
    pub(crate) writer_pool: Pool,
    pub(crate) sync_pool: Pool,
    pub(crate) read_pool: Pool,
    pub(crate) branch_pool: Pool,
    closing: AtomicBool,
    failed: AtomicBool,
    gone: AtomicBool,
    /// Held by whoever seals, saves, collects: one at a time, whichever thread it is.
    pub(crate) tending: Mutex<()>,
    /// Held by whoever compacts.
    pub(crate) compacting: Mutex<()>,
    /// What fails of upkeep that is no timeline's.
    pub(crate) troubles: Troubles,
    maintenance_wanted: Mutex<bool>,
    maintenance_wake: Condvar,
}

impl Shared {
    /// The time in milliseconds.
    pub(crate) fn now(&self) -> i64 {
        (self.options.clock)()
    }

    pub(crate) fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Acquire)
    }

    /// Whether the engine has failed: nothing more is written or made visible.
    pub(crate) fn has_failed(&self) -> bool {
        self.failed.load(Ordering::Acquire)
    }

    /// The engine cannot go on.
    pub(crate) fn fail(&self, why: &str) {
        self.closing.store(true, Ordering::Release);
        if !self.failed.swap(true, Ordering::AcqRel) {
            (self.options.on_fatal)(why);
        }
    }

    /// Whether the data directory is not where it was: nothing is written until it is back.
    pub(crate) fn is_gone(&self) -> bool {
        self.gone.load(Ordering::Acquire)
    }

    /// Has the maintenance thread look around now.
    pub(crate) fn wake_maintenance(&self) {
        *lock(&self.maintenance_wanted) = true;
        self.maintenance_wake.notify_one();
    }

    /// Waits until maintenance is wanted or `at_most` has passed.
    pub(crate) fn await_maintenance(&self, at_most: Duration) {
        let wanted = lock(&self.maintenance_wanted);
        let waited = self.maintenance_wake.wait_timeout_while(wanted, at_most, |wanted| !*wanted && !self.is_closing());
        *waited.unwrap_or_else(PoisonError::into_inner).0 = false;
    }
}

/// An open data directory.
pub struct Engine {
    shared: Arc<Shared>,
    system: Timeline,
    timelines: RwLock<BTreeMap<TimelineId, Timeline>>,
    maintenance: Mutex<Vec<JoinHandle<()>>>,
    held: Box<dyn Lock>,
}

impl Engine {
    /// Opens a data directory, making it if it is not there, and recovers all that is in it.
    pub fn open(options: Options) -> Result<Arc<Self>> {
        let disk = Arc::clone(&options.disk);
        disk.create_dir_all(Path::new("timelines"))?;
        let held = disk.lock(Path::new("LOCK"))?;
        check_format(&*disk)?;
        let shared = Arc::new(Shared::new(options)?);
        let system = Timeline::open_system(&shared)?;
        let engine =
            Arc::new(Self { shared, system, timelines: RwLock::default(), maintenance: Mutex::default(), held });
        engine.remove_unfinished()?;
        engine.open_timelines()?;
        if engine.default_volume().is_none() {
            engine.found()?;
        }
        if engine.shared.options.background {
            let threads = [maintenance::spawn(&engine)?, maintenance::spawn_compaction(&engine)?];
            lock(&engine.maintenance).extend(threads);
        }
        Ok(engine)
    }

    /// The timeline of the `system` volume.
    pub fn system(&self) -> &Timeline {
        &self.system
    }

    /// A timeline that serves.
    pub fn timeline(&self, id: TimelineId) -> Option<Timeline> {
        let timelines = self.timelines.read().unwrap_or_else(PoisonError::into_inner);
        timelines.get(&id).cloned()
    }

    /// All timelines but that of `system`.
    pub fn timelines(&self) -> Vec<Timeline> {
        let timelines = self.timelines.read().unwrap_or_else(PoisonError::into_inner);
        timelines.values().cloned().collect()
    }

    /// The current timeline of a volume.
    pub fn volume(&self, name: &str) -> Option<(Volume, Timeline)> {
        let volume = self.system.state(|state| state.volume(name).cloned())?;
        let timeline = self.timeline(volume.timeline)?;
        Some((volume, timeline))
    }

    /// Has the current timeline of a volume do what the volume's fact says of durability.
    pub fn renew_durability(&self, name: &str) {
        if let Some((volume, timeline)) = self.volume(name) {
            timeline.0.set_durability(durability_of(&self.shared, Some(&volume)));
        }
    }

    /// The time in milliseconds, as the engine's clock has it.
    pub fn now(&self) -> i64 {
        self.shared.now()
    }

    /// Counters.
    pub fn stats(&self) -> &Stats {
        &self.shared.stats
    }

    /// The 16 bytes that name this data directory for ever.
    pub fn cluster_id(&self) -> [u8; 16] {
        self.system.state(State::cluster).unwrap_or_default()
    }

    /// One round of what the maintenance thread does: checkpoints, sealing, retention, collection. For engines opened without that thread.
    pub fn maintain(&self) -> Result<()> {
        maintenance::round(self)
    }

    /// Writes a checkpoint of every timeline now. One that fails keeps no other from it.
    pub fn save(&self) -> Result<()> {
        let _turn = lock(&self.shared.tending);
        let saved = self.timelines().into_iter().chain([self.system.clone()]).map(|timeline| timeline.0.save());
        saved.fold(Ok(()), Result::and)
    }

    /// Looks whether the data directory is where it was. Moved or removed, its open files would go on taking writes that no start finds.
    pub(crate) fn is_in_place(&self) -> bool {
        let is_gone = !self.held.is_in_place();
        if is_gone != self.shared.gone.swap(is_gone, Ordering::AcqRel) {
            if is_gone {
                tracing::error!(disk = ?self.shared.disk, "the data directory is GONE (moved, removed or replaced): nothing is written until it is back; what is open can still be read");
            } else {
                tracing::info!("the data directory is back: writes are taken");
            }
        }
        !is_gone
    }

    /// Looks for what retention hides now, rather than when it is due.
    pub fn retain(&self) -> Result<()> {
        maintenance::retain(self)
    }

    /// Whether it takes nothing more: it is closing, or it failed. What it says from then on is of no use to a client.
    pub fn has_ended(&self) -> bool {
        self.shared.is_closing() || self.shared.has_failed()
    }

    /// Compacts what is due now, rather than when it is looked at.
    pub fn compact(&self) -> Result<()> {
        maintenance::compact(self)
    }

    /// Takes no more, finishes what was submitted, syncs, writes checkpoints, ends the threads.
    pub fn close(&self) -> Result<()> {
        self.shared.closing.store(true, Ordering::Release);
        self.shared.wake_maintenance();
        for thread in lock(&self.maintenance).drain(..) {
            thread.thread().unpark();
            let _panicked = thread.join();
        }
        self.shared.branch_pool.close();
        self.shared.writer_pool.close();
        let turn = lock(&self.shared.tending);
        let mut outcome = Ok(());
        for timeline in self.timelines().iter().chain([&self.system]) {
            outcome = outcome.and(timeline.finish());
        }
        drop(turn);
        self.shared.sync_pool.close();
        self.shared.read_pool.close();
        outcome
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    fn default_volume(&self) -> Option<Volume> {
        self.system.state(|state| state.volume(DEFAULT_VOLUME).cloned())
    }

    fn open_timelines(&self) -> Result<()> {
        let infos: Vec<TimelineInfo> = self.system.state(|state| state.timelines().cloned().collect());
        for info in infos {
            // Parents come first: they have the lower numbers.
            let parent = info.origin.and_then(|(parent, _)| self.timeline(parent));
            let timeline = Timeline::open(&self.shared, &self.system, &info, parent.as_ref())?;
            if timeline.0.may_have_lost && timeline.damage().is_none() {
                self.renew_epoch(&timeline, &info)?;
            }
            self.add(timeline);
        }
        Ok(())
    }

    /// Clients may have read what a crash took away: what they know of the end is worth nothing, and a new leader epoch tells them.
    fn renew_epoch(&self, timeline: &Timeline, info: &TimelineInfo) -> Result<()> {
        let info = info.clone();
        let epoch = self.transact(move |txn| {
            let epoch = txn.take(Numbers::LeaderEpoch, 1).and_then(|epoch| i32::try_from(epoch).ok())?;
            txn.put(Fact::Timeline(Change::Put(TimelineInfo { leader_epoch: epoch, ..info })));
            Some(epoch)
        })?;
        let epoch = epoch.ok_or_else(|| Error::Invalid("no leader epoch is left".to_owned()))?;
        tracing::warn!(timeline = %timeline.id(), epoch, "the log was not closed, and durability is page-cache: a new leader epoch begins");
        wait(|done| timeline.0.begin_epoch(epoch, done))
    }

    pub(crate) fn add(&self, timeline: Timeline) {
        let mut timelines = self.timelines.write().unwrap_or_else(PoisonError::into_inner);
        timelines.insert(timeline.id(), timeline);
    }

    pub(crate) fn forget(&self, id: TimelineId) {
        self.timelines.write().unwrap_or_else(PoisonError::into_inner).remove(&id);
    }

    pub(crate) fn wake_maintenance(&self) {
        self.shared.wake_maintenance();
    }

    /// Makes what every data directory has: a cluster id and the volume `default`. The timeline's files come first, then the one group of facts that
    /// names it: a crash between leaves files that nothing names, which the next try replaces.
    fn found(&self) -> Result<()> {
        let id = TimelineId(Numbers::Timeline.first());
        let volume = VolumeId(Numbers::Volume.first());
        let epoch = 0;
        let now = self.shared.now();
        let info = TimelineInfo { id, origin: None, volume, leader_epoch: epoch, created: now, stage: Stage::There };
        Timeline::create(&self.shared, &info)?;
        let cluster = random_bytes();
        let named = info.clone();
        self.transact(move |txn| {
            txn.take(Numbers::Timeline, 1);
            txn.take(Numbers::Volume, 1);
            txn.take(Numbers::LeaderEpoch, 1);
            txn.put(Fact::Cluster(Change::Put(Cluster { id: cluster })));
            txn.put(Fact::Timeline(Change::Put(named)));
            txn.put(Fact::Volume(Change::Put(default_volume(volume, id, now))));
        })?;
        self.add(Timeline::open(&self.shared, &self.system, &info, None)?);
        Ok(())
    }

    /// A decision over `system`, waited for. At the start and in maintenance only: it parks the thread.
    pub(crate) fn transact<R: Send + 'static>(
        &self,
        decide: impl FnOnce(&mut Txn<'_>) -> R + Send + 'static,
    ) -> Result<R> {
        wait(|done| self.system.transact(decide, done))
    }
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "engine over {:?}", self.shared.disk)
    }
}

impl Shared {
    fn new(options: Options) -> Result<Self> {
        let disk = Arc::clone(&options.disk);
        Ok(Self {
            cache: TailCache::new(options.cache_bytes),
            space: Space::new(&options)?,
            index: options.index_dir.as_ref().map(|dir| Mutex::new(Index::open(dir, options.index_cache_bytes))),
            writer_pool: Pool::new("writer", options.writer_threads.max(1)),
            sync_pool: Pool::new("sync", SYNC_THREADS),
            read_pool: Pool::new("read", READ_THREADS),
            branch_pool: Pool::new("branch", 1),
            stats: Stats::default(),
            closing: AtomicBool::new(false),
            failed: AtomicBool::new(false),
            gone: AtomicBool::new(false),
            tending: Mutex::new(()),
            compacting: Mutex::new(()),
            troubles: Troubles::default(),
            maintenance_wanted: Mutex::new(false),
            maintenance_wake: Condvar::new(),
            disk,
            options,
        })
    }
}

fn default_volume(id: VolumeId, timeline: TimelineId, created: i64) -> Volume {
    let (name, mount) = (DEFAULT_VOLUME.into(), format!("/{DEFAULT_VOLUME}").into());
    Volume { name, id, timeline, durability: None, created, listed: true, mount }
}

/// Submits and waits for the outcome. Never from a thread that the outcome needs.
pub(crate) fn wait<R: Send + 'static>(submit: impl FnOnce(Box<dyn FnOnce(Result<R>) + Send>)) -> Result<R> {
    let (sender, receiver): (Sender<Result<R>>, _) = mpsc::channel();
    submit(Box::new(move |outcome| {
        // The receiver is gone only if this thread is.
        let _gone = sender.send(outcome);
    }));
    receiver.recv().unwrap_or(Err(Error::Closed))
}

fn check_format(disk: &dyn Disk) -> Result<()> {
    let path = Path::new("FORMAT");
    if !disk.exists(path)? {
        if disk.exists(&TimelineDir::new(TimelineId::SYSTEM).timeline())? {
            let why = "FORMAT is missing in a directory that has data: put it back from a copy of the directory, or write it anew if you know that this version made the data";
            return Err(Error::Corrupt(format!("{why}: {FORMAT:?}")));
        }
        return write_format(disk, path);
    }
    let found = disk.open_read_only(path)?.read_at(0, 256)?;
    if found == FORMAT.as_bytes() {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&found);
    let version = text.trim_end().strip_prefix("millpond data, format ").and_then(|version| version.parse().ok());
    match version {
        Some(found) if found < FORMAT_VERSION => Err(Error::Invalid(format!(
            "FORMAT: the data is of format {found}, from before the first release, and this version reads format {FORMAT_VERSION} alone: nothing was changed; \
             open it with the version that wrote it, or begin with an empty directory"
        ))),
        Some(found) => Err(Error::Newer { path: path.to_owned(), found, known: FORMAT_VERSION }),
        None => Err(Error::Corrupt(format!("FORMAT does not say what this is: {text:?}; it should be {FORMAT:?}"))),
    }
}

/// FORMAT comes whole or not at all.
fn write_format(disk: &dyn Disk, path: &Path) -> Result<()> {
    let temporary = Path::new("FORMAT.tmp");
    if disk.exists(temporary)? {
        disk.remove(temporary)?;
    }
    let file = disk.create(temporary)?;
    file.write_at(FORMAT.as_bytes(), 0)?;
    file.sync_all()?;
    disk.rename(temporary, path)?;
    disk.sync_dir(Path::new(""))
}

fn random_bytes() -> [u8; 16] {
    let mut bytes = [0; 16];
    for half in bytes.chunks_mut(8) {
        half.copy_from_slice(&random_u64().to_le_bytes());
    }
    bytes
}

/// From the keys of a hash map, which the standard library takes from the operating system.
pub(crate) fn random_u64() -> u64 {
    use std::hash::{BuildHasher, Hasher};
    std::collections::hash_map::RandomState::new().build_hasher().finish()
}
