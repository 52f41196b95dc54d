//! Bytes from anywhere: no reader panics, whatever they are.

use proptest::prelude::*;

use super::super::BatchBuilder;
use super::super::{Batch, BatchIter, RecordHeads, Records, Rules, check};
use super::{any_codec, any_record, patched, rules};

/// All that reads bytes, on these.
fn read_all_ways(bytes: &[u8]) {
    let room = 64 << 10;
    for batch in BatchIter::new(bytes).flatten() {
        let _ = batch.max_timestamp(room);
    }
    if let Ok(batch) = Batch::parse(bytes) {
        let _ =
            batch.for_each_record(room, |record| assert!(record.headers.into_iter().count() <= bytes.len().max(room)));
        let _ = batch.first_at_or_after(i64::MAX, 0, room);
        Records::new(batch.header(), batch.stored_records()).for_each(drop);
        RecordHeads::new(batch.header(), batch.stored_records()).for_each(drop);
    }
    let strict =
        Rules { every_record: true, keys_required: true, timestamp_before_max_ms: 1, plain_bytes_max: room, ..rules() };
    for rules in [strict, rules()] {
        if let Err(error) = check(bytes, &rules) {
            let _ = (error.refusal(), error.to_string());
        }
    }
}

proptest! {
    #[test]
    fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        read_all_ways(&bytes);
        // Past the first doors: the right magic and a true CRC.
        if bytes.len() > 61 {
            let length = i32::try_from(bytes.len() - 12).unwrap();
            let bytes = patched(&patched(&bytes, 16, &[2]), 8, &length.to_be_bytes());
            read_all_ways(&patched(&bytes, 0, &[0; 8]));
        }
    }

    #[test]
    fn a_sound_batch_garbled_never_panics(
        codec in any_codec(),
        records in prop::collection::vec(any_record(), 1..10),
        garbles in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..5),
        cut: prop::sample::Index,
    ) {
        let mut builder = BatchBuilder::new().codec(codec);
        for (offset, record) in (0..).zip(&records) {
            if record.timestamp.checked_sub(records[0].timestamp).is_some() {
                record.append_to(&mut builder, offset);
            }
        }
        let mut bytes = builder.build().unwrap();
        for (at, with) in garbles {
            let at = at.index(bytes.len());
            bytes[at] = with;
        }
        read_all_ways(&bytes);
        read_all_ways(&patched(&bytes, 16, &[2]));
        read_all_ways(&bytes[..cut.index(bytes.len() + 1)]);
    }
}
