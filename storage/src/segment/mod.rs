//! Sealed files: log files that have ended, with an index.

mod collect;
mod files;
mod index;
mod need;
mod seal;
mod sealed_log;
mod stretch;

pub(crate) use collect::collect;
pub(crate) use files::Files;
pub(crate) use need::Shares;
pub(crate) use seal::{load, seal};
pub(crate) use stretch::Stretch;
