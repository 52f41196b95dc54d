//! Millpond's storage engine: a volume is one log, and everything else is made from it.
//!
//! Synchronous: the engine owns its threads and files, and knows nothing of sockets or of Kafka's requests. Calls are submissions
//! with completions. `docs/architecture.md` has the map and every layout on disk.

pub mod batch;
mod branches;
pub mod disk;
mod engine;
pub mod error;
pub mod frame;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzzing;
mod maintenance;
pub mod manifest;
mod options;
mod pool;
mod segment;
mod space;
pub mod state;
mod stats;
pub mod timeline;
mod trouble;
pub mod units;
mod view;

pub use branches::{NewTimeline, PinnedView, Stand};
pub use engine::{DEFAULT_VOLUME, Engine};
pub use error::{Error, Result};
pub use options::{CompactionPolicy, HistoryOf, Options, Policy, PolicyOf};
pub use segment::{PinnedBytes, TimelineBytes, Usage};
pub use stats::{Counter, DURATION_BOUNDS_US, Durations, Gauge, Stats};
pub use timeline::{Ack, Append, AppendError, AppendPart, Appended, Partition, Timeline, Waiter, Wake};
pub use units::{FileId, Lsn, Moment, TimelineId, TopicNumber, TopicPartition};
pub use view::{Bounds, Fetched, Found, Piece, Read, Stored, View};

/// Ends the process: it cannot go on and nothing that it would do could be trusted.
pub(crate) fn fatal(why: &str) -> ! {
    tracing::error!("{why}");
    std::process::abort()
}
