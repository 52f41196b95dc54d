//! The bytes of keys, values and sections: appended to a `Vec`, and read back by a [`Reader`] that never leaves its bytes.
//!
//! Every read is checked: what ends early, is too long or is no UTF-8 is [`Error::Corrupt`], and names the thing that was
//! read. A reader is asked for its [`end`](Reader::end), so that bytes too many are damage, too. Numbers are little endian
//! in values and sections, big endian (`be_…`) in keys and in what Kafka's format has.

use crate::{Error, Result};

/// A place in bytes that came from a disk.
#[derive(Debug, Clone)]
pub struct Reader<'a> {
    rest: &'a [u8],
    what: &'static str,
}

impl<'a> Reader<'a> {
    /// Reads `bytes`, which are a `what`.
    pub(super) fn new(bytes: &'a [u8], what: &'static str) -> Self {
        Self { rest: bytes, what }
    }

    /// The error that this is damaged in a way that `why` says.
    pub(super) fn damaged(&self, why: impl std::fmt::Display) -> Error {
        Error::Corrupt(format!("{}: {why}", self.what))
    }

    /// The error that this has a version that the program does not know.
    pub(super) fn newer(&self, found: u32, known: u32) -> Error {
        Error::Newer { path: self.what.into(), found, known }
    }

    pub(super) fn bytes(&mut self, count: usize) -> Result<&'a [u8]> {
        let (bytes, rest) = self.rest.split_at_checked(count).ok_or_else(|| self.damaged("it ends early"))?;
        self.rest = rest;
        Ok(bytes)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let (bytes, rest) = self.rest.split_first_chunk().ok_or_else(|| self.damaged("it ends early"))?;
        self.rest = rest;
        Ok(*bytes)
    }

    /// All that is left.
    pub(super) fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.rest)
    }

    /// All that is left, as text.
    pub(super) fn rest_text(&mut self) -> Result<&'a str> {
        let bytes = self.rest();
        self.text_of(bytes)
    }

    pub(super) fn u8(&mut self) -> Result<u8> {
        self.array::<1>().map(|[byte]| byte)
    }

    pub(super) fn u16(&mut self) -> Result<u16> {
        self.array().map(u16::from_le_bytes)
    }

    pub(super) fn u32(&mut self) -> Result<u32> {
        self.array().map(u32::from_le_bytes)
    }

    pub(super) fn u64(&mut self) -> Result<u64> {
        self.array().map(u64::from_le_bytes)
    }

    pub(super) fn i32(&mut self) -> Result<i32> {
        self.array().map(i32::from_le_bytes)
    }

    pub(super) fn i64(&mut self) -> Result<i64> {
        self.array().map(i64::from_le_bytes)
    }

    pub(super) fn be_i16(&mut self) -> Result<i16> {
        self.array().map(i16::from_be_bytes)
    }

    pub(super) fn be_u32(&mut self) -> Result<u32> {
        self.array().map(u32::from_be_bytes)
    }

    pub(super) fn be_i32(&mut self) -> Result<i32> {
        self.array().map(i32::from_be_bytes)
    }

    pub(super) fn be_u64(&mut self) -> Result<u64> {
        self.array().map(u64::from_be_bytes)
    }

    pub(super) fn be_i64(&mut self) -> Result<i64> {
        self.array().map(i64::from_be_bytes)
    }

    /// Text behind its length, a little-endian `u16`.
    pub(super) fn text(&mut self) -> Result<&'a str> {
        let length = self.u16()?;
        let bytes = self.bytes(usize::from(length))?;
        self.text_of(bytes)
    }

    /// Text behind its length, a big-endian `i16` that is not negative: Kafka's string.
    pub(super) fn be_text(&mut self) -> Result<&'a str> {
        let length = self.be_i16()?;
        let count = usize::try_from(length).map_err(|_| self.damaged("a string in it is null"))?;
        let bytes = self.bytes(count)?;
        self.text_of(bytes)
    }

    pub(super) fn text_of(&self, bytes: &'a [u8]) -> Result<&'a str> {
        std::str::from_utf8(bytes).map_err(|_| self.damaged("a string in it is not UTF-8"))
    }

    /// An unsigned number in groups of seven bits, the lowest first; never longer than it has to be.
    pub(super) fn varint(&mut self) -> Result<u64> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.u8()?;
            let bits = u64::from(byte & 0x7f);
            if bits << shift >> shift != bits || (byte == 0 && shift > 0) {
                break;
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(self.damaged("a number in it is malformed"))
    }

    pub(super) fn varint_u32(&mut self) -> Result<u32> {
        let value = self.varint()?;
        u32::try_from(value).map_err(|_| self.damaged("a number in it is too large"))
    }

    /// A signed number, its sign in the lowest bit.
    pub(super) fn zigzag(&mut self) -> Result<i64> {
        let raw = self.varint()?;
        Ok((raw >> 1).cast_signed() ^ -(raw & 1).cast_signed())
    }

    pub(super) fn zigzag_i32(&mut self) -> Result<i32> {
        let value = self.zigzag()?;
        i32::try_from(value).map_err(|_| self.damaged("a number in it is too large"))
    }

    /// A count of things of at least `size_min` bytes each: so many must be left, and memory may be taken for them.
    pub(super) fn count(&mut self, size_min: usize) -> Result<usize> {
        let count = usize::try_from(self.varint()?).unwrap_or(usize::MAX);
        match count.checked_mul(size_min) {
            Some(bytes) if bytes <= self.rest.len() => Ok(count),
            _ => Err(self.damaged("a count in it is too large")),
        }
    }

    /// The same, where the count is a `u32`.
    pub(super) fn counted(&mut self, size_min: usize) -> Result<usize> {
        let count = self.u32()? as usize;
        match count.checked_mul(size_min) {
            Some(bytes) if bytes <= self.rest.len() => Ok(count),
            _ => Err(self.damaged("a count in it is too large")),
        }
    }

    /// Checks that nothing is left.
    pub(super) fn end(&self) -> Result<()> {
        match self.rest.len() {
            0 => Ok(()),
            surplus => Err(self.damaged(format_args!("{surplus} bytes too many"))),
        }
    }
}

/// Appends text behind its length. The caller has checked with [`fits`].
pub(super) fn put_text(out: &mut Vec<u8>, text: &str) {
    let bytes = &text.as_bytes()[..text.len().min(usize::from(u16::MAX))];
    out.extend_from_slice(&u16::try_from(bytes.len()).unwrap_or(u16::MAX).to_le_bytes());
    out.extend_from_slice(bytes);
}

/// Appends Kafka's string. The caller has checked with [`fits`].
pub(super) fn put_be_text(out: &mut Vec<u8>, text: &str) {
    let bytes = &text.as_bytes()[..text.len().min(KAFKA_TEXT_MAX)];
    out.extend_from_slice(&i16::try_from(bytes.len()).unwrap_or(i16::MAX).to_be_bytes());
    out.extend_from_slice(bytes);
}

/// The longest string of Kafka's, in bytes.
pub(super) const KAFKA_TEXT_MAX: usize = i16::MAX as usize;

/// The longest string of ours, in bytes.
pub(super) const TEXT_MAX: usize = u16::MAX as usize;

/// Checks that a text can be written with its length.
pub(super) fn fits(what: &str, text: &str, max: usize) -> Result<()> {
    if text.len() > max {
        return Err(Error::Invalid(format!("{what} has {} bytes, at most {max} are possible", text.len())));
    }
    Ok(())
}

/// Checks that a count can be written in 16 bits.
pub(super) fn fits_count(what: &str, count: usize) -> Result<()> {
    if count > usize::from(u16::MAX) {
        return Err(Error::Invalid(format!("{what} are {count}, at most {} are possible", u16::MAX)));
    }
    Ok(())
}

/// Checks that a text has no zero byte, which ends it in a key.
pub(super) fn no_zero(what: &str, text: &str) -> Result<()> {
    if text.contains('\0') {
        return Err(Error::Invalid(format!("{what} has a zero byte")));
    }
    Ok(())
}

/// Appends a number for [`Reader::varint`].
pub(super) fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push((value & 0x7f) as u8);
}

/// Appends a number for [`Reader::zigzag`].
pub(super) fn put_zigzag(out: &mut Vec<u8>, value: i64) {
    put_varint(out, ((value << 1) ^ (value >> 63)).cast_unsigned());
}
