//! What may be produced, and what a refusal says.

use proptest::prelude::*;

use super::super::check::{RefusedReason, Rules, check};
use super::super::{
    Batch, BatchBuilder, BatchError, BatchHeader, Codec, CodecError, HEADER_BYTES, HeaderError, MaxTimestamp,
    NewRecord, RecordFault, Refusal, RefusedRecord, TimestampType,
};
use super::{CODECS, NOW, batch_at, patched, rules};

const HOUR: i64 = 3_600_000;

fn refused(payload: &[u8], rules: &Rules) -> BatchError {
    check(payload, rules).expect_err("a refusal")
}

#[test]
fn a_sound_batch_passes_with_its_true_maximum() {
    for codec in CODECS {
        let bytes = batch_at(codec, &[NOW, NOW + 7, NOW + 3]);
        let checked = check(&bytes, &rules()).unwrap();
        assert_eq!(checked.codec, codec);
        assert_eq!(checked.header, BatchHeader::parse(&bytes).unwrap());
        let offset_delta = (codec == Codec::None).then_some(1);
        assert_eq!(checked.max_timestamp, MaxTimestamp { timestamp: NOW + 7, offset_delta });
        assert_eq!(checked.corrected(), None);
    }
}

#[test]
fn a_payload_is_one_batch_and_nothing_else() {
    let bytes = batch_at(Codec::None, &[NOW]);
    assert_eq!(refused(&[], &rules()), BatchError::Missing);
    for cut in 1..bytes.len() {
        let error = refused(&bytes[..cut], &rules());
        assert!(matches!(error, BatchError::Header(HeaderError::Truncated { .. })), "{cut}: {error}");
    }
    assert_eq!(refused(&bytes.repeat(2), &rules()), BatchError::Trailing(bytes.len()));
    let one_more = [&bytes[..], &[0]].concat();
    assert_eq!(refused(&one_more, &rules()), BatchError::Trailing(1));
    assert_eq!(refused(&one_more, &rules()).refusal(), Refusal::InvalidRecord);
}

#[test]
fn each_rule_on_the_head_is_kept() {
    let bytes = batch_at(Codec::None, &[NOW, NOW]);
    let with = |at, field: &[u8]| refused(&patched(&bytes, at, field), &rules());
    assert_eq!(with(16, &[1]).refusal(), Refusal::InvalidRecord);
    assert_eq!(with(16, &[3]).refusal(), Refusal::Corrupt);
    assert_eq!(with(0, &5_i64.to_be_bytes()), BatchError::BaseOffset(5));
    assert_eq!(with(57, &3_i32.to_be_bytes()), BatchError::Count { count: 3, last_offset_delta: 1 });
    assert_eq!(with(57, &0_i32.to_be_bytes()), BatchError::Count { count: 0, last_offset_delta: 1 });
    assert_eq!(with(57, &(-1_i32).to_be_bytes()), BatchError::Header(HeaderError::Count(-1)));
    assert_eq!(with(23, &0_i32.to_be_bytes()), BatchError::Count { count: 2, last_offset_delta: 0 });
    assert_eq!(with(21, &[0, 0x20]), BatchError::Control);
    assert_eq!(with(21, &[0, 0x40]), BatchError::DeleteHorizon);
    assert_eq!(with(21, &[0, 0x10]), BatchError::NoProducer);
    assert_eq!(with(21, &[0, 5]), BatchError::UnknownCodec(5));
    assert_eq!(with(21, &[0, 5]).refusal(), Refusal::UnsupportedCompression);
    let empty = BatchBuilder::new().build().unwrap();
    assert_eq!(refused(&empty, &rules()), BatchError::Count { count: 0, last_offset_delta: 0 });
}

#[test]
fn a_wrong_crc_is_corruption() {
    let mut bytes = batch_at(Codec::None, &[NOW]);
    *bytes.last_mut().unwrap() ^= 1;
    let error = refused(&bytes, &rules());
    assert!(matches!(error, BatchError::Header(HeaderError::Crc { .. })));
    assert_eq!(error.refusal(), Refusal::Corrupt);
}

#[test]
fn a_batch_at_the_limit_passes_and_one_byte_more_does_not() {
    let bytes = batch_at(Codec::None, &[NOW]);
    assert!(check(&bytes, &Rules { batch_bytes_max: bytes.len(), ..rules() }).is_ok());
    let error = refused(&bytes, &Rules { batch_bytes_max: bytes.len() - 1, ..rules() });
    assert_eq!(error.refusal(), Refusal::TooLarge);
}

#[test]
fn zstd_waits_for_a_version_that_knows_it() {
    let rules = Rules { zstd_allowed: false, ..rules() };
    for codec in CODECS {
        let outcome = check(&batch_at(codec, &[NOW]), &rules);
        if codec == Codec::Zstd {
            assert_eq!(outcome.unwrap_err().refusal(), Refusal::UnsupportedCompression);
        } else {
            assert!(outcome.is_ok(), "{codec:?}");
        }
    }
}

#[test]
fn a_producer_has_epoch_and_sequence() {
    let by = |id, epoch, sequence| {
        let mut builder = BatchBuilder::new().producer(id, epoch, sequence);
        builder.append(&NewRecord { timestamp: NOW, ..NewRecord::default() }).unwrap();
        check(&builder.build().unwrap(), &rules())
    };
    assert!(by(0, 0, 0).is_ok());
    for (epoch, base_sequence) in [(-1, 0), (0, -1), (-1, -1)] {
        assert_eq!(by(4, epoch, base_sequence).unwrap_err(), BatchError::Producer { id: 4, epoch, base_sequence });
    }
    assert!(by(-1, -1, -1).is_ok());
    assert!(by(-1, 0, 0).is_ok(), "KafkaJS numbers its batches so when it is not idempotent");
}

/// Sarama before 1.45.1 sends −1, `KafkaJS` the last record's.
#[test]
fn a_wrong_maximum_is_found_and_put_right() {
    for codec in CODECS {
        for said in [-1, NOW - 1] {
            let bytes = patched(&batch_at(codec, &[NOW, NOW + 7, NOW + 7]), 35, &i64::to_be_bytes(said));
            let checked = check(&bytes, &rules()).unwrap();
            assert_eq!(checked.max_timestamp, MaxTimestamp { timestamp: NOW + 7, offset_delta: Some(1) }, "{codec:?}");
            let corrected = checked.corrected().unwrap();
            let stored = [&corrected.encode()[..], &bytes[HEADER_BYTES..]].concat();
            assert_eq!(Batch::parse_verified(&stored).unwrap().header().max_timestamp(), NOW + 7);
            assert_eq!(check(&stored, &rules()).unwrap().corrected(), None);
        }
    }
}

#[test]
fn an_understated_maximum_is_found_where_records_are_walked() {
    let lies = |codec| patched(&batch_at(codec, &[NOW, NOW + 7, NOW + 3]), 35, &i64::to_be_bytes(NOW + 3));
    let checked = check(&lies(Codec::None), &rules()).unwrap();
    assert_eq!(checked.max_timestamp, MaxTimestamp { timestamp: NOW + 7, offset_delta: Some(1) });
    let believed = check(&lies(Codec::Zstd), &rules()).unwrap();
    assert_eq!(believed.max_timestamp, MaxTimestamp { timestamp: NOW + 3, offset_delta: None });
    let opened = check(&lies(Codec::Zstd), &Rules { every_record: true, ..rules() }).unwrap();
    assert_eq!(opened.max_timestamp, MaxTimestamp { timestamp: NOW + 7, offset_delta: Some(1) });
}

#[test]
fn records_without_timestamps_have_none() {
    for codec in CODECS {
        let checked = check(&batch_at(codec, &[-1, -1]), &Rules { timestamp_before_max_ms: HOUR, ..rules() }).unwrap();
        assert_eq!(checked.max_timestamp.timestamp, -1);
        assert_eq!(checked.corrected(), None);
    }
}

#[test]
fn timestamps_out_of_range_are_named() {
    let rules = Rules { timestamp_before_max_ms: HOUR, timestamp_after_max_ms: HOUR, ..rules() };
    let (min, max) = (NOW - HOUR, NOW + HOUR);
    for codec in CODECS {
        assert!(check(&batch_at(codec, &[min, max, -1]), &rules).is_ok(), "the bounds are inside");
        let error = refused(&batch_at(codec, &[NOW, min - 1, NOW, max + 1]), &rules);
        assert_eq!(error.refusal(), Refusal::InvalidTimestamp);
        let reason = |timestamp| RefusedReason::Timestamp { timestamp, min, max };
        assert_eq!(
            error.refused_records(),
            [RefusedRecord { index: 1, reason: reason(min - 1) }, RefusedRecord { index: 3, reason: reason(max + 1) }]
        );
    }
}

#[test]
fn the_upper_bound_alone_opens_only_what_exceeds_it() {
    let rules = Rules { timestamp_after_max_ms: HOUR, ..rules() };
    assert_eq!(check(&batch_at(Codec::Lz4, &[0, NOW]), &rules).unwrap().max_timestamp.offset_delta, None);
    let error = refused(&batch_at(Codec::Lz4, &[0, NOW + HOUR + 1]), &rules);
    assert_eq!(error.refused_records().len(), 1);
    // The head exaggerates, the records are within the bounds.
    let said = patched(&batch_at(Codec::Lz4, &[0, NOW]), 35, &i64::MAX.to_be_bytes());
    let checked = check(&said, &rules).unwrap();
    assert_eq!(checked.max_timestamp, MaxTimestamp { timestamp: NOW, offset_delta: Some(1) });
    assert!(checked.corrected().is_some());
}

#[test]
fn where_the_broker_sets_the_time_the_clients_does_not_matter() {
    let rules = Rules {
        timestamp_type: TimestampType::LogAppend,
        timestamp_before_max_ms: 0,
        timestamp_after_max_ms: 0,
        ..rules()
    };
    for codec in CODECS {
        assert!(check(&batch_at(codec, &[5, NOW * 2]), &rules).is_ok());
    }
}

#[test]
fn the_bit_of_append_time_is_the_brokers() {
    for timestamp_type in [TimestampType::Create, TimestampType::LogAppend] {
        for codec in CODECS {
            let sound = batch_at(codec, &[NOW, NOW]);
            let bytes = patched(&sound, 21, &[0, sound[22] | 0x08]);
            let error = refused(&bytes, &Rules { timestamp_type, ..rules() });
            assert_eq!(error.refusal(), Refusal::InvalidTimestamp);
            let reason = RefusedReason::LogAppendTime;
            assert_eq!(error.refused_records(), [0, 1].map(|index| RefusedRecord { index, reason }));
        }
    }
}

#[test]
fn a_compacted_topic_names_the_records_without_keys() {
    let rules = Rules { keys_required: true, ..rules() };
    for codec in CODECS {
        assert!(check(&batch_at(codec, &[NOW]), &rules).is_ok());
        let mut builder = BatchBuilder::new().codec(codec);
        for key in [Some(&b"a"[..]), None, Some(b""), None] {
            builder.append(&NewRecord { timestamp: NOW, key, ..NewRecord::default() }).unwrap();
        }
        let error = refused(&builder.build().unwrap(), &rules);
        assert_eq!(error.refusal(), Refusal::InvalidRecord);
        let reason = RefusedReason::NoKey;
        assert_eq!(error.refused_records(), [1, 3].map(|index| RefusedRecord { index, reason }));
    }
}

#[test]
fn an_error_names_a_thousand_records_at_the_most() {
    let error = refused(&batch_at(Codec::Gzip, &vec![0; 3000]), &Rules { timestamp_before_max_ms: HOUR, ..rules() });
    assert_eq!(error.refused_records().len(), 1000);
}

#[test]
fn records_that_are_none_are_refused_with_their_index() {
    let mut bytes = batch_at(Codec::None, &[NOW, NOW]);
    bytes.truncate(bytes.len() - 1);
    let length = i32::try_from(bytes.len() - 12).unwrap();
    let error = refused(&patched(&bytes, 8, &length.to_be_bytes()), &rules());
    let BatchError::Malformed(record) = error else { panic!("{error}") };
    assert_eq!((record.index, record.fault), (1, RecordFault::Cut));
    assert_eq!(error_kind(&bytes, &length.to_be_bytes()), Refusal::InvalidRecord);
}

fn error_kind(bytes: &[u8], length: &[u8]) -> Refusal {
    refused(&patched(bytes, 8, length), &rules()).refusal()
}

#[test]
fn offsets_of_a_client_have_no_gaps() {
    for codec in CODECS {
        let mut builder = BatchBuilder::new().codec(codec);
        for offset in [0, 2, 3] {
            builder.append_at(offset, &NewRecord { timestamp: NOW, ..NewRecord::default() }).unwrap();
        }
        let bytes = patched(&builder.build().unwrap(), 57, &4_i32.to_be_bytes());
        let error = refused(&bytes, &Rules { every_record: true, ..rules() });
        let BatchError::Malformed(record) = error else { panic!("{error}") };
        assert_eq!((record.index, record.fault), (1, RecordFault::OffsetDelta(2)));
    }
}

#[test]
fn only_every_record_looks_inside_of_values() {
    let sound = batch_at(Codec::None, &[NOW]);
    // The length of the value, one byte before "value 0" and the count of headers.
    let at = sound.len() - 9;
    assert_eq!(sound[at], 14);
    let bytes = patched(&sound, at, &[120]);
    assert!(check(&bytes, &rules()).is_ok());
    let error = refused(&bytes, &Rules { every_record: true, ..rules() });
    assert!(matches!(error, BatchError::Malformed(_)));
}

#[test]
fn what_cannot_be_decompressed_is_refused_where_it_is_opened() {
    for codec in CODECS.into_iter().skip(1) {
        let sound = batch_at(codec, &[NOW, NOW]);
        let bytes = patched(&sound, HEADER_BYTES, &[0xfe; 6]);
        assert!(check(&bytes, &rules()).is_ok(), "{codec:?}");
        let error = refused(&bytes, &Rules { every_record: true, ..rules() });
        assert!(matches!(error, BatchError::Codec(CodecError::Malformed { .. })), "{codec:?}: {error}");
        assert_eq!(error.refusal(), Refusal::InvalidRecord);
        let bomb = refused(&sound, &Rules { every_record: true, plain_bytes_max: 3, ..rules() });
        assert_eq!(bomb.refusal(), Refusal::TooLarge);
    }
}

proptest! {
    #[test]
    fn what_is_walked_has_its_true_maximum(
        times in prop::collection::vec(0..NOW, 1..30),
        said: i64,
        codec in super::any_codec(),
    ) {
        let bytes = patched(&batch_at(codec, &times), 35, &said.to_be_bytes());
        let max = *times.iter().max().unwrap();
        let index = times.iter().position(|&time| time == max).unwrap();
        let expected = MaxTimestamp { timestamp: max, offset_delta: Some(u32::try_from(index).unwrap()) };
        let checked = check(&bytes, &Rules { every_record: true, ..rules() }).unwrap();
        prop_assert_eq!(checked.max_timestamp, expected);
        prop_assert_eq!(checked.corrected().is_some(), said != max);
        let quick = check(&bytes, &rules()).unwrap();
        if quick.max_timestamp.offset_delta.is_some() {
            prop_assert_eq!(quick.max_timestamp, expected);
        } else {
            prop_assert!(codec != Codec::None && said >= times[0]);
        }
    }
}
