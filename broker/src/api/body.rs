//! The body of a response that its handler encodes itself: one that is asked for often, or that goes around bytes which are not copied.

use bytes::{BufMut, BytesMut};

/// A body as it grows. Its lengths are varints, and its records end in tagged fields, if its version is flexible (KIP-482).
pub(super) struct Body {
    pub(super) bytes: BytesMut,
    is_flexible: bool,
}

impl Body {
    /// An empty one, with room for so many bytes.
    pub(super) fn new(is_flexible: bool, room: usize) -> Self {
        Self { bytes: BytesMut::with_capacity(room), is_flexible }
    }

    /// The number of elements of an array.
    pub(super) fn count(&mut self, count: usize) {
        if self.is_flexible {
            self.varint(count.saturating_add(1));
        } else {
            self.bytes.put_i32(i32::try_from(count).unwrap_or(i32::MAX));
        }
    }

    /// A text. It fits into its field: a client sent it in such a field, or we made it, and ours are short.
    pub(super) fn text(&mut self, text: &str) {
        if self.is_flexible {
            self.varint(text.len() + 1);
        } else {
            self.bytes.put_u16(u16::try_from(text.len()).unwrap_or(u16::MAX));
        }
        self.bytes.put_slice(text.as_bytes());
    }

    /// A text that is null.
    pub(super) fn no_text(&mut self) {
        if self.is_flexible { self.bytes.put_u8(0) } else { self.bytes.put_i16(-1) }
    }

    /// The end of a record: no tagged fields.
    pub(super) fn no_tags(&mut self) {
        if self.is_flexible {
            self.bytes.put_u8(0);
        }
    }

    /// Seven bits a byte, the lowest first.
    pub(super) fn varint(&mut self, value: usize) {
        let mut left = u32::try_from(value).unwrap_or(u32::MAX);
        while left >= 0x80 {
            self.bytes.put_u8(left.to_le_bytes()[0] | 0x80);
            left >>= 7;
        }
        self.bytes.put_u8(left.to_le_bytes()[0]);
    }
}
