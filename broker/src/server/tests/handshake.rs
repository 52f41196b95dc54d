//! `ApiVersions` over a raw socket, and versions that are advertised and not decoded.

use bytes::{Buf, BufMut, BytesMut};
use kafka_protocol::messages::{ApiKey, ApiVersionsRequest, ApiVersionsResponse, ProduceResponse};
use kafka_protocol::protocol::StrBytes;

use super::harness::*;
use crate::limits::Limits;

fn named(name: &'static str, version: &'static str) -> ApiVersionsRequest {
    ApiVersionsRequest::default()
        .with_client_software_name(StrBytes::from_static_str(name))
        .with_client_software_version(StrBytes::from_static_str(version))
}

#[tokio::test]
async fn every_version_lists_what_is_served() {
    let running = start(Limits::default());
    let mut client = running.connect().await;
    for version in 0..=4 {
        let request = if version < 3 { ApiVersionsRequest::default() } else { named("tests", "1.0") };
        client.send(&frame(i32::from(version), version, &request)).await;
        let (correlation_id, body) = client.answer().await;
        assert_eq!(correlation_id, i32::from(version));
        let response: ApiVersionsResponse = decoded(body, version);
        assert_eq!(response.error_code, 0);
        assert!(response.finalized_features.is_empty() && response.supported_features.is_empty());
        let ranges: Vec<_> =
            response.api_keys.iter().map(|api| (api.api_key, api.min_version, api.max_version)).collect();
        assert_eq!(ranges, [(18, 0, 4), (12, 0, 4), (10, 0, 6), (0, 0, 13)]);
    }
}

#[tokio::test]
async fn an_unknown_version_is_answered_in_version_0() {
    let running = start(Limits::default());
    let mut client = running.connect().await;
    for version in [5, 6, i16::MAX, -1] {
        // Whatever follows the correlation id in a future version cannot be read.
        let mut request = BytesMut::new();
        request.put_i16(ApiKey::ApiVersions as i16);
        request.put_i16(version);
        request.put_i32(17);
        request.put_slice(&[0xff; 20]);
        client.send(&sized(&request)).await;
        let (correlation_id, body) = client.answer().await;
        assert_eq!(correlation_id, 17);
        let response: ApiVersionsResponse = decoded(body, 0);
        assert_eq!(response.error_code, 35);
        let [own] = &response.api_keys[..] else { panic!("{response:?}") };
        assert_eq!((own.api_key, own.min_version, own.max_version), (18, 0, 4));
    }
    client.quick_heartbeat(1, "goes-on").await;
    client.is_answered(1).await;
}

#[tokio::test]
async fn software_without_a_proper_name_is_an_invalid_request() {
    let running = start(Limits::default());
    let mut client = running.connect().await;
    for request in [named("", "1.0"), named("-x", "1.0"), named("tests", "1 0"), named("tests", "")] {
        client.send(&frame(3, 3, &request)).await;
        let (_, body) = client.answer().await;
        let response: ApiVersionsResponse = decoded(body, 3);
        assert_eq!(response.error_code, 42);
        assert!(response.api_keys.is_empty());
    }
}

/// A Produce request of version 0, 1 or 2: acks, a timeout, and one topic with two partitions.
fn old_produce(version: i16, acks: i16) -> BytesMut {
    let mut request = BytesMut::new();
    request.put_i16(0);
    request.put_i16(version);
    request.put_i32(5);
    request.put_i16(-1);
    request.put_i16(acks);
    request.put_i32(1_000);
    request.put_i32(1);
    request.put_slice(b"\0\x06trades");
    request.put_i32(2);
    for partition in 0..2 {
        request.put_i32(partition);
        request.put_slice(b"\0\0\0\x03old");
    }
    request
}

#[tokio::test]
async fn old_produce_is_told_that_its_version_is_not_supported() {
    let running = start(Limits::default());
    let mut client = running.connect().await;
    for version in 0..3_i16 {
        client.send(&sized(&old_produce(version, 1))).await;
        let (correlation_id, mut body) = client.answer().await;
        assert_eq!(correlation_id, 5);
        assert_eq!(body.get_i32(), 1);
        assert_eq!(&body.split_to(8)[..], b"\0\x06trades");
        assert_eq!(body.get_i32(), 2);
        for partition in 0..2 {
            assert_eq!((body.get_i32(), body.get_i16(), body.get_i64()), (partition, 35, -1));
            assert!(version < 2 || body.get_i64() == -1);
        }
        assert!(version < 1 || body.get_i32() == 0);
        assert!(body.is_empty());
    }
    client.send(&sized(&old_produce(2, 0))).await;
    client.is_closed().await;
}

#[tokio::test]
async fn produce_is_decoded_from_version_3() {
    let running = start(Limits::default());
    let mut client = running.connect().await;
    client.send(&produce(8, "decoded", -1, 100)).await;
    Gate::named("decoded").opened.notify_one();
    let (correlation_id, mut body) = client.answer().await;
    assert_eq!((correlation_id, body.get_u8()), (8, 0));
    assert!(decoded::<ProduceResponse>(body, 9).responses.is_empty());
}
