//! One request's changes of positions, sorted by the logs that they go to, and the answers put back in order.

use millpond_storage::state::Txn;
use millpond_storage::{Error, Timeline};

use super::positions::{PositionError, PositionResults};
use crate::completion;

/// Changes on their way to the logs.
pub(super) struct Batch<T> {
    /// An answer for each place in the request; those that go to a log are overwritten by what it says.
    results: PositionResults,
    parts: Vec<Part<T>>,
}

/// What goes to one log, and where in the request it stood.
struct Part<T> {
    timeline: Timeline,
    places: Vec<usize>,
    items: Vec<T>,
}

impl<T: Send + 'static> Batch<T> {
    /// A batch for a request with so many places.
    pub(super) fn new(places: usize) -> Self {
        Self { results: (0..places).map(|_| Ok(())).collect(), parts: Vec::new() }
    }

    /// Answers a place.
    pub(super) fn refuse(&mut self, place: usize, error: PositionError) {
        self.results[place] = Err(error);
    }

    /// Puts what stands at a place in line for a log.
    pub(super) fn add(&mut self, place: usize, timeline: Timeline, item: T) {
        let at = self.parts.iter().position(|part| part.timeline.id() == timeline.id()).unwrap_or_else(|| {
            self.parts.push(Part { timeline, places: Vec::new(), items: Vec::new() });
            self.parts.len() - 1
        });
        self.parts[at].places.push(place);
        self.parts[at].items.push(item);
    }

    /// Has each log's writer decide on what goes there, an answer for each item. All is submitted when this returns; the
    /// future waits until what was decided is visible.
    pub(super) fn submit<D>(self, decide: D) -> impl Future<Output = PositionResults> + Send + use<T, D>
    where
        D: Fn(&mut Txn<'_>, Vec<T>) -> PositionResults + Clone + Send + 'static,
    {
        let mut waiting = Vec::new();
        for Part { timeline, places, items } in self.parts {
            let (done, outcome) = completion::pair();
            let decide = decide.clone();
            timeline.transact(move |txn| decide(txn, items), done);
            waiting.push((places, outcome));
        }
        let mut results = self.results;
        async move {
            for (places, outcome) in waiting {
                match outcome.await.unwrap_or(Err(Error::Closed)) {
                    Ok(decided) => places.into_iter().zip(decided).for_each(|(place, result)| results[place] = result),
                    Err(error) => places.into_iter().for_each(|place| results[place] = Err(error.clone().into())),
                }
            }
            results
        }
    }
}
