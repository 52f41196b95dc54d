//! The body of the fuzz target `frames` (`docs/testing.md`): any bytes, in any pieces, through a socket to the frame reader.
//!
//! The module exists in tests and with the feature `fuzzing` only.

use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use bytes::Bytes;
use socket2::SockRef;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Runtime};

use super::budget::Budget;
use super::lane::Lane;
use super::read::{Broken, Frames};
use crate::limits::Limits;
use crate::metrics::Gauge;

/// The longest frame that is taken.
const FRAME_BYTES_MAX: usize = 4 << 10;
/// Room for all frames that are held: less than a hostile client claims, and more than one frame.
const QUEUED_BYTES_MAX: usize = 16 << 10;

thread_local! {
    static RUNTIME: Runtime = Builder::new_current_thread().enable_all().build().expect("a runtime starts");
}

/// The first byte says in how large pieces the rest goes to the socket. What the reader gives must be what the bytes say, and the
/// budget must be whole again when all is read.
pub fn frames(data: &[u8]) {
    let [step, stream @ ..] = data else { return };
    let step = [1, 3, 7, 64, 1_000, usize::MAX][usize::from(*step) % 6];
    RUNTIME.with(|runtime| {
        let reading = async { tokio::time::timeout(Duration::from_mins(1), read(stream, step)).await };
        let (found, ended) = runtime.block_on(reading).expect("the reader does not wait for what has been sent");
        let (expected, end) = expected(stream);
        assert_eq!(found, expected);
        assert_eq!(ended, end);
    });
}

/// How a stream of frames ends.
#[derive(Debug, PartialEq, Eq)]
enum End {
    Closed,
    Size(i32),
}

/// The frames of a stream, and how it ends: by the protocol's own words.
fn expected(mut stream: &[u8]) -> (Vec<Bytes>, End) {
    let mut frames = Vec::new();
    while let Some((size, rest)) = stream.split_first_chunk() {
        let size = i32::from_be_bytes(*size);
        let Some(length) = usize::try_from(size).ok().filter(|length| (8..=FRAME_BYTES_MAX).contains(length)) else {
            return (frames, End::Size(size));
        };
        let Some((frame, rest)) = rest.split_at_checked(length) else { break };
        frames.push(Bytes::copy_from_slice(frame));
        stream = rest;
    }
    (frames, End::Closed)
}

async fn read(stream: &[u8], step: usize) -> (Vec<Bytes>, End) {
    let (client, mut server) = pair().await;
    let limits = Limits { queued_bytes_max: QUEUED_BYTES_MAX, ..Limits::default() };
    let (unsent, charged) = (AtomicUsize::new(0), Gauge::default());
    let (lane, budget) = (Lane::new(&limits, &unsent), Budget::new(&limits, charged.clone()));
    let mut frames = Frames::new(server.split().0, &lane, &budget, FRAME_BYTES_MAX);
    let (_client, outcome) = tokio::join!(send(client, stream, step), receive(&mut frames));
    drop(frames);
    assert_eq!(charged.get(), 0, "something is still charged");
    outcome
}

/// Sends the stream in pieces and ends it. (A reader that has had enough may close first.)
async fn send(mut client: TcpStream, stream: &[u8], step: usize) -> TcpStream {
    for piece in stream.chunks(step) {
        if client.write_all(piece).await.is_err() {
            break;
        }
        tokio::task::yield_now().await;
    }
    let _closed = client.shutdown().await;
    client
}

async fn receive(frames: &mut Frames<'_>) -> (Vec<Bytes>, End) {
    let mut found = Vec::new();
    loop {
        let announced = match frames.announced().await {
            Ok(announced) => announced,
            Err(broken) => return (found, end(broken)),
        };
        match frames.frame(announced).await {
            // Charges are given back at once: this client waits for nothing.
            Ok((frame, _charge)) => found.push(frame),
            Err(broken) => return (found, end(broken)),
        }
    }
}

fn end(broken: Broken) -> End {
    match broken {
        Broken::Closed => End::Closed,
        Broken::Size(size) => End::Size(size),
        Broken::Socket(error) => panic!("the socket failed: {error}"),
    }
}

/// Two ends of a connection that leave nothing behind when they are dropped, or many thousands of them would use up the ports.
async fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    let client = TcpStream::connect(address).await.expect("it listens");
    let (server, _) = listener.accept().await.expect("a client connects");
    for end in [&client, &server] {
        SockRef::from(end).set_linger(Some(Duration::ZERO)).expect("a socket of ours");
    }
    (client, server)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Frames with lengths that are right, wrong, or claimed and never sent.
    fn stream() -> impl Strategy<Value = Vec<u8>> {
        let body = prop::collection::vec(any::<u8>(), 0..100);
        let size = prop_oneof![6 => Just(None), 1 => any::<i32>().prop_map(Some), 1 => (0..5_000).prop_map(Some)];
        let frame = (size, body, 0..40_usize).prop_map(|(size, mut body, more)| {
            body.resize(body.len() + more * more, 7);
            let right = i32::try_from(body.len()).unwrap();
            [&size.unwrap_or(right).to_be_bytes()[..], &body].concat()
        });
        prop::collection::vec(frame, 0..6).prop_map(|frames| frames.concat())
    }

    #[test]
    fn the_seeds_hold() {
        for seed in std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../fuzz/seeds/frames")).unwrap() {
            frames(&std::fs::read(seed.unwrap().path()).unwrap());
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(500))]

        #[test]
        fn any_stream_is_read_as_it_says(step in any::<u8>(), stream in stream(), cut in any::<prop::sample::Index>(), whole: bool) {
            let end = if whole { stream.len() } else { cut.index(stream.len() + 1) };
            frames(&[&[step], &stream[..end]].concat());
        }
    }
}
