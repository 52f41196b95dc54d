//! What the handlers work with.

use std::sync::{Arc, OnceLock};

use super::health::Readiness;
use super::problem::Problem;
use crate::broker::Broker;
use crate::limits::HttpLimits;
use crate::metrics::Metrics;
use crate::server::Listeners;

/// What the handlers work with. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct HttpState {
    /// What `/metrics` tells.
    pub metrics: Arc<Metrics>,
    /// What `/readyz` tells.
    pub readiness: Readiness,
    /// What clients may take.
    pub limits: Arc<HttpLimits>,
    broker: Arc<OnceLock<Arc<Broker>>>,
    listeners: Arc<OnceLock<Arc<Listeners>>>,
}

impl HttpState {
    /// Without a broker yet.
    pub fn new(limits: HttpLimits) -> Self {
        Self { limits: Arc::new(limits), ..Self::default() }
    }

    /// The broker is there now: its resources are served.
    pub fn serve(&self, broker: Arc<Broker>) {
        // A second one would be another broker's; the first stays.
        let _second = self.broker.set(broker);
    }

    /// Kafka clients are let in: listeners can be added.
    pub fn listen(&self, listeners: Arc<Listeners>) {
        // As with the broker.
        let _second = self.listeners.set(listeners);
    }

    /// The listeners, once there are any.
    pub(super) fn listeners(&self) -> Result<&Arc<Listeners>, Problem> {
        self.listeners.get().ok_or_else(|| Problem::unavailable("the broker is still starting; try again in a moment"))
    }

    /// The broker, once its data is recovered.
    pub(super) fn broker(&self) -> Result<&Arc<Broker>, Problem> {
        self.broker.get().ok_or_else(|| Problem::unavailable("the broker is still starting; try again in a moment"))
    }
}
