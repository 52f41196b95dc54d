//! Moments of the past by time, by offset and by a record's timestamp, against the plain model.

use std::sync::atomic::Ordering;

use millpond_storage::disk::sim::Seed;
use millpond_storage::{Error, Lsn, Timeline, TopicNumber, TopicPartition};

use crate::calls::wait;
use crate::plain::{PlainMoment, PlainPartition, PlainView};
use crate::world::World;

impl World {
    pub(crate) fn check_cuts(&mut self, name: &str, choices: &mut Seed) {
        self.remember(name);
        let volume = &self.volumes[name];
        let timeline = self.timeline(volume.timeline);
        let oldest = timeline.oldest().expect("a volume has a history");
        // The newest moment that the model has at or below the floor, and all above.
        let known = volume.past.partition_point(|moment| moment.lsn <= oldest.lsn);
        let Some(moments) = known.checked_sub(1).map(|at| &volume.past[at..]) else { return };
        self.check_time(&timeline, moments, choices);
        if let Some((topic, partition)) = self.any_partition(name, choices) {
            check_offset(&timeline, moments, (&topic, partition), choices);
            check_record(&timeline, moments, (&topic, partition.topic), choices);
        }
    }

    fn check_time(&self, timeline: &Timeline, moments: &[PlainMoment], choices: &mut Seed) {
        let (oldest, now) = (timeline.oldest().expect("it has one"), self.clock.load(Ordering::SeqCst));
        let time = oldest.time - 5 + i64::try_from(choices.below((now - oldest.time + 10).unsigned_abs())).unwrap();
        let found = wait(|done| timeline.lsn_at_time(time, done));
        if time < oldest.time {
            return expect_forgotten(found, timeline);
        }
        expect_between(found, moments, |moment| moment.lsn > oldest.lsn && moment.time > time);
    }
}

/// Whether an answer lies from the last moment that is not past on, up to before the first that is.
fn expect_between(found: Result<Lsn, Error>, moments: &[PlainMoment], is_past: impl Fn(&PlainMoment) -> bool) {
    let found = found.expect("it can be had");
    let last = moments.iter().take_while(|moment| !is_past(moment)).last().map_or(Lsn::ZERO, |moment| moment.lsn);
    let first = moments.iter().find(|moment| is_past(moment)).map_or(Lsn::MAX, |moment| moment.lsn);
    assert!(last <= found && found < first, "{found} should be from {last} to before {first}");
}

fn expect_forgotten(found: Result<Lsn, Error>, timeline: &Timeline) {
    match found {
        Err(Error::Forgotten { oldest }) => assert_eq!(oldest, timeline.oldest()),
        other => panic!("it should be forgotten: {other:?}"),
    }
}

fn partition_of<'a>(view: &'a PlainView, topic: &str, partition: u32) -> Option<&'a PlainPartition> {
    view.topics.get(topic)?.partitions.get(partition as usize)
}

fn check_offset(timeline: &Timeline, moments: &[PlainMoment], (topic, id): (&str, TopicPartition), choices: &mut Seed) {
    let has = |moment: &PlainMoment, offset: usize| {
        partition_of(&moment.view, topic, id.partition).is_some_and(|partition| partition.values.len() > offset)
    };
    let end = moments.last().and_then(|moment| partition_of(&moment.view, topic, id.partition));
    let offset = choices.index(end.map_or(0, |partition| partition.values.len()) + 1);
    let found = wait(|done| timeline.lsn_before_offset(id, i64::try_from(offset).unwrap(), done));
    if !moments.iter().any(|moment| has(moment, offset)) {
        return assert!(matches!(found, Err(Error::OutOfRange { .. })), "{found:?}");
    }
    if has(&moments[0], offset) {
        return expect_forgotten(found, timeline);
    }
    expect_between(found, moments, |moment| has(moment, offset));
}

fn check_record(
    timeline: &Timeline,
    moments: &[PlainMoment],
    (topic, number): (&str, TopicNumber),
    choices: &mut Seed,
) {
    let now = moments.last().map_or(0, |moment| moment.time);
    let time = now - 1000 + i64::try_from(choices.below(1040)).unwrap();
    let log_start = |partition| partition_of(&moments[0].view, topic, partition).map_or(0, |found| found.log_start);
    let has_later = |moment: &PlainMoment| {
        let Some(topic) = moment.view.topics.get(topic) else { return false };
        topic.partitions.iter().zip(0..).any(|(partition, index)| {
            let visible = usize::try_from(log_start(index)).unwrap();
            partition.timestamps[visible..].iter().any(|timestamp| *timestamp > time)
        })
    };
    let found = wait(|done| timeline.lsn_before_record(number, time, done));
    if has_later(&moments[0]) {
        return expect_forgotten(found, timeline);
    }
    expect_between(found, moments, has_later);
}
