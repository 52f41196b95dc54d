//! Partitions that nobody has asked for since the timeline was opened: they stay as its checkpoint has them, page by page, so that a clone costs what is
//! touched of it and not what it has.
//!
//! Invariants: a page is packed, or all of its partitions are in the tables; nothing has changed for a packed partition but what changes for all (the leader
//! epoch, a topic's policy, that the timeline is over), which it learns when it is unpacked.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::partition::lock;
use crate::state::checkpoint::{CompactionRecord, LogStartRecord, PartitionRecord};
use crate::state::{Checkpoint, PackedPage};
use crate::units::TopicPartition;

/// What is packed of a timeline.
#[derive(Debug, Default)]
pub(super) struct Packed {
    /// By their partitions.
    places: Vec<Place>,
    /// How many pages there are.
    left: AtomicUsize,
    log_starts: Vec<LogStartRecord>,
    compactions: Vec<CompactionRecord>,
    /// Where the partitions of the page begin that was looked into last: files have them in order.
    glanced: Mutex<Glanced>,
}

#[derive(Debug, Default)]
struct Glanced {
    place: usize,
    log_starts: Vec<(TopicPartition, i64)>,
}

/// A page, until it is unpacked.
#[derive(Debug)]
struct Place {
    first: TopicPartition,
    last: TopicPartition,
    page: Mutex<Option<PackedPage<PartitionRecord>>>,
}

impl Packed {
    /// What a checkpoint has packed, and what else it knows of partitions.
    pub(super) fn taken_from(checkpoint: &mut Checkpoint) -> Self {
        let pages = std::mem::take(&mut checkpoint.packed);
        let left = AtomicUsize::new(pages.len());
        let places = pages.into_iter().map(Place::new).collect();
        let log_starts = std::mem::take(&mut checkpoint.log_starts);
        let compactions = std::mem::take(&mut checkpoint.compactions);
        Self { places, left, log_starts, compactions, glanced: Mutex::default() }
    }

    /// Puts into a checkpoint what is packed still.
    pub(super) fn give(&self, checkpoint: &mut Checkpoint) {
        checkpoint.packed = self.pages();
        for page in &checkpoint.packed {
            let (first, last) = (page.first(), page.last());
            checkpoint.log_starts.extend_from_slice(range(&self.log_starts, |record| record.partition, first, last));
            let compactions = range(&self.compactions, |record| record.partition, first, last);
            checkpoint.compactions.extend_from_slice(compactions);
        }
    }

    /// Bytes of the batches that the live view shows.
    pub(super) fn live_bytes(&self) -> u64 {
        self.pages().iter().fold(0, |sum, page| sum.wrapping_add(page.about().live_bytes))
    }

    /// Unpacks the page that a partition is in, if it is in one: `take` is given all that are in it.
    pub(super) fn unpack(&self, id: TopicPartition, take: impl FnMut(&PartitionRecord)) {
        if let Some(place) = self.place_of(id) {
            self.unpack_place(&self.places[place], take);
        }
    }

    fn place_of(&self, id: TopicPartition) -> Option<usize> {
        if self.left.load(Ordering::Acquire) == 0 {
            return None;
        }
        let at = self.places.partition_point(|place| place.last < id);
        self.places.get(at).filter(|place| place.first <= id).map(|_| at)
    }

    /// Unpacks pages with partitions that are always there, or whose topic is gone.
    pub(super) fn unpack_special(&self, mut take: impl FnMut(&PartitionRecord)) {
        for place in &self.places {
            let is_special = lock(&place.page).as_ref().is_some_and(|page| page.about().is_special);
            if is_special {
                self.unpack_place(place, &mut take);
            }
        }
    }

    fn unpack_place(&self, place: &Place, mut take: impl FnMut(&PartitionRecord)) {
        let mut page = lock(&place.page);
        if let Some(packed) = page.as_ref() {
            packed.each(&mut take);
            *page = None;
            self.left.fetch_sub(1, Ordering::AcqRel);
        }
    }

    /// The pages that are packed now.
    pub(super) fn pages(&self) -> Vec<PackedPage<PartitionRecord>> {
        self.places.iter().filter_map(|place| lock(&place.page).clone()).collect()
    }

    /// Where a packed partition begins, without unpacking it; none if it has not begun there, whole, in all views.
    pub(super) fn log_start(&self, id: TopicPartition) -> Option<i64> {
        let at = self.place_of(id)?;
        if !self.log_starts(id).is_empty() || !self.compactions(id).is_empty() {
            return None;
        }
        let page = lock(&self.places[at].page).clone()?;
        let mut glanced = lock(&self.glanced);
        if glanced.place != at || glanced.log_starts.is_empty() {
            let Glanced { place, log_starts } = &mut *glanced;
            *place = at;
            log_starts.clear();
            page.each(&mut |record| log_starts.push((record.partition, record.log_start)));
        }
        let found = glanced.log_starts.binary_search_by_key(&id, |(id, _)| *id).ok()?;
        Some(glanced.log_starts[found].1)
    }

    /// The moves of the log start of a partition, as the checkpoint had them.
    pub(super) fn log_starts(&self, id: TopicPartition) -> &[LogStartRecord] {
        range(&self.log_starts, |record| record.partition, id, id)
    }

    /// The compactions of a partition, as the checkpoint had them.
    pub(super) fn compactions(&self, id: TopicPartition) -> &[CompactionRecord] {
        range(&self.compactions, |record| record.partition, id, id)
    }
}

impl Place {
    fn new(page: PackedPage<PartitionRecord>) -> Self {
        Self { first: page.first(), last: page.last(), page: Mutex::new(Some(page)) }
    }
}

fn range<T>(sorted: &[T], id: impl Fn(&T) -> TopicPartition, first: TopicPartition, last: TopicPartition) -> &[T] {
    let from = sorted.partition_point(|record| id(record) < first);
    let to = sorted.partition_point(|record| id(record) <= last);
    &sorted[from..to]
}
