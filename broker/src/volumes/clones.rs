//! Clones, which are volumes on a timeline that branches off a view, and restores, after which a volume's name points at such a one.

use millpond_storage::state::{Numbers, Pin, PinId, PinKind, TimelineInfo, Txn, Volume};
use millpond_storage::{Engine, Error, NewTimeline, Stand, TimelineId};

use super::create::NewVolume;
use super::moment::label_of;
use super::snapshots::{expiry, free_name};
use super::view::{Found, ViewName};
use super::{Result, SnapshotInfo, VolumeError, VolumeInfo, Volumes, current, submitted};
use crate::documents::{self, Ancestor, Collection, FormerVolume, VolumeSettings};
use crate::groups::note_restore;

/// How long a safety snapshot is kept where nobody says: a day.
pub const SAFETY_LIFETIME_MS: i64 = 86_400_000;

impl Volumes {
    /// Clones a view: a volume that holds what the view shows, is writable at once and shares its bytes.
    pub async fn clone_view(&self, from: &ViewName, new: NewVolume) -> Result<VolumeInfo> {
        let Source { found: Found { timeline, view, pin, .. }, ancestors } = self.source(from).await?;
        let settings = VolumeSettings { ancestors, ..new.settings() };
        let timeline = NewTimeline { from: Some((timeline.id(), view.lsn())), volume: None };
        let agree = move |txn: &Txn<'_>| match pin {
            Some(id) if txn.get::<Pin>(&id).is_none() => {
                Err(VolumeError::InTheWay("The snapshot was deleted meanwhile.".to_owned()))
            }
            _ => Ok(()),
        };
        self.create_from(new, timeline, settings, agree).await
    }

    /// Where a view stands, and what a clone of it descends from.
    async fn source(&self, from: &ViewName) -> Result<Source> {
        let found = self.find_view(from).await?;
        let (snapshot, lsn, time) = (from.snapshot.clone(), found.view.lsn().0, found.time);
        let parent = Ancestor { snapshot, lsn, time, ..ancestor_of(&self.engine, &from.volume) };
        let older = self.engine.system().state(|state| {
            documents::find::<VolumeSettings>(state, Collection::VolumeSettings, &parent.id.to_string())
        });
        let mut ancestors = vec![parent];
        ancestors.extend(older.unwrap_or_default().ancestors);
        Ok(Source { found, ancestors })
    }

    /// Takes a volume back to one of its snapshots. What it was until then becomes a safety snapshot, which is given. Members of
    /// groups that consume the volume are sent away, to find the positions that it has now.
    pub async fn restore(&self, volume: &str, snapshot: &str, lifetime_ms: Option<i64>) -> Result<SnapshotInfo> {
        let (known, timeline) = self.find(volume)?;
        let to = self.snapshot(volume, snapshot)?.pin;
        let new = NewTimeline { from: Some((to.timeline, to.lsn)), volume: Some(known.id) };
        let handover = Handover {
            volume: volume.to_owned(),
            to: to.id,
            from: timeline.id(),
            now: self.engine.now(),
            label: format!("before-restore-{}", label_of(self.engine.now(), &self.zone)),
            expires: expiry(self.engine.now(), lifetime_ms),
        };
        let decide = move |txn: &mut Txn<'_>, info: &TimelineInfo, end: Stand| {
            let safety = handover.put(txn, info, end)?;
            Ok((safety, info.id))
        };
        let (fence, from) = (self.groups.begin_fence(known.id), timeline.id());
        let (safety, _) = submitted(|done| {
            let done = move |outcome| {
                // Here, since whoever asked for it may be gone.
                if let Ok(Ok((_, to))) = &outcome {
                    fence.carry_out(from, *to);
                }
                done(outcome);
            };
            self.engine.replace(from, new, decide, done);
        })
        .await?;
        Ok(SnapshotInfo { volume: volume.to_owned(), pin: safety })
    }
}

/// A view to clone.
struct Source {
    found: Found,
    /// The volume of the view, and those that it descends from.
    ancestors: Vec<Ancestor>,
}

/// A volume as an ancestor, also one that was deleted.
fn ancestor_of(engine: &Engine, name: &str) -> Ancestor {
    engine.system().state(|state| {
        let former = || documents::find::<FormerVolume>(state, Collection::FormerVolumes, name);
        let known = state.volume(name).map(|volume| (volume.id.0, volume.mount.to_string()));
        let (id, mount) = known.or_else(|| former().map(|former| (former.id, former.mount))).unwrap_or_default();
        Ancestor { id, name: name.to_owned(), mount, ..Ancestor::default() }
    })
}

/// A restore, when it comes to the facts.
struct Handover {
    volume: String,
    to: PinId,
    from: TimelineId,
    now: i64,
    label: String,
    expires: Option<i64>,
}

impl Handover {
    /// In the writer of `system`: the name moves, and the old end is kept.
    fn put(self, txn: &mut Txn<'_>, info: &TimelineInfo, end: Stand) -> Result<Pin> {
        let volume = current(txn, &self.volume)?;
        if volume.timeline != self.from || txn.get::<Pin>(&self.to).is_none() {
            let why = "The volume was restored, or the snapshot deleted, meanwhile: try again.";
            return Err(VolumeError::InTheWay(why.to_owned()));
        }
        let id =
            txn.take(Numbers::Pin, 1).ok_or_else(|| Error::Invalid("no numbers are left for a snapshot".into()))?;
        let name = free_name(txn, volume.id, &self.label);
        let safety = Pin {
            id: PinId(id),
            timeline: end.timeline,
            lsn: end.lsn,
            kind: PinKind::Safety,
            created: self.now,
            volume: volume.id,
            time: end.time,
            expires: self.expires,
            protected: false,
            name: name.into(),
            schedule: "".into(),
        };
        txn.put(safety.clone());
        note_restore(txn, volume.id, self.from, info.id);
        txn.put(Volume { timeline: info.id, ..volume });
        Ok(safety)
    }
}
