//! The broker.

pub mod api;
pub mod broker;
pub mod cli;
pub mod client;
pub mod completion;
pub mod config;
pub mod documents;
pub mod groups;
pub mod http;
pub mod limits;
pub mod logging;
pub mod metrics;
pub mod numbers;
pub mod scope;
pub mod server;
pub mod topics;
