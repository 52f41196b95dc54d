//! What a volume may hold, as its topics meet it: bytes, topics, partitions, connections.
//!
//! Bytes are asked for before a batch goes to the writer. Topics and partitions are counted by the writer itself, where a limit
//! is set, so that two that come at once are counted, too.

use std::sync::Arc;

use millpond_storage::state::{Topic, VolumeId};

use super::place::Place;
use super::{Resolved, TopicError, Topics};
use crate::config::show_bytes_roughly;
use crate::documents::VolumeLimits;
use crate::quotas::Charge;
use crate::scope::Scope;

/// What a volume holds, and what it may hold.
#[derive(Clone, Debug)]
pub struct Holding {
    /// Which volume.
    pub id: VolumeId,
    /// Its name.
    pub name: Arc<str>,
    /// Bytes of the batches that it shows.
    pub bytes: u64,
    /// What it may hold.
    pub limits: VolumeLimits,
    /// Batches that its quota has refused since the start.
    pub refused: u64,
}

impl Topics {
    /// What each volume holds, by name.
    pub fn holdings(&self) -> Vec<Holding> {
        let directory = self.directory();
        let holding = |place: &Arc<Place>| Holding {
            id: place.volume,
            name: Arc::clone(&place.own().volume),
            bytes: place.timeline().live_bytes(),
            limits: place.quota.limits.clone(),
            refused: place.quota.room.refused(),
        };
        let mut holdings: Vec<Holding> = directory.volumes().map(holding).collect();
        holdings.sort_by(|a, b| a.name.cmp(&b.name));
        holdings
    }

    /// The volume that a listener shows, or whose snapshot, and how many connections there may be to such listeners; none for
    /// listeners that show everything.
    pub fn connections_max(&self, scope: Scope) -> Option<(VolumeId, u32)> {
        if scope == Scope::Everything {
            return None;
        }
        let directory = self.directory();
        let volume = directory.place(scope)?.volume;
        let most = directory.place(Scope::Volume(volume)).and_then(|place| place.quota.limits.connections_max);
        Some((volume, most.unwrap_or(u32::MAX)))
    }
}

impl Resolved {
    /// Takes room in its volume for a batch of so many bytes; nothing where the volume may hold any number.
    pub fn take_room(&self, bytes: u64) -> Result<Option<Charge>, TopicError> {
        let Some(quota) = self.place.quota.limits.quota_bytes else { return Ok(None) };
        let room = &self.place.quota.room;
        match room.take(bytes, quota, || self.timeline.live_bytes()) {
            Some(charge) => Ok(Some(charge)),
            None => Err(self.full(bytes, quota)),
        }
    }

    fn full(&self, bytes: u64, quota: u64) -> TopicError {
        let (volume, held) = (&self.place.own().volume, self.timeline.live_bytes());
        if self.place.quota.room.is_told() {
            tracing::warn!(%volume, quota, held, "a volume is at its hard quota: producers are told to wait");
        }
        let [held, quota, bytes] = [held, quota, bytes].map(show_bytes_roughly);
        TopicError::Full(format!(
            "Volume {volume} holds {held} of its quota of {quota}, which leaves no room for {bytes}: delete topics or records, \
             shorten their retention, or raise it (`millpond volume alter {volume} --quota SIZE`)."
        ))
    }
}

/// Refuses what would give a volume more topics or partitions than it may have. `there` are those that it has, asked for only
/// where there is a limit.
pub(super) fn check(
    limits: &VolumeLimits,
    (topics, partitions): (u32, u32),
    there: impl FnOnce() -> Vec<Topic>,
) -> Result<(), TopicError> {
    if limits.topics_max.is_none() && limits.partitions_max.is_none() {
        return Ok(());
    }
    let there: Vec<Topic> = there().into_iter().filter(|topic| !topic.internal).collect();
    let counted = (there.len() as u64, there.iter().map(|topic| u64::from(topic.partitions)).sum::<u64>());
    at_most(counted.0, topics, limits.topics_max, "topics", "--max-topics")?;
    at_most(counted.1, partitions, limits.partitions_max, "partitions", "--max-partitions")
}

fn at_most(there: u64, more: u32, most: Option<u32>, what: &str, flag: &str) -> Result<(), TopicError> {
    match most {
        Some(most) if more > 0 && there + u64::from(more) > u64::from(most) => Err(TopicError::LimitReached(format!(
            "The volume has {there} of the {most} {what} that it may have, which leaves no room for {more} more: delete some, or \
             raise the limit (`millpond volume alter VOLUME {flag} N`)."
        ))),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use millpond_storage::TopicNumber;
    use millpond_storage::state::TopicName;

    use super::*;

    #[test]
    fn topics_and_partitions_are_counted_but_for_the_brokers_own() {
        let topic = |(name, internal)| Topic {
            name: TopicName::new("default", name),
            number: TopicNumber(16),
            partitions: 3,
            created: 0,
            internal,
            settings: BTreeMap::new(),
        };
        let there: Vec<Topic> = [("a", false), ("b", false), ("own", true)].map(topic).into();
        let check = |limits: &VolumeLimits, topics, partitions| check(limits, (topics, partitions), || there.clone());
        let limits =
            |topics_max, partitions_max| VolumeLimits { topics_max, partitions_max, ..VolumeLimits::default() };
        assert!(check(&limits(Some(3), Some(7)), 1, 1).is_ok());
        let words = check(&limits(Some(2), None), 1, 1).unwrap_err().to_string();
        assert!(words.contains("has 2 of the 2 topics") && words.contains("--max-topics"), "{words}");
        let words = check(&limits(None, Some(7)), 1, 2).unwrap_err().to_string();
        assert!(words.contains("has 6 of the 7 partitions"), "{words}");
        assert!(check(&limits(Some(1), None), 0, 5).is_ok(), "more partitions are no more topics");
        assert!(check(&limits(None, None), 100, 100).is_ok());
    }
}
