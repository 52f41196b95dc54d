//! Real clients written in Rust against the real binary (those in other languages are in `clients/`).
//!
//! With `MILLPOND_BOOTSTRAP` set, the tests in [`rdkafka`] and [`member`] run against the broker at that address: Apache Kafka passes
//! those of [`rdkafka`]. The others kill their broker, or are about what Kafka has not: they always start one of their own.

mod member;
mod rdkafka;
mod restart;
mod support;
mod volumes;
