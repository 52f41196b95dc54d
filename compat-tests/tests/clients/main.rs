//! Real clients written in Rust against the real binary (those in other languages are in `clients/`).
//!
//! With `MILLPOND_BOOTSTRAP` set, the tests in [`rdkafka`] run against the broker at that address: Apache Kafka passes
//! them. Those in [`restart`] kill their broker, so they always start one of their own.

mod rdkafka;
mod restart;
mod support;
