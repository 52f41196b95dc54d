//! Schedules: snapshots of a volume that are taken by themselves, and go by themselves.
//!
//! A schedule is a document in `system`. Its snapshots bear its name and are the only ones that it lets go. What came due while
//! the broker was down is taken once, when it is up again.

use std::sync::Arc;

use millpond_storage::state::{Pin, VolumeId};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::moment::{Moment, label_of};
use super::timetable::{Keep, Timetable};
use super::{NewSnapshot, Result, VolumeError, Volumes, check_name, current};
use crate::documents::{self, Collection};

/// A schedule, as its document has it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Schedule {
    /// When, and how long: see [`Timetable`].
    pub timetable: String,
    /// When it was created, in milliseconds.
    pub created: i64,
    /// When it last took a snapshot, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<i64>,
    /// What a newer version says.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

/// A schedule of a volume.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScheduleInfo {
    /// The volume.
    pub volume: String,
    /// Its name.
    pub name: String,
    /// What it does.
    pub schedule: Schedule,
    /// When it takes the next snapshot, in milliseconds.
    pub next: Option<i64>,
    /// How many of its snapshots there are.
    pub snapshots: usize,
}

impl Volumes {
    /// All schedules, by volume and name; those of one volume, if one is given.
    pub fn schedules(&self, volume: Option<&str>) -> Result<Vec<ScheduleInfo>> {
        if let Some(name) = volume {
            self.find(name)?;
        }
        let mut found: Vec<ScheduleInfo> = self.engine.system().state(|state| {
            let all = documents::all::<Schedule>(state, Collection::Schedules).into_iter();
            let info = |(key, schedule): (Arc<str>, Schedule)| {
                let (id, name) = parts(&key)?;
                let home = state.volume_by_id(id)?;
                let is_its = |pin: &&Pin| pin.volume == id && *pin.schedule == *name;
                Some(ScheduleInfo {
                    volume: home.name.to_string(),
                    name: name.to_owned(),
                    next: self.next(&schedule),
                    schedule,
                    snapshots: state.pins().filter(is_its).count(),
                })
            };
            all.filter_map(info).filter(|info| volume.is_none_or(|volume| info.volume == volume)).collect()
        });
        found.sort_by(|a, b| (&a.volume, &a.name).cmp(&(&b.volume, &b.name)));
        Ok(found)
    }

    /// Creates a schedule.
    pub async fn create_schedule(&self, volume: &str, name: &str, timetable: &str) -> Result<ScheduleInfo> {
        check_name(name, "schedule")?;
        Timetable::parse(timetable)?;
        let schedule = Schedule { timetable: timetable.to_owned(), created: self.engine.now(), ..Schedule::default() };
        let (home, key) = (volume.to_owned(), name.to_owned());
        self.decide(move |txn| {
            let document = document_name(current(txn, &home)?.id, &key);
            if documents::get::<Schedule>(txn, Collection::Schedules, &document)?.is_some() {
                return Err(VolumeError::Taken(format!(
                    "Volume {home} has a schedule {key} already. `millpond schedule list {home}` shows it."
                )));
            }
            txn.put(Collection::Schedules.document(&document, &schedule));
            Ok(())
        })
        .await?;
        let found = self.schedules(Some(volume))?.into_iter().find(|info| info.name == name);
        found.ok_or_else(|| unknown(volume, name))
    }

    /// Deletes a schedule. Its snapshots stay as they are: those that it kept by their number from now on until they are deleted.
    pub async fn delete_schedule(&self, volume: &str, name: &str) -> Result<()> {
        let (home, key) = (volume.to_owned(), name.to_owned());
        self.decide(move |txn| {
            let document = document_name(current(txn, &home)?.id, &key);
            if documents::get::<Schedule>(txn, Collection::Schedules, &document)?.is_none() {
                return Err(unknown(&home, &key));
            }
            documents::remove(txn, Collection::Schedules, &document);
            Ok(())
        })
        .await
    }

    /// Takes the snapshots that are due, and lets go of those that were kept long enough.
    pub(super) async fn keep_schedules(&self, now: i64) {
        for info in self.schedules(None).unwrap_or_default() {
            if info.next.is_none_or(|next| next > now) {
                continue;
            }
            if let Err(error) = self.run_schedule(&info, now).await {
                tracing::error!(schedule = info.name, volume = info.volume, %error, "a snapshot of a schedule was not taken");
            }
        }
    }

    async fn run_schedule(&self, info: &ScheduleInfo, now: i64) -> Result<()> {
        let keep = Timetable::parse(&info.schedule.timetable)?.keep;
        // First: if the snapshot cannot be taken it is tried again when it is due again, not every second.
        self.note_run(info, now).await?;
        let lifetime_ms = match keep {
            Keep::Last(_) => None,
            Keep::For(millis) => Some(millis),
        };
        let name = snapshot_name(&info.name, &label_of(now, &self.zone));
        let new = NewSnapshot { name, at: Moment::Now, lifetime_ms, protected: false };
        self.take_snapshot(&info.volume, new, &info.name).await?;
        if let Keep::Last(count) = keep {
            self.prune(info, count).await?;
        }
        Ok(())
    }

    async fn note_run(&self, info: &ScheduleInfo, now: i64) -> Result<()> {
        let (home, key) = (info.volume.clone(), info.name.clone());
        self.decide(move |txn| {
            let document = document_name(current(txn, &home)?.id, &key);
            let known: Option<Schedule> = documents::get(txn, Collection::Schedules, &document)?;
            let known = known.ok_or_else(|| unknown(&home, &key))?;
            txn.put(Collection::Schedules.document(&document, &Schedule { last: Some(now), ..known }));
            Ok(())
        })
        .await
    }

    /// Lets go of all but the last snapshots of a schedule, and of those that are protected.
    async fn prune(&self, info: &ScheduleInfo, count: usize) -> Result<()> {
        let mut own: Vec<Pin> = self.snapshots(&info.volume)?.into_iter().map(|found| found.pin).collect();
        own.retain(|pin| *pin.schedule == *info.name);
        let spare = own.len().saturating_sub(count);
        for pin in own.into_iter().take(spare).filter(|pin| !pin.protected) {
            let name = Arc::clone(&pin.name);
            let agree = move |found: Option<&Pin>| match found {
                Some(pin) if pin.protected => Err(VolumeError::Protected(name.to_string())),
                _ => Ok(()),
            };
            match self.unpin(pin.id, agree).await {
                // What is kept, or shown, is looked at again the next time.
                Ok(()) | Err(VolumeError::Protected(_) | VolumeError::InTheWay(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// None also for a timetable that this program does not know.
    fn next(&self, schedule: &Schedule) -> Option<i64> {
        let last = schedule.last.unwrap_or(schedule.created);
        Timetable::parse(&schedule.timetable).ok()?.next_after(last, &self.zone)
    }
}

/// A snapshot's name is as long as a label may be: a long schedule's name is cut, and there is room for a number behind it (clocks
/// that are put back show a time twice).
fn snapshot_name(schedule: &str, label: &str) -> String {
    const SCHEDULE_BYTES_MAX: usize = 44;
    let schedule: String = schedule.chars().take(SCHEDULE_BYTES_MAX).collect();
    format!("{schedule}-{label}")
}

fn document_name(volume: VolumeId, schedule: &str) -> String {
    format!("{}/{schedule}", volume.0)
}

fn parts(document: &str) -> Option<(VolumeId, &str)> {
    let (volume, schedule) = document.split_once('/')?;
    Some((VolumeId(volume.parse().ok()?), schedule))
}

fn unknown(volume: &str, schedule: &str) -> VolumeError {
    VolumeError::UnknownSchedule { volume: volume.to_owned(), schedule: schedule.to_owned() }
}
