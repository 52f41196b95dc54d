//! Frames from a socket. A frame is a 32-bit length, then so many bytes.
//!
//! A connection that waits for its next frame holds no buffer. A read takes whatever is there, up to the size that the
//! client's frames have, so that one call brings in many small frames, or one large frame whole and little else. For a
//! frame larger than the buffer, the buffer grows as bytes arrive: what a length claims is not believed. Frames are
//! slices of the buffer and are never copied again.

use std::time::Instant;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use kafka_protocol::messages::ApiKey;
use tokio::io::AsyncReadExt;
use tokio::net::tcp::ReadHalf;

use super::lane::{Lane, Reading};

const SIZE: usize = 4;
/// The least that is read at once, and the buffer of a client with small frames.
const BUFFER_MIN: usize = 16 << 10;
/// The most that is made ready before the bytes are there.
const BUFFER_MAX: usize = 1 << 20;
/// Room behind a frame as large as the last one: its successors are rarely just as large.
const SLACK: usize = 1 << 10;
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
    buffer: BytesMut,
    frame_bytes_max: usize,
    /// How much is read at once when nothing is known of the next frame.
    expected: usize,
}

impl<'a> Frames<'a> {
    pub(super) fn new(socket: ReadHalf<'a>, lane: &'a Lane<'a>, frame_bytes_max: usize) -> Self {
        Self { socket, lane, buffer: BytesMut::new(), frame_bytes_max, expected: BUFFER_MIN }
    }

    /// Waits for the head of the next frame and leaves it in the buffer.
    pub(super) async fn announced(&mut self) -> Result<Announced, Broken> {
        self.fill(SIZE).await?;
        let size = (&self.buffer[..SIZE]).get_i32();
        let announced = usize::try_from(size).map_err(|_| Broken::Size(size))?;
        if announced < FRAME_MIN || announced > self.frame_bytes_max {
            return Err(Broken::Size(size));
        }
        self.fill(SIZE + 2).await?;
        let key = (&self.buffer[SIZE..]).get_i16();
        Ok(Announced { size: announced, key })
    }

    /// Waits for the rest of a frame.
    pub(super) async fn frame(&mut self, announced: Announced) -> Result<Bytes, Broken> {
        let whole = SIZE + announced.size;
        self.fill(whole).await?;
        self.expected = (whole + SLACK).clamp(BUFFER_MIN, BUFFER_MAX + SLACK);
        self.buffer.advance(SIZE);
        Ok(self.buffer.split_to(announced.size).freeze())
    }

    /// Reads until the buffer has `needed` bytes.
    async fn fill(&mut self, needed: usize) -> Result<(), Broken> {
        let mut clock_started_at = None;
        while self.buffer.len() < needed {
            let len = self.buffer.len();
            if len == 0 {
                self.lane.reading(Reading::Nothing);
                self.buffer = BytesMut::new();
                self.socket.readable().await?;
            } else if clock_started_at.is_none_or(|at| len - at >= BUFFER_MAX) {
                // The clock of a frame starts with its first byte, and anew with each further mebibyte.
                clock_started_at = Some(len);
                self.lane.reading(Reading::Frame(Instant::now()));
            }
            self.make_room(needed);
            if self.socket.read_buf(&mut self.buffer).await? == 0 {
                return Err(Broken::Closed);
            }
        }
        Ok(())
    }

    /// Makes room in the buffer for what is to be read next.
    fn make_room(&mut self, needed: usize) {
        let len = self.buffer.len();
        if needed <= self.expected {
            // Nothing is moved or allocated as long as the frame fits behind what is there.
            if self.buffer.capacity() < needed {
                self.buffer.reserve(self.expected - len);
            }
        } else if self.buffer.capacity() < needed && self.buffer.capacity() - len < BUFFER_MIN {
            // Twice what has arrived, or the first mebibyte, and no more than the frame.
            let capacity = needed.min(len + len.max(BUFFER_MAX));
            let mut grown = BytesMut::with_capacity(capacity);
            grown.put_slice(&self.buffer);
            self.buffer = grown;
        }
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

    async fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        (client, listener.accept().await.unwrap().0)
    }

    #[tokio::test]
    async fn a_claimed_length_reserves_nothing_until_the_bytes_arrive() {
        let (mut client, mut server) = pair().await;
        let (limits, unsent) = (Limits::default(), AtomicUsize::new(0));
        let lane = Lane::new(&limits, &unsent);
        let mut frames = Frames::new(server.split().0, &lane, 100 << 20);
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
            assert!(capacity <= 2 * len + BUFFER_MAX, "{capacity} bytes for {len}");
            tokio::task::yield_now().await;
        }
        drop(sending.await.unwrap());
        assert!(matches!(frames.frame(announced).await, Err(Broken::Closed)));
    }

    #[tokio::test]
    async fn frames_are_slices_of_what_was_read() {
        let (mut client, mut server) = pair().await;
        let (limits, unsent) = (Limits::default(), AtomicUsize::new(0));
        let lane = Lane::new(&limits, &unsent);
        let mut frames = Frames::new(server.split().0, &lane, 100 << 20);
        let mut sent = Vec::new();
        for number in 0..5_u8 {
            sent.extend([0, 0, 0, 10]);
            sent.extend([number; 10]);
        }
        client.write_all(&sent).await.unwrap();
        let mut before = None;
        for number in 0..5 {
            let announced = frames.announced().await.unwrap();
            let frame = frames.frame(announced).await.unwrap();
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
            assert_eq!(frames.frame(announced).await.unwrap().len(), size);
            assert_eq!(frames.expected, expected);
        }
    }
}
