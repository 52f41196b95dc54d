//! `Produce`, versions 0–13 (0–2 are refused by their answer).

use bytes::{Buf, BufMut, Bytes, BytesMut};
use kafka_protocol::messages::create_topics_request::CreatableTopicConfig;
use kafka_protocol::messages::produce_response::PartitionProduceResponse;
use kafka_protocol::messages::{ProduceRequest, ProduceResponse, TransactionalId};
use millpond_compat_tests::batch::{Batch, Codec, Record};
use millpond_compat_tests::requests::{PRODUCE, create_topic, metadata, produce, read_log, text};
use millpond_compat_tests::server::Server;
use millpond_compat_tests::wire::Wire;
use uuid::Uuid;

const CORRUPT_MESSAGE: i16 = 2;
const UNKNOWN_TOPIC_OR_PARTITION: i16 = 3;
const MESSAGE_TOO_LARGE: i16 = 10;
const INVALID_TOPIC_EXCEPTION: i16 = 17;
const INVALID_REQUIRED_ACKS: i16 = 21;
const INVALID_TIMESTAMP: i16 = 32;
const UNSUPPORTED_VERSION: i16 = 35;
const INVALID_REQUEST: i16 = 42;
const OUT_OF_ORDER_SEQUENCE_NUMBER: i16 = 45;
const INVALID_PRODUCER_EPOCH: i16 = 47;
const INVALID_TXN_STATE: i16 = 48;
const TRANSACTIONAL_ID_AUTHORIZATION_FAILED: i16 = 53;
const UNSUPPORTED_COMPRESSION_TYPE: i16 = 76;
const INVALID_RECORD: i16 = 87;
const UNKNOWN_TOPIC_ID: i16 = 100;

fn one(topic: &str, batch: Bytes) -> ProduceRequest {
    produce(-1, [(topic.to_owned(), 0, batch)])
}

fn answer(response: &ProduceResponse) -> &PartitionProduceResponse {
    &response.responses[0].partition_responses[0]
}

fn send(wire: &mut Wire, batch: &Batch) -> PartitionProduceResponse {
    answer(&wire.call(PRODUCE, &one("trades", batch.encode()))).clone()
}

fn with_topic(server: &Server) -> (Wire, Uuid) {
    let mut wire = server.wire();
    let created = wire.call(7, &create_topic("trades", 2));
    assert_eq!(created.topics[0].error_code, 0);
    (wire, created.topics[0].topic_id)
}

#[test]
fn a_batch_gets_its_offset_in_every_version() {
    let server = Server::start();
    let (mut wire, id) = with_topic(&server);
    let batch = Batch::of([Record::of("a").at(5), Record::of("b").at(7)]);
    for (count, version) in (3..=13).enumerate() {
        let mut request = one("trades", batch.encode());
        if version >= 13 {
            request.topic_data[0].topic_id = id;
            request.topic_data[0].name = millpond_compat_tests::requests::name("");
        }
        let response = wire.call(version, &request);
        let answer = answer(&response);
        assert_eq!(
            (answer.error_code, answer.base_offset),
            (0, 2 * i64::try_from(count).expect("small")),
            "v{version}"
        );
        assert_eq!(answer.log_append_time_ms, -1);
        assert_eq!(answer.log_start_offset, if version >= 5 { 0 } else { -1 }, "v{version}");
    }
    let (batches, end) = read_log(&mut wire, "trades", 0, 0);
    assert_eq!((batches.len(), end), (11, 22));
    assert!(batches.iter().all(|read| read.records == batch.records && read.max_timestamp == 7));
}

/// A message set for partition 1 in a version that had those.
fn message_set(version: i16, acks: i16) -> Bytes {
    let mut frame = BytesMut::new();
    frame.put_i16(0); // Produce
    frame.put_i16(version);
    frame.put_i32(1); // correlation id
    frame.put_i16(-1); // no client id
    frame.put_i16(acks);
    frame.put_i32(1_000);
    frame.put_i32(1); // topics
    frame.put_i16(6);
    frame.put_slice(b"trades");
    frame.put_i32(1); // partitions
    frame.put_i32(1);
    frame.put_i32(26);
    frame.put_slice(&[0; 26]);
    frame.freeze()
}

#[test]
fn versions_of_message_sets_are_refused_by_their_answer() {
    let server = Server::start();
    let (mut wire, _) = with_topic(&server);
    for version in 0..=2 {
        wire.send_frame(&message_set(version, 1)).expect("it is connected");
        let mut answer = wire.read_frame().expect("it is answered");
        assert_eq!((answer.get_i32(), answer.get_i32(), answer.get_i16()), (1, 1, 6), "v{version}: one topic");
        assert_eq!(answer.split_to(6), "trades", "v{version}");
        assert_eq!((answer.get_i32(), answer.get_i32()), (1, 1), "v{version}: one partition");
        assert_eq!((answer.get_i16(), answer.get_i64()), (UNSUPPORTED_VERSION, -1), "v{version}");
        let (append_time, throttle_time) = (if version >= 2 { 8 } else { 0 }, if version >= 1 { 4 } else { 0 });
        assert_eq!(answer.len(), append_time + throttle_time, "v{version}");
    }
    wire.send_frame(&message_set(2, 0)).expect("it is connected");
    wire.expect_closed();
}

#[test]
fn every_codec_passes_through_untouched() {
    let server = Server::start();
    let (mut wire, _) = with_topic(&server);
    let codecs = [Codec::None, Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd];
    let batches: Vec<Batch> = codecs.iter().map(|codec| Batch::of_value("value ".repeat(50)).codec(*codec)).collect();
    for batch in &batches {
        assert_eq!(send(&mut wire, batch).error_code, 0);
    }
    let (read, _) = read_log(&mut wire, "trades", 0, 0);
    for (read, sent) in read.iter().zip(&batches) {
        assert_eq!((read.attributes, &read.records), (sent.attributes, &sent.records));
    }
    let zstd = wire.call(6, &one("trades", batches[4].encode()));
    assert_eq!(answer(&zstd).error_code, UNSUPPORTED_COMPRESSION_TYPE, "zstd came with version 7");
}

#[test]
fn what_is_not_a_batch_for_a_client_to_send_is_refused_alone() {
    let server = Server::start();
    let (mut wire, _) = with_topic(&server);
    let good = Batch::of_value("x");
    let with_byte = |at: usize, byte: u8| {
        let mut bytes = good.encode().to_vec();
        bytes[at] = byte;
        Bytes::from(bytes)
    };
    let control = Batch { attributes: 0x20, ..good.clone() };
    let stamped = Batch { attributes: 0x08, ..good.clone() };
    let future = Batch::of([Record::of("x").at(i64::MAX / 2)]);
    let miscounted = Batch { last_offset_delta: 4, ..good.clone() };
    let cases = [
        (with_byte(40, 0xff), CORRUPT_MESSAGE),
        (control.encode(), INVALID_RECORD),
        (stamped.encode(), INVALID_TIMESTAMP),
        (future.encode(), INVALID_TIMESTAMP),
        (miscounted.encode(), INVALID_RECORD),
        (Batch::of_value("y".repeat(2 << 20)).encode(), MESSAGE_TOO_LARGE),
        (Bytes::new(), INVALID_RECORD),
    ];
    for (at, (bytes, code)) in cases.into_iter().enumerate() {
        let both = [("trades".to_owned(), 0, bytes), ("trades".to_owned(), 1, good.encode())];
        let response = wire.call(PRODUCE, &produce(-1, both));
        let answers = &response.responses[0].partition_responses;
        assert_eq!(answers[0].error_code, code, "case {at}: {:?}", answers[0].error_message);
        assert!(answers[0].error_message.is_some() && answers[0].base_offset == -1, "case {at}");
        assert_eq!(
            (answers[1].error_code, answers[1].base_offset),
            (0, i64::try_from(at).expect("small")),
            "case {at}"
        );
    }
    let (batches, _) = read_log(&mut wire, "trades", 0, 0);
    assert!(batches.is_empty(), "nothing of what was refused is there");
}

#[test]
fn a_compacted_topic_names_the_records_that_have_no_key() {
    let server = Server::start();
    let mut wire = server.wire();
    let mut create = create_topic("latest", 1);
    create.topics[0].configs =
        vec![CreatableTopicConfig::default().with_name(text("cleanup.policy")).with_value(Some(text("compact")))];
    assert_eq!(wire.call(7, &create).topics[0].error_code, 0);
    let mixed = Batch::of([Record::of("a").key("k"), Record::of("b"), Record::of("c").key(""), Record::of("d")]);
    for version in 3..=12 {
        for codec in [Codec::None, Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd] {
            if codec == Codec::Zstd && version < 7 {
                continue;
            }
            let response = wire.call(version, &one("latest", mixed.clone().codec(codec).encode()));
            let refused = answer(&response);
            assert_eq!((refused.error_code, refused.base_offset), (INVALID_RECORD, -1), "v{version}");
            if version >= 8 {
                let named: Vec<i32> = refused.record_errors.iter().map(|error| error.batch_index).collect();
                assert_eq!(named, [1, 3], "v{version} {codec:?}");
                let words = refused.record_errors[0].batch_index_error_message.as_ref().expect("it says why");
                assert!(words.contains("key"), "{words:?}");
            }
        }
    }
    let keyed = Batch::of([Record::of("a").key("k"), Record::of("b").key("")]);
    let response = wire.call(PRODUCE, &one("latest", keyed.encode()));
    assert_eq!((answer(&response).error_code, answer(&response).base_offset), (0, 0), "an empty key is one");
}

#[test]
fn a_retried_batch_is_known_and_a_gap_is_refused() {
    let server = Server::start();
    let (mut wire, _) = with_topic(&server);
    let batch = |epoch, sequence| Batch::of([Record::of("a"), Record::of("b")]).producer(4_000, epoch, sequence);
    for number in 0..6 {
        assert_eq!(send(&mut wire, &batch(3, 2 * number)).base_offset, i64::from(2 * number));
    }
    for number in 1..6 {
        let again = send(&mut wire, &batch(3, 2 * number));
        assert_eq!((again.error_code, again.base_offset), (0, i64::from(2 * number)), "one of the last five is known");
    }
    assert_eq!(send(&mut wire, &batch(3, 14)).error_code, OUT_OF_ORDER_SEQUENCE_NUMBER);
    assert_eq!(send(&mut wire, &batch(2, 12)).error_code, INVALID_PRODUCER_EPOCH);
    assert_eq!(send(&mut wire, &batch(4, 0)).base_offset, 12);
    let (batches, end) = read_log(&mut wire, "trades", 0, 0);
    assert_eq!((batches.len(), end), (7, 14));
}

#[test]
fn producers_are_known_after_a_kill_and_after_a_stop() {
    let mut server = Server::start();
    let (mut wire, _) = with_topic(&server);
    let batch = |sequence| Batch::of_value("x").producer(4_000, 0, sequence);
    assert_eq!(send(&mut wire, &batch(0)).base_offset, 0);
    assert_eq!(send(&mut wire, &batch(1)).base_offset, 1);
    for next in 2..4 {
        if next == 2 {
            server.kill();
        } else {
            assert!(server.stop().success());
        }
        server.restart();
        let mut wire = server.wire();
        assert_eq!(send(&mut wire, &batch(next - 1)).base_offset, i64::from(next - 1), "known");
        assert_eq!(send(&mut wire, &batch(next + 1)).error_code, OUT_OF_ORDER_SEQUENCE_NUMBER);
        assert_eq!(send(&mut wire, &batch(next)).base_offset, i64::from(next));
    }
}

#[test]
fn requests_that_cannot_be_served_say_so() {
    let server = Server::start();
    let (mut wire, _) = with_topic(&server);
    let batch = Batch::of_value("x").encode();
    let code = |response: ProduceResponse| answer(&response).error_code;
    let acks = produce(2, [("trades".to_owned(), 0, batch.clone())]);
    assert_eq!(code(wire.call(PRODUCE, &acks)), INVALID_REQUIRED_ACKS);
    let transactional = one("trades", batch.clone()).with_transactional_id(Some(TransactionalId(text("t"))));
    assert_eq!(code(wire.call(PRODUCE, &transactional)), TRANSACTIONAL_ID_AUTHORIZATION_FAILED);
    assert_eq!(code(wire.call(PRODUCE, &one("missing", batch.clone()))), UNKNOWN_TOPIC_OR_PARTITION);
    let partition = produce(-1, [("trades".to_owned(), 2, batch.clone())]);
    assert_eq!(code(wire.call(PRODUCE, &partition)), UNKNOWN_TOPIC_OR_PARTITION);
    let mut by_id = one("", batch);
    by_id.topic_data[0].topic_id = Uuid::from_u128(77);
    assert_eq!(code(wire.call(13, &by_id)), UNKNOWN_TOPIC_ID);
    assert_eq!(wire.call(12, &metadata(&["missing"])).topics[0].error_code, UNKNOWN_TOPIC_OR_PARTITION);
}

#[test]
fn a_transactional_batch_without_a_transactional_id_is_of_no_transaction() {
    let server = Server::start();
    let (mut wire, _) = with_topic(&server);
    let batch = Batch { attributes: 0x10, ..Batch::of_value("x").producer(4_000, 0, 0) };
    for version in 3..=12 {
        let refused = answer(&wire.call(version, &one("trades", batch.encode()))).clone();
        assert_eq!((refused.error_code, refused.base_offset), (INVALID_TXN_STATE, -1), "v{version}");
        assert_eq!(refused.error_message.is_some(), version >= 8, "v{version}");
    }
    let (batches, end) = read_log(&mut wire, "trades", 0, 0);
    assert_eq!((batches.len(), end), (0, 0), "nothing of it is there");
}

#[test]
fn a_partition_is_in_a_request_once() {
    let server = Server::start();
    let (mut wire, _) = with_topic(&server);
    let twice = ["a", "b"].map(|value| ("trades".to_owned(), 0, Batch::of_value(value).encode()));
    let response = wire.call(PRODUCE, &produce(-1, twice));
    let codes: Vec<i16> =
        response.responses.iter().flat_map(|topic| &topic.partition_responses).map(|part| part.error_code).collect();
    assert_eq!(codes, [0, INVALID_REQUEST]);
    let (batches, _) = read_log(&mut wire, "trades", 0, 0);
    assert_eq!(batches.len(), 1);
}

#[test]
fn the_brokers_own_topics_take_no_records_of_clients() {
    let server = Server::start();
    let mut wire = server.wire();
    for acks in [1, -1] {
        let request = produce(acks, [("__consumer_offsets".to_owned(), 0, Batch::of_value("x").encode())]);
        let refused = answer(&wire.call(PRODUCE, &request)).clone();
        assert_eq!((refused.error_code, refused.base_offset), (INVALID_TOPIC_EXCEPTION, -1));
    }
    let (batches, _) = read_log(&mut wire, "__consumer_offsets", 0, 0);
    assert!(batches.is_empty());
}

#[test]
fn what_was_appended_is_answered_so_whatever_the_timeout() {
    let server = Server::start();
    let (mut wire, _) = with_topic(&server);
    for (offset, timeout_ms) in [0, 1, -1].into_iter().enumerate() {
        let request = one("trades", Batch::of_value("x").encode()).with_timeout_ms(timeout_ms);
        let answer = answer(&wire.call(PRODUCE, &request)).clone();
        assert_eq!((answer.error_code, answer.base_offset), (0, i64::try_from(offset).expect("small")));
    }
}

#[test]
fn acks_0_is_not_answered_and_its_error_closes_the_connection() {
    let server = Server::start();
    let (mut wire, _) = with_topic(&server);
    let quiet = |topic: &str| produce(0, [(topic.to_owned(), 0, Batch::of_value("x").encode())]);
    let unanswered = wire.send(PRODUCE, &quiet("trades"));
    let (batches, _) = loop {
        // The next answer is the fetch's: none came for the Produce.
        let read = read_log(&mut wire, "trades", 0, 0);
        if !read.0.is_empty() {
            break read;
        }
    };
    assert_eq!(batches.len(), 1);
    drop(unanswered);
    let _refused = wire.send(PRODUCE, &quiet("missing"));
    wire.expect_closed();
}

#[test]
fn the_broker_stamps_where_the_topic_says_so() {
    let server = Server::builder().set("topics.timestamp_type", "LogAppendTime").start();
    let (mut wire, _) = with_topic(&server);
    let sent = Batch::of([Record::of("a").at(1), Record::of("b").at(2)]);
    let answer = send(&mut wire, &sent);
    assert!(answer.error_code == 0 && answer.log_append_time_ms > 1_600_000_000_000);
    let (batches, _) = read_log(&mut wire, "trades", 0, 0);
    assert!(batches[0].has_log_append_time());
    assert_eq!(batches[0].max_timestamp, answer.log_append_time_ms);
}
