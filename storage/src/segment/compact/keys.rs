//! The keys that a compaction has seen, and the last offset of each.
//!
//! A key is known by two hashes of 64 bits, each under a random key of its own: that two keys of a partition share both does not happen, and no client can make
//! it happen. An entry takes 24 bytes, in one table with open addressing; the memory for it is bounded, and taken as it is needed.

use std::hash::{BuildHasher, RandomState};

/// Bytes of an entry.
const ENTRY_BYTES: u64 = 24;
/// The fewest places of a table.
const PLACES_MIN: usize = 1 << 10;
/// No offset is negative.
const FREE: i64 = -1;

/// A table of keys.
pub(super) struct Keys {
    hashers: [RandomState; 2],
    /// A power of two, at most three quarters of them taken.
    places: Vec<Place>,
    taken: usize,
    taken_max: usize,
}

#[derive(Clone, Copy)]
struct Place {
    hashes: [u64; 2],
    offset: i64,
}

impl Keys {
    /// A table that takes so much memory at the most, but never less than it needs for a thousand keys.
    pub(super) fn new(bytes_max: u64) -> Self {
        let places = usize::try_from(bytes_max / ENTRY_BYTES).unwrap_or(usize::MAX).max(PLACES_MIN);
        // The greatest power of two that fits.
        let places_max = 1usize << places.ilog2();
        Self {
            hashers: [RandomState::new(), RandomState::new()],
            places: vec![Place::FREE; PLACES_MIN],
            taken: 0,
            taken_max: taken_max(places_max),
        }
    }

    /// Whether so many keys more fit into the memory.
    pub(super) fn has_room(&self, keys: usize) -> bool {
        self.taken.saturating_add(keys) <= self.taken_max
    }

    /// Notes that a key is at an offset: the greatest counts.
    pub(super) fn put(&mut self, key: &[u8], offset: i64) {
        if self.taken >= taken_max(self.places.len()) {
            self.grow();
        }
        let hashes = self.hashes(key);
        let at = self.find(hashes);
        let place = &mut self.places[at];
        if place.offset == FREE {
            self.taken += 1;
        }
        *place = Place { hashes, offset: place.offset.max(offset) };
    }

    /// The last offset of a key, if it was seen.
    pub(super) fn last(&self, key: &[u8]) -> Option<i64> {
        let found = self.places[self.find(self.hashes(key))].offset;
        (found != FREE).then_some(found)
    }

    fn hashes(&self, key: &[u8]) -> [u64; 2] {
        self.hashers.each_ref().map(|hasher| hasher.hash_one(key))
    }

    /// Where a key is, or where it would come: one place at least is free.
    fn find(&self, hashes: [u64; 2]) -> usize {
        let mask = self.places.len() - 1;
        let mut at = usize::try_from(hashes[0] & mask as u64).unwrap_or(0);
        while self.places[at].offset != FREE && self.places[at].hashes != hashes {
            at = (at + 1) & mask;
        }
        at
    }

    fn grow(&mut self) {
        let larger = vec![Place::FREE; self.places.len() * 2];
        let before = std::mem::replace(&mut self.places, larger);
        for place in before.into_iter().filter(|place| place.offset != FREE) {
            let at = self.find(place.hashes);
            self.places[at] = place;
        }
    }
}

impl Place {
    const FREE: Self = Self { hashes: [0; 2], offset: FREE };
}

fn taken_max(places: usize) -> usize {
    places / 4 * 3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_offset_of_each_key_is_known_through_growth() {
        let mut keys = Keys::new(1 << 20);
        for offset in 0..20_000i64 {
            keys.put(&(offset % 5_000).to_be_bytes(), offset);
        }
        assert_eq!(keys.last(b"other"), None);
        for key in 0..5_000i64 {
            assert_eq!(keys.last(&key.to_be_bytes()), Some(15_000 + key));
        }
        assert_eq!(keys.taken, 5_000, "a key that comes again takes no more room");
    }

    #[test]
    fn memory_is_bounded_by_what_was_given() {
        let keys = Keys::new(1 << 20);
        assert_eq!(keys.taken_max, 24_576, "32,768 places of 24 bytes are 768 KiB");
        assert!(keys.has_room(24_576) && !keys.has_room(24_577));
        assert!(Keys::new(0).has_room(700), "a thousand places are there whatever was given");
    }

    #[test]
    fn an_empty_key_is_a_key_and_an_earlier_offset_changes_nothing() {
        let mut keys = Keys::new(0);
        keys.put(b"", 7);
        keys.put(b"", 3);
        assert_eq!(keys.last(b""), Some(7));
    }
}
