//! Sealed files: log files that have ended, with an index, and segments, which the rewriter makes of them.

mod collect;
mod compact;
mod files;
pub(crate) mod index;
mod merge;
mod need;
mod recent;
mod rewrite;
mod seal;
mod sealed_log;
pub(crate) mod segment_file;
mod sort;
pub(crate) mod stretch;
mod throttle;
mod usage;
mod verified;

pub(crate) use collect::{collect, held, raise_to};
pub(crate) use compact::compact;
pub(crate) use files::Files;
pub(crate) use index::NO_TIME;
pub(crate) use need::Shares;
pub(crate) use seal::{load, seal};
pub(crate) use stretch::{SealedFile, Stretch};
pub use usage::{PinnedBytes, TimelineBytes, Usage};
pub(crate) use verified::Verified;
