//! HTTP: health, metrics and the `/v1` resources that the command line and other tools use.
//!
//! One file per resource, one row per operation ([`routes`]), from which the `OpenAPI` document is made, too ([`openapi`]). Handlers
//! call the same domain code as `api/`; errors are problem details ([`Problem`]); pages in a browser are kept out ([`guard`]).

mod body;
pub mod clones;
pub mod groups;
mod guard;
mod health;
pub mod limits;
mod listener;
pub mod listeners;
mod metrics;
mod openapi;
mod path;
mod problem;
mod query;
mod refusal;
mod routes;
pub mod schedules;
pub mod snapshots;
mod state;
pub mod streams;
#[cfg(test)]
mod tests;
pub mod topics;
pub mod volumes;

use std::io;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::StatusCode;
use axum::http::{Method, Uri};
use axum::middleware::from_fn_with_state;
use axum::routing::get;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

pub use health::Readiness;
pub use problem::Problem;
pub use state::HttpState;

use guard::Guard;
use listener::Bounded;
use routes::resources;

/// Answers HTTP on `listener` until `stop`, and lets requests under way finish if they do so soon.
pub async fn serve(listener: TcpListener, state: HttpState, stop: CancellationToken) -> io::Result<()> {
    let guard = Guard { on_loopback: listener.local_addr()?.ip().is_loopback() };
    let patience = state.limits.shutdown_timeout;
    let answering = axum::serve(Bounded::new(listener, state.limits.clone()), router(state, guard));
    let answering = answering.with_graceful_shutdown(stop.clone().cancelled_owned());
    tokio::select! {
        done = answering.into_future() => done,
        // A connection that is silent in the middle of a request would hold up the stop for a minute.
        () = async { stop.cancelled().await; tokio::time::sleep(patience).await } => Ok(()),
    }
}

fn router(state: HttpState, guard: Guard) -> Router {
    Router::new()
        .route("/livez", get(health::livez))
        .route("/readyz", get(health::readyz))
        .route("/metrics", get(metrics::metrics))
        .merge(resources().into_router())
        .fallback(unknown_path)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(DefaultBodyLimit::max(state.limits.body_bytes_max))
        .layer(from_fn_with_state(guard, guard::guard))
        .with_state(state)
}

async fn unknown_path(uri: Uri) -> Problem {
    let detail = format!(
        "there is nothing at {}; /livez, /readyz, /metrics and what /v1/openapi.json says are here",
        uri.path()
    );
    Problem::new(StatusCode::NOT_FOUND, "unknown-path", "There is nothing at this path", detail)
}

async fn method_not_allowed(method: Method, uri: Uri) -> Problem {
    let detail = format!("{} does not take {method}", uri.path());
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", "This path does not take this method", detail)
}
