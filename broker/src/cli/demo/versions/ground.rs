//! What the demo stands on: its volumes, topics and listeners, made and removed over HTTP.
//!
//! A volume that holds anything else than the demo's two topics is never removed.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::time::Instant;

use super::super::super::failure::Failure;
use super::super::super::remote::Remote;
use super::program::{BARS, TRADES};
use crate::http::clones::NewClone;
use crate::http::listeners::{Listener, ListenerList, NewListener};
use crate::http::snapshots::{AtRecord, NewSnapshot, Snapshot, SnapshotList};
use crate::http::topics::{NewTopic, Topic};
use crate::http::volumes::{NewVolume, Volume, VolumeList};

/// The name of the snapshot.
pub(super) const SNAPSHOT: &str = "close";
/// Volumes by other programs may be short of history: the demo's is not.
const HISTORY_MS: i64 = 24 * 3_600_000;

/// The demo's place on a broker.
#[derive(Debug)]
pub(super) struct Ground {
    pub(super) remote: Remote,
    /// The live volume.
    pub(super) volume: String,
    /// Its clone.
    pub(super) clone: String,
    /// Where clients see the one and the other.
    pub(super) addresses: [SocketAddr; 2],
}

/// What there is already.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) volumes: Vec<Volume>,
    snapshots: Vec<Snapshot>,
    listeners: Vec<Listener>,
}

impl Found {
    /// Where a volume is seen.
    pub(super) fn address_of(&self, volume: &str) -> Option<SocketAddr> {
        let shows = |listener: &&Listener| listener.shows.as_deref() == Some(volume);
        self.listeners.iter().find(shows).map(|listener| listener.address)
    }

    /// What was removed, or is in the way, in words; none if there is nothing.
    pub(super) fn words(&self) -> Option<String> {
        let volumes = self.volumes.iter().map(|volume| format!("volume {}", volume.name));
        let snapshots = self.snapshots.iter().map(|snapshot| format!("snapshot {}@{}", snapshot.volume, snapshot.name));
        let listeners = self.listeners.iter().map(|listener| format!("the listener at {}", listener.address));
        let all: Vec<String> = volumes.chain(snapshots).chain(listeners).collect();
        match all.as_slice() {
            [] => None,
            [one] => Some(one.clone()),
            [most @ .., last] => Some(format!("{} and {last}", most.join(", "))),
        }
    }
}

impl Ground {
    fn is_mine(&self, name: &str) -> bool {
        name == self.volume || name == self.clone
    }

    /// Of the demo's names, what there is. A listener is the demo's if it shows one of its volumes.
    pub(super) async fn found(&self) -> Result<Found, Failure> {
        let volumes: VolumeList = self.remote.get(&["volumes"]).await?;
        let snapshots: SnapshotList = self.remote.get(&["snapshots"]).await?;
        let listeners: ListenerList = self.remote.get(&["listeners"]).await?;
        let shows_mine = |listener: &Listener| {
            let shows = listener.shows.as_deref().unwrap_or_default();
            self.is_mine(shows.split('@').next().unwrap_or_default())
        };
        Ok(Found {
            volumes: volumes.volumes.into_iter().filter(|volume| self.is_mine(&volume.name)).collect(),
            snapshots: snapshots.snapshots.into_iter().filter(|snapshot| self.is_mine(&snapshot.volume)).collect(),
            listeners: listeners.listeners.into_iter().filter(shows_mine).collect(),
        })
    }

    /// Removes what there is, if all of it is the demo's.
    pub(super) async fn clear(&self, found: &Found) -> Result<(), Failure> {
        for volume in &found.volumes {
            self.refuse_foreign(volume).await?;
        }
        for listener in &found.listeners {
            self.remote.delete(&["listeners", &listener.address.to_string()]).await?;
        }
        for snapshot in &found.snapshots {
            self.remote.delete(&["volumes", &snapshot.volume, "snapshots", &snapshot.name]).await?;
        }
        for volume in &found.volumes {
            self.remote.delete_by_force(&["volumes", &volume.name], true).await?;
        }
        Ok(())
    }

    async fn refuse_foreign(&self, volume: &Volume) -> Result<(), Failure> {
        let mut mine = 0;
        for topic in [TRADES, BARS] {
            let found: Option<Topic> = self.remote.find(&["topics", &name_of(&volume.name, topic)]).await?;
            mine += usize::from(found.is_some());
        }
        if volume.topics <= mine {
            return Ok(());
        }
        Err(Failure::new(format!(
            "volume {} has {} topics, and this demo made only {mine} of them: it is left alone. Take another name with \
             --volume NAME.",
            volume.name, volume.topics
        )))
    }

    /// Refuses addresses at which something else is shown: adding a listener there would replace it.
    pub(super) async fn refuse_taken(&self) -> Result<(), Failure> {
        let listeners: ListenerList = self.remote.get(&["listeners"]).await?;
        let taken = |listener: &&Listener| listener.shows.is_some() && self.addresses.contains(&listener.address);
        match listeners.listeners.iter().find(taken) {
            None => Ok(()),
            Some(Listener { address, shows, .. }) => Err(Failure::new(format!(
                "{address} shows {} already. Choose other addresses with --listen ADDRESS,ADDRESS.",
                shows.as_deref().unwrap_or_default()
            ))),
        }
    }

    /// Makes the volume with its two topics; none of their records goes by age, since trading days may be old.
    pub(super) async fn make(&self, partitions: i32) -> Result<(), Failure> {
        let volume = NewVolume { name: self.volume.clone(), history_ms: Some(HISTORY_MS), ..NewVolume::default() };
        let _: Volume = self.remote.post(&["volumes"], &volume).await?;
        for topic in [TRADES, BARS] {
            let config = BTreeMap::from([("retention.ms".to_owned(), "-1".to_owned())]);
            let new = NewTopic { name: name_of(&self.volume, topic), partitions: Some(partitions), config };
            let _: Topic = self.remote.post(&["topics"], &new).await?;
        }
        Ok(())
    }

    /// Removes a volume that was made for nothing.
    pub(super) async fn give_up(&self) -> Result<(), Failure> {
        self.remote.delete_by_force(&["volumes", &self.volume], true).await
    }

    /// Shows a volume at an address; the address itself where a free port was asked for.
    pub(super) async fn listen(&self, address: SocketAddr, volume: &str) -> Result<SocketAddr, Failure> {
        let shown = self.show(address, volume).await;
        shown.map_err(|failure| Failure::new(format!("{failure} --listen ADDRESS,ADDRESS chooses others.")))
    }

    async fn show(&self, address: SocketAddr, volume: &str) -> Result<SocketAddr, Failure> {
        let new = NewListener { address, shows: volume.to_owned(), advertised: None };
        let listener: Listener = self.remote.post(&["listeners"], &new).await?;
        Ok(listener.address)
    }

    /// Freezes the volume as it was before the first trade later than `time`; and how long that took.
    pub(super) async fn freeze(&self, time: &str) -> Result<(Snapshot, Duration), Failure> {
        let at_record = AtRecord { topic: TRADES.to_owned(), time: time.to_owned() };
        let new = NewSnapshot { name: SNAPSHOT.to_owned(), at_record: Some(at_record), ..NewSnapshot::default() };
        let from = Instant::now();
        let snapshot = self.remote.post(&["volumes", &self.volume, "snapshots"], &new).await?;
        Ok((snapshot, from.elapsed()))
    }

    /// Makes a volume of the snapshot; and how long that took.
    pub(super) async fn clone(&self) -> Result<(Volume, Duration), Failure> {
        let volume = NewVolume { name: self.clone.clone(), ..NewVolume::default() };
        let new = NewClone::new(format!("{}@{SNAPSHOT}", self.volume), volume);
        let from = Instant::now();
        let clone = self.remote.post(&["clones"], &new).await?;
        Ok((clone, from.elapsed()))
    }
}

/// What a topic of a volume is called where everything is shown.
pub(super) fn name_of(volume: &str, topic: &str) -> String {
    format!("{volume}.default.{topic}")
}
