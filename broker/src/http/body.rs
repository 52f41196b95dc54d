//! A request's body as JSON, and how its fields are read; what is wrong with it is a problem like any other.

use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use axum::http::StatusCode;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use tokio::time::timeout;

use super::problem::Problem;
use super::state::HttpState;

/// The body, read.
pub(super) struct Body<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequest<HttpState> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &HttpState) -> Result<Self, Problem> {
        let limit = state.limits.body_timeout;
        let Ok(bytes) = timeout(limit, Bytes::from_request(request, state)).await else {
            let detail = format!("the body is not here after {limit:?}");
            return Err(Problem::new(
                StatusCode::REQUEST_TIMEOUT,
                "timeout",
                "The request took too long to arrive",
                detail,
            ));
        };
        let bytes = bytes.map_err(|error| match error.status() {
            StatusCode::PAYLOAD_TOO_LARGE => too_large(state.limits.body_bytes_max),
            _ => Problem::bad_request(error.body_text()),
        })?;
        let read = serde_json::from_slice(&bytes);
        read.map(Self).map_err(|error| Problem::bad_request(format!("the body is not what is asked for: {error}")))
    }
}

fn too_large(limit: usize) -> Problem {
    let detail = format!("a body may have {limit} bytes here");
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "body-too-large", "The body is too large", detail)
}

/// A field that may be missing, null or given: none, `Some(None)` or `Some(Some(value))`.
#[expect(clippy::option_option, reason = "a field that is null is not one that is missing")]
pub(super) fn given<'de, T: Deserialize<'de>, D: Deserializer<'de>>(from: D) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(from).map(Some)
}
