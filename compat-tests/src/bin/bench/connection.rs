//! A connection of the load: whole frames out and in, with as little work of its own as there can be.

use std::io::{IoSlice, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use crate::frames::CORRELATION_ID_AT;

/// A broker that is silent for longer is broken.
const SILENCE_MAX: Duration = Duration::from_mins(2);
const BUFFER_BYTES: usize = 64 * 1024;

/// One connection; its answers are read in order.
pub(crate) struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
    /// The bytes of the buffer that are received and not consumed.
    begin: usize,
    end: usize,
    correlation_id: i32,
}

impl Connection {
    pub(crate) fn open(address: &str) -> Self {
        let stream = TcpStream::connect(address).unwrap_or_else(|error| panic!("cannot connect to {address}: {error}"));
        stream.set_nodelay(true).expect("a fresh socket takes options");
        stream.set_read_timeout(Some(SILENCE_MAX)).expect("the limit is not zero");
        Self { stream, buffer: vec![0; BUFFER_BYTES], begin: 0, end: 0, correlation_id: 0 }
    }

    /// The same connection once more: one of the two sends, the other reads the answers.
    pub(crate) fn second(&self) -> Self {
        let stream = self.stream.try_clone().expect("a handle can be copied");
        Self { stream, buffer: vec![0; BUFFER_BYTES], begin: 0, end: 0, correlation_id: 0 }
    }

    /// Sends a frame that is in two pieces, with a correlation id of its own.
    pub(crate) fn send(&mut self, head: &mut [u8], rest: &[u8]) {
        self.correlation_id = self.correlation_id.wrapping_add(1);
        head[CORRELATION_ID_AT..][..4].copy_from_slice(&self.correlation_id.to_be_bytes());
        let mut pieces = &mut [IoSlice::new(head), IoSlice::new(rest)][..];
        while !pieces.is_empty() {
            let written = self.stream.write_vectored(pieces).expect("the broker takes requests");
            assert!(written > 0, "the broker takes no more bytes");
            IoSlice::advance_slices(&mut pieces, written);
        }
    }

    /// The next answer, with its length in front.
    pub(crate) fn receive(&mut self) -> &[u8] {
        self.fill(4);
        let length = self.buffer[self.begin..].first_chunk().map(|length| i32::from_be_bytes(*length));
        let length = length.and_then(|length| usize::try_from(length).ok()).expect("a length is not negative");
        let whole = 4 + length;
        self.fill(whole);
        let begin = self.begin;
        self.begin += whole;
        &self.buffer[begin..begin + whole]
    }

    /// Reads until `count` bytes are there.
    fn fill(&mut self, count: usize) {
        if self.begin == self.end {
            (self.begin, self.end) = (0, 0);
        }
        if self.begin + count > self.buffer.len() {
            self.buffer.copy_within(self.begin..self.end, 0);
            (self.begin, self.end) = (0, self.end - self.begin);
            self.buffer.resize(self.buffer.len().max(count), 0);
        }
        while self.end - self.begin < count {
            let read = self.stream.read(&mut self.buffer[self.end..]).expect("the broker answers in time");
            assert!(read > 0, "the broker closed the connection");
            self.end += read;
        }
    }
}

/// Panics if the error code at `at` of an answer is set.
pub(crate) fn check(answer: &[u8], at: usize) {
    assert_eq!(answer.get(at..at + 2), Some(&[0, 0][..]), "an error code in {:02x?}", &answer[..answer.len().min(100)]);
}
