//! What checking a batch costs: the CRC alone, beside it the whole check, and the parts that may be had on top.
//!
//! `cargo bench -p millpond-storage --bench batch_check`. Prints nanoseconds for one batch and, for the check of
//! uncompressed records, what it adds to the CRC.

#![allow(clippy::print_stdout, reason = "a bench prints")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use millpond_storage::batch::{
    Batch, BatchBuilder, BatchHeader, Codec, NewRecord, RecordHeads, Records, Rules, TimestampType, check,
};

const ROUND: Duration = Duration::from_millis(2);
const ROUNDS: u32 = 200;

fn main() {
    println!("batch bytes  record bytes  codec       crc    check     heads  records   adds  restamp");
    for (batch_bytes, value_bytes) in [(65_536, 1024), (65_536, 256), (65_536, 100), (16_384, 1024), (1024, 100)] {
        for codec in [Codec::None, Codec::Lz4] {
            row(batch_bytes, value_bytes, codec);
        }
    }
}

fn row(batch_bytes: usize, value_bytes: usize, codec: Codec) {
    let batch = batch_of(batch_bytes, value_bytes, codec);
    let rules = rules();
    let header = BatchHeader::parse(&batch).expect("a sound batch");
    let plain = Batch::parse(&batch).expect("a sound batch").plain_records(1 << 20).expect("a sound codec");
    let [crc, whole, heads, records, restamp] = nanos([
        &mut || u64::from(crc32c::crc32c(black_box(&batch[21..]))),
        &mut || u64::from(check(black_box(&batch), &rules).is_ok()),
        &mut || RecordHeads::new(&header, black_box(&plain)).flatten().count() as u64,
        &mut || Records::new(&header, black_box(&plain)).flatten().count() as u64,
        &mut || u64::from(black_box(&header).restamped(TimestampType::LogAppend, 1).crc()),
    ]);
    let adds = (whole / crc - 1.0) * 100.0;
    println!(
        "{:>11}  {value_bytes:>12}  {:<5} {crc:>9.0} {whole:>8.0} {heads:>9.0} {records:>8.0} {adds:>5.0}% {restamp:>8.0}",
        batch.len(),
        codec.name(),
    );
}

/// The least mean of several rounds, in which all take turns: what else runs on the machine only ever adds.
fn nanos<const N: usize>(mut works: [&mut dyn FnMut() -> u64; N]) -> [f64; N] {
    let mut least = [f64::INFINITY; N];
    for _ in 0..ROUNDS {
        for (work, least) in works.iter_mut().zip(&mut least) {
            *least = least.min(mean(work));
        }
    }
    least
}

fn mean(work: &mut dyn FnMut() -> u64) -> f64 {
    let (begun, mut times) = (Instant::now(), 0_u32);
    while begun.elapsed() < ROUND {
        for _ in 0..16 {
            black_box(work());
        }
        times += 16;
    }
    begun.elapsed().as_secs_f64() * 1e9 / f64::from(times)
}

fn batch_of(batch_bytes: usize, value_bytes: usize, codec: Codec) -> Vec<u8> {
    let value: Vec<u8> = (0..value_bytes).map(|at| (at.wrapping_mul(2_654_435_761) >> 7).to_le_bytes()[0]).collect();
    let mut builder = BatchBuilder::new().codec(codec);
    let mut timestamp = 1_700_000_000_000;
    while builder.plain_bytes() + value_bytes + 20 < batch_bytes {
        let record = NewRecord { timestamp, key: Some(b"key"), value: Some(&value), headers: &[] };
        builder.append(&record).expect("it fits");
        timestamp += 1;
    }
    builder.build().expect("a sound batch")
}

fn rules() -> Rules {
    Rules {
        now_ms: 1_700_000_000_000,
        timestamp_type: TimestampType::Create,
        timestamp_before_max_ms: i64::MAX,
        timestamp_after_max_ms: 3_600_000,
        keys_required: false,
        zstd_allowed: true,
        every_record: false,
        batch_bytes_max: 1 << 20,
        plain_bytes_max: 1 << 20,
    }
}
