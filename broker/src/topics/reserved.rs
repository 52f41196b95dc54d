//! Names of volumes that are being created. A volume is created in `system` and a plain topic in the log of volume `default`, so
//! that neither's writer sees the other. A name is reserved first, then the plain topics that there are are looked at; and a
//! plain topic is not created under a name that is reserved when it comes to that, or a volume's by then.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use millpond_storage::DEFAULT_VOLUME;

use super::Topics;
use crate::documents::{self, Collection};

/// The names that are reserved; one that several want is there several times.
#[derive(Debug, Default)]
pub(super) struct Reserved(Mutex<Vec<String>>);

/// Keeps plain topics from being created under the name of a volume to be, for as long as it is held.
#[derive(Debug)]
pub struct Reservation {
    reserved: Arc<Reserved>,
    label: String,
}

impl Topics {
    /// Reserves the name of a volume to be: to be held until the volume can be seen. Plain topics whose creation was submitted
    /// before may still come.
    pub fn reserve(&self, label: &str) -> Reservation {
        let reserved = Arc::clone(&self.0.reserved);
        reserved.labels().push(label.to_owned());
        Reservation { reserved, label: label.to_owned() }
    }

    /// Where a plain topic is created: whether what its name begins with is a volume's, was one's, or is about to be.
    pub(super) fn is_taken_by_volume(&self, name: &str) -> bool {
        let Some((label, _)) = name.split_once('.') else { return false };
        // In this order: a reservation ends when the volume is there.
        self.0.reserved.labels().iter().any(|reserved| reserved == label)
            || self.0.engine.system().state(|state| {
                label != DEFAULT_VOLUME
                    && (state.volume(label).is_some()
                        || documents::body(state, Collection::FormerVolumes, label).is_some())
            })
    }
}

impl Reserved {
    fn labels(&self) -> MutexGuard<'_, Vec<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        let mut labels = self.reserved.labels();
        if let Some(at) = labels.iter().position(|label| *label == self.label) {
            labels.swap_remove(at);
        }
    }
}
