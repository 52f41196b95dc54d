//! Consumer groups: who is in them, which generation they are in, and what each member was assigned.
//!
//! - [`Coordinator`]: all groups; runs the machines, gives them time, carries out what they decide.
//! - [`classic`]: the classic protocol of one group, a state machine without clock or I/O.
//! - [`record`]: what of a group is written down, in bytes; [`GroupStore`]: where.
//! - [`spelling`], [`subscription`]: the topics that consumers subscribe to, as far as the broker has to know them.
//!
//! Positions that groups commit are facts of the volumes that hold the topics, and not kept here.

pub mod classic;
mod clock;
mod coordinator;
mod deadlines;
mod error;
mod key;
pub mod record;
pub mod request;
mod settings;
pub mod spelling;
pub mod subscription;

pub use classic::State;
pub use coordinator::{Coordinator, GroupStore, Saved, TopicNames};
pub use error::GroupError;
pub use key::{GroupKey, Scope};
pub use settings::GroupSettings;
