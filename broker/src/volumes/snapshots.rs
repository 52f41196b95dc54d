//! Snapshots: named views of a volume, of now or of its past. One that a restore made of what it replaced is a *safety snapshot*.
//!
//! A snapshot is a pin. Those of a volume that was deleted stay, under the name that it had, until they are deleted or expire.

use millpond_storage::state::{Pin, PinId, PinKind, State, Txn, Volume, VolumeId};
use millpond_storage::{Error, Lsn, PinnedView, Stand, Timeline, TimelineId, TopicNumber, TopicPartition};

use super::moment::Moment;
use super::{Result, VolumeError, Volumes, check_name, submitted};
use crate::completion;
use crate::documents::{self, Collection, FormerVolume};

/// A snapshot to take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewSnapshot {
    /// Its name.
    pub name: String,
    /// The moment that it is to show.
    pub at: Moment,
    /// How long it is kept, in milliseconds; none: until it is deleted.
    pub lifetime_ms: Option<i64>,
    /// Whether it is kept from being deleted.
    pub protected: bool,
}

/// A snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotInfo {
    /// The volume that it is of, by the name that this has, or had.
    pub volume: String,
    /// The snapshot.
    pub pin: Pin,
}

impl Volumes {
    /// The snapshots of a volume, the oldest view first.
    pub fn snapshots(&self, volume: &str) -> Result<Vec<SnapshotInfo>> {
        let id = self.id_of(volume)?;
        let mut pins: Vec<Pin> =
            self.engine.system().state(|state| state.pins().filter(|pin| pin.volume == id).cloned().collect());
        pins.sort_by_key(|pin| (pin.time, pin.id));
        Ok(pins.into_iter().map(|pin| SnapshotInfo { volume: volume.to_owned(), pin }).collect())
    }

    /// All snapshots, by volume, the oldest view first.
    pub fn all_snapshots(&self) -> Vec<SnapshotInfo> {
        let mut all: Vec<SnapshotInfo> = self.engine.system().state(|state| {
            let pins = state.pins().cloned();
            pins.map(|pin| SnapshotInfo { volume: name_of(state, pin.volume), pin }).collect()
        });
        all.sort_by(|a, b| (&a.volume, a.pin.time, a.pin.id).cmp(&(&b.volume, b.pin.time, b.pin.id)));
        all
    }

    /// A snapshot.
    pub fn snapshot(&self, volume: &str, name: &str) -> Result<SnapshotInfo> {
        let id = self.id_of(volume)?;
        let pin = self
            .engine
            .system()
            .state(|state| state.pins().find(|pin| pin.volume == id && *pin.name == *name).cloned());
        let pin = pin.ok_or_else(|| unknown(volume, name))?;
        Ok(SnapshotInfo { volume: volume.to_owned(), pin })
    }

    /// A snapshot, whatever its name.
    pub fn snapshot_by_id(&self, id: PinId) -> Option<SnapshotInfo> {
        self.engine.system().state(|state| {
            let pin = state.pin(id)?.clone();
            Some(SnapshotInfo { volume: name_of(state, pin.volume), pin })
        })
    }

    /// Takes a snapshot.
    pub async fn create_snapshot(&self, volume: &str, new: NewSnapshot) -> Result<SnapshotInfo> {
        self.take_snapshot(volume, new, "").await
    }

    /// Takes a snapshot that a schedule asks for, which is called something else if its name is taken, or, where the schedule has
    /// no name, a person.
    pub(super) async fn take_snapshot(&self, volume: &str, new: NewSnapshot, schedule: &str) -> Result<SnapshotInfo> {
        check_name(&new.name, "snapshot")?;
        let (home, timeline) = self.find(volume)?;
        let view = match &new.at {
            Moment::Now => PinnedView::Now(timeline.id()),
            at => PinnedView::At(timeline.id(), self.lsn_of(&timeline, at).await?),
        };
        let wanted = Wanted { new, volume: home.id, schedule: schedule.to_owned(), now: self.engine.now() };
        let decide = move |txn: &mut Txn<'_>, stand: Stand, id| wanted.put(txn, stand, id);
        let pin = submitted(|done| self.engine.pin(view, decide, done)).await?;
        Ok(SnapshotInfo { volume: volume.to_owned(), pin })
    }

    /// The LSN of a moment.
    pub(super) async fn lsn_of(&self, timeline: &Timeline, at: &Moment) -> Result<Lsn> {
        let (done, found) = completion::pair();
        match at {
            Moment::Now => return Ok(timeline.visible_lsn()),
            Moment::Lsn(lsn) => return Ok(Lsn(*lsn)),
            Moment::Time(time) if *time > self.engine.now() => {
                return Err(VolumeError::Invalid("That moment is in the future.".to_owned()));
            }
            Moment::Time(time) => timeline.lsn_at_time(*time, done),
            Moment::Offset { topic, partition, offset } => {
                let number = topic_number(timeline, topic)?;
                timeline.lsn_before_offset(TopicPartition::new(number, *partition), *offset, done);
            }
            Moment::Record { topic, time } => timeline.lsn_before_record(topic_number(timeline, topic)?, *time, done),
        }
        match found.await.unwrap_or(Err(Error::Closed)) {
            Err(Error::UnknownPartition) => Err(VolumeError::Invalid("The topic has no such partition.".to_owned())),
            found => Ok(found?),
        }
    }

    /// Protects a snapshot or not, and says how long it is kept from now on (`Some(None)`: until it is deleted).
    pub async fn alter_snapshot(
        &self,
        volume: &str,
        name: &str,
        protected: Option<bool>,
        lifetime_ms: Option<Option<i64>>,
    ) -> Result<SnapshotInfo> {
        let found = self.snapshot(volume, name)?;
        let (id, now) = (found.pin.id, self.engine.now());
        let why = unknown(volume, name);
        self.decide(move |txn| {
            let pin: Pin = txn.get(&id).ok_or(why)?;
            let expires = lifetime_ms.map_or(pin.expires, |lifetime| expiry(now, lifetime));
            txn.put(Pin { protected: protected.unwrap_or(pin.protected), expires, ..pin });
            Ok(())
        })
        .await?;
        self.snapshot(volume, name)
    }

    /// Deletes a snapshot that is not protected and that no listener shows. What nothing else needs of it goes by the next collection.
    pub async fn delete_snapshot(&self, volume: &str, name: &str) -> Result<()> {
        let id = self.snapshot(volume, name)?.pin.id;
        let (home, name) = (volume.to_owned(), name.to_owned());
        self.unpin(id, move |pin| match pin {
            None => Err(unknown(&home, &name)),
            Some(pin) if pin.protected => Err(VolumeError::Protected(format!("{home}@{name}"))),
            Some(_) => Ok(()),
        })
        .await
    }

    /// Gives a pin up, with the positions that were committed on it, if `agree` does and no listener shows it.
    pub(super) async fn unpin(
        &self,
        id: PinId,
        agree: impl FnOnce(Option<&Pin>) -> Result<()> + Send + 'static,
    ) -> Result<()> {
        let decide = move |txn: &mut Txn<'_>, pin: Option<&Pin>| {
            agree(pin)?;
            super::listeners::check_snapshot(txn, id)?;
            documents::remove_below(txn, Collection::SnapshotPositions, &format!("{}/", id.0));
            Ok(())
        };
        submitted(|done| self.engine.unpin(id, decide, done)).await
    }

    /// A volume by its name, also one that was deleted.
    fn id_of(&self, name: &str) -> Result<VolumeId> {
        let id = self.engine.system().state(|state| {
            let former = || documents::find::<FormerVolume>(state, Collection::FormerVolumes, name);
            state.volume(name).map(|volume| volume.id).or_else(|| Some(VolumeId(former()?.id)))
        });
        id.ok_or_else(|| VolumeError::UnknownVolume(name.to_owned()))
    }
}

/// A snapshot as it is put when its view is durable.
struct Wanted {
    new: NewSnapshot,
    volume: VolumeId,
    schedule: String,
    now: i64,
}

impl Wanted {
    /// In the writer of `system`.
    fn put(self, txn: &mut Txn<'_>, stand: Stand, id: PinId) -> Result<Pin> {
        if current_timeline(txn, self.volume) != Some(stand.timeline) {
            return Err(VolumeError::InTheWay("The volume was restored or deleted meanwhile: try again.".to_owned()));
        }
        let name = if self.schedule.is_empty() {
            check_vacant(txn, self.volume, &self.new.name)?;
            self.new.name
        } else {
            free_name(txn, self.volume, &self.new.name)
        };
        let pin = Pin {
            id,
            timeline: stand.timeline,
            lsn: stand.lsn,
            kind: PinKind::Snapshot,
            created: self.now,
            volume: self.volume,
            time: stand.time,
            expires: expiry(self.now, self.new.lifetime_ms),
            protected: self.new.protected,
            name: name.into(),
            schedule: self.schedule.as_str().into(),
        };
        txn.put(pin.clone());
        Ok(pin)
    }
}

/// In the writer of `system`: the timeline that a volume is in.
fn current_timeline(txn: &Txn<'_>, id: VolumeId) -> Option<TimelineId> {
    txn.all::<Volume>().into_iter().find(|volume| volume.id == id).map(|volume| volume.timeline)
}

/// In the writer of `system`: refuses a name that another snapshot of the volume has.
fn check_vacant(txn: &Txn<'_>, volume: VolumeId, name: &str) -> Result<()> {
    if is_taken(txn, volume, name) {
        return Err(VolumeError::Taken(format!(
            "There is a snapshot {name} of this volume already: choose another name, or delete it first."
        )));
    }
    Ok(())
}

/// In the writer of `system`: a name that no snapshot of the volume has, which begins so.
pub(super) fn free_name(txn: &Txn<'_>, volume: VolumeId, label: &str) -> String {
    let (mut name, mut nth) = (label.to_owned(), 1);
    while is_taken(txn, volume, &name) {
        nth += 1;
        name = format!("{label}-{nth}");
    }
    name
}

/// In the writer of `system`: whether a snapshot of the volume has the name.
fn is_taken(txn: &Txn<'_>, volume: VolumeId, name: &str) -> bool {
    txn.all::<Pin>().iter().any(|pin| pin.volume == volume && *pin.name == *name)
}

/// When something that is kept for so long from now on goes.
pub(super) fn expiry(now: i64, lifetime_ms: Option<i64>) -> Option<i64> {
    lifetime_ms.map(|lifetime| now.saturating_add(lifetime))
}

fn topic_number(timeline: &Timeline, topic: &str) -> Result<TopicNumber> {
    let found = timeline.state(|state| state.topic_by_short_name(topic).map(|topic| topic.number));
    found.ok_or_else(|| VolumeError::Invalid(format!("The volume has no topic {topic} now: say a time or an LSN.")))
}

/// What a volume is, or was, called.
fn name_of(state: &State, id: VolumeId) -> String {
    if let Some(volume) = state.volume_by_id(id) {
        return volume.name.to_string();
    }
    let former = documents::all::<FormerVolume>(state, Collection::FormerVolumes).into_iter();
    let name = former.filter(|(_, former)| former.id == id.0).map(|(name, _)| name).next();
    name.map_or_else(|| format!("volume {}", id.0), |name| name.to_string())
}

fn unknown(volume: &str, snapshot: &str) -> VolumeError {
    VolumeError::UnknownSnapshot { volume: volume.to_owned(), snapshot: snapshot.to_owned() }
}
