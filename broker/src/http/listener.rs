//! The listener behind HTTP, with bounds: so many connections at once, not all of them from one address, none on which
//! nothing moves, and none that takes its time with the head of a request.
//!
//! At the bound of all further connections wait until one ends; silent ones and those with half a head end after a while, so
//! that waiting does. At the bound of its address a connection is closed as it comes.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::serve::Listener;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, Sleep, sleep};

use crate::limits::HttpLimits;

/// A TCP listener with bounds.
pub(super) struct Bounded {
    listener: TcpListener,
    room: Arc<Semaphore>,
    by_address: Arc<ByAddress>,
    limits: Arc<HttpLimits>,
}

impl Bounded {
    pub(super) fn new(listener: TcpListener, limits: Arc<HttpLimits>) -> Self {
        let room = Arc::new(Semaphore::new(limits.connections_max.min(Semaphore::MAX_PERMITS)));
        Self { listener, room, by_address: Arc::default(), limits }
    }
}

impl Listener for Bounded {
    type Io = Moving;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        let permit = Arc::clone(&self.room).acquire_owned().await.expect("nobody closes the semaphore");
        loop {
            let (stream, peer) = Listener::accept(&mut self.listener).await;
            if let Some(place) = Place::take(&self.by_address, peer.ip(), self.limits.connections_per_address_max) {
                return (Moving::new(stream, &self.limits, (permit, place)), peer);
            }
        }
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        self.listener.local_addr()
    }
}

/// Open connections of each address that has any.
type ByAddress = Mutex<HashMap<IpAddr, usize>>;

/// One connection among those of its address.
struct Place {
    by_address: Arc<ByAddress>,
    address: IpAddr,
}

impl Place {
    fn take(by_address: &Arc<ByAddress>, address: IpAddr, most: usize) -> Option<Self> {
        let address = address.to_canonical();
        let mut open = by_address.lock().unwrap_or_else(PoisonError::into_inner);
        if open.get(&address).is_some_and(|count| *count >= most) {
            return None;
        }
        *open.entry(address).or_default() += 1;
        Some(Self { by_address: Arc::clone(by_address), address })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.by_address.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = open.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.address);
            }
        }
    }
}

/// What a client is told that asks, by `Expect: 100-continue`, before it sends the body: no answer yet.
const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// How far a connection has come with the head of its next request, which ends with an empty line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Seen {
    /// Nothing: empty lines before it are no part of it.
    Nothing,
    /// Some of a line.
    Line,
    /// Lines, the last one whole.
    Lines,
    /// All of it; its request is under way.
    Whole,
}

/// The head of the next request, and how long it may take.
struct Head {
    seen: Seen,
    is_timed: bool,
    timeout: Duration,
    deadline: Pin<Box<Sleep>>,
}

impl Head {
    fn awaited(timeout: Duration) -> Self {
        Self { seen: Seen::Nothing, is_timed: true, timeout, deadline: Box::pin(sleep(timeout)) }
    }

    fn read(&mut self, bytes: &[u8]) {
        if self.seen == Seen::Whole || bytes.is_empty() {
            return;
        }
        if !self.is_timed {
            self.deadline.as_mut().reset(Instant::now() + self.timeout);
            self.is_timed = true;
        }
        for byte in bytes {
            self.seen = match (byte, self.seen) {
                (b'\n', Seen::Lines) => {
                    (self.seen, self.is_timed) = (Seen::Whole, false);
                    return;
                }
                (b'\n', Seen::Line) => Seen::Lines,
                (b'\r' | b'\n', seen) => seen,
                _ => Seen::Line,
            }
        }
    }

    /// This is being written: once it is of the answer to its request, another may follow.
    fn written(&mut self, bytes: &[u8]) {
        if self.seen == Seen::Whole && bytes != CONTINUE {
            self.seen = Seen::Nothing;
        }
    }

    fn is_late(&mut self, cx: &mut Context<'_>) -> bool {
        self.is_timed && self.deadline.as_mut().poll(cx).is_ready()
    }
}

/// A connection that fails when nothing has moved on it for a while, or a head takes too long.
pub(super) struct Moving {
    stream: TcpStream,
    idle: Pin<Box<Sleep>>,
    idle_timeout: Duration,
    head: Head,
    _room: (OwnedSemaphorePermit, Place),
}

impl Moving {
    fn new(stream: TcpStream, limits: &HttpLimits, room: (OwnedSemaphorePermit, Place)) -> Self {
        let HttpLimits { idle_timeout, head_timeout, .. } = *limits;
        let idle = Box::pin(sleep(idle_timeout));
        Self { stream, idle, idle_timeout, head: Head::awaited(head_timeout), _room: room }
    }

    /// What `poll` did on the stream; a stream that has waited for too long fails.
    fn watch<T>(
        &mut self,
        cx: &mut Context<'_>,
        poll: impl FnOnce(Pin<&mut TcpStream>, &mut Context<'_>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if let Poll::Ready(done) = poll(Pin::new(&mut self.stream), cx) {
            let until = Instant::now() + self.idle_timeout;
            self.idle.as_mut().reset(until);
            return Poll::Ready(done);
        }
        ready!(self.idle.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for Moving {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = self.watch(cx, |stream, cx| stream.poll_read(cx, buffer));
        if read.is_pending() && self.head.is_late(cx) {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        self.head.read(&buffer.filled()[before..]);
        read
    }
}

impl AsyncWrite for Moving {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &[u8]) -> Poll<io::Result<usize>> {
        self.head.written(buffer);
        self.watch(cx, |stream, cx| stream.poll_write(cx, buffer))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.watch(cx, AsyncWrite::poll_flush)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.watch(cx, AsyncWrite::poll_shutdown)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        buffers.iter().filter(|buffer| !buffer.is_empty()).for_each(|buffer| self.head.written(buffer));
        self.watch(cx, |stream, cx| stream.poll_write_vectored(cx, buffers))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::body::Bytes;
    use axum::http::StatusCode;
    use axum::routing::post;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    async fn bounded(limits: HttpLimits) -> Bounded {
        Bounded::new(TcpListener::bind("127.0.0.1:0").await.unwrap(), Arc::new(limits))
    }

    #[tokio::test]
    async fn a_connection_waits_for_room() {
        let mut bounded = bounded(HttpLimits { connections_max: 1, ..HttpLimits::default() }).await;
        let address = bounded.local_addr().unwrap();
        let (_one, _two) = (TcpStream::connect(address).await.unwrap(), TcpStream::connect(address).await.unwrap());
        let (first, _) = bounded.accept().await;
        assert!(tokio::time::timeout(Duration::from_millis(1), bounded.accept()).await.is_err());
        drop(first);
        bounded.accept().await;
    }

    #[tokio::test]
    async fn a_silent_connection_fails_and_a_moving_one_does_not() {
        let mut bounded =
            bounded(HttpLimits { idle_timeout: Duration::from_millis(20), ..HttpLimits::default() }).await;
        let mut client = TcpStream::connect(bounded.local_addr().unwrap()).await.unwrap();
        let (mut server, _) = bounded.accept().await;
        client.write_all(b"x").await.unwrap();
        assert_eq!(server.read_u8().await.unwrap(), b'x');
        assert_eq!(server.read_u8().await.unwrap_err().kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn one_address_has_its_share() {
        let mut bounded = bounded(HttpLimits { connections_per_address_max: 1, ..HttpLimits::default() }).await;
        let address = bounded.local_addr().unwrap();
        let _first = TcpStream::connect(address).await.unwrap();
        let (admitted, _) = bounded.accept().await;
        let mut second = TcpStream::connect(address).await.unwrap();
        assert!(tokio::time::timeout(Duration::from_millis(20), bounded.accept()).await.is_err());
        assert_eq!(second.read(&mut [0]).await.unwrap(), 0, "it is closed");
        drop(admitted);
        let _third = TcpStream::connect(address).await.unwrap();
        bounded.accept().await;
    }

    #[tokio::test]
    async fn half_a_head_is_not_waited_for() {
        let mut bounded =
            bounded(HttpLimits { head_timeout: Duration::from_millis(20), ..HttpLimits::default() }).await;
        let mut client = TcpStream::connect(bounded.local_addr().unwrap()).await.unwrap();
        let (mut server, _) = bounded.accept().await;
        client.write_all(b"GET / HTTP/1.1\r\nhost: h\r\n").await.unwrap();
        let mut buffer = Vec::new();
        assert_eq!(server.read_to_end(&mut buffer).await.unwrap_err().kind(), io::ErrorKind::TimedOut);
    }

    /// Reads as much as is expected, which it has to be.
    async fn expect(client: &mut TcpStream, expected: &str) {
        let mut buffer = vec![0; expected.len()];
        client.read_exact(&mut buffer).await.unwrap();
        assert_eq!(String::from_utf8(buffer).unwrap(), expected);
    }

    /// The handler takes longer than a head may: that is the test's subject.
    #[tokio::test]
    async fn a_client_that_asks_before_it_sends_a_body_is_told_to_and_waits_for_a_slow_answer() {
        let head_timeout = Duration::from_millis(20);
        let bounded = bounded(HttpLimits { head_timeout, ..HttpLimits::default() }).await;
        let mut client = TcpStream::connect(bounded.local_addr().unwrap()).await.unwrap();
        let slow = move |body: Bytes| async move {
            sleep(5 * head_timeout).await;
            body
        };
        let router =
            Router::new().route("/slow", post(slow)).route("/refused", post(|| async { StatusCode::CONFLICT }));
        let served = tokio::spawn(axum::serve(bounded, router).into_future());
        let head =
            |path| format!("POST {path} HTTP/1.1\r\nhost: h\r\ncontent-length: 4\r\nexpect: 100-continue\r\n\r\n");
        for _ in 0..2 {
            client.write_all(head("/slow").as_bytes()).await.unwrap();
            expect(&mut client, "HTTP/1.1 100 Continue\r\n\r\n").await;
            client.write_all(b"body").await.unwrap();
            expect(&mut client, "HTTP/1.1 200 OK\r\n").await;
            while client.read_u8().await.unwrap() != b'\n' || client.read_u8().await.unwrap() != b'\r' {}
            expect(&mut client, "\nbody").await;
        }
        client.write_all(head("/refused").as_bytes()).await.unwrap();
        expect(&mut client, "HTTP/1.1 409 Conflict\r\n").await;
        served.abort();
    }

    #[tokio::test]
    async fn a_head_ends_with_its_empty_line_and_the_next_begins_with_its_first_byte() {
        let mut head = Head::awaited(Duration::from_secs(1));
        head.read(b"\r\n\r\n");
        assert!(head.is_timed && head.seen == Seen::Nothing, "empty lines are no head");
        head.read(b"GET / HTTP/1.1\r\na: b\r\n\r");
        assert!(head.is_timed && head.seen == Seen::Lines);
        head.read(b"\n{body");
        assert!(head.seen == Seen::Whole && !head.is_timed);
        head.written(CONTINUE);
        head.read(b"more of the body");
        assert!(head.seen == Seen::Whole && !head.is_timed, "what follows a leave to send it is the body");
        head.written(b"HTTP/1.1 200 OK\r\n");
        assert!(head.seen == Seen::Nothing && !head.is_timed);
        head.read(b"G");
        assert!(head.is_timed);
    }
}
