//! What the writer knows of idempotent producers: per partition and producer id the epoch and the last five batches.
//!
//! Invariants: entries are at the end of the log (the writer's own level), never ahead of what it wrote; of the batches kept, each follows the one
//! before in sequence; sequences run from 0 to `i32::MAX` and start again at 0. The rules are Kafka's (`ProducerStateManager`,
//! `ProducerAppendInfo` as of 4.x): a producer that is not known may start with any sequence; a duplicate of one of the last five batches is
//! answered with the offset it got; an entry lives until it is idle for `producer.id.expiration.ms`, whatever retention does.

use std::collections::HashMap;

use crate::batch::BatchHeader;
use crate::state::checkpoint::{ProducerRecord, SequenceRecord};
use crate::state::{Checkpoint, PackedPage};
use crate::units::TopicPartition;

/// How many batches a producer may have in flight to one partition, and so how many are remembered.
const BATCHES_MAX: usize = 5;

/// The idempotent part of a batch header.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Sequence {
    /// Who.
    pub producer_id: i64,
    /// Raised by each `InitProducerId` that fences.
    pub epoch: i16,
    /// Sequence of the first record.
    pub first: i32,
    /// Records, at least one.
    pub count: i32,
    /// Which of the topic's names it was sent under; a log does not say.
    pub name: Option<u8>,
}

impl Sequence {
    /// That of a batch; `None` if its producer is not idempotent.
    pub fn of(header: &BatchHeader) -> Option<Self> {
        let producer = header.producer()?;
        let count = i32::try_from(header.last_offset_delta()).ok()?.checked_add(1)?;
        Some(Self { producer_id: producer.id, epoch: producer.epoch, first: producer.base_sequence, count, name: None })
    }

    /// Sequence of the last record.
    pub fn last(&self) -> i32 {
        advance(self.first, self.count - 1)
    }

    /// As it is remembered once it has an offset.
    pub fn at(&self, base_offset: i64, append_time: i64) -> RememberedBatch {
        RememberedBatch { first: self.first, last: self.last(), base_offset, append_time }
    }
}

/// A batch as it is remembered.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct RememberedBatch {
    /// Sequence of its first record.
    pub first: i32,
    /// Sequence of its last record.
    pub last: i32,
    /// The offset that its first record got.
    pub base_offset: i64,
    /// Its time when the broker set it (`LogAppendTime`), else −1.
    pub append_time: i64,
}

impl RememberedBatch {
    /// The sequence that follows it.
    fn next(&self) -> i32 {
        advance(self.last, 1)
    }
}

/// One producer on one partition.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Producer {
    /// Its epoch.
    pub epoch: i16,
    /// Time of the group that held its last batch, for expiry.
    pub last_time: i64,
    /// Which of the topic's names it writes under, once it has written since the start.
    name: Option<u8>,
    batches: [RememberedBatch; BATCHES_MAX],
    len: usize,
}

impl Producer {
    /// A producer that has written nothing yet.
    pub fn new(epoch: i16, last_time: i64) -> Self {
        Self { epoch, last_time, name: None, batches: [RememberedBatch::default(); BATCHES_MAX], len: 0 }
    }

    /// The newest batches, oldest first.
    pub fn batches(&self) -> &[RememberedBatch] {
        &self.batches[..self.len]
    }

    /// Remembers one more batch, in place of the oldest when there are five.
    pub fn push(&mut self, batch: RememberedBatch) {
        if self.len == BATCHES_MAX {
            self.batches.rotate_left(1);
            self.len -= 1;
        }
        self.batches[self.len] = batch;
        self.len += 1;
    }
}

/// What a sequence check says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// Next in order.
    Append,
    /// Written before.
    Duplicate(RememberedBatch),
    /// Something is missing before it.
    OutOfOrder {
        /// What was expected.
        expected: i32,
    },
    /// A newer instance of the producer has written.
    Fenced {
        /// The newer epoch.
        current: i16,
    },
    /// It is of the sequence that the producer counts for another name of the topic.
    OtherName,
}

/// All producers of a timeline.
#[derive(Default, Debug)]
pub struct Producers {
    by_partition: HashMap<TopicPartition, HashMap<i64, Producer>>,
    /// Those of partitions of which nobody has asked for one since the timeline was opened, as the checkpoint has them, in order.
    packed: Vec<PackedPage<ProducerRecord>>,
}

impl Producers {
    /// Those of a checkpoint, of which it takes what is packed.
    pub(super) fn taken_from(checkpoint: &mut Checkpoint) -> Self {
        let mut producers = Self { packed: std::mem::take(&mut checkpoint.packed_producers), ..Self::default() };
        for record in &checkpoint.producers {
            producers.take_in(record);
        }
        producers
    }

    fn take_in(&mut self, record: &ProducerRecord) {
        let mut producer = Producer::new(record.epoch, record.last_append);
        for batch in &record.batches {
            let (first, last) = (batch.first_sequence, batch.last_sequence);
            producer.push(RememberedBatch { first, last, base_offset: batch.base_offset, append_time: -1 });
        }
        self.by_partition.entry(record.partition).or_default().insert(record.producer_id, producer);
    }

    /// Unpacks those of a partition: before they are asked for.
    pub(super) fn unpack(&mut self, partition: TopicPartition) {
        let from = self.packed.partition_point(|page| page.last() < partition);
        let found = self.packed[from..].iter().take_while(|page| page.first() <= partition).count();
        let pages: Vec<_> = self.packed.drain(from..from + found).collect();
        for page in pages {
            page.each(&mut |record| self.take_in(record));
        }
    }

    /// Puts all into a checkpoint, but those idle since before `expired_before`; among what is packed some of these may stay.
    pub(super) fn give(&self, checkpoint: &mut Checkpoint, expired_before: i64) {
        let live = self.iter().filter(|(.., producer)| producer.last_time >= expired_before);
        let record = |(partition, producer_id, producer): (TopicPartition, i64, &Producer)| ProducerRecord {
            partition,
            producer_id,
            epoch: producer.epoch,
            last_append: producer.last_time,
            batches: producer.batches().iter().map(sequence_record).collect(),
        };
        checkpoint.producers = live.map(record).collect();
        checkpoint.producers.sort_by_key(|record| (record.partition, record.producer_id));
        let packed = self.packed.iter().filter(|page| page.about().last_append >= expired_before);
        checkpoint.packed_producers = packed.cloned().collect();
    }

    /// Judges a batch for a partition that is unpacked, without changing anything. Entries idle since before `expired_before` count as absent.
    pub fn check(&self, partition: TopicPartition, sequence: &Sequence, expired_before: i64) -> Verdict {
        let known = self.by_partition.get(&partition).and_then(|of| of.get(&sequence.producer_id));
        let Some(known) = known.filter(|producer| producer.last_time >= expired_before) else {
            return Verdict::Append;
        };
        if sequence.epoch < known.epoch {
            return Verdict::Fenced { current: known.epoch };
        }
        if sequence.epoch > known.epoch {
            return match sequence.first {
                0 => Verdict::Append,
                _ => Verdict::OutOfOrder { expected: 0 },
            };
        }
        if sequence.name.zip(known.name).is_some_and(|(one, other)| one != other) {
            return Verdict::OtherName;
        }
        let last = sequence.last();
        if let Some(batch) = known.batches().iter().find(|batch| batch.first == sequence.first && batch.last == last) {
            return Verdict::Duplicate(*batch);
        }
        match known.batches().last() {
            Some(newest) if newest.next() != sequence.first => Verdict::OutOfOrder { expected: newest.next() },
            _ => Verdict::Append,
        }
    }

    /// Whether all that is known of a producer was inherited: its last batch lies below the branch point. Batches that it sent since were lost to this
    /// timeline, so that its next one may leave a gap; from then on sequences are strict again.
    pub fn is_inherited(&self, partition: TopicPartition, producer_id: i64, inherited_end: i64) -> bool {
        let known = self.by_partition.get(&partition).and_then(|of| of.get(&producer_id));
        known.and_then(|producer| producer.batches().last()).is_some_and(|last| last.base_offset < inherited_end)
    }

    /// Whether a sequence lies behind a gap, rather than before what was expected: then it was written once.
    pub fn is_ahead(first: i32, expected: i32) -> bool {
        (i64::from(first) - i64::from(expected)) & i64::from(i32::MAX) < 1 << 30
    }

    /// Remembers a batch that is written or about to be, and returns what was known before, for [`Producers::restore`] when the write fails. What
    /// it does not follow in sequence is forgotten. The same function serves the writer and recovery.
    pub fn record(
        &mut self,
        partition: TopicPartition,
        sequence: &Sequence,
        batch: RememberedBatch,
        time: i64,
    ) -> Option<Producer> {
        self.unpack(partition);
        let of = self.by_partition.entry(partition).or_default();
        let before = of.get(&sequence.producer_id).copied();
        let follows = |known: &Producer| known.batches().last().is_none_or(|newest| newest.next() == sequence.first);
        let mut producer = before
            .filter(|known| known.epoch == sequence.epoch && follows(known))
            .unwrap_or_else(|| Producer::new(sequence.epoch, time));
        producer.last_time = time;
        producer.name = sequence.name.or(producer.name);
        producer.push(batch);
        of.insert(sequence.producer_id, producer);
        before
    }

    /// Sets an entry, from a checkpoint or back to what it was; `None` removes it.
    pub fn restore(&mut self, partition: TopicPartition, producer_id: i64, producer: Option<Producer>) {
        self.unpack(partition);
        let of = self.by_partition.entry(partition).or_default();
        match producer {
            Some(producer) => of.insert(producer_id, producer),
            None => of.remove(&producer_id),
        };
    }

    /// Every entry that is unpacked.
    pub fn iter(&self) -> impl Iterator<Item = (TopicPartition, i64, &Producer)> {
        self.by_partition
            .iter()
            .flat_map(|(partition, of)| of.iter().map(move |(id, producer)| (*partition, *id, producer)))
    }

    /// The producers of one partition.
    pub fn of(&self, partition: TopicPartition) -> impl Iterator<Item = (i64, &Producer)> {
        self.by_partition.get(&partition).into_iter().flatten().map(|(id, producer)| (*id, producer))
    }

    /// Forgets a partition that is gone.
    pub fn forget(&mut self, partition: TopicPartition) {
        self.unpack(partition);
        self.by_partition.remove(&partition);
    }

    /// Drops entries idle since before `expired_before`.
    pub fn expire(&mut self, expired_before: i64) {
        self.by_partition.retain(|_, of| {
            of.retain(|_, producer| producer.last_time >= expired_before);
            !of.is_empty()
        });
    }
}

fn sequence_record(batch: &RememberedBatch) -> SequenceRecord {
    SequenceRecord { first_sequence: batch.first, last_sequence: batch.last, base_offset: batch.base_offset }
}

/// The sequence `by` records further on, around from `i32::MAX` to 0.
fn advance(sequence: i32, by: i32) -> i32 {
    let sum = (i64::from(sequence) + i64::from(by)) & i64::from(i32::MAX);
    i32::try_from(sum).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::TopicNumber;

    const P: TopicPartition = TopicPartition { topic: TopicNumber(16), partition: 0 };

    fn seq(epoch: i16, first: i32, count: i32) -> Sequence {
        Sequence { producer_id: 7, epoch, first, count, name: None }
    }

    fn written(batches: &[(i16, i32, i32)]) -> Producers {
        let mut producers = Producers::default();
        let mut offset = 0;
        for (epoch, first, count) in batches {
            let sequence = seq(*epoch, *first, *count);
            assert_eq!(producers.check(P, &sequence, 0), Verdict::Append);
            producers.record(P, &sequence, sequence.at(offset, -1), 100);
            offset += i64::from(*count);
        }
        producers
    }

    #[test]
    fn an_unknown_producer_may_start_anywhere() {
        assert_eq!(Producers::default().check(P, &seq(0, 41, 3), 0), Verdict::Append);
    }

    #[test]
    fn sequences_of_two_names_are_not_mixed_up() {
        let mut producers = Producers::default();
        let under = |name, first| Sequence { name: Some(name), ..seq(0, first, 1) };
        producers.record(P, &under(0, 0), under(0, 0).at(0, -1), 10);
        assert!(matches!(producers.check(P, &under(0, 0), 0), Verdict::Duplicate(_)));
        assert_eq!(producers.check(P, &under(1, 0), 0), Verdict::OtherName, "no duplicate: it would be lost");
        assert_eq!(producers.check(P, &under(1, 1), 0), Verdict::OtherName);
        // After a start it is not known any more, and is what comes first.
        let mut producers = written(&[(0, 0, 1)]);
        producers.record(P, &under(1, 1), under(1, 1).at(1, -1), 10);
        assert_eq!(producers.check(P, &under(0, 2), 0), Verdict::OtherName);
    }

    #[test]
    fn one_of_the_last_five_is_a_duplicate_and_the_sixth_is_out_of_order() {
        let producers = written(&[(0, 0, 1), (0, 1, 1), (0, 2, 1), (0, 3, 1), (0, 4, 1), (0, 5, 1)]);
        assert!(matches!(producers.check(P, &seq(0, 1, 1), 0), Verdict::Duplicate(b) if b.base_offset == 1));
        assert_eq!(producers.check(P, &seq(0, 0, 1), 0), Verdict::OutOfOrder { expected: 6 });
    }

    #[test]
    fn a_gap_and_an_old_epoch_are_refused_and_a_new_epoch_starts_at_zero() {
        let producers = written(&[(3, 0, 10)]);
        assert_eq!(producers.check(P, &seq(3, 11, 1), 0), Verdict::OutOfOrder { expected: 10 });
        assert_eq!(producers.check(P, &seq(2, 10, 1), 0), Verdict::Fenced { current: 3 });
        assert_eq!(producers.check(P, &seq(4, 10, 1), 0), Verdict::OutOfOrder { expected: 0 });
        assert_eq!(producers.check(P, &seq(4, 0, 1), 0), Verdict::Append);
    }

    #[test]
    fn sequences_wrap_around() {
        let producers = written(&[(0, i32::MAX - 1, 2)]);
        assert_eq!(producers.check(P, &seq(0, 0, 5), 0), Verdict::Append);
        let producers = written(&[(0, i32::MAX - 1, 4)]);
        assert_eq!(producers.check(P, &seq(0, 2, 5), 0), Verdict::Append);
    }

    #[test]
    fn an_idle_producer_is_forgotten() {
        let mut producers = written(&[(0, 0, 1)]);
        assert_eq!(producers.check(P, &seq(0, 9, 1), 101), Verdict::Append);
        producers.expire(101);
        assert_eq!(producers.iter().count(), 0);
    }
}
