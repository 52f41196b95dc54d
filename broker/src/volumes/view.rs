//! Views by name: `trading`, which is the volume as it is now, `trading@close`, which is a snapshot of it, and
//! `trading@2026-11-24T16:00:00Z`, `trading@16:00`, `trading@lsn:4711` or `trading@taq.trades/0/1234`, which are moments of its
//! past (`moment`).

use std::fmt;
use std::str::FromStr;

use millpond_storage::state::PinId;
use millpond_storage::{Error, Timeline, View};

use super::{Result, VolumeError, Volumes, check_name};
use crate::completion;

/// How often a volume as it is now is looked at where the floor of a past that is not kept at all comes between.
const TRIES: usize = 5;

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
    /// Keeps what it shows while it is held.
    pub(super) view: View,
    /// The time of its last group, in milliseconds.
    pub(super) time: i64,
    /// The snapshot, if it is one.
    pub(super) pin: Option<PinId>,
}

impl Volumes {
    /// Finds a view, and keeps it.
    pub(super) async fn find_view(&self, name: &ViewName) -> Result<Found> {
        if let Some(snapshot) = &name.snapshot {
            let pin = self.snapshot(&name.volume, snapshot)?.pin;
            let timeline = self.engine.timeline(pin.timeline).ok_or(VolumeError::Storage(Error::Closed))?;
            return Ok(Found { view: timeline.at(pin.lsn)?, timeline, time: pin.time, pin: Some(pin.id) });
        }
        let Some(moment) = &name.moment else { return self.find_now(&name.volume).await };
        let timeline = self.settled(&name.volume).await?;
        let lsn = self.lsn_of(&timeline, &self.moment(moment)?).await?;
        let view = timeline.at(lsn)?;
        let (done, time) = completion::pair();
        timeline.time_of(lsn, done);
        let time = time.await.unwrap_or(Err(Error::Closed))?;
        Ok(Found { timeline, view, time, pin: None })
    }

    async fn find_now(&self, volume: &str) -> Result<Found> {
        let mut tries = 1;
        loop {
            let timeline = self.settled(volume).await?;
            match timeline.at(timeline.visible_lsn()) {
                Err(Error::Forgotten { .. }) if tries < TRIES => tries += 1,
                view => return Ok(Found { view: view?, time: self.engine.now(), timeline, pin: None }),
            }
        }
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
