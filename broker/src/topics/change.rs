//! Changing and deleting topics. Each change is decided by the writer on the topic that was found, by its number: one that
//! was deleted and created again meanwhile is another.

use std::sync::Arc;

use millpond_storage::TopicNumber;
use millpond_storage::state::{Position, Topic, Txn};

use super::config_keys::{InvalidConfig, Overrides};
use super::create::at_most;
use super::lags::{agree, of_stream, own};
use super::limits;
use super::pending::{Changing, decided, flat, pending, refused};
use super::{Resolved, TopicError, Topics, streams};

impl Topics {
    /// Deletes a topic, with its records and the positions in it.
    pub fn delete(&self, found: &Resolved) -> Changing<()> {
        if let Err(error) = self.check_delete(found) {
            return refused(error);
        }
        let (topics, home, number) = (self.clone(), found.home(), found.topic.number);
        let decide = move |txn: &mut Txn<'_>| {
            let topic = current(txn, number)?;
            // They would go by themselves: whoever reads them as records is told.
            for position in txn.positions_in(&topic) {
                txn.delete::<Position>(position);
            }
            txn.delete::<Topic>(topic.name);
            Ok(())
        };
        let (done, changing) = pending();
        found.timeline.transact(decide, move |outcome| {
            topics.0.known.forget(home, number);
            done(flat(outcome));
        });
        changing
    }

    fn check_delete(&self, found: &Resolved) -> Result<(), TopicError> {
        if !self.0.config.topics.allow_delete {
            return Err(TopicError::DeletionDisabled);
        }
        changeable(found)
    }

    /// Adds partitions to a topic, so that it has `count`.
    pub fn add_partitions(&self, found: &Resolved, count: i32) -> Changing<()> {
        if let Err(error) = changeable(found) {
            return refused(error);
        }
        let (number, limits) = (found.topic.number, found.place.quota.limits.clone());
        decided(&found.timeline, move |txn| {
            let topic = current(txn, number)?;
            let partitions = grown(&topic, count)?;
            limits::check(&limits, (0, partitions - topic.partitions), || txn.all::<Topic>())?;
            txn.put(Topic { partitions, ..topic });
            Ok(())
        })
    }

    /// Whether a topic could have `count` partitions now.
    pub fn check_partitions(&self, found: &Resolved, count: i32) -> Result<(), TopicError> {
        changeable(found)?;
        let more = grown(&found.topic, count)?.saturating_sub(found.topic.partitions);
        let there = || found.timeline.state(|state| state.topics().map(|topic| Topic::clone(topic)).collect());
        limits::check(&found.place.quota.limits, (0, more), there)
    }

    /// Whether what is set on a topic could be changed now.
    pub fn check_alter(
        &self,
        found: &Resolved,
        change: impl FnOnce(&mut Overrides) -> Result<(), InvalidConfig>,
    ) -> Result<(), TopicError> {
        changeable(found)?;
        let mut settings = found.topic.settings.clone();
        change(&mut settings)?;
        Ok(agree(&self.0.config.topics, &[own(&settings), of_stream(&found.stream_config())])?)
    }

    /// Changes what is set on a topic: all that `change` does, or nothing if it fails.
    pub fn alter(
        &self,
        found: &Resolved,
        change: impl FnOnce(&mut Overrides) -> Result<(), InvalidConfig> + Send + 'static,
    ) -> Changing<()> {
        if let Err(error) = changeable(found) {
            return refused(error);
        }
        let (number, config) = (found.topic.number, Arc::clone(&self.0.config));
        decided(&found.timeline, move |txn| {
            let topic = current(txn, number)?;
            let mut settings = topic.settings.clone();
            change(&mut settings)?;
            let stream = streams::config_in(txn, &topic.name.stream);
            agree(&config.topics, &[own(&settings), of_stream(&stream)])?;
            if settings != topic.settings {
                txn.put(Topic { settings, ..topic });
            }
            Ok(())
        })
    }
}

/// In the writer: the topic as it is at the end of the log.
pub(super) fn current(txn: &Txn<'_>, number: TopicNumber) -> Result<Topic, TopicError> {
    txn.topic_by_number(number).ok_or(TopicError::Unknown)
}

/// Clients change no topic of a snapshot, and none of the broker's own.
pub(super) fn changeable(found: &Resolved) -> Result<(), TopicError> {
    found.check_writable()?;
    if found.topic.internal { Err(TopicError::Internal(found.name().to_string())) } else { Ok(()) }
}

/// Topics never shrink.
fn grown(topic: &Topic, count: i32) -> Result<u32, TopicError> {
    let now = topic.partitions;
    match u32::try_from(count) {
        Ok(same) if same == now => Err(TopicError::InvalidPartitions(format!("Topic already has {now} partition(s)."))),
        Ok(more) if more > now => at_most(more),
        _ => Err(TopicError::InvalidPartitions(format!(
            "The topic {} currently has {now} partition(s); {count} would not be an increase.",
            topic.name.short()
        ))),
    }
}
