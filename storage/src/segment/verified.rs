//! Which batches of a file were found sound since it was opened: those need not be read and hashed again to be sent.
//!
//! One bit per 4 KiB of the file, for a batch that begins there. Batches shorter than that have none (two could share it), and are checked at each read
//! by themselves; no two others begin within the same 4 KiB.

use std::sync::Mutex;

use crate::timeline::{Entry, lock};

const UNIT_BYTES: u32 = 4 << 10;
const WORD_BITS: u32 = u64::BITS;

/// The bits of one open file; as many as its highest batch that was checked needs.
#[derive(Default, Debug)]
pub(crate) struct Verified(Mutex<Vec<u64>>);

impl Verified {
    /// Notes that a batch was found sound.
    pub(crate) fn note(&self, entry: &Entry) {
        let Some((word, bit)) = place(entry) else { return };
        let mut words = lock(&self.0);
        if words.len() <= word {
            words.resize(word + 1, 0);
        }
        words[word] |= bit;
    }

    /// Whether a batch was found sound.
    pub(crate) fn has(&self, entry: &Entry) -> bool {
        place(entry).is_some_and(|(word, bit)| lock(&self.0).get(word).is_some_and(|bits| bits & bit != 0))
    }
}

fn place(entry: &Entry) -> Option<(usize, u64)> {
    let unit = entry.position / UNIT_BYTES;
    (entry.bytes >= UNIT_BYTES).then_some(((unit / WORD_BITS) as usize, 1 << (unit % WORD_BITS)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(position: u32, bytes: u32) -> Entry {
        Entry { base_offset: 0, position, bytes, max_timestamp: 0, running_max: 0 }
    }

    #[test]
    fn a_batch_is_known_by_where_it_begins() {
        let verified = Verified::default();
        let noted = [entry(64, 4096), entry(4160, 70_000), entry(u32::MAX, 4096), entry(1 << 20, 4095)];
        for entry in &noted {
            verified.note(entry);
        }
        assert_eq!(noted.map(|entry| verified.has(&entry)), [true, true, true, false]);
        assert!(!verified.has(&entry(8192, 4096)), "within another batch");
        assert!(!verified.has(&entry(80, 100)), "too short to have a bit of its own");
    }
}
