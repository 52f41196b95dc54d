//! The client against brokers in the same process that answer, and fail, as told.

mod cluster;
mod consumer;
mod fake;
mod producer;
