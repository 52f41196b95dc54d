//! What snapshots show: the state at the pin, and the view that records are read through.
//!
//! Both are loaded when they are first asked for, on the engine's read pool: who asks meanwhile is told to ask again. The
//! snapshots used last stay loaded, and each for as long as somebody holds on to it. Where a partition begins and ends in a
//! snapshot may be known from an index in a file only; it is worked out once, there, too.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use dashmap::DashMap;
use millpond_storage::state::{Pin, PinId, State};
use millpond_storage::{Bounds, Error, Partition, Timeline, TopicPartition, View};

use super::TopicError;
use crate::completion;

/// So many snapshots stay loaded that nobody holds on to.
const LOADED_MAX: usize = 32;

/// A snapshot that is loaded.
pub struct Frozen {
    /// What the facts added up to.
    pub state: Arc<State>,
    pin: PinId,
    view: View,
    bounds: DashMap<TopicPartition, Bounds>,
}

impl Frozen {
    /// What records are read through.
    pub fn view(&self) -> &View {
        &self.view
    }

    /// Where a partition begins and ends.
    pub(super) async fn bounds(&self, partition: &Arc<Partition>) -> Result<Bounds, Error> {
        let id = partition.id();
        if let Some(bounds) = self.bounds.get(&id) {
            return Ok(*bounds);
        }
        let (done, found) = completion::pair();
        self.view.bounds_later(partition, done);
        let bounds = found.await.unwrap_or(Err(Error::Closed))?;
        self.bounds.insert(id, bounds);
        Ok(bounds)
    }
}

impl fmt::Debug for Frozen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.view)
    }
}

type Waiting = Box<dyn FnOnce(Result<Arc<Frozen>, Error>) + Send>;

/// How far a snapshot is loaded.
#[derive(Default)]
enum Slot {
    #[default]
    Unknown,
    /// Who waits is told.
    Loading(Vec<Waiting>),
    Loaded(Weak<Frozen>),
    /// The next who asks is told.
    Failed(Error),
}

/// A snapshot, loaded or not.
pub(super) struct Snapshot {
    pub(super) pin: Pin,
    pub(super) timeline: Timeline,
    slot: Arc<Mutex<Slot>>,
}

impl Snapshot {
    pub(super) fn new(pin: Pin, timeline: Timeline) -> Self {
        Self { pin, timeline, slot: Arc::default() }
    }

    /// What it shows; [`TopicError::Loading`] if that is not known yet, and will be soon.
    pub(super) fn get(&self, recent: &Arc<Recent>) -> Result<Arc<Frozen>, TopicError> {
        let mut slot = lock(&self.slot);
        match std::mem::take(&mut *slot) {
            Slot::Loaded(known) => {
                if let Some(frozen) = known.upgrade() {
                    *slot = Slot::Loaded(known);
                    drop(slot);
                    recent.note(&frozen);
                    return Ok(frozen);
                }
            }
            loading @ Slot::Loading(_) => {
                *slot = loading;
                return Err(TopicError::Loading);
            }
            Slot::Failed(error) => return Err(error.into()),
            Slot::Unknown => {}
        }
        *slot = Slot::Loading(Vec::new());
        drop(slot);
        self.load(recent);
        Err(TopicError::Loading)
    }

    /// What it shows, when it is known.
    pub(super) async fn wait(&self, recent: &Arc<Recent>) -> Result<Arc<Frozen>, TopicError> {
        loop {
            match self.get(recent) {
                Err(TopicError::Loading) => {}
                known => return known,
            }
            let (done, loaded) = completion::pair();
            match &mut *lock(&self.slot) {
                Slot::Loading(waiting) => waiting.push(Box::new(done)),
                // It was loaded meanwhile.
                _ => continue,
            }
            return Ok(loaded.await.unwrap_or(Err(Error::Closed))?);
        }
    }

    fn load(&self, recent: &Arc<Recent>) {
        let (slot, recent) = (Arc::clone(&self.slot), Arc::clone(recent));
        let view = match self.timeline.at(self.pin.lsn) {
            Ok(view) => view,
            Err(error) => return settle(&slot, Err(error)),
        };
        let (name, pin) = (Arc::clone(&self.pin.name), self.pin.id);
        self.timeline.state_at(self.pin.lsn, move |state| {
            let frozen = state.map(|state| Arc::new(Frozen { state, pin, view, bounds: DashMap::new() }));
            match &frozen {
                Ok(frozen) => recent.note(frozen),
                Err(error) => tracing::error!(snapshot = %name, %error, "a snapshot cannot be read"),
            }
            settle(&slot, frozen);
        });
    }
}

fn settle(slot: &Mutex<Slot>, loaded: Result<Arc<Frozen>, Error>) {
    let known = match &loaded {
        Ok(frozen) => Slot::Loaded(Arc::downgrade(frozen)),
        Err(error) => Slot::Failed(error.clone()),
    };
    let before = std::mem::replace(&mut *lock(slot), known);
    let Slot::Loading(mut waiting) = before else { return };
    // The last takes it, so that nobody holds it here when they are told.
    let Some(last) = waiting.pop() else { return };
    for done in waiting {
        done(loaded.clone());
    }
    last(loaded);
}

/// The snapshots used last, which stay loaded.
#[derive(Default)]
pub(super) struct Recent(Mutex<VecDeque<Arc<Frozen>>>);

impl Recent {
    fn note(&self, frozen: &Arc<Frozen>) {
        let mut recent = lock(&self.0);
        if recent.back().is_some_and(|last| Arc::ptr_eq(last, frozen)) {
            return;
        }
        recent.retain(|known| !Arc::ptr_eq(known, frozen));
        recent.push_back(Arc::clone(frozen));
        let oldest = if recent.len() > LOADED_MAX { recent.pop_front() } else { None };
        drop(recent);
        // It may be large.
        drop(oldest);
    }

    /// Lets go of those that were deleted: what is loaded keeps the bytes of its view.
    pub(super) fn keep(&self, is_there: impl Fn(PinId) -> bool) {
        let mut recent = lock(&self.0);
        let (kept, gone) = recent.drain(..).partition::<VecDeque<_>, _>(|known| is_there(known.pin));
        *recent = kept;
        drop(recent);
        drop(gone);
    }

    /// Lets go of all that nobody else holds on to: they are loaded again when they are asked for.
    pub(super) fn forget(&self) {
        let forgotten = std::mem::take(&mut *lock(&self.0));
        drop(forgotten);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
