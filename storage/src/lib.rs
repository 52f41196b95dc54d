//! Millpond's storage engine: a volume is one log, and everything else is made from it.
//!
//! Synchronous: the engine owns its threads and files, and knows nothing of sockets or of Kafka's requests. Calls are submissions
//! with completions. `docs/architecture.md` has the map and every layout on disk.

pub mod batch;
pub mod disk;
pub mod error;
pub mod frame;
pub mod manifest;
pub mod state;
pub mod timeline;
pub mod units;

pub use error::{Error, Result};
pub use units::{FileId, Lsn, TimelineId, TopicNumber, TopicPartition};
