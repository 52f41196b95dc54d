//! What views have in common, what the live view weighs, and a past that is given up, against the plain model.

use millpond_storage::disk::sim::Seed;
use millpond_storage::{TopicNumber, TopicPartition, View};

use crate::calls::wait;
use crate::plain::{PlainTopic, PlainView};
use crate::world::World;

impl World {
    /// Gives up the past of a volume: what is left begins with what it is now.
    pub(crate) fn forget_history(&self, name: &str) {
        let timeline = self.timeline(self.volumes[name].timeline);
        let (engine, before) = (self.engine(), timeline.visible_lsn());
        let oldest = wait(|done| engine.forget_history(timeline.id(), done)).expect("it can be given up");
        let oldest = oldest.expect("a volume has a history");
        assert!(oldest.lsn >= before && timeline.oldest() == Some(oldest), "{oldest:?}");
        assert!(timeline.at(oldest.lsn).is_ok());
    }

    /// Two views have in common what the values of the model, which are random, have in common.
    pub(crate) fn check_lineage(&self, choices: &mut Seed) {
        let (Some(one), Some(other)) = (self.any_view(choices), self.any_view(choices)) else { return };
        for topic in one.1.topics.values() {
            let same = other.1.topics.values().find(|there| there.number == topic.number);
            for index in 0..same.map_or(0, |same| topic.partitions.len().min(same.partitions.len())) {
                let same = same.expect("it has partitions");
                check_common((&one.0, topic), (&other.0, same), index);
            }
        }
    }

    /// A snapshot, or a volume as it is now.
    fn any_view(&self, choices: &mut Seed) -> Option<(View, &PlainView)> {
        if choices.coin() {
            let snapshot = self.snapshots.values().nth(choices.index(self.snapshots.len()))?;
            let view = self.timeline(snapshot.timeline).at(snapshot.lsn).expect("it is pinned");
            return Some((view, &snapshot.view));
        }
        let volume = self.volumes.values().nth(choices.index(self.volumes.len()))?;
        let timeline = self.timeline(volume.timeline);
        Some((timeline.at(timeline.visible_lsn()).expect("now can always be had"), &volume.now))
    }

    /// The meter of a volume says what its partitions do.
    pub(crate) fn check_meter(&self, name: &str, shown: u64) {
        let volume = &self.volumes[name];
        let timeline = self.timeline(volume.timeline);
        let mut is_cut = false;
        let mut bytes = 0;
        for topic in volume.now.topics.values() {
            for index in 0..topic.partitions.len() {
                let partition = timeline.partition(id(topic, index)).expect("it is there");
                bytes += partition.live_bytes();
                is_cut |= partition.log_start() > 0;
            }
        }
        assert_eq!(timeline.live_bytes(), bytes, "the meter of {name}");
        assert!(is_cut || bytes == shown, "{name} weighs {bytes} and shows {shown}");
    }
}

fn id(topic: &PlainTopic, index: usize) -> TopicPartition {
    TopicPartition::new(TopicNumber(topic.number), u32::try_from(index).unwrap())
}

fn check_common((view, topic): (&View, &PlainTopic), (other, there): (&View, &PlainTopic), index: usize) {
    let id = id(topic, index);
    let (here, over) = (view.partition(id).expect("it is there"), other.partition(id).expect("it is there"));
    let common = view.common_end(&here, other, &over).expect("it can be told");
    let (one, another) = (&topic.partitions[index].values, &there.partitions[index].values);
    let same = one.iter().zip(another).take_while(|(one, another)| one == another).count();
    assert_eq!(usize::try_from(common).unwrap(), same, "{id}");
}
