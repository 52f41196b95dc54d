//! Compression of the records of a batch, as a whole.
//!
//! Nothing that is decompressed exceeds a limit that the caller gives: a few hundred bytes can claim to be gigabytes.
//! What a decoder holds beside it while it works is bounded as well: up to 12 MiB of blocks with lz4, under 200 KiB with
//! the others. As Kafka's clients write them:
//!
//! * gzip: one member or several.
//! * snappy: blocks framed as `snappy-java` does (Kafka's own, and most clients'), or one bare block.
//! * lz4: one frame of the frame format, no legacy frames, no dictionary.
//! * zstd: one frame or several, no dictionary.

use std::borrow::Cow;
use std::io::{self, Read, Write};

use zstd::zstd_safe;

/// How the records of a batch are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum Codec {
    /// Not at all.
    #[default]
    None,
    /// Gzip.
    Gzip,
    /// Snappy.
    Snappy,
    /// LZ4.
    Lz4,
    /// Zstandard.
    Zstd,
}

/// Why bytes could not be compressed or decompressed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    /// More would come out than the caller allows.
    #[error("decompressed, the records exceed {bytes_max} bytes")]
    TooLarge {
        /// What the caller allows.
        bytes_max: usize,
    },
    /// The bytes are not what the codec makes.
    #[error("not {codec:?}: {why}")]
    Malformed {
        /// The codec.
        codec: Codec,
        /// What its decoder says.
        why: String,
    },
    /// A codec that does not exist.
    #[error("codec {0} is unknown")]
    Unknown(u8),
}

impl Codec {
    /// The codec of a number in a batch's attributes, or that number.
    pub fn from_id(id: u8) -> Result<Self, u8> {
        match id {
            0 => Ok(Self::None),
            1 => Ok(Self::Gzip),
            2 => Ok(Self::Snappy),
            3 => Ok(Self::Lz4),
            4 => Ok(Self::Zstd),
            other => Err(other),
        }
    }

    /// Its number in a batch's attributes.
    pub fn id(self) -> u8 {
        match self {
            Self::None => 0,
            Self::Gzip => 1,
            Self::Snappy => 2,
            Self::Lz4 => 3,
            Self::Zstd => 4,
        }
    }

    /// Its name in Kafka's configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Gzip => "gzip",
            Self::Snappy => "snappy",
            Self::Lz4 => "lz4",
            Self::Zstd => "zstd",
        }
    }

    fn malformed(self, why: &impl ToString) -> CodecError {
        CodecError::Malformed { codec: self, why: why.to_string() }
    }
}

/// Decompresses `stored`, to at the most `bytes_max` bytes. What is not compressed is lent as it is.
pub fn decompress(codec: Codec, stored: &[u8], bytes_max: usize) -> Result<Cow<'_, [u8]>, CodecError> {
    if codec == Codec::None {
        return Ok(Cow::Borrowed(stored));
    }
    let mut decompressor = Decompressor::new();
    decompressor.decompress(codec, stored, bytes_max)?;
    Ok(Cow::Owned(decompressor.plain))
}

/// Decompresses one batch after another into the same memory.
#[derive(Default)]
pub struct Decompressor {
    plain: Vec<u8>,
    zstd: Option<zstd_safe::DCtx<'static>>,
}

impl Decompressor {
    /// One that holds no memory yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The bytes of memory that it holds for what comes out.
    pub fn memory(&self) -> usize {
        self.plain.capacity()
    }

    /// Decompresses `stored`, to at the most `bytes_max` bytes. What is not compressed is lent as it is.
    pub fn decompress<'a>(
        &'a mut self,
        codec: Codec,
        stored: &'a [u8],
        bytes_max: usize,
    ) -> Result<&'a [u8], CodecError> {
        self.plain.clear();
        match codec {
            Codec::None => return Ok(stored),
            Codec::Gzip => read_all(codec, flate2::bufread::MultiGzDecoder::new(stored), bytes_max, &mut self.plain)?,
            Codec::Snappy => snappy::decompress(stored, bytes_max, &mut self.plain)?,
            Codec::Lz4 => lz4_decompress(stored, bytes_max, &mut self.plain)?,
            Codec::Zstd => {
                let context = self.zstd.get_or_insert_with(zstd_safe::DCtx::create);
                zstd_decompress(context, stored, bytes_max, &mut self.plain)?;
            }
        }
        Ok(&self.plain)
    }
}

impl std::fmt::Debug for Decompressor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Decompressor").field("memory", &self.memory()).finish_non_exhaustive()
    }
}

/// Compresses `plain` at the codec's default level and appends it to `out`.
pub fn compress(codec: Codec, plain: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
    match codec {
        Codec::None => out.extend_from_slice(plain),
        Codec::Gzip => {
            let mut encoder = flate2::write::GzEncoder::new(out, flate2::Compression::default());
            encoder.write_all(plain)?;
            encoder.finish()?;
        }
        Codec::Snappy => snappy::compress(plain, out)?,
        Codec::Lz4 => {
            // What Kafka's own reader wants: blocks that do not lean on those before them.
            let info = lz4_flex::frame::FrameInfo::new()
                .block_mode(lz4_flex::frame::BlockMode::Independent)
                .block_size(lz4_flex::frame::BlockSize::Max64KB);
            let mut encoder = lz4_flex::frame::FrameEncoder::with_frame_info(info, out);
            encoder.write_all(plain)?;
            encoder.finish().map_err(io::Error::other)?;
        }
        Codec::Zstd => out.extend_from_slice(&zstd::bulk::compress(plain, zstd::DEFAULT_COMPRESSION_LEVEL)?),
    }
    Ok(())
}

/// The first memory that is taken when nothing says how much it will be.
fn first_bytes(stored: &[u8], bytes_max: usize) -> usize {
    stored.len().saturating_mul(4).max(4096).min(bytes_max)
}

/// Reads all that a decoder gives.
fn read_all(codec: Codec, mut decoder: impl Read, bytes_max: usize, plain: &mut Vec<u8>) -> Result<(), CodecError> {
    let mut chunk = [0; 8192];
    loop {
        match decoder.read(&mut chunk) {
            Ok(0) => return Ok(()),
            Ok(count) => extend(plain, &chunk[..count], bytes_max)?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(codec.malformed(&error)),
        }
    }
}

fn extend(plain: &mut Vec<u8>, bytes: &[u8], bytes_max: usize) -> Result<(), CodecError> {
    reserve(plain, bytes.len(), bytes_max)?;
    plain.extend_from_slice(bytes);
    Ok(())
}

/// Makes room for so many bytes more, by doubling, but never beyond the limit.
fn reserve(plain: &mut Vec<u8>, bytes: usize, bytes_max: usize) -> Result<(), CodecError> {
    let length = plain.len().saturating_add(bytes);
    if length > bytes_max {
        return Err(CodecError::TooLarge { bytes_max });
    }
    if length > plain.capacity() {
        let capacity = length.max(plain.capacity().saturating_mul(2)).min(bytes_max);
        plain.reserve_exact(capacity - plain.len());
    }
    Ok(())
}

fn lz4_decompress(stored: &[u8], bytes_max: usize, plain: &mut Vec<u8>) -> Result<(), CodecError> {
    const MAGIC: [u8; 4] = 0x184d_2204_u32.to_le_bytes();
    if !stored.starts_with(&MAGIC) {
        return Err(Codec::Lz4.malformed(&"no frame"));
    }
    read_all(Codec::Lz4, lz4_flex::frame::FrameDecoder::new(stored), bytes_max, plain)
}

/// Decompresses at one go, since a stream would set aside the frame's window, which is up to 2 GiB for a few bytes.
fn zstd_decompress(
    context: &mut zstd_safe::DCtx<'_>,
    stored: &[u8],
    bytes_max: usize,
    plain: &mut Vec<u8>,
) -> Result<(), CodecError> {
    const NO_ROOM: usize = (zstd_safe::zstd_sys::ZSTD_ErrorCode::ZSTD_error_dstSize_tooSmall as usize).wrapping_neg();
    let said = zstd_safe::get_frame_content_size(stored).ok().flatten();
    let mut room = match said.map(|bytes| usize::try_from(bytes).unwrap_or(usize::MAX)) {
        Some(bytes) if bytes > bytes_max => return Err(CodecError::TooLarge { bytes_max }),
        Some(bytes) => bytes,
        None => first_bytes(stored, bytes_max),
    };
    loop {
        plain.clear();
        plain.reserve_exact(room);
        match context.decompress(plain, stored) {
            // The memory may have been larger than asked for.
            Ok(bytes) if bytes > bytes_max => return Err(CodecError::TooLarge { bytes_max }),
            Ok(_) => return Ok(()),
            Err(NO_ROOM) if room < bytes_max => room = room.max(1024).saturating_mul(4).min(bytes_max),
            Err(NO_ROOM) => return Err(CodecError::TooLarge { bytes_max }),
            Err(code) => return Err(Codec::Zstd.malformed(&zstd_safe::get_error_name(code))),
        }
    }
}

/// Snappy knows blocks only; `snappy-java` frames them: a head of 16 bytes, then for each block its length (big endian) and
/// itself. The head may come again where streams were joined.
mod snappy {
    use super::{Codec, CodecError, io, reserve};

    const MAGIC: &[u8; 8] = b"\x82SNAPPY\0";
    const HEAD_BYTES: usize = 16;
    const HEAD: &[u8; HEAD_BYTES] = b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01";
    const BLOCK_BYTES: usize = 32 << 10;
    /// The most that a byte of a block can stand for: 3 bytes copy 64.
    const RATIO_MAX: usize = 22;

    pub(super) fn decompress(stored: &[u8], bytes_max: usize, plain: &mut Vec<u8>) -> Result<(), CodecError> {
        if !stored.starts_with(MAGIC) {
            return block(stored, bytes_max, plain);
        }
        let mut rest = stored;
        while !rest.is_empty() {
            if rest.starts_with(MAGIC) {
                rest = rest.get(HEAD_BYTES..).ok_or_else(cut)?;
                continue;
            }
            let (length, behind) = rest.split_first_chunk().ok_or_else(cut)?;
            let length = u32::from_be_bytes(*length) as usize;
            let (bytes, behind) = behind.split_at_checked(length).ok_or_else(cut)?;
            block(bytes, bytes_max, plain)?;
            rest = behind;
        }
        Ok(())
    }

    fn block(bytes: &[u8], bytes_max: usize, plain: &mut Vec<u8>) -> Result<(), CodecError> {
        let malformed = |error| Codec::Snappy.malformed(&error);
        let length = snap::raw::decompress_len(bytes).map_err(malformed)?;
        // The length is only a claim: no memory for one that the bytes cannot fulfil.
        if length > bytes.len().saturating_mul(RATIO_MAX) {
            return Err(Codec::Snappy.malformed(&"a length that the block cannot have"));
        }
        reserve(plain, length, bytes_max)?;
        let from = plain.len();
        plain.resize(from + length, 0);
        snap::raw::Decoder::new().decompress(bytes, &mut plain[from..]).map_err(malformed)?;
        Ok(())
    }

    fn cut() -> CodecError {
        Codec::Snappy.malformed(&"it is cut off")
    }

    pub(super) fn compress(plain: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
        out.extend_from_slice(HEAD);
        let mut encoder = snap::raw::Encoder::new();
        for block in plain.chunks(BLOCK_BYTES) {
            let packed = encoder.compress_vec(block).map_err(io::Error::other)?;
            let length = u32::try_from(packed.len()).map_err(io::Error::other)?;
            out.extend_from_slice(&length.to_be_bytes());
            out.extend_from_slice(&packed);
        }
        Ok(())
    }
}
