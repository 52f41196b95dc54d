//! Zigzag varints, as record batches use them.

use bytes::{Buf, BufMut};

/// Writes a signed number, small ones in few bytes.
pub(super) fn put_varint(out: &mut impl BufMut, value: i64) {
    let mut rest = (value << 1 ^ value >> 63).cast_unsigned();
    while rest >= 0x80 {
        out.put_u8(rest.to_le_bytes()[0] | 0x80);
        rest >>= 7;
    }
    out.put_u8(rest.to_le_bytes()[0]);
}

/// Reads one; panics if it is longer than ten bytes.
pub(super) fn get_varint(bytes: &mut impl Buf) -> i64 {
    let mut value = 0_u64;
    for shift in (0..70).step_by(7) {
        let byte = bytes.get_u8();
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return (value >> 1).cast_signed() ^ -(value & 1).cast_signed();
        }
    }
    panic!("a varint of more than ten bytes");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edges_come_back() {
        for value in [0, -1, 1, 63, -64, 64, 300, i64::from(i32::MIN), i64::MAX, i64::MIN] {
            let mut bytes = Vec::new();
            put_varint(&mut bytes, value);
            assert_eq!(get_varint(&mut &bytes[..]), value);
        }
    }
}
