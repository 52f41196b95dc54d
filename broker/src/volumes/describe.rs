//! What there is to say of a volume.

use std::sync::Arc;

use millpond_storage::state::{Durability, PinKind, State, Topic, Volume, VolumeId};
use millpond_storage::{DEFAULT_VOLUME, Lsn, Moment, Timeline, TimelineId, TopicPartition};

use super::{Result, VolumeError, Volumes};
use crate::documents::{self, Collection, VolumeLimits, VolumeSettings};

/// A volume, as it is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VolumeInfo {
    /// Its name.
    pub name: String,
    /// Which it is.
    pub id: VolumeId,
    /// What it is mounted at.
    pub mount: String,
    /// When it was created, in milliseconds.
    pub created: i64,
    /// What it asks for; none: what the broker is set to.
    pub own_durability: Option<Durability>,
    /// When writes are acknowledged.
    pub durability: Durability,
    /// Whether its topics are listed on the listener that shows everything.
    pub listed: bool,
    /// What it asks for; none: what the broker is set to.
    pub own_history_ms: Option<i64>,
    /// How far back its past may be frozen, in milliseconds.
    pub history_ms: i64,
    /// The oldest of its past that can be frozen; none while it is deleted or restored.
    pub oldest: Option<Moment>,
    /// What it may hold.
    pub limits: VolumeLimits,
    /// Its current timeline.
    pub timeline: TimelineId,
    /// The newest LSN that can be seen.
    pub lsn: Lsn,
    /// The leader epoch of all its partitions.
    pub leader_epoch: i32,
    /// How many topics it has.
    pub topics: usize,
    /// How many partitions these have.
    pub partitions: usize,
    /// Bytes of their batches.
    pub bytes: u64,
    /// How many snapshots there are of it, safety snapshots among them.
    pub snapshots: usize,
    /// What it was cloned from.
    pub clone_of: Option<CloneOf>,
    /// Why it takes no writes, if its log was found damaged.
    pub damage: Option<String>,
}

/// What a volume was cloned from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CloneOf {
    /// The volume, as it was called then.
    pub volume: String,
    /// The snapshot; none: it was cloned as it was.
    pub snapshot: Option<String>,
    /// The LSN of the view.
    pub lsn: Lsn,
    /// The time of the view, in milliseconds.
    pub time: i64,
}

impl Volumes {
    /// All volumes: `default`, then the others by name.
    pub fn list(&self) -> Vec<VolumeInfo> {
        let mut volumes: Vec<_> = self.engine.system().state(|state| state.volumes().cloned().collect());
        volumes.sort_by_key(|volume| *volume.name != *DEFAULT_VOLUME);
        // One may go while we look.
        volumes
            .into_iter()
            .filter_map(|volume| Some(self.info(&volume, &self.engine.timeline(volume.timeline)?)))
            .collect()
    }

    /// A volume.
    pub fn describe(&self, name: &str) -> Result<VolumeInfo> {
        let (volume, timeline) = self.find(name)?;
        Ok(self.info(&volume, &timeline))
    }

    /// Which volume has a name.
    pub fn id(&self, name: &str) -> Result<VolumeId> {
        Ok(self.find(name)?.0.id)
    }

    fn info(&self, volume: &Volume, timeline: &Timeline) -> VolumeInfo {
        let (snapshots, settings) = self.engine.system().state(|state| {
            let snapshots = state.pins().filter(|pin| pin.volume == volume.id);
            let count = snapshots.filter(|pin| matches!(pin.kind, PinKind::Snapshot | PinKind::Safety)).count();
            let key = volume.id.0.to_string();
            (count, documents::find::<VolumeSettings>(state, Collection::VolumeSettings, &key).unwrap_or_default())
        });
        let (topics, partitions) = counted(timeline);
        let clone_of = settings.ancestors.first().map(|ancestor| CloneOf {
            volume: ancestor.name.clone(),
            snapshot: ancestor.snapshot.clone(),
            lsn: Lsn(ancestor.lsn),
            time: ancestor.time,
        });
        VolumeInfo {
            name: volume.name.to_string(),
            id: volume.id,
            mount: volume.mount.to_string(),
            created: volume.created,
            own_durability: volume.durability,
            durability: timeline.durability(),
            listed: volume.listed,
            own_history_ms: settings.history_ms,
            history_ms: settings.history_ms.unwrap_or_else(|| self.default_history_ms()),
            oldest: timeline.oldest(),
            limits: settings.limits,
            timeline: timeline.id(),
            lsn: timeline.visible_lsn(),
            leader_epoch: timeline.leader_epoch(),
            topics,
            partitions,
            bytes: timeline.live_bytes(),
            snapshots,
            clone_of,
            damage: timeline.damage().map(str::to_owned),
        }
    }

    fn default_history_ms(&self) -> i64 {
        i64::try_from(self.config.history.retention.as_millis()).unwrap_or(i64::MAX)
    }
}

/// How many topics and partitions a log holds.
fn counted(timeline: &Timeline) -> (usize, usize) {
    let count = |(topics, partitions), topic: &Arc<Topic>| (topics + 1, partitions + topic.partitions as usize);
    timeline.state(|state| state.topics().fold((0, 0), count))
}

/// How much a stream holds.
#[derive(Default)]
pub(super) struct Held {
    pub(super) topics: usize,
    pub(super) partitions: usize,
    pub(super) bytes: u64,
}

impl Held {
    pub(super) fn of(timeline: &Timeline, stream: &str) -> Self {
        let topics: Vec<_> = timeline.state(|state| state.topics_in(stream).cloned().collect());
        let mut held = Self { topics: topics.len(), ..Self::default() };
        for topic in &topics {
            for index in 0..topic.partitions {
                held.partitions += 1;
                let partition = timeline.partition(TopicPartition::new(topic.number, index));
                held.bytes += partition.map_or(0, |partition| partition.live_bytes());
            }
        }
        held
    }
}

/// Refuses to keep less than nothing of a past.
pub(super) fn check_history(history_ms: Option<i64>) -> Result<()> {
    match history_ms {
        Some(..0) => Err(VolumeError::Invalid("A past is kept for a time that is zero or above.".to_owned())),
        _ => Ok(()),
    }
}

/// What `system` says of how far back a volume's past is kept, in milliseconds, if anything.
pub fn history_of(system: &State, volume: VolumeId) -> Option<i64> {
    documents::find::<VolumeSettings>(system, Collection::VolumeSettings, &volume.0.to_string())?.history_ms
}
