//! Deleting volumes: the name goes; what no snapshot and no clone needs of the data goes by the next collections.

use std::sync::Arc;

use millpond_storage::state::{Txn, Volume};
use millpond_storage::{DEFAULT_VOLUME, Timeline, TopicPartition};

use super::{Result, VolumeError, Volumes, current, submitted};
use crate::documents::{self, Collection, FormerVolume};

impl Volumes {
    /// Deletes a volume that no listener shows. One that holds records goes only by force. Its snapshots stay until they are deleted
    /// or expire.
    pub async fn delete(&self, name: &str, force: bool) -> Result<()> {
        let (volume, timeline) = self.find(name)?;
        if name == DEFAULT_VOLUME {
            return Err(VolumeError::Invalid("Volume default cannot be deleted.".to_owned()));
        }
        if let Some(topic) = holding(&timeline).filter(|_| !force) {
            return Err(VolumeError::InTheWay(format!(
                "Volume {name} holds records (in topic {topic}, for one): --force deletes them with it."
            )));
        }
        let expected = volume.timeline;
        let decide = move |txn: &mut Txn<'_>| {
            let now = current(txn, &volume.name)?;
            if now.timeline != expected {
                return Err(VolumeError::InTheWay(format!("Volume {} was restored meanwhile: try again.", now.name)));
            }
            super::listeners::check_volume(txn, &now)?;
            forget(txn, &now);
            Ok(())
        };
        submitted(|done| self.engine.unname(expected, decide, done)).await
    }
}

/// In the writer of `system`: removes what is said of a volume, and notes that its name was one.
fn forget(txn: &mut Txn<'_>, volume: &Volume) {
    let former = FormerVolume { id: volume.id.0, mount: volume.mount.to_string(), ..FormerVolume::default() };
    txn.put(Collection::FormerVolumes.document(&volume.name, &former));
    documents::remove(txn, Collection::VolumeSettings, &volume.id.0.to_string());
    documents::remove(txn, Collection::Restores, &volume.id.0.to_string());
    documents::remove_below(txn, Collection::Schedules, &format!("{}/", volume.id.0));
    txn.delete::<Volume>(Arc::clone(&volume.name));
}

/// A topic that holds records, by its short name.
fn holding(timeline: &Timeline) -> Option<String> {
    let topics: Vec<_> = timeline.state(|state| state.topics().cloned().collect());
    let holds = |id| timeline.partition(id).is_some_and(|partition| partition.high_watermark() > partition.log_start());
    let found = topics.into_iter().find(|topic| {
        let mut partitions = (0..topic.partitions).map(|index| TopicPartition::new(topic.number, index));
        partitions.any(holds)
    })?;
    Some(found.name.short().to_string())
}
