//! `ApiVersions`, and the promise that it makes: every version it lists is answered.

use std::fmt::Debug;

use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::messages::*;
use kafka_protocol::protocol::{Decodable, Request, StrBytes};
use millpond_compat_tests::server::Server;
use millpond_compat_tests::wire::{Wire, encode_request};

const UNSUPPORTED_VERSION: i16 = 35;
const INVALID_REQUEST: i16 = 42;

fn named(name: &'static str, version: &'static str) -> ApiVersionsRequest {
    ApiVersionsRequest::default()
        .with_client_software_name(StrBytes::from_static_str(name))
        .with_client_software_version(StrBytes::from_static_str(version))
}

#[test]
fn every_version_lists_the_same() {
    let server = Server::start();
    let mut wire = server.wire();
    let first = wire.call(0, &ApiVersionsRequest::default());
    assert_eq!(first.error_code, 0);
    let own = first.api_keys.iter().find(|api| api.api_key == ApiVersionsRequest::KEY).expect("it lists itself");
    assert_eq!((own.min_version, own.max_version), (0, 4));
    for version in 1..=4 {
        let request = if version < 3 { ApiVersionsRequest::default() } else { named("compat-tests", "1.0") };
        let listed = wire.call(version, &request);
        assert_eq!((listed.error_code, listed.throttle_time_ms), (0, 0));
        assert_eq!(listed.api_keys, first.api_keys, "version {version}");
    }
}

/// Java clients of Kafka 4.4 open with version 5, whose shape we cannot know.
#[test]
fn a_version_of_the_future_is_answered_in_version_0() {
    let server = Server::start();
    let mut wire = server.wire();
    for version in [5, 6, i16::MAX] {
        let mut frame = BytesMut::new();
        frame.put_i16(ApiVersionsRequest::KEY);
        frame.put_i16(version);
        frame.put_i32(77);
        frame.put_slice(b"whatever it holds");
        wire.send_frame(&frame).expect("the broker reads");
        let mut answer = wire.read_frame().expect("the broker answers");
        assert_eq!(answer.split_to(4), 77_i32.to_be_bytes()[..]);
        let response = ApiVersionsResponse::decode(&mut answer, 0).expect("it has version 0");
        assert_eq!(response.error_code, UNSUPPORTED_VERSION);
        let listed: Vec<_> =
            response.api_keys.iter().map(|api| (api.api_key, api.min_version, api.max_version)).collect();
        assert_eq!(listed, [(ApiVersionsRequest::KEY, 0, 4)]);
    }
    assert_eq!(wire.call(4, &named("compat-tests", "1.0")).error_code, 0, "the client asks again on the connection");
}

#[test]
fn software_is_named_by_letters_digits_dashes_and_dots() {
    let server = Server::start();
    let mut wire = server.wire();
    for (name, version) in [("", "1"), ("a", ""), ("-a", "1"), ("a", "1."), ("a b", "1"), ("a", "1_0")] {
        let response = wire.call(3, &named(name, version));
        assert_eq!(response.error_code, INVALID_REQUEST, "{name:?} {version:?}");
        assert!(response.api_keys.is_empty());
    }
    assert_eq!(wire.call(3, &named("apache-kafka-java", "4.1.0")).error_code, 0);
}

#[test]
fn what_is_not_listed_ends_the_connection() {
    let server = Server::start();
    let listed = server.wire().call(0, &ApiVersionsRequest::default()).api_keys;
    for api in &listed {
        if api.api_key != ApiVersionsRequest::KEY {
            for version in [api.max_version + 1, -1] {
                unanswered(&server, api.api_key, version);
            }
        }
    }
    for key in (0..100).filter(|key| listed.iter().all(|api| api.api_key != *key)) {
        unanswered(&server, key, 0);
    }
}

fn unanswered(server: &Server, key: i16, version: i16) {
    let mut frame = BytesMut::new();
    frame.put_i16(key);
    frame.put_i16(version);
    frame.put_slice(&[0; 32]);
    let mut wire = server.wire();
    wire.send_frame(&frame).expect("the broker reads");
    wire.expect_closed();
}

/// An empty request of every kind, by key.
type Empty = (i16, fn(i16) -> Bytes);

macro_rules! empty {
    ($($request:ident)*) => {
        &[$(($request::KEY, |version| encode_request(1, version, &$request::default()).freeze())),*]
    };
}

const EMPTY: &[Empty] = empty! {
    FetchRequest ListOffsetsRequest MetadataRequest OffsetCommitRequest OffsetFetchRequest FindCoordinatorRequest
    JoinGroupRequest HeartbeatRequest LeaveGroupRequest SyncGroupRequest DescribeGroupsRequest ListGroupsRequest
    ApiVersionsRequest CreateTopicsRequest DeleteTopicsRequest DeleteRecordsRequest InitProducerIdRequest
    OffsetForLeaderEpochRequest DescribeConfigsRequest AlterConfigsRequest IncrementalAlterConfigsRequest
    DescribeLogDirsRequest CreatePartitionsRequest DeleteGroupsRequest OffsetDeleteRequest DescribeClusterRequest
    DescribeTopicPartitionsRequest ListConfigResourcesRequest DescribeProducersRequest
    ListPartitionReassignmentsRequest AlterPartitionReassignmentsRequest ElectLeadersRequest DescribeQuorumRequest
    DescribeAclsRequest
};

/// An empty Produce that wants an answer; before version 3 it has no transactional id.
fn produce(version: i16) -> Bytes {
    if version >= 3 {
        return encode_request(1, version, &ProduceRequest::default().with_acks(1)).freeze();
    }
    let mut frame = BytesMut::new();
    frame.put_slice(&[0, 0]);
    frame.put_i16(version);
    frame.put_i32(1);
    frame.put_i16(-1); // no client id
    frame.put_i16(1); // acks
    frame.put_i32(1_000);
    frame.put_i32(0); // no topics
    frame.freeze()
}

#[test]
fn every_listed_version_is_answered() {
    let server = Server::start();
    let mut wire = server.wire();
    for api in wire.call(0, &ApiVersionsRequest::default()).api_keys {
        for version in api.min_version..=api.max_version {
            let request = match EMPTY.iter().find(|(key, _)| *key == api.api_key) {
                Some((_, empty)) => empty(version),
                None if api.api_key == ProduceRequest::KEY => produce(version),
                None => panic!("API {} is listed, and not in this test", api.api_key),
            };
            is_answered(&mut wire, &request, (ApiKey::try_from(api.api_key), version));
        }
    }
}

fn is_answered(wire: &mut Wire, request: &[u8], what: impl Debug) {
    wire.send_frame(request).unwrap_or_else(|why| panic!("{what:?} cannot be sent: {why}"));
    let answer = wire.read_frame().unwrap_or_else(|why| panic!("{what:?} is not answered: {why}"));
    assert_eq!(answer[..4], [0, 0, 0, 1], "{what:?}");
}
