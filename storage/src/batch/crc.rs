//! The CRC-32C of a batch whose head changes, without reading its records again.
//!
//! A CRC is linear: when some bytes at the front change, the CRC of the whole changes by the difference of the two
//! fronts' CRCs, moved along by the length of what follows, and moving along by n bits is multiplying by xⁿ modulo the
//! polynomial. So a new CRC is made *from the old one*: bytes damaged since the old one was taken still do not check,
//! where hashing them again would vouch for them. It costs the same for every length of records.

/// The Castagnoli polynomial, its lowest power in the highest bit.
const POLYNOMIAL: u32 = 0x82f6_3b78;

/// x to the power of 2ⁿ, for the bits of any length up to 4 GiB counted in bits.
const POWERS: [u32; 35] = powers();

/// The CRC of `front ++ rest`, after `front` was replaced by another of the same length.
///
/// `whole` is the CRC before, `before` and `after` those of the fronts alone.
pub(super) fn replace_front(whole: u32, before: u32, after: u32, rest_bytes: u32) -> u32 {
    whole ^ shift(before ^ after, rest_bytes)
}

/// Moves a difference of CRCs past `bytes` bytes.
fn shift(difference: u32, bytes: u32) -> u32 {
    let mut moved = difference;
    let mut bits = u64::from(bytes) << 3;
    while bits != 0 {
        moved = multiply(POWERS[bits.trailing_zeros() as usize], moved);
        bits &= bits - 1;
    }
    moved
}

/// The product of two polynomials, modulo the CRC's.
const fn multiply(a: u32, mut b: u32) -> u32 {
    let mut product = 0;
    let mut bit = 1 << 31;
    while bit != 0 {
        if a & bit != 0 {
            product ^= b;
        }
        b = if b & 1 == 0 { b >> 1 } else { (b >> 1) ^ POLYNOMIAL };
        bit >>= 1;
    }
    product
}

const fn powers() -> [u32; 35] {
    let mut powers = [1 << 30; 35];
    let mut n = 1;
    while n < powers.len() {
        powers[n] = multiply(powers[n - 1], powers[n - 1]);
        n += 1;
    }
    powers
}
