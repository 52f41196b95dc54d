//! Creating volumes: a timeline is made, then one group of facts in `system` names it.

use std::sync::Arc;

use millpond_storage::state::{DEFAULT_STREAM, Durability, Pin, State, TimelineInfo, Txn, Volume};
use millpond_storage::{DEFAULT_VOLUME, NewTimeline};

use super::describe::check_history;
use super::mount::{check_free, check_mount};
use super::{Result, VolumeError, VolumeInfo, Volumes, check_name, limits, submitted};
use crate::documents::{self, Collection, FormerVolume, VolumeLimits, VolumeSettings};

/// The name of the log that no client can name.
const SYSTEM: &str = "system";

/// A volume to create.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewVolume {
    /// Its name.
    pub name: String,
    /// What it is mounted at; none: `/` and its name.
    pub mount: Option<String>,
    /// When writes are acknowledged; none: as the broker is set.
    pub durability: Option<Durability>,
    /// Whether its topics are listed on the listener that shows everything.
    pub listed: bool,
    /// How far back its past may be frozen, in milliseconds; none: as the broker is set.
    pub history_ms: Option<i64>,
    /// What it may hold.
    pub limits: VolumeLimits,
}

impl NewVolume {
    /// What is said of it beside its fact.
    pub(super) fn settings(&self) -> VolumeSettings {
        VolumeSettings { history_ms: self.history_ms, limits: self.limits.clone(), ..VolumeSettings::default() }
    }
}

impl Volumes {
    /// Creates an empty volume.
    pub async fn create(&self, new: NewVolume) -> Result<VolumeInfo> {
        let settings = new.settings();
        self.create_from(new, NewTimeline::default(), settings, |_| Ok(())).await
    }

    /// Creates a volume on a timeline that is made for it, if `agree` does when it comes to that.
    pub(super) async fn create_from(
        &self,
        new: NewVolume,
        timeline: NewTimeline,
        settings: VolumeSettings,
        agree: impl FnOnce(&Txn<'_>) -> Result<()> + Send + 'static,
    ) -> Result<VolumeInfo> {
        let mount = check_new(&new)?;
        // What can be seen now is refused before files are made.
        self.decide({
            let (new, mount) = (new.clone(), Arc::clone(&mount));
            move |txn| check_vacant(txn, &new.name, &mount)
        })
        .await?;
        let reserved = self.topics.reserve(&new.name);
        self.check_prefix(&new.name).await?;
        let name = new.name.clone();
        let decide = move |txn: &mut Txn<'_>, info: &TimelineInfo| {
            check_vacant(txn, &new.name, &mount)?;
            agree(txn)?;
            documents::remove(txn, Collection::FormerVolumes, &new.name);
            if settings != VolumeSettings::default() {
                txn.put(Collection::VolumeSettings.document(&info.volume.0.to_string(), &settings));
            }
            txn.put(volume_of(&new, mount, info));
            Ok(())
        };
        submitted(|done| {
            let done = move |outcome| {
                // It can be seen, or never will be; whoever asked for it may be gone.
                drop(reserved);
                done(outcome);
            };
            self.engine.branch(timeline, decide, done);
        })
        .await?;
        self.describe(&name)
    }

    /// Refuses a name that plain topics begin with: they would no longer be found by theirs.
    async fn check_prefix(&self, name: &str) -> Result<()> {
        let timeline = self.settled(DEFAULT_VOLUME).await?;
        let held = timeline.state(|state| plain_below(state, name));
        match held {
            None => Ok(()),
            Some(topic) => Err(VolumeError::InTheWay(format!(
                "Topic {topic} of volume default has the name of a topic in a volume {name}: delete it or choose another name."
            ))),
        }
    }
}

/// A plain topic whose name begins with a label.
fn plain_below(state: &State, label: &str) -> Option<String> {
    let mut plain = state.topics_in(DEFAULT_STREAM).map(|topic| &topic.name.topic);
    let below = plain.find(|topic| topic.strip_prefix(label).is_some_and(|rest| rest.starts_with('.')))?;
    Some(below.to_string())
}

fn check_new(new: &NewVolume) -> Result<Arc<str>> {
    check_name(&new.name, "volume")?;
    limits::check(&new.limits)?;
    check_history(new.history_ms)?;
    if matches!(new.name.as_str(), DEFAULT_VOLUME | SYSTEM) {
        return Err(VolumeError::Taken(format!("The name {} is the broker's own: choose another.", new.name)));
    }
    let mount = new.mount.clone().unwrap_or_else(|| format!("/{}", new.name));
    check_mount(&mount)?;
    Ok(mount.into())
}

/// In the writer of `system`: nothing has the name or stands at the mount.
fn check_vacant(txn: &Txn<'_>, name: &str, mount: &str) -> Result<()> {
    if txn.get::<Volume>(&name.into()).is_some() {
        return Err(VolumeError::Taken(format!(
            "There is a volume {name} already. `millpond volume describe {name}` shows it."
        )));
    }
    let former: Option<FormerVolume> = documents::get(txn, Collection::FormerVolumes, name)?;
    let is_left = |former: &FormerVolume| txn.all::<Pin>().iter().any(|pin| pin.volume.0 == former.id);
    if former.as_ref().is_some_and(is_left) {
        return Err(VolumeError::InTheWay(format!(
            "Snapshots of the volume {name} that was deleted are left: delete them first (`millpond snapshot list {name}`)."
        )));
    }
    check_free(txn, mount, None)
}

fn volume_of(new: &NewVolume, mount: Arc<str>, info: &TimelineInfo) -> Volume {
    Volume {
        name: new.name.as_str().into(),
        id: info.volume,
        timeline: info.id,
        durability: new.durability,
        created: info.created,
        listed: new.listed,
        mount,
    }
}
