//! The errors of the engine: few kinds, each saying what the caller must do.

use std::path::PathBuf;

use crate::units::Moment;

/// A result of the engine.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, by what the caller must do about it.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// The offset lies outside what the view has: the reader starts again from one of the bounds.
    #[error("offset {offset} is out of range: the partition has {log_start} to {high_watermark}")]
    OutOfRange {
        /// The offset asked for.
        offset: i64,
        /// The first offset there is.
        log_start: i64,
        /// The first offset that is not there.
        high_watermark: i64,
    },
    /// No such partition in this view.
    #[error("no such partition")]
    UnknownPartition,
    /// The disk (or what the volume may use of it) is full: nothing of the request was kept; free space and try again.
    #[error("the disk is full: {0}")]
    Full(String),
    /// Bytes that do not check. What they held is not served.
    #[error("damaged: {0}")]
    Corrupt(String),
    /// A batch that a reader asked for does not check. It is never served; behind it all is as it was.
    #[error("the batch of offsets {base_offset} to {end_offset} is damaged and not served: {why}")]
    DamagedBatch {
        /// Its first offset.
        base_offset: i64,
        /// The first offset behind it: where to go on.
        end_offset: i64,
        /// What does not check.
        why: String,
    },
    /// The timeline was found damaged at the start and takes no writes.
    #[error("timeline {timeline} is damaged and read-only: {why}")]
    ReadOnly {
        /// Which.
        timeline: u64,
        /// What was found.
        why: String,
    },
    /// The operating system refused.
    #[error("{path}: {why}")]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What it said.
        why: String,
    },
    /// A file was written by a newer Millpond.
    #[error(
        "{path} has format {found}, this program knows up to {known}: use the newer program, or another data directory"
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: u32,
        /// The newest version known.
        known: u32,
    },
    /// Another process holds the data directory.
    #[error("{path} is in use by another process: stop it, or give --data another directory")]
    Locked {
        /// The data directory.
        path: PathBuf,
    },
    /// A past that is no longer kept: ask for a later one, or for a snapshot.
    #[error("that past is no longer kept: {}", what_is_kept(*oldest))]
    Forgotten {
        /// The oldest that can be had; none where only snapshots are left.
        oldest: Option<Moment>,
    },
    /// Something given is not acceptable.
    #[error("{0}")]
    Invalid(String),
    /// The engine is closing.
    #[error("closing")]
    Closed,
}

fn what_is_kept(oldest: Option<Moment>) -> String {
    match oldest {
        Some(Moment { lsn, time }) => format!("the oldest that can be had is LSN {lsn}, of {time} ms"),
        None => "only snapshots of this timeline are left".to_owned(),
    }
}

impl Error {
    /// An error of the operating system at a path. A full disk is [`Error::Full`].
    pub fn io(path: impl Into<PathBuf>, error: &std::io::Error) -> Self {
        let path = path.into();
        match error.kind() {
            std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => {
                Self::Full(format!("{}: {error}", path.display()))
            }
            _ => Self::Io { path, why: error.to_string() },
        }
    }
}
