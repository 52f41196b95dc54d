//! The bytes that snapshots cost.

use std::collections::BTreeMap;

use millpond_storage::state::PinId;
use millpond_storage::{Error, PinnedBytes};

use super::{Result, Volumes};
use crate::completion;

impl Volumes {
    /// What each snapshot's batches take, and whether others need them, too. Looks into the index of every file.
    pub async fn snapshot_bytes(&self) -> Result<BTreeMap<PinId, PinnedBytes>> {
        let (done, counted) = completion::pair();
        self.engine.usage(done);
        Ok(counted.await.unwrap_or(Err(Error::Closed))?.pins)
    }
}
