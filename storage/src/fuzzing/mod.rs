//! What the fuzz targets of the storage engine do with their bytes: one function each, which panics where a promise is broken.
//!
//! `fuzz/` drives them with libFuzzer, the tests of this folder with the committed seeds and a bounded number of mutations of them
//! (`docs/testing.md`). The module exists in tests and with the feature `fuzzing` only.
//!
//! Most of what a disk holds is under CRCs, which no mutation hits by chance. So a target's first byte chooses: the bytes as they are;
//! the bytes as *contents*, to which the target makes lengths and CRCs that are right, so that readers see hostile fields; or a sound
//! file, written by the encoders, to which the bytes say what happens. Then what comes back must be what was written, or be refused.

mod batches;
mod input;
mod log;
mod manifest;
mod sealed;
mod state;
#[cfg(test)]
mod tests;

use allocation_counter::measure;

pub use batches::batches;
pub use log::log;
pub use manifest::manifest;
pub use sealed::{index, segment};
pub use state::{facts, state_at};

use crate::units::TimelineId;

/// The timeline that all files are of, and its salt.
const OF: (TimelineId, u64) = (TimelineId(2), 0xfeed_beef_0000_1234);

/// A fuzz target: its name and its body.
pub type Target = (&'static str, fn(&[u8]));

/// Every target of this crate.
pub const TARGETS: [Target; 7] = [
    ("batches", batches),
    ("log", log),
    ("manifest", manifest),
    ("index", index),
    ("segment", segment),
    ("state_at", state_at),
    ("facts", facts),
];

/// Runs a reader over `len` bytes of input; it may take a small multiple of them, and what it reads at once from a file.
#[track_caller]
fn bounded<R>(len: usize, read: impl FnOnce() -> R) -> R {
    let mut outcome = None;
    let counted = measure(|| outcome = Some(read()));
    let allowed = 256 * len as u64 + (4 << 20);
    assert!(counted.bytes_max <= allowed, "{} bytes for {len}", counted.bytes_max);
    outcome.expect("it was run")
}
