//! Facts and what they add up to.
//!
//! * [`fact`]: one record of an internal topic; a file per kind of thing (`topic`, `log_start`, `position`, …) has its
//!   key, its value and its bytes.
//! * [`payload`]: facts as record batches, and back.
//! * [`fold`]: the state, and the one function that adds a fact to it, live and in recovery.
//! * [`pending`]: facts that are decided and not visible yet, and the transaction that decides.
//! * [`checkpoint`]: all that a start needs to know of a log up to an LSN; [`state_at`] keeps it as a file, [`index`] in an
//!   index that may be deleted.

pub mod checkpoint;
mod cluster;
mod codec;
mod compaction;
mod counter;
mod document;
pub mod fact;
mod floor;
pub mod fold;
mod group;
pub mod index;
mod log_start;
mod packed_page;
mod page;
pub mod payload;
pub mod pending;
mod pin;
mod position;
mod positions;
mod records;
pub mod state_at;
#[cfg(test)]
mod tests;
mod timeline;
mod topic;
mod volume;

pub use checkpoint::Checkpoint;
pub use cluster::Cluster;
pub use compaction::{Compaction, Seen};
pub use counter::{Counter, Numbers};
pub use document::{Document, DocumentKey};
pub use fact::{Change, Fact, FactKey, Kind, Thing};
pub use floor::Floor;
pub use fold::State;
pub use group::{Group, GroupKey};
pub use index::Index;
pub use log_start::LogStart;
#[cfg(test)]
pub(crate) use packed_page::all_of;
pub(crate) use packed_page::{Packable, PackedPage};
pub use pending::{Pending, Txn};
pub use pin::{Pin, PinId, PinKind};
pub use position::{Committed, Position, PositionKey, TopicId, number_in};
pub use timeline::{Stage, TimelineInfo};
pub use topic::{DEFAULT_STREAM, Topic, TopicName};
pub use volume::{Durability, Volume, VolumeId};
