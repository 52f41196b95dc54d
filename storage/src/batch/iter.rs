//! Batches that stand back to back in a buffer.

use std::borrow::Cow;

use super::HEADER_BYTES;
use super::codec::{self, CodecError};
use super::find::{self, TimestampedOffset};
use super::header::{BatchHeader, HeaderError};
use super::records::{ReadError, Records};

/// A batch in a buffer: a head, and all its bytes.
#[derive(Clone, Copy, Debug)]
pub struct Batch<'a> {
    header: BatchHeader,
    bytes: &'a [u8],
}

impl<'a> Batch<'a> {
    /// The batch at the front of `buffer`, which may go on behind it. No CRC is taken.
    pub fn parse(buffer: &'a [u8]) -> Result<Self, HeaderError> {
        let header = BatchHeader::parse(buffer)?;
        let need = header.size_in_bytes();
        let bytes = buffer.get(..need).ok_or(HeaderError::Truncated { have: buffer.len(), need })?;
        Ok(Self { header, bytes })
    }

    /// As [`Batch::parse`], and the CRC holds.
    pub fn parse_verified(buffer: &'a [u8]) -> Result<Self, HeaderError> {
        let batch = Self::parse(buffer)?;
        batch.header.verify_crc(batch.bytes)?;
        Ok(batch)
    }

    /// The head.
    pub fn header(&self) -> &BatchHeader {
        &self.header
    }

    /// The whole batch.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The bytes of the records as they are stored.
    pub fn stored_records(&self) -> &'a [u8] {
        &self.bytes[HEADER_BYTES..]
    }

    /// The bytes of the records, decompressed if need be, at the most `bytes_max` of them then. [`Records::new`] reads
    /// them.
    pub fn plain_records(&self, bytes_max: usize) -> Result<Cow<'a, [u8]>, CodecError> {
        let codec = self.header.attributes().codec().map_err(CodecError::Unknown)?;
        codec::decompress(codec, self.stored_records(), bytes_max)
    }

    /// Calls `each` with every record in turn.
    pub fn for_each_record(&self, bytes_max: usize, mut each: impl FnMut(super::Record<'_>)) -> Result<(), ReadError> {
        let plain = self.plain_records(bytes_max)?;
        for record in Records::new(&self.header, &plain) {
            each(record?);
        }
        Ok(())
    }

    /// The first record at or after offset `from` whose timestamp is at or after `time`.
    pub fn first_at_or_after(
        &self,
        time: i64,
        from: i64,
        bytes_max: usize,
    ) -> Result<Option<TimestampedOffset>, ReadError> {
        Ok(find::first_at_or_after(&self.header, &self.plain_records(bytes_max)?, time, from)?)
    }

    /// The first of the records that have the greatest timestamp.
    pub fn max_timestamp(&self, bytes_max: usize) -> Result<Option<TimestampedOffset>, ReadError> {
        Ok(find::max_timestamp(&self.header, &self.plain_records(bytes_max)?)?)
    }
}

/// Where in a buffer no sound batch follows, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("at byte {position}: {error}")]
pub struct Damage {
    /// The byte of the buffer at which the batch should begin.
    pub position: usize,
    /// What is wrong with it.
    pub error: HeaderError,
}

/// The batches of a buffer in turn, each with its CRC checked, up to the first damage. A batch that is cut off at the
/// buffer's end is damage of the kind [`HeaderError::Truncated`].
#[derive(Clone, Debug)]
pub struct BatchIter<'a> {
    buffer: &'a [u8],
    position: usize,
    damaged: bool,
}

impl<'a> BatchIter<'a> {
    /// Begins at the front of a buffer.
    pub fn new(buffer: &'a [u8]) -> Self {
        Self { buffer, position: 0, damaged: false }
    }

    /// The byte after the last sound batch.
    pub fn position(&self) -> usize {
        self.position
    }
}

impl<'a> Iterator for BatchIter<'a> {
    type Item = Result<Batch<'a>, Damage>;

    fn next(&mut self) -> Option<Self::Item> {
        let rest = &self.buffer[self.position..];
        if self.damaged || rest.is_empty() {
            return None;
        }
        let batch = Batch::parse_verified(rest);
        match batch {
            Ok(batch) => self.position += batch.bytes.len(),
            Err(_) => self.damaged = true,
        }
        Some(batch.map_err(|error| Damage { position: self.position, error }))
    }
}

impl std::iter::FusedIterator for BatchIter<'_> {}
