//! The client against brokers in the same process that answer, and fail, as told.

mod cluster;
mod consumer;
pub(crate) mod fake;
mod producer;
