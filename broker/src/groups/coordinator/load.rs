//! Taking groups up after a restart, and what their members subscribe to.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use tracing::{error, info};

use super::super::GroupKey;
use super::super::classic::{ClassicGroup, Step};
use super::super::record::GroupRecord;
use super::super::request::Protocol;
use super::super::spelling::TopicSpelling;
use super::super::subscription::{CONSUMER_PROTOCOL_TYPE, subscribed_topics};
use super::{Coordinator, Slot};
use crate::scope::Scope;

impl Coordinator {
    /// Takes up the groups that were written down, before the first request. A record that cannot be read costs its group
    /// a rebalance and nothing else: its members are strangers, join anew and find their positions.
    pub fn load(self: &Arc<Self>, records: impl IntoIterator<Item = (GroupKey, Bytes)>) {
        let mut count = 0;
        for (key, record) in records {
            match GroupRecord::decode(record) {
                Ok(record) => {
                    self.restore(&key, record);
                    count += 1;
                }
                Err(error) => error!(group = %key, %error, "a group is left out"),
            }
        }
        if count > 0 {
            info!(count, "groups are back with their members");
        }
    }

    fn restore(self: &Arc<Self>, key: &GroupKey, record: GroupRecord) {
        let mut effects = Vec::new();
        let mut step = Step { now: self.clock.now(), settings: &self.settings, effects: &mut effects };
        let topics = |protocol_type: &str, protocols: &[Protocol]| self.spellings(key.scope, protocol_type, protocols);
        let group = ClassicGroup::restore(&key.group_id, record, &mut step, topics);
        self.groups.insert(key.clone(), Slot::new(group));
        self.carry_out(key, effects);
        // An empty step, so that the group's first deadline is queued.
        self.step(key, |_, _| {});
    }

    /// The topics that a consumer subscribes to, as far as they can be read and are there.
    pub(super) fn spellings(&self, scope: Scope, protocol_type: &str, protocols: &[Protocol]) -> Vec<TopicSpelling> {
        if protocol_type != CONSUMER_PROTOCOL_TYPE {
            return Vec::new();
        }
        let names = protocols.iter().filter_map(|protocol| subscribed_topics(&protocol.metadata)).flatten();
        let names: BTreeSet<String> = names.collect();
        let spelled = names.into_iter().filter_map(|name| {
            let topic = self.topics.identity(scope, &name)?;
            Some(TopicSpelling { name, topic })
        });
        spelled.collect()
    }
}
