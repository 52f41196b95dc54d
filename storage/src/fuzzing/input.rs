//! Fuzz bytes, taken from the front as numbers and pieces. When they are used up, zeros follow.

use crate::disk::SimDisk;

#[derive(Clone, Copy, Debug)]
pub(super) struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All that is left.
    pub(super) fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.0)
    }

    /// At most `count` bytes.
    pub(super) fn bytes(&mut self, count: usize) -> &'a [u8] {
        let (bytes, rest) = self.0.split_at(count.min(self.0.len()));
        self.0 = rest;
        bytes
    }

    /// A piece that says its own length, below 65,536.
    pub(super) fn piece(&mut self) -> &'a [u8] {
        let count = self.u16();
        self.bytes(count.into())
    }

    fn array<const N: usize>(&mut self) -> [u8; N] {
        let mut array = [0; N];
        let bytes = self.bytes(N);
        array[..bytes.len()].copy_from_slice(bytes);
        array
    }

    pub(super) fn u8(&mut self) -> u8 {
        self.array::<1>()[0]
    }

    pub(super) fn u16(&mut self) -> u16 {
        u16::from_le_bytes(self.array())
    }

    pub(super) fn u32(&mut self) -> u32 {
        u32::from_le_bytes(self.array())
    }

    pub(super) fn u64(&mut self) -> u64 {
        u64::from_le_bytes(self.array())
    }

    pub(super) fn i64(&mut self) -> i64 {
        i64::from_le_bytes(self.array())
    }

    /// A number below `bound`, which is not 0.
    pub(super) fn below(&mut self, bound: usize) -> usize {
        self.u32() as usize % bound
    }

    /// What may happen to the bytes of a file, as often as the input says: bits that flip, an end that is lost, zeros, pieces of
    /// the file in other places of it, bytes behind its end.
    pub(super) fn mishaps(&mut self, bytes: &mut Vec<u8>) {
        while !self.is_empty() {
            let (what, len) = (self.u8() % 5, bytes.len());
            if len == 0 {
                return;
            }
            let (at, count) = (self.below(len), usize::from(self.u16()));
            match what {
                0 => bytes[at] ^= self.u8(),
                1 => bytes.truncate(at),
                2 => bytes[at..(at + count).min(len)].fill(0),
                4 => {
                    // Whole blocks are what disks put elsewhere.
                    let (from, to) = (at & !63, self.below(len) & !63);
                    let count = (count | 63).min(len - from.max(to));
                    bytes.copy_within(from..from + count, to);
                }
                _ => bytes.extend_from_slice(self.bytes(count.min(256))),
            }
        }
    }
}

/// A disk with one file.
pub(super) fn disk_with(path: &std::path::Path, bytes: &[u8]) -> SimDisk {
    let disk = SimDisk::new();
    disk.plant(path, bytes);
    disk
}
