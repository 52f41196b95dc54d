//! The listener behind HTTP, with bounds: so many connections at once, and none on which nothing moves.
//!
//! At the bound further connections wait until one ends; a silent one ends after a minute, so that waiting does.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::serve::Listener;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, Sleep, sleep};

/// Tools and scrapers of one broker; there are few.
const CONNECTIONS_MAX: usize = 256;
const IDLE_TIMEOUT: Duration = Duration::from_mins(1);

/// A TCP listener with bounds.
pub(super) struct Bounded {
    listener: TcpListener,
    room: Arc<Semaphore>,
    idle_timeout: Duration,
}

impl Bounded {
    pub(super) fn new(listener: TcpListener) -> Self {
        Self::with(listener, CONNECTIONS_MAX, IDLE_TIMEOUT)
    }

    fn with(listener: TcpListener, connections_max: usize, idle_timeout: Duration) -> Self {
        Self { listener, room: Arc::new(Semaphore::new(connections_max)), idle_timeout }
    }
}

impl Listener for Bounded {
    type Io = Moving;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        let permit = Arc::clone(&self.room).acquire_owned().await.expect("nobody closes the semaphore");
        let (stream, peer) = Listener::accept(&mut self.listener).await;
        let idle = Box::pin(sleep(self.idle_timeout));
        (Moving { stream, idle, idle_timeout: self.idle_timeout, _permit: permit }, peer)
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        self.listener.local_addr()
    }
}

/// A connection that fails when nothing has moved on it for a while.
pub(super) struct Moving {
    stream: TcpStream,
    idle: Pin<Box<Sleep>>,
    idle_timeout: Duration,
    _permit: OwnedSemaphorePermit,
}

impl Moving {
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
        self.watch(cx, |stream, cx| stream.poll_read(cx, buffer))
    }
}

impl AsyncWrite for Moving {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &[u8]) -> Poll<io::Result<usize>> {
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
        self.watch(cx, |stream, cx| stream.poll_write_vectored(cx, buffers))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    async fn bounded(connections_max: usize, idle_timeout: Duration) -> Bounded {
        Bounded::with(TcpListener::bind("127.0.0.1:0").await.unwrap(), connections_max, idle_timeout)
    }

    #[tokio::test]
    async fn a_connection_waits_for_room() {
        let mut bounded = bounded(1, IDLE_TIMEOUT).await;
        let address = bounded.local_addr().unwrap();
        let (_one, _two) = (TcpStream::connect(address).await.unwrap(), TcpStream::connect(address).await.unwrap());
        let (first, _) = bounded.accept().await;
        assert!(tokio::time::timeout(Duration::from_millis(1), bounded.accept()).await.is_err());
        drop(first);
        bounded.accept().await;
    }

    #[tokio::test]
    async fn a_silent_connection_fails_and_a_moving_one_does_not() {
        let mut bounded = bounded(1, Duration::from_millis(20)).await;
        let mut client = TcpStream::connect(bounded.local_addr().unwrap()).await.unwrap();
        let (mut server, _) = bounded.accept().await;
        client.write_all(b"x").await.unwrap();
        assert_eq!(server.read_u8().await.unwrap(), b'x');
        assert_eq!(server.read_u8().await.unwrap_err().kind(), io::ErrorKind::TimedOut);
    }
}
