//! Frames from a socket. A frame is a 32-bit length, then so many bytes.
//!
//! A connection that waits for its next frame holds no buffer. A read takes whatever is there, up to the size that the
//! client's frames have, so that one call brings in many small frames, or one large frame whole and little else. For a
//! frame larger than the buffer, the buffer grows as bytes arrive: what a length claims is not believed. Frames are
//! slices of the buffer and are never copied again.
//!
//! Invariant: what a connection holds of frames is charged to the budget, but for [`BUFFER_MIN`] bytes.

use std::time::Instant;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use kafka_protocol::messages::ApiKey;
use tokio::io::AsyncReadExt;
use tokio::net::tcp::ReadHalf;

use super::budget::{Budget, Charge};
use super::lane::{Lane, Reading};

const SIZE: usize = 4;
/// The buffer of a client with small frames, and of every client when there is no room for more.
const BUFFER_MIN: usize = 16 << 10;
/// The most that is made ready for a frame of which nothing is known.
const BUFFER_MAX: usize = 1 << 20;
/// Room behind a frame as large as the last one: its successors are rarely just as large.
const SLACK: usize = 1 << 10;
/// The least that is charged at once of a frame that is not here yet.
const STEP_MIN: usize = 64 << 10;
/// The most that is, unless it is here already; the largest part of a frame that has a clock of its own.
const STEP_MAX: usize = 1 << 20;
/// API key, version and correlation id.
const FRAME_MIN: usize = 8;

/// Why there is no further frame.
#[derive(Debug, thiserror::Error)]
pub(super) enum Broken {
    /// The client closed the connection, between frames or within one.
    #[error("closed by the client")]
    Closed,
    /// The length cannot be one.
    #[error("a frame of {0} bytes")]
    Size(i32),
    /// The socket failed.
    #[error(transparent)]
    Socket(#[from] std::io::Error),
}

/// What is known of a frame before it has arrived.
#[derive(Clone, Copy, Debug)]
pub(super) struct Announced {
    /// Its length, without the four bytes that say so.
    pub(super) size: usize,
    /// Its API key.
    key: i16,
}

impl Announced {
    /// Whether it is a Produce request.
    pub(super) fn is_produce(self) -> bool {
        self.key == ApiKey::Produce as i16
    }
}

/// The frames that a client sends.
pub(super) struct Frames<'a> {
    socket: ReadHalf<'a>,
    lane: &'a Lane<'a>,
    budget: &'a Budget,
    buffer: BytesMut,
    /// For a buffer larger than the least.
    ahead: Charge,
    frame_bytes_max: usize,
    /// How much is read at once when nothing is known of the next frame.
    expected: usize,
}

impl<'a> Frames<'a> {
    pub(super) fn new(socket: ReadHalf<'a>, lane: &'a Lane<'a>, budget: &'a Budget, frame_bytes_max: usize) -> Self {
        let (buffer, ahead) = (BytesMut::new(), budget.nothing());
        Self { socket, lane, budget, buffer, ahead, frame_bytes_max, expected: BUFFER_MIN }
    }

    /// Waits for the head of the next frame and leaves it in the buffer.
    pub(super) async fn announced(&mut self) -> Result<Announced, Broken> {
        self.head(SIZE).await?;
        let size = (&self.buffer[..SIZE]).get_i32();
        let announced = usize::try_from(size).map_err(|_| Broken::Size(size))?;
        if announced < FRAME_MIN || announced > self.frame_bytes_max {
            return Err(Broken::Size(size));
        }
        self.head(SIZE + 2).await?;
        let key = (&self.buffer[SIZE..]).get_i16();
        Ok(Announced { size: announced, key })
    }

    /// Waits for the rest of a frame, and for room for it.
    pub(super) async fn frame(&mut self, announced: Announced) -> Result<(Bytes, Charge), Broken> {
        let whole = SIZE + announced.size;
        let mut charge = self.ahead.split(whole);
        while charge.bytes() < whole {
            let here = self.buffer.len().saturating_sub(charge.bytes());
            // As much as this client has sent before, or as much again as has arrived.
            let further = charge.bytes().min(STEP_MAX).max(self.expected).max(STEP_MIN);
            let step = further.max(here).min(whole - charge.bytes());
            self.lane.reading(Reading::Room);
            self.budget.add(&mut charge, step, announced.is_produce()).await;
            self.fill(charge.bytes(), charge.bytes()).await?;
        }
        self.fill(whole, whole).await?;
        self.expected = (whole + SLACK).clamp(BUFFER_MIN, BUFFER_MAX + SLACK);
        self.buffer.advance(SIZE);
        Ok((self.buffer.split_to(announced.size).freeze(), charge))
    }

    /// Reads until the buffer has the first bytes of a frame, and whatever comes with them.
    async fn head(&mut self, needed: usize) -> Result<(), Broken> {
        if self.buffer.is_empty() {
            self.lane.reading(Reading::Nothing);
            self.buffer = BytesMut::new();
            drop(self.ahead.split(usize::MAX));
            self.socket.readable().await?;
        }
        if self.buffer.len() < needed {
            let missing = self.expected.saturating_sub(self.ahead.bytes());
            let is_charged = self.expected == BUFFER_MIN || self.budget.try_add(&mut self.ahead, missing);
            let room = if is_charged { self.expected } else { BUFFER_MIN };
            self.fill(needed, room).await?;
        }
        Ok(())
    }

    /// Reads until the buffer has `needed` bytes, at most `room`.
    async fn fill(&mut self, needed: usize, room: usize) -> Result<(), Broken> {
        let mut clock_started_at = None;
        while self.buffer.len() < needed {
            let len = self.buffer.len();
            if len > 0 && clock_started_at.is_none_or(|at| len - at >= STEP_MAX) {
                // The clock of a part starts with its first byte.
                clock_started_at = Some(len);
                self.lane.reading(Reading::Frame(Instant::now()));
            }
            if self.buffer.capacity() < needed {
                self.buffer.reserve(room - len);
            }
            if self.socket.read_buf(&mut (&mut self.buffer).limit(room - len)).await? == 0 {
                return Err(Broken::Closed);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::pin::pin;
    use std::sync::atomic::AtomicUsize;
    use std::task::Poll;

    use tokio::io::AsyncWriteExt;
    use tokio::net::{TcpListener, TcpStream};

    use super::*;
    use crate::limits::Limits;
    use crate::metrics::Gauge;

    async fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        (client, listener.accept().await.unwrap().0)
    }

    #[tokio::test]
    async fn a_claimed_length_reserves_nothing_until_the_bytes_arrive() {
        let (mut client, mut server) = pair().await;
        let (limits, unsent) = (Limits::default(), AtomicUsize::new(0));
        let (lane, budget) = (Lane::new(&limits, &unsent), Budget::new(&limits, Gauge::default()));
        let mut frames = Frames::new(server.split().0, &lane, &budget, 100 << 20);
        client.write_all(&(100_i32 << 20).to_be_bytes()).await.unwrap();
        client.write_all(&[0; 8]).await.unwrap();
        let announced = frames.announced().await.unwrap();
        assert_eq!(announced.size, 100 << 20);
        assert!(frames.buffer.capacity() <= BUFFER_MIN);

        let sent = 3 << 20;
        let sending = tokio::spawn(async move {
            client.write_all(&vec![0; sent]).await.unwrap();
            client
        });
        while frames.buffer.len() < sent {
            {
                let mut frame = pin!(frames.frame(announced));
                assert!(poll_fn(|cx| Poll::Ready(frame.as_mut().poll(cx).is_pending())).await);
            }
            let (len, capacity) = (frames.buffer.len(), frames.buffer.capacity());
            assert!(capacity <= 2 * (len + STEP_MAX), "{capacity} bytes for {len}");
            tokio::task::yield_now().await;
        }
        drop(sending.await.unwrap());
        assert!(matches!(frames.frame(announced).await, Err(Broken::Closed)));
    }

    #[tokio::test]
    async fn frames_are_slices_of_what_was_read() {
        let (mut client, mut server) = pair().await;
        let (limits, unsent) = (Limits::default(), AtomicUsize::new(0));
        let (lane, budget) = (Lane::new(&limits, &unsent), Budget::new(&limits, Gauge::default()));
        let mut frames = Frames::new(server.split().0, &lane, &budget, 100 << 20);
        let mut sent = Vec::new();
        for number in 0..5_u8 {
            sent.extend([0, 0, 0, 10]);
            sent.extend([number; 10]);
        }
        client.write_all(&sent).await.unwrap();
        let mut before = None;
        for number in 0..5 {
            let announced = frames.announced().await.unwrap();
            let (frame, charge) = frames.frame(announced).await.unwrap();
            assert_eq!(charge.bytes(), 14);
            assert_eq!(frame, [number; 10][..]);
            let at = frame.as_ptr().addr();
            assert!(before.is_none_or(|before| at - before == 14), "a frame was copied");
            before = Some(at);
        }
        // A client of large frames gets room for one at once, and one of small frames no longer.
        for (size, expected) in [(70_000, 70_004 + SLACK), (10, BUFFER_MIN)] {
            let mut frame = u32::try_from(size).unwrap().to_be_bytes().to_vec();
            frame.resize(4 + size, 0);
            client.write_all(&frame).await.unwrap();
            let announced = frames.announced().await.unwrap();
            assert_eq!(frames.frame(announced).await.unwrap().0.len(), size);
            assert_eq!(frames.expected, expected);
        }
    }
}
