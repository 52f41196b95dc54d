//! The five codecs, in the framing that Java clients write.
//!
//! gzip and zstd are plain streams, lz4 is a frame. Snappy is Xerial's framing (a 16-byte head, then blocks each behind
//! its length); librdkafka writes it without, so both are read.

use std::io::{Read, Write};

use bytes::{Buf, BufMut, Bytes};

/// Magic, version 1, compatible with 1.
const XERIAL_HEAD: &[u8] = b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01";
/// What Java puts into one block.
const XERIAL_BLOCK_BYTES: usize = 32 * 1024;

/// How the records of a batch are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Codec {
    /// Not at all.
    None,
    /// RFC 1952.
    Gzip,
    /// With Xerial's framing.
    Snappy,
    /// Frame format.
    Lz4,
    /// RFC 8878.
    Zstd,
}

impl Codec {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::None, Self::Gzip, Self::Snappy, Self::Lz4, Self::Zstd];

    /// Its number in a batch's attributes.
    pub fn bits(self) -> i16 {
        match self {
            Self::None => 0,
            Self::Gzip => 1,
            Self::Snappy => 2,
            Self::Lz4 => 3,
            Self::Zstd => 4,
        }
    }

    /// The codec with that number.
    pub fn from_bits(bits: i16) -> Option<Self> {
        Self::ALL.into_iter().find(|codec| codec.bits() == bits)
    }

    pub(super) fn compress(self, bytes: &[u8]) -> Vec<u8> {
        match self {
            Self::None => bytes.to_vec(),
            Self::Gzip => {
                let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
                encoder.write_all(bytes).expect("a vector grows");
                encoder.finish().expect("a vector grows")
            }
            Self::Snappy => compress_xerial(bytes),
            Self::Lz4 => {
                let mut encoder = lz4_flex::frame::FrameEncoder::new(Vec::new());
                encoder.write_all(bytes).expect("a vector grows");
                encoder.finish().expect("a vector grows")
            }
            Self::Zstd => zstd::encode_all(bytes, 1).expect("a vector grows"),
        }
    }

    pub(super) fn decompress(self, bytes: &[u8]) -> Bytes {
        let mut out = Vec::new();
        match self {
            Self::None => out.extend_from_slice(bytes),
            Self::Gzip => drop(flate2::read::GzDecoder::new(bytes).read_to_end(&mut out).expect("valid gzip")),
            Self::Snappy => out = decompress_snappy(bytes),
            Self::Lz4 => drop(lz4_flex::frame::FrameDecoder::new(bytes).read_to_end(&mut out).expect("valid lz4")),
            Self::Zstd => out = zstd::decode_all(bytes).expect("valid zstd"),
        }
        out.into()
    }
}

fn compress_xerial(bytes: &[u8]) -> Vec<u8> {
    let mut out = XERIAL_HEAD.to_vec();
    for block in bytes.chunks(XERIAL_BLOCK_BYTES) {
        let compressed = snap::raw::Encoder::new().compress_vec(block).expect("a block is small");
        out.put_u32(u32::try_from(compressed.len()).expect("a block is small"));
        out.extend_from_slice(&compressed);
    }
    out
}

fn decompress_snappy(mut bytes: &[u8]) -> Vec<u8> {
    let mut decoder = snap::raw::Decoder::new();
    if !bytes.starts_with(&XERIAL_HEAD[..8]) {
        return decoder.decompress_vec(bytes).expect("valid snappy");
    }
    bytes.advance(XERIAL_HEAD.len());
    let mut out = Vec::new();
    while bytes.has_remaining() {
        let length = bytes.get_u32() as usize;
        out.extend(decoder.decompress_vec(&bytes[..length]).expect("valid snappy"));
        bytes.advance(length);
    }
    out
}
