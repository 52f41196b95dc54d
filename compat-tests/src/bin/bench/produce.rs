//! Produce: batches of 64 KiB, one in a request, five requests in flight on each connection, `acks=all`.

use std::sync::Barrier;
use std::thread;

use bytes::Bytes;

use crate::arguments::{Arguments, Broker, Durability, Variant};
use crate::connection::{Connection, check};
use crate::frames::{self, BATCH_RECORDS, BATCH_VALUES, RECORD_BYTES};
use crate::lane::{Lanes, delete_topics};
use crate::measure::{leg, turns};
use crate::report::Report;

/// What the Java client allows. Kafka: max.in.flight.requests.per.connection
const IN_FLIGHT: u64 = 5;
const ACKS_ALL: i16 = -1;
/// Batches of each partition before those that count. The first ones cost more than all later ones: Kafka makes files with
/// the first and indexes with the second, for some 15 ms of CPU time each partition.
const FIRST_BATCHES: u64 = 2;
/// Kafka with `flush.messages=1` is so much slower that its legs are this much shorter.
const SLOW_SHARE: u64 = 4;

/// Batches for the partitions of a topic, as many for each.
pub(crate) struct Load {
    pub(crate) topic: String,
    pub(crate) partitions: u32,
    pub(crate) connections: usize,
    /// Batches for each partition.
    pub(crate) rounds: u64,
    batch: Bytes,
}

impl Load {
    /// About `bytes` of record values.
    pub(crate) fn new(topic: &str, partitions: u32, connections: usize, bytes: u64) -> Self {
        let rounds = (bytes / BATCH_VALUES / u64::from(partitions)).max(1);
        let batch = frames::batch(BATCH_RECORDS, RECORD_BYTES);
        Self { topic: topic.to_owned(), partitions, connections, rounds, batch }
    }

    /// Bytes of record values in all.
    pub(crate) fn bytes(&self) -> u64 {
        self.rounds * u64::from(self.partitions) * BATCH_VALUES
    }

    /// What a connection sends: its partitions, and how many batches to each. Where there are fewer partitions than
    /// connections, all of them write to all.
    fn share(&self, connection: usize) -> (Vec<u32>, u64) {
        let count = self.connections;
        if self.partitions as usize >= count {
            return ((0..self.partitions).skip(connection).step_by(count).collect(), self.rounds);
        }
        let (connection, count) = (connection as u64, count as u64);
        ((0..self.partitions).collect(), (self.rounds + count - 1 - connection) / count)
    }
}

/// Every variant, for each number of partitions.
pub(crate) fn run(arguments: &Arguments, lanes: &mut Lanes, report: &mut Report) {
    let variants = [
        Variant::new(Broker::Millpond, Durability::Fsync),
        Variant::new(Broker::Kafka, Durability::PageCache),
        Variant::new(Broker::Floor, Durability::Fsync),
        Variant::new(Broker::Millpond, Durability::PageCache),
        Variant::new(Broker::Kafka, Durability::Fsync),
        Variant::new(Broker::Floor, Durability::PageCache),
    ];
    for partitions in arguments.partitions() {
        let case = format!("produce-{partitions}");
        let lanes = lanes.open(&variants);
        for lane in &lanes {
            let topic = lane.topic(&case);
            lane.create_topic(&topic, partitions);
            let bytes = FIRST_BATCHES * u64::from(partitions) * BATCH_VALUES;
            send(lane.process().address(), &Load::new(&topic, partitions, arguments.connections, bytes));
        }
        let samples = turns(arguments.repeats(), &lanes, &case, |lane| {
            let is_slow = lane.variant == Variant::new(Broker::Kafka, Durability::Fsync);
            let bytes = arguments.leg_bytes() / if is_slow { SLOW_SHARE } else { 1 };
            let load = Load::new(&lane.topic(&case), partitions, arguments.connections, bytes);
            leg(lane, || {
                send(lane.process().address(), &load);
                load.bytes()
            })
        });
        delete_topics(&lanes, &case);
        report.add("produce", &format!("{partitions}"), &lanes, samples);
    }
}

/// Sends all of a load; returns when all of it is acknowledged.
pub(crate) fn send(address: &str, load: &Load) {
    let ready = Barrier::new(load.connections);
    thread::scope(|scope| {
        for connection in 0..load.connections {
            let (ready, share) = (&ready, load.share(connection));
            scope.spawn(move || {
                let mut connection = Connection::open(address);
                ready.wait();
                send_share(&mut connection, load, share);
            });
        }
    });
}

fn send_share(connection: &mut Connection, load: &Load, (partitions, rounds): (Vec<u32>, u64)) {
    let head = |partition: &u32| frames::produce_head(&load.topic, *partition, ACKS_ALL, &load.batch);
    let mut heads: Vec<Vec<u8>> = partitions.iter().map(head).collect();
    let error_at = frames::produce_error_at(&load.topic);
    let mut in_flight = 0;
    for _ in 0..rounds {
        for head in &mut heads {
            if in_flight == IN_FLIGHT {
                check(connection.receive(), error_at);
                in_flight -= 1;
            }
            connection.send(head, &load.batch);
            in_flight += 1;
        }
    }
    for _ in 0..in_flight {
        check(connection.receive(), error_at);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shares_of_connections_add_up() {
        for (partitions, connections, bytes) in [(1, 4, 10 * BATCH_VALUES), (3, 4, 9 * BATCH_VALUES), (10, 4, 0)] {
            let load = Load::new("t", partitions, connections, bytes);
            let shares = (0..connections).map(|connection| load.share(connection));
            let batches: u64 = shares.map(|(partitions, rounds)| partitions.len() as u64 * rounds).sum();
            assert_eq!(batches * BATCH_VALUES, load.bytes());
        }
    }
}
