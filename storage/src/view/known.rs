//! Reads that wait for nothing: what was found sound before, and lies in the kernel's cache, by where it is in its file.

use std::sync::Arc;

use super::read::Source;
use super::wanted::Wanted;
use super::{Bounds, Fetched, Read, View};
use crate::timeline::Partition;

impl View {
    /// Reads what is wanted, if nothing of it has to be read and checked.
    pub(super) fn read_known(&self, partition: &Arc<Partition>, read: &Read, bounds: Bounds) -> Option<Fetched> {
        let mut wanted = Wanted::new(read, bounds);
        while wanted.from < bounds.high_watermark {
            let before = wanted.from;
            let place = partition.place(before, None);
            wanted.limit = bounds.high_watermark.min(place.limit);
            let is_enough = Source::known(&place, before, wanted.left())?.take_all_known(&mut wanted);
            if is_enough {
                break;
            }
            if wanted.from == before {
                return None;
            }
        }
        let stats = &self.timeline.0.shared.stats;
        stats.known_bytes.add(wanted.known as u64);
        (wanted.known > 0).then_some(wanted.fetched)
    }
}
