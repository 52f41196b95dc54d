//! Why something with a volume was not done, as a problem.

use axum::http::StatusCode;

use super::problem::Problem;
use crate::volumes::VolumeError;

impl From<VolumeError> for Problem {
    fn from(error: VolumeError) -> Self {
        use StatusCode as Status;
        let (status, kind, title) = match &error {
            VolumeError::UnknownVolume(_) => (Status::NOT_FOUND, "unknown-volume", "There is no such volume"),
            VolumeError::UnknownStream { .. } => (Status::NOT_FOUND, "unknown-stream", "There is no such stream"),
            VolumeError::UnknownSnapshot { .. } => (Status::NOT_FOUND, "unknown-snapshot", "There is no such snapshot"),
            VolumeError::UnknownSchedule { .. } => (Status::NOT_FOUND, "unknown-schedule", "There is no such schedule"),
            VolumeError::InvalidName(..) => (Status::BAD_REQUEST, "invalid-name", "Nothing can be called so"),
            VolumeError::Invalid(_) => (Status::BAD_REQUEST, "bad-request", "The request cannot be served"),
            VolumeError::InvalidConfig(_) => {
                (Status::BAD_REQUEST, "invalid-config", "The configuration is not one that topics have")
            }
            VolumeError::Taken(_) => (Status::CONFLICT, "name-taken", "The name is taken"),
            VolumeError::InTheWay(_) => (Status::CONFLICT, "in-the-way", "What is there forbids it"),
            VolumeError::Protected(_) => (Status::CONFLICT, "protected", "The snapshot is protected"),
            VolumeError::Forgotten(_) => (Status::GONE, "no-longer-kept", "That past is no longer kept"),
            VolumeError::Storage(_) => return Self::unavailable(error.to_string()),
        };
        Self::new(status, kind, title, error.to_string())
    }
}
