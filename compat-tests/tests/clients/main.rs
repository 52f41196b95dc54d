//! Real clients written in Rust against the real binary (those in other languages are in `clients/`).
//!
//! With `MILLPOND_BOOTSTRAP` set, the tests in [`rdkafka`] run against the broker at that address: Apache Kafka passes
//! them. The others kill their broker, or are about what Kafka has not: they always start one of their own.

mod rdkafka;
mod restart;
mod support;
mod volumes;
