//! Kafka's zigzag varints, and a cursor that reads them without ever leaving its bytes.
//!
//! Seven bits a byte, the lowest first, the high bit set on all but the last; the sign in the lowest bit. A varint of an
//! `i32` has at most 5 bytes, of an `i64` at most 10; one that is longer, or says more bits than its type has, is an error.

use super::records::RecordFault;

/// A place in bytes that came from outside.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cursor<'a> {
    rest: &'a [u8],
}

impl<'a> Cursor<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(super) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    #[inline]
    pub(super) fn byte(&mut self) -> Result<u8, RecordFault> {
        let (&byte, rest) = self.rest.split_first().ok_or(RecordFault::Cut)?;
        self.rest = rest;
        Ok(byte)
    }

    #[inline]
    pub(super) fn bytes(&mut self, count: usize) -> Result<&'a [u8], RecordFault> {
        let (bytes, rest) = self.rest.split_at_checked(count).ok_or(RecordFault::Cut)?;
        self.rest = rest;
        Ok(bytes)
    }

    #[inline]
    pub(super) fn varint(&mut self) -> Result<i32, RecordFault> {
        let raw = u32::try_from(self.unsigned(5)?).map_err(|_| RecordFault::Varint)?;
        Ok((raw >> 1).cast_signed() ^ -(raw & 1).cast_signed())
    }

    #[inline]
    pub(super) fn varlong(&mut self) -> Result<i64, RecordFault> {
        let raw = self.unsigned(10)?;
        Ok((raw >> 1).cast_signed() ^ -(raw & 1).cast_signed())
    }

    /// A length that may not be negative, and so many bytes.
    #[inline]
    pub(super) fn sized(&mut self) -> Result<&'a [u8], RecordFault> {
        let length = self.varint()?;
        let count = u32::try_from(length).map_err(|_| RecordFault::Length(length))?;
        self.bytes(count as usize)
    }

    /// A length, −1 for null, and so many bytes.
    #[inline]
    pub(super) fn nullable(&mut self) -> Result<Option<&'a [u8]>, RecordFault> {
        match self.varint()? {
            -1 => Ok(None),
            length => {
                let count = u32::try_from(length).map_err(|_| RecordFault::Length(length))?;
                self.bytes(count as usize).map(Some)
            }
        }
    }

    /// Most varints have one or two bytes, and which of them hardly changes from record to record.
    #[inline]
    fn unsigned(&mut self, bytes_max: usize) -> Result<u64, RecordFault> {
        match *self.rest {
            [one, ref rest @ ..] if one < 0x80 => {
                self.rest = rest;
                Ok(u64::from(one))
            }
            [one, two, ref rest @ ..] if two < 0x80 => {
                self.rest = rest;
                Ok(u64::from(one & 0x7f) | u64::from(two) << 7)
            }
            _ => self.unsigned_slow(bytes_max),
        }
    }

    fn unsigned_slow(&mut self, bytes_max: usize) -> Result<u64, RecordFault> {
        let mut value = 0;
        for (index, &byte) in self.rest.iter().take(bytes_max).enumerate() {
            let bits = u64::from(byte & 0x7f);
            // The tenth byte has room for one bit.
            if index == 9 && bits > 1 {
                return Err(RecordFault::Varint);
            }
            value |= bits << (7 * index);
            if byte < 0x80 {
                self.rest = &self.rest[index + 1..];
                return Ok(value);
            }
        }
        Err(if self.rest.len() < bytes_max { RecordFault::Cut } else { RecordFault::Varint })
    }
}

/// Appends a varint. An `i32` written as an `i64` has the same bytes.
pub(super) fn put(out: &mut Vec<u8>, value: i64) {
    let mut raw = (value << 1).cast_unsigned() ^ (value >> 63).cast_unsigned();
    while raw >= 0x80 {
        out.push((raw & 0x7f) as u8 | 0x80);
        raw >>= 7;
    }
    out.push((raw & 0x7f) as u8);
}

/// How many bytes [`put`] appends.
pub(super) fn size(value: i64) -> usize {
    let raw = (value << 1).cast_unsigned() ^ (value >> 63).cast_unsigned();
    (64 - (raw | 1).leading_zeros() as usize).div_ceil(7)
}
