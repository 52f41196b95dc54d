//! Consume: all of a topic from its begin, out of the page cache, as the Java client asks by default: up to 1 MiB of each
//! partition, one request at a time on each connection, which has partitions of its own.

use std::collections::VecDeque;
use std::sync::Barrier;
use std::thread;

use crate::arguments::{Arguments, Broker, Durability, Variant};
use crate::connection::Connection;
use crate::frames::{self, BATCH_RECORDS};
use crate::lane::{Lanes, delete_topics};
use crate::measure::{leg, turns};
use crate::produce::{self, Load};
use crate::report::Report;

/// How often a leg reads it all: reading costs so little that once is too short for the clock.
const PASSES: u64 = 4;
/// Partitions that one request names.
const PARTITIONS_AT_ONCE: usize = 8;

/// Millpond as it comes, Kafka, and the floor, for each number of partitions. Reading does not depend on how writes were
/// made durable.
pub(crate) fn run(arguments: &Arguments, lanes: &mut Lanes, report: &mut Report) {
    let variants = [
        Variant::new(Broker::Millpond, Durability::Fsync),
        Variant::REFERENCE,
        Variant::new(Broker::Floor, Durability::PageCache),
    ];
    for partitions in arguments.partitions() {
        let case = format!("consume-{partitions}");
        let lanes = lanes.open(&variants);
        let connections = arguments.connections;
        for lane in &lanes {
            let topic = lane.topic(&case);
            lane.create_topic(&topic, partitions);
            produce::send(lane.process().address(), &Load::new(&topic, partitions, connections, arguments.leg_bytes()));
            // The first pass is not counted: it compiles Kafka's code for fetches.
            receive(lane.process().address(), &Load::new(&topic, partitions, connections, arguments.leg_bytes()));
        }
        let samples = turns(arguments.repeats(), &lanes, &case, |lane| {
            let load = Load::new(&lane.topic(&case), partitions, connections, arguments.leg_bytes());
            leg(lane, || {
                (0..PASSES).for_each(|_| receive(lane.process().address(), &load));
                load.bytes() * PASSES
            })
        });
        delete_topics(&lanes, &case);
        report.add("consume", &format!("{partitions}"), &lanes, samples);
    }
}

/// Reads all that a load has sent.
fn receive(address: &str, load: &Load) {
    let count = load.connections.min(load.partitions as usize);
    let ready = Barrier::new(count);
    thread::scope(|scope| {
        for connection in 0..count {
            let ready = &ready;
            scope.spawn(move || {
                let own =
                    (0..load.partitions).skip(connection).step_by(count).map(|partition| (partition, 0)).collect();
                let end = i64::try_from(load.rounds * BATCH_RECORDS as u64).expect("few records");
                let mut connection = Connection::open(address);
                ready.wait();
                receive_share(&mut connection, &load.topic, own, end);
            });
        }
    });
}

/// Reads partitions, each from its offset to before `end`.
pub(crate) fn receive_share(connection: &mut Connection, topic: &str, mut left: VecDeque<(u32, i64)>, end: i64) {
    while !left.is_empty() {
        let asked: Vec<(u32, i64)> = left.drain(..left.len().min(PARTITIONS_AT_ONCE)).collect();
        connection.send(&mut frames::fetch(topic, &asked), &[]);
        let answer = connection.receive();
        let fetched = frames::read_fetched(&answer[4..]).expect("the answer to a fetch reads as one");
        for (partition, from) in asked {
            let part = fetched.iter().find(|part| part.partition == partition).expect("each partition is answered");
            assert_eq!(part.error_code, 0, "the error of {topic}-{partition}");
            let next = frames::end_of(part.records).unwrap_or(from);
            if next < end {
                left.push_back((partition, next));
            }
        }
    }
}
