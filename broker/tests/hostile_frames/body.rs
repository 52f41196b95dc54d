//! What a request of any bytes has to keep to: the body of the fuzz target `requests`, and of the property tests here.

use allocation_counter::measure;
use bytes::Bytes;

use crate::apis::{CODECS, Codec};
use crate::sample::{Length, Sample, Width, varint};

const MIB: usize = 1 << 20;

/// An API, a version, and a body: the bytes as they are; or a request made from the schema with some of its bytes or one of its
/// lengths and counts changed.
pub(crate) fn requests(data: &[u8]) {
    let [api, version, mode, count, rest @ ..] = data else { return };
    let codec = &CODECS[usize::from(*api) % CODECS.len()];
    let versions = usize::try_from(codec.versions.max - codec.versions.min).expect("versions are in order") + 1;
    let version = codec.versions.min + i16::from(*version) % i16::try_from(versions).expect("few versions");
    if mode % 3 == 0 {
        return decode_within_bounds(codec, version, rest.to_vec());
    }
    let sample = Sample::of(codec.schema, version, usize::from(count % 4));
    if mode % 3 == 1 || sample.lengths.is_empty() {
        return decode_within_bounds(codec, version, changed(sample.bytes, rest));
    }
    let [at, number @ ..] = rest else { return };
    let length = sample.lengths[usize::from(*at) % sample.lengths.len()];
    decode_within_bounds(codec, version, sample.with_length(length, &as_number(length, number)));
}

/// Bytes at places, as long as there are some.
fn changed(mut frame: Vec<u8>, changes: &[u8]) -> Vec<u8> {
    for change in changes.chunks_exact(3) {
        let at = usize::from(u16::from_le_bytes([change[0], change[1]]));
        if let Some(at) = at.checked_rem(frame.len()) {
            frame[at] = change[2];
        }
    }
    frame
}

/// A number as the length is written.
fn as_number(length: Length, bytes: &[u8]) -> Vec<u8> {
    let mut number = [0; 4];
    let given = &bytes[..bytes.len().min(4)];
    number[..given.len()].copy_from_slice(given);
    match length.width {
        Width::Short => number[..2].to_vec(),
        Width::Long => number.to_vec(),
        Width::Varint => varint(u32::from_be_bytes(number)),
    }
}

/// Decodes a frame that the schema accepts and compares what that took with what was computed; what was decoded comes back.
pub(crate) fn decode_within_bounds(codec: &Codec, version: i16, frame: Vec<u8>) {
    let Ok(walked) = codec.schema.check(&frame, version, MIB) else { return };
    assert!(walked.memory <= MIB && walked.consumed <= frame.len());
    assert!(walked.memory <= 192 * frame.len());
    let frame = Bytes::from(frame);
    let mut decoded = false;
    let counted = measure(|| decoded = (codec.decode)(frame.clone(), version));
    // The frame's count of references; and an error of the codec has a text, and a backtrace if the environment asks for one.
    let beside = if decoded { 24 } else { 16 << 10 };
    assert!(
        counted.bytes_max <= walked.memory as u64 + beside,
        "{} v{version}: {} bytes where {} were computed",
        codec.schema.name,
        counted.bytes_max,
        walked.memory
    );
    comes_back(codec, version, frame);
}

/// What was decoded and comes back through the codec's own encoder is the same. (The encoder does not always write what the decoder
/// takes: requests are never encoded by the broker.)
fn comes_back(codec: &Codec, version: i16, frame: Bytes) {
    let Ok(first) = (codec.again)(frame, version) else { return };
    let Ok(again) = (codec.again)(first.encoded.clone().into(), version) else { return };
    assert_eq!((again.left, again.encoded), (0, first.encoded), "{} v{version}", codec.schema.name);
}
