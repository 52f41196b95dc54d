//! Threads that run jobs: started when there is work and none is idle, up to a maximum, and kept.
//!
//! Jobs run in order of submission, as threads come free. A pool that is closed runs what it has and takes no more.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;

use crate::timeline::lock;

type Job = Box<dyn FnOnce() + Send>;

/// A pool of named threads.
#[derive(Clone)]
pub(crate) struct Pool(Arc<Shared>);

struct Shared {
    name: &'static str,
    threads_max: usize,
    queue: Mutex<Queue>,
    wake: Condvar,
}

#[derive(Default)]
struct Queue {
    jobs: VecDeque<Job>,
    idle: usize,
    closed: bool,
    threads: Vec<JoinHandle<()>>,
}

impl std::fmt::Debug for Pool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "pool {}", self.0.name)
    }
}

impl Pool {
    /// A pool of at most so many threads; none is started yet.
    pub(crate) fn new(name: &'static str, threads_max: usize) -> Self {
        Self(Arc::new(Shared { name, threads_max, queue: Mutex::default(), wake: Condvar::new() }))
    }

    /// Runs `job` on one of the threads. After [`Pool::close`] it is dropped, which its owner takes as "closing".
    pub(crate) fn run(&self, job: impl FnOnce() + Send + 'static) {
        let mut queue = lock(&self.0.queue);
        if queue.closed {
            return;
        }
        queue.jobs.push_back(Box::new(job));
        if queue.idle >= queue.jobs.len() || queue.threads.len() >= self.0.threads_max {
            drop(queue);
            self.0.wake.notify_one();
            return;
        }
        let shared = Arc::clone(&self.0);
        let named = std::thread::Builder::new().name(format!("{}-{}", self.0.name, queue.threads.len()));
        match named.spawn(move || shared.work()) {
            Ok(thread) => queue.threads.push(thread),
            Err(error) if queue.threads.is_empty() => crate::fatal(&format!("cannot start a thread: {error}")),
            Err(error) => tracing::warn!(%error, pool = self.0.name, "cannot start one more thread"),
        }
    }

    /// Takes no more, runs what is queued and ends the threads. Not from one of them.
    pub(crate) fn close(&self) {
        let threads = {
            let mut queue = lock(&self.0.queue);
            queue.closed = true;
            std::mem::take(&mut queue.threads)
        };
        self.0.wake.notify_all();
        for thread in threads {
            if thread.join().is_err() {
                tracing::error!(pool = self.0.name, "a thread ended by a panic");
            }
        }
    }
}

impl Shared {
    fn work(&self) {
        while let Some(job) = self.next() {
            job();
        }
    }

    fn next(&self) -> Option<Job> {
        let mut queue = lock(&self.queue);
        loop {
            if let Some(job) = queue.jobs.pop_front() {
                return Some(job);
            }
            if queue.closed {
                return None;
            }
            queue.idle += 1;
            queue = self.wake.wait(queue).unwrap_or_else(PoisonError::into_inner);
            queue.idle -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn closing_runs_what_is_queued() {
        let pool = Pool::new("test", 3);
        let (sender, receiver) = mpsc::channel();
        for n in 0..100 {
            let sender = sender.clone();
            pool.run(move || sender.send(n).expect("the receiver lives"));
        }
        drop(sender);
        pool.close();
        let mut ran: Vec<i32> = receiver.iter().collect();
        ran.sort_unstable();
        assert_eq!(ran, (0..100).collect::<Vec<_>>());
    }
}
