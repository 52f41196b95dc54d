//! Opening a timeline: checkpoint, log, and what becomes the running structures.
//!
//! Order: identity, manifest, the newest checkpoint that holds (of the index or a state-at file), the fold of the log above it, sealed files, and only then
//! the writer. What recovery had to conclude (a torn tail that was cut, damage) is said in the log once, here.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU8, AtomicU64};
use std::sync::{Arc, Mutex, OnceLock};

use super::checkpoint::restore_tail;
use super::fold::Fold;
use super::log_file::LogFile;
use super::origin::Origin;
use super::partition::lock;
use super::publish::SyncTarget;
use super::recovery::{Lost, Recovered, Recovery, Required, Resume, Start, set_aside};
use super::writer::Core;
use super::{History, Inner, Producers, Tables, Timeline};
use crate::branches::durability_of;
use crate::engine::Shared;
use crate::error::{Error, Result};
use crate::frame;
use crate::maintenance::Saves;
use crate::manifest::{Edit, FileRef, Identity, Manifest, NextLog, TimelineDir};
use crate::segment;
use crate::state::{Checkpoint, Durability, Pending, Stage, State, TimelineInfo, VolumeId, state_at};
use crate::trouble::Troubles;
use crate::units::{Lsn, Moment, TimelineId, TopicPartition};

/// How many LSNs an unclean start skips where clients may have seen some that the disk never had.
const SKIPPED_LSNS: u64 = 1 << 24;

impl Timeline {
    /// Opens the timeline of `system`, making it in a new data directory.
    pub(crate) fn open_system(shared: &Arc<Shared>) -> Result<Self> {
        let info = TimelineInfo {
            id: TimelineId::SYSTEM,
            origin: None,
            volume: VolumeId(0),
            leader_epoch: 0,
            created: shared.now(),
            stage: Stage::There,
        };
        if !shared.disk.exists(&TimelineDir::new(info.id).manifest())? {
            Self::create(shared, &info)?;
        }
        let history = History::new(Moment::default(), []);
        let beginning = Beginning::read(shared, info.id, None, Vec::new())?;
        Self::open_with(shared, &info, None, Durability::Fsync, history, beginning)
    }

    /// Makes the files of an empty timeline. What an unfinished try left is replaced: nothing was ever appended to it.
    pub(crate) fn create(shared: &Shared, info: &TimelineInfo) -> Result<()> {
        Beginning::of_empty(shared, info).map(drop)
    }

    /// Makes a timeline, of which `system` knows that it is being made, and opens it: a branch, or an empty one.
    pub(crate) fn begin(
        shared: &Arc<Shared>,
        system: &Timeline,
        info: &TimelineInfo,
        parent: Option<&Timeline>,
    ) -> Result<Self> {
        let origin = origin_of(info, parent)?;
        let beginning = match &origin {
            Some(origin) => Self::create_branch(shared, info, origin)?,
            None => Beginning::of_empty(shared, info)?,
        };
        Self::open_known(shared, system, info, origin, beginning)
    }

    /// Opens a timeline that `system` names; its parent, if it has one, is open.
    pub(crate) fn open(
        shared: &Arc<Shared>,
        system: &Timeline,
        info: &TimelineInfo,
        parent: Option<&Timeline>,
    ) -> Result<Self> {
        let required = system.state(|state| required_by(state, info.id));
        let origin = origin_of(info, parent)?;
        let beginning = Beginning::read(shared, info.id, origin.as_ref(), required)?;
        Self::open_known(shared, system, info, origin, beginning)
    }

    fn open_known(
        shared: &Arc<Shared>,
        system: &Timeline,
        info: &TimelineInfo,
        origin: Option<Origin>,
        beginning: Beginning,
    ) -> Result<Self> {
        let durability =
            system.state(|state| durability_of(shared, state.volumes().find(|volume| volume.timeline == info.id)));
        let history = system.state(|state| {
            let pins = state.pins().filter(|pin| pin.timeline == info.id).map(|pin| pin.lsn);
            // Below its branch point the past is its parent's.
            let born = Moment { lsn: info.origin.map_or(Lsn::ZERO, |(_, branch)| branch), time: info.created };
            let floor = state.floor(info.id).filter(|floor| floor.lsn > born.lsn);
            let history = History::new(floor.unwrap_or(born), pins);
            // One that is being made gets its name in a moment.
            if info.stage == Stage::There && !state.volumes().any(|volume| volume.timeline == info.id) {
                history.close();
            }
            history
        });
        Self::open_with(shared, info, origin, durability, history, beginning)
    }

    fn open_with(
        shared: &Arc<Shared>,
        info: &TimelineInfo,
        origin: Option<Origin>,
        durability: Durability,
        history: Arc<History>,
        beginning: Beginning,
    ) -> Result<Self> {
        let Beginning { identity, mut manifest, mut checkpoint, rotten, required, is_new } = beginning;
        let epoch = epoch_then(identity.leader_epoch, &checkpoint);
        let tables = Tables::new(&mut checkpoint, epoch, Arc::clone(&shared.options.policy), origin.as_ref());
        let parent = origin.as_ref().map(|origin| &*origin.parent).filter(|_| !is_new);
        let logs = unsealed_logs(shared, &manifest)?;
        if let Some(log) = logs.get(&checkpoint.tail.first_lsn) {
            restore_tail(&tables, &checkpoint.tail, log);
        }
        let mut fold = Fold { tables: &tables, producers: Producers::taken_from(&mut checkpoint), logs };
        let start = start_at(&checkpoint);
        let recovery =
            Recovery { disk: &shared.disk, identity: &identity, manifest: &mut manifest, required: &required, start };
        let mut recovered = recovery.run(&mut |group| fold.group(group))?;
        tables.begin_epoch(info.leader_epoch.max(tables.leader_epoch()));
        // (Of one that was just made a lease keeps what is in the parent.)
        if let Some(lost) = parent.and_then(|parent| lost_by(parent, &tables)) {
            recovered.damage.get_or_insert(format!("what partition {lost} inherited is no longer in the parent"));
            recovered.resume = None;
        }
        report(info.id, &recovered);
        shared.stats.lost_batches.add(recovered.lost.len() as u64);
        if recovered.damage.is_none() {
            quarantine(shared, &mut manifest, &rotten)?;
        }
        let Fold { producers, logs, .. } = fold;
        let files = segment::load(shared, &manifest, (identity.timeline, identity.salt), &tables)?;
        let is_named = !history.is_closed();
        let found = Found { identity, is_named, origin, tables, producers, logs, recovered, history, files };
        found.build(shared, durability, manifest)
    }

    /// At the end: what is written is synced, made visible and saved.
    pub(crate) fn finish(&self) -> Result<()> {
        if self.damage().is_some() || self.0.shared.has_failed() {
            return Ok(());
        }
        self.0.sync_now()?;
        if self.0.shared.is_gone() {
            return Ok(()); // its files are synced, wherever they are now
        }
        self.0.save()?;
        let last = self.end_lsn();
        self.0.edit(&Edit::Closed { last })
    }
}

/// What a timeline is before its log is read.
pub(super) struct Beginning {
    pub(super) identity: Identity,
    pub(super) manifest: Manifest,
    pub(super) checkpoint: Checkpoint,
    /// State-at files that do not check.
    rotten: Vec<Lsn>,
    /// What the log must reach.
    required: Vec<Required>,
    is_new: bool,
}

impl Beginning {
    /// Of a timeline that was just made.
    pub(super) fn new(identity: Identity, manifest: Manifest, checkpoint: Checkpoint) -> Self {
        Self { identity, manifest, checkpoint, rotten: Vec::new(), required: Vec::new(), is_new: true }
    }

    /// Of a timeline that is made empty.
    fn of_empty(shared: &Shared, info: &TimelineInfo) -> Result<Self> {
        let identity = Identity::of(info);
        let manifest = Manifest::create(&shared.disk, &identity)?;
        Ok(Self::new(identity, manifest, Checkpoint::default()))
    }

    /// From its files.
    fn read(shared: &Shared, id: TimelineId, origin: Option<&Origin>, mut required: Vec<Required>) -> Result<Self> {
        let identity = Identity::read(&*shared.disk, id)?;
        let manifest = Manifest::open(&shared.disk, &identity)?;
        let mut rotten = Vec::new();
        let checkpoint = newest_checkpoint(shared, &identity, origin, &manifest, &mut required, &mut rotten)?;
        Ok(Self { identity, manifest, checkpoint, rotten, required, is_new: false })
    }
}

fn origin_of(info: &TimelineInfo, parent: Option<&Timeline>) -> Result<Option<Origin>> {
    match (info.origin, parent) {
        (None, _) => Ok(None),
        (Some((_, branch)), Some(parent)) => Ok(Some(Origin { parent: Arc::clone(&parent.0), branch })),
        (Some((parent, _)), None) => {
            Err(Error::Corrupt(format!("timeline {} branched off {parent}, which is not there", info.id)))
        }
    }
}

/// A partition that can be read, and whose inherited records the parent has not.
fn lost_by(parent: &Inner, tables: &Tables) -> Option<TopicPartition> {
    let mut lost = None;
    let mut look = |id: TopicPartition, log_start: i64, inherited_end: i64| {
        if lost.is_none() && log_start < inherited_end && !parent.tables.has_any(id) {
            lost = Some(id);
        }
    };
    for partition in &tables.partitions {
        look(partition.id(), partition.log_start(), partition.inherited().map_or(0, |inherited| inherited.end));
    }
    tables.each_packed(&mut |record| look(record.partition, record.log_start, record.inherited_end));
    lost
}

/// What in `system` builds on the log of a timeline.
fn required_by(state: &State, id: TimelineId) -> Vec<Required> {
    let pins = state.pins().filter(|pin| pin.timeline == id);
    let pins = pins.map(|pin| Required { lsn: pin.lsn, by: format!("the snapshot {:?}", pin.name) });
    let floor = state.floor(id).map(|floor| Required { lsn: floor.lsn, by: "the history floor".to_owned() });
    let branches = state
        .timelines()
        .filter_map(|info| info.origin.filter(|(parent, _)| *parent == id).map(|origin| (info.id, origin.1)));
    let branches =
        branches.map(|(child, lsn)| Required { lsn, by: format!("timeline {child}, which branched off there,") });
    pins.chain(floor).chain(branches).collect()
}

/// The newest checkpoint that can be read, of the index or of a state-at file; that of an empty log if there is none. State-at files that do not check
/// on the way to it are `rotten`.
fn newest_checkpoint(
    shared: &Shared,
    identity: &Identity,
    origin: Option<&Origin>,
    manifest: &Manifest,
    required: &mut Vec<Required>,
    rotten: &mut Vec<Lsn>,
) -> Result<Checkpoint> {
    let files = manifest.files();
    let index = shared.index.as_ref().and_then(|index| lock(index).load(identity.timeline));
    if let Some(checkpoint) = index {
        required.push(Required { lsn: checkpoint.lsn, by: "the state index".to_owned() });
        let has_log = files.log(checkpoint.tail.first_lsn).is_some();
        if has_log && files.state_ats.last().is_none_or(|newest| *newest <= checkpoint.lsn) {
            return Ok(checkpoint);
        }
    }
    for lsn in files.state_ats.iter().rev() {
        match state_at::read(&*shared.disk, identity.timeline, identity.salt, *lsn) {
            Ok(checkpoint) => return Ok(checkpoint),
            Err(error @ (Error::Corrupt(_) | Error::Io { .. })) => {
                tracing::error!(timeline = %identity.timeline, %lsn, %error, "a state-at file is not to be used: going on with an older one");
                let is_there = shared.disk.exists(&manifest.dir().state_at(*lsn))?;
                rotten.extend((!is_there || matches!(error, Error::Corrupt(_))).then_some(*lsn));
            }
            Err(error) => return Err(error),
        }
    }
    match origin {
        // The parent keeps what the beginning was made of.
        Some(origin) => origin.birth(identity.created_ms, identity.leader_epoch),
        None => Ok(Checkpoint::default()),
    }
}

/// Folds that do not check leave the file set, since collection relies on every one that is in it; they are kept for a person to look at.
fn quarantine(shared: &Shared, manifest: &mut Manifest, rotten: &[Lsn]) -> Result<()> {
    for lsn in rotten {
        let path = manifest.dir().state_at(*lsn);
        // Where the process died between the two, only the edit is left to do.
        if shared.disk.exists(&path)? {
            set_aside(&*shared.disk, manifest.dir(), &path, manifest.opening())?;
        }
        manifest.append(&Edit::StateAt { lsn: *lsn, added: false })?;
        manifest.unlinked(FileRef::StateAt(*lsn));
    }
    Ok(())
}

/// The leader epoch that the fold begins with: what follows the checkpoint is of the epochs that it had then, not of the newest.
pub(super) fn epoch_then(born: i32, checkpoint: &Checkpoint) -> i32 {
    let known = checkpoint.partitions.iter().filter_map(|partition| partition.epochs.last()).map(|last| last.epoch);
    let packed = checkpoint.packed.iter().filter_map(|page| page.about().epoch);
    known.chain(packed).max().map_or(born, |epoch| epoch.max(born))
}

fn start_at(checkpoint: &Checkpoint) -> Option<Start> {
    (checkpoint.lsn > Lsn::ZERO).then_some(Start {
        log: checkpoint.tail.first_lsn,
        position: checkpoint.tail.position,
        lsn: checkpoint.lsn,
        time_ms: checkpoint.time,
        chain: checkpoint.tail.chain,
    })
}

/// The log files that have no index yet, open.
fn unsealed_logs(shared: &Shared, manifest: &Manifest) -> Result<BTreeMap<Lsn, Arc<LogFile>>> {
    let unsealed = manifest.files().logs.iter().filter(|log| log.end.is_none_or(|end| !end.sealed));
    let mut logs = BTreeMap::new();
    for log in unsealed {
        let path = manifest.dir().log(log.first);
        if shared.disk.exists(&path)? {
            let file = shared.disk.open(&path)?;
            logs.insert(log.first, LogFile::new(log.first, file, frame::HEADER_BYTES as u64));
        }
    }
    Ok(logs)
}

/// Says what a person should know of the recovery.
fn report(id: TimelineId, recovered: &Recovered) {
    if let Some(why) = &recovered.damage {
        tracing::error!(timeline = %id, why, "the timeline is DAMAGED: it serves reads of what is sound and takes no writes");
    }
    if let Some(cut) = &recovered.cut {
        let (bytes, why) = (cut.bytes, cut.why);
        tracing::warn!(timeline = %id, log = %cut.log, position = cut.position, bytes, %why, "cut off a torn tail that was never acknowledged as durable");
    }
    for Lost { partition, base_offset, offsets, lsn } in &recovered.lost {
        let end = base_offset.saturating_add(i64::from(*offsets));
        tracing::error!(timeline = %id, %partition, %lsn, "the batch of offsets {base_offset} to {end} is DAMAGED: its records are lost, a read at them is refused, all others are there");
    }
    for aside in &recovered.aside {
        let (from, to) = (aside.from.display(), aside.to.display());
        tracing::error!(timeline = %id, %from, %to, "set aside a file that no manifest edit names");
    }
    let (groups, bytes, end) = (recovered.groups, recovered.bytes, recovered.end_lsn);
    tracing::debug!(timeline = %id, groups, bytes, %end, clean = recovered.clean, "recovered");
}

/// All that recovery found.
struct Found {
    identity: Identity,
    is_named: bool,
    origin: Option<Origin>,
    tables: Tables,
    producers: Producers,
    logs: BTreeMap<Lsn, Arc<LogFile>>,
    recovered: Recovered,
    history: Arc<History>,
    files: segment::Files,
}

impl Found {
    fn build(mut self, shared: &Arc<Shared>, durability: Durability, mut manifest: Manifest) -> Result<Timeline> {
        let end = self.recovered.end_lsn;
        let may_have_lost = durability == Durability::PageCache && !self.recovered.clean;
        let mut next_lsn = self.recovered.next_lsn;
        if may_have_lost {
            next_lsn = Lsn(next_lsn.0.saturating_add(SKIPPED_LSNS));
            self.recovered.resume = self.recovered.resume.take().map(|resume| resume.in_new_file(end));
        }
        let damage = OnceLock::new();
        if let Some(why) = self.recovered.damage.take() {
            // Just made: nobody else can have set it.
            let _first = damage.set(why);
        }
        let core = self.core(shared, &mut manifest, next_lsn)?;
        for partition in self.tables.all_opened() {
            partition.publish(partition.log_end());
        }
        let active = core.as_ref().map(|core| Arc::clone(&core.active));
        let sync =
            SyncTarget { file: active.as_ref().map(|active| Arc::clone(&active.file)), lsn: end, running: false };
        let unsealed =
            self.logs.into_values().filter(|log| active.as_ref().is_none_or(|active| !Arc::ptr_eq(log, active)));
        let inner = Inner {
            id: self.identity.timeline,
            salt: self.identity.salt,
            shared: Arc::clone(shared),
            tables: self.tables,
            manifest: Mutex::new(manifest),
            core: Mutex::new(core),
            unsealed: Mutex::new(unsealed.collect()),
            unsaved_bytes: AtomicU64::new(self.recovered.bytes),
            saves: Saves::default(),
            troubles: Troubles::default(),
            queue: Mutex::default(),
            scheduled: AtomicBool::new(false),
            unseen: Mutex::new(VecDeque::new()),
            sync: Mutex::new(sync),
            publishing: Mutex::new(()),
            durability: AtomicU8::new(durability as u8),
            written_lsn: AtomicU64::new(end.0),
            durable_lsn: AtomicU64::new(end.0),
            visible_lsn: AtomicU64::new(end.0),
            visible_time: AtomicI64::new(self.recovered.last_time_ms),
            vouched_lsn: AtomicU64::new(end.0),
            named: AtomicBool::new(self.is_named),
            created_ms: self.identity.created_ms,
            born_epoch: self.identity.leader_epoch,
            origin: self.origin,
            children: Mutex::default(),
            history: self.history,
            files: self.files,
            damage,
            may_have_lost,
        };
        let timeline = Timeline(Arc::new(inner));
        if let Some(origin) = &timeline.0.origin {
            origin.parent.adopt(&timeline.0);
        }
        Ok(timeline)
    }

    /// What the writer goes on with; nothing where the log is damaged.
    fn core(&mut self, shared: &Shared, manifest: &mut Manifest, next_lsn: Lsn) -> Result<Option<Core>> {
        let (active, chain) = match self.recovered.resume.take() {
            None => return Ok(None),
            Some(Resume::Same { log, chain, .. }) => match self.logs.get(&log) {
                Some(active) => (Arc::clone(active), chain),
                None => return Err(Error::Corrupt(format!("log file {log} is to go on and is not there"))),
            },
            Some(Resume::New { after, after_bytes }) => {
                let next = NextLog { first: next_lsn, after, after_bytes, created_ms: shared.now() };
                let file = manifest.create_log(next)?;
                (LogFile::new(next_lsn, file, frame::HEADER_BYTES as u64), 0)
            }
        };
        Ok(Some(Core {
            active,
            next_lsn,
            last_time: self.recovered.last_time_ms,
            chain,
            opening: manifest.opening(),
            producers: std::mem::take(&mut self.producers),
            pending: Pending::new(),
        }))
    }
}
