//! Groups in the `system` volume: one fact per group, rewritten whole.

use bytes::Bytes;
use millpond_storage::Timeline;
use millpond_storage::state::{Change, Fact, Group, GroupKey as StoredKey};
use tracing::warn;

use super::GroupKey;
use super::coordinator::{GroupStore, Saved};
use crate::scope::Scope;

/// Writes groups into the log of `system`.
#[derive(Debug)]
pub(super) struct SystemStore {
    pub(super) system: Timeline,
}

impl SystemStore {
    /// All groups that were written down.
    pub(super) fn load(&self) -> Vec<(GroupKey, Bytes)> {
        self.system.state(|state| {
            let groups = state.groups();
            groups
                .map(|(key, record)| (GroupKey::new(Scope::of_number(key.scope), &key.group), record.clone()))
                .collect()
        })
    }
}

impl GroupStore for SystemStore {
    fn save(&self, key: &GroupKey, record: Option<Bytes>, saved: Saved) {
        let key = StoredKey { scope: key.scope.number(), group: key.group_id.as_str().into() };
        let change = match record {
            Some(members) => Change::Put(Group { key, members }),
            None => Change::Delete(key),
        };
        self.system.transact(
            move |txn| txn.put(Fact::Group(change)),
            move |outcome| {
                if let Err(error) = &outcome {
                    warn!(%error, "the log of system did not take a group");
                }
                saved(outcome.is_ok());
            },
        );
    }
}
