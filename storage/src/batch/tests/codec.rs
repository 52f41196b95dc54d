//! Codecs: what is compressed comes back, what is damaged is told of, and what comes out is bounded.

use std::io::Write;

use proptest::prelude::*;

use super::super::codec::{Codec, CodecError, Decompressor, compress, decompress};
use super::CODECS;

fn packed(codec: Codec, plain: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    compress(codec, plain, &mut out).unwrap();
    out
}

#[test]
fn numbers_and_codecs_agree() {
    for codec in CODECS {
        assert_eq!(Codec::from_id(codec.id()), Ok(codec));
    }
    assert_eq!(Codec::from_id(5), Err(5));
}

#[test]
fn the_limit_is_exact() {
    let plain = [b"0123456789".repeat(3000), vec![7; 100_000]].concat();
    for codec in CODECS.into_iter().skip(1) {
        let stored = packed(codec, &plain);
        assert_eq!(decompress(codec, &stored, plain.len()).unwrap()[..], plain[..], "{codec:?}");
        let bytes_max = plain.len() - 1;
        assert_eq!(decompress(codec, &stored, bytes_max), Err(CodecError::TooLarge { bytes_max }), "{codec:?}");
        assert_eq!(decompress(codec, &stored, 0), Err(CodecError::TooLarge { bytes_max: 0 }), "{codec:?}");
    }
}

#[test]
fn a_bomb_is_refused_and_takes_no_memory_beyond_the_limit() {
    let plain = vec![0; 32 << 20];
    let bytes_max = 1 << 20;
    for codec in CODECS.into_iter().skip(1) {
        let stored = packed(codec, &plain);
        let mut decompressor = Decompressor::new();
        let refused = decompressor.decompress(codec, &stored, bytes_max).unwrap_err();
        assert_eq!(refused, CodecError::TooLarge { bytes_max }, "{codec:?}");
        assert!(decompressor.memory() <= bytes_max + 64, "{codec:?} took {}", decompressor.memory());
    }
}

#[test]
fn zstd_without_a_content_size_is_bounded_as_well() {
    let plain = vec![3; 5 << 20];
    let mut encoder = zstd::stream::Encoder::new(Vec::new(), 3).unwrap();
    encoder.write_all(&plain).unwrap();
    let stored = encoder.finish().unwrap();
    assert_eq!(decompress(Codec::Zstd, &stored, plain.len()).unwrap()[..], plain[..]);
    let bytes_max = plain.len() - 1;
    assert_eq!(decompress(Codec::Zstd, &stored, bytes_max), Err(CodecError::TooLarge { bytes_max }));
}

#[test]
fn a_claim_that_the_bytes_cannot_fulfil_takes_no_memory() {
    // A snappy block of 6 bytes that says it is 256 MiB.
    let mut stored = vec![0x80, 0x80, 0x80, 0x80, 0x01];
    stored.push(0);
    let mut decompressor = Decompressor::new();
    let refused = decompressor.decompress(Codec::Snappy, &stored, 1 << 30).unwrap_err();
    assert!(matches!(refused, CodecError::Malformed { codec: Codec::Snappy, .. }), "{refused}");
    assert_eq!(decompressor.memory(), 0);
}

#[test]
fn snappy_is_read_bare_framed_and_joined() {
    let plain = b"a stream of trades, a stream of quotes".repeat(2000);
    let bare = snap::raw::Encoder::new().compress_vec(&plain).unwrap();
    assert_eq!(decompress(Codec::Snappy, &bare, plain.len()).unwrap()[..], plain[..]);
    let framed = packed(Codec::Snappy, &plain);
    assert!(framed.starts_with(b"\x82SNAPPY\0"));
    let joined = [&framed[..], &framed[..]].concat();
    assert_eq!(decompress(Codec::Snappy, &joined, 2 * plain.len()).unwrap()[..], plain.repeat(2)[..]);
}

#[test]
fn gzip_members_and_zstd_frames_may_follow_each_other() {
    for codec in [Codec::Gzip, Codec::Zstd] {
        let joined = [packed(codec, b"one, "), packed(codec, b"two")].concat();
        assert_eq!(decompress(codec, &joined, 100).unwrap()[..], b"one, two"[..], "{codec:?}");
    }
}

#[test]
fn a_decompressor_serves_one_batch_after_another() {
    let mut decompressor = Decompressor::new();
    for (round, codec) in CODECS.into_iter().cycle().take(20).enumerate() {
        let plain = format!("round {round}").repeat(round * 100);
        let stored = packed(codec, plain.as_bytes());
        assert_eq!(decompressor.decompress(codec, &stored, 1 << 20).unwrap(), plain.as_bytes());
        assert!(codec == Codec::None || decompressor.decompress(codec, &stored[..stored.len() / 2], 3).is_err());
    }
}

proptest! {
    #[test]
    fn bytes_come_back(plain in prop::collection::vec(any::<u8>(), 0..5000), times in 1_usize..30) {
        let plain = plain.repeat(times);
        for codec in CODECS {
            let stored = packed(codec, &plain);
            prop_assert_eq!(&decompress(codec, &stored, plain.len()).unwrap()[..], &plain[..]);
        }
    }

    #[test]
    fn garbage_never_panics_and_never_exceeds_the_limit(
        garbage in prop::collection::vec(any::<u8>(), 0..300),
        plain in prop::collection::vec(any::<u8>(), 0..3000),
        at: prop::sample::Index,
        with: u8,
        cut: prop::sample::Index,
    ) {
        let bytes_max = 4096;
        for codec in CODECS.into_iter().skip(1) {
            let _ = decompress(codec, &garbage, bytes_max);
            let mut stored = packed(codec, &plain);
            let at = at.index(stored.len());
            stored[at] = with;
            let stored = &stored[..cut.index(stored.len() + 1)];
            if let Ok(plain) = decompress(codec, stored, bytes_max) {
                prop_assert!(plain.len() <= bytes_max);
            }
        }
    }
}
