//! What the handlers work with.

use std::sync::{Arc, OnceLock};

use super::health::Readiness;
use super::problem::Problem;
use crate::broker::Broker;
use crate::metrics::Metrics;

/// What the handlers work with. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct HttpState {
    /// What `/metrics` tells.
    pub metrics: Arc<Metrics>,
    /// What `/readyz` tells.
    pub readiness: Readiness,
    broker: Arc<OnceLock<Arc<Broker>>>,
}

impl HttpState {
    /// The broker is there now: its resources are served.
    pub fn serve(&self, broker: Arc<Broker>) {
        // A second one would be another broker's; the first stays.
        let _second = self.broker.set(broker);
    }

    /// The broker, once its data is recovered.
    pub(super) fn broker(&self) -> Result<&Arc<Broker>, Problem> {
        self.broker.get().ok_or_else(|| Problem::unavailable("the broker is still starting; try again in a moment"))
    }
}
