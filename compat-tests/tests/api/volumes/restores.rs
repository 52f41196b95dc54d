//! A restore under live clients: no produce is refused because of it, consumers are fenced and find their way back, groups join
//! anew with the positions of then, and undoing it is another restore.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Instant;

use kafka_protocol::messages::fetch_response::FetchResponse;
use kafka_protocol::messages::offset_for_leader_epoch_request::{OffsetForLeaderPartition, OffsetForLeaderTopic};
use kafka_protocol::messages::{OffsetForLeaderEpochRequest, SyncGroupResponse};
use millpond_compat_tests::requests::{FETCH, commit, fetch, init_producer, metadata, name, position, read_log};

use super::*;
use crate::group::{GROUP_ID_NOT_FOUND, Member, NONE, UNKNOWN_MEMBER_ID, join, sync_request};

/// How many requests a producer has in flight.
const IN_FLIGHT: usize = 5;

/// An idempotent producer that goes on until it is told to stop: the offsets that it was answered, one a sequence.
fn produce_until(server: &str, topic: &str, stop: &AtomicBool) -> (i64, Vec<i64>) {
    let mut wire = Wire::connect(server);
    let id = wire.call(4, &init_producer()).producer_id.0;
    let (mut sent, mut offsets, mut sequence) = (std::collections::VecDeque::new(), Vec::new(), 0);
    loop {
        let is_over = stop.load(Ordering::Acquire);
        while sent.len() < IN_FLIGHT && !is_over {
            let batch = Batch::of_value(format!("{id}-{sequence}")).producer(id, 0, sequence).encode();
            sent.push_back(wire.send(PRODUCE, &produce(-1, [(topic.to_owned(), 0, batch)])));
            sequence += 1;
        }
        let Some(oldest) = sent.pop_front() else { return (id, offsets) };
        let answer = wire.receive(oldest).responses.remove(0).partition_responses.remove(0);
        assert_eq!(answer.error_code, 0, "record {} of producer {id}", offsets.len());
        offsets.push(answer.base_offset);
    }
}

/// The sequences of each producer in a topic, in the order of their offsets.
fn sequences(wire: &mut Wire, topic: &str) -> std::collections::BTreeMap<i64, Vec<i64>> {
    let mut found = std::collections::BTreeMap::<i64, Vec<i64>>::new();
    for batch in read_log(wire, topic, 0, 0).0 {
        let value = text_of(&batch.records[0]);
        let (id, sequence) = value.split_once('-').expect("as it was produced");
        let number = |text: &str| text.parse().expect("as it was produced");
        found.entry(number(id)).or_default().push(number(sequence));
    }
    found
}

fn end(server: &Server) -> i64 {
    let answer = server.wire().call(FETCH, &fetch(&[(TRADES, 0, 0)])).responses.remove(0);
    answer.partitions[0].high_watermark
}

/// Waits until producers have written so many records more.
fn wait_for_more(server: &Server, count: i64) {
    let (from, deadline) = (end(server), Instant::now() + LIMIT);
    while end(server) < from + count {
        assert!(Instant::now() < deadline, "the producers do not go on");
        thread::yield_now();
    }
}

/// Stops producers at the end of a scope, whatever ended it.
struct Stops<'a>(&'a AtomicBool);

impl Drop for Stops<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

#[test]
fn producers_with_five_in_flight_notice_nothing_of_restores() {
    let server = pond_with_trades();
    let scoped = listen(&server, "trading");
    let stop = AtomicBool::new(false);
    let (snapshots, answered) = thread::scope(|scope| {
        let stops = Stops(&stop);
        let names = [(server.kafka(), TRADES), (server.kafka(), "/trading/taq:trades"), (&scoped, "taq.trades")];
        let producers = names.map(|(address, topic)| {
            let stop = &stop;
            scope.spawn(move || produce_until(address, topic, stop))
        });
        wait_for_more(&server, 20);
        snapshot(&server, "trading", "close");
        let mut snapshots = Vec::new();
        for _ in 0..4 {
            wait_for_more(&server, 30);
            snapshots.push(restore(&server, "close"));
        }
        wait_for_more(&server, 30);
        // And back to where it was before the second.
        snapshots.push(restore(&server, &snapshots[1]));
        wait_for_more(&server, 30);
        drop(stops);
        (snapshots, producers.map(|producer| producer.join().expect("nothing is refused")))
    });
    // Each history is a rising sequence of each producer, without a record twice; together they hold each record once.
    let mut wire = server.wire();
    let mut all = std::collections::BTreeMap::<i64, std::collections::BTreeSet<i64>>::new();
    let histories: Vec<String> =
        snapshots.iter().map(|name| format!("trading.-{name}.taq.trades")).chain([TRADES.to_owned()]).collect();
    for topic in &histories {
        assert_eq!(described(&mut wire, topic).error_code, 0, "{topic}");
        for (id, sequences) in sequences(&mut wire, topic) {
            assert!(sequences.is_sorted_by(|a, b| a < b), "{topic}, producer {id}: {sequences:?}");
            all.entry(id).or_default().extend(sequences);
        }
    }
    for (id, offsets) in answered {
        let count = i64::try_from(offsets.len()).expect("few");
        assert!(
            all[&id].iter().copied().eq(0..count),
            "producer {id}: what was acknowledged is in one of the histories"
        );
    }
}

/// A fetch in a session: (its answer's code, what the partition says if it is told).
fn in_session(wire: &mut Wire, session: (i32, i32), from: &[(&str, i32, i64)]) -> FetchResponse {
    wire.call(FETCH, &fetch(from).with_session_id(session.0).with_session_epoch(session.1))
}

/// The epoch and the end offset that `OffsetForLeaderEpoch` answers.
fn end_of_epoch(server: &Server, epoch: i32) -> (i32, i64) {
    let asked = OffsetForLeaderPartition::default().with_current_leader_epoch(-1).with_leader_epoch(epoch);
    let asked = OffsetForLeaderTopic::default().with_topic(name(TRADES)).with_partitions(vec![asked]);
    let request = OffsetForLeaderEpochRequest::default().with_replica_id((-1).into()).with_topics(vec![asked]);
    let answer = server.wire().call(4, &request).topics.remove(0).partitions.remove(0);
    assert_eq!(answer.error_code, 0);
    (answer.leader_epoch, answer.end_offset)
}

#[test]
fn consumers_are_fenced_by_a_restore_and_find_where_the_histories_part() {
    let mut server = pond_with_trades();
    let mut wire = server.wire();
    for value in ["a", "b"] {
        append(&mut wire, TRADES, value);
    }
    snapshot(&server, "trading", "close");
    append(&mut wire, TRADES, "c");
    let (topic_id, first) = (described(&mut wire, TRADES).topic_id, epoch(&server));

    let mut consumer = server.wire();
    let session = in_session(&mut consumer, (0, 0), &[(TRADES, 0, 3)]).session_id;
    assert_ne!(session, 0);
    let waiting = fetch(&[]).with_session_id(session).with_session_epoch(1).with_max_wait_ms(60_000);
    let waiting = consumer.send(FETCH, &waiting);
    let undo = restore(&server, "close");
    let woken = consumer.receive(waiting);
    assert_eq!(woken.responses[0].partitions[0].error_code, FENCED_LEADER_EPOCH);
    assert_eq!(in_session(&mut consumer, (session, 2), &[]).error_code, FETCH_SESSION_ID_NOT_FOUND);

    let second = epoch(&server);
    assert!(second > first);
    let described = described(&mut wire, TRADES);
    assert_eq!(described.topic_id, topic_id, "a changed id makes Java skip truncation detection");
    assert_eq!(described.partitions[0].leader_epoch, second);
    assert_eq!((end_of_epoch(&server, first), end_of_epoch(&server, second)), ((first, 2), (second, 2)));
    let mut stale = fetch(&[(TRADES, 0, 0)]);
    stale.topics[0].partitions[0].current_leader_epoch = first;
    assert_eq!(wire.call(FETCH, &stale).responses[0].partitions[0].error_code, FENCED_LEADER_EPOCH);
    // A consumer that says what it fetched last is told where to go back to (KIP-595).
    let mut diverging = fetch(&[(TRADES, 0, 3)]);
    diverging.topics[0].partitions[0].last_fetched_epoch = first;
    let answer = wire.call(FETCH, &diverging).responses.remove(0).partitions.remove(0);
    assert_eq!((answer.diverging_epoch.epoch, answer.diverging_epoch.end_offset), (first, 2));

    for value in ["x", "y", "z"] {
        append(&mut wire, TRADES, value);
    }
    restore(&server, &undo);
    server.kill();
    server.restart();
    let third = epoch(&server);
    assert!(third > second);
    assert_eq!(end_of_epoch(&server, second), (first, 2), "by Kafka's floor rule it would be 3, and \"c\" be skipped");
    assert_eq!((end_of_epoch(&server, first), end_of_epoch(&server, third)), ((first, 3), (third, 3)));
}

fn committed(server: &Server) -> i64 {
    server.wire().call(9, &position("app", TRADES, 0)).groups[0].topics[0].partitions[0].committed_offset
}

impl Member {
    fn commit(&mut self, offset: i64, epoch: i32) -> i16 {
        let mut request = commit(&self.group, TRADES, 0, offset, "")
            .with_member_id(self.id.clone())
            .with_generation_id_or_member_epoch(self.generation);
        request.topics[0].partitions[0].committed_leader_epoch = epoch;
        self.wire.call(9, &request).topics[0].partitions[0].error_code
    }
}

#[test]
fn members_are_strangers_after_a_restore_in_every_api_and_generations_go_on() {
    for is_killed in [false, true] {
        let mut server = pond_with_trades();
        for _ in 0..4 {
            append(&mut server.wire(), TRADES, "a");
        }
        let mut member = Member::alone(&server, "app");
        let first = epoch(&server);
        assert_eq!(member.commit(2, first), NONE);
        snapshot(&server, "trading", "close");
        append(&mut server.wire(), TRADES, "b");
        assert_eq!(member.commit(5, first), NONE);
        restore(&server, "close");
        if is_killed {
            server.kill();
            server.restart();
            member.wire = server.wire();
        }
        assert_eq!(committed(&server), 2, "positions went back");
        assert_eq!(member.heartbeat(), UNKNOWN_MEMBER_ID);
        assert_eq!(member.commit(3, first), UNKNOWN_MEMBER_ID, "never {GROUP_ID_NOT_FOUND}, final in librdkafka");
        assert_eq!(committed(&server), 2);
        let joined = join(&mut member.wire, 9, "app");
        assert_eq!((joined.error_code, joined.generation_id > member.generation), (NONE, true));
        let synced: SyncGroupResponse = member.wire.call(5, &sync_request(5, "app", &joined));
        assert_eq!(synced.error_code, NONE);
        (member.id, member.generation) = (joined.member_id, joined.generation_id);
        assert_eq!(member.commit(5, -1), OFFSET_OUT_OF_RANGE, "beyond the end of what is there now");
        assert_eq!(member.commit(4, first), NONE);
        assert_eq!(committed(&server), 4);
        assert_eq!(member.heartbeat(), NONE, "its commit that was refused costs it nothing");
    }
}

#[test]
fn positions_of_a_history_that_was_left_are_refused_to_who_stands_outside_of_groups() {
    let server = pond_with_trades();
    let mut wire = server.wire();
    append(&mut wire, TRADES, "a");
    snapshot(&server, "trading", "close");
    append(&mut wire, TRADES, "b");
    let undo = restore(&server, "close");
    for value in ["x", "y"] {
        append(&mut wire, TRADES, value);
    }
    let second = epoch(&server);
    restore(&server, &undo);
    append(&mut wire, TRADES, "c");
    let mut commit = |offset, epoch| {
        let mut request = commit("app", TRADES, 0, offset, "");
        request.topics[0].partitions[0].committed_leader_epoch = epoch;
        wire.call(9, &request).topics[0].partitions[0].error_code
    };
    assert_eq!(commit(3, second), FENCED_LEADER_EPOCH, "offset 2 was \"y\", and is \"c\"");
    assert_eq!(commit(4, -1), OFFSET_OUT_OF_RANGE);
    assert_eq!((commit(1, second), commit(3, epoch(&server))), (NONE, NONE));
    assert_eq!(committed(&server), 3);
}

#[test]
fn topics_that_a_restore_took_away_do_not_come_back_by_being_asked_for() {
    let mut server = pond_with_trades();
    snapshot(&server, "trading", "close");
    let mut wire = server.wire();
    create(&mut wire, "trading.taq.late");
    append(&mut wire, "trading.taq.late", "a");
    restore(&server, "close");
    let ask = |server: &Server, topic: &str| {
        let asked = metadata(&[topic]).with_allow_auto_topic_creation(true);
        server.wire().call(12, &asked).topics[0].error_code
    };
    for _ in 0..2 {
        for topic in ["trading.taq.late", "/trading/taq:late"] {
            assert_eq!(ask(&server, topic), UNKNOWN_TOPIC_OR_PARTITION, "{topic}");
        }
        server.kill();
        server.restart();
    }
    assert_eq!(ask(&server, "trading.taq.other"), NONE);
    create(&mut server.wire(), "trading.taq.late");
    assert_eq!(append(&mut server.wire(), "trading.taq.late", "b"), 0, "another topic, and empty");
}
