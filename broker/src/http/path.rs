//! The names in a path; one that is no text is a problem like any other.

use axum::extract::{self, FromRequestParts};
use axum::http::request::Parts;
use serde::de::DeserializeOwned;

use super::problem::Problem;

/// What the path of a resource holds, decoded.
pub(super) struct Path<T>(pub(super) T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Path<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let held = extract::Path::<T>::from_request_parts(parts, state).await;
        held.map(|extract::Path(held)| Self(held)).map_err(|error| Problem::bad_request(error.body_text()))
    }
}
