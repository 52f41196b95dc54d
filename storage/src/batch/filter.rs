//! A batch without some of its records: what compaction leaves of it.
//!
//! What stays, stays as it was: the bytes of each record, base offset, last offset delta, base timestamp, flags, producer, epoch and sequence. So offsets,
//! timestamps and the last sequence of the producer are what they were, and only the count, the greatest timestamp and the CRC say that something is gone.
//! (Where the broker gave the time, the greatest timestamp is that of all records, and stays.) The codec stays, too, at its default level.

use super::HEADER_BYTES;
use super::codec;
use super::header::TimestampType;
use super::iter::Batch;
use super::records::{ReadError, Record, Records};
use super::{BuildError, CodecError, NO_TIMESTAMP};

/// What is left of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Filtered {
    /// Every record.
    All,
    /// None.
    Nothing,
    /// Some: a batch of its own.
    Some(Vec<u8>),
}

/// Why a batch could not be filtered.
#[derive(Debug, thiserror::Error)]
pub enum FilterError {
    /// Its records cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The new batch cannot be made.
    #[error(transparent)]
    Build(#[from] BuildError),
}

impl Batch<'_> {
    /// Asks of every record whether it stays, and makes the batch of those that do. At most `bytes_max` bytes are decompressed.
    pub fn filter(
        &self,
        bytes_max: usize,
        mut stays: impl FnMut(&Record<'_>) -> bool,
    ) -> Result<Filtered, FilterError> {
        let codec = self.header().attributes().codec().map_err(|id| ReadError::Codec(CodecError::Unknown(id)))?;
        let plain = self.plain_records(bytes_max).map_err(ReadError::Codec)?;
        let mut records = Records::new(self.header(), &plain);
        let mut kept = Vec::new();
        let (mut count, mut max_timestamp) = (0, NO_TIMESTAMP);
        loop {
            let before = records.unread();
            let Some(record) = records.next() else { break };
            let record = record.map_err(ReadError::Record)?;
            if stays(&record) {
                kept.extend_from_slice(&before[..before.len() - records.unread().len()]);
                count += 1;
                max_timestamp = max_timestamp.max(record.timestamp);
            }
        }
        if count == self.header().record_count() {
            return Ok(Filtered::All);
        }
        if count == 0 {
            return Ok(Filtered::Nothing);
        }
        if self.header().attributes().timestamp_type() == TimestampType::LogAppend {
            max_timestamp = self.header().max_timestamp();
        }
        let mut batch = vec![0; HEADER_BYTES];
        codec::compress(codec, &kept, &mut batch).map_err(BuildError::Codec)?;
        let header = self.header().with_records(count, max_timestamp, &batch[HEADER_BYTES..])?;
        batch[..HEADER_BYTES].copy_from_slice(&header.encode());
        Ok(Filtered::Some(batch))
    }
}
