//! `/livez`: the process runs. `/readyz`: it serves clients; 503 with the reason while it starts and while it stops.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use axum::extract::State;

use super::HttpState;
use super::problem::Problem;

/// How far the broker is, as it is told from outside.
#[derive(Clone, Debug)]
pub struct Readiness(Arc<AtomicU8>);

const STARTING: u8 = 0;
const READY: u8 = 1;
const STOPPING: u8 = 2;

impl Default for Readiness {
    fn default() -> Self {
        Self(Arc::new(AtomicU8::new(STARTING)))
    }
}

impl Readiness {
    /// Clients are served from now on.
    pub fn ready(&self) {
        self.0.store(READY, Ordering::Release);
    }

    /// No further clients should come.
    pub fn stopping(&self) {
        self.0.store(STOPPING, Ordering::Release);
    }
}

pub(super) async fn livez() -> &'static str {
    "ok\n"
}

pub(super) async fn readyz(State(state): State<HttpState>) -> Result<&'static str, Problem> {
    match state.readiness.0.load(Ordering::Acquire) {
        READY => Ok("ok\n"),
        STOPPING => Err(Problem::unavailable("the broker is stopping")),
        _ => Err(Problem::unavailable("the broker is starting; try again in a moment")),
    }
}
