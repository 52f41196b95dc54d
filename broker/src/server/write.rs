//! Answers to a socket, in the order of their requests. Only the oldest reply is awaited; those that are known when it is
//! leave together, in one vectored write.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::{Buf, Bytes};
use tokio::io::AsyncWrite;
use tokio::net::tcp::WriteHalf;

use super::lane::{Lane, Queued};
use crate::api::{Frame, Outgoing, Reply};
use crate::metrics::{ApiMetrics, Stage};

/// Segments handed to one call. More would need a larger array for little gain.
const SEGMENTS_MAX: usize = 64;
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
    segments: VecDeque<Bytes>,
    bytes: usize,
    /// What is in the segments: place, length and when each became known.
    frames: Vec<(usize, usize, Instant)>,
}

impl<'a> Answers<'a> {
    pub(super) fn new(socket: WriteHalf<'a>, lane: &'a Lane<'a>, metrics: &'a [Arc<ApiMetrics>]) -> Self {
        Self { socket, lane, metrics, segments: VecDeque::new(), bytes: 0, frames: Vec::new() }
    }

    /// Writes answers until there are no more.
    pub(super) async fn write_all(mut self) -> Finished {
        self.run().await.unwrap_or_else(Finished::Socket)
    }

    async fn run(&mut self) -> io::Result<Finished> {
        while let Some(queued) = self.next().await? {
            let (place, handled) = (queued.place, queued.handled);
            let outgoing = self.outgoing(queued).await?;
            let known = Instant::now();
            self.metrics[place].stage(Stage::Wait, known - handled);
            match outgoing {
                Outgoing::Frame(frame) => self.add(frame, place, known),
                Outgoing::Silent => {}
                Outgoing::Close(reason) => {
                    self.flush().await?;
                    return Ok(Finished::Close(reason));
                }
            }
            if self.bytes >= BATCH_BYTES || self.segments.len() >= SEGMENTS_MAX {
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

    /// Awaits a reply. From then on its request no longer counts as under way.
    async fn outgoing(&mut self, queued: Queued) -> io::Result<Outgoing> {
        let Queued { reply, request_bytes, charge: _charge, .. } = queued;
        let mut waiting = match reply {
            Reply::Ready(outgoing) => {
                self.lane.resolved(request_bytes, None);
                return Ok(outgoing);
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
        self.lane.resolved(request_bytes, Some(&outgoing));
        Ok(outgoing)
    }

    fn add(&mut self, frame: Frame, place: usize, known: Instant) {
        self.frames.push((place, frame.len(), known));
        self.bytes += frame.len();
        self.segments.push_back(frame.head);
        self.segments.extend(frame.body.into_iter().filter(|segment| !segment.is_empty()));
    }

    async fn flush(&mut self) -> io::Result<()> {
        if self.segments.is_empty() {
            return Ok(());
        }
        self.lane.writing();
        while !self.segments.is_empty() {
            let written = poll_fn(|cx| poll_write(&mut self.socket, &self.segments, cx)).await?;
            if written == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            self.take(written);
            self.lane.sent(written, self.segments.is_empty());
        }
        self.bytes = 0;
        let now = Instant::now();
        for (place, len, known) in self.frames.drain(..) {
            self.metrics[place].response(len as u64);
            self.metrics[place].stage(Stage::Send, now - known);
        }
        Ok(())
    }

    /// Drops what the socket took.
    fn take(&mut self, mut written: usize) {
        while let Some(first) = self.segments.front_mut() {
            if written < first.len() {
                first.advance(written);
                return;
            }
            written -= first.len();
            self.segments.pop_front();
        }
    }
}

/// Hands the first segments to the socket. (A function of its own, so that a connection that waits does not hold the
/// array.)
fn poll_write(socket: &mut WriteHalf<'_>, segments: &VecDeque<Bytes>, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
    let mut slices = [IoSlice::new(&[]); SEGMENTS_MAX];
    for (slice, segment) in slices.iter_mut().zip(segments) {
        *slice = IoSlice::new(segment);
    }
    let count = segments.len().min(SEGMENTS_MAX);
    Pin::new(socket).poll_write_vectored(cx, &slices[..count])
}
