//! A request's body as JSON, and how its fields are read; what is wrong with it is a problem like any other.

use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use tokio::time::timeout;

use super::problem::Problem;

/// How long a body may take to arrive.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The body, read.
pub(super) struct Body<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let Ok(bytes) = timeout(TIMEOUT, Bytes::from_request(request, state)).await else {
            return Err(Problem::bad_request(format!("the body is not here after {TIMEOUT:?}")));
        };
        let bytes = bytes.map_err(|error| Problem::bad_request(error.body_text()))?;
        let read = serde_json::from_slice(&bytes);
        read.map(Self).map_err(|error| Problem::bad_request(format!("the body is not what is asked for: {error}")))
    }
}

/// A field that may be missing, null or given: none, `Some(None)` or `Some(Some(value))`.
#[expect(clippy::option_option, reason = "a field that is null is not one that is missing")]
pub(super) fn given<'de, T: Deserialize<'de>, D: Deserializer<'de>>(from: D) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(from).map(Some)
}
