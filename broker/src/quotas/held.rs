//! What a connection is to wait for after a quota refused batches of it.
//!
//! A producer has several batches in flight. One that is refused and the next that is accepted, because it is smaller or room
//! came meanwhile, would be a gap in its sequence, which a partition that does not know the producer yet would take for its
//! beginning: the refused batch could then never be written. So whoever was refused comes again with that batch first, and what
//! it had sent behind it is refused likewise.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use millpond_storage::TimelineId;
use millpond_storage::TopicPartition;

/// Producers of a connection that are remembered. Beyond, they are treated as Kafka treats all: whoever fits is accepted.
const SENDERS_MAX: usize = 16_384;
/// Half of the numbers that sequences have: what is further ahead lies behind.
const HALF: i32 = 1 << 30;

/// An idempotent producer to one partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Sender {
    /// The log that the partition is in.
    pub timeline: TimelineId,
    /// The partition.
    pub partition: TopicPartition,
    /// The producer's id.
    pub producer_id: i64,
    /// Its epoch.
    pub epoch: i16,
}

/// What a connection is to wait for.
#[derive(Debug, Default)]
pub struct Held {
    /// Whether anything was ever refused: nearly no connection has more to look at.
    any: AtomicBool,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// The first batch that was refused and has not been accepted since, by the sequence of its first record.
    refused: HashMap<Sender, i32>,
    muted_until: Option<Instant>,
}

impl Held {
    /// Whether a batch comes before one that has to come first.
    pub fn is_ahead(&self, sender: &Sender, first: i32) -> bool {
        if !self.any.load(Ordering::Acquire) {
            return false;
        }
        let refused = self.state().refused.get(sender).copied();
        refused.is_some_and(|refused| (1..HALF).contains(&(first.wrapping_sub(refused) & i32::MAX)))
    }

    /// A batch was refused: it has to come before those behind it.
    pub fn refuse(&self, sender: Sender, first: i32) {
        let mut state = self.state();
        if state.refused.len() < SENDERS_MAX {
            state.refused.entry(sender).or_insert(first);
        }
        self.any.store(true, Ordering::Release);
    }

    /// A batch goes to the writer.
    pub fn accept(&self, sender: &Sender, first: i32) {
        if self.any.load(Ordering::Acquire) {
            let mut state = self.state();
            if state.refused.get(sender) == Some(&first) {
                state.refused.remove(sender);
            }
        }
    }

    /// The connection is not read from until then.
    pub fn mute(&self, until: Instant) {
        let mut state = self.state();
        state.muted_until = state.muted_until.max(Some(until));
        self.any.store(true, Ordering::Release);
    }

    /// Until when the connection is not read from, if that is later than `now`.
    pub fn muted_until(&self, now: Instant) -> Option<Instant> {
        if !self.any.load(Ordering::Acquire) {
            return None;
        }
        self.state().muted_until.filter(|until| *until > now)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use millpond_storage::TopicNumber;

    use super::*;

    fn sender(producer_id: i64) -> Sender {
        let partition = TopicPartition::new(TopicNumber(16), 0);
        Sender { timeline: TimelineId(1), partition, producer_id, epoch: 0 }
    }

    #[test]
    fn whoever_was_refused_comes_again_with_that_batch_first() {
        let held = Held::default();
        assert!(!held.is_ahead(&sender(1), 5));
        held.refuse(sender(1), 5);
        held.refuse(sender(1), 9);
        assert!(held.is_ahead(&sender(1), 9) && !held.is_ahead(&sender(1), 5) && !held.is_ahead(&sender(1), 4));
        assert!(!held.is_ahead(&sender(2), 9), "another producer");
        held.accept(&sender(1), 4);
        assert!(held.is_ahead(&sender(1), 9));
        held.accept(&sender(1), 5);
        assert!(!held.is_ahead(&sender(1), 9));
    }

    #[test]
    fn sequences_start_again_at_zero() {
        let held = Held::default();
        held.refuse(sender(1), i32::MAX);
        assert!(held.is_ahead(&sender(1), 0) && !held.is_ahead(&sender(1), i32::MAX - 1));
    }

    #[test]
    fn a_connection_is_muted_until_the_latest_moment() {
        let (held, now) = (Held::default(), Instant::now());
        assert_eq!(held.muted_until(now), None);
        let later = now + Duration::from_secs(2);
        held.mute(later);
        held.mute(now + Duration::from_secs(1));
        assert_eq!(held.muted_until(now), Some(later));
        assert_eq!(held.muted_until(later), None);
    }
}
