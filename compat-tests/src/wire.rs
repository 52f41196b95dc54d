//! A raw Kafka client: frames as they are, requests of any version, answers matched by correlation id.
//!
//! It blocks, and every read has a time limit. Nothing is retried, resolved or remembered: what a test sends is what
//! goes out. To have several requests in flight, [`Wire::send`] them and [`Wire::receive`] the answers in order.

use std::io::{self, ErrorKind, Read, Write};
use std::marker::PhantomData;
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use kafka_protocol::messages::{ApiKey, RequestHeader, ResponseHeader};
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion, Request, StrBytes};

/// How long a read waits before the test fails.
const READ_LIMIT: Duration = Duration::from_secs(30);
/// A longer answer means that its length prefix is wrong.
const FRAME_BYTES_MAX: usize = 256 * 1024 * 1024;

/// One connection.
#[derive(Debug)]
pub struct Wire {
    stream: TcpStream,
    next_correlation_id: i32,
}

/// A request that was sent and whose answer has not been read.
#[derive(Debug)]
#[must_use = "an answer that is never read is in the way of the next one"]
pub struct Sent<R> {
    correlation_id: i32,
    version: i16,
    request: PhantomData<R>,
}

impl Wire {
    /// Connects to `host:port`.
    pub fn connect(address: &str) -> Self {
        Self::try_connect(address).unwrap_or_else(|error| panic!("cannot connect to {address}: {error}"))
    }

    /// Connects, where the broker may be down.
    pub fn try_connect(address: &str) -> io::Result<Self> {
        let mut addresses = address.to_socket_addrs()?;
        let first = addresses.next().ok_or(ErrorKind::AddrNotAvailable)?;
        let stream = TcpStream::connect_timeout(&first, READ_LIMIT)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(READ_LIMIT))?;
        stream.set_write_timeout(Some(READ_LIMIT))?;
        Ok(Self { stream, next_correlation_id: 1 })
    }

    /// Another time limit for reads.
    pub fn read_limit(&mut self, limit: Duration) {
        self.stream.set_read_timeout(Some(limit)).expect("the limit is not zero");
    }

    /// Sends a request and reads its answer.
    pub fn call<R: Request>(&mut self, version: i16, request: &R) -> R::Response {
        let sent = self.send(version, request);
        self.receive(sent)
    }

    /// Sends a request and reads its answer, where the broker may die meanwhile.
    pub fn try_call<R: Request>(&mut self, version: i16, request: &R) -> io::Result<R::Response> {
        let sent = self.try_send(version, request)?;
        self.try_receive(sent)
    }

    /// Sends a request.
    pub fn send<R: Request>(&mut self, version: i16, request: &R) -> Sent<R> {
        self.try_send(version, request).unwrap_or_else(|error| panic!("sending {}: {error}", name::<R>(version)))
    }

    /// Reads the answer to the oldest request whose answer has not been read.
    pub fn receive<R: Request>(&mut self, sent: Sent<R>) -> R::Response {
        let version = sent.version;
        self.try_receive(sent).unwrap_or_else(|error| panic!("the answer to {}: {error}", name::<R>(version)))
    }

    /// [`Wire::send`], where the broker may be gone.
    pub fn try_send<R: Request>(&mut self, version: i16, request: &R) -> io::Result<Sent<R>> {
        let correlation_id = self.next_correlation_id;
        self.next_correlation_id += 1;
        self.send_frame(&encode_request(correlation_id, version, request))?;
        Ok(Sent { correlation_id, version, request: PhantomData })
    }

    /// [`Wire::receive`], where the broker may be gone.
    #[allow(clippy::needless_pass_by_value, reason = "an answer is read once")]
    pub fn try_receive<R: Request>(&mut self, sent: Sent<R>) -> io::Result<R::Response> {
        let Sent { correlation_id, version, .. } = sent;
        Ok(decode_response::<R>(self.read_frame()?, correlation_id, version))
    }

    /// Sends bytes with their length before them.
    pub fn send_frame(&mut self, frame: &[u8]) -> io::Result<()> {
        let length = i32::try_from(frame.len()).map_err(|_| ErrorKind::InvalidInput)?;
        let mut bytes = BytesMut::with_capacity(4 + frame.len());
        bytes.put_i32(length);
        bytes.put_slice(frame);
        self.send_bytes(&bytes)
    }

    /// Sends bytes as they are: half a frame, a wrong length, no Kafka at all.
    pub fn send_bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)
    }

    /// Reads one frame, without its length.
    pub fn read_frame(&mut self) -> io::Result<Bytes> {
        let mut length = [0; 4];
        self.stream.read_exact(&mut length)?;
        let length = usize::try_from(i32::from_be_bytes(length)).map_err(|_| ErrorKind::InvalidData)?;
        if length > FRAME_BYTES_MAX {
            return Err(io::Error::new(ErrorKind::InvalidData, format!("a frame of {length} bytes")));
        }
        let mut frame = vec![0; length];
        self.stream.read_exact(&mut frame)?;
        Ok(frame.into())
    }

    /// Waits until the broker closes this connection; panics if it answers or stays silent instead.
    pub fn expect_closed(&mut self) {
        match self.read_frame() {
            Ok(frame) => panic!("expected the connection to be closed, got a frame of {} bytes", frame.len()),
            Err(error) => {
                let waited = matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut);
                assert!(!waited, "the connection is still open after {READ_LIMIT:?}");
            }
        }
    }

    /// Asserts that nothing arrives within `limit` (the answer to `acks=0`, a long poll that must still wait).
    pub fn expect_silence(&mut self, limit: Duration) {
        self.read_limit(limit);
        let mut first = [0; 1];
        match self.stream.peek(&mut first) {
            Ok(0) => panic!("the connection was closed"),
            Ok(_) => panic!("an answer arrived"),
            Err(error) => assert!(matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut), "{error}"),
        }
        self.read_limit(READ_LIMIT);
    }
}

/// A request as it goes into a frame: header and body, without the length.
pub fn encode_request<R: Request>(correlation_id: i32, version: i16, request: &R) -> BytesMut {
    let mut frame = BytesMut::new();
    let header = RequestHeader::default()
        .with_request_api_key(R::KEY)
        .with_request_api_version(version)
        .with_correlation_id(correlation_id)
        .with_client_id(Some(StrBytes::from_static_str("compat-tests")));
    header.encode(&mut frame, R::header_version(version)).expect("a request header can be encoded");
    request
        .encode(&mut frame, version)
        .unwrap_or_else(|error| panic!("{} cannot be encoded: {error}", name::<R>(version)));
    frame
}

/// The body of an answer; panics if it answers something else, does not decode or leaves bytes over.
pub fn decode_response<R: Request>(mut frame: Bytes, correlation_id: i32, version: i16) -> R::Response {
    let header = ResponseHeader::decode(&mut frame, R::Response::header_version(version))
        .unwrap_or_else(|error| panic!("the header of the answer to {}: {error}", name::<R>(version)));
    assert_eq!(header.correlation_id, correlation_id, "answers come in the order of their requests");
    let response = R::Response::decode(&mut frame, version)
        .unwrap_or_else(|error| panic!("the answer to {} does not decode: {error}", name::<R>(version)));
    assert_eq!(frame.remaining(), 0, "bytes left over in the answer to {}", name::<R>(version));
    response
}

/// The name of a request for messages.
fn name<R: Request>(version: i16) -> String {
    ApiKey::try_from(R::KEY).map_or_else(|()| format!("api {} v{version}", R::KEY), |key| format!("{key:?} v{version}"))
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::thread;

    use kafka_protocol::messages::{ApiVersionsRequest, ApiVersionsResponse};

    use super::*;

    /// A peer that sends back the correlation id of each request and then `body`.
    fn peer(body: &'static [u8]) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("it is bound").to_string();
        thread::spawn(move || {
            let (stream, _) = listener.accept().expect("a client connects");
            let mut wire = Wire { stream, next_correlation_id: 0 };
            while let Ok(request) = wire.read_frame() {
                let answer = [&request[4..8], body].concat();
                wire.send_frame(&answer).expect("the client reads");
            }
        });
        address
    }

    #[test]
    fn answers_are_matched_and_decoded() {
        let address = peer(&[0, 35, 0, 0, 0, 0]);
        let mut wire = Wire::connect(&address);
        let request = ApiVersionsRequest::default();
        let (first, second) = (wire.send(0, &request), wire.send(0, &request));
        let expected = ApiVersionsResponse::default().with_error_code(35);
        assert_eq!(wire.receive(first), expected);
        assert_eq!(wire.receive(second), expected);
    }

    #[test]
    #[should_panic(expected = "bytes left over")]
    fn bytes_left_over_are_an_error() {
        let address = peer(&[0, 0, 0, 0, 0, 0, 9]);
        Wire::connect(&address).call(0, &ApiVersionsRequest::default());
    }
}
