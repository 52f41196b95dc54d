//! Numbers that must never be given out twice (topics, producer ids), from durable blocks.
//!
//! A counter in `system` says which numbers may have been given out; its fact is durable before a number of the block is
//! used. What is left of a block when the process ends is never used. One block is asked for at a time: takers that find
//! none wait for it, in order.

use std::collections::VecDeque;
use std::fmt;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use millpond_storage::state::Numbers;
use millpond_storage::{Error, Timeline};

/// Who waits for a number.
type Taker = Box<dyn FnOnce(Result<u64, Error>) + Send>;

/// One kind of numbers. Clones share it.
#[derive(Clone)]
pub struct NumberBlocks(Arc<Inner>);

struct Inner {
    system: Timeline,
    numbers: Numbers,
    block: u64,
    held: Mutex<Held>,
}

#[derive(Default)]
struct Held {
    free: Range<u64>,
    /// Not empty exactly while a block is on its way.
    waiting: VecDeque<Taker>,
}

impl NumberBlocks {
    /// Numbers of this kind, from the counter in `system`, in blocks of so many.
    pub fn new(system: Timeline, numbers: Numbers, block: u64) -> Self {
        Self(Arc::new(Inner { system, numbers, block: block.max(1), held: Mutex::default() }))
    }

    /// Gives the next number to `done`: at once, or when another block is durable.
    pub fn take(&self, done: impl FnOnce(Result<u64, Error>) + Send + 'static) {
        let mut held = self.0.held();
        if let Some(number) = held.free.next() {
            drop(held);
            return done(Ok(number));
        }
        held.waiting.push_back(Box::new(done));
        let is_first = held.waiting.len() == 1;
        drop(held);
        if is_first {
            Arc::clone(&self.0).fill();
        }
    }
}

impl Inner {
    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn fill(self: Arc<Self>) {
        let (numbers, block) = (self.numbers, self.block);
        let filled = Arc::clone(&self);
        self.system.transact(move |txn| txn.take(numbers, block), move |taken| filled.filled(taken));
    }

    /// Serves those who wait from the new block; asks for a further one if it was too small for all of them.
    fn filled(self: Arc<Self>, taken: Result<Option<u64>, Error>) {
        let used_up = || Error::Invalid(format!("no numbers of the kind {:?} are left", self.numbers));
        let mut held = self.held();
        let served: Vec<(Taker, Result<u64, Error>)> = match taken.and_then(|first| first.ok_or_else(used_up)) {
            Ok(first) => {
                held.free = first..first.saturating_add(self.block);
                let Held { free, waiting } = &mut *held;
                let count = waiting.len().min(usize::try_from(self.block).unwrap_or(usize::MAX));
                waiting.drain(..count).zip(free.map(Ok)).collect()
            }
            Err(error) => held.waiting.drain(..).map(|taker| (taker, Err(error.clone()))).collect(),
        };
        let is_short = !held.waiting.is_empty();
        drop(held);
        for (taker, number) in served {
            taker(number);
        }
        if is_short {
            self.fill();
        }
    }
}

impl fmt::Debug for NumberBlocks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "numbers {:?}, {:?} of them at hand", self.0.numbers, self.0.held().free)
    }
}
