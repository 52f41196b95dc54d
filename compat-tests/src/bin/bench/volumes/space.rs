//! The bytes that clones share: the disk before, with all of them, and after each has written something.

use std::path::Path;

use super::bed::{Bed, VOLUME, topic_of};
use super::load::{large_batch, produce};
use crate::arguments::Arguments;
use crate::frames::BATCH_VALUES;
use crate::report::number;
use crate::table::Table;

const CLONES: u32 = 20;
const PARTITIONS: u32 = 10;
const MIB: u64 = 1 << 20;

pub(crate) fn run(arguments: &Arguments, base: &Path) -> Table {
    let bed = Bed::new(arguments, base);
    let topics = bed.create_partitions(PARTITIONS);
    let mib = arguments.volume_mib().into_iter().max().unwrap_or(1);
    produce(bed.kafka(), &topics, (mib * MIB / BATCH_VALUES / u64::from(PARTITIONS)).max(1), &large_batch());
    bed.snapshot(VOLUME, "s");
    let before = bed.bytes_on_disk();
    let clones: Vec<String> = (0..CLONES).map(|number| format!("clone-{number}")).collect();
    for clone in &clones {
        bed.clone_of(VOLUME, "s", clone);
    }
    let with_clones = bed.bytes_on_disk();
    for clone in &clones {
        produce(bed.kafka(), &[(topic_of(clone, 0), PARTITIONS)], 1, &large_batch());
    }
    let written = u64::from(CLONES * PARTITIONS) * BATCH_VALUES;
    let mut table = Table::new("volumes: bytes on disk", &["what", "MiB"]);
    for (what, bytes) in [
        ("one volume".to_owned(), before),
        (format!("with {CLONES} clones of it, more"), with_clones.saturating_sub(before)),
        (
            "when each has written to all its partitions, more".to_owned(),
            bed.bytes_on_disk().saturating_sub(with_clones),
        ),
        ("of that the values".to_owned(), written),
    ] {
        table.add(vec![what, number(mebibytes(bytes))]);
    }
    table
}

#[allow(clippy::cast_precision_loss, reason = "amounts are far below 2^52")]
fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / MIB as f64
}
