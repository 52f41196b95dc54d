//! HTTP: health, metrics and the `/v1` resources that the command line and other tools use.
//!
//! One file per resource. Handlers call the same domain code as `api/`; errors are problem details ([`Problem`]); pages
//! in a browser are kept out ([`guard`]).

mod body;
pub mod clones;
pub mod groups;
mod guard;
mod health;
mod listener;
pub mod listeners;
mod metrics;
mod path;
mod problem;
mod refusal;
pub mod schedules;
pub mod snapshots;
mod state;
pub mod streams;
pub mod topics;
pub mod volumes;

use std::io;
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::StatusCode;
use axum::http::{Method, Uri};
use axum::middleware::from_fn_with_state;
use axum::routing::{delete, get, post};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

pub use health::Readiness;
pub use problem::Problem;
pub use state::HttpState;

use guard::Guard;
use listener::Bounded;

/// A body is a few settings; none is near this.
const BODY_BYTES_MAX: usize = 1 << 20;

/// How long requests under way may take after the stop.
const GRACE: Duration = Duration::from_secs(2);

/// Answers HTTP on `listener` until `stop`, and lets requests under way finish if they do so soon.
pub async fn serve(listener: TcpListener, state: HttpState, stop: CancellationToken) -> io::Result<()> {
    let guard = Guard { on_loopback: listener.local_addr()?.ip().is_loopback() };
    let answering = axum::serve(Bounded::new(listener), router(state, guard));
    let answering = answering.with_graceful_shutdown(stop.clone().cancelled_owned());
    tokio::select! {
        done = answering.into_future() => done,
        // A connection that is silent in the middle of a request would hold up the stop for a minute.
        () = async { stop.cancelled().await; tokio::time::sleep(GRACE).await } => Ok(()),
    }
}

fn router(state: HttpState, guard: Guard) -> Router {
    Router::new()
        .route("/livez", get(health::livez))
        .route("/readyz", get(health::readyz))
        .route("/metrics", get(metrics::metrics))
        .route("/v1/groups", get(groups::list))
        .route("/v1/groups/{id}", get(groups::describe))
        .route("/v1/topics", get(topics::list).post(topics::create))
        .route("/v1/topics/{name}", get(topics::describe).delete(topics::delete))
        .route("/v1/volumes", get(volumes::list).post(volumes::create))
        .route("/v1/volumes/{volume}", get(volumes::describe).patch(volumes::alter).delete(volumes::delete))
        .route("/v1/volumes/{volume}/streams", get(streams::list).post(streams::create))
        .route(
            "/v1/volumes/{volume}/streams/{stream}",
            get(streams::describe).patch(streams::alter).delete(streams::delete),
        )
        .route("/v1/volumes/{volume}/snapshots", get(snapshots::list).post(snapshots::create))
        .route(
            "/v1/volumes/{volume}/snapshots/{snapshot}",
            get(snapshots::describe).patch(snapshots::alter).delete(snapshots::delete),
        )
        .route("/v1/volumes/{volume}/restore", post(snapshots::restore))
        .route("/v1/volumes/{volume}/schedules", get(schedules::list).post(schedules::create))
        .route("/v1/volumes/{volume}/schedules/{schedule}", delete(schedules::delete))
        .route("/v1/schedules", get(schedules::all))
        .route("/v1/snapshots", get(snapshots::all))
        .route("/v1/listeners", get(listeners::list).post(listeners::create))
        .route("/v1/listeners/{address}", delete(listeners::delete))
        .route("/v1/clones", get(clones::list).post(clones::create))
        .route("/v1/diff", get(clones::difference))
        .fallback(unknown_path)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(from_fn_with_state(guard, guard::guard))
        .with_state(state)
}

async fn unknown_path(uri: Uri) -> Problem {
    let detail = format!(
        "there is nothing at {}; /livez, /readyz, /metrics, /v1/volumes, /v1/topics and /v1/groups are here",
        uri.path()
    );
    Problem::new(StatusCode::NOT_FOUND, "unknown-path", "There is nothing at this path", detail)
}

async fn method_not_allowed(method: Method, uri: Uri) -> Problem {
    let detail = format!("{} does not take {method}", uri.path());
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", "This path does not take this method", detail)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::broker::Broker;
    use crate::config::Config;

    /// A listener on a port of its own.
    pub(super) struct Server {
        address: String,
        state: HttpState,
        stop: CancellationToken,
        task: tokio::task::JoinHandle<io::Result<()>>,
    }

    impl Server {
        /// One whose broker is not there yet.
        pub(super) async fn start() -> Self {
            let state = HttpState::default();
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap().to_string();
            let stop = CancellationToken::new();
            let task = tokio::spawn(serve(listener, state.clone(), stop.clone()));
            Self { address, state, stop, task }
        }

        /// One with an empty broker.
        pub(super) async fn with_broker() -> Self {
            let server = Self::start().await;
            server.state.serve(Arc::new(Broker::in_memory(Config::default()).unwrap()));
            server
        }

        pub(super) fn broker(&self) -> &Broker {
            self.state.broker().unwrap()
        }

        pub(super) fn url(&self, path: &str) -> String {
            format!("http://{}{path}", self.address)
        }

        async fn get(&self, path: &str) -> (u16, String, String) {
            let response = reqwest::get(self.url(path)).await.unwrap();
            let kind = response.headers()["content-type"].to_str().unwrap().to_owned();
            (response.status().as_u16(), kind, response.text().await.unwrap())
        }
    }

    #[tokio::test]
    async fn the_process_lives_before_it_is_ready() {
        let server = Server::start().await;
        assert_eq!(server.get("/livez").await.0, 200);
        let (status, kind, body) = server.get("/readyz").await;
        assert_eq!((status, kind.as_str()), (503, "application/problem+json"));
        assert!(body.contains("starting"), "{body}");
        server.state.readiness.ready();
        assert_eq!(server.get("/readyz").await.0, 200);
        server.state.readiness.stopping();
        assert_eq!(server.get("/readyz").await.0, 503);
    }

    #[tokio::test]
    async fn metrics_are_openmetrics_text() {
        let server = Server::start().await;
        let (status, kind, body) = server.get("/metrics").await;
        assert_eq!(status, 200);
        assert!(kind.starts_with("application/openmetrics-text; version=1.0.0"), "{kind}");
        assert!(body.ends_with("# EOF\n"), "{body}");
    }

    #[tokio::test]
    async fn what_is_not_there_is_a_problem() {
        let server = Server::start().await;
        let (status, kind, body) = server.get("/nothing").await;
        assert_eq!((status, kind.as_str()), (404, "application/problem+json"));
        let problem: Problem = serde_json::from_str(&body).unwrap();
        assert_eq!((problem.kind.as_str(), problem.status), ("urn:millpond:unknown-path", 404));
        let response = reqwest::Client::new().post(server.url("/livez")).send().await.unwrap();
        assert_eq!(response.status(), 405);
        assert_eq!(response.json::<Problem>().await.unwrap().kind, "urn:millpond:method-not-allowed");
    }

    #[tokio::test]
    async fn web_pages_are_refused_before_anything_else() {
        let server = Server::start().await;
        let client = reqwest::Client::new();
        let post = client.post(server.url("/v1/topics"));
        let response = post.header("origin", "http://evil.example").send().await.unwrap();
        assert_eq!(response.status(), 403);
        let get = client.get(server.url("/livez")).header("host", "evil.example");
        assert_eq!(get.send().await.unwrap().status(), 403);
    }

    #[tokio::test(start_paused = true)]
    async fn it_ends_when_told_whatever_a_client_does() {
        use tokio::io::AsyncWriteExt;
        let server = Server::start().await;
        let mut slow = tokio::net::TcpStream::connect(&server.address).await.unwrap();
        slow.write_all(b"GET /livez HT").await.unwrap();
        server.stop.cancel();
        server.task.await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn it_ends_when_told() {
        let server = Server::start().await;
        assert_eq!(server.get("/livez").await.0, 200);
        server.stop.cancel();
        server.task.await.unwrap().unwrap();
    }
}
