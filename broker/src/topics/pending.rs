//! What a change of topics returns: a future that only waits.

use std::future::Future;
use std::pin::Pin;

use millpond_storage::state::Txn;
use millpond_storage::{Error, Timeline};

use super::TopicError;
use crate::completion;

/// A change that was submitted. Dropping it stops the waiting, not the change.
pub type Changing<T> = Pin<Box<dyn Future<Output = Result<T, TopicError>> + Send>>;

/// Calls with what became of a change.
pub(super) type Done<T> = Box<dyn FnOnce(Result<T, TopicError>) + Send>;

/// A completion and what waits for it.
pub(super) fn pending<T: Send + 'static>() -> (Done<T>, Changing<T>) {
    let (done, future) = completion::pair();
    (Box::new(done), Box::pin(async { future.await.unwrap_or(Err(Error::Closed.into())) }))
}

/// A change that was refused before it was submitted.
pub(super) fn refused<T: Send + 'static>(error: TopicError) -> Changing<T> {
    Box::pin(std::future::ready(Err(error)))
}

/// Has the writer of a timeline decide.
pub(super) fn decided<T: Send + 'static>(
    timeline: &Timeline,
    decide: impl FnOnce(&mut Txn<'_>) -> Result<T, TopicError> + Send + 'static,
) -> Changing<T> {
    let (done, changing) = pending();
    timeline.transact(decide, |outcome| done(flat(outcome)));
    changing
}

/// One result of two.
pub(super) fn flat<T>(outcome: Result<Result<T, TopicError>, Error>) -> Result<T, TopicError> {
    outcome.unwrap_or_else(|error| Err(error.into()))
}
