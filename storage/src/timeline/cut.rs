//! Which LSN a moment of the past is: by time, by the offset of a record, by a record's timestamp; and the other way round, the time of a group.
//!
//! Invariants: an answer is a legal cut, durable or about to be, and not below the floor; what lies below it is [`Error::Forgotten`], with the oldest that can be
//! had. (The floor may rise before the answer is pinned: then the pin is refused likewise.) Sorting and collecting change no answer: a group of which the history
//! needs something keeps its time in the index of some file. Where that index rotted the answer may be in doubt, and then it is refused.
//!
//! Cost: a bisection per partition or file; the only indexes read are those of files that a moment falls into.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::log_file::{GroupMark, LogFile};
use super::partition::lock;
use super::{Inner, Partition, Timeline};
use crate::error::{Error, Result};
use crate::segment::NO_TIME;
use crate::units::{Lsn, Moment, TopicNumber, TopicPartition};
use crate::view::Bounds;

impl Timeline {
    /// The oldest that can still be had of its past; none where only snapshots are left.
    pub fn oldest(&self) -> Option<Moment> {
        self.0.history.oldest()
    }

    /// The last group whose time is at or below `time`, in milliseconds. All that clients see when this is asked is durable when it is answered, and counts.
    /// Runs on the read pool.
    pub fn lsn_at_time(&self, time: i64, done: impl FnOnce(Result<Lsn>) + Send + 'static) {
        self.find(done, move |timeline| timeline.0.lsn_at_time(time));
    }

    /// The last group before the one that holds an offset. The topic may have been deleted since. Runs on the read pool.
    pub fn lsn_before_offset(
        &self,
        partition: TopicPartition,
        offset: i64,
        done: impl FnOnce(Result<Lsn>) + Send + 'static,
    ) {
        self.find(done, move |timeline| timeline.0.lsn_before_offset(partition, offset));
    }

    /// The last group before the first that holds a record of a topic with a timestamp above `time`; the newest group if there is none. Records that no view
    /// within the history shows do not count. Runs on the read pool.
    pub fn lsn_before_record(&self, topic: TopicNumber, time: i64, done: impl FnOnce(Result<Lsn>) + Send + 'static) {
        self.find(done, move |timeline| timeline.lsn_before_later(topic, time));
    }

    /// The time of the newest group at or below an LSN. Runs on the read pool.
    pub fn time_of(&self, lsn: Lsn, done: impl FnOnce(Result<i64>) + Send + 'static) {
        self.find(done, move |timeline| timeline.0.time_of(lsn));
    }

    fn find<T: 'static>(
        &self,
        done: impl FnOnce(Result<T>) + Send + 'static,
        look: impl FnOnce(&Timeline) -> Result<T> + Send + 'static,
    ) {
        let timeline = self.clone();
        self.0.shared.read_pool.run(move || done(look(&timeline)));
    }

    fn lsn_before_later(&self, topic: TopicNumber, time: i64) -> Result<Lsn> {
        let inner = &self.0;
        let newest = inner.newest()?;
        let oldest = inner.oldest()?;
        let Some(after) = time.checked_add(1) else { return Ok(newest) };
        let of_topic = |index| inner.tables.get_any(TopicPartition::new(topic, index));
        let partitions: Vec<_> = (0..).map_while(of_topic).collect();
        if partitions.is_empty() {
            return Err(Error::UnknownPartition);
        }
        let view = self.live();
        let mut first = None;
        for partition in partitions.into_iter().filter(|partition| partition.gone_at() > oldest.lsn) {
            let log_start = partition.pieces().log_start_at(oldest.lsn);
            let high_watermark = partition.high_watermark();
            let bounds = Bounds { log_start, last_stable: high_watermark, high_watermark };
            // What the oldest view shows, and all that came since, whatever was compacted meanwhile.
            if let Some(found) = view.find_time_within(&partition, bounds, Some(oldest.lsn), after)? {
                let group = partition.group_of(found.offset)?.unwrap_or(Lsn::ZERO);
                first = first.into_iter().chain([group]).min();
            }
        }
        first.map_or(Ok(newest), |first| inner.before(first))
    }
}

impl Inner {
    /// The time of the newest group at or below an LSN.
    pub(crate) fn time_of(&self, lsn: Lsn) -> Result<i64> {
        if let Some(time) = self.unsealed_logs().iter().find_map(|log| log.time_of(lsn)) {
            return Ok(time);
        }
        let floor = self.history.oldest().filter(|floor| floor.lsn <= lsn);
        let mut newest = floor.unwrap_or(Moment { lsn: Lsn::ZERO, time: self.created_ms });
        for file in self.files.timed().into_iter().filter(|file| file.first_lsn() <= lsn) {
            if file.last_lsn() <= lsn {
                newest = newest.max(file.last());
                continue;
            }
            let groups = file.groups()?;
            let below = groups.iter().take_while(|group| group.lsn <= lsn).filter(|group| group.time != NO_TIME);
            newest = below.last().map_or(newest, |group| newest.max(Moment { lsn: group.lsn, time: group.time }));
        }
        Ok(newest.time)
    }

    /// The newest group at or before a time, among those in files that are not sealed.
    pub(crate) fn unsealed_group_at(&self, time: i64) -> Option<Moment> {
        let found = self.unsealed_logs().iter().find_map(|log| log.group_at(time, Lsn::MAX));
        found.map(|GroupMark { lsn, time, .. }| Moment { lsn, time })
    }

    /// Log files that are not sealed, the newest first.
    fn unsealed_logs(&self) -> Vec<Arc<LogFile>> {
        let active = self.active_log();
        let unsealed = lock(&self.unsealed).clone();
        active.into_iter().chain(unsealed.into_iter().rev()).collect()
    }

    fn lsn_at_time(&self, time: i64) -> Result<Lsn> {
        let newest = self.newest()?;
        let oldest = self.oldest()?;
        if time < oldest.time {
            return Err(Error::Forgotten { oldest: Some(oldest) });
        }
        // Unsealed files first: one that is sealed meanwhile is found among the others.
        let found = self.unsealed_logs().iter().find_map(|log| log.group_at(time, newest)).map(|group| group.lsn);
        let found = found.map_or_else(|| self.sealed_group_at(time, oldest.lsn), Ok)?;
        Ok(found.max(oldest.lsn))
    }

    /// The last group at or before a time in sealed files, `floor` if that is above.
    fn sealed_group_at(&self, time: i64, floor: Lsn) -> Result<Lsn> {
        let (before, mut others): (Vec<_>, Vec<_>) =
            self.files.timed().into_iter().partition(|file| file.last_time() <= time);
        let before = before.iter().map(|file| file.last_lsn()).max().unwrap_or(Lsn::ZERO).max(floor);
        others.retain(|file| file.last_lsn() > before);
        others.sort_by_key(|file| file.first_lsn());
        let mut times: BTreeMap<Lsn, i64> = BTreeMap::new();
        for file in others {
            let later = times.iter().find(|(_, at)| **at > time).map_or(Lsn::MAX, |(lsn, _)| *lsn);
            if file.first_lsn() > later {
                break;
            }
            for group in file.groups()?.into_iter().filter(|group| group.lsn > before) {
                let known = times.entry(group.lsn).or_insert(NO_TIME);
                *known = group.time.max(*known);
            }
        }
        let known = || times.iter().filter(|(_, at)| **at != NO_TIME);
        let found = known().take_while(|(_, at)| **at <= time).last().map_or(before, |(lsn, _)| *lsn);
        let later = known().find(|(_, at)| **at > time).map_or(Lsn::MAX, |(lsn, _)| *lsn);
        match times.range(found.next()..later).next() {
            None => Ok(found),
            Some((lost, _)) => Err(Error::Corrupt(format!(
                "when group {lost} was written is no longer known: ask for LSN {found}, or for one from {lost} to {}",
                Lsn(later.0 - 1)
            ))),
        }
    }

    fn lsn_before_offset(&self, id: TopicPartition, offset: i64) -> Result<Lsn> {
        self.newest()?;
        let partition = self.tables.get_any(id).ok_or(Error::UnknownPartition)?;
        let high_watermark = partition.high_watermark();
        if offset < 0 || offset >= high_watermark {
            let log_start = partition.log_start();
            return Err(Error::OutOfRange { offset, log_start, high_watermark });
        }
        // What is in no file here is inherited, or no view within the history sees it.
        self.before(partition.group_of(offset)?.unwrap_or(Lsn::ZERO))
    }

    /// The last group before another.
    fn before(&self, lsn: Lsn) -> Result<Lsn> {
        let oldest = self.oldest()?;
        let before = lsn.0.checked_sub(1).map(Lsn).filter(|before| *before >= oldest.lsn);
        before.ok_or(Error::Forgotten { oldest: Some(oldest) })
    }

    fn oldest(&self) -> Result<Moment> {
        self.history.oldest().ok_or(Error::Forgotten { oldest: None })
    }

    /// The newest group that clients see, which is durable then.
    fn newest(&self) -> Result<Lsn> {
        let newest = self.visible_lsn();
        self.await_durable(newest)?;
        Ok(newest)
    }
}

impl Partition {
    /// The group that holds an offset; none if no file of its own timeline has it. (Of offsets that a collection took away it may be an older one.)
    fn group_of(&self, offset: i64) -> Result<Option<Lsn>> {
        let stretch = {
            let pieces = self.pieces();
            let at = pieces.sealed.partition_point(|stretch| stretch.end_offset <= offset);
            match pieces.sealed.get(at) {
                Some(stretch) => stretch.clone(),
                None => return Ok(pieces.tail_group_of(offset)),
            }
        };
        let records = stretch.sealed.records(self.id())?;
        let behind = records.partition_point(|record| record.base_offset <= offset);
        Ok(behind.checked_sub(1).map(|at| records[at].lsn))
    }
}
