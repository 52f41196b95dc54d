//! Views by name: `trading`, which is the volume as it is now, `trading@close`, which is a snapshot of it, and
//! `trading@2026-11-24T16:00:00Z`, `trading@16:00`, `trading@lsn:4711` or `trading@taq.trades/0/1234`, which are moments of its
//! past (`moment`).

use std::fmt;
use std::str::FromStr;

use millpond_storage::state::PinId;
use millpond_storage::{Error, Lsn, Timeline};

use super::{Result, VolumeError, Volumes, check_name};
use crate::completion;

/// The name of a view: of the volume as it is now, unless it names a snapshot or a moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ViewName {
    /// The volume.
    pub volume: String,
    /// The snapshot.
    pub snapshot: Option<String>,
    /// The moment, as people write it.
    pub moment: Option<String>,
}

/// Where a view is.
#[derive(Clone, Debug)]
pub(super) struct Found {
    pub(super) timeline: Timeline,
    pub(super) lsn: Lsn,
    /// The time of its last group, in milliseconds.
    pub(super) time: i64,
    /// The snapshot, if it is one.
    pub(super) pin: Option<PinId>,
}

impl Volumes {
    /// Finds a view. Unless it is a snapshot, nothing keeps it yet.
    pub(super) async fn find_view(&self, name: &ViewName) -> Result<Found> {
        if let Some(snapshot) = &name.snapshot {
            let pin = self.snapshot(&name.volume, snapshot)?.pin;
            let timeline = self.engine.timeline(pin.timeline).ok_or(VolumeError::Storage(Error::Closed))?;
            return Ok(Found { timeline, lsn: pin.lsn, time: pin.time, pin: Some(pin.id) });
        }
        let timeline = self.settled(&name.volume).await?;
        let Some(moment) = &name.moment else {
            return Ok(Found { lsn: timeline.visible_lsn(), time: self.engine.now(), timeline, pin: None });
        };
        let lsn = self.lsn_of(&timeline, &self.moment(moment)?).await?;
        let (done, time) = completion::pair();
        timeline.time_of(lsn, done);
        let time = time.await.unwrap_or(Err(Error::Closed))?;
        Ok(Found { timeline, lsn, time, pin: None })
    }
}

impl ViewName {
    /// Whether it is the volume as it is now.
    pub fn is_now(&self) -> bool {
        self.snapshot.is_none() && self.moment.is_none()
    }
}

impl FromStr for ViewName {
    type Err = VolumeError;

    fn from_str(text: &str) -> Result<Self> {
        let (volume, of) = text.split_once('@').map_or((text, None), |(volume, of)| (volume, Some(of)));
        check_name(volume, "volume")?;
        let volume = volume.to_owned();
        match of {
            None => Ok(Self { volume, ..Self::default() }),
            // No name of a snapshot has any of these, and every moment has one.
            Some(moment) if moment.contains([':', '/']) => {
                Ok(Self { volume, moment: Some(moment.to_owned()), snapshot: None })
            }
            Some(snapshot) => {
                check_name(snapshot, "snapshot")?;
                Ok(Self { volume, snapshot: Some(snapshot.to_owned()), moment: None })
            }
        }
    }
}

impl fmt::Display for ViewName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.snapshot.as_ref().or(self.moment.as_ref()) {
            Some(of) => write!(f, "{}@{of}", self.volume),
            None => f.write_str(&self.volume),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_view_is_a_volume_a_snapshot_or_a_moment_of_it() {
        for (text, is_snapshot, is_moment) in [
            ("trading", false, false),
            ("trading@close", true, false),
            ("trading@2026-11-24T16:00:00Z", false, true),
            ("trading@16:00", false, true),
            ("trading@lsn:7", false, true),
            ("trading@taq.trades/0/12", false, true),
        ] {
            let name = text.parse::<ViewName>().unwrap();
            assert_eq!(name.to_string(), text);
            assert_eq!((name.snapshot.is_some(), name.moment.is_some()), (is_snapshot, is_moment), "{text}");
        }
        for text in ["", "@close", "trading@", "a.b", "trading@a@b", "trading@a.b", "a:b"] {
            assert!(text.parse::<ViewName>().is_err(), "{text:?}");
        }
    }
}
