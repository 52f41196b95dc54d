//! Why something with a volume was not done. Displays as what people are told, with what to do next.

use millpond_storage::{Error as StorageError, Moment};

use super::moment::show_time;
use crate::topics::config_keys::InvalidConfig;

/// Why something with a volume was not done.
#[derive(Clone, Debug, thiserror::Error)]
pub enum VolumeError {
    /// There is no such volume.
    #[error(
        "There is no volume {0:?}. `millpond volume list` shows those that there are, `millpond volume create NAME` makes one."
    )]
    UnknownVolume(String),
    /// The volume has no such stream.
    #[error("Volume {volume} has no stream {stream:?}. `millpond stream list {volume}` shows those that it has.")]
    UnknownStream {
        /// The volume.
        volume: String,
        /// What was asked for.
        stream: String,
    },
    /// The volume has no such snapshot.
    #[error("Volume {volume} has no snapshot {snapshot:?}. `millpond snapshot list {volume}` shows those that it has.")]
    UnknownSnapshot {
        /// The volume.
        volume: String,
        /// What was asked for.
        snapshot: String,
    },
    /// The volume has no such schedule.
    #[error("Volume {volume} has no schedule {schedule:?}. `millpond schedule list {volume}` shows those that it has.")]
    UnknownSchedule {
        /// The volume.
        volume: String,
        /// What was asked for.
        schedule: String,
    },
    /// Nothing can be called so.
    #[error(
        "{0:?} cannot be the name of a {1}: letters, digits, '_' and '-' make one, a letter or digit first, 64 at most."
    )]
    InvalidName(String, &'static str),
    /// Something asked for that cannot be.
    #[error("{0}")]
    Invalid(String),
    /// A key or value of configuration that topics do not take.
    #[error(transparent)]
    InvalidConfig(#[from] InvalidConfig),
    /// The name is taken.
    #[error("{0}")]
    Taken(String),
    /// What is there forbids it.
    #[error("{0}")]
    InTheWay(String),
    /// The snapshot is protected.
    #[error("Snapshot {0} is protected. `millpond snapshot unprotect {0}` lets it be deleted.")]
    Protected(String),
    /// A past that is no longer kept.
    #[error("{0}")]
    Forgotten(String),
    /// The engine could not.
    #[error(transparent)]
    Storage(StorageError),
}

impl From<StorageError> for VolumeError {
    fn from(error: StorageError) -> Self {
        match error {
            StorageError::Invalid(why) => Self::Invalid(why),
            StorageError::Forgotten { oldest } => Self::Forgotten(forgotten(oldest)),
            error => Self::Storage(error),
        }
    }
}

fn forgotten(oldest: Option<Moment>) -> String {
    match oldest {
        Some(Moment { lsn, time }) => format!(
            "That past is no longer kept. The oldest that can be had is of {} (--at lsn:{lsn}); \
             `millpond volume alter VOLUME --history TIME` keeps more from now on.",
            show_time(time)
        ),
        None => "That past is no longer kept: only snapshots are left of it.".to_owned(),
    }
}
