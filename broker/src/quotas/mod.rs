//! Quotas: how much a volume may hold, and what producers are told that would exceed it.
//!
//! What counts are the bytes of the batches that the volume's live view shows, those that it shares with others among them:
//! the number that `volume list` shows. Its past, its snapshots and its facts do not count. The engine keeps that number as
//! batches come and go; a look at it costs what reading a number costs.
//!
//! A batch takes its [`Charge`] of the [`Room`] before it goes to the writer, and gives it back when it is written and counted:
//! so the hard quota is never exceeded, however many producers there are. Only records of producers take any. Positions,
//! markers, deletions and settings never do, so that a full volume can be consumed, and emptied.

mod held;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

pub use held::{Held, Sender};

use crate::seldom::Seldom;

/// How long a producer is told to wait, and its connection is not read from, when a quota refused it.
pub const THROTTLE: Duration = Duration::from_secs(1);

/// What producers are about to write to a volume, and how often one was refused.
#[derive(Debug, Default)]
pub struct Room {
    /// Bytes that go to the writer and may not be counted yet.
    charged: AtomicU64,
    refused: AtomicU64,
    telling: Seldom,
}

/// A part of the room of a volume. Dropped, it is given back.
#[derive(Debug)]
pub struct Charge {
    room: Arc<Room>,
    bytes: u64,
}

impl Room {
    /// Takes so many bytes, if the volume holds no more than `quota` with them. `held` is what it holds now.
    pub fn take(self: &Arc<Self>, bytes: u64, quota: u64, held: impl FnOnce() -> u64) -> Option<Charge> {
        let charged = self.charged.fetch_add(bytes, Ordering::SeqCst).saturating_add(bytes);
        let charge = Charge { room: Arc::clone(self), bytes };
        // What is written meanwhile counts twice for a moment, never not at all.
        if held().saturating_add(charged) <= quota {
            return Some(charge);
        }
        self.refused.fetch_add(1, Ordering::Relaxed);
        None
    }

    /// How many batches were refused since the start.
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// Whether it is to be told now that batches are refused.
    pub fn is_told(&self) -> bool {
        self.telling.lets_through(Instant::now())
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.room.charged.fetch_sub(self.bytes, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quota_is_filled_to_the_last_byte_and_never_exceeded() {
        let room = Arc::new(Room::default());
        let first = room.take(60, 100, || 0).unwrap();
        assert!(room.take(41, 100, || 0).is_none());
        let second = room.take(40, 100, || 0).unwrap();
        assert!(room.take(1, 100, || 0).is_none());
        drop(first);
        assert!(room.take(1, 100, || 60).is_none(), "it is written");
        drop(second);
        assert!(room.take(0, 100, || 100).is_some());
        assert_eq!((room.refused(), room.charged.load(Ordering::SeqCst)), (3, 0));
    }

    #[test]
    fn what_cannot_be_counted_is_refused() {
        let room = Arc::new(Room::default());
        assert!(room.take(u64::MAX, 100, || u64::MAX).is_none());
        assert!(room.take(100, 100, || 0).is_some(), "what was refused takes nothing");
    }
}
