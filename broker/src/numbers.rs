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

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use millpond_storage::disk::SimDisk;
    use millpond_storage::{Engine, Options};

    use super::*;

    fn engine(disk: &Arc<SimDisk>) -> Arc<Engine> {
        let options = Options { ballast_bytes: 0, free_floor_bytes: 0, ..Options::new(Arc::clone(disk) as _) };
        Engine::open(options).unwrap()
    }

    /// Takes so many numbers without waiting in between.
    fn take(numbers: &NumberBlocks, count: usize) -> Vec<Result<u64, Error>> {
        let (sender, receiver) = mpsc::channel();
        for _ in 0..count {
            let sender = sender.clone();
            numbers.take(move |number| sender.send(number).unwrap());
        }
        (0..count).map(|_| receiver.recv().unwrap()).collect()
    }

    fn sound(taken: Vec<Result<u64, Error>>) -> Vec<u64> {
        taken.into_iter().map(Result::unwrap).collect()
    }

    #[test]
    fn numbers_come_once_over_blocks_and_the_rest_of_a_block_goes_with_the_process() {
        let disk = Arc::new(SimDisk::new());
        let first = engine(&disk);
        let numbers = NumberBlocks::new(first.system().clone(), Numbers::Producer, 10);
        assert_eq!(sound(take(&numbers, 25)), (0..25).collect::<Vec<_>>());
        assert_eq!(sound(take(&numbers, 3)), [25, 26, 27]);
        first.close().unwrap();
        drop((first, numbers));
        let second = engine(&disk);
        let numbers = NumberBlocks::new(second.system().clone(), Numbers::Producer, 10);
        assert_eq!(sound(take(&numbers, 1)), [30]);
    }

    #[test]
    fn everybody_who_waits_hears_that_there_are_none() {
        let engine = engine(&Arc::default());
        let numbers = NumberBlocks::new(engine.system().clone(), Numbers::LeaderEpoch, u64::MAX);
        assert!(take(&numbers, 3).iter().all(Result::is_err));
        engine.close().unwrap();
        assert!(matches!(take(&numbers, 1)[..], [Err(Error::Closed)]));
    }
}
