//! The bytes of requests that are under way, over all connections. They are charged before a body is read, so that what
//! producers send faster than it can be stored waits in their sockets and not in our memory.

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
    charged: Gauge,
}

#[derive(Debug)]
struct Share {
    bytes: usize,
    free: Arc<Semaphore>,
}

impl Share {
    fn new(bytes: usize) -> Self {
        let bytes = bytes.clamp(1, u32::MAX as usize);
        Self { bytes, free: Arc::new(Semaphore::new(bytes)) }
    }

    /// What a request of `size` takes here: a request larger than the share takes all of it, and goes alone.
    fn part(&self, size: usize) -> u32 {
        u32::try_from(size.min(self.bytes)).unwrap_or(u32::MAX)
    }

    async fn take(&self, size: usize) -> OwnedSemaphorePermit {
        let free = Arc::clone(&self.free);
        free.acquire_many_owned(self.part(size)).await.expect("the semaphore is never closed")
    }
}

impl Budget {
    pub(super) fn new(limits: &Limits, charged: Gauge) -> Self {
        let (common, reserve) = (Share::new(limits.queued_bytes_max), Share::new(limits.queued_bytes_reserve));
        Self { common, reserve, charged }
    }

    /// Waits for room for a request of `size` bytes.
    pub(super) async fn charge(&self, size: usize, is_produce: bool) -> Charge {
        let free = Arc::clone(&self.common.free);
        let permit = match free.try_acquire_many_owned(self.common.part(size)) {
            Ok(permit) => permit,
            Err(_) if is_produce || size > self.reserve.bytes => self.common.take(size).await,
            Err(_) => tokio::select! {
                permit = self.common.take(size) => permit,
                permit = self.reserve.take(size) => permit,
            },
        };
        Charge::new(permit, self.charged.clone())
    }
}

/// Room taken by one request, given back when it is dropped.
#[derive(Debug)]
pub(super) struct Charge {
    permit: OwnedSemaphorePermit,
    charged: Gauge,
}

impl Charge {
    fn new(permit: OwnedSemaphorePermit, charged: Gauge) -> Self {
        charged.inc_by(signed(&permit));
        Self { permit, charged }
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.charged.dec_by(signed(&self.permit));
    }
}

fn signed(permit: &OwnedSemaphorePermit) -> i64 {
    i64::try_from(permit.num_permits()).unwrap_or(i64::MAX)
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
        let Poll::Ready(first) = poll(pin!(budget.charge(95, true))) else { panic!("there is room") };
        let mut produce = pin!(budget.charge(10, true));
        assert!(poll(produce.as_mut()).is_pending());
        let Poll::Ready(fetch) = poll(pin!(budget.charge(10, false))) else { panic!("the reserve has room") };
        let mut second_fetch = pin!(budget.charge(10, false));
        assert!(poll(second_fetch.as_mut()).is_pending());
        drop(fetch);
        assert!(poll(second_fetch).is_ready());
        drop(first);
        assert!(poll(produce).is_ready());
        assert_eq!(budget.charged.get(), 0);
    }

    #[test]
    fn a_request_larger_than_the_budget_goes_alone() {
        let budget = budget();
        let Poll::Ready(large) = poll(pin!(budget.charge(1_000, true))) else { panic!("it is empty") };
        assert_eq!(budget.charged.get(), 100);
        let mut small = pin!(budget.charge(1, true));
        assert!(poll(small.as_mut()).is_pending());
        drop(large);
        assert!(poll(small).is_ready());
    }
}
