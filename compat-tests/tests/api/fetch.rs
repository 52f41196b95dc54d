//! `Fetch`, versions 4–18.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};

use bytes::Bytes;
use kafka_protocol::messages::create_topics_request::CreatableTopicConfig;
use kafka_protocol::messages::fetch_request::ForgottenTopic;
use kafka_protocol::messages::fetch_response::PartitionData;
use kafka_protocol::messages::{FetchRequest, FetchResponse};
use millpond_compat_tests::batch::{self, Batch, Codec, Record};
use millpond_compat_tests::requests::{FETCH, PRODUCE, create_topic, fetch, name, produce, text};
use millpond_compat_tests::server::Server;
use millpond_compat_tests::wire::Wire;
use uuid::Uuid;

const OFFSET_OUT_OF_RANGE: i16 = 1;
const CORRUPT_MESSAGE: i16 = 2;
const UNKNOWN_TOPIC_OR_PARTITION: i16 = 3;
const INVALID_TOPIC_EXCEPTION: i16 = 17;
const FETCH_SESSION_ID_NOT_FOUND: i16 = 70;
const INVALID_FETCH_SESSION_EPOCH: i16 = 71;
const UNKNOWN_LEADER_EPOCH: i16 = 75;
const UNKNOWN_TOPIC_ID: i16 = 100;

fn with_topic(server: &Server, partitions: i32) -> (Wire, Uuid) {
    let mut wire = server.wire();
    let created = wire.call(7, &create_topic("trades", partitions));
    assert_eq!(created.topics[0].error_code, 0);
    (wire, created.topics[0].topic_id)
}

fn append(wire: &mut Wire, partition: i32, value: &str) {
    let batch = Batch::of_value(value.to_owned()).encode();
    let response = wire.call(PRODUCE, &produce(-1, [("trades".to_owned(), partition, batch)]));
    assert_eq!(response.responses[0].partition_responses[0].error_code, 0);
}

fn first(response: &FetchResponse) -> &PartitionData {
    &response.responses[0].partitions[0]
}

fn count(part: &PartitionData) -> usize {
    batch::decode_all(part.records.as_ref().map_or(&[][..], |bytes| bytes)).len()
}

#[test]
fn records_come_in_every_version() {
    let server = Server::start();
    let (mut wire, id) = with_topic(&server, 1);
    append(&mut wire, 0, "a");
    append(&mut wire, 0, "b");
    for version in 4..=18 {
        let mut request = fetch(&[("trades", 0, 0)]);
        if version >= 13 {
            request.topics[0].topic = name("");
            request.topics[0].topic_id = id;
        }
        let response = wire.call(version, &request);
        let part = first(&response);
        assert_eq!(
            (part.error_code, part.high_watermark, part.last_stable_offset, count(part)),
            (0, 2, 2, 2),
            "v{version}"
        );
        assert_eq!(part.log_start_offset, if version >= 5 { 0 } else { -1 }, "v{version}");
    }
}

#[test]
fn long_batches_come_from_files_as_they_were_sent() {
    let server = Server::builder().set("log.tail_cache_bytes", "0").start();
    let (mut wire, _) = with_topic(&server, 2);
    // More in an answer than a socket takes at once, in batches short and long.
    let values = |partition: i32| {
        let value = move |n: i32| format!("{partition}-{n}-").repeat(if n % 3 == 2 { 1 } else { 30_000 });
        (0..40).map(value)
    };
    for partition in 0..2 {
        values(partition).for_each(|value| append(&mut wire, partition, &value));
    }
    // The first time they are checked on the way, the second time they are known.
    for _ in 0..2 {
        let mut request = fetch(&[("trades", 0, 0), ("trades", 1, 0)]);
        request.max_bytes = i32::MAX;
        for partition in &mut request.topics.iter_mut().flat_map(|topic| &mut topic.partitions) {
            partition.partition_max_bytes = i32::MAX;
        }
        let response = wire.call(FETCH, &request);
        let parts: Vec<_> = response.responses.iter().flat_map(|topic| &topic.partitions).collect();
        assert_eq!(parts.len(), 2);
        for (partition, part) in (0..).zip(parts) {
            let batches = batch::decode_all(part.records.as_ref().map_or(&[][..], |bytes| bytes));
            assert!(batches.iter().map(|batch| batch.base_offset).eq(0..40), "partition {partition}");
            let read = batches.iter().map(|batch| batch.records[0].value.clone());
            assert!(read.eq(values(partition).map(|value| Some(value.into()))), "partition {partition}");
        }
    }
}

/// The offset and value of every record from an offset on.
fn read_through(wire: &mut Wire, topic: &str, from: i64) -> Vec<(i64, Bytes)> {
    let (mut records, mut next) = (Vec::new(), from);
    loop {
        let mut answer = wire.call(FETCH, &fetch(&[(topic, 0, next)]));
        let part = answer.responses.remove(0).partitions.remove(0);
        assert_eq!(part.error_code, 0, "from {next}");
        for batch in batch::decode_all(&part.records.unwrap_or_default()) {
            assert!(batch.next_offset() > next && !batch.records.is_empty(), "it goes on, with something, at {next}");
            records.extend(batch.offsets().map(|(offset, record)| (offset, record.value.clone().unwrap_or_default())));
            next = batch.next_offset();
        }
        if next >= part.high_watermark {
            return records;
        }
    }
}

#[test]
fn a_compacted_topic_is_read_through_its_holes() {
    let mut server = Server::builder().set("log.compaction_check_interval_ms", "20").start();
    let mut wire = server.wire();
    let mut create = create_topic("latest", 1);
    let configs = [("cleanup.policy", "compact"), ("segment.ms", "1"), ("min.cleanable.dirty.ratio", "0")];
    create.topics[0].configs = configs
        .map(|(key, value)| CreatableTopicConfig::default().with_name(text(key)).with_value(Some(text(value))))
        .to_vec();
    assert_eq!(wire.call(7, &create).topics[0].error_code, 0);
    let codecs = [Codec::None, Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd];
    let keys = ["a", "b", "c"];
    let record = |n: usize| Record::of(n.to_string()).key(keys[n % 3]).at(1_000 * i64::try_from(n / 5).expect("small"));
    for nth in 0..12 {
        let batch = Batch::of((0..5).map(|n| record(nth * 5 + n))).codec(codecs[nth % 5]).producer(5, 0, 0);
        let batch = Batch { base_sequence: i32::try_from(nth).expect("small") * 5, ..batch };
        let sent = wire.call(PRODUCE, &produce(-1, [("latest".to_owned(), 0, batch.encode())]));
        assert_eq!(sent.responses[0].partition_responses[0].error_code, 0);
    }
    // The first compaction may come before all of this is there; the next one waits until the history has passed it.
    let deadline = Instant::now() + Duration::from_mins(1);
    while read_through(&mut wire, "latest", 0).first().is_some_and(|(offset, _)| *offset == 0) {
        assert!(Instant::now() < deadline, "it is not compacted: {}", server.output());
    }
    for restarted in [false, true] {
        if restarted {
            server.kill();
            server.restart();
            wire = server.wire();
        }
        let all = read_through(&mut wire, "latest", 0);
        let has = |n: i64| all.contains(&(n, n.to_string().into()));
        assert!((55..60).all(has), "the last batch stays as it is: {all:?}");
        assert!(!all.iter().any(|(offset, _)| *offset == 0), "{all:?}");
        for from in [0, 1, 29, 30, 56, 59] {
            let behind: Vec<_> = all.iter().filter(|(offset, _)| *offset >= from).cloned().collect();
            let read: Vec<_> =
                read_through(&mut wire, "latest", from).into_iter().filter(|(offset, _)| *offset >= from).collect();
            assert_eq!(read, behind, "from {from}");
        }
        let last = wire.call(FETCH, &fetch(&[("latest", 0, 60)]));
        assert_eq!((first(&last).high_watermark, first(&last).log_start_offset), (60, 0));
        assert_eq!(first(&wire.call(FETCH, &fetch(&[("latest", 0, 61)]))).error_code, OFFSET_OUT_OF_RANGE);
    }
    let again = Batch::of((55..60).map(record)).codec(codecs[11 % 5]).producer(5, 0, 55);
    let known = wire.call(PRODUCE, &produce(-1, [("latest".to_owned(), 0, again.encode())]));
    assert_eq!(known.responses[0].partition_responses[0].base_offset, 55, "the producer is known as before");
}

#[test]
fn errors_are_those_of_kafka() {
    let server = Server::start();
    let (mut wire, _) = with_topic(&server, 1);
    append(&mut wire, 0, "a");
    let code = |response: FetchResponse| first(&response).error_code;
    assert_eq!(code(wire.call(FETCH, &fetch(&[("trades", 0, 2)]))), OFFSET_OUT_OF_RANGE);
    assert_eq!(code(wire.call(FETCH, &fetch(&[("trades", 1, 0)]))), UNKNOWN_TOPIC_OR_PARTITION);
    assert_eq!(code(wire.call(FETCH, &fetch(&[("missing", 0, 0)]))), UNKNOWN_TOPIC_OR_PARTITION);
    assert_eq!(code(wire.call(FETCH, &fetch(&[("no name", 0, 0)]))), INVALID_TOPIC_EXCEPTION);
    let mut by_id = fetch(&[("", 0, 0)]);
    by_id.topics[0].topic_id = Uuid::from_u128(9);
    assert_eq!(code(wire.call(13, &by_id)), UNKNOWN_TOPIC_ID);
    let mut epoch = fetch(&[("trades", 0, 0)]);
    epoch.topics[0].partitions[0].current_leader_epoch = 1_000;
    assert_eq!(code(wire.call(FETCH, &epoch)), UNKNOWN_LEADER_EPOCH);
}

#[test]
fn a_batch_that_rotted_is_told_of_and_what_lies_behind_it_is_served() {
    let server = Server::builder().set("log.tail_cache_bytes", "0").start();
    let (mut wire, _) = with_topic(&server, 1);
    for value in ["the first", "the second", "the third"] {
        append(&mut wire, 0, value);
    }
    flip(&server, b"the second");
    for version in 4..=12 {
        let from = |offset| fetch(&[("trades", 0, offset)]);
        let before = wire.call(version, &from(0));
        assert_eq!((first(&before).error_code, count(first(&before))), (0, 1), "v{version}");
        assert_eq!(first(&wire.call(version, &from(1))).error_code, CORRUPT_MESSAGE, "v{version}");
        let behind = wire.call(version, &from(2));
        assert_eq!((first(&behind).error_code, count(first(&behind))), (0, 1), "v{version}");
    }
}

/// Flips a bit of these bytes in the log file that has them.
fn flip(server: &Server, bytes: &[u8]) {
    let timelines = fs::read_dir(server.data().join("timelines")).expect("it is there");
    let logs = timelines.flat_map(|timeline| fs::read_dir(timeline.expect("an entry").path().join("log")));
    for log in logs.flatten() {
        let path = log.expect("an entry").path();
        let text = fs::read(&path).expect("it can be read");
        if let Some(at) = text.windows(bytes.len()).position(|window| window == bytes) {
            let file = File::options().write(true).open(&path).expect("it can be written");
            return file.write_all_at(&[text[at] ^ 1], at as u64).expect("it can be written");
        }
    }
    panic!("no log has these bytes");
}

#[test]
fn limits_hold_but_the_first_batch_always_comes() {
    let server = Server::start();
    let (mut wire, _) = with_topic(&server, 2);
    for _ in 0..3 {
        append(&mut wire, 0, &"x".repeat(1000));
        append(&mut wire, 1, &"x".repeat(1000));
    }
    let both = || fetch(&[("trades", 0, 0), ("trades", 1, 0)]);
    let counts = |response: &FetchResponse| response.responses[0].partitions.iter().map(count).collect::<Vec<_>>();
    assert_eq!(counts(&wire.call(FETCH, &both().with_max_bytes(1))), [1, 0]);
    assert_eq!(counts(&wire.call(FETCH, &both().with_max_bytes(2_500))), [2, 0]);
    let mut narrow = both();
    narrow.topics[0].partitions[0].partition_max_bytes = 1;
    assert_eq!(counts(&wire.call(FETCH, &narrow)), [1, 3]);
    assert_eq!(counts(&wire.call(FETCH, &both())), [3, 3]);
    let inside = wire.call(FETCH, &fetch(&[("trades", 0, 1)]));
    assert_eq!(count(first(&inside)), 2);
}

#[test]
fn a_fetch_at_the_end_waits_for_the_next_record() {
    let server = Server::start();
    let (mut wire, _) = with_topic(&server, 1);
    let waiting = wire.send(FETCH, &fetch(&[("trades", 0, 0)]).with_max_wait_ms(30_000));
    append(&mut server.wire(), 0, "a");
    assert_eq!(count(first(&wire.receive(waiting))), 1);
    let started = Instant::now();
    let nothing = wire.call(FETCH, &fetch(&[("trades", 0, 1)]).with_max_wait_ms(300));
    assert!(count(first(&nothing)) == 0 && started.elapsed() >= Duration::from_millis(300));
}

#[test]
fn what_was_acknowledged_is_seen_at_once() {
    let server = Server::start();
    let (mut wire, _) = with_topic(&server, 1);
    for offset in 0..200 {
        let batch = Batch::of_value("x").encode();
        let response = wire.call(PRODUCE, &produce(1, [("trades".to_owned(), 0, batch)]));
        assert_eq!(response.responses[0].partition_responses[0].base_offset, offset);
        let read = wire.call(FETCH, &fetch(&[("trades", 0, offset)]));
        assert_eq!(count(first(&read)), 1, "at {offset}");
    }
}

fn in_session(session: i32, epoch: i32, from: &[(&str, i32, i64)]) -> FetchRequest {
    fetch(from).with_session_id(session).with_session_epoch(epoch)
}

#[test]
fn a_session_tells_only_what_is_new() {
    let server = Server::start();
    let (mut wire, _) = with_topic(&server, 3);
    append(&mut wire, 1, "a");
    let all = [("trades", 0, 0), ("trades", 1, 0), ("trades", 2, 0)];
    let opened = wire.call(FETCH, &in_session(0, 0, &all));
    let session = opened.session_id;
    assert!(session != 0 && opened.responses[0].partitions.len() == 3);
    let unchanged = wire.call(FETCH, &in_session(session, 1, &[("trades", 1, 1)]));
    assert!(unchanged.responses.is_empty(), "nothing is new: {unchanged:?}");
    append(&mut wire, 2, "b");
    let news = wire.call(FETCH, &in_session(session, 2, &[]));
    let told: Vec<i32> = news.responses[0].partitions.iter().map(|part| part.partition_index).collect();
    assert_eq!(told, [2]);
    let forgotten = vec![ForgottenTopic::default().with_topic(name("trades")).with_partitions(vec![2])];
    let rest = wire.call(FETCH, &in_session(session, 3, &[]).with_forgotten_topics_data(forgotten));
    assert!(rest.responses.is_empty());
    assert_eq!(wire.call(FETCH, &in_session(session, 7, &[])).error_code, INVALID_FETCH_SESSION_EPOCH);
    let closed = wire.call(FETCH, &in_session(session, -1, &[("trades", 1, 0)]));
    assert_eq!((closed.session_id, count(first(&closed))), (0, 1));
    assert_eq!(wire.call(FETCH, &in_session(session, 4, &[])).error_code, FETCH_SESSION_ID_NOT_FOUND);
}

#[test]
fn an_error_in_a_session_is_told_until_it_is_over() {
    let server = Server::start();
    let (mut wire, _) = with_topic(&server, 1);
    let opened = wire.call(FETCH, &in_session(0, 0, &[("later", 0, 0)]));
    assert_eq!(first(&opened).error_code, UNKNOWN_TOPIC_OR_PARTITION);
    let again = wire.call(FETCH, &in_session(opened.session_id, 1, &[]));
    assert_eq!(first(&again).error_code, UNKNOWN_TOPIC_OR_PARTITION);
    wire.call(7, &create_topic("later", 1));
    let there = wire.call(FETCH, &in_session(opened.session_id, 2, &[]));
    assert_eq!(first(&there).error_code, 0);
}
