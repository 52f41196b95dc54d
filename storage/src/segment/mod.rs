//! Sealed files: log files that have ended, with an index.

mod index;
mod seal;
mod sealed_log;
mod stretch;

pub(crate) use seal::{load, seal};
pub(crate) use stretch::Stretch;
