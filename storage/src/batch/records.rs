//! The records of a batch, borrowed from its bytes (decompressed, if it is compressed).
//!
//! A record, lengths and deltas as zigzag varints:
//! `length, attributes u8, timestamp delta, offset delta, key, value, count of headers, headers`; keys and values are a
//! length (−1: null) and bytes; a header is a key (bytes, any, never null) and a value. Header keys may repeat, and their
//! order counts. Offset deltas rise, and none is beyond the head's last offset delta.
//!
//! What is inside a batch is the client's word, even where the CRC holds. So each of the two iterators ends with the
//! first record that is not one, by an error that names it, and also checks that the records fill the bytes exactly.
//! Neither allocates.

use super::codec::CodecError;
use super::header::{BatchHeader, TimestampType};
use super::varint::Cursor;

/// What can be wrong with a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordFault {
    /// The bytes end inside the record.
    #[error("it is cut off")]
    Cut,
    /// A number that is not well formed.
    #[error("a number in it is malformed")]
    Varint,
    /// A negative length that does not mean null.
    #[error("a length in it is {0}")]
    Length(i32),
    /// A count of headers that cannot be.
    #[error("it has {0} headers")]
    HeaderCount(i32),
    /// Bytes between its last field and its end.
    #[error("it has {0} bytes too many")]
    Surplus(usize),
    /// An offset that does not follow that of the record before, or lies beyond the last of the batch.
    #[error("its offset delta is {0}")]
    OffsetDelta(i32),
    /// A timestamp that is not an `i64`.
    #[error("its timestamp overflows")]
    TimestampOverflow,
    /// Bytes behind the last record of the batch.
    #[error("{0} bytes follow the last record")]
    Trailing(usize),
}

/// A record of a batch that is not one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("record {index}: {fault}")]
pub struct RecordError {
    /// Which, counted from 0. For [`RecordFault::Trailing`] the count of the records.
    pub index: u32,
    /// What is wrong.
    pub fault: RecordFault,
}

/// Why the records of a batch could not all be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// They could not be decompressed.
    #[error(transparent)]
    Codec(#[from] CodecError),
    /// One of them is not a record.
    #[error(transparent)]
    Record(#[from] RecordError),
}

/// A record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// Its offset.
    pub offset: i64,
    /// Its timestamp in milliseconds, −1: none. With `LogAppendTime` that of its batch.
    pub timestamp: i64,
    /// Its key.
    pub key: Option<&'a [u8]>,
    /// Its value.
    pub value: Option<&'a [u8]>,
    /// Its headers.
    pub headers: Headers<'a>,
}

/// A header of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header<'a> {
    /// Its key: most often UTF-8, but nothing sees to that.
    pub key: &'a [u8],
    /// Its value.
    pub value: Option<&'a [u8]>,
}

/// The headers of a record, in order, well formed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Headers<'a> {
    count: usize,
    bytes: &'a [u8],
}

impl<'a> Headers<'a> {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Reads `count` headers at the cursor, so that no later reading of them can fail.
    fn parse(cursor: &mut Cursor<'a>, count: i32) -> Result<Self, RecordFault> {
        let bytes = cursor.rest();
        let count = usize::try_from(count).map_err(|_| RecordFault::HeaderCount(count))?;
        for _ in 0..count {
            Header::parse(cursor)?;
        }
        Ok(Self { count, bytes })
    }
}

impl<'a> Header<'a> {
    fn parse(cursor: &mut Cursor<'a>) -> Result<Self, RecordFault> {
        Ok(Self { key: cursor.sized()?, value: cursor.nullable()? })
    }
}

impl<'a> IntoIterator for Headers<'a> {
    type Item = Header<'a>;
    type IntoIter = HeaderIter<'a>;

    fn into_iter(self) -> HeaderIter<'a> {
        HeaderIter { left: self.count, cursor: Cursor::new(self.bytes) }
    }
}

/// The headers of a record, one after another.
#[derive(Clone, Debug)]
pub struct HeaderIter<'a> {
    left: usize,
    cursor: Cursor<'a>,
}

impl<'a> Iterator for HeaderIter<'a> {
    type Item = Header<'a>;

    fn next(&mut self) -> Option<Header<'a>> {
        self.left = self.left.checked_sub(1)?;
        Header::parse(&mut self.cursor).ok()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for HeaderIter<'_> {}

/// The front of a record: what can be known of it without reading its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordHead {
    /// The record's offset.
    pub offset: i64,
    /// Its timestamp, as in [`Record`].
    pub timestamp: i64,
    /// Whether its key is not null.
    pub has_key: bool,
}

/// The records of a batch. Ends with the first error.
#[derive(Clone, Debug)]
pub struct Records<'a>(Walk<'a>);

impl<'a> Records<'a> {
    /// The records in `plain`, which are the bytes behind the head, decompressed.
    pub fn new(header: &BatchHeader, plain: &'a [u8]) -> Self {
        Self(Walk::new(header, plain))
    }

    /// The bytes behind the last record that was read.
    pub(super) fn unread(&self) -> &'a [u8] {
        self.0.cursor.rest()
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = Result<Record<'a>, RecordError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.step(|front, mut body| {
            let key = body.nullable()?;
            let value = body.nullable()?;
            let count = body.varint()?;
            let headers = Headers::parse(&mut body, count)?;
            match body.rest().len() {
                0 => Ok(Record { offset: front.offset, timestamp: front.timestamp, key, value, headers }),
                surplus => Err(RecordFault::Surplus(surplus)),
            }
        })
    }
}

impl std::iter::FusedIterator for Records<'_> {}

/// The fronts of a batch's records: several times as fast as [`Records`], and blind to what is wrong inside of keys,
/// values and headers. Ends with the first error.
#[derive(Clone, Debug)]
pub struct RecordHeads<'a>(Walk<'a>);

impl<'a> RecordHeads<'a> {
    /// As [`Records::new`].
    pub fn new(header: &BatchHeader, plain: &'a [u8]) -> Self {
        Self(Walk::new(header, plain))
    }
}

impl Iterator for RecordHeads<'_> {
    type Item = Result<RecordHead, RecordError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        self.0.step(|front, mut body| {
            let has_key = body.varint()? >= 0;
            Ok(RecordHead { offset: front.offset, timestamp: front.timestamp, has_key })
        })
    }
}

impl std::iter::FusedIterator for RecordHeads<'_> {}

/// Offset and timestamp of a record.
struct Front {
    offset: i64,
    timestamp: i64,
}

/// Goes from record to record.
#[derive(Clone, Debug)]
struct Walk<'a> {
    cursor: Cursor<'a>,
    index: u32,
    count: u32,
    base_offset: i64,
    /// The least that the next record's offset delta may be.
    delta_min: i32,
    delta_max: i32,
    base_timestamp: i64,
    /// The timestamp of all records, where the broker gave it.
    append_time: Option<i64>,
    ended: bool,
}

impl<'a> Walk<'a> {
    fn new(header: &BatchHeader, plain: &'a [u8]) -> Self {
        let append_time = header.attributes().timestamp_type() == TimestampType::LogAppend;
        Self {
            cursor: Cursor::new(plain),
            index: 0,
            count: header.record_count(),
            base_offset: header.base_offset(),
            delta_min: 0,
            delta_max: header.last_offset_delta().cast_signed(),
            base_timestamp: header.base_timestamp(),
            append_time: append_time.then(|| header.max_timestamp()),
            ended: false,
        }
    }

    /// The next record, its body read by `read`.
    #[inline]
    fn step<T>(
        &mut self,
        read: impl FnOnce(Front, Cursor<'a>) -> Result<T, RecordFault>,
    ) -> Option<Result<T, RecordError>> {
        if self.ended {
            return None;
        }
        let index = self.index;
        let outcome = if index == self.count {
            self.ended = true;
            match self.cursor.rest().len() {
                0 => return None,
                trailing => Err(RecordFault::Trailing(trailing)),
            }
        } else {
            self.index += 1;
            self.front().and_then(|(front, body)| read(front, body))
        };
        self.ended |= outcome.is_err();
        Some(outcome.map_err(|fault| RecordError { index, fault }))
    }

    #[inline]
    fn front(&mut self) -> Result<(Front, Cursor<'a>), RecordFault> {
        let mut body = Cursor::new(self.cursor.sized()?);
        let _attributes = body.byte()?;
        let timestamp_delta = body.varlong()?;
        let offset_delta = body.varint()?;
        if offset_delta < self.delta_min || offset_delta > self.delta_max {
            return Err(RecordFault::OffsetDelta(offset_delta));
        }
        // Past the greatest delta there is no record left, so that this saturates only where nothing more may come.
        self.delta_min = offset_delta.saturating_add(1);
        let timestamp = match self.append_time {
            Some(time) => time,
            None => self.base_timestamp.checked_add(timestamp_delta).ok_or(RecordFault::TimestampOverflow)?,
        };
        Ok((Front { offset: self.base_offset + i64::from(offset_delta), timestamp }, body))
    }
}
