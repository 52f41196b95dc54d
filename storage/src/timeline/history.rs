//! How far back a timeline's past reaches, and what keeps single views of it.
//!
//! Invariants: the floor only rises, in two steps under one short lock: it is *planned* (nothing new may be pinned below it), and becomes *durable* by its
//! fact in `system`; bytes go only for a durable floor, with the pins read after the plan. A pin counts from before its fact is written until the fact of
//! its deletion is durable. Below the planned floor a pin is admitted only where one of the same view exists.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use super::partition::lock;
use crate::error::{Error, Result};
use crate::units::{Lsn, Moment};

/// The floor and the pins of a timeline.
#[derive(Debug)]
pub(crate) struct History(Mutex<Kept>);

#[derive(Debug)]
struct Kept {
    planned: Moment,
    durable: Lsn,
    /// How many pins and leases there are at an LSN.
    pins: BTreeMap<Lsn, usize>,
}

/// What is needed beside the live view: single views, and all from the floor on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Needed {
    /// LSNs of single views, in order.
    pub(crate) pins: Vec<Lsn>,
    /// The floor.
    pub(crate) floor: Lsn,
}

/// Keeps one view readable until it is dropped.
#[derive(Debug)]
pub(crate) struct Lease {
    history: Arc<History>,
    lsn: Lsn,
    /// A fact has taken its place.
    kept: bool,
}

impl History {
    /// With the floor and the pins that `system` has.
    pub(crate) fn new(floor: Moment, pins: impl IntoIterator<Item = Lsn>) -> Arc<Self> {
        let mut kept = Kept { planned: floor, durable: floor.lsn, pins: BTreeMap::new() };
        for lsn in pins {
            *kept.pins.entry(lsn).or_default() += 1;
        }
        Arc::new(Self(Mutex::new(kept)))
    }

    /// The oldest LSN that can still be had.
    pub(crate) fn floor(&self) -> Lsn {
        lock(&self.0).planned.lsn
    }

    /// The oldest that can still be had; none where only pins are left.
    pub(crate) fn oldest(&self) -> Option<Moment> {
        Some(lock(&self.0).planned).filter(|oldest| oldest.lsn < Lsn::MAX)
    }

    /// Keeps the view at an LSN.
    pub(crate) fn lease(self: &Arc<Self>, lsn: Lsn) -> Result<Lease> {
        let mut kept = lock(&self.0);
        let oldest = kept.planned;
        if lsn < oldest.lsn && !kept.pins.contains_key(&lsn) {
            return Err(Error::Forgotten { oldest: Some(oldest).filter(|oldest| oldest.lsn < Lsn::MAX) });
        }
        *kept.pins.entry(lsn).or_default() += 1;
        Ok(Lease { history: Arc::clone(self), lsn, kept: false })
    }

    /// No volume shows the timeline any more: nothing of its past is kept but what is pinned.
    pub(crate) fn close(&self) {
        let mut kept = lock(&self.0);
        (kept.planned, kept.durable) = (Moment { lsn: Lsn::MAX, time: i64::MAX }, Lsn::MAX);
    }

    /// Whether it was closed.
    pub(crate) fn is_closed(&self) -> bool {
        lock(&self.0).durable == Lsn::MAX
    }

    /// Whether neither pin nor lease is left.
    pub(crate) fn is_unpinned(&self) -> bool {
        lock(&self.0).pins.is_empty()
    }

    /// The fact that a pin is gone is durable.
    pub(crate) fn unpin(&self, lsn: Lsn) {
        lock(&self.0).unpin(lsn);
    }

    /// Plans a higher floor; a lower one changes nothing. Returns the plan.
    pub(crate) fn plan(&self, floor: Moment) -> Moment {
        let mut kept = lock(&self.0);
        kept.planned = kept.planned.max(floor);
        kept.planned
    }

    /// The fact of a planned floor is durable.
    pub(crate) fn settle(&self, floor: Lsn) {
        let mut kept = lock(&self.0);
        kept.durable = kept.durable.max(floor);
    }

    /// What the durable floor and the pins of this moment need.
    pub(crate) fn needed(&self) -> Needed {
        let kept = lock(&self.0);
        Needed { pins: kept.pins.keys().copied().collect(), floor: kept.durable }
    }
}

impl Needed {
    /// Whether a view other than the live one sees what is visible in `[from, until)`.
    pub(crate) fn sees(&self, from: Lsn, until: Lsn) -> bool {
        let pin = self.pins.partition_point(|pin| *pin < from);
        until > self.floor || self.pins.get(pin).is_some_and(|pin| *pin < until)
    }
}

impl Lease {
    /// The LSN of the view.
    pub(crate) fn lsn(&self) -> Lsn {
        self.lsn
    }

    /// The fact of a pin is durable: it counts from here on, until [`History::unpin`].
    pub(crate) fn keep(mut self) {
        self.kept = true;
    }
}

impl Kept {
    fn unpin(&mut self, lsn: Lsn) {
        if let Some(count) = self.pins.get_mut(&lsn) {
            *count -= 1;
            if *count == 0 {
                self.pins.remove(&lsn);
            }
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if !self.kept {
            self.history.unpin(self.lsn);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(lsn: u64) -> Moment {
        Moment { lsn: Lsn(lsn), time: 0 }
    }

    #[test]
    fn below_a_planned_floor_only_views_that_are_pinned_can_be_pinned() {
        let history = History::new(Moment::default(), [Lsn(3)]);
        let early = history.lease(Lsn(5)).expect("above the floor");
        history.plan(at(10));
        let refused = history.lease(Lsn(7)).expect_err("below the plan");
        assert!(matches!(refused, Error::Forgotten { oldest: Some(oldest) } if oldest == at(10)), "{refused}");
        assert!(history.lease(Lsn(5)).is_ok() && history.lease(Lsn(3)).is_ok());
        drop(early);
        assert!(history.lease(Lsn(5)).is_err());
    }

    #[test]
    fn need_is_an_interval_for_pins_and_all_above_a_durable_floor() {
        let history = History::new(Moment::default(), [Lsn(5)]);
        history.plan(at(20));
        assert!(history.needed().sees(Lsn(1), Lsn(2)), "the floor is not durable yet");
        history.settle(Lsn(20));
        let needed = history.needed();
        assert!(needed.sees(Lsn(4), Lsn(6)) && needed.sees(Lsn(5), Lsn(6)));
        assert!(!needed.sees(Lsn(6), Lsn(9)) && !needed.sees(Lsn(1), Lsn(5)));
        assert!(needed.sees(Lsn(6), Lsn(21)) && !needed.sees(Lsn(6), Lsn(20)));
    }
}
