//! The bytes of requests that are under way, over all connections. They are charged before they are read, so that what
//! producers send faster than it can be stored waits in their sockets and not in our memory.
//!
//! A large request is charged in steps, each when the one before it has arrived: a length that is only claimed holds
//! nothing back. So that requests which are each half here do not wait for each other for ever, one at a time may go on
//! without a charge: memory is bounded by the budget, the reserve and one frame.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::limits::Limits;
use crate::metrics::Gauge;

/// Room for requests. A waiter is served in its turn, whatever its size.
#[derive(Debug)]
pub(super) struct Budget {
    common: Share,
    /// For requests that are not Produce: consumers and administration go on while producers wait.
    reserve: Share,
    /// For the one request that goes on without a charge.
    overdraft: Share,
    charged: Gauge,
}

#[derive(Debug)]
struct Share {
    size: usize,
    free: Arc<Semaphore>,
}

impl Share {
    fn new(size: usize) -> Self {
        let size = size.clamp(1, u32::MAX as usize);
        Self { size, free: Arc::new(Semaphore::new(size)) }
    }

    /// What `bytes` take here: more than the share has take all of it.
    fn part(&self, bytes: usize) -> u32 {
        u32::try_from(bytes.min(self.size)).unwrap_or(u32::MAX)
    }

    fn try_take(&self, bytes: usize) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.free).try_acquire_many_owned(self.part(bytes)).ok()
    }

    async fn take(&self, bytes: usize) -> OwnedSemaphorePermit {
        let free = Arc::clone(&self.free);
        free.acquire_many_owned(self.part(bytes)).await.expect("the semaphore is never closed")
    }
}

impl Budget {
    pub(super) fn new(limits: &Limits, charged: Gauge) -> Self {
        let (common, reserve) = (Share::new(limits.queued_bytes_max), Share::new(limits.queued_bytes_reserve));
        Self { common, reserve, overdraft: Share::new(1), charged }
    }

    /// A charge of nothing, to be added to.
    pub(super) fn nothing(&self) -> Charge {
        let charged = self.charged.clone();
        Charge { bytes: 0, common: None, reserve: None, overdraft: None, charged }
    }

    /// Waits for room for `bytes` more of a request.
    pub(super) async fn add(&self, charge: &mut Charge, bytes: usize, is_produce: bool) {
        if charge.overdraft.is_none() && !self.try_add(charge, bytes) {
            tokio::select! { biased;
                permit = self.common.take(bytes) => merge(&mut charge.common, permit),
                permit = self.reserve.take(bytes), if !is_produce && bytes <= self.reserve.size => {
                    merge(&mut charge.reserve, permit);
                }
                permit = self.overdraft.take(1), if charge.bytes > 0 => merge(&mut charge.overdraft, permit),
            }
            charge.count(bytes);
        } else if charge.overdraft.is_some() {
            charge.count(bytes);
        }
    }

    /// Adds `bytes` of the common share if they are free.
    pub(super) fn try_add(&self, charge: &mut Charge, bytes: usize) -> bool {
        let Some(permit) = self.common.try_take(bytes) else { return false };
        merge(&mut charge.common, permit);
        charge.count(bytes);
        true
    }
}

fn merge(into: &mut Option<OwnedSemaphorePermit>, permit: OwnedSemaphorePermit) {
    match into {
        Some(held) => held.merge(permit),
        None => *into = Some(permit),
    }
}

/// Room taken, given back when it is dropped.
#[derive(Debug)]
pub(super) struct Charge {
    bytes: usize,
    common: Option<OwnedSemaphorePermit>,
    reserve: Option<OwnedSemaphorePermit>,
    overdraft: Option<OwnedSemaphorePermit>,
    charged: Gauge,
}

impl Charge {
    /// How much it is for.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Takes up to `bytes` out of a charge of the common share.
    pub(super) fn split(&mut self, bytes: usize) -> Self {
        let bytes = bytes.min(self.bytes);
        let common = self.common.as_mut().and_then(|held| held.split(bytes.min(held.num_permits())));
        self.bytes -= bytes;
        Self { bytes, common, reserve: None, overdraft: None, charged: self.charged.clone() }
    }

    fn count(&mut self, bytes: usize) {
        self.bytes += bytes;
        self.charged.inc_by(signed(bytes));
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.charged.dec_by(signed(self.bytes));
    }
}

fn signed(bytes: usize) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::*;

    fn poll<T>(future: std::pin::Pin<&mut impl Future<Output = T>>) -> Poll<T> {
        future.poll(&mut Context::from_waker(Waker::noop()))
    }

    fn budget() -> Budget {
        let limits = Limits { queued_bytes_max: 100, queued_bytes_reserve: 10, ..Limits::default() };
        Budget::new(&limits, Gauge::default())
    }

    #[test]
    fn producers_wait_and_others_use_the_reserve() {
        let budget = budget();
        let [mut first, mut second, mut fetch, mut other] = std::array::from_fn(|_| budget.nothing());
        assert!(poll(pin!(budget.add(&mut first, 95, true))).is_ready());
        let mut produce = Box::pin(budget.add(&mut second, 10, true));
        assert!(poll(produce.as_mut()).is_pending());
        assert!(poll(pin!(budget.add(&mut fetch, 10, false))).is_ready());
        let mut waiting = Box::pin(budget.add(&mut other, 10, false));
        assert!(poll(waiting.as_mut()).is_pending());
        drop(fetch);
        assert!(poll(waiting.as_mut()).is_ready());
        drop(first);
        assert!(poll(produce.as_mut()).is_ready());
        drop((produce, waiting));
        drop((second, other));
        assert_eq!(budget.charged.get(), 0);
    }

    #[test]
    fn a_request_larger_than_the_budget_goes_alone() {
        let budget = budget();
        let [mut large, mut small] = std::array::from_fn(|_| budget.nothing());
        assert!(poll(pin!(budget.add(&mut large, 1_000, true))).is_ready());
        assert_eq!(budget.charged.get(), 1_000);
        let mut waiting = pin!(budget.add(&mut small, 1, true));
        assert!(poll(waiting.as_mut()).is_pending());
        drop(large);
        assert!(poll(waiting).is_ready());
    }

    #[test]
    fn of_requests_that_are_half_here_one_goes_on() {
        let budget = budget();
        let [mut one, mut two, mut three] = std::array::from_fn(|_| budget.nothing());
        for charge in [&mut one, &mut two] {
            assert!(poll(pin!(budget.add(charge, 50, true))).is_ready());
        }
        assert!(poll(pin!(budget.add(&mut one, 50, true))).is_ready(), "the first overdraws");
        assert!(poll(pin!(budget.add(&mut one, 50, true))).is_ready(), "and goes on");
        let mut second = Box::pin(budget.add(&mut two, 50, true));
        let mut fresh = pin!(budget.add(&mut three, 1, true));
        assert!(poll(second.as_mut()).is_pending() && poll(fresh.as_mut()).is_pending());
        assert_eq!(budget.charged.get(), 200);
        drop(one);
        assert!(poll(second.as_mut()).is_ready());
        drop(second);
        drop(two);
        assert!(poll(fresh).is_ready());
    }

    #[test]
    fn a_charge_that_is_split_stays_whole() {
        let budget = budget();
        let mut ahead = budget.nothing();
        assert!(budget.try_add(&mut ahead, 80) && !budget.try_add(&mut ahead, 80));
        let frame = ahead.split(30);
        assert_eq!((frame.bytes(), ahead.bytes(), ahead.split(90).bytes(), ahead.bytes()), (30, 50, 50, 0));
        assert_eq!(budget.common.free.available_permits(), 70);
        drop(frame);
        assert_eq!((budget.common.free.available_permits(), budget.charged.get()), (100, 0));
    }
}
