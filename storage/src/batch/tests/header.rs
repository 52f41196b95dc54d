//! The head: what is read is what was written, and what a broker may change.

use proptest::prelude::*;

use super::super::header::{BatchHeader, HeaderError, TimestampType};
use super::super::{Batch, BatchBuilder, BatchIter, Codec, Damage, HEADER_BYTES, NewRecord};
use super::{CODECS, NOW, batch_at, patched};

#[test]
fn every_field_is_read_from_its_place() {
    let mut builder = BatchBuilder::new().codec(Codec::Lz4).base_offset(1_000_000_007).leader_epoch(42);
    builder = builder.producer(0x0102_0304_0506, 7, i32::MAX - 1).transactional();
    for timestamp in [NOW, NOW + 9, NOW + 3] {
        builder.append(&NewRecord { timestamp, ..NewRecord::default() }).unwrap();
    }
    let bytes = builder.build().unwrap();
    let header = BatchHeader::parse(&bytes).unwrap();
    assert_eq!(
        (header.base_offset(), header.last_offset(), header.next_offset()),
        (1_000_000_007, 1_000_000_009, 1_000_000_010)
    );
    assert_eq!((header.last_offset_delta(), header.record_count(), header.leader_epoch()), (2, 3, 42));
    assert_eq!((header.size_in_bytes(), header.records_bytes()), (bytes.len(), bytes.len() - HEADER_BYTES));
    assert_eq!((header.base_timestamp(), header.max_timestamp()), (NOW, NOW + 9));
    let producer = header.producer().unwrap();
    assert_eq!((producer.id, producer.epoch), (0x0102_0304_0506, 7));
    assert_eq!((producer.base_sequence, producer.last_sequence), (i32::MAX - 1, 0), "sequences go round to 0");
    let attributes = header.attributes();
    assert_eq!((attributes.bits(), attributes.codec()), (0x13, Ok(Codec::Lz4)));
    assert!(attributes.is_transactional() && !attributes.is_control() && !attributes.has_delete_horizon());
    assert_eq!(attributes.timestamp_type(), TimestampType::Create);
    assert_eq!(header.encode()[..], bytes[..HEADER_BYTES]);
}

#[test]
fn unknown_attribute_bits_survive() {
    let bytes = patched(&batch_at(Codec::None, &[1]), 21, &[0xff, 0x80]);
    let header = BatchHeader::parse(&bytes).unwrap();
    assert_eq!(header.encode()[..], bytes[..HEADER_BYTES]);
    assert_eq!(header.restamped(TimestampType::LogAppend, 5).encode()[21..23], [0xff, 0x88]);
}

#[test]
fn impossible_heads_are_refused_by_name() {
    let sound = batch_at(Codec::None, &[1, 2]);
    let refused = |at, field: &[u8]| BatchHeader::parse(&patched(&sound, at, field)).unwrap_err();
    assert_eq!(refused(16, &[1]), HeaderError::Magic(1));
    assert_eq!(refused(16, &[0xff]), HeaderError::Magic(-1));
    assert_eq!(refused(8, &48_i32.to_be_bytes()), HeaderError::Length(48));
    assert_eq!(refused(8, &i32::MIN.to_be_bytes()), HeaderError::Length(i32::MIN));
    assert_eq!(refused(0, &(-1_i64).to_be_bytes()), HeaderError::BaseOffset(-1));
    assert_eq!(refused(23, &(-1_i32).to_be_bytes()), HeaderError::LastOffsetDelta(-1));
    assert_eq!(refused(57, &(-1_i32).to_be_bytes()), HeaderError::Count(-1));
    let base_offset = i64::MAX - 1;
    assert_eq!(
        refused(0, &base_offset.to_be_bytes()),
        HeaderError::OffsetOverflow { base_offset, last_offset_delta: 1 }
    );
    assert!(BatchHeader::parse(&patched(&sound, 0, &(i64::MAX - 2).to_be_bytes())).is_ok());
}

#[test]
fn a_length_beyond_the_buffer_is_a_cut() {
    let bytes = patched(&batch_at(Codec::None, &[1]), 8, &i32::MAX.to_be_bytes());
    let need = i32::MAX as usize + 12;
    let cut = HeaderError::Truncated { have: bytes.len(), need };
    assert_eq!(Batch::parse(&bytes).unwrap_err(), cut);
    assert_eq!(BatchHeader::parse(&bytes).unwrap().verify_crc(&bytes), Err(cut));
}

#[test]
fn offset_and_epoch_change_outside_the_crc() {
    let mut bytes = batch_at(Codec::Zstd, &[NOW, NOW + 1]);
    let header = BatchHeader::parse(&bytes).unwrap();
    bytes[..16].copy_from_slice(&header.patch_offset_and_epoch(77, 3));
    let batch = Batch::parse_verified(&bytes).unwrap();
    assert_eq!((batch.header().base_offset(), batch.header().leader_epoch()), (77, 3));
    assert_eq!(*batch.header(), header.placed(77, 3).unwrap());
    assert!(header.placed(i64::MAX - 1, 0).is_err());
    assert!(header.placed(-1, 0).is_err());
}

#[test]
fn a_buffer_of_batches_is_read_up_to_the_damage() {
    let batches: Vec<_> = CODECS.iter().map(|&codec| batch_at(codec, &[1, 2, 3])).collect();
    let mut buffer = batches.concat();
    let read: Vec<_> = BatchIter::new(&buffer).map(|batch| batch.unwrap().bytes().to_vec()).collect();
    assert_eq!(read, batches);

    let position = batches[0].len() + batches[1].len();
    buffer[position + HEADER_BYTES] ^= 1;
    let mut iter = BatchIter::new(&buffer);
    assert_eq!(iter.by_ref().take(2).flatten().count(), 2);
    let damage = iter.next().unwrap().unwrap_err();
    assert_eq!(damage.position, position);
    assert!(matches!(damage.error, HeaderError::Crc { .. }));
    assert!(iter.next().is_none(), "nothing behind the damage is read");
    assert_eq!(iter.position(), position);
}

#[test]
fn a_batch_cut_off_at_the_end_is_told_of() {
    let whole = batch_at(Codec::None, &[1, 2, 3]);
    for cut in 1..whole.len() {
        let buffer = [&whole[..], &whole[..cut]].concat();
        let mut iter = BatchIter::new(&buffer);
        assert!(iter.next().unwrap().is_ok());
        let Some(Err(Damage { position, error: HeaderError::Truncated { have, need } })) = iter.next() else {
            panic!("a cut at {cut} is not seen")
        };
        assert_eq!((position, have), (whole.len(), cut));
        assert!(need > have);
    }
}

/// Each bit of a batch is covered: by the CRC, by the form of the head, or it is one of the two fields that the broker sets.
#[test]
fn every_flipped_bit_is_seen_or_is_the_brokers_to_set() {
    for codec in CODECS {
        let bytes = batch_at(codec, &[NOW, NOW + 1]);
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let brokers = bit / 8 < 8 || (12..16).contains(&(bit / 8));
            let read = Batch::parse_verified(&flipped);
            // The sign of the base offset is the one bit of the broker's that no batch has.
            assert_eq!(read.is_ok(), brokers && bit != 7, "bit {bit} with {codec:?}");
            if let Ok(batch) = read {
                assert_eq!(batch.stored_records(), &bytes[HEADER_BYTES..]);
            }
        }
    }
}

proptest! {
    #[test]
    fn a_restamped_head_has_the_crc_of_its_batch(
        times in prop::collection::vec(0..NOW, 1..300),
        log_append: bool,
        max: i64,
        tail in 0_usize..70_000,
    ) {
        let mut bytes = batch_at(Codec::None, &times);
        // Any bytes will do as records.
        bytes.resize(bytes.len() + tail, 0x5a);
        let length = i32::try_from(bytes.len() - 12).unwrap();
        let mut bytes = patched(&bytes, 8, &length.to_be_bytes());
        let kind = if log_append { TimestampType::LogAppend } else { TimestampType::Create };
        let header = BatchHeader::parse(&bytes).unwrap().restamped(kind, max);
        bytes[..HEADER_BYTES].copy_from_slice(&header.encode());
        let batch = Batch::parse_verified(&bytes).unwrap();
        prop_assert_eq!(batch.header().attributes().timestamp_type(), kind);
        prop_assert_eq!(batch.header().max_timestamp(), max);
    }

    #[test]
    fn restamping_does_not_hide_damage(at in HEADER_BYTES..100, bit in 0..8) {
        let mut bytes = batch_at(Codec::None, &[1, 2, 3, 4]);
        let header = BatchHeader::parse(&bytes).unwrap();
        bytes[at] ^= 1_u8 << bit;
        bytes[..HEADER_BYTES].copy_from_slice(&header.restamped(TimestampType::LogAppend, NOW).encode());
        let damaged = matches!(Batch::parse_verified(&bytes), Err(HeaderError::Crc { .. }));
        prop_assert!(damaged);
    }
}
