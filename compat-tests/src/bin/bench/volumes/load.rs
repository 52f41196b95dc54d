//! Batches in and out, as many requests in flight as keep a broker busy.

use std::collections::VecDeque;
use std::thread;

use bytes::Bytes;

use crate::connection::{Connection, check};
use crate::consume::receive_share;
use crate::frames::{self, BATCH_RECORDS, RECORD_BYTES};

const CONNECTIONS: usize = 4;
const IN_FLIGHT: usize = 16;
const ACKS_ALL: i16 = -1;

/// Batches of one record of this many bytes.
pub(crate) fn small_batch(bytes: usize) -> Bytes {
    frames::batch(1, bytes)
}

/// A batch of nearly 64 KiB.
pub(crate) fn large_batch() -> Bytes {
    frames::batch(BATCH_RECORDS, RECORD_BYTES)
}

/// Appends a batch to each partition of each topic, `rounds` times; returns when all of it is acknowledged.
pub(crate) fn produce(address: &str, topics: &[(String, u32)], rounds: u64, batch: &Bytes) {
    let places: Vec<(&str, u32)> = topics
        .iter()
        .flat_map(|(topic, partitions)| (0..*partitions).map(|partition| (topic.as_str(), partition)))
        .collect();
    thread::scope(|scope| {
        for nth in 0..CONNECTIONS {
            let own: Vec<(&str, u32)> = places.iter().skip(nth).step_by(CONNECTIONS).copied().collect();
            scope.spawn(move || produce_to(&mut Connection::open(address), &own, rounds, batch));
        }
    });
}

fn produce_to(connection: &mut Connection, places: &[(&str, u32)], rounds: u64, batch: &Bytes) {
    let mut in_flight = VecDeque::new();
    for _ in 0..rounds {
        for (topic, partition) in places {
            if in_flight.len() == IN_FLIGHT {
                let error_at = in_flight.pop_front().expect("it is not empty");
                check(connection.receive(), error_at);
            }
            connection.send(&mut frames::produce_head(topic, *partition, ACKS_ALL, batch), batch);
            in_flight.push_back(frames::produce_error_at(topic));
        }
    }
    for error_at in in_flight {
        check(connection.receive(), error_at);
    }
}

/// Reads the partitions of a topic, each from an offset to before another.
pub(crate) fn fetch(address: &str, topic: &str, partitions: u32, (from, to): (i64, i64)) {
    thread::scope(|scope| {
        for nth in 0..CONNECTIONS {
            scope.spawn(move || {
                let own = (0..partitions).skip(nth).step_by(CONNECTIONS).map(|partition| (partition, from));
                receive_share(&mut Connection::open(address), topic, own.collect(), to);
            });
        }
    });
}
