//! Answers: what handlers return, and what the server writes.
//!
//! A handler returns an [`Answer`] of its own response type; the table's adapter makes it a [`Reply`], which is bytes, or
//! will be. The bytes are in pieces, so that record batches go to the socket from where they are, in memory or in a file:
//!
//! ```text
//! size i32 │ correlation id i32 │ tagged fields, if the response header is flexible (none: one zero byte) │ body
//! ```

use std::future::Future;
use std::pin::Pin;

use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::messages::ApiKey;
use kafka_protocol::protocol::Encodable;
pub use millpond_storage::Piece;
use tracing::error;

/// A future that only waits: for durability, data or members. It is dropped with the connection, at any await.
pub type Waiting<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// What a handler returns.
pub enum Answer<R> {
    /// It is known.
    Now(Outcome<R>),
    /// It will be. Everything that changes state has happened.
    Later(Waiting<Outcome<R>>),
}

/// How a request ends.
#[derive(Debug)]
pub enum Outcome<R> {
    /// With a response that the codec encodes.
    Message(R),
    /// With the body of a response, encoded by the handler in the request's version.
    Encoded(Vec<Piece>),
    /// Without an answer: a Produce with `acks=0` that went well.
    Silent,
    /// With the end of the connection, after the answers before it have been written. The text is logged.
    Close(&'static str),
}

impl<R> Answer<R> {
    /// A response that is known.
    pub fn now(response: R) -> Self {
        Self::Now(Outcome::Message(response))
    }

    /// A response that will be known.
    pub fn later(response: impl Future<Output = R> + Send + 'static) -> Self {
        Self::Later(Box::pin(async { Outcome::Message(response.await) }))
    }

    /// An end that will be known.
    pub fn outcome_later(outcome: impl Future<Output = Outcome<R>> + Send + 'static) -> Self {
        Self::Later(Box::pin(outcome))
    }

    /// No answer.
    pub fn silent() -> Self {
        Self::Now(Outcome::Silent)
    }

    /// The end of the connection.
    pub fn close(reason: &'static str) -> Self {
        Self::Now(Outcome::Close(reason))
    }
}

/// What the server has to do for one request, now or later.
pub enum Reply {
    /// Known.
    Ready(Outgoing),
    /// To be awaited; only the oldest reply of a connection is.
    Waiting(Waiting<Outgoing>),
}

/// What the server has to do for one request.
#[derive(Debug)]
pub enum Outgoing {
    /// Write this.
    Frame(Frame),
    /// Nothing.
    Silent,
    /// Close the connection.
    Close(&'static str),
}

/// A response frame, its size included.
#[derive(Debug)]
pub struct Frame {
    /// The head, with the whole body if the codec encoded it.
    pub head: Bytes,
    /// The rest, in order.
    pub body: Vec<Piece>,
    len: usize,
}

impl Frame {
    /// Bytes in all.
    #[expect(clippy::len_without_is_empty, reason = "a frame has at least its size and correlation id")]
    pub fn len(&self) -> usize {
        self.len
    }
}

/// What is needed to encode a response to a request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Heading {
    pub(crate) key: ApiKey,
    pub(crate) version: i16,
    pub(crate) correlation_id: i32,
}

impl Heading {
    /// Turns a handler's answer into bytes, or into a future of bytes.
    pub(crate) fn reply<R: Encodable + 'static>(self, answer: Answer<R>) -> Reply {
        match answer {
            Answer::Now(outcome) => Reply::Ready(self.outgoing(outcome)),
            Answer::Later(outcome) => Reply::Waiting(Box::pin(async move { self.outgoing(outcome.await) })),
        }
    }

    fn outgoing<R: Encodable>(self, outcome: Outcome<R>) -> Outgoing {
        match outcome {
            Outcome::Message(response) => self.encoded(&response),
            Outcome::Encoded(body) => self.pieces(body),
            Outcome::Silent => Outgoing::Silent,
            Outcome::Close(reason) => Outgoing::Close(reason),
        }
    }

    fn encoded<R: Encodable>(self, response: &R) -> Outgoing {
        let frame = response.compute_size(self.version).and_then(|size| {
            let mut head = self.head(size, size).ok_or_else(too_large)?;
            response.encode(&mut head, self.version)?;
            let len = head.len();
            Ok(Frame { head: head.freeze(), body: Vec::new(), len })
        });
        frame.map_or_else(|why| self.failed(&why), Outgoing::Frame)
    }

    fn pieces(self, body: Vec<Piece>) -> Outgoing {
        let size = body.iter().map(Piece::len).sum();
        match self.head(size, 0) {
            Some(head) => Outgoing::Frame(Frame { len: head.len() + size, head: head.freeze(), body }),
            None => self.failed(&too_large()),
        }
    }

    /// The size and the response header before a body of `body` bytes, with room for `room` more. None if the frame would
    /// be too large for its size to be written.
    fn head(self, body: usize, room: usize) -> Option<BytesMut> {
        // ApiVersions answers have header v0 in every version, so that a client can read one that it did not expect.
        let flexible = self.key.response_header_version(self.version) >= 1;
        let size = i32::try_from(4 + usize::from(flexible) + body).ok()?;
        let mut head = BytesMut::with_capacity(9 + room);
        head.put_i32(size);
        head.put_i32(self.correlation_id);
        if flexible {
            head.put_u8(0);
        }
        Some(head)
    }

    /// A response that cannot be encoded is a fault of ours: a field set that the version has not.
    fn failed(self, why: &dyn std::fmt::Display) -> Outgoing {
        error!(api = ?self.key, version = self.version, "cannot encode the response: {why}");
        Outgoing::Close("its response could not be encoded")
    }
}

fn too_large() -> std::io::Error {
    std::io::Error::other("more than 2 GiB")
}
