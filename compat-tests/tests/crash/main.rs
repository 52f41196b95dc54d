//! `kill -9` of the real binary under load, at random moments, again and again on the same data.
//!
//! Each round: producers (idempotent, `acks=all`, five requests in flight), a reader at the end of every partition, a
//! group that commits, somebody who creates topics; after a random time the process is killed, sometimes again while it
//! recovers; then everything is read back and compared:
//!
//! - every record of a producer is there once and in its order; what was acknowledged is where it was said to be;
//! - what anybody read before is there, the same, at the same offset;
//! - positions are the last acknowledged or a later one that was sent; created topics exist with their ids.
//!
//! Then the producers send again what had no answer (the same sequences), and go on. The seed is printed;
//! `MILLPOND_SEED` plays the same decisions again (the moments depend on the machine, too).

#![allow(clippy::print_stderr, reason = "says what a run was made of")]

mod catalog;
mod load;
mod positions;
mod readback;

use std::thread;
use std::time::Duration;

use millpond_compat_tests::random::Random;
use millpond_compat_tests::requests;
use millpond_compat_tests::server::{Builder, Server};

use catalog::Creator;
use load::Producer;
use positions::Committer;
use readback::Readback;

/// Partitions, over two topics.
pub(crate) const PARTITIONS: [(&str, i32); 6] =
    [("trades", 0), ("trades", 1), ("trades", 2), ("trades", 3), ("quotes", 0), ("quotes", 1)];
const PRODUCERS: u32 = 3;

#[test]
fn nothing_is_lost_while_files_roll_and_checkpoints_follow_each_other() {
    let setup = Server::builder()
        .set("log.file_bytes", "1MiB")
        .set("log.checkpoint_bytes", "2MiB")
        .set("log.tail_cache_bytes", "1MiB");
    survive("rolling", setup, 14);
}

#[test]
fn nothing_is_lost_with_large_files() {
    survive("large files", Server::builder(), 10);
}

#[test]
fn nothing_is_lost_in_the_page_cache_when_only_the_process_dies() {
    survive("page cache", Server::builder().argument("--durability").argument("page-cache"), 8);
}

/// Kills the broker `kills` times under load and checks everything after each.
fn survive(name: &str, setup: Builder, kills: u32) {
    let mut random = Random::of_test(name);
    let mut server = setup.start();
    create_topics(&server);
    let mut producers: Vec<Producer> =
        (0..PRODUCERS).map(|id| Producer::new(id, &mut server.wire(), random.fork())).collect();
    let (mut readback, mut committer, mut creator) = (Readback::default(), Committer::default(), Creator::default());
    for _ in 0..kills {
        round(&mut server, &mut random, &mut producers, &mut readback, &mut committer, &mut creator);
        let mut wire = server.wire();
        readback.check_all(&mut wire, &producers);
        committer.check(&mut wire);
        creator.check(&mut wire);
    }
    assert!(server.stop().success(), "a clean stop at the end");
    let acknowledged: usize = producers.iter().map(|producer| producer.acknowledged().len()).sum();
    let (records, commits, topics) = (readback.len(), committer.commits(), creator.len());
    eprintln!("{name}: {acknowledged} batches acknowledged, {records} records, {commits} commits, {topics} topics");
    assert!(acknowledged > kills as usize * 10, "the load hardly runs");
}

/// Load until the kill; then the broker is up again.
fn round(
    server: &mut Server,
    random: &mut Random,
    producers: &mut [Producer],
    readback: &mut Readback,
    committer: &mut Committer,
    creator: &mut Creator,
) {
    let address = server.kafka().to_owned();
    let address = address.as_str();
    thread::scope(|scope| {
        for producer in producers {
            scope.spawn(move || producer.run(address));
        }
        scope.spawn(move || readback.follow(address));
        scope.spawn(move || committer.run(address));
        scope.spawn(move || creator.run(address));
        // The moment is the test's subject: no event may choose it.
        thread::sleep(Duration::from_millis(random.between(10, 400)));
        server.kill();
    });
    while random.between(0, 3) == 0 {
        server.kill_while_starting(Duration::from_millis(random.between(0, 60)));
    }
    server.restart();
}

fn create_topics(server: &Server) {
    for (topic, partitions) in [("trades", 4), ("quotes", 2)] {
        let answer = server.wire().call(7, &requests::create_topic(topic, partitions));
        assert_eq!(answer.topics[0].error_code, 0, "{answer:?}");
    }
}
