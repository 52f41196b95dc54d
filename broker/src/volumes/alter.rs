//! Changing volumes: durability, mount, whether they are listed, how far back their past is kept, what they may hold.

use millpond_storage::DEFAULT_VOLUME;
use millpond_storage::state::{Durability, Txn, Volume};

use super::describe::check_history;
use super::limits::LimitsChange;
use super::mount::{check_free, check_mount};
use super::{Result, VolumeError, VolumeInfo, Volumes, current};
use crate::documents::{self, Collection, VolumeSettings};

/// What is to be changed on a volume; what is none stays.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VolumeChange {
    /// When writes are acknowledged; `Some(None)`: as the broker is set.
    pub durability: Option<Option<Durability>>,
    /// What it is mounted at.
    pub mount: Option<String>,
    /// Whether its topics are listed on the listener that shows everything.
    pub listed: Option<bool>,
    /// How far back its past may be frozen, in milliseconds; `Some(None)`: as the broker is set.
    pub history_ms: Option<Option<i64>>,
    /// What it may hold.
    pub limits: LimitsChange,
}

impl Volumes {
    /// Changes a volume: all of it, or nothing.
    pub async fn alter(&self, name: &str, change: VolumeChange) -> Result<VolumeInfo> {
        if let Some(mount) = &change.mount {
            check_mount(mount)?;
        }
        check_history(change.history_ms.flatten())?;
        if name == DEFAULT_VOLUME && (change.mount.is_some() || change.listed == Some(false)) {
            return Err(VolumeError::Invalid("Volume default is mounted at /default and listed, always.".to_owned()));
        }
        let named = name.to_owned();
        self.decide(move |txn| apply(txn, &named, change)).await?;
        self.engine.renew_durability(name);
        self.describe(name)
    }
}

/// In the writer of `system`.
fn apply(txn: &mut Txn<'_>, name: &str, change: VolumeChange) -> Result<()> {
    let mut volume: Volume = current(txn, name)?;
    if let Some(mount) = change.mount {
        check_free(txn, &mount, Some(volume.id))?;
        volume.mount = mount.into();
    }
    volume.durability = change.durability.unwrap_or(volume.durability);
    volume.listed = change.listed.unwrap_or(volume.listed);
    if change.history_ms.is_some() || change.limits != LimitsChange::default() {
        let key = volume.id.0.to_string();
        let known: Option<VolumeSettings> = documents::get(txn, Collection::VolumeSettings, &key)?;
        let known = known.unwrap_or_default();
        let history_ms = change.history_ms.unwrap_or(known.history_ms);
        let limits = change.limits.apply(known.limits)?;
        txn.put(Collection::VolumeSettings.document(&key, &VolumeSettings { history_ms, limits, ..known }));
    }
    // Also where it says what it said: whoever keeps what is said of volumes looks again.
    txn.put(volume);
    Ok(())
}
