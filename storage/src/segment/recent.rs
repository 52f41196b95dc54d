//! The entries of a sealed file that were asked for last: consumers ask again and again, for a few partitions each, and each would have the index read
//! and checked anew.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use crate::timeline::{Entry, lock};
use crate::units::TopicPartition;

/// So many entries of a file are kept (128 KiB), or else those of one partition.
const ENTRIES_MAX: usize = 4096;

/// Entries by partition, the oldest first.
#[derive(Default, Debug)]
pub(crate) struct Recent(Mutex<VecDeque<(TopicPartition, Arc<[Entry]>)>>);

impl Recent {
    /// The entries of a partition, if they are among those asked for last.
    pub(crate) fn get(&self, partition: TopicPartition) -> Option<Arc<[Entry]>> {
        let known = lock(&self.0);
        known.iter().find(|(of, _)| *of == partition).map(|(_, entries)| Arc::clone(entries))
    }

    /// Keeps the entries of a partition, in place of the oldest.
    pub(crate) fn put(&self, partition: TopicPartition, entries: &Arc<[Entry]>) {
        let mut known = lock(&self.0);
        known.retain(|(of, _)| *of != partition);
        known.push_back((partition, Arc::clone(entries)));
        let mut kept: usize = known.iter().map(|(_, entries)| entries.len()).sum();
        while kept > ENTRIES_MAX && known.len() > 1 {
            kept -= known.pop_front().map_or(0, |(_, entries)| entries.len());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::TopicNumber;

    #[test]
    fn the_oldest_go_when_there_are_too_many() {
        let recent = Recent::default();
        let of = |index| TopicPartition::new(TopicNumber(1), index);
        let list = |len: usize| -> Arc<[Entry]> {
            vec![Entry { base_offset: 0, position: 0, bytes: 1, max_timestamp: 0, running_max: 0 }; len].into()
        };
        recent.put(of(0), &list(ENTRIES_MAX / 2));
        recent.put(of(1), &list(ENTRIES_MAX / 2));
        assert!(recent.get(of(0)).is_some() && recent.get(of(1)).is_some());
        recent.put(of(2), &list(1));
        assert!(recent.get(of(0)).is_none() && recent.get(of(1)).is_some() && recent.get(of(2)).is_some());
        recent.put(of(3), &list(ENTRIES_MAX * 2));
        assert!(recent.get(of(2)).is_none(), "one list alone may be longer");
        assert_eq!(recent.get(of(3)).map(|entries| entries.len()), Some(ENTRIES_MAX * 2));
    }
}
