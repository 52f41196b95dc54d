//! Answers to a socket, in the order of their requests. Only the oldest reply is awaited; those that are known when it is
//! leave together, in one vectored write; what lies in files goes from the kernel's cache, by `sendfile`.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use millpond_storage::Engine;
use rustix::net::{SendAncillaryBuffer, SendFlags, sendmsg};
use tokio::io::Interest;
use tokio::net::TcpStream;
use tokio::net::tcp::WriteHalf;

use super::lane::{Lane, Queued};
use crate::api::{Frame, Outgoing, Piece, Reply};
use crate::metrics::{ApiMetrics, Stage};

/// Pieces handed to one call. More would need a larger array for little gain.
const PIECES_MAX: usize = 64;
/// A batch is written when it has so many bytes, even if more answers are known.
const BATCH_BYTES: usize = 1 << 20;

/// How the answers of a connection ended.
#[derive(Debug, thiserror::Error)]
pub(super) enum Finished {
    /// All are written.
    #[error("all is answered")]
    All,
    /// A request ends the connection.
    #[error("{0}")]
    Close(&'static str),
    /// The engine has ended.
    #[error("the broker ends")]
    Ended,
    /// The socket failed.
    #[error(transparent)]
    Socket(io::Error),
}

/// The answers that a client gets.
pub(super) struct Answers<'a> {
    socket: WriteHalf<'a>,
    lane: &'a Lane<'a>,
    /// By place in the table.
    metrics: &'a [Arc<ApiMetrics>],
    engine: &'a Engine,
    pieces: VecDeque<Piece>,
    bytes: usize,
    /// What is in the pieces: place, length and when each became known.
    frames: Vec<(usize, usize, Instant)>,
}

impl<'a> Answers<'a> {
    pub(super) fn new(
        socket: WriteHalf<'a>,
        lane: &'a Lane<'a>,
        metrics: &'a [Arc<ApiMetrics>],
        engine: &'a Engine,
    ) -> Self {
        Self { socket, lane, metrics, engine, pieces: VecDeque::new(), bytes: 0, frames: Vec::new() }
    }

    /// Writes answers until there are no more.
    pub(super) async fn write_all(mut self) -> Finished {
        self.run().await.unwrap_or_else(Finished::Socket)
    }

    async fn run(&mut self) -> io::Result<Finished> {
        while let Some(queued) = self.next().await? {
            let (place, handled) = (queued.place, queued.handled);
            let (outgoing, known) = self.outgoing(queued).await?;
            self.metrics[place].stage(Stage::Wait, known - handled);
            match outgoing {
                // An answer may be of its end, which Java takes for final; from a lost connection every client comes back.
                Outgoing::Frame(_) if self.engine.has_ended() => return Ok(Finished::Ended),
                Outgoing::Frame(frame) => self.add(frame, place, known),
                Outgoing::Silent => {}
                Outgoing::Close(reason) => {
                    self.flush().await?;
                    return Ok(Finished::Close(reason));
                }
            }
            if self.bytes >= BATCH_BYTES || self.pieces.len() >= PIECES_MAX {
                self.flush().await?;
            }
        }
        Ok(Finished::All)
    }

    /// The oldest reply. What is gathered is written before there is anything to wait for.
    async fn next(&mut self) -> io::Result<Option<Queued>> {
        if let Some(queued) = self.lane.try_next() {
            return Ok(Some(queued));
        }
        self.flush().await?;
        Ok(self.lane.next().await)
    }

    /// Awaits a reply, and says when it was there. From then on its request no longer counts as under way.
    async fn outgoing(&mut self, queued: Queued) -> io::Result<(Outgoing, Instant)> {
        let Queued { reply, request_bytes, charge: _charge, .. } = queued;
        let mut waiting = match reply {
            Reply::Ready(outgoing) => {
                let now = Instant::now();
                self.lane.resolved(request_bytes, None, now);
                return Ok((outgoing, now));
            }
            Reply::Waiting(waiting) => waiting,
        };
        let outgoing = match poll_fn(|cx| Poll::Ready(waiting.as_mut().poll(cx))).await {
            Poll::Ready(outgoing) => outgoing,
            Poll::Pending => {
                self.flush().await?;
                waiting.await
            }
        };
        let now = Instant::now();
        self.lane.resolved(request_bytes, Some(&outgoing), now);
        Ok((outgoing, now))
    }

    fn add(&mut self, frame: Frame, place: usize, known: Instant) {
        self.frames.push((place, frame.len(), known));
        self.bytes += frame.len();
        self.pieces.push_back(frame.head.into());
        self.pieces.extend(frame.body.into_iter().filter(|piece| !piece.is_empty()));
    }

    async fn flush(&mut self) -> io::Result<()> {
        let Some((.., mut now)) = self.frames.last().copied() else { return Ok(()) };
        self.lane.writing(now);
        while !self.pieces.is_empty() {
            let written = poll_fn(|cx| poll_send(self.socket.as_ref(), &self.pieces, cx)).await?;
            if written == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            self.take(written);
            now = Instant::now();
            self.lane.sent(written, self.pieces.is_empty(), now);
        }
        self.bytes = 0;
        for (place, len, known) in self.frames.drain(..) {
            self.metrics[place].response(len as u64);
            self.metrics[place].stage(Stage::Send, now - known);
        }
        Ok(())
    }

    /// Drops what the socket took.
    fn take(&mut self, mut written: usize) {
        while let Some(first) = self.pieces.front_mut() {
            if written < first.len() {
                first.advance(written);
                return;
            }
            written -= first.len();
            self.pieces.pop_front();
        }
    }
}

/// Hands the first pieces to the socket.
fn poll_send(socket: &TcpStream, pieces: &VecDeque<Piece>, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
    loop {
        ready!(socket.poll_write_ready(cx))?;
        match socket.try_io(Interest::WRITABLE, || send(socket, pieces)) {
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {}
            sent => return Poll::Ready(sent),
        }
    }
}

/// Hands over the first piece, if it lies in a file, or else those before the first that does: then the kernel knows that more follows.
fn send(socket: &TcpStream, pieces: &VecDeque<Piece>) -> io::Result<usize> {
    let mut slices = [IoSlice::new(&[]); PIECES_MAX];
    let mut count = 0;
    let mut flags = SendFlags::NOSIGNAL;
    for (slice, piece) in slices.iter_mut().zip(pieces) {
        match piece {
            Piece::Bytes(bytes) => *slice = IoSlice::new(bytes),
            Piece::Stored(stored) if count == 0 => return stored.send(socket.as_fd()),
            Piece::Stored(_) => {
                flags |= SendFlags::MORE;
                break;
            }
        }
        count += 1;
    }
    Ok(sendmsg(socket, &slices[..count], &mut SendAncillaryBuffer::default(), flags)?)
}
