//! Frames that no client would send.

use bytes::{BufMut, Bytes, BytesMut};
use tokio::io::AsyncWriteExt;

use super::harness::*;
use crate::limits::Limits;

/// A request header of version 1.
fn header(key: i16, version: i16) -> BytesMut {
    let mut frame = BytesMut::new();
    frame.put_i16(key);
    frame.put_i16(version);
    frame.put_i32(99);
    frame.put_i16(-1);
    frame
}

/// What comes before the frame is answered, then the connection ends.
async fn ends_the_connection(bytes: Bytes, reason: &str) {
    let running = start(Limits::default());
    let mut client = running.connect().await;
    client.quick_heartbeat(1, "hostile").await;
    client.send(&bytes).await;
    client.is_answered(1).await;
    client.is_closed().await;
    assert_eq!(running.closed(reason), 1);
}

#[tokio::test]
async fn a_negative_length_ends_the_connection() {
    ends_the_connection(Bytes::from_static(&[0xff; 4]), "frame_size").await;
    ends_the_connection(Bytes::from_static(&[0x80, 0, 0, 0]), "frame_size").await;
}

#[tokio::test]
async fn a_length_over_the_limit_ends_the_connection() {
    ends_the_connection(Bytes::from_static(&[0x7f, 0xff, 0xff, 0xff]), "frame_size").await;
    let over = i32::try_from(Limits::default().frame_bytes_max + 1).unwrap();
    ends_the_connection(Bytes::copy_from_slice(&over.to_be_bytes()), "frame_size").await;
}

#[tokio::test]
async fn a_length_without_room_for_a_header_ends_the_connection() {
    for size in 0..8 {
        let mut frame = vec![0; 4 + usize::from(size)];
        frame[3] = size;
        ends_the_connection(frame.into(), "frame_size").await;
    }
}

#[tokio::test]
async fn an_api_that_is_not_served_ends_the_connection() {
    for key in [-1, 4, 127, 128, i16::MAX, i16::MIN] {
        ends_the_connection(sized(&header(key, 0)), "refused").await;
    }
}

#[tokio::test]
async fn a_version_that_is_not_served_ends_the_connection() {
    for version in [-1, 5, i16::MAX] {
        ends_the_connection(sized(&header(12, version)), "refused").await;
    }
}

#[tokio::test]
async fn a_truncated_body_ends_the_connection() {
    let whole = heartbeat(7, "truncated", 0);
    for len in 8..whole.len() - 4 {
        ends_the_connection(sized(&whole[4..4 + len]), "refused").await;
    }
    assert_eq!(events("truncated "), Vec::<String>::new());
}

#[tokio::test]
async fn a_count_of_two_billion_ends_the_connection() {
    // Produce 3: no transactional id, acks 1, a timeout, and 2³¹ − 1 topics.
    let mut frame = header(0, 3);
    frame.put_i16(-1);
    frame.put_i16(1);
    frame.put_i32(1_000);
    frame.put_i32(i32::MAX);
    ends_the_connection(sized(&frame), "refused").await;
}

#[tokio::test]
async fn a_text_that_is_none_ends_the_connection() {
    let mut frame = header(12, 0);
    frame.put_slice(&[0, 2, 0xff, 0xfe, 0, 0, 0, 1, 0, 0]);
    ends_the_connection(sized(&frame), "refused").await;
}

#[tokio::test]
async fn bytes_behind_a_request_are_ignored_as_in_kafka() {
    let running = start(Limits::default());
    let mut client = running.connect().await;
    let mut longer = BytesMut::from(&heartbeat(5, "longer", 0)[4..]);
    longer.put_slice(b"behind");
    client.send(&sized(&longer)).await;
    client.is_answered(5).await;
}

#[tokio::test]
async fn a_client_id_that_is_no_text_is_taken() {
    let running = start(Limits::default());
    let mut client = running.connect().await;
    let mut frame = BytesMut::new();
    frame.put_slice(&[0, 12, 0, 0, 0, 0, 0, 3, 0, 2, 0xff, 0xfe]);
    frame.put_slice(&[0, 1, b'g', 0, 0, 0, 0, 0, 0]);
    client.send(&sized(&frame)).await;
    client.is_answered(3).await;
}

#[tokio::test]
async fn a_frame_may_come_byte_by_byte() {
    let running = start(Limits::default());
    let mut client = running.connect().await;
    client.stream.set_nodelay(true).unwrap();
    for byte in heartbeat(4, "bytewise", 0) {
        client.send(&[byte]).await;
    }
    client.is_answered(4).await;
}

#[tokio::test]
async fn a_client_that_leaves_within_a_frame_is_gone() {
    let running = start(Limits::default());
    let mut client = running.connect().await;
    client.send(&heartbeat(1, "half", 0)[..9]).await;
    client.stream.shutdown().await.unwrap();
    client.is_closed().await;
    assert_eq!(events("half "), Vec::<String>::new());
}
